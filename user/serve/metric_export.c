// SPDX-License-Identifier: Apache-2.0
/* /api/v1/metric-export: the newest numbers of nodes, system containers, pods and containers in one list, and what they are. */
#include "base/cleanup.h"
#include "serve/internal.h"
#include "serve/route.h"

#define BIT(id) CGM_CM_BIT(CGM_CM_##id)
/* Of the scalars Heapster exports counters, sizes and limits, not what it has computed from them. */
#define GAUGES (BIT(CPU_LIMIT) | BIT(MEMORY_USAGE) | BIT(MEMORY_RSS) | BIT(MEMORY_CACHE) | BIT(MEMORY_WORKING_SET) | BIT(MEMORY_LIMIT) | BIT(MEMORY_SWAP) | BIT(TASKS))

static const struct {
	enum cgm_cl label;
	const char *help;
} common_labels[] = {
	{ CGM_CL_NODENAME, "the node that it runs on" },
	{ CGM_CL_HOSTNAME, "the host name of that node" },
	{ CGM_CL_HOST_ID, "the node's identifier, given by the cloud or the user" },
	{ CGM_CL_CONTAINER_NAME, "the name of the container, of the system container, \"/pod\" or \"machine\"" },
	{ CGM_CL_CONTAINER_BASE_IMAGE, "the image that it was started from" },
}, pod_labels[] = {
	{ CGM_CL_POD_NAME, "the name of its pod" },
	{ CGM_CL_POD_ID, "the UID of its pod" },
	{ CGM_CL_NAMESPACE_ID, "the UID of its namespace" },
	{ CGM_CL_LABELS, "the labels of its pod or node, key:value" },
};

static bool is_exported(unsigned m)
{
	return m >= CGM_NR_SCALARS ? m != CGM_CM_CUSTOM : cgm_cm_table[m].cumulative || (GAUGES & CGM_CM_BIT(m));
}

static void put_comma(struct cgm_buf *b)
{
	if (b->len && b->p[b->len - 1] != '[' && b->p[b->len - 1] != '{')
		cgm_buf_char(b, ',');
}

static void put_tag(struct cgm_buf *b, const char *key, const char *value)
{
	put_comma(b);
	cgm_reply_text(b, key);
	cgm_buf_char(b, ':');
	cgm_reply_text(b, value);
}

struct sample {
	uint64_t start_ns, end_ns;
	union cgm_cm_value value;
	bool is_float;
	const struct cgm_tag *labels;
	size_t nr_labels;
};

static void put_sample(struct cgm_buf *b, const struct sample *s)
{
	put_comma(b);
	cgm_buf_lit(b, "{\"start\":");
	cgm_reply_time(b, s->start_ns);
	cgm_buf_lit(b, ",\"end\":");
	cgm_reply_time(b, s->end_ns);
	if (s->nr_labels) {
		cgm_buf_lit(b, ",\"labels\":{");
		for (size_t i = 0; i < s->nr_labels; i++)
			put_tag(b, s->labels[i].key, s->labels[i].value);
		cgm_buf_char(b, '}');
	}
	cgm_buf_lit(b, ",\"value\":");
	if (s->is_float)
		cgm_reply_double(b, s->value.f);
	else
		cgm_buf_i64(b, s->value.i);
	cgm_buf_char(b, '}');
}

/* A counter's start is that of what it counts; of other numbers start and end are the same. */
static uint64_t start_of(const struct cgm_slice *slice, const struct cgm_set *set, unsigned m)
{
	return cgm_cm_table[m].cumulative && set->created_ns ? set->created_ns : slice->end_ns;
}

static void put_metrics(struct cgm_buf *b, const struct cgm_slice *slice, const struct cgm_set *set)
{
	for (unsigned m = 0; m < CGM_NR_SCALARS; m++) {
		if (!cgm_set_has(set, m) || !is_exported(m))
			continue;
		put_comma(b);
		cgm_reply_text(b, cgm_cm_table[m].name);
		cgm_buf_lit(b, ":[");
		put_sample(b, &(struct sample){ start_of(slice, set, m), slice->end_ns, cgm_set_value(set, m), cgm_cm_table[m].is_float, NULL, 0 });
		cgm_buf_char(b, ']');
	}
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		const struct cgm_labeled *l = &set->labeled[i];

		if (!is_exported(l->metric))
			continue;
		if (!i || set->labeled[i - 1].metric != l->metric) {
			put_comma(b);
			cgm_reply_text(b, cgm_cm_table[l->metric].name);
			cgm_buf_lit(b, ":[");
		}
		put_sample(b, &(struct sample){ start_of(slice, set, l->metric), slice->end_ns, l->value, cgm_cm_table[l->metric].is_float, cgm_labeled_labels(l), l->nr_labels });
		if (i + 1 == set->nr_labeled || l[1].metric != l->metric)
			cgm_buf_char(b, ']');
	}
}

