/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An API server of plain HTTP on a free port, which answers as it is told: rules, of which the first that matches and is not used up wins. A thread for each
 * connection. Watches stay open and get what a test pushes.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define KUBE_MAX_RULES 64
#define KUBE_MAX_REQUESTS 512
#define KUBE_MAX_CONNECTIONS 64

/* CUT: half of the body, and the connection is reset. STREAM: the body, then what is pushed. SILENT: nothing at all. */
enum kube_how { KUBE_WHOLE, KUBE_CUT, KUBE_STREAM, KUBE_SILENT };

struct kube_rule {
	const char *match; /* somewhere in "GET /path?query" and the Authorization that follows it */
	unsigned times; /* 0: always */
	unsigned status;
	enum kube_how how;
	const char *headers; /* each with CRLF; NULL: none */
	const char *body; /* NULL: "" */
	unsigned used;
};

struct kube_request {
	char accept[128];
	char line[700]; /* "GET /api/v1/pods?limit=500 Bearer x" */
	char body[1024], agent[64];
	unsigned connection; /* the how-manieth */
};

struct kube_server {
	int listen_fd;
	unsigned port;
	char url[64];
	pthread_t thread, connections[KUBE_MAX_CONNECTIONS];
	unsigned nr_connections;
	pthread_mutex_t lock;
	struct kube_rule rules[KUBE_MAX_RULES];
	size_t nr_rules, nr_requests;
	struct kube_request requests[KUBE_MAX_REQUESTS];
	int fds[KUBE_MAX_CONNECTIONS]; /* open connections */
	int stream_fd; /* the newest watch; -1: none */
};

/* Nothing here allocates through base/mem.h: a test lets its allocations fail. */
struct kube_connection {
	struct kube_server *s;
	int fd;
	unsigned nr;
	size_t len;
	char in[16384];
};

/* Waits at most a minute until the condition holds. */
#define kube_wait(condition)                                                          \
	do {                                                                          \
		uint64_t _end = cgm_clock_mono_ns() + 60 * CGM_NSEC_PER_SEC;          \
		while (!(condition)) {                                                \
			if (cgm_clock_mono_ns() > _end)                               \
				fail_msg("not within a minute: %s", #condition);      \
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);    \
		}                                                                     \
	} while (0)

static inline bool kube_send(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static inline void kube_send_chunk(int fd, const char *text)
{
	char head[32];

	if (!*text)
		return;
	snprintf(head, sizeof(head), "%zx\r\n", strlen(text));
	(void)(kube_send(fd, head, strlen(head)) && kube_send(fd, text, strlen(text)) && kube_send(fd, "\r\n", 2));
}

static inline void kube_reset(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
}

/* False: the connection is to end. */
static inline bool kube_answer(struct kube_server *s, int fd, const struct kube_rule *rule)
{
	const char *body = rule->body ? rule->body : "", *headers = rule->headers ? rule->headers : "";
	char head[1024];

	if (rule->how == KUBE_SILENT)
		return true;
	if (rule->how == KUBE_STREAM)
		snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\n%sTransfer-Encoding: chunked\r\n\r\n", rule->status, headers);
	else
		snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\n%sContent-Length: %zu\r\n\r\n", rule->status, headers, strlen(body));
	if (!kube_send(fd, head, strlen(head)))
		return false;
	if (rule->how != KUBE_STREAM)
		return kube_send(fd, body, rule->how == KUBE_CUT ? strlen(body) / 2 : strlen(body)) && rule->how == KUBE_WHOLE;
	kube_send_chunk(fd, body);
	pthread_mutex_lock(&s->lock);
	s->stream_fd = fd;
	pthread_mutex_unlock(&s->lock);
	return true;
}

static inline void kube_header(const char *head, const char *name, char *to, size_t size)
{
	const char *at = strcasestr(head, name);

	snprintf(to, size, "%.*s", at ? (int)strcspn(at + strlen(name), "\r") : 0, at ? at + strlen(name) : "");
}

/* One request off the buffer: notes it, and finds its rule. False: there is no whole one yet. */
static inline bool kube_next(struct kube_connection *c, struct kube_rule *ret)
{
	static const struct kube_rule none = { .status = 404, .body = "{\"kind\":\"Status\",\"message\":\"no rule\"}" };
	const char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
	struct kube_request rq = { .connection = c->nr };
	struct kube_server *s = c->s;
	char head[4096], length[16], login[300];
	size_t head_len, body_len;

	if (!end)
		return false;
	head_len = (size_t)(end - c->in) + 4;
	snprintf(head, sizeof(head), "%.*s", (int)head_len, c->in);
	kube_header(head, "\r\nContent-Length: ", length, sizeof(length));
	body_len = strtoul(length, NULL, 10);
	if (c->len < head_len + body_len)
		return false;
	kube_header(head, "\r\nAuthorization: ", login, sizeof(login));
	kube_header(head, "\r\nUser-Agent: ", rq.agent, sizeof(rq.agent));
	kube_header(head, "\r\nAccept: ", rq.accept, sizeof(rq.accept));
	snprintf(rq.line, sizeof(rq.line), "%.*s %.200s", (int)MIN(strcspn(head, "\r") - strlen(" HTTP/1.1"), 480), head, login);
	snprintf(rq.body, sizeof(rq.body), "%.*s", (int)body_len, c->in + head_len);
	memmove(c->in, c->in + head_len + body_len, c->len - head_len - body_len);
	c->len -= head_len + body_len;
	pthread_mutex_lock(&s->lock);
	*ret = none;
	if (s->nr_requests < KUBE_MAX_REQUESTS)
		s->requests[s->nr_requests++] = rq;
	for (size_t i = 0; i < s->nr_rules; i++)
		if (strstr(rq.line, s->rules[i].match) && (!s->rules[i].times || s->rules[i].used < s->rules[i].times)) {
			s->rules[i].used++;
			*ret = s->rules[i];
			break;
		}
	pthread_mutex_unlock(&s->lock);
	return true;
}

static inline void *kube_connection_main(void *arg)
{
	struct kube_connection *c = arg;
	struct kube_server *s = c->s;
	struct kube_rule rule;
	bool going = true;
	ssize_t n;

	while (going && (n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0)) > 0) {
		c->len += (size_t)n;
		while (going && kube_next(c, &rule))
			going = kube_answer(s, c->fd, &rule);
	}
	pthread_mutex_lock(&s->lock);
	if (s->stream_fd == c->fd)
		s->stream_fd = -1;
	s->fds[c->nr] = -1;
	if (!going)
		kube_reset(c->fd);
	close(c->fd);
	pthread_mutex_unlock(&s->lock);
	free(c);
	return NULL;
}

