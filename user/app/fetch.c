// SPDX-License-Identifier: Apache-2.0
#include "app/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "client/curl.h"

const char *cgm_fetch_url_fault(const char *url)
{
	const char *host = strstr(url, "://"), *end;
	char text[INET6_ADDRSTRLEN + 2] = "";
	unsigned char address[16];
	size_t len;
	bool v6;

	if (!host || (strncmp(url, "http:", 5) != 0 && strncmp(url, "https:", 6) != 0))
		return "neither http:// nor https://";
	host += 3;
	/* Nothing on which two readers of URLs might disagree where the address ends. */
	len = strcspn(host, "/?#");
	if (strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEF.:[]") != len)
		return "neither localhost nor a numeric address";
	v6 = *host == '[';
	end = v6 ? memchr(host, ']', len) : host + strcspn(host, ":/?#");
	host += v6;
	if (!end || (size_t)(end - host) >= sizeof(text))
		return "neither localhost nor a numeric address";
	memcpy(text, host, (size_t)(end - host));
	if ((!v6 && strcmp(text, "localhost") == 0) || inet_pton(v6 ? AF_INET6 : AF_INET, text, address) == 1)
		return NULL;
	return "neither localhost nor a numeric address";
}

/* ---- what libcurl calls ---- */

static size_t on_body(char *data, size_t size, size_t nr, void *arg)
{
	struct cgm_buf *b = arg;
	size_t len = size * nr;

	if (len > CGM_APP_MAX_ANSWER - MIN(b->len, (size_t)CGM_APP_MAX_ANSWER))
		return 0;
	cgm_buf_put(b, data, len);
	return b->failed ? 0 : len;
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	const struct cgm_fetch *f = arg;
	int fd = purpose == CURLSOCKTYPE_IPCXN && address->socktype == SOCK_STREAM ? cgm_inside_socket(f->inside, address->family) : -EINVAL;

	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload_now)
{
	const struct cgm_fetch *f = arg;

	(void)total, (void)now, (void)upload_total, (void)upload_now;
	return __atomic_load_n(f->stop, __ATOMIC_RELAXED);
}

static bool prepare(const struct cgm_curl *lib, CURL *easy, const struct cgm_fetch *f, const char *url, struct curl_slist *headers, struct cgm_buf *body)
{
	bool bad = false;

#define SET(option, value) (bad |= lib->curl_easy_setopt(easy, option, value) != CURLE_OK)
	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "cgmeter/" CGM_VERSION);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_TIMEOUT_MS, (long)f->timeout_ms);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, body);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(CURLOPT_OPENSOCKETDATA, f);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, f);
	SET(CURLOPT_SSL_VERIFYPEER, 0L);
	SET(CURLOPT_SSL_VERIFYHOST, 0L);
	if (*f->cert)
		SET(CURLOPT_SSLCERT, f->cert);
	if (*f->key)
		SET(CURLOPT_SSLKEY, f->key);
#undef SET
	return !bad;
}

static int check(const struct cgm_curl *lib, CURL *easy, CURLcode code, const struct cgm_buf *body, char *fault, size_t fault_size)
{
	long status = 0;

	if (body->failed || code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -ECANCELED;
	if (code == CURLE_WRITE_ERROR) {
		snprintf(fault, fault_size, "the answer is longer than %d bytes", CGM_APP_MAX_ANSWER);
		return -EFBIG;
	}
	if (code != CURLE_OK) {
		snprintf(fault, fault_size, "%s", lib->curl_easy_strerror(code));
		return -EIO;
	}
	(void)lib->curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	snprintf(fault, fault_size, "the server answers %ld", status);
	return -EPROTO;
}

int cgm_fetch(const struct cgm_fetch *f, const char *url, struct cgm_buf *ret, char *fault, size_t fault_size)
{
	const struct cgm_curl *lib = cgm_curl_get(fault, fault_size);
	_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 };
	struct curl_slist *headers = lib ? lib->curl_slist_append(NULL, "Accept: text/plain;version=0.0.4;q=0.9,*/*;q=0.1") : NULL;
	CURL *easy = headers ? lib->curl_easy_init() : NULL;
	int r;

	if (!lib)
		return -ENOENT;
	if (!easy || !prepare(lib, easy, f, url, headers, &body))
		r = -ENOMEM;
	else
		r = check(lib, easy, lib->curl_easy_perform(easy), &body, fault, fault_size);
	if (easy)
		lib->curl_easy_cleanup(easy);
	lib->curl_slist_free_all(headers);
	if (r < 0)
		return r;
	*ret = body;
	body = (struct cgm_buf){ 0 };
	return 0;
}
