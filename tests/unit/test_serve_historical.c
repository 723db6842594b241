// SPDX-License-Identifier: Apache-2.0
/*
 * The historical API: the same questions to a history in SQLite and in both layouts of InfluxDB, whose answers were recorded from InfluxDB 1.6.7
 * (tests/fixtures/cluster/record-influx makes them anew).
 */
#include "sqlite_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "serve/past.h"

#define LAST "end=2026-11-22T15:56:00Z"

/* ---- a server that answers queries as they were recorded, one connection after the other ---- */

struct influxd {
	int fd;
	unsigned port, nr_asked;
	pthread_t thread;
	char *recorded; /* "### DB QUERY\nANSWER\n" */
	const char *always; /* NULL: as recorded; else the same answer to all */
	unsigned status;
	bool end;
};

static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p; p++) {
		unsigned byte = 0;

		if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

/* Where the recording wants to know what was asked. */
static void miss(const char *key)
{
	const char *name = getenv("CGM_INFLUX_MISSED");
	FILE *f = name ? fopen(name, "ae") : NULL;

	if (!f)
		return;
	fprintf(f, "%s\n", key);
	fclose(f);
}

static const char *find_answer(const struct influxd *s, char *request, size_t *ret_len)
{
	char *db = strstr(request, "&db="), *q = strstr(request, "&q="), key[4096], line[4200];
	const char *found, *end;

	if (!db || !q)
		return NULL;
	*q = '\0';
	q += 3;
	q[strcspn(q, " ")] = '\0';
	unescape(q);
	unescape(db += 4);
	snprintf(key, sizeof(key), "%s %s", db, q);
	snprintf(line, sizeof(line), "### %s\n", key);
	found = s->recorded ? strstr(s->recorded, line) : NULL;
	if (!found) {
		miss(key);
		return NULL;
	}
	found += strlen(line);
	end = strchr(found, '\n');
	*ret_len = (size_t)(end - found);
	return found;
}

static void serve_one(struct influxd *s, int fd)
{
	char request[8192] = "", head[128];
	const char *body;
	size_t len = 0, body_len = 0;
	ssize_t n;

	while (!strstr(request, "\r\n\r\n") && len < sizeof(request) - 1 && (n = recv(fd, request + len, sizeof(request) - 1 - len, 0)) > 0) {
		len += (size_t)n;
		request[len] = '\0';
	}
	s->nr_asked++;
	body = s->always ? s->always : find_answer(s, request, &body_len);
	if (s->always)
		body_len = strlen(s->always);
	snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", body ? s->status : 599, body_len);
	(void)send(fd, head, strlen(head), MSG_NOSIGNAL);
	while (body_len && (n = send(fd, body, body_len, MSG_NOSIGNAL)) > 0) {
		body += n;
		body_len -= (size_t)n;
	}
}

static void *run(void *arg)
{
	struct influxd *s = arg;

	while (!__atomic_load_n(&s->end, __ATOMIC_ACQUIRE)) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		int fd;

		if (poll(&p, 1, 20) <= 0)
			continue;
		fd = accept(s->fd, NULL, NULL);
		if (fd < 0)
			continue;
		serve_one(s, fd);
		close(fd);
	}
	return NULL;
}

static void influxd_start(struct influxd *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);

	*s = (struct influxd){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .status = 200 };
	assert_true(s->fd >= 0 && bind(s->fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->fd, 16) == 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &size), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

