// SPDX-License-Identifier: Apache-2.0
#include "serve/usage.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/kubernetes.h"

#define FRESH_NS (10 * CGM_NSEC_PER_SEC) /* a container younger than that has not shown yet what it uses */

struct cgm_usage_kept { /* whose texts rows point to */
	struct cgm_slice **slices;
	size_t nr_slices;
	struct cgm_kube_pod *pod;
	struct cgm_kube_node *node;
	struct cgm_kube_label *labels; /* made of a label's text */
	char *text;
};

/* ---- two samples ---- */

struct sample {
	uint64_t time_ns, created_ns, cpu_ns, memory_bytes;
};

/* False: it is none. */
static bool read_sample(const struct cgm_slice *s, const struct cgm_set *set, struct sample *ret)
{
	if (!cgm_set_has(set, CGM_CM_CPU_USAGE) || !cgm_set_has(set, CGM_CM_MEMORY_WORKING_SET))
		return false;
	ret->time_ns = set->scraped_ns ? set->scraped_ns : s->end_ns;
	ret->created_ns = set->created_ns;
	ret->cpu_ns = (uint64_t)cgm_set_value(set, CGM_CM_CPU_USAGE).i;
	ret->memory_bytes = (uint64_t)cgm_set_value(set, CGM_CM_MEMORY_WORKING_SET).i;
	return true;
}

/* The same set in another slice: where it stood last time, most often. hint: its place. */
static const struct cgm_set *same_set(const struct cgm_slice *s, const struct cgm_entity *e, size_t hint)
{
	for (size_t i = 0; i < s->nr_sets; i++) {
		const struct cgm_set *set = &s->sets[(hint + i) % s->nr_sets];

		if (set->entity == e || (set->entity->hash == e->hash && !strcmp(set->entity->key, e->key)))
			return set;
	}
	return NULL;
}

/* Of the life that last is of, and taken before it. */
static bool is_before(const struct sample *before, const struct sample *last)
{
	return before->time_ns < last->time_ns && before->cpu_ns <= last->cpu_ns && !(last->created_ns && before->time_ns < last->created_ns);
}

bool cgm_used_of(struct cgm_slice *const *slices, size_t nr, const struct cgm_set *newest, uint64_t resolution_ns, struct cgm_used *ret)
{
	struct sample last, before = { 0 };
	bool found = false;
	size_t place = nr ? (size_t)(newest - slices[nr - 1]->sets) : 0;

	if (!nr || !read_sample(slices[nr - 1], newest, &last) || !last.cpu_ns || !last.memory_bytes)
		return false;
	for (size_t i = nr - 1; i-- > 0 && !found;) {
		const struct cgm_set *set = same_set(slices[i], newest->entity, place);

		found = set && read_sample(slices[i], set, &before) && is_before(&before, &last);
	}
	if (!found && last.created_ns && last.time_ns >= last.created_ns + FRESH_NS && last.time_ns - last.created_ns < resolution_ns) {
		before = (struct sample){ .time_ns = last.created_ns }; /* it had used nothing when it began */
		found = true;
	}
	if (!found)
		return false;
	ret->time_ns = last.time_ns;
	ret->window_ns = last.time_ns - before.time_ns;
	ret->cpu_nano = (uint64_t)((double)(last.cpu_ns - before.cpu_ns) * 1e9 / (double)ret->window_ns);
	ret->memory_bytes = last.memory_bytes;
	return true;
}

/* ---- whose they are ---- */

static struct cgm_usage_kept *keep(struct cgm_usages *u)
{
	if (cgm_grow((void **)&u->kept, &u->cap_kept, u->nr_kept, sizeof(*u->kept)) < 0)
		return NULL;
	u->kept[u->nr_kept] = (struct cgm_usage_kept){ 0 };
	return &u->kept[u->nr_kept++];
}

