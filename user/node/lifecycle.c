// SPDX-License-Identifier: Apache-2.0
#include "node/lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "node/containers.h"

#define MAX_GHOSTS 4096
#define MAX_COUNTED 16 /* records of one container and tick that a counter makes */

/*
 * A container that is not in the table, but for the kernel's events still there: it came and went before it could be looked at, or was found gone before
 * the events of its end.
 */
struct ghost {
	size_t nr;
	struct {
		uint32_t hierarchy;
		uint64_t id;
	} dirs[CGM_NR_CONTROLLERS]; /* whose removal is still to come */
	char name[];
};

/* The kernel's events carry CLOCK_MONOTONIC. */
static uint64_t real_time(uint64_t mono_ns)
{
	uint64_t now = cgm_clock_mono_ns();

	return cgm_clock_real_ns() - (now > mono_ns ? now - mono_ns : 0);
}

static void record(struct cgm_lifecycle *l, enum cgm_record_type type, uint64_t time_ns, const char *container)
{
	if (l->events)
		cgm_events_add(l->events, &(struct cgm_happening){ .type = type, .time_ns = time_ns, .container = container, .number = -1 });
}

void cgm_lifecycle_done(struct cgm_lifecycle *l)
{
	struct ghost *g;

	for (size_t pos = 0; (g = cgm_hash_next(&l->ghosts, &pos)) != NULL;)
		free(g);
	cgm_hash_done(&l->ghosts);
	for (size_t i = 0; i < CGM_NR_BURIED; i++)
		cgm_identity_unref(l->buried[i].identity);
	*l = (struct cgm_lifecycle){ .events = NULL };
}

static void lay_ghost(struct cgm_lifecycle *l, struct ghost *g, uint64_t time_ns)
{
	record(l, CGM_RECORD_DELETION, time_ns, g->name);
	cgm_hash_del(&l->ghosts, g->name);
	free(g);
	l->nr_ghosts--;
}

/* NULL: no memory, or too many. */
static struct ghost *add_ghost(struct cgm_lifecycle *l, const char *name)
{
	size_t len = strlen(name) + 1;
	struct ghost *g = l->nr_ghosts < MAX_GHOSTS ? cgm_calloc(1, sizeof(*g) + len) : NULL;

	if (!g)
		return NULL;
	memcpy(g->name, name, len);
	if (cgm_hash_put(&l->ghosts, g->name, g) < 0) {
		free(g);
		return NULL;
	}
	l->nr_ghosts++;
	return g;
}

/* Its place among the ghost's directories, or their number. */
static size_t find_dir(const struct ghost *g, uint32_t hierarchy, uint64_t id)
{
	size_t i = 0;

	while (i < g->nr && !(g->dirs[i].hierarchy == hierarchy && g->dirs[i].id == id))
		i++;
	return i;
}

static void add_dir(struct ghost *g, uint32_t hierarchy, uint64_t id)
{
	if (find_dir(g, hierarchy, id) < g->nr || g->nr == ARRAY_SIZE(g->dirs))
		return;
	g->dirs[g->nr].hierarchy = hierarchy;
	g->dirs[g->nr++].id = id;
}

void cgm_lifecycle_came(struct cgm_lifecycle *l, const struct cgm_container *c)
{
	uint64_t time_ns = cgm_reader_creation_time_ns(c->reader), now = cgm_clock_real_ns();
	struct ghost *before = cgm_hash_get(&l->ghosts, c->identity->name);

	if (before) /* of the same name; the end of the one must not come after the beginning of the other */
		lay_ghost(l, before, time_ns ? MIN(time_ns, now) : now);
	record(l, CGM_RECORD_CREATION, time_ns ? time_ns : now, c->identity->name);
}

