/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side as user space sees it: load, attach, pin, read. The only room with libbpf. All of it belongs to the sampler's thread.
 * Nothing here is fatal: each program is probed, loaded and attached by itself; one that cannot be is off, with the reason.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/abi.h"

/* Which sched hook to use. AUTO: the single sched_switch hook, else the wakeup pair. */
enum cgm_sched_hook { CGM_SCHED_AUTO, CGM_SCHED_SWITCH, CGM_SCHED_WAKEUP };

struct cgm_kernel_config {
	const char *pin_dir; /* "/sys/fs/bpf/cgmeter"; "": pin nothing */
	uint32_t nr_slots; /* room for cgroups; every hierarchy counts by itself */
	uint32_t sched_hierarchy, block_hierarchy, sock_hierarchy; /* 0: the v2 hierarchy */
	enum cgm_task_controller task_controller; /* of sched_hierarchy and sock_hierarchy; CGM_TASK_V2 when these are 0 */
	uint64_t hierarchy_mask; /* life-cycle events of these hierarchies (bit = id) */
	enum cgm_sched_hook sched_hook;
	bool off; /* load nothing: files only */
};

struct cgm_program {
	char name[16], hook[48];
	const char *group; /* "sched", "block", "net", "cgroup", "task" */
	const char *mode; /* "btf", "raw", "iter", "off" */
	char reason[96];
	uint32_t id; /* of the loaded program, 0: none */
};

struct cgm_kernel;
/* Never fails for what the kernel lacks. 0 or -ENOMEM. */
int cgm_kernel_open(const struct cgm_kernel_config *config, struct cgm_kernel **ret);
/* Detaches programs and closes; pinned maps stay with their counts. */
void cgm_kernel_close(struct cgm_kernel *k);
/* True when maps of a former run were adopted. */
bool cgm_kernel_adopted(const struct cgm_kernel *k);
size_t cgm_kernel_programs(const struct cgm_kernel *k, const struct cgm_program **ret);
/* Is there a running program in that group? */
bool cgm_kernel_has(const struct cgm_kernel *k, const char *group);

/* The slot of a cgroup, given out now if it has none. CGM_SLOT_OVERFLOW when there is no free one or no kernel side. */
uint32_t cgm_kernel_register(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id, uint64_t parent_id);
/* The slot of a cgroup, or CGM_SLOT_OVERFLOW. */
uint32_t cgm_kernel_slot(struct cgm_kernel *k, uint32_t hierarchy, uint64_t id);

/* The task controller of config.task_controller by its name: "" or "unified" (v2), "cpu", "cpuacct", "memory", "pids". */
enum cgm_task_controller cgm_task_controller_by_name(const char *name);

/*
 * Brackets a listing of all trees, in which every cgroup is registered: slots whose cgroup was not seen and which are older than the
 * beginning are marked dead. Heals lost events and what happened while nobody counted.
 */
void cgm_kernel_list_begin(struct cgm_kernel *k);
void cgm_kernel_list_end(struct cgm_kernel *k);

/* False when, at the last sweep, the slot's cgroup was gone: its counts are then among those of its nearest living ancestor. */
bool cgm_kernel_slot_live(const struct cgm_kernel *k, uint32_t slot);

/* Once a tick, before the reads below: runs the task iterator and reads the block map. */
void cgm_kernel_sweep(struct cgm_kernel *k);
/* Adds to *sum what this slot counted by itself, removed descendants included. */
void cgm_kernel_add_sched(const struct cgm_kernel *k, uint32_t slot, struct cgm_sched *sum);
void cgm_kernel_add_net(const struct cgm_kernel *k, uint32_t slot, struct cgm_net *sum);
/* Tasks of the cgroup itself at the last sweep. False: the task iterator is off. */
bool cgm_kernel_tasks(const struct cgm_kernel *k, uint32_t slot, struct cgm_tasks *ret);
/* Block rows of the last sweep that belong to the slot; *iter starts at 0; NULL at the end. Live and retired rows of the same device and operation come as one. */
const struct cgm_block *cgm_kernel_next_block(const struct cgm_kernel *k, uint32_t slot, size_t *iter, uint32_t *ret_dev, enum cgm_block_op *ret_op);

/*
 * Folds the slots of removed cgroups into their parents and frees them. Returns how many. Call it after the reads of a tick: their last counts
 * move from the child to the parent's own, so a parent never goes backwards.
 */
size_t cgm_kernel_retire(struct cgm_kernel *k);

/* Descriptor to poll for life-cycle events, -1: none. */
int cgm_kernel_event_fd(const struct cgm_kernel *k);
typedef void (*cgm_event_fn)(void *arg, const struct cgm_event *e);
/* Hands out waiting events. Returns how many, or a negative errno. */
int cgm_kernel_poll(struct cgm_kernel *k, cgm_event_fn fn, void *arg);

void cgm_kernel_drops(const struct cgm_kernel *k, uint64_t ret[CGM_NR_DROPS]);
uint64_t cgm_kernel_map_bytes(const struct cgm_kernel *k);
uint32_t cgm_kernel_slots_used(const struct cgm_kernel *k);
const char *cgm_drop_name(enum cgm_drop d);

/* The inclusive upper bound of bucket i in ns; UINT64_MAX for the last. */
static inline uint64_t cgm_hist_bound_ns(unsigned i)
{
	return i + 1 < CGM_HIST_BUCKETS ? 1ULL << (i + CGM_HIST_SHIFT) : UINT64_MAX;
}
