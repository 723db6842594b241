// SPDX-License-Identifier: Apache-2.0
/* The Kubernetes Metrics API, metrics.k8s.io/v1beta1: what `kubectl top` and autoscalers read. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kube/kube.h"
#include "serve/internal.h"
#include "serve/kubernetes.h"
#include "serve/usage.h"

#define CAN_METRICS (1U << CGM_WANTS_JSON | 1U << CGM_WANTS_TABLE | 1U << CGM_WANTS_TABLE_BETA)

static const char api[] = "metrics.k8s.io/v1beta1";

/* ---- objects ---- */

static void put_metadata(struct cgm_buf *out, const struct cgm_usage_row *row, uint64_t now_ns)
{
	cgm_usage_put_metadata(out, row, now_ns);
	if (row->nr_labels) {
		cgm_buf_lit(out, ",\"labels\":");
		cgm_reply_labels(out, row->labels, row->nr_labels);
	}
	cgm_buf_char(out, '}');
}

static void put_usage(struct cgm_buf *out, const struct cgm_used *u)
{
	cgm_buf_lit(out, "\"usage\":{\"cpu\":\"");
	cgm_quantity_put_nano(out, u->cpu_nano);
	cgm_buf_lit(out, "\",\"memory\":\"");
	cgm_quantity_put_bytes(out, u->memory_bytes);
	cgm_buf_lit(out, "\"}");
}

/* All of an object but its braces, kind and apiVersion. */
static void put_row(struct cgm_buf *out, const struct cgm_usages *us, const struct cgm_usage_row *row, uint64_t now_ns)
{
	put_metadata(out, row, now_ns);
	cgm_buf_lit(out, ",\"timestamp\":");
	cgm_reply_seconds(out, row->time_ns);
	cgm_buf_lit(out, ",\"window\":\"");
	cgm_duration_put(out, row->window_ns);
	cgm_buf_lit(out, "\",");
	if (!row->row_namespace) {
		put_usage(out, &us->usages[row->first]);
		return;
	}
	cgm_buf_lit(out, "\"containers\":[");
	for (size_t i = 0; i < row->nr; i++) {
		const struct cgm_used *u = &us->usages[row->first + i];

		cgm_buf_str(out, i ? ",{\"name\":" : "{\"name\":");
		cgm_reply_text(out, u->name);
		cgm_buf_char(out, ',');
		put_usage(out, u);
		cgm_buf_char(out, '}');
	}
	cgm_buf_char(out, ']');
}

static void put_kind(struct cgm_buf *out, bool pods, const char *list)
{
	cgm_buf_printf(out, "\"kind\":\"%s%s\",\"apiVersion\":\"%s\",", pods ? "PodMetrics" : "NodeMetrics", list, api);
}

static void put_object(struct cgm_buf *out, const struct cgm_usages *us, const struct cgm_usage_row *row, uint64_t now_ns)
{
	cgm_buf_char(out, '{');
	put_kind(out, row->row_namespace != NULL, "");
	put_row(out, us, row, now_ns);
	cgm_buf_char(out, '}');
}

static void put_list(struct cgm_buf *out, const struct cgm_usages *us, bool pods, uint64_t now_ns)
{
	cgm_buf_char(out, '{');
	put_kind(out, pods, "List");
	cgm_buf_lit(out, "\"metadata\":{},\"items\":[");
	for (size_t i = 0; i < us->nr_rows; i++) {
		cgm_buf_str(out, i ? ",{" : "{");
		put_row(out, us, &us->rows[i], now_ns);
		cgm_buf_char(out, '}');
	}
	cgm_buf_lit(out, "]}\n");
}

/* ---- tables ---- */

enum included { INCLUDE_METADATA, INCLUDE_NONE, INCLUDE_OBJECT };

static void put_cells(struct cgm_buf *out, const struct cgm_usages *us, const struct cgm_usage_row *row)
{
	uint64_t cpu_nano = 0, memory_bytes = 0;

	for (size_t i = 0; i < row->nr; i++) {
		cpu_nano += us->usages[row->first + i].cpu_nano;
		memory_bytes += us->usages[row->first + i].memory_bytes;
	}
	cgm_buf_lit(out, "{\"cells\":[");
	cgm_reply_text(out, row->name);
	cgm_buf_lit(out, ",\"");
	cgm_quantity_put_nano(out, cpu_nano);
	cgm_buf_lit(out, "\",\"");
	cgm_quantity_put_bytes(out, memory_bytes);
	cgm_buf_lit(out, "\",\"");
	cgm_duration_put(out, row->window_ns);
	cgm_buf_lit(out, "\"]");
}

