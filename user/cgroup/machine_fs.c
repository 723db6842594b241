// SPDX-License-Identifier: Apache-2.0
/* File systems and block devices of the machine. */
#include "cgroup/machine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cgroup/cgroup.h"

#define MAX_PROC_BYTES (16 << 20)

/*
 * Local file systems that hold data. Network file systems are left out altogether: statfs on one whose server is gone never returns,
 * and the sampler must not wait.
 */
static const char *const fs_types[] = { "ext2", "ext3",	  "ext4", "xfs",     "btrfs", "zfs",  "tmpfs", "overlay", "squashfs", "f2fs",  "jfs",
					"reiserfs", "hfs", "hfsplus", "ntfs", "ntfs3", "vfat", "fat", "msdos", "exfat", "udf", "iso9660" };

/* One file system to look at: unescaped, and with the name that it is known by. */
struct mount_point {
	char device[CGM_FS_DEVICE], path[PATH_MAX];
	const char *type; /* as FsStats names it */
	uint32_t major, minor;
};

typedef int (*mount_fn)(void *arg, int root_fd, const struct mount_point *mp, const struct statfs *st);

bool cgm_fs_is_local(struct cgm_str type)
{
	for (size_t i = 0; i < ARRAY_SIZE(fs_types); i++)
		if (cgm_str_eq(type, fs_types[i]))
			return true;
	return false;
}

/* The kernel's name of a block device, "" when it has none; size at most that of a path. */
static void read_disk_name(int root_fd, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	char path[64], link[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "sys/dev/block/%u:%u", major, minor);
	n = readlinkat(root_fd, path, link, sizeof(link) - 1);
	link[MAX(n, 0)] = '\0';
	base = strrchr(link, '/');
	snprintf(buf, size, "%.31s", base ? base + 1 : link);
}

int cgm_fs_device(int root_fd, const struct cgm_mount *m, char *buf, size_t size)
{
	char device[CGM_FS_DEVICE], name[32];

	if (cgm_str_eq(m->type, "overlay")) {
		snprintf(device, sizeof(device), "overlay_%u-%u", m->major, m->minor);
	} else if (cgm_text_unescape(cgm_str_eq(m->type, "tmpfs") ? m->point : m->source, device, sizeof(device)) <= 0) {
		return -ENAMETOOLONG;
	} else if (strcmp(device, "/dev/root") == 0) {
		read_disk_name(root_fd, m->major, m->minor, name, sizeof(name));
		if (!name[0])
			return -ENOENT;
		snprintf(device, sizeof(device), "/dev/%s", name);
	}
	return (size_t)snprintf(buf, size, "%s", device) < size ? 0 : -ENAMETOOLONG;
}

/*
 * tmpfs goes by its mount point. An overlay is the root of a container and lies on a file system that is counted already; only the
 * machine's own root is shown. False when the mount is not for us, or its name does not fit.
 */
static bool describe(int root_fd, const struct cgm_mount *m, struct mount_point *mp)
{
	if (!cgm_fs_is_local(m->type) || cgm_text_unescape(m->point, mp->path, sizeof(mp->path)) < 0)
		return false;
	mp->major = m->major;
	mp->minor = m->minor;
	mp->type = cgm_str_eq(m->type, "zfs") ? "zfs" : "vfs";
	if (cgm_str_eq(m->type, "overlay") && strcmp(mp->path, "/") != 0)
		return false;
	return cgm_fs_device(root_fd, m, mp->device, sizeof(mp->device)) == 0;
}

static int stat_mount(int root_fd, const struct mount_point *mp, struct statfs *st)
{
	const char *p = mp->path;
	_cleanup_close_ int fd = -1;

	while (*p == '/')
		p++;
	fd = openat(root_fd, *p ? p : ".", O_PATH | O_CLOEXEC);
	return fd < 0 || fstatfs(fd, st) < 0 ? -errno : 0;
}

/*
 * A service of systemd has a mount namespace of its own, with mounts that hide things from it: no file systems of the machine. When process 1
 * has the same root its mounts are what the machine has, and are found here by the same paths.
 */
int cgm_machine_mounts(int root_fd, char **ret, size_t *ret_len)
{
	struct stat own, first;

	if (fstat(root_fd, &own) == 0 && fstatat(root_fd, "proc/1/root/", &first, 0) == 0 && own.st_dev == first.st_dev && own.st_ino == first.st_ino &&
	    cgm_read_all_at(root_fd, "proc/1/mountinfo", MAX_PROC_BYTES, ret, ret_len) == 0)
		return 0;
	return cgm_mountinfo_read(root_fd, ret, ret_len);
}

