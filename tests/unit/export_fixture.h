/* SPDX-License-Identifier: Apache-2.0 */
/* Slices made by hand, and a sink that behaves as it is told: for the tests of user/export. */
#pragma once
#include "scratch.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "batch/draft.h"
#include "export/driver.h"
#include "export/export.h"
#include "export/internal.h"

#define FIXTURE_END_NS 1795363285000000000ULL

/* Waits at most a minute until the condition holds. */
#define export_wait(condition)                                                        \
	do {                                                                          \
		uint64_t _end = cgm_clock_mono_ns() + 60 * CGM_NSEC_PER_SEC;          \
		while (!(condition)) {                                                \
			if (cgm_clock_mono_ns() > _end)                               \
				fail_msg("not within a minute: %s", #condition);      \
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);     \
		}                                                                     \
	} while (0)

/* A set with an entity of these labels (the draft's texts). Returns its index. */
static inline uint32_t draft_set(struct cgm_draft *d, const struct cgm_entity_facts *facts)
{
	int i = cgm_draft_add(d, facts->kind);

	assert_true(i >= 0);
	d->sets[i].entity = cgm_entity_new(facts);
	assert_non_null(d->sets[i].entity);
	return (uint32_t)i;
}

static inline struct cgm_slice *draft_slice(struct cgm_draft *d, const char *node, uint64_t end_ns)
{
	struct cgm_slice *s = NULL;

	assert_int_equal(cgm_draft_seal(d, node, end_ns, 60 * CGM_NSEC_PER_SEC, &s), 0);
	cgm_draft_done(d);
	return s;
}

/* One node with one value: what it is numbered. */
static inline struct cgm_slice *numbered_slice(unsigned number)
{
	const struct cgm_entity_facts facts = { .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "node-1" } };
	struct cgm_draft d = { 0 };
	uint32_t set = draft_set(&d, &facts);

	cgm_draft_int(&d.sets[set], CGM_CM_UPTIME, number);
	return draft_slice(&d, "node-1", FIXTURE_END_NS);
}

/* ---- a sink as it is told: "fake:?to=a". A record is "NUMBER\n" and filler ---- */

struct fake {
	pthread_mutex_t lock;
	bool failing, hanging, refusing;
	size_t filler; /* bytes behind each number */
	unsigned got[20000];
	size_t nr_got, nr_tries;
};
static struct fake fakes[2]; /* by to=: a, b */

struct fake_state {
	struct fake *fake;
};

static inline int fake_open(struct cgm_uri *uri, const struct cgm_export_config *config, void **ret, char *fault)
{
	const char *key = cgm_uri_option(uri, "to", 0);
	struct fake_state *s;

	(void)config;
	if (!key) {
		snprintf(fault, CGM_SINK_FAULT, "option to: it is missing");
		return -EINVAL;
	}
	s = cgm_malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fake = &fakes[*key == 'b'];
	*ret = s;
	return 0;
}

static inline uint64_t fake_encode(const void *state, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	const struct fake_state *st = state;
	uint64_t nr = 0;

	for (uint32_t i = 0; i < s->nr_sets; i++, nr++) {
		cgm_buf_u64(out, (uint64_t)cgm_set_value(&s->sets[i], CGM_CM_UPTIME).i);
		for (size_t k = 0; k < st->fake->filler; k++)
			cgm_buf_char(out, (char)('a' + (k * 7 + k / 26 * 11) % 26));
		cgm_buf_char(out, '\n');
		cut(arg, 1);
	}
	return nr;
}

static inline enum cgm_sink_result fake_send(void *state, struct cgm_sink_attempt *a)
{
	struct fake *f = ((struct fake_state *)state)->fake;
	struct cgm_str text = { a->data, a->len }, line;

	pthread_mutex_lock(&f->lock);
	f->nr_tries++;
	while (f->hanging && !cgm_sink_stopped(a->stop)) {
		pthread_mutex_unlock(&f->lock);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		pthread_mutex_lock(&f->lock);
	}
	if (f->failing || f->hanging) {
		pthread_mutex_unlock(&f->lock);
		a->retry_after_ns = CGM_NSEC_PER_MSEC / 2;
		return cgm_sink_again(a, "it fails as it is told");
	}
	if (f->refusing) {
		a->nr_lost = a->nr_points;
		a->loss = CGM_SINK_REJECTED;
		(void)cgm_sink_again(a, "it refuses as it is told");
	} else {
		while (cgm_next_line(&text, &line) && f->nr_got < ARRAY_SIZE(f->got))
			f->got[f->nr_got++] = (unsigned)strtoul(line.p, NULL, 10);
	}
	pthread_mutex_unlock(&f->lock);
	return CGM_SINK_WRITTEN;
}

static struct cgm_exporter fake_driver = { .name = "fake", .open = fake_open, .close = free, .encode = fake_encode, .send = fake_send };

static inline void fakes_reset(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(fakes); i++) {
		memset(&fakes[i], 0, sizeof(fakes[i]));
		pthread_mutex_init(&fakes[i].lock, NULL);
	}
	fake_driver.batch_bytes = 1; /* a batch for each record */
	fake_driver.no_spool = false;
	cgm_exporter_of_test = &fake_driver;
}

static inline void fake_set(struct fake *f, bool failing, bool hanging)
{
	pthread_mutex_lock(&f->lock);
	f->failing = failing;
	f->hanging = hanging;
	pthread_mutex_unlock(&f->lock);
}

static inline size_t fake_got(struct fake *f)
{
	size_t nr;

	pthread_mutex_lock(&f->lock);
	nr = f->nr_got;
	pthread_mutex_unlock(&f->lock);
	return nr;
}

static inline size_t fake_tries(struct fake *f)
{
	size_t nr;

	pthread_mutex_lock(&f->lock);
	nr = f->nr_tries;
	pthread_mutex_unlock(&f->lock);
	return nr;
}

static inline void put_numbers(struct cgm_export *e, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		struct cgm_slice *s = numbered_slice(i);

		cgm_export_put(e, s);
		cgm_slice_unref(s);
	}
}

static inline struct cgm_export_state state_of(struct cgm_export *e, size_t i)
{
	_cleanup_free_ struct cgm_export_state *states = NULL;
	size_t nr;

	assert_int_equal(cgm_export_states(e, &states, &nr), 0);
	assert_true(i < nr);
	return states[i];
}
