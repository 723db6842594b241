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
#include "sink/config.h"
#include "sink/detail.h"
#include "sink/es_client.h"

struct state {
	const char *index, *type;
	struct cgm_es es;
};

static void es_close(void *state)
{
	struct state *s = state;

	cgm_es_done(&s->es);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		es_close(*s);
}

static int es_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	struct cgm_str list = cgm_str(c->es_host), host;
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->index = c->es_index;
	s->type = c->es_type;
	s->es.headers_file = c->es_headers_file;
	if (!*s->index || *s->index == '_' || *s->index == '-')
		return cgm_sink_bad("--storage_driver_es_index", ret_flag, fault, "\"%.100s\" is no name of an index", s->index);
	while (r == 0 && cgm_next_field(&list, ',', &host))
		r = cgm_es_add_host(&s->es, cgm_trim(host), c->secure);
	if (r == -EINVAL || (r == 0 && !s->es.nr_hosts))
		return cgm_sink_bad("--storage_driver_es_host", ret_flag, fault, "takes up to %d URLs or host:port, comma between", CGM_ES_HOSTS);
	if (r == 0 && *s->es.headers_file && cgm_headers_each(s->es.headers_file, NULL, NULL, fault) < 0) {
		*ret_flag = "--storage_driver_es_headers_file";
		return -EINVAL;
	}
	if (r == 0)
		r = cgm_http_client_new(c, &s->es.http, ret_flag, fault);
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

static char *bulk_path(const struct state *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	cgm_buf_char(&b, '/');
	cgm_url_escape(&b, s->index);
	if (s->es.major < 7 && *s->type) {
		cgm_buf_char(&b, '/');
		cgm_url_escape(&b, s->type);
	}
	cgm_buf_lit(&b, "/_bulk?" CGM_ES_FILTER);
	return b.failed ? NULL : cgm_strndup(b.p, b.len);
}

static enum cgm_sink_result es_send(void *state, struct cgm_sink_attempt *a)
{
	_cleanup_(cgm_buf_done) struct cgm_buf plain = { 0 };
	_cleanup_free_ char *path = NULL;
	struct state *s = state;

	if (cgm_es_ask(&s->es, a) < 0)
		return CGM_SINK_AGAIN;
	path = bulk_path(s);
	if (!path || (s->es.major < 5 && cgm_gunzip_buf(a->data, a->len, &plain) < 0))
		return cgm_sink_again(a, "out of memory");
	return s->es.major < 5 ? cgm_es_bulk(&s->es, a, path, plain.p, plain.len, false) : cgm_es_bulk(&s->es, a, path, a->data, a->len, true);
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
