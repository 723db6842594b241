/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a containerd 1.6: a pod with two containers, of which one has ended, and one that ctr runs (tests/fixtures/cri). */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "unit/fixture.h"

#define SANDBOX "2670c6fcc08cb1271d2a2cfa06cadeb1decb4e2e80585d92737173b765b2e15e"
#define FRONT "b4bf9738c6a2c164c318d408bbde1f35b080cc2c8baf84f2c0b655cae36f5182"
#define BACK "cce732aea22bde7f6fb7f49850c84abcd8b87174852c8574b4c573a2e6bc6c1a"
#define UID "11111111-2222-3333-4444-555555555555"
#define IMAGE "docker.io/cgmtest/busybox:1"

static inline struct cgm_str recorded(const char *name)
{
	_cleanup_close_ int dir_fd = fixture_open("cri");
	char *data = NULL;
	size_t len;

	assert_int_equal(cgm_read_all_at(dir_fd, name, 1 << 20, &data, &len), 0);
	return (struct cgm_str){ data, len };
}

static inline void release(struct cgm_str s)
{
	free((char *)s.p);
}
