// SPDX-License-Identifier: Apache-2.0
#include "export/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/config.h"

char *cgm_option_copy(struct cgm_uri *uri, const char *name)
{
	const char *value = cgm_uri_option(uri, name, 0);

	return cgm_strdup(value ? value : "");
}

char *cgm_option_cluster(struct cgm_uri *uri, const struct cgm_export_config *config)
{
	const char *name = cgm_uri_option(uri, "cluster_name", 0);

	return cgm_strdup(name ? name : config->cluster_name ? config->cluster_name : "default");
}

/* A configuration is looked at before it is used: what it says then is not said again. */
static bool is_said(const char *prefix, const char *name)
{
	static uint64_t said[64];
	static size_t nr;
	uint64_t what = cgm_hash_bytes(prefix, strlen(prefix)) * 31 + cgm_hash_bytes(name, strlen(name));

	for (size_t i = 0; i < nr; i++)
		if (said[i] == what)
			return true;
	if (nr < ARRAY_SIZE(said))
		said[nr++] = what;
	return false;
}

void cgm_option_idle(struct cgm_uri *uri, const char *name, const char *instead)
{
	bool is_there = false;

	for (size_t n = 0; cgm_uri_option(uri, name, n); n++)
		is_there = true;
	if (is_there && !is_said(uri->prefix, name))
		cgm_info("sink %s: option %s does nothing here: %s", uri->prefix, name, instead);
}

static bool is_bare(const char *path)
{
	return !*path || strcmp(path, "/") == 0;
}

/* The path goes out as it came, escapes and all: a decoded one may mean another. */
static const char *raw_path(const struct cgm_uri *uri)
{
	const char *p = strstr(uri->rest, "://");

	p = p ? p + 3 : uri->rest;
	return p + strcspn(p, "/");
}

static int make_url(struct cgm_target *t, const struct cgm_uri *uri, unsigned port, const char *path, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 }, url = { 0 };
	bool secure = strcmp(uri->scheme, "https") == 0, ipv6 = strchr(uri->host, ':') != NULL;
	int r;

	if (*uri->scheme && !secure && strcmp(uri->scheme, "http") != 0) {
		snprintf(fault, CGM_SINK_FAULT, "%.40s:// is not known; it takes http:// or https://", uri->scheme);
		return -EINVAL;
	}
	cgm_buf_printf(&b, "%s://%s%s%s", secure ? "https" : "http", ipv6 ? "[" : "", *uri->host ? uri->host : "localhost", ipv6 ? "]" : "");
	if (uri->port || !*uri->scheme || !*uri->host) /* a whole URL without a port means its scheme's */
		cgm_buf_printf(&b, ":%u", uri->port ? uri->port : port);
	cgm_buf_str(&b, is_bare(uri->path) ? path : raw_path(uri));
	cgm_buf_char(&b, '\0');
	r = b.failed ? -ENOMEM : cgm_url_base(&url, b.p, secure);
	if (r == -EINVAL)
		snprintf(fault, CGM_SINK_FAULT, "it is no URL");
	if (r < 0)
		return r;
	t->url = cgm_strndup(url.p, url.len);
	return t->url ? 0 : -ENOMEM;
}

static int read_login(struct cgm_target *t, struct cgm_uri *uri, char *fault)
{
	const char *user = cgm_uri_option(uri, "user", 0), *password = cgm_uri_option(uri, "pw", 0);

	t->user = cgm_strdup(user ? user : uri->user);
	t->password = cgm_strdup(password ? password : uri->password);
	t->token = cgm_option_copy(uri, "token");
	t->token_file = cgm_option_copy(uri, "token_file");
	t->headers_file = cgm_option_copy(uri, "headers_file");
	if (!t->user || !t->password || !t->token || !t->token_file || !t->headers_file)
		return -ENOMEM;
	if (strpbrk(t->token, "\r\n")) {
		snprintf(fault, CGM_SINK_FAULT, "option token: it holds a newline");
		return -EINVAL;
	}
	if (*t->token_file) {
		struct cgm_secret secret = { "", t->token_file };
		char text[CGM_SECRET_BYTES];
		int r = cgm_secret_get(&secret, text, fault);

		explicit_bzero(text, sizeof(text));
		if (r < 0)
			return -EINVAL;
	}
	return *t->headers_file && cgm_headers_each(t->headers_file, NULL, NULL, fault) < 0 ? -EINVAL : 0;
}

