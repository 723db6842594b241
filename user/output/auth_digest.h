/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest authentication (RFC 7616 with MD5, the only algorithm that htdigest's files have, qop=auth). libmicrohttpd has one of its own,
 * but 0.9.75 copies the lock of its nonces for each thread and reads before a nonce that is too short. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output/users.h"

/* The users of a realm, out of "user:realm:MD5(user:realm:password)" a line; lines of other realms are passed over. As cgm_users_parse. */
int cgm_htdigest_parse(const char *text, size_t len, const char *realm, struct cgm_users **ret, unsigned *ret_line, const char **ret_fault);

/* What was handed out: a nonce is its time with our signature, so that only those that were used take memory. */
struct cgm_nonces;
/* NULL: out of memory, or no randomness. */
struct cgm_nonces *cgm_nonces_new(void);
void cgm_nonces_free(struct cgm_nonces *n);

#define CGM_NONCE_CHARS 48 /* time and signature in hexadecimal */
/* A fresh nonce, zero-terminated. now_ns: CLOCK_MONOTONIC. 0 or -EIO. */
int cgm_nonce_make(struct cgm_nonces *n, uint64_t now_ns, char ret[CGM_NONCE_CHARS + 1]);

enum cgm_digest_result { CGM_DIGEST_WRONG, CGM_DIGEST_STALE, CGM_DIGEST_RIGHT };
/*
 * The text of an Authorization header behind "Digest". raw_uri: the request's own, with its query. STALE: right, but the nonce is too old
 * or was used with that count before: the client may try again with a new one, without asking its user.
 */
enum cgm_digest_result cgm_digest_check(const struct cgm_users *users, struct cgm_nonces *n, const char *realm, const char *text,
					const char *method, const char *raw_uri, uint64_t now_ns);
