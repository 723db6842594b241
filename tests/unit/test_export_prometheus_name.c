// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "export/prometheus_name.h"
#include "batch/slice.h"

static const char *name_of(enum cgm_cm m, char text[128])
{
	struct cgm_buf b = { 0 };

	cgm_cm_prometheus_name(m, &b);
	snprintf(text, 128, "%.*s", (int)b.len, b.p);
	cgm_buf_done(&b);
	return text;
}

static bool ends(const char *text, const char *end)
{
	return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void test_prometheus_name__all(void **state)
{
	char names[CGM_NR_CM][128];

	(void)state;
	for (int m = 0; m < CGM_NR_CM; m++) {
		name_of(m, names[m]);
		assert_true(strlen(names[m]) > strlen("cgmeter_cluster_"));
		assert_int_equal(strspn(names[m], "abcdefghijklmnopqrstuvwxyz_"), strlen(names[m]));
		/* _total is a counter's, and the endings of histograms' series are nobody's. */
		assert_int_equal(ends(names[m], "_total"), cgm_cm_prometheus_is_counter(m));
		assert_false(ends(names[m], "_count") || ends(names[m], "_sum") || ends(names[m], "_bucket"));
		for (int other = 0; other < m; other++)
			assert_string_not_equal(names[m], names[other]);
		/* The unit of the table is the unit of the name, less the powers of ten. */
		if (strcmp(cgm_cm_table[m].unit, "ns") == 0 || strcmp(cgm_cm_table[m].unit, "ms") == 0) {
			assert_non_null(strstr(names[m], "_seconds"));
			assert_int_equal(cgm_cm_prometheus_digits(m), cgm_cm_table[m].unit[0] == 'n' ? 9 : 3);
		} else if (strcmp(cgm_cm_table[m].unit, "millicores") == 0) {
			assert_true(ends(names[m], "_cores"));
			assert_int_equal(cgm_cm_prometheus_digits(m), 3);
		} else {
			assert_int_equal(cgm_cm_prometheus_digits(m), m == CGM_CM_ACCELERATOR_DUTY_CYCLE ? 2 : 0);
		}
	}
	assert_string_equal(names[CGM_CM_CPU_USAGE], "cgmeter_cluster_cpu_usage_seconds_total");
	assert_string_equal(names[CGM_CM_CPU_USAGE_RATE], "cgmeter_cluster_cpu_usage_cores");
	assert_string_equal(names[CGM_CM_MEMORY_WORKING_SET], "cgmeter_cluster_memory_working_set_bytes");
}

static void test_prometheus_name__value(void **state)
{
	(void)state;
	assert_true(cgm_cm_prometheus_value(CGM_CM_CPU_USAGE, (union cgm_cm_value){ .i = 1500000000 }, false) == 1.5);
	assert_true(cgm_cm_prometheus_value(CGM_CM_CPU_USAGE_RATE, (union cgm_cm_value){ .i = 250 }, false) == 0.25);
	assert_true(cgm_cm_prometheus_value(CGM_CM_CPU_NODE_CAPACITY, (union cgm_cm_value){ .f = 2000 }, true) == 2);
	assert_true(cgm_cm_prometheus_value(CGM_CM_MEMORY_USAGE, (union cgm_cm_value){ .i = 4096 }, false) == 4096);
	assert_true(cgm_cm_prometheus_value(CGM_CM_CUSTOM, (union cgm_cm_value){ .f = -0.5 }, true) == -0.5);
	assert_true(cgm_ch_bound(0) == 0x1p-20);
	assert_true(cgm_ch_bound(20) == 1);
	assert_true(cgm_ch_bound(CGM_CH_BUCKETS - 2) == 64);
	assert_true(isinf(cgm_ch_bound(CGM_CH_BUCKETS - 1)));
}

static void test_prometheus_label_name(void **state)
{
	static const char *const cases[][2] = {
		{ "app", "app" }, { "app.kubernetes.io/name", "app_kubernetes_io_name" }, { "9a", "x9a" }, { "", "x" }, { "__name__", "x__name__" },
		{ "_a", "_a" }, { "./a", "x__a" }, { "a\"b\n", "a_b_" }, { "\xc3\xa4", "x__" }, { "-", "_" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_buf b = { 0 };

		cgm_prometheus_label_name(cases[i][0], &b);
		cgm_buf_char(&b, '\0');
		assert_string_equal(b.p, cases[i][1]);
		cgm_buf_done(&b);
	}
}

static void test_ch_prometheus_name(void **state)
{
	struct cgm_buf b = { 0 };

	(void)state;
	cgm_ch_prometheus_name(CGM_CH_TCP_RTT, &b);
	cgm_buf_char(&b, '\0');
	assert_string_equal(b.p, "cgmeter_cluster_tcp_rtt_seconds");
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prometheus_name__all),
		cmocka_unit_test(test_prometheus_name__value),
		cmocka_unit_test(test_prometheus_label_name),
		cmocka_unit_test(test_ch_prometheus_name),
	};

	return cmocka_run_group_tests_name("export_prometheus_name", tests, NULL, NULL);
}
