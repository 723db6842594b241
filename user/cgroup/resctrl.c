// SPDX-License-Identifier: Apache-2.0
/*
 * Cache occupancy and memory bandwidth by resctrl (Documentation/filesystems/resctrl.rst): "/" is the whole machine; a container has a monitoring
 * group of its own, made by us, into which its threads are put. One that somebody else has put them into is taken as it is.
 */
#include "cgroup/details.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define ROOT "sys/fs/resctrl"
#define MAX_LIST_BYTES (4 << 20)
#define PREFIX "cgmeter"

bool cgm_resctrl_there(int root_fd)
{
	return faccessat(root_fd, ROOT "/mon_data", F_OK, 0) == 0;
}

/* mon_data/mon_L3_00/… of a group: a cache each. */
static int read_group(int root_fd, const char *group, struct cgm_sample *s)
{
	static const char *const files[CGM_NR_RESCTRL_VALUES] = {
#define CGM_RESCTRL_VALUE(id, unit, json) json,
#include "cgmeter/metrics.def"
	};
	_cleanup_free_ char *data = cgm_asprintf("%s/mon_data", group);
	_cleanup_closedir_ DIR *dir = data ? cgm_opendir_at(root_fd, data) : NULL;
	struct dirent *e;

	if (!data)
		return -ENOMEM;
	while (dir && (e = readdir(dir)) != NULL) {
		static const char prefix[] = "mon_L3_";
		uint64_t number, *v;

		if (strncmp(e->d_name, prefix, sizeof(prefix) - 1) != 0 || cgm_parse_u64(cgm_str(e->d_name + sizeof(prefix) - 1), &number) < 0)
			continue;
		v = cgm_sample_extra(s, CGM_LAYOUT_RESCTRL, (uint32_t)number, "", CGM_NR_RESCTRL_VALUES);
		if (!v)
			return -ENOMEM;
		for (size_t i = 0; i < CGM_NR_RESCTRL_VALUES; i++) {
			char path[64];

			/* "Unavailable" for a moment, or for want of the feature: stays 0. */
			snprintf(path, sizeof(path), "%.40s/%s", e->d_name, files[i]);
			(void)cgm_read_u64_at(dirfd(dir), path, &v[i]);
		}
	}
	return 0;
}

/* The thread's number as a line of that list. */
static bool lists(int root_fd, const char *path, const char *tid)
{
	_cleanup_free_ char *list = NULL;
	struct cgm_str rest, line;
	size_t len;

	if (cgm_read_all_at(root_fd, path, MAX_LIST_BYTES, &list, &len) < 0)
		return false;
	rest = (struct cgm_str){ list, len };
	while (cgm_next_line(&rest, &line))
		if (cgm_str_eq(cgm_trim(line), tid))
			return true;
	return false;
}

/* A group in that directory that holds the thread, in fresh memory. NULL: none. */
static char *group_of(int root_fd, const char *in, const char *tid)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, in);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		_cleanup_free_ char *tasks = NULL;

		if (e->d_name[0] == '.' || strcmp(e->d_name, "info") == 0 || strcmp(e->d_name, "mon_data") == 0 || strcmp(e->d_name, "mon_groups") == 0)
			continue;
		tasks = cgm_asprintf("%s/%s/tasks", in, e->d_name);
		if (tasks && lists(root_fd, tasks, tid))
			return cgm_asprintf("%s/%s", in, e->d_name);
	}
	return NULL;
}

/* Every thread of the cgroup: v1's tasks, v2's cgroup.threads. */
static int read_threads(struct cgm_details *d, char **ret, size_t *ret_len)
{
	bool v2 = cgm_trees_sched_controller(d->config->trees) == CGM_CTRL_UNIFIED;

	return cgm_read_all_at(cgm_details_procs_fd(d), cgm_details_path(d, v2 ? "cgroup.threads" : "tasks"), MAX_LIST_BYTES, ret, ret_len);
}

/* Puts every thread into the group. One that ended meanwhile is passed over. */
static void move_threads(int root_fd, const char *group, struct cgm_str list)
{
	_cleanup_free_ char *tasks = cgm_asprintf("%s/tasks", group);
	_cleanup_close_ int fd = tasks ? openat(root_fd, tasks, O_WRONLY | O_CLOEXEC) : -1;
	struct cgm_str line;

	while (fd >= 0 && cgm_next_line(&list, &line))
		if (line.len && write(fd, line.p, line.len) < 0 && errno != ESRCH)
			cgm_log_once(CGM_LOG_WARNING, "resctrl: a thread cannot be put into a monitoring group: %s", strerror(errno));
}

/* "cgmeter-a-b" for /a/b. */
static char *own_group(const struct cgm_details *d)
{
	char *group = cgm_asprintf(ROOT "/mon_groups/" PREFIX "-%.*s", (int)d->path_len - 1, d->path);

	for (char *p = group ? group + sizeof(ROOT "/mon_groups/") - 1 : NULL; p && *p; p++)
		if (*p == '/')
			*p = '-';
	return group;
}

/* Finds the container's group, or makes one. NULL: cannot be; said once. */
static char *find_group(struct cgm_details *d, struct cgm_str threads)
{
	int root_fd = d->config->trees->root_fd;
	_cleanup_free_ char *first = NULL, *group = NULL;
	struct cgm_str line;

	if (!cgm_next_line(&threads, &line) || !line.len)
		return NULL;
	first = cgm_strndup(line.p, line.len);
	group = first ? group_of(root_fd, ROOT "/mon_groups", first) : NULL;
	if (!group && first)
		group = group_of(root_fd, ROOT, first);
	if (group)
		return TAKE_PTR(group);
	group = own_group(d);
	if (!group)
		return NULL;
	if (mkdirat(root_fd, group, 0755) < 0 && errno != EEXIST) {
		cgm_log_once(CGM_LOG_WARNING, "resctrl: no monitoring group can be made for some container: %s", strerror(errno));
		return NULL;
	}
	d->resctrl_made = true;
	return TAKE_PTR(group);
}

int cgm_details_resctrl(struct cgm_details *d, struct cgm_sample *s)
{
	int root_fd = d->config->trees->root_fd, r;
	uint64_t now = cgm_clock_mono_ns(), interval = d->config->resctrl_interval_ns;
	_cleanup_free_ char *threads = NULL;
	size_t len;

	if (!d->path_len)
		return read_group(root_fd, ROOT, s);
	if (!d->resctrl || (d->resctrl_made && interval && now >= d->resctrl_due_ns)) {
		r = read_threads(d, &threads, &len);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		if (!d->resctrl)
			d->resctrl = find_group(d, (struct cgm_str){ threads, len });
		if (d->resctrl_made)
			move_threads(root_fd, d->resctrl, (struct cgm_str){ threads, len });
		d->resctrl_due_ns = now + interval;
	}
	return d->resctrl ? read_group(root_fd, d->resctrl, s) : 0;
}

void cgm_details_resctrl_done(struct cgm_details *d)
{
	if (d->resctrl_made && d->resctrl)
		(void)unlinkat(d->config->trees->root_fd, d->resctrl, AT_REMOVEDIR);
}
