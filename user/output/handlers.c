// SPDX-License-Identifier: Apache-2.0
/* What each route does. */
#include "output/request.h"

#include <errno.h>

#include "base/clock.h"
#include "base/parse.h"
#include "output/feed.h"
#include "output/json.h"
#include "output/negotiate.h"

#define MAX_SPAN_MS (365ULL * 24 * 3600 * 1000)

static const char type_json[] = "application/json", type_text[] = "text/plain; charset=utf-8";

struct cgm_snapshot *cgm_request_snapshot(struct cgm_request *rq)
{
	struct cgm_snapshot *s = cgm_store_get(rq->http->config.store);

	if (s)
		cgm_scrape_trim(&rq->http->scrape, cgm_clock_mono_ns());
	return s;
}

enum MHD_Result cgm_answer_too_early(struct cgm_request *rq)
{
	return cgm_answer_error(rq, MHD_HTTP_SERVICE_UNAVAILABLE, "no sample has been taken yet");
}

const char *cgm_request_container(const struct cgm_request *rq)
{
	return *rq->rest ? rq->rest : "/";
}

static enum MHD_Result answer_unknown(struct cgm_request *rq)
{
	return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\"", cgm_request_container(rq));
}

static const char *get_argument(void *arg, const char *name)
{
	const struct cgm_request *rq = arg;

	return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct cgm_query cgm_request_query(struct cgm_request *rq)
{
	return (struct cgm_query){ .get = get_argument, .arg = rq, .lax = rq->http->config.legacy_status_codes };
}

/* A sampler that does not come by in time keeps nobody waiting for ever: then the answer is as old as it is. */
#define MAX_WAIT_NS (5 * CGM_NSEC_PER_SEC)

static bool is_fresh(struct cgm_waiter *w)
{
	struct cgm_request *rq = (struct cgm_request *)((char *)w - offsetof(struct cgm_request, waiter));
	struct cgm_snapshot *s = cgm_store_get(rq->http->config.store);
	bool fresh = s && s->time_ns >= rq->fresh_ns;

	cgm_snapshot_unref(s);
	return fresh;
}

bool cgm_request_waits(struct cgm_request *rq, const struct cgm_snapshot *s, uint64_t max_age_ns)
{
	uint64_t now = cgm_clock_real_ns();

	if (rq->waited)
		return false;
	rq->waited = true;
	rq->fresh_ns = now > max_age_ns ? now - max_age_ns : 0;
	if (s->time_ns >= rq->fresh_ns)
		return false;
	rq->waiter = (struct cgm_waiter){ .connection = rq->connection, .ready = is_fresh };
	rq->waiter.deadline_ns = cgm_clock_mono_ns() + rq->http->config.interval_ns + MAX_WAIT_NS;
	return cgm_wait(&rq->http->waiters, &rq->waiter);
}

enum MHD_Result cgm_handle_healthz(struct cgm_request *rq)
{
	return cgm_answer_static(rq, type_text, "ok", 2);
}

enum MHD_Result cgm_handle_metrics(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = NULL;
	enum cgm_prometheus_format format = cgm_accepts_format(cgm_request_header(rq, "Accept"));
	bool gzip = cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	struct cgm_query query = cgm_request_query(rq);
	struct cgm_container_query q;
	char fault[CGM_FAULT_BYTES];
	struct cgm_body *body;

	if (!s)
		return cgm_answer_too_early(rq);
	if (cgm_query_containers(&query, &q, fault) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault);
	if (q.has_max_age && cgm_request_waits(rq, s, q.max_age_ns))
		return MHD_YES;
	facts = cgm_facts_get(&rq->http->facts);
	if (cgm_scrape_get(&rq->http->scrape, s, facts ? facts->machine : NULL, format, gzip, &body) < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return cgm_answer_metrics(rq, body, format, gzip);
}

static enum MHD_Result list_versions(struct cgm_request *rq)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	if (!rq->http->config.legacy_status_codes) {
		cgm_routes_describe("/api/", 0, &text);
		return cgm_answer_buf(rq, type_text, &text);
	}
	if (!rq->slash)
		return cgm_answer_redirect(rq, "/api/");
	cgm_version_names(CGM_V1_ALL | CGM_V2_ALL, ",", &text);
	cgm_buf_char(&text, '\0');
	return cgm_answer_plain(rq, MHD_HTTP_BAD_REQUEST, "Supported API versions: %s", text.failed ? "" : text.p);
}

static enum MHD_Result list_types(struct cgm_request *rq)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	if (!rq->http->config.legacy_status_codes) {
		cgm_routes_describe("/api/VER/", rq->version, &text);
		return cgm_answer_buf(rq, type_text, &text);
	}
	cgm_routes_types(rq->version, &text);
	cgm_buf_char(&text, '\0');
	return cgm_answer_plain(rq, MHD_HTTP_BAD_REQUEST, "Supported request types: \"%s\"", text.failed ? "" : text.p);
}

