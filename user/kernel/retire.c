// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a slot. DEAD (its cgroup was removed) -> DRAINING (out of slot_of, so no program finds it any more; one tick passes, in which
 * programs that had already found it end) -> its rows are added to what its parent has of removed ones, zeroed, and the slot is free.
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

/* What was folded into a slot, as we keep it beside the pinned map. */
static int keep_retired(struct cgm_kernel *k, enum cgm_rows_map map, uint32_t slot, const union cgm_any_row *row)
{
	union cgm_any_row **p = &k->retired[map][slot];

	if (!row) {
		free(*p);
		*p = NULL;
		return 0;
	}
	if (!*p)
		*p = cgm_malloc(k->rows[map].size);
	if (!*p)
		return -ENOMEM;
	memcpy(*p, row, k->rows[map].size);
	return 0;
}

/* -ENOMEM: nothing was done, and the journal may be dropped. */
static int redo_rows(struct cgm_kernel *k)
{
	const struct cgm_journal *j = k->journal;
	struct cgm_retired_key to = { j->to_slot, j->map }, from = { j->from_slot, j->map };
	int fd = bpf_map__fd(k->skel->maps.cgm_retired);

	if (j->map >= CGM_NR_ROWS_MAPS || !k->rows[j->map].used || !cgm_has_rows(k, j->from_slot) || !cgm_has_rows(k, j->to_slot))
		return 0;
	if (bpf_map_update_elem(fd, &to, &j->row, BPF_ANY) < 0)
		return -ENOMEM;
	(void)bpf_map_delete_elem(fd, &from);
	for (uint32_t shard = 0; shard < k->nr_shards; shard++)
		memset(cgm_row_at(k, j->map, shard, j->from_slot), 0, k->rows[j->map].size);
	return 0;
}

static void redo_keyed(struct cgm_kernel *k)
{
	const struct cgm_journal *j = k->journal;
	int fd;

	if (j->map >= CGM_NR_KEYED_MAPS)
		return;
	fd = bpf_map__fd(k->keyed[j->map].map);
	if (bpf_map_update_elem(fd, &j->to_key, j->sum, BPF_ANY) < 0)
		__atomic_fetch_add(&k->drops[j->map == CGM_KEYED_BLOCK ? CGM_DROP_BLOCK_MAP : CGM_DROP_WAIT_MAP], 1, __ATOMIC_RELAXED);
	(void)bpf_map_delete_elem(fd, &j->from_key);
}

/* What the journal says, from its beginning: may be done any number of times. */
static int redo(struct cgm_kernel *k)
{
	if (k->journal->kind == CGM_JOURNAL_ROWS)
		return redo_rows(k);
	if (k->journal->kind == CGM_JOURNAL_KEYED)
		redo_keyed(k);
	return 0;
}

static int commit(struct cgm_kernel *k, enum cgm_journal_kind kind)
{
	int r;

	journal_begin(k, kind);
	r = redo(k);
	journal_end(k);
	return r;
}

static bool is_zero(const struct cgm_kernel *k, enum cgm_rows_map map, uint32_t slot)
{
	if (k->retired[map][slot])
		return false;
	for (uint32_t shard = 0; shard < k->nr_shards; shard++) {
		const uint64_t *v = cgm_row_at(k, map, shard, slot);

		for (size_t i = 0; i < k->rows[map].size / sizeof(*v); i++)
			if (v[i])
				return false;
	}
	return true;
}

/* 0; -ENOMEM: it was not done, and the slot keeps its counts. */
static int fold_rows(struct cgm_kernel *k, enum cgm_rows_map map, uint32_t from, uint32_t to)
{
	const struct cgm_rows *r = &k->rows[map];
	struct cgm_journal *j = k->journal;
	int err;

	if (!r->used || is_zero(k, map, from))
		return 0;
	j->map = map;
	j->from_slot = from;
	j->to_slot = to;
	memset(&j->row, 0, sizeof(j->row));
	if (k->retired[map][to])
		r->add(&j->row, k->retired[map][to]);
	if (k->retired[map][from])
		r->add(&j->row, k->retired[map][from]);
	for (uint32_t shard = 0; shard < k->nr_shards; shard++)
		r->add(&j->row, cgm_row_at(k, map, shard, from));
	/* Ours first: when there is no memory for it, nothing has happened. */
	if (!k->retired[map][to]) {
		k->retired[map][to] = cgm_calloc(1, r->size);
		if (!k->retired[map][to])
			return -ENOMEM;
	}
	err = commit(k, CGM_JOURNAL_ROWS);
	if (err < 0)
		return err;
	(void)keep_retired(k, map, to, &j->row);
	return keep_retired(k, map, from, NULL);
}

static void fold_keyed(struct cgm_kernel *k, enum cgm_keyed_map map, const struct cgm_block_key *key, uint32_t to)
{
	struct cgm_journal *j = k->journal;
	int fd = bpf_map__fd(k->keyed[map].map);
	size_t size = k->keyed[map].size;
	_cleanup_free_ uint64_t *child = cgm_malloc(size);

	j->map = map;
	j->from_slot = key->slot;
	j->to_slot = to;
	j->from_key = *key;
	j->to_key = (struct cgm_block_key){ .slot = to, .dev = key->dev, .op = key->op, .retired = 1 };
	if (!child || bpf_map_lookup_elem(fd, key, child) < 0)
		return;
	if (bpf_map_lookup_elem(fd, &j->to_key, j->sum) < 0)
		memset(j->sum, 0, size);
	cgm_add_u64s(j->sum, child, size);
	commit(k, CGM_JOURNAL_KEYED);
}

