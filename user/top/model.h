/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of `cgmeter top`: rates and percentiles of two feeds. Pure: no clock, no terminal, no descriptor. One thread.
 */
#pragma once
#include "output/feed.h"
#include "top/columns.h"

struct cgm_top_row {
	const char *name; /* path; the model's, until the next push */
	const char *title; /* what people call it, likewise; NULL: as its path */
	uint32_t parent, depth;
	double v[CGM_NR_COLUMNS]; /* NAN: not known, or nothing happened (percentiles). NAME is not used */
};

struct cgm_model {
	struct cgm_feed before, now;
	struct cgm_top_row *rows; /* as those of now: sorted by name, a parent before its children */
	size_t nr_rows, cap_rows;
	uint64_t time_ns;     /* of now, since the epoch */
	uint64_t interval_ns; /* between the two; 0: there is only one, and rates are not known */
};
void cgm_model_done(struct cgm_model *m);
/*
 * The newest feed; it is taken over (and emptied) also on failure. A feed that is not newer than the last (another machine, or this one
 * after a restart) begins anew. A counter that went back (its cgroup was made anew) gives no rate once. 0 or -ENOMEM (the model is then
 * empty).
 */
int cgm_model_push(struct cgm_model *m, struct cgm_feed *feed);
/* What comes next is from another source: no rates until there are two of it. */
void cgm_model_restart(struct cgm_model *m);

/* The histograms of one cgroup, likewise. */
struct cgm_detail {
	struct cgm_hists before, now;
	uint64_t interval_ns;
};
void cgm_detail_done(struct cgm_detail *d);
void cgm_detail_push(struct cgm_detail *d, struct cgm_hists *hists);
/*
 * What the histogram with that index of d->now counted in the interval, or (total) since it began to count. False: there is no interval
 * yet, or it went back.
 */
bool cgm_detail_get(const struct cgm_detail *d, size_t index, bool total, struct cgm_hist *ret);

/* What a counted more than b, bucket by bucket. False: less. */
bool cgm_hist_delta(const struct cgm_hist *a, const struct cgm_hist *b, struct cgm_hist *ret);
/*
 * The value below which so many of a thousand are, in ns: the middle of its bucket, wrong by at most 9 %; half of the first bound in the
 * first bucket, the last bound in the last. NAN: it is empty.
 */
double cgm_hist_quantile_ns(const struct cgm_hist *h, unsigned permille);
