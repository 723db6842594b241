// SPDX-License-Identifier: Apache-2.0
/* A slice as lines, "measurement,tag=value field=value time". The tags of a set are written once, and copied into each of its lines. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/influxdb.h"
#include "sink/text.h"

#define CUT_BYTES ((size_t)32 * 1024)

/* ---- names ---- */

/* Which were in Heapster 0.15. */
static bool in_0_15(enum cgm_cm m)
{
	switch (m) {
	case CGM_CM_UPTIME:
	case CGM_CM_CPU_USAGE:
	case CGM_CM_CPU_LIMIT:
	case CGM_CM_MEMORY_USAGE:
	case CGM_CM_MEMORY_WORKING_SET:
	case CGM_CM_MEMORY_LIMIT:
	case CGM_CM_MEMORY_PAGE_FAULTS:
	case CGM_CM_MEMORY_MAJOR_PAGE_FAULTS:
	case CGM_CM_NETWORK_RX:
	case CGM_CM_NETWORK_RX_ERRORS:
	case CGM_CM_NETWORK_TX:
	case CGM_CM_NETWORK_TX_ERRORS:
	case CGM_CM_FILESYSTEM_USAGE:
	case CGM_CM_FILESYSTEM_LIMIT:
		return true;
	default:
		return false;
	}
}

/* The unit of a series' name there; numbers without one had none. */
static const char *unit_0_15(const char *unit)
{
	return strcmp(unit, "ms") == 0 || strcmp(unit, "ns") == 0 || strcmp(unit, "bytes") == 0 ? unit : "";
}

static void init_name(struct cgm_influxdb_form *f, enum cgm_cm m)
{
	const struct cgm_cm_info *info = &cgm_cm_table[m];
	const char *slash = strchr(info->name, '/');
	char *measurement = f->names[m].measurement, *field = f->names[m].field;
	size_t size = sizeof(f->names[m].measurement);

	if (f->schema_0_15) {
		const char *unit = unit_0_15(info->unit);

		if (in_0_15(m))
			snprintf(measurement, size, "%s%s%s_%s", info->name, *unit ? "_" : "", unit, info->cumulative ? "cumulative" : "gauge");
		snprintf(field, size, " value=");
	} else if (f->with_fields && slash) {
		snprintf(measurement, size, "%.*s", (int)(slash - info->name), info->name);
		snprintf(field, size, " %s=", slash + 1);
	} else {
		snprintf(measurement, size, "%s", info->name);
		snprintf(field, size, " value=");
	}
	if (f->no_counters && cgm_cm_rate(m) >= 0)
		*measurement = '\0';
	f->names[m].measurement_len = (uint8_t)strlen(measurement);
	f->names[m].field_len = (uint8_t)strlen(field);
}

void cgm_influxdb_form_init(struct cgm_influxdb_form *f)
{
	memset(f->names, 0, sizeof(f->names));
	for (int m = 0; m < CGM_CM_CUSTOM; m++)
		init_name(f, m);
}

/* ---- tags ---- */

/* Where a tag begins in the text of all. */
struct mark {
	const char *key;
	size_t at;
};

struct lines {
	const struct cgm_influxdb_form *f;
	struct cgm_buf *out;
	struct cgm_buf tags, marks; /* of the set; marks: struct mark */
	char time[32]; /* " 1795363285000000000\n" */
	size_t time_len;
};

static void put_tag(struct cgm_buf *b, const char *key, const char *value)
{
	cgm_buf_char(b, ',');
	cgm_text_influxdb(b, key);
	cgm_buf_char(b, '=');
	cgm_text_influxdb(b, value);
}

/* In the order of their keys; one without a value is none. */
static void add_tag(struct lines *l, const char *key, const char *value)
{
	const struct mark m = { key, l->tags.len };

	if (!value || !*value)
		return;
	cgm_buf_put(&l->marks, &m, sizeof(m));
	put_tag(&l->tags, key, value);
}

