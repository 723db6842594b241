// SPDX-License-Identifier: Apache-2.0
/*
 * One ring a type, sorted by time and number. Records come nearly in that order, so that adding is appending; containers that a listing finds
 * later than they came are put where they belong.
 */
#include "model/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

#define MAX_PENDING 1024
#define MAX_EXITS 2048 /* deletions that are looked through for one whose exit code comes late */
#define MAX_STREAMS 64
#define LOOK_AT_ONCE 2048 /* records, with the lock held */
#define ALL_TYPES ((1u << CGM_NR_RECORD_TYPES) - 1)

const char *const cgm_record_names[CGM_NR_RECORD_TYPES] = { "oom", "oomKill", "containerCreation", "containerDeletion" };

/* nr records from index first on, round the end. */
struct ring {
	struct cgm_record **at;
	size_t first, nr, cap;
};

struct cgm_events {
	struct cgm_events_limits limits;
	struct cgm_bell *bell;
	/* The sampler's own: */
	struct cgm_record *pending[MAX_PENDING];
	size_t nr_pending;
	uint64_t last_seq;
	/* With the lock: */
	pthread_mutex_t lock;
	struct ring ring[CGM_NR_RECORD_TYPES];
	struct cgm_record *tail[CGM_EVENTS_TAIL]; /* by seq modulo its size */
	uint64_t next_seq; /* of the record that comes next into the tail */
	struct cgm_events_stats stats; /* each member atomic */
};

const char *cgm_oom_constraint_name(enum cgm_oom_constraint c)
{
	static const char *const names[] = { "CONSTRAINT_NONE", "CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY", "CONSTRAINT_MEMCG" };

	return (unsigned)c < ARRAY_SIZE(names) ? names[c] : "";
}

static void count(uint64_t *counter, uint64_t nr)
{
	__atomic_add_fetch(counter, nr, __ATOMIC_RELAXED);
}

/* ---- limits ---- */

void cgm_events_limits_init(struct cgm_events_limits *l)
{
	for (unsigned i = 0; i < CGM_NR_RECORD_TYPES; i++) {
		l->max_age_ns[i] = 24 * 3600 * CGM_NSEC_PER_SEC;
		l->max_nr[i] = 100000;
	}
}

