// SPDX-License-Identifier: Apache-2.0
#include "synthetic.h"

#include <errno.h>

#include "base/mem.h"
#include "output/scrape.h"

static const char *const names[] = { "/", "/a" };

/* Two scrapers of the same moment share a body; a new snapshot makes a new one; the old is let go of. */
static void test_scrape_get__one_body_for_all(void **state)
{
	struct cgm_scrape c;
	struct cgm_body *a, *b, *d, *g;
	struct cgm_snapshot *s;
	struct synth y;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &a), 0);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_OPENMETRICS, false, &d), 0);
	assert_ptr_not_equal(a, d);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &g), 0);
	assert_ptr_not_equal(a, g);
	assert_int_equal(a->refs, 3);
	cgm_scrape_trim(&c, s->seq + 1);
	assert_int_equal(a->refs, 2);
	assert_int_equal(d->refs, 1);
	cgm_body_unref(b);
	s->seq++;
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, false, &b), 0);
	assert_ptr_not_equal(a, b);
	cgm_body_unref(a);
	cgm_body_unref(b);
	cgm_body_unref(d);
	cgm_body_unref(g);
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_scrape_get__every_allocation_fails(void **state)
{
	struct cgm_scrape c;
	struct cgm_body *b;
	struct cgm_snapshot *s;
	struct synth y;
	unsigned long nr;

	(void)state;
	synth_init(&y, names, 2);
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_scrape_init(&c);
	cgm_mem_fail_at(1000000);
	assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &b), 0);
	nr = cgm_mem_fail_at(0);
	cgm_body_unref(b);
	assert_true(nr > 5);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_scrape_trim(&c, UINT64_MAX);
		cgm_mem_fail_at(n);
		assert_int_equal(cgm_scrape_get(&c, s, NULL, CGM_PROMETHEUS_TEXT, true, &b), -ENOMEM);
		cgm_mem_fail_at(0);
	}
	cgm_scrape_done(&c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scrape_get__one_body_for_all),
		cmocka_unit_test(test_scrape_get__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("scrape", tests, NULL, NULL);
}
