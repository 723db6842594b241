// SPDX-License-Identifier: Apache-2.0
#include "disk/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "cgroup/cgroup.h"
#include "cgroup/machine.h"
#include "cgroup/text.h"

#define MAX_TURNS 64 /* links and ".." on the way */

struct mount {
	char *point; /* unescaped; a piece of points */
	struct cgm_mount line;
	bool remote, automount;
};

struct cgm_mounts {
	int root_fd;
	int watch_fd[2]; /* mountinfo of process 1 and our own: poll() tells of changes. -1: not there */
	char *text, *points;
	struct mount *mounts;
	size_t nr, cap;
	struct cgm_hash by_point; /* the uppermost at each point */
	bool read;
};

static bool no_openat2;

void cgm_open_entry_old(bool old)
{
	no_openat2 = old;
}

/* Where openat2 is missing the kernel says ENOSYS; container runtimes whose seccomp filters do not know it say EPERM, which it never does by itself for these flags. */
static int open_beneath(int dir_fd, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };
	long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int cgm_open_entry(int dir_fd, const char *name, int flags)
{
	int how = (flags & CGM_OPEN_DIR ? O_RDONLY | O_DIRECTORY | O_NONBLOCK : O_PATH) | O_NOFOLLOW | O_CLOEXEC;
	uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (flags & CGM_OPEN_CROSS ? 0 : RESOLVE_NO_XDEV);
	int r;

	/* With O_PATH a link is opened as itself, and there is no other in a single name. */
	if (flags & CGM_OPEN_DIR)
		resolve |= RESOLVE_NO_SYMLINKS;
	if (!__atomic_load_n(&no_openat2, __ATOMIC_RELAXED)) {
		r = open_beneath(dir_fd, name, (uint64_t)how, resolve);
		if (r != -ENOSYS && r != -EPERM)
			return r;
		if (open_beneath(dir_fd, ".", O_PATH | O_CLOEXEC, 0) != r)
			return r;
		cgm_log_once(CGM_LOG_INFO, "openat2 is not there: disk usage is walked without it, and a mount inside a volume is entered before it is passed over");
		__atomic_store_n(&no_openat2, true, __ATOMIC_RELAXED);
	}
	r = openat(dir_fd, name, how);
	return r < 0 ? -errno : r;
}

/* ---- the table of mounts ---- */

struct cgm_mounts *cgm_mounts_new(int root_fd)
{
	struct cgm_mounts *t = cgm_calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->root_fd = root_fd;
	t->watch_fd[0] = openat(root_fd, "proc/1/mountinfo", O_RDONLY | O_CLOEXEC);
	t->watch_fd[1] = openat(root_fd, "proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	return t;
}

static void forget(struct cgm_mounts *t)
{
	cgm_hash_done(&t->by_point);
	t->by_point = (struct cgm_hash){ 0 };
	free(t->text);
	free(t->points);
	free(t->mounts);
	t->text = t->points = NULL;
	t->mounts = NULL;
	t->nr = t->cap = 0;
	t->read = false;
}

void cgm_mounts_free(struct cgm_mounts *t)
{
	if (!t)
		return;
	forget(t);
	cgm_closep(&t->watch_fd[0]);
	cgm_closep(&t->watch_fd[1]);
	free(t);
}

/* Besides those that the machine's file systems are taken from: what lies in memory or is rare; they may be passed through. */
static bool is_local(struct cgm_str type)
{
	static const char *const more[] = { "devtmpfs", "ramfs", "rootfs", "hugetlbfs", "bcachefs", "erofs", "nilfs2" };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++)
		if (cgm_str_eq(type, more[i]))
			return true;
	return cgm_fs_is_local(type);
}

static int add_mount(struct cgm_mounts *t, struct cgm_str line, char *point, size_t size)
{
	struct mount *m;

	if (cgm_grow((void **)&t->mounts, &t->cap, t->nr, sizeof(*t->mounts)) < 0)
		return -ENOMEM;
	m = &t->mounts[t->nr];
	*m = (struct mount){ .point = point };
	if (cgm_text_mount(line, &m->line) < 0 || cgm_text_unescape(m->line.point, point, size) < 0)
		return 0; /* no mount, and what would lie below is then not entered */
	m->remote = !is_local(m->line.type);
	m->automount = cgm_str_eq(m->line.type, "autofs");
	t->nr++;
	return (int)strlen(point) + 1;
}

/*
 * Those at the same point come in the order in which they were mounted, mostly; that a local one lies above a remote one is not relied on, but for
 * the trigger of an automount, which always lies below what it mounted.
 */
