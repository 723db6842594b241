// SPDX-License-Identifier: Apache-2.0
#include "top/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

/* An agent on a machine that is in trouble is what top is there for; but a person waits. */
#define TIMEOUT_NS (5 * CGM_NSEC_PER_SEC)

static int fail(struct cgm_http_client *c, int error, const char *what)
{
	snprintf(c->fault, sizeof(c->fault), "%s", what);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	return error;
}

static int fail_errno(struct cgm_http_client *c, int error)
{
	return fail(c, -error, error == ECONNREFUSED ? "nobody listens there" : strerror(error));
}

void cgm_http_client_init(struct cgm_http_client *c, const struct cgm_url *url, char *authorization)
{
	*c = (struct cgm_http_client){.url = *url, .authorization = authorization, .fd = -1};
}

void cgm_http_client_done(struct cgm_http_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->authorization);
	cgm_buf_done(&c->out);
	cgm_buf_done(&c->in);
	*c = (struct cgm_http_client){.fd = -1};
}

static void freeaddrinfop(struct addrinfo **a)
{
	if (*a)
		freeaddrinfo(*a);
}

/* Begins with the first address that does not fail at once: localhost may have two, and the agent listen at one of them. */
static int begin_connect(struct cgm_http_client *c)
{
	_cleanup_(freeaddrinfop) struct addrinfo *list = NULL;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	int error = getaddrinfo(c->url.host, c->url.port, &hints, &list), last = EADDRNOTAVAIL;

	if (error)
		return fail(c, -EHOSTUNREACH, gai_strerror(error));
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		c->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
		if (c->fd < 0) {
			last = errno;
			continue;
		}
		if (connect(c->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
			return 0;
		last = errno;
		close(c->fd);
		c->fd = -1;
	}
	return fail_errno(c, last);
}

static void put_request(struct cgm_http_client *c, const char *path)
{
	bool v6 = strchr(c->url.host, ':');

	c->out.len = c->sent = 0;
	cgm_buf_printf(&c->out, "GET %s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: cgmeter-top/" CGM_VERSION "\r\nAccept: text/plain\r\n",
		c->url.prefix, path, v6 ? "[" : "", c->url.host, v6 ? "]" : "", c->url.port);
	if (c->authorization)
		cgm_buf_printf(&c->out, "Authorization: %s\r\n", c->authorization);
	cgm_buf_lit(&c->out, "Connection: close\r\n\r\n");
}

int cgm_http_client_get(struct cgm_http_client *c, const char *path)
{
	int r;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->in.len = 0;
	c->connecting = true;
	c->deadline_ns = cgm_clock_mono_ns() + TIMEOUT_NS;
	put_request(c, path);
	r = c->out.failed ? fail(c, -ENOMEM, "out of memory") : begin_connect(c);
	return r;
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

/* 0: under way; 1: all is out. */
static int send_request(struct cgm_http_client *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (c->connecting) {
		if (!is_ready(c->fd, POLLOUT))
			return 0;
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
			return fail_errno(c, error ? error : errno);
		c->connecting = false;
	}
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : fail_errno(c, errno);
		c->sent += (size_t)n;
	}
	return 1;
}

static int take_bytes(struct cgm_http_client *c, bool *ret_end)
{
	for (;;) {
		ssize_t n;

		if (c->in.len > CGM_MAX_ANSWER_BYTES)
			return fail(c, -EFBIG, "too large an answer");
		if (!cgm_buf_reserve(&c->in, 65536))
			return fail(c, -ENOMEM, "out of memory");
		n = recv(c->fd, c->in.p + c->in.len, c->in.cap - c->in.len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : fail_errno(c, errno);
		if (!n) {
			*ret_end = true;
			return 0;
		}
		c->in.len += (size_t)n;
	}
}

int cgm_http_client_step(struct cgm_http_client *c, struct cgm_answer *ret)
{
	const char *fault = "";
	bool end = false;
	int r = send_request(c);

	if (r > 0)
		r = take_bytes(c, &end);
	if (r < 0)
		return r;
	if (c->in.len || end) {
		r = cgm_answer_parse(&c->in, end, ret, &fault);
		if (r < 0)
			return fail(c, r, fault);
	}
	if (r > 0) {
		close(c->fd);
		c->fd = -1;
		return 1;
	}
	if (cgm_clock_mono_ns() >= c->deadline_ns)
		return fail(c, -ETIMEDOUT, "no answer for 5 s");
	return 0;
}

short cgm_http_client_events(const struct cgm_http_client *c)
{
	return c->connecting || c->sent < c->out.len ? POLLOUT : POLLIN;
}

/* ---- who we are ---- */

#define MAX_SECRET 4096

static char *base64(const char *prefix, const char *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t before = strlen(prefix), at = before;
	char *out = cgm_malloc(before + (len + 2) / 3 * 4 + 1);

	if (!out)
		return NULL;
	memcpy(out, prefix, before);
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)p[i] << 16;

		v |= i + 1 < len ? (uint32_t)(unsigned char)p[i + 1] << 8 : 0;
		v |= i + 2 < len ? (unsigned char)p[i + 2] : 0;
		out[at++] = digits[v >> 18];
		out[at++] = digits[v >> 12 & 63];
		out[at++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		out[at++] = i + 2 < len ? digits[v & 63] : '=';
	}
	out[at] = '\0';
	return out;
}

char *cgm_read_authorization(const char *path, bool basic, char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL;
	const char *fault = NULL;
	struct cgm_str line;
	size_t len = 0;
	char *value;
	int r = cgm_read_all_at(AT_FDCWD, path, MAX_SECRET, &text, &len);

	line = cgm_trim((struct cgm_str){text, r < 0 ? 0 : len});
	if (r < 0)
		fault = r == -EFBIG ? "is too large for a token or password" : strerror(-r);
	else if (!line.len)
		fault = "is empty";
	else if (basic && !memchr(line.p, ':', line.len))
		fault = "must hold USER:PASSWORD";
	for (size_t i = 0; !fault && i < line.len; i++)
		if ((unsigned char)line.p[i] < 32 || line.p[i] == 127)
			fault = "must hold one line without control characters";
	if (fault) {
		snprintf(buf, size, "%s", fault);
		return NULL;
	}
	value = basic ? base64("Basic ", line.p, line.len) : cgm_asprintf("Bearer %.*s", (int)line.len, line.p);
	if (!value)
		snprintf(buf, size, "out of memory");
	return value;
}
