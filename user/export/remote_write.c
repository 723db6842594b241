// SPDX-License-Identifier: Apache-2.0
/*
 * Prometheus' remote write 1.0: a WriteRequest in snappy's block format, as Prometheus, Mimir, Thanos and VictoriaMetrics take it. Names are those of prometheus_name.h, labels are Heapster's and the cluster's
 * name. Histograms are classic ones (histograms=classic), which every receiver takes; native ones are a thirtieth of the series, and only some have them. A time series of a batch that comes again is the same
 * sample, and stands there once.
 */
#include <errno.h>
#include <snappy-c.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/library.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/protobuf.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/prometheus_name.h"
#include "export/target.h"
#include "sink/text.h"

#define PORT 9090
#define MAX_LABELS 96 /* of a series */
#define NATIVE_INDEX(bucket) ((int)(bucket) - 20) /* of schema 0: ends at 2^index s */

enum {
	REQUEST_SERIES = CGM_PB_TAG(1, CGM_PB_BYTES),
	SERIES_LABEL = CGM_PB_TAG(1, CGM_PB_BYTES), /* of TimeSeries, as the next */
	SERIES_SAMPLE = CGM_PB_TAG(2, CGM_PB_BYTES),
	SERIES_HISTOGRAM = CGM_PB_TAG(4, CGM_PB_BYTES),
	LABEL_NAME = CGM_PB_TAG(1, CGM_PB_BYTES),
	LABEL_VALUE = CGM_PB_TAG(2, CGM_PB_BYTES),
	SAMPLE_VALUE = CGM_PB_TAG(1, CGM_PB_FIXED64),
	SAMPLE_TIME = CGM_PB_TAG(2, CGM_PB_VARINT),
	HIST_COUNT = CGM_PB_TAG(1, CGM_PB_VARINT),
	HIST_SUM = CGM_PB_TAG(3, CGM_PB_FIXED64),
	HIST_SCHEMA = CGM_PB_TAG(4, CGM_PB_VARINT),
	HIST_ZERO_THRESHOLD = CGM_PB_TAG(5, CGM_PB_FIXED64),
	HIST_ZERO_COUNT = CGM_PB_TAG(6, CGM_PB_VARINT),
	HIST_SPAN = CGM_PB_TAG(11, CGM_PB_BYTES),
	HIST_DELTAS = CGM_PB_TAG(12, CGM_PB_BYTES), /* packed */
	HIST_TIME = CGM_PB_TAG(15, CGM_PB_VARINT),
	SPAN_OFFSET = CGM_PB_TAG(1, CGM_PB_VARINT),
	SPAN_LENGTH = CGM_PB_TAG(2, CGM_PB_VARINT),
};

#define FUNCTIONS(X) X(snappy_compress) X(snappy_max_compressed_length)
static struct {
	FUNCTIONS(CGM_LIBRARY_MEMBER)
} lib;

enum hists { CLASSIC, NATIVE, NONE };

struct state {
	struct cgm_target target;
	char *cluster;
	enum hists hists;
};

/* ---- opening ---- */

static void remote_write_close(void *state)
{
	struct state *s = state;

	cgm_target_close(&s->target);
	free(s->cluster);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		remote_write_close(*s);
}

static int load(char *fault)
{
	static const char *const names[] = { "libsnappy.so.1", NULL };
#define X(f) CGM_LIBRARY_SYMBOL(lib, f)
	static const struct cgm_symbol symbols[] = { FUNCTIONS(X) };
#undef X
	return cgm_library_load(names, symbols, ARRAY_SIZE(symbols), fault, CGM_SINK_FAULT) < 0 ? -EINVAL : 0;
}

static int read_hists(struct state *s, const char *text, char *fault)
{
	static const char *const words[] = { [CLASSIC] = "classic", [NATIVE] = "native", [NONE] = "none" };

	for (size_t i = 0; text && i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			s->hists = (enum hists)i;
			return 0;
		}
	if (!text)
		return 0;
	snprintf(fault, CGM_SINK_FAULT, "option histograms: takes classic, native or none");
	return -EINVAL;
}

