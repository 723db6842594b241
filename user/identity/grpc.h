/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over a Unix socket, by libcurl: HTTP/2 without TLS. Unary calls have a connection each, of which the last is kept as a sign of the server's life; they are
 * bounded in time and size, and end at once when the thread is to stop. A client that listens to a stream makes no calls meanwhile: who wants both has two. One thread a client.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

#define CGM_GRPC_FAULT 256
#define CGM_GRPC_ANSWER_BYTES ((size_t)32 << 20) /* a longer message is a fault */
#define CGM_GRPC_MESSAGE_BYTES ((size_t)4 << 20) /* the same of a stream */

struct cgm_grpc_config {
	const char *socket; /* path; as all here, lives as long as the client */
	uint64_t timeout_ns; /* of one call */
	int wake_fd; /* readable when stopping() may have changed */
	bool (*stopping)(const void *arg);
	const void *arg;
};

struct cgm_grpc;
/* Connects nowhere yet. 0; -ENOENT (no libcurl, or one that cannot do it) or -ENOMEM, with fault (CGM_GRPC_FAULT bytes). */
int cgm_grpc_new(const struct cgm_grpc_config *config, struct cgm_grpc **ret, char *fault);
void cgm_grpc_free(struct cgm_grpc *g);
DEFINE_CLEANUP(cgm_grpc, cgm_grpc_free)

/*
 * Calls method ("package.Service/Method") with the message in request. header: one more, "name: value"; NULL: none. The answer's message is *ret, a part of
 * *answer, which is the caller's and is emptied first.
 * 0; else with fault, which names socket, method and cause: the runtime answered, but not with success: -ENOENT (status 5, not found), -ENOSYS (12, it has no
 * such method), -EREMOTEIO (any other status); the connection is of no use: -ECANCELED (stopping), -ETIMEDOUT, -EMSGSIZE, -EPROTO (no gRPC answer),
 * -ECONNABORTED, -ENOMEM.
 */
int cgm_grpc_call(struct cgm_grpc *g, const char *method, const char *header, const struct cgm_buf *request, struct cgm_buf *answer, struct cgm_str *ret,
		  char *fault);
static inline bool cgm_grpc_answered(int r)
{
	return r == -ENOENT || r == -ENOSYS || r == -EREMOTEIO;
}
/* The connection that the last call left, for poll() with POLLRDHUP alone: it is libcurl's. -1: none. */
int cgm_grpc_fd(const struct cgm_grpc *g);

/* ---- a stream of messages ---- */

/* A message of the stream, which is gone when this returns. Nothing of that client may be called in it. */
typedef void cgm_grpc_message_fn(void *arg, struct cgm_str message);
/*
 * Calls a method whose answer is a stream (its name must live as long), and returns when the request is sent: whether the server takes it is known by what cgm_grpc_wait() says. 0; else as
 * cgm_grpc_call(), and there is no stream.
 */
int cgm_grpc_listen(struct cgm_grpc *g, const char *method, const char *header, const struct cgm_buf *request, cgm_grpc_message_fn *fn, void *arg, char *fault);
/* Sleeps until a message came (fn was called), wake_fd is readable, or until_ns (of the monotonic clock). 0; else the stream is over: as cgm_grpc_call(), and -ECONNRESET: it ended without a fault. */
int cgm_grpc_wait(struct cgm_grpc *g, uint64_t until_ns, char *fault);
/* Ends it, if there is one. */
void cgm_grpc_hang_up(struct cgm_grpc *g);
