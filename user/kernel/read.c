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

#define BATCH 256
#define FILES_INTERVAL_NS (10 * CGM_NSEC_PER_SEC)
#define FEW_TASKS 2000 /* a walk over no more is made at each sweep */
#define WALK_SHARE 1000 /* one over more has a thousandth of a CPU on average */

uint32_t cgm_kernel_slot(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id)
{
	struct cgm_cgroup_key key = { .id = id, .hierarchy = hierarchy };
	uint32_t slot;

	if (!k->slots || bpf_map_lookup_elem(k->slot_of_fd, &key, &slot) < 0)
		return CGM_SLOT_OVERFLOW;
	return slot < k->nr_all ? slot : CGM_SLOT_OVERFLOW;
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
	fd = bpf_map__fd(hierarchy == k->config.sched_hierarchy ? k->skel->maps.cgm_free_slots : k->skel->maps.cgm_free_bare);
	if (bpf_map_lookup_and_delete_elem(fd, NULL, &slot) < 0) {
		cgm_rows_keep_ahead(k);
		if (bpf_map_lookup_and_delete_elem(fd, NULL, &slot) < 0) {
			count_drop(k, CGM_DROP_SLOTS_FULL);
			return CGM_SLOT_OVERFLOW;
		}
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
	memset(k->seen, 0, k->nr_all);
	k->list_began_ns = cgm_clock_mono_ns();
}

void cgm_kernel_list_end(struct cgm_kernel *k)
{
	if (!k->slots)
		return;
	for (uint32_t i = 1; i < k->nr_all; i = cgm_next_slot(k, i)) {
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

/* False: all slots count for themselves, as they did the last time. */
static bool find_heirs(struct cgm_kernel *k)
{
	_cleanup_free_ uint32_t *pending = NULL;
	size_t nr = 0, cap = 0;
	bool had;

	memset(k->pending_head, 0, k->nr_all * sizeof(*k->pending_head));
	for (uint32_t i = 0; i < k->nr_all; i = cgm_next_slot(k, i)) {
		uint32_t state = __atomic_load_n(&k->slots[i].state, __ATOMIC_ACQUIRE);

		k->heir[i] = i;
		if (state != CGM_SLOT_DEAD && state != CGM_SLOT_DRAINING)
			continue;
		if (cgm_grow((void **)&pending, &cap, nr, sizeof(*pending)) < 0) {
			k->has_heirs = true;
			return true; /* they count for nobody until the next sweep */
		}
		pending[nr++] = i;
	}
	for (size_t i = 0; i < nr; i++) {
		uint32_t slot = pending[i], heir = find_heir(k, pending, nr, slot);

		k->heir[slot] = heir;
		k->pending_next[slot] = k->pending_head[heir];
		k->pending_head[heir] = slot + 1;
	}
	had = k->has_heirs;
	k->has_heirs = nr != 0;
	return had || nr;
}

static void add_keyed_to(struct cgm_keyed *m, uint32_t slot, const struct cgm_block_key *key, const uint64_t *value)
{
	struct cgm_keyed_entry *e;

	for (uint32_t i = m->head[slot]; i; i = e->next) {
		e = &m->entries[i - 1];
		if (e->key.dev == key->dev && e->key.op == key->op) {
			cgm_add_u64s(m->values + (i - 1) * (m->size / 8), value, m->size);
			return;
		}
	}
	if (cgm_grow((void **)&m->entries, &m->cap, m->nr, sizeof(*m->entries)) < 0 ||
	    cgm_grow((void **)&m->values, &m->cap_values, m->nr, m->size) < 0) {
		m->cut = true;
		return;
	}
	memcpy(m->values + m->nr * (m->size / 8), value, m->size);
	e = &m->entries[m->nr++];
	e->key = *key;
	e->next = m->head[slot];
	m->head[slot] = (uint32_t)m->nr;
}

/* A removed cgroup's for its heir; and for itself, for who asks what its last counts were. */
static void add_keyed(struct cgm_kernel *k, struct cgm_keyed *m, const struct cgm_block_key *key, const uint64_t *value)
{
	uint32_t heir = key->slot < k->nr_all ? k->heir[key->slot] : CGM_SLOT_OVERFLOW;

	add_keyed_to(m, heir, key, value);
	if (key->slot < k->nr_all && heir != key->slot)
		add_keyed_to(m, key->slot, key, value);
}

/*
 * Is anything else there than the last sweep found? What was being counted then is looked at once more: a program says so before it counts.
 * And removed cgroups, now or then, are counted for another.
 */
static bool has_moved(struct cgm_kernel *k, enum cgm_keyed_map map, bool new_heirs)
{
	struct cgm_keyed *m = &k->keyed[map];
	bool moves = !k->touched || __atomic_exchange_n(&k->touched[map], 0, __ATOMIC_ACQ_REL);
	bool changed = moves || m->moved || new_heirs || m->cut || !m->has_read;

	m->moved = moves;
	m->has_read = true;
	return changed;
}

static void read_keyed(struct cgm_kernel *k, struct cgm_keyed *m)
{
	_cleanup_free_ struct cgm_block_key *keys = cgm_calloc(BATCH, sizeof(*keys));
	_cleanup_free_ uint64_t *values = cgm_calloc(BATCH, m->size);
	uint32_t position = 0, next = 0;
	bool first = true;

	memset(m->head, 0, k->nr_all * sizeof(*m->head));
	m->nr = 0;
	m->cut = !keys || !values;
	while (keys && values) {
		uint32_t count = BATCH;
		int r = bpf_map_lookup_batch(m->fd, first ? NULL : &position, &next, keys, values, &count, NULL);

		if (r < 0 && r != -ENOENT) {
			cgm_log_once(CGM_LOG_WARNING, "cannot read the map %s: %s", m->name, strerror(-r));
			m->cut = true;
			break;
		}
		for (uint32_t i = 0; i < count; i++)
			add_keyed(k, m, &keys[i], values + i * (m->size / 8));
		if (r == -ENOENT)
			break;
		position = next;
		first = false;
	}
}

/* Runs an iterator to its end; k->walk tells its rows from those of the walk before. Returns the CPU time it took in ns; 0: it did not run. */
static uint64_t walk(struct cgm_kernel *k, enum cgm_walk_kind kind)
{
	_cleanup_close_ int fd = -1;
	uint64_t cpu_ns;
	char none[64];

	if (k->walk_fd[kind] < 0)
		return 0;
	cpu_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	fd = bpf_iter_create(k->walk_fd[kind]);
	if (fd < 0) {
		cgm_log_once(CGM_LOG_WARNING, "cannot start the iterator over %s: %s", kind == CGM_WALK_TASKS ? "tasks" : kind == CGM_WALK_FILES ? "open files" : "sockets", strerror(-fd));
		return 0;
	}
	__atomic_fetch_add(&k->walk[kind], 1, __ATOMIC_SEQ_CST);
	/* It prints nothing; -EAGAIN: the kernel took a breath after very many tasks. */
	for (;;) {
		ssize_t n = read(fd, none, sizeof(none));

		if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
			continue;
		break;
	}
	cpu_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	cgm_cost_walked(k, k->walk_fd[kind], cpu_ns);
	return cpu_ns;
}

static uint64_t nr_tasks(const struct cgm_kernel *k)
{
	uint64_t nr = 0;

	for (uint32_t slot = 0; slot < k->nr_slots; slot++)
		if (k->tasks[slot].generation == k->walk[CGM_WALK_TASKS])
			for (unsigned i = 0; i < CGM_NR_TASK_STATES; i++)
				nr += k->tasks[slot].nr[i];
	return nr;
}

/*
 * With some thousand threads the walk would be what costs most of all: it is left out until it has had its share, and its rows stay as they are.
 * Nearly all threads of a machine full of containers sleep, those of their runtime's shims before all.
 */
static void walk_tasks(struct cgm_kernel *k)
{
	uint64_t now = cgm_clock_mono_ns(), took;

	if (now < k->tasks_due_ns)
		return;
	took = walk(k, CGM_WALK_TASKS);
	k->tasks_due_ns = took && nr_tasks(k) > FEW_TASKS ? now + took * WALK_SHARE : 0;
}

/* There may be a thousand descriptors to a task, and they hardly change. */
static void walk_files(struct cgm_kernel *k)
{
	uint64_t now = cgm_clock_mono_ns();

	if (k->files_walked_ns && now - k->files_walked_ns < FILES_INTERVAL_NS)
		return;
	k->files_walked_ns = now;
	walk(k, CGM_WALK_FILES);
}

void cgm_kernel_walk_sockets(struct cgm_kernel *k)
{
	if (k->slots)
		walk(k, CGM_WALK_SOCKETS);
}

void cgm_kernel_sweep(struct cgm_kernel *k)
{
	bool new_heirs;

	if (!k->slots || (k->by_pins && cgm_pinned_sweep(k) < 0))
		return;
	walk_tasks(k);
	walk_files(k);
	new_heirs = find_heirs(k);
	for (unsigned i = 0; i < CGM_NR_KEYED_MAPS; i++)
		if (has_moved(k, (enum cgm_keyed_map)i, new_heirs))
			read_keyed(k, &k->keyed[i]);
	if (!k->by_pins)
		cgm_rows_keep_ahead(k);
}

bool cgm_kernel_slot_live(const struct cgm_kernel *k, uint32_t slot)
{
	return k->slots && slot != CGM_SLOT_OVERFLOW && slot < k->nr_all && k->heir[slot] == slot && k->slots[slot].state == CGM_SLOT_LIVE;
}

bool cgm_kernel_slot_is(const struct cgm_kernel *k, uint32_t slot, uint64_t id)
{
	return k->slots && id && slot != CGM_SLOT_OVERFLOW && slot < k->nr_all && k->slots[slot].state != CGM_SLOT_FREE && k->slots[slot].cgroup_id == id;
}

static void add_slot(const struct cgm_kernel *k, enum cgm_rows_map map, uint32_t slot, void *sum)
{
	const struct cgm_rows *r = &k->rows[map];

	if (!r->used || !cgm_has_rows(k, slot))
		return;
	for (uint32_t shard = 0; shard < k->nr_shards; shard++)
		r->add(sum, cgm_row_at(k, map, shard, slot));
	if (k->retired[map][slot])
		r->add(sum, k->retired[map][slot]);
}

static void add_rows(const struct cgm_kernel *k, enum cgm_rows_map map, uint32_t slot, void *sum)
{
	if (!k->slots || slot >= k->nr_all)
		return;
	add_slot(k, map, slot, sum);
	for (uint32_t i = k->pending_head[slot]; i; i = k->pending_next[i - 1])
		add_slot(k, map, i - 1, sum);
}

static void fetch(const void *from, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += 64)
		__builtin_prefetch((const char *)from + at);
}

void cgm_kernel_fetch(const struct cgm_kernel *k, uint32_t slot)
{
	if (!cgm_has_rows(k, slot))
		return;
	for (uint32_t shard = 0; shard < k->nr_shards; shard++) {
		const struct cgm_sched *s = cgm_row_at(k, CGM_ROWS_SCHED, shard, slot);

		for (unsigned i = 0; i < CGM_NR_SCHED_HISTS; i++)
			__builtin_prefetch(&(&s->runq_delay + i)->sum_ns);
		fetch(&s->voluntary, sizeof(*s) - offsetof(struct cgm_sched, voluntary));
		fetch(cgm_row_at(k, CGM_ROWS_NET, shard, slot), sizeof(struct cgm_net));
		fetch(cgm_row_at(k, CGM_ROWS_COUNTS, shard, slot), sizeof(struct cgm_counts));
	}
	__builtin_prefetch(&k->tasks[slot]);
	__builtin_prefetch(&k->socks[slot]);
	__builtin_prefetch(&k->open_files[slot]);
}

void cgm_kernel_fetch_hists(const struct cgm_kernel *k, uint32_t slot)
{
	if (!cgm_has_rows(k, slot))
		return;
	for (uint32_t shard = 0; shard < k->nr_shards; shard++) {
		const struct cgm_sched *s = cgm_row_at(k, CGM_ROWS_SCHED, shard, slot);

		for (unsigned i = 0; i < CGM_NR_SCHED_HISTS; i++)
			for (uint32_t quads = __atomic_load_n(&s->quads[i], __ATOMIC_RELAXED); quads; quads &= quads - 1)
				__builtin_prefetch(&(&s->runq_delay + i)->buckets[4 * (unsigned)__builtin_ctz(quads)]);
	}
}

void cgm_kernel_add_sched(const struct cgm_kernel *k, uint32_t slot, struct cgm_sched *sum)
{
	add_rows(k, CGM_ROWS_SCHED, slot, sum);
}

void cgm_kernel_add_net(const struct cgm_kernel *k, uint32_t slot, struct cgm_net *sum)
{
	add_rows(k, CGM_ROWS_NET, slot, sum);
}

void cgm_kernel_add_counts(const struct cgm_kernel *k, uint32_t slot, struct cgm_counts *sum)
{
	add_rows(k, CGM_ROWS_COUNTS, slot, sum);
}

void cgm_kernel_add_dear(const struct cgm_kernel *k, uint32_t slot, struct cgm_dear *sum)
{
	add_rows(k, CGM_ROWS_DEAR, slot, sum);
}

bool cgm_kernel_has_dear(const struct cgm_kernel *k)
{
	return k->rows[CGM_ROWS_DEAR].used;
}

bool cgm_kernel_tasks(const struct cgm_kernel *k, uint32_t slot, struct cgm_tasks *ret)
{
	if (!k->slots || k->walk_fd[CGM_WALK_TASKS] < 0)
		return false;
	*ret = (struct cgm_tasks){ 0 };
	if (slot < k->nr_slots && k->tasks[slot].generation == k->walk[CGM_WALK_TASKS])
		*ret = k->tasks[slot];
	return true;
}

bool cgm_kernel_open_files(const struct cgm_kernel *k, uint32_t slot, struct cgm_open_files *ret)
{
	if (!k->slots || k->walk_fd[CGM_WALK_FILES] < 0)
		return false;
	*ret = (struct cgm_open_files){ 0 };
	if (slot < k->nr_slots && k->open_files[slot].generation == k->walk[CGM_WALK_FILES])
		*ret = k->open_files[slot];
	return true;
}

static void add_socks(const struct cgm_kernel *k, uint32_t slot, uint64_t sum[CGM_NR_SOCK_GAUGES])
{
	if (slot >= k->nr_slots || k->socks[slot].generation != k->walk[CGM_WALK_SOCKETS])
		return;
	for (unsigned i = 0; i < CGM_NR_SOCK_GAUGES; i++)
		sum[i] += k->socks[slot].v[i];
}

void cgm_kernel_add_socks(const struct cgm_kernel *k, uint32_t slot, uint64_t sum[CGM_NR_SOCK_GAUGES])
{
	if (!k->slots || k->walk_fd[CGM_WALK_SOCKETS] < 0 || !k->walk[CGM_WALK_SOCKETS] || slot >= k->nr_all)
		return;
	add_socks(k, slot, sum);
	for (uint32_t i = k->pending_head[slot]; i; i = k->pending_next[i - 1])
		add_socks(k, i - 1, sum);
}

/* iter: 0 at the start, index + 1 of the entry handed out last, SIZE_MAX at the end. */
static const uint64_t *next_keyed(const struct cgm_kernel *k, enum cgm_keyed_map map, uint32_t slot, size_t *iter, const struct cgm_block_key **ret_key)
{
	const struct cgm_keyed *m = &k->keyed[map];
	uint32_t i;

	if (!k->slots || slot >= k->nr_all || *iter == SIZE_MAX)
		return NULL;
	i = *iter ? m->entries[*iter - 1].next : m->head[slot];
	if (!i) {
		*iter = SIZE_MAX;
		return NULL;
	}
	*iter = i;
	*ret_key = &m->entries[i - 1].key;
	return m->values + (i - 1) * (m->size / 8);
}

const struct cgm_block *cgm_kernel_next_block(const struct cgm_kernel *k, uint32_t slot, size_t *iter, uint32_t *ret_dev, enum cgm_block_op *ret_op)
{
	const struct cgm_block_key *key;
	const uint64_t *v = next_keyed(k, CGM_KEYED_BLOCK, slot, iter, &key);

	if (!v)
		return NULL;
	*ret_dev = key->dev;
	*ret_op = key->op < CGM_NR_BLOCK_OPS ? (enum cgm_block_op)key->op : CGM_BLOCK_OTHER;
	return (const struct cgm_block *)v;
}

const struct cgm_hist *cgm_kernel_next_wait(const struct cgm_kernel *k, uint32_t slot, size_t *iter, enum cgm_wait *ret_wait)
{
	const struct cgm_block_key *key;
	const uint64_t *v;

	while ((v = next_keyed(k, CGM_KEYED_WAIT, slot, iter, &key))) {
		if (key->dev >= CGM_NR_WAITS)
			continue;
		*ret_wait = (enum cgm_wait)key->dev;
		return (const struct cgm_hist *)v;
	}
	return NULL;
}

int cgm_kernel_event_fd(const struct cgm_kernel *k)
{
	return k->ring ? ring_buffer__epoll_fd(k->ring) : -1;
}

int cgm_kernel_poll(struct cgm_kernel *k, cgm_event_fn fn, void *arg)
{
	int r;

	if (!k->ring)
		return 0;
	k->event_fn = fn;
	k->event_arg = arg;
	r = ring_buffer__consume(k->ring);
	if (r > 0)
		cgm_rows_keep_ahead(k);
	return r;
}

void cgm_kernel_drops(const struct cgm_kernel *k, uint64_t ret[CGM_NR_DROPS])
{
	for (unsigned i = 0; i < CGM_NR_DROPS; i++)
		ret[i] = k->drops ? __atomic_load_n(&k->drops[i], __ATOMIC_RELAXED) : 0;
}

uint64_t cgm_kernel_map_bytes(const struct cgm_kernel *k)
{
	return k->map_bytes + cgm_stats_map_bytes(k);
}

uint32_t cgm_kernel_slots_used(const struct cgm_kernel *k)
{
	uint32_t nr = 0;

	for (uint32_t i = 1; k->slots && i < k->nr_all; i = cgm_next_slot(k, i))
		nr += k->slots[i].state != CGM_SLOT_FREE;
	return nr;
}

uint32_t cgm_kernel_slots(const struct cgm_kernel *k)
{
	return k->slots ? k->meta->nr_given + k->meta->nr_bare_given : 0;
}
