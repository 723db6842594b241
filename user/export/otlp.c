// SPDX-License-Identifier: Apache-2.0
/*
 * OTLP over HTTP with protobuf. A set is a resource, by OpenTelemetry's semantic conventions for k8s; metrics have Heapster's names with a point for each slash, in Heapster's units. What is cumulative is a monotonic sum
 * from the creation of its container on (uptime is a gauge: it counts nothing), histograms are exponential ones of scale 0. What has no convention keeps Heapster's name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "export/driver.h"
#include "export/points.h"
#include "export/prometheus_name.h"
#include "export/target.h"
#include "output/gzip.h"
#include "sink/otlp.h"
#include "sink/otlp_write.h"
#include "sink/text.h"

#define PORT 4318
#define MAX_ATTRIBUTES 64 /* of a point */

struct state {
	struct cgm_target target;
	char *cluster;
	bool plain; /* no gzip */
};

static void otlp_close(void *state)
{
	struct state *s = state;

	cgm_target_close(&s->target);
	free(s->cluster);
	free(s);
}

static void closep(struct state **s)
{
	if (*s)
		otlp_close(*s);
}

static int otlp_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	_cleanup_(closep) struct state *s = cgm_calloc(1, sizeof(*s));
	const char *compression = cgm_uri_option(uri, "compression", 0);
	int r;

	if (!s)
		return -ENOMEM;
	s->plain = compression && strcmp(compression, "none") == 0;
	if (compression && !s->plain && strcmp(compression, "gzip") != 0) {
		snprintf(fault, CGM_SINK_FAULT, "option compression: takes gzip or none");
		return -EINVAL;
	}
	r = cgm_target_open(&s->target, uri, config, PORT, "/v1/metrics", fault);
	if (r < 0)
		return r;
	s->cluster = cgm_option_cluster(uri, config);
	if (!s->cluster)
		return -ENOMEM;
	*ret = TAKE_PTR(s);
	return 0;
}

/* ---- encoding ---- */

static const char *attribute_of(enum cgm_cl label, enum cgm_set_kind kind)
{
	switch (label) {
	case CGM_CL_CONTAINER_BASE_IMAGE:
		return "container.image.name";
	case CGM_CL_CONTAINER_NAME:
		return kind == CGM_SET_CONTAINER ? "k8s.container.name" : "container.name"; /* of a system container it is none of Kubernetes' */
	case CGM_CL_HOST_ID:
		return "host.id";
	case CGM_CL_HOSTNAME:
		return "host.name";
	case CGM_CL_NAMESPACE_ID:
		return "k8s.namespace.uid";
	case CGM_CL_NAMESPACE_NAME:
		return "k8s.namespace.name";
	case CGM_CL_NODENAME:
		return "k8s.node.name";
	case CGM_CL_POD_ID:
		return "k8s.pod.uid";
	case CGM_CL_POD_NAME:
		return "k8s.pod.name";
	default:
		return cgm_cl_name(label);
	}
}

static void put_stored(struct cgm_otlp *o, const struct cgm_entity *e)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };

	for (size_t i = 0; i < e->nr_stored; i++) {
		if (i && strcmp(e->stored[i].key, e->stored[i - 1].key) == 0)
			continue;
		key.len = 0;
		cgm_buf_str(&key, e->kind == CGM_SET_NODE ? "k8s.node.label." : e->kind == CGM_SET_NAMESPACE ? "k8s.namespace.label." : "k8s.pod.label.");
		cgm_text_utf8(&key, e->stored[i].key);
		cgm_buf_char(&key, '\0');
		o->out->failed |= key.failed;
		if (!key.failed)
			cgm_otlp_who(o, key.p, e->stored[i].value);
	}
}

static void put_resource(const struct state *s, struct cgm_otlp *o, const struct cgm_entity *e)
{
	cgm_otlp_who(o, "k8s.cluster.name", s->cluster);
	for (int l = 0; l < CGM_NR_CL; l++)
		if (e->labels[l] && *e->labels[l])
			cgm_otlp_who(o, attribute_of((enum cgm_cl)l, e->kind), e->labels[l]);
	put_stored(o, e);
	cgm_otlp_scope(o);
}

