// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "output/prometheus.h"
#include "unit/prometheus_page.h"
#include "unit/snapshot_fixture.h"

DEFINE_CLEANUP(cgm_snapshot, cgm_snapshot_unref)
DEFINE_CLEANUP(cgm_prometheus, cgm_prometheus_free)
#define _cleanup_snapshot_ _cleanup_(cgm_snapshot_freep)
#define _cleanup_buf_ _cleanup_(cgm_buf_done)

static const struct cgm_machine machine = {
	.nr_cpus = 8,
	.nr_physical_cores = 4,
	.nr_sockets = 1,
	.memory_bytes = 25276510208,
	.machine_id = "m1",
	.system_uuid = "u1",
	.boot_id = "b1",
	.kernel_version = "6.18.44",
	.os_version = "Debian \"12\"",
};

/* ---- tests ---- */

static const struct fixture_config full = { .nr_rows = 4, .nr_cpus = 2, .disk = true, .live = true, .extras = true, .root_devices = true };

static void render(struct cgm_buf *page, const struct cgm_snapshot *s, enum cgm_prometheus_format format)
{
	cgm_buf_done(page);
	assert_non_null(s);
	assert_int_equal(cgm_prometheus_render(s, &machine, format, page), 0);
	cgm_buf_char(page, '\0');
	page->len--;
}

static void assert_line(const struct cgm_buf *page, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = page->p; (p = strstr(p, line)); p++)
		if ((p == page->p || p[-1] == '\n') && p[len] == '\n')
			return;
	fail_msg("not on the page: %s", line);
}

static void assert_absent(const struct cgm_buf *page, const char *text)
{
	if (strstr(page->p, text))
		fail_msg("on the page: %s", text);
}

static void test_prometheus_render__both_formats_are_well_formed(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	size_t nr;

	(void)state;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	nr = check_page(&page, false);
	assert_true(nr > 800);
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	assert_int_equal(check_page(&page, true), nr);
	assert_line(&page, "# TYPE container_memory_failcnt unknown");
	assert_line(&page, "# TYPE container_cpu_usage_seconds counter");
	assert_line(&page, "# UNIT container_cpu_usage_seconds seconds");
	assert_line(&page, "# TYPE cgmeter_build info");
	assert_line(&page, "cgmeter_build_info{version=\"" CGM_VERSION "\"} 1");
}

static void test_prometheus_render__names_that_need_escapes(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	cgm_identity_unref(s->rows[1].identity);
	s->rows[1].identity = cgm_identity_new("/a\\x2d\"b\"\n\xff");
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	s->rows[1].values[CGM_V_MEMORY_RSS] = 5;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page(&page, true);
	assert_line(&page, "container_memory_rss{id=\"/a\\\\x2d\\\"b\\\"\\n\\\\xff\"} 5");
	assert_line(&page, "cgmeter_program_attached{program=\"block_issue\",hook=\"block_rq_issue\",mode=\"off\","
			   "reason=\"no \\\"BTF\\\"\\nin C:\\\\boot\"} 0");
}

