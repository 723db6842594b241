// SPDX-License-Identifier: Apache-2.0
/* The last sample of a container that ends, and its row. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/agent_state.h"
#include "node/fold.h"
#include "node/publish.h"

static bool is_on(const struct cgm_agent *a, enum cgm_group g)
{
	return !(a->o->groups_off >> g & 1);
}

/* As at a tick; switched off at run time the kernel side keeps its counts. */
static bool files_have_disks(const struct cgm_agent *a)
{
	return is_on(a, CGM_G_DISKIO) && !cgm_kernel_hooked(a->kernel, "block_rq_complete");
}

/* ---- the last look at its files ---- */

/* On which CPU the rest of the total was nobody knows; the sum over all is right. */
static void spread(struct cgm_sample *s)
{
	uint64_t total = s->v[CGM_V_CPU_USAGE_TOTAL], sum = 0;
	size_t busiest = 0;

	for (size_t i = 0; i < s->nr_cpus; i++) {
		busiest = s->cpu_ns[i] > s->cpu_ns[busiest] ? i : busiest;
		sum += s->cpu_ns[i];
	}
	if (s->nr_cpus && total > sum)
		s->cpu_ns[busiest] += total - sum;
}

/* On v2 the files do not know on which CPU it ran. The last tick's walk did, and what came since is little. */
static int add_cpus(struct cgm_agent *a, const struct cgm_container *c, struct cgm_sample *s)
{
	struct cgm_snapshot *last = s->nr_cpus || !is_on(a, CGM_G_PERCPU) || !c->serial ? NULL : cgm_store_get(a->store);
	const struct cgm_row *row = last ? cgm_snapshot_find(last, c->identity->name) : NULL;
	const struct cgm_layout *l = row && row->serial == c->serial ? row->layout : NULL;
	size_t nr = 0, done = 0;
	int r = 0;

	for (uint32_t i = 0; l && i < l->nr_blocks; i++)
		nr += l->blocks[i].kind == CGM_LAYOUT_CPU ? l->blocks[i].nr : 0;
	if (nr)
		r = cgm_sample_cpus(s, nr);
	for (uint32_t i = 0; r == 0 && l && i < l->nr_blocks; i++)
		for (uint32_t n = 0; l->blocks[i].kind == CGM_LAYOUT_CPU && n < l->blocks[i].nr; n++)
			s->cpu_ns[done++] = row->values[l->blocks[i].first + n];
	cgm_snapshot_unref(last);
	spread(s);
	return r;
}

static int read_last(struct cgm_agent *a, struct cgm_container *c)
{
	struct cgm_sample *s = &a->sample;
	int r;

	cgm_sample_reset(s);
	s->time_ns = cgm_clock_real_ns();
	cgm_reader_expire(c->reader);
	r = cgm_reader_sample(c->reader, files_have_disks(a), s);
	if (r == 0 && !c->spec_read_ns)
		r = cgm_reader_spec(c->reader, &c->spec);
	if (r < 0)
		return r;
	if (!is_on(a, CGM_G_PERCPU))
		s->nr_cpus = 0;
	r = add_cpus(a, c, s);
	/* The interfaces of a namespace that is known; nobody is left through whom to look for one. */
	if (r == 0 && a->netns)
		r = cgm_netns_sample_last(a->netns, &c->netns, s);
	if (r == 0 && c->details)
		r = cgm_worker_merge(c->worker, c->details, s);
	return r;
}

