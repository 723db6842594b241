// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/route.h"
#include "serve/serve.h"

struct question { /* what is asked of one set */
	enum cgm_cm metric;
	const char *custom; /* of CGM_CM_CUSTOM: its name without "custom/" */
	uint64_t start_ns, until_ns;
	const struct cgm_route_labels *labels;
};

struct slices {
	struct cgm_slice **slices;
	size_t nr;
};

static void slices_done(struct slices *s)
{
	cgm_cluster_slices_free(s->slices, s->nr);
}

static int newest(const struct cgm_serve *s, struct slices *ret)
{
	return cgm_cluster_store_newest(s->store, &ret->slices, &ret->nr);
}

static bool is_asked(const struct question *q, const struct cgm_labeled *l)
{
	return l->metric == q->metric && (q->metric != CGM_CM_CUSTOM || !strcmp(cgm_labeled_name(l), q->custom)) && cgm_route_labels_are(q->labels, cgm_labeled_labels(l), l->nr_labels);
}

static void put_labeled(const struct question *q, const struct cgm_slice *s, const struct cgm_set *set, struct cgm_buf *out, uint64_t *latest_ns)
{
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		const struct cgm_labeled *l = &set->labeled[i];

		if (!is_asked(q, l))
			continue;
		cgm_reply_point(out, s->end_ns, l->value, l->metric == CGM_CM_CUSTOM ? l->is_float : cgm_cm_table[l->metric].is_float);
		*latest_ns = s->end_ns;
		return;
	}
}

/* A labeled metric is asked for with all its labels; without them there is none, as with Heapster. */
static int put_labeled_points(const struct cgm_serve *s, const char *key, const struct question *q, struct cgm_buf *out, uint64_t *latest_ns)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = cgm_cluster_store_slices_of(s->store, key, &all.slices, &all.nr);

	for (size_t i = 0; r == 0 && i < all.nr; i++) {
		const struct cgm_slice *slice = all.slices[i];
		const struct cgm_set *set;

		if (slice->end_ns < q->start_ns || (q->until_ns && slice->end_ns > q->until_ns))
			continue;
		set = cgm_slice_find(slice, key);
		if (set)
			put_labeled(q, slice, set, out, latest_ns);
	}
	return r;
}

static int put_points(const struct cgm_serve *s, const char *key, const struct question *q, struct cgm_buf *out, uint64_t *latest_ns)
{
	_cleanup_free_ struct cgm_cluster_point *points = NULL;
	size_t nr = 0;
	int r;

	if (q->metric >= CGM_NR_SCALARS)
		return put_labeled_points(s, key, q, out, latest_ns);
	if (q->labels->nr)
		return 0;
	r = cgm_cluster_store_points(s->store, key, q->metric, q->start_ns, q->until_ns, &points, &nr);
	for (size_t i = 0; r == 0 && i < nr; i++) {
		cgm_reply_point(out, points[i].end_ns, points[i].value, cgm_cm_table[q->metric].is_float);
		*latest_ns = points[i].end_ns;
	}
	return r == -ENOENT ? 0 : r;
}

/* {"metrics":[…],"latestTimestamp":…}; q NULL: a metric that nobody knows. */
static int put_result(const struct cgm_serve *s, const struct cgm_route *route, const struct question *q, struct cgm_buf *out)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	uint64_t latest_ns = 0;
	int r = 0;

	cgm_route_key(route, &key);
	if (key.failed)
		return -ENOMEM;
	cgm_buf_lit(out, "{\"metrics\":[");
	if (q)
		r = put_points(s, key.p, q, out, &latest_ns);
	cgm_buf_lit(out, "],\"latestTimestamp\":");
	cgm_reply_time(out, latest_ns);
	cgm_buf_char(out, '}');
	return r;
}

/* {"items":[…]}: one result for each name, in their order. */
static int put_list(const struct cgm_serve *s, struct cgm_route *route, const struct question *q, struct cgm_buf *out)
{
	_cleanup_free_ char *list = cgm_strdup(route->list);
	int r = list ? 0 : -ENOMEM;

	cgm_buf_lit(out, "{\"items\":[");
	for (char *next = list, *name; r == 0 && next;) {
		name = next;
		next = strchr(name, ',');
		if (next)
			*next++ = '\0';
		if (name != list)
			cgm_buf_char(out, ',');
		route->pod = name;
		r = put_result(s, route, q, out);
	}
	cgm_buf_lit(out, "]}");
	return r;
}

