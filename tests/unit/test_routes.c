// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "output/request.h"

static void test_path_clean__cases(void **state)
{
	static const char *const cases[][2] = { { "/", "/" },	     { "//", "/" },	     { "", "" },	 { "/a", "/a" },
						{ "/a/", "/a" },     { "//a//b//", "/a/b" }, { "/a/../b", "/a/../b" }, { "a/", "a" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[32];

		snprintf(path, sizeof(path), "%s", cases[i][0]);
		cgm_path_clean(path);
		assert_string_equal(path, cases[i][1]);
	}
}

static void test_path_fault__cases(void **state)
{
	static const struct {
		const char *uri;
		bool bad;
	} cases[] = { { "/", false },	{ "/a%20b", false }, { "/a%2Fb", false }, { "/%", true },    { "/%4", true },
		      { "/%4g", true }, { "/%00", true },    { "/%0a", false },	  { "/a?x=%", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cgm_path_fault(cases[i].uri) != NULL, cases[i].bad);
}

static void test_route_find__rest(void **state)
{
	static const struct {
		const char *path, *pattern, *rest;
	} cases[] = {
		{ "/", "/", "" },
		{ "/metrics", "/metrics", "" },
		{ "/metrics/x", NULL, NULL },
		{ "/api/v1.3/containers", "/api/v1.3/containers/*", "" },
		{ "/api/v1.3/containers/a/b", "/api/v1.3/containers/*", "/a/b" },
		{ "/api/v1.3/containersx", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *rest = NULL;
		const struct cgm_route *r = cgm_route_find(cases[i].path, &rest);

		assert_int_equal(r != NULL, cases[i].pattern != NULL);
		if (!r)
			continue;
		assert_string_equal(r->pattern, cases[i].pattern);
		assert_string_equal(rest, cases[i].rest);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_clean__cases),
		cmocka_unit_test(test_path_fault__cases),
		cmocka_unit_test(test_route_find__rest),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
