// SPDX-License-Identifier: Apache-2.0
#include "sink/http.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/curl.h"
#include "sink/config.h"

#define CONNECT_MSEC 5000L

static const struct cgm_curl *lib; /* once there is a client */

struct cgm_http_client {
	CURL *easy;
	CURLM *multi;
	struct curl_slist *headers;
	struct cgm_buf body;
	char error[CURL_ERROR_SIZE];
	const char *ca_file;
	bool skip_verify;
	char *user; /* "user:password" */
};

int cgm_http_client_new(const struct cgm_sink_config *c, struct cgm_http_client **ret, const char **ret_flag, char *fault)
{
	_cleanup_(cgm_http_client_freep) struct cgm_http_client *h = NULL;

	lib = cgm_curl_get(fault, CGM_SINK_FAULT);
	if (!lib) {
		*ret_flag = "--storage_driver";
		return -EINVAL;
	}
	if (*c->tls_ca_file && access(c->tls_ca_file, R_OK) < 0)
		return cgm_sink_bad("--storage_driver_tls_ca_file", ret_flag, fault, "cannot read %.150s: %s", c->tls_ca_file, strerror(errno));
	h = cgm_calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->ca_file = c->tls_ca_file;
	h->skip_verify = c->tls_skip_verify;
	h->easy = lib->curl_easy_init();
	h->multi = lib->curl_multi_init();
	if (!h->easy || !h->multi)
		return -ENOMEM;
	*ret = TAKE_PTR(h);
	return 0;
}

static void forget(struct cgm_http_client *h)
{
	lib->curl_slist_free_all(h->headers);
	h->headers = NULL;
	if (h->user)
		explicit_bzero(h->user, strlen(h->user));
	free(h->user);
	h->user = NULL;
}

void cgm_http_client_free(struct cgm_http_client *h)
{
	if (!h)
		return;
	forget(h);
	if (h->easy)
		lib->curl_easy_cleanup(h->easy);
	if (h->multi)
		lib->curl_multi_cleanup(h->multi);
	cgm_buf_done(&h->body);
	free(h);
}

int cgm_http_header(struct cgm_http_client *h, const char *header)
{
	struct curl_slist *more = lib->curl_slist_append(h->headers, header);

	if (!more)
		return -ENOMEM;
	h->headers = more;
	return 0;
}

static int add_header(void *arg, const char *header)
{
	return cgm_http_header(arg, header);
}

int cgm_http_headers_of(struct cgm_http_client *h, const char *file, char *fault)
{
	int r = *file ? cgm_headers_each(file, add_header, h, fault) : 0;

	if (r == -ENOMEM)
		snprintf(fault, CGM_SINK_FAULT, "out of memory");
	return r;
}

int cgm_http_user(struct cgm_http_client *h, const char *user, const char *password)
{
	free(h->user);
	h->user = cgm_asprintf("%s:%s", user, password);
	return h->user ? 0 : -ENOMEM;
}

/* More than we keep is read and forgotten: who sends it is no reason to send again. */
static size_t on_body(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_http_client *h = arg;
	size_t len = size * nr, room = CGM_HTTP_ANSWER_BYTES - MIN(h->body.len, CGM_HTTP_ANSWER_BYTES);

	cgm_buf_put(&h->body, p, MIN(len, room));
	return h->body.failed ? 0 : len;
}

#define SET(option, value) (bad |= lib->curl_easy_setopt(h->easy, option, value) != CURLE_OK)

static int prepare(struct cgm_http_client *h, const char *url, const char *body, size_t len)
{
	bool bad = false;

	lib->curl_easy_reset(h->easy);
	h->error[0] = '\0';
	/* No 100-continue: it costs a round trip, and some servers a second. */
	bad |= cgm_http_header(h, "Expect:") < 0;
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "cgmeter/" CGM_VERSION);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MSEC);
	SET(CURLOPT_ERRORBUFFER, h->error);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, h);
	SET(CURLOPT_HTTPHEADER, h->headers);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	if (h->user)
		SET(CURLOPT_USERPWD, h->user);
	if (*h->ca_file)
		SET(CURLOPT_CAINFO, h->ca_file);
	if (h->skip_verify) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (body) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, body);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	}
	return bad ? -ENOMEM : 0;
}

