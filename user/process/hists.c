// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/mem.h"
#include "process/work.h"

void cgm_hist_add(struct cgm_cluster_hist *to, const struct cgm_cluster_hist *from)
{
	to->hist = from->hist;
	to->count += from->count;
	to->sum_ns += from->sum_ns;
	for (int i = 0; i < CGM_CH_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
}

bool cgm_hist_grown(const struct cgm_cluster_hist *now, const struct cgm_cluster_hist *old, struct cgm_cluster_hist *ret)
{
	bool back = old && (now->count < old->count || now->sum_ns < old->sum_ns);

	for (int i = 0; old && !back && i < CGM_CH_BUCKETS; i++)
		back = now->buckets[i] < old->buckets[i];
	*ret = *now;
	if (!old || back)
		return back;
	ret->count -= old->count;
	ret->sum_ns -= old->sum_ns;
	for (int i = 0; i < CGM_CH_BUCKETS; i++)
		ret->buckets[i] -= old->buckets[i];
	return false;
}

static const struct cgm_cluster_hist *find_hist(const struct cgm_set *set, uint8_t hist)
{
	for (uint32_t i = 0; set && i < set->nr_hists; i++)
		if (set->hists[i].hist == hist)
			return &set->hists[i];
	return NULL;
}

/* Was it made since we asked the node last? What one counted before we knew of it is in no sum, or is in it already. */
static bool is_new(const struct cgm_work *w, const struct cgm_draft_set *s, const struct cgm_work_set *ws)
{
	const struct cgm_slice *last = cgm_work_last(w);

	if (!last || !w->last->has_hists)
		return false;
	if (ws->old && (ws->old->created_ns || !s->created_ns)) /* it was there, and had none yet; but one of the API's alone tells nothing */
		return true;
	return s->created_ns && s->created_ns + last->resolution_ns > last->end_ns;
}

/* What came to a set's histogram since the node was asked last. False: that is not known. */
static bool growth(const struct cgm_work *w, uint32_t set, const struct cgm_cluster_hist *now, struct cgm_cluster_hist *ret)
{
	const struct cgm_draft_set *s = &w->d->sets[set];
	const struct cgm_work_set *ws = &w->sets[set];
	const struct cgm_cluster_hist *old = ws->reset ? NULL : find_hist(ws->old, now->hist);

	if (!old && !ws->reset && !is_new(w, s, ws))
		return false;
	if (!cgm_hist_grown(now, old, ret))
		return true;
	cgm_process_count(&w->p->stats.nr_resets, 1);
	return !ws->earlier;
}

static int room(struct cgm_work *w)
{
	size_t wanted = w->nr_pods * CGM_NR_CH;

	if (wanted > w->cap_hists) {
		struct cgm_work_hist *more = cgm_malloc(wanted * sizeof(*more));

		if (!more)
			return -ENOMEM;
		free(w->hists);
		w->hists = more;
		w->cap_hists = wanted;
	}
	if (wanted)
		memset(w->hists, 0, wanted * sizeof(*w->hists));
	return 0;
}

static void take(struct cgm_work *w, const struct cgm_draft_hist *h)
{
	const struct cgm_work_set *ws = &w->sets[h->set];
	struct cgm_work_hist *to;
	struct cgm_cluster_hist grown;

	if (ws->skip || ws->pod == CGM_WORK_NONE || h->hist.hist >= CGM_NR_CH)
		return;
	to = &w->hists[ws->pod * CGM_NR_CH + h->hist.hist];
	if (h->set == w->pods[ws->pod].set) {
		*to = (struct cgm_work_hist){ .any = true, .own = true };
	} else if (to->own) {
		return;
	}
	to->any = true;
	cgm_hist_add(&to->total, &h->hist);
	if (growth(w, h->set, &h->hist, &grown))
		cgm_hist_add(&to->grown, &grown);
}

/* A pod's only grow while it lives, also when one of its containers is restarted, and stay while none is there (it waits to be started again). */
static void give(struct cgm_work *w, uint32_t pod, const struct cgm_work_hist *h, uint8_t hist)
{
	uint32_t set = w->pods[pod].set;
	const struct cgm_cluster_hist *old = w->sets[set].reset ? NULL : find_hist(w->sets[set].old, hist);
	struct cgm_cluster_hist sum = h->total;

	if (!old && !h->any)
		return;
	if (old) {
		sum = *old;
		cgm_hist_add(&sum, &h->grown);
	}
	sum.hist = hist;
	cgm_draft_hist(w->d, set, &sum);
}

int cgm_work_hists(struct cgm_work *w)
{
	size_t nr = w->d->nr_hists;

	w->has_hists = nr > 0;
	if (!nr)
		return 0;
	if (room(w) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		take(w, &w->d->hists[i]);
	for (uint32_t k = 0; k < w->nr_pods; k++)
		for (unsigned hist = 0; hist < CGM_NR_CH; hist++) {
			const struct cgm_work_hist *h = &w->hists[k * CGM_NR_CH + hist];

			if (!h->own)
				give(w, k, h, (uint8_t)hist);
		}
	return 0;
}
