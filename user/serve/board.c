// SPDX-License-Identifier: Apache-2.0
/*
 * What the page asks for, below /api/cgmeter/cluster/:
 *	status				the program: version, cycles, nodes by state, sinks, lists of the API server
 *	nodes				each node that is asked, or would be
 *	rows?kind=KIND&in=KEY&by=METRIC&n=N	the n rows (100, at most 1000) with the most of a metric; KIND: namespace, node, pod, container, sys_container;
 *					in: the key of a namespace, a pod or a node; nr_rows: how many there are
 *	series?key=KEY			labels, and all scalars over the time that is kept: points.NAME is [[ms, value], …]; hists: the newest
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "output/json.h"
#include "serve/internal.h"
#include "serve/route.h"
#include "source/decode.h"

#define MAX_ROWS 1000
#define DEFAULT_ROWS 100

struct slices {
	struct cgm_slice **slices;
	size_t nr;
};

static void slices_done(struct slices *s)
{
	cgm_cluster_slices_free(s->slices, s->nr);
}

static void put_text(struct cgm_buf *out, const char *key, const char *text)
{
	cgm_json_key(out, key);
	cgm_json_string(out, text ? text : "");
}

static void put_ms(struct cgm_buf *out, const char *key, uint64_t ns)
{
	cgm_json_number(out, key, ns / 1000000);
}

static void put_value(struct cgm_buf *out, enum cgm_cm m, union cgm_cm_value v)
{
	if (cgm_cm_table[m].is_float)
		cgm_reply_double(out, v.f);
	else
		cgm_buf_i64(out, v.i);
}

/* ---- status ---- */

static void put_sinks(const struct cgm_serve *s, struct cgm_buf *out)
{
	_cleanup_free_ struct cgm_export_state *sinks = NULL;
	size_t nr = 0;

	cgm_json_key(out, "sinks");
	cgm_buf_char(out, '[');
	if (s->export && cgm_export_states(s->export, &sinks, &nr) < 0)
		out->failed = true;
	for (size_t i = 0; i < nr && sinks; i++) {
		const struct cgm_export_state *e = &sinks[i];
		uint64_t lost = 0;

		for (int l = 0; l < CGM_NR_EXPORT_LOSSES; l++)
			lost += e->nr_lost[l];
		cgm_buf_str(out, i ? ",{\"name\":" : "{\"name\":");
		cgm_json_string(out, e->name);
		put_text(out, "address", e->shown);
		cgm_json_number(out, "sent", e->nr_sent);
		cgm_json_number(out, "retries", e->nr_retries);
		cgm_json_number(out, "lost", lost);
		cgm_json_number(out, "queue_bytes", e->queue_bytes);
		cgm_json_number(out, "spool_bytes", e->spool_bytes);
		put_ms(out, "ok_ms", e->last_ok_ns);
		put_text(out, "fault", e->fault);
		cgm_buf_char(out, '}');
	}
	cgm_buf_char(out, ']');
}

static void put_source(const struct cgm_serve *s, struct cgm_buf *out)
{
	struct cgm_source_stats st;

	if (!s->source)
		return;
	st = cgm_source_stats(s->source);
	cgm_json_number(out, "nodes", st.nr_nodes);
	cgm_json_number(out, "ready", st.nr_ready);
	cgm_json_number(out, "silent", st.nr_silent);
	cgm_json_number(out, "cycles", st.nr_cycles);
	cgm_json_number(out, "skipped", st.nr_skipped);
	put_ms(out, "cycle_ms", st.last_cycle_ns);
	put_text(out, "list_fault", st.list_fault);
}

static void put_watches(const struct cgm_serve *s, struct cgm_buf *out)
{
	static const char *const names[CGM_NR_KUBE_WHAT] = { [CGM_KUBE_NODES] = "nodes", [CGM_KUBE_PODS] = "pods", [CGM_KUBE_NAMESPACES] = "namespaces" };

	if (!s->cluster)
		return;
	cgm_json_key(out, "lists");
	cgm_buf_char(out, '[');
	for (int i = 0; i < CGM_NR_KUBE_WHAT; i++) {
		struct cgm_kube_watch_state st = cgm_kube_cluster_state(s->cluster, i);

		cgm_buf_str(out, i ? ",{\"name\":" : "{\"name\":");
		cgm_json_string(out, names[i]);
		cgm_json_number(out, "objects", cgm_kube_cluster_nr(s->cluster, i));
		cgm_json_key(out, "synced");
		cgm_json_bool(out, st.synced);
		put_text(out, "fault", st.fault);
		cgm_buf_char(out, '}');
	}
	cgm_buf_char(out, ']');
}

