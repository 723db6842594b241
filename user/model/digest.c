// SPDX-License-Identifier: Apache-2.0
#include "model/digest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/varint.h"

/* The first numbers have a bucket each; then each power of two is cut into 1 << CGM_DIGEST_BITS equal parts. */
static unsigned bucket_of(uint64_t v)
{
	unsigned shift;

	if (v < 2u << CGM_DIGEST_BITS)
		return (unsigned)v;
	shift = 63 - (unsigned)__builtin_clzll(v) - CGM_DIGEST_BITS;
	return (shift << CGM_DIGEST_BITS) + (unsigned)(v >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2u << CGM_DIGEST_BITS)
		return bucket;
	shift = (bucket >> CGM_DIGEST_BITS) - 1;
	return ((uint64_t)(bucket - (shift << CGM_DIGEST_BITS)) << shift) + (1ULL << shift) / 2;
}

void cgm_digest_done(struct cgm_digest *d)
{
	free(d->pairs);
	*d = (struct cgm_digest){ 0 };
}

void cgm_digest_clear(struct cgm_digest *d)
{
	*d = (struct cgm_digest){ .pairs = d->pairs, .cap_pairs = d->cap_pairs };
}

static int reserve(struct cgm_digest *d, unsigned nr)
{
	unsigned cap = d->cap_pairs ? d->cap_pairs : 4;
	struct cgm_digest_pair *p;

	if (nr <= d->cap_pairs)
		return 0;
	while (cap < nr)
		cap += cap / 2;
	p = cgm_realloc(d->pairs, cap * sizeof(*p));
	if (!p)
		return -ENOMEM;
	d->pairs = p;
	d->cap_pairs = (uint16_t)cap;
	return 0;
}

/* Place of the bucket, or where it would be. */
static unsigned find(const struct cgm_digest *d, unsigned bucket)
{
	unsigned lo = 0, hi = d->nr_pairs;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (d->pairs[mid].bucket < bucket)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Chan's way to join two sums of squares; the deviation of one number is 0. */
static double joined(double a, double b, uint64_t nr_a, uint64_t sum_a, uint64_t nr_b, uint64_t sum_b)
{
	double d;

	if (!nr_a || !nr_b)
		return a + b;
	d = (double)sum_b / (double)nr_b - (double)sum_a / (double)nr_a;
	return a + b + d * d * (double)nr_a * (double)nr_b / (double)(nr_a + nr_b);
}

static uint64_t saturated(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

int cgm_digest_add(struct cgm_digest *d, uint64_t v)
{
	unsigned bucket = bucket_of(v), i = find(d, bucket);

	if (i == d->nr_pairs || d->pairs[i].bucket != bucket) {
		if (reserve(d, d->nr_pairs + 1u) < 0)
			return -ENOMEM;
		memmove(&d->pairs[i + 1], &d->pairs[i], (d->nr_pairs - i) * sizeof(*d->pairs));
		d->pairs[i] = (struct cgm_digest_pair){ .bucket = (uint16_t)bucket };
		d->nr_pairs++;
	}
	d->pairs[i].nr++;
	d->deviation = joined(d->deviation, 0, d->nr, d->sum, 1, v);
	d->nr++;
	d->sum = saturated(d->sum, v);
	d->max = MAX(d->max, v);
	return 0;
}

/* How many buckets both together have. */
static unsigned nr_together(const struct cgm_digest *a, const struct cgm_digest *b)
{
	unsigned nr = a->nr_pairs;

	for (unsigned i = 0, at = 0; i < b->nr_pairs; i++) {
		while (at < a->nr_pairs && a->pairs[at].bucket < b->pairs[i].bucket)
			at++;
		nr += at == a->nr_pairs || a->pairs[at].bucket != b->pairs[i].bucket;
	}
	return nr;
}

int cgm_digest_merge(struct cgm_digest *to, const struct cgm_digest *from)
{
	unsigned nr = nr_together(to, from), t = to->nr_pairs, f = from->nr_pairs;

	if (reserve(to, nr) < 0)
		return -ENOMEM;
	/* From the end, so that nothing is overwritten before it was moved. */
	for (unsigned i = nr; i-- > 0;) {
		struct cgm_digest_pair p = { 0 };
		int order = !t ? -1 : !f ? 1 : (int)to->pairs[t - 1].bucket - (int)from->pairs[f - 1].bucket;

		if (order >= 0)
			p = to->pairs[--t];
		if (order <= 0) {
			f--;
			p.bucket = from->pairs[f].bucket;
			p.nr += from->pairs[f].nr;
		}
		to->pairs[i] = p;
	}
	to->nr_pairs = (uint16_t)nr;
	to->deviation = joined(to->deviation, from->deviation, to->nr, to->sum, from->nr, from->sum);
	to->nr += from->nr;
	to->sum = saturated(to->sum, from->sum);
	to->max = MAX(to->max, from->max);
	return 0;
}

size_t cgm_digest_pack_room(const struct cgm_digest *d)
{
	return (5 + 2 * (size_t)d->nr_pairs) * CGM_MAX_VARINT;
}

uint8_t *cgm_digest_pack(const struct cgm_digest *d, uint8_t *p)
{
	unsigned before = 0;

	p = cgm_put_varint(p, d->nr);
	if (!d->nr)
		return p;
	p = cgm_put_varint(p, d->sum);
	p = cgm_put_varint(p, d->max);
	p = cgm_put_varint(p, (uint64_t)(sqrt(d->deviation / (double)d->nr) + 0.5));
	p = cgm_put_varint(p, d->nr_pairs);
	for (unsigned i = 0; i < d->nr_pairs; i++) {
		p = cgm_put_varint(p, d->pairs[i].bucket - before);
		p = cgm_put_varint(p, d->pairs[i].nr);
		before = d->pairs[i].bucket;
	}
	return p;
}

static void spread_join(struct cgm_spread *s, uint64_t nr, uint64_t sum, uint64_t max, double deviation)
{
	s->deviation = joined(s->deviation, deviation, s->nr, s->sum, nr, sum);
	s->nr += nr;
	s->sum = saturated(s->sum, sum);
	s->max = MAX(s->max, max);
}

void cgm_spread_add(struct cgm_spread *s, const struct cgm_digest *d)
{
	spread_join(s, d->nr, d->sum, d->max, d->deviation);
	for (unsigned i = 0; i < d->nr_pairs; i++)
		s->buckets[d->pairs[i].bucket] += d->pairs[i].nr;
}

const uint8_t *cgm_spread_add_packed(struct cgm_spread *s, const uint8_t *p)
{
	uint64_t nr, sum, max, std, nr_pairs, step, count, bucket = 0;

	p = cgm_get_varint(p, &nr);
	if (!nr)
		return p;
	p = cgm_get_varint(p, &sum);
	p = cgm_get_varint(p, &max);
	p = cgm_get_varint(p, &std);
	p = cgm_get_varint(p, &nr_pairs);
	spread_join(s, nr, sum, max, (double)std * (double)std * (double)nr);
	for (; nr_pairs; nr_pairs--) {
		p = cgm_get_varint(p, &step);
		p = cgm_get_varint(p, &count);
		bucket += step;
		if (bucket < CGM_DIGEST_BUCKETS)
			s->buckets[bucket] += (uint32_t)count;
	}
	return p;
}

/* The number that has the rank (from 1) in the sorted row of all. */
static double ranked(const struct cgm_spread *s, uint64_t rank)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < CGM_DIGEST_BUCKETS; i++) {
		seen += s->buckets[i];
		if (seen >= rank)
			return (double)MIN(middle_of(i), s->max);
	}
	return (double)s->max;
}

