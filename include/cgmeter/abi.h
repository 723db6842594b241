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

#define CGM_ABI_VERSION 6

#include "cgmeter/hist.h"

/* A cgroup's name for the kernel: kernfs ids are unique only inside one hierarchy. hierarchy is 0 for v2, else the number of /proc/self/cgroup. */
struct cgm_cgroup_key {
	__u64 id; /* st_ino of the cgroup's directory */
	__u32 hierarchy;
	__u32 pad;
};

/*
 * Slots: dense numbers of cgroups, the index of every per-cgroup array. Slot 0 takes what found no slot of its own.
 * Rows of counters are wide, and there is one for each shard of CPUs: they come in chunks of so many slots, made by user space as slots
 * are needed. Where block I/O has a hierarchy of its own (v1), that one's cgroups take bare slots, at and above cgm_config.nr_slots, which
 * have no rows.
 */
#define CGM_SLOT_OVERFLOW 0
#define CGM_CHUNK_SHIFT 6
#define CGM_CHUNK_SLOTS (1U << CGM_CHUNK_SHIFT)
#define CGM_MAX_CHUNKS 1024

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

/* The histograms of struct cgm_sched, from its beginning. */
enum cgm_sched_hist { CGM_RUNQ_DELAY, CGM_ON_CPU, CGM_OFF_CPU, CGM_NR_SCHED_HISTS = CGM_OFF_CPU + CGM_NR_OFF_CPU };

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
	/*
	 * By histogram, as they stand above: bit i says that something is in the buckets 4 * i to 4 * i + 3. Most never are used, and to
	 * look at them all would be most of what a reader costs. Not a counter: rows are added by cgm_add_sched().
	 */
	__u32 quads[CGM_NR_SCHED_HISTS];
	__u32 pad;
};

