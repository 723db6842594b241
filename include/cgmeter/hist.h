/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Latency histograms, the same on both sides. Buckets are those of a Prometheus native histogram of schema 2: four to each doubling,
 * bounds at 2^(i/4) seconds, so that a value told by the middle of its bucket is wrong by at most 8.7 %. A bound is inclusive ("le").
 *	bucket 0	up to 2^-20 s (0.95 us)
 *	bucket i	above 2^((i - 81) / 4) s, up to 2^((i - 80) / 4) s
 *	bucket 105	above 2^6 s
 * Every fourth bound is a power of two of a second: those are the classic buckets.
 */
#ifndef CGMETER_HIST_H
#define CGMETER_HIST_H

#define CGM_HIST_SCHEMA 2
#define CGM_HIST_BUCKETS 106
#define CGM_HIST_FIRST_INDEX (-80) /* of bucket 0 in a native histogram */
#define CGM_HIST_FIRST_LOG2 (-20) /* the bound of bucket 0 is 2^that seconds */

struct cgm_hist {
	__u64 buckets[CGM_HIST_BUCKETS]; /* not cumulative; the count is their sum */
	__u64 sum_ns;
};

/* The bounds in ns: floor(10^9 * 2^((i - 80) / 4)). Padded to a power of two, so that a masked index is in range. */
static const __u64 cgm_hist_bounds[128] = {
	953, 1134, 1348, 1603, 1907, 2268, 2697, 3207, 3814,
	4536, 5394, 6415, 7629, 9072, 10789, 12831, 15258, 18145,
	21579, 25662, 30517, 36291, 43158, 51324, 61035, 72583, 86316,
	102648, 122070, 145166, 172633, 205296, 244140, 290333, 345266, 410593,
	488281, 580667, 690533, 821187, 976562, 1161335, 1381067, 1642375, 1953125,
	2322670, 2762135, 3284751, 3906250, 4645340, 5524271, 6569503, 7812500, 9290680,
	11048543, 13139006, 15625000, 18581361, 22097086, 26278012, 31250000, 37162722, 44194173,
	52556025, 62500000, 74325444, 88388347, 105112051, 125000000, 148650889, 176776695, 210224103,
	250000000, 297301778, 353553390, 420448207, 500000000, 594603557, 707106781, 840896415, 1000000000,
	1189207115, 1414213562, 1681792830, 2000000000, 2378414230, 2828427124, 3363585661, 4000000000, 4756828460,
	5656854249, 6727171322, 8000000000, 9513656920, 11313708498, 13454342644, 16000000000, 19027313840, 22627416997,
	26908685288, 32000000000, 38054627680, 45254833995, 53817370576, 64000000000,
};

/*
 * The first bound at or above n * 64 ns, plus 4 (those below bucket 0 would be negative). A step of 64 ns is narrower than a bucket from 512 ns
 * on, so the bucket of a value of that step is this one or the next. The same holds for steps 32 times as long, 20 buckets further on.
 */
static const __u8 cgm_hist_guess[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 9, 9,
	9, 9, 9, 9, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13,
	13, 13, 13, 13, 13, 13, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
	15, 15, 15, 15, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 17, 17, 17, 17, 17, 17, 17, 17,
	17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18,
	18, 18, 18, 18, 18, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19, 19,
	19, 19, 19, 19, 19, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
	20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21,
};

/* The bucket of a value: the smallest i with ns <= its bound. Short values take the shortest way: most waits for a CPU are. */
static inline __attribute__((always_inline)) __u32 cgm_hist_bucket(__u64 ns)
{
	__u64 i, shift, base; /* of steps as long as ns needs them: the first bucket, less the 4 */

	if (ns <= cgm_hist_bounds[0])
		return 0;
	if (ns < 1ULL << 14) {
		shift = 6;
		base = 0;
	} else if (ns < 1ULL << 19) {
		shift = 11;
		base = 20;
	} else if (ns < 1ULL << 24) {
		shift = 16;
		base = 40;
	} else if (ns < 1ULL << 29) {
		shift = 21;
		base = 60;
	} else if (ns <= cgm_hist_bounds[CGM_HIST_BUCKETS - 2]) {
		shift = ns < 1ULL << 34 ? 26 : 31;
		base = ns < 1ULL << 34 ? 80 : 100;
	} else {
		return CGM_HIST_BUCKETS - 1;
	}
	i = cgm_hist_guess[ns >> shift & 255] + base - 4;
	__asm__ volatile("" : "+r"(i)); /* the mask must come last, for the verifier */
	i &= 127;
	return (__u32)i + (ns > cgm_hist_bounds[i]);
}

#endif
