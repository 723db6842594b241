// SPDX-License-Identifier: Apache-2.0
#include "process/work.h"

#define REQUESTS (CGM_CM_BIT(CGM_CM_CPU_REQUEST) | CGM_CM_BIT(CGM_CM_CPU_LIMIT) | CGM_CM_BIT(CGM_CM_MEMORY_REQUEST) | CGM_CM_BIT(CGM_CM_MEMORY_LIMIT))

void cgm_sum_add(union cgm_cm_value values[CGM_NR_SCALARS], uint64_t *present, const struct cgm_draft_set *from, uint64_t which)
{
	for (uint64_t left = from->present & which; left; left &= left - 1) {
		enum cgm_cm m = (enum cgm_cm)__builtin_ctzll(left);
		union cgm_cm_value *v = &values[m];

		if (!(*present & CGM_CM_BIT(m)))
			*v = from->values[m];
		else if (cgm_cm_table[m].is_float)
			v->f += from->values[m].f;
		else if (__builtin_add_overflow(v->i, from->values[m].i, &v->i))
			v->i = INT64_MAX; /* all are zero or more */
	}
	*present |= from->present & which;
}

static void add(struct cgm_draft_set *to, const struct cgm_draft_set *from, uint64_t which)
{
	cgm_sum_add(to->values, &to->present, from, which);
}

static uint64_t gauges(void)
{
	uint64_t mask = 0;

	for (int m = 0; m < CGM_NR_SCALARS; m++)
		mask |= cgm_cm_table[m].cumulative ? 0 : CGM_CM_BIT(m);
	return mask;
}

/* Heapster's rule: a pod has its own values, and to them those of its containers are added but for counters. */
void cgm_work_sums(struct cgm_work *w)
{
	uint64_t which = gauges();

	for (uint32_t i = 0; i < w->d->nr_sets; i++)
		if (w->d->sets[i].kind == CGM_SET_CONTAINER && w->sets[i].pod != CGM_WORK_NONE)
			add(&w->d->sets[w->pods[w->sets[i].pod].set], &w->d->sets[i], which);
	for (uint32_t k = 0; k < w->nr_pods; k++)
		add(&w->d->sets[w->node], &w->d->sets[w->pods[k].set], REQUESTS);
}

static double value_or_zero(const struct cgm_draft_set *s, enum cgm_cm m)
{
	return s->present & CGM_CM_BIT(m) ? (double)s->values[m].i : 0.0;
}

static void put_shares(struct cgm_draft_set *s, int64_t allocatable, enum cgm_cm used, enum cgm_cm utilization, enum cgm_cm requested, enum cgm_cm reservation)
{
	if (allocatable <= 0)
		return;
	cgm_draft_float(s, utilization, value_or_zero(s, used) / (double)allocatable);
	cgm_draft_float(s, reservation, value_or_zero(s, requested) / (double)allocatable);
}

static void put_size(struct cgm_draft_set *s, enum cgm_cm m, int64_t v)
{
	if (v >= 0)
		cgm_draft_float(s, m, (double)v);
}

void cgm_work_autoscaling(struct cgm_work *w)
{
	const struct cgm_kube_node *node = w->facts->node;
	struct cgm_draft_set *s = &w->d->sets[w->node];

	if (!node)
		return;
	put_size(s, CGM_CM_CPU_NODE_CAPACITY, node->cpu_capacity_milli);
	put_size(s, CGM_CM_CPU_NODE_ALLOCATABLE, node->cpu_allocatable_milli);
	put_size(s, CGM_CM_MEMORY_NODE_CAPACITY, node->memory_capacity_bytes);
	put_size(s, CGM_CM_MEMORY_NODE_ALLOCATABLE, node->memory_allocatable_bytes);
	put_shares(s, node->cpu_allocatable_milli, CGM_CM_CPU_USAGE_RATE, CGM_CM_CPU_NODE_UTILIZATION, CGM_CM_CPU_REQUEST, CGM_CM_CPU_NODE_RESERVATION);
	put_shares(s, node->memory_allocatable_bytes, CGM_CM_MEMORY_USAGE, CGM_CM_MEMORY_NODE_UTILIZATION, CGM_CM_MEMORY_REQUEST, CGM_CM_MEMORY_NODE_RESERVATION);
}
