/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Samples and snapshots as OTLP, the protobuf of OpenTelemetry: each call appends ResourceMetrics, which one behind the other are an
 * ExportMetricsServiceRequest. Sums are cumulative, from the container's creation on. Any thread.
 */
#pragma once
#include "sink/driver.h"

/* Both return the number of data points; a resource without any is not written. */
uint64_t cgm_otlp_sample(const struct cgm_sink_sample *s, struct cgm_buf *out);
/* What the kernel side counted: sums, and histograms as exponential ones of scale 2 (bucket 0 is the zero bucket). */
uint64_t cgm_otlp_live(const struct cgm_sink_sample *s, struct cgm_buf *out);

struct cgm_http_answer;
/* What a server's answer means, by the protocol's word: 429, 502, 503 and 504 come again, every other error is final. Rejected points are in a->nr_lost. */
enum cgm_sink_result cgm_otlp_judge(struct cgm_sink_attempt *a, const struct cgm_http_answer *answer);
