// SPDX-License-Identifier: Apache-2.0
/*
 * The gatherer. It looks at each snapshot once. A container that was in the one before has exactly one new sample, which is the row's; where
 * snapshots were missed, the new samples come from the history. So nothing is lost as long as the history holds, and what is encoded is in
 * the queues before its container can vanish from the snapshots.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "output/gzip.h"
#include "sink/internal.h"

/* ---- batches ---- */

static void report_lost(struct cgm_sink *sink, enum cgm_sink_loss why, uint64_t nr_points)
{
	if (!nr_points)
		return;
	cgm_sink_lose(sink, why, nr_points);
	if (why == CGM_SINK_QUEUE_FULL)
		cgm_log_once(CGM_LOG_WARNING,
			     "storage driver %s: its queue is full, and the oldest points in it are lost (--storage_driver_queue_bytes, "
			     "--storage_driver_queue_batches); said once, counted in cgmeter_sink_lost_total",
			     sink->driver->name);
}

static int put_batch(struct cgm_sink *sink, uint64_t *ret_dropped)
{
	const struct cgm_buf *b = &sink->open;

	if (sink->driver->packed) {
		sink->packed.len = 0;
		if (cgm_gzip_buf(&sink->open, &sink->packed) < 0) {
			cgm_buf_done(&sink->packed);
			return -ENOMEM;
		}
		b = &sink->packed;
	}
	return cgm_sink_queue_put(&sink->queue, b->p, b->len, sink->open_points, ret_dropped);
}

static void commit(struct cgm_sink *sink)
{
	uint64_t dropped = 0;

	if (sink->open_points && put_batch(sink, &dropped) < 0)
		report_lost(sink, CGM_SINK_MEMORY, sink->open_points);
	report_lost(sink, CGM_SINK_QUEUE_FULL, dropped);
	cgm_buf_done(&sink->packed);
	sink->open.len = 0;
	sink->open_points = 0;
	sink->open_since_ns = 0;
}

typedef uint64_t (*encode_fn)(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out);

/* Returns how many points it became. */
static uint64_t encode(struct cgm_sink *sink, encode_fn fn, const struct cgm_sink_sample *s)
{
	uint64_t nr = fn(sink->state, s, &sink->open);

	if (sink->open.failed) {
		report_lost(sink, CGM_SINK_MEMORY, sink->open_points + nr);
		cgm_buf_done(&sink->open);
		sink->open_points = 0;
		return nr;
	}
	if (nr && !sink->open_since_ns)
		sink->open_since_ns = cgm_clock_mono_ns();
	sink->open_points += nr;
	if (sink->open.len >= CGM_SINK_BATCH_BYTES)
		commit(sink);
	return nr;
}

/* ---- samples ---- */

/* With a resolution: the first sample in each interval of it. */
static bool is_wanted(const struct cgm_sinks *sinks, uint64_t encoded_ns, uint64_t time_ns)
{
	uint64_t resolution = sinks->config->resolution_ns;

	return !resolution || !encoded_ns || time_ns / resolution != encoded_ns / resolution;
}

static void encode_sample(struct cgm_sinks *sinks, const struct cgm_sink_sample *s, struct cgm_sink_seen *now)
{
	if (!is_wanted(sinks, now->encoded_ns, s->time_ns))
		return;
	now->encoded_ns = s->time_ns;
	for (size_t i = 0; i < sinks->nr; i++)
		sinks->sinks[i].sample_points = encode(&sinks->sinks[i], sinks->sinks[i].driver->encode, s);
}

static struct cgm_sink_sample newest(const struct cgm_sinks *sinks, const struct cgm_snapshot *snap, const struct cgm_row *row)
{
	return (struct cgm_sink_sample){
		.machine = sinks->machine,
		.row = row,
		.time_ns = row->time_ns,
		.layout = row->layout,
		.values = row->values,
		.groups_off = snap->self.groups_off,
		.groups_paused = snap->self.groups_paused,
	};
}

