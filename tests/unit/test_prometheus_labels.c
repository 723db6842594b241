// SPDX-License-Identifier: Apache-2.0
/* What stands beside the values on /metrics: labels of containers, times of samples, and since when a counter counts. */
#include "unit/prometheus_page.h"
#include "base/mem.h"
#include "output/prometheus.h"
#include "unit/snapshot_fixture.h"

DEFINE_CLEANUP(cgm_snapshot, cgm_snapshot_unref)
#define _cleanup_snapshot_ _cleanup_(cgm_snapshot_freep)
#define _cleanup_buf_ _cleanup_(cgm_buf_done)

static const struct cgm_machine machine = { .nr_cpus = 2, .machine_id = "m1", .boot_id = "b1", .time_ns = 1795362000123000000 };
static const struct fixture_config small = { .nr_rows = 4, .nr_cpus = 2, .disk = true, .live = true, .extras = true, .root_devices = true };
static const struct cgm_label_rules all = { .store = true };

static void render(struct cgm_buf *page, const struct cgm_snapshot *s, enum cgm_prometheus_format format)
{
	page->len = 0;
	assert_int_equal(cgm_prometheus_render(s, &machine, format, page), 0);
	assert_true(cgm_buf_reserve(page, 1));
	page->p[page->len] = '\0';
}

static void assert_line(const struct cgm_buf *page, const char *line)
{
	size_t len = strlen(line);
	const char *p = page->p;

	while ((p = strstr(p, line)) && !((p == page->p || p[-1] == '\n') && p[len] == '\n'))
		p++;
	if (!p)
		fail_msg("not on the page: %s", line);
}

static void set_identity(struct cgm_snapshot *s, size_t row, const char *name, const struct cgm_identity_facts *f, const struct cgm_label_rules *rules)
{
	cgm_identity_unref(s->rows[row].identity);
	s->rows[row].identity = cgm_identity_new_with(name, f, rules);
	assert_non_null(s->rows[row].identity);
}

/* ---- identities ---- */

static void assert_labels(const struct cgm_identity_facts *f, const struct cgm_label_rules *rules, const char *wanted)
{
	struct cgm_identity *i = cgm_identity_new_with("/c", f, rules);

	assert_non_null(i);
	assert_string_equal(i->labels, wanted);
	assert_int_equal(i->labels_len, strlen(wanted));
	assert_string_equal(i->name, "/c");
	cgm_identity_unref(i);
}

static void test_identity_new_with__rules(void **state)
{
	static const struct cgm_pair labels[] = { { "app", "shop" }, { "tier", "back\"end" }, { "a.b/c-d", "x" } }, envs[] = { { "PATH", "/bin" } };
	static const struct cgm_identity_facts facts = { "web", "nginx:1", labels, envs, 3, 1 };
	static const struct cgm_label_rules none = { 0 }, some = { false, "tier , nosuch,," };

	(void)state;
	assert_labels(&facts, &all, "id=\"/c\",name=\"web\",image=\"nginx:1\",container_env_PATH=\"/bin\",container_label_a_b_c_d=\"x\","
				    "container_label_app=\"shop\",container_label_tier=\"back\\\"end\"");
	assert_labels(&facts, &some, "id=\"/c\",name=\"web\",image=\"nginx:1\",container_env_PATH=\"/bin\",container_label_tier=\"back\\\"end\"");
	assert_labels(&facts, &none, "id=\"/c\",name=\"web\",image=\"nginx:1\",container_env_PATH=\"/bin\"");
	assert_labels(&facts, NULL, "id=\"/c\",name=\"web\",image=\"nginx:1\",container_env_PATH=\"/bin\"");
	assert_labels(NULL, &all, "id=\"/c\"");
	assert_labels(&(struct cgm_identity_facts){ .image = "x" }, &all, "id=\"/c\",image=\"x\"");
	assert_labels(&(struct cgm_identity_facts){ .alias = "" }, &all, "id=\"/c\"");
}

