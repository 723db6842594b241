// SPDX-License-Identifier: Apache-2.0
/*
 * OTLP over HTTP with protobuf, as OpenTelemetry collectors and many back ends take it. What is tried again and what is not is the protocol's
 * word: 429, 502, 503 and 504 come back, every other error is final.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "output/gzip.h"
#include "sink/answer.h"
#include "sink/config.h"
#include "sink/http.h"
#include "sink/otlp.h"

struct state {
	struct cgm_http_client *http;
	char *url;
	const char *headers_file;
	bool plain; /* no gzip */
};

static void otlp_close(void *state)
{
	struct state *s = state;

	cgm_http_client_free(s->http);
	free(s->url);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		otlp_close(*s);
}

/* An URL with a path stays as it is. */
static char *url_of(const char *endpoint, bool secure)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	const char *host;

	if (cgm_url_base(&b, endpoint, secure) < 0)
		return NULL;
	cgm_buf_char(&b, '\0');
	host = b.failed ? NULL : strstr(b.p, "://") + 3;
	if (host && !strpbrk(host, "/?")) {
		b.len--;
		cgm_buf_str(&b, "/v1/metrics");
		cgm_buf_char(&b, '\0');
	}
	return b.failed ? NULL : cgm_strdup(b.p);
}

static int otlp_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	_cleanup_(cgm_buf_done) struct cgm_buf base = { 0 };
	int r;

	if (!s)
		return -ENOMEM;
	s->plain = strcmp(c->otlp_compression, "none") == 0;
	if (!s->plain && strcmp(c->otlp_compression, "gzip") != 0)
		return cgm_sink_bad("--storage_driver_otlp_compression", ret_flag, fault, "takes gzip or none");
	s->headers_file = c->otlp_headers_file;
	if (*s->headers_file && cgm_headers_each(s->headers_file, NULL, NULL, fault) < 0) {
		*ret_flag = "--storage_driver_otlp_headers_file";
		return -EINVAL;
	}
	r = cgm_url_base(&base, c->otlp_endpoint, c->secure);
	if (r == -EINVAL)
		return cgm_sink_bad("--storage_driver_otlp_endpoint", ret_flag, fault, "\"%.100s\" is no host:port and no URL", c->otlp_endpoint);
	if (r == 0)
		r = cgm_http_client_new(c, &s->http, ret_flag, fault);
	if (r < 0)
		return r;
	s->url = url_of(c->otlp_endpoint, c->secure);
	if (!s->url)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

static uint64_t otlp_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	return cgm_otlp_sample(s, out);
}

static uint64_t otlp_encode_live(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	(void)state;
	return cgm_otlp_live(s, out);
}

/* ---- sending ---- */

static int add_headers(struct state *s, struct cgm_sink_attempt *a)
{
	int r = cgm_http_headers_of(s->http, s->headers_file, a->fault);

	if (r == 0)
		r = cgm_http_header(s->http, "Content-Type: application/x-protobuf");
	if (r == 0 && !s->plain)
		r = cgm_http_header(s->http, "Content-Encoding: gzip");
	if (r == -ENOMEM)
		(void)cgm_sink_again(a, "out of memory");
	return r;
}

/* Taken, but perhaps not all of it. */
static enum cgm_sink_result taken(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer)
{
	char text[160];
	uint64_t rejected = 0;

	if (cgm_answer_otlp(answer->body.p, answer->body.len, &rejected, text, sizeof(text)) == 0 && rejected)
		(void)cgm_sink_again(a, "%s", text);
	a->nr_lost = rejected;
	a->loss = CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

enum cgm_sink_result cgm_otlp_judge(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer)
{
	char text[160];

	if (answer->status >= 200 && answer->status < 300)
		return taken(a, answer);
	cgm_http_shown(answer, text, sizeof(text));
	(void)cgm_sink_again(a, "status %ld: %s", answer->status, text);
	a->retry_after_ns = answer->retry_after_ns;
	if (answer->status == 429 || (answer->status >= 502 && answer->status <= 504))
		return CGM_SINK_AGAIN;
	a->nr_lost = a->nr_points;
	a->loss = answer->status == 401 || answer->status == 403 ? CGM_SINK_UNAUTHORIZED :
		  answer->status == 413				 ? CGM_SINK_TOO_LARGE :
								   CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

static enum cgm_sink_result otlp_send(void *state, struct cgm_sink_attempt *a)
{
	_cleanup_(cgm_buf_done) struct cgm_buf plain = { 0 };
	struct state *s = state;
	struct cgm_http_answer answer;
	const char *data = a->data;
	size_t len = a->len;

	if (s->plain) {
		if (cgm_gunzip_buf(a->data, a->len, &plain) < 0)
			return cgm_sink_again(a, "out of memory");
		data = plain.p;
		len = plain.len;
	}
	if (add_headers(s, a) < 0 || cgm_http_call(s->http, a->stop, s->url, data, len, a->until_ns, &answer, a->fault) < 0)
		return CGM_SINK_AGAIN;
	return cgm_otlp_judge(a, &answer);
}

const struct cgm_sink_driver cgm_sink_otlp = {
	.name = "otlp",
	.packed = true,
	.takes_packed = true,
	.open = otlp_open,
	.close = otlp_close,
	.encode = otlp_encode,
	.encode_live = otlp_encode_live,
	.send = otlp_send,
};
