// SPDX-License-Identifier: Apache-2.0
#include "base/protobuf.h"

#include <errno.h>

size_t cgm_pb_begin(struct cgm_buf *b, uint8_t tag)
{
	const char head[] = { (char)tag, 0 };

	cgm_buf_put(b, head, sizeof(head));
	return b->len;
}

void cgm_pb_end(struct cgm_buf *b, size_t mark)
{
	size_t len = b->len - mark, more;

	if (b->failed)
		return;
	more = cgm_pb_varint_len(len) - 1;
	if (!cgm_buf_reserve(b, more))
		return;
	if (more)
		memmove(b->p + mark + more, b->p + mark, len);
	cgm_pb_put_varint(b->p + mark - 1, len);
	b->len += more;
}

void cgm_pb_text(struct cgm_buf *b, uint8_t tag, const char *text, size_t len)
{
	if (cgm_buf_reserve(b, 1 + CGM_MAX_VARINT + len))
		b->len = (size_t)(cgm_pb_put_bytes(b->p + b->len, tag, text, len) - b->p);
}

void cgm_pb_count(struct cgm_buf *b, uint8_t tag, uint64_t v)
{
	if (cgm_buf_reserve(b, 1 + CGM_MAX_VARINT))
		b->len = (size_t)(cgm_pb_put_count(b->p + b->len, tag, v) - b->p);
}

void cgm_pb_fixed64(struct cgm_buf *b, uint8_t tag, uint64_t v)
{
	if (cgm_buf_reserve(b, 1 + sizeof(v)))
		b->len = (size_t)(cgm_pb_put_fixed64(b->p + b->len, tag, v) - b->p);
}

void cgm_pb_double(struct cgm_buf *b, uint8_t tag, double v)
{
	if (cgm_buf_reserve(b, 1 + sizeof(v)))
		b->len = (size_t)(cgm_pb_put_double(b->p + b->len, tag, v) - b->p);
}

static int read_varint(struct cgm_str *rest, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < CGM_MAX_VARINT && i < rest->len; i++) {
		uint8_t byte = (uint8_t)rest->p[i];

		if (i == CGM_MAX_VARINT - 1 && byte > 1)
			return -EINVAL; /* more than 64 bits */
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		rest->p += i + 1;
		rest->len -= i + 1;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

static int read_fixed(struct cgm_str *rest, size_t size, uint64_t *ret)
{
	uint64_t v = 0;

	if (rest->len < size)
		return -EINVAL;
	memcpy(&v, rest->p, size);
	*ret = le64toh(v);
	rest->p += size;
	rest->len -= size;
	return 0;
}

int cgm_pb_next(struct cgm_str *rest, struct cgm_pb_field *ret)
{
	struct cgm_pb_field f = { 0 };
	struct cgm_str s = *rest;
	uint64_t key;
	int r;

	if (!s.len)
		return 0;
	if (read_varint(&s, &key) < 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff)
		return -EINVAL;
	f.number = (uint32_t)(key >> 3);
	f.wire = (enum cgm_pb_wire)(key & 7);
	switch (f.wire) {
	case CGM_PB_VARINT:
		r = read_varint(&s, &f.value);
		break;
	case CGM_PB_FIXED64:
		r = read_fixed(&s, 8, &f.value);
		break;
	case CGM_PB_FIXED32:
		r = read_fixed(&s, 4, &f.value);
		break;
	case CGM_PB_BYTES:
		r = read_varint(&s, &f.value);
		if (r == 0 && f.value > s.len)
			r = -EINVAL;
		if (r < 0)
			break;
		f.bytes = (struct cgm_str){ s.p, (size_t)f.value };
		s.p += f.value;
		s.len -= (size_t)f.value;
		break;
	default:
		r = -EINVAL; /* groups are of the past */
	}
	if (r < 0)
		return r;
	*rest = s;
	*ret = f;
	return 1;
}
