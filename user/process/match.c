// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/mem.h"
#include "process/work.h"

/* ---- pods ---- */

static int make_table(uint32_t **table, size_t *cap, size_t *nr, size_t wanted)
{
	*nr = 16;
	while (*nr < wanted * 2)
		*nr *= 2;
	if (*nr > *cap) {
		uint32_t *more = cgm_malloc(*nr * sizeof(*more));

		if (!more)
			return -ENOMEM;
		free(*table);
		*table = more;
		*cap = *nr;
	}
	memset(*table, 0xff, *nr * sizeof(**table));
	return 0;
}

static bool is_pod(const struct cgm_work_pod *pod, const char *space_name, const char *name)
{
	return (pod->name == name || strcmp(pod->name, name) == 0) && (pod->space_name == space_name || strcmp(pod->space_name, space_name) == 0);
}

/* Its index, made if it is new; -ENOMEM. *last: the one that the set before was of. */
static int pod_of(struct cgm_work *w, const char *space_name, const char *name, uint32_t *last)
{
	size_t mask = w->nr_pod_table - 1, at;

	if (*last != CGM_WORK_NONE && is_pod(&w->pods[*last], space_name, name))
		return (int)*last;
	at = (cgm_hash_bytes(name, strlen(name)) * 31 + cgm_hash_bytes(space_name, strlen(space_name))) & mask;
	for (; w->pod_table[at] != CGM_WORK_NONE; at = (at + 1) & mask)
		if (is_pod(&w->pods[w->pod_table[at]], space_name, name))
			return (int)(*last = w->pod_table[at]);
	if (cgm_grow((void **)&w->pods, &w->cap_pods, w->nr_pods, sizeof(*w->pods)) < 0)
		return -ENOMEM;
	w->pods[w->nr_pods] = (struct cgm_work_pod){ .space_name = space_name, .name = name, .set = CGM_WORK_NONE };
	*last = w->pod_table[at] = (uint32_t)w->nr_pods++;
	return (int)*last;
}

static int room_for_sets(struct cgm_work *w)
{
	while (w->cap_sets < w->d->nr_sets)
		if (cgm_grow((void **)&w->sets, &w->cap_sets, w->cap_sets, sizeof(*w->sets)) < 0)
			return -ENOMEM;
	return 0;
}

int cgm_work_add(struct cgm_work *w, enum cgm_set_kind kind, uint32_t pod)
{
	int i = cgm_draft_add(w->d, kind);

	if (i < 0 || room_for_sets(w) < 0)
		return -ENOMEM;
	w->sets[i] = (struct cgm_work_set){ .pod = pod };
	if (pod != CGM_WORK_NONE) {
		w->d->sets[i].pod_namespace = w->pods[pod].space_name;
		w->d->sets[i].pod = w->pods[pod].name;
		if (kind == CGM_SET_CONTAINER)
			w->pods[pod].nr_containers++;
	}
	return i;
}

/* Of a set of a pod. 0 or -ENOMEM. */
static int group_pod(struct cgm_work *w, uint32_t i, uint32_t *last)
{
	const struct cgm_draft_set *s = &w->d->sets[i];
	struct cgm_work_set *ws = &w->sets[i];
	int pod;

	ws->skip = !s->pod_namespace || !s->pod || (s->kind == CGM_SET_CONTAINER && !s->container);
	if (ws->skip)
		return 0;
	pod = pod_of(w, s->pod_namespace, s->pod, last);
	if (pod < 0)
		return pod;
	ws->pod = (uint32_t)pod;
	if (s->kind == CGM_SET_CONTAINER) {
		w->pods[pod].nr_containers++;
	} else if (w->pods[pod].set == CGM_WORK_NONE) {
		w->pods[pod].set = i;
	} else {
		ws->skip = true;
		ws->pod = CGM_WORK_NONE;
	}
	return 0;
}

static int group_set(struct cgm_work *w, uint32_t i, uint32_t *last)
{
	const struct cgm_draft_set *s = &w->d->sets[i];

	w->sets[i] = (struct cgm_work_set){ .pod = CGM_WORK_NONE };
	switch (s->kind) {
	case CGM_SET_POD:
	case CGM_SET_CONTAINER:
		return group_pod(w, i, last);
	case CGM_SET_NODE:
		w->sets[i].skip = w->node != CGM_WORK_NONE;
		w->node = w->node == CGM_WORK_NONE ? i : w->node;
		break;
	case CGM_SET_SYS_CONTAINER:
		w->sets[i].skip = !s->container;
		w->nr_sys += !!s->container;
		break;
	default:
		w->sets[i].skip = true;
	}
	return 0;
}

/* What only its containers say; a pod without a network says no time. */
static void complete_pods(struct cgm_work *w)
{
	for (uint32_t i = 0; i < w->d->nr_sets; i++) {
		const struct cgm_draft_set *s = &w->d->sets[i];
		struct cgm_draft_set *pod;

		if (s->kind != CGM_SET_CONTAINER || w->sets[i].pod == CGM_WORK_NONE)
			continue;
		pod = &w->d->sets[w->pods[w->sets[i].pod].set];
		if (!pod->present || !pod->scraped_ns)
			pod->scraped_ns = MAX(pod->scraped_ns, s->scraped_ns);
		if (!pod->uid)
			pod->uid = s->uid;
	}
}

