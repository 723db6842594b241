// SPDX-License-Identifier: Apache-2.0
/*
 * Heapster's InfluxDB sink: version 1 by /write after it has seen to the database and its retention policy, versions 2 and 3 (and what speaks like them) by
 * /api/v2/write with a token. A point that is written twice stands there once.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "export/driver.h"
#include "export/influxdb.h"
#include "output/gzip.h"
#include "sink/answer.h"
#include "sink/influxdb.h"

#define POLICY "default" /* Heapster's */

struct state {
	struct cgm_influxdb_form form;
	struct cgm_http_client *http;
	char *base; /* "http://host:8086" */
	const char *user, *db, *org, *bucket, *retention; /* retention "": for ever */
	struct cgm_secret secret; /* password or token */
	bool v2, gzip;
	/* the sender's */
	char *write_url; /* NULL: the database is not seen to */
	struct cgm_buf packed; /* the batch under way */
};

static void influxdb_close(void *state)
{
	struct state *s = state;

	cgm_http_client_free(s->http);
	cgm_buf_done(&s->packed);
	free(s->base);
	free(s->write_url);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		influxdb_close(*s);
}

/* ---- options ---- */

#define FAULT(fault, ...) (snprintf(fault, CGM_SINK_FAULT, __VA_ARGS__), -EINVAL)

static const char *option(struct cgm_uri *uri, const char *name, const char *otherwise)
{
	const char *value = cgm_uri_option(uri, name, 0);

	return value ? value : otherwise;
}

/* InfluxDB's durations: "30d", "1w2d", "0s", "INF". They become a part of a query. */
static bool is_duration(const char *text)
{
	if (strcasecmp(text, "inf") == 0)
		return true;
	while (*text) {
		size_t digits = strspn(text, "0123456789"), unit = strspn(text + digits, "nuµmshdw");

		if (!digits || !unit || unit > 2)
			return false;
		text += digits + unit;
	}
	return true;
}

static int open_retention(struct cgm_uri *uri, struct state *s, char *fault)
{
	const char *text = option(uri, "retention", "0");

	if (strspn(text, "0") == strlen(text) || strcmp(text, "0s") == 0)
		text = "";
	if (!is_duration(text))
		return FAULT(fault, "option retention: \"%.40s\" is no duration of InfluxDB (30d, 12h, 4w)", text);
	s->retention = text;
	return 0;
}

static int open_version(struct cgm_uri *uri, struct state *s, char *fault)
{
	const char *version = option(uri, "version", "auto"), *token = option(uri, "token", ""), *token_file = option(uri, "token_file", "");
	const char *user = cgm_uri_option(uri, "user", 0), *pw = cgm_uri_option(uri, "pw", 0);
	bool has_token = *token || *token_file;

	if (strcmp(version, "auto") != 0 && (strlen(version) != 1 || !strchr("123", *version)))
		return FAULT(fault, "option version: it takes auto, 1, 2 or 3");
	s->v2 = *version == 'a' ? has_token : *version != '1';
	if (s->v2 && !has_token)
		return FAULT(fault, "option version: %s needs token or token_file", version);
	if (!s->v2 && has_token)
		return FAULT(fault, "option token: version 1 takes user and pw");
	s->user = user ? user : *uri->user ? uri->user : "root";
	pw = pw ? pw : *uri->user ? uri->password : "root";
	s->secret = s->v2 ? (struct cgm_secret){ token, token_file } : (struct cgm_secret){ pw, option(uri, "pw_file", "") };
	s->db = option(uri, "db", "k8s");
	s->org = option(uri, "org", "");
	s->bucket = option(uri, "bucket", s->db);
	if (!*s->db || !*s->bucket)
		return FAULT(fault, "option %s: it is empty", *s->db ? "bucket" : "db");
	return open_retention(uri, s, fault);
}

static int check_secret(const struct state *s, char *fault)
{
	char text[CGM_SECRET_BYTES];
	int r = cgm_secret_get(&s->secret, text, fault);

	explicit_bzero(text, sizeof(text));
	return r < 0 ? -EINVAL : 0;
}

