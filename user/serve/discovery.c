// SPDX-License-Identifier: Apache-2.0
/*
 * What clients of Kubernetes ask before they ask for anything: which groups, versions and resources there are, plain or aggregated, and what they look
 * like. So that kubectl works straight against us, too.
 */
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "serve/internal.h"
#include "serve/kubernetes.h"

#define CAN_DISCOVERY (1U << CGM_WANTS_JSON | 1U << CGM_WANTS_DISCOVERY | 1U << CGM_WANTS_DISCOVERY_BETA)

static const struct resource {
	const char *group, *version, *name, *singular, *kind; /* group "": core */
	bool namespaced;
} resources[] = {
	{ "", "v1", "nodes", "node", "Node", false },
	{ "", "v1", "pods", "pod", "Pod", true },
	{ "metrics.k8s.io", "v1beta1", "nodes", "", "NodeMetrics", false },
	{ "metrics.k8s.io", "v1beta1", "pods", "", "PodMetrics", true },
};

#define METRICS 2 /* the first of that group */

static const char verbs[] = "[\"get\",\"list\"]";

/* One of each group, that has one version. */
static bool begins_group(size_t i)
{
	return i == 0 || strcmp(resources[i].group, resources[i - 1].group) != 0;
}

/* ---- plain ---- */

static void put_group(struct cgm_buf *out, const struct resource *res, bool alone)
{
	cgm_buf_str(out, alone ? "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," : "{");
	cgm_buf_printf(out, "\"name\":\"%s\",\"versions\":[{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}],\"preferredVersion\":{\"groupVersion\":\"%s/%s\",\"version\":\"%s\"}}", res->group,
		       res->group, res->version, res->version, res->group, res->version, res->version);
}

/* Of autoscalers' own metrics there are two versions. */
static void put_custom_group(struct cgm_buf *out, bool alone)
{
	static const char of[] = "{\"groupVersion\":\"custom.metrics.k8s.io/v1beta2\",\"version\":\"v1beta2\"}";

	cgm_buf_str(out, alone ? "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\"," : "{");
	cgm_buf_printf(out, "\"name\":\"custom.metrics.k8s.io\",\"versions\":[%s,{\"groupVersion\":\"custom.metrics.k8s.io/v1beta1\",\"version\":\"v1beta1\"}],\"preferredVersion\":%s}", of, of);
}

static void put_groups(struct cgm_buf *out)
{
	bool first = true;

	cgm_buf_lit(out, "{\"kind\":\"APIGroupList\",\"apiVersion\":\"v1\",\"groups\":[");
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
		if (!*resources[i].group || !begins_group(i))
			continue;
		if (!first)
			cgm_buf_char(out, ',');
		put_group(out, &resources[i], false);
		first = false;
	}
	cgm_buf_char(out, ',');
	put_custom_group(out, false);
	cgm_buf_lit(out, "]}\n");
}

static void put_resources(struct cgm_buf *out, const struct resource *of)
{
	bool first = true;

	cgm_buf_printf(out, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s%s%s\",\"resources\":[", of->group, *of->group ? "/" : "", of->version);
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
		const struct resource *res = &resources[i];

		if (strcmp(res->group, of->group) != 0)
			continue;
		cgm_buf_printf(out, "%s{\"name\":\"%s\",\"singularName\":\"%s\",\"namespaced\":%s,\"kind\":\"%s\",\"verbs\":%s}", first ? "" : ",", res->name, res->singular,
			       res->namespaced ? "true" : "false", res->kind, verbs);
		first = false;
	}
	cgm_buf_lit(out, "]}\n");
}

/* ---- aggregated ---- */

static void put_aggregated_resource(struct cgm_buf *out, const struct resource *res)
{
	cgm_buf_printf(out, "{\"resource\":\"%s\",\"responseKind\":{\"group\":\"%s\",\"version\":\"%s\",\"kind\":\"%s\"},\"scope\":\"%s\",\"singularResource\":\"%s\",\"verbs\":%s}", res->name,
		       res->group, res->version, res->kind, res->namespaced ? "Namespaced" : "Cluster", res->singular, verbs);
}

