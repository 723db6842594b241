// SPDX-License-Identifier: Apache-2.0
/*
 * A packed sample: varint of the change of the time step, then for every 64 values one byte that says which groups of eight
 * changed, and for each such group a byte with a bit per changed value followed by the varints of their differences (zigzag,
 * modulo 2^64, so that counters which run backwards or saturate come back exactly). The first sample of a chunk is coded
 * against zeros. An idle container's sample is about 5 bytes.
 *
 * Two threads: the writer changes only the tail chunk's fields len, nr_samples, last_ns and the bytes behind len. A reader
 * takes those of its last chunk from the view; chunks before the last are finished. So neither needs a lock.
 */
#include "model/history.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/varint.h"

#define CHUNK_BYTES 2048 /* of one allocation, its header included */

struct cgm_chunk {
	uint32_t refs; /* atomic */
	uint32_t cap, len; /* of data */
	uint32_t nr_samples;
	uint64_t first_ns, last_ns;
	struct cgm_layout *layout;
	uint8_t data[];
};

/* Replaced, never changed, when a chunk is opened or dropped. */
struct cgm_chunk_list {
	uint32_t refs; /* atomic */
	uint32_t nr;
	struct cgm_chunk *chunks[];
};

struct cgm_history {
	uint64_t keep_ns;
	struct cgm_chunk_list *list; /* NULL: no sample yet */
	uint64_t *prev; /* the newest sample */
	size_t cap_prev;
	uint64_t prev_ns, prev_step_ns;
};

static void chunk_unref(struct cgm_chunk *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	cgm_layout_unref(c->layout);
	free(c);
}
DEFINE_CLEANUP(cgm_chunk, chunk_unref)

static void list_unref(struct cgm_chunk_list *l)
{
	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint32_t i = 0; i < l->nr; i++)
		chunk_unref(l->chunks[i]);
	free(l);
}

struct cgm_history *cgm_history_new(uint64_t keep_ns)
{
	struct cgm_history *h = cgm_calloc(1, sizeof(*h));

	if (h)
		h->keep_ns = keep_ns;
	return h;
}

void cgm_history_free(struct cgm_history *h)
{
	if (!h)
		return;
	list_unref(h->list);
	free(h->prev);
	free(h);
}

size_t cgm_history_bytes(const struct cgm_history *h)
{
	size_t bytes = sizeof(*h) + h->cap_prev * sizeof(*h->prev);

	if (!h->list)
		return bytes;
	bytes += sizeof(*h->list) + h->list->nr * sizeof(void *);
	for (uint32_t i = 0; i < h->list->nr; i++)
		bytes += sizeof(struct cgm_chunk) + h->list->chunks[i]->cap;
	return bytes;
}

static uint64_t zigzag(uint64_t d)
{
	return d << 1 ^ (0 - (d >> 63));
}

static uint64_t unzigzag(uint64_t z)
{
	return z >> 1 ^ (0 - (z & 1));
}

/* Up to eight values: a bit for each that changed. */
static inline unsigned changed_mask(const uint64_t *prev, const uint64_t *values, uint32_t nr)
{
	unsigned mask = 0;

	for (uint32_t i = 0; i < nr; i++)
		mask |= (unsigned)(values[i] != prev[i]) << i;
	return mask;
}

/* Returns the end of the packed sample, or NULL when there may be no room for it (the bytes behind p are spoiled then). */
static uint8_t *encode(uint8_t *p, const uint8_t *end, uint64_t step_change, const uint64_t *prev, const uint64_t *values, uint32_t nr)
{
	uint8_t *groups = NULL;

	if (end - p < CGM_MAX_VARINT)
		return NULL;
	p = cgm_put_varint(p, zigzag(step_change));
	for (uint32_t at = 0; at < nr; at += 8) {
		unsigned mask;

		if (at % 64 == 0) {
			if (p == end)
				return NULL;
			groups = p;
			*p++ = 0;
		}
		mask = nr - at >= 8 ? changed_mask(prev + at, values + at, 8) : changed_mask(prev + at, values + at, nr - at);
		if (!mask)
			continue;
		if (end - p < 1 + CGM_MAX_VARINT * __builtin_popcount(mask))
			return NULL;
		*groups |= (uint8_t)(1 << at / 8 % 8);
		*p++ = (uint8_t)mask;
		for (; mask; mask &= mask - 1) {
			uint32_t i = at + (uint32_t)__builtin_ctz(mask);

			p = cgm_put_varint(p, zigzag(values[i] - prev[i]));
		}
	}
	return p;
}

