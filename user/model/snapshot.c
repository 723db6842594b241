// SPDX-License-Identifier: Apache-2.0
#include "model/snapshot.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define ARENA_BLOCK_BYTES ((size_t)256 * 1024)
#define ARENA_ALIGN 16

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	_Alignas(ARENA_ALIGN) unsigned char data[];
};

struct cgm_store {
	pthread_mutex_t lock; /* protects newest alone */
	struct cgm_snapshot *newest;
	struct cgm_bell bell;
};

struct cgm_snapshot *cgm_snapshot_new(size_t nr_rows)
{
	struct cgm_snapshot *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	s->rows = cgm_snapshot_alloc(s, nr_rows * sizeof(*s->rows));
	if (!s->rows) {
		free(s);
		return NULL;
	}
	return s;
}

void *cgm_snapshot_alloc(struct cgm_snapshot *s, size_t size)
{
	struct arena_block *b = s->arena, *fresh;
	size_t cap = ARENA_BLOCK_BYTES - sizeof(*b);

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
	if (!b || b->cap - b->used < size) {
		if (cap < size)
			cap = size;
		fresh = cgm_calloc(1, sizeof(*b) + cap);
		if (!fresh)
			return NULL;
		fresh->cap = cap;
		s->arena_bytes += sizeof(*b) + cap;
		/* A big one goes behind the block in use, so that the room left there is not lost. */
		if (b && size > ARENA_BLOCK_BYTES / 4) {
			fresh->used = size;
			fresh->next = b->next;
			b->next = fresh;
			return fresh->data;
		}
		fresh->next = b;
		s->arena = b = fresh;
	}
	b->used += size;
	return b->data + b->used - size;
}

struct cgm_snapshot *cgm_snapshot_ref(struct cgm_snapshot *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void cgm_snapshot_unref(struct cgm_snapshot *s)
{
	struct arena_block *next;

	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < s->nr_rows + s->nr_ended; i++) {
		cgm_identity_unref(s->rows[i].identity);
		cgm_layout_unref(s->rows[i].layout);
		cgm_history_view_done(&s->rows[i].history);
		cgm_summary_unref(s->rows[i].summary);
		cgm_app_metrics_unref(s->rows[i].app);
		cgm_storage_unref(s->rows[i].storage);
		cgm_history_view_done(&s->rows[i].trail);
		cgm_kept_unref(s->rows[i].kept);
	}
	for (struct arena_block *b = s->arena; b; b = next) {
		next = b->next;
		free(b);
	}
	free(s);
}

const struct cgm_row *cgm_snapshot_find(const struct cgm_snapshot *s, const char *name)
{
	size_t lo = 0, hi = s->nr_rows;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(name, s->rows[mid].identity->name);

		if (cmp == 0)
			return &s->rows[mid];
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

int cgm_snapshot_is_below(const struct cgm_snapshot *s, size_t row, size_t top)
{
	/* Depth falls with each step to a parent, so this ends; a row whose depth is not above its parent's is a root. */
	while (row != top) {
		size_t parent = s->rows[row].parent;

		if (s->rows[parent].depth >= s->rows[row].depth)
			return 0;
		row = parent;
	}
	return 1;
}

struct cgm_store *cgm_store_new(void)
{
	struct cgm_store *st = cgm_calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	if (cgm_bell_init(&st->bell) < 0) {
		free(st);
		return NULL;
	}
	pthread_mutex_init(&st->lock, NULL);
	return st;
}

void cgm_store_free(struct cgm_store *st)
{
	if (!st)
		return;
	cgm_snapshot_unref(st->newest);
	pthread_mutex_destroy(&st->lock);
	cgm_bell_done(&st->bell);
	free(st);
}

void cgm_store_publish(struct cgm_store *st, struct cgm_snapshot *s)
{
	struct cgm_snapshot *old;

	pthread_mutex_lock(&st->lock);
	old = st->newest;
	st->newest = s;
	pthread_mutex_unlock(&st->lock);
	cgm_bell_ring(&st->bell);
	cgm_snapshot_unref(old);
}

struct cgm_snapshot *cgm_store_get(struct cgm_store *st)
{
	struct cgm_snapshot *s;

	pthread_mutex_lock(&st->lock);
	s = st->newest ? cgm_snapshot_ref(st->newest) : NULL;
	pthread_mutex_unlock(&st->lock);
	return s;
}

struct cgm_bell *cgm_store_bell(struct cgm_store *st)
{
	return &st->bell;
}
