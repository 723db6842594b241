// SPDX-License-Identifier: Apache-2.0
/*
 * Documents by Elasticsearch's _bulk (OpenSearch has the same). A document's _id is made of its container and its time, so that a batch that
 * is sent twice stands there once. Before version 7 the documents have a type; before version 5 a server takes nothing compressed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/gzip.h"
#include "sink/answer.h"
#include "sink/config.h"
#include "sink/detail.h"
#include "sink/http.h"

#define MAX_HOSTS 16

struct state {
	const char *index, *type, *headers_file;
	const struct cgm_sink_config *config;
	struct cgm_http_client *http;
	char *hosts[MAX_HOSTS]; /* as URLs */
	size_t nr_hosts;
	/* the sender's */
	size_t host; /* the one in use */
	unsigned major; /* 0: not asked yet */
};

static void es_close(void *state)
{
	struct state *s = state;

	cgm_http_client_free(s->http);
	for (size_t i = 0; i < s->nr_hosts; i++)
		free(s->hosts[i]);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		es_close(*s);
}

static int add_host(struct state *s, struct cgm_str text, bool secure)
{
	_cleanup_free_ char *address = cgm_strndup(text.p, text.len);
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	int r;

	if (!address)
		return -ENOMEM;
	r = cgm_url_base(&b, address, secure);
	if (r < 0)
		return r;
	if (s->nr_hosts == MAX_HOSTS)
		return -EINVAL;
	s->hosts[s->nr_hosts] = cgm_strndup(b.p, b.len);
	return s->hosts[s->nr_hosts] ? (s->nr_hosts++, 0) : -ENOMEM;
}

static int es_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	struct cgm_str list = cgm_str(c->es_host), host;
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->config = c;
	s->index = c->es_index;
	s->type = c->es_type;
	s->headers_file = c->es_headers_file;
	if (!*s->index || *s->index == '_' || *s->index == '-')
		return cgm_sink_bad("--storage_driver_es_index", ret_flag, fault, "\"%.100s\" is no name of an index", s->index);
	while (r == 0 && cgm_next_field(&list, ',', &host))
		r = add_host(s, cgm_trim(host), c->secure);
	if (r == -EINVAL || (r == 0 && !s->nr_hosts))
		return cgm_sink_bad("--storage_driver_es_host", ret_flag, fault, "takes up to %d URLs or host:port, comma between", MAX_HOSTS);
	if (r == 0 && *s->headers_file && cgm_headers_each(s->headers_file, NULL, NULL, fault) < 0) {
		*ret_flag = "--storage_driver_es_headers_file";
		return -EINVAL;
	}
	if (r == 0)
		r = cgm_http_client_new(c, &s->http, ret_flag, fault);
	if (r < 0)
		return r;
	if (c->es_sniffer)
		cgm_log_once(CGM_LOG_WARNING, "--storage_driver_es_enable_sniffer: nodes are not searched for; name several in --storage_driver_es_host, "
					      "comma between: when one fails the next is taken");
	*ret = TAKE_PTR(s);
	return 0;
}

/* Two lines: which document, and what it says. */
static uint64_t es_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	uint64_t who[] = { cgm_hash_bytes(s->machine, strlen(s->machine)),
			   cgm_hash_bytes(s->row->identity->name, strlen(s->row->identity->name)) };

	(void)state;
	cgm_buf_printf(out, "{\"index\":{\"_id\":\"%016" PRIx64 "%016" PRIx64 "-%" PRIu64 "\"}}\n", who[0], who[1], s->time_ns);
	cgm_detail(s, CGM_DETAIL_USEC, out);
	cgm_buf_char(out, '\n');
	return 1;
}

/* ---- sending ---- */

