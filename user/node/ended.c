// SPDX-License-Identifier: Apache-2.0
#include "node/ended.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/path.h"
#include "node/containers.h"

struct cgm_last *cgm_last_new(struct cgm_layout *layout, const uint64_t *values, uint64_t time_ns, bool at_end)
{
	struct cgm_last *l = cgm_malloc(sizeof(*l) + layout->nr_values * sizeof(*values));

	if (!l)
		return NULL;
	*l = (struct cgm_last){ .layout = cgm_layout_ref(layout), .values = (uint64_t *)(l + 1), .time_ns = time_ns, .at_end = at_end };
	memcpy(l->values, values, layout->nr_values * sizeof(*values));
	return l;
}

void cgm_last_free(struct cgm_last *l)
{
	if (!l)
		return;
	cgm_layout_unref(l->layout);
	free(l);
}

static void ended_free(struct cgm_ended *e)
{
	if (!e)
		return;
	cgm_identity_unref(e->identity);
	cgm_last_free(e->last);
	cgm_layout_unref(e->layout);
	cgm_kept_unref(e->kept);
	free(e);
}
DEFINE_CLEANUP(cgm_ended, ended_free)

void cgm_ended_done(struct cgm_ended_set *set)
{
	for (size_t i = 0; i < set->nr; i++)
		ended_free(set->v[i]);
	free(set->v);
	cgm_hash_done(&set->by_name);
	*set = (struct cgm_ended_set){ .duration_ns = 0 };
}

static bool is_container_path(const char *path)
{
	struct cgm_path_facts f;

	cgm_path_parse(path, &f);
	return f.kind == CGM_PATH_CONTAINER;
}

/* Is it below one? Of what a runtime alone can tell only those count that are still there. */
static bool is_below_container(const struct cgm_containers *cs, const char *path)
{
	_cleanup_free_ char *up = cgm_strdup(path);
	char *slash;

	while (up && (slash = strrchr(up, '/')) && slash > up) {
		const struct cgm_container *c;

		*slash = '\0';
		c = cgm_hash_get(&cs->by_name, up);
		if ((c && c->identity->who) || is_container_path(up))
			return true;
	}
	return false;
}

bool cgm_ended_wants(const struct cgm_ended_set *set, const struct cgm_container *c)
{
	return set->duration_ns && !c->hidden && c->identity->name[1] && (c->identity->who || is_container_path(c->identity->name));
}

void cgm_ended_hold(const struct cgm_ended_set *set, struct cgm_container *c)
{
	struct cgm_snapshot *s = set->store && c->serial && cgm_ended_wants(set, c) ? cgm_store_get(set->store) : NULL;
	const struct cgm_row *row = s ? cgm_snapshot_find(s, c->identity->name) : NULL;
	struct cgm_last *l;

	/* A tick between the end of the last task and that of the cgroup knows no more than what was read at the former. */
	if (row && row->serial == c->serial && (!c->last || c->last->time_ns < row->time_ns) && !(c->last && c->last->at_end && !c->tasks.nr_processes)) {
		l = cgm_last_new(row->layout, row->values, row->time_ns, false);
		if (l) {
			cgm_last_free(c->last);
			c->last = l;
		}
	}
	cgm_snapshot_unref(s);
}

static void remove_at(struct cgm_containers *cs, size_t i)
{
	struct cgm_ended_set *set = &cs->ended;
	struct cgm_ended *e = set->v[i];

	memmove(set->v + i, set->v + i + 1, (--set->nr - i) * sizeof(struct cgm_ended *));
	if (cgm_hash_get(&set->by_name, e->identity->name) == e)
		cgm_hash_del(&set->by_name, e->identity->name);
	if (e->shown) {
		set->nr_shown--;
		cgm_names_went(cs->names, e->identity->name);
	}
	ended_free(e);
}

void cgm_ended_give_up(struct cgm_containers *cs, size_t i, enum cgm_ended_loss lost)
{
	cs->ended.stats.lost[lost] += cs->ended.v[i]->shown;
	remove_at(cs, i);
}

/* The oldest that is shown gives way. */
static void make_room(struct cgm_containers *cs)
{
	struct cgm_ended_set *set = &cs->ended;
	size_t i = 0;

	if (set->nr_shown < CGM_MAX_ENDED)
		return;
	while (i < set->nr && !set->v[i]->shown)
		i++;
	if (i == set->nr)
		return;
	cgm_log_once(CGM_LOG_WARNING, "more than %u containers ended within --ended_duration: the oldest are not shown for so long; counted in "
		     "cgmeter_ended_left_out_total", CGM_MAX_ENDED);
	cgm_ended_give_up(cs, i, CGM_ENDED_FULL);
}

/* Takes it over, and frees it when it does not fit in: false. */
static bool insert(struct cgm_containers *cs, struct cgm_ended *made)
{
	_cleanup_(cgm_ended_freep) struct cgm_ended *e = made;
	struct cgm_ended_set *set = &cs->ended;

	if (e->shown)
		make_room(cs);
	else if (set->nr - set->nr_shown >= CGM_MAX_ENDED) {
		set->stats.lost[CGM_ENDED_FULL]++;
		return false;
	}
	if (cgm_grow((void **)&set->v, &set->cap, set->nr, sizeof(struct cgm_ended *)) < 0 || cgm_hash_put(&set->by_name, e->identity->name, e) < 0) {
		set->stats.lost[CGM_ENDED_MEMORY]++;
		return false;
	}
	set->nr_shown += e->shown;
	set->v[set->nr++] = TAKE_PTR(e);
	return true;
}

