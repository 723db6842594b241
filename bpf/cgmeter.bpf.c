// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The kernel side, one object; each subsystem has a file of its own. Order: sched defines the table of threads that the others use, block the rows that
   dirty counts in. */
#include "sched.bpf.c"
#include "cgroup.bpf.c"
#include "wakeup.bpf.c"
#include "task.bpf.c"
#include "block.bpf.c"
#include "dirty.bpf.c"
#include "net.bpf.c"
#include "tcp.bpf.c"
#include "drop.bpf.c"
#include "socks.bpf.c"
#include "packet.bpf.c"
#include "process.bpf.c"
#include "memory.bpf.c"
#include "oom.bpf.c"
#include "file.bpf.c"
#include "syscall.bpf.c"
#include "lock.bpf.c"
#include "irq.bpf.c"
#include "page_cache.bpf.c"
#include "fds.bpf.c"
#include "trampoline.bpf.c"
#include "stat.bpf.c"

char LICENSE[] SEC("license") = "GPL";
