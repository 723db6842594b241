// SPDX-License-Identifier: Apache-2.0
#include "source/cast.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define FIRST_SLOTS 256 /* a power of two, as all that follow */
#define DEAD CGM_NR_SET_KINDS

/* What a pod's containers sum up to, so that its own (which counts the sandbox, too) would be another number than Heapster's. */
#define SUMS                                                                                                                                         \
	(CGM_CM_BIT(CGM_CM_MEMORY_USAGE) | CGM_CM_BIT(CGM_CM_MEMORY_RSS) | CGM_CM_BIT(CGM_CM_MEMORY_CACHE) | CGM_CM_BIT(CGM_CM_MEMORY_WORKING_SET) | \
	 CGM_CM_BIT(CGM_CM_MEMORY_SWAP) | CGM_CM_BIT(CGM_CM_TASKS))

struct key {
	enum cgm_set_kind kind;
	uint32_t pod; /* of a container: the index of its pod */
	struct cgm_str a, b, c; /* namespace, pod, uid; or the container's name in a */
};

/* ---- the table ---- */

static uint64_t hash(const struct key *k)
{
	uint64_t h = (uint64_t)k->pod << 8 | k->kind;

	return cgm_draft_hash(cgm_draft_hash(cgm_draft_hash(h, k->a), k->b), k->c);
}

static struct cgm_str text(const char *s)
{
	return s ? cgm_str(s) : (struct cgm_str){ "", 0 };
}

static struct key key_of(const struct cgm_draft_set *s, bool by_uid)
{
	if (s->kind == CGM_SET_POD)
		return (struct key){ s->kind, 0, text(s->pod_namespace), text(s->pod), by_uid ? text(s->uid) : text(NULL) };
	return (struct key){ s->kind, s->kind == CGM_SET_CONTAINER ? s->order : 0, text(s->container), text(NULL), text(NULL) };
}

