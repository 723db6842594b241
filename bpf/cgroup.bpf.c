// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * The life of cgroups: a slot at mkdir, before any task can be in it; the mark "dead" at rmdir; and an event for user space of each, in
 * every hierarchy that it asked for. Between the two an event when the last task is gone: what only files hold can still be read then.
 */
#include "slot.bpf.h"

/* Read by user space alone. Full: CGM_DROP_EVENTS counts and user space lists the trees again. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} cgm_events SEC(".maps");

static __always_inline void send_event(__u32 type, __u64 id, __u64 parent_id, __u32 hierarchy, __u32 slot, const char *path)
{
	struct cgm_event *e;
	long len;

	if (hierarchy >= 64 || !(cfg.hierarchy_mask >> hierarchy & 1))
		return;
	e = bpf_ringbuf_reserve(&cgm_events, sizeof(*e), 0);
	if (!e) {
		drop(CGM_DROP_EVENTS);
		return;
	}
	e->time_ns = bpf_ktime_get_ns();
	e->cgroup_id = id;
	e->parent_id = parent_id;
	e->type = type;
	e->hierarchy = hierarchy;
	e->slot = slot;
	len = bpf_probe_read_kernel_str(e->path, sizeof(e->path), path);
	/* A path that fills the room may have been cut. */
	e->path_len = len <= 0 || len >= CGM_EVENT_PATH ? CGM_EVENT_PATH : len - 1;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline int cgroup_made(const bool raw, struct cgroup *cg, const char *path)
{
	__u64 id = RD(raw, cg, kn, id), parent_id = cgroup_parent_id(raw, cg);
	__u32 hierarchy = RD(raw, cg, root, hierarchy_id), slot = CGM_SLOT_OVERFLOW;

	if (hierarchy == cfg.sched_hierarchy || hierarchy == cfg.block_hierarchy || hierarchy == cfg.sock_hierarchy)
		slot = slot_of_cgroup(raw, cg, id, hierarchy);
	send_event(CGM_EVENT_MKDIR, id, parent_id, hierarchy, slot, path);
	return 0;
}

static __always_inline int cgroup_removed(const bool raw, struct cgroup *cg, const char *path)
{
	struct cgm_cgroup_key key = { .id = RD(raw, cg, kn, id), .hierarchy = RD(raw, cg, root, hierarchy_id) };
	__u32 *p = bpf_map_lookup_elem(&cgm_slot_of, &key), slot = CGM_SLOT_OVERFLOW;
	struct cgm_slot *s;

	if (p) {
		slot = *p;
		s = bpf_map_lookup_elem(&cgm_slots, &slot);
		if (s) {
			s->died_ns = bpf_ktime_get_ns();
			s->state = CGM_SLOT_DEAD;
		}
	}
	next_generation(); /* a task that is still ending must not count in the slot's next life */
	send_event(CGM_EVENT_RMDIR, key.id, cgroup_parent_id(raw, cg), key.hierarchy, slot, path);
	return 0;
}

SEC("?tp_btf/cgroup_mkdir")
int BPF_PROG(cgm_mkdir, struct cgroup *cg, const char *path)
{
	return cgroup_made(false, cg, path);
}

SEC("?raw_tp/cgroup_mkdir")
int cgm_raw_mkdir(struct bpf_raw_tracepoint_args *ctx)
{
	return cgroup_made(true, (struct cgroup *)ctx->args[0], (const char *)ctx->args[1]);
}

SEC("?tp_btf/cgroup_rmdir")
int BPF_PROG(cgm_rmdir, struct cgroup *cg, const char *path)
{
	return cgroup_removed(false, cg, path);
}

SEC("?raw_tp/cgroup_rmdir")
int cgm_raw_rmdir(struct bpf_raw_tracepoint_args *ctx)
{
	return cgroup_removed(true, (struct cgroup *)ctx->args[0], (const char *)ctx->args[1]);
}

/*
 * Called for each hierarchy in turn, and for each ancestor that is empty by it; one hierarchy is enough. From cgroup_exit(), so the last task still has
 * a little way to go on its CPU.
 */
static __always_inline int cgroup_populated(const bool raw, struct cgroup *cg, const char *path, int populated)
{
	__u32 hierarchy;

	if (populated)
		return 0;
	hierarchy = RD(raw, cg, root, hierarchy_id);
	if (hierarchy == cfg.sched_hierarchy)
		send_event(CGM_EVENT_EMPTY, RD(raw, cg, kn, id), cgroup_parent_id(raw, cg), hierarchy, CGM_SLOT_OVERFLOW, path);
	return 0;
}

SEC("?tp_btf/cgroup_notify_populated")
int BPF_PROG(cgm_empty, struct cgroup *cg, const char *path, int populated)
{
	return cgroup_populated(false, cg, path, populated);
}

SEC("?raw_tp/cgroup_notify_populated")
int cgm_raw_empty(struct bpf_raw_tracepoint_args *ctx)
{
	return cgroup_populated(true, (struct cgroup *)ctx->args[0], (const char *)ctx->args[1], (int)ctx->args[2]);
}
