// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Tasks by state: one walk of the task iterator a tick.
 */
#include "slot.bpf.h"

#define EXIT_ZOMBIE 0x20
#define TASK_STOPPED_BITS 0x0c /* __TASK_STOPPED | __TASK_TRACED */

/* Key: slot. Made anew by each walk: a row is valid when its generation is that walk's. Written by the iterator alone; mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_tasks);
} cgm_tasks SEC(".maps");

/* One number: the generation of the walk, counted up by user space before each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cgm_walk SEC(".maps");

static __always_inline __u32 task_state(struct task_struct *task)
{
	__u32 state = task->__state;

	if (task->exit_state)
		return CGM_TASK_ZOMBIE;
	if (!state)
		return CGM_TASK_RUNNING;
	if (state & TASK_STOPPED_BITS)
		return CGM_TASK_STOPPED;
	if ((state & TASK_UNINTERRUPTIBLE) && !(state & TASK_NOLOAD))
		return BPF_CORE_READ_BITFIELD(task, in_iowait) ? CGM_TASK_IOWAIT : CGM_TASK_UNINTERRUPTIBLE;
	return CGM_TASK_SLEEPING;
}

SEC("?iter/task")
int cgm_task_walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct cgm_tasks *row;
	__u32 zero = 0, slot, state;
	__u64 *walk, generation_now = generation();

	if (!task)
		return 0;
	walk = bpf_map_lookup_elem(&cgm_walk, &zero);
	if (!walk)
		return 0;
	slot = thread_slot(task, find_thread(task->pid), generation_now);
	row = bpf_map_lookup_elem(&cgm_tasks, &slot);
	if (!row)
		return 0;
	if (row->generation != *walk) {
		row->generation = *walk;
		__builtin_memset(row->nr, 0, sizeof(row->nr));
		row->nr_processes = 0;
	}
	state = task_state(task);
	if (state < CGM_NR_TASK_STATES)
		row->nr[state]++;
	if (task->pid == task->tgid && state != CGM_TASK_ZOMBIE)
		row->nr_processes++;
	return 0;
}
