// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/past.h"

#define MAX_AT_ONCE 4 /* questions to a history; each holds one of the server's threads */
#define WAIT_NS (5 * CGM_NSEC_PER_SEC) /* for one's turn */
#define ANSWER_NS (20 * CGM_NSEC_PER_SEC) /* for all of an answer */
#define MAX_LIST 100 /* pods of one question */
#define MAX_BUCKET_S (100 * 366 * 86400ULL) /* in ns it is well below 2^64 */

static const struct cgm_past_source *const sources[] = { &cgm_past_sqlite, &cgm_past_influx };

/* ---- one's turn ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_free = PTHREAD_COND_INITIALIZER;
static unsigned nr_at_once; /* under lock */

static bool take_turn(void)
{
	struct timespec until;
	uint64_t until_ns = cgm_clock_real_ns() + WAIT_NS;
	bool mine;

	until.tv_sec = (time_t)(until_ns / CGM_NSEC_PER_SEC);
	until.tv_nsec = (long)(until_ns % CGM_NSEC_PER_SEC);
	pthread_mutex_lock(&lock);
	while (nr_at_once == MAX_AT_ONCE)
		if (pthread_cond_timedwait(&is_free, &lock, &until))
			break;
	mine = nr_at_once < MAX_AT_ONCE;
	nr_at_once += mine;
	pthread_mutex_unlock(&lock);
	return mine;
}

static void end_turn(void)
{
	pthread_mutex_lock(&lock);
	nr_at_once--;
	pthread_cond_signal(&is_free);
	pthread_mutex_unlock(&lock);
}

/* ---- the history ---- */

struct history {
	const struct cgm_past_source *source;
	void *state;
};

static void history_done(struct history *h)
{
	if (h->state)
		h->source->close(h->state);
}

static int history_open(const char *text, struct history *ret, char *fault)
{
	struct cgm_uri uri = { 0 };
	int r = cgm_uri_read(text, &uri, fault, CGM_SINK_FAULT);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (!strcmp(sources[i]->prefix, uri.prefix))
			ret->source = sources[i];
	if (ret->source) {
		r = ret->source->open(&uri, cgm_clock_mono_ns() + ANSWER_NS, &ret->state, fault);
	} else {
		snprintf(fault, CGM_SINK_FAULT, "a sink of the kind %.40s keeps no history that can be asked: sqlite and influxdb do", uri.prefix);
		r = -EOPNOTSUPP;
	}
	cgm_uri_done(&uri);
	return r;
}

int cgm_past_points(const struct cgm_serve *s, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault)
{
	_cleanup_(history_done) struct history h = { 0 };
	int r;

	if (!take_turn())
		return cgm_past_bad(-EBUSY, fault, "%d questions to the history are being answered: ask again later", MAX_AT_ONCE);
	r = history_open(s->historical, &h, fault);
	if (r == 0)
		r = h.source->points(h.state, q, ret, ret_nr, fault);
	end_turn();
	return r;
}

/* ---- the question ---- */

static bool bad(struct cgm_reply *r, const char *text)
{
	cgm_reply_fault(r, 400, "%s", text);
	return false;
}

static bool read_times(const struct cgm_ask *a, struct cgm_past_question *q, struct cgm_reply *r)
{
	q->until_ns = cgm_clock_real_ns();
	if (!cgm_route_time(a, "start", &q->start_ns, r) || !cgm_route_time(a, "end", &q->until_ns, r))
		return false;
	return q->start_ns ? true : bad(r, "no start time (or a start time of zero) provided");
}