void cgm_ended_empty(struct cgm_agent *a, const struct cgm_event *e)
{
	struct cgm_containers *cs = &a->containers;
	struct cgm_ended_set *set = &cs->ended;
	struct cgm_container *c = e->path_len < CGM_EVENT_PATH ? cgm_hash_get(&cs->by_name, e->path) : NULL;
	struct cgm_last *last = NULL;
	int r;

	if (!c || !cgm_ended_wants(set, c) || c->sched_id != e->cgroup_id)
		return;
	if (c->last) /* it was empty before, and lived on */
		c->last->at_end = false;
	if (set->nr_samples >= CGM_MAX_END_SAMPLES) {
		set->stats.lost[CGM_ENDED_BUSY]++;
		return;
	}
	set->nr_samples++;
	r = read_last(a, c);
	if (r == 0)
		r = cgm_publish_last(a, c->layout, &a->sample, &last);
	if (r == -ENOENT || r == -ENODEV) /* the runtime was faster: counted when it goes */
		return;
	if (r < 0) {
		set->stats.lost[CGM_ENDED_MEMORY]++;
		return;
	}
	a->self.nr_samples++;
	cgm_last_free(c->last);
	c->last = last;
}

/* ---- what the kernel side counted to the end ---- */

/*
 * The kernel side misses nothing of what it saw the beginning of, and counts a stay on a CPU when that ends: files that were read before the end say
 * less, and when it has less it did not see all.
 */
static void set_cpu_time(const struct cgm_ended *e, const struct cgm_live *live, struct cgm_sample *s)
{
	uint64_t known = s->v[CGM_V_CPU_USAGE_TOTAL], counted = live->sched.on_cpu.sum_ns;

	if ((e->last && e->last->at_end) || counted <= known)
		return;
	cgm_sample_set(s, CGM_V_CPU_USAGE_TOTAL, counted);
	spread(s);
}

static int finish(struct cgm_agent *a, struct cgm_ended *e, const struct cgm_sums *sums, struct cgm_snapshot *snap)
{
	struct cgm_live *live = a->self.has_kernel_side ? cgm_sums_pack(sums, snap) : NULL;
	struct cgm_sample *s = &a->sample;
	int r = 0;

	if (a->self.has_kernel_side && !live)
		return -ENOMEM;
	cgm_sample_reset(s);
	s->time_ns = e->time_ns;
	if (e->last)
		r = cgm_layout_unpack(e->last->layout, e->last->values, files_have_disks(a), s);
	if (r == 0 && live) {
		if (cgm_kernel_loaded(a->kernel, "sched"))
			set_cpu_time(e, live, s);
		r = cgm_fold_live(a->kernel, live, s);
	}
	if (r == 0)
		r = cgm_publish_kept(a, e->last ? e->last->layout : NULL, s, live, &e->layout, &e->kept);
	if (r < 0)
		return r;
	a->containers.ended.stats.nr[!e->last ? CGM_ENDED_FILES_NONE : e->last->at_end ? CGM_ENDED_FILES_END : CGM_ENDED_FILES_TICK]++;
	cgm_last_free(e->last);
	e->last = NULL;
	e->done = true;
	e->seq = snap->seq;
	if (!e->serial)
		e->serial = ++a->last_serial;
	return 0;
}

/* The nearest above it that still waits for its counts. */
static struct cgm_ended *heir_of(const struct cgm_ended_set *set, const char *name)
{
	size_t len = strlen(name);

	while (len > 1) {
		struct cgm_ended *e;

		while (len && name[len - 1] != '/')
			len--;
		if (len <= 1)
			break;
		len--;
		e = cgm_hash_get_n(&set->by_name, name, len);
		if (e && !e->done)
			return e;
	}
	return NULL;
}

/* False: out of memory. */
static bool sum_up(struct cgm_agent *a, struct cgm_ended *e, struct cgm_snapshot *snap)
{
	struct cgm_containers *cs = &a->containers;
	bool rows = cgm_kernel_slot_is(a->kernel, e->sched_slot, e->sched_id), blocks = cgm_kernel_slot_is(a->kernel, e->block_slot, e->block_id);
	struct cgm_ended *heir = heir_of(&cs->ended, e->identity->name);
	struct cgm_sums *sums = e->sums ? TAKE_PTR(e->sums) : cgm_sums_get(cs);
	bool ok = sums != NULL;

	if (!ok)
		return false;
	cgm_sums_add_slot(sums, a->kernel, rows ? e->sched_slot : CGM_SLOT_OVERFLOW, blocks ? e->block_slot : CGM_SLOT_OVERFLOW);
	if (!e->done && e->shown)
		ok = finish(a, e, sums, snap) == 0;
	if (heir && !heir->sums)
		heir->sums = cgm_sums_get(cs);
	if (heir && heir->sums)
		cgm_sums_add(heir->sums, sums, true, true);
	cgm_sums_put(cs, sums);
	return ok;
}

