/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords, checked without making anybody else wait: what is known is told at once, all else is computed by one thread at low priority,
 * one after the other, while the request is suspended. Few may wait for it.
 */
#pragma once
#include "output/auth.h"
#include "output/htpasswd.h"
#include "output/known.h"

struct cgm_passwords;
/* known and throttle, stats: are used and counted in; they must outlive it. NULL: out of memory, or no thread. */
struct cgm_passwords *cgm_passwords_new(struct cgm_known *known, struct cgm_throttle *throttle, struct cgm_http_stats *stats);
/* Takes the reference over. Clears what is known. */
void cgm_passwords_set(struct cgm_passwords *p, struct cgm_users *users);
/* Lets all go that wait, as BUSY, and takes no more. */
void cgm_passwords_stop(struct cgm_passwords *p);
void cgm_passwords_free(struct cgm_passwords *p);

/* A password under way; belongs to its request. */
struct cgm_login;
/* LATER: the request is suspended, and its login has the verdict when it is called again. */
enum cgm_auth_verdict cgm_passwords_check(struct cgm_passwords *p, struct cgm_request *rq, const char *user, const char *password,
					  const struct cgm_known_key *key);
enum cgm_auth_verdict cgm_login_verdict(const struct cgm_login *l);
void cgm_login_free(struct cgm_login *l);
