// SPDX-License-Identifier: Apache-2.0
/* Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto and its companions; a unit test reads all back by them. */
#include "sink/otlp_write.h"

#include <string.h>

#include "base/cleanup.h"
#include "sink/text.h"

enum {
	REQUEST_RESOURCE = CGM_PB_TAG(1, CGM_PB_BYTES),
	RESOURCE = CGM_PB_TAG(1, CGM_PB_BYTES), /* of ResourceMetrics, as the next */
	SCOPE_METRICS = CGM_PB_TAG(2, CGM_PB_BYTES),
	RESOURCE_ATTRIBUTE = CGM_PB_TAG(1, CGM_PB_BYTES),
	SCOPE = CGM_PB_TAG(1, CGM_PB_BYTES), /* of ScopeMetrics, as the next */
	METRIC = CGM_PB_TAG(2, CGM_PB_BYTES),
	SCOPE_NAME = CGM_PB_TAG(1, CGM_PB_BYTES),
	SCOPE_VERSION = CGM_PB_TAG(2, CGM_PB_BYTES),
	METRIC_NAME = CGM_PB_TAG(1, CGM_PB_BYTES),
	METRIC_UNIT = CGM_PB_TAG(3, CGM_PB_BYTES),
	METRIC_GAUGE = CGM_PB_TAG(5, CGM_PB_BYTES),
	METRIC_SUM = CGM_PB_TAG(7, CGM_PB_BYTES),
	METRIC_EXPONENTIAL = CGM_PB_TAG(10, CGM_PB_BYTES),
	DATA_POINT = CGM_PB_TAG(1, CGM_PB_BYTES), /* of all three */
	DATA_TEMPORALITY = CGM_PB_TAG(2, CGM_PB_VARINT),
	SUM_MONOTONIC = CGM_PB_TAG(3, CGM_PB_VARINT),
	POINT_START = CGM_PB_TAG(2, CGM_PB_FIXED64), /* of numbers and histograms, as the next */
	POINT_TIME = CGM_PB_TAG(3, CGM_PB_FIXED64),
	NUMBER_DOUBLE = CGM_PB_TAG(4, CGM_PB_FIXED64),
	NUMBER_INT = CGM_PB_TAG(6, CGM_PB_FIXED64),
	NUMBER_ATTRIBUTE = CGM_PB_TAG(7, CGM_PB_BYTES),
	HIST_ATTRIBUTE = CGM_PB_TAG(1, CGM_PB_BYTES),
	HIST_COUNT = CGM_PB_TAG(4, CGM_PB_FIXED64),
	HIST_SUM = CGM_PB_TAG(5, CGM_PB_FIXED64),
	HIST_SCALE = CGM_PB_TAG(6, CGM_PB_VARINT),
	HIST_ZERO_COUNT = CGM_PB_TAG(7, CGM_PB_FIXED64),
	HIST_POSITIVE = CGM_PB_TAG(8, CGM_PB_BYTES),
	HIST_ZERO_THRESHOLD = CGM_PB_TAG(14, CGM_PB_FIXED64),
	BUCKETS_OFFSET = CGM_PB_TAG(1, CGM_PB_VARINT),
	BUCKETS_COUNTS = CGM_PB_TAG(2, CGM_PB_BYTES), /* packed */
	KEY = CGM_PB_TAG(1, CGM_PB_BYTES),
	VALUE = CGM_PB_TAG(2, CGM_PB_BYTES),
	VALUE_TEXT = CGM_PB_TAG(1, CGM_PB_BYTES),
};

#define CUMULATIVE 2

static void put_attribute(struct cgm_buf *b, uint8_t tag, const char *key, struct cgm_str value)
{
	size_t attribute = cgm_pb_begin(b, tag), any;

	cgm_pb_text(b, KEY, key, strlen(key));
	any = cgm_pb_begin(b, VALUE);
	cgm_pb_text(b, VALUE_TEXT, value.p, value.len);
	cgm_pb_end(b, any);
	cgm_pb_end(b, attribute);
}

