/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of user/sink: the sinks that are open, between the gatherer (gather.c), the senders (sender.c) and the outside (sink.c). */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "sink/driver.h"
#include "sink/queue.h"
#include "sink/wait.h"

/* Uncompressed, of one batch: some hundred samples. */
#define CGM_SINK_BATCH_BYTES ((size_t)512 * 1024)

/* One driver that is open. */
struct cgm_sink {
	const struct cgm_sink_driver *driver;
	void *state;
	struct cgm_sinks *sinks;
	struct cgm_sink_queue queue;
	pthread_t thread;
	bool has_thread;
	/* the gatherer's: the batch that is being made */
	struct cgm_buf open, packed;
	uint64_t open_points, open_since_ns; /* monotonic */
	uint64_t live_since_ns; /* monotonic: when encode_live last had its turn */
	uint64_t sample_points; /* that the last sample became */
	struct cgm_sink_status status; /* numbers are atomic */
};

/* Who was in the last snapshot that the gatherer saw, in its order. */
struct cgm_sink_seen {
	struct cgm_identity *identity;
	uint32_t serial; /* see struct cgm_row */
	uint64_t time_ns; /* of the newest sample that it had */
	uint64_t encoded_ns; /* of the last sample that was encoded */
};

struct cgm_sinks {
	const struct cgm_sink_config *config;
	struct cgm_store *store;
	char machine[256];
	struct cgm_sink_stop stop;
	int wake_fd; /* eventfd: there is a new snapshot */
	pthread_t gatherer;
	bool has_gatherer;
	struct cgm_sink *sinks;
	size_t nr;
	/* the gatherer's */
	struct cgm_sink_seen *seen;
	size_t nr_seen;
	uint64_t seq; /* of the last snapshot; 0: none yet */
};

/* Threads; the argument is a struct cgm_sinks, a struct cgm_sink. */
void *cgm_sink_gather_main(void *arg);
void *cgm_sink_send_main(void *arg);
/* Encodes what is new in s, and commits the batches that are due (all: every one). The gatherer's thread. */
void cgm_sink_gather(struct cgm_sinks *sinks, const struct cgm_snapshot *s, bool all);
void cgm_sink_gather_done(struct cgm_sinks *sinks);
/* Writes one batch, trying until it is written, refused for good or the end comes. Frees nothing. */
void cgm_sink_deliver(struct cgm_sink *sink, const struct cgm_sink_batch *batch);

static inline void cgm_sink_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void cgm_sink_lose(struct cgm_sink *sink, enum cgm_sink_loss why, uint64_t nr_points)
{
	cgm_sink_add(&sink->status.lost[why], nr_points);
}
