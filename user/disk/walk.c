// SPDX-License-Identifier: Apache-2.0
#include "disk/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "disk/place.h"

#define LIST_BYTES 32768
#define SMALL_LIST_BYTES 1024 /* when memory is short; holds any name */
#define MAX_NAMES_BYTES (1 << 20)
#define MASK (STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS | CGM_STATX_MNT_ID)
#define CGM_STATX_MNT_ID 0x1000U /* since 5.8; older headers lack it */

/* What getdents64 fills in. */
struct entry {
	uint64_t ino;
	int64_t next;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* A directory that we are in. Its listing is read a piece at a time, and the directories in that piece are gone through before the next. */
struct level {
	int fd; /* -1: closed meanwhile */
	uint64_t ino;
	int64_t pos; /* of the next piece */
	uint32_t names; /* where the names of its directories begin */
	uint32_t current; /* the name of the one that we are in */
	bool listed;
};

struct cgm_walk {
	struct cgm_walk_sum sum;
	dev_t dev;
	uint64_t mnt_id; /* 0: the kernel does not say */
	bool careful;
	struct level *levels;
	size_t nr_levels, cap_levels;
	char *names; /* a stack */
	uint32_t names_len, names_cap;
	uint64_t *links; /* inodes with several names: open addressing, 0 is free */
	size_t nr_links, cap_links;
	char *list;
	uint32_t list_len, list_pos;
};

static int look(int dir_fd, const char *name, int flags, struct statx *st)
{
	return statx(dir_fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, MASK, st) < 0 ? -errno : 0;
}

/* Files of an overlay have the device number of where they lie, directories its own. */
static bool is_elsewhere(const struct cgm_walk *w, const struct statx *st)
{
	if (w->mnt_id && st->stx_mask & CGM_STATX_MNT_ID && st->stx_mnt_id != w->mnt_id)
		return true;
	return (S_ISDIR(st->stx_mode) || !w->mnt_id) && makedev(st->stx_dev_major, st->stx_dev_minor) != w->dev;
}

static int grow_links(struct cgm_walk *w)
{
	size_t cap = w->cap_links ? w->cap_links * 2 : 256;
	uint64_t *bigger = cgm_calloc(cap, sizeof(*bigger));

	if (!bigger)
		return -ENOMEM;
	for (size_t i = 0; i < w->cap_links; i++) {
		size_t slot = w->links[i] * 0x9e3779b97f4a7c15ULL >> 32 & (cap - 1);

		while (w->links[i] && bigger[slot])
			slot = (slot + 1) & (cap - 1);
		if (w->links[i])
			bigger[slot] = w->links[i];
	}
	free(w->links);
	w->links = bigger;
	w->cap_links = cap;
	return 0;
}

/* 1: that inode was there already. */
static int seen_before(struct cgm_walk *w, uint64_t ino)
{
	size_t slot;

	if (w->nr_links * 2 >= w->cap_links && w->nr_links < CGM_WALK_LINKS && grow_links(w) < 0)
		return -ENOMEM;
	slot = ino * 0x9e3779b97f4a7c15ULL >> 32 & (w->cap_links - 1);
	for (; w->links[slot]; slot = (slot + 1) & (w->cap_links - 1))
		if (w->links[slot] == ino)
			return 1;
	if (w->nr_links >= CGM_WALK_LINKS) {
		w->sum.nr_links_lost++;
		return 0;
	}
	w->links[slot] = ino;
	w->nr_links++;
	return 0;
}

static int count(struct cgm_walk *w, const struct statx *st)
{
	if (st->stx_nlink > 1 && !S_ISDIR(st->stx_mode) && st->stx_ino) {
		int r = seen_before(w, st->stx_ino);

		if (r)
			return r < 0 ? r : 0;
	}
	w->sum.bytes += st->stx_blocks * 512;
	w->sum.inodes++;
	return 0;
}

/* What says that the whole walk cannot go on; anything else concerns one entry. */
static bool is_fatal(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* Vanished, or became something else between two looks (a directory a link: ELOOP), or is another mount. */
static bool is_gone(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV || r == -ESTALE;
}

static int missed(struct cgm_walk *w, int r)
{
	if (is_fatal(r))
		return r;
	w->sum.nr_unread += !is_gone(r);
	return 0;
}

static int remember(struct cgm_walk *w, const char *name)
{
	uint32_t len = (uint32_t)strlen(name) + 1;

	if (w->names_len + len > MAX_NAMES_BYTES || w->nr_levels >= CGM_WALK_DEPTH) {
		w->sum.nr_too_deep++;
		return 0;
	}
	if (w->names_len + len > w->names_cap) {
		uint32_t cap = MIN(MAX(w->names_cap * 2, 4096U), (uint32_t)MAX_NAMES_BYTES);
		char *bigger = cgm_realloc(w->names, cap);

		if (!bigger)
			return -ENOMEM;
		w->names = bigger;
		w->names_cap = cap;
	}
	memcpy(w->names + w->names_len, name, len);
	w->names_len += len;
	return 0;
}

static int look_at_entry(struct cgm_walk *w, int dir_fd, const char *name, struct statx *st)
{
	_cleanup_close_ int fd = -1;

	if (!w->careful)
		return look(dir_fd, name, 0, st);
	fd = cgm_open_entry(dir_fd, name, 0);
	return fd < 0 ? fd : look(fd, "", AT_EMPTY_PATH, st);
}

static int do_entry(struct cgm_walk *w, const struct entry *e)
{
	struct statx st;
	int r;

	if (e->type == DT_DIR)
		return remember(w, e->name);
	r = look_at_entry(w, w->levels[w->nr_levels - 1].fd, e->name, &st);
	if (r < 0)
		return missed(w, r);
	if (is_elsewhere(w, &st))
		return 0;
	return S_ISDIR(st.stx_mode) ? remember(w, e->name) : count(w, &st);
}

static int list(struct cgm_walk *w)
{
	struct level *l = &w->levels[w->nr_levels - 1];
	size_t size = w->names_len < MAX_NAMES_BYTES / 2 ? LIST_BYTES : SMALL_LIST_BYTES;
	long n = syscall(SYS_getdents64, l->fd, w->list, size);

	w->list_pos = 0;
	w->list_len = n > 0 ? (uint32_t)n : 0;
	l->listed = n <= 0;
	return n < 0 ? missed(w, -errno) : 0;
}

static const struct entry *next_entry(struct cgm_walk *w)
{
	const struct entry *e = (const void *)(w->list + w->list_pos);

	w->list_pos += e->len;
	w->levels[w->nr_levels - 1].pos = e->next;
	return e;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int push(struct cgm_walk *w, int fd, uint64_t ino)
{
	if (cgm_grow((void **)&w->levels, &w->cap_levels, w->nr_levels, sizeof(*w->levels)) < 0)
		return -ENOMEM;
	w->levels[w->nr_levels] = (struct level){ .fd = fd, .ino = ino, .names = w->names_len };
	/* The first stays open: every other can be found again from there. */
	if (w->nr_levels >= CGM_WALK_FDS) {
		struct level *old = &w->levels[w->nr_levels - CGM_WALK_FDS + 1];

		cgm_closep(&old->fd);
		old->fd = -1;
	}
	w->nr_levels++;
	return 0;
}

/* The directory may be one that we may not list: it counts itself. */
static int count_closed(struct cgm_walk *w, int dir_fd, const char *name, int why)
{
	struct statx st;

	if (is_fatal(why) || is_gone(why))
		return missed(w, why);
	w->sum.nr_unread++;
	if (look_at_entry(w, dir_fd, name, &st) < 0 || is_elsewhere(w, &st))
		return 0;
	return count(w, &st);
}

/* Into the last directory of which the name is kept. */
static int descend(struct cgm_walk *w)
{
	struct level *l = &w->levels[w->nr_levels - 1];
	const char *before = memrchr(w->names + l->names, '\0', w->names_len - l->names - 1);
	_cleanup_close_ int fd = -1;
	struct statx st;
	const char *name;
	int r;

	l->current = before ? (uint32_t)(before + 1 - w->names) : l->names;
	name = w->names + l->current;
	fd = cgm_open_entry(l->fd, name, CGM_OPEN_DIR);
	r = fd < 0 ? count_closed(w, l->fd, name, fd) : look(fd, "", AT_EMPTY_PATH, &st);
	if (fd >= 0 && r == 0 && !is_elsewhere(w, &st)) {
		r = count(w, &st);
		if (r == 0)
			r = push(w, fd, st.stx_ino);
		if (r == 0)
			fd = -1;
		return r;
	}
	w->names_len = l->current;
	return r;
}

/* Is fd the directory of that level? Somebody may have moved it, or put another in its place. */
static bool is_level(const struct cgm_walk *w, const struct level *l, int fd)
{
	struct statx st;

	return look(fd, "", AT_EMPTY_PATH, &st) == 0 && st.stx_ino == l->ino && !is_elsewhere(w, &st);
}

/* From the start, by the names of those above. */
static int reopen_by_names(const struct cgm_walk *w, size_t i)
{
	_cleanup_close_ int fd = -1;

	for (size_t k = 0; k < i; k++) {
		int next = cgm_open_entry(k ? fd : w->levels[0].fd, w->names + w->levels[k].current, CGM_OPEN_DIR);

		cgm_closep(&fd);
		fd = next;
		if (fd < 0)
			return fd;
	}
	return is_level(w, &w->levels[i], fd) ? TAKE_FD(fd) : -ENOENT;
}

/*
 * Opens a level again that was closed for the number of descriptors: the parent of the one below it, or by its name. ".." leaves the tree when the
 * directory was moved out; that is seen by its inode, and closed.
 */
static int reopen(const struct cgm_walk *w, size_t i, int below_fd)
{
	_cleanup_close_ int fd = -1;

	if (below_fd >= 0)
		fd = openat(below_fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && is_level(w, &w->levels[i], fd))
		return TAKE_FD(fd);
	return reopen_by_names(w, i);
}

static int ascend(struct cgm_walk *w)
{
	_cleanup_close_ int below_fd = w->levels[--w->nr_levels].fd;
	struct level *l;
	int r;

	if (!w->nr_levels)
		return 0;
	l = &w->levels[w->nr_levels - 1];
	w->names_len = l->current;
	if (l->fd >= 0)
		return 0;
	r = reopen(w, w->nr_levels - 1, below_fd);
	if (r >= 0 && lseek(r, l->pos, SEEK_SET) < 0) {
		cgm_closep(&r);
		r = -errno;
	}
	l->fd = r < 0 ? -1 : r;
	if (r >= 0)
		return 0;
	/* It was moved away while we were below it: what it holds besides is not found again. */
	w->names_len = l->names;
	l->listed = true;
	w->sum.nr_unread += !is_fatal(r);
	return is_fatal(r) ? r : 0;
}

/* Up to the next entry, and that one. 1 when an entry was looked at. */
static int move(struct cgm_walk *w)
{
	struct level *l = &w->levels[w->nr_levels - 1];

	if (w->list_pos < w->list_len) {
		const struct entry *e = next_entry(w);
		int r = is_dots(e->name) ? 0 : do_entry(w, e);

		return r < 0 ? r : !is_dots(e->name) && e->type != DT_DIR;
	}
	if (w->names_len > l->names) {
		int r = descend(w);

		return r < 0 ? r : 1;
	}
	return l->listed ? ascend(w) : list(w);
}

int cgm_walk_step(struct cgm_walk *w, size_t max, const bool *stop, size_t *ret_nr)
{
	size_t nr = 0;
	int r = 0;

	while (w->nr_levels && nr < max && !(stop && __atomic_load_n(stop, __ATOMIC_RELAXED))) {
		r = move(w);
		if (r < 0)
			break;
		nr += (size_t)r;
	}
	*ret_nr = nr;
	return r < 0 ? r : !w->nr_levels;
}

const struct cgm_walk_sum *cgm_walk_sum(const struct cgm_walk *w)
{
	return &w->sum;
}

void cgm_walk_free(struct cgm_walk *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->nr_levels; i++)
		cgm_closep(&w->levels[i].fd);
	free(w->levels);
	free(w->names);
	free(w->links);
	free(w->list);
	free(w);
}

static int start(struct cgm_walk *w, int fd)
{
	_cleanup_close_ int dir_fd = -1;
	struct statx st;
	int r = look(fd, "", AT_EMPTY_PATH, &st);

	if (r < 0)
		return r;
	w->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	w->mnt_id = st.stx_mask & CGM_STATX_MNT_ID ? st.stx_mnt_id : 0;
	r = count(w, &st);
	if (r < 0 || !S_ISDIR(st.stx_mode))
		return r;
	dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	w->list = cgm_malloc(LIST_BYTES);
	r = w->list ? push(w, dir_fd, st.stx_ino) : -ENOMEM;
	if (r == 0)
		dir_fd = -1;
	return r;
}

DEFINE_CLEANUP(cgm_walk, cgm_walk_free)

int cgm_walk_new(int fd, bool careful, struct cgm_walk **ret)
{
	_cleanup_(cgm_walk_freep) struct cgm_walk *w = cgm_calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->careful = careful;
	r = start(w, fd);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(w);
	return 0;
}
