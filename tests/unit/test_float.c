// SPDX-License-Identifier: Apache-2.0
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"

static void check(double v, const char *wanted)
{
	struct cgm_buf b = { 0 };

	cgm_buf_f64(&b, v);
	cgm_buf_char(&b, '\0');
	assert_string_equal(b.p, wanted);
	cgm_buf_done(&b);
}

/* Numbers that Heapster wrote, and ends of the range. */
static void test_f64__known(void **state)
{
	(void)state;
	check(0, "0");
	check(-0.0, "-0");
	check(2000, "2000");
	check(8589934592, "8589934592");
	check(0.05263157894736842, "0.05263157894736842");
	check(0.008928571428571428, "0.008928571428571428");
	check(199.93825730492637, "199.93825730492637");
	check(-802874.3876390524, "-802874.3876390524");
	check(19720424.773731034, "19720424.773731034");
	check(0.1, "0.1");
	check(0.3, "0.3");
	check(0.1 + 0.2, "0.30000000000000004");
	check(1.5, "1.5");
	check(123456.789, "123456.789");
	check(9007199254740993.0, "9007199254740992");
	check(18014398509481984.0, "18014398509481984");
	check(1e23, "100000000000000000000000");
	check(1e-7, "0.0000001");
	check(5e-324, "0.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		      "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		      "00000000000000000000000005");
	check(NAN, "NaN");
	check(INFINITY, "Inf");
	check(-INFINITY, "-Inf");
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* The digits without zeros around them. */
static void digits_of(const char *text, char *to)
{
	size_t len = 0;

	for (; *text && *text != 'e'; text++)
		if (*text >= '0' && *text <= '9' && (len || *text != '0'))
			to[len++] = *text;
	while (len && to[len - 1] == '0')
		len--;
	to[len] = '\0';
}

/* Reads back as the same, and has no more digits than printf needs, which are the nearest of so many. */
static void test_f64__shortest(void **state)
{
	uint64_t x = 88172645463325252ULL;
	struct cgm_buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = next(&x);
		char text[64], got[400], wanted[400];
		double v;

		memcpy(&v, &r, sizeof(v));
		if (i % 4 == 1)
			v = (double)(r % 1000000000) / (double)(next(&x) % 1000 + 1);
		if (i % 4 == 2)
			v = ldexp(1, (int)(r % 2090) - 1070);
		if (i % 4 == 3)
			v = (double)(r % 100000) / 1000;
		if (!isfinite(v))
			continue;
		b.len = 0;
		cgm_buf_f64(&b, v);
		cgm_buf_char(&b, '\0');
		assert_true(strtod(b.p, NULL) == v);
		for (int precision = 0; precision < 17; precision++) {
			snprintf(text, sizeof(text), "%.*e", precision, v);
			if (strtod(text, NULL) == v)
				break;
		}
		digits_of(b.p, got);
		digits_of(text, wanted);
		/* Below a power of two there is half the room: a number of fewer digits may lie above it, which printf does not try. */
		if (i % 4 != 2 || strlen(got) >= strlen(wanted))
			assert_string_equal(got, wanted);
	}
	cgm_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_f64__known),
		cmocka_unit_test(test_f64__shortest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
