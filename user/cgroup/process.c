// SPDX-License-Identifier: Apache-2.0
#include "cgroup/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cgroup/text.h"

#define MAX_LIST_BYTES (32 << 20) /* of cgroup.procs: some million processes */
#define MAX_PASSWD_BYTES (1 << 20)

/* By which hierarchy processes are told apart: that of memory, as cAdvisor; else the first of these in which the cgroup is. */
static const struct {
	enum cgm_controller controller;
	const char *name;
} hierarchies[] = {
	{ CGM_CTRL_MEMORY, "memory" }, { CGM_CTRL_CPU, "cpu" },	   { CGM_CTRL_CPUACCT, "cpuacct" }, { CGM_CTRL_PIDS, "pids" },
	{ CGM_CTRL_CPUSET, "cpuset" }, { CGM_CTRL_BLKIO, "blkio" }, { CGM_CTRL_UNIFIED, "" },
};

void cgm_processes_done(struct cgm_processes *p)
{
	free(p->pids);
	free(p->passwd);
	*p = (struct cgm_processes){ .trees = p->trees };
}

static int add_pid(struct cgm_processes *p, uint64_t pid)
{
	if (!pid || pid > INT_MAX)
		return 0; /* 0: a process of another pid namespace */
	if (cgm_grow((void **)&p->pids, &p->cap, p->nr, sizeof(*p->pids)) < 0)
		return -ENOMEM;
	p->pids[p->nr++] = (pid_t)pid;
	return 0;
}

/* The cgroup of a process in that hierarchy, cut out of /proc/PID/cgroup. False: none. */
static bool find_cgroup(struct cgm_str text, const char *controller, struct cgm_str *ret)
{
	struct cgm_cgroup_line c;
	struct cgm_str line;

	while (cgm_next_line(&text, &line)) {
		if (cgm_text_cgroup(line, &c) < 0)
			continue;
		if (*controller ? cgm_text_has_word(c.controllers, controller) : c.id == 0) {
			*ret = c.path;
			return true;
		}
	}
	return false;
}

static const char *main_controller(const struct cgm_trees *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++)
		if (t->h[hierarchies[i].controller].dir_fd >= 0)
			return hierarchies[i].name;
	return "";
}

static int by_pid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* All processes of the machine. */
static int list_all(struct cgm_processes *p)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(p->trees->root_fd, "proc");
	struct dirent *e;
	uint64_t pid;
	int r = 0;

	if (!dir)
		return -ENOENT;
	while (r == 0 && (e = readdir(dir)) != NULL)
		if (cgm_parse_u64(cgm_str(e->d_name), &pid) == 0)
			r = add_pid(p, pid);
	return r;
}

static int parse_list(struct cgm_processes *p, struct cgm_str text)
{
	struct cgm_str line;
	uint64_t pid;
	int r = 0;

	while (r == 0 && cgm_next_line(&text, &line))
		if (cgm_parse_u64(line, &pid) == 0)
			r = add_pid(p, pid);
	return r;
}

static int list_cgroup(struct cgm_processes *p, const char *path)
{
	char name[PATH_MAX];
	int r = -ENOENT;

	if ((size_t)snprintf(name, sizeof(name), "%s/cgroup.procs", path + 1) >= sizeof(name))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(hierarchies) && r == -ENOENT; i++) {
		_cleanup_free_ char *text = NULL;
		int dir_fd = p->trees->h[hierarchies[i].controller].dir_fd;
		size_t len;

		r = dir_fd < 0 ? -ENOENT : cgm_read_all_at(dir_fd, name, MAX_LIST_BYTES, &text, &len);
		if (r == -ENODEV)
			r = -ENOENT; /* removed between open and read */
		if (r == 0)
			r = parse_list(p, (struct cgm_str){ text, len });
		else if (r == -EOPNOTSUPP)
			r = 0; /* a threaded cgroup has no processes of its own */
	}
	return r;
}

