/* SPDX-License-Identifier: Apache-2.0 */
/* A container from within: its root and its network namespace, by one of its processes. For the thread of apps.c alone. */
#pragma once
#include <stddef.h>
#include <sys/socket.h>

#include "base/cleanup.h"

struct cgm_inside {
	int root_fd; /* O_PATH */
	int net_fd;
};

/*
 * By the process pid, which must be in a cgroup whose path holds id: it may be another's by now. root_fd: the machine's. 0 or a negative errno, -ESRCH: it is not (any
 * more) the container's.
 */
int cgm_inside_open(int root_fd, unsigned pid, const char *id, struct cgm_inside *ret);
/* Also what _open did not fill, when both are -1. */
void cgm_inside_close(struct cgm_inside *i);

/*
 * A regular file of at most max_bytes, links resolved as the container's processes see them, never out of its root. -EFBIG, -EINVAL: no regular file. *ret is the caller's.
 */
int cgm_inside_read(const struct cgm_inside *i, const char *path, size_t max_bytes, char **ret, size_t *ret_len);
/* A stream socket of its network namespace. A descriptor or a negative errno. */
int cgm_inside_socket(const struct cgm_inside *i, int family);
/* Its address, as text: the first of an interface that is not the loopback, IPv4 before IPv6 (in brackets); 127.0.0.1 when there is none. 0 or a negative errno. */
int cgm_inside_address(const struct cgm_inside *i, char *buf, size_t size);
