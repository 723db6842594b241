// SPDX-License-Identifier: Apache-2.0
#include "model/storage.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *copy_text(char **room, const char *text)
{
	size_t size = text_size(text);
	char *copy = *room;

	if (!size)
		return NULL;
	memcpy(copy, text, size);
	*room += size;
	return copy;
}

struct cgm_storage *cgm_storage_new(const struct cgm_storage *s)
{
	size_t size = sizeof(*s) + s->nr_volumes * sizeof(*s->volumes);
	struct cgm_storage *copy;
	char *room;

	for (size_t i = 0; i < s->nr_volumes; i++) {
		const struct cgm_volume *v = &s->volumes[i];

		size += text_size(v->name) + text_size(v->plugin) + text_size(v->claim) + text_size(v->claim_namespace);
	}
	copy = cgm_malloc(size);
	if (!copy)
		return NULL;
	*copy = *s;
	copy->refs = 1;
	copy->volumes = (struct cgm_volume *)(copy + 1);
	room = (char *)(copy->volumes + s->nr_volumes);
	for (size_t i = 0; i < s->nr_volumes; i++) {
		struct cgm_volume *v = &copy->volumes[i];

		*v = s->volumes[i];
		v->name = copy_text(&room, v->name);
		v->plugin = copy_text(&room, v->plugin);
		v->claim = copy_text(&room, v->claim);
		v->claim_namespace = copy_text(&room, v->claim_namespace);
	}
	return copy;
}

struct cgm_storage *cgm_storage_ref(struct cgm_storage *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void cgm_storage_unref(struct cgm_storage *s)
{
	if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(s);
}
