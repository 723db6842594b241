/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded answers of docker's API, and one that is made up of parts. */
#pragma once
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* tests/fixtures/docker/RUNTIME-NAME, with a zero behind it that is not counted. */
static inline struct cgm_buf docker_file(const char *runtime, const char *name)
{
	_cleanup_close_ int dir = fixture_open("docker");
	_cleanup_close_ int fd = -1;
	struct cgm_buf b = { 0 };
	char path[64], part[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "%s-%s", runtime, name);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail_msg("no fixture docker/%s", path);
	while ((n = read(fd, part, sizeof(part))) > 0)
		cgm_buf_put(&b, part, (size_t)n);
	cgm_buf_char(&b, '\0');
	assert_false(b.failed);
	b.len--;
	return b;
}
