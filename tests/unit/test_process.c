// SPDX-License-Identifier: Apache-2.0
/* The processes of a cgroup out of a made-up /proc, and of this machine's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cgroup/process.h"

struct tree {
	char dir[64];
	struct cgm_trees t;
};

static void put(struct tree *x, const char *path, const char *text)
{
	char whole[256];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s/%s", x->dir, path);
	for (char *p = whole + strlen(x->dir) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(whole, 0700);
		*p = '/';
	}
	f = fopen(whole, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int open_dir(struct tree *x, const char *path)
{
	char whole[256];
	int fd;

	snprintf(whole, sizeof(whole), "%s/%s", x->dir, path);
	fd = open(whole, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	struct tree *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	snprintf(x->dir, sizeof(x->dir), "/tmp/cgm-process-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	put(x, "etc/passwd", "root:x:0:0::/:/bin/sh\nbroken\nalice:x:1000:1000::/:/bin/sh\n");
	put(x, "proc/uptime", "1000.00 5.00\n");
	/* Started 900 s after boot, 50 s of CPU in the 100 s since; a name that looks like more fields. */
	put(x, "proc/42/stat", "42 (a) R 1 (b) S 7 42 42 0 42 4194560 1 2 3 4 3000 2000 0 0 20 -5 3 0 90000 8192000 1000 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0\n");
	put(x, "proc/42/status", "Name:\ta\nUid:\t0\t1000\t0\t0\nVmLck:\t      12 kB\n");
	put(x, "proc/42/cgroup", "3:memory:/a/b\n2:cpu,cpuacct:/other\n0::/unified\n");
	put(x, "proc/42/fd/0", "");
	put(x, "proc/42/fd/1", "");
	put(x, "proc/42/fd/17", "");
	put(x, "proc/7/stat", "7 (init) S 0 7 7 0 -1 4194560 1 2 3 4 0 0 0 0 20 5 1 0 100 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0\n");
	put(x, "proc/7/status", "Name:\tinit\nUid:\t4711\t4711\t0\t0\n");
	put(x, "proc/7/cgroup", "0::/\n");
	put(x, "proc/9/stat", "9 (cut");
	put(x, "proc/self/x", "");
	put(x, "memory/a/b/cgroup.procs", "42\n0\n7\nrubbish\n99\n");
	put(x, "memory/empty/cgroup.procs", "");
	put(x, "unified/only/cgroup.procs", "7\n");
	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		x->t.h[i].dir_fd = -1;
	x->t.root_fd = open_dir(x, ".");
	x->t.h[CGM_CTRL_MEMORY].dir_fd = open_dir(x, "memory");
	x->t.h[CGM_CTRL_UNIFIED].dir_fd = open_dir(x, "unified");
	x->t.memory_bytes = 40960000;
	*state = x;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct tree *x = *state;

	close(x->t.root_fd);
	close(x->t.h[CGM_CTRL_MEMORY].dir_fd);
	close(x->t.h[CGM_CTRL_UNIFIED].dir_fd);
	nftw(x->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(x);
	return 0;
}