static int open_form(struct cgm_uri *uri, const struct cgm_export_config *config, struct state *s, char *fault)
{
	const char *schema = option(uri, "schema", "");
	unsigned long concurrency = 1; /* one connection keeps the order; it is taken, and means nothing */

	if (*schema && strcmp(schema, "0.15") != 0)
		return FAULT(fault, "option schema: it takes 0.15");
	s->form.schema_0_15 = *schema;
	s->form.cluster_name = option(uri, "cluster_name", config->cluster_name);
	if (!cgm_uri_bool(uri, "withfields", &s->form.with_fields, fault, CGM_SINK_FAULT) || !cgm_uri_bool(uri, "gzip", &s->gzip, fault, CGM_SINK_FAULT) ||
	    !cgm_uri_bool(uri, "disable_counter_metrics", &s->form.no_counters, fault, CGM_SINK_FAULT) ||
	    !cgm_uri_number(uri, "concurrency", &concurrency, fault, CGM_SINK_FAULT))
		return -EINVAL;
	if (s->form.schema_0_15 && s->form.with_fields)
		return FAULT(fault, "option withfields: not with schema=0.15");
	cgm_influxdb_form_init(&s->form);
	return 0;
}

static int open_address(struct cgm_uri *uri, const struct cgm_export_config *config, struct state *s, char *fault)
{
	struct cgm_sink_config http = { .tls_ca_file = config->tls_ca_file };
	bool secure = strcmp(uri->scheme, "https") == 0;
	const char *flag;

	if (*uri->scheme && !secure && strcmp(uri->scheme, "http") != 0)
		return FAULT(fault, "\"%.40s\" is neither http nor https", uri->scheme);
	if (!cgm_uri_bool(uri, "secure", &secure, fault, CGM_SINK_FAULT) || !cgm_uri_bool(uri, "insecuressl", &http.tls_skip_verify, fault, CGM_SINK_FAULT))
		return -EINVAL;
	if (!*uri->host) {
		s->base = cgm_asprintf("%s://localhost:8086", secure ? "https" : "http");
	} else {
		_cleanup_free_ char *port = uri->port ? cgm_asprintf(":%u", uri->port) : cgm_strdup("");
		bool ipv6 = strchr(uri->host, ':');
		size_t path_len = strlen(uri->path);

		while (path_len && uri->path[path_len - 1] == '/')
			path_len--;
		if (port)
			s->base = cgm_asprintf("%s://%s%s%s%s%.*s", secure ? "https" : "http", ipv6 ? "[" : "", uri->host, ipv6 ? "]" : "", port, (int)path_len, uri->path);
	}
	return s->base ? cgm_http_client_new(&http, &s->http, &flag, fault) : -ENOMEM;
}

static int influxdb_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = open_version(uri, s, fault);
	if (r == 0)
		r = check_secret(s, fault);
	if (r == 0)
		r = open_form(uri, config, s, fault);
	if (r == 0)
		r = open_address(uri, config, s, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

static uint64_t influxdb_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	const struct state *s = state;

	return cgm_influxdb_lines(&s->form, slice, out, cut, arg);
}

/* ---- requests ---- */

/* One POST. 0 when there is an answer. */
static int post(struct state *s, struct cgm_sink_attempt *a, const char *url, const char *data, size_t len, bool packed, struct cgm_http_answer *ret)
{
	int r = cgm_influxdb_login(s->http, &s->secret, s->user, s->v2, a->fault);

	if (r == 0 && len)
		r = cgm_http_header(s->http, "Content-Type: text/plain; charset=utf-8");
	if (r == 0 && packed)
		r = cgm_http_header(s->http, "Content-Encoding: gzip");
	if (r == -ENOMEM)
		snprintf(a->fault, sizeof(a->fault), "out of memory");
	return r < 0 ? r : cgm_http_call(s->http, a->stop, url, data, len, a->until_ns, ret, a->fault);
}

/* ---- the database of version 1 ---- */

static void put_quoted(struct cgm_buf *b, const char *name)
{
	cgm_buf_char(b, '"');
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			cgm_buf_char(b, '\\');
		cgm_buf_char(b, *name);
	}
	cgm_buf_char(b, '"');
}

