/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of user/sink/otlp*.c: one resource being written, metric by metric. A metric is begun with its first point. */
#pragma once
#include <stdbool.h>

#include "base/protobuf.h"
#include "sink/driver.h"

enum cgm_otlp_kind { CGM_OTLP_SUM, CGM_OTLP_UPDOWN, CGM_OTLP_GAUGE, CGM_OTLP_HISTOGRAM };

struct cgm_otlp_attribute {
	const char *key; /* NULL: none */
	struct cgm_str value;
};

struct cgm_otlp {
	struct cgm_buf *out;
	const struct cgm_sink_sample *s; /* the node's; NULL: another's */
	uint64_t start_ns, time_ns; /* of all points; start 0: not known */
	uint64_t nr_points;
	size_t start, resource_mark, scope_mark;
	/* the metric; name.len 0: none */
	struct cgm_str name;
	const char *unit;
	enum cgm_otlp_kind kind;
	bool begun;
	size_t metric_mark, data_mark;
};

/* Begins a resource, whose attributes follow; then cgm_otlp_scope(). */
void cgm_otlp_open(struct cgm_otlp *o, struct cgm_buf *out, uint64_t start_ns, uint64_t time_ns);
/* An attribute of the resource. Text that is no UTF-8 is made so. */
void cgm_otlp_who(struct cgm_otlp *o, const char *key, const char *text);
/* Ends the attributes, and writes the scope. */
void cgm_otlp_scope(struct cgm_otlp *o);
/* All of that for a sample: its resource's attributes and the scope. */
void cgm_otlp_begin(struct cgm_otlp *o, const struct cgm_sink_sample *s, struct cgm_buf *out);
/* Ends it; takes it back when it has no point. Returns the number of points. */
uint64_t cgm_otlp_end(struct cgm_otlp *o);
/* The metric of the points that follow. name must stay until the next one. */
void cgm_otlp_metric(struct cgm_otlp *o, struct cgm_str name, const char *unit, enum cgm_otlp_kind kind);
/* One point; attributes: nr of them, those without a key are passed over. */
void cgm_otlp_int(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, uint64_t v);
void cgm_otlp_i64(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, int64_t v);
void cgm_otlp_double(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, double v);
void cgm_otlp_hist(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, const struct cgm_live_hist *h);

/* A histogram of that scale; bucket 0 of the array is OpenTelemetry's index offset. */
struct cgm_otlp_exponential {
	uint64_t count, zero_count;
	double sum, zero_threshold;
	int scale;
	int64_t offset;
	const uint64_t *buckets;
	size_t nr;
};
void cgm_otlp_exponential(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, const struct cgm_otlp_exponential *e);
