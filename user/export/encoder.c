// SPDX-License-Identifier: Apache-2.0
/* The encoder of one sink: takes slices in order, and makes batches of them. A batch is committed when it is large enough, or when it has waited. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "export/internal.h"

/* Slices of a cycle come one after the other: few requests are better than a request for each. */
#define LINGER_NS (500 * CGM_NSEC_PER_MSEC)

/* ---- slices that wait ---- */

void cgm_export_slices_init(struct cgm_export_slices *q, size_t max_bytes)
{
	pthread_condattr_t attr;

	*q = (struct cgm_export_slices){ .max_bytes = max_bytes };
	q->end = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->change, &attr);
	pthread_condattr_destroy(&attr);
}

/* With the lock held. The caller owns what it gets. */
static struct cgm_slice *unlink_first(struct cgm_export_slices *q)
{
	struct cgm_export_slice *e = q->first;
	struct cgm_slice *s = e->slice;

	q->first = e->next;
	if (!q->first)
		q->end = &q->first;
	q->bytes -= s->bytes;
	free(e);
	return s;
}

void cgm_export_slices_done(struct cgm_export_slices *q)
{
	while (q->first)
		cgm_slice_unref(unlink_first(q));
	pthread_cond_destroy(&q->change);
	pthread_mutex_destroy(&q->lock);
}

void cgm_export_slices_put(struct cgm_export_sink *sink, struct cgm_slice *s)
{
	struct cgm_export_slice *e = cgm_malloc(sizeof(*e));
	struct cgm_export_slices *q = &sink->slices;
	uint64_t dropped = 0;

	if (!e) {
		cgm_export_lose(sink, CGM_EXPORT_NO_MEMORY, s->nr_points);
		return;
	}
	*e = (struct cgm_export_slice){ .slice = cgm_slice_ref(s) };
	pthread_mutex_lock(&q->lock);
	while (q->first && q->bytes + s->bytes > q->max_bytes) {
		struct cgm_slice *old = unlink_first(q);

		dropped += old->nr_points;
		cgm_slice_unref(old);
	}
	*q->end = e;
	q->end = &e->next;
	q->bytes += s->bytes;
	pthread_cond_signal(&q->change);
	pthread_mutex_unlock(&q->lock);
	if (dropped) {
		cgm_export_lose(sink, CGM_EXPORT_NO_ROOM, dropped);
		cgm_log_once(CGM_LOG_WARNING, "%s: it is too slow to take all; the oldest points go, and are counted", sink->who);
	}
}

void cgm_export_slices_close(struct cgm_export_slices *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->change);
	pthread_mutex_unlock(&q->lock);
}

/* Waits for the next one, until then (monotonic; 0: for ever). NULL: none in time, or (*ret_end) none any more. */
static struct cgm_slice *take(struct cgm_export_slices *q, uint64_t until_ns, bool *ret_end)
{
	struct timespec until = { (time_t)(until_ns / CGM_NSEC_PER_SEC), (long)(until_ns % CGM_NSEC_PER_SEC) };
	struct cgm_slice *s = NULL;
	int r = 0;

	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->closed && r != ETIMEDOUT)
		r = until_ns ? pthread_cond_timedwait(&q->change, &q->lock, &until) : pthread_cond_wait(&q->change, &q->lock);
	*ret_end = !q->first && q->closed;
	if (q->first)
		s = unlink_first(q);
	pthread_mutex_unlock(&q->lock);
	return s;
}

/* ---- batches ---- */

static size_t batch_bytes(const struct cgm_export_sink *sink)
{
	return sink->driver->batch_bytes ? sink->driver->batch_bytes : CGM_EXPORT_BATCH_BYTES;
}

static void commit(struct cgm_export_sink *sink)
{
	if (sink->open.failed) {
		cgm_export_lose(sink, CGM_EXPORT_NO_MEMORY, sink->open_points);
		cgm_log_once(CGM_LOG_WARNING, "%s: out of memory; points are lost, and counted", sink->who);
		cgm_buf_done(&sink->open);
	} else if (sink->open.len) {
		cgm_backlog_put(sink->backlog, &sink->open, sink->open_points, sink->open_end_ns);
	}
	sink->open_points = 0;
}

struct cutting {
	struct cgm_export_sink *sink;
	uint64_t nr_points; /* that were told by cuts */
};

static void on_cut(void *arg, uint64_t nr_points)
{
	struct cutting *c = arg;

	c->nr_points += nr_points;
	c->sink->open_points += nr_points;
	if (c->sink->open.len >= batch_bytes(c->sink))
		commit(c->sink);
}

static void encode(struct cgm_export_sink *sink, const struct cgm_slice *s)
{
	uint64_t start_ns = cgm_clock_mono_ns(), nr;
	struct cutting c = { .sink = sink };

	if (!sink->open.len) {
		sink->open_since_ns = start_ns;
		(void)cgm_buf_reserve(&sink->open, batch_bytes(sink) / 8);
	}
	sink->open_end_ns = s->end_ns;
	nr = sink->driver->encode(sink->state, s, &sink->open, on_cut, &c);
	sink->open_points += nr - c.nr_points;
	if (sink->open.failed || sink->open.len >= batch_bytes(sink))
		commit(sink);
	cgm_export_add(&sink->told.busy_ns, cgm_clock_mono_ns() - start_ns);
}

void *cgm_export_encode_main(void *arg)
{
	struct cgm_export_sink *sink = arg;
	bool end = false;

	while (!end) {
		uint64_t due_ns = sink->open.len ? sink->open_since_ns + LINGER_NS : 0;
		struct cgm_slice *s = take(&sink->slices, due_ns, &end);

		if (s && cgm_sink_stopped(&sink->export->stop))
			cgm_export_lose(sink, CGM_EXPORT_AT_END, s->nr_points);
		else if (s)
			encode(sink, s);
		cgm_slice_unref(s);
		if (sink->open.len && (end || cgm_clock_mono_ns() >= sink->open_since_ns + LINGER_NS))
			commit(sink);
	}
	cgm_buf_done(&sink->open);
	cgm_backlog_close(sink->backlog);
	cgm_export_leave(sink);
	return NULL;
}