/* The labels that are tags, by the names they have, sorted by name. */
static const struct {
	enum cgm_cl label;
	const char *key;
} heapster_tags[] = {
	{ CGM_CL_CONTAINER_BASE_IMAGE, "container_base_image" }, { CGM_CL_CONTAINER_NAME, "container_name" }, { CGM_CL_LABELS, "labels" },
	{ CGM_CL_NAMESPACE_NAME, "namespace_name" }, { CGM_CL_NODENAME, "nodename" }, { CGM_CL_POD_NAME, "pod_name" },
	{ CGM_CL_SCHEDULABLE, "schedulable" }, { CGM_CL_TYPE, "type" },
}, columns_0_15[] = {
	{ CGM_CL_CONTAINER_NAME, "container_name" }, { CGM_CL_HOST_ID, "host_id" }, { CGM_CL_HOSTNAME, "hostname" }, { CGM_CL_LABELS, "labels" },
	{ CGM_CL_NAMESPACE_ID, "namespace_id" }, { CGM_CL_POD_ID, "pod_id" }, { CGM_CL_POD_NAME, "pod_name" }, { CGM_CL_NAMESPACE_NAME, "pod_namespace" },
};

/* Stored labels up to a key (NULL: all that are left); one of the same name as ours is left out. */
static void add_stored(struct lines *l, const struct cgm_entity *e, size_t *at, const char *before)
{
	for (; *at < e->nr_stored; ++*at) {
		int order = before ? strcmp(e->stored[*at].key, before) : -1;

		if (order > 0)
			break;
		if (order < 0)
			add_tag(l, e->stored[*at].key, e->stored[*at].value);
	}
}

static void heapster(struct lines *l, const struct cgm_entity *e)
{
	size_t stored = 0;

	add_stored(l, e, &stored, "cluster_name");
	add_tag(l, "cluster_name", l->f->cluster_name);
	for (size_t i = 0; i < ARRAY_SIZE(heapster_tags); i++) {
		add_stored(l, e, &stored, heapster_tags[i].key);
		add_tag(l, heapster_tags[i].key, e->labels[heapster_tags[i].label]);
	}
	add_stored(l, e, &stored, NULL);
}

/* There a node is the container "machine", and system containers bear the name of their cgroup. */
static void before_heapster_1(struct lines *l, const struct cgm_entity *e)
{
	char name[256];

	for (size_t i = 0; i < ARRAY_SIZE(columns_0_15); i++) {
		const char *value = e->labels[columns_0_15[i].label];

		if (columns_0_15[i].label == CGM_CL_CONTAINER_NAME && e->kind == CGM_SET_NODE)
			value = "machine";
		if (columns_0_15[i].label == CGM_CL_CONTAINER_NAME && e->kind == CGM_SET_SYS_CONTAINER && value && *value != '/') {
			snprintf(name, sizeof(name), "/%s", value);
			value = name;
		}
		if (columns_0_15[i].label == CGM_CL_LABELS && e->kind == CGM_SET_NODE)
			value = NULL;
		add_tag(l, columns_0_15[i].key, value);
	}
}

/* The set's tags with those of a value between them. */
static void put_tags_with(struct lines *l, const struct cgm_labeled *v)
{
	const struct mark *marks = (const struct mark *)(const void *)l->marks.p;
	size_t nr = l->marks.len / sizeof(*marks), next = 0, from = 0;

	for (unsigned i = 0; i < v->nr_labels; i++) {
		size_t to;

		if (!*cgm_labeled_labels(v)[i].value)
			continue;
		while (next < nr && strcmp(marks[next].key, cgm_labeled_labels(v)[i].key) < 0)
			next++;
		if (next < nr && strcmp(marks[next].key, cgm_labeled_labels(v)[i].key) == 0)
			continue; /* whose numbers they are goes first */
		to = next < nr ? marks[next].at : l->tags.len;
		cgm_buf_put(l->out, l->tags.p + from, to - from);
		put_tag(l->out, cgm_labeled_labels(v)[i].key, cgm_labeled_labels(v)[i].value);
		from = to;
	}
	cgm_buf_put(l->out, l->tags.p + from, l->tags.len - from);
}

/* ---- lines ---- */

/* A measurement has no escape for a backslash, and one for blanks and commas alone. */
static void put_measurement(struct cgm_buf *b, const char *name)
{
	for (; *name; name++) {
		if (*name == ' ' || *name == ',')
			cgm_buf_char(b, '\\');
		cgm_buf_char(b, (unsigned char)*name < ' ' || *name == 0x7f || *name == '\\' ? '_' : *name);
	}
}

