/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sample of one container while it is being made: the scratch that the readers fill, and that user/model packs.
 * One scratch is used again for every container, so a tick allocates nothing once the arrays have their size.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgmeter/metrics.h"

/* What numbers there may be several sets of. Those from HUGETLB on are held as struct cgm_extra. */
enum cgm_layout_kind {
	CGM_LAYOUT_CPU,
	CGM_LAYOUT_DISK,
	CGM_LAYOUT_IFACE,
	CGM_LAYOUT_NUMA,
	CGM_LAYOUT_FS,
	CGM_LAYOUT_HUGETLB, /* name: the size as the kernel's files have it, "2MB"; number: 1 where the maximum is known (v1) */
	CGM_LAYOUT_TCP, /* number: 0 for IPv4, 1 for IPv6; likewise UDP */
	CGM_LAYOUT_UDP,
	CGM_LAYOUT_ADVTCP,
	CGM_LAYOUT_RESCTRL, /* number: of the cache */
	CGM_LAYOUT_PERF, /* name: of the event; CGM_NR_PERF_VALUES for each CPU */
	CGM_LAYOUT_UNCORE, /* name: "pmu/event"; the same for each socket */
};

struct cgm_disk_row {
	uint32_t major, minor;
	uint64_t v[CGM_NR_DISK_VALUES];
};

struct cgm_iface_row {
	char name[16];
	uint64_t v[CGM_NR_IFACE_VALUES];
};

struct cgm_numa_row {
	uint32_t node;
	uint64_t v[CGM_NR_NUMA_VALUES]; /* pages */
};

#define CGM_FS_DEVICE 64
struct cgm_fs_row {
	char device[CGM_FS_DEVICE]; /* "/dev/vda1"; for tmpfs and the like the mount point */
	char type[16]; /* "vfs", "nfs", "zfs" */
	uint64_t v[CGM_NR_FS_VALUES];
};

/* A set of values of a group that is off by default. */
struct cgm_extra {
	enum cgm_layout_kind kind;
	uint32_t number;
	char name[CGM_FS_DEVICE];
	uint32_t first, nr; /* in extra_v */
};

struct cgm_sample {
	uint64_t time_ns; /* since the epoch */
	uint64_t v[CGM_NR_VALUES];
	uint64_t have[CGM_VALUE_WORDS]; /* bit i: v[i] was read; else it is 0 */
	uint64_t *cpu_ns; /* per CPU, in order of CPU number; nr_cpus == 0: not known */
	size_t nr_cpus, cap_cpus;
	struct cgm_disk_row *disks;
	size_t nr_disks, cap_disks;
	struct cgm_iface_row *ifaces; /* none: it shares the machine's */
	size_t nr_ifaces, cap_ifaces;
	struct cgm_numa_row *numa;
	size_t nr_numa, cap_numa;
	struct cgm_fs_row *fs; /* of "/"; of a container, that of its writable layer */
	size_t nr_fs, cap_fs;
	struct cgm_extra *extras;
	size_t nr_extras, cap_extras;
	uint64_t *extra_v;
	size_t nr_extra_v, cap_extra_v;
};

/* Everything to "not read", arrays kept. */
void cgm_sample_reset(struct cgm_sample *s);
/* Releases the arrays. */
void cgm_sample_done(struct cgm_sample *s);
/* The row of that device, made when it is new. NULL when out of memory. */
struct cgm_disk_row *cgm_sample_disk(struct cgm_sample *s, uint32_t major, uint32_t minor);
struct cgm_iface_row *cgm_sample_iface(struct cgm_sample *s, const char *name);
struct cgm_numa_row *cgm_sample_numa(struct cgm_sample *s, uint32_t node);
struct cgm_fs_row *cgm_sample_fs(struct cgm_sample *s, const char *device, const char *type);
/*
 * The nr values of that set, zeroed when it is new; good until the next call. name: "" where the kind needs none. NULL when out of memory.
 */
uint64_t *cgm_sample_extra(struct cgm_sample *s, enum cgm_layout_kind kind, uint32_t number, const char *name, size_t nr);
/* Adds what from has of single values and extras (no other rows). 0 or -ENOMEM. */
int cgm_sample_merge(struct cgm_sample *s, const struct cgm_sample *from);
/* Sets the number of per-CPU values (zeroed). 0 or -ENOMEM. */
int cgm_sample_cpus(struct cgm_sample *s, size_t nr_cpus);

static inline void cgm_sample_set(struct cgm_sample *s, enum cgm_value id, uint64_t v)
{
	s->v[id] = v;
	s->have[id / 64] |= 1ULL << (id % 64);
}

static inline bool cgm_sample_has(const struct cgm_sample *s, enum cgm_value id)
{
	return s->have[id / 64] >> (id % 64) & 1;
}
