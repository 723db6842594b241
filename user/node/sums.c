// SPDX-License-Identifier: Apache-2.0
/*
 * The wide sums of a container: some 6 KB, of which few are needed at once (one for each inner node of the tree that is being summed up),
 * and the narrow form that a snapshot keeps of them.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "node/fold.h"

#define ALL_QUADS ((1U << ((CGM_HIST_BUCKETS + 3) / 4)) - 1)

static void clear_sched(struct cgm_sched *s)
{
	for (unsigned i = 0; i < CGM_NR_SCHED_HISTS; i++) {
		struct cgm_hist *h = &s->runq_delay + i;

		for (uint32_t quads = s->quads[i]; quads; quads &= quads - 1) {
			unsigned first = 4 * (unsigned)__builtin_ctz(quads);

			memset(&h->buckets[first], 0, MIN(4, CGM_HIST_BUCKETS - first) * sizeof(h->buckets[0]));
		}
		h->sum_ns = 0;
	}
	memset(&s->voluntary, 0, sizeof(*s) - offsetof(struct cgm_sched, voluntary));
}

struct cgm_sums *cgm_sums_get(struct cgm_containers *cs)
{
	struct cgm_sums *s = cs->free_sums;

	if (!s)
		return cgm_calloc(1, sizeof(*s));
	cs->free_sums = s->next_free;
	clear_sched(&s->sched);
	memset(&s->net, 0, sizeof(s->net));
	memset(&s->counts, 0, sizeof(s->counts));
	memset(s->socks, 0, sizeof(s->socks));
	if (s->has_dear)
		memset(&s->dear, 0, sizeof(s->dear));
	s->has_dear = false;
	memset(s->has_wait, 0, sizeof(s->has_wait));
	s->nr_blocks = 0;
	return s;
}

void cgm_sums_put(struct cgm_containers *cs, struct cgm_sums *s)
{
	s->next_free = cs->free_sums;
	cs->free_sums = s;
}

void cgm_fold_done(struct cgm_containers *cs)
{
	while (cs->free_sums) {
		struct cgm_sums *s = cs->free_sums;

		cs->free_sums = s->next_free;
		for (size_t i = 0; i < ARRAY_SIZE(s->waits); i++)
			free(s->waits[i]);
		free(s->blocks);
		free(s);
	}
}

/* Out of memory leaves the device out for this tick; the kernel's own counts are not touched, so the next tick has it again. */
static void add_block(struct cgm_sums *s, uint32_t dev, enum cgm_block_op op, const struct cgm_block *b)
{
	for (size_t i = 0; i < s->nr_blocks; i++) {
		if (s->blocks[i].dev != dev || s->blocks[i].op != op)
			continue;
		cgm_add_u64s(&s->blocks[i].b, b, sizeof(*b));
		return;
	}
	if (cgm_grow((void **)&s->blocks, &s->cap_blocks, s->nr_blocks, sizeof(*s->blocks)) < 0)
		return;
	s->blocks[s->nr_blocks++] = (struct cgm_block_sum){ .dev = dev, .op = op, .b = *b };
}

/* The same for a wait. */
static void add_wait(struct cgm_sums *s, enum cgm_wait wait, const struct cgm_hist *h)
{
	if (s->has_wait[wait]) {
		cgm_add_u64s(s->waits[wait], h, sizeof(*h));
		return;
	}
	if (!s->waits[wait])
		s->waits[wait] = cgm_malloc(sizeof(*h));
	if (!s->waits[wait])
		return;
	*s->waits[wait] = *h;
	s->has_wait[wait] = true;
}

static void add_rows(struct cgm_sums *s, const struct cgm_kernel *k, uint32_t slot)
{
	const struct cgm_hist *h;
	enum cgm_wait wait;
	size_t iter = 0;

	cgm_kernel_add_sched(k, slot, &s->sched);
	cgm_kernel_add_net(k, slot, &s->net);
	cgm_kernel_add_counts(k, slot, &s->counts);
	cgm_kernel_add_socks(k, slot, s->socks);
	cgm_kernel_add_dear(k, slot, &s->dear);
	s->has_dear = cgm_kernel_has_dear(k);
	while ((h = cgm_kernel_next_wait(k, slot, &iter, &wait)))
		add_wait(s, wait, h);
}

