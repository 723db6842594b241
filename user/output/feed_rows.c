// SPDX-License-Identifier: Apache-2.0
/* What the numbers and histograms of the feed mean, for the agent, which has snapshots, and for who reads the pinned maps. */
#include "output/feed.h"

#include <errno.h>

#include "base/mem.h"
#include "kernel/kernel.h"

/* v1 has no word for "no limit": it is the highest number of pages. */
#define NO_LIMIT (1ULL << 62)

void cgm_feed_done(struct cgm_feed *f)
{
	free(f->rows);
	free(f->names);
	*f = (struct cgm_feed){0};
}

void cgm_hists_done(struct cgm_hists *h)
{
	for (size_t i = 0; i < h->nr; i++)
		free(h->v[i].title);
	free(h->v);
	*h = (struct cgm_hists){0};
}

int cgm_hists_add(struct cgm_hists *to, const char *title, const struct cgm_hist *h)
{
	char *copy;

	for (size_t i = 0; i < to->nr; i++) {
		if (strcmp(to->v[i].title, title) != 0)
			continue;
		cgm_add_u64s(&to->v[i].h, h, sizeof(*h));
		return 0;
	}
	copy = cgm_strdup(title);
	if (!copy || cgm_grow((void **)&to->v, &to->cap, to->nr, sizeof(*to->v)) < 0) {
		free(copy);
		return -ENOMEM;
	}
	to->v[to->nr++] = (struct cgm_titled_hist){.title = copy, .h = *h};
	return 0;
}

