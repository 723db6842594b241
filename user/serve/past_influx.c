// SPDX-License-Identifier: Apache-2.0
/*
 * InfluxDB 1.x as Heapster's sink lays it out: a measurement for each metric with the field "value", or (withfields) a measurement for each family with a field for
 * each metric. Heapster writes no pod_id; histories by a pod's id are there only if the sink that wrote them did.
 */
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/influx.h"
#include "serve/past.h"
#include "sink/config.h"
#include "sink/http.h"

#define PAGE_POINTS 10000 /* of one query: its answer is well below CGM_HTTP_ANSWER_BYTES */
#define MAX_NAMES 20000

struct influx {
	struct cgm_http_client *http;
	struct cgm_sink_stop stop;
	struct cgm_sink_config config; /* of the client */
	struct cgm_buf base; /* URL up to the query, with a zero */
	char shown[128]; /* host and port */
	char *user, *secret, *cluster_name; /* NULL: not given. secret: a password, or a token */
	bool withfields, is_token, has_stop;
	uint64_t until_ns;
};

static void influx_close(void *state)
{
	struct influx *x = state;

	cgm_http_client_free(x->http);
	if (x->has_stop)
		cgm_sink_stop_done(&x->stop);
	cgm_buf_done(&x->base);
	free(x->user);
	if (x->secret)
		explicit_bzero(x->secret, strlen(x->secret));
	free(x->secret);
	free(x->cluster_name);
	free(x);
}

static void closep(struct influx **x)
{
	if (*x)
		influx_close(*x);
}

static int no_memory(char *fault)
{
	(void)cgm_past_bad(-ENOMEM, fault, "out of memory");
	return -ENOMEM;
}

/* ---- opening ---- */

static int copy_option(struct cgm_uri *uri, const char *name, const char *other, char **ret, char *fault)
{
	const char *value = cgm_uri_option(uri, name, 0);

	if (!value)
		value = other;
	*ret = value ? cgm_strdup(value) : NULL;
	return value && !*ret ? no_memory(fault) : 0;
}

static const char *option(struct cgm_uri *uri, const char *name, const char *otherwise)
{
	const char *value = cgm_uri_option(uri, name, 0);

	return value ? value : otherwise;
}

/* As the sink understands its URI (user/export/influxdb.c). */
static int make_base(struct cgm_uri *uri, struct influx *x, char *fault)
{
	const char *db = option(uri, "db", "k8s"), *host = *uri->host ? uri->host : "localhost";
	bool secure = !strcmp(uri->scheme, "https"), insecure = false, is_v6 = strchr(host, ':') != NULL;
	unsigned port = uri->port ? uri->port : *uri->host ? (secure ? 443 : 80) : 8086;
	size_t path_len = strlen(uri->path);

	if (!cgm_uri_bool(uri, "secure", &secure, fault, CGM_SINK_FAULT) || !cgm_uri_bool(uri, "insecuressl", &insecure, fault, CGM_SINK_FAULT) ||
	    !cgm_uri_bool(uri, "withfields", &x->withfields, fault, CGM_SINK_FAULT))
		return -EINVAL;
	if (cgm_uri_option(uri, "schema", 0))
		return cgm_past_bad(-EOPNOTSUPP, fault, "the historical API does not know the names of schema=0.15");
	while (path_len && uri->path[path_len - 1] == '/')
		path_len--;
	x->config = (struct cgm_sink_config){ .tls_ca_file = "", .tls_skip_verify = insecure };
	snprintf(x->shown, sizeof(x->shown), "%.100s:%u", host, port);
	cgm_buf_printf(&x->base, "%s://%s%s%s:%u%.*s/query?epoch=ns&db=", secure ? "https" : "http", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port,
		       (int)path_len, uri->path);
	cgm_url_escape(&x->base, x->is_token ? option(uri, "bucket", db) : db);
	cgm_buf_lit(&x->base, "&q=");
	return x->base.failed ? no_memory(fault) : 0;
}

