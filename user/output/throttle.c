// SPDX-License-Identifier: Apache-2.0
#include "output/throttle.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"

#define EACH_NS (6 * CGM_NSEC_PER_SEC)
#define BURST 10

struct cgm_client cgm_client_of(const struct sockaddr *addr)
{
	struct cgm_client c = { { 0 } };

	if (addr->sa_family == AF_INET) {
		c.p[10] = c.p[11] = 0xff;
		memcpy(c.p + 12, &((const struct sockaddr_in *)addr)->sin_addr, 4);
	} else if (addr->sa_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)addr)->sin6_addr;

		memcpy(c.p, a, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
	}
	return c;
}

bool cgm_client_eq(const struct cgm_client *a, const struct cgm_client *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void cgm_throttle_init(struct cgm_throttle *t)
{
	*t = (struct cgm_throttle){ 0 };
	pthread_mutex_init(&t->lock, NULL);
}

void cgm_throttle_done(struct cgm_throttle *t)
{
	pthread_mutex_destroy(&t->lock);
}

static struct cgm_failures *find(struct cgm_throttle *t, const struct cgm_client *c, struct cgm_failures **ret_oldest)
{
	struct cgm_failures *set = t->failures[cgm_hash_bytes(c, sizeof(*c)) % CGM_THROTTLE_SETS];

	*ret_oldest = set;
	for (size_t i = 0; i < CGM_THROTTLE_WAYS; i++) {
		if (set[i].due_ns && cgm_client_eq(&set[i].client, c))
			return &set[i];
		if (set[i].due_ns < (*ret_oldest)->due_ns)
			*ret_oldest = &set[i];
	}
	return NULL;
}

unsigned cgm_throttle_wait_s(struct cgm_throttle *t, const struct cgm_client *c, uint64_t now_ns)
{
	struct cgm_failures *f, *oldest;
	uint64_t free_ns = 0;

	pthread_mutex_lock(&t->lock);
	f = find(t, c, &oldest);
	/* One more failure must still fit. */
	if (f)
		free_ns = f->due_ns - MIN(f->due_ns, (BURST - 1) * EACH_NS);
	pthread_mutex_unlock(&t->lock);
	return free_ns > now_ns ? (unsigned)((free_ns - now_ns + CGM_NSEC_PER_SEC - 1) / CGM_NSEC_PER_SEC) : 0;
}

void cgm_throttle_failed(struct cgm_throttle *t, const struct cgm_client *c, uint64_t now_ns)
{
	struct cgm_failures *f, *oldest;

	pthread_mutex_lock(&t->lock);
	f = find(t, c, &oldest);
	if (!f) {
		f = oldest;
		*f = (struct cgm_failures){ .client = *c };
	}
	f->due_ns = MIN(MAX(f->due_ns, now_ns) + EACH_NS, now_ns + 2 * BURST * EACH_NS);
	pthread_mutex_unlock(&t->lock);
}