static void test_prometheus_render__units_are_exact(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1, .nr_cpus = 3 });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	uint64_t *v = s->rows[0].values;

	(void)state;
	v[CGM_V_CPU_USAGE_USER] = 1031290000000;
	v[CGM_V_CPU_USAGE_SYSTEM] = UINT64_MAX;
	v[CGM_V_CPU_PSI_SOME_TOTAL] = 1000001;
	v[CGM_V_CPU_LOAD_AVERAGE] = 1500;
	v[CGM_V_MEMORY_USAGE] = 10000000000000000000U;
	v[CGM_V_MEMORY_CACHE] = 0;
	v[CGM_V_MEMORY_RSS] = 9;
	v[CGM_V_MEMORY_SWAP] = 10;
	v[CGM_V_MEMORY_KERNEL] = 999999;
	v[CGM_V_MEMORY_MAPPED_FILE] = 1000000;
	v[CGM_V_THREADS_MAX] = UINT64_MAX;
	v[CGM_NR_VALUES] = 754999878906;
	v[CGM_NR_VALUES + 1] = 0;
	v[CGM_NR_VALUES + 2] = 1;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_line(&page, "container_cpu_user_seconds_total{id=\"/\"} 1031.29");
	assert_line(&page, "container_cpu_system_seconds_total{id=\"/\"} 18446744073.709551615");
	assert_line(&page, "container_pressure_cpu_waiting_seconds_total{id=\"/\"} 1.000001");
	assert_line(&page, "container_cpu_load_average_10s{id=\"/\"} 1500");
	assert_line(&page, "container_memory_usage_bytes{id=\"/\"} 10000000000000000000");
	assert_line(&page, "container_memory_cache{id=\"/\"} 0");
	assert_line(&page, "container_memory_rss{id=\"/\"} 9");
	assert_line(&page, "container_memory_swap{id=\"/\"} 10");
	assert_line(&page, "container_memory_kernel_usage{id=\"/\"} 999999");
	assert_line(&page, "container_memory_mapped_file{id=\"/\"} 1000000");
	assert_line(&page, "container_threads_max{id=\"/\"} 0");
	assert_line(&page, "container_cpu_usage_seconds_total{id=\"/\",cpu=\"cpu00\"} 754.999878906");
	assert_line(&page, "container_cpu_usage_seconds_total{id=\"/\",cpu=\"cpu02\"} 0.000000001");
	assert_absent(&page, "cpu=\"cpu01\"");
	assert_absent(&page, "cpu=\"total\"");
	assert_line(&page, "cgmeter_tick_cpu_seconds_total 1.5");
	assert_line(&page, "process_start_time_seconds 1795361498.5");
}

static void test_prometheus_render__numbers_at_each_power_of_ten(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1 });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	char line[128];

	(void)state;
	for (uint64_t power = 1; power <= 1000000000000000000; power *= 10) {
		for (int around = -1; around <= 1; around++) {
			uint64_t v = power * 10 + (uint64_t)around;

			s->rows[0].values[CGM_V_MEMORY_RSS] = v;
			render(&page, s, CGM_PROMETHEUS_TEXT);
			snprintf(line, sizeof(line), "container_memory_rss{id=\"/\"} %llu", (unsigned long long)v);
			assert_line(&page, line);
		}
	}
}

static void test_prometheus_render__without_cpus_the_total(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2 });
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	s->rows[0].values[CGM_V_CPU_USAGE_TOTAL] = 2500000000;
	s->rows[1].values[CGM_V_CPU_USAGE_TOTAL] = 0;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_line(&page, "container_cpu_usage_seconds_total{id=\"/\",cpu=\"total\"} 2.5");
	assert_absent(&page, "container_cpu_usage_seconds_total{id=\"/k");
	s->rows[0].values[CGM_V_CPU_USAGE_TOTAL] = 0;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_absent(&page, "container_cpu_usage_seconds_total"); /* the header neither */
}

static void test_prometheus_render__no_source_no_sample(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2, .nr_cpus = 1 });
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	s->rows[0].layout->have[CGM_V_MEMORY_PGSCAN / 64] &= ~(1ULL << CGM_V_MEMORY_PGSCAN % 64);
	s->rows[0].layout->have[CGM_V_MEMORY_PGSTEAL / 64] &= ~(1ULL << CGM_V_MEMORY_PGSTEAL % 64);
	s->rows[1].layout->have[CGM_V_MEMORY_PGSCAN / 64] &= ~(1ULL << CGM_V_MEMORY_PGSCAN % 64);
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_absent(&page, "container_memory_pgscan_total");
	assert_absent(&page, "container_memory_pgsteal_total{id=\"/\"}");
	assert_non_null(strstr(page.p, "container_memory_pgsteal_total{id=\"/k"));
	assert_absent(&page, "cgmeter_container_cpu_"); /* no kernel side */
	assert_absent(&page, "cgmeter_container_block_");
	assert_absent(&page, "cgmeter_container_socket_");
	assert_absent(&page, "container_network_");
	assert_absent(&page, "container_fs_");
}

