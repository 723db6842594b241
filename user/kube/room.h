/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object of the API that is kept in one piece of memory: it is read twice, first without room, to see how much it takes, then into it. For this room.
 */
#pragma once
#include <jansson.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/parse.h"
#include "kube/json.h"
#include "kube/pod.h"

struct cgm_room {
	char *base; /* NULL: the first time */
	size_t used;
	uint64_t nr_bad; /* quantities that are none */
};

static inline void *cgm_room_take(struct cgm_room *m, size_t size, size_t align)
{
	size_t at = (m->used + align - 1) / align * align;

	m->used = at + size;
	return m->base ? m->base + at : NULL;
}

/* NULL for NULL, and the first time. */
static inline const char *cgm_room_text_n(struct cgm_room *m, const char *text, size_t len)
{
	char *to = text ? cgm_room_take(m, len + 1, 1) : NULL;

	if (!to)
		return NULL;
	memcpy(to, text, len);
	to[len] = '\0';
	return to;
}

static inline const char *cgm_room_text(struct cgm_room *m, const char *text)
{
	return cgm_room_text_n(m, text, text ? strlen(text) : 0);
}

/* A member; "" is as if it were not there. */
static inline const char *cgm_room_member(struct cgm_room *m, const json_t *object, const char *key)
{
	const char *text = cgm_json_text(object, key);

	return cgm_room_text(m, text && *text ? text : NULL);
}

/* 0: it is not there, or no time. */
static inline uint64_t cgm_room_time(const json_t *object, const char *key)
{
	const char *text = cgm_json_text(object, key);
	int64_t ns;

	return text && cgm_parse_rfc3339(cgm_str(text), &ns) == 0 && ns > 0 ? (uint64_t)ns : 0;
}

/* The whole number of a quantity, which may also be written as a number; -1: none. */
static inline int64_t cgm_room_quantity(struct cgm_room *m, const json_t *list, const char *name, int (*parse)(struct cgm_str, int64_t *))
{
	const json_t *j = json_object_get(list, name);
	char number[32];
	int64_t v;

	if (!j)
		return -1;
	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(j));
	if (parse(cgm_str(json_is_string(j) ? json_string_value(j) : json_is_integer(j) ? number : ""), &v) == 0)
		return v;
	m->nr_bad++;
	return -1;
}

static inline int cgm_room_by_key(const void *a, const void *b)
{
	const struct cgm_kube_label *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* An object of texts, sorted by key. */
static inline struct cgm_kube_label *cgm_room_labels(struct cgm_room *m, const json_t *labels, size_t *ret_nr)
{
	struct cgm_kube_label *to = cgm_room_take(m, json_object_size(labels) * sizeof(struct cgm_kube_label), alignof(struct cgm_kube_label));
	const char *key;
	json_t *value;
	size_t nr = 0;

	json_object_foreach((json_t *)labels, key, value) {
		struct cgm_kube_label l = { .key = cgm_room_text(m, key), .value = cgm_room_text(m, json_is_string(value) ? json_string_value(value) : "") };

		if (to)
			to[nr++] = l;
	}
	if (nr)
		qsort(to, nr, sizeof(*to), cgm_room_by_key);
	*ret_nr = nr;
	return to;
}
