/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of this room share. All of it belongs to the source's thread; what others may read (state, stats, the list of nodes) it changes with the lock alone. */
#pragma once
#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "client/curl.h"
#include "kube/target.h"
#include "kube/token.h"
#include "source/decode.h"
#include "source/source.h"

#define CGM_SOURCE_SKEW_NS (600 * CGM_NSEC_PER_SEC) /* a clock that is further off is said */

/* ---- options.c: what a URI says ---- */

enum cgm_source_kind {
	CGM_SOURCE_LOCAL, /* "" */
	CGM_SOURCE_LIST, /* nodes:http://a:8080,… */
	CGM_SOURCE_FILE, /* nodes:/path */
	CGM_SOURCE_CADVISOR, /* cadvisor:external?standalone=true */
	CGM_SOURCE_HOSTS, /* cadvisor:external?hostsFile= */
	CGM_SOURCE_KUBERNETES, /* kubernetes: */
	CGM_SOURCE_SUMMARY, /* kubernetes.summary_api: */
};

enum { CGM_ADDRESS_HOSTNAME, CGM_ADDRESS_INTERNAL_DNS, CGM_ADDRESS_INTERNAL_IP, CGM_ADDRESS_LEGACY_IP, CGM_ADDRESS_EXTERNAL_DNS, CGM_ADDRESS_EXTERNAL_IP, CGM_NR_ADDRESSES };

struct cgm_source_options {
	enum cgm_source_kind kind;
	char *text; /* the addresses, or the file */
	char *server, *kubeconfig; /* of the API; NULL: none */
	bool in_cluster, use_account, insecure;
	bool kubelet_https, kubelet_insecure;
	unsigned kubelet_port; /* 0: not given. Of cAdvisor too */
	char *ca_file, *cert_file, *key_file, *token_file; /* for nodes; NULL: not given */
	char *host_id_annotation; /* NULL: none */
	uint8_t addresses[CGM_NR_ADDRESSES], nr_addresses; /* in the order in which they are looked for */
};
/* 0, -EINVAL, -ENOMEM with fault (CGM_SOURCE_FAULT). */
int cgm_source_options_read(const char *uri, struct cgm_source_options *ret, char *fault);
void cgm_source_options_done(struct cgm_source_options *o);
bool cgm_source_needs_kube(const struct cgm_source_options *o);

/* ---- nodes ---- */

struct cgm_source_node {
	char *name, *hostname, *host_id; /* host_id: NULL: none */
	char *base; /* "http://10.0.0.1:10255", without a slash at its end; NULL: no address is known */
	char *user, *password; /* NULL: none */
	struct cgm_kube_node *kube;
	const char *unready; /* a literal: why it is not asked; NULL: it is */
	uint64_t order; /* a stable hash: when within a cycle it is its turn */
	uint8_t form; /* CGM_NR_DECODE_FORMS: not known */
	uint64_t probe_again_ns; /* real time */
	unsigned nr_failures; /* in a row */
	bool said_failure, said_skew, said_bad, said_same, failed_last; /* failed_last: it is asked after the living */
	/* As struct cgm_node_state has it. */
	uint64_t last_ok_ns, last_try_ns, duration_ns, nr_ok, nr_failed[CGM_NR_NODE_FAULTS], nr_bad;
	int64_t skew_ns;
	char *fault; /* NULL: none */
};
void cgm_source_node_free(struct cgm_source_node *n);
DEFINE_CLEANUP(cgm_source_node, cgm_source_node_free)

/* libcurl looks through all connections of a multi handle after each request: so there are some, and each has its share of the nodes. */
#define CGM_SOURCE_MULTIS 32

struct cgm_source_slot;
struct cgm_source {
	struct cgm_source_config config;
	struct cgm_source_options options;
	pthread_t thread;
	bool has_thread;
	int wake_fd, poll_fd;
	bool stopping, paused; /* atomic */

	/* list.c */
	pthread_mutex_t lock; /* for nodes, their states, and stats */
	struct cgm_source_node **nodes; /* sorted by name */
	size_t nr_nodes;
	struct cgm_source_stats stats;
	bool listed; /* the list was known at least once */
	uint64_t nodes_version;
	char *file_text;
	size_t file_len;
	bool file_failed; /* it must be read in any case */

	/* login.c */
	struct cgm_kube_target login;
	struct cgm_kube_token token;
	bool verify, said_token;
	struct curl_slist *plain_headers, *post_headers, *token_headers, *token_post_headers;