static void test_prometheus_render__spec_rules(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 3 });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	char line[300];

	(void)state;
	s->rows[2].spec.has_cpu = s->rows[2].spec.has_memory = false;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_line(&page, "container_start_time_seconds{id=\"/\"} 1795361498");
	assert_line(&page, "container_last_seen{id=\"/\"} 1795362956");
	assert_line(&page, "container_spec_cpu_period{id=\"/\"} 100000");
	assert_line(&page, "container_spec_cpu_shares{id=\"/\"} 1024");
	assert_line(&page, "container_spec_memory_limit_bytes{id=\"/\"} 1073741824");
	assert_line(&page, "container_spec_memory_swap_limit_bytes{id=\"/\"} 0");
	assert_absent(&page, "container_spec_cpu_quota{id=\"/\"}");
	assert_absent(&page, "container_cpu_cfs_periods_total{id=\"/\"}");
	snprintf(line, sizeof(line), "container_spec_cpu_quota{%s} 50000", s->rows[1].identity->labels);
	assert_line(&page, line);
	snprintf(line, sizeof(line), "container_spec_memory_limit_bytes{%s} 0", s->rows[1].identity->labels);
	assert_line(&page, line);
	snprintf(line, sizeof(line), "container_cpu_cfs_periods_total{%s} ", s->rows[1].identity->labels);
	assert_non_null(strstr(page.p, line));
	snprintf(line, sizeof(line), "container_spec_cpu_period{%s}", s->rows[2].identity->labels);
	assert_absent(&page, line);
	snprintf(line, sizeof(line), "container_spec_memory_limit_bytes{%s}", s->rows[2].identity->labels);
	assert_absent(&page, line);
	snprintf(line, sizeof(line), "container_memory_rss{%s}", s->rows[2].identity->labels);
	assert_non_null(strstr(page.p, line));
}

static void test_prometheus_render__numa(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *two = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2, .nr_nodes = 2 });
	_cleanup_snapshot_ struct cgm_snapshot *one = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2, .nr_nodes = 1 });
	_cleanup_buf_ struct cgm_buf page = { 0 }, other = { 0 };

	(void)state;
	two->rows[0].values[two->rows[0].layout->blocks[1].first + CGM_NUMA_TOTAL_ANON] = 77;
	render(&page, two, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_line(&page, "container_memory_numa_pages{id=\"/\",type=\"anon\",scope=\"hierarchy\",node=\"1\"} 77");
	render(&other, one, CGM_PROMETHEUS_TEXT);
	assert_non_null(strstr(other.p, ",node=\"0\"} "));
	assert_absent(&other, ",node=\"1\"");
}

static void test_prometheus_render__devices(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };
	struct cgm_layout *l = s->rows[0].layout, *l1 = s->rows[1].layout;
	uint64_t *disk = s->rows[0].values + l->blocks[1].first, *fs = s->rows[0].values + l->blocks[4].first, *tools = fs + CGM_NR_FS_VALUES;
	char line[300];

	(void)state;
	disk[CGM_DISK_IOS_READ] = 111;
	disk[CGM_DISK_BYTES_READ] = 222;
	fs[CGM_FS_READS_COMPLETED] = 333;
	fs[CGM_FS_IO_TIME] = 1500;
	fs[CGM_FS_HAS_INODES] = 0;
	memset(tools, 0, CGM_NR_FS_VALUES * sizeof(*tools)); /* unmounted */
	l1->blocks[1].name[0] = '\0';
	s->rows[1].values[l1->blocks[1].first + CGM_DISK_IOS_READ] = 444;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	/* of the machine: the file system's number, not the cgroup's; bytes only the cgroup has */
	assert_line(&page, "container_fs_reads_total{id=\"/\",device=\"/dev/vda\"} 333");
	assert_line(&page, "container_fs_reads_bytes_total{id=\"/\",device=\"/dev/vda\"} 222");
	assert_line(&page, "container_fs_io_time_seconds_total{id=\"/\",device=\"/dev/vda\"} 1.5");
	assert_line(&page, "container_blkio_device_usage_total{id=\"/\",device=\"/dev/vda\",major=\"254\",minor=\"0\",operation=\"Read\"} 222");
	assert_absent(&page, "container_fs_inodes_free{id=\"/\"");
	assert_absent(&page, "/mnt/tools");
	assert_non_null(strstr(page.p, "container_network_receive_bytes_total{id=\"/\",interface=\"wg\\\"0\"} "));
	snprintf(line, sizeof(line), "container_fs_reads_total{%s,device=\"254:0\"} 444", s->rows[1].identity->labels);
	assert_line(&page, line);
}

