// SPDX-License-Identifier: Apache-2.0
#include "batch/store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "batch/track.h"

#define SHORT_NS 140000000000ULL
#define LONG_NS 900000000000ULL
#define CYCLE_NS 60000000000ULL /* where a slice does not say its resolution */
#define MAX_CYCLES 3600
#define MAX_GONE 64

struct cgm_track_node {
	char *name; /* "": the sums */
	struct cgm_slice **slices; /* by their end */
	struct cgm_track **tracks; /* about in the order of the slices' sets */
	size_t nr_slices, cap_slices, nr_tracks, cap_tracks;
};

struct cgm_cluster_store {
	pthread_mutex_t lock; /* of all that follows */
	uint64_t short_ns, long_ns;
	size_t max_slices;
	bool no_long; /* tracks say where a set is, and no more */
	struct cgm_hash nodes; /* by name, and the sums */
	struct cgm_tracks tracks;
	struct cgm_track **found; /* of the slice that is being put */
	size_t cap_found;
	uint64_t nr_slices, slice_bytes, node_bytes;
};

int cgm_cluster_store_new(const struct cgm_cluster_store_config *config, struct cgm_cluster_store **ret)
{
	struct cgm_cluster_store *st = cgm_calloc(1, sizeof(*st));

	if (!st)
		return -ENOMEM;
	pthread_mutex_init(&st->lock, NULL);
	st->short_ns = config->short_ns ? config->short_ns : SHORT_NS;
	st->long_ns = MAX(config->long_ns ? config->long_ns : LONG_NS, st->short_ns);
	st->no_long = st->long_ns == st->short_ns;
	st->max_slices = config->max_slices ? config->max_slices : SIZE_MAX;
	*ret = st;
	return 0;
}

/* ---- nodes ---- */

static void free_slices(struct cgm_slice **slices, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		cgm_slice_unref(slices[i]);
}

static void node_free(struct cgm_cluster_store *st, struct cgm_track_node *n)
{
	cgm_hash_del(&st->nodes, n->name);
	for (size_t i = 0; i < n->nr_tracks; i++)
		cgm_track_free(&st->tracks, n->tracks[i]);
	for (size_t i = 0; i < n->nr_slices; i++)
		st->slice_bytes -= n->slices[i]->bytes;
	st->nr_slices -= n->nr_slices;
	st->node_bytes -= sizeof(*n) + strlen(n->name) + 1 + n->cap_tracks * sizeof(*n->tracks) + n->cap_slices * sizeof(*n->slices);
	free_slices(n->slices, n->nr_slices);
	free(n->slices);
	free(n->tracks);
	free(n->name);
	free(n);
}

static struct cgm_track_node *node_new(struct cgm_cluster_store *st, const char *name)
{
	struct cgm_track_node *n = cgm_calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->name = cgm_strdup(name);
	if (!n->name || cgm_hash_put(&st->nodes, n->name, n) < 0) {
		free(n->name);
		free(n);
		return NULL;
	}
	st->node_bytes += sizeof(*n) + strlen(name) + 1;
	return n;
}

void cgm_cluster_store_free(struct cgm_cluster_store *st)
{
	struct cgm_track_node *n;

	if (!st)
		return;
	for (size_t pos = 0; (n = cgm_hash_next(&st->nodes, &pos));)
		node_free(st, n);
	cgm_tracks_done(&st->tracks);
	cgm_hash_done(&st->nodes);
	free(st->found);
	pthread_mutex_destroy(&st->lock);
	free(st);
}

/* Tracks whose last slice is kept no more. Their order stays. */
static void forget_tracks(struct cgm_cluster_store *st, struct cgm_track_node *n)
{
	uint64_t oldest_ns = n->nr_slices ? n->slices[0]->end_ns : UINT64_MAX, newest_ns = n->nr_slices ? n->slices[n->nr_slices - 1]->end_ns : 0;
	size_t nr = 0;

	for (size_t i = 0; i < n->nr_tracks; i++) {
		struct cgm_track *t = n->tracks[i];

		t->last_ns = MIN(t->last_ns, newest_ns); /* a slice of the future may be gone */
		if (!t->last_ns || t->last_ns < oldest_ns) {
			cgm_track_free(&st->tracks, t);
			continue;
		}
		t->place = (uint32_t)nr;
		n->tracks[nr++] = t;
	}
	n->nr_tracks = nr;
}

