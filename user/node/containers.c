// SPDX-License-Identifier: Apache-2.0
#include "node/containers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/fold.h"

static void container_free(struct cgm_container *c)
{
	if (!c)
		return;
	cgm_netns_leave(&c->netns);
	cgm_worker_drop(c->worker, c->details);
	cgm_apps_drop(c->apps, c->app);
	cgm_place_set_free(c->places);
	cgm_reader_close(c->reader);
	cgm_history_free(c->history);
	cgm_summary_unref(c->summary);
	cgm_history_free(c->trail);
	cgm_layout_unref(c->layout);
	cgm_last_free(c->last);
	cgm_identity_unref(c->identity);
	free(c);
}
DEFINE_CLEANUP(cgm_container, container_free)

static bool is_root(const struct cgm_container *c)
{
	return c->identity->name[1] == '\0';
}

static int container_new(struct cgm_containers *cs, const char *name, struct cgm_container **ret)
{
	_cleanup_(cgm_container_freep) struct cgm_container *c = cgm_calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	r = cgm_reader_open(cs->trees, name, &c->reader);
	if (r < 0)
		return r;
	c->hidden = cs->filter.prefixes && !cgm_filter_shows(&cs->filter, name);
	c->identity = cgm_identity_new_with(name, NULL, &cs->label_rules);
	c->history = c->hidden ? NULL : cgm_history_new(cs->keep_ns);
	c->summary = c->hidden ? NULL : cgm_summary_new(cgm_hash_bytes(name, strlen(name)));
	if (!c->identity || ((!c->history || !c->summary) && !c->hidden))
		return -ENOMEM;
	c->worker = cs->worker;
	c->details = cs->worker && cgm_details_wanted(&cs->details) ? cgm_details_job_new(&cs->details, name) : NULL;
	if (c->details)
		cgm_worker_add(cs->worker, c->details);
	*ret = TAKE_PTR(c);
	return 0;
}

static int add(struct cgm_containers *cs, const char *name, struct cgm_container **ret)
{
	_cleanup_(cgm_container_freep) struct cgm_container *c = NULL;
	int r = container_new(cs, name, &c);

	if (r < 0)
		return r;
	r = cgm_grow((void **)&cs->sorted, &cs->cap, cs->nr, sizeof(struct cgm_container *));
	if (r < 0)
		return r;
	r = cgm_hash_put(&cs->by_name, c->identity->name, c);
	if (r < 0)
		return r;
	cs->sorted[cs->nr++] = c;
	cs->unsorted = true;
	cgm_lifecycle_came(&cs->lifecycle, c);
	cgm_ended_displace(cs, name);
	cgm_names_came(cs->names, name);
	*ret = TAKE_PTR(c);
	return 0;
}

static void leave(struct cgm_containers *cs, struct cgm_container *c, bool events_follow)
{
	cgm_hash_del(&cs->by_name, c->identity->name);
	cgm_lifecycle_went(&cs->lifecycle, cs->trees, c, events_follow);
	if (!cgm_ended_take(cs, c))
		cgm_names_went(cs->names, c->identity->name);
	container_free(c);
}

/* Its children must be gone already, or go with the same sweep. */
static void drop(struct cgm_containers *cs, struct cgm_container *c, bool events_follow)
{
	size_t i = c->index;

	/* The index is right only while the array is in order. */
	if (i >= cs->nr || cs->sorted[i] != c)
		for (i = 0; i < cs->nr && cs->sorted[i] != c; i++)
			;
	if (i < cs->nr) {
		cs->sorted[i] = cs->sorted[--cs->nr];
		cs->unsorted = true;
	}
	leave(cs, c, events_follow);
}

size_t cgm_containers_drop_gone(struct cgm_containers *cs, bool events_follow)
{
	size_t kept = 0, nr = cs->nr;

	for (size_t i = 0; i < nr; i++) {
		struct cgm_container *c = cs->sorted[i];

		if (c->gone && !is_root(c)) {
			leave(cs, c, events_follow);
			cs->unsorted = true;
		} else {
			c->gone = false;
			cs->sorted[kept++] = c;
		}
	}
	cs->nr = kept;
	return nr - kept;
}

