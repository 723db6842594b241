/* SPDX-License-Identifier: Apache-2.0 */
/* A sample as the JSON document that cAdvisor's drivers write: one line, names as there ("container_Name" with its capital). Any thread. */
#pragma once
#include "sink/driver.h"

enum cgm_detail_time {
	CGM_DETAIL_USEC, /* redis, elasticsearch: a number, microseconds since the epoch */
	CGM_DETAIL_TEXT, /* kafka: RFC 3339 */
};
/* Without a newline. */
void cgm_detail(const struct cgm_sink_sample *s, enum cgm_detail_time time, struct cgm_buf *out);