/* Takes the slices that are too far from that time out of the node, into gone. How many. */
static size_t drop_slices(struct cgm_cluster_store *st, struct cgm_track_node *n, uint64_t now_ns, struct cgm_slice *gone[MAX_GONE])
{
	size_t nr = 0, nr_gone = 0;

	for (size_t i = 0; i < n->nr_slices; i++) {
		struct cgm_slice *s = n->slices[i];
		uint64_t keep_ns = MAX(st->short_ns, 2 * s->resolution_ns), away_ns = s->end_ns > now_ns ? s->end_ns - now_ns : now_ns - s->end_ns;

		if (away_ns <= keep_ns) {
			n->slices[nr++] = s;
			continue;
		}
		st->slice_bytes -= s->bytes;
		st->nr_slices--;
		if (nr_gone < MAX_GONE)
			gone[nr_gone++] = s;
		else
			cgm_slice_unref(s);
	}
	n->nr_slices = nr;
	return nr_gone;
}

/* ---- put ---- */

static struct cgm_track_value value_of(const struct cgm_set *set)
{
	return (struct cgm_track_value){
		cgm_set_has(set, CGM_CM_CPU_USAGE_RATE) ? cgm_set_value(set, CGM_CM_CPU_USAGE_RATE).i : CGM_TRACK_NONE,
		cgm_set_has(set, CGM_CM_MEMORY_USAGE) ? cgm_set_value(set, CGM_CM_MEMORY_USAGE).i : CGM_TRACK_NONE,
	};
}

/* Sets come in nearly the same order every time, with the same entities. */
static struct cgm_track *track_of(struct cgm_cluster_store *st, struct cgm_track_node *n, size_t place, struct cgm_entity *e)
{
	struct cgm_track *t = NULL;

	if (place < n->nr_tracks && n->tracks[place]->entity == e)
		return n->tracks[place];
	do
		t = cgm_tracks_find(&st->tracks, t, e->hash, e->key);
	while (t && t->node != n);
	if (t) {
		cgm_entity_ref(e);
		cgm_entity_unref(t->entity);
		t->entity = e;
		return t;
	}
	st->node_bytes -= n->cap_tracks * sizeof(struct cgm_track *);
	if (cgm_grow((void **)&n->tracks, &n->cap_tracks, n->nr_tracks, sizeof(struct cgm_track *)) == 0)
		t = cgm_track_new(&st->tracks, n, e);
	st->node_bytes += n->cap_tracks * sizeof(struct cgm_track *);
	if (!t)
		return NULL;
	t->place = (uint32_t)n->nr_tracks;
	n->tracks[n->nr_tracks++] = t;
	return t;
}

/* Everything that can fail: a track with a ring for each set. */
static int find_tracks(struct cgm_cluster_store *st, struct cgm_track_node *n, const struct cgm_slice *s)
{
	size_t place = 0;

	while (st->cap_found < s->nr_sets)
		if (cgm_grow((void **)&st->found, &st->cap_found, st->cap_found, sizeof(struct cgm_track *)) < 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < s->nr_sets; i++) {
		struct cgm_track *t = track_of(st, n, place, s->sets[i].entity);

		if (!t || (!st->no_long && cgm_track_reserve(&st->tracks, t, value_of(&s->sets[i])) < 0))
			return -ENOMEM;
		st->found[i] = t;
		place = t->place + 1U;
	}
	return 0;
}

/* Its place is free or made so. The slice that was there before, or NULL. */
static struct cgm_slice *insert(struct cgm_cluster_store *st, struct cgm_track_node *n, struct cgm_slice *s)
{
	size_t at = n->nr_slices;
	struct cgm_slice *old;