static void test_processes__of_a_cgroup(void **state)
{
	struct tree *x = *state;
	struct cgm_processes p;
	struct cgm_process one;
	char cgroup[64];

	assert_int_equal(cgm_processes_open(&x->t, "/a/b", &p), 0);
	assert_int_equal(p.nr, 3);
	assert_int_equal(p.pids[0], 7);
	assert_int_equal(p.pids[1], 42);
	assert_int_equal(cgm_processes_read(&p, 2, &one), -ENOENT); /* 99 has ended */
	assert_int_equal(cgm_processes_read(&p, 1, &one), 0);
	assert_int_equal(one.pid, 42);
	assert_int_equal(one.ppid, 7);
	assert_string_equal(one.user, "alice");
	assert_string_equal(one.comm, "a) R 1 (b");
	assert_string_equal(one.status, "S<Lsl+");
	assert_int_equal(one.start_time_ns - p.boot_ns, 900000000000);
	assert_int_equal(one.cpu_ns, 50000000000);
	assert_in_range(one.cpu_permille, 499, 500);
	assert_int_equal(one.virtual_bytes, 8192000);
	assert_int_equal(one.rss_bytes, 1000 * (uint64_t)sysconf(_SC_PAGESIZE));
	assert_int_equal(one.memory_permille, 1000 * one.rss_bytes / 40960000);
	assert_int_equal(one.nr_fds, 3);
	assert_int_equal(one.cpu, 1);
	cgm_processes_cgroup(&p, 1, cgroup, sizeof(cgroup));
	assert_string_equal(cgroup, "/a/b");
	cgm_processes_cgroup(&p, 1, cgroup, 3);
	assert_string_equal(cgroup, "");
	assert_int_equal(cgm_processes_read(&p, 0, &one), 0);
	assert_string_equal(one.user, "4711");
	assert_string_equal(one.status, "SNs");
	cgm_processes_done(&p);
}

static void test_processes__of_the_machine_and_others(void **state)
{
	struct tree *x = *state;
	struct cgm_processes p;
	struct cgm_process one;

	assert_int_equal(cgm_processes_open(&x->t, "/", &p), 0);
	assert_int_equal(p.nr, 3);
	assert_int_equal(p.pids[1], 9);
	assert_int_equal(cgm_processes_read(&p, 1, &one), -ENOENT);
	cgm_processes_done(&p);
	assert_int_equal(cgm_processes_open(&x->t, "/empty", &p), 0);
	assert_int_equal(p.nr, 0);
	cgm_processes_done(&p);
	assert_int_equal(cgm_processes_open(&x->t, "/only", &p), 0);
	assert_int_equal(p.nr, 1);
	cgm_processes_done(&p);
	assert_int_equal(cgm_processes_open(&x->t, "/none", &p), -ENOENT);
	assert_int_equal(cgm_processes_open(&x->t, "/a/../empty", &p), -EINVAL);
	assert_int_equal(cgm_processes_open(&x->t, "/a/..", &p), -EINVAL);
	assert_int_equal(cgm_processes_open(&x->t, "a", &p), -EINVAL);
}

static void test_processes__this_one(void **state)
{
	struct cgm_processes p;
	struct cgm_process one;
	struct cgm_trees t;
	bool found = false;
	int root_fd = open("/", O_RDONLY | O_DIRECTORY);

	(void)state;
	if (cgm_trees_open(root_fd, &t) < 0) {
		close(root_fd);
		print_message("# skip: no cgroup file system\n");
		skip();
	}
	assert_int_equal(cgm_processes_open(&t, "/", &p), 0);
	for (size_t i = 0; i < p.nr; i++) {
		if (p.pids[i] != getpid() || cgm_processes_read(&p, i, &one) < 0)
			continue;
		found = true;
		assert_int_equal(one.ppid, getppid());
		assert_string_equal(one.comm, "test_process");
		assert_in_range(one.nr_fds, 3, 1000);
		assert_true(one.rss_bytes > 100000 && one.virtual_bytes >= one.rss_bytes);
	}
	assert_true(found);
	cgm_processes_done(&p);
	cgm_trees_close(&t);
	close(root_fd);
}

static void test_processes__every_allocation_fails(void **state)
{
	struct tree *x = *state;

	for (unsigned long n = 1; n < 20; n++) {
		struct cgm_processes p;
		unsigned long nr;
		int r;

		cgm_mem_fail_at(n);
		r = cgm_processes_open(&x->t, n % 2 ? "/a/b" : "/", &p);
		nr = cgm_mem_fail_at(0);
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0)
			cgm_processes_done(&p);
		if (nr < n)
			break;
		assert_int_equal(r, -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_processes__of_a_cgroup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes__of_the_machine_and_others, setup, teardown),
		cmocka_unit_test(test_processes__this_one),
		cmocka_unit_test_setup_teardown(test_processes__every_allocation_fails, setup, teardown),
	};

	return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