static inline void *kube_server_main(void *arg)
{
	struct kube_server *s = arg;
	int fd;

	while ((fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct kube_connection *c = calloc(1, sizeof(*c));

		if (s->nr_connections >= KUBE_MAX_CONNECTIONS)
			abort();
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)); /* head and body are sent one after the other */
		pthread_mutex_lock(&s->lock);
		c->s = s;
		c->fd = fd;
		c->nr = s->nr_connections;
		s->fds[c->nr] = fd;
		pthread_create(&s->connections[s->nr_connections++], NULL, kube_connection_main, c);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static inline void kube_start(struct kube_server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->stream_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listen_fd, 64), 0);
	assert_int_equal(getsockname(s->listen_fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", s->port);
	assert_int_equal(pthread_create(&s->thread, NULL, kube_server_main, s), 0);
}

static inline void kube_stop(struct kube_server *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->nr_connections; i++)
		if (s->fds[i] >= 0)
			shutdown(s->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nr_connections; i++)
		pthread_join(s->connections[i], NULL);
	pthread_mutex_destroy(&s->lock);
}

static inline void kube_rule(struct kube_server *s, struct kube_rule rule)
{
	pthread_mutex_lock(&s->lock);
	assert_true(s->nr_rules < KUBE_MAX_RULES);
	s->rules[s->nr_rules++] = rule;
	pthread_mutex_unlock(&s->lock);
}

static inline size_t kube_nr_requests(struct kube_server *s, const char *match)
{
	size_t nr = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->nr_requests; i++)
		nr += strstr(s->requests[i].line, match) != NULL;
	pthread_mutex_unlock(&s->lock);
	return nr;
}

static inline bool kube_has_stream(struct kube_server *s)
{
	bool has;

	pthread_mutex_lock(&s->lock);
	has = s->stream_fd >= 0;
	pthread_mutex_unlock(&s->lock);
	return has;
}

/* To the newest watch, as soon as there is one. */
static inline void kube_push(struct kube_server *s, const char *text)
{
	kube_wait(kube_has_stream(s));
	pthread_mutex_lock(&s->lock);
	kube_send_chunk(s->stream_fd, text);
	pthread_mutex_unlock(&s->lock);
}

/* Ends the newest watch; whole: as a server does whose time for it is over, else in the middle. */
static inline void kube_end(struct kube_server *s, bool whole)
{
	kube_wait(kube_has_stream(s));
	pthread_mutex_lock(&s->lock);
	if (whole)
		(void)kube_send(s->stream_fd, "0\r\n\r\n", 5);
	else
		shutdown(s->stream_fd, SHUT_RDWR);
	s->stream_fd = -1;
	pthread_mutex_unlock(&s->lock);
}
