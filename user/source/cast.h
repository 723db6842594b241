/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in a draft while it is read: finds the set of a name, and in the end takes out who is there twice and puts the rest in order. Names come from
 * others, so the table is seeded and there are at most CGM_CAST_MAX_SETS. Memory is the draft's. One thread.
 */
#pragma once
#include "batch/draft.h"

#define CGM_CAST_MAX_SETS 65536
#define CGM_CAST_MAX_LABELED (1U << 18)

struct cgm_cast {
	struct cgm_draft *d;
	uint32_t *slots; /* index + 1 of a set; 0: free */
	size_t cap, nr;
	bool crowded; /* there were more than may be: what was left out is lost */
};

/* A new set, or -1: out of memory (the draft is marked), or too many. While a draft is read, the order of a container is the index of its pod. */
int cgm_cast_add(struct cgm_cast *c, enum cgm_set_kind kind);
/* The one pod of that name and uid (may be NULL), made if it is not there yet. Or -1, as above. */
int cgm_cast_pod(struct cgm_cast *c, struct cgm_str pod_namespace, struct cgm_str pod, struct cgm_str uid);
/* The one container of that name in that pod, likewise. */
int cgm_cast_container(struct cgm_cast *c, int pod, struct cgm_str container);
/* Takes a set out again (in the end): it has no name. A pod's containers go with it. */
void cgm_cast_drop(struct cgm_cast *c, int set);
/* Is there room for more labeled values? */
bool cgm_cast_has_room(struct cgm_cast *c);
/*
 * The node first, then system containers, then each pod with its containers, which get their pod's names. Of those with one name (pods in a node, containers in a pod,
 * system containers) the one that started last stays. A pod with containers has no memory of its own: it is their sum.
 * 0 or -ENOMEM.
 */
int cgm_cast_settle(struct cgm_cast *c);

/* A value, if sets of that kind may have it. */
static inline void cgm_cast_put(struct cgm_cast *c, int set, enum cgm_cm m, int64_t v)
{
	struct cgm_draft_set *s = &c->d->sets[set];

	if (cgm_cm_table[m].sets & 1U << s->kind)
		cgm_draft_int(s, m, v);
}
