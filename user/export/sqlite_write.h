/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history's file, for its one writer. Tables:
 *	entities  whose numbers: key and labels (JSON), seen from first_ms to last_ms (an hour coarse)
 *	series    a metric of an entity; labels as JSON and resource_id when it has labels, else ""
 *	cycles    a time in ns since the epoch
 *	points    the value of a series in a cycle: INTEGER or REAL; the key begins with the cycle, so that writing appends
 * View `history` has them together, for people. A point takes 14 to 20 bytes. One thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/parse.h"
#include "sink/driver.h"

struct cgm_sqlite_entity { /* texts without a zero behind them */
	struct cgm_str key, type, labels, nodename, namespace_name, pod_name, pod_id, container_name;
};

struct cgm_sqlite_point {
	struct cgm_str metric, labels, resource_id;
	bool is_float;
	int64_t i;
	double f;
};

struct cgm_sqlite_writer;
/* Opens or makes the file. 0; a negative errno with fault (CGM_SINK_FAULT). */
int cgm_sqlite_writer_open(const char *path, struct cgm_sqlite_writer **ret, char *fault);
void cgm_sqlite_writer_close(struct cgm_sqlite_writer *w);
/* Is it still the file of that name? */
bool cgm_sqlite_writer_is_current(const struct cgm_sqlite_writer *w);

/* Until when a call may take, monotonic; what is not done then fails with -ETIMEDOUT. */
void cgm_sqlite_writer_limit(struct cgm_sqlite_writer *w, const struct cgm_sink_stop *stop, uint64_t until_ns);
/* One transaction: _begin, any number of _entity, each with its points, _commit. After a failure the writer is good for _close alone. */
int cgm_sqlite_begin(struct cgm_sqlite_writer *w, char *fault);
int cgm_sqlite_entity(struct cgm_sqlite_writer *w, const struct cgm_sqlite_entity *e, uint64_t end_ns, char *fault);
int cgm_sqlite_point(struct cgm_sqlite_writer *w, const struct cgm_sqlite_point *p, char *fault);
int cgm_sqlite_commit(struct cgm_sqlite_writer *w, char *fault);
/* Forgets some of what is older than that: a few slices a call, each in a transaction of its own. *ret_more: there is more. */
int cgm_sqlite_prune(struct cgm_sqlite_writer *w, uint64_t before_ns, bool *ret_more, char *fault);
