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

/* A cgroup that came and went before it could be looked at. */
struct ghost {
	uint32_t nr_dirs; /* hierarchies in which it was made and not removed yet */
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

void cgm_lifecycle_came(struct cgm_lifecycle *l, const struct cgm_container *c)
{
	uint64_t time_ns = cgm_reader_creation_time_ns(c->reader);

	record(l, CGM_RECORD_CREATION, time_ns ? time_ns : cgm_clock_real_ns(), c->identity->name);
}

void cgm_lifecycle_went(struct cgm_lifecycle *l, const struct cgm_container *c)
{
	size_t i = l->next_grave++ % CGM_NR_BURIED;

	record(l, CGM_RECORD_DELETION, cgm_clock_real_ns(), c->identity->name);
	cgm_identity_unref(l->buried[i].identity);
	l->buried[i].identity = cgm_identity_ref(c->identity);
	for (unsigned k = 0; k < CGM_NR_CONTROLLERS; k++)
		l->buried[i].ids[k] = cgm_reader_id(c->reader, (enum cgm_controller)k);
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

	if (g) {
		g->nr_dirs++;
		return;
	}
	record(l, CGM_RECORD_CREATION, real_time(e->time_ns), e->path);
	g = l->nr_ghosts < MAX_GHOSTS ? cgm_malloc(sizeof(*g) + e->path_len + 1) : NULL;
	if (!g)
		return;
	g->nr_dirs = 1;
	memcpy(g->name, e->path, e->path_len);
	g->name[e->path_len] = '\0';
	if (cgm_hash_put(&l->ghosts, g->name, g) < 0)
		free(g);
	else
		l->nr_ghosts++;
}

static void lay_ghost(struct cgm_lifecycle *l, struct ghost *g, uint64_t time_ns)
{
	record(l, CGM_RECORD_DELETION, time_ns, g->name);
	cgm_hash_del(&l->ghosts, g->name);
	free(g);
	l->nr_ghosts--;
}

void cgm_lifecycle_ghost_went(struct cgm_lifecycle *l, const struct cgm_event *e)
{
	struct ghost *g = cgm_hash_get_n(&l->ghosts, e->path, e->path_len);

	if (g && --g->nr_dirs == 0)
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
