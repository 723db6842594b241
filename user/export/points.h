/* SPDX-License-Identifier: Apache-2.0 */
/* What sinks share in walking over a slice: its points, their names, values and labels, and where a batch may end. Any thread. */
#pragma once
#include <math.h>

#include "base/buf.h"
#include "batch/slice.h"

/* ---- points ---- */

struct cgm_point {
	enum cgm_cm metric;
	bool is_float;
	union cgm_cm_value value;
	const struct cgm_labeled *labeled; /* NULL: a scalar */
};

struct cgm_points {
	const struct cgm_set *set;
	uint64_t left; /* scalars */
	uint32_t nr_scalars, nr_labeled; /* so far */
};
#define CGM_POINTS(s) ((struct cgm_points){ .set = (s), .left = (s)->present })
/* The next point: scalars, then labeled ones. What is no number (NaN, infinite) is passed over: few servers take it, and it measures nothing. */
bool cgm_points_next(struct cgm_points *it, struct cgm_point *ret);
/* Appends the name, "cpu/usage", "custom/NAME". */
void cgm_point_name(const struct cgm_point *p, struct cgm_buf *out);
/* Appends the value: of a float the shortest decimal that reads back as the same. */
void cgm_point_value(const struct cgm_point *p, struct cgm_buf *out);
/* A label of the point's own. NULL: it has none of that name. */
const char *cgm_point_label(const struct cgm_point *p, const char *key);

/* ---- labels ---- */

struct cgm_tags {
	const struct cgm_entity *entity;
	const struct cgm_labeled *labeled; /* NULL: those of the entity alone */
	size_t next;
};
#define CGM_TAGS(e, l) ((struct cgm_tags){ .entity = (e), .labeled = (l) })
/*
 * The next label: the entity's, stored ones, the point's own. Each name comes once: a point's label goes before an entity's, and an entity's before a stored one. Values
 * may be "".
 */
bool cgm_tags_next(struct cgm_tags *it, struct cgm_tag *ret);
/* Appends them as a JSON object. */
void cgm_tags_json(const struct cgm_entity *e, const struct cgm_labeled *l, struct cgm_buf *out);
/* One of the entity's labels, or "" when it has none. */
static inline const char *cgm_entity_label(const struct cgm_entity *e, enum cgm_cl l)
{
	return e->labels[l] ? e->labels[l] : "";
}

/* ---- batches ---- */

/* Counts points and says where a batch may end. */
struct cgm_cutter {
	const struct cgm_buf *out;
	void (*cut)(void *arg, uint64_t nr_points);
	void *arg;
	size_t mark; /* where the last cut was */
	uint64_t nr_points, since; /* in all; since the last cut */
};
#define CGM_CUTTER(o, c, a) ((struct cgm_cutter){ .out = (o), .cut = (c), .arg = (a), .mark = (o)->len })
/* A whole record of so many points stands at the end of out. */
void cgm_cutter_add(struct cgm_cutter *c, uint64_t nr_points);
