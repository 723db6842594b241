// SPDX-License-Identifier: Apache-2.0
/* The bucket of a value, as the kernel side computes it: "le" is inclusive, so 2^k falls into the bucket that ends there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cgmeter/abi.h"
#include "kernel/kernel.h"

static void test_hist_bucket__edges(void **state)
{
	(void)state;
	assert_int_equal(cgm_hist_bucket(0), 0);
	assert_int_equal(cgm_hist_bucket(1), 0);
	for (unsigned i = 0; i + 1 < CGM_HIST_BUCKETS; i++) {
		uint64_t bound = cgm_hist_bound_ns(i);

		assert_int_equal(bound, 1ULL << (i + 10));
		assert_int_equal(cgm_hist_bucket(bound), i);
		assert_int_equal(cgm_hist_bucket(bound - 1), i);
		assert_int_equal(cgm_hist_bucket(bound + 1), i + 1);
	}
	assert_int_equal(cgm_hist_bound_ns(CGM_HIST_BUCKETS - 1), UINT64_MAX);
}

/* Beyond 2^31 ns, where a 32-bit shift goes wrong, and at the end of the range. */
static void test_hist_bucket__large(void **state)
{
	(void)state;
	assert_int_equal(cgm_hist_bucket(2147483648ULL), 21);
	assert_int_equal(cgm_hist_bucket(2150000000ULL), 22);
	assert_int_equal(cgm_hist_bucket(4294967296ULL), 22);
	assert_int_equal(cgm_hist_bucket(4294967297ULL), 23);
	assert_int_equal(cgm_hist_bucket(1ULL << 40), CGM_HIST_BUCKETS - 1);
	assert_int_equal(cgm_hist_bucket(UINT64_MAX), CGM_HIST_BUCKETS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hist_bucket__edges),
		cmocka_unit_test(test_hist_bucket__large),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
