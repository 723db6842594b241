/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on a free port of the loopback for the tests of user/export, which does as it is told: one reaction for each request (HTTP), message (a length of four bytes in front) or connection (RAW),
 * the last one for all that follow. Nothing here allocates through base/mem.h.
 */
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum export_protocol { EXPORT_RAW, EXPORT_HTTP, EXPORT_MESSAGES };
/*
 * ANSWER: status, headers and body, or the body as it is. RUBBISH: bytes that are none of the protocol's. HANG: nothing, the connection stays. CLOSE: it is closed behind the request; RESET: before it is read.
 * HALF: the beginning of an answer, and it is closed.
 */
enum export_how { EXPORT_ANSWER, EXPORT_RUBBISH, EXPORT_HANG, EXPORT_CLOSE, EXPORT_RESET, EXPORT_HALF };

struct export_reaction {
	enum export_how how;
	unsigned status;
	const char *headers; /* each with CRLF; NULL: none */
	const char *body; /* NULL: "" */
	size_t len; /* of it; 0: as a text */
};

struct export_request {
	char head[4096];
	char *body;
	size_t len;
	unsigned connection;
};

#define EXPORT_MAX 64
struct export_server {
	int listen_fd, fds[EXPORT_MAX];
	bool ended;
	unsigned port;
	enum export_protocol protocol;
	struct export_reaction reactions[EXPORT_MAX];
	size_t nr_reactions, nr_reacted;
	struct export_request requests[EXPORT_MAX];
	size_t nr_requests;
	unsigned nr_connections;
	pthread_t thread, threads[EXPORT_MAX];
	pthread_mutex_t lock;
};

struct export_connection {
	struct export_server *s;
	int fd;
	unsigned nr;
	char *in;
	size_t len, cap;
};

static inline bool export_more(struct export_connection *c)
{
	ssize_t n;

	if (c->cap - c->len < 65536) {
		c->cap = c->cap * 2 + 131072;
		c->in = realloc(c->in, c->cap);
	}
	n = recv(c->fd, c->in + c->len, 65536, 0);
	c->len += n > 0 ? (size_t)n : 0;
	return n > 0;
}

