// SPDX-License-Identifier: Apache-2.0
#include "sink/es_client.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/answer.h"
#include "sink/config.h"

void cgm_es_done(struct cgm_es *s)
{
	cgm_http_client_free(s->http);
	for (size_t i = 0; i < s->nr_hosts; i++)
		free(s->hosts[i]);
	*s = (struct cgm_es){ 0 };
}

int cgm_es_add_host(struct cgm_es *s, struct cgm_str text, bool secure)
{
	_cleanup_free_ char *address = cgm_strndup(text.p, text.len);
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	int r;

	if (!address)
		return -ENOMEM;
	r = cgm_url_base(&b, address, secure);
	if (r < 0)
		return r;
	if (s->nr_hosts == CGM_ES_HOSTS)
		return -EINVAL;
	s->hosts[s->nr_hosts] = cgm_strndup(b.p, b.len);
	return s->hosts[s->nr_hosts] ? (s->nr_hosts++, 0) : -ENOMEM;
}

/* GET of path, or POST of data. 0 when there is an answer. */
static int call(struct cgm_es *s, struct cgm_sink_attempt *a, const char *path, const char *data, size_t len, struct cgm_http_answer *ret)
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
	if (r == 0 && s->user && cgm_http_user(s->http, s->user, s->password) < 0) {
		(void)cgm_sink_again(a, "out of memory");
		r = -ENOMEM;
	}
	return r < 0 ? r : cgm_http_call(s->http, a->stop, url.p, data, len, a->until_ns, ret, a->fault);
}

static enum cgm_sink_result next_host(struct cgm_es *s)
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

static int ask_version(struct cgm_es *s, struct cgm_sink_attempt *a)
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
	cgm_debug("elasticsearch: the server is of version %u", s->major);
	return 0;
}

int cgm_es_ask(struct cgm_es *s, struct cgm_sink_attempt *a)
{
	int r = s->major ? 0 : ask_version(s, a);

	if (r < 0)
		(void)next_host(s);
	return r;
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

enum cgm_sink_result cgm_es_bulk(struct cgm_es *s, struct cgm_sink_attempt *a, const char *path, const char *data, size_t len, bool gzipped)
{
	struct cgm_http_answer answer;
	int r = gzipped ? cgm_http_header(s->http, "Content-Encoding: gzip") : 0;

	if (r == 0)
		r = cgm_http_header(s->http, "Content-Type: application/x-ndjson");
	if (r < 0)
		return cgm_sink_again(a, "out of memory");
	if (call(s, a, path, data, len, &answer) < 0)
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
