/* SPDX-License-Identifier: Apache-2.0 */
/* Slices for the tests of user/export: one of a node, with every kind of point and with hostile names, and one of sums. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "batch/draft.h"
#include "export/driver.h"

#define EXPORT_NS 1790000000123000000ULL /* 2026-09-21T14:13:20.123Z */
#define EXPORT_CREATED_NS (EXPORT_NS - 90000000000ULL)
#define EXPORT_EVIL "e vil\"\\,=:|;.\n\xff\xc3\xa4"

static inline void export_entity(struct cgm_draft *d, int set, const struct cgm_entity_facts *facts)
{
	struct cgm_draft_set *s = &d->sets[set];

	s->entity = cgm_entity_new(facts);
	assert_non_null(s->entity);
	s->created_ns = facts->kind <= CGM_SET_NAMESPACE ? 0 : EXPORT_CREATED_NS;
	s->scraped_ns = facts->kind <= CGM_SET_NAMESPACE ? 0 : EXPORT_NS - 1000000;
}

static inline int export_add(struct cgm_draft *d, const struct cgm_entity_facts *facts)
{
	int set = cgm_draft_add(d, facts->kind);

	assert_true(set >= 0);
	export_entity(d, set, facts);
	return set;
}

/* Of one container, with a label that is the table's own name, and one that only sanitizing makes the same as another. */
static const struct cgm_tag export_stored[] = { { "app.io/x", "one" }, { "app_io_x", EXPORT_EVIL }, { "hostname", "not me" }, { "tier", "" } };

#define EXPORT_NODE .labels = { [CGM_CL_HOSTNAME] = "host.1", [CGM_CL_NODENAME] = "node-1", [CGM_CL_HOST_ID] = "h1", [CGM_CL_LABELS] = "arch:amd64,zone:a" }
#define EXPORT_POD [CGM_CL_HOSTNAME] = "host.1", [CGM_CL_NODENAME] = "node-1", [CGM_CL_HOST_ID] = "h1", [CGM_CL_NAMESPACE_NAME] = "kube-system", \
		   [CGM_CL_NAMESPACE_ID] = "ns-uid", [CGM_CL_POD_NAME] = "dns.1", [CGM_CL_POD_ID] = "pod-uid", [CGM_CL_LABELS] = "app_name:dns,tier:x"

static inline void export_labels(struct cgm_draft *d, int pod, int container)
{
	static const struct cgm_tag accelerator[] = { { "accelerator_id", "GPU-1" }, { "make", "acme" }, { "model", "K80" } };
	static const struct cgm_tag own[] = { { "le", "a.b" }, { "path", "/x y" } };
	struct cgm_labeled_facts l = { .metric = CGM_CM_ACCELERATOR_DUTY_CYCLE, .nr_labels = 3, .labels = accelerator, .value.i = 55 };

	cgm_draft_resource(d, (uint32_t)pod, CGM_CM_FILESYSTEM_USAGE, CGM_STR("Volume:data"), 7000);
	cgm_draft_resource(d, (uint32_t)container, CGM_CM_FILESYSTEM_USAGE, CGM_STR("/"), 8000);
	cgm_draft_resource(d, (uint32_t)container, CGM_CM_FILESYSTEM_USAGE, CGM_STR("logs"), 9000);
	cgm_draft_labeled(d, (uint32_t)container, &l);
	l = (struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .is_float = true, .nr_labels = 2, .name = "queue.len", .labels = own, .value.f = -2.5 };
	cgm_draft_labeled(d, (uint32_t)container, &l);
	l = (struct cgm_labeled_facts){ .metric = CGM_CM_CUSTOM, .is_float = true, .nr_labels = 0, .name = "nothing", .labels = own, .value.f = 0.0 / 0.0 };
	cgm_draft_labeled(d, (uint32_t)container, &l);
}

static inline void export_hist(struct cgm_draft *d, int container)
{
	struct cgm_cluster_hist h = { .hist = CGM_CH_RUN_QUEUE_DELAY, .count = 15, .sum_ns = 2500000000ULL };

	h.buckets[0] = 4; /* up to 2^-20 s */
	h.buckets[11] = 8; /* 2^-10 to 2^-9 s */
	h.buckets[CGM_CH_BUCKETS - 1] = 3; /* above 64 s */
	cgm_draft_hist(d, (uint32_t)container, &h);
}

