/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol Buffers on the wire. Three parts: single fields written in place (the caller has made room), messages written into a buffer, and
 * a reader for what others sent, which is checked byte by byte. A tag here is one byte: field numbers up to 15. Any thread.
 */
#pragma once
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/varint.h"

enum cgm_pb_wire { CGM_PB_VARINT = 0, CGM_PB_FIXED64 = 1, CGM_PB_BYTES = 2, CGM_PB_FIXED32 = 5 };
#define CGM_PB_TAG(number, wire) ((number) << 3 | (wire))

/* ---- in place; each returns the end of what it wrote ---- */

static inline char *cgm_pb_put_varint(char *p, uint64_t v)
{
	return (char *)cgm_put_varint((uint8_t *)p, v);
}

static inline size_t cgm_pb_varint_len(uint64_t v)
{
	return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

/* Signed: small numbers of either sign are short. */
static inline uint64_t cgm_pb_zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
}

static inline char *cgm_pb_put_bytes(char *p, uint8_t tag, const char *s, size_t len)
{
	*p++ = (char)tag;
	p = cgm_pb_put_varint(p, len);
	memcpy(p, s, len);
	return p + len;
}

static inline char *cgm_pb_put_count(char *p, uint8_t tag, uint64_t v)
{
	*p++ = (char)tag;
	return cgm_pb_put_varint(p, v);
}

static inline char *cgm_pb_put_fixed64(char *p, uint8_t tag, uint64_t v)
{
	v = htole64(v);
	*p++ = (char)tag;
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline char *cgm_pb_put_double(char *p, uint8_t tag, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return cgm_pb_put_fixed64(p, tag, bits);
}

/* ---- into a buffer ---- */

/*
 * A message inside a message: begin writes the tag and keeps a byte for the length; what is written until end, which gets what begin
 * returned, is the message. It is moved when its length takes more bytes, so nest the small in the large.
 */
size_t cgm_pb_begin(struct cgm_buf *b, uint8_t tag);
void cgm_pb_end(struct cgm_buf *b, size_t mark);
void cgm_pb_text(struct cgm_buf *b, uint8_t tag, const char *text, size_t len);
void cgm_pb_count(struct cgm_buf *b, uint8_t tag, uint64_t v);
void cgm_pb_fixed64(struct cgm_buf *b, uint8_t tag, uint64_t v);
void cgm_pb_double(struct cgm_buf *b, uint8_t tag, double v);

/* ---- reading ---- */

struct cgm_pb_field {
	uint32_t number;
	enum cgm_pb_wire wire;
	uint64_t value; /* VARINT, FIXED64, FIXED32 */
	struct cgm_str bytes; /* BYTES: a part of what is read */
};
/* Cuts the next field off *rest. 1; 0 at the end; -EINVAL when it is no field or is cut short. */
int cgm_pb_next(struct cgm_str *rest, struct cgm_pb_field *ret);
