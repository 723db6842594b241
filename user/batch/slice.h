/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was learnt of one node in one cycle (node, system containers, pods, containers), or what all nodes give together (namespaces, cluster).
 * A slice never changes once sealed, is one allocation, and is shared by reference count: the store, each sink and whoever answers hold the
 * same one. All its points bear one time, the end of the cycle's window. Any thread.
 */
#pragma once
#include "batch/entity.h"

/* A value with labels, in 16 bytes: most of a slice is these. Never copied, since its labels are found by their distance from it. */
struct cgm_labeled {
	union cgm_cm_value value;
	uint32_t labels_at; /* see cgm_labeled_labels() */
	uint8_t metric; /* enum cgm_cm, CGM_NR_SCALARS and above */
	bool is_float; /* of CGM_CM_CUSTOM: which value it has; else as the table says */
	uint8_t nr_labels; /* 1 (resource_id), 3 (accelerators: accelerator_id, make, model), any (custom); sorted by key */
};
_Static_assert(sizeof(struct cgm_labeled) == 16, "there are 450 of a node of 30 pods");

static inline const struct cgm_tag *cgm_labeled_labels(const struct cgm_labeled *l)
{
	return (const struct cgm_tag *)((const char *)l + l->labels_at);
}

/* Of CGM_CM_CUSTOM its name without "custom/"; else NULL. It stands behind the labels. */
static inline const char *cgm_labeled_name(const struct cgm_labeled *l)
{
	return l->metric == CGM_CM_CUSTOM ? cgm_labeled_labels(l)[l->nr_labels].key : NULL;
}

#define CGM_CH_BUCKETS 28 /* bucket i ends at 2^(i+CGM_HIST_FIRST_LOG2) s, see include/cgmeter/hist.h; the last has no bound; not cumulative */
struct cgm_cluster_hist {
	uint8_t hist; /* enum cgm_ch */
	uint64_t count, sum_ns;
	uint64_t buckets[CGM_CH_BUCKETS];
};

struct cgm_set {
	struct cgm_entity *entity; /* the slice's reference */
	uint64_t scraped_ns; /* when its values were taken, since the epoch; 0: not known (sums) */
	uint64_t created_ns; /* when it was started; 0: not known */
	uint64_t present; /* CGM_CM_BIT() of scalars */
	const union cgm_cm_value *values; /* those present, in order */
	const struct cgm_labeled *labeled; /* sorted by metric, as they came within one */
	const struct cgm_cluster_hist *hists; /* sorted by hist */
	uint32_t nr_labeled, nr_hists;
};

struct cgm_slice {
	uint32_t refs; /* atomic */
	uint32_t nr_sets;
	uint64_t end_ns; /* the time of all points, since the epoch */
	uint64_t resolution_ns; /* of the cycle */
	const char *node; /* its name; "": the sums */
	uint64_t nr_points; /* scalars and labeled ones of all sets */
	const struct cgm_set *sets; /* of a node: the node first, then system containers, then each pod with its containers behind it */
	size_t bytes; /* of this allocation */
};

static inline bool cgm_set_has(const struct cgm_set *s, enum cgm_cm m)
{
	return s->present & CGM_CM_BIT(m);
}

/* Of a metric that is present. */
static inline union cgm_cm_value cgm_set_value(const struct cgm_set *s, enum cgm_cm m)
{
	return s->values[__builtin_popcountll(s->present & (CGM_CM_BIT(m) - 1))];
}

struct cgm_slice *cgm_slice_ref(struct cgm_slice *s);
/* NULL is fine. */
void cgm_slice_unref(struct cgm_slice *s);
DEFINE_CLEANUP(cgm_slice, cgm_slice_unref)
/* The set of that key, by a walk. NULL: none. */
const struct cgm_set *cgm_slice_find(const struct cgm_slice *s, const char *key);
