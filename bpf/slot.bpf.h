/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The registry of cgroups: who owns which slot. A cgroup gets its slot at cgroup_mkdir, or at its first event when that was
 * missed; it keeps it until user space has folded its counts after its removal (user/kernel/retire.c). A slot is given to another
 * cgroup only then, zeroed; whoever remembers a slot number checks the owner's id before use.
 */
#ifndef CGM_SLOT_BPF_H
#define CGM_SLOT_BPF_H

#include "common.bpf.h"

/* Key: slot. Value: owner and state. Written here when a slot is handed out, by user space when it is freed; mapped by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set before the load */
	__type(key, __u32);
	__type(value, struct cgm_slot);
} cgm_slots SEC(".maps");

/* Cgroup to slot. Full: cannot be before the slots are (it has as many entries). Written here and by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct cgm_cgroup_key);
	__type(value, __u32);
} cgm_slot_of SEC(".maps");

/*
 * Guesses of slots, by a hash of the cgroup's id: a lookup in the hash above costs five times as much as to try one. A guess is checked against
 * cgm_slots, so nothing has to be taken back and races do not matter.
 */
#define NR_GUESSES 4096
struct slot_guesses {
	__u32 slot[NR_GUESSES];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot_guesses);
} cgm_guesses SEC(".maps");

/*
 * Free slots. Filled by user space as it makes chunks of rows, taken here; a stack, so that low numbers are used first. Bare ones, without
 * rows, are for cgroups of a hierarchy that only block I/O is counted by. Empty: events go to slot 0 and CGM_DROP_SLOTS_FULL counts.
 */
struct free_slots {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(key_size, 0);
	__uint(value_size, sizeof(__u32));
};
struct free_slots cgm_free_slots SEC(".maps");
struct free_slots cgm_free_bare SEC(".maps");

/* For user space alone: what it folded from removed cgroups, by the slot of who has it now. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* set before the load */
	__type(key, struct cgm_retired_key);
	__type(value, union cgm_any_row);
} cgm_retired SEC(".maps");

/* One row each, for user space alone: what the pinned maps were made for, and the redo log of a fold. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_meta);
} cgm_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_journal);
} cgm_journal SEC(".maps");

/* Hands out a slot to a cgroup that has none. Not inlined: it is rare. */
static __noinline __u32 slot_new(__u64 id, __u64 parent_id, __u32 hierarchy, bool online)
{
	struct cgm_cgroup_key key = { .id = id, .hierarchy = hierarchy };
	bool bare = hierarchy != cfg.sched_hierarchy;
	struct cgm_slot *s;
	__u32 slot, *p;

	if (!online) {
		drop(CGM_DROP_CGROUP_DEAD);
		return CGM_SLOT_OVERFLOW;
	}
	if (bare ? bpf_map_pop_elem(&cgm_free_bare, &slot) : bpf_map_pop_elem(&cgm_free_slots, &slot)) {
		drop(CGM_DROP_SLOTS_FULL);
		return CGM_SLOT_OVERFLOW;
	}
	s = bpf_map_lookup_elem(&cgm_slots, &slot);
	if (!s)
		return CGM_SLOT_OVERFLOW;
	s->cgroup_id = id;
	s->parent_id = parent_id;
	s->hierarchy = hierarchy;
	s->born_ns = bpf_ktime_get_ns();
	s->died_ns = 0;
	s->state = CGM_SLOT_LIVE;
	if (bpf_map_update_elem(&cgm_slot_of, &key, &slot, BPF_NOEXIST) == 0)
		return slot;
	/* Another CPU (or user space) was faster: give ours back. */
	s->cgroup_id = 0;
	s->state = CGM_SLOT_FREE;
	if (bare)
		bpf_map_push_elem(&cgm_free_bare, &slot, BPF_ANY);
	else
		bpf_map_push_elem(&cgm_free_slots, &slot, BPF_ANY);
	p = bpf_map_lookup_elem(&cgm_slot_of, &key);
	if (p)
		return *p;
	drop(CGM_DROP_SLOT_MAP);
	return CGM_SLOT_OVERFLOW;
}

static __always_inline __u64 cgroup_parent_id(const bool raw, const struct cgroup *cg)
{
	struct cgroup_subsys_state *parent = RD(raw, cg, self.parent);

	return parent ? RD(raw, parent, cgroup, kn, id) : 0;
}

/* Is that slot (still) the cgroup's? */
static __always_inline bool slot_is(__u32 slot, __u64 id, __u32 hierarchy)
{
	struct cgm_slot *s = bpf_map_lookup_elem(&cgm_slots, &slot);

	return s && s->cgroup_id == id && s->hierarchy == hierarchy && s->state < CGM_SLOT_DRAINING;
}

static __always_inline __u32 slot_of_cgroup(const bool raw, const struct cgroup *cg, __u64 id, __u32 hierarchy)
{
	struct cgm_cgroup_key key = { .id = id, .hierarchy = hierarchy };
	__u32 zero = 0, i = (id ^ id >> 12 ^ hierarchy << 8) & (NR_GUESSES - 1), *slot;
	struct slot_guesses *guesses = bpf_map_lookup_elem(&cgm_guesses, &zero);

	if (guesses && slot_is(guesses->slot[i], id, hierarchy))
		return guesses->slot[i];
	slot = bpf_map_lookup_elem(&cgm_slot_of, &key);
	if (!slot)
		return slot_new(id, cgroup_parent_id(raw, cg), hierarchy, RD(raw, cg, self.flags) & CSS_ONLINE);
	if (guesses)
		guesses->slot[i] = *slot;
	return *slot;
}

static __always_inline __u64 slot_cgroup(__u32 slot)
{
	struct cgm_slot *s = bpf_map_lookup_elem(&cgm_slots, &slot);

	return s ? s->cgroup_id : 0;
}

/* css_set->subsys[i]; i is what the running kernel's enum says, hence the pointer arithmetic. */
static __always_inline struct cgroup_subsys_state *subsys_css(struct css_set *cset, __u64 i)
{
	struct cgroup_subsys_state **css = __builtin_preserve_access_index(&cset->subsys[0]);

	return *(css + i);
}

/* Its cgroup. */
static __always_inline struct cgroup *subsys_cgroup(const bool raw, struct css_set *cset, __u64 i)
{
	struct cgroup_subsys_state **css = __builtin_preserve_access_index(&cset->subsys[0]), *p = NULL;

	if (!raw)
		return subsys_css(cset, i)->cgroup;
	bpf_probe_read_kernel(&p, sizeof(p), css + i);
	return BPF_CORE_READ(p, cgroup);
}

#define SUBSYS(name) subsys_cgroup(raw, cset, bpf_core_enum_value(enum cgroup_subsys_id, name))

/* The cgroup by whose name a task is counted. */
static __always_inline struct cgroup *task_cgroup(const bool raw, struct task_struct *task)
{
	struct css_set *cset = RD(raw, task, cgroups);

	switch (cfg.task_controller) {
	case CGM_TASK_CPU:
		return SUBSYS(cpu_cgrp_id);
	case CGM_TASK_CPUACCT:
		return SUBSYS(cpuacct_cgrp_id);
	case CGM_TASK_MEMORY:
		return SUBSYS(memory_cgrp_id);
	case CGM_TASK_PIDS:
		return SUBSYS(pids_cgrp_id);
	default:
		return RD(raw, cset, dfl_cgrp);
	}
}

#endif
