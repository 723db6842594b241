/* SPDX-License-Identifier: Apache-2.0 */
/* A file of users, one a line: names with a secret each. Immutable once parsed, shared by reference count. Any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct cgm_user {
	const char *name, *secret; /* in the memory of the users */
};

struct cgm_users {
	uint32_t refs; /* atomic */
	char *text;
	struct cgm_user *users;
	size_t nr, cap;
};

/* A line, trimmed and zero-terminated, that may be cut up. 1: a user; 0: the line is passed over; -EINVAL with *ret_fault, a literal. */
typedef int (*cgm_users_line_fn)(const void *arg, char *line, struct cgm_user *ret, const char **ret_fault);

/*
 * Lines that are empty or begin with # are passed over. -EINVAL: *ret_fault (a literal) tells what is wrong with line *ret_line; nobody, when there
 * is no user in it, with line 0. -ENOMEM: *ret_fault is NULL.
 */
int cgm_users_parse(const char *text, size_t len, cgm_users_line_fn fn, const void *arg, const char *nobody, struct cgm_users **ret,
		    unsigned *ret_line, const char **ret_fault);
struct cgm_users *cgm_users_ref(struct cgm_users *u);
void cgm_users_unref(struct cgm_users *u);
DEFINE_CLEANUP(cgm_users, cgm_users_unref)
/* NULL: there is none of that name. */
const struct cgm_user *cgm_users_find(const struct cgm_users *u, const char *name);