static void influxd_stop(struct influxd *s)
{
	__atomic_store_n(&s->end, true, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
	close(s->fd);
	free(s->recorded);
}

/* ---- asking ---- */

static void assert_answer(const char *source, const char *url, unsigned status, const char *want)
{
	const struct cgm_serve s = { .historical = source };
	struct cgm_reply r;

	assert_true(cf_ask(cgm_serve_historical, &s, url, &r));
	if (cf_status(&r) != status)
		fail_msg("%s of %s: %u %s", url, source, cf_status(&r), r.body.p);
	if (status == 200)
		cf_same(r.body.p, want, url);
	else if (!strstr(r.body.p, want))
		fail_msg("%s of %s: wanted \"%s\": %s", url, source, want, r.body.p);
	cgm_buf_done(&r.body);
}

#define NODE "/api/v1/historical/nodes/node-a"
#define POD "/api/v1/historical/namespaces/default/pods/web-1"
#define EMPTY "{\"metrics\":[],\"latestTimestamp\":\"0001-01-01T00:00:00Z\"}"
#define START "start=2026-11-22T15:50:40Z"
#define TWO "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:20Z\",\"value\":300},{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":298}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}"
#define RANGE "start=2026-11-22T15:55:20Z&" LAST
#define OF_FIVE "\"count\":5,\"average\":{\"floatValue\":298.8},\"maximum\":{\"intValue\":300},\"minimum\":{\"intValue\":298},\"median\":{\"intValue\":298}," \
		"\"percentiles\":{\"50\":{\"intValue\":298},\"99\":{\"intValue\":300}}"
#define BUCKETS_OF_FIVE "{\"buckets\":[{\"timestamp\":\"2026-11-22T15:50:40Z\"," OF_FIVE "}],\"bucketSize\":320000000000}"
#define FIVE "metrics-aggregated/99-perc,average,max,min,median,count,50-perc/cpu/usage_rate?" START "&" LAST

static const struct question {
	const char *url, *answer;
} questions[] = {
	{ "/api/v1/historical/nodes", "[\"node-a\"]" },
	{ "/api/v1/historical/namespaces/", "[\"default\"]" },
	{ "/api/v1/historical/namespaces/default/pods", "[\"web-1\"]" },
	{ "/api/v1/historical/namespaces/nope/pods", "[]" },
	{ POD "/containers", "[\"c1\",\"c2\"]" },
	{ NODE "/freecontainers/", "[\"docker-daemon\",\"kubelet\",\"pods\",\"system\"]" },
	{ NODE "/freecontainers/kubelet/metrics", "[\"memory/usage\"]" },
	{ POD "/metrics/cpu/usage_rate?" RANGE, TWO },
	{ POD "/metrics/cpu-usage?" RANGE, TWO },
	{ "/api/v1/historical/metrics/cpu/usage_rate?" RANGE, TWO },
	{ "/api/v1/historical/namespaces/default/metrics/cpu/usage_rate?" RANGE, TWO },
	{ "/api/v1/historical/namespaces/default/pod-list/web-1,nope/metrics/cpu/usage_rate?" RANGE, "{\"items\":[" TWO "," EMPTY "]}" },
	{ POD "/containers/c2/metrics/cpu/usage_rate?" RANGE,
	  "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:20Z\",\"value\":100},{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":99}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}" },
	{ NODE "/metrics/filesystem/usage?labels=resource_id:logs&start=2026-11-22T15:55:30Z&" LAST,
	  "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":77}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}" },
	{ NODE "/metrics/filesystem/usage?" RANGE, EMPTY },
	{ NODE "/metrics/memory/usage?labels=a:b&" RANGE, EMPTY },
	{ NODE "/metrics/no/such?" RANGE, EMPTY },
	{ NODE "/metrics/uptime?start=2026-11-22T15:55:30Z&" LAST,
	  "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":7}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}" },
	{ POD "/" FIVE, BUCKETS_OF_FIVE },
	{ "/api/v1/historical/" FIVE, BUCKETS_OF_FIVE },
	{ "/api/v1/historical/namespaces/default/pod-list/nope,web-1/" FIVE, "{\"items\":[{\"buckets\":[],\"bucketSize\":320000000000}," BUCKETS_OF_FIVE "]}" },
	{ POD "/metrics-aggregated/average,median/cpu/usage_rate?bucket=1m&" START "&" LAST,
	  "{\"buckets\":[{\"timestamp\":\"2026-11-22T15:54:00Z\",\"average\":{\"intValue\":298},\"median\":{\"intValue\":298}},"
	  "{\"timestamp\":\"2026-11-22T15:55:00Z\",\"average\":{\"intValue\":299},\"median\":{\"intValue\":299}}],\"bucketSize\":60000000000}" },
	{ POD "/metrics-aggregated/max/cpu/usage_rate?bucket=1d&" START "&" LAST,
	  "{\"buckets\":[{\"timestamp\":\"2026-11-22T00:00:00Z\",\"maximum\":{\"intValue\":300}}],\"bucketSize\":86400000000000}" },
	/* Names that would like to be InfluxQL or SQL. */
	{ "/api/v1/historical/namespaces/x' OR 'a'='a/pods", "[]" },
	{ "/api/v1/historical/namespaces/default/pods/\\' OR 1=1 --/metrics/cpu/usage_rate?" RANGE, EMPTY },
	{ NODE "/metrics/x\";DROP DATABASE k8s;SELECT \"y?" RANGE, EMPTY },
	{ NODE "/metrics/filesystem/usage?labels=resource_id:' OR time > 0 --,\"a\nb:c&" RANGE, EMPTY },
};

