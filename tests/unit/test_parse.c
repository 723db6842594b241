// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"

#define UNTOUCHED 77

static void test_parse_u64__tokens(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "-1", "+1", "1x", "0x1", "1\n", "max" };
	uint64_t v = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cgm_parse_u64(cgm_str(bad[i]), &v), -EINVAL);
	assert_int_equal(v, UNTOUCHED);
	assert_int_equal(cgm_parse_u64(CGM_STR("007"), &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(cgm_parse_u64(CGM_STR("18446744073709551615"), &v), 0);
	assert_true(v == UINT64_MAX);
	v = 0;
	assert_int_equal(cgm_parse_u64(CGM_STR("18446744073709551616"), &v), 0);
	assert_true(v == UINT64_MAX);
	v = 0;
	assert_int_equal(cgm_parse_u64(CGM_STR("100000000000000000000000000"), &v), 0);
	assert_true(v == UINT64_MAX);
	v = 0;
	assert_int_equal(cgm_parse_u64_max(CGM_STR("max"), &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(cgm_parse_u64_max(CGM_STR("maxx"), &v), -EINVAL);
	/* Needs no zero behind it. */
	assert_int_equal(cgm_parse_u64((struct cgm_str){ "1234", 2 }, &v), 0);
	assert_int_equal(v, 12);
}

static void test_parse_i64__saturates(void **state)
{
	int64_t v;

	(void)state;
	assert_int_equal(cgm_parse_i64(CGM_STR("-1"), &v), 0);
	assert_int_equal(v, -1);
	assert_int_equal(cgm_parse_i64(CGM_STR("-9223372036854775808"), &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(cgm_parse_i64(CGM_STR("-99999999999999999999"), &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(cgm_parse_i64(CGM_STR("9223372036854775808"), &v), 0);
	assert_true(v == INT64_MAX);
	assert_int_equal(cgm_parse_i64(CGM_STR("-"), &v), -EINVAL);
	assert_int_equal(cgm_parse_i64(CGM_STR("--1"), &v), -EINVAL);
}

static void test_parse_hex__digits(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(cgm_parse_hex(CGM_STR("fFffffffffffffff"), &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(cgm_parse_hex(CGM_STR("10000000000000000"), &v), -EINVAL);
	assert_int_equal(cgm_parse_hex(CGM_STR("0x1"), &v), -EINVAL);
	assert_int_equal(cgm_parse_hex(CGM_STR(""), &v), -EINVAL);
}

static void test_parse_centi__averages(void **state)
{
	static const struct {
		const char *text;
		uint64_t v;
	} good[] = { { "0.00", 0 }, { "12.34", 1234 }, { "100", 10000 }, { "1.5", 150 }, { "1.059", 105 }, { "99999999999999999999.1", UINT64_MAX } };
	static const char *const bad[] = { "", ".", "1.", ".5", "-1.00", "1.x", "1.2.3" };
	uint64_t v = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cgm_parse_centi(cgm_str(bad[i]), &v), -EINVAL);
	assert_int_equal(v, UNTOUCHED);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cgm_parse_centi(cgm_str(good[i].text), &v), 0);
		assert_true(v == good[i].v);
	}
}

static void test_parse_bool__words(void **state)
{
	bool b = false;

	(void)state;
	assert_int_equal(cgm_parse_bool(CGM_STR("True"), &b), 0);
	assert_true(b);
	assert_int_equal(cgm_parse_bool(CGM_STR("0"), &b), 0);
	assert_false(b);
	assert_int_equal(cgm_parse_bool(CGM_STR("yes"), &b), -EINVAL);
	assert_int_equal(cgm_parse_bool(CGM_STR(""), &b), -EINVAL);
}

static void test_parse_duration__go(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = { { "0", 0 }, { "1s", 1000000000 }, { "100ms", 100000000 }, { "1m30s", 90000000000 }, { "1.5h", 5400000000000 }, { "2us", 2000 },
		     { "2\xc2\xb5s", 2000 }, { "7ns", 7 }, { "999999999999h", UINT64_MAX }, { ".5s", 500000000 } };
	static const char *const bad[] = { "", "1", "s", "1x", "-1s", "1s ", "1 s", "1..5s", "." };
	uint64_t v = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cgm_parse_duration_ns(cgm_str(bad[i]), &v), -EINVAL);
	assert_int_equal(v, UNTOUCHED);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(cgm_parse_duration_ns(cgm_str(good[i].text), &v), 0);
		assert_true(v == good[i].ns);
	}
}

static void test_parse_rfc3339__zones(void **state)
{
	static const char *const bad[] = { "",
					   "2026-11-22",
					   "2026-11-22T15:52:56",
					   "2026-13-22T15:52:56Z",
					   "2026-11-22T24:52:56Z",
					   "2026-11-22T15:52:56.Z",
					   "2026-11-22T15:52:56Zx",
					   "2026-11-22T15:52:56+2:00",
					   "2026-11-22 15:52:56Z",
					   "2026-11-22T15:5x:56Z" };
	int64_t v = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(cgm_parse_rfc3339(cgm_str(bad[i]), &v), -EINVAL);
	assert_int_equal(v, UNTOUCHED);
	assert_int_equal(cgm_parse_rfc3339(CGM_STR("1970-01-01T00:00:01.5Z"), &v), 0);
	assert_int_equal(v, 1500000000);
	assert_int_equal(cgm_parse_rfc3339(CGM_STR("2026-11-22T15:52:56.160743113Z"), &v), 0);
	assert_int_equal(v, 1795362776160743113);
	assert_int_equal(cgm_parse_rfc3339(CGM_STR("2026-11-22T17:52:56.160743113+02:00"), &v), 0);
	assert_int_equal(v, 1795362776160743113);
	assert_int_equal(cgm_parse_rfc3339(CGM_STR("1969-12-31T23:59:59Z"), &v), 0);
	assert_int_equal(v, -1000000000);
}

static void test_parse_cpu_list__counts(void **state)
{
	unsigned n = UNTOUCHED;

	(void)state;
	assert_int_equal(cgm_parse_cpu_list(CGM_STR("3-1"), &n), -EINVAL);
	assert_int_equal(cgm_parse_cpu_list(CGM_STR("a"), &n), -EINVAL);
	assert_int_equal(cgm_parse_cpu_list(CGM_STR("0-99999999"), &n), -EINVAL);
	assert_int_equal(n, UNTOUCHED);
	assert_int_equal(cgm_parse_cpu_list(CGM_STR("0-3,8\n"), &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(cgm_parse_cpu_list(CGM_STR(""), &n), 0);
	assert_int_equal(n, 0);
}

static void test_parse_dev__numbers(void **state)
{
	uint32_t a = 0, b = 0;

	(void)state;
	assert_int_equal(cgm_parse_dev(CGM_STR("254:17"), &a, &b), 0);
	assert_int_equal(a, 254);
	assert_int_equal(b, 17);
	assert_int_equal(cgm_parse_dev(CGM_STR("254"), &a, &b), -EINVAL);
	assert_int_equal(cgm_parse_dev(CGM_STR(":1"), &a, &b), -EINVAL);
	assert_int_equal(cgm_parse_dev(CGM_STR("4294967296:1"), &a, &b), -EINVAL);
}

static void test_next__cuts(void **state)
{
	struct cgm_str text = CGM_STR("a b\n\n\tc"), line, token;

	(void)state;
	assert_true(cgm_next_line(&text, &line));
	assert_true(cgm_next_token(&line, &token) && cgm_str_eq(token, "a"));
	assert_true(cgm_next_token(&line, &token) && cgm_str_eq(token, "b"));
	assert_false(cgm_next_token(&line, &token));
	assert_true(cgm_next_line(&text, &line) && line.len == 0);
	assert_true(cgm_next_line(&text, &line) && cgm_str_eq(cgm_trim(line), "c"));
	assert_false(cgm_next_line(&text, &line));
	assert_true(cgm_str_eq(cgm_trim(CGM_STR(" \t\r\n")), ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_u64__tokens),      cmocka_unit_test(test_parse_i64__saturates),
		cmocka_unit_test(test_parse_hex__digits),      cmocka_unit_test(test_parse_centi__averages),
		cmocka_unit_test(test_parse_bool__words),      cmocka_unit_test(test_parse_duration__go),
		cmocka_unit_test(test_parse_rfc3339__zones),   cmocka_unit_test(test_parse_cpu_list__counts),
		cmocka_unit_test(test_parse_dev__numbers),     cmocka_unit_test(test_next__cuts),
	};

	return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
