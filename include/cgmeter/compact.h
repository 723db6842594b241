/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/cgmeter/compact: what a node agent tells `cgmeter cluster`: all that its Summary has, and what goes beyond it, in a quarter of the bytes. Written by user/output/compact.c,
 * read by user/source/decode_compact.c.
 *
 * Protocol Buffers on the wire, field numbers up to 15. It describes itself: names of metrics (cluster.def) and histograms come once, in front, values refer to them by
 * their place in that list. A reader passes over fields and names that it does not know; what would be read wrongly by an old reader raises CGM_COMPACT_VERSION, which an old reader refuses.
 *
 *	answer	version, node, time, name…, set…, end
 *	set	kind, name, namespace, uid, image, scraped, created, values, fs or device…, hist…
 *
 * Times of a set are signed (zigzag), in ns after the answer's. A container belongs to the pod before it. Pairs are varints one behind the other: place of a name, value.
 */
#ifndef CGMETER_COMPACT_H
#define CGMETER_COMPACT_H

#define CGM_COMPACT_PATH "/api/cgmeter/compact"
#define CGM_COMPACT_TYPE "application/vnd.cgmeter.compact"
#define CGM_COMPACT_VERSION 1

enum cgm_compact_answer {
	CGM_COMPACT_A_VERSION = 1, /* count; the first field */
	CGM_COMPACT_A_NODE, /* text: the node's name */
	CGM_COMPACT_A_TIME, /* fixed64: ns since 1970 */
	CGM_COMPACT_A_NAME, /* text, repeated: the n-th has place n, from 0 */
	CGM_COMPACT_A_SET, /* message, repeated */
	CGM_COMPACT_A_END, /* count, the last field: how many sets came. Without it the answer was cut */
};

enum cgm_compact_set {
	CGM_COMPACT_S_KIND = 1, /* count: enum cgm_compact_kind */
	CGM_COMPACT_S_NAME, /* text: of the pod, the container, the part of the node */
	CGM_COMPACT_S_NAMESPACE, /* text: of the pod */
	CGM_COMPACT_S_UID, /* text: of the pod */
	CGM_COMPACT_S_IMAGE, /* text: of the container */
	CGM_COMPACT_S_SCRAPED, /* zigzag; left out: as the answer */
	CGM_COMPACT_S_CREATED, /* zigzag; left out: not known */
	CGM_COMPACT_S_VALUES, /* pairs */
	CGM_COMPACT_S_LABELED, /* message, repeated: enum cgm_compact_labeled */
	CGM_COMPACT_S_HIST, /* message, repeated: enum cgm_compact_hist */
};

enum cgm_compact_kind { CGM_COMPACT_NODE = 1, CGM_COMPACT_SYSTEM, CGM_COMPACT_POD, CGM_COMPACT_CONTAINER };

/* Metrics with the label resource_id. */
enum cgm_compact_labeled {
	CGM_COMPACT_L_RESOURCE = 1, /* text */
	CGM_COMPACT_L_VALUES, /* pairs */
};

#define CGM_COMPACT_RUN_QUEUE_DELAY "run_queue_delay"
#define CGM_COMPACT_DISK_LATENCY "disk_latency"
#define CGM_COMPACT_TCP_RTT "tcp_rtt"

enum cgm_compact_hist {
	CGM_COMPACT_H_NAME = 1, /* count: the place of its name */
	CGM_COMPACT_H_SUM, /* count: ns */
	CGM_COMPACT_H_BARS, /* pairs: bar, events; bars that are empty are left out. Bar i ends at 2^(i + CGM_HIST_FIRST_LOG2) s, the last one has no end (see hist.h) */
};

#endif
