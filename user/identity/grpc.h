/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unary gRPC calls over a Unix socket, by libcurl: HTTP/2 without TLS, a connection for each call, of which the last is kept as a sign of the server's life.
 * A call is bounded in time and size, and ends at once when the thread is to stop. One thread a client.
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
