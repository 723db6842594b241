// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Bulk reading: the counters of every cgroup in one go, into arrays that user space maps. A cgroup iterator calls the program once, for one
 * cgroup, and holds cgroup_mutex meanwhile: so no cgroup comes or goes, and the program walks the trees of all hierarchies by itself, along
 * the lists that css_next_descendant_pre() follows. That is three system calls (make the iterator, read it, close it) however many
 * hierarchies and cgroups there are, where one link a hierarchy would take three each.
 */
#include "stat_maps.bpf.h"

extern void cgroup_rstat_flush(struct cgroup *cgrp) __ksym __weak;
extern void css_rstat_flush(struct cgroup_subsys_state *css) __ksym __weak;

static long learn_cpu_offset(__u32 i, __u64 *base)
{
	__u32 zero = 0, cpu = i;
	__u64 *addr = bpf_map_lookup_percpu_elem(&cgm_st_anchor, &zero, i);
	__u64 *off = bpf_map_lookup_elem(&cgm_st_cpu_off, &cpu);

	if (!off)
		return 1;
	*(volatile __u64 *)off = (__u64)addr;
	*off = addr && *base ? *(volatile __u64 *)off - *base : 0;
	return 0;
}

/* Symbols of the kernel's own per-CPU data are not to be had everywhere. The numbers never change: done once. */
static __noinline int learn_cpu_offsets(void)
{
	__u64 base = 0, *off = only(&cgm_st_cpu_off);

	if (!off || *off)
		return 0;
	/* Pointers become numbers by way of memory. */
	*(volatile __u64 *)off = (__u64)&cgm_st_anchor;
	base = *(volatile __u64 *)off;
	if (bpf_probe_read_kernel(&base, sizeof(base), (void *)(base + bpf_core_field_offset(struct bpf_array___stat, pptrs))))
		base = 0;
	bpf_loop(stat_cfg.nr_cpus, learn_cpu_offset, &base, 0);
	return 0;
}

/* The next row of a kind; *nr counts also those that do not fit. */
static __always_inline void *next_row(void *outer, __u32 *nr)
{
	void *rows = only(outer);
	__u32 i = *nr;

	*nr = i + 1;
	return rows ? bpf_map_lookup_elem(rows, &i) : NULL;
}

static __always_inline bool is_online(struct cgroup_subsys_state___stat *css)
{
	return (RDF(css, flags) & (CSS_ONLINE | CSS_DYING)) == CSS_ONLINE;
}

/* The controller's state where the walk stands, when it is on there. */
static __always_inline void *online_css(struct walker *w, __u64 i)
{
	struct cgroup_subsys_state___stat *css;
	struct cgroup___stat *cg;

	if (w->by_controller)
		return CAST(cgroup_subsys_state___stat, w->pos); /* step() has looked */
	cg = CAST(cgroup___stat, w->pos);
	css = RDA(cg, subsys[0], i);
	if (!css)
		return NULL;
	css = CAST(cgroup_subsys_state___stat, css);
	return is_online(css) ? css : NULL;
}
#define ONLINE_CSS(w, name) online_css(w, bpf_core_enum_value(enum cgroup_subsys_id, name))

static __always_inline void read_cfs(struct walker *w)
{
	void *css = ONLINE_CSS(w, cpu_cgrp_id);
	struct task_group___stat *tg;
	struct cgm_stat_cfs *row;

	if (!css)
		return;
	FETCH_AHEAD(w, &cgm_st_cfs, w->nr[CGM_STAT_CFS], cgm_stat_cfs, {
		FETCH_FIELD(row->at.data, task_group___stat, shares);
		FETCH_FIELD(row->at.data, task_group___stat, cfs_bandwidth.quota);
		FETCH_FIELD(row->at.data, task_group___stat, cfs_bandwidth.throttled_time);
	});
	row = next_row(&cgm_st_cfs, &w->nr[CGM_STAT_CFS]);
	if (!row)
		return;
	tg = CAST(task_group___stat, css);
	begin_row(w, &row->at, &row->id, css);
	row->present = 0;
	row->shares = RDF(tg, shares);
	row->quota_ns = RDF(tg, cfs_bandwidth.quota);
	row->period_ns = RDF(tg, cfs_bandwidth.period);
	row->nr_periods = RDF(tg, cfs_bandwidth.nr_periods);
	row->nr_throttled = RDF(tg, cfs_bandwidth.nr_throttled);
	row->throttled_ns = RDF(tg, cfs_bandwidth.throttled_time);
	if (!bpf_core_field_exists(tg->cfs_bandwidth.burst_time))
		return;
	row->nr_bursts = RDF(tg, cfs_bandwidth.nr_burst);
	row->burst_ns = RDF(tg, cfs_bandwidth.burst_time);
	row->present = CGM_STAT_HAS_BURST;
}

