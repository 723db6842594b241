// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel side counts, from metrics.def: the family cgmeter_container_cpu_off_seconds is the metric cgmeter.container.cpu_off with
 * the unit s (but see keeps_unit()); labels are attributes. What never counted is left out.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cgmeter/metrics.h"
#include "sink/otlp.h"
#include "sink/otlp_write.h"

#define PREFIX "cgmeter_container_"
#define NEW_PREFIX "cgmeter.container."
#define MAX_ATTRIBUTES 3

enum what { FAMILY, HIST, LIVE, COUNT, COUNT_NS, WAIT };
enum type { COUNTER, GAUGE, HISTOGRAM, INFO };

struct entry {
	enum what what;
	unsigned index; /* of a count or wait; else the offset in struct cgm_live */
	const char *labels;
	/* FAMILY */
	const char *name, *unit;
	enum type type;
	enum cgm_group group;
};

static const struct entry entries[] = {
#define CGM_FAMILY(id, n, t, u, g, help) { .what = FAMILY, .name = (n), .unit = (u), .type = (t), .group = CGM_G_##g },
#define CGM_HIST_SERIES(f, member, l) { .what = HIST, .index = offsetof(struct cgm_live, sched.member), .labels = (l) },
#define CGM_LIVE_SERIES(f, which, member, l) { .what = LIVE, .index = offsetof(struct cgm_live, which.member), .labels = (l) },
#define CGM_COUNT_SERIES(f, id, l) { .what = COUNT, .index = CGM_C_##id, .labels = (l) },
#define CGM_COUNT_NS_SERIES(f, id, l) { .what = COUNT_NS, .index = CGM_C_##id, .labels = (l) },
#define CGM_WAIT_SERIES(f, id, l) { .what = WAIT, .index = CGM_W_##id, .labels = (l) },
#include "cgmeter/metrics.def"
};

static bool cut_end(struct cgm_str *s, const char *end)
{
	size_t len = strlen(end);

	if (s->len <= len + 1 || memcmp(s->p + s->len - len, end, len) != 0 || s->p[s->len - len - 1] != '_')
		return false;
	s->len -= len + 1;
	return true;
}

/* Without it, the name would be that of a family in another unit: test_otlp_live__names knows. */
static bool keeps_unit(const char *family)
{
	static const char *const names[] = { PREFIX "syscall_bytes_total", PREFIX "tcp_connection_bytes_total" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(family, names[i]) == 0)
			return true;
	return false;
}

/* The name of the metric in text. False: the family is none of the kernel side's. */
static bool name_of(const struct entry *family, char text[128], struct cgm_str *ret)
{
	struct cgm_str s = cgm_str(family->name);

	if (strncmp(s.p, PREFIX, strlen(PREFIX)) != 0 || s.len >= 128)
		return false;
	(void)cut_end(&s, "total");
	if (!keeps_unit(family->name))
		(void)cut_end(&s, family->unit);
	snprintf(text, 128, NEW_PREFIX "%.*s", (int)(s.len - strlen(PREFIX)), s.p + strlen(PREFIX));
	*ret = cgm_str(text);
	return true;
}

static const char *unit_of(const struct entry *family)
{
	return strcmp(family->unit, "seconds") == 0 ? "s" : strcmp(family->unit, "bytes") == 0 ? "By" : "1";
}

/* `a="x",b="y"`, as metrics.def has it: no escapes. keys: where the names are kept. Returns how many. */
static size_t attributes_of(const char *labels, char keys[MAX_ATTRIBUTES][32], struct cgm_otlp_attribute ret[MAX_ATTRIBUTES])
{
	size_t nr = 0;

	for (const char *p = labels; *p && nr < MAX_ATTRIBUTES;) {
		size_t key_len = strcspn(p, "="), value_len;

		if (!p[key_len] || key_len >= sizeof(keys[0]))
			break;
		memcpy(keys[nr], p, key_len);
		keys[nr][key_len] = '\0';
		p += key_len + 2;
		value_len = strcspn(p, "\"");
		ret[nr] = (struct cgm_otlp_attribute){ keys[nr], { p, value_len } };
		nr++;
		p += value_len;
		p += *p ? 1 : 0;
		p += *p == ',';
	}
	return nr;
}