	while (at > 0 && n->slices[at - 1]->end_ns >= s->end_ns)
		at--;
	st->slice_bytes += s->bytes;
	if (at < n->nr_slices && n->slices[at]->end_ns == s->end_ns) {
		old = n->slices[at];
		st->slice_bytes -= old->bytes;
		n->slices[at] = s;
		return old;
	}
	memmove(n->slices + at + 1, n->slices + at, (n->nr_slices - at) * sizeof(*n->slices));
	n->slices[at] = s;
	n->nr_slices++;
	st->nr_slices++;
	return NULL;
}

/* Has each set of the newest slice a sample of its own, later than the one in the slice before? */
static bool all_new(const struct cgm_track_node *n)
{
	const struct cgm_slice *s = n->slices[n->nr_slices - 1], *before = n->slices[n->nr_slices - 2];
	uint32_t at = 0;

	for (uint32_t i = 0; i < s->nr_sets; i++) {
		while (at < before->nr_sets && before->sets[at].entity != s->sets[i].entity)
			at++;
		if (at == before->nr_sets || (s->sets[i].scraped_ns && s->sets[i].scraped_ns <= before->sets[at].scraped_ns))
			return false;
		at++;
	}
	return true;
}

/*
 * Is the oldest slice too old when its successor of this cycle has come? cgm_cluster_store_age would say so at the end of the cycle, but until then each node would have one more than it needs. Not
 * after a jump of the clock: there that decides alone.
 */
static bool is_past(const struct cgm_cluster_store *st, const struct cgm_track_node *n)
{
	const struct cgm_slice *last, *before, *oldest = n->slices[0];

	if (n->nr_slices < 3)
		return false;
	last = n->slices[n->nr_slices - 1];
	before = n->slices[n->nr_slices - 2];
	return last->end_ns - before->end_ns <= 2 * last->resolution_ns && last->end_ns - oldest->end_ns > MAX(st->short_ns, 2 * oldest->resolution_ns);
}

/*
 * After s was put. Where few slices are wanted, then for two samples of each set: the last two slices are enough, unless one of them says nothing new. A clock that was set back leaves slices of the
 * future: beside them s, the present, would be the one that goes. cgm_cluster_store_age knows the time, and takes them.
 */
static void trim(struct cgm_cluster_store *st, struct cgm_track_node *n, const struct cgm_slice *s)
{
	bool newest = n->slices[n->nr_slices - 1] == s;
	size_t wanted = n->nr_slices > 2 && st->max_slices <= n->nr_slices && all_new(n) ? 2 : st->max_slices;
	size_t extra = !newest ? 0 : n->nr_slices > wanted ? n->nr_slices - wanted : is_past(st, n);

	for (size_t i = 0; i < extra; i++) {
		st->slice_bytes -= n->slices[i]->bytes;
		cgm_slice_unref(n->slices[i]);
	}
	st->nr_slices -= extra;
	n->nr_slices -= extra;
	if (extra)
		memmove(n->slices, n->slices + extra, n->nr_slices * sizeof(struct cgm_slice *));
}

static void take_back(const struct cgm_cluster_store *st, struct cgm_track_node *n, uint32_t cycle)
{
	for (size_t i = 0; i < n->nr_tracks; i++)
		cgm_track_put(&st->tracks, n->tracks[i], cycle, (struct cgm_track_value){ CGM_TRACK_NONE, CGM_TRACK_NONE });
}

static int prepare(struct cgm_cluster_store *st, const struct cgm_slice *s, struct cgm_track_node **ret)
{
	uint64_t cycle_ns = s->resolution_ns ? s->resolution_ns : CYCLE_NS;
	struct cgm_track_node *n;
	int r;

	if (!st->tracks.cap && cgm_tracks_init(&st->tracks, (uint32_t)MIN(st->long_ns / cycle_ns + 1, MAX_CYCLES)) < 0)
		return -ENOMEM;
	n = cgm_hash_get(&st->nodes, s->node);
	if (!n)
		n = node_new(st, s->node);
	if (!n)
		return -ENOMEM;
	st->node_bytes -= n->cap_slices * sizeof(*n->slices);
	r = cgm_grow((void **)&n->slices, &n->cap_slices, n->nr_slices, sizeof(*n->slices));
	st->node_bytes += n->cap_slices * sizeof(*n->slices);
	if (r == 0)
		r = find_tracks(st, n, s);
	if (r < 0) {
		forget_tracks(st, n);
		if (!n->nr_slices)
			node_free(st, n);
		return r;
	}
	*ret = n;
	return 0;
}