/* Where CPU cpu's number of row nr goes. */
static __always_inline __u64 *cpu_cell(__u32 nr, __u32 cpu)
{
	__u32 cells = (stat_cfg.nr_cpus + CGM_STAT_CPUS_PER_CELL - 1) / CGM_STAT_CPUS_PER_CELL;
	__u32 i = nr * cells + cpu / CGM_STAT_CPUS_PER_CELL;
	void *rows = only(&cgm_st_cpus);
	struct cgm_stat_cpus *cell = rows ? bpf_map_lookup_elem(rows, &i) : NULL;

	return cell ? &cell->usage_ns[cpu % CGM_STAT_CPUS_PER_CELL] : NULL;
}

static __always_inline void count_cpu_cells(struct walker *w)
{
	w->nr[CGM_STAT_CPUS] += (stat_cfg.nr_cpus + CGM_STAT_CPUS_PER_CELL - 1) / CGM_STAT_CPUS_PER_CELL;
}

/* A pointer as a number, to which anything may be added: the verifier forgets what it was on the way through memory. */
static __always_inline __u64 number(struct walker *w, const void *p)
{
	*(volatile __u64 *)&w->number = (__u64)p;
	return *(volatile __u64 *)&w->number;
}

static __always_inline __u64 cpu_offset(__u32 cpu)
{
	__u64 *off = bpf_map_lookup_elem(&cgm_st_cpu_off, &cpu);

	return off ? *off : 0;
}

#define CPUSTAT(ks, name) RDA(ks, cpustat[0], bpf_core_enum_value(enum cpu_usage_stat, name))

static long read_cpuacct_cpu(__u32 cpu, void *unused)
{
	struct walker *w = only(&cgm_st_walker);
	struct kernel_cpustat___stat *ks;
	__u64 off = cpu_offset(cpu), ns, *cell;

	if (!w || !off)
		return 1;
	cell = cpu_cell(w->time_row, cpu);
	if (!cell)
		return 1;
	/* The only structure around a bare number that can be cast to: it is read at its beginning. */
	ks = CAST(kernel_cpustat___stat, w->per_cpu[0] + off);
	ns = RDA(ks, cpustat[0], 0);
	*cell = ns;
	w->usage_ns += ns;
	ks = CAST(kernel_cpustat___stat, w->per_cpu[1] + off);
	w->user_ns += CPUSTAT(ks, CPUTIME_USER) + CPUSTAT(ks, CPUTIME_NICE);
	w->system_ns += CPUSTAT(ks, CPUTIME_SYSTEM) + CPUSTAT(ks, CPUTIME_IRQ) + CPUSTAT(ks, CPUTIME_SOFTIRQ);
	w->nr_cpus_read++;
	return 0;
}

