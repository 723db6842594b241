// SPDX-License-Identifier: Apache-2.0
/* Heapster's own form of the Metrics API, /apis/metrics/v1alpha1: numbers of its model, whatever the window says. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/kubernetes.h"
#include "serve/usage.h"

static const char version[] = "/apis/metrics/v1alpha1/";

static void put_usage(struct cgm_buf *out, const struct cgm_set *set)
{
	uint64_t milli = cgm_set_has(set, CGM_CM_CPU_USAGE_RATE) ? (uint64_t)cgm_set_value(set, CGM_CM_CPU_USAGE_RATE).i : 0;
	uint64_t bytes = cgm_set_has(set, CGM_CM_MEMORY_WORKING_SET) ? (uint64_t)cgm_set_value(set, CGM_CM_MEMORY_WORKING_SET).i : 0;

	cgm_buf_lit(out, "\"usage\":{\"cpu\":\"");
	cgm_quantity_put_nano(out, milli * 1000000);
	cgm_buf_lit(out, "\",\"memory\":\"");
	cgm_quantity_put_bytes(out, bytes);
	cgm_buf_lit(out, "\"}");
}

static void put_containers(struct cgm_buf *out, const struct cgm_slice *s, const struct cgm_set *pod)
{
	bool first = true;

	cgm_buf_lit(out, "\"containers\":[");
	for (const struct cgm_set *c = pod + 1; c < s->sets + s->nr_sets && c->entity->kind == CGM_SET_CONTAINER; c++) {
		const char *name = c->entity->labels[CGM_CL_CONTAINER_NAME];

		if (!cgm_set_has(c, CGM_CM_MEMORY_WORKING_SET))
			continue;
		cgm_buf_str(out, first ? "{\"name\":" : ",{\"name\":");
		cgm_reply_text(out, name ? name : "");
		cgm_buf_char(out, ',');
		put_usage(out, c);
		cgm_buf_char(out, '}');
		first = false;
	}
	cgm_buf_char(out, ']');
}

static void put_row(const struct cgm_usage_row *row, struct cgm_buf *out, uint64_t now_ns)
{
	cgm_buf_char(out, '{');
	cgm_usage_put_metadata(out, row, now_ns);
	cgm_buf_lit(out, "},\"timestamp\":");
	cgm_reply_seconds(out, row->slice->end_ns);
	cgm_buf_lit(out, ",\"window\":\"1m0s\",");
	if (row->row_namespace)
		put_containers(out, row->slice, row->set);
	else
		put_usage(out, row->set);
	cgm_buf_char(out, '}');
}

static int answer(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_reply *r)
{
	_cleanup_(cgm_usages_done) struct cgm_usages us = { 0 };
	uint64_t now = cgm_clock_real_ns();
	int error = cgm_usages_gather(s, w, &us);

	if (error < 0)
		return error;
	if (w->name && !us.nr_rows && w->pods)
		cgm_reply_fault(r, 404, "No metrics for pod %s/%s", w->row_namespace, w->name);
	else if (w->name && !us.nr_rows)
		cgm_reply_fault(r, 404, "No metrics for node %s", w->name);
	else if (w->name)
		put_row(&us.rows[0], &r->body, now);
	if (w->name)
		return 0;
	cgm_buf_lit(&r->body, "{\"metadata\":{},\"items\":[");
	for (size_t i = 0; i < us.nr_rows; i++) {
		if (i)
			cgm_buf_char(&r->body, ',');
		put_row(&us.rows[i], &r->body, now);
	}
	cgm_buf_lit(&r->body, "]}");
	return 0;
}

bool cgm_serve_heapster_metrics(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	_cleanup_free_ char *path = NULL, *fields = NULL;
	struct cgm_kube_selector *labels = NULL;
	struct cgm_usage_wanted w = { .any_sample = true };

	if (strncmp(a->path, version, sizeof(version) - 1) != 0)
		return false;
	if (!cgm_serve_is_get(a, r))
		return true;
	path = cgm_strdup(a->path + sizeof(version) - 1);
	if (!path)
		cgm_serve_finish(r, -ENOMEM);
	else if (!cgm_serve_metrics_path(path, &w))
		cgm_serve_finish(r, -ENOENT);
	else if (cgm_serve_selectors(a, &w, &labels, &fields, r))
		cgm_serve_finish(r, answer(s, &w, r));
	cgm_kube_selector_free(labels);
	return true;
}
