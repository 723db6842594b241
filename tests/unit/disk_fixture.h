/* SPDX-License-Identifier: Apache-2.0 */
/* Trees under /tmp, and what du(1) says of them. */
#pragma once
#include "scratch.h"

#include <sys/wait.h>

/* One number of du. */
static inline uint64_t du(const char *what, const char *path)
{
	char buf[256] = "";
	int p[2], status;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], STDOUT_FILENO);
		close(p[0]);
		close(p[1]);
		execlp("du", "du", "-s", "-x", what, path, NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	close(p[1]);
	for (size_t len = 0, n; (n = (size_t)read(p[0], buf + len, sizeof(buf) - 1 - len)) > 0; len += n)
		assert_true((ssize_t)n > 0);
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return strtoull(buf, NULL, 10);
}

/* Where many files are made faster than on a disk. */
static inline void memory_open(struct scratch *s)
{
	snprintf(s->dir, sizeof(s->dir), "%s/cgmunit-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(s->dir));
	s->root_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(s->root_fd >= 0);
}

#define du_bytes(path) du("--block-size=1", path)
#define du_inodes(path) du("--inodes", path)

static inline void fill(int dir_fd, const char *name, size_t bytes)
{
	char buf[4096];
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	memset(buf, 'x', sizeof(buf));
	for (; bytes; bytes -= bytes < sizeof(buf) ? bytes : sizeof(buf))
		assert_true(write(fd, buf, bytes < sizeof(buf) ? bytes : sizeof(buf)) > 0);
	close(fd);
}

/* That many files of some bytes in a directory of the scratch, which is made. */
static inline void fill_dir(const struct scratch *s, const char *dir, unsigned nr_files)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/x", dir);
	scratch_dirs(s, path);
	for (unsigned i = 0; i < nr_files; i++) {
		snprintf(path, sizeof(path), "%s/file%u", dir, i);
		fill(s->root_fd, path, i % 3 * 3000);
	}
}

/* A chain of directories, each with a file, opened one below the other: no path is that long. The descriptor of the lowest. */
static inline int dig(int top_fd, const char *name, unsigned depth)
{
	int fd = dup(top_fd);

	for (unsigned i = 0; i < depth; i++) {
		int next;

		(void)mkdirat(fd, name, 0700);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
		if (i % 100 == 0)
			fill(fd, "file", 100);
	}
	return fd;
}

/* nftw() cannot go that deep: rm does. */
static inline void remove_tree(const char *path)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
