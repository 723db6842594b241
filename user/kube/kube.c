// SPDX-License-Identifier: Apache-2.0
/* Requests over connections that are kept. A handle has one connection and one user at a time; HTTP/1.1, so that an answer that nobody reads fast enough waits at the server. */
#include "kube/kube.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/curl.h"
#include "kube/call.h"
#include "kube/target.h"
#include "kube/token.h"

#define TIMEOUT_NS (10 * CGM_NSEC_PER_SEC)
#define CONNECT_MSEC 10000L
#define MAX_IDLE 4
#define MAX_RETRY_AFTER_SEC 600

static const struct cgm_curl *lib; /* once one is open */

struct handle {
	CURL *easy;
	CURLM *multi;
	struct handle *next;
};

struct cgm_kube {
	struct cgm_kube_target target;
	char *user_agent;
	uint64_t timeout_ns;
	int stop_fd;
	pthread_mutex_t lock; /* for what follows */
	struct handle *idle;
	size_t nr_idle;
	struct cgm_kube_token token;
	bool said; /* that its file cannot be read */
};

static int no_memory(char *fault)
{
	snprintf(fault, CGM_KUBE_FAULT, "out of memory");
	return -ENOMEM;
}

/* ---- handles ---- */

static void handle_free(struct handle *h)
{
	if (!h)
		return;
	if (h->easy)
		lib->curl_easy_cleanup(h->easy);
	if (h->multi)
		lib->curl_multi_cleanup(h->multi);
	free(h);
}
DEFINE_CLEANUP(handle, handle_free)

static struct handle *take_handle(struct cgm_kube *k)
{
	_cleanup_(handle_freep) struct handle *h = NULL;

	pthread_mutex_lock(&k->lock);
	h = k->idle;
	if (h) {
		k->idle = h->next;
		k->nr_idle--;
	}
	pthread_mutex_unlock(&k->lock);
	if (h) {
		lib->curl_easy_reset(h->easy);
		return TAKE_PTR(h);
	}
	h = cgm_calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->easy = lib->curl_easy_init();
	h->multi = lib->curl_multi_init();
	return h->easy && h->multi ? TAKE_PTR(h) : NULL;
}

/* The newest first, so that those beyond need grow old unused. */
static void give_handle(struct cgm_kube *k, struct handle *h)
{
	pthread_mutex_lock(&k->lock);
	if (k->nr_idle < MAX_IDLE) {
		h->next = k->idle;
		k->idle = TAKE_PTR(h);
		k->nr_idle++;
	}
	pthread_mutex_unlock(&k->lock);
	handle_free(h);
}

/* ---- one exchange ---- */

struct exchange {
	struct cgm_kube *k;
	struct cgm_kube_call *call;
	struct handle *handle;
	struct curl_slist *headers, *connect_to;
	char error[CURL_ERROR_SIZE];
	uint64_t heard_ns; /* on the monotonic clock */
	int refused; /* what on_data said */
	bool bad; /* an option was not taken */
};

/* A line of the head, the empty one at its end too; or of what follows a body in chunks. */
static size_t on_line(char *p, size_t size, size_t nr, void *arg)
{
	struct exchange *x = arg;
	long status = 0;

	x->heard_ns = cgm_clock_mono_ns();
	if (x->call->status || size * nr > 2 || *p != '\r')
		return size * nr;
	lib->curl_easy_getinfo(x->handle->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200) /* another one comes */
		return size * nr;
	x->call->status = (unsigned)status;
	if (x->call->on_head)
		x->call->on_head(x->call->arg);
	return size * nr;
}

static size_t on_data(char *p, size_t size, size_t nr, void *arg)
{
	struct exchange *x = arg;

	x->heard_ns = cgm_clock_mono_ns();
	x->refused = x->call->on_data(x->call->arg, p, size * nr);
	return x->refused < 0 ? 0 : size * nr;
}

#define SET(x, option, value) ((x)->bad |= lib->curl_easy_setopt((x)->handle->easy, option, value) != CURLE_OK)

static void set_pem(struct exchange *x, const struct cgm_kube_pem *pem, CURLoption file, CURLoption blob)
{
	struct curl_blob b = { .data = pem->data, .len = pem->len, .flags = CURL_BLOB_NOCOPY };

	if (pem->data)
		SET(x, blob, &b);
	else if (pem->path)
		SET(x, file, pem->path);
}