static bool find_metric(const char *name, struct question *q)
{
	static const char custom[] = "custom/";
	int m = cgm_cm_find(cgm_str(name));

	if (m >= 0) {
		q->metric = (enum cgm_cm)m;
		return true;
	}
	if (strncmp(name, custom, strlen(custom)) != 0)
		return false;
	q->metric = CGM_CM_CUSTOM;
	q->custom = name + strlen(custom);
	return true;
}

static int answer_metric(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_route *route, struct cgm_reply *reply)
{
	_cleanup_(cgm_route_labels_done) struct cgm_route_labels labels = { 0 };
	struct question q = { .labels = &labels };
	const struct question *known;

	if (!cgm_route_time(a, "start", &q.start_ns, reply) || !cgm_route_time(a, "end", &q.until_ns, reply) || !cgm_route_labels(a, &labels, reply))
		return 0;
	known = find_metric(route->metric, &q) ? &q : NULL;
	return route->list ? put_list(s, route, known, &reply->body) : put_result(s, route, known, &reply->body);
}

/* ---- what there is ---- */

static void add_names(const struct cgm_set *set, struct cgm_names *names)
{
	for (unsigned m = 0; m < CGM_NR_SCALARS; m++)
		if (cgm_set_has(set, m))
			cgm_names_add(names, cgm_cm_table[m].name);
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		_cleanup_free_ char *name = NULL;

		if (set->labeled[i].metric != CGM_CM_CUSTOM || set->labeled[i].nr_labels)
			continue;
		name = cgm_asprintf("custom/%s", cgm_labeled_name(&set->labeled[i]));
		if (name)
			cgm_names_add(names, name);
		else
			names->failed = true;
	}
}

/* Those of the newest slice that has the set; those with labels are not among them, as with Heapster. */
static int list_metrics(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_names *names)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	_cleanup_(slices_done) struct slices all = { 0 };
	const struct cgm_set *set = NULL;
	int r;

	cgm_route_key(route, &key);
	if (key.failed)
		return -ENOMEM;
	r = cgm_cluster_store_slices_of(s->store, key.p, &all.slices, &all.nr);
	for (size_t i = all.nr; r == 0 && i-- && !set;)
		set = cgm_slice_find(all.slices[i], key.p);
	if (set)
		add_names(set, names);
	return r;
}

static bool is(const char *label, const char *text)
{
	return label && !strcmp(label, text);
}

/* Adds that label of all sets of a kind; where has other labels that they must bear (NULL: any). */
static void add_labels(const struct cgm_slice *slice, enum cgm_set_kind kind, enum cgm_cl label, const char *pod_namespace, const char *pod, struct cgm_names *names)
{
	for (uint32_t i = 0; i < slice->nr_sets; i++) {
		const struct cgm_entity *e = slice->sets[i].entity;

		if (e->kind != kind || !e->labels[label] || (pod_namespace && !is(e->labels[CGM_CL_NAMESPACE_NAME], pod_namespace)) ||
		    (pod && !is(e->labels[CGM_CL_POD_NAME], pod)))
			continue;
		cgm_names_add(names, e->labels[label]);
	}
}

static int list_nodes(const struct cgm_serve *s, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = newest(s, &all);

	for (size_t i = 0; r == 0 && i < all.nr; i++)
		if (*all.slices[i]->node)
			cgm_names_add(names, all.slices[i]->node);
	return r;
}

/* Of the newest sums: no node is looked at. */
static int list_namespaces(const struct cgm_serve *s, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = cgm_cluster_store_slices(s->store, "", &all.slices, &all.nr);

	if (r == 0 && all.nr)
		add_labels(all.slices[all.nr - 1], CGM_SET_NAMESPACE, CGM_CL_NAMESPACE_NAME, NULL, NULL, names);
	return r;
}

static int list_pods(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = newest(s, &all);

	for (size_t i = 0; r == 0 && i < all.nr; i++)
		add_labels(all.slices[i], CGM_SET_POD, CGM_CL_POD_NAME, route->pod_namespace, NULL, names);
	return r;
}

static int list_containers(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	struct cgm_route pod = *route;
	int r;

	pod.kind = CGM_SET_POD;
	cgm_route_key(&pod, &key);
	if (key.failed)
		return -ENOMEM;
	r = cgm_cluster_store_slices_of(s->store, key.p, &all.slices, &all.nr);
	if (r == 0 && all.nr)
		add_labels(all.slices[all.nr - 1], CGM_SET_CONTAINER, CGM_CL_CONTAINER_NAME, route->pod_namespace, route->pod, names);
	return r;
}

