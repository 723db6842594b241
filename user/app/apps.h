/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The applications that are asked, and the thread that asks them, one after the other. A container that hangs delays the others by some seconds a round
 * at most. The sampler takes the newest answers and never waits.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/metrics.h"
#include "base/cleanup.h"

/* Texts must live as long. */
struct cgm_apps_config {
	int root_fd; /* of the machine; must stay open */
	size_t max_metrics; /* names of one container, --application_metrics_count_limit; what is beyond is left out */
	const char *cert, *key; /* --collector_cert, --collector_key; "": none */
};

struct cgm_apps;
/* Starts no thread before there is an application. 0 or a negative errno. */
int cgm_apps_open(const struct cgm_apps_config *config, struct cgm_apps **ret);
/* Ends it, and frees what is left. NULL is fine. */
void cgm_apps_close(struct cgm_apps *a);
DEFINE_CLEANUP(cgm_apps, cgm_apps_close)

/* ---- the sampler's thread ---- */

struct cgm_app;
/* Does a label of the container ask for it? */
bool cgm_apps_wanted(const struct cgm_who *who);
/* Begins to ask. NULL: out of memory, or no thread, which is counted. */
struct cgm_app *cgm_apps_add(struct cgm_apps *a, const struct cgm_who *who);
/* NULL is fine. */
void cgm_apps_drop(struct cgm_apps *a, struct cgm_app *app);
/* A reference to what it said last; NULL: nothing (yet, or not any more). */
struct cgm_app_metrics *cgm_apps_get(struct cgm_apps *a, const struct cgm_app *app);

struct cgm_apps_state {
	size_t nr_apps;
	uint64_t nr_requests, nr_failed; /* failed: a file or an answer that could not be had or understood */
	uint64_t nr_left_out; /* values beyond the limits, and doubles; total over all answers */
	uint64_t nr_lost; /* out of memory */
	uint64_t late_ns; /* of what has waited longest: beyond its time */
};
struct cgm_apps_state cgm_apps_state(struct cgm_apps *a);
