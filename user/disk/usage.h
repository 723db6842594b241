/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of its file system a directory (or file) holds: writable layers, logs and volumes of containers. By project quota where the kernel keeps
 * one for that directory, else by a walk: a thread of its own at idle priority, so many entries a second and no more, that never follows a link below
 * the path, never leaves the file system, never opens what is not a directory, and can be stopped at any entry. Small directories do not wait for
 * large ones. What lies on a network or FUSE file system is not touched at all. The sampler takes the newest results, and there is no lock that it
 * could wait for: the thread may be out of the CPU at any moment for long.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/sample.h"

enum cgm_disk_source {
	CGM_DISK_QUOTA, /* the kernel counts it all the time */
	CGM_DISK_WALK,
	CGM_DISK_FS, /* a file system of its own is mounted there: what that says of itself */
};

struct cgm_disk_usage {
	uint64_t time_ns; /* since the epoch, when the measurement ended */
	uint64_t used_bytes, used_inodes; /* as allocated (st_blocks), a file with several names once */
	uint64_t capacity_bytes, available_bytes, inodes, inodes_free; /* of the file system that it lies on */
	dev_t dev;
	char device[CGM_FS_DEVICE]; /* as the machine's file systems are named (cgm_fs_device); "" when the name does not fit: a tmpfs far down */
	enum cgm_disk_source source;
};

/* As cAdvisor's. */
#define CGM_DISK_INTERVAL_NS (60 * CGM_NSEC_PER_SEC)
/* With these the thread takes about 1 % of a core (make bench-disk). */
#define CGM_DISK_ENTRIES_PER_S 5000

struct cgm_disk_config {
	int root_fd; /* the machine's root; must stay open */
	uint64_t interval_ns; /* from the end of a measurement of a path to its next; it becomes longer when walks do not keep up */
	uint64_t max_entries_per_s; /* 0: no limit */
};

struct cgm_disk;
/* Starts the thread. 0 or a negative errno. */
int cgm_disk_open(const struct cgm_disk_config *config, struct cgm_disk **ret);
/* Ends it, in the middle of a walk as well, and frees all marks. NULL is fine. */
void cgm_disk_close(struct cgm_disk *d);
DEFINE_CLEANUP(cgm_disk, cgm_disk_close)

/* ---- the sampler's thread; none of these waits for a walk ---- */

struct cgm_disk_mark;
/* Begins to measure what is at path, absolute as the machine sees it; soon, and again each interval. Asked for twice it is measured once. NULL: out of memory. */
struct cgm_disk_mark *cgm_disk_add(struct cgm_disk *d, const char *path);
/* Once for each _add. NULL is fine. */
void cgm_disk_drop(struct cgm_disk *d, struct cgm_disk_mark *m);
/* The newest result. False: there is none (yet, or the path is not there, or cannot or may not be measured). */
bool cgm_disk_get(struct cgm_disk *d, const struct cgm_disk_mark *m, struct cgm_disk_usage *ret);

struct cgm_disk_state {
	size_t nr_marks;
	uint64_t nr_measured, nr_failed; /* failed: could not be opened or read; what vanished meanwhile is no failure */
	uint64_t nr_entries; /* walked, total */
	uint64_t late_ns; /* of the path that has waited longest: beyond the interval */
	size_t nr_remote; /* marks that are not measured: on a network, FUSE or other file system that may hang */
	uint64_t nr_unread, nr_too_deep, nr_links_lost; /* of all walks, in total: struct cgm_walk_sum */
};
struct cgm_disk_state cgm_disk_state(struct cgm_disk *d);