static void put_table(struct cgm_buf *out, const struct cgm_usages *us, bool beta, enum included included, uint64_t now_ns)
{
	static const char *const columns[][3] = { { "Name", "name", "Name of the resource" }, { "cpu", "quantity", "" }, { "memory", "quantity", "" }, { "Window", "duration", "" } };
	const char *version = beta ? "v1beta1" : "v1";

	cgm_buf_printf(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":{},\"columnDefinitions\":[", version);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		cgm_buf_printf(out, "%s{\"name\":\"%s\",\"type\":\"string\",\"format\":\"%s\",\"description\":\"%s\",\"priority\":0}", i ? "," : "", columns[i][0], columns[i][1],
			       columns[i][2]);
	cgm_buf_lit(out, "],\"rows\":[");
	for (size_t i = 0; i < us->nr_rows; i++) {
		if (i)
			cgm_buf_char(out, ',');
		put_cells(out, us, &us->rows[i]);
		cgm_buf_lit(out, ",\"object\":");
		if (included == INCLUDE_OBJECT) {
			put_object(out, us, &us->rows[i], now_ns);
		} else if (included == INCLUDE_METADATA) {
			cgm_buf_printf(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",", version);
			put_metadata(out, &us->rows[i], now_ns);
			cgm_buf_char(out, '}');
		} else {
			cgm_buf_lit(out, "null");
		}
		cgm_buf_char(out, '}');
	}
	cgm_buf_lit(out, "]}\n");
}

/* ---- what is asked for ---- */

static bool bad(struct cgm_reply *r, const char *param, const char *fault)
{
	cgm_reply_status(r, 400, "BadRequest", NULL, NULL, "%s: %s", param, fault);
	return false;
}

/* "metadata.name=x", "metadata.namespace!=y". */
static bool read_requirement(struct cgm_usage_wanted *w, char *text, struct cgm_reply *r)
{
	char *equals = strchr(text, '=');
	const char *value;
	bool negative = false, is_name;

	if (!equals)
		return bad(r, "fieldSelector", "a requirement is a field, = or !=, and a value");
	value = equals + (equals[1] == '=' ? 2 : 1);
	if (equals > text && equals[-1] == '!') {
		negative = true;
		equals[-1] = '\0';
	}
	*equals = '\0';
	is_name = !strcmp(text, "metadata.name");
	if (!is_name && strcmp(text, "metadata.namespace") != 0)
		return bad(r, "fieldSelector", "only metadata.name and metadata.namespace are known");
	if (negative)
		*(is_name ? &w->not_name : &w->not_namespace) = value;
	else
		*(is_name ? &w->field_name : &w->field_namespace) = value;
	return true;
}

/* Cuts text, which must live as long as w. */
static bool read_fields(struct cgm_usage_wanted *w, char *text, struct cgm_reply *r)
{
	char *rest = text, *one;

	while ((one = strsep(&rest, ",")))
		if (*one && !read_requirement(w, one, r))
			return false;
	return true;
}

struct question {
	struct cgm_usage_wanted wanted;
	char *fields; /* its texts */
	struct cgm_kube_selector *labels;
	enum cgm_wants wants;
	enum included included;
};

static void question_done(struct question *q)
{
	free(q->fields);
	cgm_kube_selector_free(q->labels);
}

static bool read_included(const char *text, enum included *ret)
{
	if (!text || !*text || !strcmp(text, "Metadata"))
		*ret = INCLUDE_METADATA;
	else if (!strcmp(text, "None"))
		*ret = INCLUDE_NONE;
	else if (!strcmp(text, "Object"))
		*ret = INCLUDE_OBJECT;
	else
		return false;
	return true;
}

bool cgm_serve_selectors(const struct cgm_ask *a, struct cgm_usage_wanted *w, struct cgm_kube_selector **ret_labels, char **ret_fields, struct cgm_reply *r)
{
	const char *labels = cgm_ask_param(a, "labelSelector"), *fields = cgm_ask_param(a, "fieldSelector");
	char fault[CGM_KUBE_FAULT] = "";
	int error;

	if (fields && *fields) {
		*ret_fields = cgm_strdup(fields);
		if (!*ret_fields)
			return cgm_serve_finish(r, -ENOMEM), false;
		if (!read_fields(w, *ret_fields, r))
			return false;
	}
	error = labels && *labels ? cgm_kube_selector_read(labels, ret_labels, fault) : 0;
	if (error == -EINVAL)
		return bad(r, "labelSelector", fault);
	if (error < 0)
		return cgm_serve_finish(r, error), false;
	w->labels = *ret_labels;
	return true;
}