int cgm_retire_read(struct cgm_kernel *k, int fd)
{
	struct cgm_retired_key key, *prev = NULL;
	union cgm_any_row row;
	int r = 0;

	while (r == 0 && bpf_map_get_next_key(fd, prev, &key) == 0) {
		if (key.map < CGM_NR_ROWS_MAPS && key.slot < k->nr_slots && bpf_map_lookup_elem(fd, &key, &row) == 0)
			r = keep_retired(k, (enum cgm_rows_map)key.map, key.slot, &row);
		prev = &key;
	}
	return r;
}

void cgm_retire_forget(struct cgm_kernel *k)
{
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++)
		for (uint32_t slot = 0; k->retired[i] && slot < k->nr_slots; slot++) {
			free(k->retired[i][slot]);
			k->retired[i][slot] = NULL;
		}
}

int cgm_retire_recover(struct cgm_kernel *k)
{
	if (k->journal->kind != CGM_JOURNAL_NONE) {
		cgm_info("ending a fold of counters that a former run had begun");
		(void)redo(k);
		journal_end(k);
	}
	return cgm_retire_read(k, bpf_map__fd(k->skel->maps.cgm_retired));
}

/* Keys of slots that are draining, found by one walk over a map's keys. */
struct keys {
	struct cgm_block_key *v;
	size_t nr, cap;
};

static int collect_keys(const struct cgm_kernel *k, enum cgm_keyed_map map, struct keys *keys)
{
	int fd = bpf_map__fd(k->keyed[map].map);
	struct cgm_block_key key, *prev = NULL;

	while (bpf_map_get_next_key(fd, prev, &key) == 0) {
		if (key.slot < k->nr_all && k->slots[key.slot].state == CGM_SLOT_DRAINING) {
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

/* keys: of each keyed map. False: out of memory; the slot goes on draining, and what was not folded yet is at the next call. */
static bool release(struct cgm_kernel *k, uint32_t slot, const struct keys *keys)
{
	bool bare = slot >= k->nr_slots;
	uint32_t heir = k->heir[slot];

	for (unsigned i = 0; i < CGM_NR_ROWS_MAPS && cgm_has_rows(k, slot) && cgm_has_rows(k, heir); i++)
		if (fold_rows(k, (enum cgm_rows_map)i, slot, heir) < 0)
			return false;
	for (unsigned m = 0; m < CGM_NR_KEYED_MAPS; m++)
		for (size_t i = 0; i < keys[m].nr; i++)
			if (keys[m].v[i].slot == slot)
				fold_keyed(k, (enum cgm_keyed_map)m, &keys[m].v[i], heir);
	k->slots[slot] = (struct cgm_slot){ 0 };
	if (bpf_map_update_elem(bpf_map__fd(bare ? k->skel->maps.cgm_free_bare : k->skel->maps.cgm_free_slots), NULL, &slot, BPF_ANY) < 0)
		cgm_log_once(CGM_LOG_WARNING, "a slot could not be put back onto the stack of free ones: %s", strerror(errno));
	return true;
}

static bool any_draining(const struct cgm_kernel *k)
{
	for (uint32_t i = 1; i < k->nr_all; i = cgm_next_slot(k, i))
		if (k->slots[i].state == CGM_SLOT_DRAINING)
			return true;
	return false;
}

/* Folds what is draining. Returns how many. */
static size_t release_all(struct cgm_kernel *k)
{
	_cleanup_free_ struct cgm_block_key *blocks = NULL, *waits = NULL;
	struct keys keys[CGM_NR_KEYED_MAPS] = { 0 };
	int r = collect_keys(k, CGM_KEYED_BLOCK, &keys[CGM_KEYED_BLOCK]);
	size_t nr = 0;

	if (r == 0)
		r = collect_keys(k, CGM_KEYED_WAIT, &keys[CGM_KEYED_WAIT]);
	blocks = keys[CGM_KEYED_BLOCK].v;
	waits = keys[CGM_KEYED_WAIT].v;
	/* Only heirs found by the last sweep are right: a slot that is draining was dead at that sweep. */
	for (uint32_t i = 1; r == 0 && i < k->nr_all; i = cgm_next_slot(k, i)) {
		if (k->slots[i].state != CGM_SLOT_DRAINING || k->heir[i] == i || has_requests_in_flight(k, i, &keys[CGM_KEYED_BLOCK]))
			continue;
		nr += release(k, i, keys);
	}
	return nr;
}

size_t cgm_kernel_retire(struct cgm_kernel *k)
{
	size_t nr;

	if (!k->slots)
		return 0;
	nr = any_draining(k) ? release_all(k) : 0;
	for (uint32_t i = 1; i < k->nr_all; i = cgm_next_slot(k, i))
		if (k->slots[i].state == CGM_SLOT_DEAD)
			drain(k, i);
	return nr;
}