/* "10s", "5m", "1h", "1d" */
static bool read_bucket(const struct cgm_ask *a, struct cgm_past_question *q, struct cgm_reply *r)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	const char *text = cgm_ask_param(a, "bucket");
	size_t len = text ? strlen(text) : 0;
	uint64_t n;

	if (!len)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (text[len - 1] == units[i].unit && cgm_parse_u64((struct cgm_str){ text, len - 1 }, &n) == 0 && n && n <= MAX_BUCKET_S / units[i].seconds) {
			q->bucket_ns = n * units[i].seconds * CGM_NSEC_PER_SEC;
			return true;
		}
	return bad(r, "the bucket's size is none: it is written like 10s, 5m, 1h or 1d");
}

static bool read_percentile(struct cgm_str name, struct cgm_past_question *q)
{
	static const char perc[] = "-perc";
	uint64_t n;

	if (name.len <= strlen(perc) || memcmp(name.p + name.len - strlen(perc), perc, strlen(perc)) != 0)
		return false;
	name.len -= strlen(perc);
	if (cgm_parse_u64(name, &n) < 0 || !n || n > 99 || q->nr_percentiles == CGM_PAST_PERCENTILES)
		return false;
	for (size_t i = 0; i < q->nr_percentiles; i++)
		if (q->percentiles[i] == n)
			return true;
	q->percentiles[q->nr_percentiles++] = (uint8_t)n;
	return true;
}

static bool read_aggregations(const struct cgm_route *route, struct cgm_past_question *q, struct cgm_reply *r)
{
	static const char *const names[CGM_NR_PAST_KINDS] = { "average", "max", "min", "median", "count" };
	struct cgm_str all = cgm_str(route->aggregations), name;

	while (cgm_next_field(&all, ',', &name)) {
		unsigned kind = 0;

		while (kind < CGM_NR_PAST_KINDS && !cgm_str_eq(name, names[kind]))
			kind++;
		if (kind < CGM_NR_PAST_KINDS)
			q->wanted |= 1U << kind;
		else if (!read_percentile(name, q))
			return bad(r, "an aggregation is unknown: there are average, max, min, median, count, and percentiles from 1-perc to 99-perc, at most 8");
	}
	return true;
}

/* A metric by the name that it has now. False: with these labels it has no points. */
static bool read_metric(const struct cgm_route *route, struct cgm_past_question *q)
{
	int m = cgm_cm_find(cgm_str(route->metric));

	q->metric = m < 0 ? route->metric : cgm_cm_table[m].name;
	q->is_float = m >= 0 && cgm_cm_table[m].is_float;
	/* As in the model: a metric with labels is asked for with them, one without has none. */
	return m < 0 || (m >= CGM_NR_SCALARS) == (q->labels->nr > 0);
}

/* ---- answers ---- */

static void put_points(struct cgm_buf *out, const struct cgm_past_question *q, const struct cgm_past_point *p, size_t nr)
{
	cgm_buf_lit(out, "{\"metrics\":[");
	for (size_t i = 0; i < nr; i++) {
		bool is_float = p[i].is_float || q->is_float;
		union cgm_cm_value v;

		if (is_float)
			v.f = p[i].is_float ? p[i].f : (double)p[i].i;
		else
			v.i = p[i].i;
		cgm_reply_point(out, p[i].time_ns, v, is_float);
	}
	cgm_buf_lit(out, "],\"latestTimestamp\":");
	cgm_reply_time(out, nr ? p[nr - 1].time_ns : 0);
	cgm_buf_char(out, '}');
}

static void put_value(struct cgm_buf *out, const struct cgm_past_question *q, const char *name, const struct cgm_past_value *v)
{
	if (!v->there)
		return;
	if (out->p && out->p[out->len - 1] != '{')
		cgm_buf_char(out, ',');
	cgm_reply_text(out, name);
	if (v->is_float || q->is_float) {
		cgm_buf_lit(out, ":{\"floatValue\":");
		cgm_reply_double(out, v->is_float ? v->f : (double)v->i);
	} else {
		cgm_buf_lit(out, ":{\"intValue\":");
		cgm_buf_i64(out, v->i);
	}
	cgm_buf_char(out, '}');
}

