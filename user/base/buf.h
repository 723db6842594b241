/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer for text that is written fast: metrics and JSON. An allocation that fails marks the buffer
 * (failed) and makes every later write a no-op, so that a renderer checks once, at its end. Not for two threads at once.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cgm_buf {
	char *p;
	size_t len, cap;
	bool failed;
};

/* Makes room for extra bytes more. False, and the buffer is marked, when out of memory. */
bool cgm_buf_reserve_slow(struct cgm_buf *b, size_t extra);
void cgm_buf_done(struct cgm_buf *b);
/* Gives back the room that is not used. */
void cgm_buf_fit(struct cgm_buf *b);
void cgm_buf_u64(struct cgm_buf *b, uint64_t v);
void cgm_buf_i64(struct cgm_buf *b, int64_t v);
/* v / 10^digits, with the trailing zeros of the fraction cut: (1500000000, 9) is 1.5, (2000000000, 9) is 2. */
void cgm_buf_fixed(struct cgm_buf *b, uint64_t v, unsigned digits);
/*
 * The shortest decimal that reads back as v, never with an exponent, whole numbers without a point: 2000, 0.05263157894736842, -0. NaN, Inf, -Inf. As Go's
 * strconv.FormatFloat(v, 'f', -1, 64), but for "+Inf".
 */
void cgm_buf_f64(struct cgm_buf *b, double v);
void cgm_buf_printf(struct cgm_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cgm_buf_vprintf(struct cgm_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static inline bool cgm_buf_reserve(struct cgm_buf *b, size_t extra)
{
	return b->cap - b->len >= extra || cgm_buf_reserve_slow(b, extra);
}

static inline void cgm_buf_put(struct cgm_buf *b, const void *p, size_t len)
{
	if (!len || !cgm_buf_reserve(b, len))
		return;
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

static inline void cgm_buf_str(struct cgm_buf *b, const char *s)
{
	cgm_buf_put(b, s, strlen(s));
}

static inline void cgm_buf_char(struct cgm_buf *b, char c)
{
	cgm_buf_put(b, &c, 1);
}

#define cgm_buf_lit(b, literal) cgm_buf_put(b, literal, sizeof(literal) - 1)
