// SPDX-License-Identifier: Apache-2.0
/* Slots and counts: register, list, sweep, read. Reads of mapped arrays take no system call. */
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernel/internal.h"

#define BLOCK_BATCH 512

uint32_t cgm_kernel_slot(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id)
{
	struct cgm_cgroup_key key = { .id = id, .hierarchy = hierarchy };
	uint32_t slot;

	if (!k->slots || bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.cgm_slot_of), &key, &slot) < 0)
		return CGM_SLOT_OVERFLOW;
	return slot < k->nr_slots ? slot : CGM_SLOT_OVERFLOW;
}

static void count_drop(struct cgm_kernel *k, enum cgm_drop d)
{
	__atomic_fetch_add(&k->drops[d], 1, __ATOMIC_RELAXED);
}

uint32_t cgm_kernel_register(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id, uint64_t parent_id)
{
	struct cgm_cgroup_key key = { .id = id, .hierarchy = hierarchy };
	uint32_t slot = cgm_kernel_slot(k, hierarchy, id);
	int fd;

	if (!k->slots)
		return CGM_SLOT_OVERFLOW;
	if (slot != CGM_SLOT_OVERFLOW) {
		k->seen[slot] = 1;
		return slot;
	}
	fd = bpf_map__fd(k->skel->maps.cgm_free_slots);
	if (bpf_map_lookup_and_delete_elem(fd, NULL, &slot) < 0) {
		count_drop(k, CGM_DROP_SLOTS_FULL);
		return CGM_SLOT_OVERFLOW;
	}
	/* The owner first: a program that finds the slot in slot_of must find it filled in. */
	k->slots[slot] = (struct cgm_slot){
		.cgroup_id = id,
		.parent_id = parent_id,
		.hierarchy = hierarchy,
		.state = CGM_SLOT_LIVE,
		.born_ns = cgm_clock_mono_ns(),
	};
	if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.cgm_slot_of), &key, &slot, BPF_NOEXIST) < 0) {
		/* The kernel side was faster. */
		k->slots[slot] = (struct cgm_slot){ 0 };
		bpf_map_update_elem(fd, NULL, &slot, BPF_ANY);
		slot = cgm_kernel_slot(k, hierarchy, id);
	}
	k->seen[slot] = 1;
	return slot;
}

void cgm_kernel_list_begin(struct cgm_kernel *k)
{
	if (!k->slots)
		return;
	memset(k->seen, 0, k->nr_slots);
	k->list_began_ns = cgm_clock_mono_ns();
}

void cgm_kernel_list_end(struct cgm_kernel *k)
{
	if (!k->slots)
		return;
	for (uint32_t i = 1; i < k->nr_slots; i++) {
		struct cgm_slot *s = &k->slots[i];

		if (s->state != CGM_SLOT_LIVE || k->seen[i] || s->born_ns >= k->list_began_ns)
			continue;
		s->died_ns = cgm_clock_mono_ns();
		s->state = CGM_SLOT_DEAD;
	}
}

/* The slot that counts for a removed cgroup: walks up until a living one. The root's when the way ends. */
static uint32_t find_heir(struct cgm_kernel *k, const uint32_t *pending, size_t nr_pending, uint32_t slot)
{
	for (unsigned depth = 0; depth < 64; depth++) {
		const struct cgm_slot *s = &k->slots[slot];
		uint32_t up = CGM_SLOT_OVERFLOW;

		if (s->state == CGM_SLOT_LIVE)
			return slot;
		for (size_t i = 0; i < nr_pending && up == CGM_SLOT_OVERFLOW; i++)
			if (k->slots[pending[i]].cgroup_id == s->parent_id && k->slots[pending[i]].hierarchy == s->hierarchy && pending[i] != slot)
				up = pending[i];
		if (up == CGM_SLOT_OVERFLOW && s->parent_id)
			up = cgm_kernel_slot(k, s->hierarchy, s->parent_id);
		if (up == CGM_SLOT_OVERFLOW)
			up = cgm_kernel_slot(k, s->hierarchy, 1);
		if (up == CGM_SLOT_OVERFLOW || up == slot)
			return CGM_SLOT_OVERFLOW;
		slot = up;
	}
	return CGM_SLOT_OVERFLOW;
}

