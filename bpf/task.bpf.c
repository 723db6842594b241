// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Tasks by state, and what they waited for by the kernel's delay accounting: one walk of the task iterator a tick.
 */
#include "count.bpf.h"

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

/* Key: enum cgm_walk_kind. The generation of the walk, counted up by user space before each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CGM_NR_WALKS);
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

/* What was counted of a task's delays already. Made at its first delay, freed with the task. Cannot be made: CGM_DROP_NO_TASK counts. */
struct task_delays {
	__u64 ns[7]; /* in the order of the counts */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_delays);
} cgm_delays SEC(".maps");

#define NOTE_DELAY(index, field)                                                                               \
	do {                                                                                                   \
		__u64 now_ns = bpf_core_field_exists(d->field) ? BPF_CORE_READ(d, field) : 0;                  \
		__u64 then_ns = __sync_lock_test_and_set(&seen->ns[index], now_ns);                            \
                                                                                                               \
		if (now_ns > then_ns)                                                                          \
			count_slot(slot, CGM_C_DELAY_BLKIO + (index), now_ns - then_ns);                       \
	} while (0)

/*
 * Adds what a task waited since the last look: at each walk, and at its end. Both may look at once; the exchange lets none of them count what
 * the other did. Delay accounting is on for tasks that began after kernel.task_delayacct was set; for others there is nothing to see.
 */
static __always_inline void note_delays(struct task_struct *task)
{
	struct task_delay_info *d = bpf_core_field_exists(task->delays) ? task->delays : NULL;
	struct task_delays *seen;
	__u32 slot;

	if (!d)
		return;
	seen = bpf_task_storage_get(&cgm_delays, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!seen) {
		drop(CGM_DROP_NO_TASK);
		return;
	}
	slot = slot_of_task(task);
	NOTE_DELAY(0, blkio_delay);
	NOTE_DELAY(1, swapin_delay);
	NOTE_DELAY(2, freepages_delay);
	NOTE_DELAY(3, thrashing_delay);
	NOTE_DELAY(4, compact_delay);
	NOTE_DELAY(5, wpcopy_delay);
	NOTE_DELAY(6, irq_delay);
}

SEC("?iter/task")
int cgm_task_walk(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct cgm_tasks *row;
	__u32 zero = 0, slot, state;
	__u64 *walk;

	if (!task)
		return 0;
	walk = bpf_map_lookup_elem(&cgm_walk, &zero);
	if (!walk)
		return 0;
	note_delays(task);
	slot = slot_of_task(task);
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
