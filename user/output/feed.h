/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feed: what `cgmeter top` asks the agent for, as lines of text that are cheap to write and to read. Numbers are totals since the
 *counters began; the reader makes rates of two feeds.
 *
 *	cgmeter-feed 1 TIME MONO ROWS		ns since the epoch; ns of CLOCK_MONOTONIC, which tells two snapshots apart
 *	columns NAME NAME …			names of feed.def
 *	PARENT COLUMN COLUMN … PATH[\tTITLE]	a cgroup: index of its parent (the root's own: 0); "-": not known; sorted by path, the root
 *first; TITLE: what people call it, when a runtime knows it
 *	end
 *
 * A histogram is SUM:FIRST:N,N,N: its sum in ns, and the buckets from the first to the last that counted (":0:" when none did). A path and a title may
 * hold blanks; bytes below 32, 127 and the backslash are \xNN. When there is nothing newer than what the reader has, "same" is the second
 *and last line.
 *
 *	cgmeter-hists 1 TIME MONO ROWS		all histograms of one cgroup
 *	HISTOGRAM TITLE				TITLE for people, unique, escaped as a path
 *	end
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "model/snapshot.h"
#include "output/stream.h"

enum cgm_feed_value {
#define CGM_FEED_VALUE(id, name, sum) CGM_FEED_##id,
#include "output/feed.def"
	CGM_NR_FEED_VALUES,
};
enum cgm_feed_hist {
#define CGM_FEED_HIST(id, name, sum) CGM_FEED_##id,
#include "output/feed.def"
	CGM_NR_FEED_HISTS,
};

struct cgm_feed_row {
	const char *name;	  /* path */
	const char *title;	  /* what people call it; NULL: as its path */
	uint32_t parent;	  /* index of a row before it; the root is its own */
	uint32_t have, have_hist; /* bit i: v[i], hist[i] are known */
	uint64_t v[CGM_NR_FEED_VALUES];
	struct cgm_hist hist[CGM_NR_FEED_HISTS];
};

struct cgm_feed {
	uint64_t time_ns, mono_ns;
	struct cgm_feed_row *rows; /* sorted by name (strcmp); rows[0] is "/" */
	size_t nr_rows, cap_rows;
	char *names; /* memory of the rows' names and titles */
};
/* Releases what f holds and empties it. */
void cgm_feed_done(struct cgm_feed *f);

/* All histograms of one cgroup. */
struct cgm_hists {
	uint64_t time_ns, mono_ns;
	struct cgm_titled_hist {
		char *title;
		struct cgm_hist h;
	} * v;
	size_t nr, cap;
};
void cgm_hists_done(struct cgm_hists *h);
/* Adds (or adds to) the histogram of that title. 0 or -ENOMEM. */
int cgm_hists_add(struct cgm_hists *to, const char *title, const struct cgm_hist *h);

static inline bool cgm_feed_has(const struct cgm_feed_row *r, enum cgm_feed_value id)
{
	return r->have >> id & 1;
}

static inline void cgm_feed_set(struct cgm_feed_row *r, enum cgm_feed_value id, uint64_t v)
{
	r->v[id] = v;
	r->have |= 1U << id;
}

/* ---- feed_rows.c: what a number means, whoever counted it. Any thread. ---- */

/* What a sample holds: v and have as in struct cgm_sample. */
void cgm_feed_set_sample(struct cgm_feed_row *r, const uint64_t *v, const uint64_t *have, const struct cgm_spec *spec);
/* The kernel side's. Block rows add up. */
void cgm_feed_set_net(struct cgm_feed_row *r, const struct cgm_net *net);
void cgm_feed_add_block(struct cgm_feed_row *r, enum cgm_block_op op, uint64_t bytes);
bool cgm_feed_wants_latency(enum cgm_block_op op);
/* Adds what descendants counted, in rows and by blocks. */
void cgm_feed_add_child(struct cgm_feed_row *parent, const struct cgm_feed_row *child, bool rows, bool blocks);
/* Titles of histograms, made of the tables of metrics.def, into buf. */
#define CGM_HIST_TITLE 160
const char *cgm_hist_title_sched(enum cgm_sched_hist id, char buf[CGM_HIST_TITLE]);
const char *cgm_hist_title_wait(enum cgm_wait id, char buf[CGM_HIST_TITLE]);
/* service: from the driver on, else from the queue on. */
const char *cgm_hist_title_block(bool service, const char *device, enum cgm_block_op op, char buf[CGM_HIST_TITLE]);

/* ---- feed_write.c ---- */

/* The feed of a snapshot; only "same" when seen_mono_ns is the snapshot's. Takes a reference of s. NULL when out of memory. */
struct cgm_stream *cgm_feed_write(struct cgm_snapshot *s, uint64_t seen_mono_ns);
/* The histograms of the row with that index. */
struct cgm_stream *cgm_hists_write(struct cgm_snapshot *s, size_t row);

/* ---- feed_read.c: strict, for text of anybody. Any thread. ---- */

/* Most rows of a feed, and of histograms of a cgroup. */
#define CGM_FEED_MAX_ROWS 131072
/* 0; 1: nothing newer; -EINVAL: *ret_fault (a literal) says what is wrong, *ret_line in which line; -ENOMEM. ret is to be released after 0.
 */
int cgm_feed_read(const char *text, size_t len, struct cgm_feed *ret, const char **ret_fault, size_t *ret_line);
int cgm_hists_read(const char *text, size_t len, struct cgm_hists *ret, const char **ret_fault, size_t *ret_line);
