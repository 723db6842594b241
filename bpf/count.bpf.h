/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What most subsystems need: a counter of a cgroup by its id (enum cgm_count), a latency by its id (enum cgm_wait), and the time between
 * two tracepoints of one thread. Any context, so all adds are atomic.
 */
#ifndef CGM_COUNT_BPF_H
#define CGM_COUNT_BPF_H

#include "slot.bpf.h"

CGM_ROWS_MAP(cgm_counts, struct cgm_counts);
CGM_ROWS_MAP(cgm_dear, struct cgm_dear);

/* By owner's slot and id: only what happened takes room. Written here and, for retired rows, by user space. Full: CGM_DROP_WAIT_MAP counts. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* set before the load */
	__type(key, struct cgm_wait_key);
	__type(value, struct cgm_hist);
} cgm_waits SEC(".maps");

static const struct cgm_hist no_hist = {};

/* Where waits that are under way began. Key: thread and enum cgm_wait. Full: CGM_DROP_NO_TASK counts and the wait is not. */
struct began_key {
	__u32 pid, wait;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct began_key);
	__type(value, __u64);
} cgm_began SEC(".maps");

static __always_inline void count_dear(__u32 slot, __u32 i, __u64 n)
{
	struct cgm_dear *row = row_of(&cgm_dear, slot);

	__asm__ volatile("" : "+r"(i)); /* what is compared must be what is used, or the verifier does not know its bounds */
	if (row && i < CGM_NR_COUNTS - CGM_NR_COMMON_COUNTS)
		add_atomic(&row->v[i], n);
}

/* n more of count id for a cgroup. */
static __always_inline void count_slot(__u32 slot, enum cgm_count id, __u64 n)
{
	struct cgm_counts *row;

	if (id >= CGM_NR_COMMON_COUNTS) {
		count_dear(slot, id - CGM_NR_COMMON_COUNTS, n);
		return;
	}
	row = row_of(&cgm_counts, slot);
	__asm__ volatile("" : "+r"(id));
	if (row && id < CGM_NR_COMMON_COUNTS)
		add_atomic(&row->v[id], n);
}

static __always_inline void wait_slot(__u32 slot, enum cgm_wait id, __u64 ns)
{
	struct cgm_wait_key key = { .slot = slot, .wait = id };
	struct cgm_hist *h = bpf_map_lookup_elem(&cgm_waits, &key);

	touch(CGM_KEYED_WAIT);
	if (!h) {
		bpf_map_update_elem(&cgm_waits, &key, &no_hist, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&cgm_waits, &key);
	}
	if (h)
		hist_add_atomic(h, ns);
	else
		drop(CGM_DROP_WAIT_MAP);
}

/* The running task's cgroup. */
static __always_inline __u32 current_slot(void)
{
	return slot_of_task(bpf_get_current_task_btf());
}

/* The same for an event that may come while a CPU idles: nobody's, and not counted then. */
static __always_inline void count_running(enum cgm_count id, __u64 n)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->pid)
		count_slot(slot_of_task(task), id, n);
}

/* The running thread begins to wait. An end that was never seen is forgotten by the next begin. */
static __always_inline void wait_begin(enum cgm_wait id)
{
	struct began_key key = { .pid = (__u32)bpf_get_current_pid_tgid(), .wait = id };
	__u64 now = bpf_ktime_get_ns();

	if (bpf_map_update_elem(&cgm_began, &key, &now, BPF_ANY))
		drop(CGM_DROP_NO_TASK);
}

/* It has waited. Without a begin (it began before we came) nothing is counted. */
static __always_inline void wait_end(enum cgm_wait id)
{
	struct began_key key = { .pid = (__u32)bpf_get_current_pid_tgid(), .wait = id };
	__u64 *began = bpf_map_lookup_elem(&cgm_began, &key);

	if (!began)
		return;
	wait_slot(current_slot(), id, since(bpf_ktime_get_ns(), *began));
	bpf_map_delete_elem(&cgm_began, &key);
}

#endif
