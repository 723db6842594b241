// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/history.h"

#define SECOND CGM_NSEC_PER_SEC

DEFINE_CLEANUP(cgm_history, cgm_history_free)
DEFINE_CLEANUP(cgm_layout, cgm_layout_unref)
#define _cleanup_history_ _cleanup_(cgm_history_freep)
#define _cleanup_layout_ _cleanup_(cgm_layout_freep)
#define _cleanup_view_ _cleanup_(cgm_history_view_done)
#define _cleanup_iter_ _cleanup_(cgm_history_iter_done)

static uint64_t seed = 88172645463325252;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static struct cgm_layout *layout_of(uint32_t nr_values)
{
	struct cgm_layout *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->refs = 1;
	l->nr_values = nr_values;
	return l;
}

/* What the tests expect: plain arrays. */
struct recorded {
	struct cgm_layout *layout;
	uint64_t time_ns;
	uint64_t *values;
};

static void record(struct recorded *r, struct cgm_history *h, struct cgm_layout *l, uint64_t time_ns, const uint64_t *values)
{
	r->layout = l;
	r->time_ns = time_ns;
	r->values = calloc(l->nr_values, sizeof(*values));
	assert_non_null(r->values);
	memcpy(r->values, values, l->nr_values * sizeof(*values));
	assert_int_equal(cgm_history_add(h, l, time_ns, values), 0);
}

/* The view holds the nr recorded samples, in order and exactly. */
static void assert_view(const struct cgm_history_view *v, const struct recorded *r, size_t nr)
{
	_cleanup_iter_ struct cgm_history_iter it = { 0 };

	assert_int_equal(cgm_history_view_count(v), nr);
	cgm_history_iter_init(&it, v);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(cgm_history_iter_next(&it), 1);
		assert_true(it.time_ns == r[i].time_ns);
		assert_ptr_equal(it.layout, r[i].layout);
		assert_memory_equal(it.values, r[i].values, it.layout->nr_values * sizeof(uint64_t));
	}
	assert_int_equal(cgm_history_iter_next(&it), 0);
	assert_int_equal(cgm_history_iter_next(&it), 0);
}

static void forget(struct recorded *r, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(r[i].values);
}

/* Changes some values: small and large steps, backwards, wrap-around, both ends. */
static void wander(uint64_t *values, uint32_t nr)
{
	static const uint64_t ends[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1, 1ULL << 63, (1ULL << 63) - 1 };

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t what = next_random() % 16;

		if (what < 4)
			values[i] += next_random() >> next_random() % 64;
		else if (what == 4)
			values[i] -= next_random() >> next_random() % 64;
		else if (what == 5)
			values[i] = ends[next_random() % ARRAY_SIZE(ends)];
	}
}

static void round_trip(uint32_t nr_values, size_t nr)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(nr_values);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	struct recorded *r = calloc(nr, sizeof(*r));
	uint64_t *values = calloc(nr_values, sizeof(*values)), time_ns = 1795362956ULL * SECOND;

	assert_true(h && r && values);
	for (size_t i = 0; i < nr; i++) {
		time_ns += i % 7 ? next_random() >> 34 : i % 5 * SECOND;
		record(&r[i], h, l, time_ns, values);
		wander(values, nr_values);
	}
	cgm_history_view_init(h, &v);
	assert_view(&v, r, nr);
	forget(r, nr);
	free(r);
	free(values);
}

static void test_history_add__random_samples_come_back_exactly(void **state)
{
	static const uint32_t sizes[] = { 1, 7, 8, 9, 63, 64, 65, 100, 128, 129, 700 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		round_trip(sizes[i], 200);
}

static void test_history_add__a_first_sample_larger_than_a_block(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(2000);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	uint64_t values[2000];
	struct recorded r[30];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(values); k++)
			values[k] = i % 3 ? next_random() : UINT64_MAX >> 1;
		record(&r[i], h, l, i, values);
	}
	cgm_history_view_init(h, &v);
	assert_view(&v, r, ARRAY_SIZE(r));
	forget(r, ARRAY_SIZE(r));
}

static void test_history_add__layout_grows_in_mid_history(void **state)
{
	_cleanup_layout_ struct cgm_layout *small = layout_of(40), *large = layout_of(90);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	uint64_t values[90] = { 0 };
	struct recorded r[60];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		wander(values, 90);
		record(&r[i], h, i < 20 || i >= 40 ? small : large, i * SECOND, values);
	}
	cgm_history_view_init(h, &v);
	assert_view(&v, r, ARRAY_SIZE(r));
	forget(r, ARRAY_SIZE(r));
}

