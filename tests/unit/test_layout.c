// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/layout.h"

DEFINE_CLEANUP(cgm_layout, cgm_layout_unref)
#define _cleanup_layout_ _cleanup_(cgm_layout_freep)

static const char *disk_name(void *arg, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	++*(int *)arg;
	if (minor == 99)
		return NULL;
	snprintf(buf, size, "/dev/disk%u_%u", major, minor);
	return buf;
}

/* A sample with the given numbers of rows, each value telling where it came from. */
static void fill(struct cgm_sample *s, size_t cpus, size_t disks, size_t ifaces, size_t fs)
{
	char name[16];

	cgm_sample_reset(s);
	cgm_sample_set(s, CGM_V_MEMORY_RSS, 4711);
	assert_int_equal(cgm_sample_cpus(s, cpus), 0);
	for (size_t i = 0; i < cpus; i++)
		s->cpu_ns[i] = 100 + i;
	for (size_t i = 0; i < disks; i++) {
		struct cgm_disk_row *d = cgm_sample_disk(s, 8, (uint32_t)i);

		for (size_t k = 0; k < CGM_NR_DISK_VALUES; k++)
			d->v[k] = 1000 * (i + 1) + k;
	}
	for (size_t i = 0; i < ifaces; i++) {
		snprintf(name, sizeof(name), "eth%zu", i);
		cgm_sample_iface(s, name)->v[CGM_IFACE_TX_DROPPED] = 200 + i;
	}
	for (size_t i = 0; i < fs; i++) {
		snprintf(name, sizeof(name), "/mnt/%zu", i);
		cgm_sample_fs(s, name, "vfs")->v[CGM_FS_USAGE] = 300 + i;
	}
}

static void test_layout_for__holds_every_block_of_the_sample(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL;
	int asked = 0;

	(void)state;
	fill(&s, 2, 2, 1, 1);
	cgm_sample_disk(&s, 8, 99);
	l = cgm_layout_for(NULL, &s, disk_name, &asked);
	assert_non_null(l);
	assert_int_equal(asked, 3);
	assert_int_equal(l->nr_blocks, 6);
	assert_int_equal(l->nr_values, CGM_NR_VALUES + 2 + 3 * CGM_NR_DISK_VALUES + CGM_NR_IFACE_VALUES + CGM_NR_FS_VALUES);
	assert_int_equal(l->blocks[0].kind, CGM_LAYOUT_CPU);
	assert_int_equal(l->blocks[0].first, CGM_NR_VALUES);
	assert_string_equal(l->blocks[2].name, "/dev/disk8_1");
	assert_string_equal(l->blocks[3].name, "");
	assert_string_equal(l->blocks[4].name, "eth0");
	assert_string_equal(l->blocks[5].name, "/mnt/0");
	assert_string_equal(l->blocks[5].type, "vfs");
	assert_true(cgm_layout_has(l, CGM_V_MEMORY_RSS));
	assert_false(cgm_layout_has(l, CGM_V_MEMORY_CACHE));
}

static void test_layout_for__same_sample_gives_the_same_layout(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *again = NULL, *less = NULL;

	(void)state;
	fill(&s, 2, 2, 2, 2);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	again = cgm_layout_for(l, &s, NULL, NULL);
	assert_ptr_equal(l, again);
	assert_int_equal(l->refs, 2);
	/* fewer things need no new layout */
	fill(&s, 1, 1, 2, 2);
	less = cgm_layout_for(l, &s, NULL, NULL);
	assert_ptr_equal(l, less);
}

static void test_layout_for__an_interface_that_is_gone_is_forgotten(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *less = NULL;

	(void)state;
	fill(&s, 2, 2, 2, 2);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	fill(&s, 2, 2, 1, 2);
	less = cgm_layout_for(l, &s, NULL, NULL);
	assert_ptr_not_equal(l, less);
	assert_int_equal(less->nr_blocks, l->nr_blocks - 1);
	assert_int_equal(less->nr_values, l->nr_values - CGM_NR_IFACE_VALUES);
	assert_int_equal(l->refs, 1);
}

/* Nobody is to be told of one with nothing in it. */
static void test_layout_for__a_file_system_that_is_gone_is_forgotten(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *less = NULL;

	(void)state;
	fill(&s, 2, 2, 2, 2);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	fill(&s, 2, 2, 2, 1);
	less = cgm_layout_for(l, &s, NULL, NULL);
	assert_ptr_not_equal(l, less);
	assert_int_equal(less->nr_blocks, l->nr_blocks - 1);
	assert_int_equal(less->nr_values, l->nr_values - CGM_NR_FS_VALUES);
}

