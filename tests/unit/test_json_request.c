// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "output/json.h"

static void test_json_request_parse__good(void **state)
{
	static const struct {
		const char *text;
		struct cgm_json_request want;
	} cases[] = {
		{ "", { .nr_stats = 60 } },
		{ " \n", { .nr_stats = 60 } },
		{ "null", { .nr_stats = 60 } },
		{ "{}", { .nr_stats = 60 } },
		{ "{\"num_stats\":-1}", { .nr_stats = -1 } },
		{ "{\"num_stats\":0,\"num_samples\":\"x\"}", { .nr_stats = 0 } },
		{ "{\"num_stats\":null,\"start\":null,\"end\":null}", { .nr_stats = 60 } },
		{ "{\"start\":\"0001-01-01T00:00:00Z\",\"end\":\"0001-01-01T00:00:00Z\"}", { .nr_stats = 60 } },
		{ "{\"start\":\"2026-09-21T14:13:20Z\",\"end\":\"2026-09-21T16:13:20.5+02:00\"}",
		  { .nr_stats = 60, .start_ns = 1790000000000000000ULL, .end_ns = 1790000000000000000ULL + 500000000 } },
		{ "{\"start\":\"1960-01-01T00:00:00Z\",\"end\":\"1960-01-01T00:00:00Z\"}", { .nr_stats = 60, .start_ns = 0, .end_ns = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_json_request got = { .nr_stats = 4711 };
		char *fault = NULL;

		assert_int_equal(cgm_json_request_parse(cases[i].text, strlen(cases[i].text), &got, &fault), 0);
		assert_null(fault);
		assert_memory_equal(&got, &cases[i].want, sizeof(got));
	}
}

static void test_json_request_parse__bad(void **state)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{ "{", "not JSON" },
		{ "{bad}", "not JSON" },
		{ "{} {}", "not JSON" },
		{ "[]", "object" },
		{ "60", "object" },
		{ "{\"num_stats\":\"60\"}", "num_stats" },
		{ "{\"num_stats\":1.5}", "num_stats" },
		{ "{\"num_stats\":true}", "num_stats" },
		{ "{\"num_stats\":-2}", "num_stats" },
		{ "{\"num_stats\":99999999999999999999}", "not JSON" },
		{ "{\"start\":5}", "start" },
		{ "{\"end\":\"yesterday\"}", "end" },
		{ "{\"end\":\"2026-09-21T14:13:20\"}", "end" },
		{ "{\"start\":\"2026-09-21T14:13:20Z\\u0000\"}", "start" },
		{ "{\"start\":[]}", "start" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_json_request got = { .nr_stats = 4711 };
		char *fault = NULL;

		assert_int_equal(cgm_json_request_parse(cases[i].text, strlen(cases[i].text), &got, &fault), -EINVAL);
		assert_non_null(fault);
		if (!strstr(fault, cases[i].names))
			fail_msg("\"%s\" does not name \"%s\"", fault, cases[i].names);
		assert_int_equal(got.nr_stats, 4711);
		free(fault);
	}
}

static void test_json_request_parse__every_allocation_fails(void **state)
{
	static const char text[] = "{\"num_stats\":5,\"start\":\"2026-09-21T14:13:20Z\",\"x\":[1,{\"y\":2.5}]}";
	struct cgm_json_request got;
	unsigned long nr;
	char *fault;

	(void)state;
	cgm_mem_fail_at(1000000);
	assert_int_equal(cgm_json_request_parse(text, strlen(text), &got, &fault), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 5);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(cgm_json_request_parse(text, strlen(text), &got, &fault), -ENOMEM);
		assert_null(fault);
	}
	cgm_mem_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_request_parse__good),
		cmocka_unit_test(test_json_request_parse__bad),
		cmocka_unit_test(test_json_request_parse__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("json_request", tests, NULL, NULL);
}
