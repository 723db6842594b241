/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cgmeter cluster` remembers: each node's newest slices and those of the sums (the "short" history, with everything), and of each set
 * cpu/usage_rate and memory/usage for longer. Any thread; readers never wait for long: they take references under a lock and walk without it.
 * A node that is no more is forgotten when its last slice is older than the short history, a pod likewise.
 */
#pragma once
#include "batch/slice.h"

struct cgm_cluster_store_config {
	uint64_t short_ns; /* 0: 140 s, and at least two cycles */
	uint64_t long_ns; /* 0: 15 min. No longer than the short history: there is none of its own */
	size_t max_slices; /* of a node, the newest ones, or two where both have a sample of each set; at least 2. 0: as many as there are in the short history */
};

struct cgm_cluster_store;
/* 0 or -ENOMEM. */
int cgm_cluster_store_new(const struct cgm_cluster_store_config *config, struct cgm_cluster_store **ret);
void cgm_cluster_store_free(struct cgm_cluster_store *st);
DEFINE_CLEANUP(cgm_cluster_store, cgm_cluster_store_free)

/* Takes a reference of its own. A second slice of one node (or of the sums) with the same end takes the place of the first. 0 or -ENOMEM. */
int cgm_cluster_store_put(struct cgm_cluster_store *st, struct cgm_slice *s);
/* Forgets what is too old at that time (since the epoch). Called once a cycle. */
void cgm_cluster_store_age(struct cgm_cluster_store *st, uint64_t now_ns);

/* The newest slice of each node that has one young enough, and of the sums (last), each with a reference, in an array of the caller's, sorted by node. 0 or -ENOMEM. */
int cgm_cluster_store_newest(struct cgm_cluster_store *st, struct cgm_slice ***ret, size_t *ret_nr);
/* Releases such an array. NULL is fine. */
void cgm_cluster_slices_free(struct cgm_slice **slices, size_t nr);
/* All slices that are kept of one node ("": of the sums), oldest first, as above. An unknown node has none. */
int cgm_cluster_store_slices(struct cgm_cluster_store *st, const char *node, struct cgm_slice ***ret, size_t *ret_nr);
/* The same of the node that holds the set of that key: a pod's slices without a walk over all. */
int cgm_cluster_store_slices_of(struct cgm_cluster_store *st, const char *key, struct cgm_slice ***ret, size_t *ret_nr);

struct cgm_cluster_point {
	uint64_t end_ns;
	union cgm_cm_value value; /* as the metric's table says */
};
/*
 * A scalar metric of the set of that key, oldest first, with start_ns <= end_ns of the point <= until_ns (0: no bound): from the long history
 * for cpu/usage_rate and memory/usage, from the short one for all else. An array of the caller's. 0; -ENOENT: there is no such set; -ENOMEM.
 */
int cgm_cluster_store_points(struct cgm_cluster_store *st, const char *key, enum cgm_cm m, uint64_t start_ns, uint64_t until_ns,
			     struct cgm_cluster_point **ret, size_t *ret_nr);

struct cgm_cluster_store_stats {
	uint64_t nr_nodes, nr_sets, nr_slices, bytes; /* kept now */
	uint64_t newest_ns; /* end of the newest slice of any node; 0: none */
};
struct cgm_cluster_store_stats cgm_cluster_store_stats(struct cgm_cluster_store *st);
