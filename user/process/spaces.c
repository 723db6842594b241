// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/mem.h"
#include "process/work.h"

struct cgm_space *cgm_space_new(const char *name)
{
	size_t size = strlen(name) + 1;
	struct cgm_space *s = cgm_calloc(1, sizeof(*s) + size);

	if (s)
		memcpy(s->name, name, size);
	return s;
}

void cgm_space_free(struct cgm_space *s)
{
	if (s)
		cgm_entity_unref(s->entity);
	free(s);
}

struct cgm_space *cgm_space_get(struct cgm_process *p, const char *name, uint64_t window_ns)
{
	struct cgm_space *s = cgm_hash_get(&p->spaces, name);

	if (!s) {
		s = cgm_space_new(name);
		if (!s || cgm_hash_put(&p->spaces, s->name, s) < 0) {
			cgm_space_free(s);
			return NULL;
		}
	}
	if (s->uid_window_ns != window_ns) {
		if (!p->config.cluster || !cgm_kube_cluster_namespace_uid(p->config.cluster, name, s->uid, sizeof(s->uid)))
			*s->uid = '\0';
		s->uid_window_ns = window_ns;
	}
	return s;
}

/* ---- a node's pods are added ---- */

static void begin(struct cgm_space *s, uint64_t window_ns)
{
	if (s->window_ns == window_ns)
		return;
	s->window_ns = window_ns;
	s->present = 0;
}

/* Metrics that such a set may have. */
static uint64_t metrics_of(enum cgm_set_kind kind)
{
	uint64_t mask = 0;

	for (int m = 0; m < CGM_NR_SCALARS; m++)
		mask |= cgm_cm_table[m].sets & 1U << kind ? CGM_CM_BIT(m) : 0;
	return mask;
}

static void add_hists(struct cgm_space *to, const struct cgm_work_hist *from)
{
	for (unsigned h = 0; h < CGM_NR_CH; h++) {
		if (!from[h].any)
			continue;
		cgm_hist_add(&to->hists[h].hist, &from[h].grown);
		to->hists[h].hist.hist = (uint8_t)h;
		to->hists[h].any = true;
	}
}

void cgm_work_to_spaces(struct cgm_work *w)
{
	struct cgm_process *p = w->p;
	uint64_t of_space = metrics_of(CGM_SET_NAMESPACE), of_cluster = metrics_of(CGM_SET_CLUSTER);

	if (w->end_ns != p->window_ns) {
		p->window_ns = w->end_ns;
		p->nr_in_window = 0;
	}
	p->nr_in_window++;
	begin(p->cluster, w->end_ns);
	for (uint32_t k = 0; k < w->nr_pods; k++) {
		const struct cgm_work_pod *pod = &w->pods[k];

		begin(pod->space, w->end_ns);
		cgm_sum_add(pod->space->values, &pod->space->present, &w->d->sets[pod->set], of_space);
		cgm_sum_add(p->cluster->values, &p->cluster->present, &w->d->sets[pod->set], of_cluster);
		if (w->has_hists) {
			add_hists(pod->space, &w->hists[k * CGM_NR_CH]);
			add_hists(p->cluster, &w->hists[k * CGM_NR_CH]);
		}
	}
}

/* ---- the slice of them ---- */

static int seal_space(struct cgm_process *p, struct cgm_space *space, enum cgm_set_kind kind)
{
	struct cgm_entity_facts facts = { .kind = kind };
	int i = cgm_draft_add(&p->sums, kind);

	if (i < 0)
		return i;
	if (kind == CGM_SET_NAMESPACE) {
		facts.labels[CGM_CL_NAMESPACE_NAME] = space->name;
		facts.labels[CGM_CL_NAMESPACE_ID] = *space->uid ? space->uid : NULL;
	}
	if (!space->entity || !cgm_entity_is(space->entity, &facts)) {
		cgm_entity_unref(space->entity);
		space->entity = cgm_entity_new(&facts);
		if (!space->entity)
			return -ENOMEM;
	}
	p->sums.sets[i].entity = cgm_entity_ref(space->entity);
	p->sums.sets[i].order = (uint32_t)i;
	p->sums.sets[i].present = space->present;
	memcpy(p->sums.sets[i].values, space->values, sizeof(space->values));
	for (int h = 0; h < CGM_NR_CH; h++)
		if (space->hists[h].any)
			cgm_draft_hist(&p->sums, (uint32_t)i, &space->hists[h].hist);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct cgm_space *x = *(struct cgm_space *const *)a, *y = *(struct cgm_space *const *)b;

	return strcmp(x->name, y->name);
}

int cgm_spaces_seal(struct cgm_process *p, uint64_t end_ns, struct cgm_slice **ret)
{
	_cleanup_free_ struct cgm_space **sorted = cgm_malloc((p->spaces.live + 1) * sizeof(struct cgm_space *));
	struct cgm_space *s;
	size_t nr = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t pos = 0; (s = cgm_hash_next(&p->spaces, &pos));)
		if (s->window_ns == end_ns)
			sorted[nr++] = s;
	qsort(sorted, nr, sizeof(struct cgm_space *), by_name);
	begin(p->cluster, end_ns);
	if (seal_space(p, p->cluster, CGM_SET_CLUSTER) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		if (seal_space(p, sorted[i], CGM_SET_NAMESPACE) < 0)
			return -ENOMEM;
	return cgm_draft_seal(&p->sums, "", end_ns, p->config.resolution_ns, ret);
}

void cgm_spaces_forget(struct cgm_process *p, uint64_t end_ns, uint64_t keep_ns)
{
	struct cgm_space *s;

	for (size_t pos = 0; (s = cgm_hash_next(&p->spaces, &pos));) {
		if (cgm_process_apart(s->window_ns, end_ns) <= keep_ns || cgm_process_apart(s->uid_window_ns, end_ns) <= keep_ns)
			continue;
		cgm_hash_del(&p->spaces, s->name);
		cgm_space_free(s);
	}
}
