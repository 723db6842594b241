// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "kube/quantity.h"

struct sample {
	const char *text;
	int64_t milli, units;
};

/* What Kubernetes 1.20.2 makes of them (ParseQuantity, MilliValue, Value), but for what it wraps around at 2^63, where we saturate, and exponents of 20 digits, which it refuses. */
static const struct sample samples[] = {
	{ "0", 0, 0 },
	{ "1", 1000, 1 },
	{ "100m", 100, 1 },
	{ "1m", 1, 1 },
	{ "1500m", 1500, 2 },
	{ "1.5", 1500, 2 },
	{ "+1.5", 1500, 2 },
	{ ".5", 500, 1 },
	{ "1.", 1000, 1 },
	{ "0.1", 100, 1 },
	{ "0.0001", 1, 1 },
	{ "1e3", 1000000, 1000 },
	{ "1E3", 1000000, 1000 },
	{ "1e+3", 1000000, 1000 },
	{ "1e-3", 1, 1 },
	{ "15e-1", 1500, 2 },
	{ "2Ki", 2048000, 2048 },
	{ "2Mi", 2097152000, 2097152 },
	{ "2Gi", 2147483648000, 2147483648 },
	{ "1.5Gi", 1610612736000, 1610612736 },
	{ "0.1Gi", 107374182400, 107374183 },
	{ "1Ti", 1099511627776000, 1099511627776 },
	{ "1Pi", 1125899906842624000, 1125899906842624 },
	{ "1Ei", INT64_MAX, 1152921504606846976 },
	{ "7.99Ei", INT64_MAX, 9211842821808707339 },
	{ "8Ei", INT64_MAX, INT64_MAX },
	{ "1k", 1000000, 1000 },
	{ "1M", 1000000000, 1000000 },
	{ "1G", 1000000000000, 1000000000 },
	{ "1T", 1000000000000000, 1000000000000 },
	{ "1P", 1000000000000000000, 1000000000000000 },
	{ "1E", INT64_MAX, 1000000000000000000 },
	{ "9E", INT64_MAX, 9000000000000000000 },
	{ "10E", INT64_MAX, INT64_MAX },
	{ "1n", 1, 1 },
	{ "999999n", 1, 1 },
	{ "1000001n", 2, 1 },
	{ "1u", 1, 1 },
	{ "1500u", 2, 1 },
	{ "128974848", 128974848000, 128974848 },
	{ "129e6", 129000000000, 129000000 },
	{ "129M", 129000000000, 129000000 },
	{ "128974848000m", 128974848000, 128974848 },
	{ "123Mi", 128974848000, 128974848 },
	{ "9223372036854775806", INT64_MAX, INT64_MAX - 1 },
	{ "9223372036854775807", INT64_MAX, INT64_MAX },
	{ "9223372036854775808", INT64_MAX, INT64_MAX },
	{ "9223372036854775.806", INT64_MAX - 1, 9223372036854776 },
	{ "99999999999999999999999999999999999999999999999999999999999999", INT64_MAX, INT64_MAX },
	{ "0000000000000000000000000000000000000000000000000000000000000001", 1000, 1 },
	{ "1.0000000000000000000000000000000000000000000000000000000000", 1000, 1 },
	{ "1.0000000000000000000000000000000000000000000000000000000001", 1001, 2 },
	{ "0.00000000000000000000000000000000000000000000000000000000001", 1, 1 },
	{ "1e99999999999999999999", INT64_MAX, INT64_MAX },
	{ "1e-99999999999999999999", 1, 1 },
	{ "0e99999999999999999999", 0, 0 },
};

static void test_quantity__samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		int64_t milli = -1, units = -1;

		if (cgm_quantity_milli(cgm_str(samples[i].text), &milli) < 0 || cgm_quantity_units(cgm_str(samples[i].text), &units) < 0 ||
		    milli != samples[i].milli || units != samples[i].units)
			fail_msg("%s: %lld milli, %lld", samples[i].text, (long long)milli, (long long)units);
	}
}

static void test_quantity__rubbish(void **state)
{
	static const char *const bad[] = { "", ".", "+", "-1", "-", "m", "Gi", "1 ", " 1", "1K", "1ki", "1kI", "1Gib", "1mm", "1e", "1e+", "1e1.5", "1e3m", "1..2", "1.2.3", "0x10", "NaN", "1,5", "1_0", "e3", "++1", "1Ki3" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int64_t v = 4711;

		if (cgm_quantity_milli(cgm_str(bad[i]), &v) != -EINVAL || cgm_quantity_units(cgm_str(bad[i]), &v) != -EINVAL || v != 4711)
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

/* All thousandths up to 5, and all numbers of MiB up to 4096, in each of the forms in which they are written. */
static void test_quantity__every(void **state)
{
	char text[64];
	int64_t v;

	(void)state;
	for (int64_t i = 0; i <= 5000; i++) {
		snprintf(text, sizeof(text), "%lldm", (long long)i);
		assert_int_equal(cgm_quantity_milli(cgm_str(text), &v), 0);
		assert_int_equal(v, i);
		snprintf(text, sizeof(text), "%lld.%03lld", (long long)i / 1000, (long long)i % 1000);
		assert_int_equal(cgm_quantity_milli(cgm_str(text), &v), 0);
		assert_int_equal(v, i);
		assert_int_equal(cgm_quantity_units(cgm_str(text), &v), 0);
		assert_int_equal(v, (i + 999) / 1000);
	}
	for (int64_t i = 0; i <= 4096; i++) {
		snprintf(text, sizeof(text), "%lldMi", (long long)i);
		assert_int_equal(cgm_quantity_units(cgm_str(text), &v), 0);
		assert_int_equal(v, i << 20);
		snprintf(text, sizeof(text), "%lld.%02lldGi", (long long)i / 4, (long long)i % 4 * 25);
		assert_int_equal(cgm_quantity_units(cgm_str(text), &v), 0);
		assert_int_equal(v, i << 28);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantity__samples),
		cmocka_unit_test(test_quantity__rubbish),
		cmocka_unit_test(test_quantity__every),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
