// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong nr_allocs, fail_at;

static int fails(void)
{
	unsigned long at = atomic_load_explicit(&fail_at, memory_order_relaxed);

	if (!at)
		return 0;
	return atomic_fetch_add_explicit(&nr_allocs, 1, memory_order_relaxed) + 1 == at;
}

unsigned long cgm_mem_fail_at(unsigned long n)
{
	unsigned long made = atomic_exchange(&nr_allocs, 0);

	atomic_store(&fail_at, n);
	return made;
}

void *cgm_malloc(size_t size)
{
	return fails() ? NULL : malloc(size ? size : 1);
}

void *cgm_calloc(size_t nr, size_t size)
{
	return fails() ? NULL : calloc(nr ? nr : 1, size ? size : 1);
}

void *cgm_realloc(void *p, size_t size)
{
	return fails() ? NULL : realloc(p, size ? size : 1);
}

char *cgm_strndup(const char *s, size_t len)
{
	char *p;

	len = strnlen(s, len);
	p = cgm_malloc(len + 1);
	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *cgm_strdup(const char *s)
{
	return cgm_strndup(s, SIZE_MAX);
}

char *cgm_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;
	p = cgm_malloc((size_t)len + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return p;
}

int cgm_grow(void **array, size_t *cap, size_t nr, size_t elem_size)
{
	size_t want;
	void *p;

	if (nr < *cap)
		return 0;
	want = *cap ? *cap * 2 : 8;
	p = cgm_realloc(*array, want * elem_size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*cap = want;
	return 0;
}
