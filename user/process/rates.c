// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/clock.h"
#include "process/work.h"

#define BOOT_JITTER_NS (2 * CGM_NSEC_PER_SEC) /* kubelets reckon it back from the uptime, in whole seconds */

/* Counters that have a rate. */
#define RATED                                                                                                                                                      \
	(CGM_CM_BIT(CGM_CM_CPU_USAGE) | CGM_CM_BIT(CGM_CM_MEMORY_PAGE_FAULTS) | CGM_CM_BIT(CGM_CM_MEMORY_MAJOR_PAGE_FAULTS) | CGM_CM_BIT(CGM_CM_NETWORK_RX) | \
	 CGM_CM_BIT(CGM_CM_NETWORK_RX_ERRORS) | CGM_CM_BIT(CGM_CM_NETWORK_TX) | CGM_CM_BIT(CGM_CM_NETWORK_TX_ERRORS) | IN_NS | CGM_CM_BIT(CGM_CM_NETWORK_TCP_RETRANSMITS))
/* Those whose rate is seconds per second. */
#define IN_NS (CGM_CM_BIT(CGM_CM_CPU_RUN_QUEUE_DELAY) | CGM_CM_BIT(CGM_CM_CPU_THROTTLED) | CGM_CM_BIT(CGM_CM_DISK_WAIT))

static uint64_t time_of(uint64_t scraped_ns, uint64_t end_ns)
{
	return scraped_ns ? scraped_ns : end_ns;
}

static bool is_other_life(const struct cgm_draft_set *s, const struct cgm_work_set *ws)
{
	uint64_t allowed_ns = s->kind == CGM_SET_NODE ? BOOT_JITTER_NS : 0;

	if (ws->uid_hash && ws->memo->uid_hash && ws->uid_hash != ws->memo->uid_hash)
		return true;
	return s->created_ns && ws->old->created_ns && cgm_process_apart(s->created_ns, ws->old->created_ns) > allowed_ns;
}

static uint64_t uid_hash(const char *uid)
{
	return uid && *uid ? cgm_hash_bytes(uid, strlen(uid)) : 0;
}

/* What kind of rates a set may have. */
static void judge(struct cgm_work *w, uint32_t i)
{
	const struct cgm_draft_set *s = &w->d->sets[i];
	struct cgm_work_set *ws = &w->sets[i];
	uint64_t now_ns = time_of(s->scraped_ns, w->end_ns), then_ns;

	ws->uid_hash = uid_hash(s->uid);
	if (!ws->old)
		return;
	then_ns = time_of(ws->old->scraped_ns, cgm_work_last(w)->end_ns);
	ws->reset = is_other_life(s, ws);
	ws->earlier = now_ns < then_ns;
	if (ws->reset || ws->earlier) {
		cgm_process_count(&w->p->stats.nr_resets, 1);
	} else if (now_ns > then_ns) {
		ws->rate = CGM_RATE_NEW;
		ws->elapsed_ns = now_ns - then_ns;
	} else if (ws->memo->carried < CGM_WORK_MAX_CARRIED) {
		ws->rate = CGM_RATE_CARRY;
		ws->carried = ws->memo->carried + 1;
	} else {
		ws->carried = ws->memo->carried;
	}
}

/* Millicores, to the nearest one: Heapster cut them off, so that what used less than one was idle. */
static int64_t millicores(uint64_t used_ns, uint64_t elapsed_ns)
{
	unsigned __int128 milli = ((unsigned __int128)used_ns * 1000 + elapsed_ns / 2) / elapsed_ns;

	return milli > INT64_MAX ? INT64_MAX : (int64_t)milli;
}

static double per_second(uint64_t grown, uint64_t elapsed_ns)
{
	return 1e9 * (double)grown / (double)elapsed_ns;
}

/* False: it went back, which is counted. */
static bool grown(struct cgm_work *w, int64_t now, int64_t then, uint64_t *ret)
{
	int64_t delta;

	if (__builtin_sub_overflow(now, then, &delta) || delta < 0) {
		cgm_process_count(&w->p->stats.nr_resets, 1);
		return false;
	}
	*ret = (uint64_t)delta;
	return true;
}

static void rate_set(struct cgm_work *w, struct cgm_draft_set *s, const struct cgm_work_set *ws)
{
	for (uint64_t left = s->present & ws->old->present & RATED; left; left &= left - 1) {
		enum cgm_cm m = (enum cgm_cm)__builtin_ctzll(left), rate = (enum cgm_cm)cgm_cm_rate(m);
		uint64_t delta;

		if (!grown(w, s->values[m].i, cgm_set_value(ws->old, m).i, &delta))
			continue;
		if (m == CGM_CM_CPU_USAGE)
			cgm_draft_int(s, rate, millicores(delta, ws->elapsed_ns));
		else if (CGM_CM_BIT(m) & IN_NS)
			cgm_draft_float(s, rate, (double)delta / (double)ws->elapsed_ns);
		else
			cgm_draft_float(s, rate, per_second(delta, ws->elapsed_ns));
	}
}

