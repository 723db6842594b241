// SPDX-License-Identifier: Apache-2.0
#include "model/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"

#define ALIGN 16

/* Where copies are put, one behind the other. p NULL: they are only measured. */
struct room {
	char *p;
	size_t len;
};

static void *put(struct room *r, const void *from, size_t size)
{
	void *to = r->p ? r->p + r->len : NULL;

	if (to && size)
		memcpy(to, from, size);
	r->len += (size + ALIGN - 1) / ALIGN * ALIGN;
	return to;
}

/* to: a copy of from, whose buckets are still from's; NULL: it is only measured. */
static void put_buckets(struct room *r, const struct cgm_live_hist *from, struct cgm_live_hist *to)
{
	const uint64_t *buckets = put(r, from->buckets, from->nr * sizeof(*from->buckets));

	if (to)
		to->buckets = buckets;
}

static void put_sched(struct room *r, const struct cgm_live_sched *from, struct cgm_live_sched *to)
{
	put_buckets(r, &from->runq_delay, to ? &to->runq_delay : NULL);
	put_buckets(r, &from->on_cpu, to ? &to->on_cpu : NULL);
	for (size_t i = 0; i < CGM_NR_OFF_CPU; i++)
		put_buckets(r, &from->off_cpu[i], to ? &to->off_cpu[i] : NULL);
}

static struct cgm_live *put_live(struct room *r, const struct cgm_live *from)
{
	struct cgm_live *to = put(r, from, sizeof(*from));
	struct cgm_live_block *blocks = put(r, from->blocks, from->nr_blocks * sizeof(*blocks));
	struct cgm_live_wait *waits = put(r, from->waits, from->nr_waits * sizeof(*waits));
	struct cgm_dear *dear = from->dear ? put(r, from->dear, sizeof(*dear)) : NULL;

	put_sched(r, &from->sched, to ? &to->sched : NULL);
	for (size_t i = 0; i < from->nr_blocks; i++) {
		put_buckets(r, &from->blocks[i].queue_to_done, blocks ? &blocks[i].queue_to_done : NULL);
		put_buckets(r, &from->blocks[i].issue_to_done, blocks ? &blocks[i].issue_to_done : NULL);
	}
	for (size_t i = 0; i < from->nr_waits; i++)
		put_buckets(r, &from->waits[i].hist, waits ? &waits[i].hist : NULL);
	if (to) {
		to->blocks = blocks;
		to->waits = waits;
		to->dear = dear;
	}
	return to;
}

static void put_all(struct room *r, const uint64_t *values, size_t nr_values, const struct cgm_live *live)
{
	struct cgm_kept head = { .refs = 1 }, *k = put(r, &head, sizeof(head));
	uint64_t *copy = put(r, values, nr_values * sizeof(*values));
	struct cgm_live *live_copy = live ? put_live(r, live) : NULL;

	if (!k)
		return;
	k->values = copy;
	k->live = live_copy;
	k->bytes = r->len;
}

struct cgm_kept *cgm_kept_new(const uint64_t *values, size_t nr_values, const struct cgm_live *live)
{
	struct room measured = { 0 }, room = { 0 };

	put_all(&measured, values, nr_values, live);
	room.p = cgm_malloc(measured.len);
	if (!room.p)
		return NULL;
	put_all(&room, values, nr_values, live);
	return (struct cgm_kept *)room.p;
}

struct cgm_kept *cgm_kept_ref(struct cgm_kept *k)
{
	__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void cgm_kept_unref(struct cgm_kept *k)
{
	if (k && __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(k);
}
