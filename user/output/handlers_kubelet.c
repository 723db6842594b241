// SPDX-License-Identifier: Apache-2.0
/* The kubelet's addresses. */
#include "output/request.h"

#include "output/kubelet.h"
#include "output/negotiate.h"

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
	cgm_kubelet_node_read(config->root_fd, facts ? facts->machine : NULL, config->trees ? config->trees->boot_time_ns : 0, &node);
	return cgm_answer_stream(rq, cgm_kubelet_summary(s, &node, only));
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
