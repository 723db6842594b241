// SPDX-License-Identifier: Apache-2.0
/* The sender of one driver: takes batches from its queue in order, and tries each until it is written or refused for good. */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "output/gzip.h"
#include "base/backoff.h"
#include "sink/internal.h"

/* While the end waits for us, tries come faster. */
#define STOPPING_PAUSE_NS (200 * CGM_NSEC_PER_MSEC)
/* The same trouble is said again only after so long. */
#define SAY_AGAIN_NS (60 * CGM_NSEC_PER_SEC)

/* Texts of what goes wrong, for the log: at most one a minute. */
struct voice {
	uint64_t said_ns, failing_since_ns; /* monotonic; 0: not */
};

static bool may_say(struct voice *v)
{
	uint64_t now = cgm_clock_mono_ns();

	if (v->said_ns && now - v->said_ns < SAY_AGAIN_NS)
		return false;
	v->said_ns = now;
	return true;
}

static void say_failing(const struct cgm_sink *sink, struct voice *v, const struct cgm_sink_attempt *a)
{
	uint64_t bytes, batches;

	if (!v->failing_since_ns) {
		v->failing_since_ns = cgm_clock_mono_ns();
		v->said_ns = 0; /* a new trouble */
	}
	if (!may_say(v))
		return;
	cgm_sink_queue_level(&sink->queue, &bytes, &batches);
	cgm_warning("storage driver %s: %s; trying again, %" PRIu64 " batches (%" PRIu64 " bytes) wait", sink->driver->name, a->fault, batches, bytes);
}

static void say_done(const struct cgm_sink *sink, struct voice *v, const struct cgm_sink_attempt *a)
{
	if (v->failing_since_ns)
		cgm_info("storage driver %s: writing again after %.1f s", sink->driver->name,
			 (double)(cgm_clock_mono_ns() - v->failing_since_ns) / 1e9);
	v->failing_since_ns = 0;
	if (a->nr_lost && may_say(v))
		cgm_warning("storage driver %s: %" PRIu64 " points of %" PRIu64 " are lost: %s", sink->driver->name, a->nr_lost, a->nr_points, a->fault);
}

static void account(struct cgm_sink *sink, const struct cgm_sink_attempt *a)
{
	uint64_t lost = MIN(a->nr_lost, a->nr_points);

	if (lost)
		cgm_sink_lose(sink, a->loss, lost);
	if (lost == a->nr_points)
		return;
	cgm_sink_add(&sink->status.nr_points, a->nr_points - lost);
	cgm_sink_add(&sink->status.nr_batches, 1);
	cgm_sink_add(&sink->status.bytes, a->len);
	__atomic_store_n(&sink->status.last_success_ns, cgm_clock_real_ns(), __ATOMIC_RELAXED);
}

static void deliver(struct cgm_sink *sink, const struct cgm_sink_batch *batch, struct voice *v)
{
	const struct cgm_sink_stop *stop = &sink->sinks->stop;
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct cgm_sink_attempt a = { .stop = stop, .data = batch->data, .len = batch->len, .nr_points = batch->nr_points, .first = true };
	struct cgm_backoff backoff;

	if (sink->driver->packed && !sink->driver->takes_packed) {
		if (cgm_gunzip_buf(batch->data, batch->len, &text) < 0) {
			cgm_sink_lose(sink, CGM_SINK_MEMORY, batch->nr_points);
			return;
		}
		a.data = text.p;
		a.len = text.len;
	}
	cgm_backoff_init(&backoff, 0);
	while (!cgm_sink_stopped(stop)) {
		uint64_t pause;

		a.until_ns = cgm_clock_mono_ns() + sink->sinks->config->timeout_ns;
		a.retry_after_ns = a.nr_lost = 0;
		if (sink->driver->send(sink->state, &a) == CGM_SINK_WRITTEN) {
			account(sink, &a);
			say_done(sink, v, &a);
			return;
		}
		a.first = false;
		cgm_sink_add(&sink->status.nr_retries, 1);
		say_failing(sink, v, &a);
		pause = cgm_backoff_next_ns(&backoff, a.retry_after_ns);
		if (!cgm_sink_stopping(stop))
			cgm_sink_sleep(stop, cgm_clock_mono_ns() + pause);
		else
			(void)cgm_sink_poll(stop, -1, 0, cgm_clock_mono_ns() + MIN(pause, STOPPING_PAUSE_NS));
	}
	cgm_sink_lose(sink, CGM_SINK_STOPPED, batch->nr_points);
}

void cgm_sink_deliver(struct cgm_sink *sink, const struct cgm_sink_batch *batch)
{
	struct voice v = { 0 };

	deliver(sink, batch, &v);
}

void *cgm_sink_send_main(void *arg)
{
	struct cgm_sink *sink = arg;
	struct cgm_sink_batch *batch;
	struct voice v = { 0 };

	while ((batch = cgm_sink_queue_take(&sink->queue))) {
		deliver(sink, batch, &v);
		cgm_sink_queue_finish(&sink->queue, batch);
	}
	/* Here, since it may take its time: who stops us waits only so long. */
	sink->driver->close(sink->state);
	sink->state = NULL;
	return NULL;
}
