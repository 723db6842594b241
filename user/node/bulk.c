// SPDX-License-Identifier: Apache-2.0
#include "node/bulk.h"

#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"

#define FOR(group) (1ULL << CGM_G_##group)
#define LEARN_FIRST 24 /* cgroups at the first tick */
#define LEARN_PAUSE 6  /* at most 2^6 ticks between two tries */
#define LEARN_EACH 2   /* and at each later one at which some are unsure */

/* The controller in whose hierarchy a kind is found. */
static enum cgm_controller controller_of(const struct cgm_trees *t, enum cgm_stat_kind kind)
{
	static const enum cgm_controller v1[CGM_NR_STAT_KINDS] = {
		[CGM_STAT_CFS] = CGM_CTRL_CPU,
		[CGM_STAT_TIME] = CGM_CTRL_CPUACCT,
		[CGM_STAT_CPUS] = CGM_CTRL_CPUACCT,
		[CGM_STAT_MEMORY] = CGM_CTRL_MEMORY,
		[CGM_STAT_PIDS] = CGM_CTRL_PIDS,
		[CGM_STAT_PSI] = CGM_CTRL_UNIFIED,
	};

	return t->h[v1[kind]].dir_fd >= 0 ? v1[kind] : CGM_CTRL_UNIFIED;
}

static enum cgm_stat_tree tree_of(enum cgm_controller c)
{
	switch (c) {
	case CGM_CTRL_CPU:
		return CGM_TREE_CPU;
	case CGM_CTRL_CPUACCT:
		return CGM_TREE_CPUACCT;
	case CGM_CTRL_MEMORY:
		return CGM_TREE_MEMORY;
	case CGM_CTRL_PIDS:
		return CGM_TREE_PIDS;
	default:
		return CGM_TREE_UNIFIED;
	}
}

/* Is a kind wanted by any group of metrics that is on? */
static bool is_wanted(enum cgm_stat_kind kind, uint64_t groups_off)
{
	static const uint64_t groups[CGM_NR_STAT_KINDS] = {
		[CGM_STAT_CFS] = FOR(CPU),
		[CGM_STAT_TIME] = FOR(CPU),
		[CGM_STAT_MEMORY] = FOR(MEMORY) | FOR(OOM_EVENT),
		[CGM_STAT_PIDS] = FOR(PROCESSES) | FOR(TASK),
		[CGM_STAT_PSI] = FOR(PRESSURE),
	};

	return groups[kind] & ~groups_off;
}

void cgm_bulk_setup(const struct cgm_trees *t, uint64_t groups_off, struct cgm_stat_setup *ret)
{
	enum cgm_controller memory = controller_of(t, CGM_STAT_MEMORY);
	uint32_t hierarchy[CGM_STAT_MAX_WALKS];
	unsigned nr = 0;

	*ret = (struct cgm_stat_setup){
		.time_v2 = controller_of(t, CGM_STAT_TIME) == CGM_CTRL_UNIFIED,
		.memory_v2 = memory == CGM_CTRL_UNIFIED,
		.unified_fd = MAX(t->h[CGM_CTRL_UNIFIED].dir_fd, 0),
		.memory_fd = t->h[memory].dir_fd < 0 ? -1 : openat(t->h[memory].dir_fd, "memory.stat", O_RDONLY | O_CLOEXEC),
		.nr_cpus = t->nr_cpus,
	};
	for (unsigned kind = 0; kind < CGM_NR_STAT_KINDS; kind++) {
		enum cgm_controller c = controller_of(t, kind);
		unsigned i = 0;

		if (t->h[c].dir_fd < 0 || !is_wanted(kind, groups_off))
			continue;
		/* Controllers may share a hierarchy, and a walk. */
		while (i < nr && hierarchy[i] != t->h[c].id)
			i++;
		if (i == nr) {
			hierarchy[nr] = t->h[c].id;
			ret->walk[nr++].tree = tree_of(c);
		}
		ret->walk[i].kinds |= 1U << kind;
	}
}

void cgm_bulk_ids(const struct cgm_trees *t, const struct cgm_reader *r, struct cgm_stat_ref *ref)
{
	for (unsigned kind = 0; kind < CGM_NR_STAT_KINDS; kind++)
		ref->id[kind] = cgm_reader_id(r, controller_of(t, kind));
}

void cgm_bulk_read(const struct cgm_containers *cs, struct cgm_container *c, struct cgm_bulk *ret)
{
	ret->groups = 0;
	ret->nr_cpus = 0;
	ret->settings = 0;
	ret->unsure = false;
	/* The files of the roots have meanings of their own. */
	if (!c->depth)
		return;
	cgm_bulk_ids(cs->trees, c->reader, &c->stat);
	cgm_kernel_stat(cs->kernel, &c->stat, ret);
	c->unsure = ret->unsure;
	c->memory_usage = ret->groups >> CGM_BULK_MEMORY_USAGE & 1 ? ret->v[CGM_V_MEMORY_USAGE] : 0;
}

struct read_arg {
	struct cgm_reader *reader;
	char buf[16384];
};

static int read_memory_stat(void *arg, struct cgm_str *ret)
{
	struct read_arg *a = arg;

	return cgm_reader_memory_stat(a->reader, a->buf, sizeof(a->buf), ret);
}

/* Whoever has the most to tell: of those that were asked least often the one with the most memory. Replicas of one another tell the same.
 */
static struct cgm_container *choose(const struct cgm_containers *cs)
{
	struct cgm_container *best = NULL;

	for (size_t i = 0; i < cs->nr; i++) {
		struct cgm_container *c = cs->sorted[i];

		if (!c->memory_usage || c->gone)
			continue;
		if (!best || c->nr_learned < best->nr_learned ||
			(c->nr_learned == best->nr_learned && c->memory_usage > best->memory_usage))
			best = c;
	}
	return best;
}

static size_t nr_unsure(const struct cgm_containers *cs)
{
	size_t nr = 0;

	for (size_t i = 0; i < cs->nr; i++)
		nr += cs->sorted[i]->unsure && !cs->sorted[i]->gone;
	return nr;
}

void cgm_bulk_learn(struct cgm_containers *cs, uint64_t seq)
{
	size_t todo = seq <= 1 ? LEARN_FIRST : LEARN_EACH;
	bool news = false;

	if (seq < cs->learn_at || !nr_unsure(cs))
		return;
	for (; todo; todo--) {
		struct cgm_container *c = choose(cs);
		struct read_arg a;
		int r;

		if (!c)
			break;
		a.reader = c->reader;
		c->nr_learned++;
		r = cgm_kernel_stat_learn(cs->kernel, &c->stat, read_memory_stat, &a);
		if (r == -ENOTSUP)
			return;
		news |= r > 0;
	}
	/* A line may be zero everywhere for a day: then there is nothing to be learned of it. */
	cs->nr_vain = news ? 0 : (uint8_t)MIN(cs->nr_vain + 1, LEARN_PAUSE);
	cs->learn_at = seq + (1ULL << cs->nr_vain);
}