/* As cpuacct_stats_show() and cpuacct.usage_percpu of kernel/sched/cpuacct.c. */
static __always_inline void read_cpuacct(struct walker *w, struct cgroup___stat *cg)
{
	void *css = ONLINE_CSS(w, cpuacct_cgrp_id);
	__u32 nr = w->nr[CGM_STAT_TIME];
	struct cgm_stat_time *row;
	struct cpuacct___stat *ca;

	if (!css)
		return;
	FETCH_AHEAD(w, &cgm_st_time, nr, cgm_stat_time, {
		FETCH_FIELD(row->at.data, cpuacct___stat, cpuusage);
		FETCH_FIELD(row->at.css, cgroup___stat, prev_cputime.stime);
		for (__u32 cpu = 0; cpu < AHEAD && cpu < stat_cfg.nr_cpus; cpu++) {
			__u64 off = cpu_offset(cpu);

			FETCH(row->at.more[0] + off);
			FETCH(row->at.more[1] + off);
		}
	});
	row = next_row(&cgm_st_time, &w->nr[CGM_STAT_TIME]);
	count_cpu_cells(w);
	if (!row)
		return;
	ca = CAST(cpuacct___stat, css);
	w->per_cpu[0] = number(w, RDF(ca, cpuusage));
	w->per_cpu[1] = number(w, RDF(ca, cpustat));
	w->usage_ns = w->user_ns = w->system_ns = 0;
	w->time_row = nr;
	w->nr_cpus_read = 0;
	bpf_loop(stat_cfg.nr_cpus, read_cpuacct_cpu, NULL, 0);
	begin_row(w, &row->at, &row->id, css);
	row->at.more[0] = w->per_cpu[0];
	row->at.more[1] = w->per_cpu[1];
	row->usage_ns = w->usage_ns;
	row->user_ns = w->user_ns;
	row->system_ns = w->system_ns;
	row->shown_user_ns = RDF(cg, prev_cputime.utime);
	row->shown_system_ns = RDF(cg, prev_cputime.stime);
	row->present = w->nr_cpus_read == stat_cfg.nr_cpus ? CGM_STAT_HAS_CPUS : 0;
}

/* A CPU's part of the subtree's time; 6.6 and newer. */
static long read_base_cpu(__u32 cpu, void *unused)
{
	struct walker *w = only(&cgm_st_walker);
	__u64 off = cpu_offset(cpu), *cell;

	if (!w || !off)
		return 1;
	cell = cpu_cell(w->time_row, cpu);
	if (!cell)
		return 1;
	if (bpf_core_field_exists(struct cgroup___stat, rstat_base_cpu)) {
		struct cgroup_rstat_base_cpu___stat *rc = CAST(cgroup_rstat_base_cpu___stat, w->per_cpu[0] + off);

		*cell = RDF(rc, subtree_bstat.cputime.sum_exec_runtime);
	} else {
		struct cgroup_rstat_cpu___stat *rc = CAST(cgroup_rstat_cpu___stat, w->per_cpu[0] + off);

		*cell = RDF(rc, subtree_bstat.cputime.sum_exec_runtime);
	}
	w->nr_cpus_read++;
	return 0;
}

/* As cgroup_base_stat_cputime_show() of kernel/cgroup/rstat.c, behind a flush. */
static __always_inline void read_base_time(struct walker *w, struct cgroup___stat *cg)
{
	__u32 nr = w->nr[CGM_STAT_TIME];
	struct cgm_stat_time *row = next_row(&cgm_st_time, &w->nr[CGM_STAT_TIME]);

	count_cpu_cells(w);
	if (!row)
		return;
	begin_row(w, &row->at, &row->id, cg);
	row->usage_ns = RDF(cg, bstat.cputime.sum_exec_runtime);
	row->user_ns = RDF(cg, bstat.cputime.utime);
	row->system_ns = RDF(cg, bstat.cputime.stime);
	row->shown_user_ns = RDF(cg, prev_cputime.utime);
	row->shown_system_ns = RDF(cg, prev_cputime.stime);
	row->present = 0;
	if (!bpf_core_field_exists(struct cgroup_rstat_base_cpu___stat, subtree_bstat) &&
		!bpf_core_field_exists(struct cgroup_rstat_cpu___stat, subtree_bstat))
		return;
	if (bpf_core_field_exists(cg->rstat_base_cpu))
		w->per_cpu[0] = number(w, RDF(cg, rstat_base_cpu));
	else
		w->per_cpu[0] = number(w, RDF(cg, rstat_cpu));
	w->time_row = nr;
	w->nr_cpus_read = 0;
	bpf_loop(stat_cfg.nr_cpus, read_base_cpu, NULL, 0);
	row->present = w->nr_cpus_read == stat_cfg.nr_cpus ? CGM_STAT_HAS_CPUS : 0;
}

