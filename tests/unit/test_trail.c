// SPDX-License-Identifier: Apache-2.0
#include "model/trail.h"

#include <errno.h>

#include "synthetic.h"

#define SECOND 1000000000ULL

static struct cgm_live *live_of(struct cgm_snapshot *s)
{
	struct cgm_live *l = synth_live(s, 0);

	l->sched.voluntary = 7;
	l->sched.preempted[CGM_BY_OTHER] = 3;
	l->net.tcp_retransmitted_segments = 2;
	return l;
}

static void test_trail_pack__values_and_bars(void **state)
{
	struct cgm_snapshot *s = cgm_snapshot_new(1);
	uint64_t v[CGM_NR_TRAIL_VALUES], runq = 0;
	const struct cgm_live *l = live_of(s);

	(void)state;
	cgm_trail_pack(l, v);
	assert_int_equal(v[CGM_TRAIL_VOLUNTARY], 7);
	assert_int_equal(v[CGM_TRAIL_BY_OTHER], 3);
	assert_int_equal(v[CGM_TRAIL_RETRANSMITS], 2);
	assert_int_equal(v[CGM_TRAIL_SOCKET_RX], 100); /* not the 23 of unix sockets */
	assert_int_equal(v[CGM_TRAIL_SOCKET_TX], 45);
	for (unsigned i = 0; i < CGM_HIST_BARS; i++)
		runq += v[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY) + i];
	assert_int_equal(runq, l->sched.runq_delay.count);
	assert_int_equal(v[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY)], 0); /* bucket 0 holds 0 */
	assert_int_equal(v[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY) + 1], 1 + 2 + 3 + 4);
	assert_int_equal(v[CGM_TRAIL_BARS(CGM_TRAIL_HEAT_BLOCK_LATENCY) + CGM_HIST_BARS - 1], 6); /* two devices with 3 each */
	assert_int_equal(cgm_hist_bar(0), 0);
	assert_int_equal(cgm_hist_bar(CGM_HIST_BUCKETS - 1), CGM_HIST_BARS - 1);
	cgm_snapshot_unref(s);
}

static void test_trail_names__all_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CGM_NR_TRAIL_NUMBERS; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(cgm_trail_name((enum cgm_trail_value)i), cgm_trail_name((enum cgm_trail_value)k));
	assert_string_equal(cgm_trail_heat_name(CGM_TRAIL_HEAT_TCP_RTT), "tcp_rtt");
}

static size_t count(struct cgm_history *trail)
{
	struct cgm_history_view v;
	size_t nr;

	cgm_history_view_init(trail, &v);
	nr = cgm_history_view_count(&v);
	cgm_history_view_done(&v);
	return nr;
}

static void test_trail_add__only_what_moved(void **state)
{
	struct cgm_layout *l = cgm_trail_layout_new();
	struct cgm_snapshot *s = cgm_snapshot_new(1);
	struct cgm_live *live = cgm_snapshot_alloc(s, sizeof(*live));
	struct cgm_history *trail = NULL;

	(void)state;
	assert_int_equal(l->nr_values, CGM_NR_TRAIL_VALUES);
	assert_int_equal(cgm_trail_add(&trail, l, 120 * SECOND, SECOND, live), 0);
	assert_null(trail); /* nothing was counted: no memory for it */
	live->sched.voluntary = 1;
	for (uint64_t t = 1; t <= 5; t++)
		assert_int_equal(cgm_trail_add(&trail, l, 120 * SECOND, t * SECOND, live), 0);
	assert_int_equal(count(trail), 1);
	live->sched.voluntary = 2;
	assert_int_equal(cgm_trail_add(&trail, l, 120 * SECOND, 6 * SECOND, live), 0);
	assert_int_equal(count(trail), 2);
	/* The clock was set back: what lies after it goes, so the same values must be told again. */
	assert_int_equal(cgm_trail_add(&trail, l, 120 * SECOND, 3 * SECOND, live), 0);
	assert_true(cgm_history_ends_with(trail, l, 4 * SECOND, (uint64_t[CGM_NR_TRAIL_VALUES]){ [CGM_TRAIL_VOLUNTARY] = 2 }));
	assert_false(cgm_history_ends_with(trail, l, 2 * SECOND, (uint64_t[CGM_NR_TRAIL_VALUES]){ [CGM_TRAIL_VOLUNTARY] = 2 }));
	cgm_history_free(trail);
	cgm_layout_unref(l);
	cgm_snapshot_unref(s);
}

static void test_trail_add__every_allocation_fails(void **state)
{
	struct cgm_snapshot *s = cgm_snapshot_new(1);
	const struct cgm_live *live = live_of(s);
	struct cgm_layout *l;

	(void)state;
	for (unsigned long n = 1; n <= 6; n++) {
		struct cgm_history *trail = NULL;
		int r;

		cgm_mem_fail_at(n);
		l = cgm_trail_layout_new();
		r = l ? cgm_trail_add(&trail, l, 120 * SECOND, SECOND, live) : -ENOMEM;
		cgm_mem_fail_at(0);
		assert_true(r == 0 || r == -ENOMEM);
		if (l && r == -ENOMEM) { /* the next tick makes it good */
			assert_int_equal(cgm_trail_add(&trail, l, 120 * SECOND, 2 * SECOND, live), 0);
			assert_int_equal(count(trail), 1);
		}
		cgm_history_free(trail);
		cgm_layout_unref(l);
	}
	cgm_snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trail_pack__values_and_bars),
		cmocka_unit_test(test_trail_names__all_differ),
		cmocka_unit_test(test_trail_add__only_what_moved),
		cmocka_unit_test(test_trail_add__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("trail", tests, NULL, NULL);
}
