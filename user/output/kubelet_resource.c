// SPDX-License-Identifier: Apache-2.0
/* /metrics/resource: what metrics-server asks for, in the text format alone. */
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/label.h"

#define SAMPLES_A_PIECE 64

enum scope { CONTAINER, NODE, POD, ERRORS };
enum what { CPU, WORKING_SET, START, SWAP_LIMIT, SWAP_USAGE, ZERO };

static const struct family {
	const char *name, *type, *help;
	enum scope scope;
	enum what what;
} families[] = {
	{ "container_cpu_usage_seconds_total", "counter", "[STABLE] CPU time that the container used.", CONTAINER, CPU },
	{ "container_memory_working_set_bytes", "gauge", "[STABLE] Working set of the container.", CONTAINER, WORKING_SET },
	{ "container_start_time_seconds", "gauge", "[STABLE] When the container was created, in seconds since the epoch.", CONTAINER, START },
	{ "container_swap_limit_bytes", "gauge", "[ALPHA] The most swap that the container may have; absent without a limit.", CONTAINER, SWAP_LIMIT },
	{ "container_swap_usage_bytes", "gauge", "[ALPHA] Swap that the container has.", CONTAINER, SWAP_USAGE },
	{ "node_cpu_usage_seconds_total", "counter", "[STABLE] CPU time that the node used.", NODE, CPU },
	{ "node_memory_working_set_bytes", "gauge", "[STABLE] Working set of the node.", NODE, WORKING_SET },
	{ "node_swap_usage_bytes", "gauge", "[ALPHA] Swap that the node has in use.", NODE, SWAP_USAGE },
	{ "pod_cpu_usage_seconds_total", "counter", "[STABLE] CPU time that the pod used.", POD, CPU },
	{ "pod_memory_working_set_bytes", "gauge", "[STABLE] Working set of the pod.", POD, WORKING_SET },
	{ "pod_swap_usage_bytes", "gauge", "[ALPHA] Swap that the pod has.", POD, SWAP_USAGE },
	{ "resource_scrape_error", "gauge", "[STABLE] 1 when the containers could not be read, else 0.", ERRORS, ZERO },
	{ "scrape_error", "gauge", "[ALPHA] The same under its name up to 1.29.", ERRORS, ZERO },
};

struct resource {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_kubelet_pods pods;
	size_t family; /* == ARRAY_SIZE(families): all written */
	size_t at; /* in the family: of the next pod among the members */
	bool began; /* the family has its header */
};

/* A number and the digits behind its point. False: it is not known. */
static bool value_of(const struct resource *y, const struct cgm_row *row, const struct cgm_who *who, enum what what, uint64_t *ret, unsigned *ret_digits)
{
	enum cgm_value v = what == CPU ? CGM_V_CPU_USAGE_TOTAL : what == SWAP_USAGE ? CGM_V_MEMORY_SWAP : CGM_V_MEMORY_WORKING_SET;

	*ret_digits = what == CPU || what == START ? 9 : 0;
	switch (what) {
	case START:
		*ret = cgm_kubelet_start_ns(row, who);
		return *ret > 0;
	case SWAP_LIMIT:
		return cgm_kubelet_swap_limit(y->snapshot, row, ret);
	case CPU:
	case WORKING_SET:
	case SWAP_USAGE:
		*ret = row->values[v];
		return cgm_layout_has(row->layout, v);
	case ZERO:
		break;
	}
	return false;
}

static void put_header(struct resource *y, struct cgm_buf *b)
{
	const struct family *f = &families[y->family];

	if (!y->began)
		cgm_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
	y->began = true;
}

static void put_label(struct cgm_buf *b, const char *key, const char *value)
{
	cgm_buf_char(b, b->len && b->p[b->len - 1] == '"' ? ',' : '{');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "=\"");
	if (cgm_buf_reserve(b, CGM_LABEL_GROWTH * strlen(value)))
		b->len += cgm_label_escape(b->p + b->len, value);
	cgm_buf_char(b, '"');
}

/* pod, who: NULL when the sample has none. */
static void put_sample(struct resource *y, struct cgm_buf *b, const struct cgm_kubelet_pod *pod, const struct cgm_row *row, const struct cgm_who *who)
{
	const struct family *f = &families[y->family];
	unsigned digits;
	uint64_t v;

	if (!row || !value_of(y, row, who, f->what, &v, &digits))
		return;
	put_header(y, b);
	cgm_buf_str(b, f->name);
	if (who)
		put_label(b, "container", cgm_kubelet_container_name(who));
	if (pod) {
		put_label(b, "namespace", pod->namespace);
		put_label(b, "pod", pod->name);
		cgm_buf_char(b, '}');
	}
	cgm_buf_char(b, ' ');
	cgm_buf_fixed(b, v, digits);
	if (f->what != START) {
		cgm_buf_char(b, ' ');
		cgm_buf_u64(b, row->time_ns / CGM_NSEC_PER_MSEC);
	}
	cgm_buf_char(b, '\n');
}

/* Some of the family's pods. True: there are more. */
static bool put_pods(struct resource *y, struct cgm_buf *b)
{
	struct cgm_kubelet_pod pod;
	size_t nr = 0;

	while (nr < SAMPLES_A_PIECE && cgm_kubelet_pods_next(&y->pods, &y->at, &pod)) {
		if (families[y->family].scope == POD) {
			put_sample(y, b, &pod, pod.own, NULL);
			nr++;
			continue;
		}
		for (size_t i = 0; i < pod.nr_containers; i++)
			put_sample(y, b, &pod, pod.containers[i].row, pod.containers[i].who);
		nr += pod.nr_containers;
	}
	return y->at < y->pods.nr;
}

static int resource_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct resource *y = (struct resource *)stream;
	const struct family *f = &families[y->family];
	bool more = false;

	if (f->scope == ERRORS) {
		put_header(y, out);
		cgm_buf_str(out, f->name);
		cgm_buf_lit(out, " 0\n");
	} else if (f->scope == NODE) {
		put_sample(y, out, NULL, cgm_snapshot_find(y->snapshot, "/"), NULL);
	} else {
		more = put_pods(y, out);
	}
	if (out->failed)
		return -ENOMEM;
	if (!more) {
		y->family++;
		y->at = 0;
		y->began = false;
	}
	return y->family < ARRAY_SIZE(families);
}

static void resource_free(struct cgm_stream *stream)
{
	struct resource *y = (struct resource *)stream;

	cgm_kubelet_pods_done(&y->pods);
	cgm_snapshot_unref(y->snapshot);
	free(y);
}

struct cgm_stream *cgm_kubelet_resource(struct cgm_snapshot *s)
{
	_cleanup_free_ struct resource *y = cgm_calloc(1, sizeof(*y));

	if (!y || cgm_kubelet_pods_init(s, &y->pods) < 0)
		return NULL;
	y->stream = (struct cgm_stream){ .next = resource_next, .free = resource_free, .type = "text/plain; version=0.0.4; charset=utf-8" };
	y->snapshot = cgm_snapshot_ref(s);
	return &TAKE_PTR(y)->stream;
}
