/* SPDX-License-Identifier: Apache-2.0 */
/* A stream read to its end, each piece by itself as the server does it, and what it says. */
#pragma once
#include <errno.h>
#include <jansson.h>

#include "output/json.h"
#include "synthetic.h"

/* 0 with the text appended, or -ENOMEM. Takes the stream. */
static inline int stream_drain(struct cgm_stream *stream, struct cgm_buf *text)
{
	_cleanup_(cgm_stream_freep) struct cgm_stream *s = stream;
	_cleanup_(cgm_buf_done) struct cgm_buf piece = { 0 };
	int r = 1;

	while (s && r > 0) {
		piece.len = 0;
		r = s->next(s, &piece);
		cgm_buf_put(text, piece.p, piece.len);
	}
	return !s || text->failed ? -ENOMEM : r;
}

static inline json_t *stream_json(struct cgm_stream *stream)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	json_error_t e;
	json_t *j;

	assert_non_null(stream);
	assert_int_equal(stream_drain(stream, &text), 0);
	j = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		fail_msg("%s at %d: %.300s", e.text, e.position, text.p);
	return j;
}

static inline json_int_t element(const json_t *array, size_t i)
{
	const json_t *j = json_array_get(array, i);

	if (!json_is_integer(j))
		fail_msg("element %zu is no integer", i);
	return json_integer_value(j);
}
