// SPDX-License-Identifier: Apache-2.0
#include "batch/metric.h"

#include <string.h>

#include "base/cleanup.h"

enum {
	K = 1 << CGM_SET_CLUSTER,
	M = 1 << CGM_SET_NAMESPACE,
	N = 1 << CGM_SET_NODE,
	S = 1 << CGM_SET_SYS_CONTAINER,
	P = 1 << CGM_SET_POD,
	C = 1 << CGM_SET_CONTAINER,
};
enum { CUMULATIVE = true, GAUGE = false };
enum { INT = false, FLOAT = true };

/* Which rate a metric becomes; 0 (no rate): none. */
#define RATE(id) [CGM_CM_##id] = CGM_CM_##id##_RATE
static const uint8_t rates[CGM_NR_CM] = {
	RATE(CPU_USAGE), RATE(MEMORY_PAGE_FAULTS), RATE(MEMORY_MAJOR_PAGE_FAULTS), RATE(NETWORK_RX), RATE(NETWORK_RX_ERRORS), RATE(NETWORK_TX), RATE(NETWORK_TX_ERRORS),
	RATE(CPU_RUN_QUEUE_DELAY), RATE(CPU_THROTTLED), RATE(DISK_WAIT), RATE(NETWORK_TCP_RETRANSMITS), RATE(DISK_IO_READ_BYTES), RATE(DISK_IO_WRITE_BYTES),
};

const struct cgm_cm_info cgm_cm_table[CGM_NR_CM] = {
#define CGM_SCALAR(id, name_, type_, value_, unit_, sets_, help_) [CGM_CM_##id] = { name_, unit_, help_, sets_, type_, value_ },
#define CGM_LABELED(id, name_, type_, value_, unit_, sets_, help_) [CGM_CM_##id] = { name_, unit_, help_, sets_, type_, value_ },
#include "cgmeter/cluster.def"
	[CGM_CM_CUSTOM] = { "custom", "count", "an application's own metric", C, GAUGE, FLOAT },
};

int cgm_cm_rate(enum cgm_cm m)
{
	return rates[m] ? rates[m] : -1;
}

int cgm_cm_find(struct cgm_str name)
{
	static const struct {
		const char *old;
		enum cgm_cm m;
	} olds[] = {
		{ "cpu-usage", CGM_CM_CPU_USAGE_RATE }, { "cpu-limit", CGM_CM_CPU_LIMIT }, { "memory-limit", CGM_CM_MEMORY_LIMIT },
		{ "memory-usage", CGM_CM_MEMORY_USAGE }, { "memory-working", CGM_CM_MEMORY_WORKING_SET },
	};

	for (int m = 0; m < CGM_CM_CUSTOM; m++)
		if (cgm_str_eq(name, cgm_cm_table[m].name))
			return m;
	for (size_t i = 0; i < ARRAY_SIZE(olds); i++)
		if (cgm_str_eq(name, olds[i].old))
			return olds[i].m;
	return -1;
}

const char *cgm_set_type(enum cgm_set_kind kind)
{
	static const char *const names[CGM_NR_SET_KINDS] = {
		[CGM_SET_CLUSTER] = "cluster", [CGM_SET_NAMESPACE] = "ns", [CGM_SET_NODE] = "node",
		[CGM_SET_SYS_CONTAINER] = "sys_container", [CGM_SET_POD] = "pod", [CGM_SET_CONTAINER] = "pod_container",
	};

	return names[kind];
}

const char *cgm_ch_name(enum cgm_ch h)
{
	static const char *const names[CGM_NR_CH] = {
		[CGM_CH_RUN_QUEUE_DELAY] = "run_queue_delay", [CGM_CH_DISK_LATENCY] = "disk_latency", [CGM_CH_TCP_RTT] = "tcp_rtt",
	};

	return names[h];
}

const char *cgm_ch_help(enum cgm_ch h)
{
	static const char *const helps[CGM_NR_CH] = {
		[CGM_CH_RUN_QUEUE_DELAY] = "how long tasks that were ready waited for a CPU",
		[CGM_CH_DISK_LATENCY] = "how long block requests took, from the queue to their end",
		[CGM_CH_TCP_RTT] = "round-trip times of TCP connections",
	};

	return helps[h];
}