static int put(struct cgm_cluster_store *st, struct cgm_slice *s, struct cgm_slice **ret_old)
{
	struct cgm_track_node *n;
	uint32_t cycle;
	int r = prepare(st, s, &n);

	if (r < 0)
		return r;
	cycle = cgm_tracks_cycle(&st->tracks, s->end_ns);
	*ret_old = insert(st, n, cgm_slice_ref(s));
	if (*ret_old)
		take_back(st, n, cycle);
	for (uint32_t i = 0; i < s->nr_sets; i++) {
		struct cgm_track *t = st->found[i];

		cgm_track_put(&st->tracks, t, cycle, value_of(&s->sets[i]));
		t->last_ns = MAX(t->last_ns, s->end_ns);
	}
	trim(st, n, s);
	return 0;
}

int cgm_cluster_store_put(struct cgm_cluster_store *st, struct cgm_slice *s)
{
	struct cgm_slice *old = NULL;
	int r;

	pthread_mutex_lock(&st->lock);
	r = put(st, s, &old);
	pthread_mutex_unlock(&st->lock);
	cgm_slice_unref(old);
	return r;
}

/* ---- age ---- */

void cgm_cluster_store_age(struct cgm_cluster_store *st, uint64_t now_ns)
{
	struct cgm_slice *gone[MAX_GONE];
	struct cgm_track_node *n = NULL;
	size_t pos = 0;

	do { /* the lock is let go after each node that loses something, so that nobody waits for all of them */
		size_t nr = 0;

		pthread_mutex_lock(&st->lock);
		while (nr == 0 && (n = cgm_hash_next(&st->nodes, &pos))) {
			nr = drop_slices(st, n, now_ns, gone);
			if (!n->nr_slices)
				node_free(st, n);
			else if (n->nr_tracks != n->slices[n->nr_slices - 1]->nr_sets)
				forget_tracks(st, n);
		}
		pthread_mutex_unlock(&st->lock);
		free_slices(gone, nr);
	} while (n);
}

/* ---- readers ---- */

void cgm_cluster_slices_free(struct cgm_slice **slices, size_t nr)
{
	if (slices)
		free_slices(slices, nr);
	free(slices);
}

static int by_node(const void *a, const void *b)
{
	const struct cgm_slice *x = *(struct cgm_slice *const *)a, *y = *(struct cgm_slice *const *)b;

	if (!*x->node != !*y->node)
		return *x->node ? -1 : 1;
	return strcmp(x->node, y->node);
}

int cgm_cluster_store_newest(struct cgm_cluster_store *st, struct cgm_slice ***ret, size_t *ret_nr)
{
	struct cgm_slice **slices;
	struct cgm_track_node *n;
	size_t nr = 0;

	pthread_mutex_lock(&st->lock);
	slices = cgm_malloc((st->nodes.live + 1) * sizeof(struct cgm_slice *));
	for (size_t pos = 0; slices && (n = cgm_hash_next(&st->nodes, &pos));)
		slices[nr++] = cgm_slice_ref(n->slices[n->nr_slices - 1]);
	pthread_mutex_unlock(&st->lock);
	if (!slices)
		return -ENOMEM;
	qsort(slices, nr, sizeof(struct cgm_slice *), by_node);
	*ret = slices;
	*ret_nr = nr;
	return 0;
}