static bool same_text(struct cgm_str a, struct cgm_str b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static bool same(const struct key *x, const struct key *y)
{
	return x->kind == y->kind && x->pod == y->pod && same_text(x->a, y->a) && same_text(x->b, y->b) && same_text(x->c, y->c);
}

/* The slot of that key, or the free one where it would stand. */
static uint32_t *slot(const struct cgm_cast *c, const struct key *k, bool by_uid)
{
	for (size_t i = hash(k) & (c->cap - 1);; i = (i + 1) & (c->cap - 1)) {
		struct key other;

		if (!c->slots[i])
			return &c->slots[i];
		other = key_of(&c->d->sets[c->slots[i] - 1], by_uid);
		if (same(k, &other))
			return &c->slots[i];
	}
}

static int grow(struct cgm_cast *c)
{
	uint32_t *old = c->slots;
	size_t old_cap = c->cap;

	if (c->nr * 2 < c->cap)
		return 0;
	c->cap = old_cap ? old_cap * 2 : FIRST_SLOTS;
	c->slots = cgm_draft_alloc(c->d, c->cap * sizeof(*c->slots));
	if (!c->slots) {
		c->slots = old;
		c->cap = old_cap;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old_cap; i++) {
		struct key k;

		if (!old[i])
			continue;
		k = key_of(&c->d->sets[old[i] - 1], true);
		*slot(c, &k, true) = old[i];
	}
	return 0;
}

/* ---- while it is read ---- */

int cgm_cast_add(struct cgm_cast *c, enum cgm_set_kind kind)
{
	int set;

	if (c->d->nr_sets >= CGM_CAST_MAX_SETS) {
		c->crowded = true;
		return -1;
	}
	set = cgm_draft_add(c->d, kind);
	return set < 0 ? -1 : set;
}

void cgm_cast_drop(struct cgm_cast *c, int set)
{
	c->d->sets[set].kind = DEAD;
}

bool cgm_cast_has_room(struct cgm_cast *c)
{
	c->crowded |= c->d->nr_labeled >= CGM_CAST_MAX_LABELED;
	return !c->crowded;
}

/* -1: it has to be made, at *ret_slot. */
static int find(struct cgm_cast *c, const struct key *k, uint32_t **ret_slot)
{
	*ret_slot = NULL;
	if (grow(c) < 0)
		return -1;
	*ret_slot = slot(c, k, true);
	return **ret_slot ? (int)(**ret_slot - 1) : -1;
}

static int put(struct cgm_cast *c, uint32_t *at, int set)
{
	*at = (uint32_t)set + 1;
	c->nr++;
	return set;
}

int cgm_cast_pod(struct cgm_cast *c, struct cgm_str pod_namespace, struct cgm_str pod, struct cgm_str uid)
{
	struct key k = { CGM_SET_POD, 0, pod_namespace, pod, uid };
	struct cgm_draft_set *s;
	uint32_t *at;
	int set = find(c, &k, &at);

	if (set >= 0 || !at || (set = cgm_cast_add(c, CGM_SET_POD)) < 0)
		return set;
	s = &c->d->sets[set];
	s->pod_namespace = cgm_draft_text(c->d, pod_namespace);
	s->pod = cgm_draft_text(c->d, pod);
	s->uid = uid.len ? cgm_draft_text(c->d, uid) : NULL;
	return c->d->failed ? -1 : put(c, at, set);
}

int cgm_cast_container(struct cgm_cast *c, int pod, struct cgm_str container)
{
	struct key k = { CGM_SET_CONTAINER, (uint32_t)pod, container, { "", 0 }, { "", 0 } };
	uint32_t *at;
	int set = find(c, &k, &at);

	if (set >= 0 || !at || (set = cgm_cast_add(c, CGM_SET_CONTAINER)) < 0)
		return set;
	c->d->sets[set].order = (uint32_t)pod;
	c->d->sets[set].container = cgm_draft_text(c->d, container);
	return c->d->failed ? -1 : put(c, at, set);
}

/* ---- when all is read ---- */

/* Of two with one name the one that started later stays, or the first. */
static void take_out_twins(struct cgm_cast *c, enum cgm_set_kind kind)
{
	struct cgm_draft_set *sets = c->d->sets;

	for (uint32_t i = 0; i < c->d->nr_sets; i++) {
		struct key k = key_of(&sets[i], false);
		uint32_t *at;

		if (sets[i].kind != kind)
			continue;
		if (kind == CGM_SET_CONTAINER && sets[sets[i].order].kind != CGM_SET_POD) {
			sets[i].kind = DEAD; /* its pod went */
			continue;
		}
		at = slot(c, &k, false);
		if (*at && sets[*at - 1].created_ns >= sets[i].created_ns) {
			sets[i].kind = DEAD;
			continue;
		}
		if (*at)
			sets[*at - 1].kind = DEAD;
		*at = i + 1;
	}
}

struct queue {
	struct cgm_draft *d;
	uint32_t *order; /* old index by new */
	uint32_t nr;
};

static void join(struct queue *q, uint32_t set)
{
	q->order[q->nr++] = set;
}

/* first, by pod, and next, by container: index + 1 of a container; 0: none. */
static void line_up(struct queue *q, uint32_t *first, uint32_t *next)
{
	struct cgm_draft_set *sets = q->d->sets;
	uint32_t nr = (uint32_t)q->d->nr_sets;

	for (uint32_t i = nr; i-- > 0;) {
		if (sets[i].kind != CGM_SET_CONTAINER)
			continue;
		next[i] = first[sets[i].order];
		first[sets[i].order] = i + 1;
	}
	for (int kind = CGM_SET_NODE; kind <= CGM_SET_SYS_CONTAINER; kind++)
		for (uint32_t i = 0; i < nr; i++)
			if ((int)sets[i].kind == kind)
				join(q, i);
	for (uint32_t i = 0; i < nr; i++) {
		if (sets[i].kind != CGM_SET_POD)
			continue;
		join(q, i);
		if (first[i])
			sets[i].present &= ~SUMS;
		for (uint32_t c = first[i]; c; c = next[c - 1]) {
			sets[c - 1].pod_namespace = sets[i].pod_namespace;
			sets[c - 1].pod = sets[i].pod;
			sets[c - 1].uid = sets[i].uid;
			join(q, c - 1);
		}
	}
}

/* Sets into their new places, and what refers to them. place: the new index by the old one. */
static int move(struct queue *q, uint32_t *place)
{
	struct cgm_draft *d = q->d;
	struct cgm_draft_set *copy = cgm_draft_alloc(d, d->nr_sets * sizeof(*copy));
	size_t kept = 0;

	if (!copy)
		return -ENOMEM;
	memset(place, 0xff, d->nr_sets * sizeof(*place));
	memcpy(copy, d->sets, d->nr_sets * sizeof(*copy));
	for (uint32_t i = 0; i < q->nr; i++) {
		place[q->order[i]] = i;
		d->sets[i] = copy[q->order[i]];
		d->sets[i].order = 0;
	}
	d->nr_sets = q->nr;
	for (size_t i = 0; i < d->nr_labeled; i++) {
		uint32_t to = place[d->labeled[i].set];

		d->labeled[kept] = d->labeled[i];
		d->labeled[kept].set = to;
		kept += to != UINT32_MAX;
	}
	d->nr_labeled = kept;
	kept = 0;
	for (size_t i = 0; i < d->nr_hists; i++) {
		uint32_t to = place[d->hists[i].set];

		d->hists[kept] = d->hists[i];
		d->hists[kept].set = to;
		kept += to != UINT32_MAX;
	}
	d->nr_hists = kept;
	return 0;
}

static bool in_order(const struct queue *q)
{
	uint32_t i = 0;

	while (i < q->nr && q->order[i] == i)
		i++;
	return i == q->d->nr_sets;
}

static int put_in_order(struct queue *q, uint32_t *place)
{
	if (!in_order(q))
		return move(q, place);
	for (uint32_t i = 0; i < q->nr; i++)
		q->d->sets[i].order = 0;
	return 0;
}

int cgm_cast_settle(struct cgm_cast *c)
{
	struct cgm_draft *d = c->d;
	size_t nr = d->nr_sets + 1, cap = FIRST_SLOTS;
	struct queue q = { .d = d };
	uint32_t *room;

	if (d->failed)
		return -ENOMEM;
	while (cap < nr * 2)
		cap *= 2;
	c->slots = cgm_draft_alloc(d, cap * sizeof(*c->slots));
	room = cgm_draft_alloc(d, 3 * nr * sizeof(*room));
	if (!c->slots || !room)
		return -ENOMEM;
	c->cap = cap;
	q.order = room + 2 * nr;
	take_out_twins(c, CGM_SET_SYS_CONTAINER);
	take_out_twins(c, CGM_SET_POD);
	take_out_twins(c, CGM_SET_CONTAINER);
	line_up(&q, room, room + nr);
	return put_in_order(&q, room);
}
