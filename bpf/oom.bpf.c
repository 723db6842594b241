// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The out-of-memory killer: its victims, counted and told to user space, with the cgroup whose limit it was. */
#include "count.bpf.h"
#include "stat_types.bpf.h"

#define MAX_LEVELS 24
#define SLACK_PAGES 64 /* that may have been given back since the charge failed */

/* Pages resident of one kind, a literal (for CO-RE knows of no index at run time); what CPUs have not added yet is missing. */
#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SHMEMPAGES 3
#define RESIDENT(mm, kind)                                                                                                      \
	positive(bpf_core_field_exists(((struct mm_struct___before_6_2 *)0)->rss_stat.count) ?                                  \
			 BPF_CORE_READ((struct mm_struct___before_6_2 *)(mm), rss_stat.count[kind].counter) :                   \
			 BPF_CORE_READ(mm, rss_stat[kind].count))

static __always_inline __u64 positive(__s64 n)
{
	return n > 0 ? n : 0;
}

/* One row, written by whoever holds oom_lock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_oom_call);
} cgm_oom_calls SEC(".maps");

/* Whose limit it is and why, the tracepoint below does not say. */
SEC("?fentry/out_of_memory")
int BPF_PROG(cgm_oom_begin, struct oom_control *control)
{
	__u32 zero = 0;
	struct cgm_oom_call *call = bpf_map_lookup_elem(&cgm_oom_calls, &zero);

	if (call) {
		call->control = (__u64)control;
		call->task = bpf_get_current_pid_tgid();
	}
	return 0;
}

/* The cgroup that ran out, and why, as the call that is under way has it. False: we did not see its beginning. */
static __always_inline bool read_oom_call(struct cgm_event *e)
{
	__u32 zero = 0;
	struct cgm_oom_call *call = bpf_map_lookup_elem(&cgm_oom_calls, &zero);
	struct oom_control *control;

	if (!call || !call->control || call->task != bpf_get_current_pid_tgid())
		return false;
	control = (struct oom_control *)call->control;
	e->constraint = BPF_CORE_READ(control, constraint);
	e->limit_id = BPF_CORE_READ(control, memcg, css.cgroup, kn, id);
	return true;
}

static __always_inline bool is_full(__u64 usage, __u64 max)
{
	return usage + SLACK_PAGES + (max >> 7) >= max;
}

/*
 * Without it (a kernel that cannot trace functions): a limit kills only below itself, and the charge that failed was the first that did on the way
 * up. So it is the nearest of the victim's ancestors whose counter is full; none means that the machine ran out.
 */
static __always_inline void find_limit(const struct cgroup_subsys_state *css, struct cgm_event *e)
{
	for (int i = 0; i < MAX_LEVELS && css; i++) {
		const struct mem_cgroup___stat *m = (const void *)css; /* its first member */

		if (is_full(BPF_CORE_READ(m, memory.usage.counter), BPF_CORE_READ(m, memory.max)) ||
		    (e->hierarchy && is_full(BPF_CORE_READ(m, swap.usage.counter), BPF_CORE_READ(m, swap.max)))) {
			e->limit_id = BPF_CORE_READ(css, cgroup, kn, id);
			e->constraint = bpf_core_enum_value(enum oom_constraint, CONSTRAINT_MEMCG);
			return;
		}
		css = BPF_CORE_READ(css, parent);
	}
}

/* The victim's cgroup where memory is counted. On v2 its own, also where it is counted with an ancestor's for lack of the controller. */
static __always_inline void read_memory_cgroup(struct task_struct *task, struct cgm_event *e)
{
	struct css_set *cset = task->cgroups;
	struct cgroup_subsys_state *css = subsys_css(cset, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	struct cgroup *cg = css->cgroup;

	e->hierarchy = cg->root->hierarchy_id;
	if (!e->hierarchy)
		cg = cset->dfl_cgrp;
	e->cgroup_id = cg->kn->id;
	e->constraint = CGM_OOM_UNKNOWN;
	if (!read_oom_call(e))
		find_limit(css, e);
}

/* The out-of-memory killer has chosen. Counted for the victim's cgroup, and told to user space, which logs it. */
SEC("?tp_btf/mark_victim")
int BPF_PROG(cgm_oom, struct task_struct *task)
{
	__u32 slot = slot_of_task(task);
	struct mm_struct *mm = task->mm;
	struct cgm_event *e;

	count_slot(slot, CGM_C_OOM_KILLS, 1);
	e = bpf_ringbuf_reserve(&cgm_events, sizeof(*e), 0);
	if (!e) {
		drop(CGM_DROP_EVENTS);
		return 0;
	}
	__builtin_memset(e, 0, offsetof(struct cgm_event, path));
	e->time_ns = bpf_ktime_get_ns();
	e->type = CGM_EVENT_OOM;
	e->slot = slot;
	read_memory_cgroup(task, e);
	e->pid = task->tgid;
	if (mm) {
		e->file_pages = RESIDENT(mm, MM_FILEPAGES);
		e->anon_pages = RESIDENT(mm, MM_ANONPAGES);
		e->shmem_pages = RESIDENT(mm, MM_SHMEMPAGES);
	}
	e->path_len = sizeof(task->comm) - 1;
	bpf_probe_read_kernel_str(e->path, sizeof(task->comm), task->comm);
	bpf_ringbuf_submit(e, 0);
	return 0;
}
