// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sink/answer.h"

static void test_influxdb_dropped(void **state)
{
	static const struct {
		const char *text;
		uint64_t wanted; /* of 10 */
	} cases[] = {
		{ "", 10 },
		{ "{\"error\":\"unable to parse 'x': missing fields\"}", 10 },
		{ "{\"error\":\"partial write: field type conflict: input field \\\"value\\\" … dropped=3\"}", 3 },
		{ "{\"error\":\"partial write: points beyond retention policy dropped=10\"}", 10 },
		{ "partial write: unable to parse 'a,dropped=7 x': bad timestamp dropped=0", 1 }, /* one of ours quoted, and the count behind it */
		{ "partial write: dropped=99999999999999999999999", 10 },
		{ "partial write: dropped=", 1 },
		{ "partial write", 1 },
		{ "dropped=3", 10 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (cgm_answer_influxdb_dropped(cases[i].text, strlen(cases[i].text), 10) != cases[i].wanted)
			fail_msg("%s", cases[i].text);
}

static void test_otlp(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int r;
		uint64_t rejected;
		const char *text;
	} cases[] = {
		{ "", 0, 0, 0, "" },
		{ "\x0a\x00", 2, 0, 0, "" },
		{ "\x0a\x08\x08\x05\x12\x04\x62\x61\x64\x0a", 10, 0, 5, "bad " },
		{ "\x0a\x06\x12\x04warn", 8, 0, 0, "warn" },
		{ "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, 0, 0, "" }, /* -1 */
		{ "\x7a\x01x\x0a\x02\x08\x02", 7, 0, 2, "" }, /* a field of the future */
		{ "\x0a\x05\x08", 3, -EINVAL, 0, "" },
		{ "<html>", 6, -EINVAL, 0, "" },
		{ "\x0a\x01\x08", 3, -EINVAL, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t rejected = 4711;
		char text[16];

		assert_int_equal(cgm_answer_otlp(cases[i].bytes, cases[i].len, &rejected, text, sizeof(text)), cases[i].r);
		assert_int_equal(rejected, cases[i].r ? 4711 : cases[i].rejected);
		if (!cases[i].r)
			assert_string_equal(text, cases[i].text);
	}
}

static void test_bulk(void **state)
{
	static const struct {
		const char *json;
		int r;
		uint64_t refused, later;
		const char *text;
	} cases[] = {
		{ "{\"errors\":false}", 0, 0, 0, "" },
		{ "{\"took\":3,\"errors\":false,\"items\":[{\"index\":{\"status\":201}}]}", 0, 0, 0, "" },
		{ "{\"errors\":true,\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":400,\"error\":{\"type\":\"mapper_parsing_exception\","
		  "\"reason\":\"failed to parse\"}}},{\"index\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\"}}}]}",
		  0, 1, 1, "mapper_parsing_exception: failed to parse" },
		{ "{\"errors\":true,\"items\":[{\"create\":{\"status\":503,\"error\":\"UnavailableShardsException\"}}]}", 0, 0, 1, "UnavailableShardsException" },
		{ "{\"errors\":true,\"items\":[{},[],null,{\"index\":7}]}", 0, 4, 0, "" },
		{ "{\"errors\":true,\"items\":{}}", -EINVAL, 0, 0, "" },
		{ "{\"items\":[]}", -EINVAL, 0, 0, "" },
		{ "[]", -EINVAL, 0, 0, "" },
		{ "{\"errors\":tr", -EINVAL, 0, 0, "" },
		{ "", -EINVAL, 0, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_answer_bulk b = { .nr_items = 4711 };

		assert_int_equal(cgm_answer_bulk(cases[i].json, strlen(cases[i].json), &b), cases[i].r);
		if (cases[i].r) {
			assert_int_equal(b.nr_items, 4711);
			continue;
		}
		assert_int_equal(b.nr_refused, cases[i].refused);
		assert_int_equal(b.nr_later, cases[i].later);
		assert_string_equal(b.text, cases[i].text);
	}
}

static void test_es_version(void **state)
{
	static const struct {
		const char *json;
		unsigned major; /* 0: none */
	} cases[] = {
		{ "{\"name\":\"x\",\"version\":{\"number\":\"2.4.6\"}}", 2 },
		{ "{\"version\":{\"number\":\"8.15.0\",\"build_flavor\":\"default\"}}", 8 },
		{ "{\"version\":{\"distribution\":\"opensearch\",\"number\":\"2.11.0\"}}", 7 },
		{ "{\"version\":{\"number\":\"\"}}", 0 }, { "{\"version\":{\"number\":7}}", 0 }, { "{\"version\":\"7\"}", 0 }, { "ok", 0 }, { "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned major = 0;

		assert_int_equal(cgm_answer_es_version(cases[i].json, strlen(cases[i].json), &major), cases[i].major ? 0 : -EINVAL);
		assert_int_equal(major, cases[i].major);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_influxdb_dropped), cmocka_unit_test(test_otlp),	   cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_es_version),
	};

	return cmocka_run_group_tests_name("sink_answer", tests, NULL, NULL);
}
