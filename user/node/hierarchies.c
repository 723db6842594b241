// SPDX-License-Identifier: Apache-2.0
#include "node/hierarchies.h"

/* Tasks are counted by the first of these that has a hierarchy; see cgm_trees_sched_controller(). */
static enum cgm_task_controller task_controller(enum cgm_controller c)
{
	switch (c) {
	case CGM_CTRL_CPU:
		return CGM_TASK_CPU;
	case CGM_CTRL_CPUACCT:
		return CGM_TASK_CPUACCT;
	case CGM_CTRL_MEMORY:
		return CGM_TASK_MEMORY;
	case CGM_CTRL_PIDS:
		return CGM_TASK_PIDS;
	default:
		return CGM_TASK_V2;
	}
}

void cgm_hierarchies_of(const struct cgm_trees *t, struct cgm_kernel_config *c, enum cgm_controller *ret_sched, enum cgm_controller *ret_block)
{
	enum cgm_controller sched = cgm_trees_sched_controller(t);
	enum cgm_controller block = t->h[CGM_CTRL_BLKIO].dir_fd >= 0 ? CGM_CTRL_BLKIO : CGM_CTRL_UNIFIED;

	c->sched_hierarchy = c->sock_hierarchy = t->h[sched].id;
	c->block_hierarchy = t->h[block].id;
	c->task_controller = task_controller(sched);
	c->hierarchy_mask = 0;
	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		if (t->h[i].dir_fd >= 0 && t->h[i].id < 64)
			c->hierarchy_mask |= 1ULL << t->h[i].id;
	if (ret_sched)
		*ret_sched = sched;
	if (ret_block)
		*ret_block = block;
}