/* cpu/node_utilization has its fractions, which cf_same leaves out. */
static void assert_floats(const char *source)
{
	const struct cgm_serve s = { .historical = source };
	struct cgm_reply r;

	assert_true(cf_ask(cgm_serve_historical, &s, NODE "/metrics/cpu/node_utilization?start=2026-11-22T15:55:30Z&" LAST, &r));
	assert_string_equal(r.body.p, "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":0,\"floatValue\":0.4375}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}");
	cgm_buf_done(&r.body);
	assert_true(cf_ask(cgm_serve_historical, &s, NODE "/metrics-aggregated/average,95-perc/cpu/node_utilization?" RANGE, &r));
	assert_string_equal(r.body.p, "{\"buckets\":[{\"timestamp\":\"2026-11-22T15:55:20Z\",\"average\":{\"floatValue\":0.4375},\"percentiles\":{\"95\":{\"floatValue\":0.4375}}}],"
				      "\"bucketSize\":40000000000}");
	cgm_buf_done(&r.body);
}

/* Heapster's recorded answers, and those of the table. */
static void assert_all(const char *source)
{
	_cleanup_free_ char *all = cf_read("heapster-1.5.4-api.txt");
	const char *text = all;
	struct cf_answer a;
	unsigned nr = 0;

	while (cf_next(&text, &a)) {
		char url[400];

		if (strncmp(a.path, "/api/v1/historical/", 19) != 0 || !strcmp(a.path, "/api/v1/historical/nodes/"))
			continue; /* of nodes Heapster lists ["nodename"] */
		snprintf(url, sizeof(url), "%s%s" LAST, a.path, strchr(a.path, '?') ? "&" : "?");
		assert_answer(source, a.status == 200 && strchr(a.path, '?') ? url : a.path, a.status, a.body);
		nr++;
	}
	assert_int_equal(nr, 4);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		assert_answer(source, questions[i].url, 200, questions[i].answer);
	assert_floats(source);
}

/* ---- SQLite ---- */

struct history {
	struct scratch dir;
	char source[160];
};

static void history_open(struct history *h)
{
	_cleanup_free_ char *all = cf_read("heapster-1.5.4-api.txt");
	struct sf_sink s;
	char path[128];

	scratch_open(&h->dir);
	snprintf(path, sizeof(path), "%s/history.db", h->dir.dir);
	snprintf(h->source, sizeof(h->source), "sqlite:%s?retention=0", path);
	sf_open(&s, path, "?retention=0");
	sf_encode_recorded(&s, all);
	sf_written(&s);
	sf_close(&s);
}

static void test_historical__sqlite(void **state)
{
	struct history h;

	(void)state;
	history_open(&h);
	assert_all(h.source);
	scratch_close(&h.dir);
}

/* The model's …/stats: hour and day are the history's. */
static void test_historical__stats(void **state)
{
	_cleanup_free_ char *all = cf_read("heapster-1.5.4-api.txt");
	struct cgm_serve serve = { .store = cf_store(all) };
	struct cgm_reply r;
	struct history h;

	(void)state;
	history_open(&h);
	serve.historical = h.source;
	assert_true(cf_ask(cgm_serve_model, &serve, "/api/v1/model/namespaces/default/pods/web-1/stats", &r));
	assert_non_null(strstr(r.body.p, "\"cpu-usage\":{\"minute\":{\"average\":298,\"percentile\":300,\"max\":300},\"hour\":{\"average\":298,\"percentile\":300,\"max\":300},"
					 "\"day\":{\"average\":298,\"percentile\":300,\"max\":300}}"));
	cgm_buf_done(&r.body);
	serve.historical = "sqlite:/nonexistent/history.db";
	assert_true(cf_ask(cgm_serve_model, &serve, "/api/v1/model/stats", &r));
	assert_int_equal(r.status, 500);
	cgm_buf_done(&r.body);
	cgm_cluster_store_free(serve.store);
	scratch_close(&h.dir);
}

