// SPDX-License-Identifier: Apache-2.0
/* Families of groups that are off by default, and the machine's topology. */
#include "unit/prometheus_page.h"
#include "base/mem.h"
#include "output/prometheus.h"
#include "unit/snapshot_fixture.h"

DEFINE_CLEANUP(cgm_snapshot, cgm_snapshot_unref)
#define _cleanup_snapshot_ _cleanup_(cgm_snapshot_freep)
#define _cleanup_buf_ _cleanup_(cgm_buf_done)
#define IDS "machine_id=\"m\",system_uuid=\"u\",boot_id=\"b\","

static const struct fixture_config small = { .nr_rows = 2, .nr_cpus = 2, .extras = true };
static const struct cgm_machine bare = { .machine_id = "m", .system_uuid = "u", .boot_id = "b" };

static void render(struct cgm_buf *page, const struct cgm_snapshot *s, const struct cgm_machine *m)
{
	page->len = 0;
	assert_int_equal(cgm_prometheus_render(s, m, CGM_PROMETHEUS_TEXT, page), 0);
	assert_true(cgm_buf_reserve(page, 1));
	page->p[page->len] = '\0';
	check_page(page, false);
}

static bool has_line(const struct cgm_buf *page, const char *line)
{
	size_t len = strlen(line);
	const char *p = page->p;

	while ((p = strstr(p, line)) && !((p == page->p || p[-1] == '\n') && p[len] == '\n'))
		p++;
	return p != NULL;
}

static void assert_line(const struct cgm_buf *page, const char *line)
{
	if (!has_line(page, line))
		fail_msg("not on the page: %s", line);
}

/* The values of the first row's block of that kind and number. */
static uint64_t *block(struct cgm_snapshot *s, enum cgm_layout_kind kind, uint32_t number)
{
	const struct cgm_row *row = &s->rows[0];

	for (uint32_t i = 0; i < row->layout->nr_blocks; i++)
		if (row->layout->blocks[i].kind == kind && row->layout->blocks[i].minor == number)
			return row->values + row->layout->blocks[i].first;
	fail();
	return NULL;
}

static void test_extras__sockets(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	block(s, CGM_LAYOUT_TCP, 0)[CGM_TCP_STATE_TIME_WAIT] = 5;
	block(s, CGM_LAYOUT_TCP, 1)[CGM_TCP_STATE_LISTEN] = 6;
	block(s, CGM_LAYOUT_UDP, 0)[CGM_UDP_STATE_RX_QUEUED] = 7;
	block(s, CGM_LAYOUT_UDP, 1)[CGM_UDP_STATE_DROPPED] = 8;
	block(s, CGM_LAYOUT_ADVTCP, 0)[CGM_ADVTCP_MaxConn] = UINT64_MAX;
	block(s, CGM_LAYOUT_ADVTCP, 0)[CGM_ADVTCP_TCPHPHits] = 9;
	render(&page, s, &bare);
	assert_line(&page, "container_network_tcp_usage_total{id=\"/\",tcp_state=\"timewait\"} 5");
	assert_line(&page, "container_network_tcp6_usage_total{id=\"/\",tcp_state=\"listen\"} 6");
	assert_line(&page, "container_network_udp_usage_total{id=\"/\",udp_state=\"rxqueued\"} 7");
	assert_line(&page, "container_network_udp6_usage_total{id=\"/\",udp_state=\"dropped\"} 8");
	assert_line(&page, "container_network_advance_tcp_stats_total{id=\"/\",tcp_state=\"maxconn\"} -1");
	assert_line(&page, "container_network_advance_tcp_stats_total{id=\"/\",tcp_state=\"tcphphits\"} 9");
	s->self.groups_off = 1ULL << CGM_G_TCP_STATES;
	render(&page, s, &bare);
	assert_null(strstr(page.p, "container_network_tcp"));
	assert_non_null(strstr(page.p, "container_network_udp_usage_total"));
}

static void test_extras__hugetlb_resctrl_and_processes(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	uint64_t *huge = block(s, CGM_LAYOUT_HUGETLB, 1);

	(void)state;
	huge[CGM_HUGETLB_USAGE] = 2097152;
	huge[CGM_HUGETLB_MAX_USAGE] = 4194304;
	huge[CGM_HUGETLB_FAILCNT] = 3;
	block(s, CGM_LAYOUT_RESCTRL, 3)[CGM_RESCTRL_LLC_OCCUPANCY] = 77;
	s->rows[0].values[CGM_V_ULIMIT_FILES_SOFT] = UINT64_MAX;
	s->rows[1].values[CGM_V_ULIMIT_FILES_SOFT] = 1024;
	s->rows[0].values[CGM_V_SOCKET_COUNT] = 12;
	render(&page, s, &bare);
	assert_line(&page, "container_hugetlb_usage_bytes{id=\"/\",pagesize=\"2MB\"} 2097152");
	assert_line(&page, "container_hugetlb_max_usage_bytes{id=\"/\",pagesize=\"2MB\"} 4194304");
	assert_line(&page, "container_hugetlb_failcnt{id=\"/\",pagesize=\"2MB\"} 3");
	assert_line(&page, "container_llc_occupancy_bytes{id=\"/\",node_id=\"3\"} 77");
	assert_line(&page, "container_ulimits_soft{id=\"/\",ulimit=\"max_open_files\"} -1");
	assert_line(&page, "container_sockets{id=\"/\"} 12");
	assert_non_null(strstr(page.p, "ulimit=\"max_open_files\"} 1024\n"));
	s->rows[0].layout->blocks[1].minor = 0; /* v2 does not tell of a maximum */
	assert_int_equal(s->rows[0].layout->blocks[1].kind, CGM_LAYOUT_HUGETLB);
	render(&page, s, &bare);
	assert_false(has_line(&page, "container_hugetlb_max_usage_bytes{id=\"/\",pagesize=\"2MB\"} 4194304"));
	assert_line(&page, "container_hugetlb_usage_bytes{id=\"/\",pagesize=\"2MB\"} 2097152");
}