static int read_clock(struct cgm_processes *p)
{
	char buf[128];
	struct cgm_str text = { buf, 0 }, token;
	uint64_t centi = 0;
	ssize_t n = cgm_read_at(p->trees->root_fd, "proc/uptime", buf, sizeof(buf));

	if (n > 0)
		text.len = (size_t)n;
	if (!cgm_next_token(&text, &token) || cgm_parse_centi(token, &centi) < 0)
		return -ENOENT;
	p->now_ns = cgm_clock_real_ns();
	p->boot_ns = p->now_ns - MIN(p->now_ns, centi * 10 * CGM_NSEC_PER_MSEC);
	p->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	p->tick_ns = CGM_NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	return 0;
}

/* Not so in a recorded tree. */
static bool is_procfs(int root_fd)
{
	_cleanup_close_ int fd = openat(root_fd, "proc", O_PATH | O_CLOEXEC);
	struct statfs st;

	return fd >= 0 && fstatfs(fd, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

int cgm_processes_open(const struct cgm_trees *t, const char *path, struct cgm_processes *ret)
{
	_cleanup_(cgm_processes_done) struct cgm_processes p = { .trees = t };
	int r;

	if (path[0] != '/' || strstr(path, "/../") || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
		return -EINVAL;
	r = read_clock(&p);
	p.is_procfs = is_procfs(t->root_fd);
	if (r == 0)
		r = path[1] ? list_cgroup(&p, path) : list_all(&p);
	if (r == 0 && cgm_read_all_at(t->root_fd, "etc/passwd", MAX_PASSWD_BYTES, &p.passwd, &p.passwd_len) == -ENOMEM)
		r = -ENOMEM;
	if (r < 0)
		return r;
	if (p.nr)
		qsort(p.pids, p.nr, sizeof(*p.pids), by_pid);
	*ret = p;
	p = (struct cgm_processes){ .trees = t };
	return 0;
}

/* ---- one process ---- */

static ssize_t read_of(const struct cgm_processes *p, size_t i, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "proc/%d/%s", p->pids[i], name);
	return cgm_read_at(p->trees->root_fd, path, buf, size);
}

/* Fields of /proc/PID/stat behind the name, from the third on (proc(5) counts from 1). */
enum { STATE, PPID, PGRP, SESSION, TPGID = 5, UTIME = 11, STIME, NICE = 16, THREADS, STARTTIME = 19, VSIZE, RSS, PROCESSOR = 36, NR_FIELDS };

static int parse_stat(struct cgm_str text, struct cgm_process *ret, int64_t f[NR_FIELDS], char *ret_state)
{
	const char *open = memchr(text.p, '(', text.len), *close = memrchr(text.p, ')', text.len);
	struct cgm_str rest, token;

	if (!open || !close || close < open)
		return -EINVAL;
	snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)MIN((size_t)(close - open - 1), sizeof(ret->comm) - 1), open + 1);
	rest = (struct cgm_str){ close + 1, text.len - (size_t)(close + 1 - text.p) };
	if (!cgm_next_token(&rest, &token) || !token.len)
		return -EINVAL;
	*ret_state = token.p[0];
	for (size_t i = PPID; i < NR_FIELDS; i++)
		if (!cgm_next_token(&rest, &token) || cgm_parse_i64(token, &f[i]) < 0)
			return -EINVAL;
	return 0;
}

/* As procps writes STAT. */
static void put_status(char *to, char state, const int64_t *f, pid_t pid, bool locked)
{
	*to++ = state;
	if (f[NICE])
		*to++ = f[NICE] < 0 ? '<' : 'N';
	if (locked)
		*to++ = 'L';
	if (f[SESSION] == pid)
		*to++ = 's';
	if (f[THREADS] > 1)
		*to++ = 'l';
	if (f[PGRP] == f[TPGID])
		*to++ = '+';
	*to = '\0';
}

