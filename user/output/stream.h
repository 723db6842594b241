/* SPDX-License-Identifier: Apache-2.0 */
/* A text that is made piece by piece, so that memory does not grow with the answer. One thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"

struct cgm_stream {
	/* Appends a piece of some kB to out. 1: more follows; 0: that was all; -ENOMEM. */
	int (*next)(struct cgm_stream *s, struct cgm_buf *out);
	/* Releases everything that the stream holds, and itself. */
	void (*free)(struct cgm_stream *s);
	const char *type; /* of the content; NULL: JSON */
};

static inline void cgm_stream_free(struct cgm_stream *s)
{
	if (s)
		s->free(s);
}
DEFINE_CLEANUP(cgm_stream, cgm_stream_free)
