// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/digest.h"

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Wrong by at most 1/64, and half for rounding. */
static void assert_close(uint64_t got, uint64_t want)
{
	uint64_t distance = got > want ? got - want : want - got;

	if (distance > want / 64 + 1)
		fail_msg("%llu is not near %llu", (unsigned long long)got, (unsigned long long)want);
}

static void assert_like(const struct cgm_percentiles *got, const struct cgm_percentiles *want)
{
	assert_int_equal(got->nr, want->nr);
	assert_int_equal(got->max, want->max);
	assert_true(got->mean + 1 >= want->mean && got->mean <= want->mean + 1);
	assert_close(got->fifty, want->fifty);
	assert_close(got->ninety, want->ninety);
	assert_close(got->ninety_five, want->ninety_five);
}

static void test_digest__single_numbers_of_every_size(void **state)
{
	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		for (int around = -1; around <= 1; around++) {
			uint64_t v = (1ULL << shift) + (uint64_t)around;
			struct cgm_digest d = { 0 };
			struct cgm_spread *s = calloc(1, sizeof(*s));
			struct cgm_percentiles p;

			assert_int_equal(cgm_digest_add(&d, v), 0);
			cgm_spread_add(s, &d);
			cgm_spread_percentiles(s, &p);
			assert_int_equal(p.max, v);
			if (v < 64)
				assert_int_equal(p.fifty, v);
			assert_close(p.fifty, v);
			free(s);
			cgm_digest_done(&d);
		}
	}
}

/* Against the exact percentiles, for several shapes; also cut into parts, packed and put together again. */
static void test_digest__against_exact(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 10, 60, 3600 };

	(void)state;
	seed = 88172645463325252ULL;
	for (size_t n = 0; n < ARRAY_SIZE(sizes) * 4; n++) {
		size_t nr = sizes[n / 4];
		uint64_t *values = calloc(nr, sizeof(*values));
		struct cgm_digest whole = { 0 }, part = { 0 }, merged = { 0 };
		struct cgm_spread *one = calloc(1, sizeof(*one)), *packed = calloc(1, sizeof(*packed)), *two = calloc(1, sizeof(*two));
		struct cgm_percentiles exact, p;

		for (size_t i = 0; i < nr; i++) {
			uint64_t r = next_random();

			values[i] = n % 4 == 0 ? r % 100 : n % 4 == 1 ? r % 4000 : n % 4 == 2 ? (1ULL << 30) + r % (1 << 20) : r >> (r % 64);
			assert_int_equal(cgm_digest_add(&whole, values[i]), 0);
			assert_int_equal(cgm_digest_add(&part, values[i]), 0);
			if (i % 7 == 6 || i + 1 == nr) {
				uint8_t *bytes = malloc(cgm_digest_pack_room(&part)), *end = cgm_digest_pack(&part, bytes);

				assert_in_range(end - bytes, 1, cgm_digest_pack_room(&part));
				assert_ptr_equal(cgm_spread_add_packed(packed, bytes), end);
				assert_int_equal(cgm_digest_merge(&merged, &part), 0);
				cgm_digest_clear(&part);
				free(bytes);
			}
		}
		cgm_exact_percentiles(values, nr, &exact);
		cgm_spread_add(one, &whole);
		cgm_spread_percentiles(one, &p);
		if (n % 4 != 3) { /* there the sum may saturate */
			assert_like(&p, &exact);
			assert_close(p.std, exact.std);
			cgm_spread_percentiles(packed, &p);
			assert_like(&p, &exact);
			cgm_spread_add(two, &merged);
			cgm_spread_percentiles(two, &p);
			assert_like(&p, &exact);
			assert_close(p.std, exact.std);
		}
		free(values);
		free(one);
		free(two);
		free(packed);
		cgm_digest_done(&whole);
		cgm_digest_done(&part);
		cgm_digest_done(&merged);
	}
}

static void test_exact_percentiles__by_hand(void **state)
{
	uint64_t ten[] = { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 }, one[] = { 7 };
	struct cgm_percentiles p;

	(void)state;
	cgm_exact_percentiles(ten, 10, &p);
	assert_int_equal(p.mean, 6); /* 5.5 */
	assert_int_equal(p.std, 3); /* 2.87 */
	assert_int_equal(p.fifty, 6); /* rank 5.5: 5.5 */
	assert_int_equal(p.ninety, 10); /* rank 9.9: 9.9 */
	assert_int_equal(p.ninety_five, 10);
	assert_int_equal(p.max, 10);
	cgm_exact_percentiles(one, 1, &p);
	assert_int_equal(p.fifty, 7);
	assert_int_equal(p.std, 0);
	cgm_exact_percentiles(one, 0, &p);
	assert_int_equal(p.nr, 0);
	assert_int_equal(p.max, 0);
}

static void test_digest__every_allocation_fails(void **state)
{
	(void)state;
	for (unsigned long n = 1; n < 8; n++) {
		struct cgm_digest d = { 0 }, e = { 0 };
		uint64_t nr = 0;

		for (uint64_t i = 0; i < 40; i++)
			assert_int_equal(cgm_digest_add(&e, 3 * i), 0);
		cgm_mem_fail_at(n);
		for (uint64_t i = 0; i < 40; i++)
			nr += cgm_digest_add(&d, 2 * i) == 0;
		cgm_mem_fail_at(0);
		assert_int_equal(d.nr, nr);
		assert_in_range(nr, 39, 40);
		cgm_mem_fail_at(1);
		if (cgm_digest_merge(&d, &e) == -ENOMEM)
			assert_int_equal(d.nr, nr);
		cgm_mem_fail_at(0);
		cgm_digest_done(&d);
		cgm_digest_done(&e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest__single_numbers_of_every_size),
		cmocka_unit_test(test_digest__against_exact),
		cmocka_unit_test(test_exact_percentiles__by_hand),
		cmocka_unit_test(test_digest__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
