// SPDX-License-Identifier: Apache-2.0
#include "sink/series.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static const struct value {
	unsigned where;
	const char *name, *suffix, *tag[2], *tag_value[2];
	enum cgm_group group;
	enum cgm_value value;
} values[] = {
#define CGM_SERIES_VALUE(where, name, suffix, tag, tag_value, tag2, tag2_value, group, value) \
	{ where, name, suffix, { tag, tag2 }, { tag_value, tag2_value }, CGM_G_##group, CGM_V_##value },
#include "sink/series.def"
};

static const struct {
	const char *name;
	enum cgm_iface_value value;
} ifaces[] = {
	{ "rx_bytes", CGM_IFACE_RX_BYTES },
	{ "rx_errors", CGM_IFACE_RX_ERRORS },
	{ "tx_bytes", CGM_IFACE_TX_BYTES },
	{ "tx_errors", CGM_IFACE_TX_ERRORS },
};

static const struct {
	const char *name, *summary, *type;
	enum cgm_fs_value value;
} fs[] = {
	{ "fs_usage", ".fs_usage", "usage", CGM_FS_USAGE },
	{ "fs_limit", ".fs_limit", "limit", CGM_FS_CAPACITY },
};

/* One walk. */
struct walk {
	const struct cgm_sink_sample *s;
	enum cgm_series_where where;
	cgm_series_fn fn;
	void *arg;
	uint64_t nr;
};

static void point(struct walk *w, const struct cgm_series_point *p)
{
	w->fn(w->arg, p);
	w->nr++;
}

static bool is_off(const struct walk *w, enum cgm_group group)
{
	return w->s->groups_off >> group & 1;
}

static void walk_values(struct walk *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const struct value *v = &values[i];
		struct cgm_series_point p = { .name = v->name, .suffix = v->suffix };

		if (!(v->where & w->where) || is_off(w, v->group) || !cgm_layout_has(w->s->layout, v->value))
			continue;
		memcpy(p.tag, v->tag, sizeof(p.tag));
		memcpy(p.tag_value, v->tag_value, sizeof(p.tag_value));
		p.value = w->s->values[v->value];
		point(w, &p);
	}
}

/* CPUs that came later are another block, which goes on with the numbering. */
static void walk_cpus(struct walk *w)
{
	const struct cgm_layout *l = w->s->layout;
	unsigned cpu = 0;

	for (uint32_t b = 0; !is_off(w, CGM_G_PERCPU) && b < l->nr_blocks; b++) {
		for (uint32_t i = 0; l->blocks[b].kind == CGM_LAYOUT_CPU && i < l->blocks[b].nr; i++, cpu++) {
			char suffix[16];
			struct cgm_series_point p = { .name = "cpu_usage_per_cpu", .suffix = suffix, .tag = { "instance" },
						      .tag_value = { suffix + 1 } };

			snprintf(suffix, sizeof(suffix), ".%u", cpu);
			p.value = w->s->values[l->blocks[b].first + i];
			point(w, &p);
		}
	}
}

/* All interfaces together: cAdvisor writes those of the first, whichever that is. */
static void walk_network(struct walk *w)
{
	const struct cgm_layout *l = w->s->layout;
	bool any = false;

	for (uint32_t b = 0; b < l->nr_blocks; b++)
		any |= l->blocks[b].kind == CGM_LAYOUT_IFACE;
	for (size_t i = 0; any && !is_off(w, CGM_G_NETWORK) && i < ARRAY_SIZE(ifaces); i++) {
		struct cgm_series_point p = { .name = ifaces[i].name, .suffix = "" };

		for (uint32_t b = 0; b < l->nr_blocks; b++)
			if (l->blocks[b].kind == CGM_LAYOUT_IFACE)
				p.value += w->s->values[l->blocks[b].first + ifaces[i].value];
		point(w, &p);
	}
}

static void walk_device(struct walk *w, const struct cgm_layout_block *block, uint64_t sums[ARRAY_SIZE(fs)])
{
	for (size_t i = 0; i < ARRAY_SIZE(fs); i++) {
		struct cgm_series_point p = { .name = fs[i].name, .suffix = "", .device = block->name, .tag = { "device", "type" },
					      .tag_value = { block->name, fs[i].type } };

		p.value = w->s->values[block->first + fs[i].value];
		sums[i] += p.value;
		if (*block->name)
			point(w, &p);
	}
}

static void walk_fs(struct walk *w)
{
	const struct cgm_layout *l = w->s->layout;
	uint64_t sums[ARRAY_SIZE(fs)] = { 0 };
	bool any = false;

	for (uint32_t b = 0; !is_off(w, CGM_G_DISK) && b < l->nr_blocks; b++) {
		if (l->blocks[b].kind != CGM_LAYOUT_FS)
			continue;
		walk_device(w, &l->blocks[b], sums);
		any = true;
	}
	for (size_t i = 0; any && w->where != CGM_IN_INFLUXDB && i < ARRAY_SIZE(fs); i++) {
		struct cgm_series_point p = { .name = "fs_summary", .suffix = fs[i].summary, .value = sums[i] };

		point(w, &p);
	}
}

uint64_t cgm_series_each(const struct cgm_sink_sample *s, enum cgm_series_where where, cgm_series_fn fn, void *arg)
{
	struct walk w = { .s = s, .where = where, .fn = fn, .arg = arg };

	walk_values(&w);
	walk_cpus(&w);
	walk_network(&w);
	walk_fs(&w);
	return w.nr;
}
