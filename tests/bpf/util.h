/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the truth tests of the kernel side share: an open kernel side that pins nothing, cgroups of our own in every hierarchy that
 * counts, children that run in them, and the kernel's own numbers of a child. Needs root; main() skips with the reason otherwise.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"

struct rig {
	int root_fd;
	struct cgm_trees trees;
	struct cgm_kernel_config config;
	enum cgm_controller sched_controller, block_controller;
	struct cgm_kernel *kernel;
};

/* Guests under software emulation take more time for everything. */
static inline int slow(void)
{
	const char *s = getenv("CGM_SLOW");

	return s && *s == '1';
}

static inline struct cgm_kernel_config rig_config(struct rig *t)
{
	static const char *const names[] = { [CGM_CTRL_CPU] = "cpu",	   [CGM_CTRL_CPUACCT] = "cpuacct", [CGM_CTRL_CPUSET] = "cpuset",
					     [CGM_CTRL_MEMORY] = "memory", [CGM_CTRL_BLKIO] = "blkio",	   [CGM_CTRL_PIDS] = "pids",
					     [CGM_CTRL_UNIFIED] = "unified" };
	struct cgm_kernel_config c = { .pin_dir = "", .nr_slots = 1024 };

	t->sched_controller = cgm_trees_sched_controller(&t->trees);
	t->block_controller = t->trees.h[CGM_CTRL_BLKIO].dir_fd >= 0 ? CGM_CTRL_BLKIO : CGM_CTRL_UNIFIED;
	c.sched_hierarchy = c.sock_hierarchy = t->trees.h[t->sched_controller].id;
	c.block_hierarchy = t->trees.h[t->block_controller].id;
	c.task_controller = cgm_task_controller_by_name(names[t->sched_controller]);
	c.hierarchy_mask = ~0ULL;
	return c;
}

static inline void rig_open(struct rig *t)
{
	t->root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(t->root_fd >= 0);
	assert_int_equal(cgm_trees_open(t->root_fd, &t->trees), 0);
	t->config = rig_config(t);
}

static inline void rig_load(struct rig *t)
{
	assert_int_equal(cgm_kernel_open(&t->config, &t->kernel), 0);
}

static inline void rig_unload(struct rig *t)
{
	cgm_kernel_close(t->kernel);
	t->kernel = NULL;
}

static inline int rig_setup(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	rig_open(t);
	rig_load(t);
	*state = t;
	return 0;
}

/* What a test that failed half-way has left. */
static inline void remove_ours(int dir_fd)
{
	_cleanup_closedir_ DIR *d = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	char prefix[32], child[300];
	struct dirent *e;

	snprintf(prefix, sizeof(prefix), "cgmbpf-%d-", (int)getpid());
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(child, sizeof(child), "%s/c", e->d_name);
		unlinkat(dir_fd, child, AT_REMOVEDIR);
		unlinkat(dir_fd, e->d_name, AT_REMOVEDIR);
	}
}

static inline int rig_cleanup(_unused_ void **state)
{
	struct rig t = { 0 };

	rig_open(&t);
	remove_ours(t.trees.h[t.sched_controller].dir_fd);
	remove_ours(t.trees.h[t.block_controller].dir_fd);
	cgm_trees_close(&t.trees);
	close(t.root_fd);
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *t = *state;

	rig_unload(t);
	cgm_trees_close(&t->trees);
	close(t->root_fd);
	free(t);
	return 0;
}

/* ---- cgroups: the same path in the hierarchies of scheduler and block I/O ---- */

static inline void group_path(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "cgmbpf-%d-%s", (int)getpid(), name);
}

static inline void each_tree(struct rig *t, void (*fn)(int dir_fd, const char *path, void *arg), const char *path, void *arg)
{
	fn(t->trees.h[t->sched_controller].dir_fd, path, arg);
	if (t->block_controller != t->sched_controller)
		fn(t->trees.h[t->block_controller].dir_fd, path, arg);
}

static inline void make_in(int dir_fd, const char *path, _unused_ void *arg)
{
	assert_int_equal(mkdirat(dir_fd, path, 0755), 0);
}

static inline void remove_in(int dir_fd, const char *path, _unused_ void *arg)
{
	for (int i = 0; i < 200 && unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 && errno == EBUSY; i++)
		usleep(10000);
}

static inline void join_in(int dir_fd, const char *path, _unused_ void *arg)
{
	char file[256], pid[16];
	_cleanup_close_ int fd = -1;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, pid, strlen(pid)) < 0)
		_exit(99);
}

static inline void group_make(struct rig *t, const char *path)
{
	each_tree(t, make_in, path, NULL);
}

static inline void group_remove(struct rig *t, const char *path)
{
	each_tree(t, remove_in, path, NULL);
}

static inline uint64_t group_id(struct rig *t, enum cgm_controller c, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(t->trees.h[c].dir_fd, path, &st, 0), 0);
	return st.st_ino;
}

static inline uint32_t sched_slot(struct rig *t, const char *path)
{
	return cgm_kernel_slot(t->kernel, t->config.sched_hierarchy, group_id(t, t->sched_controller, path));
}

static inline uint32_t block_slot(struct rig *t, const char *path)
{
	return cgm_kernel_slot(t->kernel, t->config.block_hierarchy, group_id(t, t->block_controller, path));
}

/* Runs fn in a child inside the cgroup; the child waits for nothing. Returns its pid. */
static inline pid_t group_start(struct rig *t, const char *path, void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	each_tree(t, join_in, path, NULL);
	fn(arg);
	_exit(0);
}

/* The same, and waits for its end; ret_usage may be NULL. */
static inline void group_run(struct rig *t, const char *path, void (*fn)(void *arg), void *arg, struct rusage *ret_usage)
{
	struct rusage ru;
	int status;
	pid_t pid = group_start(t, path, fn, arg);

	assert_int_equal(wait4(pid, &status, 0, ret_usage ? ret_usage : &ru), pid);
	assert_int_equal(status, 0);
}

static inline struct cgm_sched read_sched(struct rig *t, uint32_t slot)
{
	struct cgm_sched s = { 0 };

	cgm_kernel_sweep(t->kernel);
	cgm_kernel_add_sched(t->kernel, slot, &s);
	return s;
}

static inline struct cgm_net read_net(struct rig *t, uint32_t slot)
{
	struct cgm_net n = { 0 };

	cgm_kernel_sweep(t->kernel);
	cgm_kernel_add_net(t->kernel, slot, &n);
	return n;
}

static inline uint64_t hist_count(const struct cgm_hist *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}

static inline void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static inline void burn_ns(uint64_t ns)
{
	uint64_t end = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ns;

	while (cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 1000; i++)
			;
}

#define assert_near(value, wanted, permille)                                                                                     \
	do {                                                                                                                     \
		double _v = (double)(value), _w = (double)(wanted);                                                              \
		if (_v < _w * (1 - (permille) / 1000.0) || _v > _w * (1 + (permille) / 1000.0))                                  \
			fail_msg("%s is %.0f, wanted %.0f within %d permille", #value, _v, _w, (int)(permille));                 \
	} while (0)

/* Runs the tests, or says as TAP why it cannot. */
#define RUN_BPF_TESTS(tests)                                                                                                     \
	int main(void)                                                                                                           \
	{                                                                                                                        \
		if (geteuid() != 0) {                                                                                            \
			printf("1..1\nok 1 - %s # SKIP needs root\n", #tests);                                                   \
			return 0;                                                                                                \
		}                                                                                                                \
		return cmocka_run_group_tests_name(#tests, tests, NULL, rig_cleanup);                                                   \
	}
