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
#include "output/scrape.h"
#include "output/stream.h"

#define CGM_MAX_BODY_BYTES (64 * 1024)

enum cgm_method { CGM_GET = 1, CGM_HEAD = 2, CGM_POST = 4 };

struct cgm_request;
typedef enum MHD_Result (*cgm_handler_fn)(struct cgm_request *rq);

struct cgm_route {
	unsigned methods; /* enum cgm_method, or'ed */
	const char *pattern; /* "/x": that path; "/x/" and a star: "/x" and everything below */
	cgm_handler_fn handler;
	const char *help;
};

struct cgm_http {
	struct MHD_Daemon *daemon;
	struct cgm_http_config config;
	uint16_t port;
	struct cgm_scrape scrape;
	struct cgm_facts_cache facts;
};

struct cgm_request {
	struct cgm_http *http;
	struct MHD_Connection *connection;
	const char *fault; /* of the path's encoding, else NULL */
	const struct cgm_route *route;
	char *path; /* decoded, without double or trailing slashes */
	const char *rest; /* what the star of the pattern stands for: "" or "/a/b" */
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
/* The routes below prefix, one a line. */
void cgm_routes_describe(const char *prefix, struct cgm_buf *out);

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
/* A header of the request, NULL: none. */
const char *cgm_request_header(const struct cgm_request *rq, const char *name);

/* ---- page.c ---- */

/* The page's file of that name, with type, ETag and the policy that it may load from here only; 404 when there is none. */
enum MHD_Result cgm_answer_page_file(struct cgm_request *rq, const char *name);

/* ---- handlers.c ---- */

enum MHD_Result cgm_handle_healthz(struct cgm_request *rq);
enum MHD_Result cgm_handle_metrics(struct cgm_request *rq);
enum MHD_Result cgm_handle_api(struct cgm_request *rq);
enum MHD_Result cgm_handle_machine(struct cgm_request *rq);
enum MHD_Result cgm_handle_containers(struct cgm_request *rq);
enum MHD_Result cgm_handle_subcontainers(struct cgm_request *rq);
enum MHD_Result cgm_handle_tree(struct cgm_request *rq);
enum MHD_Result cgm_handle_waits(struct cgm_request *rq);
enum MHD_Result cgm_handle_status(struct cgm_request *rq);
enum MHD_Result cgm_handle_feed(struct cgm_request *rq);
enum MHD_Result cgm_handle_hists(struct cgm_request *rq);
enum MHD_Result cgm_handle_page(struct cgm_request *rq);
enum MHD_Result cgm_handle_static(struct cgm_request *rq);
