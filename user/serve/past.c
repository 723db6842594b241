// SPDX-License-Identifier: Apache-2.0
/* Points to buckets, as InfluxDB makes them: a percentile is the nearest point, the median of an even number the mean of two. */
#include "serve/past.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

int cgm_past_bad(int error, char *fault, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fault, CGM_SINK_FAULT, fmt, ap);
	va_end(ap);
	return error;
}

static double number(const struct cgm_past_point *p)
{
	return p->is_float ? p->f : (double)p->i;
}

static int by_value(const void *a, const void *b)
{
	const struct cgm_past_point *p = a, *q = b;

	if (!p->is_float && !q->is_float)
		return p->i < q->i ? -1 : p->i > q->i;
	return number(p) < number(q) ? -1 : number(p) > number(q);
}

static struct cgm_past_value of_point(const struct cgm_past_point *p)
{
	return (struct cgm_past_value){ true, p->is_float, p->i, p->f };
}

/* What was computed: an integer where integers gave one. */
static struct cgm_past_value of_number(double v, bool is_float)
{
	if (is_float || v != trunc(v) || fabs(v) > 9e15)
		return (struct cgm_past_value){ .there = true, .is_float = true, .f = v };
	return (struct cgm_past_value){ .there = true, .i = (int64_t)v };
}

static struct cgm_past_value average_of(const struct cgm_past_point *p, size_t nr)
{
	long double sum = 0;
	bool is_float = false;

	for (size_t i = 0; i < nr; i++) {
		sum += p[i].is_float ? (long double)p[i].f : (long double)p[i].i;
		is_float |= p[i].is_float;
	}
	return of_number((double)(sum / (long double)nr), is_float);
}

static struct cgm_past_value median_of(const struct cgm_past_point *sorted, size_t nr)
{
	const struct cgm_past_point *high = &sorted[nr / 2];

	if (nr % 2)
		return of_point(high);
	return average_of(high - 1, 2);
}

static struct cgm_past_value percentile_of(const struct cgm_past_point *sorted, size_t nr, unsigned percent)
{
	size_t rank = (nr * percent + 50) / 100;

	return of_point(&sorted[rank ? rank - 1 : 0]);
}

/* The points of one bucket: they are sorted by value. */
static void fill(const struct cgm_past_question *q, struct cgm_past_point *p, size_t nr, struct cgm_past_bucket *b)
{
	b->count = nr;
	b->values[CGM_PAST_AVERAGE] = average_of(p, nr);
	qsort(p, nr, sizeof(*p), by_value);
	b->values[CGM_PAST_MAX] = of_point(&p[nr - 1]);
	b->values[CGM_PAST_MIN] = of_point(&p[0]);
	b->values[CGM_PAST_MEDIAN] = median_of(p, nr);
	for (size_t i = 0; i < q->nr_percentiles; i++)
		b->percentiles[i] = percentile_of(p, nr, q->percentiles[i]);
}

static uint64_t bucket_of(const struct cgm_past_question *q, uint64_t time_ns)
{
	return q->bucket_ns ? time_ns - time_ns % q->bucket_ns : q->start_ns;
}

int cgm_past_aggregate(const struct cgm_past_question *q, const struct cgm_past_point *points, size_t nr, struct cgm_past_bucket **ret, size_t *ret_nr, char *fault)
{
	_cleanup_free_ struct cgm_past_point *copy = nr ? cgm_malloc(nr * sizeof(*copy)) : NULL;
	_cleanup_free_ struct cgm_past_bucket *buckets = NULL;
	size_t nr_buckets = 0, cap = 0, end;

	if (nr && !copy)
		return cgm_past_bad(-ENOMEM, fault, "out of memory");
	if (nr)
		memcpy(copy, points, nr * sizeof(*copy));
	for (size_t i = 0; i < nr; i = end) {
		uint64_t time_ns = bucket_of(q, copy[i].time_ns);

		for (end = i + 1; end < nr && bucket_of(q, copy[end].time_ns) == time_ns;)
			end++;
		if (nr_buckets == CGM_PAST_BUCKETS)
			return cgm_past_bad(-EFBIG, fault, "there are more than %zu buckets: ask for larger ones or a shorter time", CGM_PAST_BUCKETS);
		if (cgm_grow((void **)&buckets, &cap, nr_buckets, sizeof(*buckets)) < 0)
			return cgm_past_bad(-ENOMEM, fault, "out of memory");
		buckets[nr_buckets] = (struct cgm_past_bucket){ .time_ns = time_ns };
		fill(q, copy + i, end - i, &buckets[nr_buckets++]);
	}
	*ret_nr = nr_buckets;
	*ret = TAKE_PTR(buckets);
	return 0;
}
