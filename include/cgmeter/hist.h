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
 * The first bound at or above the beginning of each eighth of each doubling from 2^9 ns on. An eighth is narrower than a bucket, so the
 * bucket of a value is this one or the next.
 */
static const __u8 cgm_hist_guess[256] = {
	0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9,
	9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21,
	21, 22, 22, 23, 23, 24, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 31, 31, 32, 32, 33,
	33, 34, 34, 35, 35, 36, 36, 37, 37, 38, 38, 39, 39, 40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 45,
	45, 46, 46, 47, 47, 48, 48, 49, 49, 50, 50, 51, 51, 52, 52, 53, 53, 54, 54, 55, 55, 56, 56, 57,
	57, 58, 58, 59, 59, 60, 60, 61, 61, 62, 62, 63, 63, 64, 64, 65, 65, 66, 66, 67, 67, 68, 68, 69,
	69, 70, 70, 71, 71, 72, 72, 73, 73, 74, 74, 75, 75, 76, 76, 77, 77, 78, 78, 79, 79, 80, 80, 81,
	81, 82, 82, 83, 83, 84, 84, 85, 85, 86, 86, 87, 87, 88, 88, 89, 89, 90, 90, 91, 91, 92, 92, 93,
	93, 94, 94, 95, 95, 96, 96, 97, 97, 98, 98, 99, 99, 100, 100, 101, 101, 102, 102, 103, 103, 104, 104, 105,
};

/* The bucket of a value: the smallest i with ns <= its bound. */
static inline __attribute__((always_inline)) __u32 cgm_hist_bucket(__u64 ns)
{
	__u64 bits = 0, i;
	__u32 v;

	if (ns <= cgm_hist_bounds[0])
		return 0;
	if (ns > cgm_hist_bounds[CGM_HIST_BUCKETS - 2])
		return CGM_HIST_BUCKETS - 1;
	v = (__u32)(ns >> 9); /* 1 to 2^27 */
	if (v >> 16) {
		bits = 16;
		v >>= 16;
	}
	if (v >> 8) {
		bits += 8;
		v >>= 8;
	}
	if (v >> 4) {
		bits += 4;
		v >>= 4;
	}
	bits += 0x4444444433332210ULL >> (v * 4) & 7; /* the number of bits of 0 to 15, a digit each */
	/* The highest bit of ns is bit 8 + bits; the three below it say which eighth. */
	i = (bits - 1) * 8 + (ns >> (bits + 5) & 7);
	__asm__ volatile("" : "+r"(i)); /* the mask must come last: the verifier of 6.1 does not know the bounds of the "or" that clang makes */
	i = cgm_hist_guess[i & 255] & 127;
	return (__u32)i + (ns > cgm_hist_bounds[i]);
}

#endif