static void put_bucket(struct cgm_buf *out, const struct cgm_past_question *q, const struct cgm_past_bucket *b)
{
	static const char *const names[CGM_PAST_COUNT] = { "average", "maximum", "minimum", "median" };

	cgm_buf_lit(out, "{\"timestamp\":");
	cgm_reply_time(out, b->time_ns);
	if (q->wanted & 1U << CGM_PAST_COUNT) {
		cgm_buf_lit(out, ",\"count\":");
		cgm_buf_u64(out, b->count);
	}
	for (unsigned kind = 0; kind < CGM_PAST_COUNT; kind++)
		if (q->wanted & 1U << kind)
			put_value(out, q, names[kind], &b->values[kind]);
	if (q->nr_percentiles) {
		cgm_buf_lit(out, ",\"percentiles\":{");
		for (size_t i = 0; i < q->nr_percentiles; i++) {
			char name[8];

			snprintf(name, sizeof(name), "%u", q->percentiles[i]);
			put_value(out, q, name, &b->percentiles[i]);
		}
		cgm_buf_char(out, '}');
	}
	cgm_buf_char(out, '}');
}

static void put_buckets(struct cgm_buf *out, const struct cgm_past_question *q, const struct cgm_past_bucket *b, size_t nr)
{
	cgm_buf_lit(out, "{\"buckets\":[");
	for (size_t i = 0; i < nr; i++) {
		if (i)
			cgm_buf_char(out, ',');
		put_bucket(out, q, &b[i]);
	}
	cgm_buf_lit(out, "],\"bucketSize\":");
	cgm_buf_u64(out, q->bucket_ns ? q->bucket_ns : q->until_ns - MIN(q->start_ns, q->until_ns));
	cgm_buf_char(out, '}');
}

static int answer_points(const struct history *h, const struct cgm_past_question *q, bool is_known, struct cgm_buf *out, char *fault)
{
	_cleanup_free_ struct cgm_past_point *points = NULL;
	size_t nr = 0;
	int r = is_known ? h->source->points(h->state, q, &points, &nr, fault) : 0;

	if (r == 0)
		put_points(out, q, points, nr);
	return r;
}

static int answer_buckets(const struct history *h, const struct cgm_past_question *q, bool is_known, struct cgm_buf *out, char *fault)
{
	_cleanup_free_ struct cgm_past_point *points = NULL;
	_cleanup_free_ struct cgm_past_bucket *buckets = NULL;
	size_t nr = 0, nr_buckets = 0;
	int r = 0;

	if (is_known && h->source->buckets) {
		r = h->source->buckets(h->state, q, &buckets, &nr_buckets, fault);
	} else if (is_known) {
		r = h->source->points(h->state, q, &points, &nr, fault);
		if (r == 0)
			r = cgm_past_aggregate(q, points, nr, &buckets, &nr_buckets, fault);
	}
	if (r == 0)
		put_buckets(out, q, buckets, nr_buckets);
	return r;
}

static int answer_one(const struct history *h, const struct cgm_past_question *q, bool is_known, struct cgm_buf *out, char *fault)
{
	return (q->route->what == CGM_ROUTE_AGGREGATED ? answer_buckets : answer_points)(h, q, is_known, out, fault);
}

static int answer_list(const struct history *h, struct cgm_route *route, const struct cgm_past_question *q, bool is_known, struct cgm_buf *out, char *fault)
{
	_cleanup_free_ char *list = cgm_strdup(route->list);
	unsigned nr = 0;
	int r = list ? 0 : cgm_past_bad(-ENOMEM, fault, "out of memory");

	cgm_buf_lit(out, "{\"items\":[");
	for (char *next = list, *name; r == 0 && next;) {
		name = next;
		next = strchr(name, ',');
		if (next)
			*next++ = '\0';
		if (++nr > MAX_LIST)
			return cgm_past_bad(-EFBIG, fault, "the list has more than %d pods", MAX_LIST);
		if (nr > 1)
			cgm_buf_char(out, ',');
		*(route->of_ids ? &route->pod_id : &route->pod) = name;
		r = answer_one(h, q, is_known, out, fault);
	}
	cgm_buf_lit(out, "]}");
	route->pod = route->pod_id = NULL; /* they were the list's */
	return r;
}

