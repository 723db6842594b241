// SPDX-License-Identifier: Apache-2.0
#include "process/process.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "process/work.h"

#define FORGET_NS (600 * CGM_NSEC_PER_SEC) /* a node that did not answer, and at least three cycles of it */

/* ---- nodes' last slices ---- */

static void last_clear(struct cgm_last *l)
{
	for (uint32_t i = 0; l->memos && i < l->slice->nr_sets; i++)
		cgm_kube_pod_unref(l->memos[i].api);
	free(l->memos);
	cgm_slice_unref(l->slice);
	l->memos = NULL;
	l->slice = NULL;
}

static void last_free(struct cgm_last *l)
{
	last_clear(l);
	free(l);
}

static struct cgm_last *last_of(struct cgm_process *p, const char *name)
{
	struct cgm_last *l = cgm_hash_get(&p->lasts, name);
	size_t size = strlen(name) + 1;

	if (l)
		return l;
	l = cgm_calloc(1, sizeof(*l) + size);
	if (!l)
		return NULL;
	memcpy(l->name, name, size);
	if (cgm_hash_put(&p->lasts, l->name, l) < 0) {
		free(l);
		return NULL;
	}
	return l;
}

/* ---- life ---- */

void cgm_process_free(struct cgm_process *p)
{
	struct cgm_last *l;
	struct cgm_space *s;

	if (!p)
		return;
	for (size_t pos = 0; (l = cgm_hash_next(&p->lasts, &pos));)
		last_free(l);
	for (size_t pos = 0; (s = cgm_hash_next(&p->spaces, &pos));)
		cgm_space_free(s);
	cgm_hash_done(&p->lasts);
	cgm_hash_done(&p->spaces);
	cgm_space_free(p->cluster);
	cgm_labels_done(p);
	cgm_draft_done(&p->sums);
	if (p->work) {
		free(p->work->sets);
		free(p->work->pods);
		free(p->work->hists);
		free(p->work->pod_table);
		free(p->work->old_table);
		cgm_buf_done(&p->work->text);
		free(p->work);
	}
	free(p);
}

int cgm_process_new(const struct cgm_process_config *config, struct cgm_process **ret, char *fault)
{
	_cleanup_(cgm_process_freep) struct cgm_process *p = cgm_calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->config = *config;
	if (!p->config.label_separator)
		p->config.label_separator = ",";
	p->work = cgm_calloc(1, sizeof(*p->work));
	p->cluster = cgm_space_new("");
	if (!p->work || !p->cluster)
		return -ENOMEM;
	r = cgm_labels_init(p, fault);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(p);
	return 0;
}

/* ---- a node ---- */

static void drop_extras(struct cgm_draft *d)
{
	for (size_t i = 0; i < d->nr_sets; i++)
		d->sets[i].present &= CGM_WORK_HEAPSTER;
	d->nr_hists = 0;
}

/* Pods that the API server knows to be on another node are that one's: counted here as well they would be twice in their namespace. */
static void leave_to_others(struct cgm_process *p, const struct cgm_node_facts *node, struct cgm_draft *d)
{
	for (size_t i = 0; p->config.cluster && i < d->nr_sets; i++) {
		struct cgm_draft_set *s = &d->sets[i];
		struct cgm_kube_pod *pod = s->pod_namespace && s->pod ? cgm_kube_cluster_pod(p->config.cluster, s->pod_namespace, s->pod) : NULL;

		if (pod && pod->node && *pod->node && strcmp(pod->node, node->name) != 0)
			s->pod_namespace = s->pod = NULL; /* match.c passes it over */
		cgm_kube_pod_unref(pod);
	}
}

/* Whose answer is it? The API's name counts: where two nodes share an address, or one calls itself otherwise, the series stay apart. */
static void check_name(struct cgm_process *p, const struct cgm_node_facts *node, struct cgm_draft *d)
{
	if (!node->node || !d->node || strcmp(d->node, node->name) == 0 || (node->hostname && strcmp(d->node, node->hostname) == 0))
		return;
	cgm_process_count(&p->stats.nr_mixed, d->nr_sets);
	cgm_log_once(CGM_LOG_WARNING, "node %s calls itself %s in its answer: what it says is kept under %s, but for pods of other nodes (said once, counted as nr_mixed)", node->name, d->node, node->name);
	leave_to_others(p, node, d);
}

/* Each set's index in the slice: the node, system containers, each pod and its containers. */
static void put_order(struct cgm_work *w)
{
	uint32_t at = 1, sys = 1;

	at += w->nr_sys;
	for (uint32_t k = 0; k < w->nr_pods; k++) {
		w->d->sets[w->pods[k].set].order = at++;
		w->pods[k].next = at;
		at += w->pods[k].nr_containers;
	}
	for (uint32_t i = 0; i < w->d->nr_sets; i++) {
		struct cgm_draft_set *s = &w->d->sets[i];

		if (w->sets[i].skip)
			continue;
		if (s->kind == CGM_SET_CONTAINER)
			s->order = w->pods[w->sets[i].pod].next++;
		else if (s->kind == CGM_SET_SYS_CONTAINER)
			s->order = sys++;
		else if (s->kind == CGM_SET_NODE)
			s->order = 0;
	}
}

