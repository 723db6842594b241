/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of a cluster by Prometheus' conventions, for remote write and for /metrics: base units, the unit in the name, counters end in _total.
 * cpu/usage is cgmeter_cluster_cpu_usage_seconds_total, cpu/usage_rate is cgmeter_cluster_cpu_usage_cores. Any thread.
 */
#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "batch/metric.h"

/* Appends the name of the family. Applications' metrics (CGM_CM_CUSTOM) are one family, with their own name in the label CGM_PROMETHEUS_CUSTOM. */
void cgm_cm_prometheus_name(enum cgm_cm m, struct cgm_buf *out);
#define CGM_PROMETHEUS_CUSTOM "metric"
/* A counter, or a gauge: uptime is a gauge, though Heapster calls it cumulative. */
bool cgm_cm_prometheus_is_counter(enum cgm_cm m);
/* A value divided by ten to the power of this is in the family's unit; made for cgm_buf_fixed(). */
unsigned cgm_cm_prometheus_digits(enum cgm_cm m);
/* The value in the family's unit. is_float: which one it has (of CGM_CM_CUSTOM struct cgm_labeled says so, of others the table). */
double cgm_cm_prometheus_value(enum cgm_cm m, union cgm_cm_value v, bool is_float);

/* Appends the name of a histogram's family: cgmeter_cluster_run_queue_delay_seconds. */
void cgm_ch_prometheus_name(enum cgm_ch h, struct cgm_buf *out);
/* The upper bound of a bucket of struct cgm_cluster_hist in seconds; of the last one: infinity. */
double cgm_ch_bound(unsigned bucket);

/*
 * Appends a text as a name of a label: what may not be in one is written as _, and where it would be reserved (__…) or begin with a digit, an x stands
 * before it. Different texts may become the same name: who writes labels of others looks for that.
 */
void cgm_prometheus_label_name(const char *text, struct cgm_buf *out);
