/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of the machine, read anew when they are older than an interval. Readers hold a reference. Any thread. */
#pragma once
#include <pthread.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "cgroup/machine.h"

struct cgm_facts {
	uint32_t refs; /* atomic */
	struct cgm_machine *machine;
	uint64_t read_ns; /* CLOCK_MONOTONIC */
};
void cgm_facts_unref(struct cgm_facts *f);
DEFINE_CLEANUP(cgm_facts, cgm_facts_unref)

struct cgm_facts_cache {
	pthread_mutex_t lock;
	int root_fd;
	uint64_t interval_ns;
	struct cgm_facts *newest;
};
void cgm_facts_cache_init(struct cgm_facts_cache *c, int root_fd, uint64_t interval_ns);
void cgm_facts_cache_done(struct cgm_facts_cache *c);
/* A reference; a second reader waits while the first reads. NULL when out of memory. */
struct cgm_facts *cgm_facts_get(struct cgm_facts_cache *c);
