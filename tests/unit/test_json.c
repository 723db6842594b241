// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include "kernel/kernel.h"
#include "output/json.h"

/* ---- helpers ---- */

static const char *const names[] = { "/", "/a", "/a-b", "/a-b/x", "/a/c", "/a/c/d", "/b" };

static void assert_text(struct cgm_buf *b, const char *want)
{
	cgm_buf_char(b, '\0');
	assert_false(b->failed);
	assert_string_equal(b->p, want);
	b->len = 0;
}

/* ---- samples ---- */

static const struct {
	const char *path;
	enum cgm_unit unit;
} values[] = {
#define CGM_VALUE(id, kind, unit, json, v1, v2) { json, CGM_##unit },
#include "cgmeter/metrics.def"
};

static const struct {
	const char *array, *op;
} disk_values[] = {
#define CGM_DISK_VALUE(id, kind, unit, json, op) { json, op },
#include "cgmeter/metrics.def"
};

static const char *const iface_values[] = {
#define CGM_IFACE_VALUE(id, kind, unit, json) json,
#include "cgmeter/metrics.def"
};

static const char *const fs_values[] = {
#define CGM_FS_VALUE(id, kind, unit, json) json,
#include "cgmeter/metrics.def"
};

static void check_values(const json_t *stats, size_t row, unsigned tick)
{
	for (unsigned v = 0; v < CGM_NR_VALUES; v++) {
		uint64_t want = synth_value(row, tick, v);

		if (!*values[v].path) /* not one of cAdvisor's */
			continue;
		if (values[v].unit == CGM_CENTI)
			assert_int_equal((int64_t)(json_number_value(at_path(stats, values[v].path)) * 100 + 0.5), want);
		else
			assert_int_equal(integer_at(stats, values[v].path), want);
	}
}

static void check_disks(const json_t *stats, size_t row, unsigned tick)
{
	for (unsigned v = 0; v < CGM_NR_DISK_VALUES; v++) {
		const json_t *list = json_object_get(json_object_get(stats, "diskio"), disk_values[v].array);

		assert_int_equal(json_array_size(list), 2);
		for (unsigned d = 0; d < 2; d++) {
			const json_t *disk = json_array_get(list, d);

			assert_string_equal(json_string_value(json_object_get(disk, "device")), d ? "/dev/disk8_16" : "/dev/disk8_0");
			assert_int_equal(integer_at(disk, "major"), 8);
			assert_int_equal(integer_at(disk, "minor"), 16 * d);
			assert_int_equal(json_integer_value(json_object_get(json_object_get(disk, "stats"), disk_values[v].op)),
					 synth_value(row, tick, 600 + 50 * d + v));
		}
	}
}

static const struct {
	const char *object, *type;
} numa_values[] = {
#define CGM_NUMA_VALUE(id, json, scope, type) { json, type },
#include "cgmeter/metrics.def"
};

static void check_numa(const json_t *stats, size_t row, unsigned tick)
{
	for (unsigned v = 0; v < CGM_NR_NUMA_VALUES; v++) {
		const json_t *data = json_object_get(json_object_get(stats, "memory"), numa_values[v].object);
		const json_t *nodes = json_object_get(json_object_get(data, "numa_stats"), numa_values[v].type);

		assert_int_equal(json_object_size(nodes), 2);
		assert_int_equal(integer_at(nodes, "0"), synth_value(row, tick, 900 + v));
		assert_int_equal(integer_at(nodes, "1"), synth_value(row, tick, 910 + v));
	}
}