/* Its application is asked anew when the container runs anew. */
static void set_app(struct cgm_containers *cs, struct cgm_container *c, const struct cgm_who *who)
{
	const struct cgm_who *was = c->identity->who;

	if (c->app && was && was->pid == who->pid)
		return;
	cgm_apps_drop(c->apps, c->app);
	c->apps = cs->apps;
	c->app = cs->apps && cgm_apps_wanted(who) ? cgm_apps_add(cs->apps, who) : NULL;
}

static void on_name(void *arg, const char *path, struct cgm_who *who)
{
	struct cgm_containers *cs = arg;
	struct cgm_container *c = cgm_hash_get(&cs->by_name, path);
	struct cgm_identity *named = c ? cgm_identity_new_who(path, who, &cs->label_rules) : NULL;

	if (!c) {
		cgm_ended_name(cs, path, who);
		return;
	}
	/* The key of the table lives in the identity; for one that is there put() needs no memory. */
	if (!named || cgm_hash_put(&cs->by_name, named->name, c) < 0) {
		cgm_identity_unref(named);
		cgm_log_once(CGM_LOG_WARNING, "out of memory: %s is shown without the name that its runtime gave it", path);
		return;
	}
	named->looked_ns = __atomic_load_n(&c->identity->looked_ns, __ATOMIC_RELAXED);
	if (named->who)
		set_app(cs, c, named->who);
	cgm_identity_unref(c->identity);
	c->identity = named;
	c->renamed = true;
}

void cgm_containers_take_names(struct cgm_containers *cs)
{
	cgm_names_take(cs->names, on_name, cs);
}

void cgm_containers_done(struct cgm_containers *cs)
{
	for (size_t i = 0; i < cs->nr; i++)
		container_free(cs->sorted[i]);
	free(cs->sorted);
	cgm_fold_done(cs);
	cgm_hash_done(&cs->by_name);
	cgm_lifecycle_done(&cs->lifecycle);
	cgm_ended_done(&cs->ended);
}

/* The slot that the kernel side counts it in, if this is the hierarchy of one. */
static void set_slot(struct cgm_containers *cs, struct cgm_container *c, enum cgm_controller controller, uint64_t id, uint64_t parent_id)
{
	if (controller == cs->sched_controller) {
		c->sched_slot = cgm_kernel_register(cs->kernel, cs->sched_hierarchy, id, parent_id);
		c->sched_id = id;
	}
	if (controller == cs->block_controller) {
		c->block_slot = cgm_kernel_register(cs->kernel, cs->block_hierarchy, id, parent_id);
		c->block_id = id;
	}
}

/* On v1 one directory may be gone before anybody looks, and others not. The kernel side has counted for it all the same. */
static void take_slot(const struct cgm_containers *cs, struct cgm_container *c, const struct cgm_event *e)
{
	if (e->slot == CGM_SLOT_OVERFLOW)
		return;
	if (e->hierarchy == cs->sched_hierarchy && c->sched_slot == CGM_SLOT_OVERFLOW) {
		c->sched_slot = e->slot;
		c->sched_id = e->cgroup_id;
	}
	if (e->hierarchy == cs->block_hierarchy && c->block_slot == CGM_SLOT_OVERFLOW) {
		c->block_slot = e->slot;
		c->block_id = e->cgroup_id;
	}
}

/* The container of that name; made when it is new, made anew when its directory is another one than before. */
static int find_or_add(struct cgm_containers *cs, const char *name, enum cgm_controller controller, uint64_t id, struct cgm_container **ret)
{
	struct cgm_container *c = cgm_hash_get(&cs->by_name, name);
	uint64_t known = c ? cgm_reader_id(c->reader, controller) : 0;

	if (c && !known && !is_root(c)) {
		/* A directory that it had not before. When this one is gone already, and others are not, it is still the same container. */
		if (cgm_reader_refresh(c->reader) == -ENOENT) {
			drop(cs, c, cgm_kernel_has(cs->kernel, "cgroup"));
			return -ENOENT;
		}
		known = cgm_reader_id(c->reader, controller);
	}
	if (c && known && known != id && !is_root(c)) {
		drop(cs, c, false);
		c = NULL;
	}
	*ret = c;
	return c ? 0 : add(cs, name, ret);
}