static void test_layout_for__grows_behind_the_old_blocks(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *grown = NULL, *have = NULL;

	(void)state;
	fill(&s, 2, 1, 0, 0);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	fill(&s, 3, 2, 1, 0);
	grown = cgm_layout_for(l, &s, NULL, NULL);
	assert_ptr_not_equal(l, grown);
	assert_memory_equal(l->blocks, grown->blocks, l->nr_blocks * sizeof(l->blocks[0]));
	assert_int_equal(grown->nr_blocks, l->nr_blocks + 3);
	assert_int_equal(grown->blocks[2].kind, CGM_LAYOUT_CPU);
	assert_int_equal(grown->blocks[2].nr, 1);
	assert_int_equal(l->refs, 1);
	/* a value that begins to be read makes a new layout with the same blocks; nothing is forgotten */
	cgm_sample_reset(&s);
	cgm_sample_iface(&s, "eth0");
	cgm_sample_set(&s, CGM_V_THREADS_MAX, 1);
	have = cgm_layout_for(grown, &s, NULL, NULL);
	assert_ptr_not_equal(have, grown);
	assert_int_equal(have->nr_values, grown->nr_values);
	assert_true(cgm_layout_has(have, CGM_V_THREADS_MAX) && cgm_layout_has(have, CGM_V_MEMORY_RSS));
}

static void test_layout_pack__puts_each_value_in_its_place(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *grown = NULL;
	uint64_t v[1000];

	(void)state;
	fill(&s, 2, 2, 1, 1);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	fill(&s, 3, 3, 2, 2);
	grown = cgm_layout_for(l, &s, NULL, NULL);
	assert_true(grown->nr_values <= ARRAY_SIZE(v));
	memset(v, 0xff, sizeof(v));
	cgm_layout_pack(grown, &s, v);
	assert_int_equal(v[CGM_V_MEMORY_RSS], 4711);
	assert_int_equal(v[CGM_V_MEMORY_CACHE], 0);
	assert_int_equal(v[CGM_NR_VALUES], 100);
	assert_int_equal(v[CGM_NR_VALUES + 1], 101);
	for (uint32_t i = 0, disk = 0, fs = 0, iface = 0; i < grown->nr_blocks; i++) {
		const struct cgm_layout_block *b = &grown->blocks[i];

		if (b->kind == CGM_LAYOUT_CPU && i)
			assert_int_equal(v[b->first], 102);
		if (b->kind == CGM_LAYOUT_DISK)
			assert_int_equal(v[b->first + 5], 1000 * ++disk + 5);
		if (b->kind == CGM_LAYOUT_IFACE)
			assert_int_equal(v[b->first + CGM_IFACE_TX_DROPPED], 200 + iface++);
		if (b->kind == CGM_LAYOUT_FS)
			assert_int_equal(v[b->first + CGM_FS_USAGE], 300 + fs++);
	}
	assert_int_equal(v[grown->nr_values], UINT64_MAX);
}

static void test_layout_pack__rows_in_another_order_and_missing_ones(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL;
	uint64_t v[1000];

	(void)state;
	fill(&s, 2, 3, 0, 0);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	cgm_sample_reset(&s);
	cgm_sample_disk(&s, 8, 2)->v[0] = 7;
	cgm_sample_disk(&s, 8, 0)->v[0] = 5;
	cgm_sample_disk(&s, 9, 0)->v[0] = 9; /* not in the layout */
	memset(v, 0xff, sizeof(v));
	cgm_layout_pack(l, &s, v);
	assert_int_equal(v[CGM_NR_VALUES], 0);
	assert_int_equal(v[l->blocks[1].first], 5);
	assert_int_equal(v[l->blocks[2].first], 0);
	assert_int_equal(v[l->blocks[3].first], 7);
}