static void test_history_add__drops_old_chunks_but_not_what_a_view_holds(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(80);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(10 * SECOND);
	_cleanup_view_ struct cgm_history_view before = { 0 }, after = { 0 };
	uint64_t values[80] = { 0 };
	struct recorded r[400];
	size_t nr;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(r); i++) {
		wander(values, 80);
		record(&r[i], h, l, i * SECOND, values);
		if (i == 11)
			cgm_history_view_init(h, &before);
	}
	assert_view(&before, r, 12);
	cgm_history_view_init(h, &after);
	nr = cgm_history_view_count(&after);
	assert_in_range(nr, 11, 60); /* ten seconds and the newest, and no more than a chunk beyond */
	assert_view(&after, r + ARRAY_SIZE(r) - nr, nr);
	assert_true(cgm_history_bytes(h) < 20000);
	forget(r, ARRAY_SIZE(r));
}

static void test_history_add__idle_chunk_is_dropped_without_a_new_one(void **state)
{
	_cleanup_layout_ struct cgm_layout *a = layout_of(10), *b = layout_of(10);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(10 * SECOND);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	uint64_t values[10] = { 1 };

	(void)state;
	assert_int_equal(cgm_history_add(h, a, SECOND, values), 0);
	for (uint64_t i = 2; i < 13; i++)
		assert_int_equal(cgm_history_add(h, b, i * SECOND, values), 0);
	cgm_history_view_init(h, &v);
	assert_int_equal(cgm_history_view_count(&v), 11);
}

static void test_history_add__clock_set_back_keeps_the_order(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(3);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	uint64_t values[3] = { 1, 2, 3 };
	struct recorded r[2];

	(void)state;
	for (uint64_t i = 5000; i < 5010; i++)
		assert_int_equal(cgm_history_add(h, l, i * SECOND, values), 0);
	record(&r[0], h, l, 4000 * SECOND, values);
	record(&r[1], h, l, 4001 * SECOND, values);
	cgm_history_view_init(h, &v);
	assert_view(&v, r, 2);
	forget(r, 2);
}

static void test_history_view__empty(void **state)
{
	_cleanup_history_ struct cgm_history *h = cgm_history_new(SECOND);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	_cleanup_iter_ struct cgm_history_iter it = { 0 };
	size_t first = 9, nr = 9;

	(void)state;
	cgm_history_view_init(h, &v);
	cgm_history_iter_init(&it, &v);
	assert_int_equal(cgm_history_view_count(&v), 0);
	assert_int_equal(cgm_history_iter_seek(&it, 3), 0);
	assert_int_equal(cgm_history_iter_next(&it), 0);
	assert_int_equal(cgm_history_view_range(&v, 0, 0, &first, &nr), 0);
	assert_true(first == 0 && nr == 0);
}

/* 150 samples, times 10, 20, … with pairs of equal ones, in several chunks. */
static void fill_for_ranges(struct cgm_history *h, struct cgm_layout *l, uint64_t *times, size_t nr)
{
	uint64_t values[60] = { 0 };

	for (size_t i = 0; i < nr; i++) {
		times[i] = 10 * (i + 1 - i % 2);
		values[0] = i;
		for (size_t k = 1; k < ARRAY_SIZE(values); k++)
			values[k] = next_random();
		assert_int_equal(cgm_history_add(h, l, times[i], values), 0);
	}
}

static void test_history_view_range__agrees_with_a_plain_search(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(60);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	uint64_t times[150];

	(void)state;
	fill_for_ranges(h, l, times, ARRAY_SIZE(times));
	cgm_history_view_init(h, &v);
	for (uint64_t start = 0; start < 1520; start += 7) {
		for (uint64_t end = 0; end < 1520; end += 35) {
			size_t first, nr, want_first = 0, want_nr = 0;

			for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
				want_first += times[i] < start;
				want_nr += times[i] >= start && (!end || times[i] <= end);
			}
			assert_int_equal(cgm_history_view_range(&v, start, end, &first, &nr), 0);
			assert_int_equal(nr, want_nr);
			if (nr)
				assert_int_equal(first, want_first);
		}
	}
}

