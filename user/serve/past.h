/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the historical API has its numbers from: one file, one of these. Errors of all: a negative errno with fault (CGM_SINK_FAULT): -EINVAL the question is none,
 * -EFBIG the answer would be too large, -EOPNOTSUPP this history cannot tell, -ETIMEDOUT, -EBUSY, -ENOMEM, else the history is out of order.
 * A history that is open is for one thread.
 */
#pragma once
#include "base/uri.h"
#include "export/sqlite.h"
#include "serve/route.h"
#include "sink/driver.h"

#define CGM_PAST_POINTS ((size_t)200000) /* of one answer */
#define CGM_PAST_BUCKETS ((size_t)10000)
#define CGM_PAST_PERCENTILES 8

struct cgm_past_question {
	const struct cgm_route *route; /* its pod or pod_id is of one pod, also where a list was asked for */
	const char *metric; /* by the name that it has now */
	bool is_float; /* its values are no integers */
	const struct cgm_route_labels *labels;
	uint64_t start_ns, until_ns; /* both inclusive */
	/* Of aggregations. */
	uint64_t bucket_ns; /* 0: all in one */
	unsigned wanted; /* 1 << enum cgm_past_kind, or'ed */
	uint8_t percentiles[CGM_PAST_PERCENTILES];
	size_t nr_percentiles;
};

enum cgm_past_kind { CGM_PAST_AVERAGE, CGM_PAST_MAX, CGM_PAST_MIN, CGM_PAST_MEDIAN, CGM_PAST_COUNT, CGM_NR_PAST_KINDS };

struct cgm_past_value {
	bool there, is_float;
	int64_t i;
	double f;
};

struct cgm_past_bucket {
	uint64_t time_ns; /* where it begins */
	uint64_t count;
	struct cgm_past_value values[CGM_PAST_COUNT], percentiles[CGM_PAST_PERCENTILES];
};

struct cgm_past_source {
	const char *prefix; /* of its URI */
	/* until_ns: monotonic, when all must be done. */
	int (*open)(struct cgm_uri *uri, uint64_t until_ns, void **ret, char *fault);
	void (*close)(void *state);
	/* Oldest first, at most CGM_PAST_POINTS, in an array of the caller's. */
	int (*points)(void *state, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault);
	/* Those that have points, oldest first; NULL: they are made of points. */
	int (*buckets)(void *state, const struct cgm_past_question *q, struct cgm_past_bucket **ret, size_t *ret_nr, char *fault);
	/* What a route lists. */
	int (*names)(void *state, const struct cgm_route *route, struct cgm_names *ret, char *fault);
};
extern const struct cgm_past_source cgm_past_sqlite, cgm_past_influx;

/* Points, oldest first, to buckets. 0, -EFBIG, -ENOMEM. */
int cgm_past_aggregate(const struct cgm_past_question *q, const struct cgm_past_point *points, size_t nr, struct cgm_past_bucket **ret, size_t *ret_nr, char *fault);
/* Writes the fault and returns error. */
int cgm_past_bad(int error, char *fault, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
