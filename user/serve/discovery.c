// SPDX-License-Identifier: Apache-2.0
/*
 * What clients of Kubernetes ask before they ask for anything: which groups, versions and resources there are, plain or aggregated, and the nodes of the core
 * group, whose allocatable `kubectl top nodes` sets the figures against. So that kubectl works straight against us, too.
 */
#include <errno.h>
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
	{ "metrics.k8s.io", "v1beta1", "nodes", "", "NodeMetrics", false },
	{ "metrics.k8s.io", "v1beta1", "pods", "", "PodMetrics", true },
};

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

/* ---- the nodes of the core group ---- */

struct capacity {
	int64_t cpu_milli, memory_bytes; /* -1: not known */
};

static void put_capacity(struct cgm_buf *out, const char *key, const struct capacity *c)
{
	cgm_buf_printf(out, "\"%s\":{", key);
	if (c->cpu_milli >= 0) {
		cgm_buf_lit(out, "\"cpu\":\"");
		cgm_quantity_put_nano(out, (uint64_t)c->cpu_milli * 1000000);
		cgm_buf_char(out, '"');
	}
	if (c->memory_bytes >= 0) {
		cgm_buf_str(out, c->cpu_milli >= 0 ? ",\"memory\":\"" : "\"memory\":\"");
		cgm_quantity_put_bytes(out, (uint64_t)c->memory_bytes);
		cgm_buf_char(out, '"');
	}
	cgm_buf_char(out, '}');
}

struct node { /* what of a node is told */
	const char *name, *uid;
	const struct cgm_kube_label *labels;
	size_t nr_labels;
	uint64_t created_ns;
	struct capacity capacity, allocatable;
	bool ready, schedulable;
};

