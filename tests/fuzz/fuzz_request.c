/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client sends us: a path, an Accept and an Accept-Encoding header, an entity tag and a body, in that order, a line each (the
 * body is the rest). Invariants: a fault leaves the results alone and names itself, a clean path stays clean, a route's rest lies in
 * its path.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "output/json.h"
#include "output/negotiate.h"
#include "output/request.h"

#define UNTOUCHED 4711

static void check(int ok)
{
	if (!ok)
		abort();
}

static char *text_of(struct cgm_str s)
{
	char *p = malloc(s.len + 1);

	check(p != NULL);
	if (s.len)
		memcpy(p, s.p, s.len);
	p[s.len] = '\0';
	return p;
}

static void try_path(const char *raw)
{
	char *path = text_of(cgm_str(raw));
	const struct cgm_route *route;
	const char *rest = NULL;
	size_t len;

	cgm_path_fault(raw);
	cgm_path_clean(path);
	len = strlen(path);
	check(!strstr(path, "//") && (len < 2 || path[len - 1] != '/') && len <= strlen(raw));
	route = cgm_route_find(path, &rest);
	check(!route == !rest);
	if (route && *rest)
		check(rest > path && rest < path + len && *rest == '/');
	free(path);
}

static void try_string(const char *s)
{
	struct cgm_buf b = { 0 };

	cgm_json_string(&b, s);
	check(b.len >= 2 && b.p[0] == '"' && b.p[b.len - 1] == '"');
	for (size_t i = 1; i + 1 < b.len; i++)
		check((unsigned char)b.p[i] >= 0x20 && (b.p[i] != '"' || b.p[i - 1] == '\\'));
	b.len = 0;
	cgm_put_encoded(&b, s);
	for (size_t i = 0; i < b.len; i++)
		check(isalnum((unsigned char)b.p[i]) || strchr("/-._~%", b.p[i]));
	cgm_buf_done(&b);
}

/* What is not named is not given. */
static void try_accept(const char *accept)
{
	switch (cgm_accepts_format(accept)) {
	case CGM_PROMETHEUS_TEXT:
		break;
	case CGM_PROMETHEUS_OPENMETRICS:
		check(strcasestr(accept, "application/openmetrics-text") != NULL);
		break;
	case CGM_PROMETHEUS_PROTOBUF:
		check(strcasestr(accept, "io.prometheus.client.MetricFamily") && strcasestr(accept, "delimited"));
		break;
	default:
		abort();
	}
}

static void try_body(struct cgm_str body)
{
	struct cgm_json_request request = { .nr_stats = UNTOUCHED, .start_ns = UNTOUCHED, .end_ns = UNTOUCHED };
	char *fault = NULL;
	int r = cgm_json_request_parse(body.len ? body.p : "", body.len, &request, &fault);

	check(r == 0 || r == -EINVAL);
	check((r == 0) == (fault == NULL));
	if (r == 0)
		check(request.nr_stats >= -1);
	else
		check(request.nr_stats == UNTOUCHED && request.start_ns == UNTOUCHED && request.end_ns == UNTOUCHED);
	free(fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgm_str rest = { (const char *)data, size }, line;
	char *lines[4];

	for (size_t i = 0; i < 4; i++)
		lines[i] = text_of(cgm_next_line(&rest, &line) ? line : (struct cgm_str){ "", 0 });
	try_path(lines[0]);
	try_string(lines[0]);
	try_accept(lines[1]);
	cgm_accepts_gzip(lines[2]);
	cgm_matches_etag(lines[3], "\"0123456789abcdef\"");
	try_body(rest);
	for (size_t i = 0; i < 4; i++)
		free(lines[i]);
	return 0;
}
