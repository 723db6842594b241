/* SPDX-License-Identifier: Apache-2.0 */
/* The room's own: what is known of nodes and namespaces from cycle to cycle, and the node that is worked on now. One thread. */
#pragma once
#include "base/hash.h"
#include "process/process.h"

#define CGM_WORK_NONE UINT32_MAX
/* What stands before MEMORY_SWAP is Heapster's. */
#define CGM_WORK_HEAPSTER (CGM_CM_BIT(CGM_CM_MEMORY_SWAP) - 1)
#define CGM_WORK_MAX_CARRIED 2 /* cycles for which a rate outlives its sample */

/* ---- what stays ---- */

struct cgm_stored { /* of --store_label */
	const char *name, *as;
};

struct cgm_memo { /* beside each set of a node's last slice, by index */
	struct cgm_kube_pod *api; /* of a pod's set, with a reference: whose labels its entity has */
	uint64_t uid_hash; /* of the uid by which it was known; 0: none */
	uint8_t carried; /* since when its rates are of an older sample, in cycles */
};

struct cgm_last { /* a node's last slice */
	struct cgm_slice *slice; /* a reference */
	struct cgm_memo *memos;
	uint64_t seen_ns; /* end of the window of its last answer */
	bool has_hists;
	char name[];
};

struct cgm_sum_hist {
	bool any;
	struct cgm_cluster_hist hist;
};

struct cgm_space { /* a namespace, or the cluster */
	struct cgm_entity *entity; /* NULL: none yet */
	uint64_t window_ns; /* to which present and values belong */
	uint64_t present;
	union cgm_cm_value values[CGM_NR_SCALARS];
	struct cgm_sum_hist hists[CGM_NR_CH]; /* since it is known: they only grow */
	uint64_t uid_window_ns; /* when uid was asked for */
	char uid[64];
	char name[];
};

struct cgm_process {
	struct cgm_process_config config;
	char *options; /* a copy, cut into the next two */
	struct cgm_stored *stored; /* sorted by `as` */
	const char **ignored; /* sorted */
	size_t nr_stored, nr_ignored;
	struct cgm_hash lasts, spaces; /* by name */
	struct cgm_space *cluster;
	uint64_t window_ns; /* of the sums that are made now */
	uint64_t nr_in_window; /* nodes in them */
	struct cgm_draft sums;
	struct cgm_work *work;
	struct cgm_process_stats stats; /* atomic */
};

/* ---- the node that is worked on ---- */

enum cgm_work_rate { CGM_RATE_NONE, CGM_RATE_CARRY, CGM_RATE_NEW };

struct cgm_work_set { /* beside each set of the draft, by index */
	const struct cgm_set *old; /* the same in the node's last slice; NULL: not there */
	const struct cgm_memo *memo; /* of old */
	uint64_t uid_hash, elapsed_ns; /* since old's sample */
	uint32_t pod; /* index in pods; NONE: of no pod */
	enum cgm_work_rate rate;
	uint8_t carried;
	bool skip; /* it has no name, or comes a second time: it is left out */
	bool reset; /* another life than old's */
	bool earlier; /* its sample is from before old's: the node's clock was set back, or it said an older one again */
};

struct cgm_work_pod {
	const char *space_name, *name; /* the draft's */
	struct cgm_kube_pod *api; /* a reference; NULL: not known */
	struct cgm_space *space;
	uint64_t seen; /* bits of api's containers that have a set */
	uint32_t set, nr_containers, next; /* next: place of its next container in the slice */
};

struct cgm_work_hist { /* of a pod and one kind */
	bool any, own; /* own: the node said it of the pod itself */
	struct cgm_cluster_hist total, grown; /* of its containers; since the last slice */
};