/* Room that is enough for encode() of a first sample. */
static size_t first_sample_room(const uint64_t *values, uint32_t nr)
{
	size_t room = CGM_MAX_VARINT + nr / 64 + nr / 8 + 2 + CGM_MAX_VARINT * 8;

	for (uint32_t i = 0; i < nr; i++)
		room += values[i] ? (size_t)(70 - __builtin_clzll(zigzag(values[i]))) / 7 : 0;
	return room;
}

static bool expired(const struct cgm_history *h, const struct cgm_chunk *c, uint64_t now_ns)
{
	return now_ns < c->last_ns || now_ns - c->last_ns > h->keep_ns;
}

/* The list without expired chunks and with added (NULL: none) behind; takes over added's reference. NULL: out of memory. */
static struct cgm_chunk_list *list_next(const struct cgm_history *h, struct cgm_chunk *added, uint64_t now_ns)
{
	const struct cgm_chunk_list *old = h->list;
	struct cgm_chunk_list *l = cgm_malloc(sizeof(*l) + ((old ? old->nr : 0) + 1) * sizeof(void *));

	if (!l)
		return NULL;
	l->refs = 1;
	l->nr = 0;
	for (uint32_t i = 0; old && i < old->nr; i++) {
		if (expired(h, old->chunks[i], now_ns))
			continue;
		__atomic_add_fetch(&old->chunks[i]->refs, 1, __ATOMIC_RELAXED);
		l->chunks[l->nr++] = old->chunks[i];
	}
	if (added)
		l->chunks[l->nr++] = added;
	return l;
}

static void list_replace(struct cgm_history *h, struct cgm_chunk_list *l)
{
	list_unref(h->list);
	h->list = l;
}

static struct cgm_chunk *chunk_new(struct cgm_layout *l, uint64_t time_ns, size_t room)
{
	size_t bytes = sizeof(struct cgm_chunk) + room;
	struct cgm_chunk *c;

	/* A first sample of half a block or more gets a block that also has room for differences. */
	bytes = bytes <= CHUNK_BYTES / 2 ? CHUNK_BYTES : (bytes + CHUNK_BYTES + 511) / 512 * 512;
	c = cgm_malloc(bytes);
	if (!c)
		return NULL;
	*c = (struct cgm_chunk){
		.refs = 1,
		.cap = (uint32_t)(bytes - sizeof(*c)),
		.first_ns = time_ns,
		.layout = cgm_layout_ref(l),
	};
	return c;
}

/* Packs behind the chunk's samples. False: no room. */
static bool chunk_append(struct cgm_history *h, struct cgm_chunk *c, uint64_t time_ns, const uint64_t *values)
{
	uint64_t step_ns = c->nr_samples ? time_ns - h->prev_ns : 0, old_step_ns = c->nr_samples ? h->prev_step_ns : 0;
	uint8_t *end = encode(c->data + c->len, c->data + c->cap, step_ns - old_step_ns, h->prev, values, c->layout->nr_values);

	if (!end)
		return false;
	c->len = (uint32_t)(end - c->data);
	c->nr_samples++;
	c->last_ns = time_ns;
	memcpy(h->prev, values, c->layout->nr_values * sizeof(*values));
	h->prev_ns = time_ns;
	h->prev_step_ns = step_ns;
	return true;
}