/* A container's file system is that of its writable layer: no requests, which are counted by device; inodes are those in use. */
static void test_prometheus_render__layers_logs_and_volumes(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 2, .disk = true, .layers = true });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	struct cgm_volume volumes[] = { { .name = "po\"ol", .usage.used_bytes = 5 }, { .name = "data", .plugin = "kubernetes.io/empty-dir", .usage.used_bytes = 6 },
					{ .name = "data", .plugin = "kubernetes.io/csi", .usage.used_bytes = 7 } };
	const struct cgm_storage storage = { .has_logs = true, .logs.used_bytes = 4, .volumes = volumes, .nr_volumes = 3 };
	struct cgm_layout *l = s->rows[1].layout;
	uint64_t *disk = s->rows[1].values + l->blocks[0].first, *fs = s->rows[1].values + l->blocks[1].first;
	const char *labels = s->rows[1].identity->labels;
	static const struct {
		const char *family, *rest;
	} want[] = {
		{ "container_fs_usage_bytes", ",device=\"/dev/vda\"} 11" },
		{ "container_fs_limit_bytes", ",device=\"/dev/vda\"} 12" },
		{ "container_fs_inodes_total", ",device=\"/dev/vda\"} 13" },
		{ "container_fs_inodes_free", ",device=\"/dev/vda\"} 14" },
		{ "container_fs_reads_total", ",device=\"/dev/vda\"} 444" },
		{ "container_logs_usage_bytes", "} 4" },
		{ "container_volume_usage_bytes", ",volume=\"po\\\"ol\"} 5" },
		{ "container_volume_usage_bytes", ",volume=\"data\",plugin=\"kubernetes.io/empty-dir\"} 6" },
		{ "container_volume_usage_bytes", ",volume=\"data\",plugin=\"kubernetes.io/csi\"} 7" },
	};
	char line[400];

	(void)state;
	memset(fs, 0, CGM_NR_FS_VALUES * sizeof(*fs));
	fs[CGM_FS_USAGE] = 11;
	fs[CGM_FS_CAPACITY] = 12;
	fs[CGM_FS_INODES] = 13;
	fs[CGM_FS_INODES_FREE] = 14;
	disk[CGM_DISK_IOS_READ] = 444;
	s->rows[1].storage = cgm_storage_new(&storage);
	assert_non_null(s->rows[1].storage);
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		snprintf(line, sizeof(line), "%s{%s%s", want[i].family, labels, want[i].rest);
		assert_line(&page, line);
	}
	snprintf(line, sizeof(line), "container_fs_sector_reads_total{%s", labels);
	assert_absent(&page, line);
}

