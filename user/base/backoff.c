// SPDX-License-Identifier: Apache-2.0
#include "base/backoff.h"

#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"

void cgm_backoff_init(struct cgm_backoff *b, uint64_t seed)
{
	if (!seed && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = cgm_clock_mono_ns();
	*b = (struct cgm_backoff){ .random = seed ? seed : 1 };
}

void cgm_backoff_reset(struct cgm_backoff *b)
{
	b->nr = 0;
}

/* xorshift64*: nobody must be surprised by it, only different from his neighbour. */
static uint64_t below(struct cgm_backoff *b, uint64_t limit)
{
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return limit ? (b->random * 0x2545f4914f6cdd1dULL >> 11) % limit : 0;
}

uint64_t cgm_backoff_next_ns(struct cgm_backoff *b, uint64_t asked_ns)
{
	uint64_t ns = CGM_BACKOFF_LONGEST_NS;

	if (b->nr < 6)
		ns = MIN(CGM_BACKOFF_FIRST_NS << b->nr, CGM_BACKOFF_LONGEST_NS);
	b->nr++;
	if (!asked_ns)
		return ns / 2 + below(b, ns / 2 + 1);
	asked_ns = MIN(asked_ns, CGM_BACKOFF_ASKED_NS);
	return asked_ns + below(b, asked_ns / 8 + 1);
}
