/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history of one container, kept compactly: chunks of packed samples, the first of a chunk whole, the others as differences.
 * One writer (the sampler) appends; readers hold a view, which never changes: the bytes that it covers are never written again.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/layout.h"

struct cgm_history;

/* keep_ns: samples older than that before the newest are dropped (a whole chunk at a time, so a few more may stay). */
struct cgm_history *cgm_history_new(uint64_t keep_ns);
void cgm_history_free(struct cgm_history *h);
/*
 * Appends. values: l->nr_values of them. When time_ns is before the newest sample's (the clock was set back), what lies after time_ns is
 * dropped, so that the times of a view never go backwards. 0 or -ENOMEM (then the sample is lost, the history stays whole).
 */
int cgm_history_add(struct cgm_history *h, struct cgm_layout *l, uint64_t time_ns, const uint64_t *values);
/* Asks the memory for what the next call of cgm_history_add() will read. NULL is allowed. */
void cgm_history_fetch(const struct cgm_history *h);
/* True when the newest sample has just these values and is not later than time_ns: adding it would say nothing. Writer's thread. */
bool cgm_history_ends_with(const struct cgm_history *h, const struct cgm_layout *l, uint64_t time_ns, const uint64_t *values);
/* Bytes of memory held; chunks that only views still hold are not in it. Writer's thread. */
size_t cgm_history_bytes(const struct cgm_history *h);

/* What a reader may see: the samples that there were when it was taken. */
struct cgm_history_view {
	struct cgm_chunk_list *chunks; /* shared */
	uint32_t tail_len, tail_samples; /* of the last chunk */
	uint64_t oldest_ns; /* what is older than keep_ns stays until its chunk goes, but is in no range any more */
};
/* Writer's thread. Release with _done, in any thread. */
void cgm_history_view_init(struct cgm_history *h, struct cgm_history_view *ret);
void cgm_history_view_done(struct cgm_history_view *v);
size_t cgm_history_view_count(const struct cgm_history_view *v);

/* Walks the samples of a view from the oldest. Any thread; each with an iterator of its own. */
struct cgm_history_iter {
	const struct cgm_history_view *view;
	size_t chunk, sample; /* next one */
	const uint8_t *pos;
	uint64_t *values; /* of the sample just returned; owned by the iterator */
	size_t cap_values;
	uint64_t time_ns, step_ns;
	const struct cgm_layout *layout;
};
/* Starts before the oldest sample. The view must outlive the iterator. For a part of a view: _view_range, then _seek. */
void cgm_history_iter_init(struct cgm_history_iter *it, const struct cgm_history_view *v);
/* 1: it->time_ns, ->layout, ->values are the next sample; 0: end; -ENOMEM. */
int cgm_history_iter_next(struct cgm_history_iter *it);
void cgm_history_iter_done(struct cgm_history_iter *it);
/* How many samples of the view lie in [start_ns, end_ns] (0: no bound), and the index of the first. Always 0; allocates nothing. */
int cgm_history_view_range(const struct cgm_history_view *v, uint64_t start_ns, uint64_t end_ns, size_t *ret_first, size_t *ret_nr);
/* The next call of _next returns the sample with that index (0 = oldest; behind the last: the end). 0 or -ENOMEM. */
int cgm_history_iter_seek(struct cgm_history_iter *it, size_t index);
