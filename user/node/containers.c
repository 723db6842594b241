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
	cgm_reader_close(c->reader);
	cgm_history_free(c->history);
	cgm_history_free(c->trail);
	cgm_layout_unref(c->layout);
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
	c->identity = cgm_identity_new(name);
	c->history = cgm_history_new(cs->keep_ns);
	if (!c->identity || !c->history)
		return -ENOMEM;
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
	*ret = TAKE_PTR(c);
	return 0;
}

void cgm_containers_drop(struct cgm_containers *cs, struct cgm_container *c)
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
	cgm_hash_del(&cs->by_name, c->identity->name);
	container_free(c);
}

size_t cgm_containers_drop_gone(struct cgm_containers *cs)
{
	size_t kept = 0, nr = cs->nr;

	for (size_t i = 0; i < nr; i++) {
		struct cgm_container *c = cs->sorted[i];

		if (c->gone && !is_root(c)) {
			cgm_hash_del(&cs->by_name, c->identity->name);
			container_free(c);
			cs->unsorted = true;
		} else {
			c->gone = false;
			cs->sorted[kept++] = c;
		}
	}
	cs->nr = kept;
	return nr - kept;
}

void cgm_containers_done(struct cgm_containers *cs)
{
	for (size_t i = 0; i < cs->nr; i++)
		container_free(cs->sorted[i]);
	free(cs->sorted);
	cgm_fold_done(cs);
	cgm_hash_done(&cs->by_name);
}

/* The slot that the kernel side counts it in, if this is the hierarchy of one. */
static void set_slot(struct cgm_containers *cs, struct cgm_container *c, enum cgm_controller controller, uint64_t id, uint64_t parent_id)
{
	if (controller == cs->sched_controller)
		c->sched_slot = cgm_kernel_register(cs->kernel, cs->sched_hierarchy, id, parent_id);
	if (controller == cs->block_controller)
		c->block_slot = cgm_kernel_register(cs->kernel, cs->block_hierarchy, id, parent_id);
}

/* The container of that name; made when it is new, made anew when its directory is another one than before. */
static int find_or_add(struct cgm_containers *cs, const char *name, enum cgm_controller controller, uint64_t id, struct cgm_container **ret)
{
	struct cgm_container *c = cgm_hash_get(&cs->by_name, name);
	uint64_t known = c ? cgm_reader_id(c->reader, controller) : 0;

	if (c && !known && cgm_reader_refresh(c->reader) >= 0)
		known = cgm_reader_id(c->reader, controller);
	if (c && known != id && !is_root(c)) {
		cgm_containers_drop(cs, c);
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
	cgm_containers_drop_gone(cs);
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

	if (r < 0) {
		cs->incomplete |= r != -ENOENT;
		return;
	}
	/* Controllers may share a hierarchy. */
	for (unsigned i = first; i < CGM_NR_CONTROLLERS; i++)
		if (cs->trees->h[i].dir_fd >= 0 && cs->trees->h[i].id == e->hierarchy)
			set_slot(cs, c, (enum cgm_controller)i, e->cgroup_id, e->parent_id);
}

/* A line for each victim of the out-of-memory killer; e->path is its name. */
static void on_oom(const struct cgm_containers *cs, enum cgm_controller controller, const struct cgm_event *e)
{
	const char *name = "a cgroup that is not known";
	uint64_t kb = (uint64_t)sysconf(_SC_PAGESIZE) / 1024, anon = e->anon_pages * kb, file = e->file_pages * kb, shared = e->shmem_pages * kb;

	for (size_t i = 0; i < cs->nr; i++)
		if (cgm_reader_id(cs->sorted[i]->reader, controller) == e->cgroup_id)
			name = cs->sorted[i]->identity->name;
	cgm_warning("out of memory: killed process %u (%s) of %s: %" PRIu64 " kB anonymous, %" PRIu64 " kB of files, %" PRIu64 " kB shared", e->pid,
		    e->path, name, anon, file, shared);
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
	/* On v1 the directories of one container go one after the other; it is gone with the last. */
	if (c && !is_root(c) && cgm_reader_id(c->reader, controller) == e->cgroup_id && cgm_reader_refresh(c->reader) == -ENOENT)
		cgm_containers_drop(cs, c);
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