/* Calls fn for each mount that can be looked at; the caller passes over devices that it had. */
static int each_mount(int root_fd, mount_fn fn, void *arg)
{
	_cleanup_free_ struct mount_point *mp = cgm_malloc(sizeof(*mp));
	_cleanup_free_ char *text = NULL;
	struct cgm_str rest, line;
	struct cgm_mount m;
	size_t len;
	int r;

	if (!mp)
		return -ENOMEM;
	r = cgm_machine_mounts(root_fd, &text, &len);
	if (r < 0)
		return r;
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		struct statfs st = { 0 };

		if (cgm_text_mount(line, &m) < 0 || !describe(root_fd, &m, mp) || stat_mount(root_fd, mp, &st) < 0 || !st.f_blocks)
			continue;
		r = fn(arg, root_fd, mp, &st);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t blocks(uint64_t nr, const struct statfs *st)
{
	uint64_t size = st->f_frsize > 0 ? (uint64_t)st->f_frsize : (uint64_t)st->f_bsize, v;

	return __builtin_mul_overflow(nr, size, &v) ? UINT64_MAX : v;
}

static int sample_mount(void *arg, _unused_ int root_fd, const struct mount_point *mp, const struct statfs *st)
{
	struct cgm_sample *s = arg;
	size_t before = s->nr_fs;
	struct cgm_fs_row *row = cgm_sample_fs(s, mp->device, mp->type);

	if (!row)
		return -ENOMEM;
	if (s->nr_fs == before)
		return 0;
	row->v[CGM_FS_CAPACITY] = blocks(st->f_blocks, st);
	row->v[CGM_FS_USAGE] = blocks(st->f_blocks - MIN(st->f_blocks, st->f_bfree), st);
	row->v[CGM_FS_AVAILABLE] = blocks(st->f_bavail, st);
	row->v[CGM_FS_HAS_INODES] = st->f_files > 0;
	row->v[CGM_FS_INODES] = st->f_files;
	row->v[CGM_FS_INODES_FREE] = st->f_ffree;
	return 0;
}

/* In the order of the kernel's columns. */
static void add_diskstats(const struct cgm_diskstats *d, struct cgm_fs_row *row)
{
	static const uint8_t ids[] = { CGM_FS_READS_COMPLETED,	CGM_FS_READS_MERGED,  CGM_FS_SECTORS_READ, CGM_FS_READ_TIME,
				       CGM_FS_WRITES_COMPLETED, CGM_FS_WRITES_MERGED, CGM_FS_SECTORS_WRITTEN, CGM_FS_WRITE_TIME,
				       CGM_FS_IO_IN_PROGRESS,	CGM_FS_IO_TIME,	      CGM_FS_WEIGHTED_IO_TIME };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		row->v[ids[i]] = d->v[i];
}

struct disk_arg {
	struct cgm_sample *s;
	struct cgm_str diskstats;
};

static int sample_disk(void *arg, int root_fd, const struct mount_point *mp, const struct statfs *st)
{
	struct disk_arg *a = arg;
	size_t before = a->s->nr_fs;
	struct cgm_str rest = a->diskstats, line;
	struct cgm_diskstats d;
	int r = sample_mount(a->s, root_fd, mp, st);

	if (r < 0 || a->s->nr_fs == before)
		return r;
	while (cgm_next_line(&rest, &line))
		if (cgm_text_diskstats(line, &d) == 0 && d.major == mp->major && d.minor == mp->minor)
			add_diskstats(&d, &a->s->fs[before]);
	return 0;
}

int cgm_machine_sample_fs(int root_fd, struct cgm_sample *s)
{
	_cleanup_free_ char *text = NULL;
	struct disk_arg a = { .s = s };
	size_t len = 0;
	int r = cgm_read_all_at(root_fd, "proc/diskstats", MAX_PROC_BYTES, &text, &len);

	if (r == -ENOMEM)
		return r;
	if (r == 0)
		a.diskstats = (struct cgm_str){ text, len };
	return each_mount(root_fd, sample_disk, &a);
}

struct fs_arg {
	struct cgm_machine *m;
	size_t cap;
};

static int machine_mount(void *arg, _unused_ int root_fd, const struct mount_point *mp, const struct statfs *st)
{
	struct fs_arg *a = arg;
	struct cgm_machine *m = a->m;
	struct cgm_fs_info *fs;

	for (size_t i = 0; i < m->nr_fs; i++)
		if (strcmp(m->fs[i].device, mp->device) == 0)
			return 0;
	if (cgm_grow((void **)&m->fs, &a->cap, m->nr_fs, sizeof(*m->fs)) < 0)
		return -ENOMEM;
	fs = &m->fs[m->nr_fs++];
	*fs = (struct cgm_fs_info){
		.device = cgm_strdup(mp->device),
		.mountpoint = cgm_strdup(mp->path),
		.type = cgm_strdup(mp->type),
		.major = mp->major,
		.minor = mp->minor,
		.capacity_bytes = blocks(st->f_blocks, st),
		.available_bytes = blocks(st->f_bavail, st),
		.used_bytes = blocks(st->f_blocks - MIN(st->f_blocks, st->f_bfree), st),
		.inodes = st->f_files,
		.inodes_free = st->f_ffree,
		.has_inodes = st->f_files > 0,
	};
	return fs->device && fs->mountpoint && fs->type ? 0 : -ENOMEM;
}

int cgm_machine_fs(int root_fd, struct cgm_machine *m)
{
	struct fs_arg a = { .m = m };
	int r = each_mount(root_fd, machine_mount, &a);

	return r == -ENOMEM ? r : 0;
}

bool cgm_machine_fs_has_uuid(int root_fd, const struct cgm_fs_info *fs, const char *uuid)
{
	char path[128], target[PATH_MAX];
	const char *base = strrchr(fs->device, '/'), *link;
	struct stat st;
	ssize_t n;

	if (!*uuid || strchr(uuid, '/') || (size_t)snprintf(path, sizeof(path), "dev/disk/by-uuid/%s", uuid) >= sizeof(path))
		return false;
	n = readlinkat(root_fd, path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	link = strrchr(target, '/');
	if (base && link && strcmp(base, link) == 0)
		return true;
	/* By number: a device mapper's disk has two names. */
	return fs->major && fstatat(root_fd, path, &st, 0) == 0 && S_ISBLK(st.st_mode) && major(st.st_rdev) == fs->major && minor(st.st_rdev) == fs->minor;
}

/* The word in brackets of "none [mq-deadline]"; the whole text when there is none. */
static void active_scheduler(const char *text, char *dst, size_t size)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (close)
		snprintf(dst, size, "%.*s", (int)MIN((size_t)(close - open - 1), size - 1), open + 1);
	else
		snprintf(dst, size, "%.*s", (int)size - 1, text);
}

static bool disk_skipped(const char *name)
{
	return strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 || strncmp(name, "sr", 2) == 0 || name[0] == '.';
}

/* False when it is hidden (a path of a multipath NVMe disk) or has no number. */
static bool read_disk(int dir_fd, const char *name, struct cgm_disk_info *d)
{
	char path[300], buf[512];
	uint64_t v;

	*d = (struct cgm_disk_info){ 0 };
	snprintf(d->name, sizeof(d->name), "%.31s", name);
	snprintf(path, sizeof(path), "%s/hidden", name);
	if (cgm_read_u64_at(dir_fd, path, &v) == 0 && v)
		return false;
	snprintf(path, sizeof(path), "%s/dev", name);
	if (cgm_read_line_at(dir_fd, path, buf, sizeof(buf)) < 0 || cgm_parse_dev(cgm_str(buf), &d->major, &d->minor) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/size", name);
	if (cgm_read_u64_at(dir_fd, path, &v) == 0)
		d->size_bytes = v > UINT64_MAX / 512 ? UINT64_MAX : v * 512;
	snprintf(path, sizeof(path), "%s/queue/scheduler", name);
	if (cgm_read_line_at(dir_fd, path, buf, sizeof(buf)) == 0)
		active_scheduler(buf, d->scheduler, sizeof(d->scheduler));
	else
		snprintf(d->scheduler, sizeof(d->scheduler), "none");
	return true;
}

static int by_disk_name(const void *a, const void *b)
{
	return strcmp(((const struct cgm_disk_info *)a)->name, ((const struct cgm_disk_info *)b)->name);
}

int cgm_machine_disks(int root_fd, struct cgm_machine *m)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(root_fd, "sys/block");
	struct dirent *e;
	size_t cap = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir)) != NULL) {
		struct cgm_disk_info d;

		if (disk_skipped(e->d_name) || !read_disk(dirfd(dir), e->d_name, &d))
			continue;
		if (cgm_grow((void **)&m->disks, &cap, m->nr_disks, sizeof(*m->disks)) < 0)
			return -ENOMEM;
		m->disks[m->nr_disks++] = d;
	}
	if (m->nr_disks)
		qsort(m->disks, m->nr_disks, sizeof(*m->disks), by_disk_name);
	return 0;
}

/* A number may be given to another disk later: an entry is believed for that long. */
#define NAME_AGE_NS (30 * CGM_NSEC_PER_SEC)

const char *cgm_disk_name(int root_fd, uint32_t major, uint32_t minor, char *buf, size_t size)
{
	static struct {
		int root_fd;
		uint32_t major, minor;
		uint64_t until_ns;
		char name[32];
	} cache[64];
	size_t slot = (major * 31 + minor) % ARRAY_SIZE(cache);
	uint64_t now = cgm_clock_ns(CLOCK_MONOTONIC_COARSE);

	if (now >= cache[slot].until_ns || cache[slot].root_fd != root_fd || cache[slot].major != major || cache[slot].minor != minor) {
		read_disk_name(root_fd, major, minor, cache[slot].name, sizeof(cache[slot].name));
		cache[slot].root_fd = root_fd;
		cache[slot].major = major;
		cache[slot].minor = minor;
		cache[slot].until_ns = now + NAME_AGE_NS;
	}
	if (cache[slot].name[0])
		snprintf(buf, size, "/dev/%s", cache[slot].name);
	else if (size)
		buf[0] = '\0';
	return buf;
}