/* Heapster's own sink never wrote what these ask for. */
static void test_historical__pod_id(void **state)
{
	struct history h;

	(void)state;
	history_open(&h);
	assert_answer(h.source, "/api/v1/historical/pod-id/pod-uid-1/metrics/cpu/usage_rate?" RANGE, 200, TWO);
	assert_answer(h.source, "/api/v1/historical/pod-id/nope/metrics/cpu/usage_rate?" RANGE, 200, EMPTY);
	assert_answer(h.source, "/api/v1/historical/pod-id/pod-uid-1/containers", 200, "[\"c1\",\"c2\"]");
	assert_answer(h.source, "/api/v1/historical/pod-id/pod-uid-1/containers/c1/metrics/cpu/usage_rate?start=2026-11-22T15:55:30Z&" LAST, 200,
		      "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":199}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}");
	assert_answer(h.source, "/api/v1/historical/pod-id/pod-uid-1/" FIVE, 200, BUCKETS_OF_FIVE);
	assert_answer(h.source, "/api/v1/historical/pod-id-list/pod-uid-1,nope/metrics/cpu/usage_rate?" RANGE, 200, "{\"items\":[" TWO "," EMPTY "]}");
	assert_answer(h.source, "/api/v1/historical/pod-id-list/nope,pod-uid-1/" FIVE, 200, "{\"items\":[{\"buckets\":[],\"bucketSize\":320000000000}," BUCKETS_OF_FIVE "]}");
	scratch_close(&h.dir);
}

static void test_historical__faults(void **state)
{
	struct history h;
	char list[2048] = "/api/v1/historical/namespaces/default/pod-list/a";

	(void)state;
	history_open(&h);
	assert_answer(NULL, "/api/v1/historical/nodes", 404, "--historical_source");
	assert_answer("kafka:?brokers=a", "/api/v1/historical/nodes", 501, "kafka");
	assert_answer("sqlite:/nonexistent/history.db", "/api/v1/historical/nodes", 500, "/nonexistent/history.db: it cannot be opened");
	assert_answer(h.source, "/api/v1/historical", 404, "404: Page Not Found");
	assert_answer(h.source, "/api/v1/historical/debug/allkeys", 404, "404: Page Not Found");
	assert_answer(h.source, NODE "/stats", 404, "404: Page Not Found");
	assert_answer(h.source, "/api/v1/historical/pod-id/a", 404, "404: Page Not Found");
	assert_answer(h.source, NODE "/metrics/memory/usage?start=bad", 400, "timestamp argument cannot be parsed: parsing time \"bad\"");
	assert_answer(h.source, NODE "/metrics/memory/usage?" START "&end=bad", 400, "timestamp argument cannot be parsed");
	assert_answer(h.source, NODE "/metrics-aggregated/max/memory/usage", 400, "no start time");
	assert_answer(h.source, NODE "/metrics-aggregated/maximum/memory/usage?" START, 400, "an aggregation is unknown");
	assert_answer(h.source, NODE "/metrics-aggregated/100-perc/memory/usage?" START, 400, "an aggregation is unknown");
	assert_answer(h.source, NODE "/metrics-aggregated/1-perc,2-perc,3-perc,4-perc,5-perc,6-perc,7-perc,8-perc,9-perc/memory/usage?" START, 400, "at most 8");
	assert_answer(h.source, NODE "/metrics-aggregated/max/memory/usage?bucket=1x&" START, 400, "bucket");
	assert_answer(h.source, NODE "/metrics-aggregated/max/memory/usage?bucket=0s&" START, 400, "bucket");
	assert_answer(h.source, NODE "/metrics-aggregated/max/memory/usage?bucket=213504d&" START, 400, "bucket"); /* in ns more than 2^64 */
	assert_answer(h.source, NODE "/metrics/memory/usage?labels=x&" START, 400, "label \"x\"");
	for (unsigned i = 0; i < 100; i++)
		strncat(list, ",a", sizeof(list) - strlen(list) - 1);
	strncat(list, "/metrics/cpu/usage_rate?" RANGE, sizeof(list) - strlen(list) - 1);
	assert_answer(h.source, list, 400, "more than 100 pods");
	scratch_put(&h.dir, "history.db", "this is no database, and long enough to be looked at as one: ......................................................");
	assert_answer(h.source, "/api/v1/historical/nodes", 500, "the file is no SQLite database");
	scratch_close(&h.dir);
}

