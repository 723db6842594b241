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
#include "kernel/groups.h"
#include "kernel/kernel.h"
#include "node/hierarchies.h"

struct rig {
	int root_fd;
	struct cgm_trees trees;
	struct cgm_kernel_config config;
	enum cgm_controller sched_controller, block_controller;
	struct cgm_kernel *kernel;
	struct cgm_group_choice groups;
};

/* Guests under software emulation take more time for everything. */
static inline int slow(void)
{
	const char *s = getenv("CGM_SLOW");

	return s && *s == '1';
}

static inline struct cgm_kernel_config rig_config(struct rig *t)
{
	struct cgm_kernel_config c = { .pin_dir = "", .nr_slots = 1024 };

	cgm_hierarchies_of(&t->trees, &c, &t->sched_controller, &t->block_controller);
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
	const struct cgm_program *p;
	size_t nr;

	assert_int_equal(cgm_kernel_open(&t->config, &t->kernel), 0);
	/* A kernel may lack a hook; a program that its verifier refuses is our fault, and must not hide behind a skip. */
	nr = cgm_kernel_programs(t->kernel, &p);
	for (size_t i = 0; i < nr; i++) {
		if (strstr(p[i].reason, "failed to load"))
			print_message("# %s: %s\n", p[i].name, p[i].reason);
		assert_null(strstr(p[i].reason, "failed to load"));
	}
}

static inline void rig_unload(struct rig *t)
{
	cgm_kernel_close(t->kernel);
	t->kernel = NULL;
}

/* With groups that are off otherwise: "+NAME,+NAME", as --enable_metrics takes them; NULL: none. */
static inline int rig_setup_with(void **state, const char *groups)
{
	struct rig *t = calloc(1, sizeof(*t));
	const char *bad;
	size_t len;

	assert_non_null(t);
	rig_open(t);
	assert_int_equal(cgm_group_choose(groups ? groups : "", "", &t->groups, &bad, &len), 0);
	t->config.groups_off = t->groups.unloaded;
	rig_load(t);
	*state = t;
	return 0;
}

static inline int rig_setup(void **state)
{
	return rig_setup_with(state, NULL);
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

/* Two calls: out of the registry, then folded. */
static inline void retire_all(struct rig *t)
{
	for (int i = 0; i < 3; i++) {
		cgm_kernel_sweep(t->kernel);
		cgm_kernel_retire(t->kernel);
	}
	cgm_kernel_sweep(t->kernel);
}

static inline struct cgm_net read_net(struct rig *t, uint32_t slot)
{
	struct cgm_net n = { 0 };

	cgm_kernel_sweep(t->kernel);
	cgm_kernel_add_net(t->kernel, slot, &n);
	return n;
}

static inline uint64_t read_count(struct rig *t, uint32_t slot, enum cgm_count id)
{
	struct cgm_counts c = { 0 };
	struct cgm_dear d = { 0 };

	cgm_kernel_sweep(t->kernel);
	cgm_kernel_add_counts(t->kernel, slot, &c);
	cgm_kernel_add_dear(t->kernel, slot, &d);
	return id < CGM_NR_COMMON_COUNTS ? c.v[id] : d.v[id - CGM_NR_COMMON_COUNTS];
}

static inline struct cgm_hist read_wait(struct rig *t, uint32_t slot, enum cgm_wait id)
{
	const struct cgm_hist *h;
	enum cgm_wait wait;
	size_t iter = 0;

	cgm_kernel_sweep(t->kernel);
	while ((h = cgm_kernel_next_wait(t->kernel, slot, &iter, &wait)))
		if (wait == id)
			return *h;
	return (struct cgm_hist){ 0 };
}

static inline bool program_runs(const struct rig *t, const char *name, const char **ret_reason)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(t->kernel, &p);

	*ret_reason = "there is no such program";
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(p[i].name, name) != 0)
			continue;
		*ret_reason = p[i].reason;
		return strcmp(p[i].mode, "off") != 0;
	}
	return false;
}

/* Skips with the program's own reason when it does not run. */
static inline void need_program(const struct rig *t, const char *name)
{
	const char *reason;

	if (program_runs(t, name, &reason))
		return;
	print_message("# skip: %s: %s\n", name, reason);
	skip();
}

/* A new cgroup and its slot; asked for by us in case that others' cgroups have taken all that there were. */
static inline uint32_t group_with_slot(struct rig *t, const char *name, char *path, size_t size)
{
	uint32_t slot;

	group_path(path, size, name);
	group_make(t, path);
	slot = cgm_kernel_register(t->kernel, t->config.sched_hierarchy, group_id(t, t->sched_controller, path), 1);
	assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
	return slot;
}

/* A number of a file of the kernel; -1 when it cannot be read. key: the word before it, NULL: the first. */
static inline long long number_of(int dir_fd, const char *path, const char *key)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	char buf[16384], *line, *save = NULL;
	ssize_t len = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (len < 0)
		return -1;
	buf[len] = '\0';
	if (!key)
		return strtoll(buf, NULL, 10);
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, strlen(key)) == 0 && strchr(" :\t", line[strlen(key)]))
			return strtoll(line + strlen(key) + 1, NULL, 10);
	return -1;
}

/* 0, or -1: it cannot be written. */
static inline int write_text(int dir_fd, const char *path, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static inline void *shared_page(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
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