/* The types that a key means, bit per type; 0: none. */
static unsigned types_of(struct cgm_str key)
{
	static const struct {
		const char *name;
		unsigned types;
	} words[] = {
		{ "default", ALL_TYPES },	 { "oom", 1u << CGM_RECORD_OOM },
		{ "oomKill", 1u << CGM_RECORD_OOM_KILL },	 { "oom_kill", 1u << CGM_RECORD_OOM_KILL },
		{ "containerCreation", 1u << CGM_RECORD_CREATION }, { "creation", 1u << CGM_RECORD_CREATION },
		{ "containerDeletion", 1u << CGM_RECORD_DELETION }, { "deletion", 1u << CGM_RECORD_DELETION },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (cgm_str_eq(key, words[i].name))
			return words[i].types;
	return 0;
}

typedef int (*parse_fn)(struct cgm_str s, uint64_t *ret);

/* One "oom=1h". 0 with the types that it is of, or -EINVAL. */
static int parse_limit(struct cgm_str part, parse_fn parse, const char *wanted, unsigned *ret_types, uint64_t *ret, const char **ret_fault)
{
	struct cgm_str key;

	part = cgm_trim(part);
	*ret_fault = "must be a list like default=…,oom=…";
	if (!part.len || !memchr(part.p, '=', part.len) || !cgm_next_field(&part, '=', &key))
		return -EINVAL;
	*ret_fault = "names a type that is none of default, oom, oomKill, containerCreation, containerDeletion";
	*ret_types = types_of(key);
	if (!*ret_types)
		return -EINVAL;
	*ret_fault = wanted;
	return parse(part, ret);
}

/* A type's own value counts whatever the order in which it and the default stand: hence the default first. */
static int parse_limits(const char *text, parse_fn parse, const char *wanted, uint64_t *values, const char **ret_fault)
{
	uint64_t found[CGM_NR_RECORD_TYPES], v;

	memcpy(found, values, sizeof(found));
	for (int own = 0; own < 2; own++) {
		struct cgm_str rest = cgm_str(text), part;
		unsigned types;

		while (cgm_next_field(&rest, ',', &part)) {
			if (parse_limit(part, parse, wanted, &types, &v, ret_fault) < 0)
				return -EINVAL;
			for (unsigned i = 0; (types != ALL_TYPES) == own && i < CGM_NR_RECORD_TYPES; i++)
				found[i] = types >> i & 1 ? v : found[i];
		}
	}
	*ret_fault = NULL;
	memcpy(values, found, sizeof(found));
	return 0;
}

int cgm_events_parse_ages(const char *text, struct cgm_events_limits *l, const char **ret_fault)
{
	return parse_limits(text, cgm_parse_duration_ns, "takes durations such as 24h", l->max_age_ns, ret_fault);
}

int cgm_events_parse_numbers(const char *text, struct cgm_events_limits *l, const char **ret_fault)
{
	return parse_limits(text, cgm_parse_u64, "takes whole numbers", l->max_nr, ret_fault);
}

/* ---- records ---- */

static size_t record_bytes(const struct cgm_record *r)
{
	return sizeof(*r) + (size_t)(r->process - r->container) + strlen(r->process) + 1;
}

void cgm_record_unref(struct cgm_record *r)
{
	if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(r);
}

static struct cgm_record *record_new(const struct cgm_happening *h)
{
	const char *process = h->process ? h->process : "";
	size_t len = strlen(h->container) + 1;
	struct cgm_record *r = cgm_malloc(sizeof(*r) + len + strlen(process) + 1);

	if (!r)
		return NULL;
	*r = (struct cgm_record){
		.refs = 1,
		.type = (uint8_t)h->type,
		.constraint = (uint8_t)h->constraint,
		.number = h->number,
		.time_ns = h->time_ns,
		.process = r->container + len,
	};
	memcpy(r->container, h->container, len);
	memcpy(r->container + len, process, strlen(process) + 1);
	return r;
}

static bool is_behind(const struct cgm_record *r, struct cgm_events_place p)
{
	return r->time_ns != p.time_ns ? r->time_ns > p.time_ns : r->seq > p.seq;
}

/* ---- rings ---- */

static struct cgm_record **ring_at(const struct ring *r, size_t i)
{
	size_t at = r->first + i;

	return &r->at[at < r->cap ? at : at - r->cap];
}

/* How many records of the ring are not behind that place. */
static size_t ring_find(const struct ring *r, struct cgm_events_place p)
{
	size_t lo = 0, hi = r->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (is_behind(*ring_at(r, mid), p))
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static int ring_grow(struct ring *r)
{
	size_t cap = r->cap ? 2 * r->cap : 16;
	struct cgm_record **at;

	if (r->nr < r->cap)
		return 0;
	at = cgm_malloc(cap * sizeof(struct cgm_record *));
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < r->nr; i++)
		at[i] = *ring_at(r, i);
	free(r->at);
	*r = (struct ring){ .at = at, .nr = r->nr, .cap = cap };
	return 0;
}

static void ring_drop_first(struct cgm_events *e, struct ring *r)
{
	struct cgm_record *old = *ring_at(r, 0);

	r->first = r->first + 1 < r->cap ? r->first + 1 : 0;
	r->nr--;
	__atomic_sub_fetch(&e->stats.bytes, record_bytes(old), __ATOMIC_RELAXED);
	__atomic_sub_fetch(&e->stats.nr_stored, 1, __ATOMIC_RELAXED);
	cgm_record_unref(old);
}

static void ring_put(struct cgm_events *e, struct ring *r, uint64_t max_nr, struct cgm_record *record)
{
	size_t i;

	if (!max_nr)
		return;
	for (; r->nr >= max_nr; count(&e->stats.nr_evicted, 1))
		ring_drop_first(e, r);
	if (ring_grow(r) < 0) {
		count(&e->stats.nr_lost, 1);
		return;
	}
	i = ring_find(r, (struct cgm_events_place){ record->time_ns, record->seq });
	for (size_t k = r->nr++; k > i; k--)
		*ring_at(r, k) = *ring_at(r, k - 1);
	__atomic_add_fetch(&record->refs, 1, __ATOMIC_RELAXED);
	*ring_at(r, i) = record;
	count(&e->stats.nr_stored, 1);
	count(&e->stats.bytes, record_bytes(record));
}

/* ---- the sampler's side ---- */

struct cgm_events *cgm_events_new(const struct cgm_events_limits *limits, struct cgm_bell *bell)
{
	struct cgm_events *e = cgm_calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->limits = *limits;
	for (unsigned i = 0; i < CGM_NR_RECORD_TYPES; i++)
		if (!e->limits.max_age_ns[i])
			e->limits.max_nr[i] = 0;
	e->bell = bell;
	e->next_seq = 1;
	pthread_mutex_init(&e->lock, NULL);
	return e;
}

void cgm_events_free(struct cgm_events *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->nr_pending; i++)
		cgm_record_unref(e->pending[i]);
	for (size_t i = 0; i < CGM_EVENTS_TAIL; i++)
		cgm_record_unref(e->tail[i]);
	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++) {
		while (e->ring[t].nr)
			ring_drop_first(e, &e->ring[t]);
		free(e->ring[t].at);
	}
	pthread_mutex_destroy(&e->lock);
	free(e);
}

