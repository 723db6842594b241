/* SPDX-License-Identifier: Apache-2.0 */
/* Folding: what the kernel side counted per cgroup, summed up the tree, and turned into the values of a sample. Sampler's thread. */
#pragma once
#include "node/containers.h"

/*
 * Sets live and tasks of every container, in the memory of the snapshot that is being built: own counts first, then children into parents.
 * Needs a sorted table and a sweep before. live is NULL where memory ran out.
 */
void cgm_fold(struct cgm_containers *cs, struct cgm_snapshot *snap);
/* Frees what folding keeps between ticks. */
void cgm_fold_done(struct cgm_containers *cs);
/* Averages for cpu.load_average; once a tick. */
void cgm_fold_load(struct cgm_container *c, uint64_t interval_ns);
/* Fills the values whose source is the kernel side into the sample. 0 or -ENOMEM. */
int cgm_fold_sample(const struct cgm_containers *cs, const struct cgm_container *c, struct cgm_sample *s);
/* The same of counters alone: what is in live. */
int cgm_fold_live(const struct cgm_kernel *k, const struct cgm_live *live, struct cgm_sample *s);

/* sums.c: empty sums (NULL: out of memory), and back with them. */
struct cgm_sums *cgm_sums_get(struct cgm_containers *cs);
void cgm_sums_put(struct cgm_containers *cs, struct cgm_sums *s);
/* Adds what the kernel side counted in these slots (CGM_SLOT_OVERFLOW: none), or in the slot of those that found none. */
void cgm_sums_add_slot(struct cgm_sums *s, const struct cgm_kernel *k, uint32_t sched_slot, uint32_t block_slot);
void cgm_sums_add_overflow(struct cgm_sums *s, const struct cgm_kernel *k);
/* blocks: the block part; rows: all the rest. */
void cgm_sums_add(struct cgm_sums *to, const struct cgm_sums *from, bool rows, bool blocks);
bool cgm_sums_empty(const struct cgm_sums *s);
/* The narrow form, in the memory of the snapshot. NULL: out of memory. */
struct cgm_live *cgm_sums_pack(const struct cgm_sums *s, struct cgm_snapshot *snap);
