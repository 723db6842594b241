/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers of a runtime that have ended, kept for a while with what they had counted at last, so that the next scrape still finds it. Three things
 * are put together: what files said when the last task was gone (CGM_EVENT_EMPTY), or at the last tick; what the kernel side counted to the very
 * end, which stands in the slots until they are folded into the parent's; and the name, which may come later. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "kernel/kernel.h"
#include "model/snapshot.h"

#define CGM_MAX_ENDED 1000 /* that are shown, and as many cgroups below them for the moment in which their counts are added to theirs */
#define CGM_MAX_END_SAMPLES 200 /* between two ticks; one is some 0.3 ms */

struct cgm_agent;
struct cgm_containers;
struct cgm_container;
struct cgm_sums;

/* What the files of a container said last. */
struct cgm_last {
	struct cgm_layout *layout;
	uint64_t *values;
	uint64_t time_ns; /* since the epoch */
	bool at_end; /* no task was left */
};
/* A copy of values. NULL: out of memory. _free: NULL is fine. */
struct cgm_last *cgm_last_new(struct cgm_layout *layout, const uint64_t *values, uint64_t time_ns, bool at_end);
void cgm_last_free(struct cgm_last *l);

struct cgm_ended {
	struct cgm_identity *identity;
	struct cgm_last *last; /* until it is done; NULL: nobody read its files */
	struct cgm_spec spec;
	uint64_t time_ns, ended_ns; /* of its last sample, since the epoch; monotonic */
	uint32_t sched_slot, block_slot, depth, serial;
	uint64_t sched_id, block_id; /* of its directories in these hierarchies */
	bool shown; /* a container; else a cgroup below one, whose counts are its, too */
	bool done; /* the rest is there */
	bool exit_told; /* the event of its end has its exit code */
	struct cgm_sums *sums; /* of what is below, while it is summed up */
	struct cgm_layout *layout;
	struct cgm_kept *kept;
	uint64_t seq; /* of the snapshot in which it was done */
};

/* Zeroed: keeps nothing. */
struct cgm_ended_set {
	uint64_t duration_ns; /* for how long one is shown; 0: nothing is kept */
	struct cgm_store *store; /* the newest snapshot has the values of the last tick; NULL: none */
	struct cgm_ended **v; /* oldest first */
	size_t nr, cap, nr_shown;
	struct cgm_hash by_name;
	unsigned nr_samples; /* read at an end since the last tick */
	struct cgm_ended_stats stats;
};

void cgm_ended_done(struct cgm_ended_set *set);
/* Would the container be kept? It is one of a runtime: that says so, or its path does. */
bool cgm_ended_wants(const struct cgm_ended_set *set, const struct cgm_container *c);
/* Saves the values of the last tick, before the snapshot that has them goes: c was found gone. */
void cgm_ended_hold(const struct cgm_ended_set *set, struct cgm_container *c);
/* c is on its way out of the table. True: it will be shown, and keeps its place among the names (cgm_names_went() is called when it goes). */
bool cgm_ended_take(struct cgm_containers *cs, struct cgm_container *c);
/* An event of the end of a cgroup that never was in the table. */
void cgm_ended_ghost(struct cgm_containers *cs, const struct cgm_event *e);
/* A cgroup of that path has come: the former one of that path is not shown any more. */
void cgm_ended_displace(struct cgm_containers *cs, const char *path);
/* What a runtime says of a container that has ended. */
void cgm_ended_name(struct cgm_containers *cs, const char *path, struct cgm_who *who);
/* Drops those whose time is over, and cgroups below whose counts have reached their heirs. */
void cgm_ended_expire(struct cgm_containers *cs, uint64_t now_ns);
/* Takes one out that cannot be shown; lost says why. */
void cgm_ended_give_up(struct cgm_containers *cs, size_t i, enum cgm_ended_loss lost);

/* ended_rows.c: the last task of a cgroup is gone. Reads its files, if it is worth it and not too many were read since the last tick. */
void cgm_ended_empty(struct cgm_agent *a, const struct cgm_event *e);
/* Once a tick, after the sweep and before slots are retired, when all other rows are there: makes what has ended since whole, and adds the rows. */
void cgm_ended_tick(struct cgm_agent *a, struct cgm_snapshot *snap, uint64_t now_ns);
