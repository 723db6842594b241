/* SPDX-License-Identifier: Apache-2.0 */
/* The newest numbers of a row in one small array, for lists of all cgroups, and to tell whether any of them has changed. Any thread. */
#pragma once
#include "model/snapshot.h"

enum cgm_cell {
#define CGM_CELL(id, name) CGM_CELL_##id,
#include "model/cells.def"
	CGM_NR_CELLS,
};

struct cgm_cells {
	uint64_t known; /* bit i: v[i] is known; else it is 0 */
	uint64_t v[CGM_NR_CELLS];
};

/* Fills all of ret, so that two of them may be compared as bytes. */
void cgm_cells_fill(const struct cgm_row *row, struct cgm_cells *ret);
const char *cgm_cell_name(enum cgm_cell id);

static inline bool cgm_cells_know(const struct cgm_cells *c, enum cgm_cell id)
{
	return c->known >> id & 1;
}

/* The threads of a row. False when no source of this machine tells. */
bool cgm_row_tasks(const struct cgm_row *row, uint64_t *ret);