static int put_status(const struct cgm_serve *s, struct cgm_buf *out)
{
	struct cgm_cluster_store_stats st = cgm_cluster_store_stats(s->store);

	cgm_buf_lit(out, "{\"version\":");
	cgm_json_string(out, s->version ? s->version : "");
	put_ms(out, "resolution_ms", s->resolution_ns);
	put_ms(out, "time_ms", st.newest_ns);
	cgm_json_number(out, "sets", st.nr_sets);
	cgm_json_number(out, "kept_bytes", st.bytes);
	put_source(s, out);
	put_watches(s, out);
	put_sinks(s, out);
	cgm_buf_char(out, '}');
	return 0;
}

/* ---- nodes ---- */

static void put_node(const struct cgm_node_state *n, struct cgm_buf *out)
{
	uint64_t failed = 0;

	for (int f = 0; f < CGM_NR_NODE_FAULTS; f++)
		failed += n->nr_failed[f];
	cgm_buf_lit(out, "{\"name\":");
	cgm_json_string(out, n->name);
	put_text(out, "address", n->address);
	put_text(out, "form", n->form < CGM_NR_DECODE_FORMS ? cgm_decode_name(n->form) : "");
	cgm_json_key(out, "ready");
	cgm_json_bool(out, n->ready);
	put_ms(out, "ok_ms", n->last_ok_ns);
	put_ms(out, "try_ms", n->last_try_ns);
	put_ms(out, "duration_ms", n->duration_ns);
	cgm_json_number(out, "answers", n->nr_ok);
	cgm_json_number(out, "failed", failed);
	cgm_json_number(out, "bad_values", n->nr_bad);
	if (n->skew_ns != INT64_MIN) {
		cgm_json_key(out, "skew_ms");
		cgm_buf_i64(out, n->skew_ns / 1000000);
	}
	put_text(out, "fault", n->fault);
	cgm_buf_lit(out, "},");
}

static int put_nodes(const struct cgm_serve *s, struct cgm_buf *out)
{
	_cleanup_free_ struct cgm_node_state *nodes = NULL;
	size_t nr = 0;
	int r = s->source ? cgm_source_nodes(s->source, &nodes, &nr) : 0;

	cgm_buf_char(out, '[');
	for (size_t i = 0; r == 0 && i < nr; i++)
		put_node(&nodes[i], out);
	cgm_json_chop(out);
	cgm_buf_char(out, ']');
	return r;
}

/* ---- rows ---- */

struct row {
	const struct cgm_set *set;
	double by; /* -1: it does not have the metric */
};

struct choice {
	enum cgm_set_kind kind;
	enum cgm_cm by;
	const char *in; /* a key; NULL: everywhere */
	size_t max, nr_rows; /* nr_rows: all that there are */
	struct row *rows; /* the best so far, best first */
	size_t nr;
};

/* Is the set of that key below "in": a namespace, a pod, a node? */
static bool is_in(const struct cgm_set *set, const char *in)
{
	const char *node = set->entity->labels[CGM_CL_NODENAME];
	size_t len = strlen(in);

	if (strncmp(in, "node:", 5) == 0)
		return node && strcmp(node, in + 5) == 0;
	return strncmp(set->entity->key, in, len) == 0 && set->entity->key[len] == '/';
}

static double value_of(const struct cgm_set *set, enum cgm_cm m)
{
	union cgm_cm_value v;

	if (!cgm_set_has(set, m))
		return -1;
	v = cgm_set_value(set, m);
	if (!cgm_cm_table[m].is_float)
		return (double)v.i;
	return isfinite(v.f) ? v.f : -1; /* what is no number has no place in an order */
}

static void consider(struct choice *c, const struct cgm_set *set)
{
	struct row row = { set, value_of(set, c->by) };
	size_t at;

	c->nr_rows++;
	if (c->nr == c->max && row.by <= c->rows[c->nr - 1].by)
		return;
	at = c->nr < c->max ? c->nr++ : c->nr - 1;
	for (; at > 0 && c->rows[at - 1].by < row.by; at--)
		c->rows[at] = c->rows[at - 1];
	c->rows[at] = row;
}

