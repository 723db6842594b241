/* SPDX-License-Identifier: Apache-2.0 */
/* What authentication needs of cryptography, from GnuTLS: digests, random bytes, comparisons that take the same time whatever differs. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGM_SHA256_BYTES 32
#define CGM_SHA1_BYTES 20
#define CGM_MD5_BYTES 16

/* 0 or -EIO (a library that is not allowed to, as MD5 in FIPS mode). */
int cgm_sha256(const void *p, size_t len, uint8_t ret[CGM_SHA256_BYTES]);
int cgm_sha1(const void *p, size_t len, uint8_t ret[CGM_SHA1_BYTES]);
int cgm_md5(const void *p, size_t len, uint8_t ret[CGM_MD5_BYTES]);
int cgm_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len, uint8_t ret[CGM_SHA256_BYTES]);
/* 0 or -EIO. */
int cgm_random(void *ret, size_t len);

/* Time depends on the lengths alone. */
bool cgm_secret_eq(const void *a, const void *b, size_t len);
/* Overwrites memory that held a secret. */
void cgm_secret_wipe(void *p, size_t len);

/* 2 * len characters and a zero, lower case. */
void cgm_hex(const void *p, size_t len, char *ret);
/* Exactly len bytes out of 2 * len characters. 0 or -EINVAL. */
int cgm_unhex(const char *hex, size_t hex_len, void *ret, size_t len);
