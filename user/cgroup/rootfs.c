// SPDX-License-Identifier: Apache-2.0
#include "cgroup/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cgroup/cgroup.h"
#include "cgroup/machine.h"
#include "cgroup/text.h"

#define MAX_MOUNTS_BYTES (16 << 20)

/* The value of key=… among words with a comma between: a comma of the value is escaped (seq_show_option). Empty: there is none. */
static struct cgm_str option(struct cgm_str options, const char *key)
{
	size_t len = strlen(key);
	struct cgm_str word;

	while (cgm_next_field(&options, ',', &word))
		if (word.len > len && memcmp(word.p, key, len) == 0)
			return (struct cgm_str){ word.p + len, word.len - len };
	return (struct cgm_str){ "", 0 };
}

bool cgm_rootfs_mount(struct cgm_str mountinfo, struct cgm_rootfs_mount *ret)
{
	struct cgm_str line;
	struct cgm_mount m;
	bool found = false;

	while (cgm_next_line(&mountinfo, &line)) {
		if (cgm_text_mount(line, &m) < 0 || !cgm_str_eq(m.point, "/"))
			continue;
		found = true;
		ret->major = m.major;
		ret->minor = m.minor;
		ret->is_overlay = cgm_str_eq(m.type, "overlay");
		ret->dir = ret->is_overlay ? option(m.options, "upperdir=") : m.root;
	}
	return found;
}

int cgm_rootfs_place(struct cgm_str mountinfo, uint32_t major, uint32_t minor, struct cgm_str dir, char *buf, size_t size)
{
	struct cgm_str line, rest;
	struct cgm_mount m;
	ssize_t len;

	while (cgm_next_line(&mountinfo, &line)) {
		if (cgm_text_mount(line, &m) < 0 || m.major != major || m.minor != minor)
			continue;
		if (cgm_str_eq(m.root, "/"))
			m.root.len = 0;
		if (cgm_str_eq(m.point, "/"))
			m.point.len = 0;
		if (dir.len <= m.root.len || memcmp(dir.p, m.root.p, m.root.len) != 0 || dir.p[m.root.len] != '/')
			continue;
		rest = (struct cgm_str){ dir.p + m.root.len, dir.len - m.root.len };
		len = cgm_text_unescape(m.point, buf, size);
		if (len >= 0)
			len = cgm_text_unescape(rest, buf + len, size - (size_t)len);
		return len < 0 ? (int)len : 0;
	}
	return -ENXIO;
}

bool cgm_rootfs_there(int root_fd, const char *path)
{
	struct stat st;

	while (*path == '/')
		path++;
	return *path && fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode));
}

int cgm_rootfs_find(int root_fd, uint32_t pid, char *buf, size_t size)
{
	_cleanup_free_ char *text = NULL, *machine = NULL;
	struct cgm_rootfs_mount m = { 0 };
	char path[64];
	struct stat st;
	size_t len;
	int r;

	snprintf(path, sizeof(path), "proc/%u/mountinfo", pid);
	r = cgm_read_all_at(root_fd, path, MAX_MOUNTS_BYTES, &text, &len);
	if (r < 0)
		return r;
	/* It has not moved to its own root yet, or has none. */
	if (!cgm_rootfs_mount((struct cgm_str){ text, len }, &m) || !m.dir.len || fstat(root_fd, &st) < 0 ||
	    (m.is_overlay && st.st_dev == makedev(m.major, m.minor)) || cgm_str_eq(m.dir, "/"))
		return -ENXIO;
	if (m.is_overlay) {
		r = cgm_text_unescape(m.dir, buf, size);
	} else {
		r = cgm_machine_mounts(root_fd, &machine, &len);
		if (r == 0)
			r = cgm_rootfs_place((struct cgm_str){ machine, len }, m.major, m.minor, m.dir, buf, size);
	}
	if (r < 0)
		return r;
	return buf[0] == '/' && cgm_rootfs_there(root_fd, buf) ? 0 : -ENXIO;
}