static int remote_write_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = load(fault);
	if (r == 0)
		r = read_hists(s, cgm_uri_option(uri, "histograms", 0), fault);
	if (r == 0)
		r = cgm_target_open(&s->target, uri, config, PORT, "/api/v1/write", fault);
	if (r < 0)
		return r;
	s->cluster = cgm_option_cluster(uri, config);
	if (!s->cluster)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- labels ---- */

/* Of a set, each written as it goes out, sorted by name. */
struct labels {
	struct cgm_buf bytes, sorted, name, value;
	struct label {
		size_t at, len, name_at, name_len; /* in bytes */
	} labels[MAX_LABELS];
	size_t nr;
	size_t split; /* of sorted: here the name of the metric comes in */
	bool failed;
};

static void labels_done(struct labels *l)
{
	cgm_buf_done(&l->bytes);
	cgm_buf_done(&l->sorted);
	cgm_buf_done(&l->name);
	cgm_buf_done(&l->value);
}

static int compare(const struct labels *l, const struct label *a, const char *name, size_t len)
{
	int r = memcmp(l->bytes.p + a->name_at, name, MIN(a->name_len, len));

	return r ? r : a->name_len < len ? -1 : a->name_len > len;
}

static bool has_label(const struct labels *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->nr; i++)
		if (compare(l, &l->labels[i], name, len) == 0)
			return true;
	return false;
}

static size_t put_label(struct cgm_buf *b, const char *name, size_t name_len, const char *value, size_t value_len)
{
	size_t mark = cgm_pb_begin(b, SERIES_LABEL);

	cgm_pb_text(b, LABEL_NAME, name, name_len);
	cgm_pb_text(b, LABEL_VALUE, value, value_len);
	cgm_pb_end(b, mark);
	return mark;
}

/* An empty value is the same as none. Where two names become one, the later gets a _ behind it: nothing is lost that way, and no series is invalid. */
static void add_label(struct labels *l, const char *name, const char *value)
{
	struct label n = { .at = l->bytes.len };

	if (!*value)
		return;
	if (l->nr == MAX_LABELS) {
		cgm_log_once(CGM_LOG_WARNING, "sink remote_write: a series has more than %d labels; the rest is left out", MAX_LABELS);
		return;
	}
	l->name.len = l->value.len = 0;
	cgm_prometheus_label_name(name, &l->name);
	cgm_text_utf8(&l->value, value);
	while (!l->name.failed && !l->bytes.failed && has_label(l, l->name.p, l->name.len))
		cgm_buf_char(&l->name, '_');
	if (l->name.failed || l->value.failed || l->bytes.failed)
		return;
	put_label(&l->bytes, l->name.p, l->name.len, l->value.p, l->value.len);
	n.len = l->bytes.len - n.at;
	n.name_len = l->name.len;
	if (l->bytes.failed)
		return;
	n.name_at = (size_t)((char *)memmem(l->bytes.p + n.at, n.len, l->name.p, l->name.len) - l->bytes.p);
	l->labels[l->nr++] = n;
}

static void sort_labels(struct labels *l)
{
	for (size_t i = 1; i < l->nr; i++) {
		struct label n = l->labels[i];
		size_t at = i;

		for (; at && compare(l, &l->labels[at - 1], l->bytes.p + n.name_at, n.name_len) > 0; at--)
			l->labels[at] = l->labels[at - 1];
		l->labels[at] = n;
	}
}

static void set_labels(const struct state *s, struct labels *l, const struct cgm_entity *e, const struct cgm_labeled *own)
{
	struct cgm_tags it = CGM_TAGS(e, own);
	struct cgm_tag tag;

	l->bytes.len = l->sorted.len = l->nr = l->split = 0;
	add_label(l, "cluster", s->cluster);
	if (own && own->metric == CGM_CM_CUSTOM)
		add_label(l, CGM_PROMETHEUS_CUSTOM, cgm_labeled_name(own));
	while (cgm_tags_next(&it, &tag))
		add_label(l, tag.key, tag.value);
	l->failed |= l->bytes.failed || l->name.failed || l->value.failed;
	if (l->failed)
		return;
	sort_labels(l);
	for (size_t i = 0; i < l->nr; i++) {
		if (compare(l, &l->labels[i], "__name__", 8) < 0)
			l->split = l->sorted.len + l->labels[i].len;
		cgm_buf_put(&l->sorted, l->bytes.p + l->labels[i].at, l->labels[i].len);
	}
	l->failed |= l->sorted.failed;
}

