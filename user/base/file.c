// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

static ssize_t read_fd(int fd, char *buf, size_t size, bool one_piece)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = pread(fd, buf + len, size - len, (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			buf[len] = '\0';
			return (ssize_t)len;
		}
		len += (size_t)n;
		if (one_piece && len < size && n < 4096 && buf[len - 1] == '\n') {
			buf[len] = '\0';
			return (ssize_t)len;
		}
	}
	return -EFBIG;
}

ssize_t cgm_read_fd(int fd, char *buf, size_t size)
{
	return read_fd(fd, buf, size, false);
}

ssize_t cgm_read_piece_fd(int fd, char *buf, size_t size)
{
	return read_fd(fd, buf, size, true);
}

ssize_t cgm_read_at(int dir_fd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return cgm_read_fd(fd, buf, size);
}

int cgm_read_all_at(int dir_fd, const char *path, size_t max_bytes, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	_cleanup_free_ char *buf = NULL;
	size_t cap = 4096, len = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		char *p;
		ssize_t n;

		p = cgm_realloc(buf, cap);
		if (!p)
			return -ENOMEM;
		buf = p;
		n = read(fd, buf + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += (size_t)n;
		if (len > max_bytes)
			return -EFBIG;
		if (n == 0)
			break;
		if (cap - len < 2048)
			cap *= 2;
	}
	buf[len] = '\0';
	*ret = TAKE_PTR(buf);
	*ret_len = len;
	return 0;
}

int cgm_read_u64_at(int dir_fd, const char *path, uint64_t *ret)
{
	char buf[64];
	ssize_t n = cgm_read_at(dir_fd, path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return cgm_parse_u64_max(cgm_trim((struct cgm_str){ buf, (size_t)n }), ret);
}

int cgm_read_line_at(int dir_fd, const char *path, char *buf, size_t size)
{
	ssize_t n = cgm_read_at(dir_fd, path, buf, size);
	char *end;

	if (n < 0)
		return (int)n;
	end = memchr(buf, '\n', (size_t)n);
	if (end)
		*end = '\0';
	return 0;
}

DIR *cgm_opendir_at(int dir_fd, const char *path)
{
	_cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		TAKE_FD(fd); /* it is the stream's now */
	return dir;
}
