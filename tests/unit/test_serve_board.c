// SPDX-License-Identifier: Apache-2.0
/* What the dashboard asks for, with a source, sinks and lists of the API server that are only states. */
#include "serve_fixture.h"
#include "serve_states.h"

#include <math.h>

#include "source/decode.h"

/* ---- states ---- */

static struct cgm_kube_watch_state watch_states[CGM_NR_KUBE_WHAT];

struct cgm_kube_watch_state cgm_kube_cluster_state(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	(void)c;
	return watch_states[what];
}

size_t cgm_kube_cluster_nr(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	(void)c;
	return 10 + (size_t)what;
}

static void set_states(void)
{
	source_stats = (struct cgm_source_stats){ .nr_nodes = 3, .nr_ready = 2, .nr_silent = 1, .nr_cycles = 10, .nr_skipped = 4, .last_cycle_ns = 250000000, .list_fault = "no \"list\"" };
	node_states[0] = (struct cgm_node_state){ .name = "a", .address = "http://10.0.0.1:10255", .form = CGM_DECODE_SUMMARY, .ready = true, .nr_ok = 10, .nr_bad = 3, .duration_ns = 1500000,
						  .last_ok_ns = T0, .last_try_ns = T0, .skew_ns = -3600 * (int64_t)SEC };
	node_states[1] = (struct cgm_node_state){ .name = "b\"\n\\\xff", .address = "http://10.0.0.2:10255", .form = CGM_NR_DECODE_FORMS, .ready = true, .skew_ns = INT64_MIN, .fault = "no answer\t\"in\" time" };
	node_states[1].nr_failed[CGM_NODE_TIMEOUT] = 4;
	node_states[1].nr_failed[CGM_NODE_MEMORY] = 2;
	node_states[2] = (struct cgm_node_state){ .name = "c", .form = CGM_NR_DECODE_FORMS, .skew_ns = INT64_MIN, .fault = "it is not Ready" };
	nr_node_states = 3;
	export_states[0] = (struct cgm_export_state){ .name = "influxdb", .shown = "influxdb:http://i:8086", .nr_sent = 800, .nr_retries = 2, .queue_bytes = 7, .spool_bytes = 8, .last_ok_ns = T0 };
	export_states[0].nr_lost[0] = 3;
	export_states[0].nr_lost[CGM_NR_EXPORT_LOSSES - 1] = 4;
	export_states[1] = (struct cgm_export_state){ .name = "log", .shown = "log", .fault = "\"closed\"" };
	nr_export_states = 2;
	for (int i = 0; i < CGM_NR_KUBE_WHAT; i++)
		watch_states[i] = (struct cgm_kube_watch_state){ .synced = i != CGM_KUBE_PODS };
	snprintf(watch_states[CGM_KUBE_PODS].fault, sizeof(watch_states[0].fault), "403 for \"pods\"");
}

/* ---- slices ---- */

static void used(struct made m, int64_t millicores, int64_t memory_bytes)
{
	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, millicores);
	cgm_draft_int(made_at(m), CGM_CM_MEMORY_USAGE, memory_bytes);
}

static struct made on_node(struct cgm_draft *d, enum cgm_set_kind kind, const char *node, const char *ns, const char *pod, const char *container)
{
	return made_set(d, &(struct cgm_entity_facts){ .kind = kind,
						       .labels = { [CGM_CL_NODENAME] = node, [CGM_CL_NAMESPACE_NAME] = ns, [CGM_CL_POD_NAME] = pod, [CGM_CL_CONTAINER_NAME] = container } });
}

