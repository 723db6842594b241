/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to a server that answers nothing: statsd, graphite. By UDP several lines a datagram, by TCP a stream. A datagram is gone when it is sent: only a host that says that
 * nobody listens is an error, and the datagram before the one that meets it is lost without a sign. The sender's thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sink/config.h"
#include "sink/driver.h"

struct cgm_lines {
	char host[CGM_HOST_BYTES];
	uint16_t port;
	bool tcp;
	size_t max_lines; /* of a datagram; 0: as many as fit */
	/*
	 * A line may come twice: a stream counts as written once the server's kernel has it, and after a connection that broke all of the batch is sent again. Otherwise it goes
	 * on behind what was taken.
	 */
	bool repeatable;
	int fd; /* -1: none */
	size_t done; /* of the batch under way: whole lines */
};

void cgm_lines_close(struct cgm_lines *l);
/* Every line of the batch ends with a newline. */
enum cgm_sink_result cgm_lines_send(struct cgm_lines *l, struct cgm_sink_attempt *a);
