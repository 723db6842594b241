// SPDX-License-Identifier: Apache-2.0
#include "identity/grpc.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "client/curl.h"

#define FRAME_BYTES 5 /* before a message: 0 (not compressed), four bytes of length */
#define BUSY_MSEC 50
#define SEND_NS (10 * CGM_NSEC_PER_MSEC) /* between two looks whether a stream's request is on its way */
#define NO_STATUS UINT64_MAX
#define STATUS_NOT_FOUND 5
#define STATUS_UNIMPLEMENTED 12

/* grpc/grpc doc/statuscodes.md */
static const char *const status_names[] = {
	"ok", "cancelled", "unknown", "invalid argument", "deadline exceeded", "not found", "already exists", "permission denied", "resource exhausted",
	"failed precondition", "aborted", "out of range", "unimplemented", "internal", "unavailable", "data loss", "unauthenticated",
};

struct cgm_grpc {
	const struct cgm_curl *lib;
	struct cgm_grpc_config config;
	CURL *easy;
	CURLM *multi;
	int fd;
	/* Of the call that runs. */
	const char *method;
	struct curl_slist *headers;
	struct cgm_buf frame; /* what is sent */
	struct cgm_buf *answer;
	/* Of a stream: the message that has not ended yet, and who takes it. */
	struct cgm_buf partial;
	cgm_grpc_message_fn *on_message;
	void *arg;
	bool listens;
	bool too_long, damaged;
	uint64_t status;
	char message[160]; /* grpc-message */
	char error[CURL_ERROR_SIZE];
};

int cgm_grpc_new(const struct cgm_grpc_config *config, struct cgm_grpc **ret, char *fault)
{
	_cleanup_(cgm_grpc_freep) struct cgm_grpc *g = NULL;
	const struct cgm_curl *lib = cgm_curl_get(fault, CGM_GRPC_FAULT);

	if (!lib)
		return -ENOENT;
	g = cgm_calloc(1, sizeof(*g));
	if (g) {
		*g = (struct cgm_grpc){ .lib = lib, .config = *config, .fd = -1 };
		g->easy = lib->curl_easy_init();
		g->multi = lib->curl_multi_init();
	}
	if (!g || !g->easy || !g->multi || lib->curl_multi_setopt(g->multi, CURLMOPT_MAXCONNECTS, 1L) != CURLM_OK) {
		snprintf(fault, CGM_GRPC_FAULT, "out of memory");
		return -ENOMEM;
	}
	if (lib->curl_easy_setopt(g->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE) != CURLE_OK) {
		snprintf(fault, CGM_GRPC_FAULT, "this libcurl has no HTTP/2");
		return -ENOENT;
	}
	*ret = TAKE_PTR(g);
	return 0;
}

void cgm_grpc_free(struct cgm_grpc *g)
{
	if (!g)
		return;
	/* Of a stream that lasts, libcurl 7.88 frees all only when it leaves the multi handle before its end. */
	cgm_grpc_hang_up(g);
	if (g->easy)
		g->lib->curl_easy_cleanup(g->easy);
	if (g->multi)
		g->lib->curl_multi_cleanup(g->multi);
	g->lib->curl_slist_free_all(g->headers);
	cgm_buf_done(&g->frame);
	free(g);
}

int cgm_grpc_fd(const struct cgm_grpc *g)
{
	return g->fd;
}

_printf_(4, 5) static int failed(const struct cgm_grpc *g, char *fault, int r, const char *format, ...)
{
	int len = snprintf(fault, CGM_GRPC_FAULT, "%.100s: %.60s: ", g->config.socket, g->method);
	va_list args;

	va_start(args, format);
	vsnprintf(fault + len, CGM_GRPC_FAULT - (size_t)len, format, args);
	va_end(args);
	return r;
}

/* What a frame's head promises, which is there. */
static size_t frame_len(const struct cgm_buf *b)
{
	uint32_t len;

	memcpy(&len, b->p + 1, sizeof(len));
	return be32toh(len);
}

/* A message that is too long is refused by its head, and more than it promised is never kept. */
static size_t on_body(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_grpc *g = arg;
	struct cgm_buf *a = g->answer;

	cgm_buf_put(a, p, size * nr);
	if (a->failed)
		return 0;
	g->too_long = a->len >= FRAME_BYTES && frame_len(a) > CGM_GRPC_ANSWER_BYTES;
	g->damaged = a->len >= FRAME_BYTES && a->len - FRAME_BYTES > frame_len(a);
	return g->too_long || g->damaged ? 0 : size * nr;
}

