// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "process/work.h"

/* ---- what the API server says of pods ---- */

int cgm_work_ask(struct cgm_work *w)
{
	struct cgm_space *space = NULL;

	for (uint32_t k = 0; k < w->nr_pods; k++) {
		struct cgm_work_pod *pod = &w->pods[k];

		if (!space || strcmp(space->name, pod->space_name) != 0)
			space = cgm_space_get(w->p, pod->space_name, w->end_ns);
		if (!space)
			return -ENOMEM;
		pod->space = space;
		if (!w->p->config.cluster)
			continue;
		pod->api = cgm_kube_cluster_pod(w->p->config.cluster, pod->space_name, pod->name);
		if (!pod->api)
			cgm_process_count(&w->p->stats.nr_unknown_pods, 1);
		else if (!w->d->sets[pod->set].uid)
			w->d->sets[pod->set].uid = pod->api->uid;
	}
	for (uint32_t i = 0; i < w->d->nr_sets; i++)
		if (w->d->sets[i].kind == CGM_SET_CONTAINER && w->sets[i].pod != CGM_WORK_NONE && !w->d->sets[i].uid)
			w->d->sets[i].uid = w->d->sets[w->pods[w->sets[i].pod].set].uid;
	return 0;
}

static int64_t or_zero(int64_t v)
{
	return v > 0 ? v : 0;
}

static void put_resources(struct cgm_draft_set *s, const struct cgm_kube_container *c)
{
	cgm_draft_int(s, CGM_CM_CPU_REQUEST, or_zero(c->cpu_request_milli));
	cgm_draft_int(s, CGM_CM_CPU_LIMIT, or_zero(c->cpu_limit_milli));
	cgm_draft_int(s, CGM_CM_MEMORY_REQUEST, or_zero(c->memory_request_bytes));
	cgm_draft_int(s, CGM_CM_MEMORY_LIMIT, or_zero(c->memory_limit_bytes));
	cgm_draft_int(s, CGM_CM_RESTART_COUNT, c->restart_count);
}

static void put_container(struct cgm_work *w, uint32_t i)
{
	struct cgm_draft_set *s = &w->d->sets[i];
	struct cgm_work_pod *pod = &w->pods[w->sets[i].pod];

	for (size_t c = 0; pod->api && c < pod->api->nr_containers; c++) {
		const struct cgm_kube_container *spec = &pod->api->containers[c];

		if (!spec->name || strcmp(spec->name, s->container) != 0)
			continue;
		if (!s->image)
			s->image = spec->image;
		if (spec->kind == CGM_KUBE_MAIN) /* what others request is used before or instead */
			put_resources(s, spec);
		if (c < 64)
			pod->seen |= (uint64_t)1 << c;
		return;
	}
}

