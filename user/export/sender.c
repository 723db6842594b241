// SPDX-License-Identifier: Apache-2.0
/* The sender of one sink: takes batches in order, and tries each until it is written or refused for good. What it cannot write the backlog keeps. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "export/internal.h"
#include "sink/tries.h"

static void set_fault(struct cgm_export_sink *sink, const char *fault)
{
	pthread_mutex_lock(&sink->fault_lock);
	snprintf(sink->told.fault, sizeof(sink->told.fault), "%s", fault);
	pthread_mutex_unlock(&sink->fault_lock);
}

static enum cgm_export_loss loss_of(enum cgm_sink_loss why)
{
	switch (why) {
	case CGM_SINK_MEMORY:
		return CGM_EXPORT_NO_MEMORY;
	case CGM_SINK_QUEUE_FULL:
		return CGM_EXPORT_NO_ROOM;
	case CGM_SINK_STOPPED:
		return CGM_EXPORT_AT_END;
	default:
		return CGM_EXPORT_REFUSED;
	}
}

static void account(struct cgm_export_sink *sink, const struct cgm_sink_attempt *a, uint64_t end_ns)
{
	uint64_t lost = MIN(a->nr_lost, a->nr_points), now_ns = cgm_clock_real_ns();
	struct cgm_export_state *t = &sink->told;

	set_fault(sink, lost ? a->fault : "");
	if (lost)
		cgm_export_lose(sink, loss_of(a->loss), lost);
	if (lost && lost == a->nr_points)
		return;
	cgm_export_add(&t->nr_sent, a->nr_points - lost);
	cgm_export_add(&t->nr_sent_bytes, a->len);
	cgm_export_add(&t->nr_batches, 1);
	__atomic_store_n(&t->last_ok_ns, now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&t->delay_ns, now_ns > end_ns ? now_ns - end_ns : 0, __ATOMIC_RELAXED);
}

static void on_level(void *arg, uint64_t *ret_bytes, uint64_t *ret_batches)
{
	const struct cgm_export_sink *sink = arg;
	struct cgm_backlog_level l = cgm_backlog_level(sink->backlog);

	*ret_bytes = l.queue_bytes + l.spool_bytes;
	*ret_batches = l.queue_batches + l.spool_batches;
}

static bool on_failed(void *arg, const struct cgm_sink_attempt *a)
{
	struct cgm_export_sink *sink = arg;

	cgm_export_add(&sink->told.nr_retries, 1);
	set_fault(sink, a->fault);
	if (a->first)
		cgm_backlog_failing(sink->backlog);
	/* At the end nobody is made to wait for a server that fails, where the spool keeps what it did not get. */
	return cgm_sink_stopping(a->stop) && cgm_backlog_has_spool(sink->backlog);
}

static enum cgm_sink_result timed_send(void *arg, struct cgm_sink_attempt *a)
{
	struct cgm_export_sink *sink = arg;
	uint64_t start_ns = cgm_clock_mono_ns();
	enum cgm_sink_result result = sink->driver->send(sink->state, a);

	cgm_export_add(&sink->told.busy_ns, cgm_clock_mono_ns() - start_ns);
	return result;
}

void cgm_export_leave(struct cgm_export_sink *sink)
{
	if (__atomic_sub_fetch(&sink->nr_users, 1, __ATOMIC_ACQ_REL))
		return;
	sink->driver->close(sink->state);
	sink->state = NULL;
}

void *cgm_export_send_main(void *arg)
{
	struct cgm_export_sink *sink = arg;
	struct cgm_sink_tries t = {
		.who = sink->who, .send = timed_send, .state = sink, .timeout_ns = sink->export->config.timeout_ns, .level = on_level, .failed = on_failed, .arg = sink,
	};
	struct cgm_backlog_batch *batch;

	while ((batch = cgm_backlog_take(sink->backlog))) {
		struct cgm_sink_attempt a = { .stop = &sink->export->stop, .data = batch->data.p, .len = batch->data.len, .nr_points = batch->nr_points };

		if (!cgm_sink_tries_write(&t, &a))
			break; /* the end */
		account(sink, &a, batch->end_ns);
		cgm_backlog_finish(sink->backlog);
	}
	cgm_export_leave(sink);
	return NULL;
}