/* Node n1: pods web (300), idle (no CPU) and a"b (100); node n2: pod web2 (200) of another namespace whose name begins alike. */
static void put_cycle(struct cgm_cluster_store *st, uint64_t end_ns)
{
	struct cgm_cluster_hist h = { .hist = CGM_CH_DISK_LATENCY, .count = 5, .sum_ns = 99 };
	struct cgm_draft d = { 0 };
	struct made m = on_node(&d, CGM_SET_NODE, "n1", NULL, NULL, NULL);

	used(m, 1000, 1 << 20);
	cgm_draft_float(made_at(m), CGM_CM_CPU_NODE_UTILIZATION, 0.125);
	used(on_node(&d, CGM_SET_SYS_CONTAINER, "n1", NULL, NULL, "kubelet"), 20, 4096);
	m = on_node(&d, CGM_SET_POD, "n1", "team", "web", NULL);
	used(m, 300, 10);
	h.buckets[3] = 5;
	cgm_draft_hist(&d, (uint32_t)m.i, &h);
	used(on_node(&d, CGM_SET_CONTAINER, "n1", "team", "web", "c"), 300, 10);
	cgm_draft_int(made_at(on_node(&d, CGM_SET_POD, "n1", "team", "idle", NULL)), CGM_CM_MEMORY_USAGE, 30);
	used(on_node(&d, CGM_SET_POD, "n1", "team", "a\"b", NULL), 100, 20);
	made_put(st, &d, "n1", end_ns, 60 * SEC);
	used(on_node(&d, CGM_SET_NODE, "n2", NULL, NULL, NULL), 500, 1 << 21);
	used(on_node(&d, CGM_SET_POD, "n2", "team-b", "web2", NULL), 200, 40);
	made_put(st, &d, "n2", end_ns, 60 * SEC);
	made_set(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CLUSTER });
	cgm_draft_int(&d.sets[0], CGM_CM_CPU_USAGE_RATE, 600);
	cgm_draft_int(made_at(made_set(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NAMESPACE, .labels = { [CGM_CL_NAMESPACE_NAME] = "team" } })), CGM_CM_CPU_USAGE_RATE, 400);
	made_put(st, &d, "", end_ns, 60 * SEC);
}

static struct cgm_serve whole(void)
{
	struct cgm_serve s = { .store = made_store(), .version = "0.1.0", .resolution_ns = 60 * SEC, .source = (void *)&any, .export = (void *)&any, .cluster = (void *)&any };

	set_states();
	put_cycle(s.store, T0);
	put_cycle(s.store, T0 + 60 * SEC);
	return s;
}

#define ROOT "/api/cgmeter/cluster/"

static json_t *ask(const struct cgm_serve *s, const char *what)
{
	char url[512];

	snprintf(url, sizeof(url), ROOT "%s", what);
	return serve_json(cgm_serve_board, s, url, NULL, 200);
}

static void assert_fault(const struct cgm_serve *s, const char *what, unsigned status, const char *text)
{
	_cleanup_free_ char *url = cgm_asprintf(ROOT "%s", what), *got = serve_text(cgm_serve_board, s, url, NULL, status);

	assert_string_equal(got, text);
}

static long long number(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_integer(v))
		fail_msg("\"%s\" is no integer", key);
	return json_integer_value(v);
}

static const char *text_of(const json_t *j, const char *key)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_string(v))
		fail_msg("\"%s\" is no text", key);
	return json_string_value(v);
}

/* ---- status and nodes ---- */

