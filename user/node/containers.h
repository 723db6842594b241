/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's table of containers: who is there, kept up to date by life-cycle events and by full listings. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"
#include "model/snapshot.h"

/* Block counters of a container by device and operation, grown as they appear. */
struct cgm_block_sums {
	struct cgm_live_block *v;
	size_t nr, cap;
};

struct cgm_container {
	struct cgm_identity *identity;
	struct cgm_reader *reader;
	struct cgm_container *parent; /* NULL for "/" */
	struct cgm_layout *layout;
	struct cgm_history *history;
	struct cgm_spec spec;
	uint64_t spec_read_ns; /* monotonic */
	uint32_t sched_slot, block_slot; /* CGM_SLOT_OVERFLOW: none */
	uint32_t listed; /* number of the listing that saw it last */
	uint32_t index, depth; /* place in the sorted array */
	bool gone; /* vanished while it was read */
	double load, load_d; /* tasks, exponential averages over 10 s */
	struct cgm_live live; /* sums of the tick under way, descendants included once folded */
	struct cgm_block_sums blocks;
	struct cgm_tasks tasks;
};

struct cgm_containers {
	const struct cgm_trees *trees;
	struct cgm_kernel *kernel;
	enum cgm_controller sched_controller, block_controller;
	uint32_t sched_hierarchy, block_hierarchy;
	uint64_t keep_ns;
	struct cgm_hash by_name;
	struct cgm_container **sorted; /* by name: a parent stands before its children */
	size_t nr, cap;
	bool unsorted, incomplete; /* incomplete: something was lost, list again */
	uint32_t listing;
};

void cgm_containers_done(struct cgm_containers *cs);
/* Walks all trees: adds what is new, drops what is gone. 0 or a negative errno (the table stays usable). */
int cgm_containers_list(struct cgm_containers *cs);
/* A life-cycle event of the kernel side (a cgm_event_fn; arg is the table). */
void cgm_containers_event(void *arg, const struct cgm_event *e);
/* Drops a container; its children must be gone already or go with the same sweep. */
void cgm_containers_drop(struct cgm_containers *cs, struct cgm_container *c);
/* Drops all that are marked as gone. Returns how many. */
size_t cgm_containers_drop_gone(struct cgm_containers *cs);
/* Brings the array into order and sets index, depth and parent of each. */
void cgm_containers_sort(struct cgm_containers *cs);