/* So many samples that were never encoded, as many points each as the last one was. */
static void lose_samples(struct cgm_sinks *sinks, enum cgm_sink_loss why, uint64_t nr)
{
	for (size_t i = 0; i < sinks->nr; i++)
		report_lost(&sinks->sinks[i], why, sinks->sinks[i].sample_points * nr);
}

/* All samples of the row after that time. 0, or -ENOMEM when the history could not be read to its end. */
static int encode_history(struct cgm_sinks *sinks, const struct cgm_sink_sample *newest_sample, uint64_t after_ns, struct cgm_sink_seen *now,
			  uint64_t *ret_last_ns)
{
	const struct cgm_history_view *view = &newest_sample->row->history;
	_cleanup_(cgm_history_iter_done) struct cgm_history_iter it;
	size_t first, nr;
	int r;

	cgm_history_iter_init(&it, view);
	r = cgm_history_view_range(view, after_ns ? after_ns + 1 : 0, 0, &first, &nr);
	if (r == 0)
		r = cgm_history_iter_seek(&it, first);
	for (; r == 0 && nr; nr--) {
		struct cgm_sink_sample s = *newest_sample;

		r = cgm_history_iter_next(&it);
		if (r <= 0)
			return r;
		r = 0;
		s.time_ns = *ret_last_ns = it.time_ns;
		s.layout = it.layout;
		s.values = it.values;
		encode_sample(sinks, &s, now);
	}
	return r;
}

/* before: NULL when the container is new. gapless: nothing was sampled between the last snapshot and this one. */
static void gather_row(struct cgm_sinks *sinks, const struct cgm_snapshot *snap, const struct cgm_row *row, const struct cgm_sink_seen *before,
		       bool gapless, struct cgm_sink_seen *now)
{
	struct cgm_sink_sample s = newest(sinks, snap, row);
	uint64_t last_ns = before ? before->time_ns : 0;

	*now = (struct cgm_sink_seen){ .identity = cgm_identity_ref(row->identity), .serial = row->serial, .time_ns = row->time_ns };
	if (before)
		now->encoded_ns = before->encoded_ns;
	if ((!before || !gapless) && encode_history(sinks, &s, last_ns, now, &last_ns) < 0)
		lose_samples(sinks, CGM_SINK_MEMORY, 1); /* at least */
	if (last_ns != row->time_ns)
		encode_sample(sinks, &s, now);
}

static void forget(struct cgm_sink_seen *seen, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		cgm_identity_unref(seen[i].identity);
	free(seen);
}

/*
 * Both lists are in the order of names. Of a container that ended while snapshots were missed nobody can tell any more whether it was
 * sampled in them: it is taken as sampled.
 */
static void gather_rows(struct cgm_sinks *sinks, const struct cgm_snapshot *snap)
{
	struct cgm_sink_seen *seen = cgm_calloc(snap->nr_rows, sizeof(*seen));
	uint64_t missed = sinks->seq ? snap->seq - sinks->seq - 1 : 0;
	size_t old = 0;

	if (!seen)
		return; /* the next one finds in the history what this one left */
	for (size_t i = 0; i < snap->nr_rows; i++) {
		const struct cgm_row *row = &snap->rows[i];
		const struct cgm_sink_seen *before = NULL;
		int order = -1;

		for (; old < sinks->nr_seen && (order = strcmp(sinks->seen[old].identity->name, row->identity->name)) < 0; old++)
			lose_samples(sinks, CGM_SINK_GONE, missed);
		if (old < sinks->nr_seen && order == 0) {
			before = &sinks->seen[old++];
			if (before->serial != row->serial) { /* another cgroup of that name */
				lose_samples(sinks, CGM_SINK_GONE, missed);
				before = NULL;
			}
		}
		gather_row(sinks, snap, row, before, sinks->seq && !missed, &seen[i]);
	}
	for (; old < sinks->nr_seen; old++)
		lose_samples(sinks, CGM_SINK_GONE, missed);
	forget(sinks->seen, sinks->nr_seen);
	sinks->seen = seen;
	sinks->nr_seen = snap->nr_rows;
	sinks->seq = snap->seq;
}