/* Of /api (core) or of /apis. */
static void put_aggregated(struct cgm_buf *out, bool core, bool beta)
{
	bool first = true;

	cgm_buf_printf(out, "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/%s\",\"metadata\":{},\"items\":[", beta ? "v2beta1" : "v2");
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++) {
		const struct resource *res = &resources[i];

		if (!*res->group != core || !begins_group(i))
			continue;
		cgm_buf_printf(out, "%s{\"metadata\":{%s%s%s\"creationTimestamp\":null},\"versions\":[{\"version\":\"%s\",\"resources\":[", first ? "" : ",", core ? "" : "\"name\":\"", res->group,
			       core ? "" : "\",", res->version);
		first = false;
		for (size_t j = i; j < ARRAY_SIZE(resources) && (j == i || !begins_group(j)); j++) {
			if (j > i)
				cgm_buf_char(out, ',');
			put_aggregated_resource(out, &resources[j]);
		}
		cgm_buf_lit(out, "],\"freshness\":\"Current\"}]}");
	}
	/* Of the custom metrics' group the versions alone: which metrics there are stands in the plain lists. */
	if (!core)
		cgm_buf_lit(out, ",{\"metadata\":{\"name\":\"custom.metrics.k8s.io\",\"creationTimestamp\":null},\"versions\":[{\"version\":\"v1beta2\",\"resources\":[],\"freshness\":\"Current\"},"
				 "{\"version\":\"v1beta1\",\"resources\":[],\"freshness\":\"Current\"}]}");
	cgm_buf_lit(out, "]}\n");
}

/* ---- schemas ---- */

static const char schema_times[] = "\"timestamp\":{\"description\":\"when the last sample was taken\",\"type\":\"string\",\"format\":\"date-time\"},"
				   "\"window\":{\"description\":\"how long before it the first one was taken\",\"type\":\"string\"}";
static const char schema_usage[] = "{\"description\":\"cpu in units of CPUs, memory in bytes (working set)\",\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}";
static const char schema_meta[] = "\"apiVersion\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},\"metadata\":{\"type\":\"object\"}";

/* "NAME":{schema}; where: how the documents refer to each other. */
static void put_schemas(struct cgm_buf *out, const char *where)
{
	static const char *const kinds[] = { "NodeMetrics", "PodMetrics" };
	static const char of[] = "io.k8s.metrics.pkg.apis.metrics.v1beta1";

	cgm_buf_printf(out, "\"%s.ContainerMetrics\":{\"type\":\"object\",\"required\":[\"name\",\"usage\"],\"properties\":{\"name\":{\"type\":\"string\"},\"usage\":%s}}", of, schema_usage);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cgm_buf_printf(out, ",\"%s.%s\":{\"type\":\"object\",\"required\":[\"timestamp\",\"window\",\"%s\"],\"properties\":{%s,%s,", of, kinds[i], i ? "containers" : "usage", schema_meta,
			       schema_times);
		if (i)
			cgm_buf_printf(out, "\"containers\":{\"type\":\"array\",\"items\":{\"$ref\":\"%s%s.ContainerMetrics\"}}", where, of);
		else
			cgm_buf_printf(out, "\"usage\":%s", schema_usage);
		cgm_buf_printf(out, "},\"x-kubernetes-group-version-kind\":[{\"group\":\"metrics.k8s.io\",\"kind\":\"%s\",\"version\":\"v1beta1\"}]}", kinds[i]);
		cgm_buf_printf(out, ",\"%s.%sList\":{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{%s,\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"%s%s.%s\"}}}"
			       ",\"x-kubernetes-group-version-kind\":[{\"group\":\"metrics.k8s.io\",\"kind\":\"%sList\",\"version\":\"v1beta1\"}]}",
			       of, kinds[i], schema_meta, where, of, kinds[i], kinds[i]);
	}
}

/* One GET below "paths". v3: OpenAPI 3's form of an answer. */
static void put_path(struct cgm_buf *out, const char *path, const char *id, const char *kind, bool v3)
{
	cgm_buf_printf(out, "\"/apis/metrics.k8s.io/v1beta1/%s\":{\"get\":{\"operationId\":\"%s\",\"responses\":{\"200\":{\"description\":\"OK\",", path, id);
	if (v3)
		cgm_buf_printf(out, "\"content\":{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/io.k8s.metrics.pkg.apis.metrics.v1beta1.%s\"}}}", kind);
	else
		cgm_buf_printf(out, "\"schema\":{\"$ref\":\"#/definitions/io.k8s.metrics.pkg.apis.metrics.v1beta1.%s\"}", kind);
	cgm_buf_str(out, v3 ? "}}}" : "}},\"produces\":[\"application/json\"]}");
	for (const char *p = path; (p = strchr(p, '{')) != NULL; p++) {
		size_t len = strcspn(p + 1, "}");
		bool first = !memchr(path, '{', (size_t)(p - path));

		cgm_buf_printf(out, "%s{\"name\":\"%.*s\",\"in\":\"path\",\"required\":true,%s}", first ? ",\"parameters\":[" : ",", (int)len, p + 1,
			       v3 ? "\"schema\":{\"type\":\"string\"}" : "\"type\":\"string\"");
	}
	cgm_buf_str(out, strchr(path, '{') ? "]}" : "}");
}

