/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trail of a container: numbers and histograms that only the kernel side has, kept over time in a history of their own. A tick in which
 * none of them moved leaves no sample in it: between two samples the earlier one holds, and an idle container's trail costs nothing.
 */
#pragma once
#include "model/snapshot.h"

/* Histograms by doubling: bar 0 is bucket 0, the last one what lies above all bounds. */
#define CGM_HIST_BARS ((CGM_HIST_BUCKETS + 2) / 4 + 1)

static inline unsigned cgm_hist_bar(unsigned bucket)
{
	return (bucket + 3) / 4;
}

enum cgm_trail_value {
#define CGM_TRAIL_VALUE(id, name, expression) CGM_TRAIL_##id,
#include "model/trail.def"
	CGM_NR_TRAIL_NUMBERS,
};
enum cgm_trail_heat {
#define CGM_TRAIL_HEAT(id, name) CGM_TRAIL_HEAT_##id,
#include "model/trail.def"
	CGM_NR_TRAIL_HEATS,
};
/* How the values lie in a sample of the trail: numbers, then the bars of each histogram. */
#define CGM_NR_TRAIL_VALUES (CGM_NR_TRAIL_NUMBERS + CGM_NR_TRAIL_HEATS * CGM_HIST_BARS)
#define CGM_TRAIL_BARS(heat) (CGM_NR_TRAIL_NUMBERS + (heat) * CGM_HIST_BARS)

const char *cgm_trail_name(enum cgm_trail_value id);
const char *cgm_trail_heat_name(enum cgm_trail_heat id);

/* The layout of all trails. NULL: out of memory. */
struct cgm_layout *cgm_trail_layout_new(void);
/* Any thread. */
void cgm_trail_pack(const struct cgm_live *live, uint64_t ret[CGM_NR_TRAIL_VALUES]);
/*
 * Appends what live says, when it differs from the end of the trail; makes the trail when there is something to keep. Writer's thread, as all
 * of a history. 0 or -ENOMEM (then it is tried again at the next tick; nothing is lost, as all are totals).
 */
int cgm_trail_add(struct cgm_history **trail, struct cgm_layout *l, uint64_t keep_ns, uint64_t time_ns, const struct cgm_live *live);
