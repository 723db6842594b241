/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server on a Unix socket that answers calls in turn, each as its script says: HTTP/2 with prior knowledge, as little of it as libcurl needs.
 * It cannot read the method's name (that is Huffman-coded); the requests' messages are kept.
 */
#pragma once
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parse.h"

#define GRPC_MAX_CALLS 48

enum grpc_manner {
	GRPC_ANSWER, /* head, message, trailers with the status; without message when that is no success */
	GRPC_TRAILERS_ONLY, /* the status among the headers, nothing else */
	GRPC_NO_STATUS, /* HTTP 404 and a body */
	GRPC_RAW, /* as GRPC_ANSWER, the message being the frame too */
	GRPC_CUT, /* ends the connection within the message */
	GRPC_SILENT, /* never answers */
	GRPC_NO_STREAM, /* as GRPC_TRAILERS_ONLY; the connection stays when there are other calls, so that the answer may be read late */
	GRPC_STREAM, /* nothing but what grpc_push() and grpc_end_stream() say; other calls leave the connection as it is */
};

struct grpc_answer {
	enum grpc_manner manner;
	unsigned status;
	struct cgm_str message;
	const char *text; /* grpc-message */
};

struct grpc_server {
	char dir[32], path[64];
	int fd, stop_fd, peer_fd;
	int stream_fd; /* atomic; of the last GRPC_STREAM, once its request is read; -1: none */
	unsigned stream;
	int ended_fd; /* of the last stream that trailers ended */
	pthread_t thread;
	const struct grpc_answer *script;
	size_t nr_script, nr_calls; /* nr_calls: atomic */
	struct cgm_buf requests[GRPC_MAX_CALLS]; /* with their frames */
};

static inline bool grpc_read(int fd, void *p, size_t len)
{
	return recv(fd, p, len, MSG_WAITALL) == (ssize_t)len;
}

static inline void grpc_frame(int fd, unsigned type, unsigned flags, unsigned stream, const void *p, size_t len)
{
	unsigned char head[9] = { len >> 16 & 0xff, len >> 8 & 0xff, len & 0xff, (unsigned char)type, (unsigned char)flags, 0, 0, 0, (unsigned char)stream };

	(void)!send(fd, head, sizeof(head), MSG_NOSIGNAL);
	if (len)
		(void)!send(fd, p, len, MSG_NOSIGNAL);
}

/* HPACK: a field without index and without Huffman. */
static inline void grpc_header(struct cgm_buf *b, const char *name, const char *value)
{
	cgm_buf_char(b, 0);
	cgm_buf_char(b, (char)strlen(name));
	cgm_buf_str(b, name);
	cgm_buf_char(b, (char)strlen(value));
	cgm_buf_str(b, value);
}

static inline void grpc_status(struct cgm_buf *b, const struct grpc_answer *a)
{
	char text[12];

	snprintf(text, sizeof(text), "%u", a->status);
	grpc_header(b, "grpc-status", text);
	grpc_header(b, "grpc-message", a->text ? a->text : "");
}

/* Reads up to the end of the request. Its stream; 0: the peer is gone. */
static inline unsigned grpc_request(int fd, struct cgm_buf *message)
{
	char preface[24], data[65536];
	unsigned char head[9];

	if (!grpc_read(fd, preface, sizeof(preface)))
		return 0;
	grpc_frame(fd, 4, 0, 0, NULL, 0); /* SETTINGS */
	while (grpc_read(fd, head, sizeof(head))) {
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

		if (len > sizeof(data) || !grpc_read(fd, data, len))
			return 0;
		if (head[3] == 4 && !(head[4] & 1))
			grpc_frame(fd, 4, 1, 0, NULL, 0); /* acknowledged */
		if (head[3] == 0)
			cgm_buf_put(message, data, len);
		if (head[3] <= 1 && head[4] & 1)
			return head[8];
	}
	return 0;
}

static inline void grpc_respond(int fd, unsigned stream, const struct grpc_answer *a)
{
	const char frame[5] = { 0, (char)(a->message.len >> 24), (char)(a->message.len >> 16), (char)(a->message.len >> 8), (char)a->message.len };
	struct cgm_buf head = { 0 }, body = { 0 }, tail = { 0 };
	size_t part;

	cgm_buf_char(&head, (char)(a->manner == GRPC_NO_STATUS ? 0x8d : 0x88)); /* :status 404, 200 */
	grpc_header(&head, "content-type", "application/grpc");
	if (a->manner == GRPC_TRAILERS_ONLY || a->manner == GRPC_NO_STREAM)
		grpc_status(&head, a);
	grpc_status(&tail, a);
	if (a->manner != GRPC_RAW)
		cgm_buf_put(&body, frame, sizeof(frame));
	cgm_buf_put(&body, a->message.p, a->message.len);
	grpc_frame(fd, 1, a->manner == GRPC_TRAILERS_ONLY || a->manner == GRPC_NO_STREAM ? 5 : 4, stream, head.p, head.len);
	for (size_t at = 0; a->manner != GRPC_TRAILERS_ONLY && a->manner != GRPC_NO_STREAM && at < body.len && (a->status == 0 || a->manner != GRPC_ANSWER); at += part) {
		part = a->manner == GRPC_CUT ? 3 : body.len - at < 16384 ? body.len - at : 16384;
		grpc_frame(fd, 0, a->manner == GRPC_NO_STATUS && at + part == body.len, stream, body.p + at, part);
		if (a->manner == GRPC_CUT)
			break;
	}
	if (a->manner == GRPC_ANSWER || a->manner == GRPC_RAW)
		grpc_frame(fd, 1, 5, stream, tail.p, tail.len);
	cgm_buf_done(&head);
	cgm_buf_done(&body);
	cgm_buf_done(&tail);
}

