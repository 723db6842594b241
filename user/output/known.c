// SPDX-License-Identifier: Apache-2.0
#include "output/known.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

#define KEEP_NS (300 * CGM_NSEC_PER_SEC)

int cgm_known_init(struct cgm_known *k)
{
	memset(k, 0, sizeof(*k));
	pthread_mutex_init(&k->lock, NULL);
	return cgm_random(k->salt, sizeof(k->salt));
}

void cgm_known_done(struct cgm_known *k)
{
	pthread_mutex_destroy(&k->lock);
	cgm_secret_wipe(k->salt, sizeof(k->salt));
}

int cgm_known_key(const struct cgm_known *k, const char *a, const char *b, struct cgm_known_key *ret)
{
	size_t a_len = strlen(a) + 1, b_len = strlen(b) + 1;
	char *text = cgm_malloc(a_len + b_len);
	int r;

	if (!text)
		return -ENOMEM;
	memcpy(text, a, a_len); /* NOLINT(bugprone-not-null-terminated-result): both with their zeros */
	memcpy(text + a_len, b, b_len);
	r = cgm_hmac_sha256(k->salt, sizeof(k->salt), text, a_len + b_len, ret->p);
	cgm_secret_wipe(text, a_len + b_len);
	free(text);
	return r;
}

bool cgm_known_has(struct cgm_known *k, const struct cgm_known_key *key, uint64_t now_ns)
{
	size_t set = key->p[0] % CGM_KNOWN_SETS;
	bool found = false;

	pthread_mutex_lock(&k->lock);
	for (size_t i = 0; i < CGM_KNOWN_WAYS; i++)
		found |= k->entries[set][i].until_ns > now_ns && cgm_secret_eq(&k->entries[set][i].key, key, sizeof(*key));
	pthread_mutex_unlock(&k->lock);
	return found;
}

void cgm_known_add(struct cgm_known *k, const struct cgm_known_key *key, uint64_t generation, uint64_t now_ns)
{
	size_t set = key->p[0] % CGM_KNOWN_SETS, at = 0;

	pthread_mutex_lock(&k->lock);
	if (generation == k->generation) {
		for (size_t i = 1; i < CGM_KNOWN_WAYS; i++)
			if (k->entries[set][i].until_ns < k->entries[set][at].until_ns)
				at = i;
		k->entries[set][at].key = *key;
		k->entries[set][at].until_ns = now_ns + KEEP_NS;
	}
	pthread_mutex_unlock(&k->lock);
}

uint64_t cgm_known_generation(struct cgm_known *k)
{
	uint64_t generation;

	pthread_mutex_lock(&k->lock);
	generation = k->generation;
	pthread_mutex_unlock(&k->lock);
	return generation;
}

void cgm_known_clear(struct cgm_known *k)
{
	pthread_mutex_lock(&k->lock);
	memset(k->entries, 0, sizeof(k->entries));
	k->generation++;
	pthread_mutex_unlock(&k->lock);
}
