/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of user/export: a sink that is open, between whoever puts slices (export.c), its encoder (encoder.c) and its sender (sender.c). */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "export/backlog.h"
#include "export/driver.h"
#include "export/export.h"
#include "sink/wait.h"

#define CGM_EXPORT_BATCH_BYTES ((size_t)1 << 20)

struct cgm_export_slice {
	struct cgm_export_slice *next;
	struct cgm_slice *slice; /* its reference */
};

/* Slices that wait for the encoder. */
struct cgm_export_slices {
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct cgm_export_slice *first, **end;
	size_t bytes, max_bytes;
	bool closed;
};

struct cgm_export_sink {
	const struct cgm_exporter *driver;
	void *state;
	struct cgm_uri uri;
	struct cgm_export *export;
	char who[64]; /* how messages begin: "sink influxdb" */
	pthread_t encoder, sender;
	bool has_encoder, has_sender;
	unsigned nr_users; /* atomic: threads that use the driver's state; the last one closes it */
	struct cgm_export_slices slices;
	struct cgm_backlog *backlog;
	/* the encoder's: the batch that is being made */
	struct cgm_buf open;
	uint64_t open_points, open_end_ns, open_since_ns; /* since: monotonic */
	/* what is known of it: numbers are atomic, levels of queue and spool are not here; name and shown never change */
	struct cgm_export_state told;
	pthread_mutex_t fault_lock; /* of told.fault */
};

struct cgm_export {
	struct cgm_export_config config; /* with what was left open filled in */
	struct cgm_sink_stop stop;
	struct cgm_export_sink *sinks;
	size_t nr;
};

/* Tests only: one more driver. */
extern const struct cgm_exporter *cgm_exporter_of_test;
/* Is it no sink with a queue: Heapster's "metric" (the store), "prometheus" (user/serve)? */
bool cgm_export_is_elsewhere(const char *prefix);
/* Threads; the argument is a struct cgm_export_sink. */
void *cgm_export_encode_main(void *arg);
void *cgm_export_send_main(void *arg);
void cgm_export_slices_init(struct cgm_export_slices *q, size_t max_bytes);
void cgm_export_slices_done(struct cgm_export_slices *q);
/* Takes a reference of its own. Any thread. */
void cgm_export_slices_put(struct cgm_export_sink *sink, struct cgm_slice *s);
void cgm_export_slices_close(struct cgm_export_slices *q);

/* A thread needs the driver's state no more. Closing may take its time, so a thread does it: who stops us waits only so long. */
void cgm_export_leave(struct cgm_export_sink *sink);

static inline void cgm_export_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void cgm_export_lose(struct cgm_export_sink *sink, enum cgm_export_loss why, uint64_t nr_points)
{
	cgm_export_add(&sink->told.nr_lost[why], nr_points);
}