static void test_board__status(void **state)
{
	struct cgm_serve s = whole();
	json_t *j = ask(&s, "status"), *sinks = json_object_get(j, "sinks"), *lists = json_object_get(j, "lists");

	(void)state;
	assert_string_equal(text_of(j, "version"), "0.1.0");
	assert_int_equal(number(j, "resolution_ms"), 60000);
	assert_int_equal(number(j, "time_ms"), (T0 + 60 * SEC) / 1000000);
	assert_int_equal(number(j, "sets"), 10);
	assert_true(number(j, "kept_bytes") > 0);
	assert_int_equal(number(j, "nodes"), 3);
	assert_int_equal(number(j, "ready"), 2);
	assert_int_equal(number(j, "silent"), 1);
	assert_int_equal(number(j, "cycles"), 10);
	assert_int_equal(number(j, "skipped"), 4);
	assert_int_equal(number(j, "cycle_ms"), 250);
	assert_string_equal(text_of(j, "list_fault"), "no \"list\"");
	assert_int_equal(json_array_size(sinks), 2);
	assert_string_equal(text_of(json_array_get(sinks, 0), "name"), "influxdb");
	assert_string_equal(text_of(json_array_get(sinks, 0), "address"), "influxdb:http://i:8086");
	assert_int_equal(number(json_array_get(sinks, 0), "sent"), 800);
	assert_int_equal(number(json_array_get(sinks, 0), "retries"), 2);
	assert_int_equal(number(json_array_get(sinks, 0), "lost"), 7);
	assert_int_equal(number(json_array_get(sinks, 0), "queue_bytes"), 7);
	assert_int_equal(number(json_array_get(sinks, 0), "spool_bytes"), 8);
	assert_int_equal(number(json_array_get(sinks, 0), "ok_ms"), T0 / 1000000);
	assert_string_equal(text_of(json_array_get(sinks, 0), "fault"), "");
	assert_string_equal(text_of(json_array_get(sinks, 1), "fault"), "\"closed\"");
	assert_int_equal(json_array_size(lists), CGM_NR_KUBE_WHAT);
	for (size_t i = 0; i < CGM_NR_KUBE_WHAT; i++) {
		assert_int_equal(number(json_array_get(lists, i), "objects"), 10 + i);
		assert_int_equal(json_is_true(json_object_get(json_array_get(lists, i), "synced")), i != CGM_KUBE_PODS);
	}
	assert_string_equal(text_of(json_array_get(lists, CGM_KUBE_PODS), "name"), "pods");
	assert_string_equal(text_of(json_array_get(lists, CGM_KUBE_PODS), "fault"), "403 for \"pods\"");
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

/* With nothing but a store there are answers, too. */
static void test_board__little(void **state)
{
	struct cgm_serve s = { .store = made_store() };
	json_t *j = ask(&s, "status");

	(void)state;
	assert_string_equal(text_of(j, "version"), "");
	assert_int_equal(number(j, "time_ms"), 0);
	assert_int_equal(json_array_size(json_object_get(j, "sinks")), 0);
	assert_null(json_object_get(j, "nodes"));
	assert_null(json_object_get(j, "lists"));
	json_decref(j);
	j = ask(&s, "nodes");
	assert_true(json_is_array(j));
	assert_int_equal(json_array_size(j), 0);
	json_decref(j);
	j = ask(&s, "rows?kind=pod");
	assert_int_equal(number(j, "nr_rows"), 0);
	assert_int_equal(json_array_size(json_object_get(j, "rows")), 0);
	json_decref(j);
	assert_fault(&s, "series?key=cluster", 404, "nothing is known of \"cluster\"\n");
	cgm_cluster_store_free(s.store);
}

static void test_board__nodes(void **state)
{
	struct cgm_serve s = whole();
	json_t *j = ask(&s, "nodes"), *a = json_array_get(j, 0), *b = json_array_get(j, 1), *c = json_array_get(j, 2);

	(void)state;
	assert_int_equal(json_array_size(j), 3);
	assert_string_equal(text_of(a, "name"), "a");
	assert_string_equal(text_of(a, "address"), "http://10.0.0.1:10255");
	assert_string_equal(text_of(a, "form"), "summary");
	assert_true(json_is_true(json_object_get(a, "ready")));
	assert_int_equal(number(a, "ok_ms"), T0 / 1000000);
	assert_int_equal(number(a, "try_ms"), T0 / 1000000);
	assert_int_equal(number(a, "duration_ms"), 1);
	assert_int_equal(number(a, "answers"), 10);
	assert_int_equal(number(a, "failed"), 0);
	assert_int_equal(number(a, "bad_values"), 3);
	assert_int_equal(number(a, "skew_ms"), -3600000);
	assert_string_equal(text_of(a, "fault"), "");
	assert_string_equal(text_of(b, "name"), "b\"\n\\\xef\xbf\xbd");
	assert_string_equal(text_of(b, "form"), "");
	assert_int_equal(number(b, "failed"), 6);
	assert_null(json_object_get(b, "skew_ms"));
	assert_string_equal(text_of(b, "fault"), "no answer\t\"in\" time");
	assert_true(json_is_false(json_object_get(c, "ready")));
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

/* ---- rows ---- */

/* The keys, one after the other. */
static void assert_rows(const struct cgm_serve *s, const char *what, int nr_rows, const char *keys)
{
	json_t *j = ask(s, what), *row;
	char got[1024] = "";
	size_t i;

	assert_int_equal(number(j, "time_ms"), (T0 + 60 * SEC) / 1000000);
	assert_int_equal(number(j, "nr_rows"), nr_rows);
	json_array_foreach (json_object_get(j, "rows"), i, row)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", text_of(row, "key"));
	if (strcmp(got, keys) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", what, got, keys);
	json_decref(j);
}

#define WEB "namespace:team/pod:web"
#define IDLE "namespace:team/pod:idle"
#define QUOTED "namespace:team/pod:a\"b"
#define WEB2 "namespace:team-b/pod:web2"

static void test_board__rows(void **state)
{
	struct cgm_serve s = whole();
	json_t *j, *row;

	(void)state;
	/* By CPU; what has none comes last. */
	assert_rows(&s, "rows?kind=pod", 4, WEB " " WEB2 " " QUOTED " " IDLE);
	assert_rows(&s, "rows?kind=pod&by=cpu/usage_rate", 4, WEB " " WEB2 " " QUOTED " " IDLE);
	assert_rows(&s, "rows?kind=pod&by=memory/usage", 4, WEB2 " " IDLE " " QUOTED " " WEB);
	assert_rows(&s, "rows?kind=pod&by=memory-usage&n=2", 4, WEB2 " " IDLE);
	assert_rows(&s, "rows?kind=pod&n=1", 4, WEB);
	assert_rows(&s, "rows?kind=pod&n=1000", 4, WEB " " WEB2 " " QUOTED " " IDLE);
	/* Below a namespace, and not below one whose name begins alike; below a node, a pod. */
	assert_rows(&s, "rows?kind=pod&in=namespace:team", 3, WEB " " QUOTED " " IDLE);
	assert_rows(&s, "rows?kind=pod&in=namespace:team-b", 1, WEB2);
	assert_rows(&s, "rows?kind=pod&in=node:n2", 1, WEB2);
	assert_rows(&s, "rows?kind=sys_container&in=node:n1", 1, "node:n1/container:kubelet");
	assert_rows(&s, "rows?kind=container&in=" WEB, 1, WEB "/container:c");
	assert_rows(&s, "rows?kind=pod&in=", 4, WEB " " WEB2 " " QUOTED " " IDLE);
	assert_rows(&s, "rows?kind=pod&in=namespace:nowhere", 0, "");
	assert_rows(&s, "rows?kind=pod&in=node:nowhere", 0, "");
	assert_rows(&s, "rows?kind=node&by=memory/usage", 2, "node:n2 node:n1");
	assert_rows(&s, "rows?kind=namespace", 1, "namespace:team");
	assert_rows(&s, "rows?kind=cluster", 1, "cluster");
	j = ask(&s, "rows?kind=node&n=1");
	row = json_array_get(json_object_get(j, "rows"), 0);
	assert_string_equal(text_of(json_object_get(row, "labels"), "nodename"), "n1");
	assert_string_equal(text_of(json_object_get(row, "labels"), "type"), "node");
	assert_int_equal(json_object_size(json_object_get(row, "values")), 3);
	assert_int_equal(number(json_object_get(row, "values"), "cpu/usage_rate"), 1000);
	assert_true(json_real_value(json_object_get(json_object_get(row, "values"), "cpu/node_utilization")) == 0.125);
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

/* The first n of more than n, whatever the order in which they are met; one without a number is no obstacle. */
static void test_board__rows_of_many(void **state)
{
	static const char *const wanted[] = { "namespace:n/pod:p1000", "namespace:n/pod:p999", "namespace:n/pod:p998" };
	struct cgm_serve s = { .store = made_store() };
	struct cgm_draft d = { 0 };
	json_t *j, *rows;

	(void)state;
	for (unsigned i = 0; i < 1001; i++) {
		char name[16];
		unsigned value = i * 5 % 1001;

		snprintf(name, sizeof(name), "p%u", value);
		cgm_draft_float(made_at(made_pod(&d, "n", name, NULL)), CGM_CM_NETWORK_RX_RATE, value == 500 ? NAN : value);
	}
	made_put(s.store, &d, "n1", T0, 60 * SEC);
	j = ask(&s, "rows?kind=pod&by=network/rx_rate&n=3");
	rows = json_object_get(j, "rows");
	assert_int_equal(number(j, "nr_rows"), 1001);
	assert_int_equal(json_array_size(rows), 3);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_string_equal(text_of(json_array_get(rows, i), "key"), wanted[i]);
	json_decref(j);
	j = ask(&s, "rows?kind=pod&by=network/rx_rate&n=1000");
	rows = json_object_get(j, "rows");
	assert_int_equal(json_array_size(rows), 1000);
	assert_string_equal(text_of(json_array_get(rows, 998), "key"), "namespace:n/pod:p1");
	assert_string_equal(text_of(json_array_get(rows, 999), "key"), "namespace:n/pod:p0");
	json_decref(j);
	j = ask(&s, "rows?kind=pod");
	assert_int_equal(json_array_size(json_object_get(j, "rows")), 100);
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

static void test_board__rows_faults(void **state)
{
	struct cgm_serve s = whole();
	static const char *const numbers[] = { "0", "1001", "-1", "x", "", "1.5", " 1", "99999999999999999999" };

	(void)state;
	assert_fault(&s, "rows", 400, "parameter kind: \"\" is none of cluster, namespace, node, sys_container, pod, container\n");
	assert_fault(&s, "rows?kind=ns", 400, "parameter kind: \"ns\" is none of cluster, namespace, node, sys_container, pod, container\n");
	assert_fault(&s, "rows?kind=pod&by=carrots", 400, "parameter by: \"carrots\" is no metric to sort by\n");
	assert_fault(&s, "rows?kind=pod&by=", 400, "parameter by: \"\" is no metric to sort by\n");
	assert_fault(&s, "rows?kind=pod&by=filesystem/usage", 400, "parameter by: \"filesystem/usage\" is no metric to sort by\n");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		_cleanup_free_ char *what = cgm_asprintf("rows?kind=pod&n=%s", numbers[i]), *text = cgm_asprintf("parameter n: \"%s\" is no number from 1 to 1000\n", numbers[i]);

		assert_fault(&s, what, 400, text);
	}
	cgm_cluster_store_free(s.store);
}

/* ---- series ---- */

static void test_board__series(void **state)
{
	struct cgm_serve s = whole();
	json_t *j = ask(&s, "series?key=" WEB), *points = json_object_get(j, "points"), *cpu = json_object_get(points, "cpu/usage_rate"), *hist;

	(void)state;
	assert_string_equal(text_of(j, "key"), WEB);
	assert_string_equal(text_of(j, "kind"), "pod");
	assert_string_equal(text_of(json_object_get(j, "labels"), "pod_name"), "web");
	assert_int_equal(json_object_size(points), 2);
	assert_int_equal(json_array_size(cpu), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(json_integer_value(json_array_get(json_array_get(cpu, i), 0)), (T0 + i * 60 * SEC) / 1000000);
		assert_int_equal(json_integer_value(json_array_get(json_array_get(cpu, i), 1)), 300);
	}
	hist = json_object_get(json_object_get(j, "hists"), "disk_latency");
	assert_int_equal(number(hist, "count"), 5);
	assert_int_equal(number(hist, "sum_ns"), 99);
	assert_true(strlen(text_of(hist, "help")) > 0);
	assert_int_equal(json_array_size(json_object_get(hist, "buckets")), CGM_CH_BUCKETS);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(hist, "buckets"), 3)), 5);
	json_decref(j);
	j = ask(&s, "series?key=" QUOTED);
	assert_string_equal(text_of(j, "key"), QUOTED);
	json_decref(j);
	j = ask(&s, "series?key=cluster");
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "points"), "cpu/usage_rate")), 2);
	assert_int_equal(json_object_size(json_object_get(j, "hists")), 0);
	json_decref(j);
	assert_fault(&s, "series", 400, "parameter key is missing\n");
	assert_fault(&s, "series?key=", 404, "nothing is known of \"\"\n");
	assert_fault(&s, "series?key=node:nowhere", 404, "nothing is known of \"node:nowhere\"\n");
	assert_fault(&s, "series?key=namespace:team/pod:we", 404, "nothing is known of \"namespace:team/pod:we\"\n");
	cgm_cluster_store_free(s.store);
}

