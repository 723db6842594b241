/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * The contract of bulk reading: the rows that bpf/stat.bpf.c writes for every cgroup in one walk, and that user/kernel/stat.c reads. One
 * array a kind, in the order of the walk; a cgroup is found by the id of its directory. Nothing here is pinned: rows are made anew by each
 * walk. Numbers are the kernel's own, in its own units (pages, ns); what they mean to a reader of files is user space's matter.
 */
#ifndef CGMETER_STAT_H
#define CGMETER_STAT_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Bits of cgm_stat_walk.kinds, too. */
enum cgm_stat_kind {
	CGM_STAT_CFS,  /* the cpu controller: bandwidth */
	CGM_STAT_TIME, /* CPU time: v1's cpuacct, or v2's base statistics */
	CGM_STAT_CPUS, /* its part per CPU */
	CGM_STAT_MEMORY,
	CGM_STAT_PIDS,
	CGM_STAT_PSI, /* pressure: of the v2 tree, which a hybrid machine has too */
	CGM_NR_STAT_KINDS,
};

/* present: which of the kernel's fields there are. */
enum cgm_stat_field {
	CGM_STAT_HAS_BURST = 1, /* of CFS */
	CGM_STAT_HAS_CPUS = 2,	/* of TIME: the rows of CPUS are filled */
	CGM_STAT_HAS_KMEM = 4,	/* of MEMORY: a counter of its own (v1) */
	CGM_STAT_HAS_LOCAL = 8, /* of MEMORY: events of the cgroup without its descendants */
	CGM_STAT_HAS_SOCK_THROTTLED = 32, /* of MEMORY */
	CGM_STAT_UNSURE = 16,	/* of MEMORY: slots that may belong to the same field, whose place is not known yet, differ */
};

/*
 * Where the row's numbers came from: for the program alone, which knows by it whether the row is still of the same cgroup, and fetches the
 * memory of the rows to come ahead of time. css: what the walk stood on; its serial number is never given twice.
 */
struct cgm_stat_at {
	__u64 css, serial, data, more[2];
};

struct cgm_stat_cfs {
	__u64 id;
	struct cgm_stat_at at;
	__u64 nr_periods, nr_throttled, throttled_ns, nr_bursts, burst_ns;
	__u64 quota_ns; /* 2^64-1: none */
	__u64 period_ns, shares;
	__u32 present, pad;
};

struct cgm_stat_time {
	__u64 id;
	struct cgm_stat_at at;
	__u64 usage_ns;
	__u64 user_ns, system_ns;	      /* by ticks: only their proportion counts, see cputime_adjust() in kernel/sched/cputime.c */
	__u64 shown_user_ns, shown_system_ns; /* what the kernel has shown last */
	__u32 present, pad;
};

/* ceil(nr_cpus / 8) of these a row of TIME. */
#define CGM_STAT_CPUS_PER_CELL 8
struct cgm_stat_cpus {
	__u64 usage_ns[CGM_STAT_CPUS_PER_CELL];
};

/* What is picked out of memory.stat's arrays; cgm_stat_index says from where. */
#define CGM_STAT_NR_PICKS 24
struct cgm_stat_memory {
	__u64 id;
	struct cgm_stat_at at;
	__u64 usage_pages, peak_pages, max_pages, failcnt;
	__u64 swap_pages, swap_max_pages; /* v1: memory and swap together */
	__u64 kmem_pages;
	__u64 soft_limit_pages, min_pages;
	__u64 events_low, events_high, events_max, events_oom, events_oom_kill, events_oom_group_kill, events_sock_throttled;
	__u64 local_events_max, local_events_oom_kill;
	__u32 present, pad;
	__s64 picks[CGM_STAT_NR_PICKS];
};

struct cgm_stat_pids {
	__u64 id;
	struct cgm_stat_at at;
	__u64 current, max;
};

/* What stood still, as the pressure files name it: resource, and some or full of the tasks. */
enum cgm_stat_psi_state {
	CGM_PSI_IO_SOME,
	CGM_PSI_IO_FULL,
	CGM_PSI_MEMORY_SOME,
	CGM_PSI_MEMORY_FULL,
	CGM_PSI_CPU_SOME,
	CGM_PSI_CPU_FULL,
	CGM_PSI_IRQ_FULL,
	CGM_NR_PSI_STATES,
};

