// SPDX-License-Identifier: Apache-2.0
/* cAdvisor's v1 requests: containers with their specs and samples. What is wanted stands in the body. */
#include "output/request.h"

#include <errno.h>

#include "output/json.h"

/* MHD_YES: the request is in *ret; else *ret_answer is the answer that was given. */
static bool parse_body(struct cgm_request *rq, struct cgm_json_request *ret, enum MHD_Result *ret_answer)
{
	_cleanup_free_ char *fault = NULL;
	int r = cgm_json_request_parse(rq->body.p ? rq->body.p : "", rq->body.len, ret, &fault);

	if (r == 0)
		return true;
	*ret_answer = r == -EINVAL && fault ? cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault) :
					      cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return false;
}

static enum MHD_Result answer_containers(struct cgm_request *rq, bool recursive)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	const char *name = cgm_request_container(rq);
	struct cgm_json_request request;
	struct cgm_selection selection;
	const struct cgm_row *row;
	enum MHD_Result answer;

	if (!s)
		return cgm_answer_too_early(rq);
	if (!parse_body(rq, &request, &answer))
		return answer;
	row = cgm_snapshot_find(s, name);
	if (!row && recursive)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "failed to get subcontainers for container \"%s\" with error: unknown container \"%s\"", name, name);
	if (!row)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "failed to get container \"%s\" with error: unknown container \"%s\"", name, name);
	selection = (struct cgm_selection){ .snapshot = s, .top = (size_t)(row - s->rows), .recursive = recursive };
	return cgm_answer_stream(rq, cgm_json_containers(s, &selection, recursive ? CGM_CONTAINERS_ARRAY : CGM_CONTAINERS_ONE, &request));
}

enum MHD_Result cgm_handle_containers(struct cgm_request *rq)
{
	return answer_containers(rq, false);
}

enum MHD_Result cgm_handle_subcontainers(struct cgm_request *rq)
{
	return answer_containers(rq, true);
}

/* One by its id or name, or all, of which there may be none. */
enum MHD_Result cgm_handle_docker(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_selection selection = { .snapshot = s, .recursive = true, .runtime = "docker" };
	const char *id = *rq->rest ? rq->rest + 1 : "";
	struct cgm_json_request request;
	enum MHD_Result answer;
	int r = 0;

	if (!s)
		return cgm_answer_too_early(rq);
	if (!parse_body(rq, &request, &answer))
		return answer;
	if (strchr(id, '/'))
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown request for Docker container \"%s\": an id or a name is one word", id);
	if (*id) {
		selection.recursive = false;
		r = cgm_selection_find(s, selection.runtime, id, &selection.top);
	}
	if (r < 0)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "failed to get Docker container \"%s\" with error: %s \"%s\" in \"docker\" namespace", id,
					r == -EEXIST ? "more than one container begins with" : "unable to find container", id);
	return cgm_answer_stream(rq, cgm_json_containers(s, &selection, CGM_CONTAINERS_MAP, &request));
}
