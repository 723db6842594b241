// SPDX-License-Identifier: Apache-2.0
/* Which of the forms a node is asked for, at which address, and what a refusal means. */
#include <string.h>

#include "source/internal.h"

/* The best first; those that a node does not have answer 404 at once. */
static const enum cgm_decode_form of_summary[] = { CGM_DECODE_COMPACT, CGM_DECODE_SUMMARY, CGM_DECODE_RESOURCE };
static const enum cgm_decode_form of_kubernetes[] = { CGM_DECODE_COMPACT, CGM_DECODE_CONTAINERS, CGM_DECODE_SUMMARY, CGM_DECODE_RESOURCE };
static const enum cgm_decode_form of_agents[] = { CGM_DECODE_COMPACT, CGM_DECODE_SUBCONTAINERS, CGM_DECODE_SUMMARY, CGM_DECODE_RESOURCE };

static const struct {
	const char *path, *body;
} requests[CGM_NR_DECODE_FORMS] = {
	[CGM_DECODE_SUMMARY] = { "/stats/summary", NULL },
	[CGM_DECODE_RESOURCE] = { "/metrics/resource", NULL },
	/* Without a window: one that has no sample in it would answer nothing, and the newest is what is wanted. */
	[CGM_DECODE_CONTAINERS] = { "/stats/container/", "{\"containerName\":\"/\",\"num_stats\":1,\"subcontainers\":true}" },
	[CGM_DECODE_SUBCONTAINERS] = { "/api/v1.3/subcontainers", "{\"num_stats\":1}" },
	[CGM_DECODE_COMPACT] = { "/api/cgmeter/compact", NULL },
};

size_t cgm_source_forms(const struct cgm_source *s, enum cgm_decode_form ret[CGM_NR_DECODE_FORMS])
{
	const enum cgm_decode_form *forms = of_agents;
	size_t nr = ARRAY_SIZE(of_agents), to = 0;

	if (s->options.kind == CGM_SOURCE_KUBERNETES) {
		forms = of_kubernetes;
		nr = ARRAY_SIZE(of_kubernetes);
	} else if (s->options.kind == CGM_SOURCE_SUMMARY) {
		forms = of_summary;
		nr = ARRAY_SIZE(of_summary);
	}
	if (s->config.resource_only)
		ret[to++] = CGM_DECODE_RESOURCE;
	for (size_t i = 0; i < nr; i++)
		if (!s->config.resource_only || forms[i] != CGM_DECODE_RESOURCE)
			ret[to++] = forms[i];
	return to;
}

bool cgm_source_next_form(const struct cgm_source *s, const struct cgm_source_node *n, unsigned tried, uint64_t now_ns, enum cgm_decode_form *ret)
{
	enum cgm_decode_form forms[CGM_NR_DECODE_FORMS];
	size_t nr = cgm_source_forms(s, forms);

	if (n->form < CGM_NR_DECODE_FORMS && !tried && now_ns < n->probe_again_ns) {
		*ret = (enum cgm_decode_form)n->form;
		return true;
	}
	for (size_t i = 0; i < nr; i++)
		if (!(tried & 1U << forms[i])) {
			*ret = forms[i];
			return true;
		}
	return false;
}

/* What an annotation says is a path and no more than that. */
static bool is_path(const char *text)
{
	if (!text || *text != '/' || strlen(text) > 500)
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || *text == '#')
			return false;
	return true;
}

const char *cgm_source_path(const struct cgm_source_node *n, enum cgm_decode_form form, const char **ret_body)
{
	*ret_body = requests[form].body;
	if (form == CGM_DECODE_RESOURCE && n->kube && is_path(n->kube->resource_path))
		return n->kube->resource_path;
	return requests[form].path;
}

/* ---- refusals ---- */

static void denied(const struct cgm_source *s, const struct cgm_source_node *n, enum cgm_decode_form form, long status, char *text)
{
	static const char *const rights[CGM_NR_DECODE_FORMS] = {
		[CGM_DECODE_SUMMARY] = "get nodes/stats",	 [CGM_DECODE_RESOURCE] = "get nodes/metrics", [CGM_DECODE_CONTAINERS] = "create nodes/stats",
		[CGM_DECODE_SUBCONTAINERS] = "create nodes/proxy", [CGM_DECODE_COMPACT] = "get nodes/proxy",
	};
	const char *ignored, *path = cgm_source_path(n, form, &ignored);
	bool tls = strncmp(n->base, "https:", 6) == 0;

	if (!cgm_source_needs_kube(&s->options))
		snprintf(text, CGM_SOURCE_FAULT, "%ld for %.60s: %s", status, path,
			 n->user || (tls && s->token_headers) ? "it does not accept our login" : "it wants a login (USER:PASSWORD@ in its address, or tokenFile over https)");
	else if (status == 403)
		snprintf(text, CGM_SOURCE_FAULT, "403 Forbidden for %.60s: our role lacks the RBAC right \"%s\"", path, rights[form]);
	else if (!tls)
		snprintf(text, CGM_SOURCE_FAULT, "401 Unauthorized for %.60s: a token is shown over TLS alone; use kubeletHttps=true", path);
	else
		snprintf(text, CGM_SOURCE_FAULT, "401 Unauthorized for %.60s: %s", path, s->token_headers ? "the kubelet does not accept our token" : "we have no token; use inClusterConfig, useServiceAccount or auth");
}