static void test_extras__perf(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	uint64_t *v = block(s, CGM_LAYOUT_PERF, 0), *uncore = block(s, CGM_LAYOUT_UNCORE, 0);

	(void)state;
	v[CGM_PERF_COUNT] = 100;
	v[CGM_PERF_SCALING] = 1000000000;
	v[CGM_NR_PERF_VALUES + CGM_PERF_COUNT] = 30;
	v[CGM_NR_PERF_VALUES + CGM_PERF_SCALING] = 250000000;
	uncore[CGM_PERF_COUNT] = 9;
	uncore[CGM_PERF_SCALING] = 500000000;
	render(&page, s, &bare);
	assert_line(&page, "container_perf_events_total{id=\"/\",cpu=\"0\",event=\"cpu-\\\"clock\\\"\"} 100");
	assert_line(&page, "container_perf_events_total{id=\"/\",cpu=\"1\",event=\"cpu-\\\"clock\\\"\"} 30");
	assert_line(&page, "container_perf_events_scaling_ratio{id=\"/\",cpu=\"1\",event=\"cpu-\\\"clock\\\"\"} 0.25");
	assert_line(&page, "container_perf_uncore_events_total{id=\"/\",socket=\"0\",event=\"reads\",pmu=\"uncore_imc_0\"} 9");
	assert_line(&page, "container_perf_uncore_events_scaling_ratio{id=\"/\",socket=\"0\",event=\"reads\",pmu=\"uncore_imc_0\"} 0.5");
	s->self.groups_off = 1ULL << CGM_G_PERCPU; /* the sum, and the least share */
	render(&page, s, &bare);
	assert_line(&page, "container_perf_events_total{id=\"/\",cpu=\"\",event=\"cpu-\\\"clock\\\"\"} 130");
	assert_line(&page, "container_perf_events_scaling_ratio{id=\"/\",cpu=\"\",event=\"cpu-\\\"clock\\\"\"} 0.25");
	v[CGM_PERF_SCALING] = v[CGM_NR_PERF_VALUES + CGM_PERF_SCALING] = 0; /* never had a turn: no number */
	render(&page, s, &bare);
	assert_null(strstr(page.p, "container_perf_events_total{id=\"/\""));
}

/* v2's files know bytes read and written; Sync, Async and Total only where somebody counted them. */
static void test_extras__operations_and_costs(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1, .disk = true });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	uint64_t *v = block(s, CGM_LAYOUT_DISK, 0);

	(void)state;
	v[CGM_DISK_BYTES_ASYNC] = 5;
	v[CGM_DISK_COST_USAGE] = 1500000;
	render(&page, s, &bare);
	assert_line(&page, "container_blkio_device_usage_total{id=\"/\",device=\"/dev/vda\",major=\"254\",minor=\"0\",operation=\"Async\"} 5");
	assert_line(&page, "container_fs_io_cost_usage_seconds_total{id=\"/\",device=\"/dev/vda\"} 1.5");
	v[CGM_DISK_BYTES_TOTAL] = 0;
	v[CGM_DISK_COST_USAGE] = 0;
	render(&page, s, &bare);
	assert_null(strstr(page.p, "operation=\"Async\""));
	assert_null(strstr(page.p, "operation=\"Total\""));
	assert_non_null(strstr(page.p, "operation=\"Read\""));
	assert_null(strstr(page.p, "container_fs_io_cost"));
}

/* ---- the machine ---- */

