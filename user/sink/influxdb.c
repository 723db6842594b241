// SPDX-License-Identifier: Apache-2.0
/*
 * InfluxDB's line protocol over HTTP: /write of version 1, /api/v2/write of version 2 (which InfluxDB 3 and VictoriaMetrics have as well).
 * Measurements and tags are cAdvisor's, each with one field, "value". A point that is written twice stands there once.
 */
#include "sink/influxdb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sink/answer.h"
#include "sink/series.h"
#include "sink/text.h"

struct state {
	struct cgm_http_client *http;
	char *write_url, *create_url; /* create_url NULL: do not */
	const char *user;
	struct cgm_secret secret; /* password or token */
	bool v2;
};

static void influxdb_close(void *state)
{
	struct state *s = state;

	cgm_http_client_free(s->http);
	free(s->write_url);
	free(s->create_url);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		influxdb_close(*s);
}

/* Version 2 wants a token, and who gives one wants version 2. */
static int choose_version(const struct cgm_sink_config *c, struct state *s, const char **ret_flag, char *fault)
{
	static const char flag[] = "--storage_driver_influxdb_version";
	bool token = *c->influxdb_token || *c->influxdb_token_file;

	if (strcmp(c->influxdb_version, "auto") == 0)
		s->v2 = token;
	else if (strcmp(c->influxdb_version, "1") == 0 || strcmp(c->influxdb_version, "2") == 0)
		s->v2 = *c->influxdb_version == '2';
	else
		return cgm_sink_bad(flag, ret_flag, fault, "takes auto, 1 or 2");
	if (s->v2 && !token)
		return cgm_sink_bad(flag, ret_flag, fault, "version 2 needs --storage_driver_influxdb_token_file");
	s->user = c->user;
	s->secret = s->v2 ? (struct cgm_secret){ c->influxdb_token, c->influxdb_token_file } : (struct cgm_secret){ c->password, c->password_file };
	return 0;
}

static int check_secret(const struct state *s, const char **ret_flag, char *fault)
{
	char text[CGM_SECRET_BYTES];
	int r = cgm_secret_get(&s->secret, text, fault);

	explicit_bzero(text, sizeof(text));
	if (r < 0)
		*ret_flag = s->v2 ? "--storage_driver_influxdb_token_file" : "--storage_driver_password_file";
	return r < 0 ? -EINVAL : 0;
}

/* CREATE DATABASE "name", a quote and a backslash in the name escaped. */
static void put_create(struct cgm_buf *b, const char *db)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };

	cgm_buf_lit(&query, "CREATE DATABASE \"");
	for (; *db; db++) {
		if (*db == '"' || *db == '\\')
			cgm_buf_char(&query, '\\');
		cgm_buf_char(&query, *db);
	}
	cgm_buf_lit(&query, "\"\0");
	cgm_buf_lit(b, "/query?q=");
	if (query.failed)
		b->failed = true;
	else
		cgm_url_escape(b, query.p);
}

static char *url_of(const struct cgm_sink_config *c, const struct state *s, bool create)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	(void)cgm_url_base(&b, *c->influxdb_host ? c->influxdb_host : c->host, c->secure);
	if (create) {
		put_create(&b, c->db);
	} else if (s->v2) {
		cgm_buf_lit(&b, "/api/v2/write?org=");
		cgm_url_escape(&b, c->influxdb_org);
		cgm_buf_lit(&b, "&bucket=");
		cgm_url_escape(&b, *c->influxdb_bucket ? c->influxdb_bucket : c->db);
		cgm_buf_lit(&b, "&precision=ns");
	} else {
		cgm_buf_lit(&b, "/write?db=");
		cgm_url_escape(&b, c->db);
		if (*c->influxdb_retention_policy) {
			cgm_buf_lit(&b, "&rp=");
			cgm_url_escape(&b, c->influxdb_retention_policy);
		}
		cgm_buf_lit(&b, "&precision=ns");
	}
	return b.failed ? NULL : cgm_strndup(b.p, b.len);
}