/* What the switch hook remembers of a thread. */
struct cgm_thread {
	__u32 pid; /* of the thread; 0: free */
	__u32 slot; /* of its cgroup, as long as generation is the present one */
	__u64 generation; /* of the table */
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

/*
 * generation is counted up when a task changes its cgroup and when a cgroup is removed: what was remembered of any thread's slot before is
 * looked up again. Threads keep it plus 1: 0 is none.
 */
struct cgm_threads {
	__u64 generation;
	__u64 pad[15];
	struct cgm_thread_bucket bucket[CGM_THREAD_BUCKETS];
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

/* Counters of a cgroup without a struct of their own: ids from the CGM_COUNT_SERIES and CGM_COUNT_NS_SERIES of metrics.def. */
enum cgm_count {
#define CGM_COUNT_SERIES(family, id, labels) CGM_C_##id,
#define CGM_COUNT_NS_SERIES(family, id, labels) CGM_C_##id,
#define CGM_COUNT_MARK(name) name, name##_BACK = name - 1,
#include "cgmeter/metrics.def"
	CGM_NR_COUNTS,
};

/* rows_per_slot rows a slot. Whole cache lines. */
struct cgm_counts {
	__u64 v[(CGM_NR_COMMON_COUNTS + 7) / 8 * 8];
};

/* Those of groups that are off by default: CGM_C_id is v[CGM_C_id - CGM_NR_COMMON_COUNTS]. There are rows only when such a group is loaded. */
struct cgm_dear {
	__u64 v[(CGM_NR_COUNTS - CGM_NR_COMMON_COUNTS + 7) / 8 * 8];
};

/* Latencies that are rare in most cgroups: ids from the CGM_WAIT_SERIES of metrics.def; kept by (slot, id) only where there was one. */
enum cgm_wait {
#define CGM_WAIT_SERIES(family, id, labels) CGM_W_##id,
#include "cgmeter/metrics.def"
	CGM_NR_WAITS,
};

/* Laid out as struct cgm_block_key, so that both kinds of keys retire alike. The value is a struct cgm_hist. */
struct cgm_wait_key {
	__u32 slot;
	__u32 wait; /* enum cgm_wait */
	__u16 zero;
	__u16 retired; /* 1: sums of removed children of this slot, written by user space alone */
};

/* Kinds of system calls; which call is of which is in user/kernel/syscalls.c. Ids of counts and waits are in this order. */
enum cgm_syscall_class {
	CGM_SYS_OTHER,
	CGM_SYS_READ,
	CGM_SYS_WRITE,
	CGM_SYS_OPEN,
	CGM_SYS_CLOSE,
	CGM_SYS_STAT,
	CGM_SYS_CHANGE,
	CGM_SYS_SYNC,
	CGM_SYS_POLL,
	CGM_SYS_SOCKET,
	CGM_SYS_MEMORY,
	CGM_SYS_PROCESS,
	CGM_SYS_SIGNAL,
	CGM_SYS_FUTEX,
	CGM_SYS_SLEEP,
	CGM_SYS_IPC,
	CGM_NR_SYS,
};

/* The index of the table of classes; calls above it are other. */
#define CGM_MAX_SYSCALLS 512

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

/* Walks that make their rows anew. */
enum cgm_walk_kind { CGM_WALK_TASKS, CGM_WALK_FILES, CGM_WALK_SOCKETS, CGM_NR_WALKS };

enum cgm_file_kind {
	CGM_FILE_REGULAR, /* and directories */
	CGM_FILE_DEVICE,
	CGM_FILE_SOCKET,
	CGM_FILE_PIPE,
	CGM_FILE_ANONYMOUS, /* epoll, eventfd, timers, … */
	CGM_NR_FILE_KINDS,
};

/* Descriptors of the cgroup's tasks, one row per slot; as struct cgm_tasks. */
struct cgm_open_files {
	__u64 generation;
	__u64 nr[CGM_NR_FILE_KINDS];
};

/* What a cgroup has of sockets now: ids from the CGM_SOCK_SERIES of metrics.def. */
enum cgm_sock_gauge {
#define CGM_SOCK_SERIES(family, id, labels) CGM_S_##id,
#include "cgmeter/metrics.def"
	CGM_NR_SOCK_GAUGES,
};

/* One row per slot; as struct cgm_tasks. */
struct cgm_socks {
	__u64 generation;
	__u32 v[(CGM_NR_SOCK_GAUGES + 1) / 2 * 2];
};

struct cgm_sock_walk {
	__u64 begun; /* the generation of the walk that set these: */
	__u64 before_ns, now_ns; /* when the walk before it began, 0: there was none; when it began */
};

/* The index of the table of reasons why packets are dropped; those above it are other. */
#define CGM_MAX_DROP_REASONS 256

enum cgm_block_op { CGM_BLOCK_READ, CGM_BLOCK_WRITE, CGM_BLOCK_DISCARD, CGM_BLOCK_FLUSH, CGM_BLOCK_OTHER, CGM_NR_BLOCK_OPS };

struct cgm_block_key {
	__u32 slot;
	__u32 dev; /* major << 20 | minor, the kernel's dev_t */
	__u16 op; /* enum cgm_block_op */
	__u16 retired; /* 1: sums of removed children of this slot, written by user space alone */
};

/* Why a request failed, from the kernel's blk_status_t. */
enum cgm_block_error { CGM_BLOCK_IO, CGM_BLOCK_MEDIUM, CGM_BLOCK_TIMEOUT, CGM_BLOCK_NO_SPACE, CGM_BLOCK_TRANSPORT, CGM_BLOCK_FAULT, CGM_NR_BLOCK_ERRORS };

/* Sizes of requests: up to 4 KiB and each time four times as much, the last without bound. */
#define CGM_NR_BLOCK_SIZES 6
#define CGM_BLOCK_SIZE(i) (4096ULL << 2 * (i))

struct cgm_block {
	struct cgm_hist queue_to_done; /* from the request's allocation to its completion */
	struct cgm_hist issue_to_done; /* from its hand-over to the driver to its completion */
	__u64 bytes, requests; /* completed */
	__u64 errors[CGM_NR_BLOCK_ERRORS]; /* completed with an error */
	__u64 issued; /* handed to the driver; in flight = issued - requests */
	__u64 sync_bytes, sync_requests; /* of bytes, requests: synchronous ones */
	__u64 merged; /* bios and requests that joined a request of this owner before it was issued */
	__u64 busy_ns; /* the device's busy time that fell to this owner: from the completion (or idleness) before to each completion of its own */
	__u64 dirtied_pages; /* op WRITE: pages of files on this device that the owner's tasks made dirty */
	__u64 sizes[CGM_NR_BLOCK_SIZES]; /* of requests, by what they were issued with */
	__u64 requeues; /* given back by the driver, to be issued again */
};

/* A disk: dev as in struct cgm_block_key, 0: free. */
struct cgm_device {
	__u64 dev;
	__u64 since_ns; /* when it became busy, or its last completion */
	__u64 nr_in_flight;
};

/* A request at the driver. */
struct cgm_block_request {
	__u64 number; /* stands for its address; 0: free */
	__u64 issue_ns;
	struct cgm_block_key key; /* the row that it counts in */
	__u32 bytes : 31, sync : 1; /* with which it was issued */
};

#define CGM_REQUEST_BUCKETS 4096
#define CGM_REQUEST_WAYS 4
#define CGM_NR_DEVICES 1024
#define CGM_DEVICE_WAYS 8 /* places, one after the other, where a disk may stand */

struct cgm_request_bucket {
	struct cgm_block_request way[CGM_REQUEST_WAYS];
};

struct cgm_at_driver {
	struct cgm_request_bucket request[CGM_REQUEST_BUCKETS];
	struct cgm_device device[CGM_NR_DEVICES];
};

/* EMPTY: the last task of the cgroup, and of all below it, has gone; of the hierarchy that the scheduler counts by alone. */
enum cgm_event_type { CGM_EVENT_MKDIR = 1, CGM_EVENT_RMDIR = 2, CGM_EVENT_OOM = 3, CGM_EVENT_EMPTY = 4 };

#define CGM_OOM_UNKNOWN 255

/* The call of out_of_memory() that is under way; there is one at a time (oom_lock). */
struct cgm_oom_call {
	__u64 control; /* the kernel's address of its struct oom_control */
	__u64 task; /* who made it: bpf_get_current_pid_tgid() */
};

#define CGM_EVENT_PATH 424

struct cgm_event {
	__u64 time_ns;
	__u64 cgroup_id, parent_id;
	__u32 type; /* enum cgm_event_type */
	__u32 hierarchy;
	__u32 slot; /* CGM_SLOT_OVERFLOW: none */
	__u32 path_len; /* without the zero; == CGM_EVENT_PATH: the path did not fit, look it up */
	/*
	 * of CGM_EVENT_OOM: the victim and what it had in memory; path is its name. hierarchy is that of the memory controller, cgroup_id the victim's
	 * cgroup in it, limit_id the one that ran out (0: the machine, or not known), constraint the kernel's enum oom_constraint
	 * (CGM_OOM_UNKNOWN: not known).
	 */
	__u32 pid, constraint;
	__u64 file_pages, anon_pages, shmem_pages;
	__u64 limit_id;
	char path[CGM_EVENT_PATH];
};

/* What the kernel side could not count where it belonged. Exported by reason; never silent. */
enum cgm_drop {
	CGM_DROP_SLOTS_FULL, /* an event went to slot 0: no free slot */
	CGM_DROP_CGROUP_DEAD, /* an event of a removed cgroup went to slot 0 */
	CGM_DROP_SLOT_MAP, /* slot_of could not be updated */
	CGM_DROP_NO_TASK, /* no room for what is remembered of a thread: a time that it spent was not counted */
	CGM_DROP_CLOCK, /* a time ran backwards between CPUs and was taken as 0 */
	CGM_DROP_EVENTS, /* ring buffer full: a life-cycle event was lost, user space lists again */
	CGM_DROP_BLOCK_MAP, /* a request was not counted: block map full */
	CGM_DROP_INFLIGHT, /* no issue time kept for a request: issue->done not counted */
	CGM_DROP_WAIT_MAP, /* a latency was not counted: wait map full */
	CGM_DROP_SOCK, /* nothing could be kept for a socket: later events of it go to slot 0, and its times are not counted */
	CGM_DROP_PACKET, /* a packet left a queue and it is not known when it came: not counted */
	CGM_DROP_BLOCK_DONE, /* no program was told of a request's end: counted without its times, when the kernel used the request anew */
	CGM_NR_DROPS,
};

/* v1: by which controller's hierarchy a task is counted. */
enum cgm_task_controller { CGM_TASK_V2, CGM_TASK_CPU, CGM_TASK_CPUACCT, CGM_TASK_MEMORY, CGM_TASK_PIDS };

/* The kernel side's read-only switches, fixed at load. */
struct cgm_config {
	__u32 nr_slots; /* with rows; bare ones have the numbers above */
	__u32 shard_mask; /* shards - 1; the number of shards is a power of two */
	__u32 shard_shared; /* 1: more CPUs than shards, add atomically */
	__u32 task_controller; /* enum cgm_task_controller */
	__u32 sched_hierarchy, block_hierarchy, sock_hierarchy; /* 0: v2 */
	__u32 rows_per_slot; /* one for each shard */
	__u32 tick_ns; /* of the kernel's timer, in which pauses are given */
	__u32 pad;
	__u64 hierarchy_mask; /* life-cycle events of the hierarchies with these bits */
};

/* What a pinned set of maps was made for; it is adopted only by an agent that wants the same. */
struct cgm_meta {
	__u32 abi_version;
	__u32 nr_slots, nr_shards;
	__u32 nr_given; /* slots from 1 on that were put onto the stack of free slots once: those of the chunks made so far */
	__u32 nr_bare_given; /* the same of the bare ones, from nr_slots on */
	__u32 pad;
};

/* The maps of chunks of rows, and the maps keyed by slot, as the redo log numbers them. */
enum cgm_rows_map { CGM_ROWS_SCHED, CGM_ROWS_NET, CGM_ROWS_COUNTS, CGM_ROWS_DEAR, CGM_NR_ROWS_MAPS };
enum cgm_keyed_map { CGM_KEYED_BLOCK, CGM_KEYED_WAIT, CGM_NR_KEYED_MAPS };
enum cgm_journal_kind { CGM_JOURNAL_NONE, CGM_JOURNAL_ROWS, CGM_JOURNAL_KEYED };

/* What was folded from removed descendants of a slot, a union cgm_any_row: only for slots that had any. */
struct cgm_retired_key {
	__u32 slot, map; /* enum cgm_rows_map */
};

union cgm_any_row {
	struct cgm_sched sched;
	struct cgm_net net;
	struct cgm_counts counts;
	struct cgm_dear dear;
	__u64 v[1];
};

/* The redo log of one row being folded into its parent; see user/kernel/retire.c. */
struct cgm_journal {
	__u32 kind; /* enum cgm_journal_kind; not NONE: what follows is to be done (again) */
	__u32 map; /* enum cgm_rows_map or cgm_keyed_map */
	__u32 from_slot, to_slot;
	struct cgm_block_key from_key, to_key;
	union {
		union cgm_any_row row;
		struct cgm_block block;
		struct cgm_hist wait;
		__u64 sum[1];
	};
};

#ifdef __cplusplus
#define CGM_ASSERT_SIZE(t, n) static_assert(sizeof(struct t) == (n), #t)
#else
#define CGM_ASSERT_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), #t)
#endif
CGM_ASSERT_SIZE(cgm_hist, 856);
CGM_ASSERT_SIZE(cgm_cgroup_key, 16);
CGM_ASSERT_SIZE(cgm_slot, 40);
CGM_ASSERT_SIZE(cgm_sched, 4352);
CGM_ASSERT_SIZE(cgm_net, 256);
CGM_ASSERT_SIZE(cgm_thread_bucket, 128);
CGM_ASSERT_SIZE(cgm_tasks, 40);
CGM_ASSERT_SIZE(cgm_block_key, 12);
CGM_ASSERT_SIZE(cgm_block, 1880);
CGM_ASSERT_SIZE(cgm_wait_key, 12);
CGM_ASSERT_SIZE(cgm_event, 504);
CGM_ASSERT_SIZE(cgm_request_bucket, 128);
CGM_ASSERT_SIZE(cgm_oom_call, 16);

#endif