/* Copies one of the arrays; the rest of the room stays as it was, zero. */
#define COPY_ARRAY(raw, vm, array)                                                                                                         \
	do {                                                                                                                               \
		__u32 size = bpf_core_field_size((vm)->array);                                                                             \
		bpf_probe_read_kernel((raw)->array, size < sizeof((raw)->array) ? size : sizeof((raw)->array),                             \
			(const void *)(vm) + bpf_core_field_offset((vm)->array));                                                          \
	} while (0)

static __always_inline void read_memory_stat(struct cgm_stat_memory *row, const struct memcg_vmstats___stat *vm, __u32 nr)
{
	struct cgm_stat_index *index = only(&cgm_st_index);
	struct cgm_stat_raw *raw = only(&cgm_st_raw), *whole;
	__s64 *slots = raw ? raw->slots : NULL;
	__u32 i;

	if (!raw || !slots || !index || !vm)
		return;
	COPY_ARRAY(raw, vm, state);
	COPY_ARRAY(raw, vm, events);
	if (bpf_core_field_exists(vm->events_local)) {
		COPY_ARRAY(raw, vm, events_local);
		row->present |= CGM_STAT_HAS_LOCAL;
	}
	for (i = 0; i < CGM_STAT_NR_PICKS; i++) {
		__u32 slot = index->pick[i];

		row->picks[i] = slot < CGM_STAT_SLOTS ? slots[slot] : 0;
	}
	if (index->nr_pairs > CGM_STAT_NR_PAIRS)
		row->present |= CGM_STAT_UNSURE;
	for (i = 0; i < CGM_STAT_NR_PAIRS && i < index->nr_pairs; i++) {
		__u32 a = index->pair[i][0], b = index->pair[i][1];

		if ((a < CGM_STAT_SLOTS ? slots[a] : 0) != (b < CGM_STAT_SLOTS ? slots[b] : 0)) {
			row->present |= CGM_STAT_UNSURE;
			break;
		}
	}
	i = nr - index->raw_from;
	whole = bpf_map_lookup_elem(&cgm_st_raws, &i);
	if (whole)
		bpf_probe_read_kernel(whole, sizeof(*whole), raw);
}

#define MEMORY_EVENT(m, name) RDA(m, memory_events[0].counter, bpf_core_enum_value(enum memcg_memory_event, name))

