/* SPDX-License-Identifier: Apache-2.0 */
/* The values of a row in memory of their own, for rows that stay the same over many snapshots. Never changes once made, shared by reference count; any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct cgm_live;
struct cgm_kept {
	uint32_t refs; /* atomic */
	size_t bytes; /* all of it */
	uint64_t *values;
	struct cgm_live *live; /* NULL: none */
};

/* A copy with one reference; live may be NULL. NULL: out of memory. */
struct cgm_kept *cgm_kept_new(const uint64_t *values, size_t nr_values, const struct cgm_live *live);
struct cgm_kept *cgm_kept_ref(struct cgm_kept *k);
/* NULL is fine. */
void cgm_kept_unref(struct cgm_kept *k);
DEFINE_CLEANUP(cgm_kept, cgm_kept_unref)