int cgm_cluster_store_slices(struct cgm_cluster_store *st, const char *node, struct cgm_slice ***ret, size_t *ret_nr)
{
	const struct cgm_track_node *n;
	struct cgm_slice **slices;
	size_t nr = 0;

	pthread_mutex_lock(&st->lock);
	n = cgm_hash_get(&st->nodes, node);
	slices = cgm_malloc(((n ? n->nr_slices : 0) + 1) * sizeof(struct cgm_slice *));
	for (; slices && n && nr < n->nr_slices; nr++)
		slices[nr] = cgm_slice_ref(n->slices[nr]);
	pthread_mutex_unlock(&st->lock);
	if (!slices)
		return -ENOMEM;
	*ret = slices;
	*ret_nr = nr;
	return 0;
}

/* The slices of all nodes that have the set. *ret_nodes: how many these are. */
static struct cgm_slice **gather(struct cgm_cluster_store *st, const char *key, size_t *ret_nr, size_t *ret_nodes)
{
	uint64_t hash = cgm_hash_bytes(key, strlen(key));
	struct cgm_slice **slices;
	struct cgm_track *t = NULL;
	size_t room = 1;

	*ret_nr = *ret_nodes = 0;
	pthread_mutex_lock(&st->lock);
	while ((t = cgm_tracks_find(&st->tracks, t, hash, key)))
		room += t->node->nr_slices;
	slices = cgm_malloc(room * sizeof(struct cgm_slice *));
	while (slices && (t = cgm_tracks_find(&st->tracks, t, hash, key))) {
		for (size_t i = 0; i < t->node->nr_slices; i++)
			slices[(*ret_nr)++] = cgm_slice_ref(t->node->slices[i]);
		++*ret_nodes;
	}
	pthread_mutex_unlock(&st->lock);
	return slices;
}

static int by_end(const void *a, const void *b)
{
	const struct cgm_slice *x = *(struct cgm_slice *const *)a, *y = *(struct cgm_slice *const *)b;

	return x->end_ns < y->end_ns ? -1 : x->end_ns > y->end_ns;
}

int cgm_cluster_store_slices_of(struct cgm_cluster_store *st, const char *key, struct cgm_slice ***ret, size_t *ret_nr)
{
	size_t nr, nr_nodes, kept = 0;
	struct cgm_slice **slices = gather(st, key, &nr, &nr_nodes);

	if (!slices)
		return -ENOMEM;
	if (nr_nodes > 1) { /* it moved: of each node what has it */
		for (size_t i = 0; i < nr; i++)
			if (cgm_slice_find(slices[i], key))
				slices[kept++] = slices[i];
			else
				cgm_slice_unref(slices[i]);
		nr = kept;
		qsort(slices, nr, sizeof(struct cgm_slice *), by_end);
	}
	*ret = slices;
	*ret_nr = nr;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct cgm_cluster_point *x = a, *y = b;

	return x->end_ns < y->end_ns ? -1 : x->end_ns > y->end_ns;
}

static bool within(uint64_t ns, uint64_t start_ns, uint64_t until_ns)
{
	return ns >= start_ns && (!until_ns || ns <= until_ns);
}

static int64_t cell(struct cgm_track_value v, enum cgm_cm m)
{
	return m == CGM_CM_CPU_USAGE_RATE ? v.cpu : v.memory;
}

/* Of a pod that moved, in a cycle in which both nodes have it, the one that has had it last. */
static int64_t newest_cell(const struct cgm_cluster_store *st, uint64_t hash, const char *key, uint32_t cycle, enum cgm_cm m)
{
	const struct cgm_track *t = NULL;
	uint64_t last_ns = 0;
	int64_t value = CGM_TRACK_NONE;

	while ((t = cgm_tracks_find(&st->tracks, t, hash, key))) {
		int64_t v = cell(cgm_track_get(&st->tracks, t, cycle), m);

		if (v != CGM_TRACK_NONE && (value == CGM_TRACK_NONE || t->last_ns > last_ns)) {
			value = v;
			last_ns = t->last_ns;
		}
	}
	return value;
}