void cgm_usages_done(struct cgm_usages *u)
{
	for (size_t i = 0; i < u->nr_kept; i++) {
		cgm_cluster_slices_free(u->kept[i].slices, u->kept[i].nr_slices);
		cgm_kube_pod_unref(u->kept[i].pod);
		cgm_kube_node_unref(u->kept[i].node);
		free(u->kept[i].labels);
		free(u->kept[i].text);
	}
	free(u->kept);
	free(u->rows);
	free(u->usages);
	*u = (struct cgm_usages){ 0 };
}

/* "k:v,k:v", what is known of a set's labels when no API server can be asked. */
static int labels_of_text(struct cgm_usages *u, const char *text, struct cgm_usage_row *row)
{
	struct cgm_usage_kept *k = text && *text ? keep(u) : NULL;
	size_t nr = 1;
	char *rest;

	if (!text || !*text)
		return 0;
	if (!k)
		return -ENOMEM;
	for (const char *p = text; *p; p++)
		nr += *p == ',';
	k->text = cgm_strdup(text);
	k->labels = cgm_calloc(nr, sizeof(*k->labels));
	if (!k->text || !k->labels)
		return -ENOMEM;
	rest = k->text;
	for (size_t i = 0; i < nr; i++) {
		char *key = strsep(&rest, ","), *colon = strchr(key, ':');

		if (!colon)
			continue;
		*colon = '\0';
		k->labels[row->nr_labels++] = (struct cgm_kube_label){ key, colon + 1 };
	}
	row->labels = k->labels;
	return 0;
}

/* 1; 0: the API server knows no such thing, it has gone; -ENOMEM. */
static int label_row(const struct cgm_serve *s, struct cgm_usages *u, struct cgm_usage_row *row)
{
	bool synced = s->cluster && cgm_kube_cluster_state(s->cluster, row->row_namespace ? CGM_KUBE_PODS : CGM_KUBE_NODES).synced;
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *pod = NULL;
	_cleanup_(cgm_kube_node_freep) struct cgm_kube_node *node = NULL;
	struct cgm_usage_kept *k;
	int r;

	if (s->cluster && row->row_namespace)
		pod = cgm_kube_cluster_pod(s->cluster, row->row_namespace, row->name);
	else if (s->cluster)
		node = cgm_kube_cluster_node(s->cluster, row->name);
	if (!pod && !node) {
		r = synced ? 0 : labels_of_text(u, row->set->entity->labels[CGM_CL_LABELS], row);
		return r < 0 ? r : !synced;
	}
	k = keep(u);
	if (!k)
		return -ENOMEM;
	row->labels = pod ? pod->labels : node->labels;
	row->nr_labels = pod ? pod->nr_labels : node->nr_labels;
	k->pod = TAKE_PTR(pod);
	k->node = TAKE_PTR(node);
	return 1;
}

/* ---- rows ---- */

static bool is(const char *wanted, const char *text)
{
	return !wanted || !strcmp(wanted, text);
}

static bool is_not(const char *unwanted, const char *text)
{
	return !unwanted || strcmp(unwanted, text) != 0;
}

void cgm_usage_put_metadata(struct cgm_buf *out, const struct cgm_usage_row *row, uint64_t now_ns)
{
	cgm_buf_lit(out, "\"metadata\":{\"name\":");
	cgm_reply_text(out, row->name);
	if (row->row_namespace) {
		cgm_buf_lit(out, ",\"namespace\":");
		cgm_reply_text(out, row->row_namespace);
	}
	cgm_buf_lit(out, ",\"creationTimestamp\":");
	cgm_reply_seconds(out, now_ns);
}

bool cgm_usage_wants(const struct cgm_usage_wanted *w, const struct cgm_usage_row *row)
{
	const char *ns = row->row_namespace ? row->row_namespace : "";

	return row->name && (!w->pods || row->row_namespace) && is(w->name, row->name) && is(w->row_namespace, ns) && is(w->field_name, row->name) &&
	       is(w->field_namespace, ns) && is_not(w->not_name, row->name) && is_not(w->not_namespace, ns);
}

