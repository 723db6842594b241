// SPDX-License-Identifier: Apache-2.0
/* What the drivers stdout, statsd and influxdb, and those that write documents, make of a sample, byte by byte. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "sink_fixture.h"

static void make(struct sink_fixture *f, const char *name)
{
	fixture_begin(f);
	cgm_sample_set(&f->sample, CGM_V_CPU_USAGE_TOTAL, 1000);
	cgm_sample_set(&f->sample, CGM_V_CPU_USAGE_USER, 600);
	cgm_sample_set(&f->sample, CGM_V_CPU_LOAD_AVERAGE, 12);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_USAGE, UINT64_MAX);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_PGFAULT, 7);
	cgm_sample_set(&f->sample, CGM_V_MEMORY_TOTAL_PGMAJFAULT, 9);
	assert_int_equal(cgm_sample_cpus(&f->sample, 2), 0);
	f->sample.cpu_ns[0] = 400;
	f->sample.cpu_ns[1] = 600;
	cgm_sample_iface(&f->sample, "eth0")->v[CGM_IFACE_RX_BYTES] = 100;
	cgm_sample_iface(&f->sample, "eth1")->v[CGM_IFACE_RX_BYTES] = 11;
	cgm_sample_iface(&f->sample, "eth1")->v[CGM_IFACE_TX_ERRORS] = 3;
	cgm_sample_fs(&f->sample, "/dev/vda 1", "vfs")->v[CGM_FS_USAGE] = 50;
	cgm_sample_fs(&f->sample, "/dev/vda 1", "vfs")->v[CGM_FS_CAPACITY] = 80;
	cgm_sample_fs(&f->sample, "", "vfs")->v[CGM_FS_CAPACITY] = 5;
	fixture_end(f, name);
}

static void check(const struct cgm_sink_driver *driver, const struct cgm_sink_config *c, struct sink_fixture *f, uint64_t nr_points, const char *wanted)
{
	char fault[CGM_SINK_FAULT] = "";
	const char *flag = NULL;
	struct cgm_buf b = { 0 };
	void *state;

	assert_int_equal(driver->open(c, &state, &flag, fault), 0);
	assert_int_equal(driver->encode(state, &f->s, &b), nr_points);
	driver->close(state);
	cgm_buf_char(&b, '\0');
	assert_false(b.failed);
	assert_string_equal(b.p, wanted);
	cgm_buf_done(&b);
}

static void test_stdout(void **state)
{
	struct sink_fixture f;
	struct cgm_sink_config c = FIXTURE_CONFIG;

	make(&f, "/a b\n");
	(void)state;
	check(&cgm_sink_stdout, &c, &f, 1,
	      "cName=/a\\x20b\\x0a host=node\\x201 timestamp=1790000000123456789 cpu_usage_total=1000 cpu_cumulative_usage=1000 cpu_usage_user=600 "
	      "load_average=12 memory_usage=18446744073709551615 memory_failure.container.pgfault=7 memory_failure.hierarchical.pgmajfault=9 "
	      "cpu_usage_per_cpu.0=400 cpu_usage_per_cpu.1=600 rx_bytes=111 rx_errors=0 tx_bytes=0 tx_errors=3 /dev/vda\\x201.fs_usage=50 "
	      "/dev/vda\\x201.fs_limit=80 fs_summary.fs_usage=50 fs_summary.fs_limit=85\n");
	fixture_done(&f);
}

/* cAdvisor writes what --storage_driver_host says. */
static void test_stdout__host(void **state)
{
	struct cgm_sink_config c = FIXTURE_CONFIG;
	struct sink_fixture f;

	(void)state;
	fixture_begin(&f);
	fixture_end(&f, "/");
	c.host = "my=host";
	check(&cgm_sink_stdout, &c, &f, 1, "cName=/ host=my\\x3dhost timestamp=1790000000123456789\n");
	fixture_done(&f);
}

static void test_statsd(void **state)
{
	struct sink_fixture f;
	struct cgm_sink_config c = FIXTURE_CONFIG;

	make(&f, "/a:b|c");
	(void)state;
	check(&cgm_sink_statsd, &c, &f, 17,
	      "cadvisor./a_b_c.cpu_usage_total:1000|g\ncadvisor./a_b_c.cpu_cumulative_usage:1000|g\ncadvisor./a_b_c.cpu_usage_user:600|g\n"
	      "cadvisor./a_b_c.cpu_load_average:12|g\ncadvisor./a_b_c.memory_usage:18446744073709551615|g\n"
	      "cadvisor./a_b_c.memory_failure.container.pgfault:7|g\ncadvisor./a_b_c.memory_failure.hierarchical.pgmajfault:9|g\n"
	      "cadvisor./a_b_c.cpu_usage_per_cpu.0:400|g\ncadvisor./a_b_c.cpu_usage_per_cpu.1:600|g\ncadvisor./a_b_c.rx_bytes:111|g\n"
	      "cadvisor./a_b_c.rx_errors:0|g\ncadvisor./a_b_c.tx_bytes:0|g\ncadvisor./a_b_c.tx_errors:3|g\n"
	      "cadvisor./a_b_c./dev/vda_1.fs_usage:50|g\ncadvisor./a_b_c./dev/vda_1.fs_limit:80|g\n"
	      "cadvisor./a_b_c.fs_summary.fs_usage:50|g\ncadvisor./a_b_c.fs_summary.fs_limit:85|g\n");
	fixture_done(&f);
}

#define TAGS ",container_name=/a\\ b\\,c"
#define END "i 1790000000123456789\n"

