// SPDX-License-Identifier: Apache-2.0
#include "top_fixture.h"

#include <jansson.h>

#include "top/batch.h"

static const char *const names[] = {"/", "/a", "/a/evil\"\n\x1b\xff\xe2\x80\xae", "/b"};

static void setup(struct cgm_model *m, struct cgm_view *v)
{
	*m = (struct cgm_model){0};
	cgm_view_init(v);
	v->tree = false;
	for (unsigned seconds = 1; seconds < 3; seconds++) {
		struct cgm_feed f = top_feed(names, ARRAY_SIZE(names), seconds);

		for (size_t i = 0; i < f.nr_rows; i++) {
			cgm_feed_set(&f.rows[i], CGM_FEED_CPU_USAGE, seconds * SECOND_NS / (i + 1));
			cgm_feed_set(&f.rows[i], CGM_FEED_WORKING_SET, i == 3 ? UINT64_MAX : 4096 * i);
		}
		top_push(m, f);
	}
	assert_int_equal(cgm_view_build(v, m), 0);
}

static void test_batch_json(void **state)
{
	struct cgm_model m;
	struct cgm_view v;
	struct cgm_buf out = {0};
	json_t *j, *rows, *row;

	(void)state;
	setup(&m, &v);
	m.rows[3].title = "web";
	cgm_batch_json(&m, &v, "maps", "maps /x \"y\"", &out);
	/* One line, whatever the names. */
	assert_ptr_equal(memchr(out.p, '\n', out.len), out.p + out.len - 1);
	j = json_loadb(out.p, out.len, 0, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "source")), "maps");
	assert_string_equal(json_string_value(json_object_get(j, "source_text")), "maps /x \"y\"");
	assert_string_equal(json_string_value(json_object_get(j, "time")), "2026-09-21T14:13:22Z");
	assert_int_equal(json_integer_value(json_object_get(j, "interval_ns")), SECOND_NS);
	rows = json_object_get(j, "containers");
	assert_int_equal(json_array_size(rows), 4);
	row = json_array_get(rows, 2);
	assert_string_equal(json_string_value(json_object_get(row, "name")), "/a/evil\"\n\x1b\xef\xbf\xbd\xe2\x80\xae");
	assert_int_equal(json_object_size(row), CGM_NR_COLUMNS);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 3), "title")), "web");
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		assert_non_null(json_object_get(row, cgm_columns[i].json));
	assert_true(json_number_value(json_object_get(row, "cpu_percent")) > 33.3329 &&
		    json_number_value(json_object_get(row, "cpu_percent")) < 33.3331);
	assert_int_equal(json_integer_value(json_object_get(row, "memory_working_set_bytes")), 8192);
	assert_true(json_is_null(json_object_get(row, "runq_delay_p99_ns")));
	assert_true(json_number_value(json_object_get(json_array_get(rows, 3), "memory_working_set_bytes")) > 1.8e19);
	json_decref(j);
	cgm_buf_done(&out);
	cgm_view_done(&v);
	cgm_model_done(&m);
}

static void test_batch_table(void **state)
{
	static const char wanted[] =
		"# 2026-09-21 14:13:22  1s  4 cgroups  agent \\x1b\n"
		"  CPU%  THR%  RQ50  RQ99   MEM  %LIM  SOME  FULL  BL50  BL99  READ WRITE    RX    TX  RETR TASKS CGROUP\n"
		" 100.0     -     -     -     0     -     -     -     -     -     -     -     -     -     -     - /\n"
		"  50.0     -     -     -  4.0K     -     -     -     -     -     -     -     -     -     -     - /a\n"
		"  33.3     -     -     -  8.0K     -     -     -     -     -     -     -     -     -     -     - "
		"/a/evil\"\\x0a\\x1b\\xff\\u{202e}\n"
		"  25.0     -     -     -   16E     -     -     -     -     -     -     -     -     -     -     - /b\n";
	struct cgm_model m;
	struct cgm_view v;
	struct cgm_buf out = {0};

	(void)state;
	setup(&m, &v);
	cgm_batch_table(&m, &v, "agent \x1b", true, &out);
	cgm_buf_char(&out, '\0');
	assert_string_equal(out.p, wanted);
	out.len = 0;
	v.tree = true;
	assert_int_equal(cgm_view_build(&v, &m), 0);
	cgm_batch_table(&m, &v, "x", true, &out);
	cgm_buf_char(&out, '\0');
	assert_non_null(strstr(out.p, " -     evil\"\\x0a\\x1b\\xff"));
	assert_non_null(strstr(out.p, " -   b\n"));
	cgm_buf_done(&out);
	cgm_view_done(&v);
	cgm_model_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch_json),
		cmocka_unit_test(test_batch_table),
	};

	return cmocka_run_group_tests(tests, top_setup, NULL);
}