void cgm_feed_set_sample(struct cgm_feed_row *r, const uint64_t *v, const uint64_t *have, const struct cgm_spec *spec)
{
	static const struct {
		enum cgm_feed_value to;
		enum cgm_value from;
	} map[] = {
		{CGM_FEED_CPU_USAGE, CGM_V_CPU_USAGE_TOTAL},
		{CGM_FEED_CPU_PERIODS, CGM_V_CPU_CFS_PERIODS},
		{CGM_FEED_CPU_THROTTLED_PERIODS, CGM_V_CPU_CFS_THROTTLED_PERIODS},
		{CGM_FEED_CPU_THROTTLED, CGM_V_CPU_CFS_THROTTLED_TIME},
		{CGM_FEED_WORKING_SET, CGM_V_MEMORY_WORKING_SET},
		{CGM_FEED_MEMORY_SOME, CGM_V_MEMORY_PSI_SOME_AVG10},
		{CGM_FEED_MEMORY_FULL, CGM_V_MEMORY_PSI_FULL_AVG10},
		{CGM_FEED_TASKS, CGM_V_THREADS_CURRENT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (have[map[i].from / 64] >> (map[i].from % 64) & 1)
			cgm_feed_set(r, map[i].to, v[map[i].from]);
	if (spec->has_memory && spec->memory_limit && spec->memory_limit < NO_LIMIT)
		cgm_feed_set(r, CGM_FEED_MEMORY_LIMIT, spec->memory_limit);
}

void cgm_feed_set_net(struct cgm_feed_row *r, const struct cgm_net *net)
{
	uint64_t rx = 0, tx = 0;

	for (unsigned i = 0; i < CGM_NR_PROTOS; i++) {
		rx += i == CGM_PROTO_UNIX ? 0 : net->proto[i].rx_bytes;
		tx += i == CGM_PROTO_UNIX ? 0 : net->proto[i].tx_bytes;
	}
	cgm_feed_set(r, CGM_FEED_NET_RX, rx);
	cgm_feed_set(r, CGM_FEED_NET_TX, tx);
	cgm_feed_set(r, CGM_FEED_TCP_RETRANSMITS, net->tcp_retransmitted_segments);
}

void cgm_feed_add_block(struct cgm_feed_row *r, enum cgm_block_op op, uint64_t bytes)
{
	if (op == CGM_BLOCK_READ)
		r->v[CGM_FEED_BLOCK_READ] += bytes;
	if (op == CGM_BLOCK_WRITE)
		r->v[CGM_FEED_BLOCK_WRITE] += bytes;
}

/* A flush or a discard takes its own time; who looks at a latency thinks of the others. */
bool cgm_feed_wants_latency(enum cgm_block_op op)
{
	return op == CGM_BLOCK_READ || op == CGM_BLOCK_WRITE;
}

enum sum { NONE, ROWS, BLOCKS };

void cgm_feed_add_child(struct cgm_feed_row *parent, const struct cgm_feed_row *child, bool rows, bool blocks)
{
	static const uint8_t values[] =
		{
#define CGM_FEED_VALUE(id, name, sum) sum,
#include "output/feed.def"
		},
			     hists[] = {
#define CGM_FEED_HIST(id, name, sum) sum,
#include "output/feed.def"
			     };
	const bool wanted[] = {[NONE] = false, [ROWS] = rows, [BLOCKS] = blocks};

	for (unsigned i = 0; i < CGM_NR_FEED_VALUES; i++)
		if (wanted[values[i]])
			parent->v[i] += child->v[i];
	for (unsigned i = 0; i < CGM_NR_FEED_HISTS; i++)
		if (wanted[hists[i]])
			cgm_add_u64s(&parent->hist[i], &child->hist[i], sizeof(child->hist[i]));
}

/* ---- titles ---- */

static const char *const families[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) name,
#include "cgmeter/metrics.def"
};

static size_t put(char *buf, size_t at, const char *text, size_t len)
{
	len = MIN(len, CGM_HIST_TITLE - 1 - at);
	memcpy(buf + at, text, len);
	return at + len;
}

/* "cgmeter_container_memory_reclaim_seconds", reason="limit": "memory reclaim limit". */
static const char *title(enum cgm_family_id family, const char *labels, char *buf)
{
	static const char prefix[] = "cgmeter_container_", suffix[] = "_seconds";
	const char *name = families[family];
	size_t len = strlen(name), at;

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0) {
		name += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	if (len >= sizeof(suffix) && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0)
		len -= sizeof(suffix) - 1;
	at = put(buf, 0, name, len);
	for (size_t i = 0; i < at; i++)
		if (buf[i] == '_')
			buf[i] = ' ';
	/* Values are what stands between quotes. */
	for (const char *p = labels; (p = strchr(p, '"'));) {
		const char *end = strchr(++p, '"');

		if (!end)
			break;
		at = put(buf, put(buf, at, " ", 1), p, (size_t)(end - p));
		p = end + 1;
	}
	buf[at] = '\0';
	return buf;
}

const char *cgm_hist_title_sched(enum cgm_sched_hist id, char buf[CGM_HIST_TITLE])
{
	static const struct {
		enum cgm_family_id family;
		size_t offset;
		const char *labels;
	} series[] = {
#define CGM_HIST_SERIES(family, member, labels) {CGM_F_##family, offsetof(struct cgm_sched, member), labels},
#include "cgmeter/metrics.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(series); i++)
		if (series[i].offset == id * sizeof(struct cgm_hist))
			return title(series[i].family, series[i].labels, buf);
	snprintf(buf, CGM_HIST_TITLE, "scheduler %d", (int)id);
	return buf;
}

const char *cgm_hist_title_wait(enum cgm_wait id, char buf[CGM_HIST_TITLE])
{
	static const struct {
		enum cgm_family_id family;
		const char *labels;
	} series[] = {
#define CGM_WAIT_SERIES(family, id, labels) {CGM_F_##family, labels},
#include "cgmeter/metrics.def"
	};

	return title(series[id].family, series[id].labels, buf);
}

const char *cgm_hist_title_block(bool service, const char *device, enum cgm_block_op op, char buf[CGM_HIST_TITLE])
{
	static const char *const ops[CGM_NR_BLOCK_OPS] = {"read", "write", "discard", "flush", "other"};
	char labels[96];

	snprintf(labels, sizeof(labels), "\"%s\"\"%s\"", device, op < CGM_NR_BLOCK_OPS ? ops[op] : "other");
	return title(service ? CGM_F_BLOCK_SERVICE : CGM_F_BLOCK_LATENCY, labels, buf);
}
