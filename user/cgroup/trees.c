// SPDX-License-Identifier: Apache-2.0
#include "cgroup/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cgroup/text.h"

#define MAX_PROC_BYTES (16 << 20)
#define MAX_DEPTH 128

static const char *const controller_names[CGM_NR_CONTROLLERS] = {
	[CGM_CTRL_CPU] = "cpu",	      [CGM_CTRL_CPUACCT] = "cpuacct", [CGM_CTRL_CPUSET] = "cpuset", [CGM_CTRL_MEMORY] = "memory",
	[CGM_CTRL_BLKIO] = "blkio",   [CGM_CTRL_PIDS] = "pids",	      [CGM_CTRL_UNIFIED] = "",
};

static const char *const side_names[CGM_NR_SIDE_CONTROLLERS] = { [CGM_SIDE_HUGETLB] = "hugetlb", [CGM_SIDE_PERF_EVENT] = "perf_event" };

/* Is that the hierarchy of c? */
static bool mount_has(const struct cgm_mount *m, enum cgm_controller c)
{
	if (c == CGM_CTRL_UNIFIED)
		return cgm_str_eq(m->type, "cgroup2");
	return cgm_str_eq(m->type, "cgroup") && cgm_text_has_word(m->options, controller_names[c]);
}

/* Opens a mount point below root_fd. -ENAMETOOLONG, or the errno of open. */
static int open_mount(int root_fd, const struct cgm_mount *m)
{
	char path[PATH_MAX];
	const char *p = path;
	int fd, r;

	r = cgm_text_unescape(m->point, path, sizeof(path));
	if (r < 0)
		return r;
	while (*p == '/')
		p++;
	fd = openat(root_fd, *p ? p : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The first mount that shows the whole hierarchy (its root is "/"), else the first that shows a part of it: a container has both,
 * or only the part.
 */
static void find_mount(int root_fd, struct cgm_str text, bool whole, struct cgm_trees *t)
{
	struct cgm_str line;
	struct cgm_mount m;

	while (cgm_next_line(&text, &line)) {
		if (cgm_text_mount(line, &m) < 0 || cgm_str_eq(m.root, "/") != whole)
			continue;
		for (enum cgm_controller c = 0; c < CGM_NR_CONTROLLERS; c++) {
			int fd;

			if (t->h[c].dir_fd >= 0 || !mount_has(&m, c))
				continue;
			fd = open_mount(root_fd, &m);
			if (fd >= 0)
				t->h[c].dir_fd = fd;
		}
		for (size_t i = 0; i < CGM_NR_SIDE_CONTROLLERS; i++)
			if (t->side_fd[i] < 0 && cgm_str_eq(m.type, "cgroup") && cgm_text_has_word(m.options, side_names[i]))
				t->side_fd[i] = open_mount(root_fd, &m);
	}
}

static bool is_own_root(int root_fd)
{
	struct stat given, own;

	return fstat(root_fd, &given) == 0 && stat("/", &own) == 0 && given.st_dev == own.st_dev && given.st_ino == own.st_ino;
}

int cgm_mountinfo_read(int root_fd, char **ret, size_t *ret_len)
{
	if (!is_own_root(root_fd)) {
		int r = cgm_read_all_at(root_fd, "proc/1/mountinfo", MAX_PROC_BYTES, ret, ret_len);

		if (r == 0 && *ret_len)
			return 0;
		if (r == 0) {
			free(*ret);
			*ret = NULL;
		} else if (r == -ENOMEM) {
			return r;
		}
	}
	return cgm_read_all_at(root_fd, "proc/self/mountinfo", MAX_PROC_BYTES, ret, ret_len);
}

static int find_mounts(int root_fd, struct cgm_trees *t)
{
	_cleanup_free_ char *text = NULL;
	bool v1 = false;
	size_t len;
	int r;

	r = cgm_mountinfo_read(root_fd, &text, &len);
	if (r < 0)
		return r;
	find_mount(root_fd, (struct cgm_str){ text, len }, true, t);
	find_mount(root_fd, (struct cgm_str){ text, len }, false, t);
	for (enum cgm_controller c = 0; c < CGM_CTRL_UNIFIED; c++)
		v1 = v1 || t->h[c].dir_fd >= 0;
	if (!v1 && t->h[CGM_CTRL_UNIFIED].dir_fd < 0)
		return -ENODEV;
	if (!v1)
		t->mode = CGM_CGROUP_V2;
	else
		t->mode = t->h[CGM_CTRL_UNIFIED].dir_fd < 0 ? CGM_CGROUP_V1 : CGM_CGROUP_HYBRID;
	return 0;
}

static int find_ids(int root_fd, struct cgm_trees *t)
{
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line;
	struct cgm_cgroup_line cg;
	size_t len;
	int r;

	r = cgm_read_all_at(root_fd, "proc/self/cgroup", MAX_PROC_BYTES, &text, &len);
	if (r < 0)
		return r;
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		if (cgm_text_cgroup(line, &cg) < 0)
			continue;
		for (enum cgm_controller c = 0; c < CGM_CTRL_UNIFIED; c++)
			if (cgm_text_has_word(cg.controllers, controller_names[c]))
				t->h[c].id = cg.id;
	}
	return 0;
}

/* What cannot be read stays 0: limits of "/" are then unknown, and creation times are not bounded. */
static int read_machine(int root_fd, struct cgm_trees *t)
{
	_cleanup_free_ char *meminfo = NULL, *stat = NULL;
	struct cgm_str rest, line, token;
	uint64_t seconds;
	char cpus[4096];
	size_t len;
	int r;

	r = cgm_read_all_at(root_fd, "proc/meminfo", MAX_PROC_BYTES, &meminfo, &len);
	if (r == -ENOMEM)
		return r;
	if (r == 0) {
		cgm_text_meminfo((struct cgm_str){ meminfo, len }, "MemTotal", &t->memory_bytes);
		cgm_text_meminfo((struct cgm_str){ meminfo, len }, "SwapTotal", &t->swap_bytes);
	}
	if (cgm_read_line_at(root_fd, "sys/devices/system/cpu/present", cpus, sizeof(cpus)) < 0 ||
	    cgm_parse_cpu_list(cgm_str(cpus), &t->nr_cpus) < 0 || !t->nr_cpus)
		t->nr_cpus = 1;
	r = cgm_read_all_at(root_fd, "proc/stat", MAX_PROC_BYTES, &stat, &len);
	if (r == -ENOMEM)
		return r;
	rest = (struct cgm_str){ stat, r == 0 ? len : 0 };
	while (cgm_next_line(&rest, &line)) {
		if (!cgm_next_token(&line, &token) || !cgm_str_eq(token, "btime"))
			continue;
		if (cgm_next_token(&line, &token) && cgm_parse_u64(token, &seconds) == 0 && seconds < UINT64_MAX / CGM_NSEC_PER_SEC)
			t->boot_time_ns = seconds * CGM_NSEC_PER_SEC;
	}
	return 0;
}

int cgm_trees_open(int root_fd, struct cgm_trees *ret)
{
	struct cgm_trees t = { .root_fd = -1 };
	int r;

	for (size_t c = 0; c < CGM_NR_CONTROLLERS; c++)
		t.h[c].dir_fd = -1;
	for (size_t i = 0; i < CGM_NR_SIDE_CONTROLLERS; i++)
		t.side_fd[i] = -1;
	r = find_mounts(root_fd, &t);
	if (r == 0)
		r = find_ids(root_fd, &t);
	if (r == 0)
		r = read_machine(root_fd, &t);
	if (r == 0) {
		t.root_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
		if (t.root_fd < 0)
			r = -errno;
	}
	if (r < 0) {
		cgm_trees_close(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void cgm_trees_close(struct cgm_trees *t)
{
	for (size_t c = 0; c < CGM_NR_CONTROLLERS; c++) {
		if (t->h[c].dir_fd >= 0)
			close(t->h[c].dir_fd);
		t->h[c].dir_fd = -1;
	}
	for (size_t i = 0; i < CGM_NR_SIDE_CONTROLLERS; i++) {
		if (t->side_fd[i] >= 0)
			close(t->side_fd[i]);
		t->side_fd[i] = -1;
	}
	if (t->root_fd >= 0)
		close(t->root_fd);
	t->root_fd = -1;
}

enum cgm_controller cgm_trees_sched_controller(const struct cgm_trees *t)
{
	if (t->mode == CGM_CGROUP_V2)
		return CGM_CTRL_UNIFIED;
	for (enum cgm_controller c = 0; c < CGM_CTRL_UNIFIED; c++)
		if (t->h[c].dir_fd >= 0)
			return c;
	return CGM_CTRL_UNIFIED;
}

struct walk {
	cgm_visit_fn visit;
	void *arg;
	enum cgm_controller c;
	char path[PATH_MAX];
};

static int walk_dir(struct walk *w, int dir_fd, size_t len, uint64_t parent_id, unsigned depth);

/* One entry of a directory: walks into it when it is one. Gone or not allowed: passed over. */
static int walk_entry(struct walk *w, int parent_fd, const struct dirent *e, size_t len, uint64_t id, unsigned depth)
{
	size_t name_len = strlen(e->d_name);
	int fd, r;

	if (e->d_name[0] == '.' && (name_len == 1 || (name_len == 2 && e->d_name[1] == '.')))
		return 0;
	if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
		return 0;
	if (len + 1 + name_len + 1 > sizeof(w->path) || depth >= MAX_DEPTH)
		return 0;
	fd = openat(parent_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? -errno : 0;
	w->path[len] = '/';
	memcpy(w->path + len + 1, e->d_name, name_len + 1);
	r = walk_dir(w, fd, len + 1 + name_len, id, depth + 1);
	w->path[len] = '\0';
	return r;
}

/* Takes dir_fd over. w->path has len characters; the root's has none. */
static int walk_dir(struct walk *w, int dir_fd, size_t len, uint64_t parent_id, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(dir_fd);
	struct dirent *e;
	struct stat st;
	int r;

	if (!dir) {
		r = -errno;
		close(dir_fd);
		return r;
	}
	if (fstat(dir_fd, &st) < 0)
		return 0;
	r = w->visit(w->arg, w->c, len ? w->path : "/", st.st_ino, parent_id);
	while (r == 0 && (e = readdir(dir)) != NULL)
		r = walk_entry(w, dir_fd, e, len, st.st_ino, depth);
	return r;
}

int cgm_trees_walk(const struct cgm_trees *t, cgm_visit_fn visit, void *arg)
{
	struct walk w = { .visit = visit, .arg = arg };

	for (w.c = 0; w.c < CGM_NR_CONTROLLERS; w.c++) {
		int fd, r;

		if (t->h[w.c].dir_fd < 0)
			continue;
		/* A descriptor of its own: the position of a directory belongs to the open file. */
		fd = openat(t->h[w.c].dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		w.path[0] = '\0';
		r = walk_dir(&w, fd, 0, 0, 0);
		if (r)
			return r;
	}
	return 0;
}