/* ---- InfluxDB ---- */

static void test_historical__influx(void **state)
{
	struct influxd s;
	char source[128];

	(void)state;
	influxd_start(&s);
	s.recorded = cf_read("influxdb-1.6.7.txt");
	snprintf(source, sizeof(source), "influxdb:http://127.0.0.1:%u?db=default", s.port);
	assert_all(source);
	assert_answer(source, "/api/v1/historical/pod-id/pod-uid-1/metrics/cpu/usage_rate?" RANGE, 501, "has no tag pod_id");
	snprintf(source, sizeof(source), "influxdb:http://127.0.0.1:%u?db=fields&withfields=true", s.port);
	assert_all(source);
	assert_answer(source, "/api/v1/historical/pod-id/pod-uid-1/metrics", 501, "has no tag pod_id");
	/* A sink that wrote it can be asked. */
	snprintf(source, sizeof(source), "influxdb:http://127.0.0.1:%u?db=ids&cluster_name=c1", s.port);
	assert_answer(source, "/api/v1/historical/pod-id/pod-uid-1/metrics/cpu/usage_rate?" RANGE, 200, TWO);
	influxd_stop(&s);
}

static void test_historical__influx_faults(void **state)
{
	static const struct {
		unsigned status;
		const char *answer, *fault;
	} wrong[] = {
		{ 200, "{\"error\":\"database is locked\"}", "database is locked" },
		{ 200, "{\"results\":[{\"error\":\"max-select-point limit exceeded\"}]}", "max-select-point" },
		{ 200, "{\"results\":[{\"series\":[{", "none of InfluxDB" },
		{ 200, "", "none of InfluxDB" },
		{ 401, "{\"error\":\"authorization failed\"}", "status 401: " },
		{ 503, "busy", "status 503: busy" },
	};
	/* Rows that are not what was asked for are passed over. */
	static const char *const odd[] = {
		"{\"results\":[{}]}", "{\"results\":[{\"series\":7}]}", "{\"results\":[{\"series\":[1,null,{\"columns\":[1,2],\"values\":[[\"a\",\"b\"],7,[],[1],[-5,3],[1,null],[1.5,2]]}]}]}",
	};
	_cleanup_free_ char *large = malloc((2 << 20) + 1);
	struct influxd s;
	char source[128];

	(void)state;
	memset(large, ' ', 2 << 20);
	large[2 << 20] = '\0';
	influxd_start(&s);
	snprintf(source, sizeof(source), "influxdb:http://127.0.0.1:%u", s.port);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		s.always = wrong[i].answer;
		s.status = wrong[i].status;
		assert_answer(source, NODE "/metrics/memory/usage?" RANGE, 500, wrong[i].fault);
	}
	s.status = 200;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		s.always = odd[i];
		assert_answer(source, NODE "/metrics/memory/usage?" RANGE, 200, EMPTY);
		assert_answer(source, NODE "/metrics-aggregated/max/memory/usage?" RANGE, 200, "{\"buckets\":[],\"bucketSize\":40000000000}");
	}
	s.always = large;
	assert_answer(source, NODE "/metrics/memory/usage?" RANGE, 400, "answers more than 1024 KiB");
	influxd_stop(&s);
	assert_answer(source, NODE "/metrics/memory/usage?" RANGE, 500, "127.0.0.1");
	assert_answer("influxdb:http://127.0.0.1:1?schema=0.15", NODE "/metrics/memory/usage?" RANGE, 501, "schema=0.15");
	assert_answer("influxdb:http://127.0.0.1:1?pw_file=/nonexistent/x", NODE "/metrics/memory/usage?" RANGE, 500, "/nonexistent/x");
	assert_answer("influxdb:http://127.0.0.1:1?withfields=perhaps", NODE "/metrics/memory/usage?" RANGE, 400, "withfields");
}

