/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent and its programs cost, measured in windows: opens and closes the windows by a timer of its own, adds up what was
 * measured, and asks the budget. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "kernel/kernel.h"
#include "model/snapshot.h"
#include "node/budget.h"
#include "node/options.h"

struct cgm_cost {
	const struct cgm_options *o;
	struct cgm_kernel *kernel;
	int timer_fd; /* to poll; -1: nothing to measure */
	bool in_window;
	uint64_t cpu_ns, at_ns; /* of this process, and the time, at the end of the last window */
	uint64_t overhead_ppm;
	struct cgm_budget budget;
};

/* The first window opens at once. 0, or a negative errno: then there is nothing to poll, and no budget is kept (said). */
int cgm_cost_start(struct cgm_cost *c, const struct cgm_options *o, struct cgm_kernel *k);
void cgm_cost_stop(struct cgm_cost *c);
/* timer_fd is readable. */
void cgm_cost_on_timer(struct cgm_cost *c);

/* Fills what a snapshot says about cost and groups; what finds no memory is left out. */
void cgm_cost_publish(const struct cgm_cost *c, struct cgm_snapshot *snap);