/* For each of the pod's containers that the node does not speak of. */
static int put_stubs(struct cgm_work *w, uint32_t pod)
{
	const struct cgm_kube_pod *api = w->pods[pod].api;

	for (size_t c = 0; api && c < MIN(api->nr_containers, 64); c++) {
		const struct cgm_kube_container *spec = &api->containers[c];
		struct cgm_draft_set *s;
		int i;

		if (spec->kind != CGM_KUBE_MAIN || !spec->name || w->pods[pod].seen & (uint64_t)1 << c)
			continue;
		i = cgm_work_add(w, CGM_SET_CONTAINER, pod);
		if (i < 0)
			return i;
		s = &w->d->sets[i];
		s->container = spec->name;
		s->image = spec->image;
		s->uid = w->d->sets[w->pods[pod].set].uid;
		s->scraped_ns = w->d->sets[w->pods[pod].set].scraped_ns;
		put_resources(s, spec);
		if (cgm_work_find_old(w, (uint32_t)i) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- names ---- */

static struct cgm_entity *entity_of(const struct cgm_set *old, const struct cgm_entity_facts *facts)
{
	return old && cgm_entity_is(old->entity, facts) ? cgm_entity_ref(old->entity) : cgm_entity_new(facts);
}

static struct cgm_entity_facts facts_of(const struct cgm_work *w, enum cgm_set_kind kind)
{
	const struct cgm_node_facts *f = w->facts;

	return (struct cgm_entity_facts){
		.kind = kind, .labels = { [CGM_CL_NODENAME] = f->name, [CGM_CL_HOSTNAME] = f->hostname ? f->hostname : f->name, [CGM_CL_HOST_ID] = f->host_id },
	};
}

static int name_node(struct cgm_work *w)
{
	struct cgm_entity_facts facts = facts_of(w, CGM_SET_NODE);
	const struct cgm_kube_node *node = w->facts->node;
	struct cgm_draft_set *s = &w->d->sets[w->node];

	if (node) {
		facts.labels[CGM_CL_SCHEDULABLE] = node->schedulable ? "true" : "false";
		if (cgm_labels_put(w, node->labels, node->nr_labels, &facts) < 0)
			return -ENOMEM;
	}
	s->entity = entity_of(w->sets[w->node].old, &facts);
	return s->entity ? 0 : -ENOMEM;
}

/* The labels of a pod whose object is the one of the last slice are the last slice's: to sort and join them each time would be most of the work. */
static int facts_of_pod(struct cgm_work *w, const struct cgm_work_pod *pod, struct cgm_entity_facts *ret)
{
	const struct cgm_work_set *ws = &w->sets[pod->set];

	*ret = facts_of(w, CGM_SET_POD);
	ret->labels[CGM_CL_NAMESPACE_NAME] = pod->space_name;
	ret->labels[CGM_CL_NAMESPACE_ID] = *pod->space->uid ? pod->space->uid : NULL;
	ret->labels[CGM_CL_POD_NAME] = pod->name;
	ret->labels[CGM_CL_POD_ID] = pod->api ? pod->api->uid : w->d->sets[pod->set].uid;
	if (!pod->api)
		return 0;
	if (!ws->old || ws->memo->api != pod->api)
		return cgm_labels_put(w, pod->api->labels, pod->api->nr_labels, ret);
	ret->labels[CGM_CL_LABELS] = ws->old->entity->labels[CGM_CL_LABELS];
	ret->stored = ws->old->entity->stored;
	ret->nr_stored = ws->old->entity->nr_stored;
	return 0;
}

static bool is_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/*
 * Nearly always nothing has changed. What a set has in common with its lender is the lender's as long as it is the same one, names are those by which it was found, and labels are those of its
 * object: then what is left is quickly compared.
 */
static bool is_old_pod(const struct cgm_work *w, const struct cgm_work_pod *pod, const struct cgm_entity_facts *facts)
{
	const struct cgm_work_set *ws = &w->sets[pod->set];

	return ws->old && ws->old->entity->lender == facts->lender && ws->memo->api == pod->api && is_text(ws->old->entity->labels[CGM_CL_POD_ID], facts->labels[CGM_CL_POD_ID]) &&
	       is_text(ws->old->entity->labels[CGM_CL_NAMESPACE_ID], facts->labels[CGM_CL_NAMESPACE_ID]);
}

static bool is_old_container(const struct cgm_work_set *ws, const struct cgm_entity_facts *facts)
{
	return ws->old && ws->old->entity->lender == facts->lender && is_text(ws->old->entity->labels[CGM_CL_CONTAINER_BASE_IMAGE], facts->labels[CGM_CL_CONTAINER_BASE_IMAGE]);
}

static int name_pods(struct cgm_work *w, struct cgm_entity_facts *facts)
{
	for (uint32_t k = 0; k < w->nr_pods; k++) {
		uint32_t i = w->pods[k].set;

		if (facts_of_pod(w, &w->pods[k], &facts[k]) < 0)
			return -ENOMEM;
		facts[k].lender = w->d->sets[w->node].entity;
		w->d->sets[i].entity = is_old_pod(w, &w->pods[k], &facts[k]) ? cgm_entity_ref(w->sets[i].old->entity) : entity_of(w->sets[i].old, &facts[k]);
		if (!w->d->sets[i].entity)
			return -ENOMEM;
	}
	return 0;
}

static int name_container(struct cgm_work *w, uint32_t i, const struct cgm_entity_facts *pods)
{
	struct cgm_draft_set *s = &w->d->sets[i];
	struct cgm_entity_facts facts = s->kind == CGM_SET_CONTAINER ? pods[w->sets[i].pod] : facts_of(w, s->kind);

	facts.kind = s->kind;
	facts.labels[CGM_CL_CONTAINER_NAME] = s->container;
	facts.labels[CGM_CL_CONTAINER_BASE_IMAGE] = s->image;
	facts.lender = w->d->sets[s->kind == CGM_SET_CONTAINER ? w->pods[w->sets[i].pod].set : w->node].entity;
	s->entity = is_old_container(&w->sets[i], &facts) ? cgm_entity_ref(w->sets[i].old->entity) : entity_of(w->sets[i].old, &facts);
	return s->entity ? 0 : -ENOMEM;
}

int cgm_work_enrich(struct cgm_work *w)
{
	struct cgm_entity_facts *pods = cgm_draft_alloc(w->d, (w->nr_pods + 1) * sizeof(*pods));

	if (!pods)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->d->nr_sets; i++)
		if (!w->sets[i].skip && w->d->sets[i].kind == CGM_SET_CONTAINER)
			put_container(w, i);
	for (uint32_t k = 0; k < w->nr_pods; k++)
		if (put_stubs(w, k) < 0)
			return -ENOMEM;
	if (name_node(w) < 0 || name_pods(w, pods) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->d->nr_sets; i++) {
		enum cgm_set_kind kind = w->d->sets[i].kind;

		if (!w->sets[i].skip && (kind == CGM_SET_CONTAINER || kind == CGM_SET_SYS_CONTAINER) && name_container(w, i, pods) < 0)
			return -ENOMEM;
	}
	return 0;
}
