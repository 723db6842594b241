// SPDX-License-Identifier: Apache-2.0
/* What v2 and the events say, against cAdvisor's schema, and what is left out. */
#include "schema.h"

#include "output/json.h"

static const char *const names[] = { "/", "/a", "/a-b", "/a/c" };

static struct cgm_snapshot *snapshot(struct synth *y, unsigned nr_ticks)
{
	struct cgm_snapshot *s;

	synth_init(y, names, ARRAY_SIZE(names));
	for (unsigned i = 0; i < nr_ticks; i++)
		synth_tick(y);
	s = synth_snapshot(y);
	s->rows[1].summary = cgm_summary_new(0);
	assert_non_null(s->rows[1].summary);
	for (uint64_t i = 0; i < 100; i++)
		cgm_summary_add(s->rows[1].summary, &(struct cgm_usage_sample){ .time_ns = SYNTH_FIRST_NS + i * SYNTH_STEP_NS, .has_cpu = true,
										.cpu_ns = i * 250000000 });
	return s;
}

static json_t *render(struct cgm_snapshot *s, enum cgm_v2_kind kind, size_t top, bool recursive, int64_t count)
{
	struct cgm_selection sel = { .snapshot = s, .top = top, .recursive = recursive };

	return parse_stream(cgm_json_v2(s, kind, &sel, count));
}

static void check_all(const json_t *j, const char *type)
{
	const char *name;
	json_t *member;

	json_object_foreach((json_t *)j, name, member) check_type(member, cgm_str(type), name);
}

/* "a b": the keys of an object, in order. */
static void assert_keys(const json_t *j, const char *want)
{
	char text[512] = "";
	const char *key;
	json_t *member;
	size_t len = 0;

	json_object_foreach((json_t *)j, key, member) len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "", key);
	assert_string_equal(text, want);
}