/* Text that may be no UTF-8, which protobuf does not allow. */
static void put_name(struct cgm_buf *b, uint8_t tag, const char *key, const char *name)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	cgm_text_utf8(&text, name);
	if (text.failed)
		b->failed = true;
	else
		put_attribute(b, tag, key, (struct cgm_str){ text.len ? text.p : "", text.len });
}

void cgm_otlp_open(struct cgm_otlp *o, struct cgm_buf *out, uint64_t start_ns, uint64_t time_ns)
{
	*o = (struct cgm_otlp){ .out = out, .start_ns = MIN(start_ns, time_ns), .time_ns = time_ns, .start = out->len };
	o->resource_mark = cgm_pb_begin(out, REQUEST_RESOURCE);
	o->scope_mark = cgm_pb_begin(out, RESOURCE);
}

void cgm_otlp_who(struct cgm_otlp *o, const char *key, const char *text)
{
	put_name(o->out, RESOURCE_ATTRIBUTE, key, text);
}

void cgm_otlp_scope(struct cgm_otlp *o)
{
	size_t mark;

	cgm_pb_end(o->out, o->scope_mark);
	o->scope_mark = cgm_pb_begin(o->out, SCOPE_METRICS);
	mark = cgm_pb_begin(o->out, SCOPE);
	cgm_pb_text(o->out, SCOPE_NAME, "cgmeter", strlen("cgmeter"));
	cgm_pb_text(o->out, SCOPE_VERSION, CGM_VERSION, strlen(CGM_VERSION));
	cgm_pb_end(o->out, mark);
}

static void end_metric(struct cgm_otlp *o)
{
	if (o->begun) {
		cgm_pb_end(o->out, o->data_mark);
		cgm_pb_end(o->out, o->metric_mark);
	}
	o->begun = false;
}

uint64_t cgm_otlp_end(struct cgm_otlp *o)
{
	end_metric(o);
	cgm_pb_end(o->out, o->scope_mark);
	cgm_pb_end(o->out, o->resource_mark);
	if (!o->nr_points && !o->out->failed)
		o->out->len = o->start;
	return o->nr_points;
}

void cgm_otlp_metric(struct cgm_otlp *o, struct cgm_str name, const char *unit, enum cgm_otlp_kind kind)
{
	end_metric(o);
	o->name = name;
	o->unit = unit;
	o->kind = kind;
}

static void begin_metric(struct cgm_otlp *o)
{
	static const uint8_t tags[] = { METRIC_SUM, METRIC_SUM, METRIC_GAUGE, METRIC_EXPONENTIAL };

	if (o->begun)
		return;
	o->begun = true;
	o->metric_mark = cgm_pb_begin(o->out, METRIC);
	cgm_pb_text(o->out, METRIC_NAME, o->name.p, o->name.len);
	cgm_pb_text(o->out, METRIC_UNIT, o->unit, strlen(o->unit));
	o->data_mark = cgm_pb_begin(o->out, tags[o->kind]);
	if (o->kind != CGM_OTLP_GAUGE)
		cgm_pb_count(o->out, DATA_TEMPORALITY, CUMULATIVE);
	if (o->kind == CGM_OTLP_SUM)
		cgm_pb_count(o->out, SUM_MONOTONIC, 1);
}

static size_t begin_point(struct cgm_otlp *o, uint8_t attribute_tag, const struct cgm_otlp_attribute *attributes, size_t nr)
{
	size_t mark;

	begin_metric(o);
	o->nr_points++;
	mark = cgm_pb_begin(o->out, DATA_POINT);
	if (o->kind != CGM_OTLP_GAUGE && o->start_ns)
		cgm_pb_fixed64(o->out, POINT_START, o->start_ns);
	cgm_pb_fixed64(o->out, POINT_TIME, o->time_ns);
	for (size_t i = 0; i < nr; i++)
		if (attributes[i].key)
			put_attribute(o->out, attribute_tag, attributes[i].key, attributes[i].value);
	return mark;
}

