// SPDX-License-Identifier: Apache-2.0
/* Lines against those that Heapster 1.5.4 sent (fixtures/heapster), and the start against a server that answers as InfluxDB does. */
#include "export_fixture.h"

#include <math.h>

#include "base/file.h"
#include "base/uri.h"
#include "export/influxdb.h"
#include "fixture.h"
#include "kube_server.h"

/* ---- lines ---- */

static void no_cut(void *arg, uint64_t nr_points)
{
	*(uint64_t *)arg += nr_points;
}

/* All lines of a slice, as one text. */
static char *lines_of(const struct cgm_influxdb_form *f, const struct cgm_slice *s, uint64_t *ret_nr)
{
	struct cgm_buf out = { 0 };
	uint64_t cut = 0;

	*ret_nr = cgm_influxdb_lines(f, s, &out, no_cut, &cut);
	cgm_buf_char(&out, '\0');
	assert_false(out.failed);
	return out.p;
}

static struct cgm_influxdb_form form(bool with_fields, bool no_counters, bool schema_0_15)
{
	struct cgm_influxdb_form f = { .cluster_name = "c1", .with_fields = with_fields, .no_counters = no_counters, .schema_0_15 = schema_0_15 };

	cgm_influxdb_form_init(&f);
	return f;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Splits a text into its lines, sorted. */
static size_t sorted(char *text, char **lines, size_t max)
{
	size_t nr = 0;

	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		assert_true(nr < max);
		lines[nr++] = line;
	}
	qsort(lines, nr, sizeof(*lines), by_text);
	return nr;
}