static void test_history_iter_seek__every_index(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(60);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(UINT64_MAX);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	_cleanup_iter_ struct cgm_history_iter it = { 0 };
	uint64_t times[150];

	(void)state;
	fill_for_ranges(h, l, times, ARRAY_SIZE(times));
	cgm_history_view_init(h, &v);
	cgm_history_iter_init(&it, &v);
	for (size_t i = ARRAY_SIZE(times); i-- > 0;) { /* backwards on one iterator */
		assert_int_equal(cgm_history_iter_seek(&it, i), 0);
		assert_int_equal(cgm_history_iter_next(&it), 1);
		assert_int_equal(it.values[0], i);
		assert_int_equal(it.time_ns, times[i]);
		assert_int_equal(cgm_history_iter_next(&it), i + 1 < ARRAY_SIZE(times));
	}
	assert_int_equal(cgm_history_iter_seek(&it, ARRAY_SIZE(times)), 0);
	assert_int_equal(cgm_history_iter_next(&it), 0);
}

static void test_history_add__out_of_memory_loses_only_that_sample(void **state)
{
	(void)state;
	for (unsigned long every = 1; every < 7; every++) {
		_cleanup_layout_ struct cgm_layout *small = layout_of(50), *large = layout_of(120);
		_cleanup_history_ struct cgm_history *h = cgm_history_new(40 * SECOND);
		_cleanup_view_ struct cgm_history_view v = { 0 };
		struct recorded r[300];
		size_t nr = 0, lost = 0;
		uint64_t values[120] = { 0 };

		for (uint64_t i = 0; i < ARRAY_SIZE(r); i++) {
			struct cgm_layout *l = i / 50 % 2 ? large : small;
			int err;

			wander(values, 120);
			cgm_mem_fail_at(i % 3 ? 0 : every);
			err = cgm_history_add(h, l, i * SECOND, values);
			cgm_mem_fail_at(0);
			if (!err) {
				r[nr] = (struct recorded){ l, i * SECOND, calloc(120, sizeof(uint64_t)) };
				memcpy(r[nr++].values, values, sizeof(values));
			} else {
				assert_int_equal(err, -ENOMEM);
				lost++;
			}
		}
		if (every <= 2)
			assert_true(lost > 0);
		cgm_history_view_init(h, &v);
		assert_in_range(cgm_history_view_count(&v), 20, nr);
		assert_view(&v, r + nr - cgm_history_view_count(&v), cgm_history_view_count(&v));
		forget(r, nr);
	}
	cgm_mem_fail_at(1);
	assert_null(cgm_history_new(1));
	cgm_mem_fail_at(0);
}

static void test_history_iter_next__out_of_memory(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(4);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(SECOND);
	_cleanup_view_ struct cgm_history_view v = { 0 };
	_cleanup_iter_ struct cgm_history_iter it = { 0 };
	uint64_t values[4] = { 1, 2, 3, 4 };
	int err;

	(void)state;
	assert_int_equal(cgm_history_add(h, l, 1, values), 0);
	assert_int_equal(cgm_history_add(h, l, 2, values), 0);
	cgm_history_view_init(h, &v);
	cgm_history_iter_init(&it, &v);
	cgm_mem_fail_at(1);
	err = cgm_history_iter_next(&it);
	cgm_mem_fail_at(1);
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(cgm_history_iter_seek(&it, 1), -ENOMEM);
	cgm_mem_fail_at(0);
	assert_int_equal(cgm_history_iter_next(&it), 1);
	assert_int_equal(it.time_ns, 1);
}

/* A writer that adds, a reader that walks: the view changes hands through a mutex, as in the snapshot store. */
struct shared {
	pthread_mutex_t lock;
	struct cgm_history_view view;
	bool fresh, done;
	size_t nr_walked, nr_wrong;
};

static void walk(struct shared *sh, struct cgm_history_view *v)
{
	_cleanup_iter_ struct cgm_history_iter it = { 0 };
	uint64_t last = 0;

	cgm_history_iter_init(&it, v);
	while (cgm_history_iter_next(&it) == 1) {
		__atomic_add_fetch(&sh->nr_walked, 1, __ATOMIC_RELAXED);
		/* value k of sample t is t * (k + 1) */
		for (uint32_t k = 0; k < it.layout->nr_values; k++)
			sh->nr_wrong += it.values[k] != it.time_ns * (k + 1);
		sh->nr_wrong += last && it.time_ns != last + 1;
		last = it.time_ns;
	}
}

static void *reader(void *arg)
{
	struct shared *sh = arg;

	for (bool done = false; !done;) {
		_cleanup_view_ struct cgm_history_view v = { 0 };

		pthread_mutex_lock(&sh->lock);
		if (sh->fresh)
			v = sh->view;
		sh->fresh = false;
		done = sh->done;
		pthread_mutex_unlock(&sh->lock);
		walk(sh, &v);
		if (!v.chunks)
			usleep(50);
	}
	return NULL;
}