static void check_machine_parts(const json_t *stats, unsigned tick)
{
	const json_t *network = json_object_get(stats, "network"), *fs = json_array_get(json_object_get(stats, "filesystem"), 0);

	assert_string_equal(json_string_value(json_object_get(network, "name")), "eth0");
	assert_int_equal(json_array_size(json_object_get(network, "interfaces")), 2);
	for (unsigned v = 0; v < CGM_NR_IFACE_VALUES; v++) {
		assert_int_equal(integer_at(network, iface_values[v]), synth_value(0, tick, 700 + v));
		assert_int_equal(integer_at(json_array_get(json_object_get(network, "interfaces"), 1), iface_values[v]), synth_value(0, tick, 750 + v));
	}
	assert_string_equal(json_string_value(json_object_get(fs, "device")), "/dev/vda1");
	assert_string_equal(json_string_value(json_object_get(fs, "type")), "vfs");
	for (unsigned v = 0; v < CGM_NR_FS_VALUES; v++) {
		if (v == CGM_FS_HAS_INODES)
			assert_true(json_is_true(json_object_get(fs, "has_inodes")));
		else
			assert_int_equal(integer_at(fs, fs_values[v]), synth_value(0, tick, 800 + v));
	}
}

static void check_numbers(const json_t *object, const char *const *keys, size_t nr, size_t row, unsigned tick, unsigned where)
{
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(integer_at(object, keys[i]), synth_value(row, tick, where + (unsigned)i));
}

static void check_sockets(const json_t *network, unsigned tick)
{
	static const char *const tcp[] = {
#define CGM_TCP_VALUE(id, json, state) json,
#include "cgmeter/metrics.def"
	};
	static const char *const udp[] = {
#define CGM_UDP_VALUE(id, json, state) json,
#include "cgmeter/metrics.def"
	};
	static const char *const advanced[] = {
#define CGM_TCP_ADVANCED(name) #name,
#include "cgmeter/tcp_advanced.def"
	};

	check_numbers(json_object_get(network, "tcp"), tcp, ARRAY_SIZE(tcp), 0, tick, 1020);
	check_numbers(json_object_get(network, "tcp6"), tcp, ARRAY_SIZE(tcp), 0, tick, 1040);
	check_numbers(json_object_get(network, "udp"), udp, ARRAY_SIZE(udp), 0, tick, 1060);
	check_numbers(json_object_get(network, "udp6"), udp, ARRAY_SIZE(udp), 0, tick, 1070);
	check_numbers(json_object_get(network, "tcp_advanced"), advanced, ARRAY_SIZE(advanced), 0, tick, 1100);
}

static void check_extras(const json_t *stats, size_t row, unsigned tick)
{
	static const char *const hugetlb[] = { "usage", "max_usage", "failcnt" };
	const json_t *perf = json_object_get(stats, "perf_stats"), *uncore = json_object_get(stats, "perf_uncore_stats");
	const json_t *bandwidth = at_path(stats, "resctrl.memory_bandwidth"), *cache = at_path(stats, "resctrl.cache");

	check_numbers(at_path(stats, "hugetlb.2MB"), hugetlb, 3, row, tick, 1000);
	check_numbers(at_path(stats, "hugetlb.1GB"), hugetlb, 3, row, tick, 1010);
	assert_int_equal(json_array_size(perf), 2);
	assert_int_equal(integer_at(json_array_get(perf, 1), "value"), synth_value(row, tick, 1322));
	assert_int_equal(integer_at(json_array_get(perf, 1), "cpu"), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(perf, 1), "name")), "cpu-clock");
	assert_true(json_number_value(json_object_get(json_array_get(perf, 0), "scaling_ratio")) * 1e9 - (double)synth_value(row, tick, 1321) < 0.01);
	assert_int_equal(json_array_size(uncore), row ? 0 : 1);
	if (!row) {
		assert_string_equal(json_string_value(at_path(uncore, "name")), "reads");
		assert_string_equal(json_string_value(at_path(uncore, "pmu")), "uncore_imc_0");
		assert_int_equal(integer_at(json_array_get(uncore, 0), "socket"), 0);
	}
	assert_int_equal(integer_at(json_array_get(bandwidth, 1), "mbm_total_bytes"), synth_value(row, tick, 1310));
	assert_int_equal(integer_at(json_array_get(bandwidth, 1), "mbm_local_bytes"), synth_value(row, tick, 1311));
	assert_int_equal(integer_at(json_array_get(cache, 0), "llc_occupancy"), synth_value(row, tick, 1302));
}

