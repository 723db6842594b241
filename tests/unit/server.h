/* SPDX-License-Identifier: Apache-2.0 */
/* A server on a free port over a synthetic store, and a client of plain sockets: for tests of what the server lets clients do. */
#pragma once
#include "synthetic.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "output/http.h"

struct server {
	struct synth y;
	struct cgm_store *store;
	struct cgm_http *http;
};

static const char *const server_names[] = { "/", "/a", "/b" };

/* config: what is not set here; NULL: nothing. Returns what cgm_http_start does. */
static inline int server_try(struct server *s, unsigned nr_ticks, const struct cgm_http_config *config)
{
	struct cgm_http_config c = config ? *config : (struct cgm_http_config){ 0 };

	*s = (struct server){ 0 };
	synth_init(&s->y, server_names, ARRAY_SIZE(server_names));
	s->store = cgm_store_new();
	assert_non_null(s->store);
	for (unsigned i = 0; i < nr_ticks; i++)
		synth_tick(&s->y);
	if (nr_ticks)
		cgm_store_publish(s->store, synth_snapshot(&s->y));
	c.listen_ip = "127.0.0.1";
	c.version = "1.2.3";
	c.machine_interval_ns = 1000000000;
	c.store = s->store;
	c.root_fd = -1;
	return cgm_http_start(&c, &s->http);
}

static inline void server_stop(struct server *s)
{
	cgm_http_stop(s->http);
	cgm_store_free(s->store);
	synth_done(&s->y);
}

static inline void server_start(struct server *s, unsigned nr_ticks, const struct cgm_http_config *config)
{
	assert_int_equal(server_try(s, nr_ticks, config), 0);
}

/* From 127.0.0.N. A call that lasts longer than 10 s fails. */
static inline int server_connect(const struct server *s, unsigned n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(cgm_http_port(s->http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000 + n) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline void server_send(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Reads until the connection ends. False: it was reset, or it did not end. */
static inline bool server_read(int fd, struct cgm_buf *ret)
{
	char buf[65536];
	ssize_t n;

	ret->len = 0;
	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		cgm_buf_put(ret, buf, (size_t)n);
	cgm_buf_char(ret, '\0');
	return n == 0;
}

/* GET path with these header lines (each with its CRLF). The status; 0: no answer. The whole answer is in ret, zero-terminated. */
static inline unsigned server_get(const struct server *s, unsigned from, const char *path, const char *headers, struct cgm_buf *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 };
	_cleanup_close_ int fd = server_connect(s, from);

	cgm_buf_printf(&request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", path, headers);
	cgm_buf_char(&request, '\0');
	server_send(fd, request.p);
	(void)server_read(fd, ret);
	return ret->len > 12 ? (unsigned)strtoul(ret->p + strlen("HTTP/1.1 "), NULL, 10) : 0;
}

static inline struct cgm_http_stats server_stats(const struct server *s)
{
	struct cgm_http_stats stats;

	cgm_http_stats_read(s->http, &stats);
	return stats;
}

/* Waits at most 10 s until the condition holds. */
#define server_wait(condition)                                                        \
	do {                                                                          \
		uint64_t _end = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC;          \
		while (!(condition)) {                                                \
			if (cgm_clock_mono_ns() > _end)                               \
				fail_msg("not within 10 s: %s", #condition);          \
			nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);    \
		}                                                                     \
	} while (0)