static void test_prometheus_render__histogram(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 1, .live = true });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	static const uint64_t buckets[] = { 1, 10, 20, 30, 40, 50, 60, 70, 80, 100 };
	static const uint64_t last[] = { 1000, 10000 };
	struct cgm_live_sched *live = &s->rows[0].live->sched;

	(void)state;
	live->runq_delay = (struct cgm_live_hist){ .count = 461, .sum_ns = 123456789012, .first = 0, .nr = 10, .buckets = buckets };
	live->on_cpu = (struct cgm_live_hist){ .count = 11000, .sum_ns = 1, .first = CGM_HIST_BUCKETS - 2, .nr = 2, .buckets = last };
	live->off_cpu[CGM_OFF_BLOCKED] = (struct cgm_live_hist){ 0 };
	s->rows[0].live->blocks[1].name[0] = '\0';
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_bucket{id=\"/\",le=\"9.5367431640625e-07\"} 1");
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_bucket{id=\"/\",le=\"3.814697265625e-06\"} 361");
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_bucket{id=\"/\",le=\"1.52587890625e-05\"} 461");
	assert_line(&page, "cgmeter_container_cpu_slice_seconds_bucket{id=\"/\",le=\"16\"} 0");
	assert_line(&page, "cgmeter_container_cpu_slice_seconds_bucket{id=\"/\",le=\"64\"} 1000");
	assert_line(&page, "cgmeter_container_cpu_slice_seconds_bucket{id=\"/\",le=\"+Inf\"} 11000");
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_bucket{id=\"/\",le=\"+Inf\"} 461");
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_sum{id=\"/\"} 123.456789012");
	assert_line(&page, "cgmeter_container_cpu_runqueue_delay_seconds_count{id=\"/\"} 461");
	assert_absent(&page, "le=\"1.9073486328125e-06\"");
	assert_absent(&page, "kind=\"blocked\""); /* never counted */
	assert_non_null(strstr(page.p, "cgmeter_container_cpu_off_seconds_bucket{id=\"/\",kind=\"sleep\",le=\"9.5367431640625e-07\"} "));
	assert_non_null(strstr(page.p, "cgmeter_container_block_latency_seconds_sum{id=\"/\",device=\"/dev/vda\",operation=\"read\"} "));
	assert_non_null(strstr(page.p, "cgmeter_container_block_latency_seconds_sum{id=\"/\",device=\"254:0\",operation=\"write\"} "));
	assert_line(&page, "cgmeter_container_block_in_flight{id=\"/\",device=\"254:0\",operation=\"write\"} 1");
}

/* The agent's own has no labels but le, and is left out like any other while it has counted nothing. */
static void test_prometheus_render__histogram_without_labels(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 20 });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	static const uint64_t late_ns[] = { 0, 953, 954, 1000000000, 1000000001, 65000000000 };

	(void)state;
	s->self.late = (struct cgm_hist){ 0 };
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_absent(&page, "cgmeter_tick_late_seconds");
	for (size_t i = 0; i < ARRAY_SIZE(late_ns); i++)
		cgm_hist_add(&s->self.late, late_ns[i]);
	render(&page, s, CGM_PROMETHEUS_TEXT);
	check_page(&page, false);
	assert_line(&page, "# TYPE cgmeter_tick_late_seconds histogram");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"9.5367431640625e-07\"} 2");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"3.814697265625e-06\"} 3");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"1\"} 4");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"4\"} 5");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"64\"} 5");
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"+Inf\"} 6");
	assert_line(&page, "cgmeter_tick_late_seconds_sum 67.000001908");
	assert_line(&page, "cgmeter_tick_late_seconds_count 6");
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page(&page, true);
	assert_line(&page, "cgmeter_tick_late_seconds_bucket{le=\"1.0\"} 4");
}

static void test_prometheus_render__machine_and_agent(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	render(&page, s, CGM_PROMETHEUS_TEXT);
	assert_line(&page, "machine_cpu_cores{machine_id=\"m1\",system_uuid=\"u1\",boot_id=\"b1\"} 8");
	assert_line(&page, "machine_memory_bytes{machine_id=\"m1\",system_uuid=\"u1\",boot_id=\"b1\"} 25276510208");
	assert_line(&page, "cadvisor_version_info{cadvisorRevision=\"\",cadvisorVersion=\"" CGM_VERSION
			   "\",dockerVersion=\"\",kernelVersion=\"6.18.44\",osVersion=\"Debian \\\"12\\\"\"} 1");
	assert_line(&page, "machine_scrape_error 0");
	assert_line(&page, "cgmeter_cgroup_mode{mode=\"hybrid\"} 1");
	assert_line(&page, "cgmeter_counters_adopted 1");
	assert_line(&page, "cgmeter_program_attached{program=\"sched_switch\",hook=\"tp_btf/sched_switch\",mode=\"btf\",reason=\"\"} 1");
	assert_non_null(strstr(page.p, "cgmeter_dropped_total{reason=\""));
	page.len = 0;
	assert_int_equal(cgm_prometheus_render(s, NULL, CGM_PROMETHEUS_TEXT, &page), 0);
	cgm_buf_char(&page, '\0');
	assert_line(&page, "machine_scrape_error 1");
	assert_absent(&page, "machine_cpu_cores");
	assert_absent(&page, "cadvisor_version_info");
}

