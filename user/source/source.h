/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All nodes, asked once a cycle: who they are (an API server's list, an own list, a file that is watched), what each is asked for (chosen by probing, and kept), and their answers as drafts.
 * One thread of its own, by libcurl's multi interface; connections are kept. A slow or dead node delays nobody.
 */
#pragma once
#include "batch/draft.h"
#include "kube/cluster.h"

#define CGM_SOURCE_FAULT 256

struct cgm_node_facts { /* of the node that a draft is of; good during the call */
	const char *name; /* as it is listed: the API's name, or host or host:port of an own list (see source/README.md) */
	const char *hostname, *host_id; /* host_id: NULL, or external id, or what the annotation says */
	const struct cgm_kube_node *node; /* NULL: of no API server */
};

struct cgm_source_config {
	const char *uri; /* of --source, as Heapster takes it; or "nodes:…"; "": the local agent, http://127.0.0.1:8080 */
	uint64_t resolution_ns; /* of a cycle: windows end at multiples of it */
	uint64_t offset_ns; /* after the end of a window, before the first node is asked; 0: min(5 s, a twelfth of the resolution) */
	uint64_t timeout_ns; /* of one node; 0: 20 s, and never beyond the cycle */
	uint64_t max_bytes; /* of one answer; 0: 32 MiB */
	unsigned max_parallel; /* nodes asked at once; 0: 64 */
	bool resource_only; /* CPU and memory alone: /metrics/resource first */
	struct cgm_kube *kube; /* NULL: no API server */
	struct cgm_kube_cluster *cluster; /* NULL without kube */
	unsigned shard, nr_shards; /* nodes whose name's hash modulo nr_shards is another's are left out; nr_shards 0 or 1: none is */
	/*
	 * In the source's thread. on_node: an answer was read; the draft is cleared afterwards. on_cycle: all nodes of the window have answered or failed, or the time is
	 * over; asked, answered: how many. A window that could not begin because the last one is not done is skipped, counted, said.
	 */
	void (*on_node)(void *arg, const struct cgm_node_facts *node, struct cgm_draft *d, uint64_t end_ns);
	void (*on_cycle)(void *arg, uint64_t end_ns, size_t nr_asked, size_t nr_answered);
	void *arg;
};

struct cgm_source;
/* Looks at the URI alone. 0, or -EINVAL with fault. */
int cgm_source_check(const char *uri, char *fault);

/* ---- the API server that a URI means ---- */

struct cgm_source_kube_texts {
	char *url, *kubeconfig;
};
/*
 * *ret_needed false: its nodes are of no API server, and config is untouched. Else config (for cgm_kube_open) holds what the URI says, whose texts are ret_texts': good until their
 * _done. 0, -EINVAL with fault (CGM_SOURCE_FAULT), -ENOMEM.
 */
int cgm_source_kube_config(const char *uri, struct cgm_kube_config *ret, bool *ret_needed, struct cgm_source_kube_texts *ret_texts, char *fault);
void cgm_source_kube_texts_done(struct cgm_source_kube_texts *t);

/* ---- asking ---- */

/* Starts the thread. 0 or a negative errno with fault (CGM_SOURCE_FAULT). config's texts and pointers must outlive it. */
int cgm_source_start(const struct cgm_source_config *config, struct cgm_source **ret, char *fault);
/* Ends it within 100 ms. NULL is fine. */
void cgm_source_stop(struct cgm_source *s);
/* Takes part, or does not (who is no leader asks nobody). It does from the start on. */
void cgm_source_pause(struct cgm_source *s, bool pause);

enum cgm_node_fault { CGM_NODE_CONNECT, CGM_NODE_TIMEOUT, CGM_NODE_TLS, CGM_NODE_DENIED, CGM_NODE_STATUS, CGM_NODE_TOO_LARGE, CGM_NODE_NONSENSE, CGM_NODE_MEMORY, CGM_NR_NODE_FAULTS };
/* "connect", "timeout", "tls", "denied", "status", "too_large", "nonsense", "memory" */
const char *cgm_node_fault_name(enum cgm_node_fault f);

/* One node, for the dashboard and /metrics. Texts are the struct's own. */
struct cgm_node_state {
	char name[256], address[288]; /* address: what is asked, without anything secret */
	uint8_t form; /* enum cgm_decode_form; CGM_NR_DECODE_FORMS: not known yet */
	bool ready; /* it would be asked: the API says Ready, or it is in an own list */
	uint64_t last_ok_ns, last_try_ns; /* since the epoch; 0: never */
	uint64_t duration_ns; /* of the last answer, from the request's begin */
	int64_t skew_ns; /* how far its clock is ahead of ours, as its last answer's Date or samples show; INT64_MIN: not known */
	uint64_t nr_ok, nr_failed[CGM_NR_NODE_FAULTS], nr_bad; /* nr_bad: values that were nonsense */
	char fault[CGM_SOURCE_FAULT]; /* of the last try; "": it went well */
};
/* All of them, sorted by name, in an array of the caller's. 0 or -ENOMEM. */
int cgm_source_nodes(struct cgm_source *s, struct cgm_node_state **ret, size_t *ret_nr);

struct cgm_source_stats {
	uint64_t nr_nodes, nr_ready, nr_silent; /* silent: ready, and the last try failed */
	uint64_t nr_skewed; /* whose clock is more than 10 minutes off */
	uint64_t nr_requests, nr_failed[CGM_NR_NODE_FAULTS], nr_bytes, nr_bad;
	uint64_t nr_cycles, nr_skipped; /* windows; those that could not begin in time */
	uint64_t last_cycle_end_ns, last_cycle_ns; /* its window's end; from the first request to the last answer */
	char list_fault[CGM_SOURCE_FAULT]; /* why the list of nodes is not known; "": it is */
};
struct cgm_source_stats cgm_source_stats(struct cgm_source *s);
