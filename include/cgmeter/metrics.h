/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics.def expands to: the value enums, and the descriptors of values and Prometheus families (user/model/metrics.c). */
#pragma once
#include <stdint.h>

enum cgm_value {
#define CGM_VALUE(id, kind, unit, json, v1, v2) CGM_V_##id,
#include "cgmeter/metrics.def"
	CGM_NR_VALUES,
};
#define CGM_VALUE_WORDS ((CGM_NR_VALUES + 63) / 64)

enum cgm_disk_value {
#define CGM_DISK_VALUE(id, kind, unit, json, op) CGM_DISK_##id,
#include "cgmeter/metrics.def"
	CGM_NR_DISK_VALUES,
};

enum cgm_iface_value {
#define CGM_IFACE_VALUE(id, kind, unit, json) CGM_IFACE_##id,
#include "cgmeter/metrics.def"
	CGM_NR_IFACE_VALUES,
};

enum cgm_numa_value {
#define CGM_NUMA_VALUE(id, json, scope, type) CGM_NUMA_##id,
#include "cgmeter/metrics.def"
	CGM_NR_NUMA_VALUES,
};

enum cgm_fs_value {
#define CGM_FS_VALUE(id, kind, unit, json) CGM_FS_##id,
#include "cgmeter/metrics.def"
	CGM_NR_FS_VALUES,
};

enum cgm_hugetlb_value {
#define CGM_HUGETLB_VALUE(id, kind, unit, json) CGM_HUGETLB_##id,
#include "cgmeter/metrics.def"
	CGM_NR_HUGETLB_VALUES,
};

enum cgm_tcp_value {
#define CGM_TCP_VALUE(id, json, state) CGM_TCP_STATE_##id,
#include "cgmeter/metrics.def"
	CGM_NR_TCP_STATES,
};

enum cgm_udp_value {
#define CGM_UDP_VALUE(id, json, state) CGM_UDP_STATE_##id,
#include "cgmeter/metrics.def"
	CGM_NR_UDP_STATES,
};

enum cgm_tcp_advanced_value {
#define CGM_TCP_ADVANCED(name) CGM_ADVTCP_##name,
#include "cgmeter/tcp_advanced.def"
	CGM_NR_ADVTCP_VALUES,
};

enum cgm_resctrl_value {
#define CGM_RESCTRL_VALUE(id, unit, json) CGM_RESCTRL_##id,
#include "cgmeter/metrics.def"
	CGM_NR_RESCTRL_VALUES,
};

enum cgm_perf_value {
#define CGM_PERF_VALUE(id, kind) CGM_PERF_##id,
#include "cgmeter/metrics.def"
	CGM_NR_PERF_VALUES,
};

enum cgm_family_id {
#define CGM_FAMILY(id, name, type, unit, group, help) CGM_F_##id,
#include "cgmeter/metrics.def"
	CGM_NR_FAMILIES,
};

/* Groups of metrics; the last ones are of no group: always shown. */
enum cgm_group {
#define CGM_GROUP(id, name, programs, def, dear, needs, help) CGM_G_##id,
#include "cgmeter/groups.def"
	CGM_NR_GROUPS,
	CGM_G_NONE = CGM_NR_GROUPS,
	CGM_G_CORE = CGM_NR_GROUPS,
	CGM_G_MACHINE = CGM_NR_GROUPS,
	CGM_G_OWN = CGM_NR_GROUPS,
	CGM_G_AGENT = CGM_NR_GROUPS,
};

enum cgm_kind { CGM_COUNTER, CGM_GAUGE };
enum cgm_unit { CGM_NONE, CGM_NS, CGM_BYTES, CGM_MSEC, CGM_USEC, CGM_CENTI, CGM_MILLI, CGM_PAGES, CGM_SECTORS, CGM_SIGNED };
