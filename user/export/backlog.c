// SPDX-License-Identifier: Apache-2.0
#include "export/backlog.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* A disk that failed is asked again after so long. */
#define DISK_PAUSE_NS (5 * CGM_NSEC_PER_SEC)
#define MEMORY_PAUSE_NS (200 * CGM_NSEC_PER_MSEC)

struct row {
	struct cgm_backlog_batch *first, **end;
};

struct cgm_backlog {
	struct cgm_backlog_config config;
	struct cgm_spool *spool;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct row head, tail; /* before, behind the spool */
	struct cgm_backlog_batch *taken;
	bool taken_spooled; /* it is in the spool as well, and does not count as memory */
	bool closed, kept;
	bool disk_failed;
	uint64_t disk_again_ns; /* monotonic */
	struct cgm_backlog_level level; /* written with the lock, read without */
};

static void lose(struct cgm_backlog *b, enum cgm_export_loss why, uint64_t nr_points)
{
	__atomic_fetch_add(&b->config.nr_lost[why], nr_points, __ATOMIC_RELAXED);
}

/* ---- rows ---- */

static void row_init(struct row *r)
{
	r->first = NULL;
	r->end = &r->first;
}

static void row_add(struct row *r, struct cgm_backlog_batch *batch)
{
	batch->next = NULL;
	*r->end = batch;
	r->end = &batch->next;
}

static struct cgm_backlog_batch *row_take(struct row *r)
{
	struct cgm_backlog_batch *batch = r->first;

	r->first = batch->next;
	if (!r->first)
		r->end = &r->first;
	return batch;
}

static void free_batch(struct cgm_backlog_batch *batch)
{
	if (!batch)
		return;
	cgm_buf_done(&batch->data);
	free(batch);
}

static void count_memory(struct cgm_backlog *b, const struct cgm_backlog_batch *batch, bool in)
{
	uint64_t bytes = b->level.queue_bytes, nr = b->level.queue_batches;

	__atomic_store_n(&b->level.queue_bytes, in ? bytes + batch->data.len : bytes - batch->data.len, __ATOMIC_RELAXED);
	__atomic_store_n(&b->level.queue_batches, in ? nr + 1 : nr - 1, __ATOMIC_RELAXED);
}

static void count_spool(struct cgm_backlog *b)
{
	uint64_t bytes, nr;

	cgm_spool_level(b->spool, &bytes, &nr);
	__atomic_store_n(&b->level.spool_bytes, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&b->level.spool_batches, nr, __ATOMIC_RELAXED);
}

/* Takes the oldest of a row off memory. */
static struct cgm_backlog_batch *leave(struct cgm_backlog *b, struct row *r)
{
	struct cgm_backlog_batch *batch = row_take(r);

	count_memory(b, batch, false);
	return batch;
}

/* Into memory; where there is no room the oldest of that row go, and are counted. */
static void stay(struct cgm_backlog *b, struct row *r, struct cgm_backlog_batch *batch, enum cgm_export_loss why)
{
	if (why == CGM_EXPORT_NO_ROOM && b->level.queue_batches && b->level.queue_bytes + batch->data.len > b->config.max_bytes)
		cgm_log_once(CGM_LOG_WARNING, "%s: what waits fills --queue_bytes=%zu, and there is no --spool; the oldest points go, and are counted", b->config.who, b->config.max_bytes);
	while (r->first && b->level.queue_bytes + batch->data.len > b->config.max_bytes) {
		struct cgm_backlog_batch *old = leave(b, r);

		lose(b, why, old->nr_points);
		free_batch(old);
	}
	if (b->level.queue_bytes + batch->data.len > b->config.max_bytes && b->level.queue_batches) {
		lose(b, why, batch->nr_points); /* the one that is being sent leaves no room */
		free_batch(batch);
		return;
	}
	row_add(r, batch);
	count_memory(b, batch, true);
}

/* ---- the disk ---- */

static struct cgm_spool_batch shown(const struct cgm_backlog_batch *batch)
{
	return (struct cgm_spool_batch){ .data = batch->data.p, .len = batch->data.len, .nr_points = batch->nr_points, .end_ns = batch->end_ns };
}

/* Remembers and says how the disk does. */
static void disk_result(struct cgm_backlog *b, int r)
{
	if (r < 0) {
		b->disk_again_ns = cgm_clock_mono_ns() + DISK_PAUSE_NS;
		if (!b->disk_failed)
			cgm_warning("%s: cannot write to its spool: %s; memory alone is left", b->config.who, strerror(-r));
	} else if (b->disk_failed) {
		cgm_info("%s: writing to its spool again", b->config.who);
	}
	b->disk_failed = r < 0;
	count_spool(b);
}

static bool disk_may(const struct cgm_backlog *b)
{
	return b->spool && (!b->disk_failed || cgm_clock_mono_ns() >= b->disk_again_ns);
}