/* ---- series ---- */

struct series {
	const struct state *s;
	struct cgm_buf *out;
	struct labels labels;
	uint64_t time_msec;
};

/* le NULL: none. */
static size_t begin_series(struct series *s, const char *name, size_t len, const char *le)
{
	struct labels *l = &s->labels;
	size_t mark = cgm_pb_begin(s->out, REQUEST_SERIES);
	bool due = le != NULL;

	cgm_buf_put(s->out, l->sorted.p, l->split);
	put_label(s->out, "__name__", 8, name, len);
	if (!le) {
		if (l->sorted.p)
			cgm_buf_put(s->out, l->sorted.p + l->split, l->sorted.len - l->split);
		return mark;
	}
	for (size_t i = 0; i < l->nr; i++) {
		int order = compare(l, &l->labels[i], "le", 2);

		if (compare(l, &l->labels[i], "__name__", 8) < 0)
			continue;
		if (due && order >= 0) {
			put_label(s->out, "le", 2, le, strlen(le));
			due = false;
		}
		if (order) /* a stored label of that name gives way */
			cgm_buf_put(s->out, l->bytes.p + l->labels[i].at, l->labels[i].len);
	}
	if (due)
		put_label(s->out, "le", 2, le, strlen(le));
	return mark;
}

static void put_sample(struct series *s, const char *name, size_t len, const char *le, double value)
{
	size_t mark = begin_series(s, name, len, le), sample = cgm_pb_begin(s->out, SERIES_SAMPLE);

	cgm_pb_double(s->out, SAMPLE_VALUE, value);
	cgm_pb_count(s->out, SAMPLE_TIME, s->time_msec);
	cgm_pb_end(s->out, sample);
	cgm_pb_end(s->out, mark);
}

static void put_part(struct series *s, const struct cgm_buf *family, const char *suffix, const char *le, double value)
{
	char name[160];
	int len = snprintf(name, sizeof(name), "%.*s%s", (int)family->len, family->p, suffix);

	put_sample(s, name, (size_t)len, le, value);
}

static void put_classic(struct series *s, const struct cgm_buf *family, const struct cgm_cluster_hist *h)
{
	_cleanup_(cgm_buf_done) struct cgm_buf le = { 0 };
	uint64_t sum = 0;

	for (unsigned i = 0; i < CGM_CH_BUCKETS; i++) {
		sum += h->buckets[i];
		le.len = 0;
		if (i + 1 < CGM_CH_BUCKETS)
			cgm_buf_printf(&le, "%.17g", cgm_ch_bound(i)); /* a power of two has fewer digits */
		else
			cgm_buf_lit(&le, "+Inf");
		cgm_buf_char(&le, '\0');
		s->out->failed |= le.failed;
		if (!le.failed)
			put_part(s, family, "_bucket", le.p, (double)sum);
	}
	put_part(s, family, "_sum", NULL, (double)h->sum_ns / 1e9);
	put_part(s, family, "_count", NULL, (double)sum); /* what its last bucket says, also when it was read in the midst of a change */
}

/* Bucket 0 is the zero bucket. */
static void put_native(struct series *s, const struct cgm_buf *family, const struct cgm_cluster_hist *h)
{
	size_t mark = begin_series(s, family->p, family->len, NULL), hist = cgm_pb_begin(s->out, SERIES_HISTOGRAM), part;
	unsigned from = 1, to = CGM_CH_BUCKETS;
	uint64_t count = 0;
	int64_t last = 0;

	for (unsigned i = 0; i < CGM_CH_BUCKETS; i++)
		count += h->buckets[i];
	while (from < to && !h->buckets[from])
		from++;
	while (to > from && !h->buckets[to - 1])
		to--;
	cgm_pb_count(s->out, HIST_COUNT, count);
	cgm_pb_double(s->out, HIST_SUM, (double)h->sum_ns / 1e9);
	cgm_pb_count(s->out, HIST_SCHEMA, 0);
	cgm_pb_double(s->out, HIST_ZERO_THRESHOLD, cgm_ch_bound(0));
	cgm_pb_count(s->out, HIST_ZERO_COUNT, h->buckets[0]);
	if (from < to) {
		part = cgm_pb_begin(s->out, HIST_SPAN);
		cgm_pb_count(s->out, SPAN_OFFSET, cgm_pb_zigzag(NATIVE_INDEX(from)));
		cgm_pb_count(s->out, SPAN_LENGTH, to - from);
		cgm_pb_end(s->out, part);
		part = cgm_pb_begin(s->out, HIST_DELTAS);
		for (unsigned i = from; i < to; i++) {
			if (cgm_buf_reserve(s->out, CGM_MAX_VARINT))
				s->out->len = (size_t)(cgm_pb_put_varint(s->out->p + s->out->len, cgm_pb_zigzag((int64_t)h->buckets[i] - last)) - s->out->p);
			last = (int64_t)h->buckets[i];
		}
		cgm_pb_end(s->out, part);
	}
	cgm_pb_count(s->out, HIST_TIME, s->time_msec);
	cgm_pb_end(s->out, hist);
	cgm_pb_end(s->out, mark);
}

