// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The fallback for sched.bpf.c where the kernel has no sched_info, no way from a task to its run queue, or no BTF tracepoints: the
 * usual pair of wakeup and switch, with a clock read each and a hash map by thread. Counts the same things at five to ten times the
 * cost (bench-kernel shows it). Raw tracepoints, so that it also works where tp_btf does not.
 */
#include "slot.bpf.h"

struct thread_mark {
	__u64 queued_ns, arrived_ns, left_ns, nr_migrations;
	__u32 off_cpu, known;
};

/* Key: thread id. Written by the programs below; removed at exit. Full: CGM_DROP_NO_TASK counts, the thread's times are not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* no memory where it is not used */
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct thread_mark);
} cgm_raw_threads SEC(".maps");

static __always_inline struct thread_mark *thread_mark(__u32 tid)
{
	struct thread_mark *m = bpf_map_lookup_elem(&cgm_raw_threads, &tid), none = {};

	if (m)
		return m;
	if (bpf_map_update_elem(&cgm_raw_threads, &tid, &none, BPF_NOEXIST))
		drop(CGM_DROP_NO_TASK);
	return bpf_map_lookup_elem(&cgm_raw_threads, &tid);
}

static __always_inline int woken(struct task_struct *task)
{
	struct thread_mark *m = thread_mark(BPF_CORE_READ(task, pid));

	if (m)
		m->queued_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("?raw_tp/sched_wakeup")
int cgm_raw_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
	return woken((struct task_struct *)ctx->args[0]);
}

SEC("?raw_tp/sched_wakeup_new")
int cgm_raw_wakenew(struct bpf_raw_tracepoint_args *ctx)
{
	return woken((struct task_struct *)ctx->args[0]);
}

SEC("?raw_tp/sched_process_exit")
int cgm_raw_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tid = BPF_CORE_READ((struct task_struct *)ctx->args[0], pid);

	bpf_map_delete_elem(&cgm_raw_threads, &tid);
	return 0;
}

static __always_inline __u32 raw_preemptor(struct task_struct *next, __u64 prev_id, __u64 next_id)
{
	if (BPF_CORE_READ(next, flags) & PF_KTHREAD)
		return CGM_BY_SYSTEM;
	if (prev_id == next_id)
		return CGM_BY_SAME;
	return next_id == 1 ? CGM_BY_SYSTEM : CGM_BY_OTHER; /* 1: the root of any hierarchy */
}

static __always_inline struct cgm_sched *raw_row(struct task_struct *task, __u64 *ret_id)
{
	struct cgroup *cg = task_cgroup(true, task);
	__u64 id = BPF_CORE_READ(cg, kn, id);

	*ret_id = id;
	return sched_row(slot_of_cgroup(true, cg, id, cfg.sched_hierarchy));
}

SEC("?raw_tp/sched_switch")
int cgm_raw_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *prev = (void *)ctx->args[1], *next = (void *)ctx->args[2];
	__u32 prev_tid = BPF_CORE_READ(prev, pid), next_tid = BPF_CORE_READ(next, pid), state = BPF_CORE_READ(prev, __state), by;
	__u64 now = bpf_ktime_get_ns(), prev_id = 0, next_id = 0, moved;
	struct cgm_sched *prev_row = NULL, *next_row = NULL;
	const bool shared = cfg.shard_shared;
	struct thread_mark *m;

	if (next_tid)
		next_row = raw_row(next, &next_id);
	if (prev_tid)
		prev_row = raw_row(prev, &prev_id);
	m = prev_row ? thread_mark(prev_tid) : NULL;
	if (m && prev_row) {
		if (m->arrived_ns)
			sched_hist_add(shared, prev_row, CGM_ON_CPU, since(now, m->arrived_ns));
		m->left_ns = m->queued_ns = 0;
		if (!ctx->args[0] && state) {
			add(shared, &prev_row->voluntary, 1);
			m->left_ns = now;
			m->off_cpu = off_cpu_kind(true, prev, state);
		} else {
			add(shared, &prev_row->involuntary, 1);
			m->queued_ns = now;
			by = raw_preemptor(next, prev_id, next_id);
			if (by < CGM_NR_PREEMPTORS)
				add(shared, &prev_row->preempted[by], 1);
		}
		if (state & TASK_DEAD)
			bpf_map_delete_elem(&cgm_raw_threads, &prev_tid);
	}
	m = next_row ? thread_mark(next_tid) : NULL;
	if (!m || !next_row)
		return 0;
	if (m->queued_ns) {
		__u32 kind = m->off_cpu;

		sched_hist_add(shared, next_row, CGM_RUNQ_DELAY, since(now, m->queued_ns));
		if (m->left_ns && kind < CGM_NR_OFF_CPU)
			sched_hist_add(shared, next_row, CGM_OFF_CPU + kind, since(m->queued_ns, m->left_ns));
	}
	moved = BPF_CORE_READ(next, se.nr_migrations);
	if (m->known && moved > m->nr_migrations)
		add(shared, &next_row->migrations, moved - m->nr_migrations);
	m->nr_migrations = moved;
	m->known = 1;
	m->arrived_ns = now;
	m->left_ns = m->queued_ns = 0;
	return 0;
}
