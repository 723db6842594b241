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

/* Key: slot * rows_per_slot + shard. Written here (the last row of each slot by user space); mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_sched);
} cgm_sched SEC(".maps");

/*
 * Threads that have run. A plain array with a few ways a bucket, because a lookup in task storage costs as much as all the rest of the hook
 * (11 ns, and 1.4 us a fork to make it). Pids are handed out one after the other, so buckets fill evenly. A thread is entered at its first
 * switch and removed at its last. Bucket full: CGM_DROP_NO_TASK counts, and the thread is counted without what needs a memory.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CGM_THREAD_BUCKETS);
	__type(key, __u32);
	__type(value, struct cgm_thread_bucket);
} cgm_threads SEC(".maps");

static __always_inline struct cgm_thread *find_thread(__u32 pid)
{
	__u32 index = pid & (CGM_THREAD_BUCKETS - 1);
	struct cgm_thread_bucket *b = bpf_map_lookup_elem(&cgm_threads, &index);

	if (!b)
		return NULL;
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
	__u32 index = pid & (CGM_THREAD_BUCKETS - 1);
	struct cgm_thread_bucket *b = bpf_map_lookup_elem(&cgm_threads, &index);

	if (!b)
		return NULL;
#pragma unroll
	for (int i = 0; i < CGM_THREAD_WAYS; i++) {
		struct cgm_thread *t = &b->way[i];

		if (t->pid || __sync_val_compare_and_swap(&t->pid, 0, pid))
			continue;
		t->left_ns = 0;
		t->cgroup_id = 0;
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

/* Who took the CPU from a task that wanted to keep it. */
static __always_inline __u32 preemptor(const bool raw, struct task_struct *next, __u64 prev_id, __u64 next_id)
{
	if (RD(raw, next, flags) & PF_KTHREAD)
		return CGM_BY_SYSTEM;
	if (prev_id == next_id)
		return CGM_BY_SAME;
	return next_id == 1 ? CGM_BY_SYSTEM : CGM_BY_OTHER; /* 1: the root of any hierarchy */
}

static __always_inline struct cgm_sched *sched_row(__u32 slot)
{
	__u32 index = row_index(slot);

	return bpf_map_lookup_elem(&cgm_sched, &index);
}

/* The slot of a thread, by what is remembered of it (m may be NULL); that follows when the thread has changed its cgroup. */
static __always_inline __u32 thread_slot(struct cgm_thread *m, struct cgroup *cg, __u64 id)
{
	/* A slot is taken away only after its cgroup was removed, which ends CSS_ONLINE; so the registry is asked only then. */
	if (m && m->cgroup_id == id && ((cg->self.flags & CSS_ONLINE) || slot_is(m->slot, id, cfg.sched_hierarchy)))
		return m->slot;
	if (!m)
		return slot_of_cgroup(false, cg, id, cfg.sched_hierarchy);
	m->slot = slot_of_cgroup(false, cg, id, cfg.sched_hierarchy);
	m->cgroup_id = id;
	return m->slot;
}

/* Returns the row of the thread's cgroup. */
static __always_inline struct cgm_sched *leave(struct task_struct *prev, struct task_struct *next, __u64 id, __u64 next_id,
					       struct cgroup *cg, bool preempt, __u32 state, __u64 now)
{
	struct cgm_thread *m = find_thread(prev->pid);
	struct cgm_sched *row = sched_row(thread_slot(m, cg, id));
	__u64 arrived = prev->sched_info.last_arrival;
	__u32 by;

	if (!row)
		return NULL;
	if (arrived)
		hist_add(&row->on_cpu, since(now, arrived));
	/* As the kernel counts them: nvcsw for a task that was about to sleep, even when a signal kept it awake. */
	if (!preempt && state) {
		add(&row->voluntary, 1);
		if (m && (state & TASK_DEAD)) { /* its last switch */
			m->pid = 0;
		} else if (m) {
			m->left_ns = now;
			m->off_cpu = off_cpu_kind(false, prev, state);
		}
		return row;
	}
	add(&row->involuntary, 1);
	by = preemptor(false, next, id, next_id);
	if (by < CGM_NR_PREEMPTORS)
		add(&row->preempted[by], 1);
	if (m)
		m->left_ns = 0;
	return row;
}

/* row: that of its cgroup if it is at hand, else NULL. */
static __always_inline void arrive(struct task_struct *next, __u64 id, struct cgroup *cg, __u64 now, struct cgm_sched *row)
{
	struct cgm_thread *m = find_thread(next->pid);
	__u64 queued = next->sched_info.last_queued;
	__u32 kind, moved = next->se.nr_migrations;

	if (!m)
		m = enter_thread(next->pid);
	if (!row)
		row = sched_row(thread_slot(m, cg, id));
	if (!row)
		return;
	if (queued)
		hist_add(&row->runq_delay, since(now, queued));
	if (!m)
		return;
	kind = m->off_cpu;
	if (m->left_ns && queued && kind < CGM_NR_OFF_CPU)
		hist_add(&row->off_cpu[kind], since(queued, m->left_ns));
	m->left_ns = 0;
	if (moved != m->nr_migrations) {
		if (m->known)
			add(&row->migrations, moved - m->nr_migrations);
		m->nr_migrations = moved;
	}
	m->known = 1;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(cgm_switch, bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)
{
	__u64 now = prev->se.cfs_rq->rq->clock;
	struct cgroup *prev_cg = task_cgroup(false, prev), *next_cg = task_cgroup(false, next);
	__u64 prev_id = prev_cg->kn->id, next_id = next_cg->kn->id;
	struct cgm_sched *row = NULL;

	if (prev->pid) /* 0: idle */
		row = leave(prev, next, prev_id, next_id, prev_cg, preempt, prev_state, now);
	if (next->pid)
		arrive(next, next_id, next_cg, now, prev_id == next_id ? row : NULL);
	return 0;
}