static void test_machine__topology(void **state)
{
	unsigned threads[] = { 0, 4 }, other[] = { 1 };
	struct cgm_cache l1[] = { { 0, 1, 32768, "Data" }, { 0, 1, 65536, "Instruction" }, { 9, 1, 1, "Data" } }, l2 = { 0, 2, 1048576, "Unified" };
	struct cgm_cache l3[] = { { 0, 3, 1 << 20, "Unified" }, { 1, 3, 2 << 20, "Unified" } };
	struct cgm_core cores[] = {
		{ .core_id = 0, .threads = threads, .nr_threads = 2, .caches = l1, .nr_caches = 3, .uncore = &l2, .nr_uncore = 1 },
		{ .core_id = 0, .socket_id = 1, .threads = other, .nr_threads = 1, .caches = l1, .nr_caches = 1 }, /* of another socket, numbered alike */
	};
	struct cgm_hugepages pages[] = { { 2048, 7 } };
	uint64_t distances[] = { 10, 21 };
	struct cgm_numa_node nodes[] = {
		{ .id = 0, .memory_bytes = 1000, .hugepages = pages, .nr_hugepages = 1, .cores = cores, .nr_cores = 2, .caches = l3, .nr_caches = 2,
		  .distances = distances, .nr_distances = 2 },
		{ .id = 3 },
	};
	struct cgm_dimms dimms[] = { { "DDR4", 1 << 30, 2 } };
	struct cgm_machine m = bare;
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	m.nodes = nodes;
	m.nr_nodes = 2;
	m.dimms = dimms;
	m.nr_dimms = 1;
	render(&page, s, &m); /* no series twice: checked there */
	assert_line(&page, "machine_cpu_cache_capacity_bytes{" IDS "node_id=\"0\",core_id=\"0\",type=\"Data\",level=\"1\"} 32768");
	assert_line(&page, "machine_cpu_cache_capacity_bytes{" IDS "node_id=\"0\",core_id=\"0\",type=\"Unified\",level=\"2\"} 1048576");
	assert_line(&page, "machine_cpu_cache_capacity_bytes{" IDS "node_id=\"0\",core_id=\"\",type=\"Unified\",level=\"3\"} 1048576");
	assert_line(&page, "machine_thread_siblings_count{" IDS "node_id=\"0\",core_id=\"0\",thread_id=\"4\"} 2");
	assert_line(&page, "machine_thread_siblings_count{" IDS "node_id=\"0\",core_id=\"0\",thread_id=\"1\"} 1");
	assert_line(&page, "machine_node_memory_capacity_bytes{" IDS "node_id=\"3\"} 0");
	assert_line(&page, "machine_node_hugepages_count{" IDS "node_id=\"0\",page_size=\"2048\"} 7");
	assert_line(&page, "machine_node_distance{" IDS "node_id=\"0\",target_node_id=\"3\"} 21");
	assert_line(&page, "machine_dimm_count{" IDS "type=\"DDR4\"} 2");
	assert_line(&page, "machine_dimm_capacity_bytes{" IDS "type=\"DDR4\"} 1073741824");
	assert_line(&page, "machine_nvm_capacity{" IDS "mode=\"memory_mode\"} 0");
	m.has_nvm = true; /* what of it serves as memory is not known */
	m.nvm_bytes = 5;
	s->self.groups_off = 1ULL << CGM_G_CPU_TOPOLOGY;
	render(&page, s, &m);
	assert_line(&page, "machine_nvm_capacity{" IDS "mode=\"app_direct_mode\"} 5");
	assert_null(strstr(page.p, "mode=\"memory_mode\""));
	assert_null(strstr(page.p, "machine_nvm_avg_power_budget_watts"));
	assert_null(strstr(page.p, "machine_node_"));
	assert_null(strstr(page.p, "machine_cpu_cache"));
	assert_non_null(strstr(page.p, "machine_cpu_cores"));
}

/* Of applications, behind all others: see fixture_app(). */
static void test_apps(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&small);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	const char *id = s->rows[1].identity->labels;
	char line[512];

	(void)state;
	s->rows[1].app = fixture_app();
	render(&page, s, &bare);
	snprintf(line, sizeof(line), "shop_carts{%s,app_kind=\"\\\\xff\",app_zone=\"\\\"a\\\\b\\n\\\"\"} 0.1", id);
	assert_line(&page, line);
	snprintf(line, sizeof(line), "shop_carts{%s,app_zone=\"\\\"a\\\\b\\n\\\"\"} -12345.5", id);
	assert_line(&page, line);
	snprintf(line, sizeof(line), "app_cgmeter_agent_cpu_seconds_total{%s} 5", id);
	assert_line(&page, line);
	snprintf(line, sizeof(line), "a_b{%s} 7", id); /* the first of two that become the same */
	assert_line(&page, line);
	snprintf(line, sizeof(line), "_9{%s} 9", id);
	assert_line(&page, line);
	assert_null(strstr(strstr(page.p, "\na_b{") + 1, "\na_b{"));
	page.len = 0;
	assert_int_equal(cgm_prometheus_render(s, &bare, CGM_PROMETHEUS_OPENMETRICS, &page), 0);
	check_page(&page, true);
	assert_memory_equal(page.p + page.len - 6, "# EOF\n", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extras__sockets),
		cmocka_unit_test(test_extras__hugetlb_resctrl_and_processes),
		cmocka_unit_test(test_extras__perf),
		cmocka_unit_test(test_extras__operations_and_costs),
		cmocka_unit_test(test_machine__topology),
		cmocka_unit_test(test_apps),
	};

	return cmocka_run_group_tests_name("prometheus_extras", tests, NULL, NULL);
}
