/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which persistent volume a claim is bound to: a pod names the claim, the kubelet's directory the volume, and the API server is asked once for each
 * claim of the node's pods. For pods.c.
 */
#pragma once
#include <pthread.h>

#include "base/hash.h"
#include "kube/kube.h"
#include "kube/pods.h"

struct cgm_kube_claims {
	struct cgm_kube *kube; /* NULL: nobody can be asked */
	int stop_fd; /* an eventfd */
	uint64_t quiet_until_ns; /* monotonic: nobody is asked before, after a refusal */
	bool said;
	pthread_mutex_t lock; /* for what follows */
	struct cgm_hash by_key;
};

/* kube stays. 0 or a negative errno; _done is fine in any case. */
int cgm_kube_claims_init(struct cgm_kube_claims *c, struct cgm_kube *kube);
/* Ends what waits in _learn, now and later. Any thread. */
void cgm_kube_claims_stop(struct cgm_kube_claims *c);
void cgm_kube_claims_done(struct cgm_kube_claims *c);
/* Asks for those claims of the pod that are not known to be bound yet, and waits for the answers, at most 3 s for each. A watch's thread. */
void cgm_kube_claims_learn(struct cgm_kube_claims *c, const struct cgm_kube_pod *pod);
/* See cgm_kube_pods_volume(). Any thread; never waits for an answer. */
bool cgm_kube_claims_find(struct cgm_kube_claims *c, const struct cgm_kube_pod *pod, const char *directory, struct cgm_kube_volume_name *ret);