/* What is below /api and no request: lists, and faults that say what was meant. */
enum MHD_Result cgm_handle_api(struct cgm_request *rq)
{
	const char *rest;
	size_t len = strlen(rq->rest);

	if (!len)
		return list_versions(rq);
	if (!rq->version)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unsupported API version \"%.*s\"", (int)strcspn(rq->rest + 1, "/"), rq->rest + 1);
	cgm_path_version(rq->path, &rest);
	if (!*rest)
		return list_types(rq);
	return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown request type \"%.*s\"", (int)strcspn(rest + 1, "/"), rest + 1);
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

enum MHD_Result cgm_handle_tree(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);

	if (!s)
		return cgm_answer_too_early(rq);
	return cgm_answer_stream(rq, cgm_json_tree(s));
}

/* What render makes of the row that the path names. */
static enum MHD_Result answer_row(struct cgm_request *rq, struct cgm_stream *(*render)(struct cgm_snapshot *s, size_t row))
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	const struct cgm_row *row;

	if (!s)
		return cgm_answer_too_early(rq);
	row = cgm_snapshot_find(s, cgm_request_container(rq));
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
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	uint64_t seen_mono_ns = 0;

	if (!s)
		return cgm_answer_too_early(rq);
	if (*rq->rest && cgm_parse_u64(cgm_str(rq->rest + 1), &seen_mono_ns) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "feed/…: the moment of the last feed must be a number");
	return cgm_answer_stream(rq, cgm_feed_write(s, seen_mono_ns));
}

/* A number of another agent, or of none, is as good as 0: everything is told. */
enum MHD_Result cgm_handle_rows(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	uint64_t since_seq = 0, agent = 0;

	if (!s)
		return cgm_answer_too_early(rq);
	if (!cgm_request_number(rq, "since", &since_seq))
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "since: must be a number, the seq of an earlier answer");
	if (!cgm_request_number(rq, "agent", &agent))
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "agent: must be a number, that of an earlier answer");
	if (s->nr_rows)
		cgm_identity_look(s->rows[0].identity);
	return cgm_answer_stream(rq, cgm_json_rows(s, agent == s->self.start_time_ns ? since_seq : 0));
}

enum MHD_Result cgm_handle_series(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	uint64_t window_ms = 0, step_ms = 0;
	struct cgm_json_range range = { 0 };
	const struct cgm_row *row;

	if (!s)
		return cgm_answer_too_early(rq);
	if (!cgm_request_number(rq, "since", &range.since_ns))
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "since: must be a number, the next of an earlier answer");
	if (!cgm_request_number(rq, "window", &window_ms))
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "window: must be a number of milliseconds");
	if (!cgm_request_number(rq, "step", &step_ms))
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "step: must be a number of milliseconds");
	row = cgm_snapshot_find(s, cgm_request_container(rq));
	if (!row)
		return answer_unknown(rq);
	cgm_identity_look(row->identity);
	range.window_ns = MIN(window_ms, MAX_SPAN_MS) * CGM_NSEC_PER_MSEC;
	range.step_ns = MIN(step_ms, MAX_SPAN_MS) * CGM_NSEC_PER_MSEC;
	return cgm_answer_stream(rq, cgm_json_series(s, (size_t)(row - s->rows), &range));
}

enum MHD_Result cgm_handle_status(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_buf text = { 0 };
	const char *rest;

	if (!s)
		return cgm_answer_too_early(rq);
	cgm_json_status(&text, s, rq->http->config.version, cgm_route_find("/api/v2.0/ps", &rest) != NULL);
	return cgm_answer_buf(rq, type_json, &text);
}

enum MHD_Result cgm_handle_page(struct cgm_request *rq)
{
	return cgm_answer_page_file(rq, "index.html");
}

/*
 * cAdvisor's addresses. Those of a runtime name a container by its id or a part of its name, or no one at all: the page looks for it among what it
 * knows.
 */
enum MHD_Result cgm_handle_old_page(struct cgm_request *rq)
{
	static const char containers[] = "/containers", podman[] = "/podman";
	_cleanup_(cgm_buf_done) struct cgm_buf fragment = { 0 };
	const char *id = rq->rest + strspn(rq->rest, "/");

	if (strncmp(rq->path, containers, sizeof(containers) - 1) == 0) {
		cgm_put_encoded(&fragment, cgm_request_container(rq));
	} else {
		cgm_buf_str(&fragment, *id ? "/?find=" : "/?q=");
		cgm_put_encoded(&fragment, *id ? id : strncmp(rq->path, podman, sizeof(podman) - 1) == 0 ? "libpod" : "docker");
	}
	cgm_buf_char(&fragment, '\0');
	if (fragment.failed)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return cgm_answer_to_page(rq, fragment.p);
}

enum MHD_Result cgm_handle_static(struct cgm_request *rq)
{
	return cgm_answer_page_file(rq, *rq->rest ? rq->rest + 1 : "");
}
