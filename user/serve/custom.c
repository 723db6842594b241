// SPDX-License-Identifier: Apache-2.0
/*
 * custom.metrics.k8s.io, v1beta1 and v1beta2: every number of a pod, a node or a namespace for autoscalers, by the name of the model with _ for / (cpu_run_queue_delay_rate). An application's own metric
 * is custom_NAME, of a pod the sum of its containers'.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/kubernetes.h"
#include "serve/usage.h"

static const char group[] = "custom.metrics.k8s.io";

struct question {
	struct cgm_usage_wanted wanted;
	enum cgm_set_kind kind;
	const char *metric; /* with _ */
	bool beta1;
};

/* ---- one value ---- */

/* "cpu/usage" is "cpu_usage". */
static bool is_name(const char *name, const char *with_underscores)
{
	for (; *name && *with_underscores; name++, with_underscores++)
		if (*name != *with_underscores && !(*name == '/' && *with_underscores == '_'))
			return false;
	return !*name && !*with_underscores;
}

static bool add_custom(const struct cgm_set *set, const char *name, double *sum)
{
	bool found = false;

	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		const struct cgm_labeled *l = &set->labeled[i];

		if (l->metric != CGM_CM_CUSTOM || strcmp(cgm_labeled_name(l), name) != 0)
			continue;
		*sum += l->is_float ? l->value.f : (double)l->value.i;
		found = true;
	}
	return found;
}

/* False: the set has no such number. */
static bool read_value(const struct cgm_slice *s, const struct cgm_set *set, const char *metric, double *ret)
{
	static const char custom[] = "custom_";
	bool found = false;

	*ret = 0;
	for (unsigned m = 0; m < CGM_NR_SCALARS; m++)
		if (cgm_set_has(set, (enum cgm_cm)m) && is_name(cgm_cm_table[m].name, metric)) {
			union cgm_cm_value v = cgm_set_value(set, (enum cgm_cm)m);

			*ret = cgm_cm_table[m].is_float ? v.f : (double)v.i;
			return isfinite(*ret);
		}
	if (strncmp(metric, custom, sizeof(custom) - 1) != 0)
		return false;
	metric += sizeof(custom) - 1;
	found = add_custom(set, metric, ret);
	for (const struct cgm_set *c = set + 1; set->entity->kind == CGM_SET_POD && c < s->sets + s->nr_sets && c->entity->kind == CGM_SET_CONTAINER; c++)
		found |= add_custom(c, metric, ret);
	return found && isfinite(*ret);
}

static void put_number(struct cgm_buf *out, double v)
{
	double size = fabs(v);

	if (v < 0)
		cgm_buf_char(out, '-');
	if (size < 1e9)
		cgm_quantity_put_nano(out, (uint64_t)(size * 1000 + 0.5) * 1000000);
	else
		cgm_buf_u64(out, size < 1.8e19 ? (uint64_t)size : UINT64_MAX);
}

static void put_item(struct cgm_buf *out, const struct question *q, const char *ns, const char *name, uint64_t time_ns, double v)
{
	static const char *const kinds[CGM_NR_SET_KINDS] = { [CGM_SET_NODE] = "Node", [CGM_SET_POD] = "Pod", [CGM_SET_NAMESPACE] = "Namespace" };

	cgm_buf_printf(out, "{\"describedObject\":{\"kind\":\"%s\",", kinds[q->kind]);
	if (ns) {
		cgm_buf_lit(out, "\"namespace\":");
		cgm_reply_text(out, ns);
		cgm_buf_char(out, ',');
	}
	cgm_buf_lit(out, "\"name\":");
	cgm_reply_text(out, name);
	cgm_buf_str(out, q->beta1 ? ",\"apiVersion\":\"/v1\"},\"metricName\":" : ",\"apiVersion\":\"/v1\"},\"metric\":{\"name\":");
	cgm_reply_text(out, q->metric);
	cgm_buf_str(out, q->beta1 ? ",\"timestamp\":" : ",\"selector\":null},\"timestamp\":");
	cgm_reply_seconds(out, time_ns);
	cgm_buf_lit(out, ",\"value\":\"");
	put_number(out, v);
	cgm_buf_str(out, q->beta1 ? "\",\"selector\":null}" : "\"}");
}

/* ---- answers ---- */

static int put_rows(const struct cgm_serve *s, const struct question *q, struct cgm_buf *out, size_t *nr)
{
	_cleanup_(cgm_usages_done) struct cgm_usages us = { 0 };
	int r = cgm_usages_gather(s, &q->wanted, &us);

	for (size_t i = 0; r == 0 && i < us.nr_rows; i++) {
		const struct cgm_usage_row *row = &us.rows[i];
		double v;

		if (!read_value(row->slice, row->set, q->metric, &v))
			continue;
		if ((*nr)++)
			cgm_buf_char(out, ',');
		put_item(out, q, row->row_namespace, row->name, row->slice->end_ns, v);
	}
	return r;
}