static inline struct export_reaction export_react(struct export_server *s)
{
	struct export_reaction r = { .how = EXPORT_ANSWER, .status = 200 };

	pthread_mutex_lock(&s->lock);
	if (s->nr_reactions)
		r = s->reactions[s->nr_reacted < s->nr_reactions ? s->nr_reacted : s->nr_reactions - 1];
	s->nr_reacted++;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static inline void export_keep(struct export_connection *c, const char *head, size_t head_len, const char *body, size_t len)
{
	struct export_server *s = c->s;

	pthread_mutex_lock(&s->lock);
	if (s->nr_requests < EXPORT_MAX) {
		struct export_request *q = &s->requests[s->nr_requests++];

		snprintf(q->head, sizeof(q->head), "%.*s", (int)head_len, head);
		q->body = malloc(len + 1);
		memcpy(q->body, body, len);
		q->body[len] = '\0';
		q->len = len;
		q->connection = c->nr;
	}
	pthread_mutex_unlock(&s->lock);
}

/* The length of a request's head and of all of it; 0: it is not here yet. */
static inline size_t export_request_len(const struct export_connection *c, size_t *ret_head)
{
	const char *end, *length;

	if (c->s->protocol == EXPORT_MESSAGES) {
		uint32_t len;

		if (c->len < 4)
			return 0;
		memcpy(&len, c->in, 4);
		*ret_head = 4;
		return c->len - 4 >= ntohl(len) ? 4 + (size_t)ntohl(len) : 0;
	}
	end = c->len ? memmem(c->in, c->len, "\r\n\r\n", 4) : NULL;
	if (!end)
		return 0;
	*ret_head = (size_t)(end - c->in) + 4;
	c->in[*ret_head - 1] = '\0';
	length = strcasestr(c->in, "\r\nContent-Length: ");
	c->in[*ret_head - 1] = '\n';
	return *ret_head + (length ? strtoul(length + 18, NULL, 10) : 0);
}

static inline void export_send(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

/* False: the connection is over. */
static inline bool export_answer(struct export_connection *c, const struct export_reaction *r)
{
	const char *body = r->body ? r->body : "";
	size_t len = r->len ? r->len : strlen(body);
	char head[512];
	uint32_t be = htonl((uint32_t)len);

	switch (r->how) {
	case EXPORT_ANSWER:
	case EXPORT_HALF:
		if (c->s->protocol == EXPORT_HTTP) {
			snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n%s\r\n", r->status, len + (r->how == EXPORT_HALF ? 10 : 0), r->headers ? r->headers : "");
			export_send(c->fd, head, strlen(head));
		} else if (c->s->protocol == EXPORT_MESSAGES) {
			export_send(c->fd, (const char *)&be, 4);
		}
		export_send(c->fd, body, r->how == EXPORT_HALF && c->s->protocol == EXPORT_MESSAGES ? len / 2 : len);
		return r->how == EXPORT_ANSWER;
	case EXPORT_RUBBISH:
		export_send(c->fd, "\xff\xff\xff\xff\x01rubbish\r\n\r\nmore of it", 27);
		return false;
	case EXPORT_HANG:
		while (export_more(c)) /* until it is closed there */
			;
		return false;
	default:
		return false;
	}
}

static inline void export_reset(int fd)
{
	struct linger none = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
}

static inline void export_raw(struct export_connection *c)
{
	struct export_reaction r = export_react(c->s);

	if (r.how == EXPORT_HANG) { /* nothing is read */
		char byte;

		while (recv(c->fd, &byte, 1, MSG_PEEK) > 0 && !__atomic_load_n(&c->s->ended, __ATOMIC_ACQUIRE))
			usleep(5000);
		return;
	}
	if (r.how == EXPORT_CLOSE)
		return;
	if (r.how == EXPORT_RESET) {
		char byte;

		(void)!recv(c->fd, &byte, 1, MSG_PEEK); /* something has come, and is not read */
		export_reset(c->fd);
		return;
	}
	while (export_more(c))
		;
	export_keep(c, "", 0, c->in, c->len);
}

static inline void *export_serve(void *arg)
{
	struct export_connection *c = arg;
	size_t head = 0, len;

	if (c->s->protocol == EXPORT_RAW)
		export_raw(c);
	for (bool open = c->s->protocol != EXPORT_RAW; open;) {
		struct export_reaction r;

		while ((len = export_request_len(c, &head)) == 0 || c->len < len)
			if (!(open = export_more(c)))
				break;
		if (!open)
			break;
		r = export_react(c->s);
		if (r.how == EXPORT_RESET) {
			export_reset(c->fd);
			break;
		}
		export_keep(c, c->in, head, c->in + head, len - head);
		memmove(c->in, c->in + len, c->len - len);
		c->len -= len;
		open = export_answer(c, &r);
	}
	pthread_mutex_lock(&c->s->lock);
	close(c->fd);
	c->s->fds[c->nr] = -1;
	pthread_mutex_unlock(&c->s->lock);
	free(c->in);
	free(c);
	return NULL;
}

static inline void *export_accept(void *arg)
{
	struct export_server *s = arg;
	int fd;

	while ((fd = accept(s->listen_fd, NULL, NULL)) >= 0) {
		struct export_connection *c = calloc(1, sizeof(*c));

		*c = (struct export_connection){ .s = s, .fd = fd, .nr = s->nr_connections };
		pthread_mutex_lock(&s->lock);
		s->fds[c->nr] = fd;
		s->nr_connections++;
		pthread_mutex_unlock(&s->lock);
		if (pthread_create(&s->threads[c->nr], NULL, export_serve, c) != 0 || s->nr_connections == EXPORT_MAX)
			abort();
	}
	return NULL;
}

static inline void export_server_start(struct export_server *s, enum export_protocol protocol)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	*s = (struct export_server){ .protocol = protocol };
	pthread_mutex_init(&s->lock, NULL);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->listen_fd, 16) < 0 || getsockname(s->listen_fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	s->port = ntohs(a.sin_port);
	if (pthread_create(&s->thread, NULL, export_accept, s) != 0)
		abort();
}

/* The next reaction. Before the first request. */
static inline void export_server_add(struct export_server *s, struct export_reaction r)
{
	pthread_mutex_lock(&s->lock);
	if (s->nr_reactions == EXPORT_MAX)
		abort();
	s->reactions[s->nr_reactions++] = r;
	pthread_mutex_unlock(&s->lock);
}

static inline size_t export_server_seen(struct export_server *s)
{
	size_t nr;

	pthread_mutex_lock(&s->lock);
	nr = s->nr_requests;
	pthread_mutex_unlock(&s->lock);
	return nr;
}

/* Waits until it has got so many requests. */
static inline void export_server_wait(struct export_server *s, size_t nr)
{
	for (unsigned i = 0; export_server_seen(s) < nr; i++) {
		if (i == 30000)
			fail_msg("not within a minute: request %zu", nr);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
}

static inline void export_server_stop(struct export_server *s)
{
	shutdown(s->listen_fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	__atomic_store_n(&s->ended, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->nr_connections; i++)
		if (s->fds[i] >= 0)
			shutdown(s->fds[i], SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nr_connections; i++)
		pthread_join(s->threads[i], NULL);
	for (size_t i = 0; i < s->nr_requests; i++)
		free(s->requests[i].body);
	pthread_mutex_destroy(&s->lock);
}
