// SPDX-License-Identifier: Apache-2.0
#include "top/model.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kernel/kernel.h"

/* ---- histograms ---- */

bool cgm_hist_delta(const struct cgm_hist *a, const struct cgm_hist *b, struct cgm_hist *ret)
{
	if (a->sum_ns < b->sum_ns)
		return false;
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++) {
		if (a->buckets[i] < b->buckets[i])
			return false;
		ret->buckets[i] = a->buckets[i] - b->buckets[i];
	}
	ret->sum_ns = a->sum_ns - b->sum_ns;
	return true;
}

double cgm_hist_quantile_ns(const struct cgm_hist *h, unsigned permille)
{
	uint64_t count = cgm_hist_count(h), below = 0, rank;
	unsigned i = 0;

	if (!count)
		return NAN;
	rank = (uint64_t)(((unsigned __int128)count * permille + 999) / 1000); /* the first so many */
	rank = MAX(rank, 1ULL) - 1;
	while (i + 1 < CGM_HIST_BUCKETS && below + h->buckets[i] <= rank)
		below += h->buckets[i++];
	if (!i)
		return (double)cgm_hist_bounds[0] / 2;
	if (i + 1 == CGM_HIST_BUCKETS)
		return (double)cgm_hist_bounds[i - 1];
	return sqrt((double)cgm_hist_bounds[i - 1] * (double)cgm_hist_bounds[i]);
}

/* ---- one row ---- */

/* The two feeds' rows of a cgroup, and the time between them; before is NULL when there is no rate. */
struct pair {
	const struct cgm_feed_row *before, *now;
	double seconds;
};

static double gauge(const struct pair *p, enum cgm_feed_value id)
{
	return cgm_feed_has(p->now, id) ? (double)p->now->v[id] : NAN;
}

static double delta(const struct pair *p, enum cgm_feed_value id)
{
	if (!p->before || !cgm_feed_has(p->now, id) || !cgm_feed_has(p->before, id) || p->now->v[id] < p->before->v[id])
		return NAN;
	return (double)(p->now->v[id] - p->before->v[id]);
}

static double rate(const struct pair *p, enum cgm_feed_value id)
{
	return delta(p, id) / p->seconds;
}

/* No period passed: nothing was throttled, if there is a quota at all. */
static double throttled(const struct pair *p)
{
	double periods = delta(p, CGM_FEED_CPU_PERIODS), hit = delta(p, CGM_FEED_CPU_THROTTLED_PERIODS);

	if (periods == 0)
		return cgm_feed_has(p->now, CGM_FEED_CPU_PERIODS) && p->now->v[CGM_FEED_CPU_PERIODS] ? 0 : NAN;
	return hit > periods ? 100 : 100 * hit / periods;
}

static void percentiles(const struct pair *p, enum cgm_feed_hist id, double *ret_p50, double *ret_p99)
{
	struct cgm_hist d;
	bool known = p->before && p->now->have_hist >> id & 1 && p->before->have_hist >> id & 1;

	*ret_p50 = *ret_p99 = NAN;
	if (!known || !cgm_hist_delta(&p->now->hist[id], &p->before->hist[id], &d))
		return;
	*ret_p50 = cgm_hist_quantile_ns(&d, 500);
	*ret_p99 = cgm_hist_quantile_ns(&d, 990);
}

static void make_row(const struct pair *p, struct cgm_top_row *row)
{
	double *v = row->v;

	v[CGM_COL_CPU] = 100 * rate(p, CGM_FEED_CPU_USAGE) / (double)CGM_NSEC_PER_SEC;
	v[CGM_COL_THROTTLED] = throttled(p);
	percentiles(p, CGM_FEED_RUNQ_DELAY, &v[CGM_COL_RUNQ_P50], &v[CGM_COL_RUNQ_P99]);
	v[CGM_COL_MEMORY] = gauge(p, CGM_FEED_WORKING_SET);
	v[CGM_COL_LIMIT] = 100 * v[CGM_COL_MEMORY] / gauge(p, CGM_FEED_MEMORY_LIMIT);
	v[CGM_COL_SOME] = gauge(p, CGM_FEED_MEMORY_SOME) / 100;
	v[CGM_COL_FULL] = gauge(p, CGM_FEED_MEMORY_FULL) / 100;
	percentiles(p, CGM_FEED_BLOCK_LATENCY, &v[CGM_COL_BLOCK_P50], &v[CGM_COL_BLOCK_P99]);
	v[CGM_COL_READ] = rate(p, CGM_FEED_BLOCK_READ);
	v[CGM_COL_WRITE] = rate(p, CGM_FEED_BLOCK_WRITE);
	v[CGM_COL_RX] = rate(p, CGM_FEED_NET_RX);
	v[CGM_COL_TX] = rate(p, CGM_FEED_NET_TX);
	v[CGM_COL_RETRANSMITS] = rate(p, CGM_FEED_TCP_RETRANSMITS);
	v[CGM_COL_TASKS] = gauge(p, CGM_FEED_TASKS);
	v[CGM_COL_NAME] = NAN;
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		if (!isfinite(v[i])) /* a limit of 0 */
			v[i] = NAN;
}