/* Containers that have ended since the last snapshot that was looked at, each once: their last sample. */
static void gather_ended(struct cgm_sinks *sinks, const struct cgm_snapshot *snap, uint64_t after_seq)
{
	for (size_t i = snap->nr_rows; i < snap->nr_rows + snap->nr_ended; i++) {
		struct cgm_sink_sample s = newest(sinks, snap, &snap->rows[i]);
		struct cgm_sink_seen none = { 0 };

		if (snap->rows[i].changed_seq > after_seq)
			encode_sample(sinks, &s, &none);
	}
}

static bool is_due(const struct cgm_sink *sink, uint64_t now)
{
	return sink->open_points && (sink->driver->at_once || now - sink->open_since_ns >= sink->sinks->config->buffer_ns);
}

/* Once in the buffer's time, however often batches are full in it. */
static bool is_live_due(struct cgm_sink *sink, uint64_t now)
{
	if (!sink->live_since_ns)
		sink->live_since_ns = now;
	return now - sink->live_since_ns >= sink->sinks->config->buffer_ns;
}

static void encode_live(struct cgm_sink *sink, const struct cgm_snapshot *s, uint64_t now)
{
	sink->live_since_ns = now;
	for (size_t i = 0; i < s->nr_rows; i++) {
		struct cgm_sink_sample sample = newest(sink->sinks, s, &s->rows[i]);

		if (sample.row->live)
			encode(sink, sink->driver->encode_live, &sample);
	}
}

void cgm_sink_gather(struct cgm_sinks *sinks, const struct cgm_snapshot *s, bool all)
{
	uint64_t now;

	if (s && s->seq != sinks->seq) {
		uint64_t before = sinks->seq;

		gather_rows(sinks, s);
		if (before && sinks->seq == s->seq) /* not what ended before the drivers came */
			gather_ended(sinks, s, before);
	}
	now = cgm_clock_mono_ns(); /* not before any batch was begun */
	for (size_t i = 0; i < sinks->nr; i++) {
		struct cgm_sink *sink = &sinks->sinks[i];
		bool live = s && sink->driver->encode_live && (is_live_due(sink, now) || all);

		if (live)
			encode_live(sink, s, now);
		if (live || all || is_due(sink, now))
			commit(sink);
	}
}

void cgm_sink_gather_done(struct cgm_sinks *sinks)
{
	forget(sinks->seen, sinks->nr_seen);
	sinks->seen = NULL;
	sinks->nr_seen = 0;
	for (size_t i = 0; i < sinks->nr; i++) {
		cgm_buf_done(&sinks->sinks[i].open);
		cgm_buf_done(&sinks->sinks[i].packed);
	}
}

void *cgm_sink_gather_main(void *arg)
{
	struct cgm_sinks *sinks = arg;
	bool stopping = false;

	while (!stopping) {
		struct pollfd p[] = { { .fd = sinks->wake_fd, .events = POLLIN }, { .fd = sinks->stop.fd, .events = POLLIN } };
		struct cgm_snapshot *s;
		eventfd_t nr;

		(void)poll(p, ARRAY_SIZE(p), -1); /* the end does not only shorten this wait: it is what is waited for */
		stopping = cgm_sink_stopping(&sinks->stop);
		(void)eventfd_read(sinks->wake_fd, &nr);
		s = cgm_store_get(sinks->store);
		cgm_sink_gather(sinks, s, stopping);
		cgm_snapshot_unref(s);
	}
	for (size_t i = 0; i < sinks->nr; i++)
		cgm_sink_queue_close(&sinks->sinks[i].queue);
	cgm_sink_gather_done(sinks);
	return NULL;
}
