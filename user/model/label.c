// SPDX-License-Identifier: Apache-2.0
#include "model/label.h"

#include <stdint.h>
#include <string.h>

/* Length of the UTF-8 sequence at p (no overlong forms, no surrogates, at most U+10FFFF); 0: not one. A zero ends p. */
static size_t utf8_len(const unsigned char *p)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		lo = 0xa0;
	if (p[0] == 0xed)
		hi = 0x9f;
	if (p[0] == 0xf0)
		lo = 0x90;
	if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t cgm_label_escape(char *dst, const char *value)
{
	static const char hex[] = "0123456789abcdef";
	char *out = dst;
	size_t len;

	for (const unsigned char *p = (const unsigned char *)value; *p; p += len) {
		len = utf8_len(p);
		if (len == 0) {
			const char text[] = { '\\', '\\', 'x', hex[*p >> 4], hex[*p & 15] };

			memcpy(out, text, sizeof(text));
			out += sizeof(text);
			len = 1;
		} else if (*p == '\\' || *p == '"' || *p == '\n') {
			*out++ = '\\';
			*out++ = *p == '\n' ? 'n' : (char)*p;
		} else {
			memcpy(out, p, len);
			out += len;
		}
	}
	return (size_t)(out - dst);
}
