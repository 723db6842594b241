/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heapster's pipeline (shared/reference/heapster-kubelet.md, "Pipeline order and exact maths"), a node at a time: rates against the node's last slice, names and resources of the API server, sums of
 * pods and of the node, then the slice is sealed; at the end of a cycle namespaces and the cluster from all slices. Only the source's thread calls it, but for _stats.
 */
#pragma once
#include "batch/draft.h"
#include "batch/store.h"
#include "kube/cluster.h"
#include "source/source.h"

struct cgm_process_config {
	uint64_t resolution_ns;
	struct cgm_kube_cluster *cluster; /* NULL: no API server: names are as nodes say them, and there are no requests, limits, labels */
	const char *label_separator; /* NULL: "," */
	const char *store_labels; /* "name", "new=name", comma between; NULL: none */
	const char *ignore_labels; /* comma between */
	bool no_extras; /* leave out what Heapster does not have */
	/* A slice is done: of a node, or of the sums. It is fn's to _ref. */
	void (*on_slice)(void *arg, struct cgm_slice *s);
	void *arg;
};

struct cgm_process;
/* 0; -EINVAL with fault (256 bytes): an option is none; -ENOMEM. */
int cgm_process_new(const struct cgm_process_config *config, struct cgm_process **ret, char *fault);
void cgm_process_free(struct cgm_process *p);
DEFINE_CLEANUP(cgm_process, cgm_process_free)

/* What a node said. The draft may be changed. */
void cgm_process_node(struct cgm_process *p, const struct cgm_node_facts *node, struct cgm_draft *d, uint64_t end_ns);
/* All nodes of the window are done: the sums. */
void cgm_process_cycle(struct cgm_process *p, uint64_t end_ns);

struct cgm_process_stats {
	uint64_t nr_slices, nr_sets, nr_points; /* made so far */
	uint64_t nr_resets; /* counters that went back: no rate then */
	uint64_t nr_unknown_pods; /* sets of pods that the API server does not know (yet): without labels, requests, limits */
	uint64_t nr_mixed; /* sets of a node whose answers name another node than the API: kept apart by the API's name */
	uint64_t nr_lost; /* slices that were lost for memory */
	uint64_t nr_summed; /* nodes in the last sums: one that did not answer in that window is missing from them */
	uint64_t node_ns, cycle_ns; /* time spent so far in _node, in _cycle */
};
struct cgm_process_stats cgm_process_stats(struct cgm_process *p);
