/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container used over the last hour and the last day: CPU in thousandths of one CPU, memory as working set in bytes. Digests of a
 * minute each make up the hour, digests of an hour each the day; the last minute is read exactly, from the history. The hour is the last 60
 * whole minutes and the one under way, the day the last 24 whole hours and the one under way: 60 to 61 minutes, 24 to 25 hours. A few kB a container.
 *
 * The sampler adds, readers add up the digests under a lock. The sampler never waits for it: what it finds locked is added with the
 * next sample.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "model/digest.h"
#include "model/history.h"

struct cgm_summary;

/* One reference. phase_ns: how far into a minute the first one begins, so that not all containers finish theirs in the same tick. NULL: out of memory. */
struct cgm_summary *cgm_summary_new(uint64_t phase_ns);
/* Any thread. _unref accepts NULL. */
struct cgm_summary *cgm_summary_ref(struct cgm_summary *s);
void cgm_summary_unref(struct cgm_summary *s);

/* What a sample says; a value that is not known is not added. */
struct cgm_usage_sample {
	uint64_t time_ns; /* since the epoch */
	bool has_cpu, has_memory;
	uint64_t cpu_ns; /* used since ever; a fall means that it began anew */
	uint64_t memory_bytes;
};
/* Sampler's thread. Never fails: what finds no memory is counted in cgm_summary_lost(). */
void cgm_summary_add(struct cgm_summary *s, const struct cgm_usage_sample *sample);
/* Bytes of memory held. Sampler's thread. */
size_t cgm_summary_bytes(const struct cgm_summary *s);
/* Samples of all containers that are in no digest: out of memory, or locked for too long. Any thread. */
uint64_t cgm_summary_lost(void);

struct cgm_usage {
	uint32_t percent_complete; /* how much of the window was sampled */
	struct cgm_percentiles cpu, memory; /* nr == 0: nothing is known */
};

struct cgm_derived {
	uint64_t time_ns; /* of the newest sample */
	uint64_t cpu, memory; /* newest */
	struct cgm_usage minute, hour, day;
};

/*
 * Any thread. s may be NULL (then hour and day are empty). history: of the same container; samples of the last minute are read from it.
 * last_ns: of its newest sample. 0 or -ENOMEM.
 */
int cgm_summary_read(struct cgm_summary *s, const struct cgm_history_view *history, uint64_t last_ns, struct cgm_derived *ret);
