// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/mem.h"
#include "cgroup/sample.h"

static void test_sample_disk__finds_and_makes(void **state)
{
	struct cgm_sample s = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		cgm_sample_disk(&s, 8, i)->v[0] = i + 1;
	assert_int_equal(s.nr_disks, 20);
	assert_int_equal(cgm_sample_disk(&s, 8, 7)->v[0], 8);
	assert_int_equal(cgm_sample_disk(&s, 7, 7)->v[0], 0);
	assert_int_equal(s.nr_disks, 21);
	cgm_sample_reset(&s);
	assert_int_equal(s.nr_disks, 0);
	assert_int_equal(cgm_sample_disk(&s, 8, 7)->v[0], 0);
	cgm_sample_done(&s);
	assert_null(s.disks);
}

static void test_sample_fs__cuts_names(void **state)
{
	struct cgm_sample s = { 0 };
	char name[200];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(strlen(cgm_sample_fs(&s, name, "vfs")->device), CGM_FS_DEVICE - 1);
	assert_ptr_equal(cgm_sample_fs(&s, name, "vfs"), s.fs);
	assert_string_equal(cgm_sample_iface(&s, "a-very-long-interface")->name, "a-very-long-int");
	assert_ptr_equal(cgm_sample_iface(&s, "a-very-long-interface"), s.ifaces);
	cgm_sample_done(&s);
}

static void test_sample_set__have(void **state)
{
	struct cgm_sample s = { 0 };

	(void)state;
	assert_false(cgm_sample_has(&s, CGM_NR_VALUES - 1));
	cgm_sample_set(&s, CGM_NR_VALUES - 1, 5);
	assert_true(cgm_sample_has(&s, CGM_NR_VALUES - 1));
	assert_false(cgm_sample_has(&s, 0));
	cgm_sample_reset(&s);
	assert_false(cgm_sample_has(&s, CGM_NR_VALUES - 1));
	assert_int_equal(s.v[CGM_NR_VALUES - 1], 0);
}

static void test_sample_cpus__zeroed_and_kept(void **state)
{
	struct cgm_sample s = { 0 };

	(void)state;
	assert_int_equal(cgm_sample_cpus(&s, 3), 0);
	s.cpu_ns[2] = 9;
	assert_int_equal(cgm_sample_cpus(&s, 3), 0);
	assert_int_equal(s.cpu_ns[2], 0);
	cgm_mem_fail_at(1);
	assert_int_equal(cgm_sample_cpus(&s, 4), -ENOMEM);
	cgm_mem_fail_at(1);
	assert_null(cgm_sample_disk(&s, 1, 1));
	cgm_mem_fail_at(1);
	assert_null(cgm_sample_iface(&s, "a"));
	cgm_mem_fail_at(1);
	assert_null(cgm_sample_fs(&s, "a", "b"));
	cgm_mem_fail_at(0);
	assert_int_equal(s.nr_cpus, 3);
	assert_int_equal(s.nr_disks + s.nr_ifaces + s.nr_fs, 0);
	cgm_sample_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_disk__finds_and_makes),
		cmocka_unit_test(test_sample_fs__cuts_names),
		cmocka_unit_test(test_sample_set__have),
		cmocka_unit_test(test_sample_cpus__zeroed_and_kept),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
