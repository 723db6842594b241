/* SPDX-License-Identifier: Apache-2.0 */
/* The routes that the model API and the historical API have in common: whose numbers are asked for, and which. Any thread. */
#pragma once
#include "batch/entity.h"
#include "serve/ask.h"

enum cgm_route_what {
	CGM_ROUTE_NAMES, /* …/metrics: which metrics there are */
	CGM_ROUTE_METRIC, /* …/metrics/NAME */
	CGM_ROUTE_AGGREGATED, /* …/metrics-aggregated/AGGREGATIONS/NAME */
	CGM_ROUTE_STATS, /* …/stats, of Heapster 0.19 */
	CGM_ROUTE_NODES,
	CGM_ROUTE_NAMESPACES,
	CGM_ROUTE_PODS, /* of a namespace */
	CGM_ROUTE_CONTAINERS, /* of a pod */
	CGM_ROUTE_FREECONTAINERS, /* of a node */
	CGM_ROUTE_ALLKEYS,
};

struct cgm_route {
	enum cgm_route_what what;
	enum cgm_set_kind kind; /* of NAMES, METRIC, AGGREGATED, STATS */
	/* NULL: the route does not say it. list: names or ids of pods, comma between. */
	const char *node, *pod_namespace, *pod, *pod_id, *container, *list, *aggregations, *metric;
	bool of_ids; /* list has pods' ids */
	char *text; /* the route's own */
};

/* path: what stands behind "/api/v1/model/". 0; -ENOENT: there is no such route; -ENOMEM. */
int cgm_route_read(const char *path, struct cgm_route *ret);
void cgm_route_done(struct cgm_route *route);
/* Appends the key of its set and a zero. Not of lists, and not of a pod's id. */
void cgm_route_key(const struct cgm_route *route, struct cgm_buf *out);

/* A parameter that is a time (RFC 3339) in ns since the epoch; it stays as it is when it was not sent. False: it is none, and *r says so. */
bool cgm_route_time(const struct cgm_ask *a, const char *name, uint64_t *ret, struct cgm_reply *r);

#define CGM_ROUTE_LABELS 16
struct cgm_route_labels { /* "labels=k:v,k:v" */
	struct cgm_tag tags[CGM_ROUTE_LABELS]; /* sorted by key */
	size_t nr;
	char *text;
};
/* Likewise. */
bool cgm_route_labels(const struct cgm_ask *a, struct cgm_route_labels *ret, struct cgm_reply *r);
void cgm_route_labels_done(struct cgm_route_labels *l);
/* Are these all its labels, and no others? Both sorted by key. */
bool cgm_route_labels_are(const struct cgm_route_labels *l, const struct cgm_tag *tags, size_t nr);

/* ---- lists and points as JSON ---- */

struct cgm_names { /* texts of its own */
	char **names;
	size_t nr, cap;
	bool failed; /* out of memory */
};
void cgm_names_add(struct cgm_names *n, const char *name);
/* Sorts, and leaves one of each. */
void cgm_names_sort(struct cgm_names *n);
void cgm_names_done(struct cgm_names *n);
/* ["a","b"] */
void cgm_reply_names(struct cgm_buf *out, struct cgm_names *n);

/*
 * {"timestamp":…,"value":…} with a comma in front unless it is the first after "[". A float has its value rounded, for those who read
 * integers, as Heapster's users do, and "floatValue" exactly.
 */
void cgm_reply_point(struct cgm_buf *out, uint64_t end_ns, union cgm_cm_value v, bool is_float);
/* The shortest text that gives back just this number; one that is none is 0. */
void cgm_reply_double(struct cgm_buf *out, double v);