static int list_free_containers(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = cgm_cluster_store_slices(s->store, route->node, &all.slices, &all.nr);

	if (r == 0 && all.nr)
		add_labels(all.slices[all.nr - 1], CGM_SET_SYS_CONTAINER, CGM_CL_CONTAINER_NAME, NULL, NULL, names);
	return r;
}

static int list_keys(const struct cgm_serve *s, struct cgm_names *names)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	int r = newest(s, &all);

	for (size_t i = 0; r == 0 && i < all.nr; i++)
		for (uint32_t j = 0; j < all.slices[i]->nr_sets; j++)
			cgm_names_add(names, all.slices[i]->sets[j].entity->key);
	return r;
}

static int answer_names(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_buf *out)
{
	_cleanup_(cgm_names_done) struct cgm_names names = { 0 };
	int r = 0;

	switch (route->what) {
	case CGM_ROUTE_NAMES:
		r = list_metrics(s, route, &names);
		break;
	case CGM_ROUTE_NODES:
		r = list_nodes(s, &names);
		break;
	case CGM_ROUTE_NAMESPACES:
		r = list_namespaces(s, &names);
		break;
	case CGM_ROUTE_PODS:
		r = list_pods(s, route, &names);
		break;
	case CGM_ROUTE_CONTAINERS:
		r = list_containers(s, route, &names);
		break;
	case CGM_ROUTE_FREECONTAINERS:
		r = list_free_containers(s, route, &names);
		break;
	default:
		r = list_keys(s, &names);
	}
	if (r < 0 || names.failed)
		return r < 0 ? r : -ENOMEM;
	cgm_reply_names(out, &names);
	return 0;
}

/* Pods' ids and aggregations are the historical API's. */
static bool is_model_route(const struct cgm_route *r)
{
	return !r->pod_id && !r->of_ids && r->what != CGM_ROUTE_AGGREGATED;
}

static int answer_stats(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_reply *reply)
{
	char fault[CGM_SINK_FAULT] = "out of memory";
	int r = cgm_serve_model_stats(s, route, &reply->body, fault);

	if (r < 0)
		cgm_reply_fault(reply, cgm_past_status(r), "%s", fault);
	return 0;
}

static int answer_model(const struct cgm_serve *s, const struct cgm_ask *a, const char *path, struct cgm_reply *reply)
{
	_cleanup_(cgm_route_done) struct cgm_route route = { 0 };
	int r = cgm_route_read(path, &route);

	if (r == 0 && !is_model_route(&route))
		r = -ENOENT;
	if (r < 0)
		return r;
	if (route.what == CGM_ROUTE_STATS)
		return answer_stats(s, &route, reply);
	return route.what == CGM_ROUTE_METRIC ? answer_metric(s, a, &route, reply) : answer_names(s, &route, &reply->body);
}

void cgm_serve_finish(struct cgm_reply *reply, int r)
{
	if (reply->body.failed)
		cgm_buf_done(&reply->body);
	else if (r == 0)
		return;
	if (r == -ENOENT)
		cgm_reply_fault(reply, 404, "404: Page Not Found");
	else
		cgm_reply_fault(reply, 500, "out of memory");
}

bool cgm_serve_is_get(const struct cgm_ask *a, struct cgm_reply *reply)
{
	if (!strcmp(a->method, "GET"))
		return true;
	cgm_reply_fault(reply, 405, "405: Method Not Allowed");
	return false;
}

bool cgm_serve_model(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	static const char model[] = "/api/v1/model";
	const char *path = a->path;
	bool is_export = !strcmp(path, "/api/v1/metric-export"), is_schema = !strcmp(path, "/api/v1/metric-export-schema");

	if (!is_export && !is_schema && (strncmp(path, model, strlen(model)) != 0 || (path[strlen(model)] && path[strlen(model)] != '/')))
		return false;
	if (!cgm_serve_is_get(a, r))
		return true;
	if (is_export)
		cgm_serve_finish(r, cgm_serve_metric_export(s, &r->body));
	else if (is_schema)
		cgm_serve_metric_export_schema(&r->body), cgm_serve_finish(r, 0);
	else
		cgm_serve_finish(r, answer_model(s, a, path + strlen(model) + (path[strlen(model)] == '/'), r));
	return true;
}
