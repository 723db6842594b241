// SPDX-License-Identifier: Apache-2.0
/* Rates and percentiles of two feeds. */
#include "top_fixture.h"

#include <errno.h>
#include <math.h>

#include "kernel/kernel.h"

static const char *const names[] = {"/", "/a", "/a/b", "/c"};

static struct cgm_feed feed(unsigned seconds)
{
	struct cgm_feed f = top_feed(names, ARRAY_SIZE(names), seconds);

	for (size_t i = 0; i < f.nr_rows; i++) {
		struct cgm_feed_row *r = &f.rows[i];
		uint64_t n = (i + 1) * seconds;

		cgm_feed_set(r, CGM_FEED_CPU_USAGE, 7 * SECOND_NS + n * SECOND_NS / 4);
		cgm_feed_set(r, CGM_FEED_CPU_PERIODS, 100 + 10 * seconds);
		cgm_feed_set(r, CGM_FEED_CPU_THROTTLED_PERIODS, 3 * seconds);
		cgm_feed_set(r, CGM_FEED_WORKING_SET, 25 << 20);
		cgm_feed_set(r, CGM_FEED_MEMORY_LIMIT, 100 << 20);
		cgm_feed_set(r, CGM_FEED_MEMORY_SOME, 1234);
		cgm_feed_set(r, CGM_FEED_MEMORY_FULL, 56);
		cgm_feed_set(r, CGM_FEED_TASKS, 7);
		cgm_feed_set(r, CGM_FEED_BLOCK_READ, 4096 * n);
		cgm_feed_set(r, CGM_FEED_BLOCK_WRITE, 512 * n);
		cgm_feed_set(r, CGM_FEED_NET_RX, 1000 * n);
		cgm_feed_set(r, CGM_FEED_NET_TX, 10 * n);
		cgm_feed_set(r, CGM_FEED_TCP_RETRANSMITS, 5 * n);
		r->have_hist = (1U << CGM_NR_FEED_HISTS) - 1;
		/* A past of long waits; of late short ones. */
		r->hist[CGM_FEED_RUNQ_DELAY].buckets[90] = 1000000;
		r->hist[CGM_FEED_RUNQ_DELAY].buckets[20] = 99 * n;
		r->hist[CGM_FEED_RUNQ_DELAY].buckets[40] = n;
		r->hist[CGM_FEED_BLOCK_LATENCY].buckets[50] = n;
	}
	return f;
}

static void near(double value, double wanted)
{
	if (!(fabs(value - wanted) <= 1e-9 * fabs(wanted)))
		fail_msg("%.12g, wanted %.12g", value, wanted);
}

/* The middle of a bucket by its bounds. */
static double middle(unsigned bucket)
{
	return sqrt((double)cgm_hist_bounds[bucket - 1] * (double)cgm_hist_bounds[bucket]);
}

static void test_model__rates(void **state)
{
	struct cgm_model m = {0};

	(void)state;
	top_push(&m, feed(10));
	assert_int_equal(m.interval_ns, 0);
	assert_true(isnan(m.rows[1].v[CGM_COL_CPU]) && isnan(m.rows[1].v[CGM_COL_RUNQ_P99]) && isnan(m.rows[1].v[CGM_COL_RX]));
	near(m.rows[1].v[CGM_COL_MEMORY], 25 << 20);
	near(m.rows[1].v[CGM_COL_LIMIT], 25);
	top_push(&m, feed(14));
	assert_int_equal(m.interval_ns, 4 * SECOND_NS);
	assert_int_equal(m.nr_rows, 4);
	for (size_t i = 0; i < m.nr_rows; i++) {
		const double *v = m.rows[i].v;

		assert_string_equal(m.rows[i].name, names[i]);
		near(v[CGM_COL_CPU], 25.0 * (double)(i + 1));
		near(v[CGM_COL_THROTTLED], 30);
		near(v[CGM_COL_SOME], 12.34);
		near(v[CGM_COL_FULL], 0.56);
		near(v[CGM_COL_READ], 4096.0 * (double)(i + 1));
		near(v[CGM_COL_WRITE], 512.0 * (double)(i + 1));
		near(v[CGM_COL_RX], 1000.0 * (double)(i + 1));
		near(v[CGM_COL_TX], 10.0 * (double)(i + 1));
		near(v[CGM_COL_RETRANSMITS], 5.0 * (double)(i + 1));
		near(v[CGM_COL_TASKS], 7);
		near(v[CGM_COL_RUNQ_P50], middle(20));
		near(v[CGM_COL_RUNQ_P99], middle(20)); /* 99 of 100 are there */
		near(v[CGM_COL_BLOCK_P99], middle(50));
	}
	assert_int_equal(m.rows[2].depth, 2);
	assert_int_equal(m.rows[2].parent, 1);
	cgm_model_done(&m);
}

