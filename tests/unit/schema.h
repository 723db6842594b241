/* SPDX-License-Identifier: Apache-2.0 */
/* Whether JSON keeps to cAdvisor's schema (tests/fixtures/schema): keys, their order, their types, and which are always there. */
#pragma once
#include "synthetic.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/parse.h"
#include "output/stream.h"

/* ---- the schema, and whether an object keeps to it ---- */

static char *schema_text;

/* The fields of a type; false when it is no struct of the schema. */
static inline bool find_type(struct cgm_str type, struct cgm_str *ret_fields)
{
	struct cgm_str text = cgm_str(schema_text), line;

	while (cgm_next_line(&text, &line)) {
		const char *begin = text.p;

		if (line.len != type.len || memcmp(line.p, type.p, type.len) != 0)
			continue;
		while (text.len && *text.p == '\t')
			cgm_next_line(&text, &line);
		*ret_fields = (struct cgm_str){ begin, (size_t)(text.p - begin) };
		return true;
	}
	return false;
}

static inline void check_type(const json_t *j, struct cgm_str type, const char *where);

/* All keys are known, in the schema's order, and those that are always there are there. */
static inline void check_object(const json_t *j, struct cgm_str fields, const char *where)
{
	void *member = json_object_iter((json_t *)j);
	struct cgm_str line, key, type;

	assert_true(json_is_object(j));
	while (cgm_next_line(&fields, &line)) {
		char path[512];

		line.p++;
		line.len--;
		assert_true(cgm_next_field(&line, '|', &key) && cgm_next_field(&line, '|', &type));
		snprintf(path, sizeof(path), "%s.%.*s", where, (int)key.len, key.p);
		if (member && cgm_str_eq(key, json_object_iter_key(member))) {
			check_type(json_object_iter_value(member), type, path);
			member = json_object_iter_next((json_t *)j, member);
		} else if (cgm_str_eq(line, "always")) {
			fail_msg("%s is missing (or not in order: \"%s\" stands there)", path, member ? json_object_iter_key(member) : "end");
		}
	}
	if (member)
		fail_msg("%s.%s is not in the schema, or not in order", where, json_object_iter_key(member));
}

static inline bool begins(struct cgm_str *s, const char *with)
{
	size_t len = strlen(with);

	if (s->len < len || memcmp(s->p, with, len) != 0)
		return false;
	s->p += len;
	s->len -= len;
	return true;
}

static inline void check_type(const json_t *j, struct cgm_str type, const char *where)
{
	struct cgm_str fields;
	const char *key;
	json_t *element;
	int64_t ns;
	size_t i;

	if (begins(&type, "[]")) {
		assert_true(json_is_array(j) || json_is_null(j));
		json_array_foreach(j, i, element) check_type(element, type, where);
	} else if (begins(&type, "map[string]")) {
		assert_true(json_is_object(j));
		json_object_foreach((json_t *)j, key, element) check_type(element, type, where);
	} else if (find_type(type, &fields)) {
		check_object(j, fields, where);
	} else if (cgm_str_eq(type, "bool")) {
		assert_true(json_is_boolean(j));
	} else if (cgm_str_eq(type, "float64") || cgm_str_eq(type, "float32")) {
		assert_true(json_is_number(j));
	} else if (cgm_str_eq(type, "time")) {
		assert_int_equal(cgm_parse_rfc3339(cgm_str(json_string_value(j)), &ns), 0);
	} else if (memmem(type.p, type.len, "int", 3) && !cgm_str_eq(type, "string")) {
		if (!json_is_integer(j))
			fail_msg("%s is no integer", where);
	} else if (!json_is_string(j)) {
		fail_msg("%s is no string (%.*s)", where, (int)type.len, type.p);
	}
}

static inline int read_schema(void **state)
{
	_cleanup_free_ char *v1 = NULL, *v2 = NULL;
	size_t len;

	(void)state;
	if (cgm_read_all_at(AT_FDCWD, "tests/fixtures/schema/cadvisor-v1.txt", 1 << 20, &v1, &len) < 0 ||
	    cgm_read_all_at(AT_FDCWD, "tests/fixtures/schema/cadvisor-v2.txt", 1 << 20, &v2, &len) < 0)
		return -1;
	schema_text = cgm_asprintf("%s%s", v1, v2);
	return schema_text ? 0 : -1;
}

static inline int free_schema(void **state)
{
	(void)state;
	free(schema_text);
	return 0;
}

/* All of a stream; -ENOMEM when a piece failed. Takes the stream. */
static inline int drain(struct cgm_stream *s, struct cgm_buf *text, size_t *ret_longest)
{
	_cleanup_(cgm_stream_freep) struct cgm_stream *taken = s;
	_cleanup_(cgm_buf_done) struct cgm_buf piece = { 0 };
	int r = 1;

	*ret_longest = 0;
	if (!taken)
		return -ENOMEM;
	while (r > 0) {
		piece.len = 0;
		r = taken->next(taken, &piece);
		cgm_buf_put(text, piece.p, piece.len);
		*ret_longest = MAX(*ret_longest, piece.len);
	}
	return text->failed ? -ENOMEM : r;
}

static inline json_t *parse(const struct cgm_buf *b)
{
	json_error_t e;
	json_t *j = json_loadb(b->p, b->len, 0, &e);

	if (!j)
		fail_msg("%s at %d: %.*s", e.text, e.position, (int)b->len, b->p);
	return j;
}

static inline json_t *parse_stream(struct cgm_stream *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	size_t longest;

	assert_int_equal(drain(s, &text, &longest), 0);
	return parse(&text);
}

static inline const json_t *at_path(const json_t *j, const char *path)
{
	struct cgm_str text = cgm_str(path), key;

	while (cgm_next_field(&text, '.', &key)) {
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)key.len, key.p);
		if (json_is_array(j))
			j = json_array_get(j, 0);
		j = json_object_get(j, name);
	}
	return j;
}

static inline int64_t integer_at(const json_t *j, const char *path)
{
	const json_t *v = at_path(j, path);

	if (!json_is_integer(v))
		fail_msg("%s is no integer", path);
	return json_integer_value(v);
}

static inline void check(const json_t *j, const char *type)
{
	struct cgm_str fields;

	assert_true(find_type(cgm_str(type), &fields));
	check_object(j, fields, type);
}

