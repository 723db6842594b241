/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of one sink on disk, in order: written behind, read and removed in front, bounded in bytes. A directory holds segments, "%016x.spool", each a
 * row of records (a header with its own CRC, then the batch as gzip with a CRC), and "position": how far the first segment is delivered. Whole segments
 * that are delivered are deleted.
 *
 * After a kill nothing that was put is lost, and at most the batch whose delivery was not yet written down comes again; a record that was being written is
 * cut off. A segment is synced to the disk when it is full and when the spool is closed: after a power failure the end of the newest segment may be
 * missing, and what was delivered last may come again. What is broken is left out by its CRC and counted. One thread at a time.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

struct cgm_spool_batch {
	const char *data;
	size_t len;
	uint64_t nr_points, end_ns;
};

struct cgm_spool;
/*
 * Makes the directory when it is not there (and the one above it), and looks at what it holds; files of others are left alone. about: a text for people,
 * put in the file "sink". *ret_lost: points of what a crash tore, at least 1 when there is such a tail. 0, or a negative errno with fault (256 bytes); -EBUSY:
 * another process has it.
 */
int cgm_spool_open(const char *dir, uint64_t max_bytes, const char *about, struct cgm_spool **ret, uint64_t *ret_lost, char *fault);
/* Syncs; what is there stays. NULL is fine. */
void cgm_spool_close(struct cgm_spool *sp);
DEFINE_CLEANUP(cgm_spool, cgm_spool_close)

/* False also while the last batch was read and is not yet done. */
bool cgm_spool_is_empty(const struct cgm_spool *sp);
/*
 * Appends. The oldest segments go when there is no room: *ret_dropped are their points (0 on failure, too). 0; -EFBIG: the batch alone is too large; -ENOMEM; or what
 * the file system says, and the spool is as before.
 */
int cgm_spool_put(struct cgm_spool *sp, const struct cgm_spool_batch *batch, uint64_t *ret_dropped);
/* Puts batches before all that it holds. reading: the first of them counts as read. The spool must be untouched since it was last empty (-EINVAL). Errors as above; all or none. */
int cgm_spool_put_first(struct cgm_spool *sp, const struct cgm_spool_batch *batches, size_t nr, bool reading);
/* Appends the oldest batch, whole, to data; it stays in the spool until _done. *ret_lost: points of what was broken before it. 0; -ENOENT: none; -ENOMEM. */
int cgm_spool_read(struct cgm_spool *sp, struct cgm_buf *data, struct cgm_spool_batch *ret, uint64_t *ret_lost);
/* The batch that was read is delivered. */
void cgm_spool_done(struct cgm_spool *sp);
/* Is the batch that was read still in it? It may have had to go to make room. */
bool cgm_spool_is_reading(const struct cgm_spool *sp);
/* What it holds on disk. */
void cgm_spool_level(const struct cgm_spool *sp, uint64_t *ret_bytes, uint64_t *ret_batches);