/* GET of path, or POST of data. 0 when there is an answer. */
static int call(struct state *s, struct cgm_sink_attempt *a, const char *path, const char *data, size_t len, struct cgm_http_answer *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf url = { 0 };
	int r;

	cgm_buf_str(&url, s->hosts[s->host]);
	cgm_buf_str(&url, path);
	cgm_buf_char(&url, '\0');
	if (url.failed) {
		(void)cgm_sink_again(a, "out of memory");
		return -ENOMEM;
	}
	r = cgm_http_headers_of(s->http, s->headers_file, a->fault);
	return r < 0 ? r : cgm_http_call(s->http, a->stop, url.p, data, len, a->until_ns, ret, a->fault);
}

static enum cgm_sink_result next_host(struct state *s)
{
	s->host = (s->host + 1) % s->nr_hosts;
	s->major = 0;
	return CGM_SINK_AGAIN;
}

static enum cgm_sink_result bad_status(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer)
{
	char text[160];

	cgm_http_shown(answer, text, sizeof(text));
	a->retry_after_ns = answer->retry_after_ns;
	return cgm_sink_again(a, "status %ld: %s", answer->status, text);
}

/* 0 when the version is known. */
static int ask_version(struct state *s, struct cgm_sink_attempt *a)
{
	struct cgm_http_answer answer;
	int r = call(s, a, "/", NULL, 0, &answer);

	if (r < 0)
		return r;
	if (answer.status != 200) {
		(void)bad_status(a, &answer);
		return -EPERM;
	}
	if (cgm_answer_es_version(answer.body.p, answer.body.len, &s->major) < 0)
		s->major = 8; /* something that only speaks its protocol */
	cgm_debug("storage driver elasticsearch: the server is of version %u", s->major);
	return 0;
}

static char *bulk_path(const struct state *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	cgm_buf_char(&b, '/');
	cgm_url_escape(&b, s->index);
	if (s->major < 7 && *s->type) {
		cgm_buf_char(&b, '/');
		cgm_url_escape(&b, s->type);
	}
	cgm_buf_lit(&b, "/_bulk?filter_path=errors,items.*.status,items.*.error");
	return b.failed ? NULL : cgm_strndup(b.p, b.len);
}

static enum cgm_sink_result judge(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer)
{
	struct cgm_answer_bulk bulk;

	if (cgm_answer_bulk(answer->body.p, answer->body.len, &bulk) < 0)
		return cgm_sink_again(a, "the answer to _bulk is none");
	if (bulk.nr_later)
		return cgm_sink_again(a, "%" PRIu64 " documents of %" PRIu64 " are to come again: %s", bulk.nr_later, bulk.nr_items, bulk.text);
	if (bulk.nr_refused)
		(void)cgm_sink_again(a, "%s", bulk.text);
	a->nr_lost = bulk.nr_refused;
	a->loss = CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

static int post(struct state *s, struct cgm_sink_attempt *a, struct cgm_http_answer *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf plain = { 0 };
	_cleanup_free_ char *path = bulk_path(s);
	const char *data = a->data;
	size_t len = a->len;
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && s->major < 5) {
		r = cgm_gunzip_buf(a->data, a->len, &plain);
		data = plain.p;
		len = plain.len;
	} else if (r == 0) {
		r = cgm_http_header(s->http, "Content-Encoding: gzip");
	}
	if (r == 0)
		r = cgm_http_header(s->http, "Content-Type: application/x-ndjson");
	if (r < 0) {
		(void)cgm_sink_again(a, "out of memory");
		return r;
	}
	return call(s, a, path, data, len, ret);
}

static enum cgm_sink_result es_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	struct cgm_http_answer answer;

	if ((!s->major && ask_version(s, a) < 0) || post(s, a, &answer) < 0)
		return next_host(s);
	if (answer.status == 200)
		return judge(a, &answer);
	(void)bad_status(a, &answer);
	if (answer.status != 400 && answer.status != 413)
		return next_host(s);
	a->nr_lost = a->nr_points;
	a->loss = answer.status == 413 ? CGM_SINK_TOO_LARGE : CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

const struct cgm_sink_driver cgm_sink_elasticsearch = {
	.name = "elasticsearch",
	.packed = true,
	.takes_packed = true,
	.open = es_open,
	.close = es_close,
	.encode = es_encode,
	.send = es_send,
};
