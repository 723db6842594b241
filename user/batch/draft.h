/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice in the making: a decoder (user/source) puts in what a node said, the pipeline (user/process) adds rates, names and sums, then it is
 * sealed. Reused for the next node: its memory stays. One thread.
 */
#pragma once
#include "batch/slice.h"

struct cgm_draft_set {
	enum cgm_set_kind kind;
	/* As the node said it; texts end with a zero and live as long as the draft's content. NULL: not said. */
	const char *pod_namespace, *pod, *uid, *container, *image;
	uint64_t scraped_ns, created_ns; /* 0: not known */
	uint64_t present;
	union cgm_cm_value values[CGM_NR_SCALARS]; /* by enum cgm_cm */
	struct cgm_entity *entity; /* the draft's reference; set by the pipeline */
	uint32_t order; /* the pipeline's, for sealing */
};

/* What a struct cgm_labeled is made of. */
struct cgm_labeled_facts {
	uint8_t metric, nr_labels;
	bool is_float;
	const char *name; /* of CGM_CM_CUSTOM, without "custom/"; else NULL */
	const struct cgm_tag *labels; /* sorted by key */
	union cgm_cm_value value;
};

struct cgm_draft_labeled {
	uint32_t set; /* index */
	struct cgm_labeled_facts labeled;
};

struct cgm_draft_hist {
	uint32_t set;
	struct cgm_cluster_hist hist;
};

struct cgm_draft_chunk;
struct cgm_draft {
	const char *node; /* what it calls itself; NULL: it did not say */
	struct cgm_draft_set *sets;
	struct cgm_draft_labeled *labeled;
	struct cgm_draft_hist *hists;
	size_t nr_sets, cap_sets, nr_labeled, cap_labeled, nr_hists, cap_hists;
	struct cgm_draft_chunk *chunks; /* of texts */
	bool failed; /* out of memory: what was put in is not whole */
};

/* Of zeros it is empty. */
void cgm_draft_clear(struct cgm_draft *d);
void cgm_draft_done(struct cgm_draft *d);

/* A set, of zeros but its kind. An index, or -ENOMEM (and failed). Pointers to sets are good until the next one. */
int cgm_draft_add(struct cgm_draft *d, enum cgm_set_kind kind);
/* For tables of what nodes say: seeded, so that no sender can choose texts that stand in one place. h: the hash of what comes before the text, or any number. */
uint64_t cgm_draft_hash(uint64_t h, struct cgm_str text);
/* Copies a text into the draft. NULL: out of memory (and failed). */
const char *cgm_draft_text(struct cgm_draft *d, struct cgm_str text);
/* Memory of zeros for the draft's content, aligned for anything. NULL: out of memory (and failed). */
void *cgm_draft_alloc(struct cgm_draft *d, size_t size);
/* A value with the label resource_id, whose text is copied. */
void cgm_draft_resource(struct cgm_draft *d, uint32_t set, enum cgm_cm metric, struct cgm_str resource_id, int64_t value);
/* Any labeled value; its texts must be the draft's. */
void cgm_draft_labeled(struct cgm_draft *d, uint32_t set, const struct cgm_labeled_facts *l);
void cgm_draft_hist(struct cgm_draft *d, uint32_t set, const struct cgm_cluster_hist *h);

static inline void cgm_draft_int(struct cgm_draft_set *s, enum cgm_cm m, int64_t v)
{
	s->values[m].i = v;
	s->present |= CGM_CM_BIT(m);
}

static inline void cgm_draft_float(struct cgm_draft_set *s, enum cgm_cm m, double v)
{
	s->values[m].f = v;
	s->present |= CGM_CM_BIT(m);
}

/*
 * Makes a slice of all sets that have an entity, in the order of their `order` (equal ones as they were added), and takes a reference of each
 * entity; the draft stays as it is. 0 with one reference, -ENOMEM.
 */
int cgm_draft_seal(const struct cgm_draft *d, const char *node, uint64_t end_ns, uint64_t resolution_ns, struct cgm_slice **ret);
