/* SPDX-License-Identifier: Apache-2.0 */
/* What servers answer, read with suspicion: sizes are bounded, and nonsense is an answer, too. Any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "sink/driver.h"

/*
 * How many of nr_points are lost by an InfluxDB error: "partial write: … dropped=N" says it. Without that text all are; a partial write that
 * names 0 or no number has lost at least one.
 */
uint64_t cgm_answer_influxdb_dropped(const char *text, size_t len, uint64_t nr_points);

/* OTLP's ExportMetricsServiceResponse: points that were rejected, with the server's words in text. -EINVAL: it is none. */
int cgm_answer_otlp(const char *bytes, size_t len, uint64_t *ret_rejected, char *text, size_t size);

/* ---- json_answer.c ---- */

struct cgm_answer_bulk {
	uint64_t nr_items, nr_refused, nr_later; /* refused for good; to be tried again (429, 5xx) */
	char text[128]; /* of the first error */
};
/* Elasticsearch's answer to _bulk. -EINVAL: it is none. */
int cgm_answer_bulk(const char *json, size_t len, struct cgm_answer_bulk *ret);
/* The major version in its answer to /, or that of the Elasticsearch that an OpenSearch stands in for (7 and above). -EINVAL: none. */
int cgm_answer_es_version(const char *json, size_t len, unsigned *ret_major);
