// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The yardstick of bench-kernel: programs that do nothing, at the hooks of ours. What they cost is the kernel's way to any program and the clock of its statistics. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define EMPTY(name, hook)           \
	SEC("?tp_btf/" #hook)       \
	int name(void *ctx)         \
	{                           \
		(void)ctx;          \
		return 0;           \
	}

EMPTY(sched_switch, sched_switch)
EMPTY(sched_wakeup, sched_wakeup)
EMPTY(task_newtask, task_newtask)
EMPTY(cgroup_mkdir, cgroup_mkdir)
EMPTY(cgroup_rmdir, cgroup_rmdir)
EMPTY(blk_issue, block_rq_issue)
EMPTY(blk_complete, block_rq_complete)
EMPTY(sock_send, sock_send_length)
EMPTY(sock_recv, sock_recv_length)
EMPTY(tcp_state, inet_sock_set_state)

char LICENSE[] SEC("license") = "GPL";
