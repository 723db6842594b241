/* SPDX-License-Identifier: Apache-2.0 */
/* What a command says on stdout or stderr, kept as a text. Behind cmocka.h. */
#pragma once
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static char said[131072];

struct capture {
	FILE *file;
	int fd, kept;
};

static inline struct capture capture_begin(int fd)
{
	struct capture c = { tmpfile(), fd, dup(fd) };

	assert_non_null(c.file);
	fflush(NULL);
	dup2(fileno(c.file), fd);
	return c;
}

/* What was said since, in said[] as well. */
static inline const char *capture_end(struct capture *c)
{
	ssize_t n;

	fflush(NULL);
	dup2(c->kept, c->fd);
	close(c->kept);
	n = cgm_read_fd(fileno(c->file), said, sizeof(said));
	fclose(c->file);
	assert_true(n >= 0);
	return said;
}

static inline void assert_said(const char *text)
{
	if (!strstr(said, text))
		fail_msg("\"%s\" does not say \"%s\"", said, text);
}

static inline unsigned count_lines(const char *text)
{
	unsigned nr = 0;

	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		nr++;
	return nr;
}