static void put_node(struct cgm_buf *out, const struct node *n, bool alone)
{
	cgm_buf_str(out, alone ? "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":" : "{\"metadata\":{\"name\":");
	cgm_reply_text(out, n->name);
	if (n->uid) {
		cgm_buf_lit(out, ",\"uid\":");
		cgm_reply_text(out, n->uid);
	}
	cgm_buf_lit(out, ",\"creationTimestamp\":");
	if (n->created_ns)
		cgm_reply_seconds(out, n->created_ns);
	else
		cgm_buf_lit(out, "null");
	cgm_buf_lit(out, ",\"labels\":");
	cgm_reply_labels(out, n->labels, n->nr_labels);
	cgm_buf_str(out, n->schedulable ? "},\"spec\":{},\"status\":{" : "},\"spec\":{\"unschedulable\":true},\"status\":{");
	put_capacity(out, "capacity", &n->capacity);
	cgm_buf_char(out, ',');
	put_capacity(out, "allocatable", &n->allocatable);
	cgm_buf_printf(out, ",\"conditions\":[{\"type\":\"Ready\",\"status\":\"%s\"}]}}", n->ready ? "True" : "False");
}

static struct node node_of(const struct cgm_kube_node *k)
{
	return (struct node){
		.name = k->name,
		.uid = k->uid,
		.labels = k->labels,
		.nr_labels = k->nr_labels,
		.created_ns = k->created_ns,
		.capacity = { k->cpu_capacity_milli, k->memory_capacity_bytes },
		.allocatable = { k->cpu_allocatable_milli, k->memory_allocatable_bytes },
		.ready = k->ready,
		.schedulable = k->schedulable,
	};
}

static int64_t whole(const struct cgm_set *set, enum cgm_cm m)
{
	double v = cgm_set_has(set, m) ? cgm_set_value(set, m).f : -1;

	return v >= 0 && v < 9e18 ? (int64_t)v : -1;
}

static struct node node_of_set(const struct cgm_set *set, const char *name)
{
	return (struct node){
		.name = name,
		.capacity = { whole(set, CGM_CM_CPU_NODE_CAPACITY), whole(set, CGM_CM_MEMORY_NODE_CAPACITY) },
		.allocatable = { whole(set, CGM_CM_CPU_NODE_ALLOCATABLE), whole(set, CGM_CM_MEMORY_NODE_ALLOCATABLE) },
		.ready = true,
		.schedulable = true,
	};
}

struct nodes { /* an answer in the making */
	struct cgm_buf *out;
	const char *name; /* the one that is wanted; NULL: all */
	const struct cgm_kube_selector *labels;
	size_t nr;
};

static void add_node(struct nodes *ns, const struct node *n)
{
	if ((ns->name && strcmp(ns->name, n->name) != 0) || (ns->labels && !cgm_kube_selector_matches(ns->labels, n->labels, n->nr_labels)))
		return;
	if (ns->nr++)
		cgm_buf_char(ns->out, ',');
	put_node(ns->out, n, ns->name != NULL);
}

static int add_from_cluster(const struct cgm_serve *s, struct nodes *ns)
{
	struct cgm_kube_node **nodes = NULL;
	size_t nr = 0;
	int r = cgm_kube_cluster_nodes(s->cluster, &nodes, &nr);

	for (size_t i = 0; i < nr; i++) {
		struct node n = node_of(nodes[i]);

		add_node(ns, &n);
		cgm_kube_node_unref(nodes[i]);
	}
	free(nodes);
	return r;
}

static int add_from_slices(const struct cgm_serve *s, struct nodes *ns)
{
	struct cgm_slice **slices = NULL;
	size_t nr = 0;
	int r = cgm_cluster_store_newest(s->store, &slices, &nr);

	for (size_t i = 0; i < nr; i++) {
		const struct cgm_slice *slice = slices[i];

		for (size_t j = 0; *slice->node && j < slice->nr_sets; j++) {
			struct node n;

			if (slice->sets[j].entity->kind != CGM_SET_NODE)
				continue;
			n = node_of_set(&slice->sets[j], slice->node);
			add_node(ns, &n);
			break;
		}
	}
	cgm_cluster_slices_free(slices, nr);
	return r;
}

static int answer_nodes(const struct cgm_serve *s, const struct cgm_ask *a, const char *name, struct cgm_reply *r)
{
	const char *text = cgm_ask_param(a, "labelSelector");
	_cleanup_(cgm_kube_selector_freep) struct cgm_kube_selector *labels = NULL;
	struct nodes ns = { .out = &r->body, .name = name };
	char fault[CGM_KUBE_FAULT] = "";
	int error = text && *text ? cgm_kube_selector_read(text, &labels, fault) : 0;

	if (error == -EINVAL) {
		cgm_reply_status(r, 400, "BadRequest", NULL, NULL, "labelSelector: %s", fault);
		return 0;
	}
	ns.labels = labels;
	if (!name)
		cgm_buf_lit(&r->body, "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	if (error == 0)
		error = s->cluster ? add_from_cluster(s, &ns) : add_from_slices(s, &ns);
	if (!name)
		cgm_buf_lit(&r->body, "]}\n");
	else if (error == 0 && !ns.nr)
		cgm_reply_status(r, 404, "NotFound", "nodes", name, "nodes \"%s\" not found", name);
	return error;
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
		put_group(&r->body, &resources[1], true);
	else if (!strcmp(path, "/apis/metrics.k8s.io/v1beta1"))
		put_resources(&r->body, &resources[1]);
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
	static const char nodes[] = "/api/v1/nodes";
	size_t len = sizeof(nodes) - 1;
	bool of_nodes = strncmp(a->path, nodes, len) == 0 && (!a->path[len] || (a->path[len] == '/' && !strchr(a->path + len + 1, '/')));

	if (!of_nodes && !answer_document(s, a, r))
		return false;
	if (strcmp(a->method, "GET") != 0)
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "the server does not allow this method on the requested resource");
	else if (of_nodes)
		cgm_serve_finish(r, answer_nodes(s, a, a->path[len] ? a->path + len + 1 : NULL, r));
	else
		cgm_serve_finish(r, 0);
	return true;
}
