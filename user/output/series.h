/* SPDX-License-Identifier: Apache-2.0 */
/* How many series one container has at most on /metrics, counted from metrics.def: for the reference, and for the test that counts a page. */
#pragma once
#include <stdbool.h>
#include <string.h>

#include "cgmeter/abi.h"
#include "cgmeter/metrics.h"

#define CGM_CLASSIC_SERIES 17 /* of one histogram in the text formats: 14 bounds, +Inf, sum and count; as a native histogram it is 1 */

struct cgm_series {
	unsigned row, row_hists; /* of each container: single series, histograms */
	unsigned cpu, disk, iface, fs; /* for each of these that it has */
	unsigned logs, volume; /* of a runtime's container; for each volume that is measured */
	unsigned node; /* for each NUMA node (memory_numa, off by default) */
	unsigned device; /* for each block device that it used */
	unsigned block, block_hists; /* for each operation (5) on such a device */
	/* of groups that are off by default: for each size of huge pages, last-level cache, perf event and CPU; for a network namespace of its own */
	unsigned pagesize, cache, event, sockets;
	unsigned uncore; /* of "/" alone, for each such event and socket */
};

static inline void cgm_series_written(struct cgm_series *n, const char *type, const char *labels, const char *source)
{
	bool hist = !strcmp(type, "HISTOGRAM");

	if (!strcmp(source, "machine") || !strcmp(source, "cgmeter") || !strcmp(source, "bpf:drops"))
		return; /* no container's */
	if (!strcmp(source, "sock_diag tcp"))
		n->sockets += CGM_NR_TCP_STATES;
	else if (!strcmp(source, "sock_diag udp"))
		n->sockets += CGM_NR_UDP_STATES;
	else if (!strncmp(source, "/proc/PID/net/", 14))
		n->sockets += CGM_NR_ADVTCP_VALUES;
	else if (!strncmp(source, "v1: hugetlb", 11))
		n->pagesize++;
	else if (!strncmp(source, "resctrl", 7))
		n->cache++;
	else if (!strcmp(source, "perf_event_open"))
		*(strncmp(labels, "cpu=", 4) ? &n->uncore : &n->event) += 1;
	else if (!strcmp(source, "memory.numa_stat"))
		n->node += CGM_NR_NUMA_VALUES;
	else if (!strcmp(source, "bpf:block dirtied_pages"))
		n->device++;
	else if (!strcmp(source, "bpf:block errors"))
		n->block += CGM_NR_BLOCK_ERRORS;
	else if (!strcmp(source, "bpf:block sizes"))
		n->block += CGM_NR_BLOCK_SIZES;
	else if (!strncmp(source, "measured ", 9))
		*(!strcmp(source, "measured logs") ? &n->logs : &n->volume) += 1;
	else if (!strncmp(source, "bpf:block", 9))
		*(hist ? &n->block_hists : &n->block) += 1;
	else if (!strncmp(labels, "cpu=", 4))
		n->cpu++;
	else
		*(hist ? &n->row_hists : &n->row) += 1;
}

static inline struct cgm_series cgm_series_count(void)
{
	struct cgm_series n = { 0 };
	const char *type = "";

#define CGM_FAMILY(id, name, t, unit, group, help) type = #t;
#define CGM_SERIES(f, v, l) n.row++;
#define CGM_LIVE_SERIES(f, which, member, l) n.row++;
#define CGM_COUNT_SERIES(f, id, l) n.row++;
#define CGM_COUNT_NS_SERIES(f, id, l) n.row++;
#define CGM_SOCK_SERIES(f, id, l) n.row++;
#define CGM_HIST_SERIES(f, member, l) n.row_hists++;
#define CGM_WAIT_SERIES(f, id, l) n.row_hists++;
#define CGM_DISK_SERIES(f, v, l) n.disk++;
#define CGM_IFACE_SERIES(f, v) n.iface++;
#define CGM_FS_SERIES(f, v) n.fs++;
#define CGM_WRITTEN_SERIES(f, labels, source) cgm_series_written(&n, type, labels, source);
#include "cgmeter/metrics.def"
	return n;
}
