/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a cgroup as ps(1) shows them, read from /proc without a process of our own. Below the root descriptor of the trees; any thread
 * (of the trees only the descriptors are used, which do not change while they are open).
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup/cgroup.h"

struct cgm_process {
	pid_t pid, ppid;
	char user[64]; /* by /etc/passwd of the root, else the number */
	char comm[64]; /* the kernel's short name: command lines hold secrets */
	char status[8]; /* state and flags as ps writes them: "Ssl+" */
	uint64_t start_time_ns; /* since the epoch */
	uint64_t cpu_ns; /* user and system time */
	uint64_t cpu_permille, memory_permille; /* of one CPU since it started; of the machine's memory, resident */
	uint64_t rss_bytes, virtual_bytes;
	uint64_t nr_fds; /* 0: not known */
	unsigned cpu; /* that it ran on last */
};

struct cgm_processes {
	const struct cgm_trees *trees;
	pid_t *pids; /* ascending */
	size_t nr, cap;
	char *passwd; /* text of the file; NULL: none */
	size_t passwd_len;
	uint64_t now_ns, boot_ns; /* since the epoch; between both lies the machine's uptime */
	uint64_t page_bytes, tick_ns;
	bool is_procfs; /* its directories have a size */
};

/*
 * Lists the processes that are in that very cgroup (for "/": all of the machine). path: "/" or "/a/b", without ".." in it. 0; -ENOENT: there is
 * no such cgroup; -EINVAL; -ENOMEM.
 */
int cgm_processes_open(const struct cgm_trees *t, const char *path, struct cgm_processes *ret);
void cgm_processes_done(struct cgm_processes *p);
/* Reads the i-th. 0; -ENOENT: it has ended, or cannot be read. */
int cgm_processes_read(const struct cgm_processes *p, size_t i, struct cgm_process *ret);
/* The cgroup of the i-th, in the hierarchy whose processes are listed; buf is "" when it cannot be read or does not fit. */
void cgm_processes_cgroup(const struct cgm_processes *p, size_t i, char *buf, size_t size);
