/* SPDX-License-Identifier: Apache-2.0 */
/* Made-up feeds, models and screens for the tests of user/top. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "top/draw.h"
#include "top/model.h"
#include "top/view.h"

#define SECOND_NS 1000000000ULL
#define TIME_NS 1790000000000000000ULL /* 2026-09-21T14:13:20Z */

/* A feed of these paths (sorted, "/" first) with zeroed counters, so many seconds after the beginning. */
static inline _unused_ struct cgm_feed top_feed(const char *const *names, size_t nr, unsigned seconds)
{
	struct cgm_feed f = {.time_ns = TIME_NS + seconds * SECOND_NS, .mono_ns = (1 + seconds) * SECOND_NS, .nr_rows = nr, .cap_rows = nr};
	size_t bytes = 0, at = 0;

	for (size_t i = 0; i < nr; i++)
		bytes += strlen(names[i]) + 1;
	f.names = malloc(bytes);
	f.rows = calloc(nr, sizeof(*f.rows));
	assert_true(f.names && f.rows);
	for (size_t i = 0; i < nr; i++) {
		size_t len = strlen(names[i]) + 1;

		memcpy(f.names + at, names[i], len);
		f.rows[i].name = f.names + at;
		at += len;
		for (size_t k = 1; k < i; k++) {
			size_t parent = strlen(names[k]);

			if (strncmp(names[k], names[i], parent) == 0 && names[i][parent] == '/')
				f.rows[i].parent = (uint32_t)k;
		}
	}
	return f;
}

static inline _unused_ void top_push(struct cgm_model *m, struct cgm_feed f)
{
	assert_int_equal(cgm_model_push(m, &f), 0);
	assert_null(f.rows);
}

/* The line's text, without blanks at its end, as UTF-8; good until the next call. */
static inline _unused_ const char *top_line(const struct cgm_grid *c, size_t y)
{
	static char text[8192];
	size_t at = 0;

	for (size_t x = 0; x < c->width; x++) {
		uint32_t v = c->v[y * c->width + x].c;

		if (v >= 0x10000)
			at += (size_t)snprintf(
				text + at, 5, "%c%c%c%c", 0xf0 | v >> 18, 0x80 | (v >> 12 & 63), 0x80 | (v >> 6 & 63), 0x80 | (v & 63));
		else if (v >= 0x800)
			at += (size_t)snprintf(text + at, 4, "%c%c%c", 0xe0 | v >> 12, 0x80 | (v >> 6 & 63), 0x80 | (v & 63));
		else if (v >= 0x80)
			at += (size_t)snprintf(text + at, 3, "%c%c", 0xc0 | v >> 6, 0x80 | (v & 63));
		else if (v)
			text[at++] = (char)v;
	}
	while (at && text[at - 1] == ' ')
		at--;
	text[at] = '\0';
	return text;
}

/* The number of the line that contains the text, SIZE_MAX: none. */
static inline _unused_ size_t top_find(const struct cgm_grid *c, const char *text)
{
	for (size_t y = 0; y < c->height; y++)
		if (strstr(top_line(c, y), text))
			return y;
	return SIZE_MAX;
}

static inline _unused_ void top_cells(struct cgm_grid *c, size_t width, size_t height)
{
	*c = (struct cgm_grid){0};
	assert_int_equal(cgm_grid_resize(c, width, height), 0);
}

static inline _unused_ int top_setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}