/* 0 when the transfer is over, with its result. */
static int run(struct cgm_http_client *h, const struct cgm_sink_stop *stop, uint64_t until_ns, CURLcode *ret)
{
	for (;;) {
		struct curl_waitfd wake = { .fd = stop->fd, .events = CURL_WAIT_POLLIN };
		int running, left, msec;
		CURLMsg *m;

		if (lib->curl_multi_perform(h->multi, &running) != CURLM_OK)
			return -EIO;
		m = lib->curl_multi_info_read(h->multi, &left);
		if (m && m->msg == CURLMSG_DONE) {
			*ret = m->data.result;
			return 0;
		}
		msec = cgm_sink_left_msec(stop, until_ns);
		if (!msec)
			return -ETIMEDOUT;
		if (lib->curl_multi_poll(h->multi, &wake, cgm_sink_stopping(stop) ? 0 : 1, msec, NULL) != CURLM_OK)
			return -EIO;
	}
}

static void shown_host(const char *url, char *text, size_t size)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	cgm_url_shown(&b, url);
	snprintf(text, size, "%.*s", (int)b.len, b.len ? b.p : "");
}

static int call(struct cgm_http_client *h, const struct cgm_sink_stop *stop, const char *url, uint64_t until_ns, struct cgm_http_answer *ret,
		char *fault)
{
	char host[120];
	curl_off_t retry_after = 0;
	CURLcode code = CURLE_OK;
	int r;

	shown_host(url, host, sizeof(host));
	if (lib->curl_multi_add_handle(h->multi, h->easy) != CURLM_OK) {
		snprintf(fault, CGM_SINK_FAULT, "out of memory");
		return -ENOMEM;
	}
	r = run(h, stop, until_ns, &code);
	lib->curl_multi_remove_handle(h->multi, h->easy);
	if (r < 0 || code != CURLE_OK) {
		snprintf(fault, CGM_SINK_FAULT, "%s: %.120s", host, r == -ETIMEDOUT ? "no answer in time" : *h->error ? h->error : lib->curl_easy_strerror(code));
		return r < 0 ? r : -ECONNABORTED;
	}
	cgm_buf_char(&h->body, '\0');
	if (h->body.failed) {
		snprintf(fault, CGM_SINK_FAULT, "out of memory");
		return -ENOMEM;
	}
	h->body.len--;
	*ret = (struct cgm_http_answer){ .body = h->body };
	lib->curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &ret->status);
	if (lib->curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
		ret->retry_after_ns = (uint64_t)MIN(retry_after, (curl_off_t)86400) * CGM_NSEC_PER_SEC;
	return 0;
}

int cgm_http_call(struct cgm_http_client *h, const struct cgm_sink_stop *stop, const char *url, const char *body, size_t len, uint64_t until_ns,
		  struct cgm_http_answer *ret, char *fault)
{
	int r;

	cgm_buf_done(&h->body);
	r = prepare(h, url, body, len);
	if (r < 0)
		snprintf(fault, CGM_SINK_FAULT, "libcurl does not take the request: out of memory, or too old");
	else
		r = call(h, stop, url, until_ns, ret, fault);
	forget(h);
	return r;
}

void cgm_http_shown(const struct cgm_http_answer *answer, char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < answer->body.len && len + 1 < size; i++) {
		unsigned char c = (unsigned char)answer->body.p[i];

		if (isprint(c))
			text[len++] = (char)c;
		else if (len && text[len - 1] != ' ')
			text[len++] = ' ';
	}
	text[len] = '\0';
}
