// SPDX-License-Identifier: Apache-2.0
#include "model/trail.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

static const char *const names[CGM_NR_TRAIL_NUMBERS] = {
#define CGM_TRAIL_VALUE(id, name, expression) name,
#include "model/trail.def"
};

static const char *const heat_names[CGM_NR_TRAIL_HEATS] = {
#define CGM_TRAIL_HEAT(id, name) name,
#include "model/trail.def"
};

const char *cgm_trail_name(enum cgm_trail_value id)
{
	return names[id];
}

const char *cgm_trail_heat_name(enum cgm_trail_heat id)
{
	return heat_names[id];
}

struct cgm_layout *cgm_trail_layout_new(void)
{
	struct cgm_layout *l = cgm_calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->refs = 1;
	l->nr_values = CGM_NR_TRAIL_VALUES;
	return l;
}

static uint64_t socket_bytes(const struct cgm_live *live, bool sent)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CGM_NR_PROTOS; i++)
		if (i != CGM_PROTO_UNIX)
			sum += sent ? live->net.proto[i].tx_bytes : live->net.proto[i].rx_bytes;
	return sum;
}

static void add_bars(uint64_t *bars, const struct cgm_live_hist *h)
{
	for (unsigned i = 0; i < h->nr; i++)
		bars[cgm_hist_bar(h->first + i)] += h->buckets[i];
}

void cgm_trail_pack(const struct cgm_live *live, uint64_t ret[CGM_NR_TRAIL_VALUES])
{
	uint64_t *heats = ret + CGM_NR_TRAIL_NUMBERS;

#define CGM_TRAIL_VALUE(id, name, expression) ret[CGM_TRAIL_##id] = expression;
#include "model/trail.def"
	memset(heats, 0, CGM_NR_TRAIL_HEATS * CGM_HIST_BARS * sizeof(*heats));
	add_bars(ret + CGM_TRAIL_BARS(CGM_TRAIL_HEAT_RUNQ_DELAY), &live->sched.runq_delay);
	for (size_t i = 0; i < live->nr_blocks; i++)
		add_bars(ret + CGM_TRAIL_BARS(CGM_TRAIL_HEAT_BLOCK_LATENCY), &live->blocks[i].queue_to_done);
	for (size_t i = 0; i < live->nr_waits; i++)
		if (live->waits[i].wait == CGM_W_TCP_RTT)
			add_bars(ret + CGM_TRAIL_BARS(CGM_TRAIL_HEAT_TCP_RTT), &live->waits[i].hist);
}

int cgm_trail_add(struct cgm_history **trail, struct cgm_layout *l, uint64_t keep_ns, uint64_t time_ns, const struct cgm_live *live)
{
	uint64_t values[CGM_NR_TRAIL_VALUES], sum = 0;

	cgm_trail_pack(live, values);
	if (*trail && cgm_history_ends_with(*trail, l, time_ns, values))
		return 0;
	for (size_t i = 0; !*trail && i < CGM_NR_TRAIL_VALUES; i++)
		sum |= values[i];
	if (!*trail && !sum)
		return 0;
	if (!*trail)
		*trail = cgm_history_new(keep_ns);
	return *trail ? cgm_history_add(*trail, l, time_ns, values) : -ENOMEM;
}
