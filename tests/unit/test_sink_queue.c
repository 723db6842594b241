// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/backoff.h"
#include "sink/queue.h"

static uint64_t put(struct cgm_sink_queue *q, const char *text, uint64_t nr_points)
{
	uint64_t dropped = 4711;

	assert_int_equal(cgm_sink_queue_put(q, text, strlen(text), nr_points, &dropped), 0);
	return dropped;
}

static void take(struct cgm_sink_queue *q, const char *wanted)
{
	struct cgm_sink_batch *b = cgm_sink_queue_take(q);

	assert_non_null(b);
	assert_int_equal(b->len, strlen(wanted));
	assert_memory_equal(b->data, wanted, b->len);
	cgm_sink_queue_finish(q, b);
}

static void level(const struct cgm_sink_queue *q, uint64_t bytes, uint64_t batches)
{
	uint64_t b, n;

	cgm_sink_queue_level(q, &b, &n);
	assert_int_equal(b, bytes);
	assert_int_equal(n, batches);
}

static void test_queue__in_order(void **state)
{
	struct cgm_sink_queue q;

	(void)state;
	cgm_sink_queue_init(&q, 100, 10);
	assert_int_equal(put(&q, "one", 1), 0);
	assert_int_equal(put(&q, "three", 3), 0);
	level(&q, 8, 2);
	take(&q, "one");
	assert_int_equal(put(&q, "five", 5), 0);
	take(&q, "three");
	take(&q, "five");
	level(&q, 0, 0);
	cgm_sink_queue_close(&q);
	assert_null(cgm_sink_queue_take(&q));
	cgm_sink_queue_done(&q);
}

/* The oldest that wait go; what is being sent stays, and counts. */
static void test_queue__full_of_bytes(void **state)
{
	struct cgm_sink_queue q;
	struct cgm_sink_batch *sent;

	(void)state;
	cgm_sink_queue_init(&q, 10, 100);
	put(&q, "aaaa", 1);
	sent = cgm_sink_queue_take(&q);
	put(&q, "bbb", 2);
	put(&q, "ccc", 4);
	level(&q, 10, 3);
	assert_int_equal(put(&q, "ddd", 8), 2);
	assert_int_equal(put(&q, "eeeeee", 16), 4 + 8);
	level(&q, 10, 2);
	assert_int_equal(put(&q, "fffffff", 32), 16 + 32); /* beside what is being sent it has no room at all */
	level(&q, 4, 1);
	cgm_sink_queue_finish(&q, sent);
	assert_int_equal(put(&q, "ggggggg", 64), 0);
	take(&q, "ggggggg");
	cgm_sink_queue_done(&q);
}

static void test_queue__full_of_batches(void **state)
{
	struct cgm_sink_queue q;

	(void)state;
	cgm_sink_queue_init(&q, 1000, 2);
	put(&q, "a", 1);
	put(&q, "b", 2);
	assert_int_equal(put(&q, "c", 4), 1);
	take(&q, "b");
	cgm_sink_queue_close(&q);
	take(&q, "c"); /* what is there is given out also after the end */
	assert_null(cgm_sink_queue_take(&q));
	put(&q, "left", 1);
	cgm_sink_queue_done(&q);
}

static void test_queue__out_of_memory(void **state)
{
	struct cgm_sink_queue q;
	uint64_t dropped;

	(void)state;
	cgm_sink_queue_init(&q, 1000, 2);
	cgm_mem_fail_at(1);
	assert_int_equal(cgm_sink_queue_put(&q, "a", 1, 1, &dropped), -ENOMEM);
	cgm_mem_fail_at(0);
	assert_int_equal(dropped, 0);
	level(&q, 0, 0);
	cgm_sink_queue_done(&q);
}

#define MANY 20000

static void *taker(void *arg)
{
	struct cgm_sink_queue *q = arg;
	struct cgm_sink_batch *b;
	uint64_t sum = 0;

	while ((b = cgm_sink_queue_take(q))) {
		sum += b->nr_points;
		cgm_sink_queue_finish(q, b);
	}
	return (void *)(uintptr_t)sum;
}

/* Taken and dropped are all that was put. */
static void test_queue__two_threads(void **state)
{
	struct cgm_sink_queue q;
	uint64_t dropped = 0;
	pthread_t thread;
	void *taken;

	(void)state;
	cgm_sink_queue_init(&q, 100, 5);
	assert_int_equal(pthread_create(&thread, NULL, taker, &q), 0);
	for (unsigned i = 0; i < MANY; i++)
		dropped += put(&q, "0123456789012345678901234567890123456789" + i % 30, 1);
	cgm_sink_queue_close(&q);
	assert_int_equal(pthread_join(thread, &taken), 0);
	assert_int_equal((uintptr_t)taken + dropped, MANY);
	cgm_sink_queue_done(&q);
}

static void test_backoff(void **state)
{
	uint64_t wait_ns = CGM_BACKOFF_FIRST_NS, sum = 0;
	struct cgm_backoff b, other;

	(void)state;
	cgm_backoff_init(&b, 42);
	cgm_backoff_init(&other, 43);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t ns = cgm_backoff_next_ns(&b, 0);

		assert_in_range(ns, wait_ns / 2, wait_ns);
		sum += ns != cgm_backoff_next_ns(&other, 0);
		wait_ns = wait_ns * 2 > CGM_BACKOFF_LONGEST_NS ? CGM_BACKOFF_LONGEST_NS : wait_ns * 2;
	}
	assert_int_equal(wait_ns, CGM_BACKOFF_LONGEST_NS);
	assert_true(sum >= 11); /* two agents do not come back at the same moment */
	cgm_backoff_reset(&b);
	assert_in_range(cgm_backoff_next_ns(&b, 0), CGM_BACKOFF_FIRST_NS / 2, CGM_BACKOFF_FIRST_NS);
}

static void test_backoff__retry_after(void **state)
{
	struct cgm_backoff b;

	(void)state;
	cgm_backoff_init(&b, 0);
	for (unsigned i = 0; i < 100; i++)
		assert_in_range(cgm_backoff_next_ns(&b, 7000000000ULL), 7000000000ULL, 7875000000ULL);
	assert_in_range(cgm_backoff_next_ns(&b, UINT64_MAX), CGM_BACKOFF_ASKED_NS, CGM_BACKOFF_ASKED_NS / 8 * 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue__in_order),
		cmocka_unit_test(test_queue__full_of_bytes),
		cmocka_unit_test(test_queue__full_of_batches),
		cmocka_unit_test(test_queue__out_of_memory),
		cmocka_unit_test(test_queue__two_threads),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_backoff__retry_after),
	};

	return cmocka_run_group_tests_name("sink_queue", tests, NULL, NULL);
}