static int index_mounts(struct cgm_mounts *t)
{
	for (size_t i = 0; i < t->nr; i++) {
		struct mount *m = &t->mounts[i], *below = cgm_hash_get(&t->by_point, m->point);

		if (below && below->remote && !below->automount)
			m->remote = true;
		if (cgm_hash_put(&t->by_point, m->point, m) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_mounts(struct cgm_mounts *t)
{
	struct cgm_str rest, line;
	size_t len, used = 0;
	int r = cgm_mountinfo_read(t->root_fd, &t->text, &len);

	if (r < 0)
		return r;
	t->points = cgm_malloc(len + 1);
	if (!t->points)
		return -ENOMEM;
	rest = (struct cgm_str){ t->text, len };
	while (cgm_next_line(&rest, &line)) {
		r = add_mount(t, line, t->points + used, len + 1 - used);
		if (r < 0)
			return r;
		used += (size_t)r;
	}
	return index_mounts(t);
}

static int refresh(struct cgm_mounts *t)
{
	struct pollfd p[2] = { { .fd = t->watch_fd[0], .events = POLLPRI }, { .fd = t->watch_fd[1], .events = POLLPRI } };
	int r;

	if (poll(p, 2, 0) == 0 && t->read && (t->watch_fd[0] >= 0 || t->watch_fd[1] >= 0))
		return 0;
	forget(t);
	r = read_mounts(t);
	if (r < 0)
		forget(t);
	else
		t->read = true;
	return r;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (len == 1)
		return path[1] != '\0';
	return strncmp(path, top, len) == 0 && path[len] == '/';
}

/* ---- the way ---- */

struct way {
	struct cgm_mounts *t;
	const struct mount *in; /* the mount in which we are */
	int fd, parent_fd;
	char here[PATH_MAX]; /* free of links and dots; "/" at the root */
	char rest[PATH_MAX];
};

static void way_done(struct way *w)
{
	cgm_closep(&w->fd);
	cgm_closep(&w->parent_fd);
	w->fd = w->parent_fd = -1;
}

static void way_freep(struct way **w)
{
	if (*w)
		way_done(*w);
	free(*w);
}

/* Back to the root, with path before us. */
static int set_out(struct way *w)
{
	way_done(w);
	memcpy(w->here, "/", 2);
	w->in = cgm_hash_get(&w->t->by_point, "/");
	if (w->in && w->in->remote)
		return -EREMOTE;
	w->fd = openat(w->t->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return w->fd < 0 ? -errno : 0;
}

/* As if the path had been top (a part of here), then middle, then what is left. */
static int turn(struct way *w, size_t top_len, const char *middle, const char *rest)
{
	_cleanup_free_ char *path = cgm_asprintf("%.*s/%s/%s", (int)top_len, w->here, middle, rest);

	if (!path)
		return -ENOMEM;
	if (strlen(path) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, path, strlen(path) + 1);
	return set_out(w);
}

static int follow(struct way *w, int link_fd, const char *rest)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return turn(w, target[0] == '/' || w->here[1] == '\0' ? 0 : strlen(w->here), target, rest);
}

/* One name ahead; here has room for it. 1 after a turn. */
static int step(struct way *w, const char *name, const char *rest)
{
	size_t len = strlen(w->here);
	_cleanup_close_ int fd = -1;
	const struct mount *m;
	struct stat st, before;
	int r;

	if (len + strlen(name) + 2 > sizeof(w->here))
		return -ENAMETOOLONG;
	snprintf(w->here + len, sizeof(w->here) - len, "%s%s", len > 1 ? "/" : "", name);
	m = cgm_hash_get(&w->t->by_point, w->here);
	if (m && m->remote)
		return -EREMOTE;
	fd = cgm_open_entry(w->fd, name, m ? CGM_OPEN_CROSS : 0);
	if (fd < 0)
		return fd == -EXDEV ? -EREMOTE : fd;
	if (fstat(fd, &st) < 0 || fstat(w->fd, &before) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		w->here[len] = '\0';
		r = follow(w, fd, rest);
		return r < 0 ? r : 1;
	}
	if (!m && st.st_dev != before.st_dev && S_ISDIR(st.st_mode) && !cgm_str_eq(w->in ? w->in->line.type : CGM_STR(""), "btrfs"))
		return -EREMOTE;
	w->in = m ? m : w->in;
	cgm_closep(&w->parent_fd);
	w->parent_fd = w->fd;
	w->fd = TAKE_FD(fd);
	return 0;
}

static int back(struct way *w, const char *rest)
{
	const char *slash = strrchr(w->here, '/');

	return turn(w, (size_t)(slash - w->here), ".", rest);
}

static int go(struct way *w, const char *path)
{
	char name[NAME_MAX + 1], rest[PATH_MAX];
	unsigned turns = 0;
	int r;

	if (strlen(path) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, path, strlen(path) + 1);
	r = set_out(w);
	while (r >= 0) {
		const char *p = w->rest + strspn(w->rest, "/");
		size_t len = strcspn(p, "/");

		if (!len)
			return 0;
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		memmove(rest, p + len, strlen(p + len) + 1);
		memcpy(w->rest, rest, strlen(rest) + 1);
		if (strcmp(name, ".") == 0)
			continue;
		r = strcmp(name, "..") == 0 ? back(w, rest) : step(w, name, rest);
		turns += r == 1 || strcmp(name, "..") == 0;
		if (turns > MAX_TURNS)
			return -ELOOP;
	}
	return r;
}

static void describe(const struct way *w, struct cgm_place *p)
{
	const struct mount *m = w->in;

	*p = (struct cgm_place){ .fd = w->fd, .parent_fd = w->parent_fd };
	for (size_t i = 0; i < w->t->nr && !p->has_mounts; i++)
		p->has_mounts = is_below(w->t->mounts[i].point, w->here);
	if (!m)
		return;
	if (cgm_fs_device(w->t->root_fd, &m->line, p->device, sizeof(p->device)) < 0)
		p->device[0] = '\0';
	if (cgm_text_unescape(m->line.source, p->source, sizeof(p->source)) < 0)
		p->source[0] = '\0';
	p->fs_dev = makedev(m->line.major, m->line.minor);
	/* A directory of another file system that is mounted there (a local volume, a subPath) has no numbers of its own; an overlay has those of what it lies on. */
	p->is_fs_root = strcmp(m->point, w->here) == 0 && cgm_str_eq(m->line.root, "/") && (!cgm_str_eq(m->line.type, "overlay") || w->here[1] == '\0');
}

int cgm_place_open(struct cgm_mounts *t, const char *path, struct cgm_place *ret)
{
	_cleanup_(way_freep) struct way *w = cgm_calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->fd = w->parent_fd = -1;
	w->t = t;
	r = refresh(t);
	if (r == 0)
		r = go(w, path);
	if (r < 0)
		return r;
	describe(w, ret);
	w->fd = w->parent_fd = -1;
	return 0;
}
