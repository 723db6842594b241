// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <errno.h>
#include <stdint.h>

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

long cgm_unbase64(const char *text, size_t len, void *ret, size_t size)
{
	uint8_t *to = ret;
	size_t pad = 0, nr = 0;

	if (len % 4)
		return -EINVAL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	if (len / 4 * 3 - pad > size)
		return -ENOBUFS;
	for (size_t i = 0; i < len; i += 4) {
		uint32_t v = 0;
		size_t bytes = i + 4 == len ? 3 - pad : 3;

		for (size_t k = 0; k < 4; k++) {
			int digit = k > bytes ? 0 : base64_digit(text[i + k]);

			if (digit < 0)
				return -EINVAL;
			v = v << 6 | (uint32_t)digit;
		}
		if (v & ((1U << 8 * (3 - bytes)) - 1)) /* bits that no byte has */
			return -EINVAL;
		for (size_t k = 0; k < bytes; k++)
			to[nr++] = (uint8_t)(v >> (16 - 8 * k));
	}
	return (long)nr;
}
