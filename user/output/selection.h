/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of a snapshot a request is about, and which samples of each. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "model/history.h"
#include "model/snapshot.h"

/* A row, or it and everything below it, in the order of the snapshot. */
struct cgm_selection {
	const struct cgm_snapshot *snapshot;
	size_t top; /* nr_rows: nothing is selected */
	bool recursive;
	bool skip_root; /* "/" itself is left out */
	const char *runtime; /* with recursive: only rows of that runtime's containers; NULL: all */
};

/* The first and the next row; nr_rows at the end. */
size_t cgm_selection_first(const struct cgm_selection *s);
size_t cgm_selection_next(const struct cgm_selection *s, size_t row);
/*
 * Rows are sorted by name, so all descendants of a row follow it within the run of names that begin with its own. True while row is in that
 * run, which also holds strangers ("/a-b" after "/a").
 */
bool cgm_selection_in_run(const struct cgm_snapshot *s, size_t row, size_t top);

/*
 * The container of a runtime ("docker") by its id, by its name, or by what no other's id or name begins with. 0; -ENOENT: none; -EEXIST: more
 * than one begins so.
 */
int cgm_selection_find(const struct cgm_snapshot *s, const char *runtime, const char *word, size_t *ret_row);

/* The newest samples of a history, oldest first. */
struct cgm_samples {
	struct cgm_history_iter iter; /* the sample, after _next gave 1 */
	size_t nr_left;
};
/* nr: so many, -1: all; within [start_ns, end_ns], 0: no bound. 0 or -ENOMEM; to be ended by _done in any case. */
int cgm_samples_init(struct cgm_samples *s, const struct cgm_history_view *v, int64_t nr, uint64_t start_ns, uint64_t end_ns);
/* 1; 0: end; -ENOMEM. */
int cgm_samples_next(struct cgm_samples *s);
void cgm_samples_done(struct cgm_samples *s);
