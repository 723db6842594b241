/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound release: every function can be seen to be leak-free by itself.
 *
 *	_cleanup_free_ char *p = NULL;
 *	_cleanup_close_ int fd = -1;
 *	_cleanup_(cgm_thing_freep) struct cgm_thing *t = NULL;
 *	return TAKE_PTR(p);		hands the ownership to the caller
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))
#define _must_check_ __attribute__((warn_unused_result))

#define TAKE_PTR(p)                       \
	({                                \
		__typeof__(p) _taken = (p); \
		(p) = NULL;               \
		_taken;                   \
	})
#define TAKE_FD(fd)              \
	({                       \
		int _taken = (fd); \
		(fd) = -1;       \
		_taken;          \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* DEFINE_CLEANUP(cgm_thing, cgm_thing_free) makes cgm_thing_freep() out of a free function that accepts NULL. */
#define DEFINE_CLEANUP(type, func)                          \
	static inline _unused_ void type##_freep(struct type **p) \
	{                                                   \
		func(*p);                                   \
	}

static inline void cgm_freep(void *p)
{
	free(*(void **)p);
}

static inline void cgm_closep(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cgm_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cgm_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_free_ _cleanup_(cgm_freep)
#define _cleanup_close_ _cleanup_(cgm_closep)
#define _cleanup_fclose_ _cleanup_(cgm_fclosep)
#define _cleanup_closedir_ _cleanup_(cgm_closedirp)
