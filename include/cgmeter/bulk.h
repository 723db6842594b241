/* SPDX-License-Identifier: Apache-2.0 */
/* What was read of a cgroup in bulk (user/kernel/stat.c), for the reader of its files (user/cgroup/reader.c) to take instead of reading
 * them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/metrics.h"

/* Values that are there together or not at all. A file is not read when all of its groups are there. */
enum cgm_bulk_group {
	CGM_BULK_CPU_TIME,
	CGM_BULK_CPU_SPLIT, /* user and system */
	CGM_BULK_CPU_CFS,   /* also where the controller is off: then it is known that there are no values */
	CGM_BULK_MEMORY_USAGE,
	CGM_BULK_MEMORY_PEAK,
	CGM_BULK_MEMORY_KERNEL, /* v1; on v2 it is a line of memory.stat */
	CGM_BULK_MEMORY_FAILCNT,
	CGM_BULK_MEMORY_EVENTS,
	CGM_BULK_MEMORY_LOCAL_EVENTS, /* v2: the failcnt, and its own victims of the OOM killer */
	CGM_BULK_MEMORY_SWAP, /* v2; on v1 it is a line of memory.stat */
	CGM_BULK_MEMORY_STAT,
	CGM_BULK_PIDS,
	CGM_BULK_PSI_CPU,
	CGM_BULK_PSI_MEMORY,
	CGM_BULK_PSI_IO,
	CGM_BULK_PSI_IRQ,
	CGM_NR_BULK_GROUPS,
};

struct cgm_bulk {
	uint32_t groups;   /* bit per enum cgm_bulk_group */
	bool unsure;	   /* memory.stat is not among them because a line of it has no known place yet: cgm_kernel_stat_learn() */
	uint64_t settings; /* a digest of the limits: while it stands, they do. 0: not known */
	uint64_t have[CGM_NR_BULK_GROUPS][CGM_VALUE_WORDS]; /* which values a group has; of a group that is not there: undefined */
	uint64_t v[CGM_NR_VALUES];			    /* in units of metrics.def; only those with a bit in have */
	const uint64_t *cpu_ns;				    /* per CPU, with CPU_TIME, until the next sweep; the first nr_cpus */
	size_t nr_cpus;
};

/* The group is there, without values so far. */
static inline void cgm_bulk_group(struct cgm_bulk *b, enum cgm_bulk_group g)
{
	b->groups |= 1U << g;
	for (unsigned w = 0; w < CGM_VALUE_WORDS; w++)
		b->have[g][w] = 0;
}

static inline void cgm_bulk_set(struct cgm_bulk *b, enum cgm_bulk_group g, enum cgm_value id, uint64_t v)
{
	b->v[id] = v;
	b->have[g][id / 64] |= 1ULL << (id % 64);
}