static int influxdb_open(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault)
{
	const char *address = *c->influxdb_host ? c->influxdb_host : c->host;
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	_cleanup_(cgm_buf_done) struct cgm_buf base = { 0 };
	int r;

	if (!s)
		return -ENOMEM;
	r = choose_version(c, s, ret_flag, fault);
	if (r == 0)
		r = check_secret(s, ret_flag, fault);
	if (r < 0)
		return r;
	r = cgm_url_base(&base, address, c->secure);
	if (r == -EINVAL)
		return cgm_sink_bad(*c->influxdb_host ? "--storage_driver_influxdb_host" : "--storage_driver_host", ret_flag, fault,
				    "\"%.100s\" is no host:port and no URL", address);
	if (r == 0)
		r = cgm_http_client_new(c, &s->http, ret_flag, fault);
	if (r < 0)
		return r;
	s->write_url = url_of(c, s, false);
	s->create_url = c->influxdb_create_database && !s->v2 ? url_of(c, s, true) : NULL;
	if (!s->write_url || (c->influxdb_create_database && !s->v2 && !s->create_url))
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- lines ---- */

struct lines {
	struct cgm_buf *out;
	const struct cgm_buf *before, *after; /* tags in order: before the point's first, between its first and its second */
	uint64_t time_ns;
};

static void put_tag(struct cgm_buf *b, const char *tag, const char *value)
{
	if (!tag || !*value)
		return; /* an empty value is none */
	cgm_buf_char(b, ',');
	cgm_buf_str(b, tag);
	cgm_buf_char(b, '=');
	cgm_text_influxdb(b, value);
}

static void put_line(void *arg, const struct cgm_series_point *p)
{
	const struct lines *l = arg;

	cgm_buf_str(l->out, p->name);
	cgm_buf_put(l->out, l->before->p, l->before->len);
	put_tag(l->out, p->tag[0], p->tag_value[0]);
	cgm_buf_put(l->out, l->after->p, l->after->len);
	put_tag(l->out, p->tag[1], p->tag_value[1]);
	cgm_buf_lit(l->out, " value=");
	cgm_buf_u64(l->out, MIN(p->value, (uint64_t)INT64_MAX)); /* its integers are signed */
	cgm_buf_lit(l->out, "i ");
	cgm_buf_u64(l->out, l->time_ns);
	cgm_buf_char(l->out, '\n');
}

static uint64_t influxdb_encode(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	_cleanup_(cgm_buf_done) struct cgm_buf before = { 0 };
	_cleanup_(cgm_buf_done) struct cgm_buf after = { 0 };
	struct lines l = { .out = out, .before = &before, .after = &after, .time_ns = s->time_ns };
	uint64_t nr;

	(void)state;
	put_tag(&before, "container_name", cgm_identity_shown(s->row->identity));
	put_tag(&after, "machine", s->machine);
	nr = cgm_series_each(s, CGM_IN_INFLUXDB, put_line, &l);
	if (before.failed || after.failed)
		out->failed = true;
	return nr;
}

/* ---- sending ---- */

int cgm_influxdb_login(struct cgm_http_client *http, const struct cgm_secret *secret, const char *user, bool v2, char *fault)
{
	char text[CGM_SECRET_BYTES], header[CGM_SECRET_BYTES + 32];
	int r = cgm_secret_get(secret, text, fault);

	if (r == 0 && v2) {
		snprintf(header, sizeof(header), "Authorization: Token %s", text);
		r = cgm_http_header(http, header);
		explicit_bzero(header, sizeof(header));
	} else if (r == 0 && *user) {
		r = cgm_http_user(http, user, text);
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

/* One POST. 0 when there is an answer. */
static int post(struct state *s, const struct cgm_sink_attempt *a, const char *url, const char *data, size_t len, struct cgm_http_answer *ret,
		char *fault)
{
	int r = cgm_influxdb_login(s->http, &s->secret, s->user, s->v2, fault);

	if (r == 0 && len)
		r = cgm_http_header(s->http, "Content-Type: text/plain; charset=utf-8");
	if (r == 0 && len)
		r = cgm_http_header(s->http, "Content-Encoding: gzip");
	if (r == -ENOMEM)
		snprintf(fault, CGM_SINK_FAULT, "out of memory");
	return r < 0 ? r : cgm_http_call(s->http, a->stop, url, data, len, a->until_ns, ret, fault);
}

/* True when the server has done it. */
static bool create_database(struct state *s, const struct cgm_sink_attempt *a)
{
	struct cgm_http_answer answer;
	char fault[CGM_SINK_FAULT];

	return post(s, a, s->create_url, "", 0, &answer, fault) == 0 && answer.status == 200;
}

/* Part of them may be written: the answer tells how many are not. */
static enum cgm_sink_result refused(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer)
{
	char text[160];

	cgm_http_shown(answer, text, sizeof(text));
	(void)cgm_sink_again(a, "status %ld: %s", answer->status, text);
	a->nr_lost = answer->status == 413 ? a->nr_points : cgm_answer_influxdb_dropped(answer->body.p, answer->body.len, a->nr_points);
	a->loss = answer->status == 413 ? CGM_SINK_TOO_LARGE : CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}

static enum cgm_sink_result influxdb_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	struct cgm_http_answer answer;
	char text[160];

	if (post(s, a, s->write_url, a->data, a->len, &answer, a->fault) < 0)
		return CGM_SINK_AGAIN;
	if (answer.status == 404 && s->create_url && create_database(s, a) && post(s, a, s->write_url, a->data, a->len, &answer, a->fault) < 0)
		return CGM_SINK_AGAIN;
	if (answer.status >= 200 && answer.status < 300)
		return CGM_SINK_WRITTEN;
	if (answer.status == 400 || answer.status == 413 || answer.status == 422)
		return refused(a, &answer);
	a->retry_after_ns = answer.retry_after_ns;
	cgm_http_shown(&answer, text, sizeof(text));
	return cgm_sink_again(a, "status %ld: %s", answer.status, text);
}

const struct cgm_sink_driver cgm_sink_influxdb = {
	.name = "influxdb",
	.packed = true,
	.takes_packed = true,
	.open = influxdb_open,
	.close = influxdb_close,
	.encode = influxdb_encode,
	.send = influxdb_send,
};
