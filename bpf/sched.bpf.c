// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Where tasks spend their time: on a CPU, in its run queue, asleep. One hook, sched_switch, and no clock of our own: the kernel
 * stamps each task in sched_info (last_queued when it becomes runnable, last_arrival when it gets a CPU; kernel/sched/stats.h), and
 * at the tracepoint the arriving task's stamps are still the old ones. So
 *	run-queue delay	= rq->clock - next.last_queued
 *	stay on the CPU	= rq->clock - prev.last_arrival
 *	off the CPU	= next.last_queued - the time at which it left, kept in the table of threads
 * and migrations are the growth of the kernel's own se.nr_migrations. Needs CONFIG_SCHED_INFO and CONFIG_FAIR_GROUP_SCHED (the way
 * from a task to its run queue), else see wakeup.bpf.c. Runs under the run queue's lock with interrupts off: rows of this CPU's
 * shard are added to without atomics, and nothing here allocates.
 */
#include "slot.bpf.h"

/* Written here, mapped by user space. */
CGM_ROWS_MAP(cgm_sched, struct cgm_sched);

/*
 * Threads that have run. A plain array with a few ways a bucket, because a lookup in task storage costs as much as all the rest of the hook
 * (11 ns, and 1.4 us a fork to make it). Pids are handed out one after the other, so buckets fill evenly. A thread is entered at its first
 * switch and removed at its last. Bucket full: CGM_DROP_NO_TASK counts, and the thread is counted without what needs a memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* one value, so that one lookup does for all threads of a switch */
	__type(key, __u32);
	__type(value, struct cgm_threads);
} cgm_threads SEC(".maps");

static __always_inline struct cgm_threads *threads(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cgm_threads, &zero);
}

static __always_inline void next_generation(void)
{
	struct cgm_threads *t = threads();

	if (t)
		__sync_fetch_and_add(&t->generation, 1);
}

static __always_inline struct cgm_thread *find_thread(struct cgm_threads *t, __u32 pid)
{
	struct cgm_thread_bucket *b = &t->bucket[pid & (CGM_THREAD_BUCKETS - 1)];

	if (b->way[0].pid == pid)
		return &b->way[0];
	if (b->way[1].pid == pid)
		return &b->way[1];
	if (b->way[2].pid == pid)
		return &b->way[2];
	if (b->way[3].pid == pid)
		return &b->way[3];
	return NULL;
}

/* Enters a thread. Another CPU may enter another thread of the same bucket meanwhile: a way is claimed by an exchange of its pid. */
static __noinline struct cgm_thread *enter_thread(__u32 pid)
{
	struct cgm_threads *table = threads();
	struct cgm_thread_bucket *b;

	if (!table)
		return NULL;
	b = &table->bucket[pid & (CGM_THREAD_BUCKETS - 1)];
#pragma unroll
	for (int i = 0; i < CGM_THREAD_WAYS; i++) {
		struct cgm_thread *t = &b->way[i];

		if (t->pid || __sync_val_compare_and_swap(&t->pid, 0, pid))
			continue;
		t->left_ns = 0;
		t->generation = 0;
		t->known = 0;
		return t;
	}
	drop(CGM_DROP_NO_TASK);
	return NULL;
}

#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_DEAD 0x80
#define TASK_NOLOAD 0x400

/* Of a task that leaves in that state. A kernel thread that idles (TASK_IDLE) sleeps, whatever its bits say. */
static __always_inline __u8 off_cpu_kind(const bool raw, struct task_struct *task, __u32 state)
{
	if (!(state & TASK_UNINTERRUPTIBLE) || (state & TASK_NOLOAD))
		return CGM_OFF_SLEEP;
	if (raw ? BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait) : BPF_CORE_READ_BITFIELD(task, in_iowait))
		return CGM_OFF_IOWAIT;
	return CGM_OFF_BLOCKED;
}

static __always_inline struct cgm_sched *sched_row(__u32 slot)
{
	return row_of(&cgm_sched, slot);
}

/* which: enum cgm_sched_hist. The mark goes first: who does not see it does not see the count. */
static __always_inline void sched_hist_add(bool shared, struct cgm_sched *row, __u32 which, __u64 ns)
{
	struct cgm_hist *h = &row->runq_delay + which;
	__u32 i = cgm_hist_bucket(ns), bit;

	if (i >= CGM_HIST_BUCKETS || which >= CGM_NR_SCHED_HISTS) /* for the verifier */
		return;
	bit = 1U << (i / 4);
	if (!(row->quads[which] & bit)) {
		if (shared)
			__sync_fetch_and_or(&row->quads[which], bit);
		else
			row->quads[which] |= bit;
	}
	add(shared, &h->buckets[i], 1);
	add(shared, &h->sum_ns, ns);
}

