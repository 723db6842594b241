// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Waiting for locks of the kernel: those that were held by somebody, and the lock of the address space, held or not. */
#include "count.bpf.h"

/* include/trace/events/lock.h */
#define LCB_F_SPIN 1
#define LCB_F_READ 2
#define LCB_F_WRITE 4
#define LCB_F_RT 8
#define LCB_F_PERCPU 16
#define LCB_F_MUTEX 32

/* A thread, and interrupts on top of it, may wait for several locks at once, so the lock is part of the key. */
struct contended_key {
	__u64 lock;
	__u32 pid;
	__u32 pad;
};

struct contended {
	__u64 ns;
	__u32 wait; /* enum cgm_wait */
	__u32 pad;
};

/* Waits under way. Full: CGM_DROP_NO_TASK counts and the wait is not. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct contended_key);
	__type(value, struct contended);
} cgm_contended SEC(".maps");

static __always_inline __u32 lock_kind(__u32 flags)
{
	if (flags & LCB_F_MUTEX)
		return CGM_W_LOCK_MUTEX;
	if (flags & (LCB_F_RT | LCB_F_PERCPU))
		return CGM_W_LOCK_OTHER;
	if (flags & LCB_F_SPIN)
		return CGM_W_LOCK_SPIN;
	return flags & (LCB_F_READ | LCB_F_WRITE) ? CGM_W_LOCK_RWSEM : CGM_W_LOCK_OTHER;
}

/* A mutex that goes from spinning to sleeping begins twice: the first counts. */
SEC("?tp_btf/contention_begin")
int BPF_PROG(cgm_lock_in, void *lock, unsigned int flags)
{
	struct contended_key key = { .lock = (__u64)lock, .pid = (__u32)bpf_get_current_pid_tgid() };
	struct contended c = { .wait = lock_kind(flags) };
	long r;

	if (!key.pid) /* idle: nobody waits */
		return 0;
	c.ns = bpf_ktime_get_ns();
	r = bpf_map_update_elem(&cgm_contended, &key, &c, BPF_NOEXIST);
	if (r && r != -17)
		drop(CGM_DROP_NO_TASK);
	return 0;
}

SEC("?tp_btf/contention_end")
int BPF_PROG(cgm_lock_out, void *lock)
{
	struct contended_key key = { .lock = (__u64)lock, .pid = (__u32)bpf_get_current_pid_tgid() };
	struct contended *c = bpf_map_lookup_elem(&cgm_contended, &key);
	__u64 ns;
	__u32 wait;

	if (!c)
		return 0;
	ns = since(bpf_ktime_get_ns(), c->ns);
	wait = c->wait;
	bpf_map_delete_elem(&cgm_contended, &key);
	wait_slot(current_slot(), wait, ns);
	return 0;
}

SEC("?tp_btf/mmap_lock_start_locking")
int cgm_mmap_in(void *ctx)
{
	(void)ctx;
	wait_begin(CGM_W_MMAP_LOCK);
	return 0;
}

SEC("?tp_btf/mmap_lock_acquire_returned")
int cgm_mmap_out(void *ctx)
{
	(void)ctx;
	wait_end(CGM_W_MMAP_LOCK);
	return 0;
}