static int add_usage(struct cgm_usages *u, const struct cgm_used *usage)
{
	if (cgm_grow((void **)&u->usages, &u->cap_usages, u->nr_usages, sizeof(*u->usages)) < 0)
		return -ENOMEM;
	u->usages[u->nr_usages++] = *usage;
	return 0;
}

static int add_row(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_usages *u, struct cgm_usage_row *row)
{
	int r = label_row(s, u, row);

	if (r <= 0 || (w->labels && !cgm_kube_selector_matches(w->labels, row->labels, row->nr_labels))) {
		u->nr_usages = row->first;
		return MIN(r, 0);
	}
	if (cgm_grow((void **)&u->rows, &u->cap_rows, u->nr_rows, sizeof(*u->rows)) < 0)
		return -ENOMEM;
	u->rows[u->nr_rows++] = *row;
	return 0;
}

static int add_node(const struct cgm_serve *s, const struct cgm_usage_wanted *w, const struct cgm_usage_kept *k, const struct cgm_set *set, struct cgm_usages *u)
{
	struct cgm_usage_row row = { .slice = k->slices[k->nr_slices - 1], .set = set, .name = set->entity->labels[CGM_CL_NODENAME], .first = u->nr_usages };
	struct cgm_used usage = { 0 };

	if (!cgm_usage_wants(w, &row))
		return 0;
	if (w->any_sample)
		return add_row(s, w, u, &row);
	if (!cgm_used_of(k->slices, k->nr_slices, set, s->resolution_ns, &usage))
		return 0;
	row.nr = 1;
	row.time_ns = usage.time_ns;
	row.window_ns = usage.window_ns;
	return add_usage(u, &usage) < 0 ? -ENOMEM : add_row(s, w, u, &row);
}

/* A container of which nothing was measured is only named by the API server: it does not run (yet), and holds nobody up. */
static bool is_measured(const struct cgm_set *set)
{
	return cgm_set_has(set, CGM_CM_CPU_USAGE) || cgm_set_has(set, CGM_CM_MEMORY_WORKING_SET);
}

/* set: the pod's; its containers stand behind it. */
static int add_pod(const struct cgm_serve *s, const struct cgm_usage_wanted *w, const struct cgm_usage_kept *k, const struct cgm_set *set, struct cgm_usages *u)
{
	const struct cgm_slice *newest = k->slices[k->nr_slices - 1];
	struct cgm_usage_row row = { .slice = newest, .set = set, .name = set->entity->labels[CGM_CL_POD_NAME], .row_namespace = set->entity->labels[CGM_CL_NAMESPACE_NAME], .first = u->nr_usages };

	if (!cgm_usage_wants(w, &row))
		return 0;
	if (w->any_sample)
		return add_row(s, w, u, &row);
	for (const struct cgm_set *c = set + 1; c < newest->sets + newest->nr_sets && c->entity->kind == CGM_SET_CONTAINER; c++) {
		struct cgm_used usage = { .name = c->entity->labels[CGM_CL_CONTAINER_NAME] };

		if (!is_measured(c))
			continue;
		if (!usage.name || !cgm_used_of(k->slices, k->nr_slices, c, s->resolution_ns, &usage)) {
			u->nr_usages = row.first;
			return 0;
		}
		if (add_usage(u, &usage) < 0)
			return -ENOMEM;
		if (!row.nr++ || usage.time_ns < row.time_ns) {
			row.time_ns = usage.time_ns;
			row.window_ns = usage.window_ns;
		}
	}
	return row.nr ? add_row(s, w, u, &row) : 0;
}

/* All that is wanted of one node; takes its slices over. */
static int add_slices(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_slice **slices, size_t nr, struct cgm_usages *u)
{
	enum cgm_set_kind kind = w->pods ? CGM_SET_POD : CGM_SET_NODE;
	struct cgm_usage_kept *added = keep(u), k;
	int r = 0;

	if (!added) {
		cgm_cluster_slices_free(slices, nr);
		return -ENOMEM;
	}
	added->slices = slices;
	added->nr_slices = nr;
	k = *added; /* the array may move */
	if (!nr)
		return 0;
	for (size_t i = 0; r == 0 && i < slices[nr - 1]->nr_sets; i++) {
		const struct cgm_set *set = &slices[nr - 1]->sets[i];

		if (set->entity->kind == kind)
			r = w->pods ? add_pod(s, w, &k, set, u) : add_node(s, w, &k, set, u);
	}
	return r;
}

