/* SPDX-License-Identifier: Apache-2.0 */
/* What cAdvisor's flat drivers (stdout, statsd, influxdb) write of a sample, one number at a time, by the names that they have there. */
#pragma once
#include <stdint.h>

#include "sink/driver.h"

enum cgm_series_where { CGM_IN_STDOUT = 1, CGM_IN_STATSD = 2, CGM_IN_INFLUXDB = 4 };

struct cgm_series_point {
	const char *name; /* influxdb's measurement */
	const char *device; /* NULL: none. In text it stands before the name, with a point between */
	const char *suffix; /* in text: stands behind the name */
	/* influxdb's tags, in order; NULL: none. The first comes before "machine", the second behind it */
	const char *tag[2], *tag_value[2];
	uint64_t value;
};

/*
 * Calls fn for each; a number that this machine does not have, or whose group of metrics is off, is left out. where: one of the drivers.
 * Returns how many there were. Any thread.
 */
typedef void (*cgm_series_fn)(void *arg, const struct cgm_series_point *p);
uint64_t cgm_series_each(const struct cgm_sink_sample *s, enum cgm_series_where where, cgm_series_fn fn, void *arg);