enum query { CREATE_DATABASE, SHOW_POLICIES, CREATE_POLICY, ALTER_POLICY };

static void put_query(struct cgm_buf *q, const struct state *s, enum query what)
{
	static const char *const begins[] = {
		[CREATE_DATABASE] = "CREATE DATABASE ", [SHOW_POLICIES] = "SHOW RETENTION POLICIES ON ", [CREATE_POLICY] = "CREATE RETENTION POLICY \"" POLICY "\" ON ",
		[ALTER_POLICY] = "ALTER RETENTION POLICY \"" POLICY "\" ON ",
	};

	cgm_buf_str(q, begins[what]);
	put_quoted(q, s->db);
	if (what == CREATE_DATABASE)
		cgm_buf_lit(q, " WITH");
	if (what != SHOW_POLICIES && *s->retention) {
		cgm_buf_lit(q, " DURATION ");
		cgm_buf_str(q, s->retention);
	}
	if (what == CREATE_DATABASE)
		cgm_buf_lit(q, " NAME \"" POLICY "\"");
	if (what == CREATE_POLICY)
		cgm_buf_lit(q, " REPLICATION 1");
	if (what == CREATE_POLICY || what == ALTER_POLICY)
		cgm_buf_lit(q, " DEFAULT");
	cgm_buf_char(q, '\0');
}

/* 0: there is an answer, maybe with an error; -EACCES: we may not; -EAGAIN with a->fault. */
static int query(struct state *s, struct cgm_sink_attempt *a, enum query what, struct cgm_influxdb_answer *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf q = { 0 };
	_cleanup_(cgm_buf_done) struct cgm_buf url = { 0 };
	struct cgm_http_answer answer;
	char text[160];

	put_query(&q, s, what);
	cgm_buf_str(&url, s->base);
	cgm_buf_lit(&url, "/query?q=");
	if (!q.failed)
		cgm_url_escape(&url, q.p);
	cgm_buf_char(&url, '\0');
	if (q.failed || url.failed) {
		snprintf(a->fault, sizeof(a->fault), "out of memory");
		return -EAGAIN;
	}
	if (post(s, a, url.p, "", 0, false, &answer) < 0)
		return -EAGAIN;
	if (answer.status == 403)
		return -EACCES;
	if (answer.status == 401 || answer.status == 429 || answer.status >= 500) {
		a->retry_after_ns = answer.retry_after_ns;
		cgm_http_shown(&answer, text, sizeof(text));
		(void)cgm_sink_again(a, "status %ld: %s", answer.status, text);
		return -EAGAIN;
	}
	if (cgm_influxdb_answer(answer.body.p, answer.body.len, POLICY, ret) < 0)
		return -EACCES; /* it takes lines, maybe, but is none that we could ask */
	return 0;
}

/* The database was there before: its own default policy is the one, or, with retention=, ours as the default. */
static int choose_policy(struct state *s, struct cgm_sink_attempt *a, struct cgm_influxdb_answer *answer)
{
	char why[sizeof(answer->error)];
	int r;

	memcpy(why, answer->error, sizeof(why));
	r = query(s, a, SHOW_POLICIES, answer);
	if (r < 0)
		return r;
	if (*answer->error) {
		(void)cgm_sink_again(a, "CREATE DATABASE: %.100s; SHOW RETENTION POLICIES: %.100s", why, answer->error);
		return -EAGAIN;
	}
	if (!*s->retention) {
		cgm_info("sink influxdb: the database %.60s has the default policy \"%.60s\", which is used", s->db, answer->policy);
		return 0;
	}
	r = query(s, a, answer->has_named ? ALTER_POLICY : CREATE_POLICY, answer);
	if (r == 0 && *answer->error) {
		(void)cgm_sink_again(a, "retention: %.200s", answer->error);
		return -EAGAIN;
	}
	if (r == 0)
		cgm_info("sink influxdb: the retention policy \"" POLICY "\" of the database %.60s is the default, for %s", s->db, s->retention);
	snprintf(answer->policy, sizeof(answer->policy), POLICY);
	return r;
}