/* Of node-1: the node, a system container, a pod, a container, and a pod with hostile names. */
static inline struct cgm_slice *export_slice(void)
{
	struct cgm_draft d = { 0 };
	struct cgm_slice *s = NULL;
	int node, sys, pod, container, evil;

	node = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, EXPORT_NODE });
	cgm_draft_int(&d.sets[node], CGM_CM_CPU_USAGE, 1500000000);
	cgm_draft_int(&d.sets[node], CGM_CM_CPU_USAGE_RATE, 250);
	cgm_draft_float(&d.sets[node], CGM_CM_CPU_NODE_UTILIZATION, 0.1);
	sys = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_SYS_CONTAINER, .labels = { [CGM_CL_HOSTNAME] = "host.1", [CGM_CL_NODENAME] = "node-1", [CGM_CL_CONTAINER_NAME] = "sys/kubelet" } });
	cgm_draft_int(&d.sets[sys], CGM_CM_MEMORY_RSS, 4096);
	pod = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = { EXPORT_POD } });
	cgm_draft_int(&d.sets[pod], CGM_CM_NETWORK_RX, 77);
	cgm_draft_float(&d.sets[pod], CGM_CM_NETWORK_RX_RATE, 1.25);
	container = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CONTAINER, .stored = export_stored, .nr_stored = ARRAY_SIZE(export_stored),
							       .labels = { EXPORT_POD, [CGM_CL_CONTAINER_NAME] = "coredns", [CGM_CL_CONTAINER_BASE_IMAGE] = "k8s.io/dns:1" } });
	cgm_draft_int(&d.sets[container], CGM_CM_UPTIME, 90000);
	cgm_draft_int(&d.sets[container], CGM_CM_RESTART_COUNT, 2);
	cgm_draft_int(&d.sets[container], CGM_CM_CPU_LIMIT, 0);
	export_labels(&d, pod, container);
	export_hist(&d, container);
	evil = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = { [CGM_CL_HOSTNAME] = "host.1", [CGM_CL_NAMESPACE_NAME] = EXPORT_EVIL, [CGM_CL_POD_NAME] = EXPORT_EVIL, [CGM_CL_POD_ID] = "", [CGM_CL_LABELS] = EXPORT_EVIL } });
	cgm_draft_int(&d.sets[evil], CGM_CM_MEMORY_USAGE, INT64_MAX);
	for (size_t i = 0; i < d.nr_sets; i++)
		d.sets[i].order = (uint32_t)i;
	assert_false(d.failed);
	assert_int_equal(cgm_draft_seal(&d, "node-1", EXPORT_NS, 60000000000ULL, &s), 0);
	cgm_draft_done(&d);
	return s;
}

/* Of the sums: a namespace and the cluster. */
static inline struct cgm_slice *export_sums(void)
{
	struct cgm_draft d = { 0 };
	struct cgm_slice *s = NULL;
	int ns = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NAMESPACE, .labels = { [CGM_CL_NAMESPACE_NAME] = "kube-system", [CGM_CL_NAMESPACE_ID] = "ns-uid" } }), cluster;

	cgm_draft_int(&d.sets[ns], CGM_CM_CPU_USAGE_RATE, 40);
	cluster = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CLUSTER });
	cgm_draft_int(&d.sets[cluster], CGM_CM_MEMORY_USAGE, 123456789);
	d.sets[cluster].order = 1;
	assert_int_equal(cgm_draft_seal(&d, "", EXPORT_NS, 60000000000ULL, &s), 0);
	cgm_draft_done(&d);
	return s;
}
#define EXPORT_POINTS 15 /* of export_slice() less what is no number; histograms are not counted */
#define EXPORT_SUMS_POINTS 2

/* ---- a sink ---- */

struct exported {
	const struct cgm_exporter *exporter;
	void *state;
	struct cgm_sink_stop stop;
	struct cgm_export_config config;
	char fault[CGM_SINK_FAULT];
	/* of the last encoding */
	struct cgm_buf out;
	uint64_t nr_points, nr_cut;
	size_t nr_cuts;
};

