// SPDX-License-Identifier: Apache-2.0
/* What is dear to know of a container, on a tree of plain files. The kernel's own are in tests/e2e/test_details.py. */
#include "unit/scratch.h"
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cgroup/details.h"

struct rig {
	struct scratch s;
	struct cgm_trees trees;
	struct cgm_details_config config;
	struct cgm_sample sample;
};

static int open_dir(const struct rig *t, const char *path)
{
	scratch_dirs(&t->s, path);
	(void)mkdirat(t->s.root_fd, path, 0700);
	return openat(t->s.root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int set_up(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	scratch_open(&t->s);
	t->trees.mode = CGM_CGROUP_V2;
	t->trees.nr_cpus = 2;
	t->trees.root_fd = t->s.root_fd;
	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		t->trees.h[i].dir_fd = -1;
	for (unsigned i = 0; i < CGM_NR_SIDE_CONTROLLERS; i++)
		t->trees.side_fd[i] = -1;
	t->trees.h[CGM_CTRL_UNIFIED].dir_fd = open_dir(t, "cg");
	t->config.trees = &t->trees;
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *t = *state;

	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		if (t->trees.h[i].dir_fd >= 0)
			close(t->trees.h[i].dir_fd);
	for (unsigned i = 0; i < CGM_NR_SIDE_CONTROLLERS; i++)
		if (t->trees.side_fd[i] >= 0)
			close(t->trees.side_fd[i]);
	cgm_sample_done(&t->sample);
	scratch_close(&t->s);
	free(t);
	return 0;
}

/* One round of a job. */
static int measure(struct rig *t, struct cgm_job *j)
{
	cgm_sample_reset(&t->sample);
	return j->run(j, &t->sample);
}

static const uint64_t *extra(const struct rig *t, enum cgm_layout_kind kind, uint32_t number, const char *name)
{
	for (size_t i = 0; i < t->sample.nr_extras; i++) {
		const struct cgm_extra *x = &t->sample.extras[i];

		if (x->kind == kind && x->number == number && !strcmp(x->name, name))
			return t->sample.extra_v + x->first;
	}
	return NULL;
}

static void put_process(const struct rig *t, unsigned pid, unsigned files, unsigned sockets, const char *soft)
{
	char path[64], text[200];

	for (unsigned i = 0; i < files + sockets; i++) {
		snprintf(path, sizeof(path), "proc/%u/fd/%u", pid, i);
		snprintf(text, sizeof(text), i < files ? "/tmp/file%u" : "socket:[%u]", 1000 + i);
		scratch_link(&t->s, path, text);
	}
	snprintf(path, sizeof(path), "proc/%u/limits", pid);
	snprintf(text, sizeof(text), "Limit                     Soft Limit           Hard Limit           Units\nMax open files            %s                 4096  files\n", soft);
	scratch_put(&t->s, path, text);
}

static void test_details_processes__counts(void **state)
{
	struct rig *t = *state;
	struct cgm_job *j;

	t->config.processes = true;
	put_process(t, 7, 3, 2, "1024");
	put_process(t, 8, 1, 4, "99");
	scratch_put(&t->s, "cg/a/cgroup.procs", "7\n0\nrubbish\n8\n9\n"); /* 9 has ended */
	j = cgm_details_job_new(&t->config, "/a");
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(t->sample.v[CGM_V_FD_COUNT], 10);
	assert_int_equal(t->sample.v[CGM_V_SOCKET_COUNT], 6);
	assert_int_equal(t->sample.v[CGM_V_ULIMIT_FILES_SOFT], 1024); /* of the first */
	assert_int_equal(t->sample.v[CGM_V_ULIMIT_FILES_HARD], 4096);
	assert_false(cgm_sample_has(&t->sample, CGM_V_REFERENCED_MEMORY));
	/* all have ended: none is open, and the limit was what it was */
	scratch_put(&t->s, "cg/a/cgroup.procs", "");
	assert_int_equal(measure(t, j), 0);
	assert_true(cgm_sample_has(&t->sample, CGM_V_FD_COUNT));
	assert_int_equal(t->sample.v[CGM_V_FD_COUNT], 0);
	assert_int_equal(t->sample.v[CGM_V_ULIMIT_FILES_SOFT], 1024);
	/* processes that nobody may look at: not known, not 0 */
	scratch_put(&t->s, "cg/a/cgroup.procs", "55\n");
	assert_int_equal(measure(t, j), 0);
	assert_false(cgm_sample_has(&t->sample, CGM_V_FD_COUNT));
	j->free(j);
}

static void test_details_processes__no_limit(void **state)
{
	struct rig *t = *state;
	struct cgm_job *j;

	t->config.processes = true;
	put_process(t, 7, 1, 0, "unlimited");
	scratch_put(&t->s, "cg/cgroup.procs", "7\n");
	j = cgm_details_job_new(&t->config, "/");
	assert_int_equal(measure(t, j), 0);
	assert_int_equal((int64_t)t->sample.v[CGM_V_ULIMIT_FILES_SOFT], -1);
	j->free(j);
}

static void test_details_referenced__sum_and_reset(void **state)
{
	struct rig *t = *state;
	struct cgm_job *j;
	char got[8] = "";
	int fd;

	t->config.referenced = true;
	t->config.referenced_reset = 2;
	scratch_put(&t->s, "cg/a/cgroup.procs", "7\n8\n");
	scratch_put(&t->s, "proc/7/smaps_rollup", "00400000-7fff [rollup]\nRss: 9 kB\nReferenced:           12 kB\n");
	scratch_put(&t->s, "proc/7/clear_refs", "");
	scratch_put(&t->s, "proc/8/smaps", "a\nReferenced: 3 kB\nb\nReferenced: 5 kB\n"); /* an old kernel */
	j = cgm_details_job_new(&t->config, "/a");
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(t->sample.v[CGM_V_REFERENCED_MEMORY], 20 * 1024);
	fd = openat(t->s.root_fd, "proc/7/clear_refs", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), 0); /* not yet */
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 1); /* the second round */
	assert_string_equal(got, "1");
	close(fd);
	j->free(j);
}