static void add(struct exchange *x, struct curl_slist **list, char *text)
{
	_cleanup_free_ char *line = text;
	struct curl_slist *more = line ? lib->curl_slist_append(*list, line) : NULL;

	if (more)
		*list = more;
	else
		x->bad = true;
}

static void set_tls(struct exchange *x)
{
	const struct cgm_kube_target *t = &x->k->target;

	set_pem(x, &t->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
	set_pem(x, &t->cert, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
	set_pem(x, &t->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
	if (t->insecure) {
		SET(x, CURLOPT_SSL_VERIFYPEER, 0L);
		SET(x, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

/* With another name for TLS the URL bears that name, and the connection is led to where the server is. */
static void set_url(struct exchange *x)
{
	const struct cgm_kube_target *t = &x->k->target;
	_cleanup_free_ char *url = NULL;

	if (!t->tls_server_name || strncmp(t->server, "https://", 8) != 0) {
		url = cgm_asprintf("%s%s", t->server, x->call->path);
	} else {
		const char *host = t->server + 8, *end = host + strcspn(host, "/"), *port = host;

		port += *port == '[' ? strcspn(port, "]") : strcspn(port, ":/");
		port += *port == ']';
		if (*port == ':' && port < end) {
			add(x, &x->connect_to, cgm_asprintf("::%.*s", (int)(end - host), host));
			url = cgm_asprintf("https://%s%s%s", t->tls_server_name, port, x->call->path);
		} else {
			add(x, &x->connect_to, cgm_asprintf("::%.*s:443", (int)(end - host), host));
			url = cgm_asprintf("https://%s%s%s", t->tls_server_name, end, x->call->path);
		}
		SET(x, CURLOPT_CONNECT_TO, x->connect_to);
	}
	if (url)
		SET(x, CURLOPT_URL, url);
	x->bad |= !url;
}

static void set_login(struct exchange *x, const char *token)
{
	const struct cgm_kube_target *t = &x->k->target;

	if (token) {
		add(x, &x->headers, cgm_asprintf("Authorization: Bearer %s", token));
	} else if (t->username) {
		SET(x, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		SET(x, CURLOPT_USERNAME, t->username);
		SET(x, CURLOPT_PASSWORD, t->password ? t->password : "");
	}
}

static void prepare(struct exchange *x, const char *token)
{
	struct cgm_kube_call *c = x->call;

	add(x, &x->headers, cgm_asprintf("Accept: %s", c->accept ? c->accept : "application/json"));
	add(x, &x->headers, cgm_strdup("Expect:"));
	set_login(x, token);
	set_url(x);
	set_tls(x);
	if (x->k->target.proxy)
		SET(x, CURLOPT_PROXY, x->k->target.proxy);
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_USERAGENT, x->k->user_agent);
	SET(x, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MSEC);
	SET(x, CURLOPT_ERRORBUFFER, x->error);
	SET(x, CURLOPT_HEADERFUNCTION, on_line);
	SET(x, CURLOPT_HEADERDATA, x);
	SET(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(x, CURLOPT_WRITEFUNCTION, on_data);
	SET(x, CURLOPT_WRITEDATA, x);
	SET(x, CURLOPT_TCP_KEEPALIVE, 1L);
	SET(x, CURLOPT_TCP_KEEPIDLE, 30L);
	SET(x, CURLOPT_TCP_KEEPINTVL, 10L);
	SET(x, CURLOPT_QUICK_EXIT, 1L);
	if (c->body) {
		add(x, &x->headers, cgm_strdup("Content-Type: application/json"));
		SET(x, CURLOPT_POSTFIELDS, c->body);
		SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(c->body));
	}
	SET(x, CURLOPT_CUSTOMREQUEST, c->method);
	SET(x, CURLOPT_HTTPHEADER, x->headers);
}

/* How long it may still last; 0: no longer. */
static int left_msec(const struct exchange *x, uint64_t begin_ns)
{
	uint64_t now = cgm_clock_mono_ns(), until = now + 60 * CGM_NSEC_PER_SEC;

	if (x->call->timeout_ns)
		until = MIN(until, begin_ns + x->call->timeout_ns);
	if (x->call->quiet_ns)
		until = MIN(until, x->heard_ns + x->call->quiet_ns);
	return until > now ? (int)((until - now + CGM_NSEC_PER_MSEC - 1) / CGM_NSEC_PER_MSEC) : 0;
}

/* 0 when the transfer is over, with its result. */
static int perform(struct exchange *x, CURLcode *ret)
{
	uint64_t begin_ns = cgm_clock_mono_ns();

	x->heard_ns = begin_ns;
	for (;;) {
		struct curl_waitfd wake[2] = { { .fd = x->k->stop_fd, .events = CURL_WAIT_POLLIN }, { .fd = x->call->stop_fd, .events = CURL_WAIT_POLLIN } };
		int running, left, msec;
		CURLMsg *m;

		if (lib->curl_multi_perform(x->handle->multi, &running) != CURLM_OK)
			return -EIO;
		m = lib->curl_multi_info_read(x->handle->multi, &left);
		if (m && m->msg == CURLMSG_DONE) {
			*ret = m->data.result;
			return 0;
		}
		msec = left_msec(x, begin_ns);
		if (!msec)
			return -ETIMEDOUT;
		if (lib->curl_multi_poll(x->handle->multi, wake, x->call->stop_fd >= 0 ? 2 : 1, msec, NULL) != CURLM_OK)
			return -EIO;
		if (wake[0].revents || (x->call->stop_fd >= 0 && wake[1].revents))
			return -ECANCELED;
	}
}

static int errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EACCES;
	default:
		return -ECONNABORTED;
	}
}

static int finish(struct exchange *x, int r, CURLcode code, char *fault)
{
	const char *server = x->k->target.server;
	curl_off_t seconds = 0;

	if (x->refused < 0)
		r = x->refused;
	if (r == -ECANCELED || x->refused < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "%.120s: %s", server, r == -ECANCELED ? "ended by us" : r == -ENOMEM ? "out of memory" : "its answer cannot be used");
		return r;
	}
	if (r == 0)
		r = errno_of(code);
	if (r < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "%.100s: %.120s", server, *x->error ? x->error : r == -ETIMEDOUT ? "no answer in time" : lib->curl_easy_strerror(code));
		return r;
	}
	if (lib->curl_easy_getinfo(x->handle->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0)
		x->call->retry_after_ns = (uint64_t)MIN(seconds, (curl_off_t)MAX_RETRY_AFTER_SEC) * CGM_NSEC_PER_SEC;
	return 0;
}

static int exchange(struct cgm_kube *k, struct cgm_kube_call *call, const char *token, char *fault)
{
	struct exchange x = { .k = k, .call = call, .handle = take_handle(k) };
	CURLcode code = CURLE_OK;
	int r = -ENOMEM;

	if (!x.handle)
		return no_memory(fault);
	call->status = 0;
	call->retry_after_ns = 0;
	prepare(&x, token);
	if (x.bad) {
		snprintf(fault, CGM_KUBE_FAULT, "libcurl does not take the request: out of memory, or it lacks what is asked for (certificates from memory need OpenSSL)");
	} else if (lib->curl_multi_add_handle(x.handle->multi, x.handle->easy) != CURLM_OK) {
		snprintf(fault, CGM_KUBE_FAULT, "out of memory");
	} else {
		r = perform(&x, &code);
		lib->curl_multi_remove_handle(x.handle->multi, x.handle->easy);
		r = finish(&x, r, code, fault);
	}
	lib->curl_easy_reset(x.handle->easy); /* it points to x */
	give_handle(k, x.handle);
	lib->curl_slist_free_all(x.headers);
	lib->curl_slist_free_all(x.connect_to);
	return r;
}

static const char *token_fault(int r)
{
	return r == -EINVAL ? "it holds no token" : strerror(-r);
}

/* A copy of the token to be shown; *ret is NULL when there is none. */
static int current_token(struct cgm_kube *k, bool force, char **ret, char *fault)
{
	const char *text = k->target.token;
	int r = 0;

	pthread_mutex_lock(&k->lock);
	if (k->token.path) {
		r = cgm_kube_token_refresh(&k->token, force);
		if (r < 0 && !k->said && (k->token.text || text))
			cgm_warning("%s: %s: %s; the last token that was known is shown", k->target.server, k->token.path, token_fault(r));
		k->said = r < 0;
		if (k->token.text || !text)
			text = k->token.text;
	}
	*ret = text ? cgm_strdup(text) : NULL;
	pthread_mutex_unlock(&k->lock);
	if (text)
		r = *ret ? 0 : -ENOMEM;
	if (r < 0)
		snprintf(fault, CGM_KUBE_FAULT, "token %.150s: %s", k->token.path ? k->token.path : "", token_fault(r));
	return r;
}

static void token_freep(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

int cgm_kube_call(struct cgm_kube *k, struct cgm_kube_call *call, char *fault)
{
	_cleanup_(token_freep) char *token = NULL, *newer = NULL;
	int r = current_token(k, false, &token, fault);

	if (r == 0)
		r = exchange(k, call, token, fault);
	if (r < 0 || call->status != 401 || !k->token.path)
		return r;
	r = current_token(k, true, &newer, fault);
	if (r < 0 || (token && newer && strcmp(token, newer) == 0))
		return 0; /* with the 401 */
	return exchange(k, call, newer, fault);
}

/* ---- whole answers ---- */

struct answer {
	struct cgm_kube_call call;
	struct cgm_buf *buf;
	size_t max_bytes;
	unsigned status; /* whose answer it holds */
};

static int on_piece(void *arg, const char *p, size_t len)
{
	struct answer *a = arg;

	if (a->call.status != a->status) /* a second try */
		a->buf->len = 0;
	a->status = a->call.status;
	if (len > a->max_bytes - MIN(a->buf->len, a->max_bytes))
		return -EFBIG;
	cgm_buf_put(a->buf, p, len);
	return a->buf->failed ? -ENOMEM : 0;
}

int cgm_kube_request(struct cgm_kube *k, const char *method, const char *path, const char *body, size_t max_bytes, struct cgm_buf *ret_answer,
		     unsigned *ret_status, char *fault)
{
	struct answer a = {
		.call = { .method = method, .path = path, .body = body, .timeout_ns = k->timeout_ns, .stop_fd = -1, .on_data = on_piece, .arg = &a },
		.buf = ret_answer,
		.max_bytes = max_bytes,
	};
	int r;

	ret_answer->len = 0;
	r = cgm_kube_call(k, &a.call, fault);
	if (r == -EFBIG)
		snprintf(fault, CGM_KUBE_FAULT, "%.100s: an answer of more than %zu bytes", k->target.server, max_bytes);
	if (r < 0)
		return r;
	cgm_buf_char(ret_answer, '\0');
	if (ret_answer->failed)
		return no_memory(fault);
	ret_answer->len--;
	*ret_status = a.call.status;
	return 0;
}

/* ---- open, close ---- */

int cgm_kube_open(const struct cgm_kube_config *config, struct cgm_kube **ret, char *fault)
{
	_cleanup_(cgm_kube_freep) struct cgm_kube *k = NULL;
	const struct cgm_curl *found = cgm_curl_get(fault, CGM_KUBE_FAULT);
	int r;

	if (!found)
		return -ENOSYS;
	lib = found;
	k = cgm_calloc(1, sizeof(*k));
	if (!k)
		return no_memory(fault);
	pthread_mutex_init(&k->lock, NULL);
	k->timeout_ns = config->timeout_ns ? config->timeout_ns : TIMEOUT_NS;
	k->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->user_agent = cgm_strdup(config->user_agent ? config->user_agent : "cgmeter/" CGM_VERSION);
	if (k->stop_fd < 0 || !k->user_agent)
		return no_memory(fault);
	r = cgm_kube_target_read(config, &k->target, fault);
	if (r < 0)
		return r;
	k->token.path = k->target.token_file;
	*ret = TAKE_PTR(k);
	return 0;
}

void cgm_kube_cancel(struct cgm_kube *k)
{
	uint64_t one = 1;

	/* It cannot fail but for a counter that is full, which wakes as well. */
	if (write(k->stop_fd, &one, sizeof(one)) < 0)
		return;
}

void cgm_kube_close(struct cgm_kube *k)
{
	struct handle *h;

	if (!k)
		return;
	while ((h = k->idle)) {
		k->idle = h->next;
		handle_free(h);
	}
	if (k->stop_fd >= 0)
		close(k->stop_fd);
	cgm_kube_token_done(&k->token);
	cgm_kube_target_done(&k->target);
	free(k->user_agent);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

const char *cgm_kube_server(const struct cgm_kube *k)
{
	return k->target.server;
}