static void test_json_stats__every_field(void **state)
{
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	synth_init(&y, names, ARRAY_SIZE(names));
	synth_tick(&y);
	s = synth_snapshot(&y);
	for (size_t i = 0; i < s->nr_rows; i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
		json_t *j;

		cgm_json_stats(&b, s->rows[i].time_ns, s->rows[i].layout, s->rows[i].values, NULL);
		j = parse(&b);
		check(j, "ContainerStats");
		check_values(j, i, 0);
		check_disks(j, i, 0);
		check_numa(j, i, 0);
		check_extras(j, i, 0);
		assert_int_equal(json_array_size(at_path(j, "cpu.usage.per_cpu_usage")), 2);
		assert_int_equal(json_integer_value(json_array_get(at_path(j, "cpu.usage.per_cpu_usage"), 1)), synth_value(i, 0, 501));
		assert_true(i ? !json_object_get(j, "network") && !json_object_get(j, "filesystem") : 1);
		if (i == 0) {
			check_machine_parts(j, 0);
			check_sockets(json_object_get(j, "network"), 0);
		}
		json_decref(j);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_stats__omissions(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	synth_init(&y, names, 1);
	y.bare = true;
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_json_stats(&b, s->rows[0].time_ns, s->rows[0].layout, s->rows[0].values, NULL);
	j = parse(&b);
	check(j, "ContainerStats");
	assert_null(json_object_get(j, "network"));
	assert_null(json_object_get(j, "filesystem"));
	assert_null(json_object_get(j, "processes"));
	assert_null(json_object_get(j, "oom_events"));
	assert_null(at_path(j, "cpu.usage.per_cpu_usage"));
	assert_int_equal(json_object_size(json_object_get(j, "diskio")), 1);
	assert_int_equal(json_object_size(at_path(j, "memory.container_data.numa_stats")), 0);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_stats__limits(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	synth_init(&y, names, 1);
	synth_tick(&y);
	s = synth_snapshot(&y);
	s->rows[0].values[CGM_V_THREADS_MAX] = UINT64_MAX; /* no limit */
	s->rows[0].values[CGM_V_CPU_LOAD_AVERAGE] = UINT64_MAX;
	s->rows[0].values[CGM_V_CPU_USAGE_TOTAL] = UINT64_MAX;
	cgm_json_stats(&b, s->rows[0].time_ns, s->rows[0].layout, s->rows[0].values, NULL);
	j = parse(&b); /* jansson takes nothing above 2^63-1 */
	assert_null(at_path(j, "processes.threads_max"));
	assert_int_equal(integer_at(j, "cpu.load_average"), INT32_MAX);
	assert_int_equal(integer_at(j, "cpu.usage.total"), INT64_MAX);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- containers ---- */

static struct cgm_stream *stream_of(struct cgm_snapshot *s, size_t row, bool recursive, const struct cgm_json_request *request)
{
	const struct cgm_selection selection = { .snapshot = s, .top = row, .recursive = recursive };

	return cgm_json_containers(s, &selection, recursive ? CGM_CONTAINERS_ARRAY : CGM_CONTAINERS_ONE, request);
}

static json_t *containers(struct cgm_snapshot *s, const char *name, bool recursive, struct cgm_json_request request)
{
	const struct cgm_row *row = cgm_snapshot_find(s, name);

	assert_non_null(row);
	return parse_stream(stream_of(s, (size_t)(row - s->rows), recursive, &request));
}

/* "name(child child)" of one container. */
static void describe(const json_t *j, char *buf, size_t size)
{
	size_t len = strlen(buf), i;
	json_t *child;

	len += (size_t)snprintf(buf + len, size - len, "%s(", json_string_value(json_object_get(j, "name")));
	json_array_foreach(json_object_get(j, "subcontainers"), i, child)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? " " : "", json_string_value(json_object_get(child, "name")));
	snprintf(buf + len, size - len, ")");
}

static void test_json_containers__tree(void **state)
{
	static const struct {
		const char *name, *alone, *recursive;
	} cases[] = {
		{ "/", "/(/a /a-b /b)", "/(/a /a-b /b)/a(/a/c)/a-b(/a-b/x)/a-b/x()/a/c(/a/c/d)/a/c/d()/b()" },
		{ "/a", "/a(/a/c)", "/a(/a/c)/a/c(/a/c/d)/a/c/d()" },
		{ "/a-b", "/a-b(/a-b/x)", "/a-b(/a-b/x)/a-b/x()" },
		{ "/b", "/b()", "/b()" },
	};
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	synth_init(&y, names, ARRAY_SIZE(names));
	synth_tick(&y);
	s = synth_snapshot(&y);
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		json_t *one = containers(s, cases[c].name, false, CGM_JSON_REQUEST_DEFAULT);
		json_t *all = containers(s, cases[c].name, true, CGM_JSON_REQUEST_DEFAULT), *element;
		char text[512] = "";
		size_t i;

		check(one, "ContainerInfo");
		describe(one, text, sizeof(text));
		assert_string_equal(text, cases[c].alone);
		text[0] = '\0';
		json_array_foreach(all, i, element) {
			check(element, "ContainerInfo");
			assert_int_equal(json_array_size(json_object_get(element, "stats")), 1);
			describe(element, text, sizeof(text));
		}
		assert_string_equal(text, cases[c].recursive);
		json_decref(one);
		json_decref(all);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_containers__which_samples(void **state)
{
	static const uint64_t at = SYNTH_FIRST_NS, step = SYNTH_STEP_NS;
	static const struct {
		struct cgm_json_request request;
		unsigned first, nr;
	} cases[] = {
		{ { .nr_stats = 60 }, 40, 60 },
		{ { .nr_stats = -1 }, 0, 100 },
		{ { .nr_stats = 0 }, 0, 0 },
		{ { .nr_stats = 1 }, 99, 1 },
		{ { .nr_stats = 1000 }, 0, 100 },
		{ { .nr_stats = -1, .start_ns = at + 90 * step }, 90, 10 },
		{ { .nr_stats = -1, .end_ns = at + 4 * step }, 0, 5 },
		{ { .nr_stats = 2, .start_ns = at + 10 * step, .end_ns = at + 20 * step }, 19, 2 },
		{ { .nr_stats = -1, .start_ns = at + 200 * step }, 0, 0 },
		{ { .nr_stats = -1, .end_ns = 1 }, 0, 0 },
	};
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	synth_init(&y, names, 2);
	for (unsigned i = 0; i < 100; i++)
		synth_tick(&y);
	s = synth_snapshot(&y);
	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		json_t *j = containers(s, "/a", false, cases[c].request), *stats = json_object_get(j, "stats");

		assert_int_equal(stats != NULL, cases[c].nr > 0);
		assert_int_equal(json_array_size(stats), cases[c].nr);
		for (unsigned i = 0; i < cases[c].nr; i++) {
			int64_t ns;

			assert_int_equal(cgm_parse_rfc3339(cgm_str(json_string_value(json_object_get(json_array_get(stats, i), "timestamp"))), &ns), 0);
			assert_int_equal(ns, at + (cases[c].first + i) * step);
			check_values(json_array_get(stats, i), 1, cases[c].first + i);
		}
		json_decref(j);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_containers__spec(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct cgm_json_request none = { .nr_stats = 0 };
	struct synth y;
	struct cgm_snapshot *s;
	size_t longest;

	(void)state;
	synth_init(&y, names, 1);
	synth_tick(&y);
	s = synth_snapshot(&y);
	s->rows[0].spec.memory_limit = UINT64_MAX;
	s->rows[0].spec.memory_reservation = 9223372036854771712ULL;
	s->rows[0].spec.pids_limit = UINT64_MAX;
	s->rows[0].spec.cpu_quota_usec = 0;
	assert_int_equal(drain(stream_of(s, 0, false, &none), &text, &longest), 0);
	assert_text(&text, "{\"name\":\"/\",\"spec\":{\"creation_time\":\"2026-09-21T14:13:20.000000005Z\",\"start_time\":\"0001-01-01T00:00:00Z\","
			   "\"has_cpu\":true,\"cpu\":{\"limit\":1024,\"max_limit\":0,\"mask\":\"0-1\",\"period\":100000},\"has_memory\":true,"
			   "\"memory\":{\"limit\":18446744073709551615,\"reservation\":9223372036854771712},\"has_hugetlb\":false,"
			   "\"has_network\":false,\"has_processes\":true,\"processes\":{\"limit\":18446744073709551615},\"has_filesystem\":false,"
			   "\"has_diskio\":true,\"has_custom_metrics\":false}}");
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* A name may hold any byte but a slash and zero, a piece stays small however large the answer is. */
static void test_json_containers__odd_names_small_pieces(void **state)
{
	static const char *const odd[] = { "/", "/a\"\\\n", "/a\"\\\n/\xff\xfe" };
	struct cgm_json_request all = { .nr_stats = -1 };
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct synth y;
	struct cgm_snapshot *s;
	size_t longest;
	json_t *j;

	(void)state;
	synth_init(&y, odd, ARRAY_SIZE(odd));
	for (unsigned i = 0; i < 300; i++)
		synth_tick(&y);
	s = synth_snapshot(&y);
	assert_int_equal(drain(stream_of(s, 0, true, &all), &text, &longest), 0);
	assert_true(text.len > 2000000);
	assert_true(longest < 16384);
	j = parse(&text);
	assert_int_equal(json_array_size(j), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(j, 1), "name")), odd[1]);
	assert_string_equal(json_string_value(json_object_get(json_array_get(j, 2), "name")), "/a\"\\\n/\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- machine ---- */

static void test_json_machine__schema(void **state)
{
	unsigned threads[] = { 0, 1 };
	uint64_t distances[] = { 10 };
	struct cgm_cache cache = { 0, 1, 32768, "Data" };
	struct cgm_hugepages pages = { 2048, 7 };
	struct cgm_core core = { .core_id = 3, .book_id = 4, .drawer_id = -1, .threads = threads, .nr_threads = 2, .caches = &cache, .nr_caches = 1 };
	struct cgm_numa_node node = { .memory_bytes = 5, .hugepages = &pages, .nr_hugepages = 1, .cores = &core, .nr_cores = 1, .caches = &cache,
				      .nr_caches = 1, .distances = distances, .nr_distances = 1 };
	struct cgm_fs_info fs = { .device = (char *)"/dev/vda", .mountpoint = (char *)"/", .type = (char *)"vfs", .has_inodes = true };
	struct cgm_disk_info disk = { "vda", 254, 16, 1 << 30, "none" };
	struct cgm_net_info nic = { "eth0", "02:fc:00:00:00:01", -1, 1400 };
	struct cgm_machine m = { .time_ns = 1, .vendor_id = "AuthenticAMD", .nr_cpus = 2, .hugepages = &pages, .nr_hugepages = 1, .fs = &fs, .nr_fs = 1,
				 .disks = &disk, .nr_disks = 1, .nics = &nic, .nr_nics = 1, .nodes = &node, .nr_nodes = 1 };
	struct cgm_machine empty = { 0 };
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	const json_t *first;
	json_t *j;

	(void)state;
	cgm_json_machine(&b, &m);
	j = parse(&b);
	check(j, "MachineInfo");
	assert_int_equal(integer_at(j, "num_cores"), 2);
	assert_string_equal(json_string_value(at_path(j, "disk_map.254:16.scheduler")), "none");
	assert_int_equal(integer_at(json_array_get(json_object_get(j, "network_devices"), 0), "speed"), -1);
	first = json_array_get(json_object_get(json_array_get(json_object_get(j, "topology"), 0), "cores"), 0);
	assert_int_equal(json_array_size(json_object_get(first, "thread_ids")), 2);
	assert_string_equal(json_string_value(json_object_get(first, "book_id")), "4");
	assert_null(json_object_get(first, "drawer_id"));
	json_decref(j);
	b.len = 0;
	cgm_json_machine(&b, &empty);
	j = parse(&b);
	check(j, "MachineInfo");
	json_decref(j);
}

/* ---- the page's ---- */

static void test_json_tree__with_and_without_kernel_side(void **state)
{
	(void)state;
	for (int live = 0; live < 2; live++) {
		struct synth y;
		struct cgm_snapshot *s;
		const json_t *row;
		json_t *j;

		synth_init(&y, names, ARRAY_SIZE(names));
		y.live = live;
		synth_tick(&y);
		s = synth_snapshot(&y);
		j = parse_stream(cgm_json_tree(s));
		assert_int_equal(integer_at(j, "time_ns"), s->time_ns);
		assert_int_equal(json_array_size(json_object_get(j, "containers")), ARRAY_SIZE(names));
		row = json_array_get(json_object_get(j, "containers"), 5);
		assert_string_equal(json_string_value(json_object_get(row, "name")), "/a/c/d");
		assert_int_equal(integer_at(row, "parent"), 4);
		assert_int_equal(integer_at(row, "cpu_usage_ns"), synth_value(5, 0, CGM_V_CPU_USAGE_TOTAL));
		assert_int_equal(integer_at(row, "memory_working_set_bytes"), synth_value(5, 0, CGM_V_MEMORY_WORKING_SET));
		assert_int_equal(integer_at(row, "nr_tasks"), synth_value(5, 0, CGM_V_THREADS_CURRENT));
		if (live) {
			assert_int_equal(integer_at(row, "socket_rx_bytes"), 123);
			assert_int_equal(integer_at(row, "socket_tx_bytes"), 45);
			assert_int_equal(integer_at(row, "block_read_bytes"), 4096);
			assert_int_equal(integer_at(row, "block_write_bytes"), 8192);
			assert_int_equal(integer_at(row, "runq_delay_sum_ns"), 77782);
			assert_int_equal(integer_at(row, "runq_delay_count"), 105 * 106 / 2 + 5 * 106);
		} else {
			assert_true(json_is_null(json_object_get(row, "socket_rx_bytes")));
			assert_true(json_is_null(json_object_get(row, "runq_delay_count")));
		}
		json_decref(j);
		cgm_snapshot_unref(s);
		synth_done(&y);
	}
}

static void test_json_waits__with_and_without_kernel_side(void **state)
{
	(void)state;
	for (int live = 0; live < 2; live++) {
		struct synth y;
		struct cgm_snapshot *s;
		const json_t *block, *wait;
		json_t *j;

		synth_init(&y, names, 2);
		y.live = live;
		synth_tick(&y);
		s = synth_snapshot(&y);
		j = parse_stream(cgm_json_waits(s, 1));
		assert_int_equal(json_array_size(json_object_get(j, "bounds_ns")), 27); /* one for each doubling */
		assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "bounds_ns"), 0)), 953);
		assert_int_equal(json_is_null(json_object_get(j, "block")), !live);
		if (live) {
			assert_int_equal(integer_at(j, "runq_delay.count"), 105 * 106 / 2 + 106);
			assert_int_equal(integer_at(j, "runq_delay.sum_ns"), 77778);
			assert_int_equal(json_integer_value(json_array_get(at_path(j, "runq_delay.buckets"), 27)), 106);
			assert_int_equal(json_integer_value(json_array_get(at_path(j, "runq_delay.buckets"), 1)), 2 + 3 + 4 + 5);
			assert_int_equal(integer_at(j, "off_cpu.iowait.count"), 9);
			assert_int_equal(integer_at(j, "runq_delay.first"), 0);
			assert_int_equal(json_array_size(at_path(j, "runq_delay.fine")), CGM_HIST_BUCKETS);
			assert_int_equal(json_integer_value(json_array_get(at_path(j, "runq_delay.fine"), 7)), 8);
			wait = json_array_get(json_object_get(j, "waits"), 0);
			assert_int_equal(json_array_size(json_object_get(j, "waits")), 1);
			assert_string_equal(json_string_value(json_object_get(wait, "family")), "cgmeter_container_memory_reclaim_seconds");
			assert_string_equal(json_string_value(json_object_get(wait, "labels")), "reason=\"limit\"");
			assert_int_equal(integer_at(wait, "hist.count"), 3);
			assert_int_equal(json_array_size(json_object_get(j, "block")), 2);
			block = json_array_get(json_object_get(j, "block"), 1);
			assert_string_equal(json_string_value(json_object_get(block, "op")), "write");
			assert_int_equal(integer_at(block, "in_flight"), 2);
			assert_int_equal(integer_at(block, "queue_to_done.count"), 3);
		} else {
			assert_true(json_is_null(json_object_get(j, "runq_delay")));
		}
		json_decref(j);
		cgm_snapshot_unref(s);
		synth_done(&y);
	}
}

static void test_json_status__fields(void **state)
{
	struct cgm_program_status programs[] = {
		{ .name = "sched_switch", .hook = "sched_switch", .mode = "btf", .runs = 7, .run_ns = 1500 },
		{ .name = "block_done", .hook = "x", .mode = "off", .reason = "no \"BTF\"" },
	};
	struct cgm_group_status groups[] = { { .name = "cpu", .on = true }, { .name = "lock", .reason = "off \\ by default", .nr_switched_off = 3 } };
	struct cgm_map_status maps[] = { { .name = "cgm_slots", .bytes = 8192 } };
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	s->self.programs = programs;
	s->self.nr_programs = 2;
	s->self.groups = groups;
	s->self.nr_groups = 2;
	s->self.maps = maps;
	s->self.nr_maps = 1;
	s->self.overhead_ppm = 12345;
	cgm_json_status(&b, s, "1.2.3", true);
	j = parse(&b);
	assert_string_equal(json_string_value(json_object_get(j, "version")), "1.2.3");
	assert_string_equal(json_string_value(json_object_get(j, "cgroup_mode")), "hybrid");
	assert_int_equal(json_object_size(json_object_get(j, "drops")), CGM_NR_DROPS);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "drops"), cgm_drop_name(CGM_DROP_EVENTS))), 6);
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "programs"), 1), "reason")), "no \"BTF\"");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(j, "programs"), 0), "run_ns")), 1500);
	assert_true(json_is_true(json_object_get(json_array_get(json_object_get(j, "groups"), 0), "on")));
	assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "groups"), 1), "reason")), "off \\ by default");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(j, "groups"), 1), "nr_switched_off")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(j, "maps"), 0), "bytes")), 8192);
	assert_int_equal(json_integer_value(json_object_get(j, "overhead_ppm")), 12345);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- out of memory ---- */

