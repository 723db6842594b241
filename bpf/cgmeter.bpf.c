// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The kernel side, one object; each subsystem has a file of its own. Order: sched defines the table of threads that the others use. */
#include "sched.bpf.c"
#include "cgroup.bpf.c"
#include "wakeup.bpf.c"
#include "task.bpf.c"
#include "block.bpf.c"
#include "net.bpf.c"

char LICENSE[] SEC("license") = "GPL";
