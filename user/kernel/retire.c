// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a slot. DEAD (its cgroup was removed) -> DRAINING (out of slot_of, so no program finds it any more; one tick passes, in which
 * programs that had already found it end) -> its rows are added to the retired rows of its parent, zeroed, and the slot is free.
 *
 * The maps may outlive us at any instruction, so a fold is written to a redo log first: the parent's new row and what is to be zeroed.
 * Doing it again gives the same result; cgm_retire_recover() does so at the next start. No count is lost or added twice by a kill -9.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/cleanup.h"
#include "kernel/internal.h"

/* How long a dead slot waits for block requests that are still with the driver. */
#define MAX_WAIT_NS (10 * CGM_NSEC_PER_SEC)

static void journal_begin(struct cgm_kernel *k, enum cgm_journal_kind kind)
{
	__atomic_store_n(&k->journal->kind, kind, __ATOMIC_SEQ_CST);
}

static void journal_end(struct cgm_kernel *k)
{
	__atomic_store_n(&k->journal->kind, CGM_JOURNAL_NONE, __ATOMIC_SEQ_CST);
}

/* What the journal says, from its beginning: may be done any number of times. */
static void redo(struct cgm_kernel *k)
{
	const struct cgm_journal *j = k->journal;
	int fd = bpf_map__fd(k->skel->maps.cgm_block);

	if (j->from_slot >= k->nr_slots || j->to_slot >= k->nr_slots || cgm_map_rows(k, MAX(j->from_slot, j->to_slot) + 1) < 0)
		return;
	switch (j->kind) {
	case CGM_JOURNAL_SCHED:
		*cgm_sched_at(k, k->nr_shards, j->to_slot) = j->sched;
		for (uint32_t shard = 0; shard <= k->nr_shards; shard++)
			memset(cgm_sched_at(k, shard, j->from_slot), 0, sizeof(struct cgm_sched));
		break;
	case CGM_JOURNAL_NET:
		*cgm_net_at(k, k->nr_shards, j->to_slot) = j->net;
		for (uint32_t shard = 0; shard <= k->nr_shards; shard++)
			memset(cgm_net_at(k, shard, j->from_slot), 0, sizeof(struct cgm_net));
		break;
	case CGM_JOURNAL_BLOCK:
		if (bpf_map_update_elem(fd, &j->to_key, &j->block, BPF_ANY) < 0)
			__atomic_fetch_add(&k->drops[CGM_DROP_BLOCK_MAP], 1, __ATOMIC_RELAXED);
		(void)bpf_map_delete_elem(fd, &j->from_key);
		break;
	default:
		break;
	}
}

static void commit(struct cgm_kernel *k, enum cgm_journal_kind kind)
{
	journal_begin(k, kind);
	redo(k);
	journal_end(k);
}

static void fold_sched(struct cgm_kernel *k, uint32_t from, uint32_t to)
{
	k->journal->from_slot = from;
	k->journal->to_slot = to;
	k->journal->sched = *cgm_sched_at(k, k->nr_shards, to);
	for (uint32_t shard = 0; shard <= k->nr_shards; shard++)
		cgm_add_u64s(&k->journal->sched, cgm_sched_at(k, shard, from), sizeof(struct cgm_sched));
	commit(k, CGM_JOURNAL_SCHED);
}

static void fold_net(struct cgm_kernel *k, uint32_t from, uint32_t to)
{
	k->journal->from_slot = from;
	k->journal->to_slot = to;
	k->journal->net = *cgm_net_at(k, k->nr_shards, to);
	for (uint32_t shard = 0; shard <= k->nr_shards; shard++)
		cgm_add_u64s(&k->journal->net, cgm_net_at(k, shard, from), sizeof(struct cgm_net));
	commit(k, CGM_JOURNAL_NET);
}

static void fold_block(struct cgm_kernel *k, const struct cgm_block_key *key, uint32_t to)
{
	int fd = bpf_map__fd(k->skel->maps.cgm_block);
	struct cgm_block child, *sum = &k->journal->block;

	k->journal->from_slot = key->slot;
	k->journal->to_slot = to;
	k->journal->from_key = *key;
	k->journal->to_key = (struct cgm_block_key){ .slot = to, .dev = key->dev, .op = key->op, .retired = 1 };
	if (bpf_map_lookup_elem(fd, key, &child) < 0)
		return;
	if (bpf_map_lookup_elem(fd, &k->journal->to_key, sum) < 0)
		memset(sum, 0, sizeof(*sum));
	cgm_add_u64s(sum, &child, sizeof(child));
	commit(k, CGM_JOURNAL_BLOCK);
}