static int open_chunk(struct cgm_history *h, struct cgm_layout *l, uint64_t time_ns, const uint64_t *values)
{
	_cleanup_(cgm_chunk_freep) struct cgm_chunk *c = NULL;
	struct cgm_chunk_list *list;
	uint64_t *prev;

	if (l->nr_values > h->cap_prev) {
		prev = cgm_realloc(h->prev, l->nr_values * sizeof(*prev));
		if (!prev)
			return -ENOMEM;
		h->prev = prev;
		h->cap_prev = l->nr_values;
	}
	c = chunk_new(l, time_ns, first_sample_room(values, l->nr_values));
	if (!c)
		return -ENOMEM;
	list = list_next(h, c, time_ns);
	if (!list)
		return -ENOMEM;
	list_replace(h, list);
	memset(h->prev, 0, l->nr_values * sizeof(*h->prev));
	chunk_append(h, TAKE_PTR(c), time_ns, values);
	return 0;
}

int cgm_history_add(struct cgm_history *h, struct cgm_layout *l, uint64_t time_ns, const uint64_t *values)
{
	struct cgm_chunk *tail = h->list ? h->list->chunks[h->list->nr - 1] : NULL;
	struct cgm_chunk_list *list;

	/* In a time before the newest (the clock was set back) a new chunk begins, and everything later than it goes. */
	if (!tail || tail->layout != l || time_ns < h->prev_ns || !chunk_append(h, tail, time_ns, values))
		return open_chunk(h, l, time_ns, values);
	if (expired(h, h->list->chunks[0], time_ns)) {
		list = list_next(h, NULL, time_ns);
		if (list)
			list_replace(h, list); /* else: out of memory, the next sample tries again */
	}
	return 0;
}

void cgm_history_fetch(const struct cgm_history *h)
{
	if (!h || !h->list)
		return;
	for (size_t i = 0; i < h->cap_prev; i += 64 / sizeof(*h->prev))
		__builtin_prefetch(&h->prev[i]);
	__builtin_prefetch(h->list);
}

bool cgm_history_ends_with(const struct cgm_history *h, const struct cgm_layout *l, uint64_t time_ns, const uint64_t *values)
{
	return h->list && h->list->chunks[h->list->nr - 1]->layout == l && h->prev_ns <= time_ns &&
	       memcmp(h->prev, values, l->nr_values * sizeof(*values)) == 0;
}

void cgm_history_view_init(struct cgm_history *h, struct cgm_history_view *ret)
{
	uint64_t last_ns;

	*ret = (struct cgm_history_view){ .chunks = h->list };
	if (!h->list)
		return;
	last_ns = h->list->chunks[h->list->nr - 1]->last_ns;
	__atomic_add_fetch(&h->list->refs, 1, __ATOMIC_RELAXED);
	ret->tail_len = h->list->chunks[h->list->nr - 1]->len;
	ret->tail_samples = h->list->chunks[h->list->nr - 1]->nr_samples;
	ret->oldest_ns = last_ns > h->keep_ns ? last_ns - h->keep_ns : 0;
}

void cgm_history_view_done(struct cgm_history_view *v)
{
	list_unref(v->chunks);
	*v = (struct cgm_history_view){ 0 };
}

static size_t nr_chunks(const struct cgm_history_view *v)
{
	return v->chunks ? v->chunks->nr : 0;
}

static size_t samples_in(const struct cgm_history_view *v, size_t chunk)
{
	return chunk + 1 == v->chunks->nr ? v->tail_samples : v->chunks->chunks[chunk]->nr_samples;
}

size_t cgm_history_view_count(const struct cgm_history_view *v)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_chunks(v); i++)
		nr += samples_in(v, i);
	return nr;
}

/* Passes over the values of a packed sample. */
static const uint8_t *skip_values(const uint8_t *p, uint32_t nr)
{
	for (uint32_t at = 0; at < nr; at += 64) {
		for (unsigned groups = *p++; groups; groups &= groups - 1) {
			int left = __builtin_popcount(*p++);

			while (left)
				left -= !(*p++ & 0x80);
		}
	}
	return p;
}

