// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

#define NR 2000

static char keys[NR][16];
static int values[NR];

static int make_keys(void **state)
{
	(void)state;
	for (int i = 0; i < NR; i++)
		snprintf(keys[i], sizeof(keys[i]), "/cgroup/%d", i);
	return 0;
}

static void test_hash__put_get_del(void **state)
{
	struct cgm_hash h = { 0 };

	(void)state;
	assert_null(cgm_hash_get(&h, "x"));
	assert_null(cgm_hash_del(&h, "x"));
	for (int i = 0; i < NR; i++)
		assert_int_equal(cgm_hash_put(&h, keys[i], &values[i]), 0);
	assert_int_equal(h.live, NR);
	for (int i = 0; i < NR; i += 2)
		assert_ptr_equal(cgm_hash_del(&h, keys[i]), &values[i]);
	for (int i = 0; i < NR; i++)
		assert_ptr_equal(cgm_hash_get(&h, keys[i]), i % 2 ? &values[i] : NULL);
	assert_int_equal(cgm_hash_put(&h, keys[1], &values[0]), 0);
	assert_int_equal(h.live, NR / 2);
	assert_ptr_equal(cgm_hash_get(&h, keys[1]), &values[0]);
	assert_ptr_equal(cgm_hash_get_n(&h, "/cgroup/1xyz", 9), &values[0]);
	assert_null(cgm_hash_get_n(&h, "/cgroup/", 8));
	cgm_hash_done(&h);
}

static void test_hash__numbers_and_text_do_not_meet(void **state)
{
	struct cgm_hash h = { 0 };

	(void)state;
	for (uint64_t i = 0; i < NR; i++)
		assert_int_equal(cgm_hash_put_u64(&h, i << 32, &values[i]), 0);
	assert_int_equal(cgm_hash_put(&h, "0", &values[5]), 0);
	for (uint64_t i = 0; i < NR; i++)
		assert_ptr_equal(cgm_hash_get_u64(&h, i << 32), &values[i]);
	assert_null(cgm_hash_get_u64(&h, 1));
	assert_ptr_equal(cgm_hash_del_u64(&h, 0), &values[0]);
	assert_null(cgm_hash_get_u64(&h, 0));
	assert_ptr_equal(cgm_hash_get(&h, "0"), &values[5]);
	cgm_hash_done(&h);
}

static void test_hash__churn_stays_small(void **state)
{
	struct cgm_hash h = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		assert_int_equal(cgm_hash_put_u64(&h, i, &values[i % NR]), 0);
		if (i >= 10)
			assert_ptr_equal(cgm_hash_del_u64(&h, i - 10), &values[(i - 10) % NR]);
	}
	assert_int_equal(h.live, 10);
	assert_true(h.cap <= 64);
	cgm_hash_done(&h);
}

static void test_hash_next__each_once_while_deleting(void **state)
{
	struct cgm_hash h = { 0 };
	size_t pos = 0, nr = 0;
	int *v;

	(void)state;
	for (int i = 0; i < NR; i++) {
		values[i] = 0;
		assert_int_equal(cgm_hash_put(&h, keys[i], &values[i]), 0);
	}
	while ((v = cgm_hash_next(&h, &pos)) != NULL) {
		++*v;
		nr++;
		assert_ptr_equal(cgm_hash_del(&h, keys[v - values]), v);
	}
	assert_int_equal(nr, NR);
	for (int i = 0; i < NR; i++)
		assert_int_equal(values[i], 1);
	assert_int_equal(h.live, 0);
	cgm_hash_done(&h);
}

static void test_hash_put__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n <= 5; n++) {
		struct cgm_hash h = { 0 };
		int failed = 0;

		cgm_mem_fail_at(n);
		for (int i = 0; i < 200; i++) {
			int r = cgm_hash_put(&h, keys[i], &values[i]);

			assert_true(r == 0 || r == -ENOMEM);
			failed += r < 0;
			assert_ptr_equal(cgm_hash_get(&h, keys[i]), r ? NULL : &values[i]);
		}
		cgm_mem_fail_at(0);
		assert_int_equal(failed, 1);
		assert_int_equal(h.live, 199);
		cgm_hash_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash__put_get_del),
		cmocka_unit_test(test_hash__numbers_and_text_do_not_meet),
		cmocka_unit_test(test_hash__churn_stays_small),
		cmocka_unit_test(test_hash_next__each_once_while_deleting),
		cmocka_unit_test(test_hash_put__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("hash", tests, make_keys, NULL);
}
