// SPDX-License-Identifier: Apache-2.0
#include "node/budget.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "kernel/groups.h"

#define MAX_WAITS 64

/* ppm of a CPU as percent, for people */
static double percent(uint64_t ppm)
{
	return (double)ppm / 10000;
}

static bool dearer(const struct cgm_budget_cost *c, unsigned a, unsigned b)
{
	if (c->group_ppm[a] != c->group_ppm[b])
		return c->group_ppm[a] > c->group_ppm[b];
	return cgm_groups[a].dear > cgm_groups[b].dear;
}

static bool may_go(const struct cgm_budget *b, unsigned i)
{
	return b->group[i].can && !b->group[i].off && cgm_groups[i].dear;
}

/* What a group must cost at least, for its end to help. */
static uint64_t worth_ppm(const struct cgm_budget *b, const struct cgm_budget_cost *c)
{
	uint64_t rest_ppm = c->total_ppm;

	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		if (may_go(b, i))
			rest_ppm -= MIN(rest_ppm, c->group_ppm[i]);
	return MAX(b->limit_ppm / (rest_ppm > b->limit_ppm ? 10 : 100), 1ULL);
}

/* The group to switch off next; CGM_NR_GROUPS: none would help. */
static enum cgm_group dearest(const struct cgm_budget *b, const struct cgm_budget_cost *c, uint64_t worth)
{
	unsigned best = CGM_NR_GROUPS;

	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		if (!may_go(b, i) || c->group_ppm[i] < worth)
			continue;
		if (best == CGM_NR_GROUPS || dearer(c, i, best))
			best = i;
	}
	return (enum cgm_group)best;
}

static void switch_off(struct cgm_budget *b, enum cgm_group i, uint64_t now_ns, const struct cgm_budget_cost *c)
{
	struct cgm_budget_group *g = &b->group[i];
	char reason[96];

	g->off = true;
	g->wait_ns = g->wait_ns ? MIN(g->wait_ns * 2, b->retry_ns * MAX_WAITS) : b->retry_ns;
	g->changed_ns = now_ns;
	g->nr_off++;
	snprintf(reason, sizeof(reason), "overhead budget of %.2f %% passed; its programs took %.2f %% of a CPU", percent(b->limit_ppm),
		 percent(c->group_ppm[i]));
	cgm_warning("group %s is switched off: %s; next try in %.0f s", cgm_groups[i].name, reason, (double)g->wait_ns / CGM_NSEC_PER_SEC);
	b->set(b->arg, i, false, reason);
}

static void shed(struct cgm_budget *b, uint64_t now_ns, const struct cgm_budget_cost *c)
{
	uint64_t left_ppm = c->total_ppm, worth = worth_ppm(b, c);

	while (left_ppm > b->limit_ppm) {
		enum cgm_group g = dearest(b, c, worth);

		if (g == CGM_NR_GROUPS) {
			if (!b->said_helpless)
				cgm_warning("the overhead budget of %.2f %% is passed, and to switch groups off would not help: %.2f %% of a CPU is "
					    "the agent's own, or of groups that cost little",
					    percent(b->limit_ppm), percent(left_ppm));
			b->said_helpless = true;
			return;
		}
		switch_off(b, g, now_ns, c);
		left_ppm -= MIN(left_ppm, c->group_ppm[g]);
	}
}

/* The group whose wait has passed for longest. */
static void try_one(struct cgm_budget *b, uint64_t now_ns)
{
	unsigned best = CGM_NR_GROUPS;
	struct cgm_budget_group *g;

	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		g = &b->group[i];
		if (g->off && now_ns - g->changed_ns >= g->wait_ns &&
		    (best == CGM_NR_GROUPS || g->changed_ns + g->wait_ns < b->group[best].changed_ns + b->group[best].wait_ns))
			best = i;
	}
	if (best == CGM_NR_GROUPS)
		return;
	g = &b->group[best];
	g->changed_ns = now_ns;
	if (b->set(b->arg, (enum cgm_group)best, true, "")) {
		g->off = false;
		cgm_info("group %s is tried again: the overhead is below its budget", cgm_groups[best].name);
	} else {
		g->wait_ns = MIN(g->wait_ns * 2, b->retry_ns * MAX_WAITS);
		cgm_warning("group %s could not be switched on again; next try in %.0f s", cgm_groups[best].name,
			    (double)g->wait_ns / CGM_NSEC_PER_SEC);
	}
}

void cgm_budget_step(struct cgm_budget *b, uint64_t now_ns, const struct cgm_budget_cost *cost)
{
	if (!b->limit_ppm)
		return;
	if (cost->total_ppm > b->limit_ppm) {
		shed(b, now_ns, cost);
		return;
	}
	b->said_helpless = false;
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		struct cgm_budget_group *g = &b->group[i];

		if (!g->off && g->wait_ns && now_ns - g->changed_ns >= g->wait_ns)
			g->wait_ns = 0;
	}
	try_one(b, now_ns);
}