/* The end of a word in which a backslash escapes, and its text without them. */
static const char *unescape(const char *p, const char *ends, char *to)
{
	for (; *p && !strchr(ends, *p); p++) {
		if (*p == '\\')
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return p;
}

struct recorded {
	char measurement[64], field[64], value[64], time[32];
	struct {
		char key[64], value[256];
	} tags[16];
	size_t nr_tags;
};

static struct recorded read_recorded(const char *line)
{
	struct recorded r = { 0 };
	const char *p = unescape(line, ", ", r.measurement);

	while (*p == ',') {
		p = unescape(p + 1, "=", r.tags[r.nr_tags].key);
		p = unescape(p + 1, ", ", r.tags[r.nr_tags++].value);
	}
	p = unescape(p + 1, "=", r.field);
	p = unescape(p + 1, " ", r.value);
	unescape(p + 1, "\n", r.time);
	return r;
}

static const char *tag(const struct recorded *r, const char *key)
{
	for (size_t i = 0; i < r->nr_tags; i++)
		if (strcmp(r->tags[i].key, key) == 0)
			return r->tags[i].value;
	return NULL;
}

/* A draft's set of whom the line speaks; found again by the key of its entity. */
static uint32_t set_of(struct cgm_draft *d, const struct recorded *r)
{
	struct cgm_entity_facts facts = { 0 };
	struct cgm_entity *e;

	for (int k = 0; k < CGM_NR_SET_KINDS; k++)
		if (strcmp(cgm_set_type(k), tag(r, "type")) == 0)
			facts.kind = k;
	for (int l = 0; l < CGM_CL_TYPE; l++)
		facts.labels[l] = tag(r, cgm_cl_name(l));
	/* Which must not be seen. */
	facts.labels[CGM_CL_HOST_ID] = facts.labels[CGM_CL_HOSTNAME] = facts.labels[CGM_CL_NAMESPACE_ID] = facts.labels[CGM_CL_POD_ID] = "secret";
	e = cgm_entity_new(&facts);
	assert_non_null(e);
	for (uint32_t i = 0; i < d->nr_sets; i++)
		if (strcmp(d->sets[i].entity->key, e->key) == 0) {
			cgm_entity_unref(e);
			return i;
		}
	cgm_entity_unref(e);
	return draft_set(d, &facts);
}

static void add_recorded(struct cgm_draft *d, const struct recorded *r)
{
	uint32_t set = set_of(d, r);
	char name[160];
	int m;

	snprintf(name, sizeof(name), "%s%s%s", r->measurement, strcmp(r->field, "value") == 0 ? "" : "/", strcmp(r->field, "value") == 0 ? "" : r->field);
	m = cgm_cm_find(cgm_str(name));
	assert_true(m >= 0);
	assert_int_equal(cgm_cm_table[m].is_float, !strchr(r->value, 'i'));
	if (m < CGM_NR_SCALARS && cgm_cm_table[m].is_float) {
		cgm_draft_float(&d->sets[set], m, strtod(r->value, NULL));
	} else if (m < CGM_NR_SCALARS) {
		cgm_draft_int(&d->sets[set], m, strtoll(r->value, NULL, 10));
	} else {
		cgm_draft_resource(d, set, m, cgm_str(tag(r, "resource_id")), strtoll(r->value, NULL, 10));
		if (cgm_cm_table[m].is_float)
			d->labeled[d->nr_labeled - 1].labeled.value.f = strtod(r->value, NULL);
	}
}

/* What it would be without withfields. */
static void put_default(struct cgm_buf *to, const char *line)
{
	const struct recorded r = read_recorded(line);
	const char *tags = line + strlen(r.measurement), *end = strrchr(line, ' ');
	bool plain = strcmp(r.field, "value") == 0;

	while (end[-1] != ' ')
		end--;
	cgm_buf_printf(to, "%s%s%s%.*s value=%s %s\n", r.measurement, plain ? "" : "/", plain ? "" : r.field, (int)(end - 1 - tags), tags, r.value, r.time);
}

static void same_as_recorded(bool with_fields)
{
	_cleanup_close_ int dir = fixture_open("heapster");
	_cleanup_free_ char *text = NULL;
	_cleanup_(cgm_buf_done) struct cgm_buf wanted = { 0 }, got = { 0 };
	const struct cgm_influxdb_form f = form(with_fields, false, false);
	struct cgm_draft drafts[2] = { 0 }; /* one for each time */
	char *wanted_lines[200] = { NULL }, *got_lines[200] = { NULL };
	uint64_t nr, all = 0;
	size_t len, n;

	assert_int_equal(cgm_read_all_at(dir, "influxdb-withfields.txt", 1 << 20, &text, &len), 0);
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		struct recorded r;

		*end = '\0';
		r = read_recorded(line);
		add_recorded(&drafts[strcmp(r.time, "1795363285000000000") != 0], &r);
		if (with_fields)
			cgm_buf_printf(&wanted, "%s\n", line);
		else
			put_default(&wanted, line);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct cgm_slice *s = draft_slice(&drafts[i], "node-a", FIXTURE_END_NS + i * 10 * CGM_NSEC_PER_SEC);
		char *lines = lines_of(&f, s, &nr);

		assert_int_equal(nr, s->nr_points);
		all += nr;
		cgm_buf_str(&got, lines);
		free(lines);
		cgm_slice_unref(s);
	}
	cgm_buf_char(&wanted, '\0');
	cgm_buf_char(&got, '\0');
	n = sorted(wanted.p, wanted_lines, ARRAY_SIZE(wanted_lines));
	assert_int_equal(n, 86);
	assert_int_equal(all, n);
	assert_int_equal(sorted(got.p, got_lines, ARRAY_SIZE(got_lines)), n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got_lines[i], wanted_lines[i]);
}

static void test_lines__as_recorded_with_fields(void **state)
{
	(void)state;
	same_as_recorded(true);
}

static void test_lines__as_recorded(void **state)
{
	(void)state;
	same_as_recorded(false);
}

static struct cgm_slice *container(const char *name, const char *labels, const struct cgm_tag *stored, size_t nr_stored)
{
	const struct cgm_entity_facts facts = {
		.kind = CGM_SET_CONTAINER,
		.labels = { [CGM_CL_CONTAINER_NAME] = name, [CGM_CL_HOST_ID] = "ext-1", [CGM_CL_HOSTNAME] = "node-a", [CGM_CL_LABELS] = labels,
			    [CGM_CL_NAMESPACE_ID] = "ns-uid-1", [CGM_CL_NAMESPACE_NAME] = "default", [CGM_CL_NODENAME] = "node-a", [CGM_CL_POD_ID] = "pod-uid-1", [CGM_CL_POD_NAME] = "web-1" },
		.stored = stored, .nr_stored = nr_stored,
	};
	struct cgm_draft d = { 0 };
	uint32_t set = draft_set(&d, &facts);

	cgm_draft_int(&d.sets[set], CGM_CM_CPU_USAGE, 837789660835);
	cgm_draft_int(&d.sets[set], CGM_CM_CPU_USAGE_RATE, 7);
	cgm_draft_resource(&d, set, CGM_CM_FILESYSTEM_USAGE, CGM_STR("/a b"), -1);
	return draft_slice(&d, "node-a", FIXTURE_END_NS);
}

