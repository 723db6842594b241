/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own: which node has the set of a key, and cpu/usage_rate and memory/usage of it for long. One of these for each set of each node,
 * so it is small: two cells of 32 bits a cycle while that is enough (whole pages below 16 TiB), else of 64. The store's lock guards all of it.
 */
#pragma once
#include "batch/slice.h"

struct cgm_track_node;
struct cgm_track {
	struct cgm_track *next; /* of its bucket */
	struct cgm_entity *entity; /* its newest one; a reference */
	struct cgm_track_node *node; /* whose slices have it */
	void *ring; /* two cells for each cycle; NULL: there was no value yet */
	uint64_t last_ns; /* end of the newest slice that has it; 0: none yet */
	uint32_t cycle; /* of its newest cells */
	uint32_t place; /* among those of its node */
	bool wide;
};

/*
 * Cycles are numbered as their first slice comes, whatever its end is: so a clock that jumps does no harm. Cells of a cycle stand at its number
 * modulo cap in every ring alike.
 */
struct cgm_tracks {
	struct cgm_track **buckets;
	size_t nr_buckets, nr;
	uint64_t *ends; /* of the last cap cycles, by number modulo cap */
	uint32_t cap, cycle; /* cap 0: not known yet; cycle: the newest number, cap at least */
	uint64_t bytes; /* of tracks, rings and buckets */
};

struct cgm_track_value {
	int64_t cpu, memory; /* CGM_TRACK_NONE: there is none */
};
#define CGM_TRACK_NONE INT64_MIN

/* How many cycles are kept. 0 or -ENOMEM. Once. */
int cgm_tracks_init(struct cgm_tracks *ts, uint32_t cap);
/* All tracks must have been removed. */
void cgm_tracks_done(struct cgm_tracks *ts);
/* The number of the cycle with that end, a new one where it is not known. */
uint32_t cgm_tracks_cycle(struct cgm_tracks *ts, uint64_t end_ns);
/* The first one of that key from `after` on (NULL: from the start), NULL: there is none (more). */
struct cgm_track *cgm_tracks_find(const struct cgm_tracks *ts, const struct cgm_track *after, uint64_t hash, const char *key);
/* NULL: out of memory. */
struct cgm_track *cgm_track_new(struct cgm_tracks *ts, struct cgm_track_node *node, struct cgm_entity *entity);
/* Its history goes into that of another one with its key, if there is one. */
void cgm_track_free(struct cgm_tracks *ts, struct cgm_track *t);
/* Makes sure that _put of this value cannot fail. 0 or -ENOMEM. */
int cgm_track_reserve(struct cgm_tracks *ts, struct cgm_track *t, struct cgm_track_value v);
void cgm_track_put(const struct cgm_tracks *ts, struct cgm_track *t, uint32_t cycle, struct cgm_track_value v);
struct cgm_track_value cgm_track_get(const struct cgm_tracks *ts, const struct cgm_track *t, uint32_t cycle);
