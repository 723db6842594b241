/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storage driver is made of. Encoding runs in the gatherer's thread, sending in the driver's own: a driver's state has what is fixed
 * when it is opened, which both may read, and what is the sender's alone.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/snapshot.h"
#include "sink/sink.h"
#include "sink/wait.h"

#define CGM_SINK_FAULT 256 /* of a text that says what is wrong */
/* cAdvisor's defaults, which tell whether a flag was given. */
#define CGM_SINK_DEFAULT_HOST "localhost:8086"
#define CGM_SINK_DEFAULT_PASSWORD "root"

/* One sample of one container. */
struct cgm_sink_sample {
	const char *machine; /* the host's name */
	const struct cgm_row *row; /* who it is; its values are the newest, not these */
	uint64_t time_ns;
	const struct cgm_layout *layout;
	const uint64_t *values;
	uint64_t groups_off, groups_paused; /* see struct cgm_self */
};

enum cgm_sink_result {
	CGM_SINK_WRITTEN, /* all but nr_lost points */
	CGM_SINK_AGAIN, /* nothing, or not all; the same batch is to be tried later */
};

/* One try to write a batch. */
struct cgm_sink_attempt {
	const struct cgm_sink_stop *stop;
	uint64_t until_ns; /* monotonic: when to give up this try */
	const char *data;
	size_t len;
	uint64_t nr_points;
	bool first; /* of this batch */
	/* what the driver says */
	uint64_t nr_lost; /* of nr_points, for good */
	enum cgm_sink_loss loss; /* why */
	uint64_t retry_after_ns; /* with AGAIN: what the server asks for; 0: nothing */
	char fault[CGM_SINK_FAULT]; /* with AGAIN or nr_lost: what is wrong; never with a secret */
};

struct cgm_sink_driver {
	const char *name;
	bool at_once; /* what it writes has no time of its own: each tick is committed */
	bool packed; /* batches are compressed in the queue; send gets them so when it takes_packed */
	bool takes_packed;
	/* Fills *ret, or says what is wrong: -EINVAL with the flag and the fault, -ENOMEM, … Connects to nothing. */
	int (*open)(const struct cgm_sink_config *c, void **ret, const char **ret_flag, char *fault);
	void (*close)(void *state);
	/* Appends whole records; returns how many points they are. */
	uint64_t (*encode)(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out);
	/* The same for what a snapshot has of a row beside its samples: counts since ever, once a batch. May be NULL. */
	uint64_t (*encode_live)(const void *state, const struct cgm_sink_sample *s, struct cgm_buf *out);
	enum cgm_sink_result (*send)(void *state, struct cgm_sink_attempt *a);
};

extern const struct cgm_sink_driver cgm_sink_stdout, cgm_sink_statsd, cgm_sink_influxdb, cgm_sink_redis, cgm_sink_kafka, cgm_sink_elasticsearch,
	cgm_sink_otlp;

/* The driver of that name, or NULL. */
const struct cgm_sink_driver *cgm_sink_find(const char *name, size_t len);
/* Writes "flag: what" into fault (CGM_SINK_FAULT) and returns -EINVAL. */
int cgm_sink_bad(const char *flag, const char **ret_flag, char *fault, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for the result of a try. Always CGM_SINK_AGAIN. */
enum cgm_sink_result cgm_sink_again(struct cgm_sink_attempt *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Writes a batch of lines to standard output; *written, the sender's, is how far the batch under way has come. */
enum cgm_sink_result cgm_sink_write_stdout(struct cgm_sink_attempt *a, size_t *written);
