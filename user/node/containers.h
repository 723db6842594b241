/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's table of containers: who is there, kept up to date by life-cycle events and by full listings. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/apps.h"
#include "base/hash.h"
#include "cgroup/cgroup.h"
#include "cgroup/details.h"
#include "cgroup/netns.h"
#include "identity/names.h"
#include "kernel/kernel.h"
#include "model/cells.h"
#include "model/snapshot.h"
#include "model/trail.h"
#include "node/ended.h"
#include "node/filter.h"
#include "node/lifecycle.h"
#include "node/places.h"

/* What a container and its descendants counted, while it is being summed up (fold.c). */
struct cgm_sums {
	struct cgm_sched sched;
	struct cgm_net net;
	struct cgm_counts counts;
	struct cgm_dear dear;
	struct cgm_block_sum {
		uint32_t dev;
		enum cgm_block_op op;
		struct cgm_block b;
	} *blocks; /* by device and operation, as they appear */
	uint64_t socks[CGM_NR_SOCK_GAUGES];
	struct cgm_hist *waits[CGM_NR_WAITS + 1]; /* NULL: none; kept for the next container */
	bool has_wait[CGM_NR_WAITS + 1], has_dear;
	size_t nr_blocks, cap_blocks;
	struct cgm_sums *next_free;
};

struct cgm_container {
	struct cgm_identity *identity;
	struct cgm_reader *reader;
	struct cgm_netns_member netns;
	struct cgm_worker *worker; /* of details */
	struct cgm_job *details; /* NULL: nothing of it is wanted, or memory ran out */
	struct cgm_apps *apps; /* of app */
	struct cgm_app *app; /* NULL: no label asks for it */
	struct cgm_place_set *places; /* NULL: no runtime's, or nothing is measured */
	struct cgm_container *parent; /* NULL for "/" */
	struct cgm_layout *layout;
	struct cgm_history *history;
	struct cgm_summary *summary;
	struct cgm_history *trail; /* NULL: nothing to keep yet */
	struct cgm_cells cells; /* as of changed_seq */
	uint32_t serial; /* 0: not published yet */
	uint64_t born_seq, changed_seq; /* see struct cgm_row */
	struct cgm_spec spec;
	uint64_t spec_read_ns; /* monotonic */
	uint64_t settings, settings_read_ns; /* digest of the limits when the spec was read whole, and when that was */
	struct cgm_stat_ref stat; /* its rows in bulk reading */
	bool unsure; /* bulk reading does not know where all of its memory.stat stands */
	uint32_t nr_learned; /* how often something was to be learned by it */
	uint64_t nr_oom_kills; /* at the last tick, descendants included where the counter has them; see cgm_containers_count_ooms() */
	uint64_t new_oom_kills; /* of descendants, while they are counted */
	bool knows_oom_kills;
	uint64_t memory_usage; /* bytes, as read in bulk; 0: it was not */
	uint32_t sched_slot, block_slot; /* CGM_SLOT_OVERFLOW: none */
	uint64_t sched_id, block_id; /* of the cgroups that these were given to */
	uint32_t listed; /* number of the listing that saw it last */
	uint32_t index, depth; /* place in the sorted array */
	struct cgm_last *last; /* what its files said when its last task was gone, or at the last tick before it was found gone; NULL: not yet */
	bool gone; /* vanished while it was read */
	bool renamed; /* since it was published last */
	bool hidden; /* by the filter: it is counted for its parents, and not sampled */
	double load, load_d; /* tasks, exponential averages over 10 s */
	struct cgm_sums *sums; /* during the fold: what descendants counted; NULL: nothing yet */
	struct cgm_live *live; /* of the tick under way, in the memory of its snapshot; NULL: no kernel side, or out of memory */
	struct cgm_tasks tasks;
};

struct cgm_containers {
	const struct cgm_trees *trees;
	struct cgm_kernel *kernel;
	enum cgm_controller sched_controller, block_controller;
	uint32_t sched_hierarchy, block_hierarchy;
	uint64_t keep_ns;
	struct cgm_worker *worker; /* NULL: no dear readings are wanted */
	struct cgm_details_config details;
	struct cgm_label_rules label_rules;
	struct cgm_names *names; /* NULL: no runtime is asked */
	struct cgm_apps *apps; /* NULL: no application is asked */
	struct cgm_lifecycle lifecycle;
	struct cgm_ended_set ended;
	struct cgm_filter filter;
	struct cgm_hash by_name;
	struct cgm_container **sorted; /* by name: a parent stands before its children */
	size_t nr, cap;
	struct cgm_sums *free_sums; /* as many as a path through the tree needs */
	bool unsorted, incomplete; /* incomplete: something was lost, list again */
	uint32_t listing;
	uint64_t learn_at; /* number of the tick at which it is worth another try to learn about memory.stat */
	uint8_t nr_vain; /* tries since something new was learned */
};

void cgm_containers_done(struct cgm_containers *cs);
/* Walks all trees: adds what is new, drops what is gone. 0 or a negative errno (the table stays usable). */
int cgm_containers_list(struct cgm_containers *cs);
/* A life-cycle event of the kernel side (a cgm_event_fn; arg is the table). */
void cgm_containers_event(void *arg, const struct cgm_event *e);
/* Takes over what runtimes have said of containers since the last call. */
void cgm_containers_take_names(struct cgm_containers *cs);
/* Drops all that are marked as gone. events_follow: the kernel is still to say so. Returns how many. */
size_t cgm_containers_drop_gone(struct cgm_containers *cs, bool events_follow);
/*
 * Where the kernel side does not tell of victims of the out-of-memory killer: records what the counters of the tick's samples say. Once a
 * tick, after the rows were made; snap may have fewer rows than the table.
 */
void cgm_containers_count_ooms(struct cgm_containers *cs, const struct cgm_snapshot *snap);
/* Brings the array into order and sets index, depth and parent of each. */
void cgm_containers_sort(struct cgm_containers *cs);
