/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask. Any of three ways opens all routes: a password (basic), a digest, or a bearer token; paths of --http_auth_except need none.
 * Beside these, as a kubelet has it (reviews.h): who has a client's certificate, a token that the API server knows, or nothing at all and that is allowed,
 * is somebody with groups, who may do what the API server's authorization lets him do, or everything.
 * A password that was found right is remembered for some minutes by a keyed hash, so that a scraper pays for bcrypt once; one that must be
 * computed is computed by a thread of its own at low priority, while the request is suspended: no other request waits for it.
 */
#pragma once
#include <stdint.h>

#include "kube/review.h"
#include "model/http_stats.h"
#include "output/throttle.h"

#define CGM_GROUP_AUTHENTICATED "system:authenticated"
#define CGM_GROUP_ANONYMOUS "system:unauthenticated"
#define CGM_USER_ANONYMOUS "system:anonymous"

/* Whom a front proxy names in headers, see auth_remote.h. NULL or "": the default. */
struct cgm_remote_config {
	const char *ca_file; /* authorities of such proxies' certificates; default: there are none */
	const char *allowed_names; /* their common names, comma between; default: any */
	const char *user_headers, *group_headers, *extra_prefixes; /* comma between; default: X-Remote-User, X-Remote-Group, X-Remote-Extra- */
};

/* As a kubelet: all false, it is off. Texts are the caller's and must stay. */
struct cgm_review_config {
	/* See kube/review.h; each waits for an answer. NULL where nothing is asked. */
	struct cgm_reviewer {
		int (*token)(void *arg, const char *token, struct cgm_kube_user *ret, char *fault);
		int (*access)(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault);
		void *arg;
	} reviewer;
	bool tokens, certificates, anonymous; /* who is somebody */
	struct cgm_remote_config headers; /* whom a proxy names is somebody, too; before all others */
	bool authorize; /* each access is asked for; else all may do everything */
	uint64_t token_ns, allowed_ns, denied_ns; /* how long an answer is good for */
	const char *node; /* whose parts are accessed */
};

/* "" or NULL: none. Texts are the caller's and must stay. */
struct cgm_auth_config {
	const char *basic_file, *basic_realm, *digest_file, *digest_realm, *token_file, *except;
	struct cgm_review_config review;
};

enum cgm_auth_verdict {
	CGM_AUTH_OPEN, /* go on */
	CGM_AUTH_LATER, /* the request was suspended, and is called again */
	CGM_AUTH_MISSING, /* 401 */
	CGM_AUTH_FAILED, /* 401 */
	CGM_AUTH_STALE, /* 401 with stale=true: the client tries again by itself */
	CGM_AUTH_LIMITED, /* 429 */
	CGM_AUTH_FORBIDDEN, /* 403 */
	CGM_AUTH_BUSY, /* 503 */
	CGM_AUTH_AWAY, /* 503: nobody can be asked */
};

struct cgm_auth;
struct cgm_request;
/* Reads the files. *ret is NULL when nothing is asked for. 0, or a negative errno, said in the log with file and line. stats: is counted in. */
int cgm_auth_open(const struct cgm_auth_config *config, struct cgm_http_stats *stats, struct cgm_auth **ret);
/* No request is suspended any more and none will be; before the server stops. */
void cgm_auth_stop(struct cgm_auth *a);
void cgm_auth_close(struct cgm_auth *a);
/* Looks whether the files changed (force: reads them in any case). What cannot be read stays as it was, and is said. One thread. */
void cgm_auth_reload(struct cgm_auth *a, bool force);
/* The server's threads, when the whole request is here. a may be NULL. */
enum cgm_auth_verdict cgm_auth_check(struct cgm_auth *a, struct cgm_request *rq, const char *method);
/* What a request keeps of the check; by its end. */
void cgm_auth_forget(struct cgm_request *rq);
/* Seconds for Retry-After. */
unsigned cgm_auth_wait_s(struct cgm_auth *a, const struct cgm_client *c);
/* Calls put for each value of WWW-Authenticate. */
void cgm_auth_challenges(struct cgm_auth *a, bool stale, void (*put)(void *arg, const char *value), void *arg);
/* Does anything need the request's URI as it came? */
bool cgm_auth_wants_uri(const struct cgm_auth *a);