static int set_write_url(struct state *s, const char *policy)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	cgm_buf_str(&b, s->base);
	if (s->v2) {
		cgm_buf_lit(&b, "/api/v2/write?org=");
		cgm_url_escape(&b, s->org);
		cgm_buf_lit(&b, "&bucket=");
		cgm_url_escape(&b, s->bucket);
	} else {
		cgm_buf_lit(&b, "/write?db=");
		cgm_url_escape(&b, s->db);
		if (*policy) {
			cgm_buf_lit(&b, "&rp=");
			cgm_url_escape(&b, policy);
		}
	}
	cgm_buf_lit(&b, "&precision=ns");
	s->write_url = b.failed ? NULL : cgm_strndup(b.p, b.len);
	return s->write_url ? 0 : -ENOMEM;
}

/* Sees to the database. False with a->fault: not yet. */
static bool prepare(struct state *s, struct cgm_sink_attempt *a)
{
	struct cgm_influxdb_answer answer = { 0 };
	int r = 0;

	if (s->write_url)
		return true;
	if (!s->v2) {
		r = query(s, a, CREATE_DATABASE, &answer);
		if (r == 0 && *answer.error)
			r = choose_policy(s, a, &answer);
		else if (r == 0)
			snprintf(answer.policy, sizeof(answer.policy), POLICY);
		else if (r == -EACCES)
			r = choose_policy(s, a, &answer); /* who may not create may still see */
		if (r == -EACCES) {
			answer.policy[0] = '\0'; /* the server's default, then */
			if (*s->retention)
				cgm_warning("sink influxdb: retention=%s is not set: the server does not let us see to the database %.60s", s->retention, s->db);
		}
	}
	if (r == -EAGAIN)
		return false;
	if (set_write_url(s, answer.policy) < 0)
		(void)cgm_sink_again(a, "out of memory");
	return s->write_url;
}

/* ---- writing ---- */

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

/* Has somebody taken away the database or the policy? */
static bool is_gone(const struct cgm_http_answer *answer)
{
	static const char database[] = "database not found", policy[] = "retention policy not found";

	if (!answer->body.len)
		return answer->status == 404;
	return memmem(answer->body.p, answer->body.len, database, sizeof(database) - 1) || memmem(answer->body.p, answer->body.len, policy, sizeof(policy) - 1);
}

static bool pack(struct state *s, struct cgm_sink_attempt *a)
{
	const struct cgm_buf in = { .p = (char *)(uintptr_t)a->data, .len = a->len }; /* it is only read */

	if (!s->gzip || (!a->first && s->packed.len))
		return true;
	cgm_buf_done(&s->packed);
	if (cgm_gzip_buf(&in, &s->packed) == 0)
		return true;
	cgm_buf_done(&s->packed);
	(void)cgm_sink_again(a, "out of memory");
	return false;
}

static enum cgm_sink_result influxdb_send(void *state, struct cgm_sink_attempt *a)
{
	struct state *s = state;
	struct cgm_http_answer answer;
	char text[160];

	if (!prepare(s, a) || !pack(s, a) ||
	    post(s, a, s->write_url, s->gzip ? s->packed.p : a->data, s->gzip ? s->packed.len : a->len, s->gzip, &answer) < 0)
		return CGM_SINK_AGAIN;
	if (answer.status >= 200 && answer.status < 300)
		return CGM_SINK_WRITTEN;
	if (!s->v2 && is_gone(&answer)) {
		free(s->write_url);
		s->write_url = NULL;
	} else if (answer.status == 400 || answer.status == 413 || answer.status == 422) {
		return refused(a, &answer);
	}
	a->retry_after_ns = answer.retry_after_ns;
	cgm_http_shown(&answer, text, sizeof(text));
	return cgm_sink_again(a, "status %ld: %s", answer.status, text);
}

const struct cgm_exporter cgm_export_influxdb = {
	.name = "influxdb",
	.open = influxdb_open,
	.close = influxdb_close,
	.encode = influxdb_encode,
	.send = influxdb_send,
};