/*
 * As cAdvisor: rank p * (nr + 1), between two numbers in proportion; but never outside of the row. at() gives the number of a rank.
 */
static uint64_t percentile(uint64_t nr, double p, double (*at)(const void *arg, uint64_t rank), const void *arg)
{
	double rank = p * (double)(nr + 1), low, high;
	uint64_t whole = (uint64_t)rank;

	if (whole < 1)
		return (uint64_t)at(arg, 1);
	if (whole >= nr)
		return (uint64_t)at(arg, nr);
	low = at(arg, whole);
	high = at(arg, whole + 1);
	return (uint64_t)(low + (rank - (double)whole) * (high - low) + 0.5);
}

static double rank_in_spread(const void *arg, uint64_t rank)
{
	return ranked(arg, rank);
}

static double rank_in_array(const void *arg, uint64_t rank)
{
	return (double)((const uint64_t *)arg)[rank - 1];
}

void cgm_spread_percentiles(const struct cgm_spread *s, struct cgm_percentiles *ret)
{
	*ret = (struct cgm_percentiles){ .nr = s->nr, .max = s->max };
	if (!s->nr)
		return;
	ret->mean = (uint64_t)((double)s->sum / (double)s->nr + 0.5);
	ret->std = (uint64_t)(sqrt(s->deviation / (double)s->nr) + 0.5);
	ret->fifty = percentile(s->nr, 0.5, rank_in_spread, s);
	ret->ninety = percentile(s->nr, 0.9, rank_in_spread, s);
	ret->ninety_five = percentile(s->nr, 0.95, rank_in_spread, s);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void cgm_exact_percentiles(uint64_t *values, size_t nr, struct cgm_percentiles *ret)
{
	double sum = 0, squares = 0, mean;

	*ret = (struct cgm_percentiles){ .nr = nr };
	if (!nr)
		return;
	qsort(values, nr, sizeof(*values), by_value);
	for (size_t i = 0; i < nr; i++)
		sum += (double)values[i];
	mean = sum / (double)nr;
	for (size_t i = 0; i < nr; i++)
		squares += ((double)values[i] - mean) * ((double)values[i] - mean);
	ret->mean = (uint64_t)(mean + 0.5);
	ret->std = (uint64_t)(sqrt(squares / (double)nr) + 0.5);
	ret->max = values[nr - 1];
	ret->fifty = percentile(nr, 0.5, rank_in_array, values);
	ret->ninety = percentile(nr, 0.9, rank_in_array, values);
	ret->ninety_five = percentile(nr, 0.95, rank_in_array, values);
}
