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
		{ "/metrics/resource", "/metrics/resource", "" },
		{ "/metrics/cadvisor", "/metrics/cadvisor", "" },
		{ "/metrics/resource/v1alpha1", NULL, NULL },
		{ "/stats/summary", "/stats/summary", "" },
		{ "/api/cgmeter/compact", "/api/cgmeter/compact", "" },
		{ "/stats", "/stats/*", "" },
		{ "/stats/container", "/stats/*", "/container" },
		{ "/stats/default/web/1/front", "/stats/*", "/default/web/1/front" },
		{ "/statsx", NULL, NULL },
		{ "/metrics/probes", "/metrics/probes", "" },
		{ "/spec", "/spec", "" },
		{ "/pods", "/pods", "" },
		{ "/pods/x", NULL, NULL },
		{ "/api/v1.3/containers", "/api/VER/containers/*", "" },
		{ "/api/v1.0/containers/a/b", "/api/VER/containers/*", "/a/b" },
		{ "/api/v1.3/containersx", "/api/*", "/v1.3/containersx" },
		{ "/api/VER/containers", "/api/*", "/VER/containers" },
		{ "/api/v2.1/containers", "/api/*", "/v2.1/containers" },
		{ "/api/v2.1/machinestats", "/api/VER/machinestats", "" },
		{ "/api/v2.0/machinestats", "/api/*", "/v2.0/machinestats" },
		{ "/api/v1.3/events/a", "/api/VER/events/*", "/a" },
		{ "/api/v1.2/events/a", "/api/*", "/v1.2/events/a" },
		{ "/api/v1.33/machine", "/api/*", "/v1.33/machine" },
		{ "/api", "/api/*", "" },
		{ "/apix", NULL, NULL },
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

/* What each version serves, as cAdvisor lists it. */
static void test_routes_types__as_cadvisor(void **state)
{
	static const struct {
		unsigned version;
		const char *types;
	} cases[] = {
		{ CGM_V10, "machine,containers" },
		{ CGM_V11, "machine,containers,subcontainers" },
		{ CGM_V12, "machine,containers,subcontainers,docker" },
		{ CGM_V13, "machine,containers,subcontainers,docker,events" },
		{ CGM_V20, "machine,events,version,attributes,stats,summary,spec,storage,ps,appmetrics" },
		{ CGM_V21, "machine,events,version,attributes,stats,machinestats,summary,spec,storage,ps,appmetrics" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_buf b = { 0 };

		cgm_routes_types(cases[i].version, &b);
		cgm_buf_char(&b, '\0');
		assert_string_equal(b.p, cases[i].types);
		cgm_buf_done(&b);
	}
}

static void test_reference__has_every_route_and_parameter(void **state)
{
	static const char *const words[] = { "`/api/VER/machinestats`", "`/metrics`", "`max_age`", "`num_stats`", "`start_time`", "v2.0, v2.1", "307",
					     "`/stats/summary`", "`only_cpu_and_memory`" };
	struct cgm_buf b = { 0 };

	(void)state;
	cgm_http_reference(&b);
	cgm_buf_char(&b, '\0');
	assert_false(b.failed);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_non_null(strstr(b.p, words[i]));
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_clean__cases),
		cmocka_unit_test(test_path_fault__cases),
		cmocka_unit_test(test_route_find__rest),
		cmocka_unit_test(test_routes_types__as_cadvisor),
		cmocka_unit_test(test_reference__has_every_route_and_parameter),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