static void find_heirs(struct cgm_kernel *k)
{
	_cleanup_free_ uint32_t *pending = NULL;
	size_t nr = 0, cap = 0;

	memset(k->pending_head, 0, k->nr_slots * sizeof(*k->pending_head));
	for (uint32_t i = 0; i < k->nr_slots; i++) {
		uint32_t state = __atomic_load_n(&k->slots[i].state, __ATOMIC_ACQUIRE);

		k->heir[i] = i;
		if (state != CGM_SLOT_FREE && i >= k->nr_mapped)
			(void)cgm_map_rows(k, i + 1);
		if (state == CGM_SLOT_FREE && i)
			k->has_retired[i] = 0; /* a new owner begins with none */
		if (state != CGM_SLOT_DEAD && state != CGM_SLOT_DRAINING)
			continue;
		if (cgm_grow((void **)&pending, &cap, nr, sizeof(*pending)) < 0)
			return; /* they count for nobody until the next sweep */
		pending[nr++] = i;
	}
	for (size_t i = 0; i < nr; i++) {
		uint32_t slot = pending[i], heir = find_heir(k, pending, nr, slot);

		k->heir[slot] = heir;
		k->pending_next[slot] = k->pending_head[heir];
		k->pending_head[heir] = slot + 1;
	}
}

static void add_block(struct cgm_kernel *k, const struct cgm_block_key *key, const struct cgm_block *b)
{
	uint32_t slot = key->slot < k->nr_slots ? k->heir[key->slot] : CGM_SLOT_OVERFLOW;
	struct cgm_block_entry *e;

	for (uint32_t i = k->block_head[slot]; i; i = e->next) {
		e = &k->blocks[i - 1];
		if (e->key.dev == key->dev && e->key.op == key->op) {
			cgm_add_u64s(&e->b, b, sizeof(*b));
			return;
		}
	}
	if (cgm_grow((void **)&k->blocks, &k->cap_blocks, k->nr_blocks, sizeof(*k->blocks)) < 0) {
		k->blocks_cut = true;
		return;
	}
	e = &k->blocks[k->nr_blocks++];
	e->key = *key;
	e->b = *b;
	e->next = k->block_head[slot];
	k->block_head[slot] = (uint32_t)k->nr_blocks;
}

static void read_blocks(struct cgm_kernel *k)
{
	int fd = bpf_map__fd(k->skel->maps.cgm_block);
	_cleanup_free_ struct cgm_block_key *keys = cgm_calloc(BLOCK_BATCH, sizeof(*keys));
	_cleanup_free_ struct cgm_block *values = cgm_calloc(BLOCK_BATCH, sizeof(*values));
	uint32_t position = 0, next = 0;
	bool first = true;

	memset(k->block_head, 0, k->nr_slots * sizeof(*k->block_head));
	k->nr_blocks = 0;
	k->blocks_cut = !keys || !values;
	while (keys && values) {
		uint32_t count = BLOCK_BATCH;
		int r = bpf_map_lookup_batch(fd, first ? NULL : &position, &next, keys, values, &count, NULL);

		if (r < 0 && r != -ENOENT) {
			cgm_log_once(CGM_LOG_WARNING, "cannot read the block map: %s", strerror(-r));
			k->blocks_cut = true;
			break;
		}
		for (uint32_t i = 0; i < count; i++)
			add_block(k, &keys[i], &values[i]);
		if (r == -ENOENT)
			break;
		position = next;
		first = false;
	}
}

static void walk_tasks(struct cgm_kernel *k)
{
	_cleanup_close_ int fd = -1;
	char none[64];

	if (k->walk_fd < 0)
		return;
	fd = bpf_iter_create(k->walk_fd);
	if (fd < 0) {
		cgm_log_once(CGM_LOG_WARNING, "cannot start the task iterator: %s", strerror(-fd));
		return;
	}
	__atomic_fetch_add(k->walk, 1, __ATOMIC_SEQ_CST);
	/* It prints nothing; -EAGAIN: the kernel took a breath after very many tasks. */
	for (;;) {
		ssize_t n = read(fd, none, sizeof(none));

		if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
			continue;
		break;
	}
}

void cgm_kernel_sweep(struct cgm_kernel *k)
{
	if (!k->slots)
		return;
	walk_tasks(k);
	find_heirs(k);
	if (cgm_kernel_has(k, "block"))
		read_blocks(k);
}