static bool hex_byte(const char *p, unsigned char *ret)
{
	uint64_t v;

	if (!isxdigit((unsigned char)p[0]) || cgm_parse_hex((struct cgm_str){ p, 2 }, &v) < 0)
		return false;
	*ret = (unsigned char)v;
	return true;
}

/* A grpc-message is percent-encoded UTF-8; for a fault, which is one line, what is not printable becomes a blank. */
static void decode_message(struct cgm_str s, char *text, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < s.len && len + 1 < size; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '%' && s.len - i > 2 && hex_byte(s.p + i + 1, &c))
			i += 2;
		text[len++] = isprint(c) ? (char)c : ' ';
	}
	text[len] = '\0';
}

static bool header_is(struct cgm_str name, const char *wanted)
{
	return name.len == strlen(wanted) && strncasecmp(name.p, wanted, name.len) == 0;
}

/* Headers and trailers alike: an answer without a message has its status among the headers. */
static size_t on_header(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_grpc *g = arg;
	struct cgm_str line = { p, size * nr }, name = { 0 }, value;

	while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == '\n'))
		line.len--;
	if (!cgm_next_field(&line, ':', &name))
		return size * nr;
	value = cgm_trim(line);
	if (header_is(name, "grpc-status") && cgm_parse_u64(value, &g->status) < 0)
		g->status = NO_STATUS;
	if (header_is(name, "grpc-message"))
		decode_message(value, g->message, sizeof(g->message));
	return size * nr;
}

static bool add_header(struct cgm_grpc *g, const char *header)
{
	struct curl_slist *more = g->lib->curl_slist_append(g->headers, header);

	if (more)
		g->headers = more;
	return more != NULL;
}

static bool prepare_frame(struct cgm_grpc *g, const struct cgm_buf *request)
{
	uint32_t len = htobe32((uint32_t)request->len);

	g->frame.len = 0;
	g->frame.failed = request->failed;
	cgm_buf_char(&g->frame, 0);
	cgm_buf_put(&g->frame, &len, sizeof(len));
	cgm_buf_put(&g->frame, request->p, request->len);
	return !g->frame.failed;
}

#define SET(option, value) (good = good && g->lib->curl_easy_setopt(g->easy, option, value) == CURLE_OK)

static bool prepare(struct cgm_grpc *g, const char *header, const struct cgm_buf *request, curl_write_callback on_bytes)
{
	char url[160];
	bool good = (size_t)snprintf(url, sizeof(url), "http://localhost/%s", g->method) < sizeof(url) && prepare_frame(g, request);

	g->lib->curl_easy_reset(g->easy);
	g->lib->curl_slist_free_all(g->headers);
	g->headers = NULL;
	good = good && add_header(g, "Content-Type: application/grpc") && add_header(g, "TE: trailers") && add_header(g, "Expect:") &&
	       (!header || add_header(g, header));
	SET(CURLOPT_URL, url);
	SET(CURLOPT_UNIX_SOCKET_PATH, g->config.socket);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	/* libcurl 7.88 fails on the second call over such a connection (curl/curl issue 10634). One over a Unix socket is cheap; the last stays. */
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_USERAGENT, "cgmeter/" CGM_VERSION);
	SET(CURLOPT_ERRORBUFFER, g->error);
	SET(CURLOPT_HTTPHEADER, g->headers);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, g);
	SET(CURLOPT_WRITEFUNCTION, on_bytes);
	SET(CURLOPT_WRITEDATA, g);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, g->frame.p);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)g->frame.len);
	return good;
}

/* 0 when the transfer is over, with its result. */
static int transfer(struct cgm_grpc *g, CURLcode *ret)
{
	uint64_t until_ns = cgm_clock_mono_ns() + g->config.timeout_ns, now_ns;
	bool busy = false;

	for (;;) {
		struct curl_waitfd wake = { .fd = g->config.wake_fd, .events = CURL_WAIT_POLLIN };
		int running, left, msec;
		CURLMsg *m;

		if (g->lib->curl_multi_perform(g->multi, &running) != CURLM_OK)
			return -ECONNABORTED;
		m = g->lib->curl_multi_info_read(g->multi, &left);
		if (m && m->msg == CURLMSG_DONE) {
			*ret = m->data.result;
			return 0;
		}
		if (g->config.stopping(g->config.arg))
			return -ECANCELED;
		now_ns = cgm_clock_mono_ns();
		if (now_ns >= until_ns)
			return -ETIMEDOUT;
		msec = (int)MIN((until_ns - now_ns) / CGM_NSEC_PER_MSEC + 1, (uint64_t)60000);
		/* Who wants something else wakes us too, and the descriptor stays readable until this call is over. */
		if (g->lib->curl_multi_poll(g->multi, &wake, busy ? 0 : 1, busy ? MIN(msec, BUSY_MSEC) : msec, NULL) != CURLM_OK)
			return -ECONNABORTED;
		busy = busy || wake.revents != 0;
	}
}