enum cgm_node_fault cgm_source_status_fault(const struct cgm_source *s, const struct cgm_source_node *n, enum cgm_decode_form form, long status, char *text)
{
	const char *ignored, *path = cgm_source_path(n, form, &ignored);

	if (status == 401 || status == 403) {
		denied(s, n, form, status, text);
		return CGM_NODE_DENIED;
	}
	snprintf(text, CGM_SOURCE_FAULT, "%ld for %.60s%s", status, path,
		 status == 404 ? ": it serves none of what we can read" : status >= 300 && status < 400 ? ": redirects are not followed" : "");
	return CGM_NODE_STATUS;
}

static enum cgm_node_fault tls_fault(const struct cgm_source *s, CURLcode code, const char *error, char *text)
{
	bool kube = cgm_source_needs_kube(&s->options);
	const char *insecure = kube ? "kubeletInsecure=true" : "insecure=true", *ca = kube ? "kubeletCaFile" : "caFile";

	if (code != CURLE_PEER_FAILED_VERIFICATION)
		snprintf(text, CGM_SOURCE_FAULT, "TLS: %.150s", error);
	else if (strstr(error, "subject name") || strstr(error, "does not match"))
		snprintf(text, CGM_SOURCE_FAULT, "its certificate does not bear its address (no such IP SAN): have kubelets get certificates of the cluster (serverTLSBootstrap), or give %s", insecure);
	else
		snprintf(text, CGM_SOURCE_FAULT, "its certificate is not one of the authorities that we know (%.90s): give their file as %s, or %s", error, ca, insecure);
	return CGM_NODE_TLS;
}

static enum cgm_node_fault connect_fault(const struct cgm_source *s, const struct cgm_source_node *n, CURLcode code, const char *error, char *text)
{
	const char *port = strrchr(n->base, ':');
	bool kube = cgm_source_needs_kube(&s->options), refused = strstr(error, "refused") || code == CURLE_COULDNT_CONNECT;

	if (kube && refused && strcmp(port, ":10255") == 0)
		snprintf(text, CGM_SOURCE_FAULT, "connection refused on port 10255: the kubelet's read-only port is off; use kubeletHttps=true (port 10250)");
	else
		snprintf(text, CGM_SOURCE_FAULT, "%.200s", error);
	return CGM_NODE_CONNECT;
}

enum cgm_node_fault cgm_source_curl_fault(const struct cgm_source *s, const struct cgm_source_node *n, CURLcode code, const char *error, char *text)
{
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		snprintf(text, CGM_SOURCE_FAULT, "out of memory");
		return CGM_NODE_MEMORY;
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(text, CGM_SOURCE_FAULT, "no answer in time: %.150s", error);
		return CGM_NODE_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CIPHER:
		return tls_fault(s, code, error, text);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_HTTP2:
	case CURLE_BAD_CONTENT_ENCODING:
		snprintf(text, CGM_SOURCE_FAULT, "no HTTP: %.150s", error);
		return CGM_NODE_NONSENSE;
	default:
		if (strstr(error, "Too large response headers")) { /* its code is another in each version of libcurl */
			snprintf(text, CGM_SOURCE_FAULT, "the headers of its answer are too large");
			return CGM_NODE_TOO_LARGE;
		}
		return connect_fault(s, n, code, error, text);
	}
}

unsigned cgm_source_fault_rank(enum cgm_node_fault f, enum cgm_decode_form form)
{
	static const unsigned forms[CGM_NR_DECODE_FORMS] = {
		[CGM_DECODE_SUMMARY] = 5, [CGM_DECODE_CONTAINERS] = 4, [CGM_DECODE_RESOURCE] = 3, [CGM_DECODE_SUBCONTAINERS] = 2, [CGM_DECODE_COMPACT] = 1,
	};

	return forms[form] + (f == CGM_NODE_STATUS ? 0 : f == CGM_NODE_NONSENSE ? 10 : f == CGM_NODE_DENIED ? 20 : 30);
}
