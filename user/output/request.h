/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP request on its way: from the table of routes to an answer. All of it belongs to the server's thread that runs the request. */
#pragma once
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "output/facts.h"
#include "output/http.h"
#include "output/limits.h"
#include "output/passwords.h"
#include "output/query.h"
#include "output/scrape.h"
#include "output/stream.h"
#include "output/tls.h"
#include "output/waiters.h"

#define CGM_MAX_BODY_BYTES (64 * 1024)

enum cgm_method { CGM_GET = 1, CGM_HEAD = 2, CGM_POST = 4 };

/* Versions of cAdvisor's REST API, or'ed. */
enum cgm_api_version { CGM_V10 = 1, CGM_V11 = 2, CGM_V12 = 4, CGM_V13 = 8, CGM_V20 = 16, CGM_V21 = 32 };
#define CGM_V1_ALL (CGM_V10 | CGM_V11 | CGM_V12 | CGM_V13)
#define CGM_V2_ALL (CGM_V20 | CGM_V21)

struct cgm_request;
typedef enum MHD_Result (*cgm_handler_fn)(struct cgm_request *rq);

struct cgm_route {
	unsigned methods; /* enum cgm_method, or'ed */
	const char *pattern; /* "/x": that path; "/x/" and a star: "/x" and everything below; "/api/VER/…": in each of the versions */
	cgm_handler_fn handler;
	const char *help;
	unsigned versions; /* enum cgm_api_version, or'ed; of "/api/VER/…" */
	unsigned params; /* enum cgm_params, or'ed */
};

struct cgm_http {
	struct MHD_Daemon *daemon;
	struct cgm_http_config config;
	uint16_t port;
	struct cgm_scrape scrape;
	struct cgm_facts_cache facts;
	struct cgm_waiters waiters;
	bool waits; /* waiters were started */
	struct cgm_http_stats stats; /* atomic */
	struct cgm_limits limits;
	bool limited; /* limits were started */
	struct cgm_auth *auth; /* NULL: everybody may ask */
	struct cgm_tls *tls; /* NULL: plain HTTP */
	bool reload; /* atomic: read everything anew, changed or not */
};

struct cgm_request {
	struct cgm_http *http;
	struct MHD_Connection *connection;
	struct cgm_peer *peer;
	struct cgm_login *login; /* while its password is checked, and after; NULL: none was */
	struct cgm_review *review; /* likewise while the API server is asked for it */
	char *raw_uri; /* as it came, when digests are asked for; else NULL */
	unsigned status; /* of our answer; 0: none yet */
	const char *fault; /* of the path's encoding, else NULL */
	const char *prefix; /* of --url_base_prefix, when the request had it, else NULL */
	unsigned nr_slashes; /* in the path as it came */
	const struct cgm_route *route;
	char *path; /* decoded, without double or trailing slashes */
	const char *rest; /* what the star of the pattern stands for: "" or "/a/b" */
	unsigned version; /* enum cgm_api_version; 0: none of ours */
	bool slash; /* the path came with a slash at its end */
	struct cgm_waiter waiter; /* for a fresh sample */
	uint64_t fresh_ns; /* what it waits for: a snapshot of that moment or later; since the epoch */
	bool waited;
	bool follows; /* it is a stream of events */
	bool head_seen; /* the request's head was looked at */
	bool head_only; /* method HEAD */
	size_t body_seen; /* bytes of the body that came */
	struct cgm_buf body; /* at most CGM_MAX_BODY_BYTES */
};

/* ---- routes.c ---- */