static int on_visit(void *arg, enum cgm_controller controller, const char *path, uint64_t id, uint64_t parent_id)
{
	struct cgm_containers *cs = arg;
	struct cgm_container *c;
	int r = find_or_add(cs, path, controller, id, &c);

	if (r == -ENOMEM)
		return r;
	if (r < 0) /* gone again */
		return 0;
	c->listed = cs->listing;
	set_slot(cs, c, controller, id, parent_id);
	return 0;
}

int cgm_containers_list(struct cgm_containers *cs)
{
	int r;

	cs->listing++;
	cs->incomplete = false;
	cgm_kernel_list_begin(cs->kernel);
	r = cgm_trees_walk(cs->trees, on_visit, cs);
	if (r < 0) {
		cgm_warning("cannot list the cgroup trees: %s", strerror(-r));
		cs->incomplete = true;
		return r;
	}
	cgm_kernel_list_end(cs->kernel);
	for (size_t i = 0; i < cs->nr; i++)
		cs->sorted[i]->gone = cs->sorted[i]->listed != cs->listing;
	cgm_containers_drop_gone(cs, false);
	cgm_lifecycle_listed(&cs->lifecycle);
	return 0;
}

/* The controller whose hierarchy has that number; CGM_NR_CONTROLLERS: none that we read. */
static enum cgm_controller controller_of(const struct cgm_containers *cs, uint32_t hierarchy)
{
	for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
		if (cs->trees->h[i].dir_fd >= 0 && cs->trees->h[i].id == hierarchy)
			return (enum cgm_controller)i;
	return CGM_NR_CONTROLLERS;
}

static void on_mkdir(struct cgm_containers *cs, enum cgm_controller first, const struct cgm_event *e)
{
	struct cgm_container *c;
	int r = find_or_add(cs, e->path, first, e->cgroup_id, &c);

	if (r == -ENOENT)
		cgm_lifecycle_ghost_came(&cs->lifecycle, e);
	if (r < 0) {
		cs->incomplete |= r != -ENOENT;
		return;
	}
	/* Controllers may share a hierarchy. */
	for (unsigned i = first; i < CGM_NR_CONTROLLERS; i++)
		if (cs->trees->h[i].dir_fd >= 0 && cs->trees->h[i].id == e->hierarchy && cgm_reader_id(c->reader, (enum cgm_controller)i) == e->cgroup_id)
			set_slot(cs, c, (enum cgm_controller)i, e->cgroup_id, e->parent_id);
	take_slot(cs, c, e);
}

/* Also of a container that was dropped of late. NULL: not known. */
static const char *name_of(const struct cgm_containers *cs, enum cgm_controller controller, uint64_t id)
{
	for (size_t i = 0; i < cs->nr; i++)
		if (cgm_reader_id(cs->sorted[i]->reader, controller) == id)
			return cs->sorted[i]->identity->name;
	return cgm_lifecycle_buried(&cs->lifecycle, controller, id);
}

/* A line for each victim of the out-of-memory killer; e->path is its name. What no container is known of happened to the machine. */
static void on_oom(struct cgm_containers *cs, enum cgm_controller controller, const struct cgm_event *e)
{
	const char *name = name_of(cs, controller, e->cgroup_id), *limit = e->limit_id ? name_of(cs, controller, e->limit_id) : "/";
	uint64_t kb = (uint64_t)sysconf(_SC_PAGESIZE) / 1024, anon = e->anon_pages * kb, file = e->file_pages * kb, shared = e->shmem_pages * kb;

	cgm_warning("out of memory (%s): killed process %u (%s) of %s: %" PRIu64 " kB anonymous, %" PRIu64 " kB of files, %" PRIu64 " kB shared",
		    limit ? limit : "a cgroup that is not known", e->pid, e->path, name ? name : "a cgroup that is not known", anon, file, shared);
	cgm_lifecycle_oom(&cs->lifecycle, e, name ? name : "/", limit ? limit : "/");
}