static void put_hists(struct series *s, const struct cgm_set *set)
{
	_cleanup_(cgm_buf_done) struct cgm_buf family = { 0 };

	for (uint32_t i = 0; i < set->nr_hists && s->s->hists != NONE; i++) {
		family.len = 0;
		cgm_ch_prometheus_name((enum cgm_ch)set->hists[i].hist, &family);
		s->out->failed |= family.failed;
		if (family.failed)
			return;
		if (s->s->hists == NATIVE)
			put_native(s, &family, &set->hists[i]);
		else
			put_classic(s, &family, &set->hists[i]);
	}
}

static void put_set(struct series *s, const struct cgm_set *set, struct cgm_cutter *cutter)
{
	_cleanup_(cgm_buf_done) struct cgm_buf name = { 0 };
	struct cgm_points it = CGM_POINTS(set);
	struct cgm_point p;

	set_labels(s->s, &s->labels, set->entity, NULL);
	if (s->labels.failed)
		return;
	put_hists(s, set); /* as long as the labels are the entity's */
	while (cgm_points_next(&it, &p)) {
		name.len = 0;
		cgm_cm_prometheus_name(p.metric, &name);
		if (p.labeled)
			set_labels(s->s, &s->labels, set->entity, p.labeled);
		if (s->labels.failed || name.failed)
			break;
		put_sample(s, name.p, name.len, NULL, cgm_cm_prometheus_value(p.metric, p.value, p.is_float));
		cgm_cutter_add(cutter, 1);
	}
	s->out->failed |= name.failed;
}

static uint64_t remote_write_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	_cleanup_free_ struct series *s = cgm_calloc(1, sizeof(*s));
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	if (!s) {
		out->failed = true;
		return 0;
	}
	s->s = state;
	s->out = out;
	s->time_msec = slice->end_ns / CGM_NSEC_PER_MSEC;
	for (uint32_t i = 0; i < slice->nr_sets && !s->labels.failed; i++)
		put_set(s, &slice->sets[i], &cutter);
	out->failed |= s->labels.failed;
	labels_done(&s->labels);
	return cutter.nr_points;
}

/* ---- sending ---- */

static enum cgm_sink_result remote_write_send(void *state, struct cgm_sink_attempt *a)
{
	static const char *const headers[] = { "Content-Type: application/x-protobuf", "Content-Encoding: snappy", "X-Prometheus-Remote-Write-Version: 0.1.0", NULL };
	size_t len = lib.snappy_max_compressed_length(a->len);
	_cleanup_free_ char *packed = cgm_malloc(len);
	struct state *s = state;
	struct cgm_http_answer answer;

	if (!packed || lib.snappy_compress(a->data, a->len, packed, &len) != SNAPPY_OK)
		return cgm_sink_again(a, "out of memory");
	if (cgm_target_post(&s->target, a, headers, packed, len, &answer) < 0)
		return CGM_SINK_AGAIN;
	return cgm_target_judge(a, &answer, a->nr_points);
}

#define EXPORTER(n) { .name = (n), .open = remote_write_open, .close = remote_write_close, .encode = remote_write_encode, .send = remote_write_send }
const struct cgm_exporter cgm_export_remote_write = EXPORTER("remote_write");
const struct cgm_exporter cgm_export_prometheus_remote_write = EXPORTER("prometheus_remote_write");