/* The route of a path and what its star stands for (a part of path). NULL: none. */
const struct cgm_route *cgm_route_find(const char *path, const char **ret_rest);
/* The number of a method's name, 0: none of ours. */
unsigned cgm_method_of(const char *name);
/* "GET, HEAD" into buf. */
const char *cgm_method_list(unsigned methods, char *buf, size_t size);
/* What is wrong with the percent-encoding of a raw URI's path (a static text); NULL when nothing is. */
const char *cgm_path_fault(const char *raw_uri);
/* Removes double and trailing slashes in place. */
void cgm_path_clean(char *path);
/* The version that a path names behind "/api/", 0: none of ours; ret_rest: what follows it, "" or "/x". */
unsigned cgm_path_version(const char *path, const char **ret_rest);
/* "v1.0, v1.3" */
void cgm_version_names(unsigned versions, const char *between, struct cgm_buf *out);
/* The routes below prefix, one a line; those with versions only if version is 0 or among them. */
void cgm_routes_describe(const char *prefix, unsigned version, struct cgm_buf *out);
/* "containers,machine": the request types of a version. */
void cgm_routes_types(unsigned version, struct cgm_buf *out);

/* ---- response.c ---- */

/* {"error":{"status":…,"message":…}}; with 405 also Allow, with 503 Retry-After. */
enum MHD_Result cgm_answer_error(struct cgm_request *rq, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 200 with JSON that is made while it is sent. Takes the stream over; NULL is answered as out of memory. */
enum MHD_Result cgm_answer_stream(struct cgm_request *rq, struct cgm_stream *stream);
/* 200 with a text. Takes the buffer's memory over. */
enum MHD_Result cgm_answer_buf(struct cgm_request *rq, const char *type, struct cgm_buf *text);
/* 200 with bytes that never change. */
enum MHD_Result cgm_answer_static(struct cgm_request *rq, const char *type, const void *p, size_t len);
/* 200 with a body of /metrics. Takes the reference over. */
enum MHD_Result cgm_answer_metrics(struct cgm_request *rq, struct cgm_body *body, enum cgm_prometheus_format format, bool gzip);
/* One more of that status. */
void cgm_answer_count(struct cgm_http_stats *stats, unsigned status);
/* Queues an answer of any kind, and lets go of it: every answer goes through here, to be counted. NULL: out of memory, the connection ends. */
enum MHD_Result cgm_answer(struct cgm_request *rq, unsigned status, struct MHD_Response *response);
/* The same, for a stream of events: it may last, and is not counted among the large answers. */
enum MHD_Result cgm_answer_endless(struct cgm_request *rq, unsigned status, struct MHD_Response *response);
/* 401, 429 or 503, as the verdict says. */
enum MHD_Result cgm_answer_auth(struct cgm_request *rq, enum cgm_auth_verdict verdict);
/* A header of the request, NULL: none. */
const char *cgm_request_header(const struct cgm_request *rq, const char *name);
/* A parameter of the query that is a decimal number; ret stays as it is when there is none. False: it is something else. */
bool cgm_request_number(const struct cgm_request *rq, const char *name, uint64_t *ret);

/* ---- served.c ---- */

/* What another program answers (http_config.served). */
enum MHD_Result cgm_answer_served(struct cgm_request *rq, const char *method);
/* Is it one of the paths that everybody may ask for: /healthz, /readyz, /livez? */
bool cgm_served_is_open(const char *path);
/* Below /apis a fault is a Status, which clients of Kubernetes show. False: it is not one. */
bool cgm_served_fault(const struct cgm_request *rq, unsigned status, const char *message, struct cgm_buf *out);

/* ---- page.c ---- */

/* Is there a file of that name? */
bool cgm_page_has(const char *name);

/* The page's file of that name, with type, ETag and the policy that it may load from here only; 404 when there is none. */
enum MHD_Result cgm_answer_page_file(struct cgm_request *rq, const char *name);
/* 307 to the page with that fragment, relative to the address that was asked for: right below whatever prefix a proxy has put before it. */
enum MHD_Result cgm_answer_to_page(struct cgm_request *rq, const char *fragment);
/* What a fragment may hold of a name: everything else becomes %XX. */
void cgm_put_encoded(struct cgm_buf *b, const char *name);

/* That status with a line of text, as cAdvisor says what is wrong. */
enum MHD_Result cgm_answer_plain(struct cgm_request *rq, unsigned status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 307 to a path of ours. */
enum MHD_Result cgm_answer_redirect(struct cgm_request *rq, const char *path);
/* 301 to the same path with a slash at its end. */
enum MHD_Result cgm_answer_with_slash(struct cgm_request *rq);
/* The path is none of ours: 404, or as cAdvisor the way to its page. */
enum MHD_Result cgm_answer_unknown_path(struct cgm_request *rq);
/* 200 and no end: events as they come. */
enum MHD_Result cgm_answer_follow(struct cgm_request *rq, const struct cgm_events_filter *f);

/* ---- handlers.c ---- */

/* The newest snapshot; the bodies of older ones go as soon as anybody asks for anything. NULL before the first. */
struct cgm_snapshot *cgm_request_snapshot(struct cgm_request *rq);
static inline void cgm_snapshot_unrefp(struct cgm_snapshot **s)
{
	if (*s)
		cgm_snapshot_unref(*s);
}
enum MHD_Result cgm_answer_too_early(struct cgm_request *rq);
/* What the rest of the path names. */
const char *cgm_request_container(const struct cgm_request *rq);
/* The query of a request. */
struct cgm_query cgm_request_query(struct cgm_request *rq);
/*
 * True when the newest sample is older than that and the request waits for the next (at most until a moment after the next is due): the
 * handler must return MHD_YES at once, and is called again.
 */
bool cgm_request_waits(struct cgm_request *rq, const struct cgm_snapshot *s, uint64_t max_age_ns);

enum MHD_Result cgm_handle_healthz(struct cgm_request *rq);
enum MHD_Result cgm_handle_metrics(struct cgm_request *rq);
enum MHD_Result cgm_handle_api(struct cgm_request *rq);
enum MHD_Result cgm_handle_machine(struct cgm_request *rq);
enum MHD_Result cgm_handle_tree(struct cgm_request *rq);
enum MHD_Result cgm_handle_waits(struct cgm_request *rq);
enum MHD_Result cgm_handle_rows(struct cgm_request *rq);
enum MHD_Result cgm_handle_series(struct cgm_request *rq);
enum MHD_Result cgm_handle_old_page(struct cgm_request *rq);
enum MHD_Result cgm_handle_status(struct cgm_request *rq);
enum MHD_Result cgm_handle_compact(struct cgm_request *rq);
enum MHD_Result cgm_handle_feed(struct cgm_request *rq);
enum MHD_Result cgm_handle_hists(struct cgm_request *rq);
enum MHD_Result cgm_handle_page(struct cgm_request *rq);
enum MHD_Result cgm_handle_static(struct cgm_request *rq);

/* ---- handlers_v1.c ---- */

enum MHD_Result cgm_handle_containers(struct cgm_request *rq);
enum MHD_Result cgm_handle_subcontainers(struct cgm_request *rq);
enum MHD_Result cgm_handle_docker(struct cgm_request *rq);

/* ---- handlers_v2.c ---- */

enum MHD_Result cgm_handle_version(struct cgm_request *rq);
enum MHD_Result cgm_handle_attributes(struct cgm_request *rq);
enum MHD_Result cgm_handle_stats(struct cgm_request *rq);
enum MHD_Result cgm_handle_machine_stats(struct cgm_request *rq);
enum MHD_Result cgm_handle_summary(struct cgm_request *rq);
enum MHD_Result cgm_handle_spec(struct cgm_request *rq);
enum MHD_Result cgm_handle_storage(struct cgm_request *rq);
enum MHD_Result cgm_handle_ps(struct cgm_request *rq);
enum MHD_Result cgm_handle_appmetrics(struct cgm_request *rq);
enum MHD_Result cgm_handle_events(struct cgm_request *rq);

/* ---- handlers_kubelet.c ---- */

enum MHD_Result cgm_handle_kubelet_summary(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_resource(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_cadvisor(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_probes(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_stats(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_spec(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_pods(struct cgm_request *rq);
enum MHD_Result cgm_handle_kubelet_running_pods(struct cgm_request *rq);

/* ---- handlers_text.c ---- */

enum MHD_Result cgm_handle_validate(struct cgm_request *rq);
enum MHD_Result cgm_handle_debug(struct cgm_request *rq);