void cgm_otlp_i64(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, int64_t v)
{
	size_t mark = begin_point(o, NUMBER_ATTRIBUTE, attributes, nr);

	cgm_pb_fixed64(o->out, NUMBER_INT, (uint64_t)v);
	cgm_pb_end(o->out, mark);
}

void cgm_otlp_int(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, uint64_t v)
{
	cgm_otlp_i64(o, attributes, nr, (int64_t)MIN(v, (uint64_t)INT64_MAX));
}

void cgm_otlp_double(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, double v)
{
	size_t mark = begin_point(o, NUMBER_ATTRIBUTE, attributes, nr);

	cgm_pb_double(o->out, NUMBER_DOUBLE, v);
	cgm_pb_end(o->out, mark);
}

static void put_buckets(struct cgm_buf *b, const struct cgm_otlp_exponential *e)
{
	size_t from = 0, to = e->nr, mark, counts;

	while (from < to && !e->buckets[from])
		from++;
	while (to > from && !e->buckets[to - 1])
		to--;
	if (from == to)
		return;
	mark = cgm_pb_begin(b, HIST_POSITIVE);
	cgm_pb_count(b, BUCKETS_OFFSET, cgm_pb_zigzag(e->offset + (int64_t)from));
	counts = cgm_pb_begin(b, BUCKETS_COUNTS);
	for (size_t i = from; i < to; i++) {
		if (cgm_buf_reserve(b, CGM_MAX_VARINT))
			b->len = (size_t)(cgm_pb_put_varint(b->p + b->len, e->buckets[i]) - b->p);
	}
	cgm_pb_end(b, counts);
	cgm_pb_end(b, mark);
}

void cgm_otlp_exponential(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, const struct cgm_otlp_exponential *e)
{
	size_t mark = begin_point(o, HIST_ATTRIBUTE, attributes, nr);

	cgm_pb_fixed64(o->out, HIST_COUNT, e->count);
	cgm_pb_double(o->out, HIST_SUM, e->sum);
	cgm_pb_count(o->out, HIST_SCALE, cgm_pb_zigzag(e->scale));
	cgm_pb_fixed64(o->out, HIST_ZERO_COUNT, e->zero_count);
	cgm_pb_double(o->out, HIST_ZERO_THRESHOLD, e->zero_threshold);
	put_buckets(o->out, e);
	cgm_pb_end(o->out, mark);
}

/*
 * Bucket i of a struct cgm_hist ends at 2^((i - 80) / 4) s; OpenTelemetry's index i begins at 2^(i / 4): it counts from the lower bound.
 * The last of ours has no end, and counts as the next of theirs.
 */
#define OFFSET_OF(bucket) ((int64_t)(bucket) + CGM_HIST_FIRST_INDEX - 1)
_Static_assert(CGM_HIST_SCHEMA == 2, "the scale");

void cgm_otlp_hist(struct cgm_otlp *o, const struct cgm_otlp_attribute *attributes, size_t nr, const struct cgm_live_hist *h)
{
	unsigned from = h->first ? 0 : 1; /* bucket 0 is the zero bucket */
	struct cgm_otlp_exponential e = {
		.count = h->count, .sum = (double)h->sum_ns / 1e9, .scale = CGM_HIST_SCHEMA, .zero_count = h->nr && !h->first ? h->buckets[0] : 0, .zero_threshold = 0x1p-20,
	};

	if (!h->count)
		return;
	if (h->nr > from) {
		e.offset = OFFSET_OF(h->first + from);
		e.buckets = h->buckets + from;
		e.nr = h->nr - from;
	}
	cgm_otlp_exponential(o, attributes, nr, &e);
}