/* Keys that become the same name: the least wins, whatever their order. */
static void test_identity_new_with__keys_that_collide(void **state)
{
	static const struct cgm_pair one[] = { { "a.b", "dot" }, { "a_b", "underscore" }, { "a-b", "dash" }, { "a", "1" }, { "a-b-c", "2" }, { "a-b", "again" } };
	static const struct cgm_pair other[] = { { "a-b", "again" }, { "a-b-c", "2" }, { "a", "1" }, { "a-b", "dash" }, { "a_b", "underscore" }, { "a.b", "dot" } };
	struct cgm_identity *x, *y;

	(void)state;
	x = cgm_identity_new_with("/c", &(struct cgm_identity_facts){ .labels = one, .nr_labels = 5 }, &all);
	y = cgm_identity_new_with("/c", &(struct cgm_identity_facts){ .labels = other + 1, .nr_labels = 5 }, &all);
	assert_string_equal(x->labels, "id=\"/c\",container_label_a=\"1\",container_label_a_b=\"dash\",container_label_a_b_c=\"2\"");
	assert_string_equal(x->labels, y->labels);
	cgm_identity_unref(x);
	cgm_identity_unref(y);
	/* the same key twice is no runtime's doing, but it is still one label */
	x = cgm_identity_new_with("/c", &(struct cgm_identity_facts){ .labels = one, .nr_labels = 6 }, &all);
	assert_int_equal(x->nr_shown, 3);
	cgm_identity_unref(x);
}

static void test_env_is_wanted__by_prefix(void **state)
{
	(void)state;
	assert_true(cgm_env_is_wanted("FOO_, BAR", cgm_str("FOO_X")));
	assert_true(cgm_env_is_wanted("FOO_, BAR", cgm_str("BARBARA")));
	assert_false(cgm_env_is_wanted("FOO_, BAR", cgm_str("FOO")));
	assert_false(cgm_env_is_wanted("", cgm_str("FOO")));
	assert_false(cgm_env_is_wanted(NULL, cgm_str("FOO")));
	assert_false(cgm_env_is_wanted(",,", cgm_str("FOO")));
}

static void test_identity_new_with__every_allocation_fails_once(void **state)
{
	static const struct cgm_pair labels[] = { { "a", "1" }, { "b", "2" } };
	static const struct cgm_identity_facts facts = { "web", "nginx:1", labels, NULL, 2, 0 };
	struct cgm_identity *i = NULL;
	unsigned long n = 1;

	(void)state;
	for (; !i; n++) {
		cgm_mem_fail_at(n);
		i = cgm_identity_new_with("/c", &facts, &all);
		cgm_mem_fail_at(0);
	}
	assert_int_equal(n, 4);
	cgm_identity_unref(i);
}

/* ---- the union ---- */

static const struct cgm_pair shop[] = { { "app", "shop" }, { "tier", "front" } }, bank[] = { { "app", "bank" }, { "zone", "a" } };

static void label_some(struct cgm_snapshot *s)
{
	set_identity(s, 1, "/one", &(struct cgm_identity_facts){ "one", "img", shop, NULL, 2, 0 }, &all);
	set_identity(s, 2, "/two", &(struct cgm_identity_facts){ NULL, "img", bank, NULL, 2, 0 }, &all);
}

static void test_union__each_has_every_label(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	label_some(s);
	s->rows[1].values[CGM_V_MEMORY_USAGE] = 11;
	s->rows[2].values[CGM_V_MEMORY_USAGE] = 22;
	s->rows[0].values[CGM_V_MEMORY_USAGE] = 33;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_line(&page, "container_memory_usage_bytes{id=\"/one\",name=\"one\",image=\"img\",container_label_app=\"shop\",container_label_tier=\"front\"} 11");
	assert_line(&page, "container_memory_usage_bytes{id=\"/two\",image=\"img\",container_label_app=\"bank\",container_label_zone=\"a\"} 22");
	assert_line(&page, "container_memory_usage_bytes{id=\"/\"} 33");
	s->self.show_empty_labels = true;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_line(&page, "container_memory_usage_bytes{id=\"/one\",name=\"one\",image=\"img\",container_label_app=\"shop\",container_label_tier=\"front\","
			   "container_label_zone=\"\"} 11");
	assert_line(&page, "container_memory_usage_bytes{id=\"/two\",name=\"\",image=\"img\",container_label_app=\"bank\",container_label_tier=\"\","
			   "container_label_zone=\"a\"} 22");
	assert_line(&page, "container_memory_usage_bytes{id=\"/\",name=\"\",image=\"\",container_label_app=\"\",container_label_tier=\"\","
			   "container_label_zone=\"\"} 33");
	assert_non_null(strstr(page.p, "cgmeter_container_cpu_slice_seconds_bucket{id=\"/\",name=\"\",image=\"\",container_label_app=\"\","));
}

static void test_union__without_labels_there_is_nothing_to_add(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 }, other = { 0 };

	(void)state;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	s->self.show_empty_labels = true;
	render(&other, s, CGM_PROMETHEUS_TEXT);
	assert_string_equal(page.p, other.p);
}

static void test_union__every_allocation_fails_once(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	unsigned long n = 1;
	int r = -ENOMEM;

	(void)state;
	label_some(s);
	s->self.show_empty_labels = true;
	for (; r < 0; n++) {
		_cleanup_buf_ struct cgm_buf page = { 0 };

		cgm_mem_fail_at(n);
		r = cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_PROTOBUF, &page);
		cgm_mem_fail_at(0);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 8, 60);
}