static void put_labels(struct cgm_buf *b, const struct cgm_entity *e)
{
	const char *name = e->kind == CGM_SET_NODE ? "machine" : e->kind == CGM_SET_POD ? "/pod" : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(common_labels); i++) {
		enum cgm_cl l = common_labels[i].label;
		const char *value = l == CGM_CL_CONTAINER_NAME && name ? name : e->labels[l];

		if (value)
			put_tag(b, cgm_cl_name(l), value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pod_labels); i++)
		if (e->labels[pod_labels[i].label])
			put_tag(b, cgm_cl_name(pod_labels[i].label), e->labels[pod_labels[i].label]);
}

static void put_set(struct cgm_buf *b, const struct cgm_slice *slice, const struct cgm_set *set)
{
	put_comma(b);
	cgm_buf_lit(b, "{\"metrics\":{");
	put_metrics(b, slice, set);
	cgm_buf_lit(b, "},\"labels\":{");
	put_labels(b, set->entity);
	cgm_buf_lit(b, "}}");
}

int cgm_serve_metric_export(const struct cgm_serve *s, struct cgm_buf *out)
{
	struct cgm_slice **slices = NULL;
	size_t nr = 0;
	int r = s->disable_export ? 0 : cgm_cluster_store_newest(s->store, &slices, &nr);

	cgm_buf_char(out, '[');
	for (size_t i = 0; r == 0 && i < nr; i++)
		for (uint32_t j = 0; *slices[i]->node && j < slices[i]->nr_sets; j++)
			put_set(out, slices[i], &slices[i]->sets[j]);
	cgm_buf_char(out, ']');
	cgm_cluster_slices_free(slices, nr);
	return r;
}

static void put_label(struct cgm_buf *b, const char *key, const char *help)
{
	put_comma(b);
	cgm_buf_lit(b, "{");
	put_tag(b, "key", key);
	put_tag(b, "description", help);
	cgm_buf_char(b, '}');
}

static void put_schema(struct cgm_buf *b, unsigned m)
{
	const struct cgm_cm_info *info = &cgm_cm_table[m];
	/* Heapster names no unit of counts, of rates and of cpu/limit. */
	bool has_unit = strcmp(info->unit, "count") != 0 && strcmp(info->unit, "millicores") != 0 && !strstr(info->name, "_rate");

	put_comma(b);
	cgm_buf_lit(b, "{");
	put_tag(b, "name", info->name);
	put_tag(b, "description", info->help);
	if (m >= CGM_NR_SCALARS) {
		cgm_buf_lit(b, ",\"labels\":[");
		if (strncmp(info->name, "accelerator/", 12) != 0) {
			put_label(b, "resource_id", "which file system or device");
		} else {
			put_label(b, "make", "who made the accelerator");
			put_label(b, "model", "the accelerator's model");
			put_label(b, "accelerator_id", "which accelerator");
		}
		cgm_buf_char(b, ']');
	}
	put_tag(b, "type", info->cumulative ? "cumulative" : "gauge");
	put_tag(b, "value_type", info->is_float ? "double" : "int64");
	if (has_unit)
		put_tag(b, "units", info->unit);
	cgm_buf_char(b, '}');
}

void cgm_serve_metric_export_schema(struct cgm_buf *out)
{
	cgm_buf_lit(out, "{\"metrics\":[");
	for (unsigned m = 0; m < CGM_CM_CUSTOM; m++)
		if (is_exported(m))
			put_schema(out, m);
	cgm_buf_lit(out, "],\"common_labels\":[");
	for (size_t i = 0; i < ARRAY_SIZE(common_labels); i++)
		put_label(out, cgm_cl_name(common_labels[i].label), common_labels[i].help);
	cgm_buf_lit(out, "],\"pod_labels\":[");
	for (size_t i = 0; i < ARRAY_SIZE(pod_labels); i++)
		put_label(out, cgm_cl_name(pod_labels[i].label), pod_labels[i].help);
	cgm_buf_lit(out, "]}");
}
