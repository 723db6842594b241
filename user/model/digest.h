/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How numbers were distributed over a time, in little memory: count, sum, deviation and greatest exactly, the rest as a histogram of
 * buckets that are a thirty-second of a power of two wide (below 64: one number each). A number told by the middle of its bucket is wrong by at most 1/64,
 * 1.6 %. Only buckets that something fell into take memory. Not for two threads at once.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Bits behind the first one that choose the bucket. */
#define CGM_DIGEST_BITS 5
#define CGM_DIGEST_BUCKETS ((64 - CGM_DIGEST_BITS + 1) << CGM_DIGEST_BITS)

struct cgm_digest_pair {
	uint16_t bucket;
	uint32_t nr;
};

struct cgm_digest {
	uint64_t nr, sum, max;
	double deviation; /* sum of the squares of the distances from the mean */
	struct cgm_digest_pair *pairs; /* sorted by bucket */
	uint16_t nr_pairs, cap_pairs;
};

void cgm_digest_done(struct cgm_digest *d);
/* To empty; the memory is kept. */
void cgm_digest_clear(struct cgm_digest *d);
/* 0 or -ENOMEM (unchanged then). */
int cgm_digest_add(struct cgm_digest *d, uint64_t v);
int cgm_digest_merge(struct cgm_digest *to, const struct cgm_digest *from);

/* The most bytes that _pack writes. */
size_t cgm_digest_pack_room(const struct cgm_digest *d);
/* Writes d behind p, which has room, and returns the end. The deviation is rounded to a whole standard deviation. */
uint8_t *cgm_digest_pack(const struct cgm_digest *d, uint8_t *p);

/* A sum of digests that is made to be read from: what is in it has an upper bound, so nothing is allocated. */
struct cgm_spread {
	uint64_t nr, sum, max;
	double deviation;
	uint32_t buckets[CGM_DIGEST_BUCKETS];
};
void cgm_spread_add(struct cgm_spread *s, const struct cgm_digest *d);
/* A packed digest; returns its end. */
const uint8_t *cgm_spread_add_packed(struct cgm_spread *s, const uint8_t *p);

/* cAdvisor's Percentiles; all 0 when there is nothing. */
struct cgm_percentiles {
	uint64_t mean, std, max, fifty, ninety, ninety_five, nr;
};
void cgm_spread_percentiles(const struct cgm_spread *s, struct cgm_percentiles *ret);
/* The same, exactly, of numbers; they are sorted in place. */
void cgm_exact_percentiles(uint64_t *values, size_t nr, struct cgm_percentiles *ret);
