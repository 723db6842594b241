/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API server said of a token or of an access a short time ago, by a hash with a key that only this process has: no token is kept. Of fixed
 * size; when a place is needed, what would end first goes. Any thread.
 */
#pragma once
#include <pthread.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "kube/review.h"
#include "output/secret.h"

/* Who somebody is. Never changes once made, shared by reference count. */
struct cgm_reviewed {
	uint32_t refs; /* atomic */
	struct cgm_kube_user user;
};
/* Takes the texts of user over, also when it fails; with the group, unless he is in it. NULL: out of memory. */
struct cgm_reviewed *cgm_reviewed_new(struct cgm_kube_user *user, const char *group);
/* NULL is fine. */
struct cgm_reviewed *cgm_reviewed_ref(struct cgm_reviewed *u);
void cgm_reviewed_unref(struct cgm_reviewed *u);
DEFINE_CLEANUP(cgm_reviewed, cgm_reviewed_unref)

#define CGM_VERDICT_SETS 64
#define CGM_VERDICT_WAYS 8

struct cgm_verdict_key {
	uint8_t p[CGM_SHA256_BYTES];
};

struct cgm_verdicts {
	pthread_mutex_t lock;
	uint8_t salt[32];
	struct cgm_verdict {
		struct cgm_verdict_key key;
		uint64_t until_ns; /* CLOCK_MONOTONIC; 0: free */
		bool yes;
		struct cgm_reviewed *who; /* of a token that is somebody's; else NULL */
	} entries[CGM_VERDICT_SETS][CGM_VERDICT_WAYS];
};
/* 0 or -EIO: no randomness. */
int cgm_verdicts_init(struct cgm_verdicts *v);
void cgm_verdicts_done(struct cgm_verdicts *v);
/* Of a token, and of an access of somebody; who may be NULL. 0, -ENOMEM or -EIO. */
int cgm_verdict_key_of_token(const struct cgm_verdicts *v, const char *token, struct cgm_verdict_key *ret);
int cgm_verdict_key_of_access(const struct cgm_verdicts *v, const struct cgm_reviewed *who, const char *verb, const char *subresource,
			      struct cgm_verdict_key *ret);
/* 1 or 0 as it was said, with a reference in *ret_who (which may be NULL); -ENOENT: it is not known, or no longer. */
int cgm_verdicts_get(struct cgm_verdicts *v, const struct cgm_verdict_key *key, uint64_t now_ns, struct cgm_reviewed **ret_who);
/* Takes a reference of who. Nothing is kept when until_ns is not later than now. */
void cgm_verdicts_put(struct cgm_verdicts *v, const struct cgm_verdict_key *key, bool yes, struct cgm_reviewed *who, uint64_t now_ns, uint64_t until_ns);
