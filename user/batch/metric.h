/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of a cluster, from cluster.def. Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

/* Scalars come first and are bits of a 64-bit mask; then those with a label. */
enum cgm_cm {
#define CGM_SCALAR(id, ...) CGM_CM_##id,
#include "cgmeter/cluster.def"
	CGM_NR_SCALARS,
	CGM_CM_BEFORE_LABELED = CGM_NR_SCALARS - 1,
#define CGM_LABELED(id, ...) CGM_CM_##id,
#include "cgmeter/cluster.def"
	CGM_CM_CUSTOM, /* an application's own: the name stands in its struct cgm_labeled, and is "custom/…" to the outside */
	CGM_NR_CM,
};
_Static_assert(CGM_NR_SCALARS <= 64, "scalars are bits of a 64-bit mask");
#define CGM_CM_BIT(m) ((uint64_t)1 << (m))

enum cgm_set_kind {
	CGM_SET_CLUSTER,
	CGM_SET_NAMESPACE,
	CGM_SET_NODE,
	CGM_SET_SYS_CONTAINER,
	CGM_SET_POD,
	CGM_SET_CONTAINER,
	CGM_NR_SET_KINDS,
};
/* "cluster", "ns", "node", "sys_container", "pod", "pod_container": the value of the label "type". */
const char *cgm_set_type(enum cgm_set_kind kind);

struct cgm_cm_info {
	const char *name, *unit, *help;
	uint8_t sets; /* 1 << enum cgm_set_kind, or'ed */
	bool cumulative, is_float;
};
extern const struct cgm_cm_info cgm_cm_table[CGM_NR_CM];
/* The metric (enum cgm_cm) that is the rate of this one; -1: it has none. */
int cgm_cm_rate(enum cgm_cm m);

/* By its name ("cpu/usage_rate"), or by one of Heapster's old ones (cpu-usage, cpu-limit, memory-limit, memory-usage, memory-working). -1: none. */
int cgm_cm_find(struct cgm_str name);

/* INT or FLOAT is what the table says; of CGM_CM_CUSTOM struct cgm_labeled. */
union cgm_cm_value {
	int64_t i;
	double f;
};

/* Histograms of a set: the kernel side's; slice.h has their bounds. */
enum cgm_ch { CGM_CH_RUN_QUEUE_DELAY, CGM_CH_DISK_LATENCY, CGM_CH_TCP_RTT, CGM_NR_CH };
/* "run_queue_delay", "disk_latency", "tcp_rtt" */
const char *cgm_ch_name(enum cgm_ch h);
const char *cgm_ch_help(enum cgm_ch h);