static void test_model__counters_that_went_back(void **state)
{
	struct cgm_model m = {0};
	struct cgm_feed f = feed(14);

	(void)state;
	f.rows[1].v[CGM_FEED_CPU_USAGE] = 1;
	f.rows[1].hist[CGM_FEED_RUNQ_DELAY].buckets[90] = 0;
	f.rows[2].v[CGM_FEED_CPU_THROTTLED_PERIODS] = 0;
	top_push(&m, feed(10));
	top_push(&m, f);
	assert_true(isnan(m.rows[1].v[CGM_COL_CPU]));
	assert_true(isnan(m.rows[1].v[CGM_COL_RUNQ_P50]));
	near(m.rows[1].v[CGM_COL_RX], 2000);
	assert_true(isnan(m.rows[2].v[CGM_COL_THROTTLED]));
	/* The next interval is whole again. */
	f = feed(18);
	f.rows[1].v[CGM_FEED_CPU_USAGE] = 1 + 2 * SECOND_NS;
	top_push(&m, f);
	near(m.rows[1].v[CGM_COL_CPU], 50);
	cgm_model_done(&m);
}

static void test_model__come_and_gone(void **state)
{
	static const char *const other[] = {"/", "/a", "/aa", "/c"};
	struct cgm_model m = {0};
	struct cgm_feed f = top_feed(other, ARRAY_SIZE(other), 11);

	(void)state;
	for (size_t i = 0; i < f.nr_rows; i++)
		cgm_feed_set(&f.rows[i], CGM_FEED_NET_RX, 1000000);
	top_push(&m, feed(10));
	top_push(&m, f);
	near(m.rows[1].v[CGM_COL_RX], 1000000 - 20000);
	assert_true(isnan(m.rows[2].v[CGM_COL_RX]));
	near(m.rows[3].v[CGM_COL_RX], 1000000 - 40000);
	assert_true(isnan(m.rows[3].v[CGM_COL_CPU])); /* not in the feed any more */
	cgm_model_done(&m);
}

static void test_model__no_rates_over_a_restart(void **state)
{
	struct cgm_model m = {0};

	(void)state;
	top_push(&m, feed(10));
	cgm_model_restart(&m);
	top_push(&m, feed(11));
	assert_int_equal(m.interval_ns, 0);
	assert_true(isnan(m.rows[1].v[CGM_COL_CPU]));
	top_push(&m, feed(12));
	near(m.rows[1].v[CGM_COL_CPU], 50);
	/* The clock of another machine, or of this one after a restart. */
	top_push(&m, feed(3));
	assert_int_equal(m.interval_ns, 0);
	assert_true(isnan(m.rows[1].v[CGM_COL_CPU]));
	cgm_model_done(&m);
}

static void test_model__throttled(void **state)
{
	static const struct {
		uint64_t periods[2], hit[2];
		double wanted;
	} cases[] = {
		{{0, 0}, {0, 0}, NAN},							  /* no quota */
		{{50, 50}, {9, 9}, 0},							  /* a quota, and nobody ran */
		{{50, 60}, {9, 9}, 0}, {{50, 60}, {9, 14}, 50}, {{50, 60}, {9, 20}, 100}, /* read one after the other */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_model m = {0};

		for (unsigned k = 0; k < 2; k++) {
			struct cgm_feed f = top_feed(names, 1, k);

			cgm_feed_set(&f.rows[0], CGM_FEED_CPU_PERIODS, cases[i].periods[k]);
			cgm_feed_set(&f.rows[0], CGM_FEED_CPU_THROTTLED_PERIODS, cases[i].hit[k]);
			top_push(&m, f);
		}
		if (isnan(cases[i].wanted))
			assert_true(isnan(m.rows[0].v[CGM_COL_THROTTLED]));
		else
			near(m.rows[0].v[CGM_COL_THROTTLED], cases[i].wanted);
		cgm_model_done(&m);
	}
}

