/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The contract of both worlds: keys and values of every map, as the kernel side writes and user space reads them.
 * Included by bpf/ (after vmlinux.h) and by user/. Sizes are asserted below, so that both sides mean the same bytes.
 *
 * All counters are monotone and start at 0 when a slot is handed out. All times are ns. A pinned map whose layout
 * differs from this header is not adopted: raise CGM_ABI_VERSION with every change of a key or a value.
 */
#ifndef CGMETER_ABI_H
#define CGMETER_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define CGM_ABI_VERSION 1

/*
 * Histograms: bucket i counts values v with  2^(i-1+SHIFT) < v <= 2^(i+SHIFT)  ns, so that 2^k itself falls into the
 * bucket whose inclusive upper bound ("le") is 2^k; bucket 0 also takes everything below; the last bucket is +Inf.
 * 27 finite bounds: 1.024 us (2^10 ns) to 68.7 s (2^36 ns).
 */
#define CGM_HIST_SHIFT 10
#define CGM_HIST_BUCKETS 28

struct cgm_hist {
	__u64 buckets[CGM_HIST_BUCKETS]; /* not cumulative; the count is their sum */
	__u64 sum_ns;
};

/* The bucket of a value: the smallest i with ns <= 2^(i + SHIFT). The same code on both sides. */
static inline __attribute__((always_inline)) __u32 cgm_hist_bucket(__u64 ns)
{
	__u32 i = 0;
	__u64 v;

	if (ns <= 1ULL << CGM_HIST_SHIFT)
		return 0;
	v = (ns - 1) >> CGM_HIST_SHIFT; /* >= 1; the answer is the number of its bits */
	if (v >> 32) {
		i += 32;
		v >>= 32;
	}
	if (v >> 16) {
		i += 16;
		v >>= 16;
	}
	if (v >> 8) {
		i += 8;
		v >>= 8;
	}
	if (v >> 4) {
		i += 4;
		v >>= 4;
	}
	if (v >> 2) {
		i += 2;
		v >>= 2;
	}
	i += v >> 1 ? 2 : 1;
	return i < CGM_HIST_BUCKETS ? i : CGM_HIST_BUCKETS - 1;
}

/* A cgroup's name for the kernel: kernfs ids are unique only inside one hierarchy. hierarchy is 0 for v2, else the number of /proc/self/cgroup. */
struct cgm_cgroup_key {
	__u64 id; /* st_ino of the cgroup's directory */
	__u32 hierarchy;
	__u32 pad;
};

/* Slots: dense numbers of cgroups, the index of every per-cgroup array. Slot 0 takes what found no slot of its own. */
#define CGM_SLOT_OVERFLOW 0

enum cgm_slot_state {
	CGM_SLOT_FREE = 0,
	CGM_SLOT_LIVE = 1, /* in slot_of, counting */
	CGM_SLOT_DEAD = 2, /* its cgroup was removed; late events still count here */
	CGM_SLOT_DRAINING = 3, /* no longer in slot_of; user space folds the counts into the parent, then frees the slot */
};

struct cgm_slot {
	__u64 cgroup_id;
	__u64 parent_id; /* 0: none (a root) */
	__u32 hierarchy;
	__u32 state; /* enum cgm_slot_state */
	__u64 born_ns; /* CLOCK_MONOTONIC */
	__u64 died_ns; /* 0 while alive */
};

enum cgm_off_cpu {
	CGM_OFF_SLEEP, /* interruptible sleep */
	CGM_OFF_BLOCKED, /* uninterruptible, not for I/O */
	CGM_OFF_IOWAIT, /* uninterruptible, for I/O */
	CGM_NR_OFF_CPU,
};

enum cgm_preemptor {
	CGM_BY_SAME, /* a task of the same cgroup */
	CGM_BY_OTHER, /* a task of another cgroup */
	CGM_BY_SYSTEM, /* a kernel thread, or a task of the root cgroup */
	CGM_NR_PREEMPTORS,
};

