// SPDX-License-Identifier: Apache-2.0
/* Attaching and detaching programs: all of them at the start, a group of them at run time; and the table of what runs. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "kernel/internal.h"

static bool in_group(size_t i, const char *group)
{
	return strcmp(cgm_program_defs[i].group, group) == 0;
}

static struct bpf_program *program_of(const struct cgm_kernel *k, size_t i)
{
	return bpf_object__find_program_by_name(k->skel->obj, cgm_program_defs[i].name);
}

static void clear_hash(struct bpf_map *map)
{
	uint64_t key[4]; /* the longest key of a map that is cleared has 16 bytes */

	while (bpf_map_get_next_key(bpf_map__fd(map), NULL, key) == 0)
		if (bpf_map_delete_elem(bpf_map__fd(map), key) < 0)
			break;
}

static void clear_array(struct bpf_map *map)
{
	void *p = cgm_map_array(map);

	if (p)
		memset(p, 0, cgm_array_bytes(map));
	cgm_unmap_array(map, p);
}

/* What was remembered of threads while nobody watched is stale: a pid may be another thread's by now, or in another cgroup. */
static void forget_threads(struct cgm_kernel *k)
{
	struct bpf_map *map = k->skel->maps.cgm_threads;
	clear_array(map);
	if (bpf_map__autocreate(k->skel->maps.cgm_raw_threads))
		clear_hash(k->skel->maps.cgm_raw_threads);
}

/*
 * Requests that were at the driver when nobody watched any more: their completion was not seen. They are taken back from the row's issued,
 * which is only ever read as issued - requests, so that they are not in flight for ever.
 */
static void forget_requests(struct cgm_kernel *k)
{
	int rows = bpf_map__fd(k->skel->maps.cgm_block);
	struct cgm_at_driver *t = cgm_map_array(k->skel->maps.cgm_at_driver);
	struct cgm_block row;

	for (size_t i = 0; t && i < CGM_REQUEST_BUCKETS * CGM_REQUEST_WAYS; i++) {
		const struct cgm_block_request *r = &t->request[i / CGM_REQUEST_WAYS].way[i % CGM_REQUEST_WAYS];

		if (!r->number || bpf_map_lookup_elem(rows, &r->key, &row) < 0 || row.issued <= row.requests)
			continue;
		row.issued--;
		(void)bpf_map_update_elem(rows, &r->key, &row, BPF_EXIST);
	}
	cgm_unmap_array(k->skel->maps.cgm_at_driver, t);
	clear_array(k->skel->maps.cgm_at_driver); /* the disks' busy time, too */
}

/*
 * Waits that were under way: an end that comes long after its begin would count the pause. Those of other groups go with them; their ends
 * find no begin, and these few are not counted.
 */
static void forget_waits(struct cgm_kernel *k)
{
	clear_hash(k->skel->maps.cgm_began);
}

/* Packets that came before now wait for nobody: their arrival, and what was in a queue, may be long ago. */
static void forget_packets(struct cgm_kernel *k)
{
	uint64_t *at = cgm_map_array(k->skel->maps.cgm_packets_at);

	if (at)
		*at = cgm_clock_mono_ns();
	cgm_unmap_array(k->skel->maps.cgm_packets_at, at);
	if (bpf_map__autocreate(k->skel->maps.cgm_queued))
		clear_hash(k->skel->maps.cgm_queued);
}

/* What each CPU remembers of the interrupt under way. */
static void clear_each_cpu(struct bpf_map *map)
{
	size_t cpus = (size_t)MAX(libbpf_num_possible_cpus(), 1);
	_cleanup_free_ void *zeros = cgm_calloc(cpus, (bpf_map__value_size(map) + 7) & ~7U);
	uint32_t zero = 0;

	if (zeros)
		(void)bpf_map_update_elem(bpf_map__fd(map), &zero, zeros, BPF_ANY);
}

/* Before the first program of a group counts (again). Nobody else writes there then. */
static void forget(struct cgm_kernel *k, const char *group)
{
	if (strcmp(group, "sched") == 0)
		forget_threads(k);
	if (strcmp(group, "block") == 0)
		forget_requests(k);
	if (strcmp(group, "sched") != 0 && strcmp(group, "block") != 0 && strcmp(group, "net") != 0)
		forget_waits(k);
	if (strcmp(group, "lock") == 0)
		clear_hash(k->skel->maps.cgm_contended);
	if (strcmp(group, "syscall") == 0)
		clear_array(k->skel->maps.cgm_entered);
	if (strcmp(group, "tcp") == 0)
		k->walk[CGM_WALK_SOCKETS]++; /* no row is of it, until the next walk */
	if (strcmp(group, "packet") == 0)
		forget_packets(k);
	if (strcmp(group, "irq") == 0)
		clear_each_cpu(k->skel->maps.cgm_irqs);
}

/* Which walk an iterator is for; CGM_NR_WALKS: none of these. */
static enum cgm_walk_kind walk_of(size_t i)
{
	if (strcmp(cgm_program_defs[i].hook, "task") == 0)
		return CGM_WALK_TASKS;
	if (strcmp(cgm_program_defs[i].hook, "task_file") != 0)
		return CGM_NR_WALKS;
	return in_group(i, "tcp") ? CGM_WALK_SOCKETS : CGM_WALK_FILES;
}

static int fd_of_link(const struct bpf_link *link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &len) == 0 ? bpf_prog_get_fd_by_id(info.prog_id) : -1;
}