/*
 * On v1 the counter is the cgroup's own, and on v2 there is one beside it. Before 5.2 (1e577f970f66) v2 has only that of the whole subtree: what a
 * child counted is then taken from its parent, from the end, where children stand.
 */
void cgm_containers_count_ooms(struct cgm_containers *cs, const struct cgm_snapshot *snap)
{
	bool v1 = cs->trees->h[CGM_CTRL_MEMORY].dir_fd >= 0;
	size_t i = cs->nr;

	for (size_t n = 0; n < cs->nr; n++)
		cs->sorted[n]->new_oom_kills = 0;
	for (size_t row = snap->nr_rows; row-- > 0;) {
		const struct cgm_row *r = &snap->rows[row];
		bool has_own = cgm_layout_has(r->layout, CGM_V_OOM_KILLS_OWN);
		enum cgm_value value = has_own ? CGM_V_OOM_KILLS_OWN : CGM_V_OOM_EVENTS;
		uint64_t now = r->values[value], nr;
		struct cgm_container *c;

		while (i && cs->sorted[i - 1]->identity != r->identity)
			i--;
		if (!i || !cgm_layout_has(r->layout, value))
			continue;
		c = cs->sorted[i - 1];
		nr = c->knows_oom_kills && now > c->nr_oom_kills ? now - c->nr_oom_kills : 0;
		c->nr_oom_kills = now;
		c->knows_oom_kills = true;
		if (!v1 && !has_own && c->parent)
			c->parent->new_oom_kills += nr;
		if (nr > c->new_oom_kills)
			cgm_lifecycle_oom_counted(&cs->lifecycle, r->identity->name, nr - c->new_oom_kills, r->time_ns);
	}
}

void cgm_containers_event(void *arg, const struct cgm_event *e)
{
	struct cgm_containers *cs = arg;
	enum cgm_controller controller = controller_of(cs, e->hierarchy);
	struct cgm_container *c;

	if (controller == CGM_NR_CONTROLLERS)
		return;
	if (e->type == CGM_EVENT_OOM) {
		on_oom(cs, controller, e);
		return;
	}
	if (e->path_len >= CGM_EVENT_PATH) { /* the path did not fit */
		cs->incomplete = true;
		return;
	}
	if (e->type == CGM_EVENT_MKDIR) {
		on_mkdir(cs, controller, e);
		return;
	}
	c = cgm_hash_get(&cs->by_name, e->path);
	if (!c) {
		cgm_lifecycle_ghost_went(&cs->lifecycle, e);
		cgm_ended_ghost(cs, e);
	}
	/* On v1 the directories of one container go one after the other; it is gone with the last. */
	if (c && !is_root(c) && cgm_reader_id(c->reader, controller) == e->cgroup_id && cgm_reader_refresh(c->reader) == -ENOENT)
		drop(cs, c, false);
}

static int by_name(const void *a, const void *b)
{
	const struct cgm_container *const *x = a, *const *y = b;

	return strcmp((*x)->identity->name, (*y)->identity->name);
}

/* The nearest ancestor that is there; the root for the rest. */
static struct cgm_container *find_parent(const struct cgm_containers *cs, const char *name)
{
	size_t len = strlen(name);

	while (len > 1) {
		struct cgm_container *c;

		while (len && name[len - 1] != '/')
			len--;
		if (len <= 1)
			break;
		len--;
		c = cgm_hash_get_n(&cs->by_name, name, len);
		if (c)
			return c;
	}
	return cgm_hash_get(&cs->by_name, "/");
}

void cgm_containers_sort(struct cgm_containers *cs)
{
	if (!cs->unsorted)
		return;
	qsort(cs->sorted, cs->nr, sizeof(struct cgm_container *), by_name);
	for (size_t i = 0; i < cs->nr; i++) {
		struct cgm_container *c = cs->sorted[i];

		c->index = (uint32_t)i;
		c->parent = is_root(c) ? NULL : find_parent(cs, c->identity->name);
		c->depth = c->parent ? c->parent->depth + 1 : 0;
	}
	cs->unsorted = false;
}
