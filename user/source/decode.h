/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node answers, read with suspicion into a draft: own parsers, since this is the hot path (41 kB a node and cycle). No decoder keeps
 * anything, allocates beyond the draft, or trusts a length, a depth or a number. Any thread, one draft each.
 * All: 0; -EINVAL with fault (CGM_DECODE_FAULT) saying what is wrong and at which byte; -ENOMEM. What was read before a fault stays in the
 * draft, which the caller clears.
 */
#pragma once
#include "batch/draft.h"

#define CGM_DECODE_FAULT 160

enum cgm_decode_form {
	CGM_DECODE_SUMMARY, /* GET /stats/summary */
	CGM_DECODE_RESOURCE, /* GET /metrics/resource */
	CGM_DECODE_CONTAINERS, /* POST /stats/container: a map from name to cAdvisor's v1 ContainerInfo */
	CGM_DECODE_SUBCONTAINERS, /* POST /api/v1.3/subcontainers: a list of the same (a stand-alone cAdvisor, or our own agent) */
	CGM_DECODE_COMPACT, /* GET /api/cgmeter/compact of our own agent: everything of the Summary, and what goes beyond it */
	CGM_NR_DECODE_FORMS,
};
/* "summary", "resource", "containers", "subcontainers", "compact" */
const char *cgm_decode_name(enum cgm_decode_form form);

/*
 * Rules, Heapster's where it has some (shared/reference/heapster-kubelet.md, "Source decode rules"):
 * one set CGM_SET_NODE; CGM_SET_SYS_CONTAINER with .container; CGM_SET_POD with .pod_namespace, .pod, .uid, and its CGM_SET_CONTAINER behind it with these and
 * .container (.image where it is said). A set's scraped_ns is the newest time among its values as the node says them, and 0 when it says none;
 * times of file systems, which are measured seldom, do not count: rates are made with it.
 * uptime is not set here (the pipeline does: scraped_ns - created_ns). Of two pods with one name the one that started last is taken, likewise of containers.
 * Labeled file systems: "/", "logs", "Volume:NAME" of a Summary, devices of cAdvisor's.
 * A pod with containers has no memory and no tasks of its own here: they are its containers' sums. A value is put in only if cluster.def gives it to sets of that kind.
 * Times before 2000 or after 2099 are bad. Numbers above 2^63-1 are that.
 * nr_bad (never NULL) grows by each value or part that was passed over because it is nonsense (a text for a number, a number that is negative).
 */
int cgm_decode(enum cgm_decode_form form, const char *text, size_t len, struct cgm_draft *d, uint64_t *nr_bad, char *fault);