static void put_values(const struct cgm_set *set, struct cgm_buf *out)
{
	const union cgm_cm_value *v = set->values;

	cgm_buf_lit(out, ",\"values\":{");
	for (uint64_t left = set->present; left; left &= left - 1) {
		enum cgm_cm m = (enum cgm_cm)__builtin_ctzll(left);

		cgm_json_string(out, cgm_cm_table[m].name);
		cgm_buf_char(out, ':');
		put_value(out, m, *v++);
		cgm_buf_char(out, ',');
	}
	cgm_json_chop(out);
	cgm_buf_char(out, '}');
}

static void put_labels(const struct cgm_entity *e, struct cgm_buf *out)
{
	cgm_buf_lit(out, ",\"labels\":{");
	for (int l = 0; l < CGM_NR_CL; l++) {
		if (!e->labels[l])
			continue;
		cgm_json_string(out, cgm_cl_name(l));
		cgm_buf_char(out, ':');
		cgm_json_string(out, e->labels[l]);
		cgm_buf_char(out, ',');
	}
	cgm_json_chop(out);
	cgm_buf_char(out, '}');
}

static int kind_of(const char *name)
{
	static const char *const names[CGM_NR_SET_KINDS] = {
		[CGM_SET_CLUSTER] = "cluster", [CGM_SET_NAMESPACE] = "namespace", [CGM_SET_NODE] = "node",
		[CGM_SET_SYS_CONTAINER] = "sys_container", [CGM_SET_POD] = "pod", [CGM_SET_CONTAINER] = "container",
	};

	for (int k = 0; name && k < CGM_NR_SET_KINDS; k++)
		if (strcmp(names[k], name) == 0)
			return k;
	return -1;
}

/* What is asked for. False: it is nonsense, and *r says which. */
static bool read_choice(const struct cgm_ask *a, struct choice *c, struct cgm_reply *r)
{
	const char *kind = cgm_ask_param(a, "kind"), *by = cgm_ask_param(a, "by"), *n = cgm_ask_param(a, "n");
	int k = kind_of(kind), m = by ? cgm_cm_find(cgm_str(by)) : CGM_CM_CPU_USAGE_RATE;
	uint64_t max = DEFAULT_ROWS;

	if (k < 0)
		cgm_reply_fault(r, 400, "parameter kind: \"%.64s\" is none of cluster, namespace, node, sys_container, pod, container", kind ? kind : "");
	else if (m < 0 || m >= CGM_NR_SCALARS)
		cgm_reply_fault(r, 400, "parameter by: \"%.64s\" is no metric to sort by", by);
	else if (n && (cgm_parse_u64(cgm_str(n), &max) < 0 || max < 1 || max > MAX_ROWS))
		cgm_reply_fault(r, 400, "parameter n: \"%.64s\" is no number from 1 to %d", n, MAX_ROWS);
	else
		*c = (struct choice){ .kind = (enum cgm_set_kind)k, .by = (enum cgm_cm)m, .in = cgm_ask_param(a, "in"), .max = (size_t)max };
	return !r->status;
}

static void put_rows(const struct choice *c, uint64_t time_ns, struct cgm_buf *out)
{
	cgm_buf_printf(out, "{\"time_ms\":%" PRIu64 ",\"nr_rows\":%zu,\"rows\":[", time_ns / 1000000, c->nr_rows);
	for (size_t i = 0; i < c->nr; i++) {
		cgm_buf_lit(out, "{\"key\":");
		cgm_json_string(out, c->rows[i].set->entity->key);
		put_labels(c->rows[i].set->entity, out);
		put_values(c->rows[i].set, out);
		cgm_buf_lit(out, "},");
	}
	cgm_json_chop(out);
	cgm_buf_lit(out, "]}");
}

