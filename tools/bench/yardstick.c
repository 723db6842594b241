/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yardstick ROUNDS: what the plainest sampler costs: for each cgroup and each second, open, read and close the files that cAdvisor reads
 * for a sample (29 on cgroup v1; those that exist here). Reads file names from stdin, one a line, an empty line after each cgroup.
 * Prints "SAMPLES FILES CPU_NS WALL_NS" of the rounds. Nothing is parsed: a sampler that also understands cannot be this cheap by files.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char buf[65536];

static long long now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int read_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
	return 1;
}

struct list {
	char **paths; /* "" ends a cgroup */
	size_t nr, cap;
};

static int load(struct list *l)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (l->nr == l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 1024;
			char **paths = realloc(l->paths, cap * sizeof(*paths));

			if (!paths)
				return -1;
			l->paths = paths;
			l->cap = cap;
		}
		l->paths[l->nr] = strdup(line);
		if (!l->paths[l->nr++])
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct list l = { 0 };
	long rounds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	long long samples = 0, files = 0, cpu = 0, start, wall = 0;
	struct timespec next;

	if (rounds < 1 || load(&l) < 0) {
		fprintf(stderr, "usage: yardstick ROUNDS <list\n");
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &next);
	/* Round 0 warms up and is not counted. */
	for (long round = 0; round <= rounds; round++) {
		long long cpu_before = now_ns(CLOCK_PROCESS_CPUTIME_ID), round_files = 0, round_samples = 0;

		start = now_ns(CLOCK_MONOTONIC);
		for (size_t i = 0; i < l.nr; i++) {
			if (l.paths[i][0])
				round_files += read_once(l.paths[i]);
			else
				round_samples++;
		}
		if (round > 0) {
			cpu += now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
			wall += now_ns(CLOCK_MONOTONIC) - start;
			files += round_files;
			samples += round_samples;
		}
		next.tv_sec++;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	printf("%lld %lld %lld %lld\n", samples, files, cpu, wall);
	for (size_t i = 0; i < l.nr; i++)
		free(l.paths[i]);
	free(l.paths);
	return 0;
}