/* There and back: the same values in the same places. */
static void test_layout_unpack__gives_back_the_sample(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 }, back = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *again = NULL;
	_cleanup_free_ uint64_t *v = NULL, *w = NULL;
	int asked = 0;

	(void)state;
	fill(&s, 3, 2, 2, 1);
	cgm_sample_numa(&s, 1)->v[0] = 17;
	cgm_sample_extra(&s, CGM_LAYOUT_HUGETLB, 1, "2MB", CGM_NR_HUGETLB_VALUES)[CGM_HUGETLB_FAILCNT] = 18;
	l = cgm_layout_for(NULL, &s, disk_name, &asked);
	v = calloc(l->nr_values, sizeof(*v));
	w = calloc(l->nr_values, sizeof(*w));
	cgm_layout_pack(l, &s, v);
	assert_int_equal(cgm_layout_unpack(l, v, true, &back), 0);
	again = cgm_layout_for(l, &back, disk_name, &asked);
	assert_ptr_equal(again, l);
	cgm_layout_pack(l, &back, w);
	assert_memory_equal(v, w, l->nr_values * sizeof(*v));
	assert_memory_equal(s.have, back.have, sizeof(s.have));
	/* Without the disks, which somebody else counts. */
	cgm_sample_reset(&back);
	assert_int_equal(cgm_layout_unpack(l, v, false, &back), 0);
	assert_int_equal(back.nr_disks, 0);
	assert_int_equal(back.nr_ifaces, 2);
	for (unsigned long n = 1; n <= 6; n++) {
		_cleanup_(cgm_sample_done) struct cgm_sample fresh = { 0 };

		cgm_mem_fail_at(n);
		assert_int_equal(cgm_layout_unpack(l, v, true, &fresh), -ENOMEM);
		cgm_mem_fail_at(0);
	}
}

static void test_layout_for__out_of_memory(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 };
	struct cgm_layout *l;

	(void)state;
	fill(&s, 2, 2, 0, 0);
	cgm_mem_fail_at(1);
	l = cgm_layout_for(NULL, &s, NULL, NULL);
	cgm_mem_fail_at(0);
	assert_null(l);
}

/* Sets of values that groups add: kept by kind, number and name; a layout that lost one is made anew. */
static void test_layout_for__extras(void **state)
{
	_cleanup_(cgm_sample_done) struct cgm_sample s = { 0 }, part = { 0 };
	_cleanup_layout_ struct cgm_layout *l = NULL, *same = NULL, *less = NULL;
	uint64_t values[CGM_NR_VALUES + 40], *v;
	int asked = 0;

	(void)state;
	fill(&s, 0, 0, 1, 0);
	v = cgm_sample_extra(&part, CGM_LAYOUT_TCP, 0, "", 3);
	v[1] = 11;
	v = cgm_sample_extra(&part, CGM_LAYOUT_TCP, 1, "", 3);
	v[1] = 22;
	v = cgm_sample_extra(&part, CGM_LAYOUT_PERF, 0, "cpu-clock", 2);
	v[0] = 33;
	assert_ptr_equal(cgm_sample_extra(&part, CGM_LAYOUT_TCP, 1, "", 3)[1] == 22 ? v : NULL, v);
	cgm_sample_set(&part, CGM_V_FD_COUNT, 44);
	assert_int_equal(cgm_sample_merge(&s, &part), 0);
	assert_int_equal(s.v[CGM_V_FD_COUNT], 44);
	l = cgm_layout_for(NULL, &s, disk_name, &asked);
	assert_int_equal(l->nr_blocks, 4);
	assert_int_equal(l->nr_values, CGM_NR_VALUES + CGM_NR_IFACE_VALUES + 3 + 3 + 2);
	cgm_layout_pack(l, &s, values);
	assert_int_equal(values[l->blocks[1].first + 1], 11);
	assert_int_equal(values[l->blocks[2].first + 1], 22);
	assert_int_equal(l->blocks[2].minor, 1);
	assert_int_equal(values[l->blocks[3].first], 33);
	assert_string_equal(l->blocks[3].name, "cpu-clock");
	same = cgm_layout_for(l, &s, disk_name, &asked);
	assert_ptr_equal(same, l);
	fill(&s, 0, 0, 1, 0);
	cgm_sample_extra(&s, CGM_LAYOUT_TCP, 1, "", 3);
	less = cgm_layout_for(l, &s, disk_name, &asked);
	assert_ptr_not_equal(less, l);
	assert_int_equal(less->nr_blocks, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_for__extras),
		cmocka_unit_test(test_layout_unpack__gives_back_the_sample),
		cmocka_unit_test(test_layout_for__holds_every_block_of_the_sample),
		cmocka_unit_test(test_layout_for__same_sample_gives_the_same_layout),
		cmocka_unit_test(test_layout_for__a_file_system_that_is_gone_is_forgotten),
		cmocka_unit_test(test_layout_for__an_interface_that_is_gone_is_forgotten),
		cmocka_unit_test(test_layout_for__grows_behind_the_old_blocks),
		cmocka_unit_test(test_layout_pack__puts_each_value_in_its_place),
		cmocka_unit_test(test_layout_pack__rows_in_another_order_and_missing_ones),
		cmocka_unit_test(test_layout_for__out_of_memory),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
