// SPDX-License-Identifier: Apache-2.0
/* What each route does. */
#include "output/request.h"

#include <errno.h>

#include "base/parse.h"
#include "output/feed.h"
#include "output/json.h"
#include "output/negotiate.h"

static const char type_json[] = "application/json", type_text[] = "text/plain; charset=utf-8";

static void snapshot_unrefp(struct cgm_snapshot **s)
{
	if (*s)
		cgm_snapshot_unref(*s);
}

/* The newest snapshot; the bodies of older ones go as soon as anybody asks for anything. NULL before the first. */
static struct cgm_snapshot *newest(struct cgm_request *rq)
{
	struct cgm_snapshot *s = cgm_store_get(rq->http->config.store);

	if (s)
		cgm_scrape_trim(&rq->http->scrape, s->seq);
	return s;
}

static enum MHD_Result answer_too_early(struct cgm_request *rq)
{
	return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "no sample has been taken yet");
}

static const char *container_name(const struct cgm_request *rq)
{
	return *rq->rest ? rq->rest : "/";
}

static enum MHD_Result answer_unknown(struct cgm_request *rq)
{
	return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\"", container_name(rq));
}

enum MHD_Result cgm_handle_healthz(struct cgm_request *rq)
{
	return cgm_answer_static(rq, type_text, "ok", 2);
}

enum MHD_Result cgm_handle_metrics(struct cgm_request *rq)
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = NULL;
	enum cgm_prometheus_format format = cgm_accepts_format(cgm_request_header(rq, "Accept"));
	bool gzip = cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	struct cgm_body *body;

	if (!s)
		return answer_too_early(rq);
	facts = cgm_facts_get(&rq->http->facts);
	if (cgm_scrape_get(&rq->http->scrape, s, facts ? facts->machine : NULL, format, gzip, &body) < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return cgm_answer_metrics(rq, body, format, gzip);
}

enum MHD_Result cgm_handle_api(struct cgm_request *rq)
{
	struct cgm_buf text = { 0 };

	cgm_routes_describe("/api/", &text);
	return cgm_answer_buf(rq, type_text, &text);
}

enum MHD_Result cgm_handle_machine(struct cgm_request *rq)
{
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = cgm_facts_get(&rq->http->facts);
	struct cgm_buf text = { 0 };

	if (!facts)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	cgm_json_machine(&text, facts->machine);
	return cgm_answer_buf(rq, type_json, &text);
}

static enum MHD_Result answer_containers(struct cgm_request *rq, bool recursive)
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);
	_cleanup_free_ char *fault = NULL;
	struct cgm_json_request request;
	const struct cgm_row *row;
	int r;

	if (!s)
		return answer_too_early(rq);
	r = cgm_json_request_parse(rq->body.p ? rq->body.p : "", rq->body.len, &request, &fault);
	if (r == -EINVAL && fault)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault);
	if (r < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	row = cgm_snapshot_find(s, container_name(rq));
	if (!row)
		return answer_unknown(rq);
	return cgm_answer_stream(rq, cgm_json_containers(s, (size_t)(row - s->rows), recursive, &request));
}

enum MHD_Result cgm_handle_containers(struct cgm_request *rq)
{
	return answer_containers(rq, false);
}

enum MHD_Result cgm_handle_subcontainers(struct cgm_request *rq)
{
	return answer_containers(rq, true);
}

enum MHD_Result cgm_handle_tree(struct cgm_request *rq)
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);

	if (!s)
		return answer_too_early(rq);
	return cgm_answer_stream(rq, cgm_json_tree(s));
}

/* What render makes of the row that the path names. */
static enum MHD_Result answer_row(struct cgm_request *rq, struct cgm_stream *(*render)(struct cgm_snapshot *s, size_t row))
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);
	const struct cgm_row *row;

	if (!s)
		return answer_too_early(rq);
	row = cgm_snapshot_find(s, container_name(rq));
	if (!row)
		return answer_unknown(rq);
	return cgm_answer_stream(rq, render(s, (size_t)(row - s->rows)));
}

enum MHD_Result cgm_handle_waits(struct cgm_request *rq)
{
	return answer_row(rq, cgm_json_waits);
}

enum MHD_Result cgm_handle_hists(struct cgm_request *rq)
{
	return answer_row(rq, cgm_hists_write);
}

enum MHD_Result cgm_handle_feed(struct cgm_request *rq)
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);
	uint64_t seen_mono_ns = 0;

	if (!s)
		return answer_too_early(rq);
	if (*rq->rest && cgm_parse_u64(cgm_str(rq->rest + 1), &seen_mono_ns) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "feed/…: the moment of the last feed must be a number");
	return cgm_answer_stream(rq, cgm_feed_write(s, seen_mono_ns));
}

enum MHD_Result cgm_handle_status(struct cgm_request *rq)
{
	_cleanup_(snapshot_unrefp) struct cgm_snapshot *s = newest(rq);
	struct cgm_buf text = { 0 };

	if (!s)
		return answer_too_early(rq);
	cgm_json_status(&text, s, rq->http->config.version);
	return cgm_answer_buf(rq, type_json, &text);
}

enum MHD_Result cgm_handle_page(struct cgm_request *rq)
{
	return cgm_answer_page_file(rq, "index.html");
}

enum MHD_Result cgm_handle_static(struct cgm_request *rq)
{
	return cgm_answer_page_file(rq, *rq->rest ? rq->rest + 1 : "");
}