bool cgm_kernel_slot_live(const struct cgm_kernel *k, uint32_t slot)
{
	return k->slots && slot != CGM_SLOT_OVERFLOW && slot < k->nr_slots && k->heir[slot] == slot && k->slots[slot].state == CGM_SLOT_LIVE;
}

/* How many rows of a slot have counts: the last one only once something was folded into it. */
static uint32_t nr_rows(const struct cgm_kernel *k, uint32_t slot)
{
	return k->nr_shards + k->has_retired[slot];
}

static void add_sched_rows(const struct cgm_kernel *k, uint32_t slot, struct cgm_sched *sum)
{
	for (uint32_t row = 0; row < nr_rows(k, slot); row++)
		cgm_add_u64s(sum, cgm_sched_at(k, row, slot), sizeof(*sum));
}

void cgm_kernel_add_sched(const struct cgm_kernel *k, uint32_t slot, struct cgm_sched *sum)
{
	if (!k->slots || slot >= k->nr_mapped)
		return;
	add_sched_rows(k, slot, sum);
	for (uint32_t i = k->pending_head[slot]; i; i = k->pending_next[i - 1])
		if (i - 1 < k->nr_mapped)
			add_sched_rows(k, i - 1, sum);
}

static void add_net_rows(const struct cgm_kernel *k, uint32_t slot, struct cgm_net *sum)
{
	for (uint32_t row = 0; row < nr_rows(k, slot); row++)
		cgm_add_u64s(sum, cgm_net_at(k, row, slot), sizeof(*sum));
}

void cgm_kernel_add_net(const struct cgm_kernel *k, uint32_t slot, struct cgm_net *sum)
{
	if (!k->slots || slot >= k->nr_mapped)
		return;
	add_net_rows(k, slot, sum);
	for (uint32_t i = k->pending_head[slot]; i; i = k->pending_next[i - 1])
		if (i - 1 < k->nr_mapped)
			add_net_rows(k, i - 1, sum);
}

bool cgm_kernel_tasks(const struct cgm_kernel *k, uint32_t slot, struct cgm_tasks *ret)
{
	if (!k->slots || k->walk_fd < 0)
		return false;
	*ret = (struct cgm_tasks){ 0 };
	if (slot < k->nr_slots && k->tasks[slot].generation == *k->walk)
		*ret = k->tasks[slot];
	return true;
}

const struct cgm_block *cgm_kernel_next_block(const struct cgm_kernel *k, uint32_t slot, size_t *iter, uint32_t *ret_dev, enum cgm_block_op *ret_op)
{
	const struct cgm_block_entry *e;
	uint32_t i;

	if (!k->slots || slot >= k->nr_slots)
		return NULL;
	/* iter: 0 at the start, index + 1 of the entry handed out last, SIZE_MAX at the end */
	if (*iter == SIZE_MAX)
		return NULL;
	i = *iter ? k->blocks[*iter - 1].next : k->block_head[slot];
	if (!i) {
		*iter = SIZE_MAX;
		return NULL;
	}
	e = &k->blocks[i - 1];
	*iter = i;
	*ret_dev = e->key.dev;
	*ret_op = e->key.op < CGM_NR_BLOCK_OPS ? (enum cgm_block_op)e->key.op : CGM_BLOCK_OTHER;
	return &e->b;
}

int cgm_kernel_event_fd(const struct cgm_kernel *k)
{
	return k->ring ? ring_buffer__epoll_fd(k->ring) : -1;
}

int cgm_kernel_poll(struct cgm_kernel *k, cgm_event_fn fn, void *arg)
{
	if (!k->ring)
		return 0;
	k->event_fn = fn;
	k->event_arg = arg;
	return ring_buffer__consume(k->ring);
}

void cgm_kernel_drops(const struct cgm_kernel *k, uint64_t ret[CGM_NR_DROPS])
{
	for (unsigned i = 0; i < CGM_NR_DROPS; i++)
		ret[i] = k->drops ? __atomic_load_n(&k->drops[i], __ATOMIC_RELAXED) : 0;
}

uint64_t cgm_kernel_map_bytes(const struct cgm_kernel *k)
{
	return k->map_bytes;
}

uint32_t cgm_kernel_slots_used(const struct cgm_kernel *k)
{
	uint32_t nr = 0;

	for (uint32_t i = 1; k->slots && i < k->nr_slots; i++)
		nr += k->slots[i].state != CGM_SLOT_FREE;
	return nr;
}
