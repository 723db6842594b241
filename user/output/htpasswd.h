/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords as htpasswd keeps them, "user:hash" a line: bcrypt ($2y$ $2b$ $2a$), apr1, {SHA}, and crypt's $1$, $5$ and $6$.
 * Any thread.
 */
#pragma once
#include <stddef.h>

#include "output/users.h"

#define CGM_MAX_PASSWORD 256 /* bytes; longer ones are wrong: crypt's work grows with the square */

/* As cgm_users_parse. Costs that would keep a CPU busy for seconds are refused. */
int cgm_htpasswd_parse(const char *text, size_t len, struct cgm_users **ret, unsigned *ret_line, const char **ret_fault);

/*
 * Is it that user's password? Slow on purpose: 0.1 s and more with bcrypt; a user who is not there takes as long. 1, 0, or -ENOMEM,
 * -EIO (could not be computed).
 */
int cgm_htpasswd_verify(const struct cgm_users *users, const char *user, const char *password);
