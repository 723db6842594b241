// SPDX-License-Identifier: Apache-2.0
/*
 * maps NUMBER: makes so many cgroups under a loaded kernel side, as life goes, and prints "cpus cgroups slots map_bytes drops" as the kernel
 * tells them. Removes its cgroups.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "cgroup/cgroup.h"
#include "kernel/kernel.h"
#include "node/hierarchies.h"

static void ignore(void *arg, const struct cgm_event *e)
{
	(void)arg;
	(void)e;
}

static void name_of(uint64_t i, char *buf, size_t size)
{
	snprintf(buf, size, "cgmbench-maps-%llu", (unsigned long long)i);
}

int main(int argc, char **argv)
{
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
	uint64_t number = 0, made = 0;
	struct cgm_kernel_config c = { .pin_dir = "", .nr_slots = 8192 };
	uint64_t drops[CGM_NR_DROPS];
	enum cgm_controller sched;
	struct cgm_kernel *k;
	struct cgm_trees t;
	char name[64];

	cgm_log_set_level(CGM_LOG_ERROR);
	if (argc != 2 || cgm_parse_u64((struct cgm_str){ argv[1], strlen(argv[1]) }, &number) < 0 || root < 0 || cgm_trees_open(root, &t) < 0) {
		fprintf(stderr, "usage: maps NUMBER (and a cgroup tree)\n");
		return 2;
	}
	cgm_hierarchies_of(&t, &c, &sched, NULL);
	if (cgm_kernel_open(&c, &k) < 0 || !cgm_kernel_has(k, "sched")) {
		fprintf(stderr, "maps: no kernel side\n");
		return 1;
	}
	dir = t.h[sched].dir_fd;
	for (; made < number; made++) {
		name_of(made, name, sizeof(name));
		if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST) {
			perror("maps: mkdir");
			break;
		}
		cgm_kernel_poll(k, ignore, NULL);
	}
	cgm_kernel_sweep(k);
	cgm_kernel_drops(k, drops);
	printf("%d %llu %u %llu %llu\n", libbpf_num_possible_cpus(), (unsigned long long)made, cgm_kernel_slots(k), (unsigned long long)cgm_kernel_map_bytes(k),
	       (unsigned long long)drops[CGM_DROP_SLOTS_FULL]);
	cgm_kernel_close(k);
	for (uint64_t i = 0; i < made; i++) {
		name_of(i, name, sizeof(name));
		unlinkat(dir, name, AT_REMOVEDIR);
	}
	return made == number ? 0 : 1;
}
