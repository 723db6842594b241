// SPDX-License-Identifier: Apache-2.0
#include "sink/answer.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/protobuf.h"

uint64_t cgm_answer_influxdb_dropped(const char *text, size_t len, uint64_t nr_points)
{
	static const char partial[] = "partial write", key[] = "dropped=";
	const char *p = len ? memmem(text, len, partial, sizeof(partial) - 1) : NULL;
	struct cgm_str number = { 0 };
	uint64_t dropped = 0;

	if (!p)
		return nr_points;
	for (; (p = memmem(p, len - (size_t)(p - text), key, sizeof(key) - 1)); p += sizeof(key) - 1)
		number = (struct cgm_str){ p + sizeof(key) - 1, 0 }; /* the last one: the texts before may quote our names */
	while (number.p && number.p + number.len < text + len && isdigit((unsigned char)number.p[number.len]))
		number.len++;
	if (!number.p || cgm_parse_u64(number, &dropped) < 0 || !dropped)
		dropped = 1;
	return MIN(dropped, nr_points);
}

static int read_partial(struct cgm_str message, uint64_t *rejected, char *text, size_t size)
{
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&message, &f)) > 0) {
		if (f.number == 1 && f.wire == CGM_PB_VARINT)
			*rejected = f.value > INT64_MAX ? 0 : f.value; /* it is signed */
		if (f.number == 2 && f.wire == CGM_PB_BYTES)
			snprintf(text, size, "%.*s", (int)MIN(f.bytes.len, size), f.bytes.p);
	}
	return r;
}

int cgm_answer_otlp(const char *bytes, size_t len, uint64_t *ret_rejected, char *text, size_t size)
{
	struct cgm_str rest = { bytes, len };
	uint64_t rejected = 0;
	struct cgm_pb_field f;
	int r;

	text[0] = '\0';
	while ((r = cgm_pb_next(&rest, &f)) > 0)
		if (f.number == 1 && f.wire == CGM_PB_BYTES && read_partial(f.bytes, &rejected, text, size) < 0)
			return -EINVAL;
	if (r < 0)
		return r;
	for (char *p = text; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	*ret_rejected = rejected;
	return 0;
}
