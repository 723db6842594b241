// SPDX-License-Identifier: Apache-2.0
#include "top_fixture.h"

#include <math.h>

static void test_column_format(void **state)
{
	static const struct {
		enum cgm_column_kind kind;
		double v;
		const char *text;
	} cases[] = {
		{CGM_KIND_PERCENT, NAN, "-"},
		{CGM_KIND_PERCENT, 0, "0.0"},
		{CGM_KIND_PERCENT, 99.94, "99.9"},
		{CGM_KIND_PERCENT, 99.96, "100.0"},
		{CGM_KIND_PERCENT, 999.94, "999.9"},
		{CGM_KIND_PERCENT, 999.96, "1000"},
		{CGM_KIND_PERCENT, 99999, "99999"},
		{CGM_KIND_PERCENT, 123456, "123k"},
		{CGM_KIND_TIME, 0, "<1us"},
		{CGM_KIND_TIME, 953, "<1us"},
		{CGM_KIND_TIME, 999.4, "999ns"},
		{CGM_KIND_TIME, 999.6, "1.0us"},
		{CGM_KIND_TIME, 9940, "9.9us"},
		{CGM_KIND_TIME, 9960, "10us"},
		{CGM_KIND_TIME, 999.4e3, "999us"},
		{CGM_KIND_TIME, 999.6e3, "1.0ms"},
		{CGM_KIND_TIME, 999.4e6, "999ms"},
		{CGM_KIND_TIME, 999.6e6, "1.0s"},
		{CGM_KIND_TIME, 12e9, "12s"},
		{CGM_KIND_TIME, 64e9, ">64s"},
		{CGM_KIND_BYTES, 0, "0"},
		{CGM_KIND_BYTES, 1023, "1023"},
		{CGM_KIND_BYTES, 1023.6, "1.0K"},
		{CGM_KIND_BYTES, 1024, "1.0K"},
		{CGM_KIND_BYTES, 10189, "10K"},
		{CGM_KIND_BYTES, 1023.4 * 1024, "1023K"},
		{CGM_KIND_BYTES, 1023.6 * 1024, "1.0M"},
		{CGM_KIND_BYTES, 1.5e19, "13E"},
		{CGM_KIND_RATE, 0.26, "0.3"},
		{CGM_KIND_RATE, 7, "7"},
		{CGM_KIND_RATE, 12345, "12k"},
		{CGM_KIND_COUNT, 99999, "99999"},
		{CGM_KIND_COUNT, 123456, "123k"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[CGM_CELL_TEXT];

		assert_string_equal(cgm_column_format(cases[i].kind, cases[i].v, text), cases[i].text);
	}
}

/* Whatever the value, it fits its column. */
static void test_column_format__width(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < CGM_KIND_TEXT; kind++)
		for (double v = 1e-3; v < 1.9e19; v *= 1.003) {
			char text[CGM_CELL_TEXT];

			if (strlen(cgm_column_format((enum cgm_column_kind)kind, v, text)) > 5)
				fail_msg("kind %u, %g: \"%s\"", kind, v, text);
		}
}

static void test_columns__keys_and_letters_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		assert_int_equal(cgm_column_find(cgm_columns[i].key), i);
		assert_int_equal(cgm_column_of_letter(cgm_columns[i].letter), i);
		assert_true(strlen(cgm_columns[i].title) <= cgm_columns[i].width);
		assert_true(cgm_columns[i].letter != 'G'); /* leads to the end */
		for (unsigned k = 0; k < i; k++) {
			assert_true(!cgm_columns[i].rank || cgm_columns[i].rank != cgm_columns[k].rank);
			assert_string_not_equal(cgm_columns[i].json, cgm_columns[k].json);
		}
	}
	assert_int_equal(cgm_column_find("nothing"), CGM_NR_COLUMNS);
	assert_int_equal(cgm_column_of_letter('z'), CGM_NR_COLUMNS);
}

static void test_columns_choose(void **state)
{
	(void)state;
	for (unsigned sort = 0; sort < CGM_NR_COLUMNS; sort++) {
		size_t before = 0;

		for (size_t width = 30; width <= 250; width++) {
			bool show[CGM_NR_COLUMNS];
			size_t name = cgm_columns_choose(width, (enum cgm_column)sort, show), sum = name, nr = 0;

			for (unsigned i = 0; i < CGM_COL_NAME; i++) {
				sum += show[i] ? cgm_columns[i].width + 1 : 0;
				nr += show[i];
			}
			assert_int_equal(sum, width);
			assert_true(show[CGM_COL_NAME] && show[sort]);
			assert_true(name >= 20 || (nr == 1 && name >= 10));
			if (width == 80)
				assert_true(show[CGM_COL_CPU] && show[CGM_COL_MEMORY] && show[CGM_COL_RUNQ_P99] && show[CGM_COL_TASKS]);
			if (width >= 140)
				assert_int_equal(nr, CGM_NR_COLUMNS - 1);
			before = MAX(before, nr);
		}
		assert_int_equal(before, CGM_NR_COLUMNS - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_column_format),
		cmocka_unit_test(test_column_format__width),
		cmocka_unit_test(test_columns__keys_and_letters_are_unique),
		cmocka_unit_test(test_columns_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