/* A token is for versions 2 and 3, whose buckets answer InfluxQL by the name of a database. */
static int read_secret(struct cgm_uri *uri, struct influx *x, char *fault)
{
	const char *token = option(uri, "token", ""), *token_file = option(uri, "token_file", "");
	struct cgm_secret secret = { option(uri, "pw", *uri->user ? uri->password : "root"), option(uri, "pw_file", "") };
	char text[CGM_SECRET_BYTES];
	int r;

	x->is_token = *token || *token_file;
	if (x->is_token)
		secret = (struct cgm_secret){ token, token_file };
	r = cgm_secret_get(&secret, text, fault);
	if (r < 0)
		return r;
	x->secret = cgm_strdup(text);
	explicit_bzero(text, sizeof(text));
	return x->secret ? 0 : no_memory(fault);
}

static int open_client(struct influx *x, char *fault)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* it is not for two threads at once */
	const char *flag = "";
	int r = cgm_sink_stop_init(&x->stop);

	if (r < 0)
		return cgm_past_bad(r, fault, "out of descriptors");
	x->has_stop = true;
	pthread_mutex_lock(&lock);
	r = cgm_http_client_new(&x->config, &x->http, &flag, fault);
	pthread_mutex_unlock(&lock);
	if (r == -ENOMEM)
		return no_memory(fault);
	return r < 0 ? -ENOSYS : 0;
}

static int influx_open(struct cgm_uri *uri, uint64_t until_ns, void **ret, char *fault)
{
	_cleanup_(closep) struct influx *x = cgm_calloc(1, sizeof(*x));
	int r;

	if (!x)
		return no_memory(fault);
	r = read_secret(uri, x, fault);
	if (r == 0)
		r = make_base(uri, x, fault);
	if (r == 0)
		r = copy_option(uri, "user", *uri->user ? uri->user : "root", &x->user, fault);
	if (r == 0)
		r = copy_option(uri, "cluster_name", NULL, &x->cluster_name, fault);
	if (r == 0)
		r = open_client(x, fault);
	if (r < 0)
		return r;
	x->until_ns = until_ns;
	*ret = TAKE_PTR(x);
	return 0;
}

/* ---- asking ---- */

static int add_login(struct influx *x)
{
	_cleanup_free_ char *header = NULL;
	int r;

	if (!x->is_token)
		return *x->user ? cgm_http_user(x->http, x->user, x->secret) : 0;
	header = cgm_asprintf("Authorization: Token %s", x->secret);
	r = header ? cgm_http_header(x->http, header) : -ENOMEM;
	if (header)
		explicit_bzero(header, strlen(header));
	return r;
}

static int send_query(struct influx *x, const char *query, struct cgm_http_answer *ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf url = { 0 };
	char words[128];
	int r;

	cgm_buf_put(&url, x->base.p, x->base.len);
	cgm_url_escape(&url, query);
	cgm_buf_char(&url, '\0');
	if (url.failed || add_login(x) < 0)
		return no_memory(fault);
	r = cgm_http_call(x->http, &x->stop, url.p, NULL, 0, x->until_ns, ret, fault);
	if (r < 0)
		return cgm_clock_mono_ns() >= x->until_ns ? -ETIMEDOUT : -EIO;
	if (ret->body.len >= CGM_HTTP_ANSWER_BYTES)
		return cgm_past_bad(-EFBIG, fault, "InfluxDB at %s answers more than %zu KiB: ask for a shorter time", x->shown, CGM_HTTP_ANSWER_BYTES >> 10);
	if (ret->status == 200)
		return 0;
	cgm_http_shown(ret, words, sizeof(words));
	return cgm_past_bad(-EIO, fault, "InfluxDB at %s: status %ld: %s", x->shown, ret->status, words);
}

static int ask(struct influx *x, struct cgm_buf *query, cgm_influx_row row, void *arg, char *fault)
{
	struct cgm_http_answer answer = { 0 };
	char words[200];
	int r;

	cgm_buf_char(query, '\0');
	if (query->failed)
		return no_memory(fault);
	r = send_query(x, query->p, &answer, fault);
	if (r < 0)
		return r;
	r = cgm_influx_read(answer.body.p ? answer.body.p : "", answer.body.len, row, arg, words, sizeof(words));
	if (r == -EIO)
		return cgm_past_bad(-EIO, fault, "InfluxDB at %s: %.190s", x->shown, words);
	return r == -ENOMEM ? no_memory(fault) : r;
}

/* ---- InfluxQL ---- */

