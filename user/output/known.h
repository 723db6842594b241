/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logins that were found right a short time ago, by a hash with a key that only this process has: who reads our memory finds no password,
 * who comes again costs a lookup. Any thread.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "output/secret.h"

#define CGM_KNOWN_SETS 64
#define CGM_KNOWN_WAYS 8

struct cgm_known_key {
	uint8_t p[CGM_SHA256_BYTES];
};

struct cgm_known {
	pthread_mutex_t lock;
	uint8_t salt[32];
	uint64_t generation; /* counts up with each clear */
	struct {
		struct cgm_known_key key;
		uint64_t until_ns; /* CLOCK_MONOTONIC */
	} entries[CGM_KNOWN_SETS][CGM_KNOWN_WAYS];
};
/* 0 or -EIO: no randomness. */
int cgm_known_init(struct cgm_known *k);
void cgm_known_done(struct cgm_known *k);
/* Of two texts. 0, -ENOMEM or -EIO. */
int cgm_known_key(const struct cgm_known *k, const char *a, const char *b, struct cgm_known_key *ret);
bool cgm_known_has(struct cgm_known *k, const struct cgm_known_key *key, uint64_t now_ns);
/* For five minutes; nothing when the generation is another by now: what it was checked against is no more. */
void cgm_known_add(struct cgm_known *k, const struct cgm_known_key *key, uint64_t generation, uint64_t now_ns);
uint64_t cgm_known_generation(struct cgm_known *k);
void cgm_known_clear(struct cgm_known *k);
