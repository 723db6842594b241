// SPDX-License-Identifier: Apache-2.0
#include "sink/text.h"

#include <string.h>

#include "base/utf8.h"

static void put_hex(struct cgm_buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char text[] = { '\\', 'x', hex[c >> 4], hex[c & 15] };

	cgm_buf_put(b, text, sizeof(text));
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/*
 * Comma, blank and = are escaped by a backslash. A backslash itself has no escape, and stands for itself before anything else. Servers
 * differ in what they make of several: InfluxDB 1 looks at the last one alone, VictoriaMetrics takes them in pairs. So an odd run before
 * such a character gets one more, and one at the end, which InfluxDB cannot have there at all, is written as \x5c.
 */
void cgm_text_influxdb(struct cgm_buf *b, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	size_t backslashes = 0, len;

	for (; *p; p += len) {
		bool special = strchr(", =", *p) != NULL;

		len = cgm_utf8_len(p);
		if (special && backslashes % 2)
			cgm_buf_char(b, '\\');
		backslashes = *p == '\\' ? backslashes + 1 : 0;
		if (special)
			cgm_buf_char(b, '\\');
		if (*p == '\n')
			cgm_buf_lit(b, "\\n");
		else if (!len || is_control(*p))
			put_hex(b, *p);
		else
			cgm_buf_put(b, p, len);
		len = len ? len : 1;
	}
	if (backslashes && !b->failed) {
		b->len--;
		put_hex(b, '\\');
	}
}

/* Calls put for each character: len is 0 for a byte that is no UTF-8. */
static void each(struct cgm_buf *b, const char *value, void (*put)(struct cgm_buf *b, const unsigned char *p, size_t len))
{
	const unsigned char *p = (const unsigned char *)value;

	while (*p) {
		size_t len = cgm_utf8_len(p);

		put(b, p, len);
		p += len ? len : 1;
	}
}

/* : and | end the name and the value; # and , begin tags in some servers. */
static void put_statsd(struct cgm_buf *b, const unsigned char *p, size_t len)
{
	if (!len || *p == ' ' || is_control(*p) || strchr(":|#,", *p))
		cgm_buf_char(b, '_');
	else
		cgm_buf_put(b, p, len);
}

void cgm_text_statsd(struct cgm_buf *b, const char *value)
{
	each(b, value, put_statsd);
}

static void put_word(struct cgm_buf *b, const unsigned char *p, size_t len)
{
	if (*p == '\\')
		cgm_buf_lit(b, "\\\\");
	else if (!len || *p == ' ' || *p == '=' || is_control(*p))
		put_hex(b, *p);
	else
		cgm_buf_put(b, p, len);
}

void cgm_text_word(struct cgm_buf *b, const char *value)
{
	each(b, value, put_word);
}

static void put_utf8(struct cgm_buf *b, const unsigned char *p, size_t len)
{
	if (len)
		cgm_buf_put(b, p, len);
	else
		put_hex(b, *p);
}

void cgm_text_utf8(struct cgm_buf *b, const char *value)
{
	each(b, value, put_utf8);
}