/* Whatever the text: what is between the quotes stays there. */
static void put_quoted(struct cgm_buf *b, const char *text, char quote)
{
	cgm_buf_char(b, quote);
	for (; *text; text++) {
		if (*text == '\n') {
			cgm_buf_lit(b, "\\n");
			continue;
		}
		if (*text == quote || *text == '\\')
			cgm_buf_char(b, '\\');
		cgm_buf_char(b, *text);
	}
	cgm_buf_char(b, quote);
}

static void put_is(struct cgm_buf *b, const char *tag, const char *value)
{
	if (!value)
		return;
	cgm_buf_lit(b, " AND ");
	put_quoted(b, tag, '"');
	cgm_buf_char(b, '=');
	put_quoted(b, value, '\'');
}

/* The tags of a set. */
static void put_where(const struct influx *x, const struct cgm_route *route, const char *type, struct cgm_buf *b)
{
	cgm_buf_lit(b, " WHERE \"type\"=");
	put_quoted(b, type, '\'');
	put_is(b, "nodename", route->node);
	put_is(b, "namespace_name", route->pod_namespace);
	put_is(b, "pod_name", route->pod);
	put_is(b, "pod_id", route->pod_id);
	put_is(b, "container_name", route->container);
	put_is(b, "cluster_name", x->cluster_name);
}

/* "cpu/usage_rate": measurement and field of the layout. *text is the caller's. */
static int split_metric(const struct influx *x, const char *metric, char **text, const char **measurement, const char **field)
{
	char *slash;

	*text = cgm_strdup(metric);
	if (!*text)
		return -ENOMEM;
	*measurement = *text;
	*field = "value";
	slash = x->withfields ? strchr(*text, '/') : NULL;
	if (slash) {
		*slash = '\0';
		*field = slash + 1;
	}
	return 0;
}

static void put_from(const struct influx *x, const struct cgm_past_question *q, const char *measurement, uint64_t start_ns, struct cgm_buf *b)
{
	cgm_buf_lit(b, " FROM ");
	put_quoted(b, measurement, '"');
	put_where(x, q->route, cgm_set_type(q->route->kind), b);
	for (size_t i = 0; i < q->labels->nr; i++)
		put_is(b, q->labels->tags[i].key, q->labels->tags[i].value);
	cgm_buf_lit(b, " AND time>=");
	cgm_buf_u64(b, start_ns);
	cgm_buf_lit(b, " AND time<=");
	cgm_buf_u64(b, MIN(q->until_ns, (uint64_t)INT64_MAX));
}

static int is_pod_id(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	bool *found = arg;

	(void)series;
	(void)columns;
	*found |= nr && cells[0].kind == CGM_INFLUX_TEXT && !strcmp(cells[0].text, "pod_id");
	return 0;
}

/* Without the tag each answer would be empty, and look as if the pod had never been. */
static int need_pod_id(struct influx *x, const struct cgm_route *route, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };
	bool found = false;
	int r;

	if (!route->pod_id)
		return 0;
	cgm_buf_lit(&query, "SHOW TAG KEYS FROM ");
	put_quoted(&query, x->withfields ? "memory" : "memory/usage", '"');
	r = ask(x, &query, is_pod_id, &found, fault);
	if (r < 0 || found)
		return r;
	return cgm_past_bad(-EOPNOTSUPP, fault, "InfluxDB at %s has no tag pod_id: ask by namespaces/NAME/pods/NAME, or keep the history in sqlite", x->shown);
}

/* ---- points ---- */

struct page {
	struct cgm_past_point *points;
	size_t nr, cap;
	uint64_t start_ns;
	bool is_float;
};

static struct cgm_past_value value_of(const struct cgm_influx_cell *c, bool is_float)
{
	if (c->kind == CGM_INFLUX_FLOAT)
		return (struct cgm_past_value){ .there = true, .is_float = true, .f = c->f };
	if (c->kind == CGM_INFLUX_INT) /* a float without a fraction looks like an integer */
		return is_float ? (struct cgm_past_value){ .there = true, .is_float = true, .f = (double)c->i } : (struct cgm_past_value){ .there = true, .i = c->i };
	return (struct cgm_past_value){ 0 };
}