/* False: *r says what is wrong. */
static bool read_question(const struct cgm_ask *a, struct question *q, struct cgm_reply *r)
{
	const char *watch = cgm_ask_param(a, "watch");

	q->wants = cgm_wants_of(a->accept, CAN_METRICS);
	if (q->wants == CGM_WANTS_NOTHING) {
		cgm_reply_status(r, 406, "NotAcceptable", NULL, NULL, "only the following media types are accepted: application/json, and it as=Table");
		return false;
	}
	if (watch && *watch && strcmp(watch, "0") != 0 && strcmp(watch, "false") != 0) {
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "metrics can be listed, not watched");
		return false;
	}
	if (!read_included(cgm_ask_param(a, "includeObject"), &q->included))
		return bad(r, "includeObject", "it is one of None, Metadata, Object");
	return cgm_serve_selectors(a, &q->wanted, &q->labels, &q->fields, r);
}

static void put_answer(const struct question *q, const struct cgm_usages *us, struct cgm_reply *r)
{
	bool table = q->wants == CGM_WANTS_TABLE || q->wants == CGM_WANTS_TABLE_BETA, one = q->wanted.name != NULL;
	uint64_t now = cgm_clock_real_ns();

	r->vary = "Accept";
	if (one && !us->nr_rows && q->wanted.pods)
		cgm_reply_status(r, 404, "NotFound", "podmetrics", q->wanted.name, "podmetrics.metrics.k8s.io \"%s/%s\" not found", q->wanted.row_namespace, q->wanted.name);
	else if (one && !us->nr_rows)
		cgm_reply_status(r, 404, "NotFound", "node", q->wanted.name, "node \"%s\" not found", q->wanted.name);
	else if (table)
		put_table(&r->body, us, q->wants == CGM_WANTS_TABLE_BETA, q->included, now);
	else if (one)
		put_object(&r->body, us, &us->rows[0], now);
	else
		put_list(&r->body, us, q->wanted.pods, now);
}

bool cgm_serve_metrics_path(char *text, struct cgm_usage_wanted *w)
{
	char *parts[5] = { NULL }, *rest = text;
	size_t nr = 0;

	for (char *part; (part = strsep(&rest, "/")) != NULL; nr++)
		if (nr < ARRAY_SIZE(parts))
			parts[nr] = part;
	if (nr > 4 || !nr)
		return false;
	if (nr <= 2 && !strcmp(parts[0], "nodes")) {
		w->name = parts[1];
		return true;
	}
	w->pods = true;
	if (nr == 1)
		return !strcmp(parts[0], "pods");
	if (nr < 3 || strcmp(parts[0], "namespaces") != 0 || strcmp(parts[2], "pods") != 0)
		return false;
	w->row_namespace = parts[1];
	w->name = parts[3];
	return true;
}

static int answer_metrics(const struct cgm_serve *s, const struct cgm_ask *a, const char *rest, struct cgm_reply *r)
{
	_cleanup_(question_done) struct question q = { .fields = NULL };
	_cleanup_(cgm_usages_done) struct cgm_usages us = { 0 };
	_cleanup_free_ char *path = cgm_strdup(rest);
	int error;

	if (!path)
		return -ENOMEM;
	if (!cgm_serve_metrics_path(path, &q.wanted)) {
		cgm_reply_status(r, 404, "NotFound", NULL, NULL, "the server could not find the requested resource");
		return 0;
	}
	if (!read_question(a, &q, r))
		return 0;
	error = cgm_usages_gather(s, &q.wanted, &us);
	if (error < 0)
		return error;
	put_answer(&q, &us, r);
	return 0;
}

bool cgm_serve_metrics_api(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	static const char metrics[] = "/apis/metrics.k8s.io/v1beta1/";
	bool of_metrics = strncmp(a->path, metrics, sizeof(metrics) - 1) == 0;

	if (cgm_serve_checks(s, a, r) || cgm_serve_heapster_metrics(s, a, r) || cgm_serve_core(s, a, r) || cgm_serve_custom(s, a, r))
		return true;
	if (!of_metrics)
		return cgm_serve_discovery(s, a, r);
	if (strcmp(a->method, "GET") != 0)
		cgm_reply_status(r, 405, "MethodNotAllowed", NULL, NULL, "the server does not allow this method on the requested resource");
	else
		cgm_serve_finish(r, answer_metrics(s, a, a->path + sizeof(metrics) - 1, r));
	return true;
}
