// SPDX-License-Identifier: Apache-2.0
#include "batch/draft.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/mem.h"

#define CHUNK_BYTES ((size_t)32 * 1024)

/* Memory that is given out piece by piece; the newest chunk comes first. */
struct cgm_draft_chunk {
	struct cgm_draft_chunk *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

void cgm_draft_clear(struct cgm_draft *d)
{
	struct cgm_draft_chunk *kept = d->chunks;

	for (size_t i = 0; i < d->nr_sets; i++)
		cgm_entity_unref(d->sets[i].entity);
	while (kept && kept->next) { /* the last one of them stays, an ordinary one as a rule */
		struct cgm_draft_chunk *next = kept->next;

		free(kept);
		kept = next;
	}
	if (kept)
		kept->used = 0;
	d->chunks = kept;
	d->nr_sets = d->nr_labeled = d->nr_hists = 0;
	d->node = NULL;
	d->failed = false;
}

void cgm_draft_done(struct cgm_draft *d)
{
	cgm_draft_clear(d);
	free(d->chunks);
	free(d->sets);
	free(d->labeled);
	free(d->hists);
	*d = (struct cgm_draft){ 0 };
}

int cgm_draft_add(struct cgm_draft *d, enum cgm_set_kind kind)
{
	if (cgm_grow((void **)&d->sets, &d->cap_sets, d->nr_sets, sizeof(*d->sets)) < 0) {
		d->failed = true;
		return -ENOMEM;
	}
	d->sets[d->nr_sets] = (struct cgm_draft_set){ .kind = kind };
	return (int)d->nr_sets++;
}

static void *take(struct cgm_draft *d, size_t size, size_t align)
{
	struct cgm_draft_chunk *c = d->chunks;
	size_t at = c ? (c->used + align - 1) / align * align : 0;

	if (!c || at > c->size || c->size - at < size) {
		size_t room = MAX(CHUNK_BYTES, size);

		c = cgm_malloc(sizeof(*c) + room);
		if (!c) {
			d->failed = true;
			return NULL;
		}
		*c = (struct cgm_draft_chunk){ .next = d->chunks, .size = room };
		d->chunks = c;
		at = 0;
	}
	c->used = at + size;
	return c->bytes + at;
}

const char *cgm_draft_text(struct cgm_draft *d, struct cgm_str text)
{
	char *to = take(d, text.len + 1, 1);

	if (!to)
		return NULL;
	if (text.len)
		memcpy(to, text.p, text.len);
	to[text.len] = '\0';
	return to;
}

void *cgm_draft_alloc(struct cgm_draft *d, size_t size)
{
	void *p = take(d, size, alignof(max_align_t));

	return p ? memset(p, 0, size) : NULL;
}

void cgm_draft_labeled(struct cgm_draft *d, uint32_t set, const struct cgm_labeled_facts *l)
{
	if (cgm_grow((void **)&d->labeled, &d->cap_labeled, d->nr_labeled, sizeof(*d->labeled)) < 0) {
		d->failed = true;
		return;
	}
	d->labeled[d->nr_labeled] = (struct cgm_draft_labeled){ set, *l };
	if (l->metric == CGM_CM_CUSTOM && !l->name)
		d->labeled[d->nr_labeled].labeled.name = ""; /* a slice has one in any case */
	d->nr_labeled++;
}

/* What a sender cannot know. */
static uint64_t seed(void)
{
	const void *random = (const void *)getauxval(AT_RANDOM); /* NOLINT(performance-no-int-to-ptr): 16 bytes of the kernel's */
	uint64_t v = 0;

	if (random)
		memcpy(&v, random, sizeof(v));
	return v;
}

uint64_t cgm_draft_hash(uint64_t h, struct cgm_str text)
{
	uint64_t v;

	h ^= seed();
	for (; text.len >= sizeof(v); text.p += sizeof(v), text.len -= sizeof(v)) {
		memcpy(&v, text.p, sizeof(v));
		h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	v = text.len;
	for (size_t i = 0; i < text.len; i++)
		v = v << 8 | (unsigned char)text.p[i];
	h = (h ^ v) * 0xbf58476d1ce4e5b9ULL;
	return h ^ h >> 31;
}

static const char resource_key[] = "resource_id";

static bool is_resource(const struct cgm_labeled_facts *l, struct cgm_str resource_id)
{
	return l->nr_labels == 1 && l->labels[0].key == resource_key && cgm_str_eq(resource_id, l->labels[0].value);
}

/* Several values of one resource come one after another: they share their label, and it is found again at once when they are sealed. */
void cgm_draft_resource(struct cgm_draft *d, uint32_t set, enum cgm_cm metric, struct cgm_str resource_id, int64_t value)
{
	struct cgm_labeled_facts l = { .metric = (uint8_t)metric, .nr_labels = 1, .value.i = value };
	struct cgm_tag *pair;

	if (d->nr_labeled && is_resource(&d->labeled[d->nr_labeled - 1].labeled, resource_id)) {
		l.labels = d->labeled[d->nr_labeled - 1].labeled.labels;
	} else {
		l.labels = pair = cgm_draft_alloc(d, sizeof(*pair));
		if (!pair)
			return;
		pair->key = resource_key;
		pair->value = cgm_draft_text(d, resource_id);
		if (!pair->value)
			return;
	}
	cgm_draft_labeled(d, set, &l);
}

void cgm_draft_hist(struct cgm_draft *d, uint32_t set, const struct cgm_cluster_hist *h)
{
	if (cgm_grow((void **)&d->hists, &d->cap_hists, d->nr_hists, sizeof(*d->hists)) < 0)
		d->failed = true;
	else
		d->hists[d->nr_hists++] = (struct cgm_draft_hist){ set, *h };
}

/* ---- sealing ---- */

struct place {
	uint32_t set, order; /* index in the draft */
	uint32_t nr_labeled, nr_hists;
};

/* Labels are few ("/", "logs", a pod's volumes) and values many: each list of labels stands in a slice once. */
struct list {
	const struct cgm_tag *from, *to; /* in the draft, in the slice */
	uint64_t hash;
	const char *name; /* of custom metrics: a part of it */
	uint32_t nr;
};

struct seal {
	const struct cgm_draft *d;
	struct place *places; /* of the sets that come, in their order */
	uint32_t *place_of; /* by the draft's index; UINT32_MAX: it does not come */
	uint32_t nr;
	struct list *lists;
	uint32_t *list_of, *table; /* by the draft's index of a labeled value; by hash: an index in lists, UINT32_MAX: free */
	uint32_t *sorted; /* the draft's indices of labeled values, by metric */
	uint32_t nr_lists, nr_table;
	size_t nr_values, nr_labeled, nr_hists, nr_tags, text;
};

static void seal_done(struct seal *s)
{
	free(s->places);
	free(s->place_of);
	free(s->lists);
	free(s->list_of);
}

static int by_order(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->set < y->set ? -1 : x->set > y->set;
}

static int choose(struct seal *s)
{
	const struct cgm_draft *d = s->d;
	bool unsorted = false;

	s->places = cgm_calloc(d->nr_sets + 1, sizeof(*s->places));
	s->place_of = cgm_malloc((d->nr_sets + 1) * sizeof(*s->place_of));
	if (!s->places || !s->place_of)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->nr_sets; i++) {
		s->place_of[i] = UINT32_MAX;
		if (!d->sets[i].entity)
			continue;
		s->places[s->nr++] = (struct place){ .set = i, .order = d->sets[i].order };
		s->nr_values += (size_t)__builtin_popcountll(d->sets[i].present);
	}
	for (uint32_t i = 1; i < s->nr && !unsorted; i++)
		unsorted = s->places[i - 1].order > s->places[i].order;
	if (unsorted)
		qsort(s->places, s->nr, sizeof(*s->places), by_order);
	for (uint32_t i = 0; i < s->nr; i++)
		s->place_of[s->places[i].set] = i;
	return 0;
}

static uint64_t hash_of(const struct cgm_labeled_facts *l)
{
	uint64_t hash = l->name ? cgm_draft_hash(0, cgm_str(l->name)) : 0;

	for (unsigned k = 0; k < l->nr_labels; k++)
		hash = cgm_draft_hash(cgm_draft_hash(hash, cgm_str(l->labels[k].key)), cgm_str(l->labels[k].value));
	return hash;
}

static bool same_name(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_list(const struct list *list, const struct cgm_labeled_facts *l, uint64_t hash)
{
	if (list->hash != hash || list->nr != l->nr_labels || !same_name(list->name, l->name))
		return false;
	for (unsigned k = 0; k < list->nr; k++)
		if (strcmp(list->from[k].key, l->labels[k].key) != 0 || strcmp(list->from[k].value, l->labels[k].value) != 0)
			return false;
	return true;
}

static int room_for_lists(struct seal *s)
{
	size_t nr = s->d->nr_labeled, nr_table = 16;

	while (nr_table < nr * 2)
		nr_table *= 2;
	s->lists = cgm_malloc((nr + 1) * sizeof(*s->lists));
	s->list_of = cgm_malloc((2 * nr + nr_table) * sizeof(*s->list_of));
	if (!s->lists || !s->list_of)
		return -ENOMEM;
	s->sorted = s->list_of + nr;
	s->table = s->sorted + nr;
	s->nr_table = (uint32_t)nr_table;
	memset(s->table, 0xff, nr_table * sizeof(*s->table));
	return 0;
}

/* Which list the labels of the draft's i-th labeled value are, a new one if need be. Values of one file system come one after the other. */
static uint32_t list_of(struct seal *s, size_t i)
{
	const struct cgm_labeled_facts *l = &s->d->labeled[i].labeled, *before = i ? &s->d->labeled[i - 1].labeled : NULL;
	uint64_t hash;
	uint32_t at;

	if (before && before->labels == l->labels && same_name(before->name, l->name) && before->nr_labels == l->nr_labels && s->place_of[s->d->labeled[i - 1].set] != UINT32_MAX)
		return s->list_of[i - 1];
	hash = hash_of(l);
	for (at = hash & (s->nr_table - 1); s->table[at] != UINT32_MAX; at = (at + 1) & (s->nr_table - 1))
		if (is_list(&s->lists[s->table[at]], l, hash))
			return s->table[at];
	s->lists[s->nr_lists] = (struct list){ .from = l->labels, .hash = hash, .name = l->name, .nr = l->nr_labels };
	s->nr_tags += l->nr_labels + (l->name ? 1u : 0);
	s->text += l->name ? strlen(l->name) + 1 : 0;
	for (unsigned k = 0; k < l->nr_labels; k++)
		s->text += strlen(l->labels[k].key) + strlen(l->labels[k].value) + 2;
	return s->table[at] = s->nr_lists++;
}

/* A set's values then come in their order, however many they are. Those of one metric stay as they are. */
static void sort_labeled(struct seal *s)
{
	const struct cgm_draft_labeled *labeled = s->d->labeled;
	uint32_t next[CGM_NR_CM + 1] = { 0 };

	for (size_t i = 0; i < s->d->nr_labeled; i++)
		next[labeled[i].labeled.metric + 1]++;
	for (int m = 0; m < CGM_NR_CM; m++)
		next[m + 1] += next[m];
	for (size_t i = 0; i < s->d->nr_labeled; i++)
		s->sorted[next[labeled[i].labeled.metric]++] = (uint32_t)i;
}

static void count(struct seal *s)
{
	for (size_t i = 0; i < s->d->nr_labeled; i++) {
		uint32_t place = s->place_of[s->d->labeled[i].set];

		if (place == UINT32_MAX)
			continue;
		s->places[place].nr_labeled++;
		s->nr_labeled++;
		s->list_of[i] = list_of(s, i);
	}
	for (size_t i = 0; i < s->d->nr_hists; i++) {
		uint32_t place = s->place_of[s->d->hists[i].set];

		if (place == UINT32_MAX)
			continue;
		s->places[place].nr_hists++;
		s->nr_hists++;
	}
}

/* Where the next of each kind goes. */
struct cursor {
	union cgm_cm_value *value;
	struct cgm_labeled *labeled;
	struct cgm_cluster_hist *hist;
	struct cgm_tag *tag;
	char *text;
};

static const char *put_text(struct cursor *c, const char *text)
{
	size_t size = strlen(text) + 1;
	char *to = c->text;

	memcpy(to, text, size);
	c->text += size;
	return to;
}

static void put_set(struct seal *s, struct cursor *c, const struct place *p, struct cgm_set *to)
{
	const struct cgm_draft_set *from = &s->d->sets[p->set];

	*to = (struct cgm_set){
		.entity = cgm_entity_ref(from->entity), .scraped_ns = from->scraped_ns, .created_ns = from->created_ns, .present = from->present,
		.values = c->value, .labeled = c->labeled, .hists = c->hist,
	};
	for (uint64_t left = from->present; left; left &= left - 1)
		*c->value++ = from->values[__builtin_ctzll(left)];
	c->labeled += p->nr_labeled;
	c->hist += p->nr_hists;
}

static const struct cgm_tag *put_list(struct cursor *c, struct list *list)
{
	if (list->to)
		return list->to;
	list->to = c->tag;
	for (uint32_t k = 0; k < list->nr; k++)
		*c->tag++ = (struct cgm_tag){ put_text(c, list->from[k].key), put_text(c, list->from[k].value) };
	if (list->name)
		*c->tag++ = (struct cgm_tag){ .key = put_text(c, list->name) };
	return list->to;
}

static void put_labeled(struct cursor *c, struct cgm_set *set, const struct cgm_labeled_facts *from, struct list *list)
{
	struct cgm_labeled *to = (struct cgm_labeled *)&set->labeled[set->nr_labeled++];

	*to = (struct cgm_labeled){ .value = from->value, .labels_at = (uint32_t)((const char *)put_list(c, list) - (const char *)to),
				    .metric = from->metric, .is_float = from->is_float, .nr_labels = from->nr_labels };
}

static void put_hist(struct cgm_set *set, const struct cgm_cluster_hist *h)
{
	struct cgm_cluster_hist *array = (struct cgm_cluster_hist *)set->hists;
	uint32_t at = set->nr_hists++;

	for (; at > 0 && array[at - 1].hist > h->hist; at--)
		array[at] = array[at - 1];
	array[at] = *h;
}

static void fill(struct seal *s, struct cgm_slice *slice, struct cgm_set *sets, const char *node)
{
	struct cursor c = { .hist = (struct cgm_cluster_hist *)(sets + s->nr) };

	c.labeled = (struct cgm_labeled *)(c.hist + s->nr_hists);
	c.tag = (struct cgm_tag *)(c.labeled + s->nr_labeled);
	c.value = (union cgm_cm_value *)(c.tag + s->nr_tags);
	c.text = (char *)(c.value + s->nr_values);
	for (uint32_t i = 0; i < s->nr; i++)
		put_set(s, &c, &s->places[i], &sets[i]);
	for (size_t i = 0; i < s->d->nr_labeled; i++) {
		const struct cgm_draft_labeled *l = &s->d->labeled[s->sorted[i]];

		if (s->place_of[l->set] != UINT32_MAX)
			put_labeled(&c, &sets[s->place_of[l->set]], &l->labeled, &s->lists[s->list_of[s->sorted[i]]]);
	}
	for (size_t i = 0; i < s->d->nr_hists; i++)
		if (s->place_of[s->d->hists[i].set] != UINT32_MAX)
			put_hist(&sets[s->place_of[s->d->hists[i].set]], &s->d->hists[i].hist);
	slice->node = put_text(&c, node);
}

int cgm_draft_seal(const struct cgm_draft *d, const char *node, uint64_t end_ns, uint64_t resolution_ns, struct cgm_slice **ret)
{
	_cleanup_(seal_done) struct seal s = { .d = d };
	struct cgm_slice *slice;
	size_t bytes;

	if (d->failed || choose(&s) < 0 || room_for_lists(&s) < 0)
		return -ENOMEM;
	count(&s);
	sort_labeled(&s);
	bytes = sizeof(*slice) + s.nr * sizeof(struct cgm_set) + s.nr_hists * sizeof(struct cgm_cluster_hist) + s.nr_labeled * sizeof(struct cgm_labeled) +
		s.nr_tags * sizeof(struct cgm_tag) + s.nr_values * sizeof(union cgm_cm_value) + s.text + strlen(node) + 1;
	slice = bytes < UINT32_MAX ? cgm_malloc(bytes) : NULL; /* distances within it have 32 bits */
	if (!slice)
		return -ENOMEM;
	*slice = (struct cgm_slice){
		.refs = 1, .nr_sets = s.nr, .end_ns = end_ns, .resolution_ns = resolution_ns, .nr_points = s.nr_values + s.nr_labeled,
		.sets = (struct cgm_set *)(slice + 1), .bytes = bytes,
	};
	fill(&s, slice, (struct cgm_set *)(slice + 1), node);
	*ret = slice;
	return 0;
}
