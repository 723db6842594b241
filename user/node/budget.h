/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overhead budget: which groups are switched off when programs and agent together cost more than they may, and when they are tried
 * again. No clock and no kernel in here: both come as arguments, so that a test can make up any day. Sampler's thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cgmeter/metrics.h"

/* What was measured in a window, in millionths of one CPU. */
struct cgm_budget_cost {
	uint64_t total_ppm; /* all programs and the agent */
	uint64_t group_ppm[CGM_NR_GROUPS]; /* a group's programs, also those whose time is the agent's (iterators) */
};

struct cgm_budget_group {
	bool can; /* may be switched off: it has programs that are loaded */
	bool off; /* was */
	uint64_t wait_ns; /* how long it stays off, or did the last time; 0: it was never off, or has proved itself since */
	uint64_t changed_ns; /* when it went off or came back */
	uint64_t nr_off; /* how often it went off */
};

struct cgm_budget {
	uint64_t limit_ppm; /* 0: no budget */
	uint64_t retry_ns; /* the first wait; doubled each time up to 64 times that */
	/* Does it. False: it could not be; the group is as it was, or off. reason is for on == false. */
	bool (*set)(void *arg, enum cgm_group g, bool on, const char *reason);
	void *arg;
	struct cgm_budget_group group[CGM_NR_GROUPS];
	bool said_helpless;
};

/*
 * After each window. Above the limit: groups go off, the one that cost most first (among equals the dearer one by groups.def), until what is
 * left fits. Those that cost less than a hundredth of the limit stay, as their end would help nobody; and less than a tenth, when the limit
 * would be passed without all of them, too, because the agent itself takes more. Below: one group whose wait has passed comes back. One that goes off again waits twice as long; one that has stayed on for as long as it had to wait starts afresh.
 */
void cgm_budget_step(struct cgm_budget *b, uint64_t now_ns, const struct cgm_budget_cost *cost);
