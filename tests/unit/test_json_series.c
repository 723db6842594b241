// SPDX-License-Identifier: Apache-2.0
#include "model/trail.h"
#include "stream_json.h"

static const char *const names[] = { "/", "/a" };

struct made {
	struct synth y;
	struct cgm_snapshot *s;
	struct cgm_history *trail;
};

/* nr ticks of both; the trail of "/a" moves at every second tick. */
static void make(struct made *m, unsigned nr)
{
	struct cgm_history *trail = cgm_history_new(3600 * SYNTH_STEP_NS);
	struct cgm_layout *l = cgm_trail_layout_new();
	uint64_t values[CGM_NR_TRAIL_VALUES] = { 0 };

	assert_non_null(trail);
	assert_non_null(l);
	synth_init(&m->y, names, 2);
	m->y.live = true;
	for (unsigned i = 0; i < nr; i++) {
		synth_tick(&m->y);
		if (i % 2)
			continue;
		values[CGM_TRAIL_VOLUNTARY] = 100 + i;
		values[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY) + 5] += 2;
		values[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY) + 7] += 1;
		assert_int_equal(cgm_history_add(trail, l, SYNTH_FIRST_NS + i * SYNTH_STEP_NS, values), 0);
	}
	cgm_layout_unref(l);
	m->s = synth_snapshot(&m->y);
	cgm_history_view_init(trail, &m->s->rows[1].trail);
	m->trail = trail;
}

static void done(struct made *m)
{
	cgm_snapshot_unref(m->s);
	cgm_history_free(m->trail);
	synth_done(&m->y);
}

static json_t *ask(struct made *m, size_t row, struct cgm_json_range range)
{
	return stream_json(cgm_json_series(m->s, row, &range));
}

static const json_t *at(const json_t *j, const char *group, const char *key)
{
	return json_object_get(json_object_get(j, group), key);
}

static void test_json_series__all(void **state)
{
	struct made m;
	const json_t *heat;
	json_t *j;

	(void)state;
	make(&m, 5);
	j = ask(&m, 1, (struct cgm_json_range){ 0 });
	assert_string_equal(json_string_value(json_object_get(j, "name")), "/a");
	assert_string_equal(json_string_value(json_object_get(j, "next")), "1790000004000000000");
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 5);
	assert_int_equal(element(json_object_get(j, "t_us"), 4), 1790000004000000LL);
	assert_true(json_is_null(json_array_get(json_object_get(j, "dt_us"), 0)));
	assert_int_equal(element(json_object_get(j, "dt_us"), 1), 1000000);
	/* Counters as differences, gauges as they are. */
	assert_true(json_is_null(json_array_get(at(j, "values", "cpu.usage.total"), 0)));
	assert_int_equal(element(at(j, "values", "cpu.usage.total"), 1), 1000);
	assert_int_equal(element(at(j, "values", "memory.usage"), 2), synth_value(1, 2, CGM_V_MEMORY_USAGE));
	assert_int_equal(json_array_size(json_object_get(j, "per_cpu")), 2);
	assert_int_equal(element(json_array_get(json_object_get(j, "per_cpu"), 1), 4), 1000);
	assert_int_equal(json_object_size(json_object_get(j, "disks")), 2);
	assert_int_equal(element(at(json_object_get(j, "disks"), "/dev/disk8_16", "io_serviced.Read"), 3), 1000);
	assert_int_equal(json_object_size(json_object_get(j, "interfaces")), 0);
	/* The trail stands still in between. */
	assert_int_equal(element(at(j, "kernel", "switches_voluntary"), 1), 0);
	assert_int_equal(element(at(j, "kernel", "switches_voluntary"), 2), 2);
	heat = at(j, "heat", "runq_delay");
	assert_true(json_is_null(json_array_get(heat, 0)));
	assert_int_equal(element(heat, 1), 0);
	assert_int_equal(json_array_size(json_array_get(heat, 2)), 4); /* from bar 5: 2, 0, 1 */
	assert_int_equal(element(json_array_get(heat, 2), 0), 5);
	assert_int_equal(element(json_array_get(heat, 2), 1), 2);
	assert_int_equal(element(json_array_get(heat, 2), 3), 1);
	json_decref(j);
	done(&m);
}

