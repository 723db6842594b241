// SPDX-License-Identifier: Apache-2.0
/* The kubelet's addresses. */
#include "output/request.h"

#include <errno.h>

#include "output/kubelet.h"
#include "output/negotiate.h"

static void read_node(const struct cgm_http_config *config, const struct cgm_machine *machine, uint64_t boot_time_ns, struct cgm_kubelet_node *ret)
{
	cgm_kubelet_node_read(config->root_fd, machine, boot_time_ns, ret);
	if (config->node_name)
		snprintf(ret->name, sizeof(ret->name), "%s", config->node_name);
}

enum MHD_Result cgm_handle_kubelet_summary(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = NULL;
	const struct cgm_http_config *config = &rq->http->config;
	struct cgm_query query = cgm_request_query(rq);
	struct cgm_kubelet_node node;
	bool only = false;
	char fault[CGM_FAULT_BYTES];

	if (!s)
		return cgm_answer_too_early(rq);
	if (cgm_query_kubelet(&query, &only, fault) < 0)
		return cgm_answer_error(rq, MHD_HTTP_BAD_REQUEST, "%s", fault);
	facts = cgm_facts_get(&rq->http->facts);
	read_node(config, facts ? facts->machine : NULL, config->trees ? config->trees->boot_time_ns : 0, &node);
	return cgm_answer_stream(rq, cgm_kubelet_summary(s, &node, only));
}

enum MHD_Result cgm_handle_compact(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = NULL;
	const struct cgm_http_config *config = &rq->http->config;
	struct cgm_kubelet_node node;

	if (!s)
		return cgm_answer_too_early(rq);
	facts = cgm_facts_get(&rq->http->facts);
	read_node(config, facts ? facts->machine : NULL, config->trees ? config->trees->boot_time_ns : 0, &node);
	return cgm_answer_stream(rq, cgm_compact(s, &node));
}

enum MHD_Result cgm_handle_kubelet_resource(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);

	if (!s)
		return cgm_answer_too_early(rq);
	return cgm_answer_stream(rq, cgm_kubelet_resource(s));
}

enum MHD_Result cgm_handle_kubelet_cadvisor(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = NULL;
	bool gzip = cgm_accepts_gzip(cgm_request_header(rq, "Accept-Encoding"));
	struct cgm_body *body;

	if (!s)
		return cgm_answer_too_early(rq);
	facts = cgm_facts_get(&rq->http->facts);
	if (cgm_scrape_get(&rq->http->scrape, s, facts ? facts->machine : NULL, CGM_PROMETHEUS_KUBELET, gzip, &body) < 0)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	return cgm_answer_metrics(rq, body, CGM_PROMETHEUS_KUBELET, gzip);
}

/* Who scrapes all addresses of a kubelet takes a 404 for a node that is down; one that probes nothing answers just this. */
enum MHD_Result cgm_handle_kubelet_probes(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_buf text = { 0 };

	if (!s)
		return cgm_answer_too_early(rq);
	cgm_buf_lit(&text, "# HELP process_start_time_seconds When this program started, since 1970.\n# TYPE process_start_time_seconds gauge\n"
			   "process_start_time_seconds ");
	cgm_buf_fixed(&text, s->self.start_time_ns, 9);
	cgm_buf_char(&text, '\n');
	return cgm_answer_buf(rq, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static enum MHD_Result answer_pod_list(struct cgm_request *rq, bool status)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_kubelet_node node;

	if (!s)
		return cgm_answer_too_early(rq);
	if (!cgm_kubelet_knows_pods(s))
		return cgm_answer_error(rq, MHD_HTTP_NOT_FOUND, "nobody here knows of pods: no runtime answers (--containerd, --crio, --docker)%s",
					rq->http->config.pods ? ", and the API server has not told of any yet" : "");
	read_node(&rq->http->config, NULL, 0, &node);
	return cgm_answer_stream(rq, cgm_kubelet_pod_list(s, status, node.name));
}

enum MHD_Result cgm_handle_kubelet_pods(struct cgm_request *rq)
{
	const struct cgm_http_config *config = &rq->http->config;
	struct cgm_buf text = { 0 };
	int r = config->pods ? config->pods(config->pods_arg, &text) : -ENOENT;

	if (r == 0)
		return cgm_answer_buf(rq, "application/json", &text);
	cgm_buf_done(&text);
	return r == -ENOENT ? answer_pod_list(rq, true) : cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
}

enum MHD_Result cgm_handle_kubelet_running_pods(struct cgm_request *rq)
{
	return rq->slash ? answer_pod_list(rq, false) : cgm_answer_with_slash(rq);
}