/* What open answers; -EINVAL also for an option that nobody has asked for, as the core has it. */
static inline int export_try(struct exported *e, const struct cgm_exporter *exporter, const char *text)
{
	struct cgm_uri uri;
	int r;

	*e = (struct exported){ .exporter = exporter, .config = { .timeout_ns = 20000000000ULL } };
	assert_int_equal(cgm_uri_read(text, &uri, e->fault, sizeof(e->fault)), 0);
	r = exporter->open(&uri, &e->config, &e->state, e->fault);
	if (r == 0 && cgm_uri_unused(&uri)) {
		exporter->close(e->state);
		e->state = NULL;
		snprintf(e->fault, sizeof(e->fault), "unknown option %.60s", cgm_uri_unused(&uri));
		r = -EINVAL;
	}
	cgm_uri_done(&uri); /* nothing of it is kept */
	if (r == 0)
		assert_int_equal(cgm_sink_stop_init(&e->stop), 0);
	return r;
}

static inline void export_open(struct exported *e, const struct cgm_exporter *exporter, const char *text)
{
	int r = export_try(e, exporter, text);

	if (r < 0)
		fail_msg("%s: %s", text, e->fault);
}

static inline void export_close(struct exported *e)
{
	e->exporter->close(e->state);
	cgm_sink_stop_done(&e->stop);
	cgm_buf_done(&e->out);
}

/* Refused, and the fault has that text. */
static inline void export_refused(const struct cgm_exporter *exporter, const char *text, const char *says)
{
	struct exported e;
	int r = export_try(&e, exporter, text);

	if (r == 0)
		export_close(&e);
	if (r != -EINVAL || !strstr(e.fault, says))
		fail_msg("%s: %d, \"%s\" does not say \"%s\"", text, r, e.fault, says);
}

static inline void export_cut(void *arg, uint64_t nr_points)
{
	struct exported *e = arg;

	e->nr_cut += nr_points;
	e->nr_cuts++;
}

static inline void export_encode(struct exported *e, const struct cgm_slice *s)
{
	e->nr_cut = e->nr_cuts = 0;
	e->nr_points = e->exporter->encode(e->state, s, &e->out, export_cut, e);
	assert_true(e->nr_cut <= e->nr_points);
}

static inline struct cgm_sink_attempt export_attempt(const struct exported *e, bool first, unsigned msec)
{
	return (struct cgm_sink_attempt){ .stop = &e->stop, .until_ns = cgm_clock_mono_ns() + msec * CGM_NSEC_PER_MSEC, .data = e->out.p, .len = e->out.len,
					  .nr_points = e->nr_points, .first = first };
}

/* The text of both slices, with a zero behind it. */
static inline char *export_text(struct exported *e)
{
	struct cgm_slice *s = export_slice(), *sums = export_sums();
	uint64_t nr;

	export_encode(e, s);
	nr = e->nr_points;
	export_encode(e, sums);
	e->nr_points += nr;
	cgm_slice_unref(s);
	cgm_slice_unref(sums);
	assert_int_equal(e->nr_points, EXPORT_POINTS + EXPORT_SUMS_POINTS);
	cgm_buf_char(&e->out, '\0');
	assert_false(e->out.failed);
	e->out.len--;
	return e->out.p;
}

/* Lets every allocation of opening and of encoding fail once: nothing leaks, and a buffer that failed says so. */
static inline void export_fail_each(const struct cgm_exporter *exporter, const char *text)
{
	struct cgm_slice *s = export_slice();
	struct cgm_uri uri;
	bool failed = true;

	for (unsigned long n = 1; failed; n++) {
		struct exported e = { .exporter = exporter, .config = { .timeout_ns = 1 } };
		int r;

		assert_int_equal(cgm_uri_read(text, &uri, e.fault, sizeof(e.fault)), 0);
		cgm_mem_fail_at(n);
		r = exporter->open(&uri, &e.config, &e.state, e.fault);
		if (r == 0)
			(void)exporter->encode(e.state, s, &e.out, export_cut, &e);
		cgm_mem_fail_at(0);
		failed = r < 0 || e.out.failed;
		assert_true(r == 0 || r == -ENOMEM);
		if (r == 0)
			exporter->close(e.state);
		cgm_buf_done(&e.out);
		cgm_uri_done(&uri);
		assert_true(n < 10000);
	}
	cgm_slice_unref(s);
}