static void test_history_view__reader_walks_while_the_writer_adds(void **state)
{
	_cleanup_layout_ struct cgm_layout *l = layout_of(70);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(200);
	struct shared sh = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint64_t values[70];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, reader, &sh), 0);
	/* as long as a busy machine needs to let the reader in */
	for (uint64_t t = 1; t < 20000 || __atomic_load_n(&sh.nr_walked, __ATOMIC_RELAXED) < 5000; t++) {
		_cleanup_view_ struct cgm_history_view old = { 0 };

		for (uint64_t k = 0; k < ARRAY_SIZE(values); k++)
			values[k] = t * (k + 1);
		assert_int_equal(cgm_history_add(h, l, t, values), 0);
		if (t % 16)
			continue;
		pthread_mutex_lock(&sh.lock);
		if (sh.fresh)
			old = sh.view;
		cgm_history_view_init(h, &sh.view);
		sh.fresh = true;
		pthread_mutex_unlock(&sh.lock);
		usleep(20); /* lets the reader in on a machine with one free CPU */
	}
	pthread_mutex_lock(&sh.lock);
	sh.done = true;
	pthread_mutex_unlock(&sh.lock);
	pthread_join(thread, NULL);
	assert_int_equal(sh.nr_wrong, 0);
	if (sh.fresh)
		cgm_history_view_done(&sh.view);
}

/*
 * The next sample of a busy container, 100 values: 40 are always 0, 35 do not change, 8 are times (up to 20 ms a second), 6 are
 * memory gauges that change every other second, 11 are small counters and averages.
 */
static void busy_sample(uint64_t *next, const uint64_t *prev)
{
	memcpy(next, prev, 100 * sizeof(*next));
	for (uint32_t i = 0; i < 100; i += 4) {
		if (i < 32)
			next[i] += next_random() % 20000000;
		else if (i < 56 && next_random() % 2)
			next[i] += (next_random() % 128 - 64) * 4096;
		else if (i >= 56)
			next[i] += next_random() % 50;
	}
}

static void test_history_bytes__two_minutes_of_a_busy_container(void **state)
{
	static uint64_t samples[2000][100];
	_cleanup_layout_ struct cgm_layout *l = layout_of(100);
	_cleanup_history_ struct cgm_history *h = cgm_history_new(120 * SECOND);
	uint64_t start_ns, used_ns, time_ns = 1795362956 * SECOND;
	size_t bytes = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		samples[0][i] = i % 4 == 0 || i % 20 < 7 ? next_random() >> (20 + next_random() % 30) : 0;
	for (size_t i = 1; i < ARRAY_SIZE(samples); i++)
		busy_sample(samples[i], samples[i - 1]);
	start_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		assert_int_equal(cgm_history_add(h, l, time_ns += SECOND + i % 7 * 1000, samples[i]), 0);
		bytes += i < 1000 ? 0 : cgm_history_bytes(h);
	}
	used_ns = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns;
	bytes /= ARRAY_SIZE(samples) - 1000;
	print_message("%zu bytes for 120 samples of 100 values (%.1f MB for 500 containers), %llu ns a sample\n", bytes, (double)bytes * 500 / 1e6,
		      (unsigned long long)used_ns / ARRAY_SIZE(samples));
	assert_true(bytes * 500 <= 6300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history_add__random_samples_come_back_exactly),
		cmocka_unit_test(test_history_add__a_first_sample_larger_than_a_block),
		cmocka_unit_test(test_history_add__layout_grows_in_mid_history),
		cmocka_unit_test(test_history_add__drops_old_chunks_but_not_what_a_view_holds),
		cmocka_unit_test(test_history_add__idle_chunk_is_dropped_without_a_new_one),
		cmocka_unit_test(test_history_add__clock_set_back_keeps_the_order),
		cmocka_unit_test(test_history_view__empty),
		cmocka_unit_test(test_history_view_range__agrees_with_a_plain_search),
		cmocka_unit_test(test_history_iter_seek__every_index),
		cmocka_unit_test(test_history_add__out_of_memory_loses_only_that_sample),
		cmocka_unit_test(test_history_iter_next__out_of_memory),
		cmocka_unit_test(test_history_view__reader_walks_while_the_writer_adds),
		cmocka_unit_test(test_history_bytes__two_minutes_of_a_busy_container),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