static void put_series(struct cgm_otlp *o, const struct cgm_live *live, const struct entry *e)
{
	char keys[MAX_ATTRIBUTES][32];
	struct cgm_otlp_attribute attributes[MAX_ATTRIBUTES];
	size_t nr = attributes_of(e->labels, keys, attributes);
	const char *member = (const char *)live + e->index;
	uint64_t v;

	switch (e->what) {
	case FAMILY:
		break;
	case HIST:
		cgm_otlp_hist(o, attributes, nr, (const struct cgm_live_hist *)member);
		break;
	case LIVE:
		v = *(const uint64_t *)member;
		if (v)
			cgm_otlp_int(o, attributes, nr, v);
		break;
	case COUNT:
		v = cgm_live_count(live, e->index);
		if (v)
			cgm_otlp_int(o, attributes, nr, v);
		break;
	case COUNT_NS:
		v = cgm_live_count(live, e->index);
		if (v)
			cgm_otlp_double(o, attributes, nr, (double)v / 1e9);
		break;
	case WAIT:
		for (size_t i = 0; i < live->nr_waits; i++)
			if (live->waits[i].wait == e->index)
				cgm_otlp_hist(o, attributes, nr, &live->waits[i].hist);
		break;
	}
}

/* By device and operation. */
static void put_blocks(struct cgm_otlp *o, const struct cgm_live *live)
{
	static const char *const operations[CGM_NR_BLOCK_OPS] = { "read", "write", "discard", "flush", "other" };
	static const struct {
		const char *name, *unit;
		enum cgm_otlp_kind kind;
		size_t offset;
	} metrics[] = {
		{ NEW_PREFIX "block_latency", "s", CGM_OTLP_HISTOGRAM, offsetof(struct cgm_live_block, queue_to_done) },
		{ NEW_PREFIX "block_service", "s", CGM_OTLP_HISTOGRAM, offsetof(struct cgm_live_block, issue_to_done) },
		{ NEW_PREFIX "block", "By", CGM_OTLP_SUM, offsetof(struct cgm_live_block, bytes) },
		{ NEW_PREFIX "block_requests", "{request}", CGM_OTLP_SUM, offsetof(struct cgm_live_block, requests) },
	};

	for (size_t m = 0; m < ARRAY_SIZE(metrics); m++) {
		cgm_otlp_metric(o, cgm_str(metrics[m].name), metrics[m].unit, metrics[m].kind);
		for (size_t i = 0; i < live->nr_blocks; i++) {
			const struct cgm_live_block *b = &live->blocks[i];
			const char *member = (const char *)b + metrics[m].offset;
			struct cgm_otlp_attribute attributes[] = { { "system.device", cgm_str(b->name) }, { "operation", cgm_str(operations[b->op]) } };

			if (!cgm_block_used(b))
				continue;
			if (metrics[m].kind == CGM_OTLP_HISTOGRAM)
				cgm_otlp_hist(o, attributes, 2, (const struct cgm_live_hist *)member);
			else
				cgm_otlp_int(o, attributes, 2, *(const uint64_t *)member);
		}
	}
}

static bool is_off(const struct cgm_sink_sample *s, enum cgm_group group)
{
	return group != CGM_G_NONE && s->groups_off >> group & 1;
}

uint64_t cgm_otlp_live(const struct cgm_sink_sample *s, struct cgm_buf *out)
{
	const struct cgm_live *live = s->row->live;
	char text[128];
	struct cgm_str name;
	struct cgm_otlp o;
	bool wanted = false;

	cgm_otlp_begin(&o, s, out);
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *e = &entries[i];

		if (e->what != FAMILY) {
			if (wanted)
				put_series(&o, live, e);
			continue;
		}
		wanted = !is_off(s, e->group) && name_of(e, text, &name);
		if (wanted)
			cgm_otlp_metric(&o, name, unit_of(e),
					e->type == HISTOGRAM ? CGM_OTLP_HISTOGRAM : e->type == COUNTER ? CGM_OTLP_SUM : CGM_OTLP_GAUGE);
	}
	if (!is_off(s, CGM_G_BLOCK))
		put_blocks(&o, live);
	return cgm_otlp_end(&o);
}
