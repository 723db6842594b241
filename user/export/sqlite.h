/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the history that the sink sqlite:PATH writes. Readers do not wait for the writer, nor it for them. A connection is for one thread at a time.
 * Faults (CGM_SINK_FAULT bytes) name the file; errors: -EBADMSG damaged or another program's, -ETIMEDOUT, -EBUSY, -EIO, -ENOMEM, ….
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "batch/entity.h"

struct cgm_past_point {
	uint64_t time_ns;
	bool is_float;
	int64_t i;
	double f;
};

struct cgm_sqlite;
/* until_ns: monotonic, when each of its calls gives up at the latest. 0 or a negative errno. */
int cgm_sqlite_open(const char *path, uint64_t until_ns, struct cgm_sqlite **ret, char *fault);
void cgm_sqlite_close(struct cgm_sqlite *s);
DEFINE_CLEANUP(cgm_sqlite, cgm_sqlite_close)

struct cgm_sqlite_of { /* whose: a set's key, or a pod's id and the container in it (NULL: the pod) */
	const char *key, *pod_id, *container;
};
/*
 * Points with start_ns <= time <= until_ns, oldest first, of a metric with just these labels (sorted by key; none: a metric without labels), in an array of
 * the caller's. An unknown set has none. -EFBIG: there are more than max.
 */
int cgm_sqlite_points(struct cgm_sqlite *s, const struct cgm_sqlite_of *of, const char *metric, const struct cgm_tag *labels, size_t nr_labels, uint64_t start_ns,
		      uint64_t until_ns, size_t max, struct cgm_past_point **ret, size_t *ret_nr, char *fault);

enum cgm_sqlite_list {
	CGM_SQLITE_METRICS, /* of a set: all that it has had */
	CGM_SQLITE_NODES,
	CGM_SQLITE_NAMESPACES,
	CGM_SQLITE_PODS, /* of a namespace */
	CGM_SQLITE_CONTAINERS, /* of a namespace and a pod */
	CGM_SQLITE_CONTAINERS_OF_ID, /* of a pod's id */
	CGM_SQLITE_FREECONTAINERS, /* of a node */
};
/* a, b: what the list is of, in the order above; of METRICS: see struct cgm_sqlite_of (a: key; or NULL, and b: pod's id, c: container or NULL). Sorted, each once. */
int cgm_sqlite_list(struct cgm_sqlite *s, enum cgm_sqlite_list list, const char *a, const char *b, const char *c, void (*add)(void *arg, const char *text), void *arg,
		    char *fault);
