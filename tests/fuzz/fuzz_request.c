/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client sends us: a path with a query (decoded already, a=b&c=d), an Accept and an Accept-Encoding header, an entity tag and a body,
 * in that order, a line each (the body is the rest). Invariants: a fault leaves the results alone and names itself, a clean path stays
 * clean, a route's rest lies in its path.
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
	if (route && route->versions)
		check(cgm_path_version(path, &rest) & route->versions && rest > path && rest <= path + len);
	free(path);
}

/* The first value of that name in arg, a text a=b&c=d; in memory that lasts until the next call of the same name's parser. */
static const char *get_value(void *arg, const char *name)
{
	static char value[65536];
	struct cgm_str rest = cgm_str(arg), part, key;

	while (cgm_next_field(&rest, '&', &part)) {
		if (!cgm_next_field(&part, '=', &key) || !cgm_str_eq(key, name))
			continue;
		snprintf(value, sizeof(value), "%.*s", (int)part.len, part.p);
		return value;
	}
	return NULL;
}

static void try_query(char *text)
{
	struct cgm_container_query c = { .count = UNTOUCHED };
	struct cgm_events_query e = { .max = UNTOUCHED, .start_ns = UNTOUCHED };
	char fault[CGM_FAULT_BYTES];

	for (int lax = 0; lax < 2; lax++) {
		struct cgm_query q = { .get = get_value, .arg = text, .lax = lax };
		int r = cgm_query_containers(&q, &c, fault);

		check(r == 0 ? c.count >= -1 && c.type <= CGM_ID_PODMAN : r == -EINVAL && c.count == UNTOUCHED && strchr(fault, '\'') && strlen(fault) < sizeof(fault));
		r = cgm_query_events(&q, &e, fault);
		check(r == 0 ? e.types < 16 && e.max > 0 : r == -EINVAL && e.start_ns == UNTOUCHED && strchr(fault, '\''));
		check(r == 0 || !lax);
		c.count = UNTOUCHED;
		e = (struct cgm_events_query){ .max = UNTOUCHED, .start_ns = UNTOUCHED };
	}
}

static void try_limits(const char *text)
{
	struct cgm_events_limits l = { .max_nr = { UNTOUCHED }, .max_age_ns = { UNTOUCHED } };
	const char *fault = NULL;

	check(cgm_events_parse_ages(text, &l, &fault) == 0 || (fault && l.max_age_ns[0] == UNTOUCHED));
	fault = NULL;
	check(cgm_events_parse_numbers(text, &l, &fault) == 0 || (fault && l.max_nr[0] == UNTOUCHED));
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

static void try_kubelet_body(struct cgm_str body)
{
	struct cgm_json_stats_request request = { .samples.nr_stats = UNTOUCHED };
	char *fault = NULL;
	int r = cgm_json_stats_request_parse(body.len ? body.p : "", body.len, &request, &fault);

	check(r == 0 || r == -EINVAL);
	check((r == 0) == (fault == NULL));
	if (r == 0)
		check(request.samples.nr_stats >= -1 && request.container[0] == '/');
	else
		check(request.samples.nr_stats == UNTOUCHED && !request.container);
	free(request.container);
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
	if (strchr(lines[0], '?'))
		try_query(strchr(lines[0], '?') + 1);
	try_limits(lines[0]);
	try_string(lines[0]);
	try_accept(lines[1]);
	cgm_accepts_gzip(lines[2]);
	cgm_matches_etag(lines[3], "\"0123456789abcdef\"");
	try_body(rest);
	try_kubelet_body(rest);
	for (size_t i = 0; i < 4; i++)
		free(lines[i]);
	return 0;
}