static void check_lines(const struct cgm_influxdb_form *f, struct cgm_slice *s, uint64_t nr_wanted, const char *wanted)
{
	uint64_t nr;
	char *lines = lines_of(f, s, &nr);

	assert_string_equal(lines, wanted);
	assert_int_equal(nr, nr_wanted);
	free(lines);
	cgm_slice_unref(s);
}

static void test_lines__no_counters(void **state)
{
	const struct cgm_influxdb_form f = form(false, true, false);

	(void)state;
	check_lines(&f, container("c1", NULL, NULL, 0), 2,
		    "cpu/usage_rate,cluster_name=c1,container_name=c1,namespace_name=default,nodename=node-a,pod_name=web-1,type=pod_container value=7i 1795363285000000000\n"
		    "filesystem/usage,cluster_name=c1,container_name=c1,namespace_name=default,nodename=node-a,pod_name=web-1,resource_id=/a\\ b,type=pod_container "
		    "value=-1i 1795363285000000000\n");
}

static void test_lines__stored_labels_sorted(void **state)
{
	static const struct cgm_tag stored[] = { { "app", "web" }, { "nodename", "evil" }, { "tier", "" }, { "zone", "z" } };
	const struct cgm_influxdb_form f = form(true, true, false);

	(void)state;
	check_lines(&f, container("c1", NULL, stored, ARRAY_SIZE(stored)), 2,
		    "cpu,app=web,cluster_name=c1,container_name=c1,namespace_name=default,nodename=node-a,pod_name=web-1,type=pod_container,zone=z usage_rate=7i 1795363285000000000\n"
		    "filesystem,app=web,cluster_name=c1,container_name=c1,namespace_name=default,nodename=node-a,pod_name=web-1,resource_id=/a\\ b,type=pod_container,zone=z "
		    "usage=-1i 1795363285000000000\n");
}

/* A name never becomes a line, a tag or a field of its own. */
static void test_lines__hostile(void **state)
{
	const struct cgm_influxdb_form f = form(false, true, false);

	(void)state;
	check_lines(&f, container("a,b=c d\n\\", "k:v,k2:\xff", NULL, 0), 2,
		    "cpu/usage_rate,cluster_name=c1,container_name=a\\,b\\=c\\ d\\n\\x5c,labels=k:v\\,k2:\\xff,namespace_name=default,nodename=node-a,pod_name=web-1,type=pod_container "
		    "value=7i 1795363285000000000\n"
		    "filesystem/usage,cluster_name=c1,container_name=a\\,b\\=c\\ d\\n\\x5c,labels=k:v\\,k2:\\xff,namespace_name=default,nodename=node-a,pod_name=web-1,resource_id=/a\\ b,"
		    "type=pod_container value=-1i 1795363285000000000\n");
}

static struct cgm_slice *custom(void)
{
	static const struct cgm_tag tags[] = { { "a", "1" }, { "make", "m" }, { "type", "other" }, { "zz", "2" } };
	const struct cgm_entity_facts facts = { .kind = CGM_SET_CONTAINER, .labels = { [CGM_CL_CONTAINER_NAME] = "c1" } };
	struct cgm_draft d = { 0 };
	uint32_t set = draft_set(&d, &facts);

	cgm_draft_labeled(&d, set, &(struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .is_float = true, .name = "q p,s=\\", .labels = tags, .nr_labels = 4, .value.f = 0.1 });
	cgm_draft_labeled(&d, set, &(struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .is_float = true, .name = "nan", .labels = tags, .nr_labels = 1, .value.f = NAN });
	cgm_draft_labeled(&d, set, &(struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .name = "n", .value.i = 5 });
	return draft_slice(&d, "node-a", FIXTURE_END_NS);
}

static void test_lines__custom(void **state)
{
	const struct cgm_influxdb_form plain = form(false, false, false), fields = form(true, false, false);

	(void)state;
	check_lines(&plain, custom(), 2,
		    "custom/q\\ p\\,s=_,a=1,cluster_name=c1,container_name=c1,make=m,type=pod_container,zz=2 value=0.1 1795363285000000000\n"
		    "custom/n,cluster_name=c1,container_name=c1,type=pod_container value=5i 1795363285000000000\n");
	check_lines(&fields, custom(), 2,
		    "custom,a=1,cluster_name=c1,container_name=c1,make=m,type=pod_container,zz=2 q\\ p\\,s\\=\\x5c=0.1 1795363285000000000\n"
		    "custom,cluster_name=c1,container_name=c1,type=pod_container n=5i 1795363285000000000\n");
}