static int add_point(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	struct page *p = arg;
	struct cgm_past_value v = nr == 2 ? value_of(&cells[1], p->is_float) : (struct cgm_past_value){ 0 };

	(void)series;
	(void)columns;
	if (!v.there || cells[0].kind != CGM_INFLUX_INT || cells[0].i < 0)
		return 0;
	if (cgm_grow((void **)&p->points, &p->cap, p->nr, sizeof(*p->points)) < 0)
		return -ENOMEM;
	p->points[p->nr++] = (struct cgm_past_point){ .time_ns = (uint64_t)cells[0].i, .is_float = v.is_float, .i = v.i, .f = v.f };
	return 0;
}

static int ask_page(struct influx *x, const struct cgm_past_question *q, struct page *p, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *measurement, *field;

	if (split_metric(x, q->metric, &text, &measurement, &field) < 0)
		return no_memory(fault);
	cgm_buf_lit(&query, "SELECT ");
	put_quoted(&query, field, '"');
	put_from(x, q, measurement, p->start_ns, &query);
	cgm_buf_printf(&query, " ORDER BY time LIMIT %d", PAGE_POINTS);
	return ask(x, &query, add_point, p, fault);
}

/* Page by page, so that no answer is larger than we read. */
static int influx_points(void *state, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault)
{
	struct page p = { .start_ns = q->start_ns, .is_float = q->is_float };
	struct influx *x = state;
	size_t before;
	int r = need_pod_id(x, q->route, fault);

	while (r == 0) {
		before = p.nr;
		r = ask_page(x, q, &p, fault);
		if (r < 0 || p.nr - before < PAGE_POINTS)
			break;
		if (p.nr >= CGM_PAST_POINTS)
			r = cgm_past_bad(-EFBIG, fault, "there are more than %zu points: ask for a shorter time", CGM_PAST_POINTS);
		p.start_ns = p.points[p.nr - 1].time_ns + 1;
	}
	if (r < 0) {
		free(p.points);
		return r;
	}
	*ret = p.points;
	*ret_nr = p.nr;
	return 0;
}

/* ---- buckets ---- */

struct buckets {
	const struct cgm_past_question *q;
	struct cgm_past_bucket *buckets;
	size_t nr, cap;
};

/* time, count, mean, max, min, median, percentiles: as they were asked for. */
static int add_bucket(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	struct buckets *b = arg;
	const struct cgm_past_question *q = b->q;
	struct cgm_past_bucket one = { 0 };

	(void)series;
	(void)columns;
	if (nr != 6 + q->nr_percentiles || cells[0].kind != CGM_INFLUX_INT || cells[1].kind != CGM_INFLUX_INT || cells[1].i <= 0)
		return 0;
	if (cgm_grow((void **)&b->buckets, &b->cap, b->nr, sizeof(*b->buckets)) < 0)
		return -ENOMEM;
	one.time_ns = q->bucket_ns && cells[0].i >= 0 ? (uint64_t)cells[0].i : q->start_ns;
	one.count = (uint64_t)cells[1].i;
	for (unsigned kind = 0; kind < CGM_PAST_COUNT; kind++)
		one.values[kind] = value_of(&cells[2 + kind], q->is_float);
	for (size_t i = 0; i < q->nr_percentiles; i++)
		one.percentiles[i] = value_of(&cells[6 + i], q->is_float);
	b->buckets[b->nr++] = one;
	return 0;
}

static void put_functions(const struct cgm_past_question *q, const char *field, struct cgm_buf *b)
{
	static const char *const functions[] = { "SELECT COUNT(", "),MEAN(", "),MAX(", "),MIN(", "),MEDIAN(" };

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		cgm_buf_str(b, functions[i]);
		put_quoted(b, field, '"');
	}
	for (size_t i = 0; i < q->nr_percentiles; i++) {
		cgm_buf_lit(b, "),PERCENTILE(");
		put_quoted(b, field, '"');
		cgm_buf_printf(b, ",%u", q->percentiles[i]);
	}
	cgm_buf_char(b, ')');
}

static int ask_buckets(struct influx *x, struct buckets *b, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *measurement, *field;

	if (split_metric(x, b->q->metric, &text, &measurement, &field) < 0)
		return no_memory(fault);
	put_functions(b->q, field, &query);
	put_from(x, b->q, measurement, b->q->start_ns, &query);
	if (b->q->bucket_ns)
		cgm_buf_printf(&query, " GROUP BY time(%llus) fill(none) LIMIT %zu", (unsigned long long)(b->q->bucket_ns / CGM_NSEC_PER_SEC), CGM_PAST_BUCKETS + 1);
	return ask(x, &query, add_bucket, b, fault);
}

