/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of perf_event_open(2) for containers, as --perf_events_config asks for them: a descriptor for each container, event and CPU. Counts
 * are of the container and all below it. Events of a processor's surroundings (uncore) are of no cgroup: they are the machine's.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/cgroup.h"

#define CGM_PERF_NAME 56 /* "pmu/event" */

struct cgm_perf_event {
	char name[CGM_PERF_NAME]; /* as in the configuration; UNCORE: "pmu/event" */
	uint32_t type; /* struct perf_event_attr; not of an UNCORE event, whose PMU says it */
	uint64_t config[3];
	uint32_t group; /* events with the same number are counted at the same time */
	bool custom; /* config is known; else an UNCORE event is looked up for each PMU */
};

struct cgm_perf_config {
	struct cgm_perf_event *core, *uncore;
	size_t nr_core, nr_uncore;
	size_t max_fds; /* descriptors that may be open, all containers together */
	size_t nr_fds, nr_left_out; /* atomic: open now; containers that found none, or whose events were refused */
};

/*
 * The event of that name: of perf ("cpu-clock", "instructions"), of libpfm's generic ones ("PERF_COUNT_HW_INSTRUCTIONS"), or "pmu/event" of
 * <root_fd>/sys/bus/event_source/devices. Sets type and config. -ENOENT: unknown here.
 */
int cgm_perf_event_find(int root_fd, const char *name, struct cgm_perf_event *ret);
/* The numbers of "pmu/event" for one PMU: its type, and what its format makes of the event. -ENOENT. */
int cgm_perf_sysfs_event(int root_fd, const char *pmu, const char *event, struct cgm_perf_event *ret);

struct cgm_perf;
/* dir: of the cgroup, relative to a mount point; config must outlive it. NULL: out of memory, out of descriptors, or nothing can be counted (said once). */
struct cgm_perf *cgm_perf_open(struct cgm_perf_config *config, const struct cgm_trees *t, const char *dir);
void cgm_perf_close(struct cgm_perf *p);
/* Adds extras PERF and UNCORE. 0 or -ENOMEM. */
int cgm_perf_read(const struct cgm_perf *p, struct cgm_sample *s);
