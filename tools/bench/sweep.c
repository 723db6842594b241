/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep ROUNDS: what one sweep of bulk reading costs. Reads paths of cgroups from stdin, one a line; those behind a "+" are only learned
 *from (user/kernel/slots.h): equals among themselves teach little. Prints "NAME VALUE" lines: times are CPU ns of the sweeping thread,
 *medians over the rounds: hot	one sweep right after the other spaced	with 100 ms in between, in which the caches go to others rows
 *handing out what was read of all the cgroups, in the units of the metrics
 *	kept	the same cgroups by files that are kept open, read whole and parsed
 *	calls	system calls of a sweep, counted from outside by ptrace
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/bulk.h"

#define PAUSE_US 100000

struct target {
	struct cgm_reader *reader;
	struct cgm_stat_ref ref;
};

struct bench {
	struct cgm_trees trees;
	struct cgm_kernel_config config;
	struct cgm_kernel *kernel;
	struct target *targets;
	size_t nr, cap;
	struct target *others;
	size_t nr_others, cap_others;
	size_t nr_rounds;
	uint64_t *times;
};

static uint64_t cpu_ns(void)
{
	return cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(struct bench *b)
{
	qsort(b->times, b->nr_rounds, sizeof(*b->times), by_value);
	return b->times[b->nr_rounds / 2];
}

static int sweep(struct bench *b)
{
	return cgm_kernel_stat_sweep(b->kernel);
}

static int hand_out(struct bench *b)
{
	static struct cgm_bulk bulk;

	for (size_t i = 0; i < b->nr; i++)
		cgm_kernel_stat(b->kernel, &b->targets[i].ref, &bulk);
	return 0;
}

static int read_all(struct bench *b)
{
	static struct cgm_sample s;

	for (size_t i = 0; i < b->nr; i++) {
		cgm_sample_reset(&s);
		if (cgm_reader_sample(b->targets[i].reader, false, &s) < 0)
			return -1;
	}
	return 0;
}

static int measure(struct bench *b, const char *name, int (*fn)(struct bench *b), useconds_t pause)
{
	for (int i = 0; i < 3; i++) /* maps grow, files are opened */
		if (fn(b) < 0)
			return -1;
	for (size_t i = 0; i < b->nr_rounds; i++) {
		uint64_t began;

		if (pause)
			usleep(pause);
		began = cpu_ns();
		if (fn(b) < 0)
			return -1;
		b->times[i] = cpu_ns() - began;
	}
	printf("%s %llu\n", name, (unsigned long long)median(b));
	return 0;
}

struct read_arg {
	struct cgm_reader *reader;
	char buf[16384];
};

static int read_memory_stat(void *arg, struct cgm_str *ret)
{
	struct read_arg *a = arg;

	return cgm_reader_memory_stat(a->reader, a->buf, sizeof(a->buf), ret);
}

static void learn_by(struct bench *b, struct target *t)
{
	struct read_arg a = {.reader = t->reader};

	(void)cgm_kernel_stat_learn(b->kernel, &t->ref, read_memory_stat, &a);
}

/* As the agent does in its first ticks. How many cgroups memory.stat is then read of in bulk. */
static size_t learn(struct bench *b)
{
	static struct cgm_bulk bulk;
	size_t sure = 0;

	for (size_t i = 0; sweep(b) == 0 && i < b->nr && i < 32; i++)
		learn_by(b, &b->targets[i * 7919 % b->nr]);
	for (size_t i = 0; i < b->nr_others; i++)
		learn_by(b, &b->others[i]);
	for (size_t i = 0; sweep(b) == 0 && i < b->nr; i++) {
		cgm_kernel_stat(b->kernel, &b->targets[i].ref, &bulk);
		sure += bulk.groups >> CGM_BULK_MEMORY_STAT & 1;
	}
	return sure;
}

/* A child sweeps between two marks; its system calls in between are those of the sweep, and one that is the second mark. */
static long count_calls(struct bench *b)
{
	long calls = -1;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		syscall(SYS_getpgrp);
		(void)sweep(b);
		syscall(SYS_getpgrp);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	while (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info info;

		if (WSTOPSIG(status) != (SIGTRAP | 0x80) || ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 ||
			info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (info.entry.nr != SYS_getpgrp) {
			calls += calls >= 0;
			continue;
		}
		if (calls >= 0)
			break;
		calls = 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return calls;
}

static int add_target(struct bench *b, const char *path, struct target **array, size_t *cap, size_t *nr)
{
	struct target *t;

	if (cgm_grow((void **)array, cap, *nr, sizeof(**array)) < 0)
		return -1;
	t = &(*array)[*nr];
	memset(t, 0, sizeof(*t));
	if (cgm_reader_open(&b->trees, path, &t->reader) < 0)
		return -1;
	cgm_bulk_ids(&b->trees, t->reader, &t->ref);
	(*nr)++;
	return 0;
}

static int load_targets(struct bench *b)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '+')
			(void)add_target(b, line + 1, &b->others, &b->cap_others, &b->nr_others); /* may be gone by now */
		else if (add_target(b, line, &b->targets, &b->cap, &b->nr) < 0)
			return -1;
	}
	return b->nr ? 0 : -1;
}

static int open_all(struct bench *b)
{
	int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (root_fd < 0 || cgm_trees_open(root_fd, &b->trees) < 0 || load_targets(b) < 0)
		return -1;
	b->config = (struct cgm_kernel_config){.pin_dir = "", .nr_slots = 64};
	cgm_bulk_setup(&b->trees, 0, &b->config.stat);
	return cgm_kernel_open(&b->config, &b->kernel);
}

int main(int argc, char **argv)
{
	struct bench b = {.nr_rounds = argc == 2 ? strtoul(argv[1], NULL, 10) : 0};
	int r;

	b.times = cgm_calloc(b.nr_rounds + 1, sizeof(*b.times));
	if (!b.nr_rounds || !b.times || open_all(&b) < 0) {
		fprintf(stderr, "usage: sweep ROUNDS <paths; as root\n");
		return 2;
	}
	if (!cgm_kernel_has(b.kernel, "stat")) {
		fprintf(stderr, "this kernel has no cgroup iterator\n");
		return 1;
	}
	cgm_reader_set_slow_ns(0); /* every file, each time */
	printf("sure %zu\nrows_of_memory %u\n", learn(&b), cgm_kernel_stat_rows(b.kernel, CGM_STAT_MEMORY));
	r = measure(&b, "hot", sweep, 0) < 0 || measure(&b, "spaced", sweep, PAUSE_US) < 0 || measure(&b, "rows", hand_out, 0) < 0 ||
	    measure(&b, "kept", read_all, 0) < 0;
	printf("calls %ld\n", count_calls(&b));
	for (size_t i = 0; i < b.nr; i++)
		cgm_reader_close(b.targets[i].reader);
	for (size_t i = 0; i < b.nr_others; i++)
		cgm_reader_close(b.others[i].reader);
	free(b.targets);
	free(b.others);
	free(b.times);
	cgm_kernel_close(b.kernel);
	cgm_trees_close(&b.trees);
	return r;
}
