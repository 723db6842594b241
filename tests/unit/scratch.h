/* SPDX-License-Identifier: Apache-2.0 */
/* A root of plain files under /tmp, for readers that take a root descriptor. */
#pragma once
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct scratch {
	char dir[64];
	int root_fd;
};

static inline void scratch_open(struct scratch *s)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/cgmunit-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->root_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->root_fd >= 0);
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void scratch_close(struct scratch *s)
{
	close(s->root_fd);
	assert_int_equal(nftw(s->dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Makes the directories above a path. */
static inline void scratch_dirs(const struct scratch *s, const char *path)
{
	char part[256];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		(void)mkdirat(s->root_fd, part, 0700);
	}
}

static inline void scratch_put(const struct scratch *s, const char *path, const char *text)
{
	int fd;

	scratch_dirs(s, path);
	fd = openat(s->root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static inline void scratch_link(const struct scratch *s, const char *path, const char *target)
{
	scratch_dirs(s, path);
	assert_int_equal(symlinkat(target, s->root_fd, path), 0);
}
