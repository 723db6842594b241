// SPDX-License-Identifier: Apache-2.0
#include "model/cells.h"
#include "stream_json.h"

static const char *const names[] = { "/", "/a", "/a/b", "/q\"\\\n<b>" };

/* Rows as the sampler numbers them: "/" and "/a" changed at seq 9, the others at 5; "/a/b" is there since 7. */
static struct cgm_snapshot *snapshot(struct synth *y)
{
	struct cgm_snapshot *s;

	synth_init(y, names, ARRAY_SIZE(names));
	y->live = true;
	synth_tick(y);
	s = synth_snapshot(y);
	s->seq = 9;
	s->set_seq = 7;
	s->self.start_time_ns = 1795574024621459868ULL;
	for (size_t i = 0; i < s->nr_rows; i++) {
		s->rows[i].serial = (uint32_t)(10 + i);
		s->rows[i].born_seq = i == 2 ? 7 : 1;
		s->rows[i].changed_seq = i < 2 ? 9 : 5;
	}
	return s;
}

static const json_t *changed(const json_t *j, const char *key)
{
	return json_object_get(json_object_get(j, "changed"), key);
}

static void test_json_rows__all(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y);
	json_t *j = stream_json(cgm_json_rows(s, 0));
	const json_t *named = json_object_get(json_object_get(j, "names"), "name");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "agent")), "1795574024621459868");
	assert_int_equal(json_integer_value(json_object_get(j, "seq")), 9);
	assert_int_equal(json_array_size(json_object_get(j, "ids")), 4);
	assert_int_equal(element(json_object_get(j, "ids"), 3), 13);
	assert_int_equal(element(json_object_get(j, "parents"), 2), 1);
	assert_int_equal(json_array_size(named), 4);
	assert_string_equal(json_string_value(json_array_get(named, 3)), names[3]);
	for (unsigned i = 0; i < CGM_NR_CELLS; i++)
		assert_int_equal(json_array_size(changed(j, cgm_cell_name((enum cgm_cell)i))), 4);
	assert_int_equal(element(changed(j, "cpu_usage_ns"), 2), synth_value(2, 0, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(element(changed(j, "block_write_bytes"), 0), 8192);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_rows__what_changed(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y);
	json_t *j = stream_json(cgm_json_rows(s, 8));

	(void)state;
	/* Nobody came or went after 8: who is there is known. */
	assert_null(json_object_get(j, "ids"));
	assert_null(json_object_get(j, "names"));
	assert_int_equal(json_array_size(changed(j, "row")), 2);
	assert_int_equal(element(changed(j, "row"), 1), 1);
	json_decref(j);
	j = stream_json(cgm_json_rows(s, 6)); /* "/a/b" is new */
	assert_int_equal(json_array_size(json_object_get(j, "ids")), 4);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "names"), "id")), 1);
	assert_int_equal(element(json_object_get(json_object_get(j, "names"), "id"), 0), 12);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(j, "names"), "name"), 0)), "/a/b");
	assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(j, "names"), "title"), 0)), "");
	json_decref(j);
	j = stream_json(cgm_json_rows(s, 9)); /* nothing */
	assert_int_equal(json_array_size(changed(j, "row")), 0);
	assert_int_equal(json_array_size(changed(j, "cpu_usage_ns")), 0);
	json_decref(j);
	j = stream_json(cgm_json_rows(s, 10)); /* of the future: of another agent */
	assert_int_equal(json_array_size(changed(j, "row")), 4);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_rows__not_known_is_null(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y);
	json_t *j;

	(void)state;
	s->rows[1].live = NULL;
	s->rows[1].spec.memory_limit = UINT64_MAX;
	j = stream_json(cgm_json_rows(s, 0));
	assert_true(json_is_null(json_array_get(changed(j, "runq_delay_ns"), 1)));
	assert_true(json_is_null(json_array_get(changed(j, "memory_limit_bytes"), 1)));
	assert_true(json_is_integer(json_array_get(changed(j, "runq_delay_ns"), 0)));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* More rows than one piece holds: commas stand right over the seams, also where nothing of a piece is told. */
static void test_json_rows__many(void **state)
{
	struct cgm_snapshot *s = cgm_snapshot_new(5000);
	struct cgm_layout *l = cgm_calloc(1, sizeof(*l));
	json_t *j;

	(void)state;
	l->refs = 1;
	l->nr_values = CGM_NR_VALUES;
	s->seq = 3;
	s->set_seq = 2;
	for (size_t i = 0; i < 5000; i++) {
		struct cgm_row *r = &s->rows[s->nr_rows++];
		char name[32];

		snprintf(name, sizeof(name), "/c%04zu", i);
		r->identity = cgm_identity_new(name);
		r->layout = cgm_layout_ref(l);
		r->values = cgm_snapshot_alloc(s, CGM_NR_VALUES * sizeof(uint64_t));
		r->serial = (uint32_t)i + 1;
		r->born_seq = i < 2500 ? 2 : 1; /* the names of the second half are known */
		r->changed_seq = i % 2 ? 3 : 1;
	}
	cgm_layout_unref(l);
	j = stream_json(cgm_json_rows(s, 1));
	assert_int_equal(json_array_size(json_object_get(j, "ids")), 5000);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "names"), "name")), 2500);
	assert_int_equal(json_array_size(changed(j, "row")), 2500);
	assert_int_equal(element(changed(j, "row"), 2499), 4999);
	json_decref(j);
	cgm_snapshot_unref(s);
}

static void test_json_rows__every_allocation_fails(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = snapshot(&y);
	unsigned long nr;

	(void)state;
	cgm_mem_fail_at(1000000);
	json_decref(stream_json(cgm_json_rows(s, 0)));
	nr = cgm_mem_fail_at(0);
	for (unsigned long n = 1; n <= nr; n++) {
		_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

		cgm_mem_fail_at(n);
		assert_int_equal(stream_drain(cgm_json_rows(s, 0), &text), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, 1);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_json_rows__titles_and_states(void **state)
{
	static const struct cgm_who who[] = {
		{ .runtime = "docker", .id = "00", .name = "we\"b", .state = CGM_STATE_PAUSED },
		{ .runtime = "containerd", .id = "01", .state = CGM_STATE_RUNNING, .name = "app", .container = "app", .pod = "shop-1", .pod_namespace = "shop" },
		{ .runtime = "containerd", .id = "02", .is_sandbox = true, .pod = "shop-1", .pod_namespace = "shop" },
	};
	static const char *const wanted[] = { "", "we\"b", "shop/shop-1/app", "shop/shop-1/sandbox" }, *const states[] = { "", "paused", "", "" };
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	synth_init(&y, names, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(who); i++)
		y.who[i + 1] = &who[i];
	synth_tick(&y);
	s = synth_snapshot(&y);
	j = stream_json(cgm_json_rows(s, 0));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(j, "names"), "title"), i)), wanted[i]);
		assert_string_equal(json_string_value(json_array_get(json_object_get(json_object_get(j, "names"), "state"), i)), states[i]);
	}
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_rows__all),
		cmocka_unit_test(test_json_rows__what_changed),
		cmocka_unit_test(test_json_rows__not_known_is_null),
		cmocka_unit_test(test_json_rows__titles_and_states),
		cmocka_unit_test(test_json_rows__many),
		cmocka_unit_test(test_json_rows__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("json_rows", tests, NULL, NULL);
}
