// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"
#include "output/known.h"
#include "output/throttle.h"

#define NOW (5 * CGM_NSEC_PER_SEC) /* soon after the machine started */

static struct cgm_client client(const char *ip)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
		return cgm_client_of((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, ip, &v6.sin6_addr), 1);
	return cgm_client_of((struct sockaddr *)&v6);
}

static bool same(const char *a, const char *b)
{
	struct cgm_client x = client(a), y = client(b);

	return cgm_client_eq(&x, &y);
}

static void test_client_of__addresses(void **state)
{
	(void)state;
	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
	assert_false(same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
	assert_true(same("2001:db8:1:2:3::4", "2001:db8:1:2:5::6")); /* one /64 */
	assert_false(same("2001:db8:1:2:3::4", "2001:db8:1:3:3::4"));
}

static void test_throttle__ten_and_then_slowly(void **state)
{
	struct cgm_client a = client("192.0.2.1"), b = client("192.0.2.2");
	struct cgm_throttle t;

	(void)state;
	cgm_throttle_init(&t);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(cgm_throttle_wait_s(&t, &a, NOW), 0);
		cgm_throttle_failed(&t, &a, NOW);
	}
	assert_int_equal(cgm_throttle_wait_s(&t, &a, NOW), 6);
	assert_int_equal(cgm_throttle_wait_s(&t, &b, NOW), 0);
	assert_int_equal(cgm_throttle_wait_s(&t, &a, NOW + 5 * CGM_NSEC_PER_SEC), 1);
	assert_int_equal(cgm_throttle_wait_s(&t, &a, NOW + 6 * CGM_NSEC_PER_SEC), 0);
	cgm_throttle_failed(&t, &a, NOW + 6 * CGM_NSEC_PER_SEC);
	assert_int_equal(cgm_throttle_wait_s(&t, &a, NOW + 6 * CGM_NSEC_PER_SEC), 6);
	/* However many come at once, it is no longer than two minutes until the first try. */
	for (unsigned i = 0; i < 1000; i++)
		cgm_throttle_failed(&t, &a, NOW + 7 * CGM_NSEC_PER_SEC);
	assert_in_range(cgm_throttle_wait_s(&t, &a, NOW + 7 * CGM_NSEC_PER_SEC), 60, 120);
	cgm_throttle_done(&t);
}

/* The table does not grow; who failed last is remembered. */
static void test_throttle__many_clients(void **state)
{
	struct cgm_client last = { { 0 } };
	struct cgm_throttle t;

	(void)state;
	cgm_throttle_init(&t);
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(last.p, &i, sizeof(i));
		cgm_throttle_failed(&t, &last, NOW + i);
	}
	for (unsigned i = 0; i < 9; i++)
		cgm_throttle_failed(&t, &last, NOW + 100000);
	assert_in_range(cgm_throttle_wait_s(&t, &last, NOW + 100000), 1, 6);
	cgm_throttle_done(&t);
}

static void test_known__remembers_and_forgets(void **state)
{
	struct cgm_known_key a, b;
	struct cgm_known k, other;
	uint64_t generation;

	(void)state;
	assert_int_equal(cgm_known_init(&k), 0);
	assert_int_equal(cgm_known_init(&other), 0);
	assert_int_equal(cgm_known_key(&k, "user", "password", &a), 0);
	assert_int_equal(cgm_known_key(&k, "userp", "assword", &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_int_equal(cgm_known_key(&other, "user", "password", &b), 0);
	assert_memory_not_equal(&a, &b, sizeof(a)); /* each process has a salt of its own */
	generation = cgm_known_generation(&k);
	assert_false(cgm_known_has(&k, &a, NOW));
	cgm_known_add(&k, &a, generation, NOW);
	assert_true(cgm_known_has(&k, &a, NOW));
	assert_true(cgm_known_has(&k, &a, NOW + 299 * CGM_NSEC_PER_SEC));
	assert_false(cgm_known_has(&k, &a, NOW + 301 * CGM_NSEC_PER_SEC));
	assert_false(cgm_known_has(&k, &b, NOW));
	cgm_known_clear(&k);
	assert_false(cgm_known_has(&k, &a, NOW));
	cgm_known_add(&k, &a, generation, NOW); /* checked against what was cleared */
	assert_false(cgm_known_has(&k, &a, NOW));
	/* The newest of many stays. */
	for (unsigned i = 0; i < 10000; i++) {
		char user[16];

		snprintf(user, sizeof(user), "%u", i);
		assert_int_equal(cgm_known_key(&k, user, "", &a), 0);
		cgm_known_add(&k, &a, generation + 1, NOW + i);
		assert_true(cgm_known_has(&k, &a, NOW + i));
	}
	cgm_known_done(&k);
	cgm_known_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_of__addresses),
		cmocka_unit_test(test_throttle__ten_and_then_slowly),
		cmocka_unit_test(test_throttle__many_clients),
		cmocka_unit_test(test_known__remembers_and_forgets),
	};

	return cmocka_run_group_tests_name("throttle", tests, NULL, NULL);
}