static void test_json_series__only_what_is_new(void **state)
{
	struct made m;
	json_t *j;

	(void)state;
	make(&m, 6);
	j = ask(&m, 1, (struct cgm_json_range){ .since_ns = SYNTH_FIRST_NS + 3 * SYNTH_STEP_NS });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 2);
	/* The sample that the reader has is still here to compare with: nothing is missed. */
	assert_int_equal(element(json_object_get(j, "dt_us"), 0), 1000000);
	assert_int_equal(element(at(j, "values", "cpu.usage.total"), 0), 1000);
	assert_int_equal(element(at(j, "kernel", "switches_voluntary"), 0), 2);
	json_decref(j);
	j = ask(&m, 1, (struct cgm_json_range){ .since_ns = SYNTH_FIRST_NS + 5 * SYNTH_STEP_NS });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 0);
	assert_string_equal(json_string_value(json_object_get(j, "next")), "1790000005000000000"); /* as it was asked */
	json_decref(j);
	j = ask(&m, 1, (struct cgm_json_range){ .since_ns = UINT64_MAX });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 0);
	json_decref(j);
	done(&m);
}

static void test_json_series__window_and_step(void **state)
{
	struct made m;
	json_t *j;

	(void)state;
	make(&m, 61);
	j = ask(&m, 0, (struct cgm_json_range){ .window_ns = 10 * SYNTH_STEP_NS });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 11);
	assert_int_equal(element(json_object_get(j, "dt_us"), 0), 1000000);
	assert_int_equal(json_object_size(json_object_get(j, "interfaces")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "filesystems")), 1);
	json_decref(j);
	j = ask(&m, 0, (struct cgm_json_range){ .step_ns = 20 * SYNTH_STEP_NS });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 4);
	assert_int_equal(element(json_object_get(j, "dt_us"), 1), 20000000);
	assert_int_equal(element(at(j, "values", "cpu.usage.total"), 3), 20000);
	json_decref(j);
	/* The next one is due a step after the one that the reader has. */
	j = ask(&m, 0, (struct cgm_json_range){ .since_ns = SYNTH_FIRST_NS + 50 * SYNTH_STEP_NS, .step_ns = 20 * SYNTH_STEP_NS });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 0);
	json_decref(j);
	done(&m);
}

static void test_json_series__no_answer_is_too_long(void **state)
{
	struct made m;
	json_t *j;

	(void)state;
	make(&m, CGM_SERIES_SAMPLES + 50);
	j = ask(&m, 1, (struct cgm_json_range){ 0 });
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), CGM_SERIES_SAMPLES);
	assert_int_equal(json_integer_value(json_object_get(j, "skipped")), 50);
	assert_int_equal(element(json_object_get(j, "dt_us"), 0), 1000000);
	json_decref(j);
	j = ask(&m, 1, (struct cgm_json_range){ .step_ns = 1 }); /* steps that leave nothing out */
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), CGM_SERIES_SAMPLES);
	assert_int_equal(json_integer_value(json_object_get(j, "skipped")), 50);
	assert_int_equal(element(json_object_get(j, "t_us"), CGM_SERIES_SAMPLES - 1), (long long)(m.s->time_ns / 1000));
	assert_int_equal(element(json_object_get(j, "dt_us"), 0), 1000000);
	assert_int_equal(element(at(j, "values", "cpu.usage.total"), CGM_SERIES_SAMPLES - 1), 1000);
	json_decref(j);
	done(&m);
}