static int render_all(struct cgm_snapshot *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct cgm_json_request all = { .nr_stats = -1 };
	size_t longest;
	int r;

	r = drain(stream_of(s, 0, true, &all), &text, &longest);
	if (r == 0)
		r = drain(cgm_json_tree(s), &text, &longest);
	if (r == 0)
		r = drain(cgm_json_waits(s, 1), &text, &longest);
	if (r == 0)
		cgm_json_status(&text, s, "1", false);
	return text.failed ? -ENOMEM : r;
}

static void test_json__every_allocation_fails(void **state)
{
	unsigned long nr, refs;
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	synth_init(&y, names, ARRAY_SIZE(names));
	y.live = true;
	for (unsigned i = 0; i < 3; i++)
		synth_tick(&y);
	s = synth_snapshot(&y);
	refs = s->refs;
	cgm_mem_fail_at(1000000);
	assert_int_equal(render_all(s), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 10);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(render_all(s), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, refs);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_stats__every_field),
		cmocka_unit_test(test_json_stats__omissions),
		cmocka_unit_test(test_json_stats__limits),
		cmocka_unit_test(test_json_containers__tree),
		cmocka_unit_test(test_json_containers__which_samples),
		cmocka_unit_test(test_json_containers__spec),
		cmocka_unit_test(test_json_containers__odd_names_small_pieces),
		cmocka_unit_test(test_json_machine__schema),
		cmocka_unit_test(test_json_tree__with_and_without_kernel_side),
		cmocka_unit_test(test_json_waits__with_and_without_kernel_side),
		cmocka_unit_test(test_json_status__fields),
		cmocka_unit_test(test_json__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("json", tests, read_schema, free_schema);
}
