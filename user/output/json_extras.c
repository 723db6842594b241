// SPDX-License-Identifier: Apache-2.0
/* The parts of ContainerStats that belong to groups which are off by default: extras of a sample (user/cgroup/sample.h). */
#include "output/json.h"

static const struct cgm_layout_block *next_block(const struct cgm_layout *l, enum cgm_layout_kind kind, uint32_t *at)
{
	while (*at < l->nr_blocks)
		if (l->blocks[(*at)++].kind == kind)
			return &l->blocks[*at - 1];
	return NULL;
}

/* The block of that kind and number; NULL: none. */
static const uint64_t *find(const struct cgm_layout *l, const uint64_t *values, enum cgm_layout_kind kind, uint32_t number)
{
	const struct cgm_layout_block *b;
	uint32_t at = 0;

	while ((b = next_block(l, kind, &at)))
		if (b->minor == number)
			return values + b->first;
	return NULL;
}

/* Names and numbers; v NULL: zeros, as cAdvisor has them while the group is off. */
static void put_object(struct cgm_buf *b, const char *key, const char *const *names, size_t nr, const uint64_t *v)
{
	cgm_buf_lit(b, ",\"");
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":{");
	for (size_t i = 0; i < nr; i++) {
		cgm_buf_str(b, names[i]);
		cgm_json_u64(b, v ? v[i] : 0);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_advanced(struct cgm_buf *b, const uint64_t *v)
{
	static const char *const names[] = {
#define CGM_TCP_ADVANCED(name) "\"" #name "\":",
#include "cgmeter/tcp_advanced.def"
	};

	cgm_buf_lit(b, ",\"tcp_advanced\":{");
	for (size_t i = 0; i < CGM_NR_ADVTCP_VALUES; i++) {
		cgm_buf_str(b, names[i]);
		if (v && i == CGM_ADVTCP_MaxConn) /* -1: no limit */
			cgm_buf_i64(b, (int64_t)v[i]);
		else
			cgm_json_u64(b, v ? v[i] : 0);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

void cgm_json_sockets(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	static const char *const tcp[] = {
#define CGM_TCP_VALUE(id, json, state) "\"" json "\":",
#include "cgmeter/metrics.def"
	};
	static const char *const udp[] = {
#define CGM_UDP_VALUE(id, json, state) "\"" json "\":",
#include "cgmeter/metrics.def"
	};

	put_object(b, "tcp", tcp, CGM_NR_TCP_STATES, find(l, values, CGM_LAYOUT_TCP, 0));
	put_object(b, "tcp6", tcp, CGM_NR_TCP_STATES, find(l, values, CGM_LAYOUT_TCP, 1));
	put_object(b, "udp", udp, CGM_NR_UDP_STATES, find(l, values, CGM_LAYOUT_UDP, 0));
	put_object(b, "udp6", udp, CGM_NR_UDP_STATES, find(l, values, CGM_LAYOUT_UDP, 1));
	put_advanced(b, find(l, values, CGM_LAYOUT_ADVTCP, 0));
}

bool cgm_json_has_sockets(const struct cgm_layout *l)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++)
		if (l->blocks[i].kind == CGM_LAYOUT_TCP || l->blocks[i].kind == CGM_LAYOUT_UDP || l->blocks[i].kind == CGM_LAYOUT_ADVTCP)
			return true;
	return false;
}

/* "key":v, unless it is 0. */
static void put_known(struct cgm_buf *b, const char *key, uint64_t v)
{
	if (!v)
		return;
	cgm_buf_str(b, key);
	cgm_json_u64(b, v);
	cgm_buf_char(b, ',');
}

void cgm_json_hugetlb(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	const struct cgm_layout_block *block;
	uint32_t at = 0;
	bool any = false;

	while ((block = next_block(l, CGM_LAYOUT_HUGETLB, &at))) {
		const uint64_t *v = values + block->first;

		if (any)
			cgm_buf_char(b, ',');
		else
			cgm_buf_lit(b, ",\"hugetlb\":{");
		any = true;
		cgm_json_string(b, block->name);
		cgm_buf_lit(b, ":{");
		put_known(b, "\"usage\":", v[CGM_HUGETLB_USAGE]);
		put_known(b, "\"max_usage\":", v[CGM_HUGETLB_MAX_USAGE]);
		cgm_buf_lit(b, "\"failcnt\":");
		cgm_json_u64(b, v[CGM_HUGETLB_FAILCNT]);
		cgm_buf_char(b, '}');
	}
	if (any)
		cgm_buf_char(b, '}');
}

/* One counter as PerfStat or PerfUncoreStat; those that never counted have no ratio and are left out. */
static void put_counter(struct cgm_buf *b, const struct cgm_layout_block *block, const uint64_t *v, uint32_t number)
{
	const char *slash = block->kind == CGM_LAYOUT_UNCORE ? strchr(block->name, '/') : NULL;
	char pmu[CGM_FS_DEVICE] = "";

	cgm_buf_lit(b, "{\"scaling_ratio\":");
	cgm_buf_fixed(b, v[CGM_PERF_SCALING], 9);
	cgm_buf_lit(b, ",\"value\":");
	cgm_json_u64(b, v[CGM_PERF_COUNT]);
	cgm_buf_lit(b, ",\"name\":");
	cgm_json_string(b, slash ? slash + 1 : block->name);
	if (!slash) {
		cgm_buf_printf(b, ",\"cpu\":%u},", number);
		return;
	}
	memcpy(pmu, block->name, (size_t)(slash - block->name));
	cgm_buf_printf(b, ",\"socket\":%u,\"pmu\":", number);
	cgm_json_string(b, pmu);
	cgm_buf_lit(b, "},");
}

static void put_counters(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values, enum cgm_layout_kind kind, const char *key)
{
	const struct cgm_layout_block *block;
	uint32_t at = 0;
	bool any = false;

	while ((block = next_block(l, kind, &at))) {
		for (uint32_t i = 0; i + CGM_NR_PERF_VALUES <= block->nr; i += CGM_NR_PERF_VALUES) {
			const uint64_t *v = values + block->first + i;

			if (!v[CGM_PERF_SCALING])
				continue;
			if (!any)
				cgm_buf_str(b, key);
			any = true;
			put_counter(b, block, v, i / CGM_NR_PERF_VALUES);
		}
	}
	if (!any)
		return;
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

void cgm_json_perf(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	put_counters(b, l, values, CGM_LAYOUT_PERF, ",\"perf_stats\":[");
	put_counters(b, l, values, CGM_LAYOUT_UNCORE, ",\"perf_uncore_stats\":[");
}

void cgm_json_resctrl(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *values)
{
	const struct cgm_layout_block *block;
	uint32_t at = 0;

	cgm_buf_lit(b, ",\"resctrl\":{");
	if (!next_block(l, CGM_LAYOUT_RESCTRL, &at)) {
		cgm_buf_char(b, '}');
		return;
	}
	cgm_buf_lit(b, "\"memory_bandwidth\":[");
	for (at = 0; (block = next_block(l, CGM_LAYOUT_RESCTRL, &at));) {
		cgm_buf_char(b, '{');
		put_known(b, "\"mbm_total_bytes\":", values[block->first + CGM_RESCTRL_TOTAL_BYTES]);
		put_known(b, "\"mbm_local_bytes\":", values[block->first + CGM_RESCTRL_LOCAL_BYTES]);
		cgm_json_chop(b);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "],\"cache\":[");
	for (at = 0; (block = next_block(l, CGM_LAYOUT_RESCTRL, &at));) {
		cgm_buf_char(b, '{');
		put_known(b, "\"llc_occupancy\":", values[block->first + CGM_RESCTRL_LLC_OCCUPANCY]);
		cgm_json_chop(b);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "]}");
}