static void test_hist_quantile(void **state)
{
	struct cgm_hist h = {0};

	(void)state;
	assert_true(isnan(cgm_hist_quantile_ns(&h, 500)));
	h.buckets[0] = 1;
	near(cgm_hist_quantile_ns(&h, 0), 953 / 2.0);
	near(cgm_hist_quantile_ns(&h, 1000), 953 / 2.0);
	h = (struct cgm_hist){.buckets = {[10] = 50, [20] = 49, [30] = 1}};
	near(cgm_hist_quantile_ns(&h, 500), middle(10));
	near(cgm_hist_quantile_ns(&h, 510), middle(20));
	near(cgm_hist_quantile_ns(&h, 990), middle(20));
	near(cgm_hist_quantile_ns(&h, 991), middle(30));
	near(cgm_hist_quantile_ns(&h, 1000), middle(30));
	memset(&h, 0, sizeof(h));
	h.buckets[CGM_HIST_BUCKETS - 1] = UINT64_MAX;
	near(cgm_hist_quantile_ns(&h, 990), 64e9);
}

/* Whatever value, its bucket's middle is within 9 %. */
static void test_hist_quantile__error(void **state)
{
	(void)state;
	for (uint64_t ns = 1000; ns < 60 * SECOND_NS; ns += ns / 7) {
		struct cgm_hist h = {0};

		h.buckets[cgm_hist_bucket(ns)] = 1;
		assert_true(fabs(cgm_hist_quantile_ns(&h, 500) / (double)ns - 1) < 0.0906);
	}
}

static struct cgm_hists hists(uint64_t mono_ns, const char *a, uint64_t nr_a, const char *b, uint64_t nr_b)
{
	struct cgm_hists h = {.mono_ns = mono_ns};
	struct cgm_hist hist = {.buckets = {[3] = nr_a}};

	assert_int_equal(cgm_hists_add(&h, a, &hist), 0);
	hist.buckets[3] = nr_b;
	if (b)
		assert_int_equal(cgm_hists_add(&h, b, &hist), 0);
	return h;
}

static void test_detail(void **state)
{
	struct cgm_detail d = {0};
	struct cgm_hists h = hists(1, "x", 10, NULL, 0);
	struct cgm_hist got;

	(void)state;
	cgm_detail_push(&d, &h);
	assert_false(cgm_detail_get(&d, 0, false, &got));
	assert_true(cgm_detail_get(&d, 0, true, &got));
	assert_int_equal(got.buckets[3], 10);
	h = hists(1, "x", 10, NULL, 0); /* the same snapshot once more */
	cgm_detail_push(&d, &h);
	assert_false(cgm_detail_get(&d, 0, false, &got));
	h = hists(3, "new", 4, "x", 17);
	cgm_detail_push(&d, &h);
	assert_int_equal(d.interval_ns, 2);
	assert_true(cgm_detail_get(&d, 0, false, &got)); /* made at its first event */
	assert_int_equal(got.buckets[3], 4);
	assert_true(cgm_detail_get(&d, 1, false, &got));
	assert_int_equal(got.buckets[3], 7);
	h = hists(4, "new", 3, "x", 17); /* made anew */
	cgm_detail_push(&d, &h);
	assert_false(cgm_detail_get(&d, 0, false, &got));
	cgm_detail_done(&d);
}

static void test_model__out_of_memory(void **state)
{
	struct cgm_model m = {0};
	struct cgm_feed f = feed(1);

	(void)state;
	cgm_mem_fail_at(1);
	assert_int_equal(cgm_model_push(&m, &f), -ENOMEM);
	cgm_mem_fail_at(0);
	assert_int_equal(m.nr_rows, 0);
	top_push(&m, feed(2));
	assert_int_equal(m.nr_rows, 4);
	cgm_model_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model__rates),
		cmocka_unit_test(test_model__counters_that_went_back),
		cmocka_unit_test(test_model__come_and_gone),
		cmocka_unit_test(test_model__no_rates_over_a_restart),
		cmocka_unit_test(test_model__throttled),
		cmocka_unit_test(test_hist_quantile),
		cmocka_unit_test(test_hist_quantile__error),
		cmocka_unit_test(test_detail),
		cmocka_unit_test(test_model__out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