/* ---- all ---- */

static void test_board__paths(void **state)
{
	static const char *const wrong[] = { ROOT "statuss", ROOT "carrots", ROOT "nodes/a", ROOT }, *const others[] = { "/api/cgmeter/cluster", "/api/cgmeter/clusters/status", "/", "/api/v1/model/nodes" };
	struct cgm_serve s = whole();
	struct cgm_reply r = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		free(serve_text(cgm_serve_board, &s, wrong[i], NULL, 404));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(serve_ask(cgm_serve_board, &s, others[i], NULL, &r));
	assert_true(cgm_serve_board(&s, &(struct cgm_ask){ .method = "POST", .path = ROOT "status" }, &r));
	assert_int_equal(r.status, 405);
	cgm_buf_done(&r.body);
	cgm_cluster_store_free(s.store);
}

/* An answer is whole, or it is none. */
static void test_board__every_allocation_fails(void **state)
{
	static const char *const urls[] = { ROOT "status", ROOT "nodes", ROOT "rows?kind=pod", ROOT "rows?kind=nonsense", ROOT "series?key=" WEB, ROOT "series" };
	struct cgm_serve s = whole();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		for (unsigned long n = 1;; n++) {
			struct cgm_reply r;
			unsigned long made;

			cgm_mem_fail_at(n);
			assert_true(serve_ask(cgm_serve_board, &s, urls[i], NULL, &r));
			made = cgm_mem_fail_at(0);
			if (made >= n && r.status != 500 && !r.body.failed)
				fail_msg("%s: allocation %lu fails, and the answer is %u: %.*s", urls[i], n, r.status, (int)r.body.len, r.body.p);
			cgm_buf_done(&r.body);
			if (made < n)
				break;
			assert_true(n < 1000);
		}
	cgm_cluster_store_free(s.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_board__status),	    cmocka_unit_test(test_board__little), cmocka_unit_test(test_board__nodes),
		cmocka_unit_test(test_board__rows),	    cmocka_unit_test(test_board__rows_of_many), cmocka_unit_test(test_board__rows_faults),
		cmocka_unit_test(test_board__series),	    cmocka_unit_test(test_board__paths),	 cmocka_unit_test(test_board__every_allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
