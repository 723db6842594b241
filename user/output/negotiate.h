/* SPDX-License-Identifier: Apache-2.0 */
/* What a client wants, by its Accept and Accept-Encoding headers (RFC 9110, 12.5). NULL: no such header. Any thread. */
#pragma once
#include <stdbool.h>

/*
 * True when OpenMetrics 1.0.0 is wanted more than the Prometheus text format: it is named (without a version or with that one) and
 * its q is above that of text/plain (of equals the first wins). Wildcards and headers that name neither mean the text format.
 */
bool cgm_accepts_openmetrics(const char *accept);
/* True when gzip is allowed (by name, x-gzip, or "*") and not wanted less than no encoding. */
bool cgm_accepts_gzip(const char *accept_encoding);
/* True when the entity tag (with its quotes) is in an If-None-Match header. */
bool cgm_matches_etag(const char *if_none_match, const char *etag);