/* A batch that has left memory goes to the end of the spool, and is freed. False: the disk fails. */
static bool to_spool(struct cgm_backlog *b, struct cgm_backlog_batch *batch)
{
	const struct cgm_spool_batch record = shown(batch);
	uint64_t dropped = 0;
	int r = cgm_spool_put(b->spool, &record, &dropped);

	if (dropped) {
		lose(b, CGM_EXPORT_NO_ROOM, dropped);
		cgm_log_once(CGM_LOG_WARNING, "%s: its spool is full; the oldest points go, and are counted", b->config.who);
	}
	if (b->taken_spooled && !cgm_spool_is_reading(b->spool)) { /* its segment had to go */
		b->taken_spooled = false;
		count_memory(b, b->taken, true);
	}
	if (r == -EFBIG) {
		lose(b, CGM_EXPORT_NO_ROOM, batch->nr_points);
		r = 0;
	}
	disk_result(b, r);
	if (r == 0)
		free_batch(batch);
	return r == 0;
}

static void flush_tail(struct cgm_backlog *b)
{
	while (b->tail.first && disk_may(b)) {
		struct cgm_backlog_batch *batch = leave(b, &b->tail);

		if (to_spool(b, batch))
			continue;
		batch->next = b->tail.first; /* back to where it was */
		if (!b->tail.first)
			b->tail.end = &batch->next;
		b->tail.first = batch;
		count_memory(b, batch, true);
	}
}

/* The batch under way and all before the spool go into it, in front. */
static void spill(struct cgm_backlog *b)
{
	bool with_taken = b->taken && !b->taken_spooled;
	_cleanup_free_ struct cgm_spool_batch *records = NULL;
	size_t nr = 0;
	int r;

	if (!with_taken && !b->head.first)
		return;
	records = cgm_calloc(b->level.queue_batches + 1, sizeof(*records));
	if (records && with_taken)
		records[nr++] = shown(b->taken);
	for (const struct cgm_backlog_batch *batch = b->head.first; records && batch; batch = batch->next)
		records[nr++] = shown(batch);
	r = records ? cgm_spool_put_first(b->spool, records, nr, with_taken) : -ENOMEM;
	if (r != -EFBIG)
		disk_result(b, r);
	if (r < 0)
		return;
	if (with_taken) {
		b->taken_spooled = true;
		count_memory(b, b->taken, false);
	}
	while (b->head.first)
		free_batch(leave(b, &b->head));
}

/* ---- the face ---- */

struct cgm_backlog *cgm_backlog_new(const struct cgm_backlog_config *config)
{
	struct cgm_backlog *b = cgm_calloc(1, sizeof(*b));
	pthread_condattr_t attr;

	if (!b) {
		cgm_spool_close(config->spool);
		return NULL;
	}
	b->config = *config;
	b->spool = config->spool;
	row_init(&b->head);
	row_init(&b->tail);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->change, &attr);
	pthread_condattr_destroy(&attr);
	if (b->spool)
		count_spool(b);
	return b;
}