static bool is_rate(enum cgm_cm m)
{
	const char *name = cgm_cm_table[m].name;
	size_t len = strlen(name);

	return len > 5 && strcmp(name + len - 5, "_rate") == 0 && m != CGM_CM_CPU_USAGE_RATE;
}

/* UCUM's words for Heapster's units. Heapster says that inodes are bytes. */
static const char *unit_of(enum cgm_cm m)
{
	const char *unit = cgm_cm_table[m].unit;

	switch (m) {
	case CGM_CM_FILESYSTEM_INODES:
	case CGM_CM_FILESYSTEM_INODES_FREE:
		return "{inode}";
	case CGM_CM_ACCELERATOR_DUTY_CYCLE:
		return "%";
	case CGM_CM_CPU_RUN_QUEUE_DELAY_RATE:
	case CGM_CM_CPU_THROTTLED_RATE:
	case CGM_CM_DISK_WAIT_RATE:
		return "1"; /* seconds per second */
	default:
		break;
	}
	if (strcmp(unit, "bytes") == 0)
		return is_rate(m) ? "By/s" : "By";
	if (strcmp(unit, "millicores") == 0)
		return "{millicore}";
	return strcmp(unit, "count") != 0 ? unit : is_rate(m) ? "1/s" : "1";
}

/* The name of the points that follow, kept in text: with a point for each slash. */
static void begin_metric(struct cgm_otlp *o, const struct cgm_point *p, struct cgm_buf *text)
{
	text->len = 0;
	if (p->metric == CGM_CM_CUSTOM) {
		cgm_buf_lit(text, "custom.");
		cgm_text_utf8(text, cgm_labeled_name(p->labeled));
	} else {
		cgm_point_name(p, text);
		for (size_t i = 0; !text->failed && i < text->len; i++)
			if (text->p[i] == '/')
				text->p[i] = '.';
	}
	o->out->failed |= text->failed;
	if (!text->failed)
		cgm_otlp_metric(o, (struct cgm_str){ text->p, text->len }, unit_of(p->metric), cgm_cm_prometheus_is_counter(p->metric) ? CGM_OTLP_SUM : CGM_OTLP_GAUGE);
}

struct scratch {
	struct cgm_buf name, texts;
	struct cgm_otlp_attribute attributes[MAX_ATTRIBUTES];
};

/* The point's own labels as UTF-8, each name once. */
static size_t attributes_of(const struct cgm_labeled *l, struct scratch *s)
{
	size_t at[MAX_ATTRIBUTES], nr = 0;

	s->texts.len = 0;
	for (unsigned i = 0; l && i < l->nr_labels && nr < MAX_ATTRIBUTES; i++) {
		if (i && strcmp(cgm_labeled_labels(l)[i].key, cgm_labeled_labels(l)[i - 1].key) == 0)
			continue;
		at[nr++] = s->texts.len;
		cgm_text_utf8(&s->texts, cgm_labeled_labels(l)[i].key);
		cgm_buf_char(&s->texts, '\0');
		cgm_text_utf8(&s->texts, cgm_labeled_labels(l)[i].value);
		cgm_buf_char(&s->texts, '\0');
	}
	for (size_t i = 0; !s->texts.failed && i < nr; i++) {
		const char *key = s->texts.p + at[i];

		s->attributes[i] = (struct cgm_otlp_attribute){ key, cgm_str(key + strlen(key) + 1) };
	}
	return s->texts.failed ? 0 : nr;
}

static bool same_metric(const struct cgm_point *a, const struct cgm_point *b)
{
	return a->metric == b->metric && a->labeled && b->labeled && (a->metric != CGM_CM_CUSTOM || strcmp(cgm_labeled_name(a->labeled), cgm_labeled_name(b->labeled)) == 0);
}