/* What a pod's rate was before those of its containers, which stand behind it, were added. */
static union cgm_cm_value own_rate(const struct cgm_slice *last, const struct cgm_set *old, enum cgm_cm rate)
{
	union cgm_cm_value v = cgm_set_value(old, rate);

	for (const struct cgm_set *c = old + 1; old->entity->kind == CGM_SET_POD && c < last->sets + last->nr_sets && c->entity->kind == CGM_SET_CONTAINER; c++) {
		if (!cgm_set_has(c, rate))
			continue;
		if (cgm_cm_table[rate].is_float)
			v.f = MAX(v.f - cgm_set_value(c, rate).f, 0.0);
		else
			v.i = MAX(v.i - cgm_set_value(c, rate).i, 0);
	}
	return v;
}

/* The sample is the one that we had: so are its rates. */
static void carry_set(const struct cgm_work *w, struct cgm_draft_set *s, const struct cgm_work_set *ws)
{
	for (uint64_t left = s->present & RATED; left; left &= left - 1) {
		enum cgm_cm rate = (enum cgm_cm)cgm_cm_rate((enum cgm_cm)__builtin_ctzll(left));

		if (!cgm_set_has(ws->old, rate))
			continue;
		s->values[rate] = own_rate(cgm_work_last(w), ws->old, rate);
		s->present |= CGM_CM_BIT(rate);
	}
}

/* ---- with labels: block devices ---- */

static bool same_labels(const struct cgm_labeled *a, const struct cgm_labeled_facts *b)
{
	const struct cgm_tag *labels = cgm_labeled_labels(a);

	if (a->nr_labels != b->nr_labels)
		return false;
	for (unsigned i = 0; i < a->nr_labels; i++)
		if (strcmp(labels[i].key, b->labels[i].key) != 0 || strcmp(labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

/* The value of that metric with the same labels. */
static const struct cgm_labeled *find_labeled(const struct cgm_set *set, int metric, const struct cgm_labeled_facts *like)
{
	for (uint32_t i = 0; i < set->nr_labeled; i++)
		if (set->labeled[i].metric == metric && same_labels(&set->labeled[i], like))
			return &set->labeled[i];
	return NULL;
}

static void rate_labeled(struct cgm_work *w, uint32_t set, struct cgm_labeled_facts l)
{
	const struct cgm_work_set *ws = &w->sets[set];
	int rate = cgm_cm_rate((enum cgm_cm)l.metric);
	const struct cgm_labeled *old = rate < 0 || ws->rate == CGM_RATE_NONE ? NULL : find_labeled(ws->old, ws->rate == CGM_RATE_CARRY ? rate : l.metric, &l);
	uint64_t delta;

	if (!old)
		return;
	if (ws->rate == CGM_RATE_CARRY)
		l.value = old->value;
	else if (grown(w, l.value.i, old->value.i, &delta))
		l.value.f = per_second(delta, ws->elapsed_ns);
	else
		return;
	l.metric = (uint8_t)rate;
	cgm_draft_labeled(w->d, set, &l);
}

void cgm_work_rates(struct cgm_work *w)
{
	size_t nr_labeled = w->d->nr_labeled;

	for (uint32_t i = 0; i < w->d->nr_sets; i++) {
		struct cgm_draft_set *s = &w->d->sets[i];
		uint64_t now_ns = time_of(s->scraped_ns, w->end_ns);

		if (w->sets[i].skip)
			continue;
		judge(w, i);
		if (w->sets[i].rate == CGM_RATE_NEW)
			rate_set(w, s, &w->sets[i]);
		else if (w->sets[i].rate == CGM_RATE_CARRY)
			carry_set(w, s, &w->sets[i]);
		if (s->created_ns && now_ns >= s->created_ns && s->kind != CGM_SET_CLUSTER)
			cgm_draft_int(s, CGM_CM_UPTIME, (int64_t)((now_ns - s->created_ns) / CGM_NSEC_PER_MSEC));
	}
	for (size_t i = 0; i < nr_labeled; i++)
		if (!w->sets[w->d->labeled[i].set].skip)
			rate_labeled(w, w->d->labeled[i].set, w->d->labeled[i].labeled);
}