static void test_lines__schema_0_15(void **state)
{
	const struct cgm_entity_facts node = { .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "node-a", [CGM_CL_HOSTNAME] = "node-a", [CGM_CL_HOST_ID] = "ext-1", [CGM_CL_LABELS] = "a:b" } };
	const struct cgm_entity_facts sys = { .kind = CGM_SET_SYS_CONTAINER, .labels = { [CGM_CL_NODENAME] = "node-a", [CGM_CL_HOSTNAME] = "node-a", [CGM_CL_CONTAINER_NAME] = "system.slice" } };
	const struct cgm_entity_facts pod = { .kind = CGM_SET_POD, .labels = { [CGM_CL_POD_NAME] = "web-1" } };
	const struct cgm_influxdb_form f = form(false, false, true);
	struct cgm_draft d = { 0 };
	uint32_t set;

	(void)state;
	check_lines(&f, container("c1", "app:web,tier:front", NULL, 0), 2,
		    "cpu/usage_ns_cumulative,container_name=c1,host_id=ext-1,hostname=node-a,labels=app:web\\,tier:front,namespace_id=ns-uid-1,pod_id=pod-uid-1,pod_name=web-1,pod_namespace=default "
		    "value=837789660835i 1795363285000000000\n"
		    "filesystem/usage_bytes_gauge,container_name=c1,host_id=ext-1,hostname=node-a,labels=app:web\\,tier:front,namespace_id=ns-uid-1,pod_id=pod-uid-1,pod_name=web-1,pod_namespace=default,"
		    "resource_id=/a\\ b value=-1i 1795363285000000000\n");
	set = draft_set(&d, &node);
	for (int m = 0; m < CGM_NR_SCALARS; m++)
		cgm_draft_int(&d.sets[set], m, 1);
	set = draft_set(&d, &sys);
	cgm_draft_int(&d.sets[set], CGM_CM_UPTIME, 2);
	set = draft_set(&d, &pod);
	cgm_draft_int(&d.sets[set], CGM_CM_UPTIME, 3);
#define NODE ",container_name=machine,host_id=ext-1,hostname=node-a value=1i 1795363285000000000\n"
	check_lines(&f, draft_slice(&d, "node-a", FIXTURE_END_NS), 13,
		    "uptime_ms_cumulative" NODE "cpu/usage_ns_cumulative" NODE "cpu/limit_gauge" NODE "memory/usage_bytes_gauge" NODE "memory/working_set_bytes_gauge" NODE
		    "memory/page_faults_cumulative" NODE "memory/major_page_faults_cumulative" NODE "memory/limit_bytes_gauge" NODE "network/rx_bytes_cumulative" NODE
		    "network/rx_errors_cumulative" NODE "network/tx_bytes_cumulative" NODE "network/tx_errors_cumulative" NODE
		    "uptime_ms_cumulative,container_name=/system.slice,hostname=node-a value=2i 1795363285000000000\n");
}

/* ---- options ---- */