static int attach(struct cgm_kernel *k, size_t i)
{
	const struct cgm_program_def *d = &cgm_program_defs[i];
	struct bpf_program *p = program_of(k, i);
	struct bpf_link *link = k->pinned && d->mode != CGM_MODE_ITER ? cgm_pin_adopt_link(k, d->name, p) : NULL;
	bool new = !link;

	if (!link && !cgm_kernel_has(k, d->group))
		forget(k, d->group);
	if (!link)
		link = strcmp(d->group, "stat") == 0 ? cgm_stats_attach(k, p) : bpf_program__attach(p);
	if (!link) {
		int r = -errno;

		cgm_choice_fail(&k->choices[i], "cannot attach: %s", strerror(-r));
		return r;
	}
	if (new && k->pinned && d->mode != CGM_MODE_ITER)
		cgm_pin_link(k, d->name, link);
	k->links[i] = link;
	k->prog_fds[i] = fd_of_link(link);
	if (walk_of(i) < CGM_NR_WALKS)
		k->walk_fd[walk_of(i)] = bpf_link__fd(link);
	cgm_cost_attached(k, i);
	return 0;
}

static void detach(struct cgm_kernel *k, size_t i)
{
	if (!k->links[i])
		return;
	cgm_cost_detaching(k, i);
	bpf_link__destroy(k->links[i]); /* a pinned link lives on until its pin goes */
	k->links[i] = NULL;
	if (k->prog_fds[i] >= 0)
		close(k->prog_fds[i]);
	k->prog_fds[i] = -1;
	if (walk_of(i) < CGM_NR_WALKS)
		k->walk_fd[walk_of(i)] = -1;
}

int cgm_attach_all(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->choices[i].used && attach(k, i) < 0)
			return -EAGAIN;
	/* The task iterator looks there, too, and nobody keeps it true. */
	if (!cgm_kernel_has(k, "sched"))
		forget_threads(k);
	return 0;
}

void cgm_detach_all(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		detach(k, i);
}

static void detach_group(struct cgm_kernel *k, const char *group, const char *reason)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		struct cgm_choice *c = &k->choices[i];

		if (!in_group(i, group) || !c->used)
			continue;
		if (k->pinned)
			cgm_pin_unpin_link(k, cgm_program_defs[i].name);
		detach(k, i);
		c->off = true;
		snprintf(c->reason, sizeof(c->reason), "%s", reason);
	}
	/* A program that was under way on another CPU may enter a thread after this; the next attachment forgets it. */
	if (strcmp(group, "sched") == 0)
		forget_threads(k);
}

static int attach_group(struct cgm_kernel *k, const char *group)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		struct cgm_choice *c = &k->choices[i];
		char reason[sizeof(c->reason)];
		int r;

		if (!in_group(i, group) || !c->used || k->links[i])
			continue;
		c->off = false;
		r = attach(k, i);
		if (r == 0)
			continue;
		snprintf(reason, sizeof(reason), "%s", c->reason);
		c->failed = false; /* it worked once, and may again */
		detach_group(k, group, reason);
		return r;
	}
	return 0;
}

int cgm_kernel_set_group(struct cgm_kernel *k, const char *group, bool on, const char *reason)
{
	int r = 0;

	if (!cgm_kernel_loaded(k, group))
		return -ENOENT;
	if (on)
		r = attach_group(k, group);
	else
		detach_group(k, group, reason);
	cgm_list_programs(k);
	return r;
}

static uint32_t id_of(int prog_fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return prog_fd >= 0 && bpf_obj_get_info_by_fd(prog_fd, &info, &len) == 0 ? info.id : 0;
}

/* Does a better one of the same unit run? Then nothing is lost, whatever the reason. */
static bool better_runs(const struct cgm_kernel *k, const struct cgm_program_def *d)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->links[i] && cgm_program_defs[i].rank < d->rank && strcmp(cgm_program_defs[i].unit, d->unit) == 0)
			return true;
	return false;
}

void cgm_list_programs(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];
		const struct cgm_choice *c = &k->choices[i];
		struct cgm_program *p = &k->programs[i];

		snprintf(p->name, sizeof(p->name), "%s", d->name);
		snprintf(p->hook, sizeof(p->hook), "%s", d->hook);
		p->group = d->group;
		p->mode = k->links[i] ? cgm_mode_name(d->mode) : "off";
		p->reason[0] = '\0';
		if (!k->links[i])
			snprintf(p->reason, sizeof(p->reason), "%s",
				 (c->failed && !better_runs(k, d)) || c->off ? c->reason : "not needed: a better one runs");
		p->id = id_of(k->prog_fds[i]);
	}
	k->nr_programs = cgm_nr_program_defs;
}

size_t cgm_kernel_programs(const struct cgm_kernel *k, const struct cgm_program **ret)
{
	*ret = k->programs;
	return k->nr_programs;
}

bool cgm_kernel_has(const struct cgm_kernel *k, const char *group)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->links[i] && in_group(i, group))
			return true;
	return false;
}

bool cgm_kernel_loaded(const struct cgm_kernel *k, const char *group)
{
	for (size_t i = 0; k->skel && i < cgm_nr_program_defs; i++)
		if (k->choices[i].used && in_group(i, group))
			return true;
	return false;
}

bool cgm_kernel_hooked(const struct cgm_kernel *k, const char *hook)
{
	for (size_t i = 0; k->skel && i < cgm_nr_program_defs; i++)
		if (k->choices[i].used && strcmp(cgm_program_defs[i].hook, hook) == 0)
			return true;
	return false;
}
