/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nodes and pods use, as the Metrics API means it: CPU between the last two samples that differ, the working set of the last one, both with the times
 * that the node gave them. Any thread.
 */
#pragma once
#include "kube/cluster.h"
#include "serve/serve.h"

struct cgm_used {
	const char *name; /* of the container; NULL: of a node */
	uint64_t cpu_nano, memory_bytes; /* 10^-9 CPUs; working set */
	uint64_t time_ns, window_ns; /* of the last sample; between the two */
};

struct cgm_usage_row { /* a node or a pod */
	const struct cgm_slice *slice; /* the newest */
	const struct cgm_set *set; /* the row's, in that; of a pod its containers stand behind it */
	const char *name, *row_namespace; /* row_namespace: NULL of a node */
	uint64_t time_ns, window_ns; /* of the oldest of its containers */
	const struct cgm_kube_label *labels; /* sorted by key */
	size_t nr_labels;
	size_t first, nr; /* its usages: one of a node, one or more of a pod */
};

struct cgm_usage_wanted { /* NULL: all */
	bool pods; /* else nodes */
	bool any_sample; /* also of whom there are no two samples: with no usages then */
	const char *row_namespace, *name;
	const struct cgm_kube_selector *labels;
	/* Of a field selector; not: any but this one. */
	const char *field_name, *field_namespace, *not_name, *not_namespace;
};

/* By its namespace and name, not by its labels. */
bool cgm_usage_wants(const struct cgm_usage_wanted *w, const struct cgm_usage_row *row);

/* As JSON, without the end, so that labels may follow: "metadata":{…"creationTimestamp":now. */
void cgm_usage_put_metadata(struct cgm_buf *out, const struct cgm_usage_row *row, uint64_t now_ns);

struct cgm_usages { /* everything lives until _done */
	struct cgm_usage_row *rows; /* sorted by namespace and name */
	struct cgm_used *usages;
	size_t nr_rows, cap_rows, nr_usages, cap_usages;
	struct cgm_usage_kept *kept;
	size_t nr_kept, cap_kept;
};

/* A node without two samples, and a pod that has a container without them, are left out. 0 or -ENOMEM; _done in any case. */
int cgm_usages_gather(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_usages *ret);
void cgm_usages_done(struct cgm_usages *u);

/* The usage of one set, the newest of slices (oldest first) that has it. False: there are no two samples of it. resolution_ns: how young is fresh. */
bool cgm_used_of(struct cgm_slice *const *slices, size_t nr, const struct cgm_set *newest, uint64_t resolution_ns, struct cgm_used *ret);