static void test_open__faults(void **state)
{
	static const struct {
		const char *uri, *words;
	} cases[] = {
		{ "influxdb:ftp://x", "neither http nor https" },
		{ "influxdb:http://x?withfields=maybe", "withfields" },
		{ "influxdb:http://x?retention=tomorrow", "option retention" },
		{ "influxdb:http://x?retention=1d;DROP", "option retention" },
		{ "influxdb:http://x?version=4", "option version" },
		{ "influxdb:http://x?version=2", "needs token" },
		{ "influxdb:http://x?version=1&token=a", "option token" },
		{ "influxdb:http://x?token_file=/nonexistent/a", "/nonexistent/a" },
		{ "influxdb:http://x?schema=0.8", "option schema" },
		{ "influxdb:http://x?schema=0.15&withfields=true", "withfields" },
		{ "influxdb:http://x?db=", "option db" },
		{ "influxdb:http://x?concurrency=x", "concurrency" },
		{ "influxdb:http://x?nosuch=1", "unknown option \"nosuch\"" },
	};
	static const char *const good[] = {
		"influxdb", "influxdb:", "influxdb:http://monitoring-influxdb:8086?db=k8s&user=u&pw=p&withfields=true&cluster_name=c&disable_counter_metrics=1&retention=30d&secure=true&insecuressl=true&concurrency=4",
		"influxdb:https://[::1]:8086/some/path/?token=abc&org=o&bucket=b&gzip=true", "influxdb:http://u:p@x?schema=0.15", "influxdb:http://x?retention=0",
	};
	char fault[CGM_EXPORT_FAULT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fault[0] = '\0';
		assert_int_equal(cgm_export_check(&(struct cgm_export_config){ .uris = &cases[i].uri, .nr_uris = 1 }, fault), -EINVAL);
		if (!strstr(fault, cases[i].words) || !strstr(fault, "influxdb"))
			fail_msg("%s: \"%s\"", cases[i].uri, fault);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (cgm_export_check(&(struct cgm_export_config){ .uris = &good[i], .nr_uris = 1 }, fault) < 0)
			fail_msg("%s: %s", good[i], fault);
}

/* ---- against a server ---- */

struct served {
	struct kube_server server;
	struct cgm_uri uri;
	void *state;
	struct cgm_sink_stop stop;
};

static void serve(struct served *v, const char *options)
{
	const struct cgm_export_config config = { .cluster_name = "default", .tls_ca_file = "" };
	char text[300], fault[CGM_SINK_FAULT] = "";

	kube_start(&v->server);
	snprintf(text, sizeof(text), "influxdb:http://127.0.0.1:%u?%s", v->server.port, options);
	assert_int_equal(cgm_uri_read(text, &v->uri, fault, sizeof(fault)), 0);
	if (cgm_export_influxdb.open(&v->uri, &config, &v->state, fault) < 0)
		fail_msg("%s", fault);
	assert_int_equal(cgm_sink_stop_init(&v->stop), 0);
}

static void serve_done(struct served *v)
{
	cgm_export_influxdb.close(v->state);
	cgm_sink_stop_done(&v->stop);
	cgm_uri_done(&v->uri);
	kube_stop(&v->server);
}

static enum cgm_sink_result send_text(struct served *v, struct cgm_sink_attempt *a, const char *text)
{
	*a = (struct cgm_sink_attempt){ .stop = &v->stop, .until_ns = cgm_clock_mono_ns() + 10 * CGM_NSEC_PER_SEC, .data = text, .len = strlen(text), .nr_points = 10, .first = true };
	return cgm_export_influxdb.send(v->state, a);
}

static void written(struct served *v)
{
	struct cgm_sink_attempt a;

	if (send_text(v, &a, "x value=1i 1\n") != CGM_SINK_WRITTEN || a.nr_lost)
		fail_msg("%s", a.fault);
}

static void asked(struct served *v, size_t i, const char *words)
{
	assert_true(i < v->server.nr_requests);
	if (!strstr(v->server.requests[i].line, words))
		fail_msg("request %zu is \"%s\", not \"%s\"", i, v->server.requests[i].line, words);
}

#define OK_ANSWER "{\"results\":[{\"statement_id\":0}]}"
#define CONFLICT "{\"results\":[{\"statement_id\":0,\"error\":\"retention policy conflicts with an existing policy\"}]}"
#define POLICIES(rows)                                                                                                                                         \
	"{\"results\":[{\"statement_id\":0,\"series\":[{\"columns\":[\"name\",\"duration\",\"shardGroupDuration\",\"replicaN\",\"default\"],\"values\":[" rows "]}]}]}"
#define AUTOGEN "[\"autogen\",\"0s\",\"168h0m0s\",1,true]"

static void test_send__new_database(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "db=my%22db&user=u&pw=p");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .status = 200, .body = OK_ANSWER });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	written(&v);
	written(&v);
	assert_int_equal(v.server.nr_requests, 3);
	asked(&v, 0, "/query?q=CREATE%20DATABASE%20%22my%5C%22db%22%20WITH%20NAME%20%22default%22 Basic dTpw");
	asked(&v, 1, "POST /write?db=my%22db&rp=default&precision=ns Basic dTpw");
	assert_string_equal(v.server.requests[1].body, "x value=1i 1\n");
	asked(&v, 2, "POST /write");
	serve_done(&v);
}

static void test_send__retention(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "retention=30d");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .status = 200, .body = OK_ANSWER });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	written(&v);
	asked(&v, 0, "CREATE%20DATABASE%20%22k8s%22%20WITH%20DURATION%2030d%20NAME%20%22default%22 Basic cm9vdDpyb290");
	serve_done(&v);
}

