/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that others wrote, pulled value by value out of memory, for the hot path: nothing is built, copied or allocated. The reader asks for what it
 * expects; a value of another kind is passed over and counted as bad, null is passed over in silence, and what is no JSON ends the reading: everything
 * asked for afterwards is not there, and cgm_scan_end says why. Linear in the text, nested at most CGM_SCAN_DEPTH deep. One thread.
 *
 *	if (cgm_scan_enter(&s, '{'))
 *		while (cgm_scan_key(&s, &key))
 *			if (CGM_SCAN_IS(key, "name")) cgm_scan_text(&s, d, &name); else cgm_scan_skip(&s);
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/parse.h"
#include "batch/draft.h"

#define CGM_SCAN_DEPTH 64
#define CGM_SCAN_MAX_TEXT 4096 /* bytes of a text that is taken; a longer one is bad */

struct cgm_scan {
	const char *begin, *p, *end;
	unsigned depth;
	const char *why; /* the first thing that was wrong; NULL: nothing was */
	size_t why_at; /* byte */
	uint64_t *nr_bad;
	char date[11]; /* of the last time that was read, and when that day began */
	uint64_t date_ns;
};

#define CGM_SCAN_IS(str, literal) ((str).len == sizeof(literal) - 1 && memcmp((str).p, literal, sizeof(literal) - 1) == 0)

void cgm_scan_init(struct cgm_scan *s, const char *text, size_t len, uint64_t *nr_bad);
/* Ends the reading: why stays. */
void cgm_scan_fail(struct cgm_scan *s, const char *why);
/* After the last value: nothing but blanks may follow. 0, or -EINVAL with fault (CGM_DECODE_FAULT bytes). */
int cgm_scan_end(struct cgm_scan *s, char *fault);

/* Goes into the object or the array ('{', '[') that comes next. False: it is something else, which is passed over. */
bool cgm_scan_enter(struct cgm_scan *s, char open);
/* The next member's key, as it is written (escapes and all); its value comes next. False: the object is over. */
bool cgm_scan_key(struct cgm_scan *s, struct cgm_str *ret);
/* Is there another element? It comes next. False: the array is over. */
bool cgm_scan_item(struct cgm_scan *s);
/* Passes over the value that comes next. */
void cgm_scan_skip(struct cgm_scan *s);

/* All below: false, and ret is untouched: it is something else, or nonsense. */
/* A whole number from 0; above 2^63-1 it is that. */
bool cgm_scan_count(struct cgm_scan *s, int64_t *ret);
/* The same of any sign. */
bool cgm_scan_integer(struct cgm_scan *s, int64_t *ret);
/* A number of any sign that may be large. */
bool cgm_scan_float(struct cgm_scan *s, double *ret);
bool cgm_scan_bool(struct cgm_scan *s, bool *ret);
/* RFC 3339, from 2000 to 2099, in ns since 1970. Go's zero time (year 1) is as null. */
bool cgm_scan_time(struct cgm_scan *s, uint64_t *ret_ns);
/* A text of good UTF-8 without control characters, copied. False also when out of memory (the draft is marked). */
bool cgm_scan_text(struct cgm_scan *s, struct cgm_draft *d, const char **ret);
/* The same of a key. */
bool cgm_scan_key_text(struct cgm_scan *s, struct cgm_draft *d, struct cgm_str key, const char **ret);
/* Is that text good UTF-8 without control characters? It must have a zero behind it. */
bool cgm_scan_is_clean(const char *text, size_t len);
/* The text as it is written, for a comparison with a literal. */
bool cgm_scan_raw(struct cgm_scan *s, struct cgm_str *ret);
