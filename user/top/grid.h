/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A screen's content before it is one: a rectangle of characters with styles. Rendering writes here, so that it can be tested without a
 * terminal; screen.c brings it there. One thread. Text may be anything: what does not print is shown escaped and takes a known width.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cgm_style {
	CGM_STYLE_PLAIN,
	CGM_STYLE_DIM,
	CGM_STYLE_BOLD,
	CGM_STYLE_HEAD,	  /* the line of titles */
	CGM_STYLE_SORTED, /* a title that is sorted by */
	CGM_STYLE_SELECTED,
	CGM_STYLE_GOOD,
	CGM_STYLE_WARN,
	CGM_STYLE_BAD,
	CGM_STYLE_BAR,
	CGM_NR_STYLES,
};

struct cgm_cell {
	uint32_t c; /* a character of Unicode; 0: the right half of the one before */
	uint8_t style;
};

struct cgm_grid {
	size_t width, height;
	bool ascii;	    /* the terminal shows nothing else */
	struct cgm_cell *v; /* line after line */
};

/* Makes it so big, all blank. 0 or -ENOMEM (then it is as before). Sizes of 0 and above 1000 are cut. */
int cgm_grid_resize(struct cgm_grid *s, size_t width, size_t height);
void cgm_grid_clear(struct cgm_grid *s);
void cgm_grid_done(struct cgm_grid *s);

/*
 * Writes text from (x, y) on, at most width columns, and not beyond the right edge. Returns how many columns it took. A text that does not
 * fit ends (or, _tail, begins) with "~". Control characters, characters without a width of their own, those that turn the direction of
 * writing, and bytes that are no UTF-8 are written as \xNN or \u{NNNN}; with s->ascii all that is not ASCII.
 */
size_t cgm_grid_text(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text);
size_t cgm_grid_text_tail(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text);
/* printf; the result is cut at 400 bytes. */
size_t cgm_grid_printf(struct cgm_grid *s, size_t x, size_t y, enum cgm_style style, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* ASCII, flush right in width columns. */
void cgm_grid_right(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text);
void cgm_grid_put(struct cgm_grid *s, size_t x, size_t y, enum cgm_style style, uint32_t c);
/* Gives a line's cells from x on that style. */
void cgm_grid_style(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style);
/* A column of so many eighths, from 0 to 8, as one character. */
uint32_t cgm_grid_eighths(const struct cgm_grid *s, unsigned eighths);

/* The text as cgm_grid_text() would show it without a limit of width, for output that is no screen: into buf, cut at size. Returns buf. */
const char *cgm_text_visible(const char *text, bool ascii, char *buf, size_t size);
