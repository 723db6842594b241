// SPDX-License-Identifier: Apache-2.0
#include "kernel/stat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PERIOD 2000000000ULL
#define AVG(percent, centi) ((uint64_t)(percent) << 11 | ((uint64_t)(centi) * 2048 + 99) / 100)

/* As the file prints it while the kernel keeps it up to date: LOAD_INT() and LOAD_FRAC(). */
static void test_psi_average__as_it_stands(void **state)
{
	(void)state;
	assert_int_equal(cgm_psi_average(0, 0, 10 * PERIOD, 9 * PERIOD), 0);
	assert_int_equal(cgm_psi_average(AVG(37, 50), 0, 10 * PERIOD, 9 * PERIOD), 3750);
	assert_int_equal(cgm_psi_average(AVG(100, 0), 2, 10 * PERIOD, 10 * PERIOD), 10000);
	assert_int_equal(cgm_psi_average(AVG(0, 1), 1, 10 * PERIOD, 9 * PERIOD), 1);
}

/* Nothing waits any more: what is left after t is e^(-t / window), in the kernel's own rounding. */
static void test_psi_average__decays(void **state)
{
	(void)state;
	/* One update is due: 100 * 1677 / 2048 */
	assert_int_equal(cgm_psi_average(AVG(100, 0), 0, PERIOD, PERIOD + 1), 8188);
	/* Four were missed and one is due: e^-1 */
	assert_in_range(cgm_psi_average(AVG(100, 0), 0, PERIOD, 5 * PERIOD + 1), 3650, 3700);
	assert_in_range(cgm_psi_average(AVG(100, 0), 1, PERIOD, 30 * PERIOD + 1), 3600, 3720);
	assert_in_range(cgm_psi_average(AVG(100, 0), 2, PERIOD, 150 * PERIOD + 1), 3500, 3720);
	/* An hour later nothing is left, and a week later, too. */
	assert_int_equal(cgm_psi_average(AVG(100, 0), 2, PERIOD, 1800 * PERIOD), 0);
	assert_int_equal(cgm_psi_average(AVG(100, 0), 2, PERIOD, 302400 * PERIOD), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_psi_average__as_it_stands),
		cmocka_unit_test(test_psi_average__decays),
	};

	return cmocka_run_group_tests_name("stat_rows", tests, NULL, NULL);
}