static int answer_rows(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	_cleanup_(slices_done) struct slices all = { 0 };
	_cleanup_free_ struct row *rows = NULL;
	struct choice c = { 0 };
	uint64_t time_ns = 0;

	if (!read_choice(a, &c, r))
		return 0;
	c.rows = rows = cgm_calloc(c.max, sizeof(*rows));
	if (!rows || cgm_cluster_store_newest(s->store, &all.slices, &all.nr) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < all.nr; i++) {
		time_ns = MAX(time_ns, all.slices[i]->end_ns);
		for (uint32_t k = 0; k < all.slices[i]->nr_sets; k++) {
			const struct cgm_set *set = &all.slices[i]->sets[k];

			if (set->entity->kind == c.kind && (!c.in || !*c.in || is_in(set, c.in)))
				consider(&c, set);
		}
	}
	put_rows(&c, time_ns, &r->body);
	return 0;
}

/* ---- series ---- */

static int put_points(const struct cgm_serve *s, const char *key, enum cgm_cm m, struct cgm_buf *out)
{
	_cleanup_free_ struct cgm_cluster_point *points = NULL;
	size_t nr = 0;
	int r = cgm_cluster_store_points(s->store, key, m, 0, 0, &points, &nr);

	if (r < 0 || !nr)
		return r == -ENOENT ? 0 : r;
	cgm_json_string(out, cgm_cm_table[m].name);
	cgm_buf_lit(out, ":[");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_printf(out, "[%" PRIu64 ",", points[i].end_ns / 1000000);
		put_value(out, m, points[i].value);
		cgm_buf_lit(out, "],");
	}
	cgm_json_chop(out);
	cgm_buf_lit(out, "],");
	return 0;
}

static void put_hists(const struct cgm_set *set, struct cgm_buf *out)
{
	cgm_buf_lit(out, ",\"hists\":{");
	for (uint32_t i = 0; i < set->nr_hists; i++) {
		const struct cgm_cluster_hist *h = &set->hists[i];

		cgm_buf_printf(out, "\"%s\":{\"help\":\"%s\",\"count\":%" PRIu64 ",\"sum_ns\":%" PRIu64 ",\"buckets\":[", cgm_ch_name(h->hist), cgm_ch_help(h->hist), h->count, h->sum_ns);
		for (int b = 0; b < CGM_CH_BUCKETS; b++)
			cgm_buf_printf(out, "%s%" PRIu64, b ? "," : "", h->buckets[b]);
		cgm_buf_lit(out, "]},");
	}
	cgm_json_chop(out);
	cgm_buf_char(out, '}');
}

static int answer_series(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *reply)
{
	const char *key = cgm_ask_param(a, "key");
	_cleanup_(slices_done) struct slices all = { 0 };
	const struct cgm_set *set = NULL;
	struct cgm_buf *out = &reply->body;
	int r = 0;

	if (!key) {
		cgm_reply_fault(reply, 400, "parameter key is missing");
		return 0;
	}
	if (cgm_cluster_store_slices_of(s->store, key, &all.slices, &all.nr) < 0)
		return -ENOMEM;
	for (size_t i = all.nr; i-- > 0 && !set;)
		set = cgm_slice_find(all.slices[i], key);
	if (!set) {
		cgm_reply_fault(reply, 404, "nothing is known of \"%.300s\"", key);
		return 0;
	}
	cgm_buf_lit(out, "{\"key\":");
	cgm_json_string(out, key);
	cgm_buf_printf(out, ",\"kind\":\"%s\"", cgm_set_type(set->entity->kind));
	put_labels(set->entity, out);
	put_hists(set, out);
	cgm_buf_lit(out, ",\"points\":{");
	for (int m = 0; r == 0 && m < CGM_NR_SCALARS; m++)
		r = put_points(s, key, (enum cgm_cm)m, out);
	cgm_json_chop(out);
	cgm_buf_lit(out, "}}");
	return r;
}

bool cgm_serve_board(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *reply)
{
	static const char root[] = "/api/cgmeter/cluster/";
	const char *what = a->path + sizeof(root) - 1;
	int r;

	if (strncmp(a->path, root, sizeof(root) - 1) != 0)
		return false;
	if (!cgm_serve_is_get(a, reply))
		return true;
	if (strcmp(what, "status") == 0)
		r = put_status(s, &reply->body);
	else if (strcmp(what, "nodes") == 0)
		r = put_nodes(s, &reply->body);
	else if (strcmp(what, "rows") == 0)
		r = answer_rows(s, a, reply);
	else if (strcmp(what, "series") == 0)
		r = answer_series(s, a, reply);
	else
		r = -ENOENT;
	cgm_serve_finish(reply, r);
	return true;
}