static void test_stats_20__schema_and_samples(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 5);
	json_t *j = render(s, CGM_V20_STATS, 0, true, -1);
	const json_t *first, *last;

	(void)state;
	assert_keys(j, "/ /a /a-b /a/c");
	check_all(j, "[]v2.DeprecatedContainerStats");
	assert_int_equal(json_array_size(json_object_get(j, "/a")), 5);
	first = json_array_get(json_object_get(j, "/a"), 0);
	last = json_array_get(json_object_get(j, "/a"), 4);
	assert_null(json_object_get(first, "cpu_inst")); /* there is no sample before it */
	/* Each value grows by 1000 a second; CPU times are ns. */
	assert_int_equal(integer_at(last, "cpu_inst.usage.total"), 1000);
	assert_int_equal(integer_at(last, "cpu_inst.usage.user"), 1000);
	assert_int_equal(integer_at(last, "cpu_inst.usage.system"), 1000);
	assert_int_equal(json_array_size(at_path(last, "cpu_inst.usage.per_cpu_usage")), 2);
	assert_true(json_is_true(json_object_get(last, "has_processes")));
	assert_true(json_is_true(json_object_get(last, "has_load")));
	assert_true(json_is_false(json_object_get(last, "has_network")));
	assert_true(json_is_true(json_object_get(json_array_get(json_object_get(j, "/"), 0), "has_network")));
	assert_null(json_object_get(json_object_get(last, "network"), "interfaces"));
	assert_null(json_object_get(last, "filesystem"));
	json_decref(j);
	j = render(s, CGM_V20_STATS, 1, false, 2);
	assert_keys(j, "/a");
	assert_int_equal(json_array_size(json_object_get(j, "/a")), 2);
	json_decref(j);
	j = render(s, CGM_V20_STATS, 1, true, 0);
	assert_keys(j, "/a /a/c");
	assert_int_equal(json_array_size(json_object_get(j, "/a")), 0);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_stats_21__omissions(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 3);
	const json_t *sample;
	json_t *j;

	(void)state;
	s->rows[1].spec.has_memory = s->rows[1].spec.has_diskio = false;
	s->rows[3].spec.has_cpu = false;
	j = render(s, CGM_V21_STATS, 0, true, 64);
	assert_keys(j, "/a /a-b /a/c"); /* the machine is in machinestats */
	check_all(j, "v2.ContainerInfo");
	sample = json_array_get(at_path(j, "/a.stats"), 1);
	assert_keys(sample, "timestamp cpu cpu_inst hugetlb processes load_stats perf_stats referenced_memory resctrl");
	assert_keys(json_array_get(at_path(j, "/a/c.stats"), 1), "timestamp diskio memory hugetlb processes load_stats perf_stats referenced_memory resctrl");
	assert_int_equal(integer_at(at_path(j, "/a.spec"), "cpu.quota"), 50000);
	assert_int_equal(integer_at(at_path(j, "/a.spec"), "cpu.period"), 100000);
	assert_int_equal(integer_at(at_path(j, "/a.spec"), "processes.limit"), 77);
	json_decref(j);
	j = render(s, CGM_V21_STATS, 0, false, 64);
	assert_keys(j, "");
	json_decref(j);
	j = render(s, CGM_V21_STATS, 1, false, 0);
	assert_keys(json_object_get(j, "/a"), "spec");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_machine_stats__schema(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 3);
	json_t *j = render(s, CGM_V2_MACHINE_STATS, 0, false, 2), *fs;

	(void)state;
	assert_int_equal(json_array_size(j), 2);
	check_type(j, cgm_str("[]v2.MachineStats"), "machinestats");
	fs = json_array_get(json_object_get(json_array_get(j, 1), "filesystem"), 0);
	assert_int_equal(integer_at(fs, "inline.read_duration"), (int64_t)synth_value(0, 2, 800 + CGM_FS_READ_TIME) * 1000000);
	assert_int_equal(integer_at(fs, "inline.reads_completed"), synth_value(0, 2, 800 + CGM_FS_READS_COMPLETED));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_spec_and_summary__schema(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 3);
	json_t *j = render(s, CGM_V2_SPEC, 0, true, 64);

	(void)state;
	assert_keys(j, "/ /a /a-b /a/c");
	check_all(j, "v2.ContainerSpec");
	json_decref(j);
	j = render(s, CGM_V2_SUMMARY, 0, true, 64);
	assert_keys(j, "/ /a /a-b /a/c");
	check_all(j, "DerivedStats");
	/* One whose memory is not known spoils nothing. */
	assert_true(json_is_true(at_path(j, "/a.hour_usage.cpu.present")));
	assert_true(json_is_false(at_path(j, "/a.hour_usage.memory.present")));
	assert_int_equal(integer_at(json_object_get(j, "/a"), "hour_usage.cpu.fifty"), 250);
	assert_int_equal(integer_at(json_object_get(j, "/a"), "hour_usage.percent_complete"), 3);
	assert_true(json_is_false(at_path(j, "/.hour_usage.cpu.present")));
	assert_true(json_is_true(at_path(j, "/.minute_usage.memory.present")));
	json_decref(j);
	j = render(s, CGM_V2_SPEC, s->nr_rows, true, 64);
	assert_keys(j, "");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_machine__attributes_and_storage(void **state)
{
	struct cgm_fs_info fs[] = {
		{ .device = (char *)"/dev/vda1", .mountpoint = (char *)"/", .type = (char *)"vfs", .capacity_bytes = 5, .inodes = 7, .has_inodes = true },
		{ .device = (char *)"/dev/shm", .mountpoint = (char *)"/dev/shm", .type = (char *)"vfs", .capacity_bytes = 6 },
	};
	struct cgm_machine m = { .time_ns = SYNTH_FIRST_NS, .nr_cpus = 2, .kernel_version = "6.1", .fs = fs, .nr_fs = 2 };
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 2);
	json_t *j;

	(void)state;
	cgm_json_attributes(&b, &m, "1.2");
	j = parse(&b);
	check(j, "v2.Attributes");
	json_decref(j);
	b.len = 0;
	assert_int_equal(cgm_json_storage(&b, &m, s, -1, NULL, NULL), 2);
	j = parse(&b);
	check_type(j, cgm_str("[]FsInfo"), "storage");
	assert_int_equal(integer_at(json_array_get(j, 0), "capacity"), synth_value(0, 1, 800 + CGM_FS_CAPACITY)); /* of the newest sample */
	assert_int_equal(integer_at(json_array_get(j, 1), "capacity"), 6);
	assert_true(json_is_null(json_object_get(json_array_get(j, 1), "labels")));
	json_decref(j);
	b.len = 0;
	assert_int_equal(cgm_json_storage(&b, &m, NULL, -1, "root", NULL), 1);
	j = parse(&b);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_array_get(j, 0), "labels"), 0)), "root");
	json_decref(j);
	b.len = 0;
	assert_int_equal(cgm_json_storage(&b, &m, NULL, -1, "docker-images", NULL), 0);
	assert_int_equal(cgm_json_storage(&b, &m, NULL, -1, NULL, "no/such"), 0);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_events__schema(void **state)
{
	struct cgm_events_limits l;
	struct cgm_events_filter f = { .types = 15, .container = "/", .subcontainers = true };
	struct cgm_events *e;
	json_t *j;

	(void)state;
	cgm_events_limits_init(&l);
	e = cgm_events_new(&l, NULL);
	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++)
		cgm_events_add(e, &(struct cgm_happening){ .type = (enum cgm_record_type)t, .time_ns = SYNTH_FIRST_NS + t, .container = "/a\"b",
							   .process = t == CGM_RECORD_OOM_KILL ? "vic\\tim" : NULL, .constraint = CGM_OOM_MEMCG,
							   .number = t == CGM_RECORD_OOM_KILL ? 4711 : -1 });
	j = parse_stream(cgm_json_events(e, &f, UINT64_MAX));
	check_type(j, cgm_str("[]Event"), "events");
	assert_int_equal(json_array_size(j), 4);
	assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "event_type")), "oom");
	assert_keys(json_object_get(json_array_get(j, 0), "event_data"), "");
	assert_int_equal(integer_at(json_array_get(j, 1), "event_data.oom.pid"), 4711);
	assert_string_equal(json_string_value(at_path(json_array_get(j, 1), "event_data.oom.process_name")), "vic\\tim");
	assert_string_equal(json_string_value(at_path(json_array_get(j, 1), "event_data.oom.constraint")), "CONSTRAINT_MEMCG");
	assert_int_equal(integer_at(json_array_get(j, 3), "event_data.container_deletion.exit_code"), -1);
	json_decref(j);
	/* More than a piece holds, in one answer. */
	for (unsigned i = 0; i < 500; i++)
		cgm_events_add(e, &(struct cgm_happening){ .type = CGM_RECORD_CREATION, .time_ns = SYNTH_FIRST_NS + 10 + i, .container = "/many" });
	j = parse_stream(cgm_json_events(e, &f, 300));
	assert_int_equal(json_array_size(j), 300);
	json_decref(j);
	f.types = 0;
	j = parse_stream(cgm_json_events(e, &f, 300));
	assert_int_equal(json_array_size(j), 0);
	json_decref(j);
	cgm_events_free(e);
}

static int render_all(struct cgm_snapshot *s)
{
	struct cgm_selection sel = { .snapshot = s, .recursive = true };
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	size_t longest;
	int r = 0;

	for (enum cgm_v2_kind k = CGM_V2_SPEC; r == 0 && k <= CGM_V2_MACHINE_STATS; k++)
		r = drain(cgm_json_v2(s, k, &sel, -1), &text, &longest);
	return text.failed ? -ENOMEM : r;
}

static void test_json_v2__every_allocation_fails(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y, 3);
	unsigned refs = s->refs;
	unsigned long nr;

	(void)state;
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
		cmocka_unit_test(test_stats_20__schema_and_samples),
		cmocka_unit_test(test_stats_21__omissions),
		cmocka_unit_test(test_machine_stats__schema),
		cmocka_unit_test(test_spec_and_summary__schema),
		cmocka_unit_test(test_machine__attributes_and_storage),
		cmocka_unit_test(test_events__schema),
		cmocka_unit_test(test_json_v2__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("json_v2", tests, read_schema, free_schema);
}
