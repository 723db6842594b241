// SPDX-License-Identifier: Apache-2.0
#include "batch/entity.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

const char *cgm_cl_name(enum cgm_cl l)
{
	static const char *const names[CGM_NR_CL] = {
		[CGM_CL_CONTAINER_BASE_IMAGE] = "container_base_image", [CGM_CL_CONTAINER_NAME] = "container_name", [CGM_CL_HOST_ID] = "host_id",
		[CGM_CL_HOSTNAME] = "hostname", [CGM_CL_LABELS] = "labels", [CGM_CL_NAMESPACE_ID] = "namespace_id",
		[CGM_CL_NAMESPACE_NAME] = "namespace_name", [CGM_CL_NODENAME] = "nodename", [CGM_CL_POD_ID] = "pod_id",
		[CGM_CL_POD_NAME] = "pod_name", [CGM_CL_SCHEDULABLE] = "schedulable", [CGM_CL_TYPE] = "type",
	};

	return names[l];
}

static void put_part(struct cgm_buf *out, const char *before, const char *label)
{
	cgm_buf_str(out, before);
	if (label)
		cgm_buf_str(out, label);
}

void cgm_entity_key(enum cgm_set_kind kind, const char *const labels[CGM_NR_CL], struct cgm_buf *out)
{
	switch (kind) {
	case CGM_SET_NODE:
	case CGM_SET_SYS_CONTAINER:
		put_part(out, "node:", labels[CGM_CL_NODENAME]);
		break;
	case CGM_SET_NAMESPACE:
	case CGM_SET_POD:
	case CGM_SET_CONTAINER:
		put_part(out, "namespace:", labels[CGM_CL_NAMESPACE_NAME]);
		break;
	default:
		cgm_buf_str(out, "cluster");
	}
	if (kind == CGM_SET_POD || kind == CGM_SET_CONTAINER)
		put_part(out, "/pod:", labels[CGM_CL_POD_NAME]);
	if (kind == CGM_SET_CONTAINER || kind == CGM_SET_SYS_CONTAINER)
		put_part(out, "/container:", labels[CGM_CL_CONTAINER_NAME]);
}

static const char *keep(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *to = *at;

	memcpy(to, text, size);
	*at += size;
	return to;
}

/* The same text where it stands already: at the end of the key, as the last name in it does, or with the lender. NULL: nowhere. */
static const char *find_text(const struct cgm_entity_facts *facts, const char *key, size_t key_len, int l)
{
	const char *text = facts->labels[l], *lent = facts->lender ? facts->lender->labels[l] : NULL;
	size_t len = strlen(text);

	if (lent && strcmp(lent, text) == 0)
		return lent;
	return len <= key_len && memcmp(key + key_len - len, text, len) == 0 ? key + key_len - len : NULL;
}

static bool lends_stored(const struct cgm_entity_facts *facts)
{
	const struct cgm_entity *e = facts->lender;

	if (!e || e->nr_stored != facts->nr_stored)
		return false;
	for (size_t i = 0; i < e->nr_stored; i++)
		if (strcmp(e->stored[i].key, facts->stored[i].key) != 0 || strcmp(e->stored[i].value, facts->stored[i].value) != 0)
			return false;
	return true;
}

static size_t size_of(const struct cgm_entity_facts *facts, const char *key, size_t key_len)
{
	size_t size = sizeof(struct cgm_entity) + key_len + 1;

	for (int l = 0; l < CGM_CL_TYPE; l++)
		size += facts->labels[l] && !find_text(facts, key, key_len, l) ? strlen(facts->labels[l]) + 1 : 0;
	if (lends_stored(facts))
		return size;
	size += facts->nr_stored * sizeof(struct cgm_tag);
	for (size_t i = 0; i < facts->nr_stored; i++)
		size += strlen(facts->stored[i].key) + strlen(facts->stored[i].value) + 2;
	return size;
}

/* Tags stand right behind the entity, *at is where texts go. */
static void keep_stored(struct cgm_entity *e, const struct cgm_entity_facts *facts, char **at)
{
	struct cgm_tag *stored = (struct cgm_tag *)(e + 1);

	e->nr_stored = facts->nr_stored;
	if (lends_stored(facts)) {
		e->stored = facts->lender->stored;
		return;
	}
	*at = (char *)(stored + facts->nr_stored);
	for (size_t i = 0; i < facts->nr_stored; i++) {
		stored[i].key = keep(at, facts->stored[i].key);
		stored[i].value = keep(at, facts->stored[i].value);
	}
	e->stored = stored;
}

struct cgm_entity *cgm_entity_new(const struct cgm_entity_facts *facts)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	struct cgm_entity *e;
	size_t key_len;
	char *at;

	cgm_entity_key(facts->kind, facts->labels, &key);
	key_len = key.len;
	cgm_buf_char(&key, '\0');
	e = key.failed ? NULL : cgm_calloc(1, size_of(facts, key.p, key_len));
	if (!e)
		return NULL;
	at = (char *)(e + 1);
	e->refs = 1;
	e->kind = facts->kind;
	e->lender = facts->lender ? cgm_entity_ref(facts->lender) : NULL;
	keep_stored(e, facts, &at);
	e->key = keep(&at, key.p);
	e->hash = cgm_hash_bytes(e->key, key_len);
	for (int l = 0; l < CGM_CL_TYPE; l++) {
		const char *found = facts->labels[l] ? find_text(facts, e->key, key_len, l) : NULL;

		e->labels[l] = facts->labels[l] && !found ? keep(&at, facts->labels[l]) : found;
	}
	e->labels[CGM_CL_TYPE] = cgm_set_type(facts->kind);
	return e;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool cgm_entity_is(const struct cgm_entity *e, const struct cgm_entity_facts *facts)
{
	if (e->kind != facts->kind || e->nr_stored != facts->nr_stored)
		return false;
	for (int l = 0; l < CGM_CL_TYPE; l++)
		if (!same(e->labels[l], facts->labels[l]))
			return false;
	for (size_t i = 0; i < e->nr_stored; i++)
		if (!same(e->stored[i].key, facts->stored[i].key) || !same(e->stored[i].value, facts->stored[i].value))
			return false;
	return true;
}

struct cgm_entity *cgm_entity_ref(struct cgm_entity *e)
{
	__atomic_fetch_add(&e->refs, 1, __ATOMIC_RELAXED);
	return e;
}

void cgm_entity_unref(struct cgm_entity *e)
{
	while (e && __atomic_fetch_sub(&e->refs, 1, __ATOMIC_ACQ_REL) == 1) {
		struct cgm_entity *lender = e->lender;

		free(e);
		e = lender;
	}
}
