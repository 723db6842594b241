// SPDX-License-Identifier: Apache-2.0
#include "kube/quantity.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_EXPONENT 100000 /* either way: beyond, it is 0 or too much in any case */
#define MAX_DIGITS ((wide_t)1 << 120) /* 36 digits fit in any case; Kubernetes keeps nothing below 10^-9 */

typedef unsigned __int128 wide_t;

/* A number as digits × 10^exponent × 2^shift. */
struct number {
	wide_t digits;
	int exponent;
	unsigned shift;
	bool more; /* digits beyond those that fit were not 0; they count as a little more than nothing */
};

/* "12.5" off *s. */
static int read_digits(struct cgm_str *s, struct number *n)
{
	size_t nr = 0;
	bool fraction = false;

	for (; s->len; s->p++, s->len--) {
		char c = *s->p;

		if (c == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (c < '0' || c > '9')
			break;
		nr++;
		if (n->digits < MAX_DIGITS) {
			n->digits = n->digits * 10 + (wide_t)(c - '0');
			n->exponent -= fraction;
		} else {
			n->more |= c != '0';
			n->exponent += !fraction;
		}
	}
	return nr ? 0 : -EINVAL;
}

static int read_exponent(struct cgm_str s, struct number *n)
{
	bool negative = s.len && *s.p == '-';
	uint64_t v;

	if (negative || (s.len && *s.p == '+')) {
		s.p++;
		s.len--;
	}
	if (cgm_parse_u64(s, &v) < 0)
		return -EINVAL;
	n->exponent += negative ? -(int)MIN(v, MAX_EXPONENT) : (int)MIN(v, MAX_EXPONENT);
	return 0;
}

static int read_suffix(struct cgm_str s, struct number *n)
{
	static const struct {
		char name[4];
		int exponent;
		unsigned shift;
	} table[] = {
		{ "", 0, 0 }, { "n", -9, 0 }, { "u", -6, 0 }, { "m", -3, 0 }, { "k", 3, 0 }, { "M", 6, 0 }, { "G", 9, 0 }, { "T", 12, 0 }, { "P", 15, 0 }, { "E", 18, 0 },
		{ "Ki", 0, 10 }, { "Mi", 0, 20 }, { "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (cgm_str_eq(s, table[i].name)) {
			n->exponent += table[i].exponent;
			n->shift = table[i].shift;
			return 0;
		}
	if (!s.len || (*s.p != 'e' && *s.p != 'E'))
		return -EINVAL;
	return read_exponent((struct cgm_str){ s.p + 1, s.len - 1 }, n);
}

/* 256 bits, the lowest first: digits have 124 at most, a suffix adds 60. */
struct big {
	uint32_t limb[8];
};

static void multiply(struct big *b, uint32_t by)
{
	uint64_t carry = 0;

	for (size_t i = 0; i < ARRAY_SIZE(b->limb); i++) {
		carry += (uint64_t)b->limb[i] * by;
		b->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static uint32_t divide(struct big *b, uint32_t by)
{
	uint64_t rest = 0;

	for (size_t i = ARRAY_SIZE(b->limb); i-- > 0;) {
		rest = rest << 32 | b->limb[i];
		b->limb[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	return (uint32_t)rest;
}

static bool above(const struct big *b, size_t limb)
{
	for (size_t i = limb; i < ARRAY_SIZE(b->limb); i++)
		if (b->limb[i])
			return true;
	return false;
}

/* Up to the next whole number. */
static int64_t whole(const struct number *n)
{
	struct big b = { { (uint32_t)n->digits, (uint32_t)(n->digits >> 32), (uint32_t)(n->digits >> 64), (uint32_t)(n->digits >> 96) } };
	bool rest = n->more;
	uint64_t v;

	for (unsigned i = 0; i < n->shift; i++)
		multiply(&b, 2);
	for (int e = n->exponent; e > 0 && above(&b, 0) && !above(&b, 2); e--)
		multiply(&b, 10);
	for (int e = n->exponent; e < 0 && above(&b, 0); e++)
		rest |= divide(&b, 10) != 0;
	v = (uint64_t)b.limb[1] << 32 | b.limb[0];
	if (above(&b, 2) || v >= INT64_MAX)
		return INT64_MAX;
	return (int64_t)(v + rest);
}

static int parse(struct cgm_str s, int exponent, int64_t *ret)
{
	struct number n = { .exponent = exponent };

	if (s.len && *s.p == '+') {
		s.p++;
		s.len--;
	}
	if (read_digits(&s, &n) < 0 || read_suffix(s, &n) < 0)
		return -EINVAL;
	*ret = whole(&n);
	return 0;
}

int cgm_quantity_milli(struct cgm_str s, int64_t *ret)
{
	return parse(s, 3, ret);
}

int cgm_quantity_units(struct cgm_str s, int64_t *ret)
{
	return parse(s, 0, ret);
}
