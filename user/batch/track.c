// SPDX-License-Identifier: Apache-2.0
#include "batch/track.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define PAGE 4096
#define NARROW_NONE UINT32_MAX
#define FIRST_BUCKETS 64

int cgm_tracks_init(struct cgm_tracks *ts, uint32_t cap)
{
	ts->ends = cgm_calloc(cap, sizeof(*ts->ends));
	if (!ts->ends)
		return -ENOMEM;
	ts->cap = ts->cycle = cap;
	ts->bytes += cap * sizeof(*ts->ends);
	return 0;
}

void cgm_tracks_done(struct cgm_tracks *ts)
{
	free(ts->ends);
	free(ts->buckets);
	*ts = (struct cgm_tracks){ 0 };
}

uint32_t cgm_tracks_cycle(struct cgm_tracks *ts, uint64_t end_ns)
{
	uint32_t i = 0;

	do /* cap is never 0 here */
		if (ts->ends[(ts->cycle - i) % ts->cap] == end_ns)
			return ts->cycle - i;
	while (++i < ts->cap);
	ts->cycle++;
	ts->ends[ts->cycle % ts->cap] = end_ns;
	return ts->cycle;
}

/* ---- by key ---- */

struct cgm_track *cgm_tracks_find(const struct cgm_tracks *ts, const struct cgm_track *after, uint64_t hash, const char *key)
{
	struct cgm_track *t = NULL;

	if (after)
		t = after->next;
	else if (ts->nr_buckets)
		t = ts->buckets[hash & (ts->nr_buckets - 1)];
	while (t && (t->entity->hash != hash || strcmp(t->entity->key, key) != 0))
		t = t->next;
	return t;
}

static int more_buckets(struct cgm_tracks *ts)
{
	size_t nr = ts->nr_buckets ? ts->nr_buckets * 2 : FIRST_BUCKETS;
	struct cgm_track **buckets = cgm_calloc(nr, sizeof(struct cgm_track *));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < ts->nr_buckets; i++) {
		for (struct cgm_track *t = ts->buckets[i], *next; t; t = next) {
			struct cgm_track **to = &buckets[t->entity->hash & (nr - 1)];

			next = t->next;
			t->next = *to;
			*to = t;
		}
	}
	free(ts->buckets);
	ts->bytes += (nr - ts->nr_buckets) * sizeof(struct cgm_track *);
	ts->buckets = buckets;
	ts->nr_buckets = nr;
	return 0;
}

/* ---- one of them ---- */

static size_t ring_bytes(const struct cgm_tracks *ts, bool wide)
{
	return ts->cap * 2 * (wide ? sizeof(int64_t) : sizeof(uint32_t));
}

struct cgm_track *cgm_track_new(struct cgm_tracks *ts, struct cgm_track_node *node, struct cgm_entity *entity)
{
	struct cgm_track *t, **bucket;

	if (ts->nr >= ts->nr_buckets && more_buckets(ts) < 0)
		return NULL;
	t = cgm_malloc(sizeof(*t));
	if (!t)
		return NULL;
	bucket = &ts->buckets[entity->hash & (ts->nr_buckets - 1)];
	*t = (struct cgm_track){ .next = *bucket, .entity = cgm_entity_ref(entity), .node = node };
	*bucket = t;
	ts->nr++;
	ts->bytes += sizeof(*t);
	return t;
}

/* What the heir does not know itself. A ring that needs more room than there is memory stays as it is. */
static void inherit(struct cgm_tracks *ts, struct cgm_track *heir, const struct cgm_track *from)
{
	for (uint32_t i = 0; from->ring && i < ts->cap; i++) {
		uint32_t cycle = ts->cycle - i;
		struct cgm_track_value had = cgm_track_get(ts, from, cycle), has = cgm_track_get(ts, heir, cycle);

		if (has.cpu == CGM_TRACK_NONE)
			has.cpu = had.cpu;
		if (has.memory == CGM_TRACK_NONE)
			has.memory = had.memory;
		if (cgm_track_reserve(ts, heir, has) == 0)
			cgm_track_put(ts, heir, cycle, has);
	}
}

