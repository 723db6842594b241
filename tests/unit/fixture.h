/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a recorded tree: CGM_FIXTURES names the directory of fixtures, else it is looked for above the test program. */
#pragma once
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int fixture_open(const char *name)
{
	char path[PATH_MAX], exe[PATH_MAX];
	const char *dir = getenv("CGM_FIXTURES");
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int fd;

	if (dir) {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	exe[n > 0 ? n : 0] = '\0';
	for (char *slash = strrchr(exe, '/'); slash; slash = strrchr(exe, '/')) {
		*slash = '\0';
		if ((size_t)snprintf(path, sizeof(path), "%s/tests/fixtures/%s", exe, name) >= sizeof(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	snprintf(path, sizeof(path), "tests/fixtures/%s", name);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
