/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the kernel's arrays each line of memory.stat stands. Up to 6.10 (events: 6.0) the index is the enum's value; since then the
 *arrays are compacted (ff48c71c26aa) by a table that nobody outside can read. So it is learned: every slot of an array is a candidate for a
 *line until the two have been seen to differ in some cgroup, by a reading of the file between two readings of the arrays that agree. The
 *line's true slot is never ruled out, so: one candidate left, and seen equal at two values, one of them not zero: known several, and all of
 *them equal in a cgroup: that is the line's value there (most often 0) several, and they differ: unsure; the file is read, and tells more
 */
#pragma once
#include <bpf/btf.h>

#include "base/parse.h"
#include "cgmeter/stat.h"

enum cgm_pick {
	CGM_PICK_FILE,
	CGM_PICK_ANON,
	CGM_PICK_SWAP,
	CGM_PICK_MAPPED,
	CGM_PICK_DIRTY,
	CGM_PICK_WRITEBACK,
	CGM_PICK_ACTIVE_FILE,
	CGM_PICK_INACTIVE_FILE,
	CGM_PICK_REFAULT_FILE,
	CGM_PICK_REFAULT_ANON,
	CGM_PICK_KERNEL,
	CGM_PICK_PGFAULT,
	CGM_PICK_PGMAJFAULT,
	CGM_PICK_OWN_PGFAULT,
	CGM_PICK_OWN_PGMAJFAULT,
	CGM_PICK_PGSCAN, /* and the three parts behind it: by kswapd, direct, by khugepaged, asked for */
	CGM_PICK_PGSTEAL = CGM_PICK_PGSCAN + 4,
	CGM_NR_PICKS = CGM_PICK_PGSTEAL + 4,
};
_Static_assert(CGM_NR_PICKS <= CGM_STAT_NR_PICKS, "rows have room for all");

#define CGM_SLOT_WORDS ((CGM_STAT_SLOTS + 63) / 64)

struct cgm_slots {
	bool v2;
	bool broken; /* a line equals no slot: the file it is */
	uint64_t page_bytes;
	struct {
		bool present;	  /* this kernel prints the line; true until a file was seen */
		unsigned nr_seen; /* different values at which all candidates that are left agreed: 0, 1, 2 (or more) */
		uint64_t seen;	  /* the first of them */
		bool seen_more;	  /* one was not zero */
		uint64_t candidates[CGM_SLOT_WORDS];
	} pick[CGM_NR_PICKS];
};

/* What the kernel's BTF says of arrays and enums. 0, or -ENOTSUP when memory.stat cannot be read in bulk here. */
int cgm_slots_init(struct cgm_slots *s, const struct btf *kernel_btf, bool v2);
/* One cgroup's memory.stat, and its arrays before and after it was read. True when it told something new. */
bool cgm_slots_learn(struct cgm_slots *s, const struct cgm_stat_raw *before, struct cgm_str memory_stat, const struct cgm_stat_raw *after);
/* What the walk is to pick, and what must be zero for it to be sure. raw_from is left as it is. */
void cgm_slots_index(const struct cgm_slots *s, struct cgm_stat_index *ret);
/* Is the line's slot known and proven? */
bool cgm_slots_known(const struct cgm_slots *s, enum cgm_pick p);
/* A pick in the unit of the file: bytes, or a count; never below 0. */
uint64_t cgm_slots_value(const struct cgm_slots *s, enum cgm_pick p, int64_t raw);