static int long_points(struct cgm_cluster_store *st, const char *key, enum cgm_cm m, uint64_t start_ns, uint64_t until_ns, struct cgm_cluster_point **ret, size_t *ret_nr)
{
	const struct cgm_tracks *ts = &st->tracks;
	uint64_t hash = cgm_hash_bytes(key, strlen(key));
	struct cgm_cluster_point *points = NULL;
	uint64_t oldest_ns;
	bool known;
	size_t nr = 0;

	pthread_mutex_lock(&st->lock);
	known = cgm_tracks_find(ts, NULL, hash, key);
	if (known)
		points = cgm_malloc(ts->cap * sizeof(*points));
	oldest_ns = ts->cap && ts->ends[ts->cycle % ts->cap] > st->long_ns ? ts->ends[ts->cycle % ts->cap] - st->long_ns : 0;
	for (uint32_t i = 0; points && i < ts->cap; i++) {
		uint32_t cycle = ts->cycle - i;
		uint64_t end_ns = ts->ends[cycle % ts->cap];
		int64_t v = newest_cell(st, hash, key, cycle, m);

		if (v != CGM_TRACK_NONE && within(end_ns, MAX(start_ns, oldest_ns), until_ns))
			points[nr++] = (struct cgm_cluster_point){ end_ns, { .i = v } };
	}
	pthread_mutex_unlock(&st->lock);
	if (!points)
		return known ? -ENOMEM : -ENOENT;
	qsort(points, nr, sizeof(*points), by_time);
	*ret = points;
	*ret_nr = nr;
	return 0;
}

static int short_points(struct cgm_cluster_store *st, const char *key, enum cgm_cm m, uint64_t start_ns, uint64_t until_ns, struct cgm_cluster_point **ret, size_t *ret_nr)
{
	struct cgm_slice **slices;
	struct cgm_cluster_point *points;
	size_t nr_slices, nr = 0;
	int r = cgm_cluster_store_slices_of(st, key, &slices, &nr_slices);

	if (r < 0)
		return r;
	points = nr_slices ? cgm_malloc(nr_slices * sizeof(*points)) : NULL;
	for (size_t i = 0; points && i < nr_slices; i++) {
		const struct cgm_set *set = within(slices[i]->end_ns, start_ns, until_ns) ? cgm_slice_find(slices[i], key) : NULL;

		if (set && cgm_set_has(set, m))
			points[nr++] = (struct cgm_cluster_point){ slices[i]->end_ns, cgm_set_value(set, m) };
	}
	cgm_cluster_slices_free(slices, nr_slices);
	if (!points)
		return nr_slices ? -ENOMEM : -ENOENT;
	*ret = points;
	*ret_nr = nr;
	return 0;
}

int cgm_cluster_store_points(struct cgm_cluster_store *st, const char *key, enum cgm_cm m, uint64_t start_ns, uint64_t until_ns, struct cgm_cluster_point **ret, size_t *ret_nr)
{
	if (m >= CGM_NR_SCALARS)
		return -ENOENT;
	if (!st->no_long && (m == CGM_CM_CPU_USAGE_RATE || m == CGM_CM_MEMORY_USAGE))
		return long_points(st, key, m, start_ns, until_ns, ret, ret_nr);
	return short_points(st, key, m, start_ns, until_ns, ret, ret_nr);
}

struct cgm_cluster_store_stats cgm_cluster_store_stats(struct cgm_cluster_store *st)
{
	struct cgm_cluster_store_stats stats = { 0 };
	const struct cgm_track_node *n;

	pthread_mutex_lock(&st->lock);
	for (size_t pos = 0; (n = cgm_hash_next(&st->nodes, &pos));) {
		if (!*n->name)
			continue;
		stats.nr_nodes++;
		stats.newest_ns = MAX(stats.newest_ns, n->slices[n->nr_slices - 1]->end_ns);
	}
	stats.nr_sets = st->tracks.nr;
	stats.nr_slices = st->nr_slices;
	stats.bytes = st->slice_bytes + st->node_bytes + st->tracks.bytes + st->nodes.cap * 24;
	pthread_mutex_unlock(&st->lock);
	return stats;
}
