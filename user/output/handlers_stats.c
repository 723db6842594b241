// SPDX-License-Identifier: Apache-2.0
/* The kubelet's addresses that it gave up with version 1.21: cAdvisor's ContainerInfo and MachineInfo. Heapster's "kubernetes" source asks for them. */
#include "output/request.h"

#include <errno.h>

#include "base/mem.h"
#include "output/json.h"
#include "output/kubelet.h"

#define MAX_WORDS 4

/* What a request is about. */
struct wanted {
	const char *namespace, *pod, *uid, *container; /* uid NULL: any */
};

static bool parse_body(struct cgm_request *rq, struct cgm_json_stats_request *ret, enum MHD_Result *ret_answer)
{
	_cleanup_free_ char *fault = NULL;
	int r = cgm_json_stats_request_parse(rq->body.p ? rq->body.p : "", rq->body.len, ret, &fault);

	if (r == 0)
		return true;
	*ret_answer = r == -EINVAL && fault ? cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault) :
					      cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return false;
}

static enum MHD_Result answer(struct cgm_request *rq, struct cgm_snapshot *s, const struct cgm_row *row, bool recursive, enum cgm_containers_form form,
			      const struct cgm_json_request *samples)
{
	struct cgm_selection selection = { .snapshot = s, .top = (size_t)(row - s->rows), .recursive = recursive };

	return cgm_answer_stream(rq, cgm_json_kubelet_containers(s, &selection, form, samples));
}

/* A cgroup by its path: /stats/container. */
static enum MHD_Result answer_cgroup(struct cgm_request *rq, struct cgm_snapshot *s, struct cgm_json_stats_request *body)
{
	const struct cgm_row *row;

	cgm_path_clean(body->container);
	row = cgm_snapshot_find(s, body->container);
	if (!row)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\"", body->container);
	return answer(rq, s, row, body->subcontainers, CGM_CONTAINERS_MAP, &body->samples);
}

static const struct cgm_row *find_in_pod(const struct cgm_kubelet_pod *pod, const char *container)
{
	if (strcmp(container, "POD") == 0)
		return pod->sandbox;
	for (size_t i = 0; i < pod->nr_containers; i++)
		if (strcmp(cgm_kubelet_container_name(pod->containers[i].who), container) == 0)
			return pod->containers[i].row;
	return NULL;
}

/* 0 with *ret, which is NULL when there is none; -ENOMEM. */
static int find_container(const struct cgm_snapshot *s, const struct wanted *w, const struct cgm_row **ret)
{
	_cleanup_(cgm_kubelet_pods_done) struct cgm_kubelet_pods pods = { 0 };
	struct cgm_kubelet_pod pod;
	size_t at = 0;
	int r = cgm_kubelet_pods_init(s, &pods);

	*ret = NULL;
	while (r == 0 && !*ret && cgm_kubelet_pods_next(&pods, &at, &pod))
		if (strcmp(pod.name, w->pod) == 0 && strcmp(pod.namespace, w->namespace) == 0 && (!w->uid || strcmp(pod.uid, w->uid) == 0))
			*ret = find_in_pod(&pod, w->container);
	return r;
}

/* The words between the slashes of text, which is cut at them; more than MAX_WORDS: MAX_WORDS + 1. */
static size_t split(char *text, const char *words[MAX_WORDS])
{
	size_t nr = 0;

	for (char *p = text; p && nr <= MAX_WORDS; nr++) {
		char *slash = strchr(p, '/');

		if (slash)
			*slash = '\0';
		if (nr < MAX_WORDS)
			words[nr] = p;
		p = slash ? slash + 1 : NULL;
	}
	return nr;
}

static enum MHD_Result answer_of_pod(struct cgm_request *rq, struct cgm_snapshot *s, const struct cgm_json_request *samples)
{
	_cleanup_free_ char *text = cgm_strdup(rq->rest + 1);
	const char *words[MAX_WORDS];
	const struct cgm_row *row;
	struct wanted w;
	size_t nr;

	if (!text)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	nr = split(text, words);
	if (nr == 2)
		w = (struct wanted){ "default", words[0], NULL, words[1] };
	else if (nr == 4)
		w = (struct wanted){ words[0], words[1], words[2], words[3] };
	else
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown path \"%s\": it is /stats/POD/CONTAINER or /stats/NAMESPACE/POD/UID/CONTAINER", rq->path);
	if (find_container(s, &w, &row) < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	if (!row)
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "unknown container \"%s\" of pod \"%s\" in namespace \"%s\"", w.container, w.pod, w.namespace);
	return answer(rq, s, row, false, CGM_CONTAINERS_ONE, samples);
}

enum MHD_Result cgm_handle_kubelet_stats(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_json_stats_request body = { 0 };
	enum MHD_Result r;

	if (!*rq->rest && !rq->slash)
		return cgm_answer_with_slash(rq);
	if (!s)
		return cgm_answer_too_early(rq);
	if (!parse_body(rq, &body, &r))
		return r;
	if (!*rq->rest)
		r = answer(rq, s, s->rows, false, CGM_CONTAINERS_ONE, &body.samples);
	else if (strcmp(rq->rest, "/container") == 0)
		r = answer_cgroup(rq, s, &body);
	else
		r = answer_of_pod(rq, s, &body.samples);
	free(body.container);
	return r;
}

enum MHD_Result cgm_handle_kubelet_spec(struct cgm_request *rq)
{
	return rq->slash ? cgm_handle_machine(rq) : cgm_answer_with_slash(rq);
}
