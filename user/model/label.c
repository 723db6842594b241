// SPDX-License-Identifier: Apache-2.0
#include "model/label.h"

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

size_t cgm_label_escape(char *dst, const char *value)
{
	static const char hex[] = "0123456789abcdef";
	char *out = dst;
	size_t len;

	for (const unsigned char *p = (const unsigned char *)value; *p; p += len) {
		len = cgm_utf8_len(p);
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
