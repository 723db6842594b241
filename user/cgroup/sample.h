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
	struct cgm_fs_row *fs; /* "/" only for now */
	size_t nr_fs, cap_fs;
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
