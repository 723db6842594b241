// SPDX-License-Identifier: Apache-2.0
/* What our own agent tells, by include/cgmeter/compact.h. Trusted as little as any other answer. */
#include "source/decoders.h"

#include <errno.h>
#include <string.h>

#include "base/protobuf.h"
#include "cgmeter/compact.h"

#define MAX_NAMES 1024 /* places that are remembered; what refers to later ones is passed over */
#define FIRST_NS 946684800000000000 /* 2000-01-01 */
#define LAST_NS 4102444800000000000 /* 2100-01-01 */

/* What a place in the list of names means. */
enum meaning { UNKNOWN, METRIC, HISTOGRAM };
struct place {
	uint8_t meaning, id; /* enum cgm_cm, enum cgm_ch */
};

struct compact {
	struct cgm_cast cast;
	struct cgm_draft *d;
	uint64_t *nr_bad;
	uint64_t time_ns, nr_sets, end;
	bool began, any_end, any_node;
	int node, pod; /* sets; pod: the last one, -1: none yet */
	size_t nr_names;
	uint32_t hists_seen; /* by enum cgm_ch, in the set that is read */
	uint8_t last_metric; /* of the last name that was one */
	struct place names[MAX_NAMES];
	const char *why; /* what ends the reading */
};

/* A message of a set while it is read. */
struct set {
	uint64_t kind;
	struct cgm_str name, pod_namespace, uid, image;
	uint64_t scraped_ns, created_ns;
};

static int wrong(struct compact *y, const char *why)
{
	y->why = why;
	return -EINVAL;
}

/* NULL: not said, or no text, which is counted. */
static const char *text(struct compact *y, struct cgm_str t)
{
	const char *kept;

	if (!t.len)
		return NULL;
	kept = t.len > CGM_SCAN_MAX_TEXT ? NULL : cgm_draft_text(y->d, t);
	if (kept && cgm_scan_is_clean(kept, t.len))
		return kept;
	++*y->nr_bad;
	return NULL;
}

/* ---- names ---- */

/* They come in the order of cluster.def, with gaps: the search begins behind the last one. */
static struct place meaning_of(struct cgm_str name, uint8_t *last)
{
	for (int i = 1; i <= CGM_CM_CUSTOM; i++) {
		uint8_t m = (uint8_t)((*last + i) % CGM_CM_CUSTOM);

		if (!cgm_str_eq(name, cgm_cm_table[m].name))
			continue;
		*last = m;
		return (struct place){ METRIC, m };
	}
	for (int h = 0; h < CGM_NR_CH; h++)
		if (cgm_str_eq(name, cgm_ch_name((enum cgm_ch)h)))
			return (struct place){ HISTOGRAM, (uint8_t)h };
	return (struct place){ UNKNOWN, 0 };
}

static void read_name(struct compact *y, struct cgm_str name)
{
	if (y->nr_names < MAX_NAMES)
		y->names[y->nr_names++] = meaning_of(name, &y->last_metric);
}

static struct place place(const struct compact *y, uint64_t at)
{
	return at < y->nr_names ? y->names[at] : (struct place){ UNKNOWN, 0 };
}

/* ---- pairs ---- */

/* 1; 0 at the end; -EINVAL: it is cut. */
static int next_pair(struct cgm_str *rest, uint64_t *ret_place, uint64_t *ret_value)
{
	uint64_t v[2];

	if (!rest->len)
		return 0;
	for (int i = 0; i < 2; i++) {
		unsigned shift = 0;

		v[i] = 0;
		do {
			if (!rest->len || shift > 63 || (shift == 63 && (uint8_t)*rest->p > 1))
				return -EINVAL;
			v[i] |= (uint64_t)((uint8_t)*rest->p & 0x7f) << shift;
			shift += 7;
			rest->len--;
		} while ((uint8_t)*rest->p++ & 0x80);
	}
	*ret_place = v[0];
	*ret_value = v[1];
	return 1;
}