int cgm_work_group(struct cgm_work *w)
{
	uint32_t last = CGM_WORK_NONE;

	w->node = CGM_WORK_NONE;
	w->nr_pods = w->nr_sys = 0;
	if (room_for_sets(w) < 0 || make_table(&w->pod_table, &w->cap_pod_table, &w->nr_pod_table, w->d->nr_sets) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->d->nr_sets; i++)
		if (group_set(w, i, &last) < 0)
			return -ENOMEM;
	for (uint32_t k = 0; k < w->nr_pods; k++) {
		int i = w->pods[k].set == CGM_WORK_NONE ? cgm_work_add(w, CGM_SET_POD, k) : (int)w->pods[k].set;

		if (i < 0)
			return i;
		w->pods[k].set = (uint32_t)i;
	}
	if (w->node == CGM_WORK_NONE) {
		int i = cgm_work_add(w, CGM_SET_NODE, CGM_WORK_NONE);

		if (i < 0)
			return i;
		w->node = (uint32_t)i;
	}
	complete_pods(w);
	return 0;
}

/* ---- the last slice ---- */

static bool is_label(const struct cgm_entity *e, enum cgm_cl l, const char *text)
{
	return e->labels[l] && strcmp(e->labels[l], text) == 0;
}

static bool is_set(const struct cgm_draft_set *s, const struct cgm_entity *e)
{
	if (s->kind != e->kind)
		return false;
	if ((s->kind == CGM_SET_CONTAINER || s->kind == CGM_SET_SYS_CONTAINER) && !is_label(e, CGM_CL_CONTAINER_NAME, s->container))
		return false;
	if (s->kind != CGM_SET_CONTAINER && s->kind != CGM_SET_POD)
		return true;
	return is_label(e, CGM_CL_POD_NAME, s->pod) && is_label(e, CGM_CL_NAMESPACE_NAME, s->pod_namespace);
}

static int make_old_table(struct cgm_work *w)
{
	const struct cgm_slice *last = cgm_work_last(w);
	size_t mask;

	if (w->nr_old_table)
		return 0;
	if (make_table(&w->old_table, &w->cap_old_table, &w->nr_old_table, last->nr_sets) < 0) {
		w->nr_old_table = 0;
		return -ENOMEM;
	}
	mask = w->nr_old_table - 1;
	for (uint32_t i = 0; i < last->nr_sets; i++) {
		size_t at = last->sets[i].entity->hash & mask;

		while (w->old_table[at] != CGM_WORK_NONE)
			at = (at + 1) & mask;
		w->old_table[at] = i;
	}
	return 0;
}

/* By hash: where the order is another one. 0 (*ret NONE: it is not there) or -ENOMEM. */
static int look_up(struct cgm_work *w, const struct cgm_draft_set *s, uint32_t *ret)
{
	const char *labels[CGM_NR_CL] = {
		[CGM_CL_NODENAME] = w->facts->name, [CGM_CL_NAMESPACE_NAME] = s->pod_namespace, [CGM_CL_POD_NAME] = s->pod, [CGM_CL_CONTAINER_NAME] = s->container,
	};
	const struct cgm_slice *last = cgm_work_last(w);
	uint64_t hash;

	*ret = CGM_WORK_NONE;
	w->text.len = 0;
	w->text.failed = false;
	cgm_entity_key(s->kind, labels, &w->text);
	if (w->text.failed || make_old_table(w) < 0)
		return -ENOMEM;
	hash = cgm_hash_bytes(w->text.p, w->text.len);
	for (size_t at = hash & (w->nr_old_table - 1); w->old_table[at] != CGM_WORK_NONE; at = (at + 1) & (w->nr_old_table - 1)) {
		uint32_t i = w->old_table[at];

		if (last->sets[i].entity->hash != hash || !is_set(s, last->sets[i].entity))
			continue;
		*ret = i;
		return 0;
	}
	return 0;
}

int cgm_work_find_old(struct cgm_work *w, uint32_t set)
{
	const struct cgm_slice *last = cgm_work_last(w);
	const struct cgm_draft_set *s = &w->d->sets[set];
	uint32_t i = w->cursor;

	if (!last)
		return 0;
	if ((i >= last->nr_sets || !is_set(s, last->sets[i].entity)) && look_up(w, s, &i) < 0)
		return -ENOMEM;
	if (i == CGM_WORK_NONE)
		return 0;
	w->cursor = i + 1;
	w->sets[set].old = &last->sets[i];
	w->sets[set].memo = &w->last->memos[i];
	return 0;
}

int cgm_work_match(struct cgm_work *w)
{
	w->cursor = 0;
	w->nr_old_table = 0;
	for (uint32_t i = 0; i < w->d->nr_sets; i++)
		if (!w->sets[i].skip && cgm_work_find_old(w, i) < 0)
			return -ENOMEM;
	return 0;
}
