// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cgroup/cgroup.h"
#include "fixture.h"

static struct cgm_trees open_trees(const char *name)
{
	struct cgm_trees t;
	int root = fixture_open(name);

	assert_true(root >= 0);
	assert_int_equal(cgm_trees_open(root, &t), 0);
	close(root);
	return t;
}

static void test_trees_open__hybrid(void **state)
{
	struct cgm_trees t = open_trees("cgroup/hybrid");

	(void)state;
	assert_int_equal(t.mode, CGM_CGROUP_HYBRID);
	for (int c = 0; c < CGM_NR_CONTROLLERS; c++)
		assert_true(t.h[c].dir_fd >= 0);
	assert_int_equal(t.h[CGM_CTRL_CPU].id, 1);
	assert_int_equal(t.h[CGM_CTRL_MEMORY].id, 4);
	assert_int_equal(t.h[CGM_CTRL_UNIFIED].id, 0);
	assert_int_equal(t.nr_cpus, 2);
	assert_int_equal(t.memory_bytes, 24683656ULL * 1024);
	assert_int_equal(t.boot_time_ns, 1795369401000000000ULL);
	assert_int_equal(cgm_trees_sched_controller(&t), CGM_CTRL_CPU);
	cgm_trees_close(&t);
	assert_int_equal(t.h[0].dir_fd, -1);
}

static void test_trees_open__v1_comounted_and_escaped(void **state)
{
	struct cgm_trees t = open_trees("cgroup/v1");

	(void)state;
	assert_int_equal(t.mode, CGM_CGROUP_V1);
	assert_int_equal(t.h[CGM_CTRL_UNIFIED].dir_fd, -1);
	assert_true(t.h[CGM_CTRL_CPU].dir_fd >= 0 && t.h[CGM_CTRL_CPUACCT].dir_fd >= 0);
	assert_int_not_equal(t.h[CGM_CTRL_CPU].dir_fd, t.h[CGM_CTRL_CPUACCT].dir_fd);
	assert_int_equal(t.h[CGM_CTRL_CPUACCT].id, t.h[CGM_CTRL_CPU].id);
	assert_true(t.h[CGM_CTRL_MEMORY].dir_fd >= 0);
	/* The mount that shows a part of the hierarchy comes first in the table and loses. */
	assert_int_equal(faccessat(t.h[CGM_CTRL_PIDS].dir_fd, "kubepods", F_OK, 0), 0);
	cgm_trees_close(&t);
}

static void test_trees_open__v2(void **state)
{
	struct cgm_trees t = open_trees("cgroup/v2");

	(void)state;
	assert_int_equal(t.mode, CGM_CGROUP_V2);
	assert_int_equal(cgm_trees_sched_controller(&t), CGM_CTRL_UNIFIED);
	cgm_trees_close(&t);
}

static void test_trees_open__damaged(void **state)
{
	struct cgm_trees t = open_trees("cgroup/damaged");

	(void)state;
	assert_int_equal(t.mode, CGM_CGROUP_V2);
	assert_int_equal(t.nr_cpus, 1);
	assert_int_equal(t.memory_bytes, 0);
	cgm_trees_close(&t);
}

static void test_trees_open__nothing(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	struct cgm_trees t;
	int fd, file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(cgm_trees_open(fd, &t), -ENOENT);
	mkdirat(fd, "proc", 0755);
	mkdirat(fd, "proc/self", 0755);
	file = openat(fd, "proc/self/mountinfo", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(file, "1 2 0:3 / / rw - ext4 x rw\n", 27), 27);
	close(file);
	assert_int_equal(cgm_trees_open(fd, &t), -ENODEV);
	unlinkat(fd, "proc/self/mountinfo", 0);
	unlinkat(fd, "proc/self", AT_REMOVEDIR);
	unlinkat(fd, "proc", AT_REMOVEDIR);
	close(fd);
	rmdir(dir);
}

static void put(int fd, const char *path, const char *text)
{
	int file = openat(fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(file >= 0);
	assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
	close(file);
}

static void expect_mounts(int fd, const char *wanted)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(cgm_mountinfo_read(fd, &text, &len), 0);
	assert_string_equal(text, wanted);
	free(text);
}

