/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics page: a snapshot as Prometheus text or OpenMetrics, family by family, driven by metrics.def. */
#pragma once
#include "base/buf.h"
#include "cgroup/machine.h"
#include "model/snapshot.h"

enum cgm_prometheus_format {
	CGM_PROMETHEUS_TEXT, /* text/plain; version=0.0.4; charset=utf-8 */
	CGM_PROMETHEUS_OPENMETRICS, /* application/openmetrics-text; version=1.0.0; charset=utf-8 */
};

/*
 * Appends the whole page to out. machine may be NULL: its families are left out then and machine_scrape_error is 1.
 * A family without samples is not written; a value that this machine has no source for is no sample; a histogram that
 * never counted is left out. No timestamps. 0, or -ENOMEM with out marked failed. Any thread; changes nothing else.
 */
int cgm_prometheus_render(const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
			  struct cgm_buf *out);

/*
 * The same page in pieces, for a reader that streams or compresses: some 100 KB of memory that stay in the cache instead of the
 * whole page (50 KB a container with a long name), whose page faults alone cost three times what the rendering does.
 * s and machine must outlive the renderer. One thread at a time.
 */
struct cgm_prometheus;
/* NULL: out of memory. */
struct cgm_prometheus *cgm_prometheus_new(const struct cgm_snapshot *s, const struct cgm_machine *machine,
					  enum cgm_prometheus_format format);
void cgm_prometheus_free(struct cgm_prometheus *p);
/*
 * Appends the next piece: at least want_bytes unless the page ends, and up to some 100 KB more. 1; 0: nothing was left; -ENOMEM with
 * out marked failed.
 */
int cgm_prometheus_next(struct cgm_prometheus *p, size_t want_bytes, struct cgm_buf *out);
