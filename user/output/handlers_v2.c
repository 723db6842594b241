// SPDX-License-Identifier: Apache-2.0
/* cAdvisor's v2 requests, and the events, which v1.3 has as well. What is wanted stands in the query. */
#include "output/request.h"

#include <errno.h>

#include "output/json.h"

static const char type_json[] = "application/json";

/* What a request selects: the newest snapshot, the rows in it and the rest of the query. */
struct wanted {
	struct cgm_snapshot *snapshot;
	struct cgm_selection selection;
	struct cgm_container_query query;
};

static void wanted_done(struct wanted *w)
{
	cgm_snapshot_unref(w->snapshot);
}

/* Names that a runtime gave. */
static enum MHD_Result select_by_runtime(struct cgm_request *rq, struct wanted *w, bool *ret_done)
{
	const char *name = cgm_request_container(rq), *runtime = cgm_id_type_name(w->query.type);
	int r;

	w->selection = (struct cgm_selection){ .snapshot = w->snapshot, .recursive = w->query.recursive, .runtime = runtime };
	if (w->query.recursive && strcmp(name, "/") != 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "invalid request for %s container \"%s\" with subcontainers: 'recursive' is only for /", runtime, name);
	r = w->query.recursive ? 0 : cgm_selection_find(w->snapshot, runtime, name + 1, &w->selection.top);
	if (r < 0)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "%s \"%s\" in \"%s\" namespace",
					r == -EEXIST ? "more than one container begins with" : "unable to find container", name + 1, runtime);
	*ret_done = true;
	return MHD_YES;
}

/*
 * Reads the query and finds the rows. *ret_done: it did; else what is returned is to be returned: an answer was given, or the request waits for a
 * fresh sample.
 */
static enum MHD_Result want(struct cgm_request *rq, struct wanted *w, bool *ret_done)
{
	struct cgm_query query = cgm_request_query(rq);
	char fault[CGM_FAULT_BYTES];
	const struct cgm_row *row;

	*w = (struct wanted){ .snapshot = cgm_request_snapshot(rq) };
	*ret_done = false;
	if (!w->snapshot)
		return cgm_answer_too_early(rq);
	if (cgm_query_containers(&query, &w->query, fault) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault);
	if (w->query.has_max_age && cgm_request_waits(rq, w->snapshot, w->query.max_age_ns))
		return MHD_YES;
	if (w->query.type != CGM_ID_NAME)
		return select_by_runtime(rq, w, ret_done);
	row = cgm_snapshot_find(w->snapshot, cgm_request_container(rq));
	if (!row)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\"", cgm_request_container(rq));
	w->selection = (struct cgm_selection){ .snapshot = w->snapshot, .top = (size_t)(row - w->snapshot->rows), .recursive = w->query.recursive };
	*ret_done = true;
	return MHD_YES;
}

static enum MHD_Result answer_v2(struct cgm_request *rq, enum cgm_v2_kind kind)
{
	_cleanup_(wanted_done) struct wanted w;
	bool done;
	enum MHD_Result r = want(rq, &w, &done);

	if (!done)
		return r;
	return cgm_answer_stream(rq, cgm_json_v2(w.snapshot, kind, &w.selection, w.query.count));
}

enum MHD_Result cgm_handle_stats(struct cgm_request *rq)
{
	return answer_v2(rq, rq->version == CGM_V20 ? CGM_V20_STATS : CGM_V21_STATS);
}

enum MHD_Result cgm_handle_spec(struct cgm_request *rq)
{
	return answer_v2(rq, CGM_V2_SPEC);
}

enum MHD_Result cgm_handle_summary(struct cgm_request *rq)
{
	return answer_v2(rq, CGM_V2_SUMMARY);
}

/* Always of "/", whatever the query selects. */
enum MHD_Result cgm_handle_machine_stats(struct cgm_request *rq)
{
	_cleanup_(wanted_done) struct wanted w;
	bool done;
	enum MHD_Result r = want(rq, &w, &done);

	if (!done)
		return r;
	w.selection = (struct cgm_selection){ .snapshot = w.snapshot };
	return cgm_answer_stream(rq, cgm_json_v2(w.snapshot, CGM_V2_MACHINE_STATS, &w.selection, w.query.count));
}