static int influx_buckets(void *state, const struct cgm_past_question *q, struct cgm_past_bucket **ret, size_t *ret_nr, char *fault)
{
	struct buckets b = { .q = q };
	struct influx *x = state;
	int r = need_pod_id(x, q->route, fault);

	if (r == 0)
		r = ask_buckets(x, &b, fault);
	if (r == 0 && b.nr > CGM_PAST_BUCKETS)
		r = cgm_past_bad(-EFBIG, fault, "there are more than %zu buckets: ask for larger ones or a shorter time", CGM_PAST_BUCKETS);
	if (r < 0) {
		free(b.buckets);
		return r;
	}
	*ret = b.buckets;
	*ret_nr = b.nr;
	return 0;
}

/* ---- names ---- */

/* Rows of SHOW TAG VALUES are key and value: it is the value that is asked for. */
static int add_tag_value(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	(void)series;
	(void)columns;
	if (nr >= 2 && cells[1].kind == CGM_INFLUX_TEXT && *cells[1].text)
		cgm_names_add(arg, cells[1].text);
	return 0;
}

static int list_tag(struct influx *x, const struct cgm_route *route, const char *type, const char *tag, struct cgm_names *ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };

	cgm_buf_lit(&query, "SHOW TAG VALUES FROM ");
	put_quoted(&query, x->withfields ? "memory" : "memory/usage", '"'); /* all kinds of sets have it */
	cgm_buf_lit(&query, " WITH KEY = ");
	put_quoted(&query, tag, '"');
	put_where(x, route, type, &query);
	cgm_buf_printf(&query, " LIMIT %d", MAX_NAMES);
	return ask(x, &query, add_tag_value, ret, fault);
}

static int add_measurement(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	(void)series;
	(void)columns;
	if (nr && cells[0].kind == CGM_INFLUX_TEXT)
		cgm_names_add(arg, cells[0].text);
	return 0;
}

/* Of withfields: a row of a measurement with all its fields. */
static int add_fields(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		bool is_all = !strcmp(columns[i], "value");
		_cleanup_free_ char *name = NULL;

		if (cells[i].kind != CGM_INFLUX_INT && cells[i].kind != CGM_INFLUX_FLOAT)
			continue;
		name = is_all ? cgm_strdup(series) : cgm_asprintf("%s/%s", series, columns[i]);
		if (!name)
			return -ENOMEM;
		cgm_names_add(arg, name);
	}
	return 0;
}

static int list_metrics(struct influx *x, const struct cgm_route *route, struct cgm_names *ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf query = { 0 };

	if (x->withfields)
		cgm_buf_lit(&query, "SELECT *::field FROM /.*/");
	else
		cgm_buf_lit(&query, "SHOW MEASUREMENTS");
	put_where(x, route, cgm_set_type(route->kind), &query);
	if (x->withfields)
		cgm_buf_lit(&query, " ORDER BY time DESC LIMIT 1");
	return ask(x, &query, x->withfields ? add_fields : add_measurement, ret, fault);
}

static int influx_names(void *state, const struct cgm_route *route, struct cgm_names *ret, char *fault)
{
	struct influx *x = state;
	int r = need_pod_id(x, route, fault);

	if (r < 0)
		return r;
	switch (route->what) {
	case CGM_ROUTE_NODES:
		return list_tag(x, route, "node", "nodename", ret, fault);
	case CGM_ROUTE_NAMESPACES:
		return list_tag(x, route, "ns", "namespace_name", ret, fault);
	case CGM_ROUTE_PODS:
		return list_tag(x, route, "pod", "pod_name", ret, fault);
	case CGM_ROUTE_CONTAINERS:
		return list_tag(x, route, "pod_container", "container_name", ret, fault);
	case CGM_ROUTE_FREECONTAINERS:
		return list_tag(x, route, "sys_container", "container_name", ret, fault);
	default:
		return list_metrics(x, route, ret, fault);
	}
}

const struct cgm_past_source cgm_past_influx = {
	.prefix = "influxdb",
	.open = influx_open,
	.close = influx_close,
	.points = influx_points,
	.buckets = influx_buckets,
	.names = influx_names,
};
