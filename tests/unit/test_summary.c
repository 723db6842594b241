// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/summary.h"

#define SECOND 1000000000ULL
#define BEGIN (1790000000ULL * SECOND)
#define MAX_SAMPLES (26 * 3600)

/* What went in, to compute from. */
struct twin {
	struct cgm_summary *summary;
	struct cgm_history *history;
	struct cgm_layout *layout;
	uint64_t *cpu, *memory; /* by sample; cpu[0] is no difference */
	uint64_t cpu_ns, time_ns;
	size_t nr;
};

static void twin_init(struct twin *t, uint64_t keep_ns)
{
	struct cgm_sample s = { 0 };

	*t = (struct twin){ .summary = cgm_summary_new(12345678901ULL), .history = cgm_history_new(keep_ns), .time_ns = BEGIN };
	cgm_sample_set(&s, CGM_V_CPU_USAGE_TOTAL, 1);
	cgm_sample_set(&s, CGM_V_MEMORY_WORKING_SET, 1);
	t->layout = cgm_layout_for(NULL, &s, NULL, NULL);
	t->cpu = calloc(MAX_SAMPLES, sizeof(uint64_t));
	t->memory = calloc(MAX_SAMPLES, sizeof(uint64_t));
	assert_true(t->summary && t->history && t->layout && t->cpu && t->memory);
}

static void twin_done(struct twin *t)
{
	cgm_summary_unref(t->summary);
	cgm_history_free(t->history);
	cgm_layout_unref(t->layout);
	free(t->cpu);
	free(t->memory);
}

static void twin_add(struct twin *t, uint64_t milli, uint64_t memory)
{
	uint64_t *values = calloc(t->layout->nr_values, sizeof(*values));

	t->time_ns += SECOND;
	t->cpu_ns += milli * 1000000;
	t->cpu[t->nr] = milli;
	t->memory[t->nr++] = memory;
	cgm_summary_add(t->summary, &(struct cgm_usage_sample){ .time_ns = t->time_ns, .has_cpu = true, .has_memory = true,
								.cpu_ns = t->cpu_ns, .memory_bytes = memory });
	values[CGM_V_CPU_USAGE_TOTAL] = t->cpu_ns;
	values[CGM_V_MEMORY_WORKING_SET] = memory;
	assert_int_equal(cgm_history_add(t->history, t->layout, t->time_ns, values), 0);
	free(values);
}

static void twin_read(struct twin *t, struct cgm_derived *d)
{
	struct cgm_history_view v;

	cgm_history_view_init(t->history, &v);
	assert_int_equal(cgm_summary_read(t->summary, &v, t->time_ns, d), 0);
	cgm_history_view_done(&v);
}

/* Exactly, over the newest nr samples. */
static void exact(const uint64_t *all, size_t end, size_t nr, struct cgm_percentiles *ret)
{
	uint64_t *copy = calloc(nr ? nr : 1, sizeof(*copy));

	memcpy(copy, all + end - nr, nr * sizeof(*copy));
	cgm_exact_percentiles(copy, nr, ret);
	free(copy);
}

static void assert_close(uint64_t got, uint64_t want)
{
	if ((got > want ? got - want : want - got) > want / 64 + 1)
		fail_msg("%llu is not near %llu", (unsigned long long)got, (unsigned long long)want);
}

/* The window that the digests have is told by their number of samples, which must be that of the window, up to a slot. */
static void check(const struct twin *t, const uint64_t *all, const struct cgm_percentiles *p, size_t least, size_t most)
{
	struct cgm_percentiles want;

	assert_in_range(p->nr, least, most);
	exact(all, t->nr, p->nr, &want);
	assert_int_equal(p->max, want.max);
	assert_true(p->mean + 1 >= want.mean && p->mean <= want.mean + 1);
	assert_close(p->fifty, want.fifty);
	assert_close(p->ninety, want.ninety);
	assert_close(p->ninety_five, want.ninety_five);
}

/* A day and an hour of a load that climbs, so that a window that is too long or too short has other percentiles. */
static void test_summary__windows(void **state)
{
	struct cgm_derived d;
	struct twin t;

	(void)state;
	twin_init(&t, 120 * SECOND);
	for (size_t i = 0; i < 25 * 3600 + 1234; i++) {
		twin_add(&t, 20 + i / 50 + i * 7919 % 300, (100ULL << 20) + i * 4096 + i * 104729 % (1 << 20));
		if (i == 29) {
			twin_read(&t, &d);
			assert_int_equal(d.minute.percent_complete, 48); /* 29 of 60 seconds lie between samples */
			assert_int_equal(d.hour.percent_complete, 1);
			assert_int_equal(d.minute.cpu.nr, 29);
			assert_int_equal(d.minute.memory.nr, 30);
		}
		if (i == 1800) {
			twin_read(&t, &d);
			assert_int_equal(d.minute.percent_complete, 100);
			assert_int_equal(d.hour.percent_complete, 50);
			assert_int_equal(d.day.percent_complete, 2);
			assert_int_equal(d.day.cpu.nr, 1800);
			check(&t, t.cpu, &d.hour.cpu, 1800, 1800);
		}
	}
	twin_read(&t, &d);
	assert_int_equal(d.time_ns, t.time_ns);
	assert_int_equal(d.cpu, t.cpu[t.nr - 1]);
	assert_int_equal(d.memory, t.memory[t.nr - 1]);
	assert_int_equal(d.minute.percent_complete, 100);
	assert_int_equal(d.hour.percent_complete, 100);
	assert_int_equal(d.day.percent_complete, 100);
	check(&t, t.cpu, &d.minute.cpu, 60, 60);
	check(&t, t.memory, &d.minute.memory, 60, 60);
	check(&t, t.cpu, &d.hour.cpu, 3600, 3660);
	check(&t, t.memory, &d.hour.memory, 3600, 3660);
	check(&t, t.cpu, &d.day.cpu, 86400, 86400 + 3600);
	check(&t, t.memory, &d.day.memory, 86400, 86400 + 3600);
	print_message("# a busy container after a day: %zu bytes\n", cgm_summary_bytes(t.summary));
	assert_true(cgm_summary_bytes(t.summary) < 24 * 1024);
	twin_done(&t);
}

