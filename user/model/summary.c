// SPDX-License-Identifier: Apache-2.0
/*
 * A closed digest is a record in a ring of bytes: its length, when it began (as a difference to the record before), for how long there were
 * samples, and the packed digests of CPU and memory.
 */
#include "model/summary.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/varint.h"

#define MINUTE_NS (60 * CGM_NSEC_PER_SEC)
#define HOUR_NS (60 * MINUTE_NS)
#define DAY_NS (24 * HOUR_NS)
#define MAX_PENDING 4
#define RECORD_HEAD (3 * CGM_MAX_VARINT)

/* A span of time that is under way. */
struct span {
	uint64_t start_ns; /* 0: none yet */
	uint64_t covered_ns; /* between samples, a gap counts as one span at most */
	struct cgm_digest cpu, memory;
};

/* Spans that are over, oldest first. */
struct ring {
	uint8_t *bytes;
	uint32_t len, cap, nr;
	uint64_t first_ns, last_ns; /* when the oldest and the newest began */
};

struct cgm_summary {
	uint32_t refs; /* atomic */
	pthread_mutex_t lock; /* protects what stands below it */
	struct span minute, hour;
	struct ring minutes, hours;
	/* The sampler's own: */
	struct cgm_usage_sample last, pending[MAX_PENDING];
	unsigned nr_pending;
	bool has_last;
	uint64_t phase_ns;
};

static uint64_t nr_lost;

static void lost(uint64_t nr)
{
	__atomic_add_fetch(&nr_lost, nr, __ATOMIC_RELAXED);
}

uint64_t cgm_summary_lost(void)
{
	return __atomic_load_n(&nr_lost, __ATOMIC_RELAXED);
}