#define BIT(g) (1ULL << CGM_G_##g)

/* What no flag hides is shown though its group is not; what nobody counts is not. */
static void test_prometheus_render__groups(void **state)
{
	static struct cgm_group_status groups[] = { { .name = "sched", .reason = "a \"test\"", .nr_switched_off = 2 }, { .name = "cpu", .on = true } };
	static struct cgm_map_status maps[] = { { .name = "cgm_slots", .bytes = 8192 } };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	s->self.groups = groups;
	s->self.nr_groups = 2;
	s->self.maps = maps;
	s->self.nr_maps = 1;
	s->self.user_ns = 1500000000;
	s->self.groups_off = BIT(MEMORY) | BIT(PERCPU);
	s->self.groups_idle = BIT(SCHED) | BIT(TASK);
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page(&page, true);
	assert_absent(&page, "container_memory_usage_bytes");
	assert_absent(&page, "container_memory_cache");
	assert_absent(&page, "cpu=\"cpu00\"");
	assert_non_null(strstr(page.p, "cpu=\"total\""));
	assert_absent(&page, "cgmeter_container_cpu_"); /* counted by sched: own families, and cAdvisor's */
	assert_absent(&page, "container_cpu_schedstat_");
	assert_absent(&page, "container_tasks_state");
	assert_absent(&page, "container_processes"); /* counted by task */
	assert_non_null(strstr(page.p, "container_threads{")); /* of the same group, from files */
	assert_non_null(strstr(page.p, "cgmeter_container_socket_bytes_total{"));
	assert_non_null(strstr(page.p, "container_fs_writes_bytes_total{"));
	assert_line(&page, "cgmeter_group_enabled{group=\"sched\",reason=\"a \\\"test\\\"\"} 0");
	assert_line(&page, "cgmeter_group_enabled{group=\"cpu\",reason=\"\"} 1");
	assert_line(&page, "cgmeter_group_switched_off_total{group=\"sched\"} 2");
	assert_line(&page, "cgmeter_map_memory_bytes{map=\"cgm_slots\"} 8192");
	assert_line(&page, "cgmeter_program_runs_total{program=\"sched_switch\"} 7");
	assert_line(&page, "cgmeter_program_run_seconds_total{program=\"sched_switch\"} 0.0000015");
	assert_absent(&page, "cgmeter_program_runs_total{program=\"block_issue\"}"); /* never ran */
	assert_line(&page, "cgmeter_agent_cpu_seconds_total{mode=\"user\"} 1.5");
	assert_line(&page, "cgmeter_agent_cpu_seconds_total{mode=\"system\"} 0");
	/* Off from the start the devices' values are the files'; switched off later they would go backwards. */
	s->self.groups_idle = BIT(BLOCK);
	page.len = 0;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	assert_non_null(strstr(page.p, "container_fs_writes_bytes_total{"));
	assert_absent(&page, "cgmeter_container_block_");
	s->self.groups_paused = BIT(BLOCK);
	page.len = 0;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	assert_absent(&page, "container_fs_writes_bytes_total{");
	assert_non_null(strstr(page.p, "container_fs_usage_bytes{"));
}

/* The last family of the page may be hidden like any other: its end is still written. */
static void test_prometheus_render__every_group_off(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	s->self.groups_off = s->self.groups_idle = (1ULL << CGM_NR_GROUPS) - 1;
	render(&page, s, CGM_PROMETHEUS_OPENMETRICS);
	check_page(&page, true);
	assert_absent(&page, "container_cpu_usage_seconds_total");
	assert_absent(&page, "cgmeter_container_");
	assert_non_null(strstr(page.p, "container_last_seen{"));
	assert_non_null(strstr(page.p, "cgmeter_ticks_total "));
}