static void put_number(struct lines *l, bool is_float, union cgm_cm_value v)
{
	if (is_float) {
		cgm_buf_f64(l->out, v.f);
	} else {
		cgm_buf_i64(l->out, v.i);
		cgm_buf_char(l->out, 'i');
	}
	cgm_buf_put(l->out, l->time, l->time_len);
}

static void put_scalar(struct lines *l, enum cgm_cm m, union cgm_cm_value v)
{
	const size_t len = l->f->names[m].measurement_len, field_len = l->f->names[m].field_len;
	struct cgm_buf *out = l->out;
	char *p;

	if (!cgm_buf_reserve(out, len + l->tags.len + field_len))
		return;
	p = out->p + out->len;
	memcpy(p, l->f->names[m].measurement, len);
	memcpy(p + len, l->tags.p, l->tags.len);
	memcpy(p + len + l->tags.len, l->f->names[m].field, field_len);
	out->len += len + l->tags.len + field_len;
	put_number(l, cgm_cm_table[m].is_float, v);
}

static bool is_number(bool is_float, union cgm_cm_value v)
{
	return !is_float || isfinite(v.f);
}

/* False: it is not in this form. */
static bool put_labeled(struct lines *l, const struct cgm_labeled *v)
{
	const struct cgm_influxdb_form *f = l->f;

	if (v->metric == CGM_CM_CUSTOM) {
		if (f->schema_0_15 || !is_number(v->is_float, v->value) || !*cgm_labeled_name(v))
			return false;
		cgm_buf_lit(l->out, "custom");
		if (!f->with_fields) {
			cgm_buf_char(l->out, '/');
			put_measurement(l->out, cgm_labeled_name(v));
		}
		put_tags_with(l, v);
		cgm_buf_char(l->out, ' ');
		cgm_text_influxdb(l->out, f->with_fields ? cgm_labeled_name(v) : "value");
		cgm_buf_char(l->out, '=');
		put_number(l, v->is_float, v->value);
		return true;
	}
	if (!f->names[v->metric].measurement_len || !is_number(cgm_cm_table[v->metric].is_float, v->value))
		return false;
	cgm_buf_put(l->out, f->names[v->metric].measurement, f->names[v->metric].measurement_len);
	put_tags_with(l, v);
	cgm_buf_put(l->out, f->names[v->metric].field, f->names[v->metric].field_len);
	put_number(l, cgm_cm_table[v->metric].is_float, v->value);
	return true;
}

static uint64_t put_set(struct lines *l, const struct cgm_set *s)
{
	const union cgm_cm_value *v = s->values;
	uint64_t nr = 0;

	if (l->f->schema_0_15 && s->entity->kind != CGM_SET_NODE && s->entity->kind != CGM_SET_SYS_CONTAINER && s->entity->kind != CGM_SET_CONTAINER)
		return 0;
	l->tags.len = l->marks.len = 0;
	if (l->f->schema_0_15)
		before_heapster_1(l, s->entity);
	else
		heapster(l, s->entity);
	if (l->tags.failed || l->marks.failed) {
		l->out->failed = true;
		return 0;
	}
	for (uint64_t left = s->present; left; left &= left - 1, v++) {
		int m = __builtin_ctzll(left);

		if (!l->f->names[m].measurement_len || !is_number(cgm_cm_table[m].is_float, *v))
			continue;
		put_scalar(l, m, *v);
		nr++;
	}
	for (uint32_t i = 0; i < s->nr_labeled; i++)
		nr += put_labeled(l, &s->labeled[i]);
	return nr;
}

uint64_t cgm_influxdb_lines(const struct cgm_influxdb_form *f, const struct cgm_slice *s, struct cgm_buf *out, void (*cut)(void *arg, uint64_t nr_points), void *arg)
{
	struct lines l = { .f = f, .out = out };
	uint64_t all = 0, since = 0;
	size_t start = out->len;

	snprintf(l.time, sizeof(l.time), " %llu\n", (unsigned long long)s->end_ns);
	l.time_len = strlen(l.time);
	for (uint32_t i = 0; i < s->nr_sets; i++) {
		uint64_t nr = put_set(&l, &s->sets[i]);

		all += nr;
		since += nr;
		if (out->len - start < CUT_BYTES)
			continue;
		cut(arg, since);
		since = 0;
		start = out->len;
	}
	cgm_buf_done(&l.tags);
	cgm_buf_done(&l.marks);
	return all;
}