/* ---- all rows ---- */

void cgm_model_done(struct cgm_model *m)
{
	cgm_feed_done(&m->before);
	cgm_feed_done(&m->now);
	free(m->rows);
	*m = (struct cgm_model){0};
}

void cgm_model_restart(struct cgm_model *m)
{
	cgm_feed_done(&m->before);
	m->now.mono_ns = UINT64_MAX; /* whatever comes next is not newer */
}

static int reserve(struct cgm_model *m, size_t nr)
{
	struct cgm_top_row *rows;

	if (nr <= m->cap_rows)
		return 0;
	rows = cgm_realloc(m->rows, nr * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	m->rows = rows;
	m->cap_rows = nr;
	return 0;
}

/* Both feeds are sorted by name, so that they are walked together. */
static void make_rows(struct cgm_model *m)
{
	const struct cgm_feed *b = &m->before, *n = &m->now;
	struct pair p = {.seconds = (double)m->interval_ns / (double)CGM_NSEC_PER_SEC};
	size_t k = 0;

	for (size_t i = 0; i < n->nr_rows; i++) {
		struct cgm_top_row *row = &m->rows[i];
		int order = -1;

		p.now = &n->rows[i];
		while (m->interval_ns && k < b->nr_rows && (order = strcmp(b->rows[k].name, p.now->name)) < 0)
			k++;
		p.before = m->interval_ns && k < b->nr_rows && order == 0 ? &b->rows[k] : NULL;
		row->name = p.now->name;
		row->title = p.now->title;
		row->parent = p.now->parent;
		row->depth = i ? m->rows[row->parent].depth + 1 : 0;
		make_row(&p, row);
	}
	m->nr_rows = n->nr_rows;
}

int cgm_model_push(struct cgm_model *m, struct cgm_feed *feed)
{
	cgm_feed_done(&m->before);
	m->before = m->now;
	m->now = *feed;
	*feed = (struct cgm_feed){0};
	m->nr_rows = 0;
	m->time_ns = m->now.time_ns;
	m->interval_ns = m->before.nr_rows && m->now.mono_ns > m->before.mono_ns ? m->now.mono_ns - m->before.mono_ns : 0;
	if (reserve(m, m->now.nr_rows) < 0) {
		cgm_model_done(m);
		return -ENOMEM;
	}
	make_rows(m);
	return 0;
}

/* ---- detail ---- */

void cgm_detail_done(struct cgm_detail *d)
{
	cgm_hists_done(&d->before);
	cgm_hists_done(&d->now);
	d->interval_ns = 0;
}

void cgm_detail_push(struct cgm_detail *d, struct cgm_hists *hists)
{
	/* The same snapshot once more says nothing new. */
	if (d->now.mono_ns && hists->mono_ns == d->now.mono_ns) {
		cgm_hists_done(hists);
		return;
	}
	cgm_hists_done(&d->before);
	d->before = d->now;
	d->now = *hists;
	*hists = (struct cgm_hists){0};
	d->interval_ns = d->before.mono_ns && d->now.mono_ns > d->before.mono_ns ? d->now.mono_ns - d->before.mono_ns : 0;
}

bool cgm_detail_get(const struct cgm_detail *d, size_t index, bool total, struct cgm_hist *ret)
{
	const struct cgm_titled_hist *now = &d->now.v[index];
	/* A histogram is made at its first event. */
	struct cgm_hist nothing = {0};
	const struct cgm_hist *before = &nothing;

	if (total) {
		*ret = now->h;
		return true;
	}
	if (!d->interval_ns)
		return false;
	for (size_t i = 0; i < d->before.nr; i++)
		if (strcmp(d->before.v[i].title, now->title) == 0)
			before = &d->before.v[i].h;
	return cgm_hist_delta(&now->h, before, ret);
}
