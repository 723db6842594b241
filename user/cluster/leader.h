/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of several collects: the holder of a Lease (coordination.k8s.io/v1). It is renewed every retry_ns; who could not for renew_ns is no leader any more; the others take over when they have
 * seen no change of the Lease for its duration by their own clock, whatever times stand in it. A thread of its own calls back.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "kube/kube.h"

struct cgm_leader_config {
	struct cgm_kube *kube; /* stays */
	const char *lease_namespace, *lease; /* copied */
	const char *identity; /* copied; unlike any other's */
	uint64_t lease_ns, renew_ns, retry_ns;
	/* From now on we are, or are not. First called when that is known of us for the first time. */
	void (*on_change)(void *arg, bool leads);
	void *arg;
};

struct cgm_leader;
/* Starts the thread; we do not lead yet. 0 or a negative errno. */
int cgm_leader_start(const struct cgm_leader_config *config, struct cgm_leader **ret);
/* Ends it. Who leads gives the Lease back (tried once), so that another one need not wait. NULL is fine. */
void cgm_leader_stop(struct cgm_leader *l);
DEFINE_CLEANUP(cgm_leader, cgm_leader_stop)

struct cgm_leader_state {
	bool leads;
	char holder[256]; /* "": nobody that we know of */
	uint64_t nr_changes; /* how often we began or ceased to lead */
	char fault[CGM_KUBE_FAULT]; /* of the last try; "": it went well */
};
struct cgm_leader_state cgm_leader_state(struct cgm_leader *l);
