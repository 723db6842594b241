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
	const struct cgm_sink_sample *s;
	uint64_t nr_points;
	size_t start, resource_mark, scope_mark;
	/* the metric; name.len 0: none */
	struct cgm_str name;
	const char *unit;
	enum cgm_otlp_kind kind;
	bool begun;
	size_t metric_mark, data_mark;
};

/* Writes the resource's attributes and the scope. */
void cgm_otlp_begin(struct cgm_otlp *o, const struct cgm_sink_sample *s, struct cgm_buf *out);
/* Ends it; takes it back when it has no point. Returns the number of points. */
uint64_t cgm_otlp_end(struct cgm_otlp *o);
/* The metric of the points that follow. name must stay until the next one. */
void cgm_otlp_metric(struct cgm_otlp *o, struct cgm_str name, const char *unit, enum cgm_otlp_kind kind);
/* One point; attributes: nr of them, those without a key are passed over. */
void cgm_otlp_int(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, uint64_t v);
void cgm_otlp_double(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, double v);
void cgm_otlp_hist(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, const struct cgm_live_hist *h);
