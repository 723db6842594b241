/* SPDX-License-Identifier: Apache-2.0 */
/* Writing one batch: tries until it is written or given up, with a back-off between them, and the words about it. One thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "sink/driver.h"

struct cgm_sink_tries {
	const char *who; /* how messages begin: "storage driver influxdb" */
	enum cgm_sink_result (*send)(void *state, struct cgm_sink_attempt *a);
	void *state;
	uint64_t timeout_ns; /* of one try */
	/* What waits, for a message. */
	void (*level)(void *arg, uint64_t *ret_bytes, uint64_t *ret_batches);
	/* After each try that failed. True: give the batch up. */
	bool (*failed)(void *arg, const struct cgm_sink_attempt *a);
	void *arg;
	/* its own: monotonic; 0: not */
	uint64_t said_ns, failing_since_ns;
};

/*
 * a: stop, data, len, nr_points. True: it is written, all but a->nr_lost points; false: it was given up, or the deadline of the end has passed.
 * The same trouble is said once a minute.
 */
bool cgm_sink_tries_write(struct cgm_sink_tries *t, struct cgm_sink_attempt *a);
