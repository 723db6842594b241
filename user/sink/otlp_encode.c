// SPDX-License-Identifier: Apache-2.0
/* A sample, by the table of otlp.def. */
#include <string.h>

#include "base/cleanup.h"
#include "identity/path.h"
#include "sink/otlp.h"
#include "sink/otlp_write.h"

enum where { IN_SYSTEM = 1, IN_POD = 2, IN_CONTAINER = 4 };
enum number { INT, NS, USEC, MSEC };
enum what { METRIC, VALUE, LESS, DISK, IFACE, FS, WRITTEN };
enum written { UPTIME, CPUS, MEMORY_LIMIT, MEMORY_AVAILABLE };

struct entry {
	enum what what;
	unsigned a, b; /* values; of WRITTEN: which */
	const char *key, *value;
	/* METRIC */
	unsigned where;
	const char *name, *unit;
	enum cgm_otlp_kind kind;
	enum number number;
	enum cgm_group group;
};

static const struct entry entries[] = {
#define CGM_OTLP(at, n, u, k, nr, g) \
	{ .what = METRIC, .where = (at), .name = (n), .unit = (u), .kind = CGM_OTLP_##k, .number = (nr), .group = CGM_G_##g },
#define CGM_OTLP_VALUE(id, k, v) { .what = VALUE, .a = CGM_V_##id, .key = (k), .value = (v) },
#define CGM_OTLP_LESS(id, less, k, v) { .what = LESS, .a = CGM_V_##id, .b = CGM_V_##less, .key = (k), .value = (v) },
#define CGM_OTLP_DISK(id, k, v) { .what = DISK, .a = CGM_DISK_##id, .key = (k), .value = (v) },
#define CGM_OTLP_IFACE(id, k, v) { .what = IFACE, .a = CGM_IFACE_##id, .key = (k), .value = (v) },
#define CGM_OTLP_FS(id, k, v) { .what = FS, .a = CGM_FS_##id, .key = (k), .value = (v) },
#define CGM_OTLP_WRITTEN(id) { .what = WRITTEN, .a = (id) },
#include "sink/otlp.def"
};

static enum where where_of(const struct cgm_sink_sample *s)
{
	const char *path = s->row->identity->name;
	struct cgm_path_facts f;

	cgm_path_parse(path, &f);
	return path[1] == '\0' ? IN_SYSTEM : f.kind == CGM_PATH_POD ? IN_POD : IN_CONTAINER;
}

static void put_number(struct cgm_otlp *o, enum number number, const struct cgm_otlp_attribute *attributes, uint64_t v)
{
	static const double per_second[] = { 1, 1e9, 1e6, 1e3 };

	if (number == INT)
		cgm_otlp_int(o, attributes, 2, v);
	else
		cgm_otlp_double(o, attributes, 2, (double)v / per_second[number]);
}

static struct cgm_otlp_attribute attribute(const char *key, const char *value)
{
	return (struct cgm_otlp_attribute){ .key = key, .value = key ? cgm_str(value) : (struct cgm_str){ 0 } };
}

/* Those of each device of that kind that has a name. */
static void put_blocks(struct cgm_otlp *o, const struct entry *metric, const struct entry *e, enum cgm_layout_kind kind, const char *key)
{
	const struct cgm_layout *l = o->s->layout;

	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *b = &l->blocks[i];
		struct cgm_otlp_attribute attributes[] = { attribute(key, b->name), attribute(e->key, e->value) };

		if (b->kind == kind && *b->name)
			put_number(o, metric->number, attributes, o->s->values[b->first + e->a]);
	}
}

static uint64_t nr_cpus(const struct cgm_layout *l)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < l->nr_blocks; i++)
		nr += l->blocks[i].kind == CGM_LAYOUT_CPU ? l->blocks[i].nr : 0;
	return nr;
}

/* False: there is no such number. */
static bool written(const struct cgm_sink_sample *s, enum written what, uint64_t *ret)
{
	const struct cgm_spec *spec = &s->row->spec;
	uint64_t set = s->values[CGM_V_MEMORY_WORKING_SET];

	switch (what) {
	case UPTIME:
		*ret = s->time_ns > spec->creation_time_ns ? s->time_ns - spec->creation_time_ns : 0;
		return spec->creation_time_ns != 0;
	case CPUS:
		*ret = nr_cpus(s->layout);
		return *ret != 0;
	case MEMORY_LIMIT:
		*ret = spec->memory_limit;
		return spec->has_memory;
	case MEMORY_AVAILABLE: /* only below a limit */
		*ret = spec->memory_limit > set ? spec->memory_limit - set : 0;
		return spec->has_memory && spec->memory_limit < 1ULL << 62 && cgm_layout_has(s->layout, CGM_V_MEMORY_WORKING_SET);
	}
	return false;
}

/* CFS numbers mean nothing without a quota. */
static bool has(const struct cgm_sink_sample *s, unsigned value)
{
	bool cfs = value == CGM_V_CPU_CFS_PERIODS || value == CGM_V_CPU_CFS_THROTTLED_PERIODS || value == CGM_V_CPU_CFS_THROTTLED_TIME;

	return cgm_layout_has(s->layout, (enum cgm_value)value) && (!cfs || s->row->spec.cpu_quota_usec);
}

static void put_points(struct cgm_otlp *o, const struct entry *metric, const struct entry *e)
{
	const struct cgm_otlp_attribute attributes[] = { attribute(e->key, e->value), { 0 } };
	const struct cgm_sink_sample *s = o->s;
	uint64_t v;

	switch (e->what) {
	case METRIC:
		break;
	case VALUE:
		if (has(s, e->a))
			put_number(o, metric->number, attributes, s->values[e->a]);
		break;
	case LESS:
		if (has(s, e->a) && has(s, e->b))
			put_number(o, metric->number, attributes, s->values[e->a] > s->values[e->b] ? s->values[e->a] - s->values[e->b] : 0);
		break;
	case DISK:
		if (!(s->groups_paused >> CGM_G_BLOCK & 1)) /* they go on from where they were: the files' are others */
			put_blocks(o, metric, e, CGM_LAYOUT_DISK, "system.device");
		break;
	case IFACE:
		put_blocks(o, metric, e, CGM_LAYOUT_IFACE, "network.interface.name");
		break;
	case FS:
		put_blocks(o, metric, e, CGM_LAYOUT_FS, "system.device");
		break;
	case WRITTEN:
		if (written(s, (enum written)e->a, &v))
			put_number(o, metric->number, attributes, v);
		break;
	}
}

uint64_t cgm_otlp_sample(const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	enum where where = where_of(s);
	const struct entry *metric = NULL;
	struct cgm_otlp o;

	cgm_otlp_begin(&o, s, out);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *e = &entries[i];

		if (e->what == METRIC) {
			bool off = e->group != CGM_G_NONE && s->groups_off >> e->group & 1;

			metric = e->where & where && !off ? e : NULL;
			if (metric)
				cgm_otlp_metric(&o, cgm_str(e->name), e->unit, e->kind);
		} else if (metric) {
			put_points(&o, metric, e);
		}
	}
	return cgm_otlp_end(&o);
}