static int fault_of_status(const struct cgm_grpc *g, char *fault)
{
	const char *name = g->status < ARRAY_SIZE(status_names) ? status_names[g->status] : "of no known meaning";
	int r = g->status == STATUS_NOT_FOUND ? -ENOENT : g->status == STATUS_UNIMPLEMENTED ? -ENOSYS : -EREMOTEIO;

	return failed(g, fault, r, "status %llu (%s)%s%s", (unsigned long long)g->status, name, *g->message ? ": " : "", g->message);
}

static int fault_of_frame(const struct cgm_grpc *g, char *fault)
{
	return failed(g, fault, -EPROTO, "a message that is cut, compressed or not alone");
}

static int fault_of_transfer(const struct cgm_grpc *g, int r, CURLcode code, char *fault)
{
	long os_errno = 0;

	if (r == -ECANCELED)
		return failed(g, fault, r, "asked to stop");
	if (r == -ETIMEDOUT)
		return failed(g, fault, r, "no answer within %llu ms", (unsigned long long)(g->config.timeout_ns / CGM_NSEC_PER_MSEC));
	if (g->too_long)
		return failed(g, fault, -EMSGSIZE, "%s of more than %zu MB", g->listens ? "a message" : "an answer",
			      (g->listens ? CGM_GRPC_MESSAGE_BYTES : CGM_GRPC_ANSWER_BYTES) >> 20);
	if (g->damaged)
		return fault_of_frame(g, fault);
	if ((g->listens ? g->partial.failed : g->answer->failed) || code == CURLE_OUT_OF_MEMORY)
		return failed(g, fault, -ENOMEM, "out of memory");
	if (code == CURLE_COULDNT_CONNECT && g->lib->curl_easy_getinfo(g->easy, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK && os_errno)
		return failed(g, fault, -ECONNABORTED, "cannot connect: %s", strerror((int)os_errno));
	return failed(g, fault, r < 0 ? r : -ECONNABORTED, "%s", *g->error ? g->error : g->lib->curl_easy_strerror(code));
}

static int check_answer(const struct cgm_grpc *g, struct cgm_str *ret, char *fault)
{
	const struct cgm_buf *a = g->answer;
	long http_status = 0;

	if (g->status == NO_STATUS) {
		g->lib->curl_easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &http_status);
		return failed(g, fault, -EPROTO, "no gRPC (HTTP status %ld)", http_status);
	}
	if (a->len < FRAME_BYTES)
		return failed(g, fault, -EPROTO, "no message");
	if (a->p[0] != 0 || frame_len(a) != a->len - FRAME_BYTES)
		return fault_of_frame(g, fault);
	*ret = (struct cgm_str){ a->p + FRAME_BYTES, a->len - FRAME_BYTES };
	return 0;
}

static int begin(struct cgm_grpc *g, const char *method, const char *header, const struct cgm_buf *request, curl_write_callback on_bytes, char *fault)
{
	g->method = method;
	g->too_long = g->damaged = false;
	g->status = NO_STATUS;
	g->message[0] = g->error[0] = '\0';
	g->fd = -1;
	if (!prepare(g, header, request, on_bytes) || g->lib->curl_multi_add_handle(g->multi, g->easy) != CURLM_OK)
		return failed(g, fault, -ENOMEM, "libcurl does not take the request: out of memory, or too old");
	return 0;
}