/* rows_per_slot rows a slot, one after the other; written at sched_switch. A multiple of a cache line: CPUs share none. */
struct cgm_sched {
	struct cgm_hist runq_delay; /* runnable, waiting for a CPU */
	struct cgm_hist on_cpu; /* length of a stay on a CPU */
	struct cgm_hist off_cpu[CGM_NR_OFF_CPU]; /* from leaving the CPU until runnable again */
	__u64 voluntary, involuntary; /* switches away */
	__u64 migrations; /* the kernel's own se.nr_migrations */
	__u64 preempted[CGM_NR_PREEMPTORS]; /* of the involuntary ones: by whom */
	__u64 pad;
};

/* What the switch hook remembers of a thread. */
struct cgm_thread {
	__u32 pid; /* of the thread; 0: free */
	__u32 slot; /* of its cgroup, as long as generation is the present one */
	__u64 generation; /* of cgm_generation */
	__u64 left_ns; /* clock of the run queue when it blocked; 0: it did not */
	__u32 nr_migrations; /* already counted, low 32 bits */
	__u8 off_cpu; /* enum cgm_off_cpu, of left_ns */
	__u8 known; /* nr_migrations is set */
	__u8 is_root; /* its cgroup is the root */
	__u8 pad;
};

/* The table of threads: the bucket of a thread is pid modulo the number of buckets. Two cache lines. */
#define CGM_THREAD_BUCKETS 16384
#define CGM_THREAD_WAYS 4

struct cgm_thread_bucket {
	struct cgm_thread way[CGM_THREAD_WAYS];
};

enum cgm_proto { CGM_PROTO_TCP, CGM_PROTO_UDP, CGM_PROTO_UNIX, CGM_PROTO_OTHER, CGM_NR_PROTOS };

struct cgm_sock {
	__u64 tx_bytes, tx_calls, tx_errors; /* payload, as the send call returned it */
	__u64 rx_bytes, rx_calls, rx_errors; /* the same for receive; bytes only peeked at are not counted */
};

/* rows_per_slot rows a slot. */
struct cgm_net {
	struct cgm_sock proto[CGM_NR_PROTOS];
	__u64 tcp_retransmitted_segments;
	__u64 tcp_active_opens; /* CLOSE -> SYN_SENT */
	__u64 tcp_connects; /* SYN_SENT -> ESTABLISHED */
	__u64 tcp_connect_failures; /* SYN_SENT -> CLOSE */
	__u64 tcp_accepts; /* SYN_RECV -> ESTABLISHED */
	__u64 tcp_resets_sent, tcp_resets_received;
	__u64 pad;
};

enum cgm_task_state {
	CGM_TASK_SLEEPING,
	CGM_TASK_RUNNING,
	CGM_TASK_STOPPED,
	CGM_TASK_UNINTERRUPTIBLE,
	CGM_TASK_IOWAIT,
	CGM_TASK_ZOMBIE,
	CGM_NR_TASK_STATES,
};

/* One row per slot, made anew by each run of the task iterator; valid only when generation is that run's. */
struct cgm_tasks {
	__u64 generation;
	__u32 nr[CGM_NR_TASK_STATES]; /* threads */
	__u32 nr_processes;
	__u32 pad;
};

enum cgm_block_op { CGM_BLOCK_READ, CGM_BLOCK_WRITE, CGM_BLOCK_DISCARD, CGM_BLOCK_FLUSH, CGM_BLOCK_OTHER, CGM_NR_BLOCK_OPS };

struct cgm_block_key {
	__u32 slot;
	__u32 dev; /* major << 20 | minor, the kernel's dev_t */
	__u16 op; /* enum cgm_block_op */
	__u16 retired; /* 1: sums of removed children of this slot, written by user space alone */
};

struct cgm_block {
	struct cgm_hist queue_to_done; /* from the request's allocation to its completion */
	struct cgm_hist issue_to_done; /* from its hand-over to the driver to its completion */
	__u64 bytes, requests; /* completed */
	__u64 errors; /* completed with an error */
	__u64 issued; /* handed to the driver; in flight = issued - requests */
	__u64 sync_bytes, sync_requests; /* of bytes, requests: synchronous ones */
};

enum cgm_event_type { CGM_EVENT_MKDIR = 1, CGM_EVENT_RMDIR = 2 };