static int gather_one(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_usages *u)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	const char *labels[CGM_NR_CL] = { NULL };
	struct cgm_slice **slices = NULL;
	size_t nr = 0;
	int r;

	if (w->pods) {
		labels[CGM_CL_NAMESPACE_NAME] = w->row_namespace;
		labels[CGM_CL_POD_NAME] = w->name;
	} else {
		labels[CGM_CL_NODENAME] = w->name;
	}
	cgm_entity_key(w->pods ? CGM_SET_POD : CGM_SET_NODE, labels, &key);
	cgm_buf_char(&key, '\0');
	if (key.failed)
		return -ENOMEM;
	r = cgm_cluster_store_slices_of(s->store, key.p, &slices, &nr);
	return r < 0 ? r == -ENOENT ? 0 : r : add_slices(s, w, slices, nr, u);
}

/* Most nodes have nothing of a namespace: their older slices need not be fetched. */
static bool has_wanted(const struct cgm_usage_wanted *w, const struct cgm_slice *s)
{
	for (size_t i = 0; i < s->nr_sets; i++) {
		const struct cgm_entity *e = s->sets[i].entity;
		struct cgm_usage_row row = { .name = e->labels[w->pods ? CGM_CL_POD_NAME : CGM_CL_NODENAME], .row_namespace = w->pods ? e->labels[CGM_CL_NAMESPACE_NAME] : NULL };

		if (e->kind == (w->pods ? CGM_SET_POD : CGM_SET_NODE) && cgm_usage_wants(w, &row))
			return true;
	}
	return false;
}

static int gather_all(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_usages *u)
{
	struct cgm_slice **newest = NULL;
	size_t nr = 0;
	int r = cgm_cluster_store_newest(s->store, &newest, &nr);

	for (size_t i = 0; r == 0 && i < nr; i++) {
		struct cgm_slice **slices = NULL;
		size_t nr_slices = 0;

		if (!*newest[i]->node || !has_wanted(w, newest[i]))
			continue;
		r = cgm_cluster_store_slices(s->store, newest[i]->node, &slices, &nr_slices);
		if (r == 0)
			r = add_slices(s, w, slices, nr_slices, u);
	}
	cgm_cluster_slices_free(newest, nr);
	return r;
}

static int compare_rows(const void *a, const void *b)
{
	const struct cgm_usage_row *x = a, *y = b;
	int r = x->row_namespace && y->row_namespace ? strcmp(x->row_namespace, y->row_namespace) : 0;

	r = r ? r : strcmp(x->name, y->name);
	return r ? r : (x->slice->end_ns < y->slice->end_ns) - (x->slice->end_ns > y->slice->end_ns); /* the newest first */
}

/* A pod of the same name may stand in the last slice of a node that it has left: its newest is the one. */
static void leave_newest(struct cgm_usages *u)
{
	size_t nr = 0;

	if (u->nr_rows)
		qsort(u->rows, u->nr_rows, sizeof(*u->rows), compare_rows);
	for (size_t i = 0; i < u->nr_rows; i++) {
		const struct cgm_usage_row *row = &u->rows[i], *last = nr ? &u->rows[nr - 1] : NULL;

		if (last && !strcmp(last->name, row->name) && (!row->row_namespace || !strcmp(last->row_namespace, row->row_namespace)))
			continue;
		u->rows[nr++] = *row;
	}
	u->nr_rows = nr;
}

int cgm_usages_gather(const struct cgm_serve *s, const struct cgm_usage_wanted *w, struct cgm_usages *ret)
{
	int r = w->name && (!w->pods || w->row_namespace) ? gather_one(s, w, ret) : gather_all(s, w, ret);

	if (r == 0)
		leave_newest(ret);
	return r;
}