struct cgm_stat_psi {
	__u64 id;
	struct cgm_stat_at at;
	__u64 total_ns[CGM_NR_PSI_STATES];
	__u64 avg[CGM_NR_PSI_STATES][3]; /* over 10, 60 and 300 s: per cent in fixed point, 11 bits behind it */
	__u64 next_update_ns, now_ns; /* when the averages are made anew, and the time, by the scheduler's clock */
	__u32 present; /* bit per state */
	__u32 pad;
};

/* The arrays behind memory.stat as the kernel has them, one after the other; a slot is an index into all of them. */
#define CGM_STAT_STATE 64
#define CGM_STAT_EVENTS 48
#define CGM_STAT_SLOTS (CGM_STAT_STATE + 2 * CGM_STAT_EVENTS)
struct cgm_stat_raw {
	union {
		__s64 slots[CGM_STAT_SLOTS];
		struct {
			__s64 state[CGM_STAT_STATE];
			__s64 events[CGM_STAT_EVENTS]; /* descendants included, as state */
			__s64 events_local[CGM_STAT_EVENTS];
		};
	};
};

/*
 * Written by user space: the slot of each pick (CGM_STAT_SLOTS: none), and the pairs of slots that must be equal for the row to be sure
 * (CGM_STAT_SLOTS: a zero).
 */
#define CGM_STAT_NR_PAIRS 192
struct cgm_stat_index {
	__u32 pick[CGM_STAT_NR_PICKS];
	__u32 nr_pairs; /* more than there is room for: no row is sure */
	__u32 pair[CGM_STAT_NR_PAIRS][2];
	__u32 raw_from; /* the rows from this one on are copied whole, too */
};

/* How many rows are copied whole. */
#define CGM_STAT_NR_RAW 16

/* What a walk has found: how many rows it needed, more than there was room for when an array is too small. */
struct cgm_stat_head {
	__u32 nr[CGM_NR_STAT_KINDS];
	__u32 walks; /* counted up at the end of each */
};

#define CGM_STAT_MAX_WALKS 6
#define CGM_STAT_MAX_CPUS 1024

/* The controllers by whose hierarchy a walk goes. */
enum cgm_stat_tree { CGM_TREE_UNIFIED, CGM_TREE_CPU, CGM_TREE_CPUACCT, CGM_TREE_MEMORY, CGM_TREE_PIDS };
enum cgm_stat_flush { CGM_FLUSH_NONE, CGM_FLUSH_CGROUP, CGM_FLUSH_CSS };

struct cgm_stat_walk {
	__u32 tree;  /* enum cgm_stat_tree */
	__u32 kinds; /* bit per enum cgm_stat_kind; 0: no walk */
};

/* Fixed at load. */
struct cgm_stat_config {
	__u32 cast;	 /* 1: bpf_rdonly_cast() is there, so fields are read directly */
	__u32 flush;	 /* enum cgm_stat_flush */
	__u32 nr_cpus;	 /* possible ones */
	__u32 base_time; /* 1: TIME from the v2 base statistics, 0: from cpuacct */
	struct cgm_stat_walk walk[CGM_STAT_MAX_WALKS];
};

#ifdef __cplusplus
#define CGM_STAT_ASSERT_SIZE(t, n) static_assert(sizeof(struct t) == (n), #t)
#else
#define CGM_STAT_ASSERT_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), #t)
#endif
CGM_STAT_ASSERT_SIZE(cgm_stat_cfs, 120);
CGM_STAT_ASSERT_SIZE(cgm_stat_time, 96);
CGM_STAT_ASSERT_SIZE(cgm_stat_cpus, 64);
CGM_STAT_ASSERT_SIZE(cgm_stat_memory, 392);
CGM_STAT_ASSERT_SIZE(cgm_stat_pids, 64);
CGM_STAT_ASSERT_SIZE(cgm_stat_raw, 1280);
CGM_STAT_ASSERT_SIZE(cgm_stat_psi, 296);
CGM_STAT_ASSERT_SIZE(cgm_stat_head, 28);

#endif