static int pipeline(struct cgm_work *w)
{
	if (cgm_work_group(w) < 0 || cgm_work_ask(w) < 0 || cgm_work_match(w) < 0)
		return -ENOMEM;
	cgm_work_rates(w);
	if (cgm_work_hists(w) < 0 || cgm_work_enrich(w) < 0)
		return -ENOMEM;
	cgm_work_sums(w);
	cgm_work_autoscaling(w);
	put_order(w);
	return 0;
}

/* The slice takes the place of the node's last one. Without memory for what goes with it there will be no rates the next time. */
static void remember(struct cgm_work *w, struct cgm_slice *slice)
{
	struct cgm_memo *memos = cgm_calloc(slice->nr_sets, sizeof(*memos));

	for (uint32_t i = 0; memos && i < w->d->nr_sets; i++) {
		const struct cgm_work_set *ws = &w->sets[i];

		if (ws->skip)
			continue;
		memos[w->d->sets[i].order] = (struct cgm_memo){ .uid_hash = ws->uid_hash, .carried = ws->carried };
		if (w->d->sets[i].kind == CGM_SET_POD)
			memos[w->d->sets[i].order].api = TAKE_PTR(w->pods[ws->pod].api);
	}
	last_clear(w->last);
	w->last->has_hists = w->has_hists;
	w->last->seen_ns = w->end_ns;
	w->last->memos = memos;
	if (memos)
		w->last->slice = cgm_slice_ref(slice);
}

static void give_out(struct cgm_process *p, struct cgm_slice *slice)
{
	cgm_process_count(&p->stats.nr_slices, 1);
	cgm_process_count(&p->stats.nr_sets, slice->nr_sets);
	cgm_process_count(&p->stats.nr_points, slice->nr_points);
	p->config.on_slice(p->config.arg, slice);
}

static void lost(struct cgm_process *p, const char *whose)
{
	cgm_process_count(&p->stats.nr_lost, 1);
	cgm_log_once(CGM_LOG_WARNING, "out of memory: a slice of %s is lost (said once, counted as nr_lost)", whose);
}

void cgm_process_node(struct cgm_process *p, const struct cgm_node_facts *node, struct cgm_draft *d, uint64_t end_ns)
{
	_cleanup_(cgm_slice_freep) struct cgm_slice *slice = NULL;
	uint64_t start_ns = cgm_clock_mono_ns();
	struct cgm_work *w = p->work;

	w->p = p;
	w->facts = node;
	w->d = d;
	w->end_ns = end_ns;
	w->nr_pods = 0;
	w->last = last_of(p, node->name);
	check_name(p, node, d);
	if (p->config.no_extras)
		drop_extras(d);
	if (w->last && !d->failed && pipeline(w) == 0 && cgm_draft_seal(d, node->name, end_ns, p->config.resolution_ns, &slice) == 0) {
		cgm_work_to_spaces(w);
		remember(w, slice);
	} else {
		lost(p, node->name);
	}
	for (size_t k = 0; k < w->nr_pods; k++)
		cgm_kube_pod_unref(TAKE_PTR(w->pods[k].api));
	cgm_process_count(&p->stats.node_ns, cgm_clock_mono_ns() - start_ns);
	if (slice)
		give_out(p, slice);
}

/* ---- a cycle ---- */

static void forget(struct cgm_process *p, uint64_t end_ns, uint64_t keep_ns)
{
	struct cgm_last *l;

	for (size_t pos = 0; (l = cgm_hash_next(&p->lasts, &pos));) {
		if (cgm_process_apart(l->seen_ns, end_ns) <= keep_ns)
			continue;
		cgm_hash_del(&p->lasts, l->name);
		last_free(l);
	}
	cgm_spaces_forget(p, end_ns, keep_ns);
}

void cgm_process_cycle(struct cgm_process *p, uint64_t end_ns)
{
	_cleanup_(cgm_slice_freep) struct cgm_slice *slice = NULL;
	uint64_t start_ns = cgm_clock_mono_ns(), keep_ns = MAX(FORGET_NS, 3 * p->config.resolution_ns);

	if (cgm_spaces_seal(p, end_ns, &slice) < 0)
		lost(p, "the sums");
	cgm_draft_clear(&p->sums);
	__atomic_store_n(&p->stats.nr_summed, p->window_ns == end_ns ? p->nr_in_window : 0, __ATOMIC_RELAXED);
	forget(p, end_ns, keep_ns);
	cgm_process_count(&p->stats.cycle_ns, cgm_clock_mono_ns() - start_ns);
	if (slice)
		give_out(p, slice);
}

struct cgm_process_stats cgm_process_stats(struct cgm_process *p)
{
	struct cgm_process_stats copy = { 0 };
	const uint64_t *from = (const uint64_t *)&p->stats;
	uint64_t *to = (uint64_t *)&copy;

	for (size_t i = 0; i < sizeof(copy) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return copy;
}