struct cgm_summary *cgm_summary_new(uint64_t phase_ns)
{
	struct cgm_summary *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	s->phase_ns = phase_ns % MINUTE_NS;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

struct cgm_summary *cgm_summary_ref(struct cgm_summary *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

static void span_done(struct span *s)
{
	cgm_digest_done(&s->cpu);
	cgm_digest_done(&s->memory);
}

void cgm_summary_unref(struct cgm_summary *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	span_done(&s->minute);
	span_done(&s->hour);
	free(s->minutes.bytes);
	free(s->hours.bytes);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

size_t cgm_summary_bytes(const struct cgm_summary *s)
{
	size_t pairs = s->minute.cpu.cap_pairs + s->minute.memory.cap_pairs + s->hour.cpu.cap_pairs + s->hour.memory.cap_pairs;

	return sizeof(*s) + s->minutes.cap + s->hours.cap + pairs * sizeof(struct cgm_digest_pair);
}

/* ---- rings ---- */

/* The head of the record at p: *ret_step is the time from the record before to this one. Returns where its digests begin. */
static const uint8_t *record_head(const uint8_t *p, const uint8_t **ret_end, uint64_t *ret_step_ns, uint64_t *ret_covered_ns)
{
	uint64_t len;

	p = cgm_get_varint(p, &len);
	*ret_end = p + len;
	p = cgm_get_varint(p, ret_step_ns);
	p = cgm_get_varint(p, ret_covered_ns);
	*ret_covered_ns *= CGM_NSEC_PER_MSEC;
	return p;
}

/* Drops spans that were over before that moment, and those beyond max_nr (the clock may have been set back). */
static void ring_expire(struct ring *r, uint64_t span_ns, uint64_t before_ns, uint32_t max_nr)
{
	const uint8_t *p = r->bytes, *end;
	uint64_t step, covered;

	while (r->nr && (r->nr > max_nr || r->first_ns + span_ns <= before_ns)) {
		record_head(p, &p, &step, &covered);
		if (--r->nr) {
			record_head(p, &end, &step, &covered);
			r->first_ns += step;
		}
	}
	if (p == r->bytes)
		return;
	r->len -= (uint32_t)(p - r->bytes);
	memmove(r->bytes, p, r->len);
}

/* Room for len more bytes. Grows by little: there are many rings. */
static int ring_reserve(struct ring *r, size_t len)
{
	size_t cap = (r->len + len + 127) / 128 * 128;
	uint8_t *p;

	if (r->len + len <= r->cap)
		return 0;
	p = cgm_realloc(r->bytes, cap);
	if (!p)
		return -ENOMEM;
	r->bytes = p;
	r->cap = (uint32_t)cap;
	return 0;
}

/* 0 or -ENOMEM. */
static int ring_put(struct ring *r, const struct span *s)
{
	size_t room = RECORD_HEAD + cgm_digest_pack_room(&s->cpu) + cgm_digest_pack_room(&s->memory);
	_cleanup_free_ uint8_t *record = cgm_malloc(room);
	uint64_t step_ns = r->nr && s->start_ns > r->last_ns ? s->start_ns - r->last_ns : 0;
	uint8_t head[CGM_MAX_VARINT], *p = record;
	size_t len, head_len;

	if (!record)
		return -ENOMEM;
	p = cgm_put_varint(p, step_ns);
	p = cgm_put_varint(p, s->covered_ns / CGM_NSEC_PER_MSEC);
	p = cgm_digest_pack(&s->cpu, p);
	p = cgm_digest_pack(&s->memory, p);
	len = (size_t)(p - record);
	head_len = (size_t)(cgm_put_varint(head, len) - head);
	if (ring_reserve(r, head_len + len) < 0)
		return -ENOMEM;
	memcpy(r->bytes + r->len, head, head_len);
	memcpy(r->bytes + r->len + head_len, record, len);
	r->len += (uint32_t)(head_len + len);
	r->last_ns += step_ns;
	if (!r->nr++)
		r->first_ns = r->last_ns = s->start_ns;
	return 0;
}

/* Adds the spans that were not over before that moment. Returns for how long there were samples. */
static uint64_t ring_add_up(const struct ring *r, uint64_t span_ns, uint64_t before_ns, struct cgm_spread *cpu, struct cgm_spread *memory)
{
	uint64_t start_ns = r->first_ns, sum_ns = 0;
	const uint8_t *p = r->bytes;

	for (uint32_t i = 0; i < r->nr; i++) {
		const uint8_t *end, *digests;
		uint64_t step, covered;

		digests = record_head(p, &end, &step, &covered);
		start_ns += i ? step : 0;
		if (start_ns + span_ns > before_ns) {
			digests = cgm_spread_add_packed(cpu, digests);
			cgm_spread_add_packed(memory, digests);
			sum_ns += covered;
		}
		p = end;
	}
	return sum_ns;
}

static uint64_t window_start(uint64_t now_ns, uint64_t window_ns)
{
	return now_ns > window_ns ? now_ns - window_ns : 0;
}

/* ---- adding ---- */

static void span_clear(struct span *s)
{
	s->start_ns = s->covered_ns = 0;
	cgm_digest_clear(&s->cpu);
	cgm_digest_clear(&s->memory);
}

static void close_hour(struct cgm_summary *s, uint64_t now_ns)
{
	if (ring_put(&s->hours, &s->hour) < 0)
		lost(MAX(s->hour.cpu.nr, s->hour.memory.nr));
	span_clear(&s->hour);
	ring_expire(&s->hours, HOUR_NS, window_start(now_ns, DAY_NS), DAY_NS / HOUR_NS);
}

static void close_minute(struct cgm_summary *s, uint64_t now_ns)
{
	if (!s->hour.start_ns)
		s->hour.start_ns = s->minute.start_ns;
	if (ring_put(&s->minutes, &s->minute) < 0 || cgm_digest_merge(&s->hour.cpu, &s->minute.cpu) < 0 ||
	    cgm_digest_merge(&s->hour.memory, &s->minute.memory) < 0)
		lost(MAX(s->minute.cpu.nr, s->minute.memory.nr));
	s->hour.covered_ns += s->minute.covered_ns;
	span_clear(&s->minute);
	ring_expire(&s->minutes, MINUTE_NS, window_start(now_ns, HOUR_NS), HOUR_NS / MINUTE_NS);
	if (now_ns - s->hour.start_ns >= HOUR_NS)
		close_hour(s, now_ns);
}

/* CPU time as thousandths of one CPU since the last sample. False when there is none to compare with. */
static bool milli_cpu(const struct cgm_usage_sample *before, const struct cgm_usage_sample *now, uint64_t *ret)
{
	uint64_t ns = now->time_ns - before->time_ns;

	if (!before->has_cpu || !now->has_cpu || now->time_ns <= before->time_ns || now->cpu_ns < before->cpu_ns)
		return false;
	*ret = (uint64_t)((double)(now->cpu_ns - before->cpu_ns) * 1000 / (double)ns + 0.5);
	return true;
}

static void add_locked(struct cgm_summary *s, const struct cgm_usage_sample *now)
{
	struct span *m = &s->minute;
	uint64_t milli;

	/* The clock was set back: what is under way must not have begun in a time that has not come yet. */
	m->start_ns = MIN(m->start_ns, now->time_ns);
	s->hour.start_ns = MIN(s->hour.start_ns, now->time_ns);
	if (m->start_ns && now->time_ns - m->start_ns >= MINUTE_NS)
		close_minute(s, now->time_ns);
	if (!m->start_ns)
		m->start_ns = now->time_ns - (now->time_ns + s->phase_ns) % MINUTE_NS;
	if (s->has_last && now->time_ns > s->last.time_ns)
		m->covered_ns += MIN(now->time_ns - s->last.time_ns, MINUTE_NS);
	if ((s->has_last && milli_cpu(&s->last, now, &milli) && cgm_digest_add(&m->cpu, milli) < 0) ||
	    (now->has_memory && cgm_digest_add(&m->memory, now->memory_bytes) < 0))
		lost(1);
	s->last = *now;
	s->has_last = true;
}

void cgm_summary_add(struct cgm_summary *s, const struct cgm_usage_sample *sample)
{
	if (s->nr_pending == MAX_PENDING)
		lost(1);
	else
		s->pending[s->nr_pending++] = *sample;
	if (pthread_mutex_trylock(&s->lock) != 0)
		return;
	for (unsigned i = 0; i < s->nr_pending; i++)
		add_locked(s, &s->pending[i]);
	s->nr_pending = 0;
	pthread_mutex_unlock(&s->lock);
}

/* ---- reading ---- */

static uint32_t percent(uint64_t covered_ns, uint64_t window_ns)
{
	return (uint32_t)MIN((covered_ns * 100 + window_ns / 2) / window_ns, 100);
}

struct scratch {
	struct cgm_spread cpu, memory;
};

static void finish(const struct scratch *x, uint64_t covered_ns, uint64_t window_ns, struct cgm_usage *ret)
{
	ret->percent_complete = percent(covered_ns, window_ns);
	cgm_spread_percentiles(&x->cpu, &ret->cpu);
	cgm_spread_percentiles(&x->memory, &ret->memory);
}

static uint64_t add_span(const struct span *s, struct scratch *x)
{
	cgm_spread_add(&x->cpu, &s->cpu);
	cgm_spread_add(&x->memory, &s->memory);
	return s->covered_ns;
}

static int read_digests(struct cgm_summary *s, struct cgm_derived *ret)
{
	_cleanup_free_ struct scratch *hour = cgm_calloc(2, sizeof(*hour));
	struct scratch *day;
	uint64_t hour_ns, day_ns, now_ns;

	if (!hour)
		return -ENOMEM;
	day = hour + 1;
	pthread_mutex_lock(&s->lock);
	now_ns = s->last.time_ns;
	hour_ns = add_span(&s->minute, hour) + ring_add_up(&s->minutes, MINUTE_NS, window_start(now_ns, HOUR_NS), &hour->cpu, &hour->memory);
	day_ns = add_span(&s->minute, day) + add_span(&s->hour, day);
	day_ns += ring_add_up(&s->hours, HOUR_NS, window_start(now_ns, DAY_NS), &day->cpu, &day->memory);
	pthread_mutex_unlock(&s->lock);
	finish(hour, hour_ns, HOUR_NS, &ret->hour);
	finish(day, day_ns, DAY_NS, &ret->day);
	return 0;
}

/* Numbers of the last minute. */
struct minute {
	uint64_t *cpu, *memory;
	size_t nr_cpu, nr_memory, cap_cpu, cap_memory;
	struct cgm_usage_sample before;
	uint64_t first_ns; /* where the minute begins */
	uint64_t oldest_ns; /* the first sample seen; 0: none yet */
	uint64_t latest_cpu;
};

static void minute_done(struct minute *m)
{
	free(m->cpu);
	free(m->memory);
}

static int put(uint64_t **array, size_t *cap, size_t *nr, uint64_t v)
{
	if (cgm_grow((void **)array, cap, *nr, sizeof(v)) < 0)
		return -ENOMEM;
	(*array)[(*nr)++] = v;
	return 0;
}

static int add_to_minute(struct minute *m, const struct cgm_usage_sample *now)
{
	int r = 0;

	m->latest_cpu = 0;
	if (m->oldest_ns && milli_cpu(&m->before, now, &m->latest_cpu))
		r = put(&m->cpu, &m->cap_cpu, &m->nr_cpu, m->latest_cpu);
	/* The sample before the window is there for the difference alone. */
	if (r == 0 && now->time_ns >= m->first_ns && now->has_memory)
		r = put(&m->memory, &m->cap_memory, &m->nr_memory, now->memory_bytes);
	if (!m->oldest_ns)
		m->oldest_ns = now->time_ns;
	m->before = *now;
	return r;
}

/* The samples of the last minute, and the one before it. */
static int read_minute(const struct cgm_history_view *v, uint64_t last_ns, struct minute *m, struct cgm_history_iter *it)
{
	size_t first, nr;
	int r;

	m->first_ns = window_start(last_ns, MINUTE_NS) + 1;
	cgm_history_view_range(v, m->first_ns, 0, &first, &nr);
	r = cgm_history_iter_seek(it, first ? first - 1 : 0);
	while (r >= 0 && (r = cgm_history_iter_next(it)) > 0) {
		struct cgm_usage_sample now = {
			.time_ns = it->time_ns,
			.has_cpu = cgm_layout_has(it->layout, CGM_V_CPU_USAGE_TOTAL),
			.has_memory = cgm_layout_has(it->layout, CGM_V_MEMORY_WORKING_SET),
			.cpu_ns = it->values[CGM_V_CPU_USAGE_TOTAL],
			.memory_bytes = it->values[CGM_V_MEMORY_WORKING_SET],
		};

		r = add_to_minute(m, &now);
	}
	return r;
}

static int read_history(const struct cgm_history_view *v, struct cgm_derived *ret)
{
	_cleanup_(cgm_history_iter_done) struct cgm_history_iter it;
	_cleanup_(minute_done) struct minute m = { .cpu = NULL };
	int r;

	cgm_history_iter_init(&it, v);
	r = read_minute(v, ret->time_ns, &m, &it);
	if (r < 0)
		return r;
	ret->cpu = m.latest_cpu;
	ret->memory = m.before.has_memory ? m.before.memory_bytes : 0;
	if (m.oldest_ns)
		ret->minute.percent_complete = percent(m.before.time_ns - MAX(m.oldest_ns, m.first_ns - 1), MINUTE_NS);
	cgm_exact_percentiles(m.cpu, m.nr_cpu, &ret->minute.cpu);
	cgm_exact_percentiles(m.memory, m.nr_memory, &ret->minute.memory);
	return 0;
}

int cgm_summary_read(struct cgm_summary *s, const struct cgm_history_view *history, uint64_t last_ns, struct cgm_derived *ret)
{
	int r;

	*ret = (struct cgm_derived){ .time_ns = last_ns };
	r = read_history(history, ret);
	if (r == 0 && s)
		r = read_digests(s, ret);
	return r;
}
