// SPDX-License-Identifier: Apache-2.0
/* /metrics and /healthz, with a source, a pipeline and sinks that are only states. */
#include "serve_fixture.h"
#include "serve_states.h"

#include <math.h>

#include "export/prometheus_name.h"

/* ---- states ---- */

static struct cgm_process_stats process_stats;

const char *cgm_node_fault_name(enum cgm_node_fault f)
{
	static const char *const names[] = { "connect", "timeout", "tls", "denied", "status", "too_large", "nonsense", "memory" };

	return names[f];
}

struct cgm_process_stats cgm_process_stats(struct cgm_process *p)
{
	(void)p;
	return process_stats;
}

const char *cgm_export_loss_name(enum cgm_export_loss l)
{
	static const char *const names[] = { "refused", "no_room", "no_memory", "spool_fault", "at_end" };

	return names[l];
}

static void set_states(void)
{
	source_stats = (struct cgm_source_stats){ .nr_nodes = 3, .nr_ready = 2, .nr_silent = 1, .nr_requests = 20, .nr_cycles = 10, .nr_skipped = 1, .last_cycle_ns = 250000000 };
	source_stats.nr_failed[CGM_NODE_TIMEOUT] = 4;
	node_states[0] = (struct cgm_node_state){ .name = "a", .address = "http://10.0.0.1:10255", .ready = true, .nr_ok = 10, .duration_ns = 1500000, .last_ok_ns = T0, .last_try_ns = T0 };
	node_states[1] = (struct cgm_node_state){ .name = "b\"\n\\", .address = "http://10.0.0.2:10255", .ready = true, .fault = "timeout" };
	node_states[2] = (struct cgm_node_state){ .name = "c", .address = "http://10.0.0.1:10255" };
	nr_node_states = 3;
	process_stats = (struct cgm_process_stats){ .nr_slices = 21, .nr_points = 1000, .node_ns = 2000000, .cycle_ns = 3000000 };
	export_states[0] = (struct cgm_export_state){ .name = "influxdb", .shown = "influxdb:http://i:8086", .nr_points = 900, .nr_sent = 800, .nr_batches = 4, .busy_ns = 12345678, .last_ok_ns = T0 };
	export_states[1] = (struct cgm_export_state){ .name = "influxdb", .shown = "influxdb:http://i:8086", .nr_batches = 1, .busy_ns = 1000000, .fault = "connection refused" };
	export_states[1].nr_lost[CGM_EXPORT_NO_ROOM] = 7;
	export_states[2] = (struct cgm_export_state){ .name = "log", .shown = "log" };
	nr_export_states = 3;
}

/* ---- pages ---- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rules that a scraper minds: HELP and TYPE before the samples of a family, each family once, each series once, a number at the end. */
static void assert_page(const char *page)
{
	_cleanup_free_ char *text = strdup(page);
	char *rest = text, *one, family[256] = "", *series[4096];
	const char *families[512];
	size_t nr_families = 0, nr = 0;

	assert_non_null(text);
	assert_true(!*page || page[strlen(page) - 1] == '\n');
	while ((one = strsep(&rest, "\n")) && (*one || rest)) {
		char *end, *value;

		if (!strncmp(one, "# HELP ", 7)) {
			snprintf(family, sizeof(family), "%.*s", (int)strcspn(one + 7, " "), one + 7);
			for (size_t i = 0; i < nr_families; i++)
				assert_string_not_equal(families[i], family);
			one[7 + strlen(family)] = '\0';
			families[nr_families++] = one + 7;
			continue;
		}
		if (!strncmp(one, "# TYPE ", 7)) {
			assert_memory_equal(one + 7, family, strlen(family));
			continue;
		}
		if (strncmp(one, family, strlen(family)) != 0)
			fail_msg("\"%s\" stands among \"%s\"", one, family);
		end = strchr(one, '{') ? strrchr(one, '}') + 1 : one + strcspn(one, " ");
		value = end + 1;
		assert_int_equal(*end, ' ');
		*end = '\0';
		(void)strtod(value, &end);
		assert_true(end > value && (!*end || *end == ' '));
		assert_true(nr < ARRAY_SIZE(series));
		series[nr++] = one;
	}
	if (nr)
		qsort(series, nr, sizeof(*series), compare_lines);
	for (size_t i = 1; i < nr; i++)
		if (!strcmp(series[i], series[i - 1]))
			fail_msg("%s is there twice", series[i]);
}