/* Integers are signed there: what is larger is the largest. A device without a name has no tag to stand by, and is left out. */
static void test_influxdb(void **state)
{
	struct sink_fixture f;
	struct cgm_sink_config c = FIXTURE_CONFIG;

	make(&f, "/a b,c");
	(void)state;
	check(&cgm_sink_influxdb, &c, &f, 14,
	      "cpu_usage_total" TAGS ",machine=node\\ 1 value=1000" END "cpu_usage_user" TAGS ",machine=node\\ 1 value=600" END
	      "load_average" TAGS ",machine=node\\ 1 value=12" END "memory_usage" TAGS ",machine=node\\ 1 value=9223372036854775807" END
	      "memory_failure" TAGS ",failure_type=pgfault,machine=node\\ 1,scope=container value=7" END
	      "memory_failure" TAGS ",failure_type=pgmajfault,machine=node\\ 1,scope=hierarchical value=9" END
	      "cpu_usage_per_cpu" TAGS ",instance=0,machine=node\\ 1 value=400" END "cpu_usage_per_cpu" TAGS ",instance=1,machine=node\\ 1 value=600" END
	      "rx_bytes" TAGS ",machine=node\\ 1 value=111" END "rx_errors" TAGS ",machine=node\\ 1 value=0" END
	      "tx_bytes" TAGS ",machine=node\\ 1 value=0" END "tx_errors" TAGS ",machine=node\\ 1 value=3" END
	      "fs_usage" TAGS ",device=/dev/vda\\ 1,machine=node\\ 1,type=usage value=50" END
	      "fs_limit" TAGS ",device=/dev/vda\\ 1,machine=node\\ 1,type=limit value=80" END);
	fixture_done(&f);
}

/* A group that is off is in no driver; nor is what has no source. */
static void test_influxdb__groups_off(void **state)
{
	struct sink_fixture f;
	struct cgm_sink_config c = FIXTURE_CONFIG;

	make(&f, "/a");
	(void)state;
	f.s.groups_off = 1ULL << CGM_G_PERCPU | 1ULL << CGM_G_NETWORK | 1ULL << CGM_G_DISK | 1ULL << CGM_G_MEMORY | 1ULL << CGM_G_CPULOAD;
	check(&cgm_sink_influxdb, &c, &f, 2,
	      "cpu_usage_total,container_name=/a,machine=node\\ 1 value=1000" END "cpu_usage_user,container_name=/a,machine=node\\ 1 value=600" END);
	fixture_done(&f);
}

#define NAME "/a\"b\\\n\xff\x01"

/* The head of a document; the rest is what REST gives, and has a test of its own. */
static void check_document(const struct cgm_sink_driver *driver, const char *head)
{
	struct cgm_sink_config c = FIXTURE_CONFIG;
	struct sink_fixture f;
	char fault[CGM_SINK_FAULT];
	struct cgm_buf b = { 0 };
	const char *flag;
	void *state;

	make(&f, NAME);
	assert_int_equal(driver->open(&c, &state, &flag, fault), 0);
	assert_int_equal(driver->encode(state, &f.s, &b), 1);
	driver->close(state);
	assert_false(b.failed);
	assert_true(b.len > strlen(head));
	assert_memory_equal(b.p, head, strlen(head));
	assert_memory_equal(b.p + b.len - 3, "}}\n", 3);
	cgm_buf_char(&b, '\0');
	assert_non_null(strstr(b.p, "\"cpu\":{\"usage\":{\"total\":1000,\"per_cpu_usage\":[400,600]"));
	cgm_buf_done(&b);
	fixture_done(&f);
}

#define WHO ",\"machine_name\":\"node 1\",\"container_Name\":\"/a\\\"b\\\\\\n\xef\xbf\xbd\\u0001\",\"container_stats\":{\"timestamp\":\"2026-09-21T14:13:20.123456789Z\","

static void test_documents(void **state)
{
	char head[512];

	(void)state;
	check_document(&cgm_sink_redis, "{\"timestamp\":1790000000123456" WHO);
	check_document(&cgm_sink_kafka, "{\"timestamp\":\"2026-09-21T14:13:20.123456789Z\"" WHO);
	snprintf(head, sizeof(head), "{\"index\":{\"_id\":\"%016llx%016llx-1790000000123456789\"}}\n{\"timestamp\":1790000000123456" WHO,
		 (unsigned long long)cgm_hash_bytes("node 1", 6), (unsigned long long)cgm_hash_bytes(NAME, strlen(NAME)));
	check_document(&cgm_sink_elasticsearch, head);
}

static void test_encode__every_allocation_fails(void **state)
{
	const struct cgm_sink_driver *const drivers[] = { &cgm_sink_stdout, &cgm_sink_statsd, &cgm_sink_influxdb, &cgm_sink_redis };
	struct cgm_sink_config c = FIXTURE_CONFIG;
	struct sink_fixture f;
	char fault[CGM_SINK_FAULT];
	const char *flag;

	make(&f, "/a");
	(void)state;
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		unsigned long nr;
		void *driver;

		assert_int_equal(drivers[i]->open(&c, &driver, &flag, fault), 0);
		for (unsigned long n = 1;; n++) {
			struct cgm_buf b = { 0 };
			bool failed;

			cgm_mem_fail_at(n);
			drivers[i]->encode(driver, &f.s, &b);
			failed = b.failed;
			nr = cgm_mem_fail_at(0);
			cgm_buf_done(&b);
			assert_int_equal(failed, nr >= n);
			if (nr < n)
				break;
		}
		drivers[i]->close(driver);
	}
	fixture_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stdout),
		cmocka_unit_test(test_stdout__host),
		cmocka_unit_test(test_statsd),
		cmocka_unit_test(test_influxdb),
		cmocka_unit_test(test_influxdb__groups_off),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_encode__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("sink_series", tests, NULL, NULL);
}
