// SPDX-License-Identifier: Apache-2.0
/* Another program's answers (serve.h): what it is asked, and how what it says goes out. */
#include "base/mem.h"
#include "output/gzip.h"
#include "output/json.h"
#include "output/negotiate.h"
#include "output/request.h"
#include "output/reviews.h"
#include "output/serve.h"

#define MAX_PARAMS 64
#define SMALL_BYTES 1024 /* below, gzip gains nothing */

static const char type_json[] = "application/json";

bool cgm_served_is_open(const char *path)
{
	static const char *const open[] = { "/healthz", "/readyz", "/livez" };

	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		size_t len = strlen(open[i]);

		if (strncmp(path, open[i], len) == 0 && (!path[len] || path[len] == '/'))
			return true;
	}
	return false;
}

/* ---- faults as Kubernetes tells them ---- */

static bool is_of_kubernetes(const struct cgm_request *rq)
{
	const char *path = rq->path ? rq->path : "";

	return rq->http->config.served && strncmp(path, "/api", 4) == 0 &&
	       (!path[4] || strcmp(path + 4, "s") == 0 || strncmp(path + 4, "s/", 2) == 0 || strcmp(path + 4, "/v1") == 0 ||
		strncmp(path + 4, "/v1/nodes", 9) == 0 ||
		strncmp(path + 4, "/v1/namespaces", 14) == 0 || strncmp(path + 4, "/v1/pods", 8) == 0);
}

static const char *reason_of(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{ MHD_HTTP_BAD_REQUEST, "BadRequest" },
		{ MHD_HTTP_UNAUTHORIZED, "Unauthorized" },
		{ MHD_HTTP_FORBIDDEN, "Forbidden" },
		{ MHD_HTTP_NOT_FOUND, "NotFound" },
		{ MHD_HTTP_METHOD_NOT_ALLOWED, "MethodNotAllowed" },
		{ MHD_HTTP_NOT_ACCEPTABLE, "NotAcceptable" },
		{ MHD_HTTP_TOO_MANY_REQUESTS, "TooManyRequests" },
		{ MHD_HTTP_SERVICE_UNAVAILABLE, "ServiceUnavailable" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "InternalError";
}

bool cgm_served_fault(const struct cgm_request *rq, unsigned status, const char *message, struct cgm_buf *out)
{
	if (!is_of_kubernetes(rq))
		return false;
	cgm_buf_lit(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
	cgm_json_string(out, message);
	cgm_buf_printf(out, ",\"reason\":\"%s\",\"details\":{},\"code\":%u}\n", reason_of(status), status);
	return true;
}

/* ---- the question ---- */

struct gathered {
	struct cgm_ask_param p[MAX_PARAMS];
	size_t nr;
};

static enum MHD_Result add_param(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct gathered *ps = cls;

	(void)kind;
	if (ps->nr < MAX_PARAMS)
		ps->p[ps->nr] = (struct cgm_ask_param){ name, value ? value : "" };
	ps->nr++;
	return MHD_YES;
}

/* ---- the answer ---- */

static void reply_done(struct cgm_reply *r)
{
	cgm_buf_done(&r->body);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value && *value)
		MHD_add_response_header(response, name, value);
}

static void add_headers(struct MHD_Response *response, const struct cgm_reply *r, bool packed)
{
	char vary[128];

	snprintf(vary, sizeof(vary), "%s%sAccept-Encoding", r->vary ? r->vary : "", r->vary ? ", " : "");
	add_header(response, "Content-Type", r->type ? r->type : type_json);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Cache-Control", "no-cache, private");
	add_header(response, "Vary", vary);
	add_header(response, "ETag", r->etag);
	if (packed)
		add_header(response, "Content-Encoding", "gzip");
}

/* A place on this server is told with the prefix that the request had. */
static void add_location(const struct cgm_request *rq, struct MHD_Response *response, const char *location)
{
	char text[512];

	if (!location)
		return;
	snprintf(text, sizeof(text), "%s%s", rq->prefix && *location == '/' ? rq->prefix : "", location);
	add_header(response, "Location", text);
}

static enum MHD_Result send_reply(struct cgm_request *rq, struct cgm_reply *r)
{
	_cleanup_(cgm_buf_done) struct cgm_buf packed = { 0 };
	unsigned status = r->status ? r->status : MHD_HTTP_OK;
	bool gzip = r->body.len >= SMALL_BYTES && cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	struct cgm_buf *body = gzip ? &packed : &r->body;
	struct MHD_Response *response;

	if (status == MHD_HTTP_OK && *r->etag && cgm_matches_etag(cgm_request_header(rq, "If-None-Match"), r->etag)) {
		status = MHD_HTTP_NOT_MODIFIED;
		r->body.len = 0;
		gzip = false;
		body = &r->body;
	}
	if (r->body.failed || (gzip && cgm_gzip_buf(&r->body, &packed) < 0))
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	if (body->len)
		response = MHD_create_response_from_buffer(body->len, body->p, MHD_RESPMEM_MUST_FREE);
	else
		response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	if (body->len)
		*body = (struct cgm_buf){ 0 };
	add_headers(response, r, gzip);
	add_location(rq, response, r->location);
	if (status == MHD_HTTP_UNAUTHORIZED)
		add_header(response, "WWW-Authenticate", "Bearer");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		add_header(response, "Retry-After", "1");
	return cgm_answer(rq, status, response);
}

/* ---- the page ---- */

/* Its name, when the path is a file of the page; NULL: it is none. */
static const char *page_file(const struct cgm_request *rq, bool reads)
{
	static const char files[] = "/static/";
	const struct cgm_served *served = rq->http->config.served;

	if (!served->page || !reads)
		return NULL;
	if (strcmp(rq->path, "/") == 0)
		return served->page;
	return strncmp(rq->path, files, sizeof(files) - 1) == 0 ? rq->path + sizeof(files) - 1 : NULL;
}

enum MHD_Result cgm_answer_served(struct cgm_request *rq, const char *method)
{
	const struct cgm_served *served = rq->http->config.served;
	_cleanup_(reply_done) struct cgm_reply reply = { 0 };
	struct gathered ps = { .nr = 0 };
	unsigned known = cgm_method_of(method);
	const char *file;
	struct cgm_ask a;

	if (!known)
		return cgm_answer_error(rq, MHD_HTTP_METHOD_NOT_ALLOWED, "method %.32s is not allowed for \"%s\"", method, rq->path);
	file = page_file(rq, known != CGM_POST);
	if (file)
		return cgm_answer_page_file(rq, file);
	MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, add_param, &ps);
	if (ps.nr > MAX_PARAMS)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "more than %d parameters", MAX_PARAMS);
	a = (struct cgm_ask){
		.method = known == CGM_POST ? "POST" : "GET",
		.path = rq->path,
		.slash = rq->slash,
		.params = ps.p,
		.nr_params = ps.nr,
		.accept = cgm_request_header(rq, "Accept"),
		.if_none_match = cgm_request_header(rq, "If-None-Match"),
		.body = rq->body.p ? rq->body.p : "",
		.body_len = rq->body.len,
		.user = cgm_review_user(rq->review),
	};
	if (!served->answer(served->arg, &a, &reply)) {
		if (served->page && known != CGM_POST && cgm_page_has(rq->path + 1))
			return cgm_answer_page_file(rq, rq->path + 1);
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown path \"%s\"", rq->path);
	}
	return send_reply(rq, &reply);
}
