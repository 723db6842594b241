/* SPDX-License-Identifier: Apache-2.0 */
/* What a kube-apiserver 1.20.2 answered: tests/fixtures/kube. */
#pragma once
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"

/* The whole file, a zero behind it; the caller frees it. */
static inline char *kube_file(const char *name)
{
	_cleanup_close_ int dir = fixture_open("kube");
	char *text;
	size_t len;

	if (cgm_read_all_at(dir, name, 1 << 20, &text, &len) < 0)
		fail_msg("no fixture kube/%s", name);
	return text;
}