static __always_inline void read_memory(struct walker *w)
{
	void *css = ONLINE_CSS(w, memory_cgrp_id);
	__u32 nr = w->nr[CGM_STAT_MEMORY];
	struct cgm_stat_memory *row;
	const struct memcg_vmstats___stat *vm;
	struct mem_cgroup___stat *m;

	if (!css)
		return;
	FETCH_AHEAD(w, &cgm_st_memory, nr, cgm_stat_memory, {
		FETCH_FIELD(row->at.data, mem_cgroup___stat, memory.usage);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, memory.watermark);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, memory.max);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, swap.usage);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, swap.max);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, vmstats);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, memory_events);
		FETCH_FIELD(row->at.data, mem_cgroup___stat, memory_events_local);
		if (bpf_core_field_exists(struct mem_cgroup___stat, kmem))
			FETCH_FIELD(row->at.data, mem_cgroup___stat, kmem.usage);
		if (bpf_core_field_exists(struct mem_cgroup___stat, soft_limit))
			FETCH_FIELD(row->at.data, mem_cgroup___stat, soft_limit);
		for (__u32 line = 0; line < 16; line += 2)
			FETCH(row->at.more[0] + line * 64); /* lines come in pairs */
	});
	row = next_row(&cgm_st_memory, &w->nr[CGM_STAT_MEMORY]);
	if (!row)
		return;
	m = CAST(mem_cgroup___stat, css);
	begin_row(w, &row->at, &row->id, css);
	row->present = 0;
	row->usage_pages = RDF(m, memory.usage.counter);
	row->peak_pages = RDF(m, memory.watermark);
	row->max_pages = RDF(m, memory.max);
	row->failcnt = RDF(m, memory.failcnt);
	row->min_pages = RDF(m, memory.min);
	row->swap_pages = RDF(m, swap.usage.counter);
	row->swap_max_pages = RDF(m, swap.max);
	if (bpf_core_field_exists(m->kmem)) {
		row->kmem_pages = RDF(m, kmem.usage.counter);
		row->present |= CGM_STAT_HAS_KMEM;
	}
	if (bpf_core_field_exists(m->soft_limit))
		row->soft_limit_pages = RDF(m, soft_limit);
	row->events_low = MEMORY_EVENT(m, MEMCG_LOW);
	row->events_high = MEMORY_EVENT(m, MEMCG_HIGH);
	row->events_max = MEMORY_EVENT(m, MEMCG_MAX);
	row->events_oom = MEMORY_EVENT(m, MEMCG_OOM);
	row->events_oom_kill = MEMORY_EVENT(m, MEMCG_OOM_KILL);
	if (bpf_core_enum_value_exists(enum memcg_memory_event, MEMCG_OOM_GROUP_KILL))
		row->events_oom_group_kill = MEMORY_EVENT(m, MEMCG_OOM_GROUP_KILL);
	if (bpf_core_enum_value_exists(enum memcg_memory_event, MEMCG_SOCK_THROTTLED)) {
		row->events_sock_throttled = MEMORY_EVENT(m, MEMCG_SOCK_THROTTLED);
		row->present |= CGM_STAT_HAS_SOCK_THROTTLED;
	}
	row->local_events_max = RDA(m, memory_events_local[0].counter, bpf_core_enum_value(enum memcg_memory_event, MEMCG_MAX));
	row->local_events_oom_kill = RDA(m, memory_events_local[0].counter, bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM_KILL));
	vm = RDF(m, vmstats);
	row->at.more[0] = (__u64)vm;
	read_memory_stat(row, vm, nr);
}

static __always_inline void read_pids(struct walker *w)
{
	void *css = ONLINE_CSS(w, pids_cgrp_id);
	struct pids_cgroup___stat *p;
	struct cgm_stat_pids *row;

	if (!css)
		return;
	FETCH_AHEAD(w, &cgm_st_pids, w->nr[CGM_STAT_PIDS], cgm_stat_pids, { FETCH_FIELD(row->at.data, pids_cgroup___stat, counter); });
	row = next_row(&cgm_st_pids, &w->nr[CGM_STAT_PIDS]);
	if (!row)
		return;
	p = CAST(pids_cgroup___stat, css);
	begin_row(w, &row->at, &row->id, css);
	row->current = RDF(p, counter.counter);
	row->max = RDF(p, limit.counter);
}

#define PSI_STATE(row, psi, ours, theirs)                                                                                                   \
	do {                                                                                                                               \
		__u64 _i = bpf_core_enum_value(enum psi_states, theirs);                                                                   \
                                                                                                                                           \
		if (!bpf_core_enum_value_exists(enum psi_states, theirs))                                                                  \
			break;                                                                                                             \
		(row)->total_ns[ours] = RDA(psi, total[0], _i);                                                                         \
		for (__u64 _w = 0; _w < 3; _w++)                                                                                           \
			(row)->avg[ours][_w] = RDA(psi, avg[0], 3 * _i + _w);                                                           \
		(row)->present |= 1U << (ours);                                                                                            \
	} while (0)