static void assert_has(const char *page, const char *line)
{
	_cleanup_free_ char *whole = cgm_asprintf("\n%s\n", line);

	if (!strstr(page, whole))
		fail_msg("there is no line \"%s\" in\n%.12000s", line, page);
}

static struct cgm_serve whole(void)
{
	return (struct cgm_serve){ .store = made_store(), .version = "0.1.0", .resolution_ns = 60 * SEC, .source = (void *)&any, .process = (void *)&any, .export = (void *)&any };
}

static void test_self__metrics(void **state)
{
	static const char *const lines[] = {
		"# TYPE cgmeter_cluster_nodes gauge",
		"cgmeter_cluster_nodes{state=\"known\"} 3",
		"cgmeter_cluster_nodes{state=\"silent\"} 1",
		"cgmeter_cluster_node_requests_total 20",
		"cgmeter_cluster_node_faults_total{reason=\"timeout\"} 4",
		"cgmeter_cluster_cycles_skipped_total 1",
		"cgmeter_cluster_cycle_duration_seconds 0.25",
		"cgmeter_cluster_node_up{node=\"a\"} 1",
		"cgmeter_cluster_node_up{node=\"b\\\"\\n\\\\\"} 0",
		"cgmeter_cluster_points_total 1000",
		"cgmeter_cluster_processing_seconds_total{step=\"node\"} 0.002",
		"cgmeter_cluster_export_sent_points_total{sink=\"influxdb\",uri=\"influxdb:http://i:8086\"} 800",
		"cgmeter_cluster_export_ok{sink=\"influxdb\",uri=\"influxdb:http://i:8086 #2\"} 0",
		"cgmeter_cluster_export_lost_points_total{sink=\"influxdb\",uri=\"influxdb:http://i:8086 #2\",reason=\"no_room\"} 7",
		"cgmeter_cluster_store_nodes 0",
		/* Heapster's, with durations that are not zero. */
		"heapster_kubelet_summary_request_duration_microseconds{node=\"a\",quantile=\"0.9\"} 1500",
		"heapster_kubelet_summary_request_duration_microseconds_count{node=\"a\"} 10",
		"heapster_scraper_duration_microseconds{source=\"kubelet_summary:http://10.0.0.1:10255\",quantile=\"0.5\"} 1500",
		"heapster_processor_duration_microseconds_sum{processor=\"node_aggregator\"} 2000",
		"heapster_processor_duration_microseconds_count{processor=\"node_aggregator\"} 21",
		"heapster_exporter_duration_milliseconds_sum{exporter=\"InfluxDB Sink\"} 13.345678",
		"heapster_exporter_duration_milliseconds_count{exporter=\"InfluxDB Sink\"} 5",
		"heapster_exporter_last_time_seconds{exporter=\"InfluxDB Sink\"} 1795365420",
	};
	struct cgm_serve s = whole();
	_cleanup_free_ char *page = NULL;
	const char *p;

	(void)state;
	set_states();
	page = serve_text(cgm_serve_self, &s, "/metrics", NULL, 200);
	assert_page(page);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_has(page, lines[i]);
	assert_int_equal(strncmp(page, "# HELP cgmeter_cluster_build_info", 33), 0);
	p = strstr(page, "\nprocess_resident_memory_bytes ");
	assert_non_null(p);
	assert_true(strtod(p + strlen("\nprocess_resident_memory_bytes "), NULL) > 100000);
	p = strstr(page, "\nprocess_start_time_seconds ");
	assert_non_null(p);
	assert_true(fabs(strtod(p + strlen("\nprocess_start_time_seconds "), NULL) - (double)cgm_clock_real_ns() / 1e9) < 600);
	p = strstr(page, "\nprocess_open_fds ");
	assert_true(p && strtod(p + strlen("\nprocess_open_fds "), NULL) >= 1);
	cgm_cluster_store_free(s.store);
}