	/* fetch.c */
	const struct cgm_curl *curl;
	struct cgm_source_multi {
		struct cgm_source *s;
		CURLM *multi;
		uint64_t timer_ns; /* monotonic; UINT64_MAX: none */
	} multis[CGM_SOURCE_MULTIS];
	struct cgm_source_slot *slots, *active; /* free ones; busy ones */
	size_t nr_slots, nr_free, nr_active, nr_main, nr_slow; /* main, slow: those that count against their limits */
	struct cgm_draft draft;

	/* source.c: the cycle. Monotonic times, but for end_ns */
	bool in_cycle, said_skipped, slow_stopped; /* slow_stopped: nobody of slow_queue is asked any more */
	uint64_t next_end_ns; /* since the epoch, as end_ns: the window that is next */
	uint64_t end_ns, begin_ns, limit_ns, spread_ns, last_answer_ns, first_request_ns, main_done_ns;
	struct cgm_source_node **main_queue, **slow_queue;
	size_t nr_main_queue, main_at, nr_slow_queue, slow_at, nr_answered;
	unsigned nr_said; /* log lines of nodes in this cycle */
	uint64_t nr_unsaid;
};

/* ---- list.c ---- */

/* Who the nodes are, as of now; nobody may be asked meanwhile. False: it is not known yet. */
bool cgm_source_list(struct cgm_source *s);
/* One address of an own list into a node of its own. 0, -EINVAL with fault, -ENOMEM. */
int cgm_source_address_read(const char *text, struct cgm_source_node **ret, char *fault);

/* ---- probe.c ---- */

/* The forms in the order in which they are tried; returns how many. */
size_t cgm_source_forms(const struct cgm_source *s, enum cgm_decode_form ret[CGM_NR_DECODE_FORMS]);
/* tried: a mask of forms. False: none is left. */
bool cgm_source_next_form(const struct cgm_source *s, const struct cgm_source_node *n, unsigned tried, uint64_t now_ns, enum cgm_decode_form *ret);
/* The path, and what is posted to it; NULL: it is a GET. */
const char *cgm_source_path(const struct cgm_source_node *n, enum cgm_decode_form form, const char **ret_body);
/* Why an answer that is none of 200 was given, and what to do about it, into text (CGM_SOURCE_FAULT). */
enum cgm_node_fault cgm_source_status_fault(const struct cgm_source *s, const struct cgm_source_node *n, enum cgm_decode_form form, long status, char *text);
/* The same of an exchange that failed; error: libcurl's words. */
enum cgm_node_fault cgm_source_curl_fault(const struct cgm_source *s, const struct cgm_source_node *n, CURLcode code, const char *error, char *text);
/* Of two faults of one node the one that tells more is higher. */
unsigned cgm_source_fault_rank(enum cgm_node_fault f, enum cgm_decode_form form);

/* ---- login.c ---- */

int cgm_source_login_open(struct cgm_source *s, char *fault);
/* Before a cycle: a token that changed. */
void cgm_source_login_refresh(struct cgm_source *s);
void cgm_source_login_done(struct cgm_source *s);
/* Sets what this node is shown. */
bool cgm_source_login_set(struct cgm_source *s, const struct cgm_source_node *n, CURL *easy, bool post);

/* ---- fetch.c ---- */

int cgm_source_fetch_open(struct cgm_source *s, char *fault);
void cgm_source_fetch_done(struct cgm_source *s);
/* How many connections are kept. */
void cgm_source_fetch_size(struct cgm_source *s);
/* Nodes whose turn it is, as far as there is room. */
void cgm_source_fetch_start(struct cgm_source *s, uint64_t now_ns);
/* Waits until a time (monotonic) for whatever comes, and takes it in. */
void cgm_source_fetch_wait(struct cgm_source *s, uint64_t until_ns);
/* Ends all that is under way; as a timeout of those nodes if it is told. */
void cgm_source_fetch_cut(struct cgm_source *s, bool tell);

/* Frees idle slots beyond so many. */
void cgm_source_fetch_trim(struct cgm_source *s, size_t nr);

/* ---- source.c ---- */

/* When it is a node's turn in this cycle (monotonic). */
uint64_t cgm_source_due(const struct cgm_source *s, const struct cgm_source_node *n);

/* ---- state.c ---- */

void cgm_source_node_ok(struct cgm_source *s, struct cgm_source_node *n, enum cgm_decode_form form, uint64_t duration_ns, int64_t skew_ns, uint64_t nr_bad);
void cgm_source_node_failed(struct cgm_source *s, struct cgm_source_node *n, enum cgm_node_fault f, const char *text);
/* How far a node's clock is ahead of ours: date (NULL: none) is a Date header's value, between our clock's begin_ns and end_ns. INT64_MIN: it cannot be said. */
int64_t cgm_source_skew(const char *date, const struct cgm_draft *d, uint64_t begin_ns, uint64_t end_ns);