/* The database is there, its default policy has another name: complaints 4 and 5. */
static void test_send__other_policy(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "");
	kube_rule(&v.server, (struct kube_rule){ .match = "CREATE%20DATABASE", .status = 200, .body = CONFLICT });
	kube_rule(&v.server, (struct kube_rule){ .match = "SHOW%20", .status = 200, .body = POLICIES("[\"short\",\"1h\",\"1h\",1,false]," AUTOGEN) });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	written(&v);
	asked(&v, 1, "SHOW%20RETENTION%20POLICIES%20ON%20%22k8s%22");
	asked(&v, 2, "POST /write?db=k8s&rp=autogen&precision=ns");
	serve_done(&v);
}

static void test_send__retention_of_an_old_database(void **state)
{
	static const struct {
		const char *policies, *wanted;
	} cases[] = {
		{ POLICIES(AUTOGEN), "CREATE%20RETENTION%20POLICY%20%22default%22%20ON%20%22k8s%22%20DURATION%207d%20REPLICATION%201%20DEFAULT" },
		{ POLICIES("[\"default\",\"0s\",\"168h0m0s\",1,true]"), "ALTER%20RETENTION%20POLICY%20%22default%22%20ON%20%22k8s%22%20DURATION%207d%20DEFAULT" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct served v = { 0 };

		serve(&v, "retention=7d");
		kube_rule(&v.server, (struct kube_rule){ .match = "CREATE%20DATABASE", .status = 200, .body = CONFLICT });
		kube_rule(&v.server, (struct kube_rule){ .match = "SHOW%20", .status = 200, .body = cases[i].policies });
		kube_rule(&v.server, (struct kube_rule){ .match = "RETENTION%20POLICY%20", .status = 200, .body = OK_ANSWER });
		kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
		written(&v);
		asked(&v, 2, cases[i].wanted);
		asked(&v, 3, "rp=default");
		serve_done(&v);
	}
}

/* Who may only write, and servers that know no such queries: the server's default policy. */
static void test_send__may_only_write(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "retention=7d");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .times = 1, .status = 403, .body = "{\"error\":\"not authorized\"}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .status = 400, .body = "<html>no</html>" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	written(&v);
	asked(&v, 2, "POST /write?db=k8s&precision=ns");
	serve_done(&v);
}

static void test_send__later(void **state)
{
	struct cgm_sink_attempt a;
	struct served v = { 0 };

	(void)state;
	serve(&v, "");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .times = 1, .status = 401, .body = "{\"error\":\"authorization failed\"}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .times = 1, .status = 503, .headers = "Retry-After: 7\r\n" });
	kube_rule(&v.server, (struct kube_rule){ .match = "CREATE", .times = 1, .status = 200, .body = CONFLICT });
	kube_rule(&v.server, (struct kube_rule){ .match = "SHOW", .times = 1, .status = 200, .body = "{\"results\":[{\"error\":\"database not found: k8s\"}]}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .status = 200, .body = OK_ANSWER });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .times = 1, .status = 500, .body = "{\"error\":\"timeout\"}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .times = 1, .status = 404, .body = "{\"error\":\"database not found: \\\"k8s\\\"\"}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .times = 1, .status = 400, .body = "{\"error\":\"partial write: field type conflict dropped=3\"}" });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "401"));
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_AGAIN);
	assert_int_equal(a.retry_after_ns, 7 * CGM_NSEC_PER_SEC);
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "conflicts"));
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "500"));
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_AGAIN); /* somebody dropped it: it is made anew */
	assert_int_equal(send_text(&v, &a, "x value=1i 1\n"), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 3);
	assert_int_equal(kube_nr_requests(&v.server, "CREATE"), 5);
	written(&v);
	serve_done(&v);
}

static void test_send__version_2(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "token=abc&org=my%20org&bucket=b");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /api/v2/write", .status = 204 });
	written(&v);
	asked(&v, 0, "POST /api/v2/write?org=my%20org&bucket=b&precision=ns Token abc");
	serve_done(&v);
}