static void bury(struct cgm_lifecycle *l, const struct cgm_container *c)
{
	size_t i = l->next_grave++ % CGM_NR_BURIED;

	cgm_identity_unref(l->buried[i].identity);
	l->buried[i].identity = cgm_identity_ref(c->identity);
	for (unsigned k = 0; k < CGM_NR_CONTROLLERS; k++)
		l->buried[i].ids[k] = cgm_reader_id(c->reader, (enum cgm_controller)k);
}

void cgm_lifecycle_went(struct cgm_lifecycle *l, const struct cgm_trees *t, const struct cgm_container *c, bool events_follow)
{
	struct ghost *g = events_follow ? add_ghost(l, c->identity->name) : NULL;

	bury(l, c);
	for (unsigned k = 0; g && k < CGM_NR_CONTROLLERS; k++)
		if (cgm_reader_id(c->reader, (enum cgm_controller)k))
			add_dir(g, t->h[k].id, cgm_reader_id(c->reader, (enum cgm_controller)k));
	if (!g)
		record(l, CGM_RECORD_DELETION, cgm_clock_real_ns(), c->identity->name);
}

const char *cgm_lifecycle_buried(const struct cgm_lifecycle *l, enum cgm_controller c, uint64_t id)
{
	for (size_t i = 0; id && i < CGM_NR_BURIED; i++)
		if (l->buried[i].identity && l->buried[i].ids[c] == id)
			return l->buried[i].identity->name;
	return NULL;
}

void cgm_lifecycle_ghost_came(struct cgm_lifecycle *l, const struct cgm_event *e)
{
	struct ghost *g = cgm_hash_get_n(&l->ghosts, e->path, e->path_len);

	if (!g) {
		record(l, CGM_RECORD_CREATION, real_time(e->time_ns), e->path);
		g = add_ghost(l, e->path);
	}
	if (g)
		add_dir(g, e->hierarchy, e->cgroup_id);
	else
		record(l, CGM_RECORD_DELETION, cgm_clock_real_ns(), e->path);
}

void cgm_lifecycle_ghost_went(struct cgm_lifecycle *l, const struct cgm_event *e)
{
	struct ghost *g = cgm_hash_get_n(&l->ghosts, e->path, e->path_len);
	size_t i = g ? find_dir(g, e->hierarchy, e->cgroup_id) : 0;

	if (!g || i == g->nr)
		return;
	g->dirs[i] = g->dirs[--g->nr];
	if (!g->nr)
		lay_ghost(l, g, real_time(e->time_ns));
}

void cgm_lifecycle_listed(struct cgm_lifecycle *l)
{
	uint64_t now = cgm_clock_real_ns();
	struct ghost *g;

	for (size_t pos = 0; (g = cgm_hash_next(&l->ghosts, &pos)) != NULL;)
		lay_ghost(l, g, now);
}

static void record_oom(struct cgm_lifecycle *l, const struct cgm_happening *kill, const char *limit)
{
	if (!l->events)
		return;
	record(l, CGM_RECORD_OOM, kill->time_ns, limit);
	cgm_events_add(l->events, kill);
}

void cgm_lifecycle_oom(struct cgm_lifecycle *l, const struct cgm_event *e, const char *victim, const char *limit)
{
	struct cgm_happening kill = {
		.type = CGM_RECORD_OOM_KILL,
		.time_ns = real_time(e->time_ns),
		.container = victim,
		.process = e->path,
		.constraint = e->constraint < CGM_OOM_NOT_KNOWN ? (enum cgm_oom_constraint)e->constraint : CGM_OOM_NOT_KNOWN,
		.number = (int32_t)e->pid,
	};

	record_oom(l, &kill, limit);
}

void cgm_lifecycle_oom_counted(struct cgm_lifecycle *l, const char *container, uint64_t nr, uint64_t time_ns)
{
	struct cgm_happening kill = { .type = CGM_RECORD_OOM_KILL, .time_ns = time_ns, .container = container, .constraint = CGM_OOM_NOT_KNOWN };

	for (uint64_t i = 0; i < MIN(nr, MAX_COUNTED); i++)
		record_oom(l, &kill, container);
}