/* Bucket 0 is the zero bucket; bucket i begins at 2^(i - 21) s, and the last counts as if it ended at twice its beginning. */
static void put_hist(struct cgm_otlp *o, const struct cgm_cluster_hist *h)
{
	struct cgm_otlp_exponential e = { .sum = (double)h->sum_ns / 1e9, .zero_count = h->buckets[0], .zero_threshold = cgm_ch_bound(0), .offset = -20, .buckets = h->buckets + 1, .nr = CGM_CH_BUCKETS - 1 };

	for (unsigned i = 0; i < CGM_CH_BUCKETS; i++)
		e.count += h->buckets[i]; /* as they are, also when they were read in the midst of a change */
	cgm_otlp_metric(o, cgm_str(cgm_ch_name((enum cgm_ch)h->hist)), "s", CGM_OTLP_HISTOGRAM);
	cgm_otlp_exponential(o, NULL, 0, &e);
}

/* Returns the number of points; histograms are none. */
static uint64_t put_set(const struct state *s, const struct cgm_slice *slice, const struct cgm_set *set, struct cgm_buf *out, struct scratch *scratch)
{
	struct cgm_points it = CGM_POINTS(set);
	struct cgm_point p, last = { 0 };
	struct cgm_otlp o;
	uint64_t nr = 0;

	cgm_otlp_open(&o, out, set->created_ns, slice->end_ns);
	put_resource(s, &o, set->entity);
	for (; cgm_points_next(&it, &p); last = p, nr++) {
		size_t nr_attributes = attributes_of(p.labeled, scratch);

		if (!nr || !same_metric(&last, &p))
			begin_metric(&o, &p, &scratch->name);
		if (scratch->name.failed || scratch->texts.failed)
			break;
		if (p.is_float)
			cgm_otlp_double(&o, scratch->attributes, nr_attributes, p.value.f);
		else
			cgm_otlp_i64(&o, scratch->attributes, nr_attributes, p.value.i);
	}
	for (uint32_t i = 0; i < set->nr_hists; i++)
		put_hist(&o, &set->hists[i]);
	(void)cgm_otlp_end(&o);
	return nr;
}

static uint64_t otlp_encode(const void *state, const struct cgm_slice *slice, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	_cleanup_free_ struct scratch *scratch = cgm_calloc(1, sizeof(*scratch));
	struct cgm_cutter cutter = CGM_CUTTER(out, cut, arg);

	if (!scratch) {
		out->failed = true;
		return 0;
	}
	for (uint32_t i = 0; i < slice->nr_sets; i++)
		cgm_cutter_add(&cutter, put_set(state, slice, &slice->sets[i], out, scratch));
	out->failed |= scratch->name.failed || scratch->texts.failed;
	cgm_buf_done(&scratch->name);
	cgm_buf_done(&scratch->texts);
	return cutter.nr_points;
}

/* ---- sending ---- */

static enum cgm_sink_result otlp_send(void *state, struct cgm_sink_attempt *a)
{
	static const char *const headers[] = { "Content-Type: application/x-protobuf", "Content-Encoding: gzip", NULL }, *const plain[] = { "Content-Type: application/x-protobuf", NULL };
	const struct cgm_buf in = { .p = (char *)(uintptr_t)a->data, .len = a->len, .cap = a->len };
	_cleanup_(cgm_buf_done) struct cgm_buf packed = { 0 };
	struct state *s = state;
	struct cgm_http_answer answer;
	enum cgm_sink_result r;

	if (!s->plain && cgm_gzip_buf(&in, &packed) < 0)
		return cgm_sink_again(a, "out of memory");
	if (cgm_target_post(&s->target, a, s->plain ? plain : headers, s->plain ? a->data : packed.p, s->plain ? a->len : packed.len, &answer) < 0)
		return CGM_SINK_AGAIN;
	r = cgm_otlp_judge(a, &answer);
	a->nr_lost = MIN(a->nr_lost, a->nr_points); /* it counts histograms, too */
	return r;
}

#define EXPORTER(n) { .name = (n), .open = otlp_open, .close = otlp_close, .encode = otlp_encode, .send = otlp_send }
const struct cgm_exporter cgm_export_opentelemetry = EXPORTER("opentelemetry");
const struct cgm_exporter cgm_export_otlp = EXPORTER("otlp");
