// SPDX-License-Identifier: Apache-2.0
/* The kubelet's /metrics/resource and /metrics/cadvisor, and both against what a real kubelet said. */
#include "kubelet_fixture.h"

#include <inttypes.h>

#include "output/prometheus.h"
#include "prometheus_page.h"

/* ---- /metrics/resource ---- */

static void resource(struct cgm_snapshot *s, struct cgm_buf *b)
{
	size_t longest;

	assert_int_equal(drain(cgm_kubelet_resource(s), b, &longest), 0);
	cgm_buf_char(b, '\0');
	b->len--;
}

static void assert_line(const struct cgm_buf *b, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!strstr(b->p, line))
		fail_msg("no %s", line);
}

static void test_resource__samples(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct checker options = { .timestamps = true };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	const char *stamp = "1790000001000";

	(void)state;
	resource(s, &b);
	/* 4 containers: cpu, memory, start, swap; of 3 with a limit of swap; the node; 2 pods with a cgroup. */
	assert_int_equal(check_page_with(&b, false, &options), 4 * 4 + 3 + 3 + 2 * 3 + 2);
	assert_int_equal(options.nr_timestamps, 4 * 3 + 3 + 3 + 2 * 3);
	assert_line(&b, "\ncontainer_cpu_usage_seconds_total{container=\"cpu\",namespace=\"default\",pod=\"burn\"} 0.010001001 %s\n", stamp);
	assert_line(&b, "\ncontainer_memory_working_set_bytes{container=\"sleeper\",namespace=\"kube-system\",pod=\"quiet\"} %" PRIu64 " %s\n",
		    last_value(&y, SLEEPER, CGM_V_MEMORY_WORKING_SET), stamp);
	assert_line(&b, "\ncontainer_start_time_seconds{container=\"cpu\",namespace=\"default\",pod=\"burn\"} 1789999940.999999999\n");
	assert_line(&b, "\ncontainer_swap_limit_bytes{container=\"cpu\",namespace=\"default\",pod=\"burn\"} 268435456 %s\n", stamp);
	assert_line(&b, "\nnode_cpu_usage_seconds_total 0.001001001 %s\n", stamp);
	assert_line(&b, "\nnode_memory_working_set_bytes %" PRIu64 " %s\n", last_value(&y, ROOT, CGM_V_MEMORY_WORKING_SET), stamp);
	assert_line(&b, "\npod_cpu_usage_seconds_total{namespace=\"default\",pod=\"burn\"} 0.007001001 %s\n", stamp);
	assert_line(&b, "\nscrape_error 0\n");
	assert_line(&b, "\nresource_scrape_error 0\n");
	assert_null(strstr(b.p, "pause"));
	assert_null(strstr(b.p, "container=\"\""));
	assert_null(strstr(b.p, "container=\"POD\""));
	assert_null(strstr(b.p, "{namespace=\"default\",pod=\"lost\"}")); /* no number of a pod whose cgroup was not seen */
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* 200 pods with two containers each: more than a piece holds. Their names need to be escaped, and of the pods there is nothing but the containers. */
static struct cgm_snapshot *many_pods(struct synth *y)
{
	static const char *const root[] = { "/" };
	struct cgm_snapshot *few, *s = cgm_snapshot_new(401);

	synth_init(y, root, 1);
	synth_tick(y);
	few = synth_snapshot(y);
	assert_non_null(s);
	for (unsigned i = 0; i < 401; i++) {
		struct cgm_row *r = &s->rows[i];
		struct cgm_who w = { .runtime = "containerd", .container = i % 2 ? "a\"b" : "c" }, *who;
		char name[64], uid[64], id[16];

		snprintf(name, sizeof(name), i ? "/%03u" : "/", i);
		snprintf(uid, sizeof(uid), "uid-%03u", (i - 1) / 2);
		snprintf(id, sizeof(id), "%03u", i);
		w.id = id;
		w.pod = w.pod_uid = uid;
		who = i ? cgm_who_new(&w) : NULL;
		*r = (struct cgm_row){ .identity = cgm_identity_new_who(name, who, NULL), .spec = few->rows[0].spec, .time_ns = few->time_ns };
		assert_non_null(r->identity);
		cgm_who_unref(who);
		r->layout = cgm_layout_ref(few->rows[0].layout);
		r->values = cgm_snapshot_alloc(s, r->layout->nr_values * sizeof(*r->values));
		assert_non_null(r->values);
		memcpy(r->values, few->rows[0].values, r->layout->nr_values * sizeof(*r->values));
		s->nr_rows = i + 1;
	}
	cgm_snapshot_unref(few);
	return s;
}

static void test_resource__many_pieces(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 }, json = { 0 };
	struct checker options = { .timestamps = true };
	struct synth y;
	struct cgm_snapshot *s = many_pods(&y);
	size_t longest;
	json_t *j;

	(void)state;
	assert_int_equal(drain(cgm_kubelet_resource(s), &b, &longest), 0);
	assert_true(longest < 16384 && b.len > 10 * longest);
	/* cpu, memory, start, limit and usage of swap; the node's three; two that say that nothing failed */
	assert_int_equal(check_page_with(&b, false, &options), 400 * 5 + 3 + 2);
	cgm_buf_char(&b, '\0');
	assert_line(&b, "\ncontainer_memory_working_set_bytes{container=\"a\\\"b\",namespace=\"\",pod=\"uid-199\"} ");
	assert_int_equal(drain(cgm_kubelet_summary(s, &kubelet_node, false), &json, &longest), 0);
	assert_true(longest < 16384);
	j = parse(&json);
	check(j, "Summary");
	assert_int_equal(json_array_size(json_object_get(j, "pods")), 200);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void compare_text(const struct cgm_buf *ours, const char *file, const struct exception *newer, size_t nr_newer, const struct exception *missing,
			 size_t nr_missing)
{
	_cleanup_free_ char *text = NULL;
	struct shapes is = { 0 }, want = { 0 };
	size_t len;

	assert_int_equal(cgm_read_all_at(AT_FDCWD, file, 1 << 20, &text, &len), 0);
	shapes_of_text(&is, (struct cgm_str){ ours->p, ours->len });
	shapes_of_text(&want, (struct cgm_str){ text, len });
	compare_shapes(&is, &want, newer, nr_newer, missing, nr_missing);
	shapes_done(&is);
	shapes_done(&want);
}

static void test_resource__as_recorded(void **state)
{
	static const struct exception newer[] = { { "container_start_time_seconds*", "1.21" }, { "*_swap_*", "kubelets with swap" }, { "resource_scrape_error*", "1.29" } };
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);

	(void)state;
	resource(s, &b);
	compare_text(&b, "tests/fixtures/kubelet/resource.txt", newer, ARRAY_SIZE(newer), NULL, 0);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- /metrics/cadvisor ---- */

static void cadvisor(const struct cgm_snapshot *s, struct cgm_buf *b)
{
	assert_int_equal(cgm_prometheus_render(s, &kubelet_machine, CGM_PROMETHEUS_KUBELET, b), 0);
	cgm_buf_char(b, '\0');
	b->len--;
}

static size_t count(const char *text, const char *what)
{
	size_t nr = 0;

	while ((text = strstr(text, what))) {
		nr++;
		text++;
	}
	return nr;
}

static void test_cadvisor__labels(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct checker options = { .timestamps = true };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);

	(void)state;
	cadvisor(s, &b);
	check_page_with(&b, false, &options);
	assert_true(options.nr_timestamps > 100);
	assert_line(&b, "\ncontainer_memory_usage_bytes{container=\"cpu\",id=\"" BURN_PATH "/2" HEX "\",image=\"busybox:1\",name=\"2" HEX
			"\",namespace=\"default\",pod=\"burn\"} ");
	assert_line(&b, "\ncontainer_memory_usage_bytes{container=\"\",id=\"" BURN_PATH "\",image=\"\",name=\"\",namespace=\"default\",pod=\"burn\"} ");
	assert_line(&b, "\ncontainer_memory_usage_bytes{container=\"\",id=\"" BURN_PATH "/3" HEX "\",image=\"pause:1\",name=\"3" HEX
			"\",namespace=\"default\",pod=\"burn\"} ");
	assert_line(&b, "\ncontainer_memory_usage_bytes{container=\"\",id=\"/docker/d" HEX "\",image=\"nginx:1\",name=\"web\",namespace=\"\",pod=\"\"} ");
	assert_line(&b, "\ncontainer_cpu_usage_seconds_total{container=\"\",id=\"/\",image=\"\",name=\"\",namespace=\"\",pod=\"\",cpu=\"total\"} 0.001001001 1790000001000\n");
	assert_null(strstr(b.p, "cpu=\"cpu0"));
	assert_null(strstr(b.p, "cgmeter_"));
	assert_null(strstr(b.p, "process_cpu_seconds"));
	assert_null(strstr(b.p, "container_pressure_"));
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* All of a pod see the same interfaces: added up, they must not count for each. */
static void test_cadvisor__network_of_a_pod_once(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);

	(void)state;
	cadvisor(s, &b);
	/* the root's two, burn's, lost's */
	assert_int_equal(count(b.p, "\ncontainer_network_receive_bytes_total{"), 4);
	assert_line(&b, "\ncontainer_network_receive_bytes_total{container=\"\",id=\"" BURN_PATH "/3" HEX "\",image=\"pause:1\",name=\"3" HEX
			"\",namespace=\"default\",pod=\"burn\",interface=\"eth0\"} %" PRIu64 " ", last_value(&y, BURN_SANDBOX, 700 + CGM_IFACE_RX_BYTES));
	assert_int_equal(count(b.p, "interface=\"net1\"} "), CGM_NR_IFACE_VALUES);
	cgm_buf_done(&b);
	/* The sandbox's interfaces were not read: those of a container, in the sandbox's name. */
	for (uint32_t i = 0; i < s->rows[BURN_SANDBOX].layout->nr_blocks; i++)
		if (s->rows[BURN_SANDBOX].layout->blocks[i].kind == CGM_LAYOUT_IFACE)
			s->rows[BURN_SANDBOX].layout->blocks[i].kind = CGM_LAYOUT_NUMA;
	b = (struct cgm_buf){ 0 };
	cadvisor(s, &b);
	assert_int_equal(count(b.p, "\ncontainer_network_receive_bytes_total{"), 4);
	assert_line(&b, "\ncontainer_network_receive_bytes_total{container=\"\",id=\"" BURN_PATH "/3" HEX "\",image=\"pause:1\",name=\"3" HEX
			"\",namespace=\"default\",pod=\"burn\",interface=\"eth0\"} %" PRIu64 " ", last_value(&y, CPU, 700 + CGM_IFACE_RX_BYTES));
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* A family that the kubelet did not have is one of a newer cAdvisor's; those that it had are just as there. */
static void test_cadvisor__as_recorded(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	_cleanup_free_ char *theirs = NULL, *families = NULL;
	struct shapes is = { 0 }, newer = { 0 }, want = { 0 };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	struct exception *list;
	size_t len;

	(void)state;
	cadvisor(s, &b);
	assert_int_equal(cgm_read_all_at(AT_FDCWD, "tests/fixtures/kubelet/cadvisor.txt", 1 << 20, &theirs, &len), 0);
	assert_int_equal(cgm_read_all_at(AT_FDCWD, "tests/fixtures/schema/cadvisor-families.txt", 1 << 20, &families, &len), 0);
	shapes_of_text(&is, (struct cgm_str){ b.p, b.len });
	shapes_of_text(&want, cgm_str(theirs));
	for (size_t i = 0; i < is.nr; i++) {
		int name_len = (int)strcspn(is.all[i], " {");
		char here[256], there[256];

		snprintf(here, sizeof(here), "\n%.*s|", name_len, is.all[i]);
		snprintf(there, sizeof(there), "# TYPE %.*s ", name_len, is.all[i]);
		if (strstr(families, here) && !strstr(theirs, there))
			shapes_add(&newer, is.all[i]);
	}
	list = calloc(newer.nr, sizeof(*list));
	assert_non_null(list);
	for (size_t i = 0; i < newer.nr; i++)
		list[i].pattern = newer.all[i];
	compare_shapes(&is, &want, list, newer.nr, NULL, 0);
	free(list);
	shapes_done(&is);
	shapes_done(&newer);
	shapes_done(&want);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resource__samples),
		cmocka_unit_test(test_resource__many_pieces),
		cmocka_unit_test(test_resource__as_recorded),
		cmocka_unit_test(test_cadvisor__labels),
		cmocka_unit_test(test_cadvisor__network_of_a_pod_once),
		cmocka_unit_test(test_cadvisor__as_recorded),
	};

	return cmocka_run_group_tests_name("kubelet_metrics", tests, read_kubelet_schema, free_schema);
}
