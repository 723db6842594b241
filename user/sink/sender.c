// SPDX-License-Identifier: Apache-2.0
/* The sender of one driver: takes batches from its queue in order, and tries each until it is written or refused for good. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "output/gzip.h"
#include "sink/internal.h"
#include "sink/tries.h"

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

static void on_level(void *arg, uint64_t *ret_bytes, uint64_t *ret_batches)
{
	const struct cgm_sink *sink = arg;

	cgm_sink_queue_level(&sink->queue, ret_bytes, ret_batches);
}

static bool on_failed(void *arg, const struct cgm_sink_attempt *a)
{
	struct cgm_sink *sink = arg;

	(void)a;
	cgm_sink_add(&sink->status.nr_retries, 1);
	return false;
}

static void deliver(struct cgm_sink *sink, const struct cgm_sink_batch *batch, struct cgm_sink_tries *t)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };
	struct cgm_sink_attempt a = { .stop = &sink->sinks->stop, .data = batch->data, .len = batch->len, .nr_points = batch->nr_points };

	if (sink->driver->packed && !sink->driver->takes_packed) {
		if (cgm_gunzip_buf(batch->data, batch->len, &text) < 0) {
			cgm_sink_lose(sink, CGM_SINK_MEMORY, batch->nr_points);
			return;
		}
		a.data = text.p;
		a.len = text.len;
	}
	if (cgm_sink_tries_write(t, &a))
		account(sink, &a);
	else
		cgm_sink_lose(sink, CGM_SINK_STOPPED, batch->nr_points);
}

static struct cgm_sink_tries tries_of(struct cgm_sink *sink, const char *who)
{
	return (struct cgm_sink_tries){
		.who = who, .send = sink->driver->send, .state = sink->state, .timeout_ns = sink->sinks->config->timeout_ns,
		.level = on_level, .failed = on_failed, .arg = sink,
	};
}

void cgm_sink_deliver(struct cgm_sink *sink, const struct cgm_sink_batch *batch)
{
	struct cgm_sink_tries t = tries_of(sink, sink->driver->name);

	deliver(sink, batch, &t);
}

void *cgm_sink_send_main(void *arg)
{
	struct cgm_sink *sink = arg;
	struct cgm_sink_batch *batch;
	struct cgm_sink_tries t;
	char who[64];

	snprintf(who, sizeof(who), "storage driver %s", sink->driver->name);
	t = tries_of(sink, who);
	while ((batch = cgm_sink_queue_take(&sink->queue))) {
		deliver(sink, batch, &t);
		cgm_sink_queue_finish(&sink->queue, batch);
	}
	/* Here, since it may take its time: who stops us waits only so long. */
	sink->driver->close(sink->state);
	sink->state = NULL;
	return NULL;
}
