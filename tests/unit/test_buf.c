// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

static void check(struct cgm_buf *b, const char *expected)
{
	cgm_buf_char(b, '\0');
	assert_false(b->failed);
	assert_string_equal(b->p, expected);
	b->len = 0;
}

static void test_buf_u64__every_length(void **state)
{
	struct cgm_buf b = { 0 };
	char text[32];

	(void)state;
	for (uint64_t v = 1; v < UINT64_MAX / 11; v *= 10)
		for (int d = -1; d <= 1; d++) {
			snprintf(text, sizeof(text), "%" PRIu64, v + (uint64_t)(int64_t)d);
			cgm_buf_u64(&b, v + (uint64_t)(int64_t)d);
			check(&b, text);
		}
	cgm_buf_u64(&b, UINT64_MAX);
	check(&b, "18446744073709551615");
	cgm_buf_i64(&b, INT64_MIN);
	check(&b, "-9223372036854775808");
	cgm_buf_i64(&b, INT64_MAX);
	check(&b, "9223372036854775807");
	cgm_buf_done(&b);
}

static void test_buf_fixed__zeros_are_cut(void **state)
{
	struct cgm_buf b = { 0 };

	(void)state;
	cgm_buf_fixed(&b, 1500000000, 9);
	check(&b, "1.5");
	cgm_buf_fixed(&b, 2000000000, 9);
	check(&b, "2");
	cgm_buf_fixed(&b, 1, 9);
	check(&b, "0.000000001");
	cgm_buf_fixed(&b, 1050, 2);
	check(&b, "10.5");
	cgm_buf_fixed(&b, UINT64_MAX, 9);
	check(&b, "18446744073.709551615");
	cgm_buf_fixed(&b, 42, 0);
	check(&b, "42");
	cgm_buf_done(&b);
}

static void test_buf_put__grows(void **state)
{
	struct cgm_buf b = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++)
		cgm_buf_printf(&b, "%d,", i % 10);
	assert_int_equal(b.len, 20000);
	assert_memory_equal(b.p + 19996, "8,9,", 4);
	cgm_buf_done(&b);
	assert_null(b.p);
}

static void test_buf_put__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 5; n++) {
		struct cgm_buf b = { 0 };

		cgm_mem_fail_at(n);
		for (int i = 0; i < 1000; i++)
			cgm_buf_lit(&b, "0123456789");
		cgm_mem_fail_at(0);
		/* Marked, and stays so though memory is there again. */
		assert_true(b.failed);
		cgm_buf_str(&b, "x");
		cgm_buf_printf(&b, "%d", 1);
		assert_int_equal(b.len, 0);
		cgm_buf_done(&b);
		assert_false(b.failed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_u64__every_length),
		cmocka_unit_test(test_buf_fixed__zeros_are_cut),
		cmocka_unit_test(test_buf_put__grows),
		cmocka_unit_test(test_buf_put__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