static int put_namespace(const struct cgm_serve *s, const struct question *q, struct cgm_buf *out, size_t *nr)
{
	const char *ns = q->wanted.row_namespace;
	struct cgm_slice **slices = NULL;
	size_t nr_slices = 0;
	int r = cgm_cluster_store_slices(s->store, "", &slices, &nr_slices);
	const struct cgm_slice *last = nr_slices ? slices[nr_slices - 1] : NULL;

	for (size_t i = 0; last && i < last->nr_sets; i++) {
		const struct cgm_entity *e = last->sets[i].entity;
		double v;

		if (e->kind != CGM_SET_NAMESPACE || strcmp(e->labels[CGM_CL_NAMESPACE_NAME], ns) != 0 || !read_value(last, &last->sets[i], q->metric, &v))
			continue;
		put_item(out, q, NULL, ns, last->end_ns, v);
		++*nr;
	}
	cgm_cluster_slices_free(slices, nr_slices);
	return r;
}

static int answer_values(const struct cgm_serve *s, const struct question *q, struct cgm_reply *r)
{
	size_t nr = 0;
	int error;

	cgm_buf_printf(&r->body, "{\"kind\":\"MetricValueList\",\"apiVersion\":\"%s/%s\",\"metadata\":{},\"items\":[", group, q->beta1 ? "v1beta1" : "v1beta2");
	error = q->kind == CGM_SET_NAMESPACE ? put_namespace(s, q, &r->body, &nr) : put_rows(s, q, &r->body, &nr);
	cgm_buf_lit(&r->body, "]}\n");
	if (error == 0 && !nr)
		cgm_reply_status(r, 404, "NotFound", NULL, NULL, "there is no metric %s for what was asked", q->metric);
	return error;
}

/* namespaces/NS/pods/NAME/METRIC, namespaces/NS/metrics/METRIC, nodes/NAME/METRIC; NAME may be a star. Cuts text. */
static bool read_path(char *text, struct question *q)
{
	char *parts[6] = { NULL }, *rest = text;
	const char *name = NULL;
	size_t nr = 0;

	for (char *part; (part = strsep(&rest, "/")) != NULL; nr++)
		if (nr < ARRAY_SIZE(parts))
			parts[nr] = part;
	q->wanted.any_sample = true;
	if (nr == 3 && !strcmp(parts[0], "nodes")) {
		q->kind = CGM_SET_NODE;
		name = parts[1];
	} else if (nr == 5 && !strcmp(parts[0], "namespaces") && !strcmp(parts[2], "pods")) {
		q->kind = CGM_SET_POD;
		q->wanted.pods = true;
		name = parts[3];
	} else if (nr == 4 && !strcmp(parts[0], "namespaces") && !strcmp(parts[2], "metrics")) {
		q->kind = CGM_SET_NAMESPACE;
	} else {
		return false;
	}
	q->metric = parts[nr - 1];
	q->wanted.row_namespace = q->kind == CGM_SET_NODE ? NULL : parts[1];
	q->wanted.name = name && strcmp(name, "*") != 0 ? name : NULL;
	return true;
}

bool cgm_serve_custom(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	static const char begin[] = "/apis/custom.metrics.k8s.io/v1beta";
	const char *version = a->path + sizeof(begin) - 1;
	_cleanup_free_ char *path = NULL, *fields = NULL;
	struct cgm_kube_selector *labels = NULL;
	struct question q = { .metric = NULL };

	if (strncmp(a->path, begin, sizeof(begin) - 1) != 0 || (*version != '1' && *version != '2') || version[1] != '/')
		return false;
	q.beta1 = *version == '1';
	path = cgm_strdup(version + 2);
	if (!path)
		cgm_serve_finish(r, -ENOMEM);
	else if (!read_path(path, &q))
		cgm_reply_status(r, 404, "NotFound", NULL, NULL, "the server could not find the requested resource");
	else if (strcmp(a->method, "GET") != 0)
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "the server does not allow this method on the requested resource");
	else if (cgm_serve_selectors(a, &q.wanted, &labels, &fields, r))
		cgm_serve_finish(r, answer_values(s, &q, r));
	cgm_kube_selector_free(labels);
	return true;
}

/* ---- discovery ---- */

static void put_name(struct cgm_buf *out, const char *name)
{
	for (; *name; name++)
		cgm_buf_char(out, *name == '/' ? '_' : *name);
}

void cgm_serve_custom_resources(const char *version, struct cgm_buf *out)
{
	static const struct {
		enum cgm_set_kind kind;
		const char *resource;
		bool namespaced;
	} of[] = { { CGM_SET_NODE, "nodes", false }, { CGM_SET_POD, "pods", true }, { CGM_SET_NAMESPACE, "namespaces", false } };
	bool first = true;

	cgm_buf_printf(out, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"%s/%s\",\"resources\":[", group, version);
	for (size_t k = 0; k < ARRAY_SIZE(of); k++)
		for (unsigned m = 0; m < CGM_NR_SCALARS; m++) {
			if (!(cgm_cm_table[m].sets & (1 << of[k].kind)))
				continue;
			cgm_buf_printf(out, "%s{\"name\":\"%s/", first ? "" : ",", of[k].resource);
			put_name(out, cgm_cm_table[m].name);
			cgm_buf_printf(out, "\",\"singularName\":\"\",\"namespaced\":%s,\"kind\":\"MetricValueList\",\"verbs\":[\"get\"]}", of[k].namespaced ? "true" : "false");
			first = false;
		}
	cgm_buf_lit(out, "]}\n");
}