static void test_send__gzip(void **state)
{
	struct served v = { 0 };

	(void)state;
	serve(&v, "gzip=true");
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /query", .status = 200, .body = OK_ANSWER });
	kube_rule(&v.server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	written(&v);
	assert_memory_equal(v.server.requests[1].body, "\x1f\x8b", 2);
	serve_done(&v);
}

/* From slice to server, all of it. */
static void test_export__whole(void **state)
{
	struct cgm_export *e = NULL;
	char fault[CGM_EXPORT_FAULT] = "", text[120];
	const char *uri = text;
	struct kube_server server;

	(void)state;
	kube_start(&server);
	kube_rule(&server, (struct kube_rule){ .match = "POST /query", .status = 200, .body = OK_ANSWER });
	kube_rule(&server, (struct kube_rule){ .match = "POST /write", .status = 204 });
	snprintf(text, sizeof(text), "influxdb:http://127.0.0.1:%u", server.port);
	assert_int_equal(cgm_export_start(&(struct cgm_export_config){ .uris = &uri, .nr_uris = 1, .cluster_name = "prod" }, &e, fault), 0);
	put_numbers(e, 5, 6);
	cgm_export_stop(e);
	assert_int_equal(server.nr_requests, 2);
	assert_string_equal(server.requests[1].body, "uptime,cluster_name=prod,nodename=node-1,type=node value=5i 1795363285000000000\n");
	kube_stop(&server);
}

/* ---- answers, memory ---- */

static void test_answer__suspicious(void **state)
{
	static const char *const wrong[] = { "", "[]", "nonsense", "{\"results\":", "null" };
	static const char *const odd[] = { "{}", "{\"results\":5}", "{\"results\":[5,null,{\"series\":[{\"columns\":5,\"values\":[[1],5]}]}]}", "{\"results\":[{\"series\":[{\"columns\":[\"name\"],\"values\":[[7]]}]}]}" };
	struct cgm_influxdb_answer a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(cgm_influxdb_answer(wrong[i], strlen(wrong[i]), "default", &a), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		assert_int_equal(cgm_influxdb_answer(odd[i], strlen(odd[i]), "default", &a), 0);
		assert_string_equal(a.policy, "");
		assert_false(a.has_named);
	}
	assert_int_equal(cgm_influxdb_answer("{\"error\":\"a\\nb\"}", 16, "default", &a), 0);
	assert_string_equal(a.error, "a b");
}

static void test_lines__each_allocation_fails(void **state)
{
	const struct cgm_influxdb_form f = form(true, false, false);
	struct cgm_slice *s = container("c1", "a:b", NULL, 0);
	bool done = false;

	(void)state;
	for (unsigned long n = 1; !done; n++) {
		struct cgm_buf out = { 0 };
		uint64_t cut = 0;

		cgm_mem_fail_at(n);
		(void)cgm_influxdb_lines(&f, s, &out, no_cut, &cut);
		done = cgm_mem_fail_at(0) < n;
		assert_int_equal(out.failed, !done);
		cgm_buf_done(&out);
	}
	cgm_slice_unref(s);
}

static void test_open__each_allocation_fails(void **state)
{
	static const char *const uri = "influxdb:http://x:8086/p?db=a&token=t";
	bool done = false;

	(void)state;
	for (unsigned long n = 1; !done; n++) {
		char fault[CGM_EXPORT_FAULT] = "";
		int r;

		cgm_mem_fail_at(n);
		r = cgm_export_check(&(struct cgm_export_config){ .uris = &uri, .nr_uris = 1 }, fault);
		done = cgm_mem_fail_at(0) < n;
		assert_int_equal(r, done ? 0 : -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines__as_recorded_with_fields),
		cmocka_unit_test(test_lines__as_recorded),
		cmocka_unit_test(test_lines__no_counters),
		cmocka_unit_test(test_lines__stored_labels_sorted),
		cmocka_unit_test(test_lines__hostile),
		cmocka_unit_test(test_lines__custom),
		cmocka_unit_test(test_lines__schema_0_15),
		cmocka_unit_test(test_open__faults),
		cmocka_unit_test(test_send__new_database),
		cmocka_unit_test(test_send__retention),
		cmocka_unit_test(test_send__other_policy),
		cmocka_unit_test(test_send__retention_of_an_old_database),
		cmocka_unit_test(test_send__may_only_write),
		cmocka_unit_test(test_send__later),
		cmocka_unit_test(test_send__version_2),
		cmocka_unit_test(test_send__gzip),
		cmocka_unit_test(test_export__whole),
		cmocka_unit_test(test_answer__suspicious),
		cmocka_unit_test(test_lines__each_allocation_fails),
		cmocka_unit_test(test_open__each_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
