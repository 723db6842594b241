/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as bytes of seven bits, the lowest first; the eighth bit says that more follow. Nothing is checked: for bytes that we wrote. */
#pragma once
#include <stdint.h>

#define CGM_MAX_VARINT 10

static inline uint8_t *cgm_put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)v | 0x80;
	*p++ = (uint8_t)v;
	return p;
}

static inline const uint8_t *cgm_get_varint(const uint8_t *p, uint64_t *ret)
{
	uint64_t v = *p & 0x7f;

	for (unsigned shift = 7; *p++ & 0x80; shift += 7)
		v |= (uint64_t)(*p & 0x7f) << shift;
	*ret = v;
	return p;
}