/* With nothing but a store there is a page, too. */
static void test_self__metrics_of_little(void **state)
{
	struct cgm_serve s = { .store = made_store() };
	_cleanup_free_ char *page = serve_text(cgm_serve_self, &s, "/metrics", NULL, 200);
	struct cgm_reply r;

	(void)state;
	assert_page(page);
	assert_null(strstr(page, "cgmeter_cluster_nodes"));
	assert_null(strstr(page, "heapster_"));
	assert_false(serve_ask(cgm_serve_self, &s, "/metricsx", NULL, &r));
	assert_false(serve_ask(cgm_serve_self, &s, "/", NULL, &r));
	cgm_cluster_store_free(s.store);
}

/* ---- the cluster ---- */

static struct cgm_serve with_cluster(void)
{
	static const struct cgm_tag disk[] = { { "resource_id", "/dev/sda" } }, custom[] = { { "nodename", "mine" }, { "x-y", "1" } },
				    stored[] = { { "app.kubernetes.io/name", "web" }, { "app_kubernetes_io_name", "other" } };
	struct cgm_cluster_hist h = { .hist = CGM_CH_RUN_QUEUE_DELAY, .count = 7, .sum_ns = 1500000000 };
	struct cgm_serve s = whole();
	struct cgm_labeled_facts l = { .metric = CGM_CM_FILESYSTEM_USAGE, .nr_labels = 1, .labels = disk, .value.i = 4096 };
	struct cgm_draft d = { 0 };
	struct made m = made_used(made_node(&d, "n1", "a:b"), T0, 0, 1500000000, 4096);

	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, 250);
	cgm_draft_float(made_at(m), CGM_CM_CPU_NODE_UTILIZATION, 0.125);
	cgm_draft_labeled(&d, (uint32_t)m.i, &l);
	h.buckets[0] = 3;
	h.buckets[5] = 4;
	cgm_draft_hist(&d, (uint32_t)m.i, &h);
	made_put(s.store, &d, "n1", T0, 60 * SEC);
	made_used(made_node(&d, "n2", NULL), T0, 0, 2500000000, 8192);
	m = made_set(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = { [CGM_CL_NAMESPACE_NAME] = "a", [CGM_CL_POD_NAME] = "p\"" }, .stored = stored, .nr_stored = 2 });
	cgm_draft_float(made_at(m), CGM_CM_NETWORK_RX_RATE, NAN);
	l = (struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .is_float = true, .name = "queue", .nr_labels = 2, .labels = custom, .value.f = 2.5 };
	cgm_draft_labeled(&d, (uint32_t)m.i, &l);
	made_put(s.store, &d, "n2", T0, 60 * SEC);
	made_set(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CLUSTER });
	cgm_draft_int(&d.sets[0], CGM_CM_CPU_USAGE_RATE, 750);
	made_put(s.store, &d, "", T0, 60 * SEC);
	return s;
}

static void test_self__cluster(void **state)
{
	static const char *const lines[] = {
		"# TYPE cgmeter_cluster_cpu_usage_seconds_total counter",
		"cgmeter_cluster_cpu_usage_seconds_total{labels=\"a:b\",nodename=\"n1\",type=\"node\"} 1.5 1795365420000",
		"cgmeter_cluster_cpu_usage_seconds_total{nodename=\"n2\",type=\"node\"} 2.5 1795365420000",
		"cgmeter_cluster_cpu_usage_cores{type=\"cluster\"} 0.75 1795365420000",
		"cgmeter_cluster_cpu_node_utilization_ratio{labels=\"a:b\",nodename=\"n1\",type=\"node\"} 0.125 1795365420000",
		"# TYPE cgmeter_cluster_run_queue_delay_seconds histogram",
		"cgmeter_cluster_run_queue_delay_seconds_bucket{labels=\"a:b\",nodename=\"n1\",type=\"node\",le=\"+Inf\"} 7 1795365420000",
		"cgmeter_cluster_run_queue_delay_seconds_sum{labels=\"a:b\",nodename=\"n1\",type=\"node\"} 1.5 1795365420000",
		"cgmeter_cluster_run_queue_delay_seconds_count{labels=\"a:b\",nodename=\"n1\",type=\"node\"} 7 1795365420000",
	};
	struct cgm_serve s = with_cluster();
	_cleanup_free_ char *page = serve_text(cgm_serve_self, &s, "/metrics?cluster=1", NULL, 200), *same = serve_text(cgm_serve_self, &s, "/metrics/cluster", NULL, 200), *one = NULL;

	(void)state;
	assert_string_equal(page, same);
	assert_page(page);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		_cleanup_free_ char *whole_page = cgm_asprintf("\n%s", page);

		assert_has(whole_page, lines[i]);
	}
	/* An application's own metric: its labels before the entity's, names that Prometheus takes, and none of them twice. */
	assert_non_null(strstr(page, "metric=\"queue\""));
	assert_non_null(strstr(page, "nodename=\"mine\""));
	assert_non_null(strstr(page, "x_y=\"1\""));
	assert_non_null(strstr(page, "app_kubernetes_io_name=\"web\""));
	assert_non_null(strstr(page, "app_kubernetes_io_name_=\"other\""));
	assert_non_null(strstr(page, "pod_name=\"p\\\"\""));
	assert_null(strstr(page, "nan"));
	assert_non_null(strstr(page, "resource_id=\"/dev/sda\""));
	one = serve_text(cgm_serve_self, &s, "/metrics/cluster?node=n2", NULL, 200);
	assert_null(strstr(one, "\"n1\""));
	assert_non_null(strstr(one, "\"n2\""));
	cgm_cluster_store_free(s.store);
}

