/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of what happens to containers (model/events.h): from the table of containers as it changes, from life-cycle events of cgroups that
 * were gone before anybody could look at them, and from the out-of-memory killer. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"
#include "model/events.h"
#include "model/snapshot.h"

/* Containers that were dropped of late: an event of one may come after it. */
#define CGM_NR_BURIED 64

struct cgm_container;
struct cgm_lifecycle {
	struct cgm_events *events; /* NULL: nothing is recorded */
	struct cgm_hash ghosts; /* struct ghost by name */
	size_t nr_ghosts;
	struct {
		uint64_t ids[CGM_NR_CONTROLLERS];
		struct cgm_identity *identity; /* a reference */
	} buried[CGM_NR_BURIED];
	size_t next_grave;
};

void cgm_lifecycle_done(struct cgm_lifecycle *l);
/* A container has come into the table. */
void cgm_lifecycle_came(struct cgm_lifecycle *l, const struct cgm_container *c);
/*
 * It is on its way out of the table. events_follow: its directories are gone, and the events that say so are still to come: it counts as there until
 * the last of them.
 */
void cgm_lifecycle_went(struct cgm_lifecycle *l, const struct cgm_trees *t, const struct cgm_container *c, bool events_follow);
/* Events of a cgroup that is not in the table: made and gone already; removed. On v1 they come once for each hierarchy, and are one container. */
void cgm_lifecycle_ghost_came(struct cgm_lifecycle *l, const struct cgm_event *e);
void cgm_lifecycle_ghost_went(struct cgm_lifecycle *l, const struct cgm_event *e);
/* The trees were listed anew: whoever is not in the table is gone. */
void cgm_lifecycle_listed(struct cgm_lifecycle *l);
/* The name of a container that was dropped of late, by its id in that controller's hierarchy; NULL: none. */
const char *cgm_lifecycle_buried(const struct cgm_lifecycle *l, enum cgm_controller c, uint64_t id);
/*
 * A victim of the out-of-memory killer, in the container of that name, for lack of memory in that of limit ("/": the machine). "oom" is recorded for the latter,
 * "oomKill" for the former.
 */
void cgm_lifecycle_oom(struct cgm_lifecycle *l, const struct cgm_event *e, const char *victim, const char *limit);
/* The same when only a counter says so: nr more in the container. */
void cgm_lifecycle_oom_counted(struct cgm_lifecycle *l, const char *container, uint64_t nr, uint64_t time_ns);