/* The last row becomes one of a container that has ended: counters, times and the peak of memory, within their families; no other gauge. */
static void test_prometheus_render__ended(void **state)
{
	static const enum cgm_prometheus_format formats[] = { CGM_PROMETHEUS_TEXT, CGM_PROMETHEUS_OPENMETRICS };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	_cleanup_buf_ struct cgm_buf page = { 0 };

	(void)state;
	cgm_identity_unref(s->rows[3].identity);
	s->rows[3].identity = cgm_identity_new("/ended");
	s->rows[3].spec.cpu_quota_usec = 50000;
	s->rows[3].time_ns = 1795362900ULL * 1000000000;
	s->rows[3].values[CGM_V_CPU_USAGE_USER] = 5000000000;
	s->rows[3].values[CGM_V_MEMORY_MAX_USAGE] = 20 << 20;
	s->nr_rows = 3;
	s->nr_ended = 1;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		render(&page, s, formats[i]);
		check_page(&page, formats[i] == CGM_PROMETHEUS_OPENMETRICS); /* families are in one piece, no series comes twice */
		assert_line(&page, "container_cpu_user_seconds_total{id=\"/ended\"} 5");
		assert_line(&page, "container_memory_max_usage_bytes{id=\"/ended\"} 20971520");
		assert_line(&page, "container_last_seen{id=\"/ended\"} 1795362900");
		assert_line(&page, "container_start_time_seconds{id=\"/ended\"} 1795361498");
		assert_non_null(strstr(page.p, "cgmeter_container_cpu_slice_seconds_count{id=\"/ended\"}"));
		assert_non_null(strstr(page.p, "cgmeter_container_block_bytes_total{id=\"/ended\""));
		assert_non_null(strstr(page.p, "container_fs_writes_bytes_total{id=\"/ended\""));
		assert_absent(&page, "container_memory_usage_bytes{id=\"/ended\"");
		assert_absent(&page, "container_memory_working_set_bytes{id=\"/ended\"");
		assert_absent(&page, "container_processes{id=\"/ended\"");
		assert_absent(&page, "container_tasks_state{id=\"/ended\"");
		assert_absent(&page, "container_spec_memory_limit_bytes{id=\"/ended\"");
		assert_absent(&page, "container_fs_io_current{id=\"/ended\"");
		assert_absent(&page, "cgmeter_container_sockets{id=\"/ended\"");
		assert_absent(&page, "container_network_tcp_usage_total{id=\"/ended\"");
	}
	/* What no slot was found for still comes behind them all. */
	s->overflow = &s->rows[0];
	s->self.show_empty_labels = true;
	render(&page, s, CGM_PROMETHEUS_PROTOBUF);
	assert_non_null(memmem(page.p, page.len, "/ended", 6));
	render(&page, s, CGM_PROMETHEUS_KUBELET);
	assert_non_null(strstr(page.p, "container_cpu_user_seconds_total{container=\"\",id=\"/ended\",image=\"\",name=\"\",namespace=\"\",pod=\"\"} 5 "));
	assert_absent(&page, "container_memory_usage_bytes{container=\"\",id=\"/ended\"");
}

static void test_prometheus_render__every_allocation_fails_once(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&full);
	unsigned long n = 1;

	(void)state;
	for (;; n++) {
		_cleanup_buf_ struct cgm_buf page = { 0 };
		int err;

		cgm_mem_fail_at(n);
		err = cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_OPENMETRICS, &page);
		cgm_mem_fail_at(0);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_true(page.failed);
	}
	assert_in_range(n, 5, 50);
}

static uint64_t render_in_pieces(const struct cgm_snapshot *s)
{
	_cleanup_(cgm_prometheus_freep) struct cgm_prometheus *p = cgm_prometheus_new(s, &machine, CGM_PROMETHEUS_TEXT);
	_cleanup_buf_ struct cgm_buf piece = { 0 };
	uint64_t start_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	while (cgm_prometheus_next(p, 65536, &piece) == 1)
		piece.len = 0;
	return cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
}

