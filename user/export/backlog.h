/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of one sink between its encoder and its sender, in order: in memory, and in the spool behind it when memory is full or the server fails. Two
 * threads; nobody waits for the server, but for the disk.
 *
 *	put -> memory ----------------------------> take	the spool is empty and there is room
 *	put -> memory -> (full) -> spool -> ... -> take		all that is in memory is older than what is in the spool
 *	failing: memory and the batch under way go into the spool, in front
 *	the disk fails: behind the spool stands a tail in memory, of the same bound
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "export/export.h"
#include "export/spool.h"

struct cgm_backlog_batch {
	struct cgm_backlog_batch *next;
	struct cgm_buf data;
	uint64_t nr_points, end_ns;
};

struct cgm_backlog_config {
	const char *who; /* how messages begin; must outlive it */
	size_t max_bytes; /* in memory */
	struct cgm_spool *spool; /* its own from now on; NULL: none */
	uint64_t *nr_lost; /* [CGM_NR_EXPORT_LOSSES], added to atomically */
};

struct cgm_backlog;
/* NULL: out of memory (the spool is then closed). */
struct cgm_backlog *cgm_backlog_new(const struct cgm_backlog_config *config);
void cgm_backlog_free(struct cgm_backlog *b);
DEFINE_CLEANUP(cgm_backlog, cgm_backlog_free)

/* Takes over the text, and leaves data empty. */
void cgm_backlog_put(struct cgm_backlog *b, struct cgm_buf *data, uint64_t nr_points, uint64_t end_ns);
/* Nothing more will come. */
void cgm_backlog_close(struct cgm_backlog *b);
/* Waits for the oldest; NULL: closed and empty. It is the backlog's, until _finish. One taker. */
struct cgm_backlog_batch *cgm_backlog_take(struct cgm_backlog *b);
/* The batch that was taken is written or lost. */
void cgm_backlog_finish(struct cgm_backlog *b);
/* It could not be written now: all goes into the spool, so that a crash does not cost it. */
void cgm_backlog_failing(struct cgm_backlog *b);
/* The end: what is left, the batch that is taken included, goes into the spool, or is counted as lost. Nothing is taken any more. Any thread. */
void cgm_backlog_keep(struct cgm_backlog *b);
bool cgm_backlog_has_spool(const struct cgm_backlog *b);

struct cgm_backlog_level {
	uint64_t queue_bytes, queue_batches, spool_bytes, spool_batches;
};
/* Takes no lock. */
struct cgm_backlog_level cgm_backlog_level(const struct cgm_backlog *b);
