/* SPDX-License-Identifier: Apache-2.0 */
/* By which of the machine's cgroup hierarchies the kernel side counts. */
#pragma once
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"

/*
 * Fills the hierarchies, the task controller and the mask of life-cycle events of a configuration; the rest of it is left as it is.
 * Tells the controllers whose cgroups have the slots (either may be NULL). Any thread.
 */
void cgm_hierarchies_of(const struct cgm_trees *t, struct cgm_kernel_config *c, enum cgm_controller *ret_sched, enum cgm_controller *ret_block);