bool cgm_ended_take(struct cgm_containers *cs, struct cgm_container *c)
{
	struct cgm_ended_set *set = &cs->ended;
	bool shown = cgm_ended_wants(set, c);
	struct cgm_ended *e;

	if (!set->duration_ns || !c->identity->name[1])
		return false;
	if (!shown && !is_below_container(cs, c->identity->name)) {
		set->stats.lost[CGM_ENDED_CGROUP]++;
		return false;
	}
	cgm_ended_displace(cs, c->identity->name);
	cgm_ended_hold(set, c);
	e = cgm_calloc(1, sizeof(*e));
	if (!e) {
		set->stats.lost[CGM_ENDED_MEMORY]++;
		return false;
	}
	*e = (struct cgm_ended){
		.identity = cgm_identity_ref(c->identity),
		.spec = c->spec,
		.ended_ns = cgm_clock_mono_ns(),
		.sched_slot = c->sched_slot,
		.block_slot = c->block_slot,
		.sched_id = c->sched_id,
		.block_id = c->block_id,
		.depth = c->depth,
		.serial = c->serial,
		.shown = shown,
	};
	e->last = TAKE_PTR(c->last);
	e->time_ns = e->last && e->last->at_end ? e->last->time_ns : cgm_clock_real_ns();
	if (!e->spec.creation_time_ns)
		e->spec.creation_time_ns = cgm_reader_creation_time_ns(c->reader);
	return insert(cs, e) && shown;
}

/* Is the event's cgroup the one that is kept already? known: its id in that hierarchy. */
static bool is_same(const struct cgm_ended *e, uint64_t known, const struct cgm_event *event)
{
	return known == event->cgroup_id || (!known && !e->done);
}

/* NULL: out of memory, or no room. */
static struct cgm_ended *add_ghost(struct cgm_containers *cs, const char *path)
{
	_cleanup_(cgm_ended_freep) struct cgm_ended *made = cgm_calloc(1, sizeof(*made));
	struct cgm_ended *e = made;

	if (made)
		made->identity = cgm_identity_new_with(path, NULL, &cs->label_rules);
	if (!made || !made->identity) {
		cs->ended.stats.lost[CGM_ENDED_MEMORY]++;
		return NULL;
	}
	cgm_ended_displace(cs, path);
	made->sched_slot = made->block_slot = CGM_SLOT_OVERFLOW;
	made->shown = true;
	made->depth = 1;
	made->ended_ns = cgm_clock_mono_ns();
	made->spec.creation_time_ns = made->time_ns = cgm_clock_real_ns(); /* shorter than it takes to look */
	if (!insert(cs, TAKE_PTR(made)))
		return NULL;
	cgm_names_came(cs->names, path);
	return e;
}

/* On v1 it may be counted in two hierarchies, each with an event of its own; and what was found gone has its events still to come. */
void cgm_ended_ghost(struct cgm_containers *cs, const struct cgm_event *event)
{
	struct cgm_ended_set *set = &cs->ended;
	bool sched = event->hierarchy == cs->sched_hierarchy, block = event->hierarchy == cs->block_hierarchy;
	struct cgm_ended *e = cgm_hash_get(&set->by_name, event->path);

	if (!set->duration_ns || !(sched || block) || (cs->filter.prefixes && !cgm_filter_shows(&cs->filter, event->path)))
		return;
	if (!is_container_path(event->path)) {
		set->stats.lost[CGM_ENDED_CGROUP] += sched;
		return;
	}
	if (event->slot == CGM_SLOT_OVERFLOW) /* nobody counted for it */
		return;
	if (!e || (sched && !is_same(e, e->sched_id, event)) || (block && !is_same(e, e->block_id, event)))
		e = add_ghost(cs, event->path);
	if (!e || e->done)
		return;
	if (sched) {
		e->sched_slot = event->slot;
		e->sched_id = event->cgroup_id;
	}
	if (block) {
		e->block_slot = event->slot;
		e->block_id = event->cgroup_id;
	}
}

void cgm_ended_displace(struct cgm_containers *cs, const char *path)
{
	struct cgm_ended_set *set = &cs->ended;
	struct cgm_ended *e = cgm_hash_get(&set->by_name, path);

	for (size_t i = 0; e && i < set->nr; i++) {
		if (set->v[i] != e)
			continue;
		if (!e->done)
			set->stats.lost[CGM_ENDED_REPLACED] += e->shown;
		remove_at(cs, i);
		return;
	}
}

void cgm_ended_name(struct cgm_containers *cs, const char *path, struct cgm_who *who)
{
	struct cgm_ended *e = cgm_hash_get(&cs->ended.by_name, path);
	struct cgm_identity *named = e ? cgm_identity_new_who(path, who, &cs->label_rules) : NULL;

	if (!e)
		return;
	/* As in on_name(): the key lives in the identity. */
	if (!named || cgm_hash_put(&cs->ended.by_name, named->name, e) < 0) {
		cgm_identity_unref(named);
		cs->ended.stats.lost[CGM_ENDED_MEMORY]++;
		return;
	}
	cgm_identity_unref(e->identity);
	e->identity = named;
}

void cgm_ended_expire(struct cgm_containers *cs, uint64_t now_ns)
{
	struct cgm_ended_set *set = &cs->ended;

	for (size_t i = set->nr; i-- > 0;) {
		const struct cgm_ended *e = set->v[i];
		bool counts = cgm_kernel_slot_is(cs->kernel, e->sched_slot, e->sched_id) || cgm_kernel_slot_is(cs->kernel, e->block_slot, e->block_id);

		if (e->shown ? e->done && now_ns - e->ended_ns > set->duration_ns : !counts)
			remove_at(cs, i);
	}
}