static void add_blocks(struct cgm_sums *s, const struct cgm_kernel *k, uint32_t slot)
{
	const struct cgm_block *b;
	enum cgm_block_op op;
	size_t iter = 0;
	uint32_t dev;

	while ((b = cgm_kernel_next_block(k, slot, &iter, &dev, &op)))
		add_block(s, dev, op, b);
}

void cgm_sums_add_slot(struct cgm_sums *s, const struct cgm_kernel *k, uint32_t sched_slot, uint32_t block_slot)
{
	if (sched_slot != CGM_SLOT_OVERFLOW)
		add_rows(s, k, sched_slot);
	if (block_slot != CGM_SLOT_OVERFLOW)
		add_blocks(s, k, block_slot);
}

void cgm_sums_add_overflow(struct cgm_sums *s, const struct cgm_kernel *k)
{
	add_rows(s, k, CGM_SLOT_OVERFLOW);
	add_blocks(s, k, CGM_SLOT_OVERFLOW);
}

void cgm_sums_add(struct cgm_sums *to, const struct cgm_sums *from, bool rows, bool blocks)
{
	if (rows) {
		cgm_add_sched(&to->sched, &from->sched);
		cgm_add_u64s(&to->net, &from->net, sizeof(to->net));
		cgm_add_u64s(&to->counts, &from->counts, sizeof(to->counts));
		cgm_add_u64s(to->socks, from->socks, sizeof(to->socks));
		if (from->has_dear)
			cgm_add_u64s(&to->dear, &from->dear, sizeof(to->dear));
		for (unsigned i = 0; i < CGM_NR_WAITS; i++)
			if (from->has_wait[i])
				add_wait(to, (enum cgm_wait)i, from->waits[i]);
	}
	for (size_t i = 0; blocks && i < from->nr_blocks; i++)
		add_block(to, from->blocks[i].dev, from->blocks[i].op, &from->blocks[i].b);
}

static bool all_zero(const void *p, size_t size)
{
	const uint64_t *v = p;

	for (size_t i = 0; i < size / sizeof(*v); i++)
		if (v[i])
			return false;
	return true;
}

bool cgm_sums_empty(const struct cgm_sums *s)
{
	for (size_t i = 0; i < CGM_NR_WAITS; i++)
		if (s->has_wait[i])
			return false;
	return !s->nr_blocks && all_zero(&s->sched, sizeof(s->sched)) && all_zero(&s->net, sizeof(s->net)) &&
	       all_zero(&s->counts, sizeof(s->counts)) && all_zero(s->socks, sizeof(s->socks)) && all_zero(&s->dear, sizeof(s->dear));
}

/* quads: where something may be, as in struct cgm_sched. False: out of memory. */
static bool pack_hist(const struct cgm_hist *h, uint32_t quads, struct cgm_snapshot *snap, struct cgm_live_hist *ret)
{
	unsigned first = quads ? 4 * (unsigned)__builtin_ctz(quads) : 0;
	unsigned end = quads ? MIN(4 * (32 - (unsigned)__builtin_clz(quads)), (unsigned)CGM_HIST_BUCKETS) : 0;
	uint64_t *buckets;

	while (first < end && !h->buckets[first])
		first++;
	while (end > first && !h->buckets[end - 1])
		end--;
	*ret = (struct cgm_live_hist){ .sum_ns = h->sum_ns, .first = (uint16_t)first, .nr = (uint16_t)(end - first) };
	if (end == first)
		return true;
	buckets = cgm_snapshot_alloc(snap, (end - first) * sizeof(*buckets));
	if (!buckets)
		return false;
	for (unsigned i = first; i < end; i++) {
		buckets[i - first] = h->buckets[i];
		ret->count += h->buckets[i];
	}
	ret->buckets = buckets;
	return true;
}