struct cgm_work {
	struct cgm_process *p;
	const struct cgm_node_facts *facts;
	struct cgm_draft *d;
	struct cgm_last *last;
	uint64_t end_ns;
	struct cgm_work_set *sets;
	struct cgm_work_pod *pods;
	struct cgm_work_hist *hists; /* CGM_NR_CH for each pod, where the node has any */
	uint32_t *pod_table, *old_table; /* by name: pods; by key: sets of the last slice */
	size_t nr_pods, cap_sets, cap_pods, cap_hists, cap_pod_table, cap_old_table, nr_pod_table, nr_old_table;
	uint32_t node, nr_sys, cursor; /* set of the node; which of the last slice's sets is expected next */
	bool has_hists;
	struct cgm_buf text;
};

static inline void cgm_process_count(uint64_t *counter, uint64_t nr)
{
	if (nr)
		__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

/* How far two times are from each other: a clock may have been set back. */
static inline uint64_t cgm_process_apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static inline const struct cgm_slice *cgm_work_last(const struct cgm_work *w)
{
	return w->last->slice;
}

/* All: 0 or -ENOMEM. In this order: */

/* match.c: which containers are of which pod, which set is which of the last slice. Adds pods that only containers speak of. */
int cgm_work_group(struct cgm_work *w);
int cgm_work_match(struct cgm_work *w);
/* A set that the node did not speak of, of a pod or of none. Its index or -ENOMEM. */
int cgm_work_add(struct cgm_work *w, enum cgm_set_kind kind, uint32_t pod);
/* A set's place in the last slice. */
int cgm_work_find_old(struct cgm_work *w, uint32_t set);
/* enrich.c: asks the API server's pods. */
int cgm_work_ask(struct cgm_work *w);
/* rates.c */
void cgm_work_rates(struct cgm_work *w);
/* hists.c: containers' into pods'. */
int cgm_work_hists(struct cgm_work *w);
/* What came to a histogram since old (NULL: whole). True: it went back, so that it is whole. */
bool cgm_hist_grown(const struct cgm_cluster_hist *now, const struct cgm_cluster_hist *old, struct cgm_cluster_hist *ret);
void cgm_hist_add(struct cgm_cluster_hist *to, const struct cgm_cluster_hist *from);
/* enrich.c: requests and limits, names, and sets for containers that have none. */
int cgm_work_enrich(struct cgm_work *w);
/* sums.c: of pods, and the requests and limits of the node; then its autoscaling figures. */
void cgm_work_sums(struct cgm_work *w);
void cgm_work_autoscaling(struct cgm_work *w);
/* Adds which of from's values; *present: those of values that count already. Whole numbers stay at INT64_MAX. */
void cgm_sum_add(union cgm_cm_value values[CGM_NR_SCALARS], uint64_t *present, const struct cgm_draft_set *from, uint64_t which);
/* spaces.c: adds the node's pods to namespaces and cluster. */
void cgm_work_to_spaces(struct cgm_work *w);
/* NULL: out of memory. */
struct cgm_space *cgm_space_get(struct cgm_process *p, const char *name, uint64_t window_ns);
struct cgm_space *cgm_space_new(const char *name);
/* NULL is fine. */
void cgm_space_free(struct cgm_space *s);
/* The slice of all sums. 0 or -ENOMEM. */
int cgm_spaces_seal(struct cgm_process *p, uint64_t end_ns, struct cgm_slice **ret);
/* Forgets namespaces that had no pod for longer than keep_ns, or whose last one is of a time to come. */
void cgm_spaces_forget(struct cgm_process *p, uint64_t end_ns, uint64_t keep_ns);

/* labels.c: options, and the text of labels. */
int cgm_labels_init(struct cgm_process *p, char *fault);
void cgm_labels_done(struct cgm_process *p);
/* Sets CGM_CL_LABELS and stored of the facts; texts are the draft's and the labels'. */
int cgm_labels_put(struct cgm_work *w, const struct cgm_kube_label *labels, size_t nr_labels, struct cgm_entity_facts *facts);
