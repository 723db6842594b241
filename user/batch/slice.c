// SPDX-License-Identifier: Apache-2.0
#include "batch/slice.h"

#include <string.h>

#include "base/hash.h"

struct cgm_slice *cgm_slice_ref(struct cgm_slice *s)
{
	__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void cgm_slice_unref(struct cgm_slice *s)
{
	if (!s || __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	for (uint32_t i = 0; i < s->nr_sets; i++)
		cgm_entity_unref(s->sets[i].entity);
	free(s);
}

const struct cgm_set *cgm_slice_find(const struct cgm_slice *s, const char *key)
{
	uint64_t hash = cgm_hash_bytes(key, strlen(key));

	for (uint32_t i = 0; i < s->nr_sets; i++)
		if (s->sets[i].entity->hash == hash && strcmp(s->sets[i].entity->key, key) == 0)
			return &s->sets[i];
	return NULL;
}
