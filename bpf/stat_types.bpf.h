/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel types that bulk reading touches, with only the fields that it reads, under names of their own ("___stat" is cut off by CO-RE).
 * Kernel differences, each behind bpf_core_field_exists():
 *	cgroup.rstat_base_cpu	6.16 (5da3bfa029d6); before, the same in cgroup.rstat_cpu
 *	…subtree_bstat		6.6 (0437719c1a97): v2 CPU time per CPU
 *	vmstats.events_local	6.6 (f82e6bf9bb9b): a sum; before, to be added up over CPUs
 *	mem_cgroup.kmem, soft_limit	not without CONFIG_MEMCG_V1 (6.11)
 *	cgroup.psi	6.1 (5f69a6577bc3); psi_group.enabled 6.1 (34f26a15611a)
 *	cfs_bandwidth.burst_time	5.14 (bcb1704a1ed2)
 */
#ifndef CGM_STAT_TYPES_BPF_H
#define CGM_STAT_TYPES_BPF_H

#include "common.bpf.h"

enum bpf_stat_map_type { BPF_MAP_TYPE_PERCPU_ARRAY___stat = 6, BPF_MAP_TYPE_ARRAY_OF_MAPS___stat = 12 };
enum { BPF_F_INNER_MAP___stat = 4096 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head___stat {
	struct list_head___stat *next;
};

struct cgroup_subsys_state___stat {
	struct cgroup___stat *cgroup;
	struct list_head___stat sibling, children;
	unsigned int flags;
	u64 serial_nr;
	struct cgroup_subsys_state___stat *parent;
};

struct task_cputime___stat {
	u64 stime, utime;
	unsigned long long sum_exec_runtime;
};

struct cgroup_base_stat___stat {
	struct task_cputime___stat cputime;
};

struct cgroup_rstat_base_cpu___stat {
	struct cgroup_base_stat___stat subtree_bstat;
};

struct cgroup_rstat_cpu___stat {
	struct cgroup_base_stat___stat subtree_bstat;
};

struct prev_cputime___stat {
	u64 utime, stime;
};

/* include/linux/psi_types.h */
enum psi_states {
	PSI_IO_SOME = 0,
	PSI_IO_FULL = 1,
	PSI_MEM_SOME = 2,
	PSI_MEM_FULL = 3,
	PSI_CPU_SOME = 4,
	PSI_CPU_FULL = 5,
	PSI_IRQ_FULL = 6, /* CONFIG_IRQ_TIME_ACCOUNTING, 6.1 */
};

struct psi_group___stat {
	bool enabled;
	u64 avg_next_update;
	u64 total[1]; /* [2][states], of averages and of triggers; BTF flattens arrays of arrays */
	unsigned long avg[1]; /* [states][3] */
};

struct cgroup_root___stat;
struct cgroup___stat {
	struct cgroup_subsys_state___stat self;
	struct kernfs_node *kn;
	struct cgroup_subsys_state___stat *subsys[16];
	struct cgroup_root___stat *root;
	struct cgroup_rstat_base_cpu___stat *rstat_base_cpu;
	struct cgroup_rstat_cpu___stat *rstat_cpu;
	struct cgroup_base_stat___stat bstat;
	struct prev_cputime___stat prev_cputime;
	struct psi_group___stat *psi;
};

struct cgroup_root___stat {
	struct cgroup___stat cgrp;
};

struct cfs_bandwidth___stat {
	u64 period, quota;
	int nr_periods, nr_throttled, nr_burst;
	u64 throttled_time, burst_time;
};

struct task_group___stat {
	unsigned long shares;
	struct cfs_bandwidth___stat cfs_bandwidth;
};

struct kernel_cpustat___stat {
	u64 cpustat[10];
};

struct cpuacct___stat {
	u64 *cpuusage;
	struct kernel_cpustat___stat *cpustat;
};

enum cpu_usage_stat {
	CPUTIME_USER = 0,
	CPUTIME_NICE = 1,
	CPUTIME_SYSTEM = 2,
	CPUTIME_SOFTIRQ = 3,
	CPUTIME_IRQ = 4,
};

typedef struct {
	s64 counter;
} atomic64___stat;

struct pids_cgroup___stat {
	atomic64___stat counter, limit;
};

struct page_counter___stat {
	atomic64___stat usage;
	unsigned long watermark, failcnt, max, min;
};

struct memcg_vmstats___stat {
	long state[1];
	unsigned long events[1], events_local[1];
};

enum memcg_memory_event {
	MEMCG_LOW = 0,
	MEMCG_HIGH = 1,
	MEMCG_MAX = 2,
	MEMCG_OOM = 3,
	MEMCG_OOM_KILL = 4,
	MEMCG_OOM_GROUP_KILL = 5,
	MEMCG_SOCK_THROTTLED = 9, /* 6.18 */
};

struct mem_cgroup___stat {
	struct page_counter___stat memory;
	struct page_counter___stat swap; /* memsw, on v1 */
	struct page_counter___stat kmem;
	struct memcg_vmstats___stat *vmstats;
	atomic64___stat memory_events[16], memory_events_local[16];
	unsigned long soft_limit;
};

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	struct cgroup *cgroup;
};

struct bpf_array___stat {
	void *pptrs[1];
};

#pragma clang attribute pop

/*
 * A field of an object that CAST() has given: one load with bpf_rdonly_cast() (6.2; faults are handled by the kernel), a call without.
 * RDA: element i of an array; i may be what CO-RE says of an enum.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;
#define CAST(type, addr)                                                                                                                   \
	((struct type *)(stat_cfg.cast ? bpf_rdonly_cast((const void *)(addr), bpf_core_type_id_kernel(struct type)) : (void *)(addr)))
#define RDF(p, field)                                                                                                                      \
	({                                                                                                                                 \
		typeof((p)->field) _v = 0;                                                                                                 \
		if (stat_cfg.cast)                                                                                                         \
			_v = (p)->field;                                                                                                   \
		else                                                                                                                       \
			bpf_core_read(&_v, sizeof(_v), &(p)->field);                                                                       \
		_v;                                                                                                                        \
	})
#define RDA(p, first, i)                                                                                                                   \
	({                                                                                                                                 \
		typeof((p)->first) _v = 0, *_a = __builtin_preserve_access_index(&(p)->first);                                             \
		_a += (i);                                                                                                                 \
		if (stat_cfg.cast)                                                                                                         \
			_v = *_a;                                                                                                          \
		else                                                                                                                       \
			bpf_probe_read_kernel(&_v, sizeof(_v), _a);                                                                        \
		_v;                                                                                                                        \
	})

#endif