/* ---- time stamps ---- */

static void test_timestamps__behind_measurements_alone(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	struct checker c = { .timestamps = true };
	_cleanup_buf_ struct cgm_buf page = { 0 };
	size_t nr;

	(void)state;
	s->rows[0].values[CGM_V_MEMORY_USAGE] = 33;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	nr = check_page(&page, false);
	s->self.show_timestamps = true;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_int_equal(check_page_with(&page, false, &c), nr);
	assert_in_range(c.nr_timestamps, nr / 2, nr - 20);
	assert_line(&page, "container_memory_usage_bytes{id=\"/\"} 33 1795362956824");
	assert_line(&page, "container_last_seen{id=\"/\"} 1795362956 1795362956824");
	assert_line(&page, "container_start_time_seconds{id=\"/\"} 1795361498");
	assert_line(&page, "container_spec_cpu_shares{id=\"/\"} 1024");
	assert_line(&page, "machine_cpu_cores{machine_id=\"m1\",system_uuid=\"\",boot_id=\"b1\"} 2 1795362000123");
	assert_line(&page, "machine_scrape_error 0");
	assert_non_null(strstr(page.p, "\ncgmeter_ticks_total 0\n"));
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page_with(&page, true, &c);
	assert_line(&page, "container_memory_usage_bytes{id=\"/\"} 33 1795362956.824");
	assert_line(&page, "machine_cpu_cores{machine_id=\"m1\",system_uuid=\"\",boot_id=\"b1\"} 2 1795362000.123");
}

/* ---- created ---- */

static void test_created__counters_and_histograms(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	struct checker c = { .created = true };
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	s->rows[0].spec.creation_time_ns = 1795361000250000000;
	s->self.show_created = true;
	s->self.adopted = false;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page_with(&page, true, &c);
	assert_true(c.nr_created > 100);
	assert_line(&page, "container_cpu_user_seconds_created{id=\"/\"} 1795361000.25");
	assert_line(&page, "container_cpu_usage_seconds_created{id=\"/\",cpu=\"cpu01\"} 1795361000.25");
	/* the kernel side began with this process */
	assert_line(&page, "cgmeter_container_cpu_slice_seconds_created{id=\"/\"} 1795361498.5");
	assert_line(&page, "cgmeter_container_context_switches_created{id=\"/\",kind=\"voluntary\"} 1795361498.5");
	assert_line(&page, "cgmeter_ticks_created 1795361498.5");
	assert_line(&page, "cgmeter_tick_late_seconds_created 1795361498.5");
	assert_null(strstr(page.p, "container_memory_failcnt_created")); /* no counter in OpenMetrics */
	s->self.adopted = true;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	assert_line(&page, "cgmeter_container_cpu_slice_seconds_created{id=\"/\"} 1795361000.25");
	/* the text format has no such thing */
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_null(strstr(page.p, "_created"));
	check_page(&page, false);
}

/* cAdvisor has gauges that end in _total and counters that do not: in OpenMetrics neither word would be true. */
static void test_open_metrics__names_that_lie_have_no_type(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page(&page, true);
	assert_line(&page, "# TYPE container_network_tcp_usage_total unknown");
	assert_line(&page, "# TYPE container_network_advance_tcp_stats_total unknown");
	assert_line(&page, "# TYPE container_fs_inodes_total unknown");
	assert_line(&page, "# TYPE container_memory_failcnt unknown");
	assert_line(&page, "# TYPE container_fs_reads_bytes counter");
	assert_line(&page, "# UNIT container_fs_reads_bytes bytes");
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_line(&page, "# TYPE container_network_tcp_usage_total gauge");
	assert_line(&page, "# TYPE container_fs_inodes_total gauge");
	assert_line(&page, "# TYPE container_memory_failcnt counter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_new_with__rules),
		cmocka_unit_test(test_identity_new_with__keys_that_collide),
		cmocka_unit_test(test_env_is_wanted__by_prefix),
		cmocka_unit_test(test_identity_new_with__every_allocation_fails_once),
		cmocka_unit_test(test_union__each_has_every_label),
		cmocka_unit_test(test_union__without_labels_there_is_nothing_to_add),
		cmocka_unit_test(test_union__every_allocation_fails_once),
		cmocka_unit_test(test_timestamps__behind_measurements_alone),
		cmocka_unit_test(test_created__counters_and_histograms),
		cmocka_unit_test(test_open_metrics__names_that_lie_have_no_type),
	};

	return cmocka_run_group_tests_name("prometheus_labels", tests, NULL, NULL);
}
