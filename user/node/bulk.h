/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk reading brought together: which trees the kernel side walks, which row is whose container's. Sampler's thread. */
#pragma once
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"
#include "node/containers.h"

/* What to read where, by the mounted trees; nothing for groups_off alone, a bit per enum cgm_group. memory_fd of the result is the caller's to close. */
void cgm_bulk_setup(const struct cgm_trees *t, uint64_t groups_off, struct cgm_stat_setup *ret);
/* Sets the ids by which a cgroup's rows are found. */
void cgm_bulk_ids(const struct cgm_trees *t, const struct cgm_reader *r, struct cgm_stat_ref *ref);
/* What the last sweep read of a container. */
void cgm_bulk_read(const struct cgm_containers *cs, struct cgm_container *c, struct cgm_bulk *ret);
/* After the samples of a tick: learns where lines of memory.stat stand, by some containers (many at the first tick), while there is
 * something to learn. */
void cgm_bulk_learn(struct cgm_containers *cs, uint64_t seq);