int cgm_grpc_call(struct cgm_grpc *g, const char *method, const char *header, const struct cgm_buf *request, struct cgm_buf *answer, struct cgm_str *ret,
		  char *fault)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code = CURLE_OK;
	int r;

	g->answer = answer;
	answer->len = 0;
	r = begin(g, method, header, request, on_body, fault);
	if (r < 0)
		return r;
	r = transfer(g, &code);
	if (r == 0 && g->lib->curl_easy_getinfo(g->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
		g->fd = fd;
	g->lib->curl_multi_remove_handle(g->multi, g->easy);
	/* A server that refuses early may reset the stream after it said why. */
	if (r == 0 && g->status != NO_STATUS && g->status != 0)
		return fault_of_status(g, fault);
	return r < 0 || code != CURLE_OK ? fault_of_transfer(g, r, code, fault) : check_answer(g, ret, fault);
}

/* ---- a stream ---- */

/* All messages that are whole by now. */
static void take_messages(struct cgm_grpc *g)
{
	struct cgm_buf rest = g->partial; /* a part of it */

	while (rest.len >= FRAME_BYTES) {
		size_t len = frame_len(&rest);

		g->damaged = rest.p[0] != 0;
		g->too_long = len > CGM_GRPC_MESSAGE_BYTES;
		if (g->damaged || g->too_long || len > rest.len - FRAME_BYTES)
			break;
		g->on_message(g->arg, (struct cgm_str){ rest.p + FRAME_BYTES, len });
		rest.p += FRAME_BYTES + len;
		rest.len -= FRAME_BYTES + len;
	}
	if (rest.len && rest.p != g->partial.p)
		memmove(g->partial.p, rest.p, rest.len);
	g->partial.len = rest.len;
}

static size_t on_stream(char *p, size_t size, size_t nr, void *arg)
{
	struct cgm_grpc *g = arg;

	cgm_buf_put(&g->partial, p, size * nr);
	if (g->partial.failed)
		return 0;
	take_messages(g);
	return g->damaged || g->too_long ? 0 : size * nr;
}

void cgm_grpc_hang_up(struct cgm_grpc *g)
{
	if (g->listens)
		g->lib->curl_multi_remove_handle(g->multi, g->easy);
	g->listens = false;
	cgm_buf_done(&g->partial);
}

/* Whatever ends it is an error. */
static int move(struct cgm_grpc *g, char *fault)
{
	int running, left, r;
	CURLMsg *m;

	if (g->lib->curl_multi_perform(g->multi, &running) != CURLM_OK)
		return fault_of_transfer(g, -ECONNABORTED, CURLE_OK, fault);
	m = g->lib->curl_multi_info_read(g->multi, &left);
	if (!m)
		return 0;
	if (g->status != NO_STATUS && g->status != 0)
		r = fault_of_status(g, fault);
	else if (m->data.result != CURLE_OK)
		r = fault_of_transfer(g, 0, m->data.result, fault);
	else
		r = failed(g, fault, -ECONNRESET, "the stream has ended");
	return r;
}

static bool is_sent(const struct cgm_grpc *g)
{
	curl_off_t sent = 0;

	return g->lib->curl_easy_getinfo(g->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK && sent == (curl_off_t)g->frame.len;
}

static int poll_stream(struct cgm_grpc *g, uint64_t until_ns, char *fault)
{
	struct curl_waitfd wake = { .fd = g->config.wake_fd, .events = CURL_WAIT_POLLIN };
	uint64_t now_ns = cgm_clock_mono_ns(), msec = until_ns > now_ns ? (until_ns - now_ns) / CGM_NSEC_PER_MSEC + 1 : 0;

	if (g->lib->curl_multi_poll(g->multi, &wake, 1, (int)MIN(msec, (uint64_t)INT_MAX), NULL) != CURLM_OK)
		return fault_of_transfer(g, -ECONNABORTED, CURLE_OK, fault);
	return 0;
}

int cgm_grpc_listen(struct cgm_grpc *g, const char *method, const char *header, const struct cgm_buf *request, cgm_grpc_message_fn *fn, void *arg, char *fault)
{
	uint64_t until_ns = cgm_clock_mono_ns() + g->config.timeout_ns;
	int r;

	cgm_grpc_hang_up(g);
	g->on_message = fn;
	g->arg = arg;
	r = begin(g, method, header, request, on_stream, fault);
	if (r < 0)
		return r;
	g->listens = true;
	while ((r = move(g, fault)) == 0 && !is_sent(g)) {
		if (g->config.stopping(g->config.arg))
			r = fault_of_transfer(g, -ECANCELED, CURLE_OK, fault);
		else if (cgm_clock_mono_ns() >= until_ns)
			r = fault_of_transfer(g, -ETIMEDOUT, CURLE_OK, fault);
		else
			r = poll_stream(g, cgm_clock_mono_ns() + SEND_NS, fault);
		if (r < 0)
			break;
	}
	if (r < 0)
		cgm_grpc_hang_up(g);
	return r;
}

int cgm_grpc_wait(struct cgm_grpc *g, uint64_t until_ns, char *fault)
{
	int r = poll_stream(g, until_ns, fault);

	if (r == 0)
		r = move(g, fault);
	if (r < 0)
		cgm_grpc_hang_up(g);
	return r;
}