static bool pack_sched(const struct cgm_sched *from, struct cgm_snapshot *snap, struct cgm_live_sched *to)
{
	bool ok = pack_hist(&from->runq_delay, from->quads[CGM_RUNQ_DELAY], snap, &to->runq_delay) &&
		  pack_hist(&from->on_cpu, from->quads[CGM_ON_CPU], snap, &to->on_cpu);

	for (size_t i = 0; ok && i < CGM_NR_OFF_CPU; i++)
		ok = pack_hist(&from->off_cpu[i], from->quads[CGM_OFF_CPU + i], snap, &to->off_cpu[i]);
	to->voluntary = from->voluntary;
	to->involuntary = from->involuntary;
	to->migrations = from->migrations;
	memcpy(to->preempted, from->preempted, sizeof(to->preempted));
	return ok;
}

static bool pack_blocks(const struct cgm_sums *s, struct cgm_snapshot *snap, struct cgm_live *live)
{
	live->blocks = s->nr_blocks ? cgm_snapshot_alloc(snap, s->nr_blocks * sizeof(*live->blocks)) : NULL;
	if (s->nr_blocks && !live->blocks)
		return false;
	for (size_t i = 0; i < s->nr_blocks; i++) {
		const struct cgm_block *b = &s->blocks[i].b;
		struct cgm_live_block *to = &live->blocks[i];

		*to = (struct cgm_live_block){ .dev = s->blocks[i].dev, .op = s->blocks[i].op, .bytes = b->bytes, .requests = b->requests,
					       .issued = b->issued, .sync_bytes = b->sync_bytes,
					       .sync_requests = b->sync_requests, .merged = b->merged, .busy_ns = b->busy_ns,
					       .dirtied_pages = b->dirtied_pages, .requeues = b->requeues };
		memcpy(to->errors, b->errors, sizeof(to->errors));
		memcpy(to->sizes, b->sizes, sizeof(to->sizes));
		if (!pack_hist(&b->queue_to_done, ALL_QUADS, snap, &to->queue_to_done) || !pack_hist(&b->issue_to_done, ALL_QUADS, snap, &to->issue_to_done))
			return false;
	}
	live->nr_blocks = s->nr_blocks;
	return true;
}

static bool pack_waits(const struct cgm_sums *s, struct cgm_snapshot *snap, struct cgm_live *live)
{
	size_t nr = 0;

	for (size_t i = 0; i < CGM_NR_WAITS; i++)
		nr += s->has_wait[i];
	live->waits = nr ? cgm_snapshot_alloc(snap, nr * sizeof(*live->waits)) : NULL;
	if (nr && !live->waits)
		return false;
	for (unsigned i = 0; i < CGM_NR_WAITS; i++) {
		if (!s->has_wait[i])
			continue;
		live->waits[live->nr_waits].wait = (enum cgm_wait)i;
		if (!pack_hist(s->waits[i], ALL_QUADS, snap, &live->waits[live->nr_waits].hist))
			return false;
		live->nr_waits++;
	}
	return true;
}

struct cgm_live *cgm_sums_pack(const struct cgm_sums *s, struct cgm_snapshot *snap)
{
	struct cgm_live *live = cgm_snapshot_alloc(snap, sizeof(*live));

	if (!live || !pack_sched(&s->sched, snap, &live->sched) || !pack_blocks(s, snap, live) || !pack_waits(s, snap, live))
		return NULL;
	live->net = s->net;
	live->counts = s->counts;
	memcpy(live->socks, s->socks, sizeof(live->socks));
	if (s->has_dear) {
		live->dear = cgm_snapshot_alloc(snap, sizeof(*live->dear));
		if (!live->dear)
			return NULL;
		*live->dear = s->dear;
	}
	return live;
}
