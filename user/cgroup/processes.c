// SPDX-License-Identifier: Apache-2.0
/* What the processes of one container hold open, may use and have touched: by their files in /proc. Of the container itself, not of those below. */
#include "cgroup/details.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "cgroup/text.h"

#define MAX_LIST_BYTES (4 << 20)
#define MAX_SMAPS_BYTES (256 << 20)
#define PATH_BYTES 48

struct totals {
	uint64_t fds, sockets, referenced_bytes;
	bool any_fds, any_referenced;
};

/* Every descriptor is a name in that directory; a socket's link says so. */
static void count_fds(int proc_fd, uint64_t pid, struct totals *t)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_BYTES], target[16];
	struct dirent *e;

	snprintf(path, sizeof(path), "%u/fd", (unsigned)pid);
	dir = cgm_opendir_at(proc_fd, path);
	if (!dir)
		return;
	t->any_fds = true;
	while ((e = readdir(dir)) != NULL) {
		ssize_t n;

		if (e->d_name[0] == '.')
			continue;
		t->fds++;
		n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target));
		t->sockets += n >= 8 && memcmp(target, "socket:[", 8) == 0;
	}
}

/* Sum over all mappings: the kernel's own (4.14, 493b0e9d945f), or ours. Threads of the kernel have none. */
static void add_referenced(int proc_fd, uint64_t pid, struct totals *t)
{
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line;
	char path[PATH_BYTES];
	uint64_t bytes;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "%u/smaps_rollup", (unsigned)pid);
	r = cgm_read_all_at(proc_fd, path, MAX_SMAPS_BYTES, &text, &len);
	if (r == -ENOENT) {
		snprintf(path, sizeof(path), "%u/smaps", (unsigned)pid);
		r = cgm_read_all_at(proc_fd, path, MAX_SMAPS_BYTES, &text, &len);
	}
	if (r < 0)
		return;
	t->any_referenced = true;
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line))
		if (line.len > 11 && memcmp(line.p, "Referenced:", 11) == 0 && cgm_text_meminfo(line, "Referenced", &bytes) == 0)
			t->referenced_bytes += bytes;
}

/* From then on the kernel notes anew which pages are touched. */
static void forget_referenced(int proc_fd, uint64_t pid)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%u/clear_refs", (unsigned)pid);
	fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
	if ((fd < 0 && errno != ENOENT && errno != ESRCH) || (fd >= 0 && write(fd, "1", 1) != 1 && errno != ESRCH))
		cgm_log_once(CGM_LOG_WARNING, "--referenced_reset_interval: what was referenced cannot be reset: %s", strerror(errno));
}

/* Of the first process: the one that a runtime started. */
static void read_limits(int proc_fd, uint64_t pid, struct cgm_details *d)
{
	char path[PATH_BYTES], buf[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "%u/limits", (unsigned)pid);
	n = cgm_read_at(proc_fd, path, buf, sizeof(buf));
	if (n > 0 && cgm_text_limit((struct cgm_str){ buf, (size_t)n }, "Max open files", &d->soft_limit, &d->hard_limit) == 0)
		d->has_limits = true;
}

static void set(const struct cgm_details *d, const struct totals *t, bool none, struct cgm_sample *s)
{
	/* Without processes it is 0 of each; where none may be looked at, it is not known. */
	if (d->config->processes && (t->any_fds || none)) {
		cgm_sample_set(s, CGM_V_FD_COUNT, t->fds);
		cgm_sample_set(s, CGM_V_SOCKET_COUNT, t->sockets);
	}
	if (d->config->referenced && (t->any_referenced || none))
		cgm_sample_set(s, CGM_V_REFERENCED_MEMORY, t->referenced_bytes);
	if (d->has_limits) {
		cgm_sample_set(s, CGM_V_ULIMIT_FILES_SOFT, d->soft_limit);
		cgm_sample_set(s, CGM_V_ULIMIT_FILES_HARD, d->hard_limit);
	}
}

static void one_process(const struct cgm_details_config *c, int proc_fd, uint64_t pid, bool forget, struct totals *t)
{
	if (c->processes)
		count_fds(proc_fd, pid, t);
	if (c->referenced)
		add_referenced(proc_fd, pid, t);
	if (forget)
		forget_referenced(proc_fd, pid);
}

int cgm_details_processes(struct cgm_details *d, struct cgm_sample *s)
{
	const struct cgm_details_config *c = d->config;
	_cleanup_close_ int proc_fd = openat(c->trees->root_fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool forget = c->referenced && c->referenced_reset && d->nr_rounds % c->referenced_reset == 0, first = true;
	_cleanup_free_ char *list = NULL;
	struct cgm_str rest, line;
	struct totals t = { 0 };
	uint64_t pid;
	size_t len;
	int r = cgm_read_all_at(cgm_details_procs_fd(d), cgm_details_path(d, "cgroup.procs"), MAX_LIST_BYTES, &list, &len);

	if (r == -ENOMEM || proc_fd < 0)
		return r == -ENOMEM ? r : 0;
	rest = (struct cgm_str){ list, r < 0 ? 0 : len };
	while (cgm_next_line(&rest, &line)) {
		/* 0: a process of another pid namespace. */
		if (cgm_parse_u64(line, &pid) < 0 || !pid || pid > INT32_MAX)
			continue;
		one_process(c, proc_fd, pid, forget, &t);
		if (c->processes && first)
			read_limits(proc_fd, pid, d);
		first = false;
	}
	set(d, &t, first, s);
	return 0;
}