static int longest_first(const void *x, const void *y)
{
	size_t a = strlen((*(struct cgm_ended *const *)x)->identity->name), b = strlen((*(struct cgm_ended *const *)y)->identity->name);

	return (a < b) - (a > b);
}

/*
 * Those that ended since the last tick, and what is below them: also what ended at the tick before, whose counts are on their way to an heir
 * further up by now.
 */
static void finish_all(struct cgm_agent *a, struct cgm_snapshot *snap)
{
	struct cgm_ended_set *set = &a->containers.ended;
	_cleanup_free_ struct cgm_ended **todo = NULL;
	size_t nr = 0, nr_open = 0;

	for (size_t i = 0; i < set->nr; i++)
		nr_open += set->v[i]->shown && !set->v[i]->done;
	todo = nr_open ? cgm_malloc(set->nr * sizeof(struct cgm_ended *)) : NULL;
	if (!todo)
		return; /* out of memory: at the next tick their slots may be another's, and then only files tell of them */
	for (size_t i = 0; i < set->nr; i++) {
		struct cgm_ended *e = set->v[i];

		if (!e->done || cgm_kernel_slot_is(a->kernel, e->sched_slot, e->sched_id) || cgm_kernel_slot_is(a->kernel, e->block_slot, e->block_id))
			todo[nr++] = e;
	}
	qsort(todo, nr, sizeof(struct cgm_ended *), longest_first);
	for (size_t i = 0; i < nr; i++)
		if (!sum_up(a, todo[i], snap))
			cgm_log_once(CGM_LOG_WARNING, "out of memory: last counts of a container that has ended are lost");
	for (size_t i = set->nr; i-- > 0;)
		if (set->v[i]->shown && !set->v[i]->done)
			cgm_ended_give_up(&a->containers, i, CGM_ENDED_MEMORY);
}

static void add_row(struct cgm_snapshot *snap, const struct cgm_ended *e)
{
	snap->rows[snap->nr_rows + snap->nr_ended++] = (struct cgm_row){
		.identity = cgm_identity_ref(e->identity),
		.spec = e->spec,
		.layout = cgm_layout_ref(e->layout),
		.time_ns = e->time_ns,
		.values = e->kept->values,
		.live = e->kept->live,
		.serial = e->serial,
		.born_seq = e->seq,
		.changed_seq = e->seq,
		.depth = e->depth,
		.kept = cgm_kept_ref(e->kept),
	};
}

/* Runtimes tell it when the cgroup is gone already, and the event of that stands. */
static void tell_exit(struct cgm_containers *cs, struct cgm_ended *e)
{
	const struct cgm_who *who = e->identity->who;

	if (!e->exit_told && who && who->has_exit_code && cs->lifecycle.events)
		e->exit_told = cgm_events_set_exit_code(cs->lifecycle.events, e->identity->name, who->exit_code);
}

void cgm_ended_tick(struct cgm_agent *a, struct cgm_snapshot *snap, uint64_t now_ns)
{
	struct cgm_ended_set *set = &a->containers.ended;

	set->nr_samples = 0;
	set->stats.bytes = 0;
	cgm_ended_expire(&a->containers, now_ns);
	finish_all(a, snap);
	for (size_t i = 0; i < set->nr; i++) {
		if (!set->v[i]->shown)
			continue;
		tell_exit(&a->containers, set->v[i]);
		add_row(snap, set->v[i]);
		set->stats.bytes += set->v[i]->kept->bytes;
	}
	set->stats.nr_shown = set->nr_shown;
	a->self.ended = set->stats;
}
