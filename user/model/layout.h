/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a sample lies in one flat array of 64-bit values: first the CGM_NR_VALUES of metrics.def, then blocks (per CPU, per disk, per
 * interface, per NUMA node, per file system, and the extras), in the order in which they were first seen. A layout never changes: a new disk makes a new layout.
 * Shared by reference count; any thread may read it. CPUs that appear later are a second CPU block, which goes on with the numbering.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cgroup/sample.h"

struct cgm_layout_block {
	enum cgm_layout_kind kind;
	uint32_t major, minor; /* DISK; NUMA: minor is the node; extras: minor is the number */
	char name[CGM_FS_DEVICE]; /* IFACE: interface; FS: device; DISK: the name for labels, "/dev/vda" or ""; extras: their name */
	char type[16]; /* FS */
	uint32_t first, nr; /* values [first, first + nr) */
};

struct cgm_layout {
	uint32_t refs; /* atomic */
	uint32_t nr_values, nr_blocks;
	uint64_t have[CGM_VALUE_WORDS]; /* which of the CGM_NR_VALUES have a source on this machine */
	struct cgm_layout_block blocks[];
};

/* Takes a reference and returns l; gives one back (NULL: nothing). Any thread. */
struct cgm_layout *cgm_layout_ref(struct cgm_layout *l);
void cgm_layout_unref(struct cgm_layout *l);

/*
 * The layout that holds everything in s: old itself (a new reference) when it does, else a new one that begins with old's blocks; but one
 * made from nothing when an interface, a file system or an extra of old is gone.
 * old may be NULL. disk_name gives the label of a new disk (may be NULL). NULL when out of memory.
 */
typedef const char *(*cgm_disk_name_fn)(void *arg, uint32_t major, uint32_t minor, char *buf, size_t size);
struct cgm_layout *cgm_layout_for(struct cgm_layout *old, const struct cgm_sample *s, cgm_disk_name_fn disk_name, void *arg);
/* Writes s as l->nr_values values. Blocks that s does not have are written as 0. */
void cgm_layout_pack(const struct cgm_layout *l, const struct cgm_sample *s, uint64_t *ret_values);

/* The way back: values as a sample that was reset before; disks only if with_disks. 0 or -ENOMEM. */
int cgm_layout_unpack(const struct cgm_layout *l, const uint64_t *values, bool with_disks, struct cgm_sample *s);

static inline bool cgm_layout_has(const struct cgm_layout *l, enum cgm_value id)
{
	return l->have[id / 64] >> (id % 64) & 1;
}
