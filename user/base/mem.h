/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation. Everything in user/ allocates through here and releases with free(), so that a test can let the N-th
 * allocation fail (cgm_mem_fail_at). All functions return NULL when out of memory and never abort. Any thread.
 */
#pragma once
#include <stddef.h>

void *cgm_malloc(size_t size);
void *cgm_calloc(size_t nr, size_t size);
void *cgm_realloc(void *p, size_t size);
char *cgm_strdup(const char *s);
char *cgm_strndup(const char *s, size_t len);
/* printf into fresh memory; NULL when out of memory. */
char *cgm_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Makes room for one more element: doubles *cap when nr == *cap. Returns 0 or -ENOMEM (array unchanged then).
 */
int cgm_grow(void **array, size_t *cap, size_t nr, size_t elem_size);

/* Tests only: the n-th allocation from now (1 = the next) fails, once; 0 switches it off. Returns how many were made since the last call. */
unsigned long cgm_mem_fail_at(unsigned long n);
