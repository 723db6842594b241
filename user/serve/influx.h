/* SPDX-License-Identifier: Apache-2.0 */
/* What InfluxDB 1.x answers to /query, read with suspicion. Any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define CGM_INFLUX_COLUMNS 256 /* of a series; more are passed over */

struct cgm_influx_cell {
	enum { CGM_INFLUX_NONE, CGM_INFLUX_INT, CGM_INFLUX_FLOAT, CGM_INFLUX_TEXT } kind;
	int64_t i;
	double f;
	const char *text; /* during the call */
};

/* A row of a series; columns: their names. Not 0 ends the walk. */
typedef int (*cgm_influx_row)(void *arg, const char *series, const char *const *columns, const struct cgm_influx_cell *cells, size_t nr);
/* All rows of the first statement's answer. 0, what row gave, or -EIO with fault (fault_size bytes): the server's own words, or that it is no answer. */
int cgm_influx_read(const char *json, size_t len, cgm_influx_row row, void *arg, char *fault, size_t fault_size);
