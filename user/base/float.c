// SPDX-License-Identifier: Apache-2.0
/*
 * The shortest decimal that reads back as the same double, and of those the nearest: Raffaello Giulietti's Schubfach ("The Schubfach way to render
 * doubles", 2020), one multiplication by a power of ten for each of the number and the ends of its rounding interval. The powers, 126 bits each, are computed at
 * first use.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define FIRST_POWER (-292)
#define LAST_POWER 324
#define NR_POWERS (LAST_POWER - FIRST_POWER + 1)
#define WORDS 40 /* of 32 bits: more than 10^324 needs (1077 bits), and than 10^-292 with 126 bits behind it */
#define MASK63 (UINT64_MAX >> 1)

/* floor(10^k * 2^r) + 1 with r such that it has 126 bits; high: the upper 63, low: the lower 63. */
static struct power {
	uint64_t high, low;
} powers[NR_POWERS];

/* The upper 126 bits of a number of words, lowest first. */
static struct power upper_bits(const uint32_t words[WORDS])
{
	unsigned __int128 v = 0;
	int bits, top = WORDS - 1;

	while (!words[top])
		top--;
	bits = top * 32 + 32 - __builtin_clz(words[top]);
	for (int i = 0; i < 126; i++) {
		int bit = bits - 1 - i;

		v = v << 1 | (bit >= 0 ? words[bit / 32] >> (bit % 32) & 1 : 0);
	}
	v++;
	return (struct power){ (uint64_t)(v >> 63), (uint64_t)v & MASK63 };
}

static void compute_powers(void)
{
	uint32_t words[WORDS] = { 1 };

	for (int k = 0; k <= LAST_POWER; k++) {
		uint64_t carry = 0;

		powers[k - FIRST_POWER] = upper_bits(words);
		for (int i = 0; i < WORDS; i++, carry >>= 32) {
			carry += (uint64_t)words[i] * 10;
			words[i] = (uint32_t)carry;
		}
	}
	/* 2^n / 10 / 10 …: cutting after each division is cutting once. */
	memset(words, 0, sizeof(words));
	words[WORDS - 1] = 1U << 31;
	for (int k = -1; k >= FIRST_POWER; k--) {
		uint64_t rest = 0;

		for (int i = WORDS - 1; i >= 0; i--) {
			rest = rest << 32 | words[i];
			words[i] = (uint32_t)(rest / 10);
			rest %= 10;
		}
		powers[k - FIRST_POWER] = upper_bits(words);
	}
}

static int floor_log10_pow2(int e)
{
	return (int)((int64_t)e * 661971961083 >> 41);
}

static int floor_log10_three_quarters_pow2(int e)
{
	return (int)(((int64_t)e * 661971961083 - 274743187321) >> 41);
}

static int floor_log2_pow10(int e)
{
	return (int)((int64_t)e * 913124641741 >> 38);
}

static uint64_t multiply_high(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b >> 64);
}

/* The product's upper part, its last bit set when anything lies below. */
static uint64_t round_to_odd(const struct power *g, uint64_t c)
{
	uint64_t x1 = multiply_high(g->low, c), y0 = g->high * c, y1 = multiply_high(g->high, c);
	uint64_t z = (y0 >> 1) + x1, w = y1 + (z >> 63);

	return w | ((z & MASK63) + MASK63) >> 63;
}

/* v = digits * 10^exponent; bits: of a double above 0. */
static uint64_t shortest(uint64_t bits, int *ret_exponent)
{
	uint64_t fraction = bits & (((uint64_t)1 << 52) - 1), biased = bits >> 52, c, cb, lower, upper, vb, s, t, out;
	int q, k, h;
	bool narrow;
	const struct power *g;

	c = biased ? fraction | (uint64_t)1 << 52 : fraction;
	q = biased ? (int)biased - 1075 : -1074;
	narrow = biased > 1 && !fraction; /* the neighbour below is nearer */
	out = c & 1;
	cb = c << 2;
	k = narrow ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
	h = q + floor_log2_pow10(-k) + 2;
	g = &powers[-k - FIRST_POWER];
	vb = round_to_odd(g, cb << h);
	lower = round_to_odd(g, (cb - (narrow ? 1 : 2)) << h) + out;
	upper = round_to_odd(g, (cb + 2) << h) - out;
	s = vb >> 2;
	*ret_exponent = k;
	if (s >= 10) {
		uint64_t s10 = s / 10 * 10, t10 = s10 + 10;
		bool s_in = lower <= s10 << 2, t_in = t10 << 2 <= upper;

		if (s_in != t_in)
			return s_in ? s10 : t10;
	}
	t = s + 1;
	if ((lower <= s << 2) != (t << 2 <= upper))
		return lower <= s << 2 ? s : t;
	return vb < (s + t) << 1 || (vb == (s + t) << 1 && !(s & 1)) ? s : t;
}

static void put_zeros(struct cgm_buf *b, int nr)
{
	for (; nr > 0; nr--)
		cgm_buf_char(b, '0');
}

/* digits * 10^exponent, without an exponent. */
static void put_decimal(struct cgm_buf *b, uint64_t digits, int exponent)
{
	char text[24], *end = text + sizeof(text), *p = end;
	int nr;

	for (; digits % 10 == 0; digits /= 10)
		exponent++;
	for (; digits; digits /= 10)
		*--p = (char)('0' + digits % 10);
	nr = (int)(end - p);
	if (exponent >= 0) {
		cgm_buf_put(b, p, (size_t)nr);
		put_zeros(b, exponent);
	} else if (-exponent < nr) {
		cgm_buf_put(b, p, (size_t)nr - (size_t)-exponent);
		cgm_buf_char(b, '.');
		cgm_buf_put(b, end + exponent, (size_t)-exponent);
	} else {
		cgm_buf_lit(b, "0.");
		put_zeros(b, -exponent - nr);
		cgm_buf_put(b, p, (size_t)nr);
	}
}

void cgm_buf_f64(struct cgm_buf *b, double v)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t bits, digits;
	int exponent;

	if (isnan(v)) {
		cgm_buf_lit(b, "NaN");
		return;
	}
	if (signbit(v)) {
		cgm_buf_char(b, '-');
		v = -v;
	}
	if (isinf(v)) {
		cgm_buf_lit(b, "Inf");
		return;
	}
	if (v < 9007199254740992.0 && v == (double)(uint64_t)v) {
		cgm_buf_u64(b, (uint64_t)v);
		return;
	}
	pthread_once(&once, compute_powers);
	memcpy(&bits, &v, sizeof(bits));
	digits = shortest(bits, &exponent);
	put_decimal(b, digits, exponent);
}