static void test_prometheus_render__500_rows(void **state)
{
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 500, .nr_cpus = 2, .disk = true, .live = true, .root_devices = true });
	_cleanup_buf_ struct cgm_buf page = { 0 };
	uint64_t best_ns = UINT64_MAX, start_ns;
	size_t nr_lines = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		page.len = 0;
		start_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
		assert_int_equal(cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_TEXT, &page), 0);
		start_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
		if (i == 0)
			print_message("%.2f ms into a fresh buffer\n", (double)start_ns / 1e6);
		best_ns = MIN(best_ns, start_ns);
	}
	for (const char *p = page.p; (p = memchr(p, '\n', page.len - (size_t)(p - page.p))); p++)
		nr_lines++;
	print_message("%.2f ms in pieces\n", (double)render_in_pieces(s) / 1e6);
	print_message("%.2f ms into a used one, %zu lines, %.1f MB\n", (double)best_ns / 1e6, nr_lines, (double)page.len / 1e6);
	assert_true(nr_lines > 500 * 150);
}

static void test_prometheus_next__pieces_make_the_same_page(void **state)
{
	static const size_t wants[] = { 1, 1000, 65536, SIZE_MAX };
	_cleanup_snapshot_ struct cgm_snapshot *s = fixture_snapshot(&(struct fixture_config){ .nr_rows = 100, .nr_cpus = 2, .disk = true, .live = true, .root_devices = true });
	_cleanup_buf_ struct cgm_buf whole = { 0 };

	(void)state;
	s->rows[0].live = NULL; /* a family whose first sample is not in the first row */
	for (size_t i = 0; i < 70; i++)
		s->rows[i].spec.cpu_quota_usec = 0; /* nor in the first piece */
	assert_int_equal(cgm_prometheus_render(s, &machine, CGM_PROMETHEUS_OPENMETRICS, &whole), 0);
	check_page(&whole, true);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		_cleanup_(cgm_prometheus_freep) struct cgm_prometheus *p = cgm_prometheus_new(s, &machine, CGM_PROMETHEUS_OPENMETRICS);
		_cleanup_buf_ struct cgm_buf piece = { 0 };
		size_t at = 0;
		int more;

		assert_non_null(p);
		while ((more = cgm_prometheus_next(p, wants[i], &piece)) == 1) {
			assert_true(at + piece.len <= whole.len);
			assert_true(piece.len >= wants[i] || at + piece.len == whole.len);
			assert_memory_equal(piece.p, whole.p + at, piece.len);
			at += piece.len;
			piece.len = 0;
		}
		assert_int_equal(more, 0);
		assert_int_equal(at, whole.len);
		assert_true(wants[i] == SIZE_MAX || piece.cap <= 300000);
	}
	cgm_mem_fail_at(1);
	assert_null(cgm_prometheus_new(s, NULL, CGM_PROMETHEUS_TEXT));
	cgm_mem_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prometheus_render__both_formats_are_well_formed),
		cmocka_unit_test(test_prometheus_render__names_that_need_escapes),
		cmocka_unit_test(test_prometheus_render__units_are_exact),
		cmocka_unit_test(test_prometheus_render__numbers_at_each_power_of_ten),
		cmocka_unit_test(test_prometheus_render__without_cpus_the_total),
		cmocka_unit_test(test_prometheus_render__no_source_no_sample),
		cmocka_unit_test(test_prometheus_render__spec_rules),
		cmocka_unit_test(test_prometheus_render__numa),
		cmocka_unit_test(test_prometheus_render__devices),
		cmocka_unit_test(test_prometheus_render__layers_logs_and_volumes),
		cmocka_unit_test(test_prometheus_render__histogram),
		cmocka_unit_test(test_prometheus_render__histogram_without_labels),
		cmocka_unit_test(test_prometheus_render__machine_and_agent),
		cmocka_unit_test(test_prometheus_render__groups),
		cmocka_unit_test(test_prometheus_render__every_group_off),
		cmocka_unit_test(test_prometheus_render__ended),
		cmocka_unit_test(test_prometheus_render__every_allocation_fails_once),
		cmocka_unit_test(test_prometheus_next__pieces_make_the_same_page),
		cmocka_unit_test(test_prometheus_render__500_rows),
	};

	return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
