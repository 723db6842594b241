/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Of bulk reading (stat.bpf.c): its maps, the state of a walk, and how memory is fetched ahead of time. */
#ifndef CGM_STAT_MAPS_BPF_H
#define CGM_STAT_MAPS_BPF_H

#include "stat_types.bpf.h"
#include "cgmeter/stat.h"

const volatile struct cgm_stat_config stat_cfg = {};

/*
 * An array a kind, each behind an outer map, so that user space can put a larger one in its place (user/kernel/stat.c). Key: the number of
 * the row in the walk. Written here. Full: the rows that did not fit are counted in cgm_stat_head and user space walks again.
 */
#define ROWS(name, kind)                                                                                                                   \
	struct {                                                                                                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS___stat);                                                                           \
		__uint(max_entries, 1);                                                                                                    \
		__type(key, __u32);                                                                                                        \
		__array(                                                                                                                   \
			values, struct {                                                                                                   \
				__uint(type, BPF_MAP_TYPE_ARRAY);                                                                          \
				__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP___stat);                                                \
				__uint(max_entries, 1);                                                                                    \
				__uint(key_size, sizeof(__u32));                                                                           \
				__uint(value_size, sizeof(struct kind));                                                                   \
			});                                                                                                                \
	} name SEC(".maps")
ROWS(cgm_st_cfs, cgm_stat_cfs);
ROWS(cgm_st_time, cgm_stat_time);
ROWS(cgm_st_cpus, cgm_stat_cpus);
ROWS(cgm_st_memory, cgm_stat_memory);
ROWS(cgm_st_pids, cgm_stat_pids);
ROWS(cgm_st_psi, cgm_stat_psi);

/* The walk under way, in memory and not on the stack: what is read back from there is a number to the verifier. */
struct walker {
	__u64 pos;		     /* the state that it stands on: a cgroup's own (cgroup.self), which is where a cgroup begins, or a controller's */
	__u64 root;		     /* where it began */
	__u32 up;		     /* it came from a child */
	__u32 by_controller;	     /* it goes along a controller's states */
	__u32 kinds;		     /* what to read, bit per enum cgm_stat_kind */
	__u32 nr[CGM_NR_STAT_KINDS]; /* rows so far */
	__u64 number;		     /* see number() */
	__u64 fetched;		     /* a sum that nobody needs: see fetch() */
	__u64 serial;		     /* of what it stands on */
	/* The loop over CPUs: per-CPU pointers in, sums out. A loop of bpf_loop() is verified once, however many CPUs there are. */
	__u64 per_cpu[2];
	__u64 usage_ns, user_ns, system_ns;
	__u32 time_row, nr_cpus_read;
	__u64 now_ns; /* the scheduler's clock */
};

/* One row each. head: written here. index: written by user space. raw: the arrays of the memory row under way. */
#define ONE(name, kind, flags, n)                                                                                                          \
	struct {                                                                                                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                                          \
		__uint(map_flags, flags);                                                                                                  \
		__uint(max_entries, n);                                                                                                    \
		__type(key, __u32);                                                                                                        \
		__type(value, kind);                                                                                                       \
	} name SEC(".maps")
ONE(cgm_st_walker, struct walker, 0, 1);
ONE(cgm_st_head, struct cgm_stat_head, BPF_F_MMAPABLE, 1);
ONE(cgm_st_index, struct cgm_stat_index, BPF_F_MMAPABLE, 1);
ONE(cgm_st_raw, struct cgm_stat_raw, BPF_F_MMAPABLE, 1);
ONE(cgm_st_raws, struct cgm_stat_raw, BPF_F_MMAPABLE, CGM_STAT_NR_RAW); /* of the rows that user space wants whole */
ONE(cgm_st_cpu_off, __u64, 0, 1); /* by CPU: what to add to a per-CPU pointer; as many as CPUs, set before the load */

/* Only to learn the above by: a per-CPU array knows both its pointer and, for each CPU, the address. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY___stat);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cgm_st_anchor SEC(".maps");

static __always_inline void *only(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/*
 * A second after the last walk hardly anything of what is read is in a cache, and a walk along pointers waits for each line by itself: that
 * was three quarters of the time. So every AHEAD rows the lines of the next AHEAD ones are loaded, at the addresses that they had last
 * time, all at once and for nothing: loads that do not depend on each other run side by side. An address that is stale is a wasted load,
 * and no fault (bpf_rdonly_cast(); without it, nothing is fetched).
 */
#define AHEAD 8
#define FETCH(addr)                                                                                                                        \
	do {                                                                                                                               \
		const struct kernel_cpustat___stat *_number = CAST(kernel_cpustat___stat, addr);                                           \
                                                                                                                                           \
		sum += _number->cpustat[0];                                                                                                \
	} while (0)
#define FETCH_FIELD(addr, type, field) FETCH((addr) + bpf_core_field_offset(struct type, field))

static __always_inline __u64 fetch_state(const struct cgm_stat_at *at)
{
	__u64 sum = 0;

	FETCH_FIELD(at->css, cgroup_subsys_state___stat, children);
	FETCH_FIELD(at->css, cgroup_subsys_state___stat, flags);
	FETCH_FIELD(at->css, cgroup_subsys_state___stat, parent);
	if (at->css == at->data)
		return sum;
	FETCH_FIELD(at->css, cgroup___stat, subsys);
	FETCH_FIELD(at->data, cgroup_subsys_state___stat, flags);
	return sum;
}

/* Says whose row it is. The cgroup's number is two objects away from its state: it is looked up where the row was another's before. */
static __always_inline void begin_row(const struct walker *w, struct cgm_stat_at *at, __u64 *id, const void *data)
{
	if (at->css != w->pos || at->serial != w->serial) {
		struct cgroup_subsys_state___stat *css = CAST(cgroup_subsys_state___stat, w->pos);
		struct cgroup___stat *cg = CAST(cgroup___stat, RDF(css, cgroup));
		struct kernfs_node *kn = CAST(kernfs_node, RDF(cg, kn));

		*id = RDF(kn, id);
		at->css = w->pos;
		at->serial = w->serial;
	}
	at->data = (__u64)data;
}

/* body: more FETCHes of what row, of that type, points to. */
#define FETCH_AHEAD(w, outer, nr, type, body)                                                                                              \
	do {                                                                                                                               \
		void *_rows = stat_cfg.cast && !((nr) % AHEAD) ? only(outer) : NULL;                                                       \
		__u64 sum = 0;                                                                                                             \
                                                                                                                                           \
		for (__u32 _i = 0; _rows && _i < AHEAD; _i++) {                                                                            \
			__u32 _n = (nr) + AHEAD + _i;                                                                                      \
			const struct type *row = bpf_map_lookup_elem(_rows, &_n);                                                          \
                                                                                                                                           \
			if (!row)                                                                                                          \
				break;                                                                                                     \
			sum += fetch_state(&row->at);                                                                                      \
			body                                                                                                               \
		}                                                                                                                          \
		(w)->fetched += sum;                                                                                                       \
	} while (0)

#endif
