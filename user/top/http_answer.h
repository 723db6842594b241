/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and answers of HTTP/1.1, as text. Pure and strict: for text of anybody. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct cgm_url {
	char host[256]; /* without the brackets of an IPv6 address */
	char port[8];
	char prefix[256]; /* "" or "/x": what stands before our own paths */
	bool is_loopback; /* by its text: localhost, 127.…, ::1 */
};
/* -EINVAL: *ret_fault (a literal) says what is wrong. */
int cgm_url_parse(const char *text, struct cgm_url *ret, const char **ret_fault);
/* A path of a cgroup for a request: what is not unreserved (RFC 3986) or a slash as %NN. */
void cgm_url_encode(struct cgm_buf *b, const char *path);

#define CGM_MAX_ANSWER_BYTES (64 << 20)
#define CGM_MAX_HEAD_BYTES 65536

struct cgm_answer {
	unsigned status;
	const char *body; /* in the buffer */
	size_t len;
};
/*
 * What has come so far; at_end: the other side has ended the connection. 1: whole (chunks are put together in the buffer); 0: more must
 * come; -EBADMSG: it is none, or one that we do not take; *ret_fault (a literal) says why.
 */
int cgm_answer_parse(struct cgm_buf *in, bool at_end, struct cgm_answer *ret, const char **ret_fault);