static int64_t saturated(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* A metric whose values are counts, of sets of that kind. */
static bool is_told(enum cgm_set_kind kind, uint8_t metric)
{
	return cgm_cm_table[metric].sets & 1U << kind && !cgm_cm_table[metric].is_float;
}

static int read_values(struct compact *y, int set, struct cgm_str pairs)
{
	uint64_t at, v;
	int r;

	while ((r = next_pair(&pairs, &at, &v)) > 0) {
		struct place p = place(y, at);

		if (p.meaning == UNKNOWN)
			continue;
		if (p.meaning != METRIC || p.id >= CGM_NR_SCALARS || cgm_cm_table[p.id].is_float)
			++*y->nr_bad;
		else
			cgm_cast_put(&y->cast, set, (enum cgm_cm)p.id, saturated(v));
	}
	return r < 0 ? wrong(y, "a set's values are cut") : 0;
}

static int read_labeled(struct compact *y, int set, struct cgm_str message)
{
	struct cgm_str resource = { "", 0 }, pairs = { "", 0 };
	const struct cgm_tag *tag;
	struct cgm_pb_field f;
	const char *id;
	uint64_t at, v;
	int r;

	while ((r = cgm_pb_next(&message, &f)) > 0) {
		if (f.number == CGM_COMPACT_L_RESOURCE && f.wire == CGM_PB_BYTES)
			resource = f.bytes;
		else if (f.number == CGM_COMPACT_L_VALUES && f.wire == CGM_PB_BYTES)
			pairs = f.bytes;
	}
	id = r == 0 ? text(y, resource) : NULL;
	tag = id ? cgm_decode_resource_id(y->d, "", cgm_str(id)) : NULL;
	while (r == 0 && (r = next_pair(&pairs, &at, &v)) > 0) {
		struct place p = place(y, at);
		struct cgm_labeled_facts l = { .metric = p.id, .nr_labels = 1, .labels = tag, .value.i = saturated(v) };
		bool has_resource = p.meaning == METRIC && p.id >= CGM_CM_FILESYSTEM_USAGE && p.id <= CGM_CM_DISK_IO_WRITE_BYTES;

		r = 0;
		*y->nr_bad += has_resource && !id;
		if (has_resource && tag && is_told(y->d->sets[set].kind, p.id) && cgm_cast_has_room(&y->cast))
			cgm_draft_labeled(y->d, (uint32_t)set, &l);
		else if (p.meaning != UNKNOWN && !has_resource)
			++*y->nr_bad;
	}
	return r < 0 ? wrong(y, "a labeled value is cut") : 0;
}

static int read_hist(struct compact *y, int set, struct cgm_str message)
{
	struct cgm_cluster_hist h = { 0 };
	struct cgm_str bars = { "", 0 };
	uint64_t name = UINT64_MAX, at, v;
	struct cgm_pb_field f;
	struct place p;
	int r;

	while ((r = cgm_pb_next(&message, &f)) > 0) {
		if (f.number == CGM_COMPACT_H_NAME && f.wire == CGM_PB_VARINT)
			name = f.value;
		else if (f.number == CGM_COMPACT_H_SUM && f.wire == CGM_PB_VARINT)
			h.sum_ns = f.value;
		else if (f.number == CGM_COMPACT_H_BARS && f.wire == CGM_PB_BYTES)
			bars = f.bytes;
	}
	while (r == 0 && (r = next_pair(&bars, &at, &v)) > 0) {
		if (at >= CGM_CH_BUCKETS || __builtin_add_overflow(h.count, v, &h.count)) {
			++*y->nr_bad;
			return 0;
		}
		h.buckets[at] += v;
		r = 0;
	}
	if (r < 0)
		return wrong(y, "a histogram is cut");
	p = place(y, name);
	h.hist = p.id;
	if (p.meaning == HISTOGRAM && !(y->hists_seen & 1U << p.id))
		cgm_draft_hist(y->d, (uint32_t)set, &h);
	else
		*y->nr_bad += p.meaning != UNKNOWN;
	if (p.meaning == HISTOGRAM)
		y->hists_seen |= 1U << p.id;
	return 0;
}

/* ---- sets ---- */

static uint64_t good_time(struct compact *y, uint64_t ns)
{
	if (ns >= FIRST_NS && ns < LAST_NS)
		return ns;
	++*y->nr_bad;
	return 0;
}

static uint64_t moment(struct compact *y, uint64_t zigzag)
{
	return good_time(y, y->time_ns + ((zigzag >> 1) ^ (~(zigzag & 1) + 1)));
}

static int read_head(struct compact *y, struct cgm_str message, struct set *ret)
{
	struct set s = { .scraped_ns = y->time_ns };
	struct cgm_pb_field f;
	int r;

	while ((r = cgm_pb_next(&message, &f)) > 0) {
		struct cgm_str *to = f.number == CGM_COMPACT_S_NAME	 ? &s.name :
				     f.number == CGM_COMPACT_S_NAMESPACE ? &s.pod_namespace :
				     f.number == CGM_COMPACT_S_UID	 ? &s.uid :
				     f.number == CGM_COMPACT_S_IMAGE	 ? &s.image :
									   NULL;

		if (to && f.wire == CGM_PB_BYTES)
			*to = f.bytes;
		else if (f.wire != CGM_PB_VARINT)
			continue;
		else if (f.number == CGM_COMPACT_S_KIND)
			s.kind = f.value;
		else if (f.number == CGM_COMPACT_S_SCRAPED)
			s.scraped_ns = moment(y, f.value);
		else if (f.number == CGM_COMPACT_S_CREATED)
			s.created_ns = moment(y, f.value);
	}
	*ret = s;
	return r < 0 ? wrong(y, "a set is cut") : 0;
}

/* The set that the message is of: -1: none that we know, or one without a name. */
static int set_of(struct compact *y, const struct set *s)
{
	static const enum cgm_set_kind kinds[] = {
		[CGM_COMPACT_SYSTEM] = CGM_SET_SYS_CONTAINER, [CGM_COMPACT_POD] = CGM_SET_POD, [CGM_COMPACT_CONTAINER] = CGM_SET_CONTAINER
	};
	const char *name, *space;
	struct cgm_draft_set *to;
	int set;

	if (s->kind == CGM_COMPACT_NODE) {
		*y->nr_bad += y->any_node; /* there is one */
		set = y->any_node ? -1 : y->node;
		y->any_node = true;
		return set;
	}
	if (!s->kind || s->kind >= ARRAY_SIZE(kinds))
		return -1;
	name = text(y, s->name);
	space = s->kind == CGM_COMPACT_POD ? text(y, s->pod_namespace) : NULL;
	if (s->kind == CGM_COMPACT_POD)
		y->pod = -1;
	if (!name || (s->kind == CGM_COMPACT_POD && !space) || (s->kind == CGM_COMPACT_CONTAINER && y->pod < 0)) {
		++*y->nr_bad;
		return -1;
	}
	set = cgm_cast_add(&y->cast, kinds[s->kind]);
	if (set < 0)
		return -1;
	to = &y->d->sets[set];
	if (s->kind == CGM_COMPACT_POD) {
		y->pod = set;
		to->pod_namespace = space;
		to->pod = name;
		to->uid = text(y, s->uid);
	} else {
		to->container = s->kind == CGM_COMPACT_SYSTEM ? cgm_decode_system_name(name) : name;
		to->image = text(y, s->image);
		to->order = s->kind == CGM_COMPACT_CONTAINER ? (uint32_t)y->pod : 0;
	}
	return set;
}

static int read_set(struct compact *y, struct cgm_str message)
{
	struct cgm_str rest = message;
	struct cgm_pb_field f;
	struct set s;
	int r = read_head(y, message, &s), set;

	y->nr_sets++;
	y->hists_seen = 0;
	set = r < 0 ? -1 : set_of(y, &s);
	if (set < 0)
		return r;
	y->d->sets[set].scraped_ns = s.scraped_ns;
	y->d->sets[set].created_ns = s.created_ns;
	while (r == 0 && cgm_pb_next(&rest, &f) > 0) {
		if (f.wire != CGM_PB_BYTES)
			continue;
		if (f.number == CGM_COMPACT_S_VALUES)
			r = read_values(y, set, f.bytes);
		else if (f.number == CGM_COMPACT_S_LABELED)
			r = read_labeled(y, set, f.bytes);
		else if (f.number == CGM_COMPACT_S_HIST)
			r = read_hist(y, set, f.bytes);
	}
	return r;
}

/* ---- the answer ---- */

static int read_field(struct compact *y, const struct cgm_pb_field *f)
{
	if (!y->began) {
		y->began = true;
		if (f->number != CGM_COMPACT_A_VERSION || f->wire != CGM_PB_VARINT)
			return wrong(y, "it is no compact answer: it does not begin with a version");
		return f->value == CGM_COMPACT_VERSION ? 0 : wrong(y, "it is of another version than 1");
	}
	if (y->any_end)
		return wrong(y, "something follows its end");
	if (f->number == CGM_COMPACT_A_NODE && f->wire == CGM_PB_BYTES)
		y->d->node = text(y, f->bytes);
	else if (f->number == CGM_COMPACT_A_TIME && f->wire == CGM_PB_FIXED64)
		y->time_ns = good_time(y, f->value);
	else if (f->number == CGM_COMPACT_A_NAME && f->wire == CGM_PB_BYTES)
		read_name(y, f->bytes);
	else if (f->number == CGM_COMPACT_A_SET && f->wire == CGM_PB_BYTES)
		return read_set(y, f->bytes);
	else if (f->number == CGM_COMPACT_A_END && f->wire == CGM_PB_VARINT) {
		y->any_end = true;
		y->end = f->value;
	}
	return 0;
}

static const char *missing(const struct compact *y)
{
	return !y->any_end	      ? "it is cut short" :
	       y->end != y->nr_sets   ? "it is not whole: sets are missing" :
	       y->cast.crowded	      ? "it has too many sets or values" :
	       !y->any_node	      ? "it has no node" :
					NULL;
}

int cgm_decode_compact(struct cgm_str all, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	struct compact y = { .cast.d = d, .d = d, .nr_bad = nr_bad, .pod = -1 };
	struct cgm_str rest = all;
	struct cgm_pb_field f;
	int r = 0, more = 1;

	y.node = cgm_cast_add(&y.cast, CGM_SET_NODE);
	while (y.node >= 0 && r == 0 && (more = cgm_pb_next(&rest, &f)) > 0)
		r = read_field(&y, &f);
	if (d->failed)
		return -ENOMEM;
	if (!y.why)
		y.why = !y.began && all.len ? "it is no compact answer" : missing(&y);
	if (!y.why && more < 0)
		y.why = "it is cut short";
	if (y.why) {
		snprintf(fault, CGM_DECODE_FAULT, "%s at byte %zu", y.why, all.len - rest.len);
		return -EINVAL;
	}
	return cgm_cast_settle(&y.cast);
}