void cgm_backlog_free(struct cgm_backlog *b)
{
	if (!b)
		return;
	while (b->head.first)
		free_batch(row_take(&b->head));
	while (b->tail.first)
		free_batch(row_take(&b->tail));
	free_batch(b->taken);
	cgm_spool_close(b->spool);
	pthread_cond_destroy(&b->change);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static void put(struct cgm_backlog *b, struct cgm_backlog_batch *batch)
{
	bool in_front = !b->spool || (cgm_spool_is_empty(b->spool) && !b->tail.first);
	enum cgm_export_loss why = b->spool ? CGM_EXPORT_SPOOL_FAULT : CGM_EXPORT_NO_ROOM;

	flush_tail(b);
	if (in_front && (!disk_may(b) || b->level.queue_bytes + batch->data.len <= b->config.max_bytes)) {
		stay(b, &b->head, batch, why);
	} else if (b->tail.first || !disk_may(b) || !to_spool(b, batch)) {
		stay(b, in_front ? &b->head : &b->tail, batch, why);
	}
}

void cgm_backlog_put(struct cgm_backlog *b, struct cgm_buf *data, uint64_t nr_points, uint64_t end_ns)
{
	struct cgm_backlog_batch *batch = cgm_malloc(sizeof(*batch));

	if (!batch) {
		lose(b, CGM_EXPORT_NO_MEMORY, nr_points);
		cgm_buf_done(data);
		return;
	}
	cgm_buf_fit(data);
	*batch = (struct cgm_backlog_batch){ .data = *data, .nr_points = nr_points, .end_ns = end_ns };
	*data = (struct cgm_buf){ 0 };
	pthread_mutex_lock(&b->lock);
	if (b->kept) {
		lose(b, CGM_EXPORT_AT_END, nr_points);
		free_batch(batch);
	} else {
		put(b, batch);
	}
	pthread_cond_signal(&b->change);
	pthread_mutex_unlock(&b->lock);
}

void cgm_backlog_close(struct cgm_backlog *b)
{
	pthread_mutex_lock(&b->lock);
	b->closed = true;
	pthread_cond_broadcast(&b->change);
	pthread_mutex_unlock(&b->lock);
}

/* The oldest of the spool as a batch. 0; -ENOENT: there is none; -ENOMEM: later. */
static int read_spool(struct cgm_backlog *b, struct cgm_backlog_batch **ret)
{
	struct cgm_backlog_batch *batch = cgm_calloc(1, sizeof(*batch));
	struct cgm_spool_batch record = { 0 };
	uint64_t lost = 0;
	int r;

	if (!batch)
		return -ENOMEM;
	r = cgm_spool_read(b->spool, &batch->data, &record, &lost);
	count_spool(b);
	if (lost) {
		lose(b, CGM_EXPORT_SPOOL_FAULT, lost);
		cgm_warning("%s: its spool holds what cannot be read: %" PRIu64 " points are lost", b->config.who, lost);
	}
	if (r < 0) {
		free_batch(batch);
		return r;
	}
	batch->nr_points = record.nr_points;
	batch->end_ns = record.end_ns;
	*ret = batch;
	return 0;
}

/* NULL: nothing now. */
static struct cgm_backlog_batch *next(struct cgm_backlog *b, bool *ret_later)
{
	struct cgm_backlog_batch *batch;

	*ret_later = false;
	if (!b->head.first && b->spool && !cgm_spool_is_empty(b->spool)) {
		int r = read_spool(b, &batch);

		if (r == 0) {
			b->taken_spooled = true;
			return batch;
		}
		*ret_later = r == -ENOMEM;
		if (r == -ENOMEM)
			return NULL;
	}
	if (!b->head.first && b->tail.first) { /* nothing is between them any more */
		b->head = b->tail;
		row_init(&b->tail);
	}
	b->taken_spooled = false;
	return b->head.first ? row_take(&b->head) : NULL; /* it counts as memory until it is done */
}

struct cgm_backlog_batch *cgm_backlog_take(struct cgm_backlog *b)
{
	struct cgm_backlog_batch *batch = NULL;
	bool later;

	pthread_mutex_lock(&b->lock);
	while (!b->kept && !(batch = next(b, &later))) {
		uint64_t until = cgm_clock_mono_ns() + MEMORY_PAUSE_NS;
		struct timespec ts = { (time_t)(until / CGM_NSEC_PER_SEC), (long)(until % CGM_NSEC_PER_SEC) };

		if (later)
			pthread_cond_timedwait(&b->change, &b->lock, &ts);
		else if (b->closed)
			break;
		else
			pthread_cond_wait(&b->change, &b->lock);
	}
	b->taken = batch;
	pthread_mutex_unlock(&b->lock);
	return batch;
}

void cgm_backlog_finish(struct cgm_backlog *b)
{
	pthread_mutex_lock(&b->lock);
	if (b->taken_spooled) {
		cgm_spool_done(b->spool);
		count_spool(b);
	} else {
		count_memory(b, b->taken, false);
	}
	b->taken_spooled = false;
	free_batch(TAKE_PTR(b->taken));
	pthread_mutex_unlock(&b->lock);
}

void cgm_backlog_failing(struct cgm_backlog *b)
{
	pthread_mutex_lock(&b->lock);
	if (!b->kept && disk_may(b))
		spill(b);
	pthread_mutex_unlock(&b->lock);
}

static void lose_row(struct cgm_backlog *b, struct row *r)
{
	while (r->first) {
		struct cgm_backlog_batch *batch = leave(b, r);

		lose(b, CGM_EXPORT_AT_END, batch->nr_points);
		free_batch(batch);
	}
}

void cgm_backlog_keep(struct cgm_backlog *b)
{
	pthread_mutex_lock(&b->lock);
	if (!b->kept && b->spool) {
		b->disk_failed = false; /* once more */
		spill(b);
		flush_tail(b);
	}
	if (!b->kept && b->taken && !b->taken_spooled)
		lose(b, CGM_EXPORT_AT_END, b->taken->nr_points);
	b->kept = true;
	lose_row(b, &b->head);
	lose_row(b, &b->tail);
	pthread_cond_broadcast(&b->change);
	pthread_mutex_unlock(&b->lock);
}

bool cgm_backlog_has_spool(const struct cgm_backlog *b)
{
	return b->spool != NULL;
}

struct cgm_backlog_level cgm_backlog_level(const struct cgm_backlog *b)
{
	return (struct cgm_backlog_level){
		.queue_bytes = __atomic_load_n(&b->level.queue_bytes, __ATOMIC_RELAXED),
		.queue_batches = __atomic_load_n(&b->level.queue_batches, __ATOMIC_RELAXED),
		.spool_bytes = __atomic_load_n(&b->level.spool_bytes, __ATOMIC_RELAXED),
		.spool_batches = __atomic_load_n(&b->level.spool_batches, __ATOMIC_RELAXED),
	};
}
