/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk PATH SECONDS: what it costs to measure that directory. Prints "NAME VALUE" lines:
 *	entries		in it, itself left out
 *	walk_cpu	CPU ns of one walk without a limit, the median of ROUNDS
 *	walk_wall	the same by the clock
 *	limited_cpu	CPU ns of the whole thread in limited_wall ns, with the default limit and always something to do
 *	limited_entries	entries in that time
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "disk/usage.h"
#include "disk/walk.h"

#define ROUNDS 7

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int walk_once(int fd, uint64_t *ret_cpu, uint64_t *ret_wall, size_t *ret_nr)
{
	uint64_t cpu = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID), wall = cgm_clock_mono_ns();
	struct cgm_walk *w = NULL;
	int r = cgm_walk_new(fd, false, &w);

	if (r == 0)
		r = cgm_walk_step(w, SIZE_MAX, NULL, ret_nr);
	cgm_walk_free(w);
	*ret_cpu = cgm_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	*ret_wall = cgm_clock_mono_ns() - wall;
	return r;
}

static int walk(const char *path)
{
	uint64_t cpu[ROUNDS], wall[ROUNDS];
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	size_t nr = 0;

	for (int i = 0; i < ROUNDS; i++)
		if (fd < 0 || walk_once(fd, &cpu[i], &wall[i], &nr) != 1)
			return -1;
	close(fd);
	qsort(cpu, ROUNDS, sizeof(*cpu), by_value);
	qsort(wall, ROUNDS, sizeof(*wall), by_value);
	printf("entries %zu\nwalk_cpu %llu\nwalk_wall %llu\n", nr, (unsigned long long)cpu[ROUNDS / 2], (unsigned long long)wall[ROUNDS / 2]);
	return 0;
}

static int limited(const char *path, unsigned seconds)
{
	struct cgm_disk_config c = {
		.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.interval_ns = 1,
		.max_entries_per_s = CGM_DISK_ENTRIES_PER_S,
	};
	uint64_t cpu, wall, nr;
	struct cgm_disk *d;

	if (cgm_disk_open(&c, &d) < 0)
		return -1;
	cgm_disk_add(d, path);
	sleep(1); /* what had been saved up is spent */
	cpu = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	wall = cgm_clock_mono_ns();
	nr = cgm_disk_state(d).nr_entries;
	sleep(seconds);
	nr = cgm_disk_state(d).nr_entries - nr;
	cpu = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("limited_cpu %llu\nlimited_wall %llu\nlimited_entries %llu\n", (unsigned long long)cpu,
	       (unsigned long long)(cgm_clock_mono_ns() - wall), (unsigned long long)nr);
	cgm_disk_close(d);
	close(c.root_fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3 || walk(argv[1]) < 0 || limited(argv[1], (unsigned)strtoul(argv[2], NULL, 10)) < 0) {
		fprintf(stderr, "usage: disk PATH SECONDS\n");
		return 2;
	}
	return 0;
}
