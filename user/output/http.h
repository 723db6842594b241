/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: the only room with libmicrohttpd. Its threads read snapshots; they never touch the sampler. */
#pragma once
#include <stdint.h>

#include "cgroup/machine.h"
#include "model/snapshot.h"

/* Everything it points to must outlive the server; nothing is taken over. */
struct cgm_http_config {
	const char *listen_ip; /* "" or NULL: all addresses */
	uint16_t port; /* 0: any free one, see cgm_http_port */
	struct cgm_store *store;
	const char *version; /* of this program */
	int root_fd; /* for /machine */
	uint64_t machine_interval_ns; /* how old machine facts may be */
};

struct cgm_http;
/* Starts to serve. 0, or a negative errno (-EADDRINUSE, -EINVAL for a bad listen_ip), said in the log with the address. */
int cgm_http_start(const struct cgm_http_config *config, struct cgm_http **ret);
/* Ends all connections and frees. */
void cgm_http_stop(struct cgm_http *h);
uint16_t cgm_http_port(const struct cgm_http *h);
