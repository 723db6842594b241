// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "output/json.h"

static void assert_text(struct cgm_buf *b, const char *want)
{
	cgm_buf_char(b, '\0');
	assert_false(b->failed);
	assert_string_equal(b->p, want);
	b->len = 0;
}

static void test_json_string__escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "\"\"" },
		{ "/a.slice", "\"/a.slice\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\n\t\r\x01\x1f\x7f", "\"\\n\\t\\r\\u0001\\u001f\\u007f\"" },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "x\xc3", "\"x\xef\xbf\xbd\"" }, /* cut off */
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" }, /* overlong */
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* a surrogate */
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* above U+10FFFF */
	};
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cgm_json_string(&b, cases[i].in);
		assert_text(&b, cases[i].out);
	}
}

static void test_json_u64__saturates(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	(void)state;
	cgm_json_u64(&b, INT64_MAX);
	assert_text(&b, "9223372036854775807");
	cgm_json_u64(&b, (uint64_t)INT64_MAX + 1);
	assert_text(&b, "9223372036854775807");
	cgm_json_u64(&b, 0);
	assert_text(&b, "0");
}

static void test_json_time__cases(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "\"0001-01-01T00:00:00Z\"" },
		{ 1, "\"1970-01-01T00:00:00.000000001Z\"" },
		{ 951782400000000000, "\"2000-02-29T00:00:00Z\"" },
		{ 1709164799500000000, "\"2024-02-28T23:59:59.5Z\"" },
		{ 1735689599999999999, "\"2024-12-31T23:59:59.999999999Z\"" },
		{ 1763826776160743110, "\"2025-11-22T15:52:56.16074311Z\"" },
		{ 4107542400000000000, "\"2100-03-01T00:00:00Z\"" },
	};
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cgm_json_time(&b, cases[i].ns);
		assert_text(&b, cases[i].text);
	}
	for (uint64_t day = 1; day < 80000; day += 13) { /* against the parser, to the year 2189 */
		int64_t back;

		b.len = 0;
		cgm_json_time(&b, day * 86400000000000ULL + day);
		assert_int_equal(cgm_parse_rfc3339((struct cgm_str){ b.p + 1, b.len - 2 }, &back), 0);
		assert_int_equal(back, day * 86400000000000ULL + day);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_string__escapes),
		cmocka_unit_test(test_json_u64__saturates),
		cmocka_unit_test(test_json_time__cases),
	};

	return cmocka_run_group_tests_name("json_text", tests, NULL, NULL);
}
