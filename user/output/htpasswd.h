/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords as htpasswd keeps them, "user:hash" a line: bcrypt ($2y$ $2b$ $2a$), apr1, {SHA}, and crypt's $1$, $5$ and $6$. Immutable
 * once parsed, shared by reference count. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define CGM_MAX_PASSWORD 256 /* bytes; longer ones are wrong: crypt's work grows with the square */

struct cgm_htpasswd;

/*
 * -EINVAL: *ret_fault (a literal) tells what is wrong with line *ret_line, or with the whole when that is 0. Costs that would keep a CPU
 * busy for seconds are refused. -ENOMEM: *ret_fault is NULL.
 */
int cgm_htpasswd_parse(const char *text, size_t len, struct cgm_htpasswd **ret, unsigned *ret_line, const char **ret_fault);
struct cgm_htpasswd *cgm_htpasswd_ref(struct cgm_htpasswd *h);
void cgm_htpasswd_unref(struct cgm_htpasswd *h);
DEFINE_CLEANUP(cgm_htpasswd, cgm_htpasswd_unref)

/*
 * Is it that user's password? Slow on purpose: 0.1 s and more with bcrypt; a user who is not there takes as long. 1, 0, or -ENOMEM,
 * -EIO (could not be computed).
 */
int cgm_htpasswd_verify(const struct cgm_htpasswd *h, const char *user, const char *password);
