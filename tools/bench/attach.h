/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel.c and slowdown.c share: the kernel side attached without an agent, and the empty programs. */
#pragma once

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "cgroup/cgroup.h"
#include "empty.skel.h"
#include "kernel/groups.h"
#include "kernel/kernel.h"
#include "node/hierarchies.h"

static struct cgm_trees trees;

/* groups: beside those that are on by default, as --enable_metrics; NULL: none */
static inline struct cgm_kernel *load(enum cgm_sched_hook hook, const char *groups)
{
	struct cgm_kernel_config c = { .pin_dir = "", .nr_slots = 1024, .sched_hook = hook };
	struct cgm_group_choice choice;
	struct cgm_kernel *k;
	const char *bad;
	size_t len;

	if (cgm_group_choose(groups, NULL, &choice, &bad, &len) < 0)
		exit(1);
	c.groups_off = choice.unloaded;
	cgm_hierarchies_of(&trees, &c, NULL, NULL);
	if (cgm_kernel_open(&c, &k) < 0)
		exit(1);
	return k;
}

static inline void pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* only: names of programs between spaces, or NULL for all. */
static inline bool is_named(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static inline struct empty_bpf *load_empty(const char *only)
{
	struct empty_bpf *e = empty_bpf__open();
	struct bpf_program *p;

	if (!e)
		exit(1);
	bpf_object__for_each_program(p, e->obj)
		bpf_program__set_autoload(p, !only || is_named(only, bpf_program__name(p)));
	if (empty_bpf__load(e) < 0 || empty_bpf__attach(e) < 0) {
		fprintf(stderr, "bench: cannot load the empty programs\n");
		exit(1);
	}
	return e;
}

/* fds[1] writes, fds[0] reads, as of a pipe. */
static inline void open_tcp(int fds[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(server, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(server, 1) < 0 || getsockname(server, (struct sockaddr *)&a, &len) < 0 ||
	    connect(fds[1], (struct sockaddr *)&a, sizeof(a)) < 0)
		exit(1);
	fds[0] = accept(server, NULL, NULL);
	close(server);
}

static inline void open_trees(void)
{
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	setvbuf(stdout, NULL, _IOLBF, 0);
	cgm_log_set_level(CGM_LOG_ERROR);
	if (root < 0 || cgm_trees_open(root, &trees) < 0) {
		fprintf(stderr, "bench: no cgroup tree\n");
		exit(1);
	}
	close(root);
}
