/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches on their way from the gatherer to a driver's sender. Bounded in bytes and in batches: where a new one finds no room, the oldest
 * that wait go, and are counted. The batch that the sender has taken still counts as part of the queue until it is done.
 */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgm_sink_batch {
	struct cgm_sink_batch *next;
	uint64_t nr_points;
	size_t len;
	char data[];
};

struct cgm_sink_queue {
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct cgm_sink_batch *first, **end;
	size_t bytes, nr, max_bytes, max_nr; /* the taken one included */
	bool closed;
};

void cgm_sink_queue_init(struct cgm_sink_queue *q, size_t max_bytes, size_t max_nr);
/* Frees what is left. */
void cgm_sink_queue_done(struct cgm_sink_queue *q);
/*
 * Appends a copy of the text. 0, or -ENOMEM (the points are lost then). *ret_dropped: points of batches that had to go, which may be the
 * new one itself when it alone is larger than the queue.
 */
int cgm_sink_queue_put(struct cgm_sink_queue *q, const char *data, size_t len, uint64_t nr_points, uint64_t *ret_dropped);
/* Waits for the next one; NULL: the queue is closed and empty. The caller owns it, and gives it back by _finish. One taker. */
struct cgm_sink_batch *cgm_sink_queue_take(struct cgm_sink_queue *q);
void cgm_sink_queue_finish(struct cgm_sink_queue *q, struct cgm_sink_batch *b);
/* Nothing more will come. */
void cgm_sink_queue_close(struct cgm_sink_queue *q);
/* What it holds now, the taken one included. Takes no lock. */
void cgm_sink_queue_level(const struct cgm_sink_queue *q, uint64_t *ret_bytes, uint64_t *ret_batches);