/* The first row that was asked for; NULL: none was. */
static const struct cgm_row *wanted_row(const struct wanted *w)
{
	size_t row = cgm_selection_first(&w->selection);

	return row < w->snapshot->nr_rows ? &w->snapshot->rows[row] : NULL;
}

enum MHD_Result cgm_handle_appmetrics(struct cgm_request *rq)
{
	_cleanup_(wanted_done) struct wanted w;
	struct cgm_buf text = { 0 };
	const struct cgm_row *row;
	bool done;
	enum MHD_Result r = want(rq, &w, &done);

	if (!done)
		return r;
	row = wanted_row(&w);
	cgm_buf_char(&text, '{');
	if (row) {
		cgm_json_string(&text, row->identity->name);
		cgm_buf_char(&text, ':');
		cgm_json_app_metrics(&text, row->app);
	}
	cgm_buf_char(&text, '}');
	return cgm_answer_buf(rq, type_json, &text);
}

enum MHD_Result cgm_handle_ps(struct cgm_request *rq)
{
	_cleanup_(wanted_done) struct wanted w;
	struct cgm_processes list;
	const struct cgm_row *row;
	const char *name;
	bool done;
	enum MHD_Result r = want(rq, &w, &done);
	int e;

	if (!done)
		return r;
	row = wanted_row(&w);
	name = row ? row->identity->name : NULL;
	if (!rq->http->config.trees || !name)
		return cgm_answer_static(rq, type_json, "[]", 2);
	e = cgm_processes_open(rq->http->config.trees, name, &list);
	if (e == -ENOENT || e == -EINVAL) /* it ended since the snapshot */
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\"", cgm_request_container(rq));
	if (e < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "cannot list the processes of \"%s\": %s", cgm_request_container(rq),
					strerror(-e));
	return cgm_answer_stream(rq, cgm_json_processes(&list, name[1] == '\0'));
}

/* ---- the machine ---- */

enum MHD_Result cgm_handle_version(struct cgm_request *rq)
{
	struct cgm_buf text = { 0 };

	cgm_json_string(&text, rq->http->config.version);
	return cgm_answer_buf(rq, type_json, &text);
}

enum MHD_Result cgm_handle_attributes(struct cgm_request *rq)
{
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = cgm_facts_get(&rq->http->facts);
	struct cgm_buf text = { 0 };

	if (!facts)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	cgm_json_attributes(&text, facts->machine, rq->http->config.version);
	return cgm_answer_buf(rq, type_json, &text);
}

enum MHD_Result cgm_handle_storage(struct cgm_request *rq)
{
	/* Not of the facts, which are some minutes old: mounts come and go. */
	_cleanup_(cgm_machine_freep) struct cgm_machine *machine = cgm_machine_read_fs(rq->http->config.root_fd);
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_query query = cgm_request_query(rq);
	const char *label = query.get(query.arg, "label"), *uuid = query.get(query.arg, "uuid");
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	size_t nr;

	if (!machine)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	label = label && *label ? label : NULL;
	uuid = uuid && *uuid ? uuid : NULL;
	nr = cgm_json_storage(&text, machine, s, rq->http->config.root_fd, label, uuid);
	if (!nr && uuid)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "no file system with the 'uuid' \"%s\"", uuid);
	if (!nr && label)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "non-existent label \"%s\"", label);
	return cgm_answer_buf(rq, type_json, &text);
}

/* ---- events ---- */

/* A container need not be there (any more) to have events. */
enum MHD_Result cgm_handle_events(struct cgm_request *rq)
{
	struct cgm_query query = cgm_request_query(rq);
	struct cgm_events *events = rq->http->config.events;
	struct cgm_events_filter f;
	struct cgm_events_query q;
	char fault[CGM_FAULT_BYTES];

	if (cgm_query_events(&query, &q, fault) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault);
	f = (struct cgm_events_filter){
		.types = q.types,
		.container = cgm_request_container(rq),
		.subcontainers = q.subcontainers,
		.start_ns = q.start_ns,
		.end_ns = q.end_ns,
	};
	if (!events)
		return cgm_answer_static(rq, type_json, "[]", 2);
	if (q.stream && !rq->head_only)
		return cgm_answer_follow(rq, &f);
	return cgm_answer_stream(rq, cgm_json_events(events, &f, q.max));
}
