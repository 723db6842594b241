/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of bulk reading, for stat.c (load, sweep, learn) and stat_rows.c (rows to values) only. */
#pragma once
#include "base/hash.h"
#include "kernel/slots.h"

/* The array of a kind. */
struct cgm_stat_rows {
	int fd; /* -1: none yet */
	void *p;
	uint32_t cap;
	size_t value_bytes;
	struct cgm_hash by_id; /* of this sweep, made when somebody is not where it stood: id to row + 1 */
	bool hashed;
};

struct cgm_stats {
	struct cgm_slots slots;
	bool slots_usable;
	uint32_t flush; /* enum cgm_stat_flush: which kfunc this kernel has */
	bool has_cast;
	uint32_t nr_cpus, cells; /* possible CPUs; cells of CPUS a row */
	bool flushes, has_time;	 /* in this attempt */
	uint32_t kinds;		 /* that are walked for */
	int link_fd;
	bool valid; /* the last sweep was complete */
	struct cgm_stat_rows rows[CGM_NR_STAT_KINDS];
	struct cgm_stat_head *head;
	struct cgm_stat_index *index;
	struct cgm_stat_raw *raws;
};

/* stat_rows.c */
static inline uint64_t cgm_stat_id_of(const struct cgm_stat_rows *r, uint32_t row)
{
	return *(const __u64 *)((const char *)r->p + row * r->value_bytes); /* every kind begins with it */
}
/*
 * A pressure average as the file would show it, in hundredths of a per cent, of the kernel's fixed-point number (window: 0 to 2 for 10, 60, 300 s), the
 * time at which it is made anew, and the present.
 */
uint64_t cgm_psi_average(uint64_t avg, unsigned window, uint64_t next_update_ns, uint64_t now_ns);
/* The row of an id; NULL: none. *hint: where it was last, and now. */
const void *cgm_stat_find(struct cgm_stats *s, unsigned kind, uint64_t id, uint32_t *hint);
