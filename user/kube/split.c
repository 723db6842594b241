// SPDX-License-Identifier: Apache-2.0
#include "kube/split.h"

#include <errno.h>
#include <string.h>

void cgm_kube_split_done(struct cgm_kube_split *s)
{
	cgm_buf_done(&s->envelope);
	cgm_buf_done(&s->object);
}

static int keep(struct cgm_buf *b, size_t max_bytes, char c)
{
	if (b->len >= max_bytes)
		return -EFBIG;
	cgm_buf_char(b, c);
	return b->failed ? -ENOMEM : 0;
}

/* Within a text nothing counts but its end. */
static void in_string(struct cgm_kube_split *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == '"')
		s->in_string = false;
	if (s->in_string && s->depth == 1 && s->key_len < sizeof(s->key))
		s->key[s->key_len++] = c;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A byte outside of texts. False: a bracket too many. */
static bool note(struct cgm_kube_split *s, char c)
{
	if (c == '"') {
		s->in_string = true;
		if (s->depth == 1)
			s->key_len = 0;
	} else if (c == '{' || c == '[') {
		s->in_items |= s->list && c == '[' && s->depth == 1 && s->key_len == 5 && memcmp(s->key, "items", 5) == 0;
		s->depth++;
	} else if (c == '}' || c == ']') {
		return s->depth-- > 0;
	}
	return true;
}

static int object_byte(struct cgm_kube_split *s, char c, unsigned outside)
{
	int r = keep(&s->object, s->max_bytes, c);

	if (r < 0 || s->depth > outside)
		return r;
	s->in_object = false;
	r = s->on_object(s->arg, s->object.p, s->object.len);
	s->object.len = 0;
	return r;
}

static int byte(struct cgm_kube_split *s, char c)
{
	unsigned outside = s->list ? 2 : 0; /* the depth between objects */
	bool between = !s->in_string && !s->in_object && (!s->list || (s->in_items && s->depth == 2));

	if (s->in_string)
		in_string(s, c);
	else if (!note(s, c))
		return -EINVAL;
	if (s->in_object)
		return object_byte(s, c, outside);
	if (!between)
		return s->list ? keep(&s->envelope, s->max_bytes, c) : -EINVAL;
	if (c == '{') {
		s->in_object = true;
		return keep(&s->object, s->max_bytes, c);
	}
	if (s->list && c == ']') {
		s->in_items = false;
		return keep(&s->envelope, s->max_bytes, c);
	}
	return is_blank(c) || (s->list && c == ',') ? 0 : -EINVAL;
}

int cgm_kube_split_feed(struct cgm_kube_split *s, const char *p, size_t len)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++)
		r = byte(s, p[i]);
	return r;
}