static void test_self__every_allocation_fails(void **state)
{
	static const char *const urls[] = { "/metrics", "/metrics/cluster", "/healthz" };
	struct cgm_serve s = with_cluster();

	(void)state;
	set_states();
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		for (unsigned long n = 1;; n++) {
			struct cgm_reply r;
			unsigned long made;

			cgm_mem_fail_at(n);
			assert_true(serve_ask(cgm_serve_self, &s, urls[i], NULL, &r));
			made = cgm_mem_fail_at(0);
			if (made >= n)
				assert_true(r.status == 500 || r.body.failed || strncmp(urls[i], "/metrics", 8) == 0);
			cgm_buf_done(&r.body);
			if (made < n)
				break;
			assert_true(n < 1000);
		}
	cgm_cluster_store_free(s.store);
}

/* ---- health ---- */

static void assert_health(const struct cgm_serve *s, unsigned status, const char *text)
{
	_cleanup_free_ char *got = serve_text(cgm_serve_self, s, "/healthz", NULL, status);

	assert_string_equal(got, text);
}

static void put_at(struct cgm_cluster_store *st, uint64_t end_ns)
{
	struct cgm_draft d = { 0 };

	made_node(&d, "n", NULL);
	made_put(st, &d, "n", end_ns, 60 * SEC);
}

static void test_self__healthz(void **state)
{
	struct cgm_serve s = whole();
	uint64_t now = cgm_clock_real_ns();
	bool standby = true;

	(void)state;
	set_states();
	nr_export_states = 0;
	assert_health(&s, 500, "there are no metrics yet\n1 of 2 nodes do not answer\n");
	snprintf(source_stats.list_fault, sizeof(source_stats.list_fault), "the API server says 403");
	assert_health(&s, 500, "there are no metrics yet\nthe nodes are not known: the API server says 403\n");
	s.standby = &standby;
	assert_health(&s, 200, "ok");
	s.standby = NULL;
	put_at(s.store, now - 170 * SEC);
	assert_health(&s, 200, "ok");
	/* A sink that fails is told, and is no reason for a restart. */
	nr_export_states = 2;
	assert_health(&s, 200, "ok\nwarning: sink influxdb: connection refused; 7 points were lost\n");
	cgm_cluster_store_free(s.store);
	s.store = made_store();
	put_at(s.store, now - 200 * SEC);
	{
		_cleanup_free_ char *text = serve_text(cgm_serve_self, &s, "/healthz", NULL, 500);

		assert_non_null(strstr(text, "the newest metrics are 20"));
		assert_non_null(strstr(text, "warning: sink influxdb"));
	}
	s.resolution_ns = 300 * SEC; /* a cycle lasts longer than that */
	nr_export_states = 0;
	assert_health(&s, 200, "ok");
	cgm_cluster_store_free(s.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self__metrics),
		cmocka_unit_test(test_self__metrics_of_little),
		cmocka_unit_test(test_self__cluster),
		cmocka_unit_test(test_self__every_allocation_fails),
		cmocka_unit_test(test_self__healthz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
