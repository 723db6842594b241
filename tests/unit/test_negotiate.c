// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "output/negotiate.h"

static void test_accepts_openmetrics__cases(void **state)
{
	static const struct {
		const char *accept;
		bool want;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/html, */*;q=0.8", false },
		{ "application/openmetrics-text", true },
		{ "Application/OpenMetrics-Text; Version=1.0.0", true },
		{ "application/openmetrics-text; version=\"1.0.0\"", true },
		{ "application/openmetrics-text; version=0.0.1", false },
		{ "application/openmetrics-text;q=0", false },
		{ "application/openmetrics-text;q=0.0, */*", false },
		{ "text/plain;q=0.5,application/openmetrics-text;q=0.4", false },
		{ "text/plain;q=0.4,application/openmetrics-text;q=0.5", true },
		{ "text/plain;q=0.399,application/openmetrics-text;q=0.4", true },
		{ "application/openmetrics-text,text/plain", true },
		{ "text/plain,application/openmetrics-text", false },
		{ "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
		  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true },
		{ "application/openmetrics-text;q=bad", false },
		{ "application/openmetrics-text;q=1.5", false },
		{ "application/openmetrics-textual", false },
		{ ",;,=;q=,", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_accepts_openmetrics(cases[i].accept) != cases[i].want)
			fail_msg("%s", cases[i].accept);
}

static void test_accepts_gzip__cases(void **state)
{
	static const struct {
		const char *accept;
		bool want;
	} cases[] = {
		{ NULL, false },     { "", false },	     { "gzip", true },		   { "GZIP", true },
		{ "x-gzip", true },  { "deflate", false },   { "deflate, gzip", true },	   { "gzip;q=0", false },
		{ "*", true },	     { "*;q=0", false },     { "gzip;q=0, *", false },	   { "*;q=0, gzip", true },
		{ "identity, gzip;q=0.5", false },	     { "identity;q=0.2, gzip;q=0.5", true },
		{ "gzip;q=0.001", true },		     { "gzip;q=0.000", false },	   { "gzipped", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_accepts_gzip(cases[i].accept) != cases[i].want)
			fail_msg("%s", cases[i].accept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_openmetrics__cases),
		cmocka_unit_test(test_accepts_gzip__cases),
	};

	return cmocka_run_group_tests_name("negotiate", tests, NULL, NULL);
}
