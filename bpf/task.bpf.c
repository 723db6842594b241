// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Tasks: the marks that sched.bpf.c needs, made where making them is safe, and the number of tasks by state, by one walk of the
 * task iterator a tick.
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

/*
 * [0] the generation of the walk, counted up by user space before each; [1] tasks that it left without a mark, set to 0 before each: the
 * kernel hands out storage from small per-CPU caches that it fills later, so many new marks at once take several walks.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} cgm_walk SEC(".maps");

/* A new task: no run queue's lock is held here, and it has not run yet. */
SEC("?tp_btf/task_newtask")
int BPF_PROG(cgm_newtask, struct task_struct *task, __u64 clone_flags)
{
	if (!bpf_task_storage_get(&cgm_task_marks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		drop(CGM_DROP_NO_TASK);
	return 0;
}

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
	struct task_mark *m;
	struct cgm_tasks *row;
	struct cgroup *cg;
	__u32 zero = 0, one = 1, slot, state;
	__u64 *generation, *missing;

	if (!task)
		return 0;
	generation = bpf_map_lookup_elem(&cgm_walk, &zero);
	if (!generation)
		return 0;
	/* Heals a mark that could not be made, and makes those of tasks older than we are. */
	m = bpf_task_storage_get(&cgm_task_marks, task, 0, task->exit_state ? 0 : BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!m && !task->exit_state) {
		missing = bpf_map_lookup_elem(&cgm_walk, &one);
		if (missing)
			(*missing)++;
	}
	cg = task_cgroup(false, task);
	slot = slot_by_mark(m, cg, cg->kn->id);
	row = bpf_map_lookup_elem(&cgm_tasks, &slot);
	if (!row)
		return 0;
	if (row->generation != *generation) {
		row->generation = *generation;
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