/* Hands the pending records over, if nobody has the lock. */
static bool flush(struct cgm_events *e)
{
	if (pthread_mutex_trylock(&e->lock) != 0)
		return false;
	for (size_t i = 0; i < e->nr_pending; i++) {
		struct cgm_record *r = e->pending[i], **tail = &e->tail[r->seq % CGM_EVENTS_TAIL];

		ring_put(e, &e->ring[r->type], e->limits.max_nr[r->type], r);
		cgm_record_unref(*tail);
		*tail = r;
		e->next_seq = r->seq + 1;
	}
	e->nr_pending = 0;
	return true;
}

static void unlock_and_ring(struct cgm_events *e, bool news)
{
	pthread_mutex_unlock(&e->lock);
	if (news && e->bell)
		cgm_bell_ring(e->bell);
}

void cgm_events_add(struct cgm_events *e, const struct cgm_happening *h)
{
	struct cgm_record *r = e->nr_pending < MAX_PENDING ? record_new(h) : NULL;

	count(&e->stats.nr_seen, 1);
	if (!r) {
		count(&e->stats.nr_lost, 1);
		return;
	}
	r->seq = ++e->last_seq;
	e->pending[e->nr_pending++] = r;
	if (flush(e))
		unlock_and_ring(e, true);
}