void cgm_retire_recover(struct cgm_kernel *k)
{
	if (k->journal->kind == CGM_JOURNAL_NONE)
		return;
	cgm_info("ending a fold of counters that a former run had begun");
	redo(k);
	journal_end(k);
}

/* Block keys by slot, found by one walk over the map's keys. */
struct keys {
	struct cgm_block_key *v;
	size_t nr, cap;
};

static int collect_keys(struct cgm_kernel *k, struct keys *keys)
{
	int fd = bpf_map__fd(k->skel->maps.cgm_block);
	struct cgm_block_key key, *prev = NULL;

	while (bpf_map_get_next_key(fd, prev, &key) == 0) {
		if (key.slot < k->nr_slots && k->slots[key.slot].state == CGM_SLOT_DRAINING) {
			if (cgm_grow((void **)&keys->v, &keys->cap, keys->nr, sizeof(key)) < 0)
				return -ENOMEM;
			keys->v[keys->nr++] = key;
		}
		prev = &key;
	}
	return 0;
}

static bool has_requests_in_flight(const struct cgm_kernel *k, uint32_t slot, const struct keys *keys)
{
	int fd = bpf_map__fd(k->skel->maps.cgm_block);
	struct cgm_block b;

	if (cgm_clock_mono_ns() - k->slots[slot].died_ns > MAX_WAIT_NS)
		return false;
	for (size_t i = 0; i < keys->nr; i++)
		if (keys->v[i].slot == slot && !keys->v[i].retired && bpf_map_lookup_elem(fd, &keys->v[i], &b) == 0 && b.issued != b.requests)
			return true;
	return false;
}

static void drain(struct cgm_kernel *k, uint32_t slot)
{
	struct cgm_slot *s = &k->slots[slot];
	struct cgm_cgroup_key key = { .id = s->cgroup_id, .hierarchy = s->hierarchy };

	/* The state first: who finds it in slot_of after this finds a slot that is no longer to be used. */
	__atomic_store_n(&s->state, CGM_SLOT_DRAINING, __ATOMIC_SEQ_CST);
	(void)bpf_map_delete_elem(bpf_map__fd(k->skel->maps.cgm_slot_of), &key);
}

static void release(struct cgm_kernel *k, uint32_t slot, const struct keys *keys)
{
	uint32_t heir = k->heir[slot];

	k->has_retired[heir] = 1;
	fold_sched(k, slot, heir);
	fold_net(k, slot, heir);
	for (size_t i = 0; i < keys->nr; i++)
		if (keys->v[i].slot == slot)
			fold_block(k, &keys->v[i], heir);
	k->slots[slot] = (struct cgm_slot){ 0 };
	if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.cgm_free_slots), NULL, &slot, BPF_ANY) < 0)
		cgm_log_once(CGM_LOG_WARNING, "a slot could not be put back onto the stack of free ones: %s", strerror(errno));
}

size_t cgm_kernel_retire(struct cgm_kernel *k)
{
	_cleanup_free_ struct cgm_block_key *owned = NULL;
	struct keys keys = { 0 };
	size_t nr = 0;
	bool any = false;
	int r;

	if (!k->slots)
		return 0;
	for (uint32_t i = 1; i < k->nr_slots && !any; i++)
		any = k->slots[i].state == CGM_SLOT_DRAINING;
	if (any) {
		r = collect_keys(k, &keys);
		owned = keys.v;
		/* Only heirs found by the last sweep are right: a slot that is draining was dead at that sweep. */
		for (uint32_t i = 1; r == 0 && i < k->nr_slots; i++) {
			if (k->slots[i].state != CGM_SLOT_DRAINING || k->heir[i] == i || i >= k->nr_mapped || has_requests_in_flight(k, i, &keys))
				continue;
			release(k, i, &keys);
			nr++;
		}
	}
	for (uint32_t i = 1; i < k->nr_slots; i++)
		if (k->slots[i].state == CGM_SLOT_DEAD)
			drain(k, i);
	return nr;
}
