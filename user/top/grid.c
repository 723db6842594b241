// SPDX-License-Identifier: Apache-2.0
#include "top/grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>
#include <wctype.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define MAX_SIDE 1000

int cgm_grid_resize(struct cgm_grid *s, size_t width, size_t height)
{
	struct cgm_cell *v;

	width = MIN(MAX(width, 1UL), (size_t)MAX_SIDE);
	height = MIN(MAX(height, 1UL), (size_t)MAX_SIDE);
	v = cgm_calloc(width * height, sizeof(*v));
	if (!v)
		return -ENOMEM;
	free(s->v);
	s->v = v;
	s->width = width;
	s->height = height;
	cgm_grid_clear(s);
	return 0;
}

void cgm_grid_clear(struct cgm_grid *s)
{
	for (size_t i = 0; i < s->width * s->height; i++)
		s->v[i] = (struct cgm_cell){.c = ' ', .style = CGM_STYLE_PLAIN};
}

void cgm_grid_done(struct cgm_grid *s)
{
	free(s->v);
	*s = (struct cgm_grid){0};
}

void cgm_grid_put(struct cgm_grid *s, size_t x, size_t y, enum cgm_style style, uint32_t c)
{
	if (x < s->width && y < s->height)
		s->v[y * s->width + x] = (struct cgm_cell){.c = c, .style = (uint8_t)style};
}

void cgm_grid_style(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style)
{
	for (size_t i = x; y < s->height && i < s->width && i - x < width; i++)
		s->v[y * s->width + i].style = (uint8_t)style;
}

uint32_t cgm_grid_eighths(const struct cgm_grid *s, unsigned eighths)
{
	static const char ascii[] = " .:-=+*%#";

	eighths = MIN(eighths, 8U);
	if (s->ascii)
		return (uint32_t)ascii[eighths];
	return eighths ? 0x2580 + eighths : ' ';
}

/* ---- text ---- */

/* One character of UTF-8 as RFC 3629 has it (no surrogates, no overlong forms). Returns its bytes; 0: none. */
static size_t decode(const unsigned char *p, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	uint32_t c = len == 1 ? p[0] : p[0] & (0x7fU >> len);

	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (!len || c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* Marks and embeddings of the direction of writing: a name could show itself as another. */
static bool turns_direction(uint32_t c)
{
	return c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* The next thing to be shown of a text: a character as it is, or an escape. */
struct glyph {
	uint32_t c; /* 0: text is shown */
	char text[16];
	size_t bytes, columns; /* of the text; on the screen */
};

static struct glyph next_glyph(const char *text, bool ascii)
{
	const unsigned char *p = (const unsigned char *)text;
	struct glyph g = {0};
	uint32_t c = 0;
	int columns;

	g.bytes = decode(p, &c);
	if (!g.bytes) {
		g.bytes = 1;
		g.columns = (size_t)snprintf(g.text, sizeof(g.text), "\\x%02x", p[0]);
		return g;
	}
	columns = c < 127 ? c >= 32 : ascii || turns_direction(c) || !iswprint((wint_t)c) ? 0 : wcwidth((wchar_t)c);
	if (columns > 0) {
		g.c = c;
		g.columns = (size_t)columns;
		return g;
	}
	g.columns = (size_t)snprintf(g.text, sizeof(g.text), c < 128 ? "\\x%02x" : "\\u{%x}", c);
	return g;
}

static size_t columns_of(const char *text, bool ascii)
{
	size_t sum = 0;

	while (*text) {
		struct glyph g = next_glyph(text, ascii);

		sum += g.columns;
		text += g.bytes;
	}
	return sum;
}

static void put_glyph(struct cgm_grid *s, size_t x, size_t y, enum cgm_style style, const struct glyph *g)
{
	for (size_t i = 0; i < g->columns; i++) {
		uint32_t c = g->c ? g->c : (unsigned char)g->text[i];

		cgm_grid_put(s, x + i, y, style, g->c && i ? 0 : c);
	}
}

/* As many whole glyphs as fit. Returns the columns. */
static size_t put_glyphs(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text)
{
	size_t used = 0;

	while (*text) {
		struct glyph g = next_glyph(text, s->ascii);

		if (used + g.columns > width)
			break;
		put_glyph(s, x + used, y, style, &g);
		used += g.columns;
		text += g.bytes;
	}
	return used;
}

static size_t room(const struct cgm_grid *s, size_t x, size_t y, size_t width)
{
	return x < s->width && y < s->height ? MIN(width, s->width - x) : 0;
}

size_t cgm_grid_text(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text)
{
	size_t used;

	width = room(s, x, y, width);
	if (!width || columns_of(text, s->ascii) <= width)
		return put_glyphs(s, x, y, width, style, text);
	used = put_glyphs(s, x, y, width - 1, style, text);
	cgm_grid_put(s, x + used, y, style, '~');
	return used + 1;
}

size_t cgm_grid_text_tail(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text)
{
	size_t all = columns_of(text, s->ascii);

	width = room(s, x, y, width);
	if (!width || all <= width)
		return put_glyphs(s, x, y, width, style, text);
	while (all > width - 1) {
		struct glyph g = next_glyph(text, s->ascii);

		all -= g.columns;
		text += g.bytes;
	}
	cgm_grid_put(s, x, y, style, '~');
	return 1 + put_glyphs(s, x + 1, y, width - 1, style, text);
}

size_t cgm_grid_printf(struct cgm_grid *s, size_t x, size_t y, enum cgm_style style, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cgm_grid_text(s, x, y, SIZE_MAX, style, text);
}

void cgm_grid_right(struct cgm_grid *s, size_t x, size_t y, size_t width, enum cgm_style style, const char *text)
{
	size_t len = strlen(text);

	cgm_grid_text(s, x + (len < width ? width - len : 0), y, width, style, text);
}

const char *cgm_text_visible(const char *text, bool ascii, char *buf, size_t size)
{
	size_t at = 0;

	while (*text) {
		struct glyph g = next_glyph(text, ascii);
		size_t len = g.c ? g.bytes : g.columns;

		if (at + len >= size)
			break;
		memcpy(buf + at, g.c ? text : g.text, len);
		at += len;
		text += g.bytes;
	}
	buf[at] = '\0';
	return buf;
}
