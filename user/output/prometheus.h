/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics page: a snapshot as Prometheus text, OpenMetrics or protobuf, family by family, driven by metrics.def. Text has the classic
 * buckets of a histogram, protobuf also the finer ones of Prometheus' native histograms.
 */
#pragma once
#include "base/buf.h"
#include "cgroup/machine.h"
#include "model/snapshot.h"

enum cgm_prometheus_format {
	CGM_PROMETHEUS_TEXT, /* text/plain; version=0.0.4; charset=utf-8 */
	CGM_PROMETHEUS_OPENMETRICS, /* application/openmetrics-text; version=1.0.0; charset=utf-8 */
	CGM_PROMETHEUS_PROTOBUF, /* application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited */
	CGM_PROMETHEUS_KUBELET, /* text, and what the kubelet's /metrics/cadvisor shows of it: its families, its labels, the time of each sample */
	CGM_NR_PROMETHEUS_FORMATS,
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
 * Appends the next piece: at least want_bytes unless the page ends, and up to some 100 KB more (protobuf: up
 * to the end of the family, whose length stands in front of it). 1; 0: nothing was left; -ENOMEM with out marked failed.
 */
int cgm_prometheus_next(struct cgm_prometheus *p, size_t want_bytes, struct cgm_buf *out);
