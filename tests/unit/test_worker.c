// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cgroup/worker.h"

#define MSEC CGM_NSEC_PER_MSEC

/* What the jobs of a test have done; atomic. */
static struct {
	unsigned runs, freed, running;
} seen;

struct test_job {
	struct cgm_job job;
	uint64_t busy_ns; /* CPU time a run takes */
	int result;
	uint64_t *extra; /* NULL: single values alone */
	unsigned nr;
};

static void burn(uint64_t ns)
{
	uint64_t end = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static int run(struct cgm_job *job, struct cgm_sample *s)
{
	struct test_job *j = (struct test_job *)job;
	uint64_t *v;

	__atomic_store_n(&seen.running, 1, __ATOMIC_SEQ_CST);
	burn(j->busy_ns);
	j->nr++;
	cgm_sample_set(s, CGM_V_FD_COUNT, j->nr);
	v = cgm_sample_extra(s, CGM_LAYOUT_HUGETLB, 1, "2MB", CGM_NR_HUGETLB_VALUES);
	assert_non_null(v);
	v[CGM_HUGETLB_USAGE] = 100 + j->nr;
	__atomic_add_fetch(&seen.runs, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&seen.running, 0, __ATOMIC_SEQ_CST);
	return j->result;
}

static void job_free(struct cgm_job *job)
{
	__atomic_add_fetch(&seen.freed, 1, __ATOMIC_SEQ_CST);
	free(job);
}

static struct cgm_job *new_job(uint64_t busy_ns, int result)
{
	struct test_job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->job.run = run;
	j->job.free = job_free;
	j->busy_ns = busy_ns;
	j->result = result;
	return &j->job;
}

static void wait_for(const unsigned *what, unsigned value)
{
	for (int i = 0; i < 2000 && __atomic_load_n(what, __ATOMIC_SEQ_CST) < value; i++)
		usleep(2000);
	assert_true(__atomic_load_n(what, __ATOMIC_SEQ_CST) >= value);
}

static int reset(void **state)
{
	(void)state;
	seen.runs = seen.freed = seen.running = 0;
	return 0;
}

static void test_worker__results_are_merged(void **state)
{
	struct cgm_job *j = new_job(0, 0);
	struct cgm_sample s = { 0 };
	struct cgm_worker *w;

	(void)state;
	assert_int_equal(cgm_worker_new(10 * MSEC, 500, &w), 0);
	cgm_worker_add(w, j);
	wait_for(&seen.runs, 3);
	cgm_sample_reset(&s);
	assert_int_equal(cgm_worker_merge(w, j, &s), 0);
	assert_true(cgm_sample_has(&s, CGM_V_FD_COUNT));
	assert_int_equal(s.nr_extras, 1);
	assert_int_equal(s.extra_v[s.extras[0].first + CGM_HUGETLB_USAGE], 100 + s.v[CGM_V_FD_COUNT]);
	assert_int_equal(cgm_worker_state(w).nr_jobs, 1);
	assert_true(cgm_worker_state(w).nr_runs >= 3);
	cgm_worker_free(w);
	assert_int_equal(seen.freed, 1);
	cgm_sample_done(&s);
}

/* What could not be measured leaves the last result as it was. */
static void test_worker__a_run_that_fails(void **state)
{
	struct cgm_job *j = new_job(0, -ENOMEM);
	struct cgm_sample s = { 0 };
	struct cgm_worker *w;

	(void)state;
	assert_int_equal(cgm_worker_new(5 * MSEC, 500, &w), 0);
	cgm_worker_add(w, j);
	wait_for(&seen.runs, 2);
	cgm_sample_reset(&s);
	assert_int_equal(cgm_worker_merge(w, j, &s), 0);
	assert_false(cgm_sample_has(&s, CGM_V_FD_COUNT));
	assert_int_equal(s.nr_extras, 0);
	assert_true(cgm_worker_state(w).nr_failed >= 1);
	cgm_worker_free(w);
	cgm_sample_done(&s);
}

static void test_worker__dropped_while_it_runs(void **state)
{
	struct cgm_job *slow = new_job(100 * MSEC, 0), *other = new_job(0, 0);
	uint64_t began;
	struct cgm_worker *w;

	(void)state;
	assert_int_equal(cgm_worker_new(1000 * MSEC, 900, &w), 0);
	cgm_worker_add(w, slow);
	wait_for(&seen.running, 1);
	began = cgm_clock_mono_ns();
	cgm_worker_drop(w, slow); /* does not wait for it */
	assert_true(cgm_clock_mono_ns() - began < 80 * MSEC);
	wait_for(&seen.freed, 1);
	cgm_worker_add(w, other);
	wait_for(&seen.runs, 2);
	for (int i = 0; i < 500 && __atomic_load_n(&seen.running, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	usleep(20000);
	cgm_worker_drop(w, other);
	assert_int_equal(seen.freed, 2);
	cgm_worker_drop(w, NULL);
	assert_int_equal(cgm_worker_state(w).nr_jobs, 0);
	cgm_worker_free(w);
	cgm_worker_free(NULL);
}

/* Each in turn; and no more of a CPU than the share. */
static void test_worker__share_of_a_cpu(void **state)
{
	uint64_t began, wall_ns, busy_ns = 2 * MSEC;
	struct cgm_worker *w;
	unsigned runs;

	(void)state;
	assert_int_equal(cgm_worker_new(1 * MSEC, 100, &w), 0);
	began = cgm_clock_mono_ns();
	for (int i = 0; i < 4; i++)
		cgm_worker_add(w, new_job(busy_ns, 0));
	usleep(400000);
	runs = __atomic_load_n(&seen.runs, __ATOMIC_SEQ_CST);
	wall_ns = cgm_clock_mono_ns() - began;
	/* 400 ms at a tenth are 40 ms: 20 runs, and the one that was begun */
	assert_true(runs * busy_ns <= wall_ns / 10 + 2 * busy_ns);
	assert_true(runs >= 4);
	assert_true(cgm_worker_state(w).late_ns > 0);
	cgm_worker_free(w);
	assert_int_equal(seen.freed, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_worker__results_are_merged, reset),
		cmocka_unit_test_setup(test_worker__a_run_that_fails, reset),
		cmocka_unit_test_setup(test_worker__dropped_while_it_runs, reset),
		cmocka_unit_test_setup(test_worker__share_of_a_cpu, reset),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