/* As psi_show() of kernel/sched/psi.c, but for what it does first: the kernel makes sums and averages anew by itself each 2 s while tasks are busy. */
static __always_inline void read_psi(struct walker *w, struct cgroup___stat *cg)
{
	struct psi_group___stat *psi = bpf_core_field_exists(cg->psi) ? RDF(cg, psi) : NULL;
	struct cgm_stat_psi *row;

	if (!psi)
		return;
	psi = CAST(psi_group___stat, psi);
	if (bpf_core_field_exists(psi->enabled) && !RDF(psi, enabled))
		return;
	FETCH_AHEAD(w, &cgm_st_psi, w->nr[CGM_STAT_PSI], cgm_stat_psi, {
		FETCH_FIELD(row->at.data, psi_group___stat, avg_next_update);
		FETCH_FIELD(row->at.css, cgroup___stat, psi);
		for (__u32 line = 0; line < 4; line++)
			FETCH(row->at.data + bpf_core_field_offset(struct psi_group___stat, total) + line * 64);
	});
	row = next_row(&cgm_st_psi, &w->nr[CGM_STAT_PSI]);
	if (!row)
		return;
	begin_row(w, &row->at, &row->id, psi);
	row->present = 0;
	PSI_STATE(row, psi, CGM_PSI_IO_SOME, PSI_IO_SOME);
	PSI_STATE(row, psi, CGM_PSI_IO_FULL, PSI_IO_FULL);
	PSI_STATE(row, psi, CGM_PSI_MEMORY_SOME, PSI_MEM_SOME);
	PSI_STATE(row, psi, CGM_PSI_MEMORY_FULL, PSI_MEM_FULL);
	PSI_STATE(row, psi, CGM_PSI_CPU_SOME, PSI_CPU_SOME);
	PSI_STATE(row, psi, CGM_PSI_CPU_FULL, PSI_CPU_FULL);
	PSI_STATE(row, psi, CGM_PSI_IRQ_FULL, PSI_IRQ_FULL);
	row->next_update_ns = RDF(psi, avg_next_update);
	row->now_ns = w->now_ns;
}

static __noinline int read_here(struct walker *w)
{
	struct cgroup___stat *cg = CAST(cgroup___stat, w->pos); /* unless by_controller */

	if (w->kinds & 1 << CGM_STAT_CFS)
		read_cfs(w);
	if (w->kinds & 1 << CGM_STAT_TIME && stat_cfg.base_time)
		read_base_time(w, cg);
	if (w->kinds & 1 << CGM_STAT_TIME && !stat_cfg.base_time)
		read_cpuacct(w, cg);
	if (w->kinds & 1 << CGM_STAT_MEMORY)
		read_memory(w);
	if (w->kinds & 1 << CGM_STAT_PIDS)
		read_pids(w);
	if (w->kinds & 1 << CGM_STAT_PSI)
		read_psi(w, cg);
	return 0;
}

static __always_inline __u64 list_next(__u64 head)
{
	struct list_head___stat *l = CAST(list_head___stat, head);

	return (__u64)RDF(l, next);
}

/*
 * One step: reads what it stands on and goes down to its first child, or else to the next child of its parent, or else up. Roots are passed
 * over: their files have meanings of their own. Removed cgroups stand in the lists until their last reference is gone.
 */
static long step(__u32 i, void *unused)
{
	const __u64 children = bpf_core_field_offset(struct cgroup_subsys_state___stat, children);
	const __u64 sibling = bpf_core_field_offset(struct cgroup_subsys_state___stat, sibling);
	struct cgroup_subsys_state___stat *css;
	struct walker *w = only(&cgm_st_walker);
	__u64 next, parent;

	if (!w)
		return 1;
	css = CAST(cgroup_subsys_state___stat, w->pos);
	if (!w->up) {
		if (w->pos != w->root && is_online(css)) {
			w->serial = RDF(css, serial_nr);
			read_here(w);
		}
		next = list_next(w->pos + children);
		if (next != w->pos + children) {
			w->pos = next - sibling;
			return 0;
		}
	}
	if (w->pos == w->root)
		return 1;
	parent = (__u64)RDF(css, parent);
	next = list_next(w->pos + sibling);
	w->up = next == parent + children;
	w->pos = w->up ? parent : next - sibling;
	return 0;
}

static __always_inline struct cgroup *controller_cgroup(struct css_set *cset, __u64 i)
{
	struct cgroup_subsys_state **css = __builtin_preserve_access_index(&cset->subsys[0]);

	return css[i]->cgroup;
}
#define CONTROLLER(name) controller_cgroup(cset, bpf_core_enum_value(enum cgroup_subsys_id, name))