/* The word with that number behind "Name:" of /proc/PID/status, counted from 0. */
static bool status_number(struct cgm_str text, const char *name, unsigned word, uint64_t *ret)
{
	struct cgm_str line, token;

	while (cgm_next_line(&text, &line)) {
		if (!cgm_next_token(&line, &token) || !cgm_str_eq(token, name))
			continue;
		for (unsigned i = 0; i <= word; i++)
			if (!cgm_next_token(&line, &token))
				return false;
		return cgm_parse_u64(token, ret) == 0;
	}
	return false;
}

static void put_user(const struct cgm_processes *p, uint64_t uid, char *buf, size_t size)
{
	struct cgm_str rest = { p->passwd, p->passwd ? p->passwd_len : 0 }, line, name, field;
	uint64_t number;

	snprintf(buf, size, "%llu", (unsigned long long)uid);
	while (cgm_next_line(&rest, &line)) {
		if (!cgm_next_field(&line, ':', &name) || !cgm_next_field(&line, ':', &field) || !cgm_next_field(&line, ':', &field))
			continue;
		if (cgm_parse_u64(field, &number) < 0 || number != uid)
			continue;
		snprintf(buf, size, "%.*s", (int)MIN(name.len, size - 1), name.p);
		return;
	}
}

/* Since 6.2 (f1f1f2569901) the size of the directory is the number; before it was 0. */
static uint64_t count_fds(const struct cgm_processes *p, size_t i)
{
	_cleanup_closedir_ DIR *dir = NULL;
	uint64_t nr = 0;
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "proc/%d/fd", p->pids[i]);
	if (p->is_procfs && fstatat(p->trees->root_fd, path, &st, 0) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = cgm_opendir_at(p->trees->root_fd, path);
	for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
		nr += e->d_name[0] != '.';
	return nr;
}

/* Thousandths, as a share of the whole. */
static uint64_t permille(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((double)part * 1000 / (double)whole) : 0;
}

int cgm_processes_read(const struct cgm_processes *p, size_t i, struct cgm_process *ret)
{
	struct cgm_process x = { .pid = p->pids[i] };
	uint64_t uid = 0, locked = 0;
	int64_t f[NR_FIELDS] = { 0 };
	char buf[8192], state;
	ssize_t n = read_of(p, i, "stat", buf, sizeof(buf));

	if (n < 0 || parse_stat((struct cgm_str){ buf, (size_t)n }, &x, f, &state) < 0)
		return -ENOENT;
	n = read_of(p, i, "status", buf, sizeof(buf));
	if (n < 0 || !status_number((struct cgm_str){ buf, (size_t)n }, "Uid:", 1, &uid))
		return -ENOENT;
	status_number((struct cgm_str){ buf, (size_t)n }, "VmLck:", 0, &locked);
	put_status(x.status, state, f, x.pid, locked > 0);
	put_user(p, uid, x.user, sizeof(x.user));
	x.ppid = (pid_t)f[PPID];
	x.start_time_ns = p->boot_ns + (uint64_t)MAX(f[STARTTIME], 0) * p->tick_ns;
	x.cpu_ns = (uint64_t)MAX(f[UTIME] + f[STIME], 0) * p->tick_ns;
	x.cpu_permille = permille(x.cpu_ns, p->now_ns > x.start_time_ns ? p->now_ns - x.start_time_ns : 0);
	x.virtual_bytes = (uint64_t)MAX(f[VSIZE], 0);
	x.rss_bytes = (uint64_t)MAX(f[RSS], 0) * p->page_bytes;
	x.memory_permille = permille(x.rss_bytes, p->trees->memory_bytes);
	x.cpu = (unsigned)MAX(f[PROCESSOR], 0);
	x.nr_fds = count_fds(p, i);
	*ret = x;
	return 0;
}

void cgm_processes_cgroup(const struct cgm_processes *p, size_t i, char *buf, size_t size)
{
	char text[16384];
	struct cgm_str path;
	ssize_t n = read_of(p, i, "cgroup", text, sizeof(text));

	buf[0] = '\0';
	if (n > 0 && find_cgroup((struct cgm_str){ text, (size_t)n }, main_controller(p->trees), &path) && path.len < size)
		snprintf(buf, size, "%.*s", (int)path.len, path.p);
}