static void test_json_series__without_kernel_side(void **state)
{
	struct made m;
	json_t *j;

	(void)state;
	make(&m, 3);
	m.s->rows[0].live = NULL;
	j = ask(&m, 0, (struct cgm_json_range){ 0 });
	assert_int_equal(json_object_size(json_object_get(j, "kernel")), 0);
	assert_int_equal(json_object_size(json_object_get(j, "heat")), 0);
	assert_int_equal(json_array_size(json_object_get(j, "t_us")), 3);
	json_decref(j);
	done(&m);
}

/* A disk that came later is not known before; a counter that began anew has no difference. */
static void test_json_series__layouts_and_counters_change(void **state)
{
	struct cgm_history *h = cgm_history_new(3600 * SYNTH_STEP_NS);
	struct cgm_layout *before = NULL, *after = NULL;
	struct cgm_sample sample = { 0 };
	struct cgm_snapshot *s = cgm_snapshot_new(1);
	struct cgm_row *row = &s->rows[s->nr_rows++];
	uint64_t values[CGM_NR_VALUES + CGM_NR_DISK_VALUES];
	struct cgm_json_range all = { 0 };
	json_t *j;

	(void)state;
	cgm_sample_set(&sample, CGM_V_CPU_USAGE_TOTAL, 500);
	before = cgm_layout_for(NULL, &sample, NULL, NULL);
	cgm_layout_pack(before, &sample, values);
	assert_int_equal(cgm_history_add(h, before, SYNTH_FIRST_NS, values), 0);
	cgm_sample_set(&sample, CGM_V_CPU_USAGE_TOTAL, 400);
	cgm_sample_disk(&sample, 8, 0)->v[CGM_DISK_IOS_READ] = 7;
	after = cgm_layout_for(before, &sample, NULL, NULL);
	for (unsigned i = 1; i < 3; i++) {
		cgm_layout_pack(after, &sample, values);
		assert_int_equal(cgm_history_add(h, after, SYNTH_FIRST_NS + i * SYNTH_STEP_NS, values), 0);
		sample.disks[0].v[CGM_DISK_IOS_READ] += 3;
	}
	row->identity = cgm_identity_new("/");
	row->layout = cgm_layout_ref(after);
	row->values = values;
	row->time_ns = SYNTH_FIRST_NS + 2 * SYNTH_STEP_NS;
	cgm_history_view_init(h, &row->history);
	j = stream_json(cgm_json_series(s, 0, &all));
	assert_true(json_is_null(json_array_get(at(j, "values", "cpu.usage.total"), 1)));
	assert_int_equal(element(at(j, "values", "cpu.usage.total"), 2), 0);
	assert_null(at(j, "values", "memory.usage")); /* no source of this machine tells */
	assert_true(json_is_null(json_array_get(at(json_object_get(j, "disks"), "8:0", "io_serviced.Read"), 1)));
	assert_int_equal(element(at(json_object_get(j, "disks"), "8:0", "io_serviced.Read"), 2), 3);
	json_decref(j);
	cgm_snapshot_unref(s);
	cgm_history_free(h);
	cgm_layout_unref(before);
	cgm_layout_unref(after);
	cgm_sample_done(&sample);
}

static void test_json_series__every_allocation_fails(void **state)
{
	struct cgm_json_range all = { 0 };
	unsigned long nr;
	struct made m;

	(void)state;
	make(&m, 20);
	cgm_mem_fail_at(1000000);
	json_decref(stream_json(cgm_json_series(m.s, 1, &all)));
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 4);
	for (unsigned long n = 1; n <= nr; n++) {
		_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

		cgm_mem_fail_at(n);
		assert_int_equal(stream_drain(cgm_json_series(m.s, 1, &all), &text), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(m.s->refs, 1);
	}
	done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_series__all),
		cmocka_unit_test(test_json_series__only_what_is_new),
		cmocka_unit_test(test_json_series__window_and_step),
		cmocka_unit_test(test_json_series__no_answer_is_too_long),
		cmocka_unit_test(test_json_series__without_kernel_side),
		cmocka_unit_test(test_json_series__layouts_and_counters_change),
		cmocka_unit_test(test_json_series__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("json_series", tests, NULL, NULL);
}