static void test_details_hugetlb__v2(void **state)
{
	struct rig *t = *state;
	const uint64_t *v;
	struct cgm_job *j;

	t->config.hugetlb = true;
	scratch_put(&t->s, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	scratch_put(&t->s, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
	scratch_put(&t->s, "sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages", "0\n");
	scratch_put(&t->s, "sys/kernel/mm/hugepages/other", "");
	scratch_put(&t->s, "cg/a/hugetlb.2MB.current", "2097152\n");
	scratch_put(&t->s, "cg/a/hugetlb.2MB.rsvd.current", "4194304\n");
	scratch_put(&t->s, "cg/a/hugetlb.2MB.events", "max 3\n");
	scratch_put(&t->s, "cg/a/hugetlb.1GB.current", "1073741824\n"); /* before 5.7 */
	j = cgm_details_job_new(&t->config, "/a");
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(t->sample.nr_extras, 2);
	v = extra(t, CGM_LAYOUT_HUGETLB, 0, "2MB");
	assert_int_equal(v[CGM_HUGETLB_USAGE], 4194304);
	assert_int_equal(v[CGM_HUGETLB_FAILCNT], 3);
	v = extra(t, CGM_LAYOUT_HUGETLB, 0, "1GB");
	assert_int_equal(v[CGM_HUGETLB_USAGE], 1073741824);
	assert_int_equal(v[CGM_HUGETLB_FAILCNT], 0);
	j->free(j);
}

static void test_details_hugetlb__v1(void **state)
{
	struct rig *t = *state;
	const uint64_t *v;
	struct cgm_job *j;

	t->config.hugetlb = true;
	t->trees.side_fd[CGM_SIDE_HUGETLB] = open_dir(t, "huge");
	scratch_put(&t->s, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	scratch_put(&t->s, "huge/a/hugetlb.2MB.usage_in_bytes", "2097152\n");
	scratch_put(&t->s, "huge/a/hugetlb.2MB.max_usage_in_bytes", "6291456\n");
	scratch_put(&t->s, "huge/a/hugetlb.2MB.failcnt", "5\n");
	j = cgm_details_job_new(&t->config, "/a");
	assert_int_equal(measure(t, j), 0);
	v = extra(t, CGM_LAYOUT_HUGETLB, 1, "2MB");
	assert_non_null(v);
	assert_int_equal(v[CGM_HUGETLB_USAGE], 2097152);
	assert_int_equal(v[CGM_HUGETLB_MAX_USAGE], 6291456);
	assert_int_equal(v[CGM_HUGETLB_FAILCNT], 5);
	j->free(j);
	j = cgm_details_job_new(&t->config, "/b"); /* not in that hierarchy */
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(t->sample.nr_extras, 0);
	j->free(j);
}

static void put_monitor(const struct rig *t, const char *group, const char *total)
{
	char path[160];

	snprintf(path, sizeof(path), "sys/fs/resctrl/%smon_data/mon_L3_01/mbm_total_bytes", group);
	scratch_put(&t->s, path, total);
	snprintf(path, sizeof(path), "sys/fs/resctrl/%smon_data/mon_L3_01/mbm_local_bytes", group);
	scratch_put(&t->s, path, "Unavailable\n");
	snprintf(path, sizeof(path), "sys/fs/resctrl/%smon_data/mon_L3_01/llc_occupancy", group);
	scratch_put(&t->s, path, "4096\n");
}

static void test_details_resctrl__groups(void **state)
{
	struct rig *t = *state;
	struct cgm_job *j;
	const uint64_t *v;
	char got[32] = "";
	int fd;

	t->config.resctrl = true;
	assert_false(cgm_resctrl_there(t->s.root_fd));
	put_monitor(t, "", "111\n");
	assert_true(cgm_resctrl_there(t->s.root_fd));
	put_monitor(t, "mon_groups/theirs/", "222\n");
	scratch_put(&t->s, "sys/fs/resctrl/mon_groups/theirs/tasks", "41\n42\n");
	put_monitor(t, "mon_groups/cgmeter-a-b/", "333\n"); /* the kernel would fill it when it is made */
	scratch_put(&t->s, "sys/fs/resctrl/mon_groups/cgmeter-a-b/tasks", "");
	scratch_put(&t->s, "cg/x/cgroup.threads", "42\n");
	scratch_put(&t->s, "cg/a/b/cgroup.threads", "51\n52\n");
	j = cgm_details_job_new(&t->config, "/");
	assert_int_equal(measure(t, j), 0);
	v = extra(t, CGM_LAYOUT_RESCTRL, 1, "");
	assert_int_equal(v[CGM_RESCTRL_TOTAL_BYTES], 111);
	assert_int_equal(v[CGM_RESCTRL_LOCAL_BYTES], 0);
	assert_int_equal(v[CGM_RESCTRL_LLC_OCCUPANCY], 4096);
	j->free(j);
	j = cgm_details_job_new(&t->config, "/x"); /* somebody's group holds it */
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(extra(t, CGM_LAYOUT_RESCTRL, 1, "")[CGM_RESCTRL_TOTAL_BYTES], 222);
	j->free(j);
	j = cgm_details_job_new(&t->config, "/a/b"); /* ours */
	assert_int_equal(measure(t, j), 0);
	assert_int_equal(extra(t, CGM_LAYOUT_RESCTRL, 1, "")[CGM_RESCTRL_TOTAL_BYTES], 333);
	fd = openat(t->s.root_fd, "sys/fs/resctrl/mon_groups/cgmeter-a-b/tasks", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got)), 4);
	assert_string_equal(got, "5152"); /* a write each */
	close(fd);
	j->free(j);
}

static void test_details__every_allocation_fails_once(void **state)
{
	struct rig *t = *state;
	unsigned long nr;

	t->config.processes = t->config.referenced = t->config.hugetlb = true;
	put_process(t, 7, 1, 1, "10");
	scratch_put(&t->s, "proc/7/smaps_rollup", "Referenced: 12 kB\n");
	scratch_put(&t->s, "cg/a/cgroup.procs", "7\n");
	scratch_put(&t->s, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n");
	scratch_put(&t->s, "cg/a/hugetlb.2MB.current", "2097152\n");
	for (unsigned long n = 1;; n++) {
		struct cgm_sample s = { 0 };
		struct cgm_job *j;

		cgm_mem_fail_at(n);
		j = cgm_details_job_new(&t->config, "/a");
		if (j)
			(void)j->run(j, &s);
		nr = cgm_mem_fail_at(0);
		if (j)
			j->free(j);
		cgm_sample_done(&s);
		if (nr < n)
			break;
		assert_true(n < 50);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_details_processes__counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_processes__no_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_referenced__sum_and_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_hugetlb__v2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_hugetlb__v1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details_resctrl__groups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_details__every_allocation_fails_once, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("details", tests, NULL, NULL);
}
