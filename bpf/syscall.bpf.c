// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * System calls by class: how many, how they ended, how long they took; waits for futexes. Calls are counted as they begin, so that one
 * that never returns is counted, and a new process, which returns from its parent's fork, is not. Costly: each call comes here twice.
 */
#include "count.bpf.h"

_Static_assert(CGM_NR_SYS == 16, "a mask, below");

#define TS_COMPAT 2
#define MAX_ERRNO 4095
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516
#define LONG_NS 1000000

/* Class by number, and the number of futex(); user space sets them before the load (user/kernel/syscalls.c). */
const volatile __u8 cfg_class[CGM_MAX_SYSCALLS] = {};
const volatile __u32 cfg_futex = 0;

/*
 * Threads inside a call, by pid modulo the size. Two that meet at one place overwrite each other: the call of the first is then without its
 * time, and CGM_DROP_NO_TASK counts.
 */
#define NR_ENTERED 32768

struct entered {
	__u64 ns;
	__u32 pid;
	__u32 switches; /* of the thread until then, low bits */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* user space clears it */
	__uint(max_entries, NR_ENTERED);
	__type(key, __u32);
	__type(value, struct entered);
} cgm_entered SEC(".maps");

/* A call of the 32-bit interface has other numbers. */
static __always_inline __u32 syscall_class(struct task_struct *task, __u64 nr)
{
	if (nr >= CGM_MAX_SYSCALLS || (task->thread_info.status & TS_COMPAT))
		return CGM_SYS_OTHER;
	return cfg_class[nr] & (CGM_NR_SYS - 1); /* for the verifier of 6.1, who forgets a comparison */
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(cgm_sys_enter, struct pt_regs *regs, long nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 pid = task->pid, index = pid & (NR_ENTERED - 1), class = syscall_class(task, nr);
	struct entered *e = bpf_map_lookup_elem(&cgm_entered, &index);

	count_slot(slot_of_task(task), CGM_C_SYS_OTHER + class, 1);
	if (!e)
		return 0;
	e->pid = pid;
	e->switches = task->nvcsw + task->nivcsw;
	e->ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void syscall_time(struct task_struct *task, __u32 slot, __u32 class, __u64 now)
{
	__u32 pid = task->pid, index = pid & (NR_ENTERED - 1);
	struct entered *e = bpf_map_lookup_elem(&cgm_entered, &index);
	__u64 ns;

	if (!e || !e->ns)
		return;
	if (e->pid != pid) { /* or it is a new process: then its place is another's */
		drop(CGM_DROP_NO_TASK);
		return;
	}
	ns = since(now, e->ns);
	e->ns = 0;
	wait_slot(slot, CGM_W_SYS_OTHER + class, ns);
	if (ns >= LONG_NS && e->switches == (__u32)(task->nvcsw + task->nivcsw))
		wait_slot(slot, CGM_W_LONG_SYS, ns);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(cgm_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 class = CGM_SYS_SIGNAL, slot = slot_of_task(task);

	/* rt_sigreturn() ends with the registers of what the signal interrupted: no number, and no result of its own. */
	if ((long)regs->orig_ax < 0)
		result = 0;
	else
		class = syscall_class(task, regs->orig_ax);
	/* What is started again after a signal has not failed. */
	if (result < 0 && result >= -MAX_ERRNO && !(result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK))
		count_slot(slot, CGM_C_SYS_FAILED_OTHER + class, 1);
	if (result > 0 && class == CGM_SYS_READ)
		count_slot(slot, CGM_C_SYS_BYTES_READ, result);
	if (result > 0 && class == CGM_SYS_WRITE)
		count_slot(slot, CGM_C_SYS_BYTES_WRITTEN, result);
	syscall_time(task, slot, class, bpf_ktime_get_ns());
	return 0;
}

/* ---- group lock ---- */

#define FUTEX_CMD_MASK 0x7f

/* FUTEX_WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2 */
static __always_inline bool futex_waits(__u32 command)
{
	return command < 16 && (1U << 0 | 1U << 6 | 1U << 9 | 1U << 11 | 1U << 13) >> command & 1;
}

static __always_inline bool is_futex_wait(struct pt_regs *regs, __u64 nr)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (syscall_class(task, nr) != CGM_SYS_FUTEX)
		return false;
	return nr != cfg_futex || futex_waits(regs->si & FUTEX_CMD_MASK);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(cgm_futex_in, struct pt_regs *regs, long nr)
{
	if (is_futex_wait(regs, nr))
		wait_begin(CGM_W_FUTEX);
	return 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(cgm_futex_out, struct pt_regs *regs, long result)
{
	if (is_futex_wait(regs, regs->orig_ax))
		wait_end(CGM_W_FUTEX);
	return 0;
}