#define CGM_EVENT_PATH 424

struct cgm_event {
	__u64 time_ns;
	__u64 cgroup_id, parent_id;
	__u32 type; /* enum cgm_event_type */
	__u32 hierarchy;
	__u32 slot; /* CGM_SLOT_OVERFLOW: none */
	__u32 path_len; /* without the zero; == CGM_EVENT_PATH: the path did not fit, look it up */
	char path[CGM_EVENT_PATH];
};

/* What the kernel side could not count where it belonged. Exported by reason; never silent. */
enum cgm_drop {
	CGM_DROP_SLOTS_FULL, /* an event went to slot 0: no free slot */
	CGM_DROP_CGROUP_DEAD, /* an event of a removed cgroup went to slot 0 */
	CGM_DROP_SLOT_MAP, /* slot_of could not be updated */
	CGM_DROP_NO_TASK, /* no room for a thread in its bucket: its off-CPU time was not counted */
	CGM_DROP_CLOCK, /* a time ran backwards between CPUs and was taken as 0 */
	CGM_DROP_EVENTS, /* ring buffer full: a life-cycle event was lost, user space lists again */
	CGM_DROP_BLOCK_MAP, /* a request was not counted: block map full */
	CGM_DROP_INFLIGHT, /* no issue time kept for a request: issue->done not counted */
	CGM_DROP_SOCK, /* no owner could be kept for a socket: later events of it go to slot 0 */
	CGM_NR_DROPS,
};

/* v1: by which controller's hierarchy a task is counted. */
enum cgm_task_controller { CGM_TASK_V2, CGM_TASK_CPU, CGM_TASK_CPUACCT, CGM_TASK_MEMORY, CGM_TASK_PIDS };

/* The kernel side's read-only switches, fixed at load. */
struct cgm_config {
	__u32 nr_slots;
	__u32 shard_mask; /* shards - 1; the number of shards is a power of two */
	__u32 shard_shared; /* 1: more CPUs than shards, add atomically */
	__u32 task_controller; /* enum cgm_task_controller */
	__u32 sched_hierarchy, block_hierarchy, sock_hierarchy; /* 0: v2 */
	__u32 rows_per_slot; /* shards + 1: the last row holds what user space folded from removed children */
	__u64 hierarchy_mask; /* life-cycle events of the hierarchies with these bits */
};

/* What a pinned set of maps was made for; it is adopted only by an agent that wants the same. */
struct cgm_meta {
	__u32 abi_version;
	__u32 nr_slots, nr_shards;
	__u32 filled; /* 1: the free slots are on their stack */
};

enum cgm_journal_kind { CGM_JOURNAL_NONE, CGM_JOURNAL_SCHED, CGM_JOURNAL_NET, CGM_JOURNAL_BLOCK };

/* The redo log of one row being folded into its parent; see user/kernel/retire.c. */
struct cgm_journal {
	__u32 kind; /* enum cgm_journal_kind; not NONE: what follows is to be done (again) */
	__u32 from_slot, to_slot;
	__u32 pad;
	struct cgm_block_key from_key, to_key;
	union {
		struct cgm_sched sched;
		struct cgm_net net;
		struct cgm_block block;
	};
};

#ifdef __cplusplus
#define CGM_ASSERT_SIZE(t, n) static_assert(sizeof(struct t) == (n), #t)
#else
#define CGM_ASSERT_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), #t)
#endif
CGM_ASSERT_SIZE(cgm_hist, 232);
CGM_ASSERT_SIZE(cgm_cgroup_key, 16);
CGM_ASSERT_SIZE(cgm_slot, 40);
CGM_ASSERT_SIZE(cgm_sched, 1216);
CGM_ASSERT_SIZE(cgm_net, 256);
CGM_ASSERT_SIZE(cgm_thread_bucket, 128);
CGM_ASSERT_SIZE(cgm_tasks, 40);
CGM_ASSERT_SIZE(cgm_block_key, 12);
CGM_ASSERT_SIZE(cgm_block, 512);
CGM_ASSERT_SIZE(cgm_event, 464);

#endif
