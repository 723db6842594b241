// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

bool cgm_buf_reserve_slow(struct cgm_buf *b, size_t extra)
{
	size_t cap = b->cap ? b->cap : 256;
	char *p;

	if (b->failed)
		return false;
	while (cap - b->len < extra)
		cap *= 2;
	p = cgm_realloc(b->p, cap);
	if (!p) {
		b->failed = true;
		b->len = 0;
		b->cap = 0;
		free(b->p);
		b->p = NULL;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void cgm_buf_done(struct cgm_buf *b)
{
	free(b->p);
	*b = (struct cgm_buf){ 0 };
}

void cgm_buf_fit(struct cgm_buf *b)
{
	char *p = b->p && b->len ? realloc(b->p, b->len) : NULL; /* to less: not an allocation that a test lets fail */

	if (!p)
		return;
	b->p = p;
	b->cap = b->len;
}

/* Digits of v backwards from end; returns where they begin. */
static char *digits_before(char *end, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869"
				    "707172737475767778798081828384858687888990919293949596979899";

	while (v >= 100) {
		unsigned d = (unsigned)(v % 100) * 2;

		v /= 100;
		*--end = pairs[d + 1];
		*--end = pairs[d];
	}
	if (v >= 10) {
		*--end = pairs[v * 2 + 1];
		*--end = pairs[v * 2];
	} else {
		*--end = (char)('0' + v);
	}
	return end;
}

void cgm_buf_u64(struct cgm_buf *b, uint64_t v)
{
	char text[20], *start = digits_before(text + sizeof(text), v);

	cgm_buf_put(b, start, (size_t)(text + sizeof(text) - start));
}

void cgm_buf_i64(struct cgm_buf *b, int64_t v)
{
	if (v < 0)
		cgm_buf_char(b, '-');
	cgm_buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void cgm_buf_fixed(struct cgm_buf *b, uint64_t v, unsigned digits)
{
	char text[24], *end = text + sizeof(text);
	uint64_t scale = 1, frac;

	for (unsigned i = 0; i < digits; i++)
		scale *= 10;
	cgm_buf_u64(b, v / scale);
	frac = v % scale;
	if (!frac)
		return;
	for (; frac % 10 == 0; digits--)
		frac /= 10;
	for (; digits; digits--, frac /= 10)
		*--end = (char)('0' + frac % 10);
	*--end = '.';
	cgm_buf_put(b, end, (size_t)(text + sizeof(text) - end));
}

void cgm_buf_vprintf(struct cgm_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	if (len >= 0 && cgm_buf_reserve(b, (size_t)len + 1)) {
		vsnprintf(b->p + b->len, (size_t)len + 1, fmt, again);
		b->len += (size_t)len;
	}
	va_end(again);
}

void cgm_buf_printf(struct cgm_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cgm_buf_vprintf(b, fmt, ap);
	va_end(ap);
}