static int answer_names(const struct history *h, const struct cgm_route *route, struct cgm_buf *out, char *fault)
{
	_cleanup_(cgm_names_done) struct cgm_names names = { 0 };
	int r = h->source->names(h->state, route, &names, fault);

	if (r == 0 && names.failed)
		r = cgm_past_bad(-ENOMEM, fault, "out of memory");
	if (r == 0)
		cgm_reply_names(out, &names);
	return r;
}

unsigned cgm_past_status(int error)
{
	switch (error) {
	case -EINVAL:
	case -EFBIG:
		return 400;
	case -EOPNOTSUPP:
		return 501;
	case -EBUSY:
		return 503;
	case -ETIMEDOUT:
		return 504;
	default:
		return 500;
	}
}

static void answer(const struct cgm_serve *s, struct cgm_route *route, const struct cgm_past_question *q, struct cgm_reply *reply)
{
	_cleanup_(history_done) struct history h = { 0 };
	char fault[CGM_SINK_FAULT] = "out of memory";
	bool numbers = route->what == CGM_ROUTE_METRIC || route->what == CGM_ROUTE_AGGREGATED;
	struct cgm_past_question asked = *q;
	bool is_known = !numbers || read_metric(route, &asked);
	int r = history_open(s->historical, &h, fault);

	if (r == 0 && !numbers)
		r = answer_names(&h, route, &reply->body, fault);
	else if (r == 0)
		r = route->list ? answer_list(&h, route, &asked, is_known, &reply->body, fault) : answer_one(&h, &asked, is_known, &reply->body, fault);
	if (r == 0)
		cgm_serve_finish(reply, 0);
	else
		cgm_reply_fault(reply, cgm_past_status(r), "%s", fault);
}

static void ask_history(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_route *route, struct cgm_reply *reply)
{
	_cleanup_(cgm_route_labels_done) struct cgm_route_labels labels = { 0 };
	struct cgm_past_question q = { .route = route, .labels = &labels };

	if (route->what == CGM_ROUTE_METRIC || route->what == CGM_ROUTE_AGGREGATED) {
		if (!read_times(a, &q, reply) || !cgm_route_labels(a, &labels, reply))
			return;
		if (route->what == CGM_ROUTE_AGGREGATED && (!read_aggregations(route, &q, reply) || !read_bucket(a, &q, reply)))
			return;
	}
	if (!take_turn()) {
		cgm_reply_fault(reply, 503, "%d questions to the history are being answered: ask again later", MAX_AT_ONCE);
		return;
	}
	answer(s, route, &q, reply);
	end_turn();
}

bool cgm_serve_historical(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	static const char historical[] = "/api/v1/historical";
	_cleanup_(cgm_route_done) struct cgm_route route = { 0 };
	const char *path;
	int e;

	if (strncmp(a->path, historical, strlen(historical)) != 0)
		return false;
	path = a->path + strlen(historical);
	if (*path && *path != '/')
		return false;
	if (!s->historical || !*s->historical) {
		cgm_reply_fault(r, 404, "404: there is no history to ask: --historical_source is not set");
		return true;
	}
	if (!cgm_serve_is_get(a, r))
		return true;
	e = cgm_route_read(path + (*path == '/'), &route);
	if (e == 0 && (route.what == CGM_ROUTE_STATS || route.what == CGM_ROUTE_ALLKEYS))
		e = -ENOENT;
	if (e == 0)
		ask_history(s, a, &route, r);
	else
		cgm_serve_finish(r, e);
	return true;
}
