// SPDX-License-Identifier: Apache-2.0
/* A day of the overhead budget, with a clock and costs made up here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "node/budget.h"

#define SEC CGM_NSEC_PER_SEC
#define PERCENT 10000 /* ppm */

/* The machine: what each group costs while it is on, and the agent itself. */
struct day {
	struct cgm_budget b;
	uint64_t now_ns, agent_ppm, cost_ppm[CGM_NR_GROUPS];
	bool off[CGM_NR_GROUPS], fails;
	char order[512]; /* what was done: "-lock +lock " */
	char reason[128];
};

static const char *name_of(enum cgm_group g)
{
	static const char *const names[] = {
#define CGM_GROUP(id, name, programs, def, dear, needs, help) programs,
#include "cgmeter/groups.def"
	};

	return names[g];
}

static bool set(void *arg, enum cgm_group g, bool on, const char *reason)
{
	struct day *d = arg;
	size_t len = strlen(d->order);

	snprintf(d->order + len, sizeof(d->order) - len, "%c%s ", on ? '+' : '-', name_of(g));
	if (on && d->fails)
		return false;
	d->off[g] = !on;
	if (!on)
		snprintf(d->reason, sizeof(d->reason), "%s", reason);
	return true;
}

static void begin(struct day *d, uint64_t limit_ppm)
{
	*d = (struct day){ .now_ns = 1000 * SEC, .agent_ppm = PERCENT / 2 };
	d->b = (struct cgm_budget){ .limit_ppm = limit_ppm, .retry_ns = 60 * SEC, .set = set, .arg = d };
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		d->b.group[i].can = i == CGM_G_SCHED || i == CGM_G_NET || i == CGM_G_BLOCK || i == CGM_G_CGROUP || i == CGM_G_LOCK;
	cgm_log_set_level(CGM_LOG_ERROR);
}

/* One window, 30 s later; what was done since is in d->order. */
static void window(struct day *d)
{
	struct cgm_budget_cost c = { .total_ppm = d->agent_ppm };

	d->now_ns += 30 * SEC;
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		c.group_ppm[i] = d->off[i] ? 0 : d->cost_ppm[i];
		c.total_ppm += c.group_ppm[i];
	}
	cgm_budget_step(&d->b, d->now_ns, &c);
}

static void expect(struct day *d, const char *order)
{
	window(d);
	assert_string_equal(d->order, order);
	d->order[0] = '\0';
}

static void test_budget_step__none(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 0);
	d.cost_ppm[CGM_G_LOCK] = 100 * PERCENT;
	expect(&d, "");
}

static void test_budget_step__dearest_first_until_it_fits(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 4 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 2 * PERCENT;
	d.cost_ppm[CGM_G_NET] = 4 * PERCENT;
	d.cost_ppm[CGM_G_BLOCK] = PERCENT / 2;
	d.cost_ppm[CGM_G_CGROUP] = PERCENT / 4;
	expect(&d, "-net "); /* 3.25 % are left */
}

static void test_budget_step__until_what_is_left_fits(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 2 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 2 * PERCENT;
	d.cost_ppm[CGM_G_NET] = 4 * PERCENT;
	d.cost_ppm[CGM_G_BLOCK] = PERCENT / 2;
	expect(&d, "-net -sched ");
	assert_non_null(strstr(d.reason, "2.00 %"));
	expect(&d, "");
	assert_int_equal(d.b.group[CGM_G_NET].nr_off, 1);
}

/* Among equals the one that the table calls dearer; what costs next to nothing stays, and so does the group that may not go. */
static void test_budget_step__who_stays(void **state)
{
	struct day d;

	(void)state;
	begin(&d, PERCENT);
	d.cost_ppm[CGM_G_SCHED] = d.cost_ppm[CGM_G_LOCK] = PERCENT;
	d.cost_ppm[CGM_G_BLOCK] = PERCENT / 20;
	d.cost_ppm[CGM_G_CGROUP] = 5 * PERCENT;
	d.agent_ppm = 5 * PERCENT;
	expect(&d, "-lock -sched ");
	assert_true(d.b.said_helpless);
	expect(&d, "");
	/* Without the agent's share the small one would count. */
	d.agent_ppm = d.cost_ppm[CGM_G_CGROUP] = 0;
	d.cost_ppm[CGM_G_BLOCK] = PERCENT * 21 / 20;
	expect(&d, "-block ");
	begin(&d, PERCENT);
	d.agent_ppm = PERCENT * 49 / 50;
	d.cost_ppm[CGM_G_BLOCK] = PERCENT / 20;
	expect(&d, "-block ");
}

/* The load never ends: off for 1, 2, 4, … up to 64 minutes; it is tried in between, one window each. */
static void test_budget_step__back_off(void **state)
{
	struct day d;
	uint64_t off_at, wait = 60;

	(void)state;
	begin(&d, 2 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 5 * PERCENT;
	expect(&d, "-sched ");
	for (int i = 0; i < 9; i++) {
		off_at = d.now_ns;
		while (!d.order[0])
			window(&d);
		assert_string_equal(d.order, "+sched ");
		assert_int_equal((d.now_ns - off_at) / SEC, wait);
		d.order[0] = '\0';
		expect(&d, "-sched ");
		wait = wait < 64 * 60 ? wait * 2 : wait;
	}
}

/* The load ends: the groups come back one a window, and after they have stayed on for long enough the next time is the first again. */
static void test_budget_step__comes_back(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 2 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 5 * PERCENT;
	d.cost_ppm[CGM_G_NET] = 4 * PERCENT;
	expect(&d, "-sched -net ");
	d.cost_ppm[CGM_G_SCHED] = d.cost_ppm[CGM_G_NET] = PERCENT / 10;
	expect(&d, "");
	window(&d);
	window(&d);
	assert_non_null(strstr(d.order, "+sched "));
	assert_non_null(strstr(d.order, "+net "));
	d.order[0] = '\0';
	for (int i = 0; i < 3; i++)
		expect(&d, "");
	assert_int_equal(d.b.group[CGM_G_SCHED].wait_ns, 0);
	d.cost_ppm[CGM_G_SCHED] = 5 * PERCENT;
	expect(&d, "-sched ");
	assert_int_equal(d.b.group[CGM_G_SCHED].wait_ns, 60 * SEC);
}

/* Still above the budget without it: it is not tried. */
static void test_budget_step__no_try_while_above(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 2 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 5 * PERCENT;
	expect(&d, "-sched ");
	d.agent_ppm = 3 * PERCENT;
	for (int i = 0; i < 10; i++)
		expect(&d, "");
	d.agent_ppm = PERCENT;
	expect(&d, "+sched ");
}

static void test_budget_step__cannot_come_back(void **state)
{
	struct day d;

	(void)state;
	begin(&d, 2 * PERCENT);
	d.cost_ppm[CGM_G_SCHED] = 5 * PERCENT;
	expect(&d, "-sched ");
	d.fails = true;
	expect(&d, "");
	expect(&d, "+sched ");
	assert_true(d.b.group[CGM_G_SCHED].off);
	assert_int_equal(d.b.group[CGM_G_SCHED].wait_ns, 120 * SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget_step__none),
		cmocka_unit_test(test_budget_step__dearest_first_until_it_fits),
		cmocka_unit_test(test_budget_step__until_what_is_left_fits),
		cmocka_unit_test(test_budget_step__who_stays),
		cmocka_unit_test(test_budget_step__back_off),
		cmocka_unit_test(test_budget_step__comes_back),
		cmocka_unit_test(test_budget_step__no_try_while_above),
		cmocka_unit_test(test_budget_step__cannot_come_back),
	};

	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
