/* SPDX-License-Identifier: Apache-2.0 */
/* What a client wants, by its Accept and Accept-Encoding headers (RFC 9110, 12.5). NULL: no such header. Any thread. */
#pragma once
#include <stdbool.h>

#include "output/prometheus.h"

/*
 * The format of /metrics that is wanted most: the highest q, of equals the first. OpenMetrics: named without a version or as 1.0.0; protobuf:
 * named with proto=io.prometheus.client.MetricFamily and encoding=delimited. Wildcards, and headers that name no format, mean the text format.
 */
enum cgm_prometheus_format cgm_accepts_format(const char *accept);
/* True when gzip is allowed (by name, x-gzip, or "*") and not wanted less than no encoding. */
bool cgm_accepts_gzip(const char *accept_encoding);
/* True when the entity tag (with its quotes) is in an If-None-Match header. */
bool cgm_matches_etag(const char *if_none_match, const char *etag);
