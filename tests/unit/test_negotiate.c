// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "output/negotiate.h"

#define PROTO "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define TEXT CGM_PROMETHEUS_TEXT
#define OPEN CGM_PROMETHEUS_OPENMETRICS
#define PROTOBUF CGM_PROMETHEUS_PROTOBUF

static void test_accepts_format__cases(void **state)
{
	static const struct {
		const char *accept;
		enum cgm_prometheus_format want;
	} cases[] = {
		{ NULL, TEXT },
		{ "", TEXT },
		{ "*/*", TEXT },
		{ "text/html, */*;q=0.8", TEXT },
		{ "application/openmetrics-text", OPEN },
		{ "Application/OpenMetrics-Text; Version=1.0.0", OPEN },
		{ "application/openmetrics-text; version=\"1.0.0\"", OPEN },
		{ "application/openmetrics-text; version=0.0.1", TEXT },
		{ "application/openmetrics-text;q=0", TEXT },
		{ "application/openmetrics-text;q=0.0, */*", TEXT },
		{ "text/plain;q=0.5,application/openmetrics-text;q=0.4", TEXT },
		{ "text/plain;q=0.4,application/openmetrics-text;q=0.5", OPEN },
		{ "text/plain;q=0.399,application/openmetrics-text;q=0.4", OPEN },
		{ "application/openmetrics-text,text/plain", OPEN },
		{ "text/plain,application/openmetrics-text", TEXT },
		/* Prometheus 2.42, without and with --enable-feature=native-histograms */
		{ "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
		  "*/*;q=0.1", OPEN },
		{ PROTO ",application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PROTOBUF },
		/* Prometheus 3, the same */
		{ "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
		  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", OPEN },
		{ PROTO ";q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
		  "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", PROTOBUF },
		{ PROTO, PROTOBUF },
		{ "Application/Vnd.Google.Protobuf ; PROTO=\"io.prometheus.client.MetricFamily\" ; Encoding = \"delimited\" ; q=1.000", PROTOBUF },
		{ PROTO ";q=0", TEXT },
		{ PROTO ";q=0.3,text/plain;q=0.31", TEXT },
		{ "text/plain;q=0.3," PROTO ";q=0.3", TEXT },
		{ "application/vnd.google.protobuf", TEXT },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=compact-text", TEXT },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", TEXT },
		{ "application/vnd.google.protobuf;proto=other.Message;encoding=delimited", TEXT },
		{ "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=\"delimited", TEXT },
		{ "application/vnd.google.protobuf;encoding=delimited,proto=io.prometheus.client.MetricFamily", TEXT },
		{ "application/openmetrics-text;q=bad", TEXT },
		{ "application/openmetrics-text;q=1.5", TEXT },
		{ "application/openmetrics-text;q=0.1234", TEXT },
		{ "application/openmetrics-text;q=-1", TEXT },
		{ "application/openmetrics-textual", TEXT },
		{ ",;,=;q=,", TEXT },
		{ ";;;proto=;encoding=\";q=\"1\"", TEXT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_accepts_format(cases[i].accept) != cases[i].want)
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
		cmocka_unit_test(test_accepts_format__cases),
		cmocka_unit_test(test_accepts_gzip__cases),
	};

	return cmocka_run_group_tests_name("negotiate", tests, NULL, NULL);
}
