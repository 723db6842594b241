// SPDX-License-Identifier: Apache-2.0
/* Learning where the lines of memory.stat stand: from made-up arrays in an order that nobody tells, and texts made from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "kernel/slots.h"

#define NR_STATE 12
#define NR_EVENTS 6
#define PAGE 4096

/* Where they really stand. */
enum { AT_ANON = 7, AT_FILE = 3, AT_DIRTY = 10, AT_FAULTS = CGM_STAT_STATE + 4 };

static void set_up(struct cgm_slots *s)
{
	static const enum cgm_pick state[] = { CGM_PICK_ANON, CGM_PICK_FILE, CGM_PICK_DIRTY };

	*s = (struct cgm_slots){ .v2 = true, .page_bytes = PAGE };
	for (size_t i = 0; i < ARRAY_SIZE(state); i++) {
		s->pick[state[i]].present = true;
		s->pick[state[i]].candidates[0] = (1ULL << NR_STATE) - 1;
	}
	s->pick[CGM_PICK_PGFAULT].present = true;
	s->pick[CGM_PICK_PGFAULT].candidates[1] = (1ULL << NR_EVENTS) - 1;
}

static bool learn(struct cgm_slots *s, const struct cgm_stat_raw *before, const struct cgm_stat_raw *after, long anon, long file, long dirty, long faults)
{
	char text[256];

	snprintf(text, sizeof(text), "anon %ld\nfile %ld\nother 5\nfile_dirty %ld\npgfault %ld\n", anon * PAGE, file * PAGE, dirty * PAGE, faults);
	return cgm_slots_learn(s, before, cgm_str(text), after);
}

static struct cgm_stat_raw raw_of(long anon, long file, long dirty, long faults, long noise)
{
	struct cgm_stat_raw r = { .state = { 0 } };

	r.state[0] = noise;
	r.state[5] = anon; /* looks like it for a while */
	r.state[AT_ANON] = anon;
	r.state[AT_FILE] = file;
	r.state[AT_DIRTY] = dirty;
	r.events[AT_FAULTS - CGM_STAT_STATE] = faults;
	return r;
}

static bool is_sure(const struct cgm_stat_index *x, const struct cgm_stat_raw *r)
{
	const __s64 *slots = r->slots;

	if (x->nr_pairs > CGM_STAT_NR_PAIRS)
		return false;
	for (unsigned i = 0; i < x->nr_pairs; i++)
		if ((x->pair[i][0] < CGM_STAT_SLOTS ? slots[x->pair[i][0]] : 0) != (x->pair[i][1] < CGM_STAT_SLOTS ? slots[x->pair[i][1]] : 0))
			return false;
	return true;
}

static void test_slots__learn(_unused_ void **state)
{
	struct cgm_stat_index x = { .raw_from = 77 };
	struct cgm_stat_raw a = raw_of(100, 40, 0, 9, 1), b = raw_of(30, 50, 0, 8, 2), c = raw_of(0, 0, 0, 0, 3), d = raw_of(5, 6, 7, 8, 4);
	struct cgm_slots s;

	set_up(&s);
	cgm_slots_index(&s, &x);
	assert_false(is_sure(&x, &a));
	assert_true(learn(&s, &a, &a, 100, 40, 0, 9));
	assert_true(learn(&s, &b, &b, 30, 50, 0, 8));
	assert_true(cgm_slots_known(&s, CGM_PICK_FILE));
	assert_true(cgm_slots_known(&s, CGM_PICK_PGFAULT));
	assert_false(cgm_slots_known(&s, CGM_PICK_ANON)); /* two slots have had its values */
	assert_false(cgm_slots_known(&s, CGM_PICK_DIRTY)); /* it was 0, and so were others */
	cgm_slots_index(&s, &x);
	assert_int_equal(x.raw_from, 77);
	assert_true(is_sure(&x, &a)); /* all that may be anon agree, and all that may be dirty are 0 */
	assert_true(is_sure(&x, &c));
	assert_false(is_sure(&x, &d)); /* something that may be dirty is not 0 */
	assert_true(learn(&s, &d, &d, 5, 6, 7, 8));
	assert_true(cgm_slots_known(&s, CGM_PICK_DIRTY));
	cgm_slots_index(&s, &x);
	assert_true(is_sure(&x, &d));
	assert_int_equal(x.pick[CGM_PICK_DIRTY], AT_DIRTY);
	d.state[5] = 1;
	assert_true(learn(&s, &d, &d, 5, 6, 7, 8));
	assert_true(cgm_slots_known(&s, CGM_PICK_ANON));
	cgm_slots_index(&s, &x);
	assert_int_equal(x.nr_pairs, 0);
	assert_int_equal(x.pick[CGM_PICK_ANON], AT_ANON);
	assert_int_equal(x.pick[CGM_PICK_PGFAULT], AT_FAULTS);
	assert_int_equal(x.pick[CGM_PICK_MAPPED], CGM_STAT_SLOTS);
	assert_false(learn(&s, &d, &d, 5, 6, 7, 8));
	assert_false(s.broken);
}

/* What moves between the two readings proves nothing, neither for nor against. */
static void test_slots__moving(_unused_ void **state)
{
	struct cgm_stat_raw before = raw_of(100, 40, 0, 9, 1), after = raw_of(101, 40, 0, 9, 1);
	struct cgm_slots s;

	set_up(&s);
	learn(&s, &before, &after, 100, 40, 0, 9);
	assert_true(s.pick[CGM_PICK_ANON].candidates[0] >> AT_ANON & 1);
	assert_int_equal(s.pick[CGM_PICK_ANON].nr_seen, 0);
	assert_int_equal(s.pick[CGM_PICK_FILE].nr_seen, 0); /* what moves is still among its candidates */
	assert_int_equal(s.pick[CGM_PICK_PGFAULT].nr_seen, 1);
}

/* A line that equals nothing: our idea of the arrays is wrong, and files are read. */
static void test_slots__broken(_unused_ void **state)
{
	struct cgm_stat_raw a = raw_of(100, 40, 0, 9, 1);
	struct cgm_slots s;

	set_up(&s);
	learn(&s, &a, &a, 100, 41, 0, 9);
	assert_true(s.broken);
}

/* A kernel without the line; and a file that could not be read, which says nothing. */
static void test_slots__absent(_unused_ void **state)
{
	struct cgm_stat_raw a = raw_of(100, 40, 0, 9, 1);
	struct cgm_slots s;

	set_up(&s);
	assert_false(cgm_slots_learn(&s, &a, cgm_str(""), &a));
	assert_true(s.pick[CGM_PICK_DIRTY].present);
	cgm_slots_learn(&s, &a, cgm_str("anon 409600\nfile 163840\npgfault 9\n"), &a);
	assert_false(s.pick[CGM_PICK_DIRTY].present);
	assert_true(s.pick[CGM_PICK_ANON].present);
}

static void test_slots__value(_unused_ void **state)
{
	struct cgm_slots s = { .page_bytes = PAGE };

	assert_int_equal(cgm_slots_value(&s, CGM_PICK_FILE, 3), 3 * PAGE);
	assert_int_equal(cgm_slots_value(&s, CGM_PICK_PGFAULT, 3), 3);
	assert_int_equal(cgm_slots_value(&s, CGM_PICK_FILE, -2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots__learn),  cmocka_unit_test(test_slots__moving), cmocka_unit_test(test_slots__broken),
		cmocka_unit_test(test_slots__absent), cmocka_unit_test(test_slots__value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
