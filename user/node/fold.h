/* SPDX-License-Identifier: Apache-2.0 */
/* Folding: what the kernel side counted per cgroup, summed up the tree, and turned into the values of a sample. Sampler's thread. */
#pragma once
#include "node/containers.h"

/* Sets live, blocks and tasks of every container: own counts first, then children into parents. Needs a sorted table and a sweep before. */
void cgm_fold(struct cgm_containers *cs);
/* Averages for cpu.load_average; once a tick. */
void cgm_fold_load(struct cgm_container *c, uint64_t interval_ns);
/* Fills the values whose source is the kernel side into the sample. 0 or -ENOMEM. */
int cgm_fold_sample(const struct cgm_containers *cs, const struct cgm_container *c, struct cgm_sample *s);
