/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before the next try: twice as long each time, less a random part, so that a hundred agents do not come back as one. */
#pragma once
#include <stdint.h>

#define CGM_BACKOFF_FIRST_NS 500000000ULL
#define CGM_BACKOFF_LONGEST_NS 30000000000ULL
#define CGM_BACKOFF_ASKED_NS 600000000000ULL /* of what a server asks for, no more than this */

struct cgm_backoff {
	uint64_t random; /* state of the generator; never 0 */
	unsigned nr; /* tries that failed in a row */
};

/* seed 0: from the kernel's random numbers. */
void cgm_backoff_init(struct cgm_backoff *b, uint64_t seed);
/* It went well: begin anew. */
void cgm_backoff_reset(struct cgm_backoff *b);
/*
 * The wait after another failure: from half of 0.5 s × 2^n to all of it, at most 30 s. A server that says when to come back (Retry-After,
 * not 0) is obeyed up to ten minutes: never earlier, and up to an eighth later.
 */
uint64_t cgm_backoff_next_ns(struct cgm_backoff *b, uint64_t asked_ns);
