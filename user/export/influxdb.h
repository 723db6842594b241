/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of user/export/influxdb*.c: Heapster's lines, and what InfluxDB answers to queries. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "batch/slice.h"

/* How lines look: fixed when the sink is opened. */
struct cgm_influxdb_form {
	const char *cluster_name; /* "": no such tag */
	bool with_fields; /* "cpu usage=1i" instead of "cpu/usage value=1i" */
	bool no_counters; /* leave out cumulative metrics that have a rate */
	bool schema_0_15; /* Heapster 0.15's series ("cpu/usage_ns_cumulative") and columns */
	/* made by _init: what stands before the tags and before the value; measurement "": not in this form */
	struct {
		char measurement[64], field[64];
		uint8_t measurement_len, field_len;
	} names[CGM_NR_CM];
};
/* From the switches. */
void cgm_influxdb_form_init(struct cgm_influxdb_form *f);
/* As encode of struct cgm_exporter. */
uint64_t cgm_influxdb_lines(const struct cgm_influxdb_form *f, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg);

/* ---- json_influxdb.c ---- */

/* An answer of /query, with suspicion. */
struct cgm_influxdb_answer {
	char error[160]; /* "": none */
	char policy[256]; /* of SHOW RETENTION POLICIES: the default one; "": none */
	bool has_named; /* a policy of the name that was asked for is there */
};
/* 0; -EINVAL: it is no answer of InfluxDB's. */
int cgm_influxdb_answer(const char *json, size_t len, const char *named, struct cgm_influxdb_answer *ret);
