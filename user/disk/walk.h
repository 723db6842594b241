/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk through one directory, as du(1) counts: st_blocks of all that is in it and of itself, a file with several names once. It is taken in steps, may
 * rest between any two entries, and holds a bounded number of descriptors and bytes however deep or wide the tree is, also when somebody moves its
 * directories about on purpose. No link is followed, no other mount entered, nothing but directories opened. One thread at a time.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgm_walk;

struct cgm_walk_sum {
	uint64_t bytes, inodes;
	uint64_t nr_unread; /* directories and files that could not be looked at, other than because they vanished */
	uint64_t nr_too_deep; /* directories passed over: below more than CGM_WALK_DEPTH others, or too many at once to remember */
	uint64_t nr_links_lost; /* names of files with several names that were counted without knowing whether they had been */
};

#define CGM_WALK_DEPTH 8192
#define CGM_WALK_FDS 16 /* held open at most, and one more while it moves */
#define CGM_WALK_LINKS 131072 /* files with several names that it can tell apart */

/*
 * fd: a directory or file, O_PATH or more; remains the caller's. careful: something is mounted below, so that each entry is opened (O_PATH) to see
 * whether it is that, in place of looking at it by name. 0 or a negative errno.
 */
int cgm_walk_new(int fd, bool careful, struct cgm_walk **ret);
/* NULL is fine. */
void cgm_walk_free(struct cgm_walk *w);
/*
 * Goes on for at most max entries, or until *stop (read atomically; NULL: never). *ret_nr: entries looked at. 1: it is at its end; 0: there is more;
 * -ENOMEM, -EMFILE, -ENFILE: cannot go on.
 */
int cgm_walk_step(struct cgm_walk *w, size_t max, const bool *stop, size_t *ret_nr);
const struct cgm_walk_sum *cgm_walk_sum(const struct cgm_walk *w);
