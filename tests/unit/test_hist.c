// SPDX-License-Identifier: Apache-2.0
/* The bucket of a value, as the kernel side computes it: bounds are inclusive ("le"), and are those of a native histogram. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cgmeter/abi.h"
#include "kernel/kernel.h"

/* Each bound is 2^(i/4) seconds, rounded down to a ns: what is at most the one is at most the other. */
static void test_hist_bounds(void **state)
{
	(void)state;
	for (unsigned i = 0; i + 1 < CGM_HIST_BUCKETS; i++) {
		long double exact = 1e9L * exp2l((long double)((int)i + CGM_HIST_FIRST_INDEX) / (1 << CGM_HIST_SCHEMA));

		assert_int_equal(cgm_hist_bound_ns(i), (uint64_t)exact);
	}
	assert_int_equal(cgm_hist_bound_ns(80), 1000000000); /* one second, exactly */
	assert_int_equal(cgm_hist_bound_ns(CGM_HIST_BUCKETS - 1), UINT64_MAX);
}

static void test_hist_bucket__edges(void **state)
{
	(void)state;
	assert_int_equal(cgm_hist_bucket(0), 0);
	assert_int_equal(cgm_hist_bucket(1), 0);
	for (unsigned i = 0; i + 1 < CGM_HIST_BUCKETS; i++) {
		uint64_t bound = cgm_hist_bound_ns(i);

		assert_int_equal(cgm_hist_bucket(bound), i);
		assert_int_equal(cgm_hist_bucket(bound - 1), i);
		assert_int_equal(cgm_hist_bucket(bound + 1), i + 1);
	}
}

static unsigned by_search(uint64_t ns)
{
	unsigned i = 0;

	while (ns > cgm_hist_bound_ns(i))
		i++;
	return i;
}

/* Powers of two of a ns, where 32-bit shifts and off-by-ones go wrong, to far beyond 2^31 ns; and values in between. */
static void test_hist_bucket__every_doubling(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 64; k++) {
		uint64_t two_k = 1ULL << k;

		assert_int_equal(cgm_hist_bucket(two_k), by_search(two_k));
		assert_int_equal(cgm_hist_bucket(two_k - 1), by_search(two_k - 1));
		assert_int_equal(cgm_hist_bucket(two_k + 1), by_search(two_k + 1));
	}
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t ns = ((uint64_t)rand() << 31 | (uint64_t)rand()) >> (rand() % 62);

		assert_int_equal(cgm_hist_bucket(ns), by_search(ns));
	}
	assert_int_equal(cgm_hist_bucket(UINT64_MAX), CGM_HIST_BUCKETS - 1);
}

/* What schema 2 promises: told by the middle (harmonic) of its bucket, a value is wrong by at most 9 %. */
static void test_hist_bucket__relative_error(void **state)
{
	(void)state;
	for (unsigned i = 1; i + 1 < CGM_HIST_BUCKETS; i++) {
		double low = (double)cgm_hist_bound_ns(i - 1), high = (double)cgm_hist_bound_ns(i), told = 2 * low * high / (low + high);

		assert_true((told - low) / low < 0.09 && (high - told) / high < 0.09);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hist_bounds),
		cmocka_unit_test(test_hist_bucket__edges),
		cmocka_unit_test(test_hist_bucket__every_doubling),
		cmocka_unit_test(test_hist_bucket__relative_error),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