/* Counts the samples of one chunk that are before start_ns and those in [start_ns, end_ns]. */
static void chunk_range(const struct cgm_chunk *c, size_t nr, uint64_t start_ns, uint64_t end_ns, size_t *before, size_t *inside)
{
	uint64_t time_ns = c->first_ns, step_ns = 0, change;
	const uint8_t *p = c->data;

	for (size_t i = 0; i < nr; i++) {
		p = cgm_get_varint(p, &change);
		step_ns += unzigzag(change);
		time_ns += step_ns;
		if (time_ns > end_ns)
			return;
		++*(time_ns < start_ns ? before : inside);
		p = skip_values(p, c->layout->nr_values);
	}
}

int cgm_history_view_range(const struct cgm_history_view *v, uint64_t start_ns, uint64_t end_ns, size_t *ret_first, size_t *ret_nr)
{
	size_t before = 0, inside = 0;

	if (!end_ns)
		end_ns = UINT64_MAX;
	if (start_ns < v->oldest_ns)
		start_ns = v->oldest_ns;
	for (size_t i = 0; i < nr_chunks(v); i++) {
		const struct cgm_chunk *c = v->chunks->chunks[i];
		bool finished = i + 1 < v->chunks->nr; /* only then last_ns is ours to read */

		if (finished && c->last_ns < start_ns)
			before += c->nr_samples;
		else if (finished && c->first_ns >= start_ns && c->last_ns <= end_ns)
			inside += c->nr_samples;
		else
			chunk_range(c, samples_in(v, i), start_ns, end_ns, &before, &inside);
	}
	*ret_first = before;
	*ret_nr = inside;
	return 0;
}

void cgm_history_iter_init(struct cgm_history_iter *it, const struct cgm_history_view *v)
{
	*it = (struct cgm_history_iter){ .view = v };
}

void cgm_history_iter_done(struct cgm_history_iter *it)
{
	free(it->values);
	*it = (struct cgm_history_iter){ 0 };
}

static int iter_enter_chunk(struct cgm_history_iter *it, const struct cgm_chunk *c)
{
	size_t nr = c->layout->nr_values;

	if (nr > it->cap_values) {
		uint64_t *p = cgm_realloc(it->values, nr * sizeof(*p));

		if (!p)
			return -ENOMEM;
		it->values = p;
		it->cap_values = nr;
	}
	memset(it->values, 0, nr * sizeof(*it->values));
	it->layout = c->layout;
	it->time_ns = c->first_ns;
	it->step_ns = 0;
	it->pos = c->data;
	return 0;
}

static void iter_decode(struct cgm_history_iter *it)
{
	const uint8_t *p = it->pos;
	uint64_t d;

	p = cgm_get_varint(p, &d);
	it->step_ns += unzigzag(d);
	it->time_ns += it->step_ns;
	for (uint32_t at = 0; at < it->layout->nr_values; at += 64) {
		for (unsigned groups = *p++; groups; groups &= groups - 1) {
			uint64_t *v = it->values + at + 8 * (uint32_t)__builtin_ctz(groups);

			for (unsigned mask = *p++; mask; mask &= mask - 1) {
				p = cgm_get_varint(p, &d);
				v[__builtin_ctz(mask)] += unzigzag(d);
			}
		}
	}
	it->pos = p;
}

int cgm_history_iter_next(struct cgm_history_iter *it)
{
	while (it->chunk < nr_chunks(it->view) && it->sample == samples_in(it->view, it->chunk)) {
		it->chunk++;
		it->sample = 0;
	}
	if (it->chunk >= nr_chunks(it->view))
		return 0;
	if (it->sample == 0) {
		int err = iter_enter_chunk(it, it->view->chunks->chunks[it->chunk]);

		if (err)
			return err;
	}
	iter_decode(it);
	it->sample++;
	return 1;
}

int cgm_history_iter_seek(struct cgm_history_iter *it, size_t index)
{
	size_t nr = nr_chunks(it->view);

	it->sample = 0;
	for (it->chunk = 0; it->chunk < nr && index >= samples_in(it->view, it->chunk); it->chunk++)
		index -= samples_in(it->view, it->chunk);
	for (; it->chunk < nr && index; index--) {
		int err = cgm_history_iter_next(it);

		if (err < 0)
			return err;
	}
	return 0;
}