static void test_summary__a_quiet_container_is_small(void **state)
{
	struct twin t;

	(void)state;
	twin_init(&t, 120 * SECOND);
	for (size_t i = 0; i < 25 * 3600; i++)
		twin_add(&t, i % 5 == 0, 5 << 20);
	print_message("# a quiet container after a day: %zu bytes\n", cgm_summary_bytes(t.summary));
	assert_true(cgm_summary_bytes(t.summary) < 4096);
	twin_done(&t);
}

/* A clock that is set back, a counter that begins anew, values that are not known. */
static void test_summary__odd_times_and_values(void **state)
{
	struct cgm_summary *s = cgm_summary_new(0);
	struct cgm_usage_sample x = { .time_ns = BEGIN, .has_cpu = true, .cpu_ns = 5 * SECOND };
	struct cgm_history *h = cgm_history_new(SECOND);
	struct cgm_history_view v;
	struct cgm_derived d;

	(void)state;
	cgm_history_view_init(h, &v);
	for (unsigned i = 0; i < 1000; i++) {
		x.time_ns += i % 100 == 50 ? -(3600 * SECOND) : 30 * SECOND;
		x.cpu_ns = i % 10 == 3 ? 0 : x.cpu_ns + SECOND;
		cgm_summary_add(s, &x);
		assert_true(cgm_summary_bytes(s) < 16 * 1024);
	}
	assert_int_equal(cgm_summary_read(s, &v, x.time_ns, &d), 0);
	assert_int_equal(d.hour.memory.nr, 0);
	assert_true(d.hour.cpu.nr > 0 && d.hour.cpu.max <= 34);
	assert_int_equal(d.minute.cpu.nr, 0);
	assert_int_equal(cgm_summary_read(NULL, &v, x.time_ns, &d), 0);
	assert_int_equal(d.day.cpu.nr, 0);
	assert_int_equal(d.day.percent_complete, 0);
	cgm_history_view_done(&v);
	cgm_history_free(h);
	cgm_summary_unref(s);
}

struct readers {
	struct twin *t;
	bool stop;
	unsigned nr;
};

static void *read_on(void *arg)
{
	struct readers *r = arg;
	struct cgm_history *empty = cgm_history_new(SECOND);
	struct cgm_history_view v;
	struct cgm_derived d;

	cgm_history_view_init(empty, &v);
	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		if (cgm_summary_read(r->t->summary, &v, BEGIN, &d) == 0 && d.hour.cpu.nr <= d.day.cpu.nr)
			__atomic_add_fetch(&r->nr, 1, __ATOMIC_RELAXED);
	}
	cgm_history_view_done(&v);
	cgm_history_free(empty);
	return NULL;
}

/* Readers hold the lock most of the time; what the sampler could not add at once comes later, and is counted when it never does. */
static void test_summary__readers_beside_the_sampler(void **state)
{
	uint64_t before = cgm_summary_lost();
	struct cgm_derived d;
	struct readers r;
	struct twin t;
	pthread_t threads[2];

	(void)state;
	twin_init(&t, 120 * SECOND);
	r = (struct readers){ .t = &t };
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
	for (size_t i = 0; i < 20000; i++)
		twin_add(&t, i % 100, 1 << 20);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	twin_add(&t, 1, 1 << 20); /* now what was kept back is added */
	twin_read(&t, &d);
	assert_int_equal(d.day.memory.nr + (cgm_summary_lost() - before), t.nr);
	twin_done(&t);
}

static void test_summary__every_allocation_fails(void **state)
{
	struct cgm_derived d;
	unsigned long nr;

	(void)state;
	for (unsigned long n = 1; n < 400; n++) {
		struct cgm_summary *s;
		struct cgm_history *h = cgm_history_new(120 * SECOND);
		struct cgm_history_view v;

		cgm_history_view_init(h, &v);
		cgm_mem_fail_at(n);
		s = cgm_summary_new(0);
		for (uint64_t i = 0; s && i < 8000; i++)
			cgm_summary_add(s, &(struct cgm_usage_sample){ .time_ns = BEGIN + i * SECOND, .has_cpu = true, .has_memory = true,
								       .cpu_ns = i * i * 1000, .memory_bytes = i * 4096 });
		if (s && cgm_summary_read(s, &v, BEGIN, &d) == 0)
			assert_true(d.hour.memory.nr <= 3660);
		nr = cgm_mem_fail_at(0);
		cgm_summary_unref(s);
		cgm_history_view_done(&v);
		cgm_history_free(h);
		if (nr < n)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_summary__windows),
		cmocka_unit_test(test_summary__a_quiet_container_is_small),
		cmocka_unit_test(test_summary__odd_times_and_values),
		cmocka_unit_test(test_summary__readers_beside_the_sampler),
		cmocka_unit_test(test_summary__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