void cgm_track_free(struct cgm_tracks *ts, struct cgm_track *t)
{
	struct cgm_track **at = &ts->buckets[t->entity->hash & (ts->nr_buckets - 1)], *heir;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	heir = cgm_tracks_find(ts, NULL, t->entity->hash, t->entity->key);
	if (heir)
		inherit(ts, heir, t);
	ts->nr--;
	ts->bytes -= sizeof(*t) + (t->ring ? ring_bytes(ts, t->wide) : 0);
	cgm_entity_unref(t->entity);
	free(t->ring);
	free(t);
}

/* ---- cells ---- */

static bool is_narrow(struct cgm_track_value v)
{
	return (v.cpu == CGM_TRACK_NONE || (v.cpu >= 0 && v.cpu < NARROW_NONE)) &&
	       (v.memory == CGM_TRACK_NONE || (v.memory >= 0 && v.memory % PAGE == 0 && v.memory / PAGE < NARROW_NONE));
}

static void set_cells(const struct cgm_track *t, uint32_t slot, struct cgm_track_value v)
{
	if (t->wide) {
		int64_t *cells = (int64_t *)t->ring + (size_t)slot * 2;

		cells[0] = v.cpu;
		cells[1] = v.memory;
	} else {
		uint32_t *cells = (uint32_t *)t->ring + (size_t)slot * 2;

		cells[0] = v.cpu == CGM_TRACK_NONE ? NARROW_NONE : (uint32_t)v.cpu;
		cells[1] = v.memory == CGM_TRACK_NONE ? NARROW_NONE : (uint32_t)(v.memory / PAGE);
	}
}

static struct cgm_track_value get_cells(const struct cgm_track *t, uint32_t slot)
{
	const uint32_t *narrow = (const uint32_t *)t->ring + (size_t)slot * 2;

	if (t->wide) {
		const int64_t *cells = (const int64_t *)t->ring + (size_t)slot * 2;

		return (struct cgm_track_value){ cells[0], cells[1] };
	}
	return (struct cgm_track_value){
		narrow[0] == NARROW_NONE ? CGM_TRACK_NONE : (int64_t)narrow[0],
		narrow[1] == NARROW_NONE ? CGM_TRACK_NONE : (int64_t)narrow[1] * PAGE,
	};
}

static const struct cgm_track_value nothing = { CGM_TRACK_NONE, CGM_TRACK_NONE };

int cgm_track_reserve(struct cgm_tracks *ts, struct cgm_track *t, struct cgm_track_value v)
{
	struct cgm_track with = *t;

	if (v.cpu == CGM_TRACK_NONE && v.memory == CGM_TRACK_NONE)
		return 0;
	with.wide = t->wide || !is_narrow(v);
	if (t->ring && with.wide == t->wide)
		return 0;
	with.ring = cgm_malloc(ring_bytes(ts, with.wide));
	if (!with.ring)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < ts->cap; slot++)
		set_cells(&with, slot, t->ring ? get_cells(t, slot) : nothing);
	ts->bytes += ring_bytes(ts, with.wide) - (t->ring ? ring_bytes(ts, t->wide) : 0);
	free(t->ring);
	t->ring = with.ring;
	t->wide = with.wide;
	if (!t->cycle)
		t->cycle = ts->cycle;
	return 0;
}

void cgm_track_put(const struct cgm_tracks *ts, struct cgm_track *t, uint32_t cycle, struct cgm_track_value v)
{
	if (!t->ring || (cycle <= t->cycle && t->cycle - cycle >= ts->cap))
		return;
	if (cycle > t->cycle && cycle - t->cycle > ts->cap)
		t->cycle = cycle - ts->cap;
	while (cycle > t->cycle)
		set_cells(t, ++t->cycle % ts->cap, nothing);
	set_cells(t, cycle % ts->cap, v);
}

struct cgm_track_value cgm_track_get(const struct cgm_tracks *ts, const struct cgm_track *t, uint32_t cycle)
{
	if (!t->ring || cycle > t->cycle || t->cycle - cycle >= ts->cap)
		return nothing;
	return get_cells(t, cycle % ts->cap);
}