/* The slot of a thread whose cgroup has to be looked up; m, where it is remembered, may be NULL. */
static __noinline __u32 look_up_slot(struct task_struct *task, struct cgm_thread *m, __u64 now_generation)
{
	struct cgroup *cg = task_cgroup(false, task);
	__u64 id = cg->kn->id;
	__u32 slot = slot_of_cgroup(false, cg, id, cfg.sched_hierarchy);

	if (m) {
		m->slot = slot;
		m->is_root = id == 1; /* of any hierarchy */
		m->generation = now_generation;
	}
	return slot;
}

static __always_inline __u32 thread_slot(struct task_struct *task, struct cgm_thread *m, __u64 now_generation)
{
	if (m && m->generation == now_generation)
		return m->slot;
	return look_up_slot(task, m, now_generation);
}

/* The slot of a task, outside the switch hook. */
static __always_inline __u32 slot_of_task(struct task_struct *task)
{
	struct cgm_threads *table = threads();

	return table ? thread_slot(task, find_thread(table, task->pid), table->generation + 1) : CGM_SLOT_OVERFLOW;
}

/* Who took the CPU from a task that wanted to keep it. */
static __always_inline __u32 preemptor(struct task_struct *next, struct cgm_thread *taker, bool same)
{
	if (next->flags & PF_KTHREAD)
		return CGM_BY_SYSTEM;
	if (same)
		return CGM_BY_SAME;
	return taker && taker->is_root ? CGM_BY_SYSTEM : CGM_BY_OTHER;
}

/* taker: what is remembered of next, may be NULL; same: next is of the same cgroup. */
static __always_inline void leave(bool shared, struct task_struct *prev, struct cgm_thread *m, struct cgm_sched *row, bool preempt, __u32 state,
				  struct task_struct *next, struct cgm_thread *taker, bool same, __u64 now)
{
	__u64 arrived = prev->sched_info.last_arrival;
	__u32 by;

	if (arrived)
		sched_hist_add(shared, row, CGM_ON_CPU, since(now, arrived));
	/* As the kernel counts them: nvcsw for a task that was about to sleep, even when a signal kept it awake. */
	if (!preempt && state) {
		add(shared, &row->voluntary, 1);
		if (m && (state & TASK_DEAD)) { /* its last switch */
			m->pid = 0;
		} else if (m) {
			m->left_ns = now;
			m->off_cpu = off_cpu_kind(false, prev, state);
		}
		return;
	}
	add(shared, &row->involuntary, 1);
	by = preemptor(next, taker, same);
	if (by < CGM_NR_PREEMPTORS)
		add(shared, &row->preempted[by], 1);
	if (m)
		m->left_ns = 0;
}

static __always_inline void arrive(bool shared, struct task_struct *next, struct cgm_thread *m, struct cgm_sched *row, __u64 now)
{
	__u64 queued = next->sched_info.last_queued;
	__u32 kind, moved = next->se.nr_migrations;

	if (queued)
		sched_hist_add(shared, row, CGM_RUNQ_DELAY, since(now, queued));
	if (!m)
		return;
	kind = m->off_cpu;
	if (m->left_ns && queued && kind < CGM_NR_OFF_CPU)
		sched_hist_add(shared, row, CGM_OFF_CPU + kind, since(queued, m->left_ns));
	m->left_ns = 0;
	if (moved != m->nr_migrations) {
		if (m->known)
			add(shared, &row->migrations, moved - m->nr_migrations);
		m->nr_migrations = moved;
	}
	m->known = 1;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(cgm_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u64 now = prev->se.cfs_rq->rq->clock, now_generation;
	__u32 prev_pid = prev->pid, next_pid = next->pid, prev_slot = ~0U, next_slot = ~0U;
	struct cgm_thread *from = NULL, *to = NULL;
	struct cgm_threads *table = threads();
	struct cgm_sched *row = NULL;
	const bool shared = cfg.shard_shared;

	if (!table)
		return 0;
	now_generation = table->generation + 1; /* 0 is nobody's */
	if (next_pid) { /* 0: idle */
		to = find_thread(table, next_pid);
		if (!to)
			to = enter_thread(next_pid);
		next_slot = thread_slot(next, to, now_generation);
	}
	if (prev_pid) {
		from = find_thread(table, prev_pid);
		prev_slot = thread_slot(prev, from, now_generation);
		row = sched_row(prev_slot);
		if (row)
			leave(shared, prev, from, row, preempt, prev_state, next, to, prev_slot == next_slot, now);
	}
	if (next_pid) {
		if (prev_slot != next_slot)
			row = sched_row(next_slot);
		if (row)
			arrive(shared, next, to, row, now);
	}
	return 0;
}

/* A task (or all threads of one) has changed its cgroup. */
SEC("?tp_btf/cgroup_attach_task")
int cgm_attach(void *ctx)
{
	(void)ctx;
	next_generation();
	return 0;
}
