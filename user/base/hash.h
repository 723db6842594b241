/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from a string or a 64-bit number to a pointer. It owns neither keys nor values: a string key lives in
 * the value and must outlive its entry. Open addressing, deleted entries leave a mark. Not for two threads at once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgm_hash_entry;
struct cgm_hash {
	struct cgm_hash_entry *entries;
	size_t cap, used, live;
};

uint64_t cgm_hash_bytes(const void *p, size_t len);
void cgm_hash_done(struct cgm_hash *h);
/* Adds or replaces. 0 or -ENOMEM. */
int cgm_hash_put(struct cgm_hash *h, const char *key, void *value);
int cgm_hash_put_u64(struct cgm_hash *h, uint64_t key, void *value);
void *cgm_hash_get(const struct cgm_hash *h, const char *key);
void *cgm_hash_get_n(const struct cgm_hash *h, const char *key, size_t len);
void *cgm_hash_get_u64(const struct cgm_hash *h, uint64_t key);
/* Removes and returns the value; NULL when it was not there. */
void *cgm_hash_del(struct cgm_hash *h, const char *key);
void *cgm_hash_del_u64(struct cgm_hash *h, uint64_t key);
/* Walks: start with *pos = 0; NULL at the end. Deleting the entry just returned is allowed, adding is not. */
void *cgm_hash_next(const struct cgm_hash *h, size_t *pos);