/* A machine that is mounted into a container: our own process has the container's names of things. */
static void test_mountinfo_read__process_1(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX", *text = NULL;
	size_t len;
	int fd, own = open("/", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	mkdirat(fd, "proc", 0755);
	mkdirat(fd, "proc/self", 0755);
	mkdirat(fd, "proc/1", 0755);
	assert_int_equal(cgm_mountinfo_read(fd, &text, &len), -ENOENT);
	put(fd, "proc/self/mountinfo", "ours");
	expect_mounts(fd, "ours");
	put(fd, "proc/1/mountinfo", "");
	expect_mounts(fd, "ours");
	put(fd, "proc/1/mountinfo", "the machine's");
	expect_mounts(fd, "the machine's");
	for (size_t i = 0; i < 5; i++)
		unlinkat(fd, ((const char *[]){ "proc/1/mountinfo", "proc/self/mountinfo", "proc/1", "proc/self", "proc" })[i], i < 2 ? 0 : AT_REMOVEDIR);
	close(fd);
	rmdir(dir);
	assert_int_equal(cgm_mountinfo_read(own, &text, &len), 0);
	assert_true(len > 0);
	free(text);
	close(own);
}

struct visits {
	const struct cgm_trees *t;
	unsigned nr[CGM_NR_CONTROLLERS], stop_after, total;
	uint64_t last_id[8];
};

static int visit(void *arg, enum cgm_controller c, const char *path, uint64_t id, uint64_t parent_id)
{
	struct visits *v = arg;
	unsigned depth = 0;
	struct stat st;

	for (const char *p = path; *p; p++)
		depth += *p == '/' && p[1];
	assert_int_equal(fstatat(v->t->h[c].dir_fd, path[1] ? path + 1 : ".", &st, 0), 0);
	assert_int_equal(id, st.st_ino);
	assert_int_equal(parent_id, depth ? v->last_id[depth - 1] : 0);
	v->last_id[depth] = id;
	if (!v->nr[c])
		assert_string_equal(path, "/");
	v->nr[c]++;
	return ++v->total == v->stop_after ? 7 : 0;
}

static void test_trees_walk__parents_first(void **state)
{
	struct cgm_trees t = open_trees("cgroup/v2");
	struct visits v = { .t = &t };

	(void)state;
	assert_int_equal(cgm_trees_walk(&t, visit, &v), 0);
	assert_int_equal(v.nr[CGM_CTRL_UNIFIED], 4);
	assert_int_equal(cgm_trees_walk(&t, visit, &(struct visits){ .t = &t, .stop_after = 2 }), 7);
	cgm_trees_close(&t);
	t = open_trees("cgroup/v1");
	v = (struct visits){ .t = &t };
	assert_int_equal(cgm_trees_walk(&t, visit, &v), 0);
	assert_int_equal(v.nr[CGM_CTRL_CPU], 3);
	assert_int_equal(v.nr[CGM_CTRL_CPUACCT], 3);
	assert_int_equal(v.nr[CGM_CTRL_UNIFIED], 0);
	cgm_trees_close(&t);
}

static void test_trees_open__every_allocation_fails(void **state)
{
	int root = fixture_open("cgroup/hybrid");
	unsigned long n = 1;
	int r = -1;

	(void)state;
	for (; n < 100; n++) {
		struct cgm_trees t;

		cgm_mem_fail_at(n);
		r = cgm_trees_open(root, &t);
		cgm_mem_fail_at(0);
		if (r == 0) {
			cgm_trees_close(&t);
			break;
		}
		assert_int_equal(r, -ENOMEM);
	}
	assert_int_equal(r, 0);
	assert_true(n > 3);
	close(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trees_open__hybrid),  cmocka_unit_test(test_trees_open__v1_comounted_and_escaped),
		cmocka_unit_test(test_trees_open__v2),	    cmocka_unit_test(test_trees_open__damaged),
		cmocka_unit_test(test_trees_open__nothing),
		cmocka_unit_test(test_mountinfo_read__process_1),
		cmocka_unit_test(test_trees_walk__parents_first),
		cmocka_unit_test(test_trees_open__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("trees", tests, NULL, NULL);
}