/* The root of a tree, from any task's place in it. */
static __always_inline __u64 root_of(struct css_set *cset, __u32 tree)
{
	struct cgroup___stat *cg;
	__u64 root;

	switch (tree) {
	case CGM_TREE_CPU:
		cg = (void *)CONTROLLER(cpu_cgrp_id);
		break;
	case CGM_TREE_CPUACCT:
		cg = (void *)CONTROLLER(cpuacct_cgrp_id);
		break;
	case CGM_TREE_MEMORY:
		cg = (void *)CONTROLLER(memory_cgrp_id);
		break;
	case CGM_TREE_PIDS:
		cg = (void *)CONTROLLER(pids_cgrp_id);
		break;
	default:
		cg = (void *)cset->dfl_cgrp;
	}
	root = (__u64)cg->root;
	return root ? root + bpf_core_field_offset(struct cgroup_root___stat, cgrp) + bpf_core_field_offset(struct cgroup___stat, self) : 0;
}

/*
 * Where nothing but one controller is read (v1), the tree of its own states has the same shape, and the cgroups, objects of many cache
 * lines, are left alone. cpuacct has what it shows of the cgroup, and is not among these.
 */
static __always_inline void begin_walk(struct walker *w, __u64 root, __u32 kinds)
{
	struct cgroup___stat *cg = CAST(cgroup___stat, root);
	__u64 css = 0;

	if (kinds == 1 << CGM_STAT_CFS)
		css = (__u64)RDA(cg, subsys[0], bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id));
	else if (kinds == 1 << CGM_STAT_MEMORY)
		css = (__u64)RDA(cg, subsys[0], bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	else if (kinds == 1 << CGM_STAT_PIDS)
		css = (__u64)RDA(cg, subsys[0], bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	w->by_controller = css != 0;
	w->root = w->pos = css ? css : root;
	w->up = 0;
	w->kinds = kinds;
}

/* The types of rows are known by name to whoever makes arrays of them; a type that is only pointed to would not be. */
static __always_inline void name_types(void)
{
	volatile __u32 id;

	id = bpf_core_type_id_local(struct cgm_stat_cfs);
	id = bpf_core_type_id_local(struct cgm_stat_time);
	id = bpf_core_type_id_local(struct cgm_stat_cpus);
	id = bpf_core_type_id_local(struct cgm_stat_memory);
	id = bpf_core_type_id_local(struct cgm_stat_pids);
	id = bpf_core_type_id_local(struct cgm_stat_psi);
	(void)id;
}

static __always_inline void walk_all(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct cgm_stat_head *head = only(&cgm_st_head);
	struct walker *w = only(&cgm_st_walker);
	__u64 root;

	if (!head || !w)
		return;
	learn_cpu_offsets();
	name_types();
	__builtin_memset(w->nr, 0, sizeof(w->nr));
	w->now_ns = task->se.cfs_rq->rq->clock; /* a tick old at most */
	for (__u32 i = 0; i < CGM_STAT_MAX_WALKS; i++) {
		if (!stat_cfg.walk[i].kinds)
			continue;
		root = root_of(task->cgroups, stat_cfg.walk[i].tree);
		if (!root)
			continue;
		begin_walk(w, root, stat_cfg.walk[i].kinds);
		bpf_loop(1 << 23, step, NULL, 0);
	}
	__builtin_memcpy(head->nr, w->nr, sizeof(head->nr));
	head->walks++;
}

/* With the flush of the statistics that CPUs keep for themselves: needs kfuncs, and a program that may sleep. */
SEC("?iter.s/cgroup")
int cgm_stat_fwalk(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cg = ctx->cgroup;

	if (!cg)
		return 0;
	if (stat_cfg.flush == CGM_FLUSH_CGROUP)
		cgroup_rstat_flush(cg);
	else if (stat_cfg.flush == CGM_FLUSH_CSS)
		css_rstat_flush(&cg->self);
	walk_all();
	return 0;
}

SEC("?iter/cgroup")
int cgm_stat_walk(struct bpf_iter__cgroup *ctx)
{
	if (ctx->cgroup)
		walk_all();
	return 0;
}
