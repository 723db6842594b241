// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The life of processes: forks, execs, exits, signals; moves between NUMA nodes. */
#include "count.bpf.h"

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(cgm_fork, struct task_struct *parent, struct task_struct *child)
{
	if (child->pid == child->tgid) /* else a thread */
		count_slot(slot_of_task(parent), CGM_C_FORKS, 1);
	else
		count_slot(slot_of_task(parent), CGM_C_THREADS, 1);
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(cgm_exec, struct task_struct *task)
{
	count_slot(slot_of_task(task), CGM_C_EXECS, 1);
	return 0;
}

/* By the leader's exit, so that a process counts once. */
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(cgm_exit, struct task_struct *task)
{
	__u32 slot, code = task->exit_code; /* as wait() gives it */

	note_delays(task);
	if (task->pid != task->tgid)
		return 0;
	slot = slot_of_task(task);
	if (code & 0x7f)
		count_slot(slot, CGM_C_EXIT_SIGNAL, 1);
	else if (code)
		count_slot(slot, CGM_C_EXIT_ERROR, 1);
	else
		count_slot(slot, CGM_C_EXIT_OK, 1);
	return 0;
}

static __always_inline enum cgm_count signal_count(int sig)
{
	switch (sig) {
	case 1:
		return CGM_C_SIGNAL_HUP;
	case 2:
		return CGM_C_SIGNAL_INT;
	case 6:
		return CGM_C_SIGNAL_ABRT;
	case 4: /* SIGILL */
	case 7: /* SIGBUS */
	case 8: /* SIGFPE */
	case 11: /* SIGSEGV */
		return CGM_C_SIGNAL_FAULT;
	case 9:
		return CGM_C_SIGNAL_KILL;
	case 15:
		return CGM_C_SIGNAL_TERM;
	case 17:
		return CGM_C_SIGNAL_CHLD;
	default:
		return CGM_C_SIGNAL_OTHER;
	}
}

/* By the task that gets it; result 0: it was queued, else ignored, pending already, or lost (TRACE_SIGNAL_*). */
SEC("?tp_btf/signal_generate")
int BPF_PROG(cgm_sig_sent, int sig, void *info, struct task_struct *task, int group, int result)
{
	if (result == 0)
		count_slot(slot_of_task(task), signal_count(sig), 1);
	return 0;
}

SEC("?tp_btf/signal_deliver")
int cgm_sig_got(void *ctx)
{
	(void)ctx;
	count_running(CGM_C_SIGNAL_DELIVERED, 1);
	return 0;
}

SEC("?tp_btf/sched_move_numa")
int BPF_PROG(cgm_numa_move, struct task_struct *task)
{
	count_slot(slot_of_task(task), CGM_C_NUMA_MOVE, 1);
	return 0;
}

/* Two tasks change places. */
SEC("?tp_btf/sched_swap_numa")
int BPF_PROG(cgm_numa_swap, struct task_struct *task, int cpu, struct task_struct *other)
{
	count_slot(slot_of_task(task), CGM_C_NUMA_SWAP, 1);
	if (other)
		count_slot(slot_of_task(other), CGM_C_NUMA_SWAP, 1);
	return 0;
}

/* Completions of io_uring; the cqe is an argument of its own in newer kernels, its result the fourth one before. */
static __always_inline int uring_done(__s32 result)
{
	count_running(result < 0 ? CGM_C_URING_FAILED : CGM_C_URING_OK, 1);
	return 0;
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(cgm_uring, void *ring, void *req, struct io_uring_cqe *cqe)
{
	return uring_done(cqe->res);
}

SEC("?tp_btf/io_uring_complete")
int BPF_PROG(cgm_uring_res, void *ring, void *req, __u64 user_data, int result)
{
	return uring_done(result);
}