bool cgm_events_set_exit_code(struct cgm_events *e, const char *container, int32_t code)
{
	struct ring *ring = &e->ring[CGM_RECORD_DELETION];
	bool found = false;

	if (pthread_mutex_trylock(&e->lock) != 0)
		return false;
	for (size_t i = ring->nr; i-- > 0 && ring->nr - i <= MAX_EXITS && !found;) {
		struct cgm_record *r = *ring_at(ring, i);

		found = r->number < 0 && strcmp(r->container, container) == 0;
		if (found)
			__atomic_store_n(&r->number, code, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

void cgm_events_tick(struct cgm_events *e, uint64_t now_ns)
{
	bool news = e->nr_pending > 0;

	if (!flush(e))
		return;
	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++) {
		struct ring *r = &e->ring[t];

		while (r->nr && (*ring_at(r, 0))->time_ns < now_ns && now_ns - (*ring_at(r, 0))->time_ns > e->limits.max_age_ns[t])
			ring_drop_first(e, r);
	}
	unlock_and_ring(e, news);
}

void cgm_events_stats(const struct cgm_events *e, struct cgm_events_stats *ret)
{
	const uint64_t *from = (const uint64_t *)&e->stats;
	uint64_t *to = (uint64_t *)ret;

	for (size_t i = 0; i < sizeof(*ret) / sizeof(*to); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* ---- readers ---- */

static bool is_in(const struct cgm_events_filter *f, const char *name)
{
	size_t len = strlen(f->container);

	if (!f->subcontainers)
		return strcmp(f->container, name) == 0;
	if (len == 1) /* "/" */
		return true;
	return strncmp(f->container, name, len) == 0 && (name[len] == '\0' || name[len] == '/');
}

bool cgm_events_wants(const struct cgm_events_filter *f, const struct cgm_record *r)
{
	return f->types >> r->type & 1 && r->time_ns >= f->start_ns && (!f->end_ns || r->time_ns <= f->end_ns) && is_in(f, r->container);
}

/* Indexes into all rings: records [0, at[t]) of type t lie before the place. */
struct cursor {
	size_t at[CGM_NR_RECORD_TYPES];
};

static struct cursor cursor_at(const struct cgm_events *e, struct cgm_events_place p)
{
	struct cursor c;

	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++)
		c.at[t] = ring_find(&e->ring[t], p);
	return c;
}

static struct cgm_events_place place_of(const struct cgm_record *r)
{
	return (struct cgm_events_place){ r->time_ns, r->seq };
}

/* The record just before the cursor, of all types that are asked for, which moves over it. NULL: none. */
static struct cgm_record *step_back(const struct cgm_events *e, unsigned types, struct cursor *c)
{
	struct cgm_record *best = NULL;

	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++) {
		struct cgm_record *r = types >> t & 1 && c->at[t] ? *ring_at(&e->ring[t], c->at[t] - 1) : NULL;

		if (r && (!best || is_behind(r, place_of(best))))
			best = r;
	}
	if (best)
		c->at[best->type]--;
	return best;
}

static struct cgm_record *step_on(const struct cgm_events *e, unsigned types, struct cursor *c)
{
	struct cgm_record *best = NULL;

	for (unsigned t = 0; t < CGM_NR_RECORD_TYPES; t++) {
		struct cgm_record *r = types >> t & 1 && c->at[t] < e->ring[t].nr ? *ring_at(&e->ring[t], c->at[t]) : NULL;

		if (r && (!best || is_behind(best, place_of(r))))
			best = r;
	}
	if (best)
		c->at[best->type]++;
	return best;
}

struct cgm_events_place cgm_events_newest(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t max)
{
	struct cgm_events_place place = { UINT64_MAX, UINT64_MAX };
	const struct cgm_record *r = NULL;

	if (!max)
		return (struct cgm_events_place){ 0 };
	do {
		struct cursor c;

		pthread_mutex_lock(&e->lock);
		c = cursor_at(e, place);
		for (size_t i = 0; i < LOOK_AT_ONCE && max; i++) {
			r = step_back(e, f->types, &c);
			if (!r)
				break;
			/* Before this record, and behind all others. */
			place = (struct cgm_events_place){ r->time_ns, r->seq - 1 };
			max -= cgm_events_wants(f, r);
		}
		pthread_mutex_unlock(&e->lock);
	} while (r && max);
	if (max) /* fewer than that: all of them */
		place = (struct cgm_events_place){ 0 };
	return place;
}

size_t cgm_events_read(struct cgm_events *e, const struct cgm_events_filter *f, struct cgm_events_place *place, struct cgm_record **ret, size_t nr, bool *ret_more)
{
	struct cgm_record *r = NULL;
	struct cursor c;
	size_t found = 0;

	pthread_mutex_lock(&e->lock);
	c = cursor_at(e, *place);
	for (size_t i = 0; i < LOOK_AT_ONCE && found < nr; i++) {
		r = step_on(e, f->types, &c);
		if (!r)
			break;
		*place = place_of(r);
		if (!cgm_events_wants(f, r))
			continue;
		__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
		ret[found++] = r;
	}
	pthread_mutex_unlock(&e->lock);
	*ret_more = r != NULL;
	return found;
}

bool cgm_events_follow(struct cgm_events *e, uint64_t *ret_seq)
{
	if (__atomic_add_fetch(&e->stats.nr_streams, 1, __ATOMIC_RELAXED) > MAX_STREAMS) {
		__atomic_sub_fetch(&e->stats.nr_streams, 1, __ATOMIC_RELAXED);
		return false;
	}
	pthread_mutex_lock(&e->lock);
	*ret_seq = e->next_seq;
	pthread_mutex_unlock(&e->lock);
	return true;
}

void cgm_events_unfollow(struct cgm_events *e, bool dropped)
{
	__atomic_sub_fetch(&e->stats.nr_streams, 1, __ATOMIC_RELAXED);
	count(&e->stats.nr_streams_dropped, dropped);
}

void cgm_events_count_stuck(struct cgm_events *e)
{
	count(&e->stats.nr_streams_dropped, 1);
}

int cgm_events_read_tail(struct cgm_events *e, const struct cgm_events_filter *f, uint64_t *seq, struct cgm_record **ret, size_t nr)
{
	int found = 0;

	pthread_mutex_lock(&e->lock);
	if (e->next_seq - *seq > CGM_EVENTS_TAIL)
		found = -EOVERFLOW;
	for (; found >= 0 && (size_t)found < nr && *seq < e->next_seq; ++*seq) {
		struct cgm_record *r = e->tail[*seq % CGM_EVENTS_TAIL];

		if (!cgm_events_wants(f, r))
			continue;
		__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
		ret[found++] = r;
	}
	pthread_mutex_unlock(&e->lock);
	return found;
}

bool cgm_events_has_news(struct cgm_events *e, uint64_t seq)
{
	bool news;

	pthread_mutex_lock(&e->lock);
	news = e->next_seq > seq;
	pthread_mutex_unlock(&e->lock);
	return news;
}
