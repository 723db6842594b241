// SPDX-License-Identifier: Apache-2.0
/*
 * Of the core group what `kubectl top` asks for beside metrics: nodes, whose allocatable it sets the figures against, and pods, when it has found no figures and wants to know
 * whether there is anybody at all. As the API server tells them, else as the newest slices do.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "serve/internal.h"
#include "serve/kubernetes.h"
#include "serve/usage.h"

/* ---- nodes ---- */

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

struct list { /* an answer in the making */
	struct cgm_buf *out;
	const struct cgm_usage_wanted *wanted;
	size_t nr;
};

static bool is_wanted(const struct cgm_usage_wanted *w, const char *ns, const char *name, const struct cgm_kube_label *labels, size_t nr_labels)
{
	struct cgm_usage_row row = { .name = name, .row_namespace = ns };

	return cgm_usage_wants(w, &row) && (!w->labels || cgm_kube_selector_matches(w->labels, labels, nr_labels));
}

static void add_node(struct list *l, const struct node *n)
{
	if (!is_wanted(l->wanted, NULL, n->name, n->labels, n->nr_labels))
		return;
	if (l->nr++)
		cgm_buf_char(l->out, ',');
	put_node(l->out, n, l->wanted->name != NULL);
}

static int add_nodes_of_cluster(const struct cgm_serve *s, struct list *l)
{
	struct cgm_kube_node **nodes = NULL;
	size_t nr = 0;
	int r = cgm_kube_cluster_nodes(s->cluster, &nodes, &nr);

	for (size_t i = 0; i < nr; i++) {
		struct node n = node_of(nodes[i]);

		add_node(l, &n);
		cgm_kube_node_unref(nodes[i]);
	}
	free(nodes);
	return r;
}

static int add_nodes_of_slices(const struct cgm_serve *s, struct list *l)
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
			add_node(l, &n);
			break;
		}
	}
	cgm_cluster_slices_free(slices, nr);
	return r;
}

/* ---- pods ---- */

struct pod {
	const char *pod_namespace, *name, *uid, *node, *phase; /* uid, node: NULL: not known */
	const struct cgm_kube_label *labels;
	size_t nr_labels;
	uint64_t created_ns; /* 0: not known */
};

static void put_pod(struct cgm_buf *out, const struct pod *p, bool alone)
{
	cgm_buf_str(out, alone ? "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":" : "{\"metadata\":{\"name\":");
	cgm_reply_text(out, p->name);
	cgm_buf_lit(out, ",\"namespace\":");
	cgm_reply_text(out, p->pod_namespace);
	if (p->uid) {
		cgm_buf_lit(out, ",\"uid\":");
		cgm_reply_text(out, p->uid);
	}
	cgm_buf_lit(out, ",\"creationTimestamp\":");
	if (p->created_ns)
		cgm_reply_seconds(out, p->created_ns);
	else
		cgm_buf_lit(out, "null");
	cgm_buf_lit(out, ",\"labels\":");
	cgm_reply_labels(out, p->labels, p->nr_labels);
	cgm_buf_lit(out, "},\"spec\":{\"nodeName\":");
	cgm_reply_text(out, p->node ? p->node : "");
	cgm_buf_printf(out, ",\"containers\":[]},\"status\":{\"phase\":\"%s\"}}", p->phase);
}

static void add_pod(struct list *l, const struct pod *p)
{
	if (!is_wanted(l->wanted, p->pod_namespace, p->name, p->labels, p->nr_labels))
		return;
	if (l->nr++)
		cgm_buf_char(l->out, ',');
	put_pod(l->out, p, l->wanted->name != NULL);
}

static int add_pods_of_cluster(const struct cgm_serve *s, struct list *l)
{
	static const char *const phases[] = { [CGM_KUBE_PHASE_UNKNOWN] = "Unknown", [CGM_KUBE_PENDING] = "Pending", [CGM_KUBE_RUNNING] = "Running", [CGM_KUBE_SUCCEEDED] = "Succeeded",
					      [CGM_KUBE_FAILED] = "Failed" };
	struct cgm_kube_pod **pods = NULL;
	size_t nr = 0;
	int r = cgm_kube_cluster_pods(s->cluster, l->wanted->row_namespace, &pods, &nr);

	for (size_t i = 0; i < nr; i++) {
		const struct cgm_kube_pod *k = pods[i];

		add_pod(l, &(struct pod){ k->pod_namespace, k->name, k->uid, k->node, phases[k->phase], k->labels, k->nr_labels, k->created_ns });
		cgm_kube_pod_unref(pods[i]);
	}
	free(pods);
	return r;
}

static int add_pods_of_slices(const struct cgm_serve *s, struct list *l)
{
	_cleanup_(cgm_usages_done) struct cgm_usages us = { 0 };
	struct cgm_usage_wanted w = *l->wanted;
	int r;

	w.any_sample = true;
	r = cgm_usages_gather(s, &w, &us);
	for (size_t i = 0; r == 0 && i < us.nr_rows; i++) {
		const struct cgm_usage_row *row = &us.rows[i];

		add_pod(l, &(struct pod){ row->row_namespace, row->name, row->set->entity->labels[CGM_CL_POD_ID], row->slice->node, "Running", row->labels, row->nr_labels, row->set->created_ns });
	}
	return r;
}

/* ---- what is asked for ---- */

static int answer_list(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_reply *r)
{
	const char *what = w->pods ? "pods" : "nodes";
	struct list l = { .out = &r->body, .wanted = w };
	int error;

	if (!w->name)
		cgm_buf_printf(&r->body, "{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[", w->pods ? "PodList" : "NodeList");
	if (s->cluster)
		error = w->pods ? add_pods_of_cluster(s, &l) : add_nodes_of_cluster(s, &l);
	else
		error = w->pods ? add_pods_of_slices(s, &l) : add_nodes_of_slices(s, &l);
	if (!w->name)
		cgm_buf_lit(&r->body, "]}\n");
	else if (error == 0 && !l.nr)
		cgm_reply_status(r, 404, "NotFound", what, w->name, "%s \"%s\" not found", what, w->name);
	return error;
}

bool cgm_serve_core(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	static const char core[] = "/api/v1/";
	_cleanup_free_ char *path = NULL, *fields = NULL;
	struct cgm_kube_selector *labels = NULL;
	struct cgm_usage_wanted w = { .pods = false };
	const char *rest = a->path + sizeof(core) - 1;

	if (strncmp(a->path, core, sizeof(core) - 1) != 0 || (strncmp(rest, "nodes", 5) != 0 && strncmp(rest, "pods", 4) != 0 && strncmp(rest, "namespaces/", 11) != 0))
		return false;
	path = cgm_strdup(rest);
	if (!path)
		cgm_serve_finish(r, -ENOMEM);
	else if (!cgm_serve_metrics_path(path, &w))
		return false;
	else if (strcmp(a->method, "GET") != 0)
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "the server does not allow this method on the requested resource");
	else if (cgm_serve_selectors(a, &w, &labels, &fields, r))
		cgm_serve_finish(r, answer_list(s, &w, r));
	cgm_kube_selector_free(labels);
	return true;
}
