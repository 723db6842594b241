// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cgroup/cgroup.h"
#include "fixture.h"

#define assert_value(s, id, expected)                             \
	do {                                                      \
		assert_true(cgm_sample_has(&(s), CGM_V_##id));    \
		assert_int_equal((s).v[CGM_V_##id], (expected));  \
	} while (0)

struct fixture {
	struct cgm_trees t;
	struct cgm_reader *r;
	struct cgm_sample s;
};

static int open_fixture(struct fixture *f, const char *tree, const char *path)
{
	int root = fixture_open(tree), r;

	*f = (struct fixture){ .t = { .root_fd = -1 } };
	assert_true(root >= 0);
	assert_int_equal(cgm_trees_open(root, &f->t), 0);
	close(root);
	r = cgm_reader_open(&f->t, path, &f->r);
	return r;
}

static void close_fixture(struct fixture *f)
{
	cgm_sample_done(&f->s);
	cgm_reader_close(f->r);
	cgm_trees_close(&f->t);
	assert_int_equal(cgm_reader_nr_fds(), 0);
}

static void test_reader_sample__hybrid(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/hybrid", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_controllers(f.r), (1U << CGM_NR_CONTROLLERS) - 1);
	assert_int_equal(cgm_reader_sample(f.r, true, &f.s), 0);
	assert_int_equal(f.s.nr_cpus, 2);
	assert_int_equal(f.s.cpu_ns[1], 708097422);
	assert_value(f.s, CPU_USAGE_TOTAL, 9506221 + 708097422);
	assert_value(f.s, CPU_USAGE_USER, 610000000);
	assert_value(f.s, CPU_USAGE_SYSTEM, 100000000);
	assert_value(f.s, CPU_CFS_PERIODS, 38);
	assert_value(f.s, CPU_CFS_THROTTLED_PERIODS, 35);
	assert_value(f.s, CPU_CFS_THROTTLED_TIME, 2744754615);
	assert_value(f.s, MEMORY_USAGE, 66338816);
	assert_value(f.s, MEMORY_MAX_USAGE, 67104768);
	assert_value(f.s, MEMORY_WORKING_SET, 66338816 - 64045056);
	assert_value(f.s, MEMORY_CACHE, 64057344);
	assert_value(f.s, MEMORY_RSS, 110592);
	assert_value(f.s, MEMORY_FAILCNT, 49);
	assert_value(f.s, MEMORY_KERNEL, 1859584);
	assert_value(f.s, MEMORY_TOTAL_PGFAULT, 667);
	assert_value(f.s, OOM_EVENTS, 0);
	assert_value(f.s, THREADS_CURRENT, 2);
	assert_value(f.s, THREADS_MAX, 50);
	assert_value(f.s, CPU_PSI_SOME_TOTAL, 2631629);
	assert_value(f.s, CPU_PSI_FULL_AVG10, 2125);
	assert_value(f.s, IO_PSI_SOME_TOTAL, 812);
	assert_value(f.s, MEMORY_PSI_FULL_TOTAL, 3816);
	assert_false(cgm_sample_has(&f.s, CGM_V_MEMORY_PGSCAN));
	assert_false(cgm_sample_has(&f.s, CGM_V_CPU_SCHED_RUN_TIME));
	close_fixture(&f);
}

static void test_reader_sample__v1(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_value(f.s, CPU_USAGE_TOTAL, 9506221 + 708097422);
	assert_value(f.s, MEMORY_USAGE, 66338816);
	assert_value(f.s, THREADS_MAX, 50);
	assert_false(cgm_sample_has(&f.s, CGM_V_CPU_PSI_SOME_TOTAL));
	assert_int_equal(f.s.nr_disks, 0);
	/* bfq's file has no device, so the throttle files are taken. */
	assert_int_equal(cgm_reader_sample(f.r, true, &f.s), 0);
	assert_int_equal(f.s.nr_disks, 1);
	assert_int_equal(f.s.disks[0].major, 254);
	assert_int_equal(f.s.disks[0].v[CGM_DISK_BYTES_READ], 4096);
	assert_int_equal(f.s.disks[0].v[CGM_DISK_BYTES_TOTAL], 1052672);
	assert_int_equal(f.s.disks[0].v[CGM_DISK_IOS_SYNC], 17);
	close_fixture(&f);
}

static void test_reader_sample__v1_root_has_the_machines_pressure(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_true(cgm_sample_has(&f.s, CGM_V_CPU_PSI_SOME_TOTAL));
	assert_true(f.s.v[CGM_V_CPU_PSI_SOME_TOTAL] > 0);
	close_fixture(&f);
}

static void test_reader_sample__v2(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_controllers(f.r), 1U << CGM_CTRL_UNIFIED);
	assert_int_equal(cgm_reader_sample(f.r, true, &f.s), 0);
	assert_int_equal(f.s.nr_cpus, 0);
	assert_value(f.s, CPU_USAGE_TOTAL, 1088689000);
	assert_value(f.s, CPU_USAGE_USER, 609057000);
	assert_value(f.s, CPU_CFS_THROTTLED_PERIODS, 53);
	assert_value(f.s, CPU_CFS_THROTTLED_TIME, 4097323000);
	assert_value(f.s, MEMORY_USAGE, 66117632);
	assert_value(f.s, MEMORY_MAX_USAGE, 67108864);
	assert_value(f.s, MEMORY_CACHE, 65732608);
	assert_value(f.s, MEMORY_RSS, 0);
	assert_value(f.s, MEMORY_WORKING_SET, 66117632 - 16384);
	assert_value(f.s, MEMORY_KERNEL, 159744);
	assert_value(f.s, MEMORY_PGSCAN, 22);
	assert_value(f.s, MEMORY_TOTAL_PGFAULT, 1031);
	assert_value(f.s, MEMORY_FAILCNT, 36);
	assert_value(f.s, MEMORY_EVENTS_MAX, 36);
	assert_value(f.s, OOM_EVENTS, 1);
	assert_value(f.s, MEMORY_SWAP, 0);
	assert_value(f.s, CPU_PSI_SOME_TOTAL, 4142181);
	assert_value(f.s, CPU_PSI_SOME_AVG60, 526);
	assert_int_equal(f.s.nr_disks, 1);
	assert_int_equal(f.s.disks[0].v[CGM_DISK_BYTES_READ], 22020096);
	assert_int_equal(f.s.disks[0].v[CGM_DISK_IOS_WRITE], 100);
	close_fixture(&f);
}

/* memory.events of a parent has what its children hit; failcnt is its own, where the kernel tells. */
static void test_reader_sample__v2_failcnt(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_value(f.s, MEMORY_FAILCNT, 0);
	assert_true(f.s.v[CGM_V_MEMORY_EVENTS_MAX] > 0);
	assert_true(cgm_sample_has(&f.s, CGM_V_OOM_KILLS_OWN));
	assert_value(f.s, OOM_KILLS_OWN, 0);
	close_fixture(&f);
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods/idle"), 0); /* no memory.events.local */
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_true(cgm_sample_has(&f.s, CGM_V_MEMORY_FAILCNT));
	assert_false(cgm_sample_has(&f.s, CGM_V_OOM_KILLS_OWN));
	assert_int_equal(f.s.v[CGM_V_MEMORY_FAILCNT], f.s.v[CGM_V_MEMORY_EVENTS_MAX]);
	close_fixture(&f);
}

static void test_reader_sample__numa(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_int_equal(f.s.nr_numa, 2);
	assert_int_equal(f.s.numa[1].node, 1);
	assert_int_equal(f.s.numa[0].v[CGM_NUMA_FILE], 65728512 / page);
	assert_int_equal(f.s.numa[0].v[CGM_NUMA_TOTAL_FILE], 65728512 / page);
	assert_int_equal(f.s.numa[0].v[CGM_NUMA_TOTAL_UNEVICTABLE], 8192 / page);
	assert_int_equal(f.s.numa[1].v[CGM_NUMA_FILE], 4096 / page);
	assert_int_equal(f.s.numa[1].v[CGM_NUMA_ANON], 0);
	close_fixture(&f);
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/kubepods"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_int_equal(f.s.nr_numa, 2);
	assert_int_equal(f.s.numa[1].v[CGM_NUMA_FILE], 10);
	assert_int_equal(f.s.numa[1].v[CGM_NUMA_TOTAL_FILE], 100);
	assert_int_equal(f.s.numa[0].v[CGM_NUMA_UNEVICTABLE], 2);
	assert_int_equal(f.s.numa[0].v[CGM_NUMA_TOTAL_UNEVICTABLE], 20);
	close_fixture(&f);
}

static void test_reader_sample__v2_root(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_value(f.s, MEMORY_USAGE, 974848 + 72155136);
	assert_value(f.s, MEMORY_WORKING_SET, 974848 + 72155136 - 618496);
	assert_value(f.s, MEMORY_SWAP, 0);
	assert_false(cgm_sample_has(&f.s, CGM_V_THREADS_CURRENT));
	close_fixture(&f);
}

static void test_reader_sample__damaged(void **state)
{
	static const char *const paths[] = { "/empty", "/truncated", "/rubbish", "/negative", "/binary", "/huge", "/no_newline", "/overlong" };
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct cgm_spec spec;

		assert_int_equal(open_fixture(&f, "cgroup/damaged", paths[i]), 0);
		assert_int_equal(cgm_reader_sample(f.r, true, &f.s), 0);
		assert_int_equal(cgm_reader_spec(f.r, &spec), 0);
		if (i == 0 || i == 2 || i == 3 || i == 4)
			assert_int_equal(f.s.have[0] | f.s.have[1], 0);
		if (strcmp(paths[i], "/huge") == 0)
			assert_value(f.s, CPU_USAGE_TOTAL, UINT64_MAX);
		if (strcmp(paths[i], "/no_newline") == 0) {
			assert_value(f.s, CPU_USAGE_TOTAL, 1088689000);
			assert_value(f.s, MEMORY_PGMAJFAULT, f.s.v[CGM_V_MEMORY_TOTAL_PGMAJFAULT]);
			assert_int_equal(f.s.disks[0].v[CGM_DISK_IOS_READ], 21);
		}
		if (strcmp(paths[i], "/overlong") == 0) {
			assert_value(f.s, MEMORY_CACHE, 65732608);
			assert_value(f.s, CPU_USAGE_TOTAL, UINT64_MAX);
		}
		close_fixture(&f);
	}
}

#define OFF(group) (1ULL << CGM_G_##group)

/* What no group shows is not read, not even once. */
static void test_reader_sample__groups_that_are_off(void **state)
{
	static const struct {
		const char *tree;
		uint64_t off;
		size_t reads; /* of /kubepods/c1 */
	} cases[] = {
		{ "cgroup/v1", ~0ULL, 0 },
		{ "cgroup/v2", ~0ULL, 0 },
		{ "cgroup/hybrid", ~OFF(OOM_EVENT), 1 },
		{ "cgroup/v2", ~OFF(OOM_EVENT), 1 },
		{ "cgroup/hybrid", ~OFF(CPUSET), 1 },
		{ "cgroup/v2", ~OFF(CPUSET), 0 },
		{ "cgroup/hybrid", ~OFF(PROCESSES), 2 },
		{ "cgroup/v2", ~OFF(MEMORY_NUMA), 1 },
		{ "cgroup/v1", ~(OFF(CPU) | OFF(PERCPU)), 3 },
		{ "cgroup/v2", ~OFF(CPU), 1 },
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = cgm_reader_nr_reads();

		cgm_reader_set_groups_off(cases[i].off);
		assert_int_equal(open_fixture(&f, cases[i].tree, "/kubepods/c1"), 0);
		assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
		if (cgm_reader_nr_reads() - before != cases[i].reads)
			fail_msg("%s, case %zu: %llu files were read", cases[i].tree, i, (unsigned long long)(cgm_reader_nr_reads() - before));
		close_fixture(&f);
	}
	cgm_reader_set_groups_off(OFF(PERCPU));
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
	assert_value(f.s, CPU_USAGE_TOTAL, 717603643);
	assert_int_equal(f.s.nr_cpus, 0);
	assert_value(f.s, MEMORY_MIGRATE, 1);
	close_fixture(&f);
	cgm_reader_set_groups_off(0);
}

static void write_file(int dir_fd, const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A v2 tree that a test can change. */
static int make_tree(char *dir)
{
	static const char *const dirs[] = { "proc", "proc/self", "cg", "cg/a" };
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(fd, dirs[i], 0755), 0);
	write_file(fd, "proc/self/mountinfo", "1 2 0:3 / /cg rw - cgroup2 none rw\n");
	write_file(fd, "proc/self/cgroup", "0::/\n");
	write_file(fd, "cg/a/cpu.stat", "usage_usec 5\n");
	write_file(fd, "cg/a/memory.current", "100\n");
	write_file(fd, "cg/a/memory.stat", "file 7\nslab 3\nkernel_stack 4\n");
	write_file(fd, "cg/a/pids.max", "max\n");
	return fd;
}

static void remove_tree(int fd, const char *dir)
{
	static const char *const files[] = { "proc/self/mountinfo", "proc/self/cgroup", "cg/a/cpu.stat", "cg/a/memory.current",
					     "cg/a/memory.stat",    "cg/a/pids.max",	"cg/a/memory.peak" };
	static const char *const dirs[] = { "cg/a", "cg/b", "cg", "proc/self", "proc" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(fd, files[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		unlinkat(fd, dirs[i], AT_REMOVEDIR);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

static void test_reader_sample__slow_files_follow_what_moved(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	int fd = make_tree(dir);
	struct cgm_sample s = { 0 };
	struct cgm_reader *r;
	struct cgm_trees t;

	(void)state;
	assert_int_equal(cgm_trees_open(fd, &t), 0);
	assert_int_equal(cgm_reader_open(&t, "/a", &r), 0);
	cgm_reader_set_slow_ns(3600000000000ULL);
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_value(s, THREADS_MAX, 0);
	assert_value(s, MEMORY_KERNEL, 7);
	write_file(fd, "cg/a/pids.max", "9\n");
	write_file(fd, "cg/a/memory.stat", "file 8\nkernel 11\n");
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_value(s, THREADS_MAX, 0);
	assert_value(s, MEMORY_CACHE, 7);
	write_file(fd, "cg/a/memory.current", "101\n");
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_value(s, MEMORY_USAGE, 101);
	assert_value(s, MEMORY_CACHE, 8);
	assert_value(s, MEMORY_KERNEL, 11);
	cgm_reader_set_slow_ns(0);
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_value(s, THREADS_MAX, 9);
	/* A file that was not there is looked for again after a refresh only. */
	write_file(fd, "cg/a/memory.peak", "50\n");
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_false(cgm_sample_has(&s, CGM_V_MEMORY_MAX_USAGE));
	assert_int_equal(cgm_reader_refresh(r), 0);
	assert_int_equal(cgm_reader_sample(r, false, &s), 0);
	assert_value(s, MEMORY_MAX_USAGE, 101);
	cgm_sample_done(&s);
	cgm_reader_close(r);
	cgm_trees_close(&t);
	remove_tree(fd, dir);
}

/* With the kernel side the devices' other numbers are not the files'. */
static void test_reader_io_cost__costs_alone(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	int fd = make_tree(dir);
	struct cgm_sample s = { 0 };
	struct cgm_reader *r;
	struct cgm_trees t;

	(void)state;
	assert_int_equal(cgm_trees_open(fd, &t), 0);
	assert_false(cgm_trees_io_cost(&t));
	write_file(fd, "cg/io.cost.qos", "8:0 enable=0 ctrl=auto\n");
	assert_false(cgm_trees_io_cost(&t));
	write_file(fd, "cg/io.cost.qos", "8:0 enable=0 ctrl=auto\n8:16 enable=1 ctrl=user\n");
	assert_true(cgm_trees_io_cost(&t));
	write_file(fd, "cg/a/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
				       "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=70 cost.wait=80 cost.indebt=90 cost.indelay=100\n");
	assert_int_equal(cgm_reader_open(&t, "/a", &r), 0);
	assert_int_equal(cgm_reader_io_cost(r, &s), 0);
	assert_int_equal(s.nr_disks, 1);
	assert_int_equal(s.disks[0].minor, 16);
	assert_int_equal(s.disks[0].v[CGM_DISK_COST_USAGE], 70);
	assert_int_equal(s.disks[0].v[CGM_DISK_COST_INDELAY], 100);
	assert_int_equal(s.disks[0].v[CGM_DISK_BYTES_READ], 0);
	cgm_sample_reset(&s);
	assert_int_equal(cgm_reader_sample(r, true, &s), 0);
	assert_int_equal(s.nr_disks, 2);
	assert_int_equal(s.disks[1].v[CGM_DISK_COST_WAIT], 80);
	assert_int_equal(s.disks[1].v[CGM_DISK_BYTES_READ], 1);
	cgm_sample_done(&s);
	cgm_reader_close(r);
	cgm_trees_close(&t);
	unlinkat(fd, "cg/io.cost.qos", 0);
	unlinkat(fd, "cg/a/io.stat", 0);
	remove_tree(fd, dir);
}

static void test_reader_sample__gone(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	int fd = make_tree(dir);
	struct cgm_sample s = { 0 };
	struct cgm_reader *r, *none = NULL;
	struct cgm_spec spec;
	struct cgm_trees t;

	(void)state;
	assert_int_equal(cgm_trees_open(fd, &t), 0);
	assert_int_equal(cgm_reader_open(&t, "/b", &none), -ENOENT);
	assert_int_equal(cgm_reader_open(&t, "a", &none), -EINVAL);
	assert_null(none);
	cgm_reader_set_slow_ns(0);
	cgm_reader_set_fd_budget(0);
	assert_int_equal(cgm_reader_open(&t, "/a", &r), 0);
	assert_int_equal(cgm_reader_sample(r, true, &s), 0);
	assert_int_equal(cgm_reader_nr_fds(), 0);
	assert_true(cgm_reader_same(r));
	assert_int_equal(renameat(fd, "cg/a", fd, "cg/b"), 0);
	assert_int_equal(cgm_reader_sample(r, false, &s), -ENOENT);
	assert_int_equal(cgm_reader_spec(r, &spec), -ENOENT);
	assert_int_equal(cgm_reader_refresh(r), -ENOENT);
	assert_false(cgm_reader_same(r));
	/* Another cgroup of the same name is not the same. */
	assert_int_equal(mkdirat(fd, "cg/a", 0755), 0);
	assert_false(cgm_reader_same(r));
	assert_int_equal(unlinkat(fd, "cg/a", AT_REMOVEDIR), 0);
	assert_int_equal(renameat(fd, "cg/b", fd, "cg/a"), 0);
	assert_true(cgm_reader_same(r));
	cgm_sample_done(&s);
	cgm_reader_close(r);
	cgm_trees_close(&t);
	remove_tree(fd, dir);
	cgm_reader_set_fd_budget(1000);
}

static void test_reader_refresh__a_hierarchy_later(void **state)
{
	char dir[] = "/tmp/cgm-test-XXXXXX";
	int fd = make_tree(dir);
	struct cgm_reader *r;
	struct cgm_trees t;

	(void)state;
	/* The second "hierarchy" is the directory b. */
	assert_int_equal(mkdirat(fd, "cg/b", 0755), 0);
	write_file(fd, "proc/self/mountinfo", "1 2 0:3 / /cg rw - cgroup2 none rw\n1 2 0:4 / /cg/b rw - cgroup none rw,pids\n");
	assert_int_equal(cgm_trees_open(fd, &t), 0);
	assert_int_equal(t.mode, CGM_CGROUP_HYBRID);
	assert_int_equal(cgm_reader_open(&t, "/a", &r), 0);
	assert_int_equal(cgm_reader_controllers(r), 1U << CGM_CTRL_UNIFIED);
	assert_int_equal(cgm_reader_id(r, CGM_CTRL_PIDS), 0);
	assert_int_equal(cgm_reader_refresh(r), 0);
	assert_int_equal(mkdirat(fd, "cg/b/a", 0755), 0);
	assert_int_equal(cgm_reader_refresh(r), 1);
	assert_int_equal(cgm_reader_refresh(r), 0);
	assert_int_not_equal(cgm_reader_id(r, CGM_CTRL_PIDS), 0);
	cgm_reader_close(r);
	cgm_trees_close(&t);
	unlinkat(fd, "cg/b/a", AT_REMOVEDIR);
	remove_tree(fd, dir);
}

static void test_reader_open__budget(void **state)
{
	struct fixture f;

	(void)state;
	cgm_reader_set_slow_ns(0);
	cgm_reader_set_fd_budget(4);
	assert_int_equal(open_fixture(&f, "cgroup/hybrid", "/kubepods/c1"), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(cgm_reader_sample(f.r, false, &f.s), 0);
		assert_int_equal(cgm_reader_nr_fds(), 3);
		assert_value(f.s, MEMORY_FAILCNT, 49);
		assert_value(f.s, THREADS_MAX, 50);
	}
	close_fixture(&f);
	cgm_reader_set_fd_budget(1000);
}

static void test_reader_open__every_allocation_fails(void **state)
{
	struct fixture f;
	struct cgm_reader *r = NULL;
	unsigned long n;
	int e = -1;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/hybrid", "/"), 0);
	for (n = 1; n < 50; n++) {
		struct cgm_sample s = { 0 };

		cgm_mem_fail_at(n);
		e = cgm_reader_open(&f.t, "/kubepods/c1", &r);
		if (e == 0) {
			e = cgm_reader_sample(r, true, &s);
			cgm_reader_close(r);
			r = NULL;
		}
		cgm_mem_fail_at(0);
		/* Without room for the CPUs the sample lacks them and the total; that is all that may be lost. */
		assert_true(e == -ENOMEM || e == 0);
		if (e == 0)
			assert_true(s.nr_cpus == 2 || !cgm_sample_has(&s, CGM_V_CPU_USAGE_TOTAL));
		e = s.nr_cpus == 2 ? e : -ENOMEM;
		cgm_sample_done(&s);
		if (e == 0)
			break;
	}
	assert_int_equal(e, 0);
	assert_true(n > 2);
	close_fixture(&f);
}

static void test_reader_spec__v1(void **state)
{
	struct cgm_spec s;
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_spec(f.r, &s), 0);
	assert_true(s.has_cpu && s.has_memory && s.has_processes && s.has_diskio);
	assert_false(s.has_network || s.has_filesystem);
	assert_int_equal(s.cpu_shares, 512);
	assert_int_equal(s.cpu_quota_usec, 20000);
	assert_int_equal(s.cpu_period_usec, 100000);
	assert_string_equal(s.cpu_mask, "0-1");
	assert_int_equal(s.memory_limit, 67108864);
	assert_int_equal(s.memory_reservation, 33554432);
	assert_true(s.memory_swap_limit == 9223372036854771712ULL);
	assert_int_equal(s.pids_limit, 50);
	assert_true(s.creation_time_ns >= f.t.boot_time_ns);
	close_fixture(&f);
	assert_int_equal(open_fixture(&f, "cgroup/v1", "/"), 0);
	assert_int_equal(cgm_reader_spec(f.r, &s), 0);
	assert_int_equal(s.memory_limit, 24683656ULL * 1024);
	assert_int_equal(s.memory_swap_limit, 0);
	assert_int_equal(s.cpu_quota_usec, 0);
	assert_true(s.has_network && s.has_filesystem);
	assert_true(s.pids_limit == UINT64_MAX);
	close_fixture(&f);
}

static void test_reader_spec__v2(void **state)
{
	struct cgm_spec s;
	struct fixture f;

	(void)state;
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods/c1"), 0);
	assert_int_equal(cgm_reader_spec(f.r, &s), 0);
	assert_int_equal(s.cpu_shares, 2 + 49 * 262142 / 9999);
	assert_int_equal(s.cpu_quota_usec, 20000);
	assert_string_equal(s.cpu_mask, "0");
	assert_int_equal(s.memory_limit, 67108864);
	assert_int_equal(s.memory_reservation, 1048576);
	assert_true(s.memory_swap_limit == UINT64_MAX);
	assert_int_equal(s.pids_limit, 50);
	close_fixture(&f);
	assert_int_equal(open_fixture(&f, "cgroup/v2", "/kubepods/idle"), 0);
	assert_int_equal(cgm_reader_spec(f.r, &s), 0);
	assert_true(s.memory_limit == UINT64_MAX && s.pids_limit == UINT64_MAX);
	assert_int_equal(s.cpu_quota_usec, 0);
	assert_int_equal(s.cpu_period_usec, 100000);
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader_sample__hybrid),
		cmocka_unit_test(test_reader_sample__v1),
		cmocka_unit_test(test_reader_sample__v1_root_has_the_machines_pressure),
		cmocka_unit_test(test_reader_sample__v2),
		cmocka_unit_test(test_reader_sample__v2_failcnt),
		cmocka_unit_test(test_reader_sample__numa),
		cmocka_unit_test(test_reader_sample__v2_root),
		cmocka_unit_test(test_reader_sample__damaged),
		cmocka_unit_test(test_reader_sample__slow_files_follow_what_moved),
		cmocka_unit_test(test_reader_sample__groups_that_are_off),
		cmocka_unit_test(test_reader_io_cost__costs_alone),
		cmocka_unit_test(test_reader_sample__gone),
		cmocka_unit_test(test_reader_refresh__a_hierarchy_later),
		cmocka_unit_test(test_reader_open__budget),
		cmocka_unit_test(test_reader_open__every_allocation_fails),
		cmocka_unit_test(test_reader_spec__v1),
		cmocka_unit_test(test_reader_spec__v2),
	};

	return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
