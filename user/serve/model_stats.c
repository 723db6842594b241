// SPDX-License-Identifier: Apache-2.0
/*
 * …/stats of Heapster 0.19: average, 95th percentile and maximum of a set's last minute, and of its last hour and day when there is a history to ask. Without one these two are not
 * there: the model keeps 15 minutes.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/past.h"

#define MINUTE_NS (60 * CGM_NSEC_PER_SEC)

static const struct {
	const char *name; /* as 0.19 called it */
	enum cgm_cm metric;
} shown[] = {
	{ "cpu-usage", CGM_CM_CPU_USAGE_RATE },	    { "cpu-limit", CGM_CM_CPU_LIMIT },	       { "memory-usage", CGM_CM_MEMORY_USAGE },
	{ "memory-working", CGM_CM_MEMORY_WORKING_SET }, { "memory-limit", CGM_CM_MEMORY_LIMIT },
};

static void put_number(struct cgm_buf *out, const char *name, const struct cgm_past_value *v)
{
	if (out->p && out->p[out->len - 1] != '{')
		cgm_buf_char(out, ',');
	cgm_reply_text(out, name);
	cgm_buf_char(out, ':');
	cgm_buf_i64(out, v->is_float ? (int64_t)v->f : v->i);
}

/* "minute":{"average":…,"percentile":…,"max":…}, of the points from a time on. */
static int put_span(struct cgm_buf *out, const char *name, const struct cgm_past_point *points, size_t nr, uint64_t start_ns, char *fault)
{
	struct cgm_past_question q = { .percentiles = { 95 }, .nr_percentiles = 1 };
	_cleanup_free_ struct cgm_past_bucket *b = NULL;
	size_t nr_buckets;
	int r;

	for (; nr && points->time_ns <= start_ns; nr--)
		points++;
	r = cgm_past_aggregate(&q, points, nr, &b, &nr_buckets, fault);
	if (r < 0 || !nr_buckets)
		return r;
	if (out->p && out->p[out->len - 1] != '{')
		cgm_buf_char(out, ',');
	cgm_reply_text(out, name);
	cgm_buf_lit(out, ":{");
	put_number(out, "average", &b->values[CGM_PAST_AVERAGE]);
	put_number(out, "percentile", &b->percentiles[0]);
	put_number(out, "max", &b->values[CGM_PAST_MAX]);
	cgm_buf_char(out, '}');
	return 0;
}

static int put_past(const struct cgm_serve *s, const struct cgm_route *route, const char *metric, uint64_t end_ns, struct cgm_buf *out, char *fault)
{
	const struct cgm_route_labels none = { 0 };
	struct cgm_past_question q = { .route = route, .labels = &none, .metric = metric, .start_ns = end_ns - MIN(end_ns, 24 * 60 * MINUTE_NS), .until_ns = end_ns };
	_cleanup_free_ struct cgm_past_point *points = NULL;
	size_t nr = 0;
	int r = cgm_past_points(s, &q, &points, &nr, fault);

	if (r == 0)
		r = put_span(out, "hour", points, nr, end_ns - MIN(end_ns, 60 * MINUTE_NS), fault);
	return r < 0 ? r : put_span(out, "day", points, nr, q.start_ns, fault);
}

static int put_metric(const struct cgm_serve *s, const struct cgm_route *route, const char *key, size_t i, struct cgm_buf *out, char *fault)
{
	_cleanup_free_ struct cgm_cluster_point *kept = NULL;
	_cleanup_free_ struct cgm_past_point *points = NULL;
	size_t nr = 0;
	int r = cgm_cluster_store_points(s->store, key, shown[i].metric, 0, 0, &kept, &nr);

	if (r < 0 || !nr)
		return r == -ENOENT ? 0 : r;
	points = cgm_calloc(nr, sizeof(*points));
	if (!points)
		return -ENOMEM;
	for (size_t j = 0; j < nr; j++)
		points[j] = (struct cgm_past_point){ .time_ns = kept[j].end_ns, .i = kept[j].value.i }; /* all of them are integers */
	if (out->p && out->p[out->len - 1] != '{')
		cgm_buf_char(out, ',');
	cgm_reply_text(out, shown[i].name);
	cgm_buf_lit(out, ":{");
	r = put_span(out, "minute", points, nr, points[nr - 1].time_ns - MIN(points[nr - 1].time_ns, MINUTE_NS), fault);
	if (r == 0 && s->historical && *s->historical)
		r = put_past(s, route, cgm_cm_table[shown[i].metric].name, points[nr - 1].time_ns, out, fault);
	cgm_buf_char(out, '}');
	return r;
}

/* In seconds; 0: it is not known. */
static int read_uptime(const struct cgm_serve *s, const char *key, int64_t *ret)
{
	_cleanup_free_ struct cgm_cluster_point *points = NULL;
	size_t nr = 0;
	int r = cgm_cluster_store_points(s->store, key, CGM_CM_UPTIME, 0, 0, &points, &nr);

	*ret = r == 0 && nr ? points[nr - 1].value.i / 1000 : 0;
	return r == -ENOENT ? 0 : r;
}

int cgm_serve_model_stats(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_buf *out, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	int64_t uptime;
	int r;

	cgm_route_key(route, &key);
	r = key.failed ? -ENOMEM : read_uptime(s, key.p, &uptime);
	if (r < 0)
		return r;
	cgm_buf_lit(out, "{\"uptime\":");
	cgm_buf_i64(out, uptime);
	cgm_buf_lit(out, ",\"stats\":{");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(shown); i++)
		r = put_metric(s, route, key.p, i, out, fault);
	cgm_buf_lit(out, "}}");
	return r;
}