static int open_client(struct cgm_target *t, struct cgm_uri *uri, const struct cgm_export_config *config, char *fault)
{
	const char *ca = cgm_uri_option(uri, "cacert", 0), *flag = "";
	struct cgm_sink_config c = { 0 };
	int r;

	t->ca_file = cgm_strdup(ca ? ca : config->tls_ca_file ? config->tls_ca_file : "");
	if (!t->ca_file)
		return -ENOMEM;
	if (!cgm_uri_bool(uri, "insecuressl", &c.tls_skip_verify, fault, CGM_SINK_FAULT))
		return -EINVAL;
	c.tls_ca_file = t->ca_file;
	r = cgm_http_client_new(&c, &t->http, &flag, fault);
	return r;
}

int cgm_target_open(struct cgm_target *t, struct cgm_uri *uri, const struct cgm_export_config *config, unsigned port, const char *path, char *fault)
{
	int r = make_url(t, uri, port, path, fault);

	if (r == 0)
		r = read_login(t, uri, fault);
	if (r == 0)
		r = open_client(t, uri, config, fault);
	return r;
}

int cgm_target_append(struct cgm_target *t, const char *text)
{
	char *url = cgm_asprintf("%s%s", t->url, text);

	if (!url)
		return -ENOMEM;
	free(t->url);
	t->url = url;
	return 0;
}

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void cgm_target_close(struct cgm_target *t)
{
	cgm_http_client_free(t->http);
	free(t->url);
	wipe(t->user);
	wipe(t->password);
	wipe(t->token);
	free(t->token_file);
	free(t->headers_file);
	free(t->ca_file);
	*t = (struct cgm_target){ 0 };
}

/* Who we are. */
static int add_login(struct cgm_target *t, char *fault)
{
	struct cgm_secret secret = { t->token, t->token_file };
	char token[CGM_SECRET_BYTES], header[CGM_SECRET_BYTES + 32];
	int r;

	if (*t->user)
		return cgm_http_user(t->http, t->user, t->password);
	if (!*t->token && !*t->token_file)
		return 0;
	r = cgm_secret_get(&secret, token, fault);
	if (r == 0) {
		snprintf(header, sizeof(header), "Authorization: Bearer %s", token);
		r = cgm_http_header(t->http, header);
		explicit_bzero(header, sizeof(header));
	}
	explicit_bzero(token, sizeof(token));
	return r;
}

int cgm_target_post(struct cgm_target *t, struct cgm_sink_attempt *a, const char *const *headers, const char *body, size_t len, struct cgm_http_answer *ret)
{
	int r = cgm_http_headers_of(t->http, t->headers_file, a->fault);

	if (r == 0)
		r = add_login(t, a->fault);
	for (; r == 0 && *headers; headers++)
		r = cgm_http_header(t->http, *headers);
	if (r == -ENOMEM)
		(void)cgm_sink_again(a, "out of memory");
	return r < 0 ? r : cgm_http_call(t->http, a->stop, t->url, body, len, a->until_ns, ret, a->fault);
}

enum cgm_sink_result cgm_target_judge(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer, uint64_t nr_points)
{
	char text[160];

	if (answer->status >= 200 && answer->status < 300)
		return CGM_SINK_WRITTEN;
	cgm_http_shown(answer, text, sizeof(text));
	(void)cgm_sink_again(a, "status %ld: %s", answer->status, text);
	if (answer->status == 408 || answer->status == 429 || answer->status >= 500) {
		a->retry_after_ns = answer->retry_after_ns;
		return CGM_SINK_AGAIN;
	}
	a->nr_lost += nr_points;
	a->loss = answer->status == 401 || answer->status == 403 ? CGM_SINK_UNAUTHORIZED : answer->status == 413 ? CGM_SINK_TOO_LARGE : CGM_SINK_REJECTED;
	return CGM_SINK_WRITTEN;
}
