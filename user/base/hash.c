// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* key: the text of a string entry, or NULL for a number, whose hash is another one for each number. value NULL: free, or, where key is `deleted`, so marked. */
struct cgm_hash_entry {
	uint64_t hash;
	const char *key;
	void *value;
};

static const char deleted[1];

uint64_t cgm_hash_bytes(const void *p, size_t len)
{
	const unsigned char *s = p;
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ s[i]) * 1099511628211ULL;
	return h ^ h >> 32;
}

/* One to one. */
static uint64_t hash_number(uint64_t v)
{
	v ^= v >> 33; /* the finalizer of MurmurHash3 */
	v *= 0xff51afd7ed558ccdULL;
	v ^= v >> 33;
	v *= 0xc4ceb9fe1a85ec53ULL;
	return v ^ v >> 33;
}

void cgm_hash_done(struct cgm_hash *h)
{
	free(h->entries);
	*h = (struct cgm_hash){ 0 };
}

static bool same(const struct cgm_hash_entry *e, uint64_t hash, const char *key, size_t len)
{
	if (!e->value || e->hash != hash)
		return false;
	if (!key || !e->key)
		return !key && !e->key;
	return strncmp(e->key, key, len) == 0 && e->key[len] == '\0';
}

static struct cgm_hash_entry *find(const struct cgm_hash *h, uint64_t hash, const char *key, size_t len)
{
	if (!h->cap)
		return NULL;
	for (size_t i = hash & (h->cap - 1);; i = (i + 1) & (h->cap - 1)) {
		struct cgm_hash_entry *e = &h->entries[i];

		if (!e->value && !e->key)
			return NULL;
		if (same(e, hash, key, len))
			return e;
	}
}

static void insert(struct cgm_hash *h, const struct cgm_hash_entry *new)
{
	size_t i = new->hash & (h->cap - 1);

	while (h->entries[i].value)
		i = (i + 1) & (h->cap - 1);
	if (!h->entries[i].key)
		h->used++;
	h->entries[i] = *new;
	h->live++;
}

static int rehash(struct cgm_hash *h)
{
	struct cgm_hash old = *h;
	size_t cap = 16;

	while (cap < (old.live + 1) * 2)
		cap *= 2;
	h->entries = cgm_calloc(cap, sizeof(*h->entries));
	if (!h->entries) {
		*h = old;
		return -ENOMEM;
	}
	h->cap = cap;
	h->used = h->live = 0;
	for (size_t i = 0; i < old.cap; i++)
		if (old.entries[i].value)
			insert(h, &old.entries[i]);
	free(old.entries);
	return 0;
}

static int put(struct cgm_hash *h, uint64_t hash, const char *key, void *value)
{
	struct cgm_hash_entry *e = find(h, hash, key, key ? strlen(key) : 0);

	if (e) {
		e->key = key;
		e->value = value;
		return 0;
	}
	if ((h->used + 1) * 4 > h->cap * 3) {
		int r = rehash(h);

		if (r < 0)
			return r;
	}
	insert(h, &(struct cgm_hash_entry){ .hash = hash, .key = key, .value = value });
	return 0;
}

static void *del(struct cgm_hash *h, struct cgm_hash_entry *e)
{
	void *value;

	if (!e)
		return NULL;
	value = e->value;
	e->value = NULL;
	e->key = deleted;
	h->live--;
	return value;
}

int cgm_hash_put(struct cgm_hash *h, const char *key, void *value)
{
	return put(h, cgm_hash_bytes(key, strlen(key)), key, value);
}

int cgm_hash_put_u64(struct cgm_hash *h, uint64_t key, void *value)
{
	return put(h, hash_number(key), NULL, value);
}

void *cgm_hash_get_n(const struct cgm_hash *h, const char *key, size_t len)
{
	struct cgm_hash_entry *e = find(h, cgm_hash_bytes(key, len), key, len);

	return e ? e->value : NULL;
}

void *cgm_hash_get(const struct cgm_hash *h, const char *key)
{
	return cgm_hash_get_n(h, key, strlen(key));
}

void *cgm_hash_get_u64(const struct cgm_hash *h, uint64_t key)
{
	struct cgm_hash_entry *e = find(h, hash_number(key), NULL, 0);

	return e ? e->value : NULL;
}

void *cgm_hash_del(struct cgm_hash *h, const char *key)
{
	return del(h, find(h, cgm_hash_bytes(key, strlen(key)), key, strlen(key)));
}

void *cgm_hash_del_u64(struct cgm_hash *h, uint64_t key)
{
	return del(h, find(h, hash_number(key), NULL, 0));
}

void *cgm_hash_next(const struct cgm_hash *h, size_t *pos)
{
	while (*pos < h->cap) {
		struct cgm_hash_entry *e = &h->entries[(*pos)++];

		if (e->value)
			return e->value;
	}
	return NULL;
}