static void put_openapi(const struct cgm_serve *s, struct cgm_buf *out, bool v3)
{
	static const char *const paths[][3] = {
		{ "nodes", "listMetricsV1beta1NodeMetrics", "NodeMetricsList" },
		{ "nodes/{name}", "readMetricsV1beta1NodeMetrics", "NodeMetrics" },
		{ "pods", "listMetricsV1beta1PodMetricsForAllNamespaces", "PodMetricsList" },
		{ "namespaces/{namespace}/pods", "listMetricsV1beta1NamespacedPodMetrics", "PodMetricsList" },
		{ "namespaces/{namespace}/pods/{name}", "readMetricsV1beta1NamespacedPodMetrics", "PodMetrics" },
	};

	cgm_buf_str(out, v3 ? "{\"openapi\":\"3.0.0\"" : "{\"swagger\":\"2.0\"");
	cgm_buf_printf(out, ",\"info\":{\"title\":\"cgmeter\",\"version\":\"%s\"},\"paths\":{", s->version ? s->version : "");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (i)
			cgm_buf_char(out, ',');
		put_path(out, paths[i][0], paths[i][1], paths[i][2], v3);
	}
	cgm_buf_str(out, v3 ? "},\"components\":{\"schemas\":{" : "},\"definitions\":{");
	put_schemas(out, v3 ? "#/components/schemas/" : "#/definitions/");
	cgm_buf_str(out, v3 ? "}}}\n" : "}}\n");
}

static void put_openapi_list(struct cgm_buf *out)
{
	cgm_buf_lit(out, "{\"paths\":{\"apis/metrics.k8s.io/v1beta1\":{\"serverRelativeURL\":\"/openapi/v3/apis/metrics.k8s.io/v1beta1\"}}}\n");
}

static void put_version(const struct cgm_serve *s, struct cgm_buf *out)
{
	cgm_buf_printf(out, "{\"major\":\"1\",\"minor\":\"0\",\"gitVersion\":\"v%s+cgmeter\",\"gitCommit\":\"\",\"gitTreeState\":\"\",\"buildDate\":\"1970-01-01T00:00:00Z\",\"goVersion\":\"\",\"compiler\":\"\",\"platform\":\"linux\"}\n",
		       s->version && *s->version ? s->version : "0.0.0");
}

/* ---- which of them ---- */

static void answer_discovery(const struct cgm_ask *a, bool core, struct cgm_reply *r)
{
	enum cgm_wants w = cgm_wants_of(a->accept, CAN_DISCOVERY);

	r->vary = "Accept";
	if (w == CGM_WANTS_DISCOVERY)
		r->type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
	else if (w == CGM_WANTS_DISCOVERY_BETA)
		r->type = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
	if (w == CGM_WANTS_NOTHING)
		cgm_reply_status(r, 406, "NotAcceptable", NULL, NULL, "only the following media types are accepted: application/json, and it as=APIGroupDiscoveryList");
	else if (w != CGM_WANTS_JSON)
		put_aggregated(&r->body, core, w == CGM_WANTS_DISCOVERY_BETA);
	else if (core)
		cgm_buf_lit(&r->body, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}\n");
	else
		put_groups(&r->body);
}

/* False: it is none of these. */
static bool answer_document(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	const char *path = a->path;

	if (!strcmp(path, "/api") || !strcmp(path, "/apis"))
		answer_discovery(a, !path[4], r);
	else if (!strcmp(path, "/api/v1"))
		put_resources(&r->body, &resources[0]);
	else if (!strcmp(path, "/apis/metrics.k8s.io"))
		put_group(&r->body, &resources[METRICS], true);
	else if (!strcmp(path, "/apis/metrics.k8s.io/v1beta1"))
		put_resources(&r->body, &resources[METRICS]);
	else if (!strcmp(path, "/apis/custom.metrics.k8s.io"))
		put_custom_group(&r->body, true);
	else if (!strcmp(path, "/apis/custom.metrics.k8s.io/v1beta1") || !strcmp(path, "/apis/custom.metrics.k8s.io/v1beta2"))
		cgm_serve_custom_resources(strrchr(path, '/') + 1, &r->body);
	else if (!strcmp(path, "/version"))
		put_version(s, &r->body);
	else if (!strcmp(path, "/openapi/v2"))
		put_openapi(s, &r->body, false);
	else if (!strcmp(path, "/openapi/v3"))
		put_openapi_list(&r->body);
	else if (!strcmp(path, "/openapi/v3/apis/metrics.k8s.io/v1beta1"))
		put_openapi(s, &r->body, true);
	else
		return false;
	if (!r->status && !r->body.failed)
		snprintf(r->etag, sizeof(r->etag), "\"%016" PRIx64 "\"", cgm_hash_bytes(r->body.p, r->body.len));
	return true;
}

bool cgm_serve_discovery(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	if (!answer_document(s, a, r))
		return false;
	if (strcmp(a->method, "GET") != 0)
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "the server does not allow this method on the requested resource");
	else
		cgm_serve_finish(r, 0);
	return true;
}