/* The head of a stream. */
static inline void grpc_open_stream(struct grpc_server *s)
{
	struct cgm_buf head = { 0 };
	size_t n = s->nr_calls;
	int fd = accept(s->fd, NULL, NULL);

	s->stream = grpc_request(fd, &s->requests[n]);
	cgm_buf_char(&head, (char)0x88);
	grpc_header(&head, "content-type", "application/grpc");
	grpc_frame(fd, 1, 4, s->stream, head.p, head.len);
	cgm_buf_done(&head);
	__atomic_store_n(&s->stream_fd, fd, __ATOMIC_RELEASE);
	__atomic_store_n(&s->nr_calls, n + 1, __ATOMIC_RELEASE);
}

/* In the test's thread: these bytes of the stream's body, cut into frames of that many. */
static inline void grpc_push(struct grpc_server *s, const void *p, size_t len, size_t part)
{
	for (size_t at = 0; at < len; at += part)
		grpc_frame(s->stream_fd, 0, 0, s->stream, (const char *)p + at, len - at < part ? len - at : part);
}

/* A message of the stream. */
static inline void grpc_push_message(struct grpc_server *s, struct cgm_str m)
{
	const char frame[5] = { 0, (char)(m.len >> 24), (char)(m.len >> 16), (char)(m.len >> 8), (char)m.len };

	grpc_push(s, frame, sizeof(frame), sizeof(frame));
	grpc_push(s, m.p, m.len, 16384);
}

/* Ends the stream by trailers with that status; NULL: closes its connection. */
static inline void grpc_end_stream(struct grpc_server *s, const struct grpc_answer *trailers)
{
	int fd = __atomic_exchange_n(&s->stream_fd, -1, __ATOMIC_ACQ_REL);
	struct cgm_buf tail = { 0 };

	if (trailers) {
		grpc_status(&tail, trailers);
		grpc_frame(fd, 1, 5, s->stream, tail.p, tail.len);
	}
	cgm_buf_done(&tail);
	/* What is not read when it is closed makes the peer lose what it has not read itself. */
	if (s->ended_fd >= 0 || !trailers)
		close(trailers ? s->ended_fd : fd);
	if (trailers)
		s->ended_fd = fd;
}

/* The connection of the last call stays open. */
static inline void grpc_serve(struct grpc_server *s)
{
	size_t n = s->nr_calls;
	unsigned stream;

	if (n < s->nr_script && s->script[n].manner == GRPC_STREAM) {
		grpc_open_stream(s);
		return;
	}
	if (s->peer_fd >= 0)
		close(s->peer_fd);
	s->peer_fd = accept(s->fd, NULL, NULL);
	stream = n < s->nr_script ? grpc_request(s->peer_fd, &s->requests[n]) : 0;
	if (stream && s->script[n].manner != GRPC_SILENT)
		grpc_respond(s->peer_fd, stream, &s->script[n]);
	if (stream && s->script[n].manner == GRPC_NO_STREAM) {
		s->ended_fd = s->peer_fd;
		s->peer_fd = -1;
	}
	__atomic_store_n(&s->nr_calls, n + 1, __ATOMIC_RELEASE);
	if (!stream || s->script[n].manner == GRPC_CUT) {
		close(s->peer_fd);
		s->peer_fd = -1;
	}
}

static inline void *grpc_thread(void *arg)
{
	struct grpc_server *s = arg;
	struct pollfd fds[] = { { .fd = s->fd, .events = POLLIN }, { .fd = s->stop_fd, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		grpc_serve(s);
	if (s->peer_fd >= 0)
		close(s->peer_fd);
	return NULL;
}

static inline void grpc_start(struct grpc_server *s, const struct grpc_answer *script, size_t nr)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	*s = (struct grpc_server){ .dir = "/tmp/cgmunit-XXXXXX", .peer_fd = -1, .stream_fd = -1, .ended_fd = -1, .script = script, .nr_script = nr };
	assert_true(nr <= GRPC_MAX_CALLS);
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", s->path);
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, grpc_thread, s), 0);
}

/* Ends all connections. */
static inline void grpc_end(struct grpc_server *s)
{
	assert_int_equal(eventfd_write(s->stop_fd, 1), 0);
	pthread_join(s->thread, NULL);
	if (s->stream_fd >= 0)
		close(s->stream_fd);
	if (s->ended_fd >= 0)
		close(s->ended_fd);
	close(s->fd);
	s->fd = s->stream_fd = s->ended_fd = -1;
}

static inline void grpc_stop(struct grpc_server *s)
{
	if (s->fd >= 0)
		grpc_end(s);
	close(s->stop_fd);
	unlink(s->path);
	rmdir(s->dir);
	for (size_t i = 0; i < GRPC_MAX_CALLS; i++)
		cgm_buf_done(&s->requests[i]);
}