/* More points than a page has. */
static void test_historical__pages(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf page = { 0 };
	const struct cgm_serve serve = { .historical = NULL };
	struct cgm_serve asked = serve;
	struct cgm_reply r;
	struct influxd s;
	char source[128];

	(void)state;
	influxd_start(&s);
	cgm_buf_lit(&page, "{\"results\":[{\"series\":[{\"name\":\"x\",\"columns\":[\"time\",\"value\"],\"values\":[");
	for (unsigned i = 0; i < 10000; i++)
		cgm_buf_printf(&page, "%s[%u,1]", i ? "," : "", i);
	cgm_buf_lit(&page, "]}]}]}\0");
	cgm_buf_char(&page, '\0');
	s.always = page.p; /* for ever: it ends where an answer may have no more */
	snprintf(source, sizeof(source), "influxdb:http://127.0.0.1:%u", s.port);
	asked.historical = source;
	assert_true(cf_ask(cgm_serve_historical, &asked, NODE "/metrics/memory/usage?" RANGE, &r));
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.body.p, "more than 200000 points"));
	assert_int_equal(s.nr_asked, 20);
	cgm_buf_done(&r.body);
	influxd_stop(&s);
}

/* ---- sums, as InfluxDB makes them ---- */

static void test_past__aggregate(void **state)
{
	struct cgm_past_question q = { .start_ns = 5, .until_ns = 1000, .bucket_ns = 100, .percentiles = { 1, 50, 99 }, .nr_percentiles = 3 };
	struct cgm_past_point p[] = {
		{ .time_ns = 7, .i = INT64_MAX }, { .time_ns = 9, .i = INT64_MAX - 2 }, { .time_ns = 120, .is_float = true, .f = 0.5 },
		{ .time_ns = 130, .i = -3 }, { .time_ns = 199, .i = 4 }, { .time_ns = 500, .i = 1 }, { .time_ns = 501, .i = 2 },
	};
	struct cgm_past_bucket *b;
	char fault[CGM_SINK_FAULT];
	size_t nr;

	(void)state;
	assert_int_equal(cgm_past_aggregate(&q, p, ARRAY_SIZE(p), &b, &nr, fault), 0);
	assert_int_equal(nr, 3);
	assert_int_equal(b[0].time_ns, 0);
	assert_true(b[0].values[CGM_PAST_MAX].i == INT64_MAX && b[0].values[CGM_PAST_MIN].i == INT64_MAX - 2);
	assert_int_equal(b[1].time_ns, 100);
	assert_int_equal(b[1].count, 3);
	assert_true(b[1].values[CGM_PAST_AVERAGE].f == 0.5 && b[1].values[CGM_PAST_MEDIAN].f == 0.5);
	assert_true(b[1].percentiles[0].i == -3 && b[1].percentiles[2].i == 4);
	assert_true(b[2].values[CGM_PAST_AVERAGE].is_float && b[2].values[CGM_PAST_AVERAGE].f == 1.5);
	assert_int_equal(b[2].percentiles[1].i, 1);
	free(b);
	for (unsigned long n = 1, r = n; r + 1 >= n; n++) {
		(void)cgm_mem_fail_at(n);
		if (cgm_past_aggregate(&q, p, ARRAY_SIZE(p), &b, &nr, fault) == 0)
			free(b);
		r = cgm_mem_fail_at(0);
	}
}

static void test_historical__no_memory(void **state)
{
	static const char *const urls[] = { "/api/v1/historical/nodes", POD "/metrics/cpu/usage_rate?" RANGE, POD "/" FIVE,
					    "/api/v1/historical/pod-id-list/pod-uid-1,nope/metrics/cpu/usage_rate?" RANGE };
	struct cgm_serve serve = { 0 };
	struct history h;

	(void)state;
	history_open(&h);
	serve.historical = h.source;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		for (unsigned long n = 1, nr = n; nr + 1 >= n; n++) {
			struct cgm_reply r;

			(void)cgm_mem_fail_at(n);
			assert_true(cf_ask(cgm_serve_historical, &serve, urls[i], &r));
			nr = cgm_mem_fail_at(0);
			assert_true(cf_status(&r) == 200 || cf_status(&r) == 500 || !r.body.p);
			cgm_buf_done(&r.body);
		}
	scratch_close(&h.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_historical__sqlite), cmocka_unit_test(test_historical__pod_id),	      cmocka_unit_test(test_historical__faults), cmocka_unit_test(test_historical__stats),
		cmocka_unit_test(test_historical__influx), cmocka_unit_test(test_historical__influx_faults), cmocka_unit_test(test_historical__pages),
		cmocka_unit_test(test_past__aggregate),	   cmocka_unit_test(test_historical__no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
