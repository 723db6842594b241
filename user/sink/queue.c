// SPDX-License-Identifier: Apache-2.0
#include "sink/queue.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

void cgm_sink_queue_init(struct cgm_sink_queue *q, size_t max_bytes, size_t max_nr)
{
	*q = (struct cgm_sink_queue){ .max_bytes = max_bytes, .max_nr = max_nr };
	q->end = &q->first;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->change, NULL);
}

static struct cgm_sink_batch *unlink_first(struct cgm_sink_queue *q)
{
	struct cgm_sink_batch *b = q->first;

	q->first = b->next;
	if (!q->first)
		q->end = &q->first;
	return b;
}

void cgm_sink_queue_done(struct cgm_sink_queue *q)
{
	while (q->first)
		free(unlink_first(q));
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->change);
}

/* With the lock held; _level reads without it. */
static void account(struct cgm_sink_queue *q, const struct cgm_sink_batch *b, bool in)
{
	__atomic_store_n(&q->nr, in ? q->nr + 1 : q->nr - 1, __ATOMIC_RELAXED);
	__atomic_store_n(&q->bytes, in ? q->bytes + b->len : q->bytes - b->len, __ATOMIC_RELAXED);
}

/* With the lock held. */
static uint64_t make_room(struct cgm_sink_queue *q, size_t len)
{
	uint64_t dropped = 0;

	while (q->first && (q->nr >= q->max_nr || q->bytes + len > q->max_bytes)) {
		struct cgm_sink_batch *b = unlink_first(q);

		account(q, b, false);
		dropped += b->nr_points;
		free(b);
	}
	return dropped;
}

int cgm_sink_queue_put(struct cgm_sink_queue *q, const char *data, size_t len, uint64_t nr_points, uint64_t *ret_dropped)
{
	struct cgm_sink_batch *b = cgm_malloc(sizeof(*b) + len);

	*ret_dropped = 0;
	if (!b)
		return -ENOMEM;
	*b = (struct cgm_sink_batch){ .nr_points = nr_points, .len = len };
	memcpy(b->data, data, len);
	pthread_mutex_lock(&q->lock);
	*ret_dropped = make_room(q, len);
	if (q->nr >= q->max_nr || q->bytes + len > q->max_bytes) {
		*ret_dropped += nr_points; /* the one that is being sent leaves no room */
		free(b);
	} else {
		*q->end = b;
		q->end = &b->next;
		account(q, b, true);
		pthread_cond_signal(&q->change);
	}
	pthread_mutex_unlock(&q->lock);
	return 0;
}

struct cgm_sink_batch *cgm_sink_queue_take(struct cgm_sink_queue *q)
{
	struct cgm_sink_batch *b;

	pthread_mutex_lock(&q->lock);
	while (!q->first && !q->closed)
		pthread_cond_wait(&q->change, &q->lock);
	b = q->first ? unlink_first(q) : NULL;
	pthread_mutex_unlock(&q->lock);
	return b;
}

void cgm_sink_queue_finish(struct cgm_sink_queue *q, struct cgm_sink_batch *b)
{
	pthread_mutex_lock(&q->lock);
	account(q, b, false);
	pthread_mutex_unlock(&q->lock);
	free(b);
}

void cgm_sink_queue_close(struct cgm_sink_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->change);
	pthread_mutex_unlock(&q->lock);
}

void cgm_sink_queue_level(const struct cgm_sink_queue *q, uint64_t *ret_bytes, uint64_t *ret_batches)
{
	*ret_bytes = __atomic_load_n(&q->bytes, __ATOMIC_RELAXED);
	*ret_batches = __atomic_load_n(&q->nr, __ATOMIC_RELAXED);
}
