// SPDX-License-Identifier: Apache-2.0
/* Opening and closing the kernel side: choose programs, load, attach, map. */
#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernel/internal.h"

#define MAX_SHARDS 8
/* Entries on average; an entry takes memory only when it is used. */
#define BLOCKS_PER_SLOT 4
#define WAITS_PER_SLOT 16

/* The last words of libbpf about a program that it could not load: "prog 'NAME': failed to load: -22". */
static char failed_program[32], failed_text[96];

static int on_libbpf_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[512], *name, *end, *text;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	name = strstr(line, "prog '");
	end = name ? strchr(name + 6, '\'') : NULL;
	text = end ? strstr(end, "failed to ") : NULL;
	if (text && !failed_program[0]) {
		*end = '\0';
		text[strcspn(text, "\n")] = '\0';
		snprintf(failed_program, sizeof(failed_program), "%s", name + 6);
		snprintf(failed_text, sizeof(failed_text), "%s", text);
	}
	cgm_debug("%s", line);
	return 0;
}

const char *cgm_drop_name(enum cgm_drop d)
{
	static const char *const names[CGM_NR_DROPS] = {
		[CGM_DROP_SLOTS_FULL] = "slots_full",	  [CGM_DROP_CGROUP_DEAD] = "cgroup_removed", [CGM_DROP_SLOT_MAP] = "slot_map_busy",
		[CGM_DROP_NO_TASK] = "task_unknown",	  [CGM_DROP_CLOCK] = "clock_backwards",	     [CGM_DROP_EVENTS] = "event_ring_full",
		[CGM_DROP_BLOCK_MAP] = "block_map_full", [CGM_DROP_INFLIGHT] = "inflight_map_full", [CGM_DROP_SOCK] = "socket_unknown",
		[CGM_DROP_WAIT_MAP] = "wait_map_full",	  [CGM_DROP_PACKET] = "packet_unknown", [CGM_DROP_BLOCK_DONE] = "block_end_unseen",
	};

	return d < CGM_NR_DROPS ? names[d] : "unknown";
}

static void fail_all(struct cgm_kernel *k, const char *reason)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		cgm_choice_fail(&k->choices[i], "%s", reason);
}

/* May we use BPF at all? Makes the smallest map there is. */
static const char *forbidden(void)
{
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cgm_probe", 4, 4, 1, NULL);

	if (fd >= 0)
		return NULL;
	if (errno == EPERM)
		return "not allowed to use BPF: CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) are missing";
	if (errno == ENOSYS)
		return "this kernel has no bpf() call";
	return "this kernel refuses to make a BPF map";
}

/* Of the kernel's timer (1 / CONFIG_HZ): the resolution of the coarse clock. */
static uint32_t tick_ns(void)
{
	struct timespec ts = { 0 };

	return clock_getres(CLOCK_MONOTONIC_COARSE, &ts) == 0 ? (uint32_t)ts.tv_nsec : 0;
}

static int set_up_skeleton(struct cgm_kernel *k)
{
	const struct cgm_kernel_config *c = &k->config;
	struct cgm_config *cfg = (struct cgm_config *)&k->skel->rodata->cfg;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ k->skel->maps.cgm_slots, k->nr_all },
		{ k->skel->maps.cgm_slot_of, k->nr_all },
		{ k->skel->maps.cgm_free_slots, k->nr_slots },
		{ k->skel->maps.cgm_free_bare, MAX(k->nr_all - k->nr_slots, 1U) },
		{ k->skel->maps.cgm_tasks, k->nr_slots },
		{ k->skel->maps.cgm_open_files, k->nr_slots },
		{ k->skel->maps.cgm_socks, k->nr_slots },
		{ k->skel->maps.cgm_block, k->nr_all * BLOCKS_PER_SLOT },
		{ k->skel->maps.cgm_waits, k->nr_slots * WAITS_PER_SLOT },
		{ k->skel->maps.cgm_retired, k->nr_slots * CGM_NR_ROWS_MAPS },
	};

	*cfg = (struct cgm_config){
		.nr_slots = k->nr_slots,
		.shard_mask = k->nr_shards - 1,
		.rows_per_slot = k->nr_shards,
		.shard_shared = (uint32_t)libbpf_num_possible_cpus() > k->nr_shards,
		.task_controller = c->task_controller,
		.sched_hierarchy = c->sched_hierarchy,
		.block_hierarchy = c->block_hierarchy,
		.sock_hierarchy = c->sock_hierarchy,
		.hierarchy_mask = c->hierarchy_mask,
		.tick_ns = tick_ns(),
	};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int r = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);

		if (r < 0)
			return r;
	}
	cgm_syscalls_set_up(k->skel);
	cgm_drops_set_up(k);
	if (cgm_rows_set_up(k) < 0)
		return -EINVAL;
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(k->skel->obj, cgm_program_defs[i].name);

		if (!p || bpf_program__set_autoload(p, k->choices[i].used) < 0)
			return -EINVAL;
	}
	cgm_stats_set_up(k);
	/* 7 MB that only the wakeup pair needs, and 2 MB for packets in queues. */
	if (bpf_map__set_autocreate(k->skel->maps.cgm_queued, cgm_program_is_used(k, "cgm_q_in")) < 0)
		return -EINVAL;
	return bpf_map__set_autocreate(k->skel->maps.cgm_raw_threads, cgm_program_is_used(k, "cgm_raw_switch"));
}

void *cgm_map_array(struct bpf_map *map)
{
	size_t bytes = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7U);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED) {
		cgm_error("cannot map the BPF array %s: %s", bpf_map__name(map), strerror(errno));
		return NULL;
	}
	return p;
}

size_t cgm_array_bytes(const struct bpf_map *map)
{
	return (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7U);
}

void cgm_unmap_array(struct bpf_map *map, void *p)
{
	if (p)
		munmap(p, cgm_array_bytes(map));
}

static int on_event(void *arg, void *data, size_t size)
{
	struct cgm_kernel *k = arg;

	if (size >= sizeof(struct cgm_event) && k->event_fn)
		k->event_fn(k->event_arg, data);
	return 0;
}

int cgm_kernel_make_tables(struct cgm_kernel *k)
{
	uint32_t n = k->nr_all;
	bool ok = true;

	k->heir = cgm_calloc(n, sizeof(*k->heir));
	k->pending_next = cgm_calloc(n, sizeof(*k->pending_next));
	k->pending_head = cgm_calloc(n, sizeof(*k->pending_head));
	k->seen = cgm_calloc(n, sizeof(*k->seen));
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
		k->retired[i] = cgm_calloc(k->nr_slots, sizeof(union cgm_any_row *));
		ok &= k->retired[i] != NULL;
	}
	for (size_t i = 0; i < CGM_NR_KEYED_MAPS; i++) {
		k->keyed[i].head = cgm_calloc(n, sizeof(*k->keyed[i].head));
		ok &= k->keyed[i].head != NULL;
	}
	if (!ok || !k->heir || !k->pending_next || !k->pending_head || !k->seen)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		k->heir[i] = i;
	return 0;
}

/* Between load and attach: the maps must be ready before the first event comes. */
static int after_load(struct cgm_kernel *k)
{
	int r;

	k->slots = cgm_map_array(k->skel->maps.cgm_slots);
	k->tasks = cgm_map_array(k->skel->maps.cgm_tasks);
	k->open_files = cgm_map_array(k->skel->maps.cgm_open_files);
	k->meta = cgm_map_array(k->skel->maps.cgm_meta);
	k->journal = cgm_map_array(k->skel->maps.cgm_journal);
	k->drops = cgm_map_array(k->skel->maps.cgm_drops);
	k->touched = cgm_map_array(k->skel->maps.cgm_touched);
	k->walk = cgm_map_array(k->skel->maps.cgm_walk);
	k->socks = cgm_map_array(k->skel->maps.cgm_socks);
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.cgm_events), on_event, k, NULL);
	k->keyed[CGM_KEYED_BLOCK].map = k->skel->maps.cgm_block;
	k->keyed[CGM_KEYED_BLOCK].size = sizeof(struct cgm_block);
	k->keyed[CGM_KEYED_WAIT].map = k->skel->maps.cgm_waits;
	k->keyed[CGM_KEYED_WAIT].size = sizeof(struct cgm_hist);
	for (size_t i = 0; i < CGM_NR_KEYED_MAPS; i++) {
		k->keyed[i].fd = bpf_map__fd(k->keyed[i].map);
		k->keyed[i].name = bpf_map__name(k->keyed[i].map);
	}
	k->slot_of_fd = bpf_map__fd(k->skel->maps.cgm_slot_of);
	if (!k->slots || !k->tasks || !k->open_files || !k->socks || !k->meta || !k->journal || !k->drops || !k->touched || !k->walk || !k->ring)
		return -ENOMEM;
	if (!k->adopted)
		*k->meta = (struct cgm_meta){ .abi_version = CGM_ABI_VERSION, .nr_slots = k->nr_slots, .nr_shards = k->nr_shards };
	r = cgm_rows_open(k);
	if (r < 0)
		return r;
	r = cgm_retire_recover(k);
	cgm_cost_read_maps(k);
	return r;
}

static void unload(struct cgm_kernel *k)
{
	cgm_retire_forget(k); /* the next attempt reads it anew */
	ring_buffer__free(k->ring);
	k->ring = NULL;
	if (k->skel) {
		cgm_unmap_array(k->skel->maps.cgm_slots, k->slots);
		cgm_unmap_array(k->skel->maps.cgm_tasks, k->tasks);
		cgm_unmap_array(k->skel->maps.cgm_open_files, k->open_files);
		cgm_unmap_array(k->skel->maps.cgm_meta, k->meta);
		cgm_unmap_array(k->skel->maps.cgm_journal, k->journal);
		cgm_unmap_array(k->skel->maps.cgm_drops, k->drops);
		cgm_unmap_array(k->skel->maps.cgm_touched, k->touched);
		cgm_unmap_array(k->skel->maps.cgm_walk, k->walk);
		cgm_unmap_array(k->skel->maps.cgm_socks, k->socks);
	}
	k->slots = NULL;
	cgm_rows_close(k);
	k->tasks = NULL;
	k->open_files = NULL;
	k->meta = NULL;
	k->journal = NULL;
	k->drops = NULL;
	k->touched = NULL;
	k->walk = NULL;
	k->socks = NULL;
	cgm_stats_detach(k);
	cgm_detach_all(k);
	cgmeter_bpf__destroy(k->skel);
	k->skel = NULL;
}

/* One attempt with the programs that have not failed yet. 0; -EAGAIN: another program failed, try again without it; else no kernel side. */
static int attempt(struct cgm_kernel *k)
{
	int r;

	cgm_programs_choose(k);
	failed_program[0] = '\0';
	k->skel = cgmeter_bpf__open();
	if (!k->skel)
		return -errno;
	r = set_up_skeleton(k);
	if (r < 0)
		return r;
	r = k->pinned ? cgm_pin_adopt(k) : 0;
	if (r < 0)
		return r;
	k->adopted = r;
	r = cgmeter_bpf__load(k->skel);
	if (r < 0) {
		for (size_t i = 0; i < cgm_nr_program_defs; i++) {
			if (!k->choices[i].used || strcmp(cgm_program_defs[i].name, failed_program) != 0)
				continue;
			cgm_choice_fail(&k->choices[i], "%s", failed_text);
			return -EAGAIN;
		}
		return r;
	}
	r = after_load(k);
	if (r < 0)
		return r;
	if (cgm_attach_all(k) < 0)
		return -EAGAIN;
	if (k->pinned) {
		cgm_pin_maps(k);
		cgm_pin_drop_links(k, false);
	}
	return 0;
}

static void load(struct cgm_kernel *k)
{
	struct btf *kernel_btf = NULL;
	const char *why = k->config.off ? "switched off (--bpf=off)" : forbidden();
	int r = -EAGAIN;

	if (!why) {
		kernel_btf = btf__load_vmlinux_btf();
		if (!kernel_btf)
			why = "this kernel has no BTF (/sys/kernel/btf/vmlinux)";
	}
	if (why) {
		fail_all(k, why);
		return;
	}
	cgm_programs_probe(k, kernel_btf);
	cgm_stats_probe(k, kernel_btf);
	cgm_drops_probe(k, kernel_btf);
	btf__free(kernel_btf);
	k->pinned = k->config.pin_dir && *k->config.pin_dir && cgm_pin_prepare(k) == 0;
	/* Each turn but one (pins that had to go) loses one program or ends. */
	for (size_t i = 0; i <= cgm_nr_program_defs + 1 && r == -EAGAIN; i++) {
		r = attempt(k);
		if (r < 0)
			unload(k);
	}
	if (r < 0) {
		fail_all(k, r == -EPERM ? "not allowed to load BPF programs (lockdown, or missing CAP_BPF, CAP_PERFMON)" : strerror(-r));
		cgm_programs_choose(k);
	}
}

int cgm_kernel_open(const struct cgm_kernel_config *config, struct cgm_kernel **ret)
{
	struct cgm_kernel *k = cgm_calloc(1, sizeof(*k));
	int cpus = libbpf_num_possible_cpus();

	if (!k)
		return -ENOMEM;
	k->config = *config;
	for (unsigned i = 0; i < CGM_NR_WALKS; i++)
		k->walk_fd[i] = -1;
	k->stats_fd = k->clock_fd = -1;
	k->nr_slots = (MAX(config->nr_slots, 1U) + CGM_CHUNK_SLOTS - 1) / CGM_CHUNK_SLOTS * CGM_CHUNK_SLOTS;
	k->nr_slots = MIN(k->nr_slots, CGM_MAX_CHUNKS * CGM_CHUNK_SLOTS);
	k->nr_all = k->nr_slots * (config->block_hierarchy == config->sched_hierarchy ? 1 : 2);
	for (k->nr_shards = 1; k->nr_shards < MAX_SHARDS && (int)k->nr_shards * 2 <= cpus; k->nr_shards *= 2)
		;
	if (cgm_kernel_make_tables(k) < 0) {
		cgm_kernel_close(k);
		return -ENOMEM;
	}
	k->links = cgm_calloc(cgm_nr_program_defs, sizeof(*k->links));
	k->choices = cgm_calloc(cgm_nr_program_defs, sizeof(*k->choices));
	k->programs = cgm_calloc(cgm_nr_program_defs, sizeof(*k->programs));
	if (cgm_cost_open(k) < 0 || !k->links || !k->choices || !k->programs) {
		cgm_kernel_close(k);
		return -ENOMEM;
	}
	libbpf_set_print(on_libbpf_print);
	load(k);
	k->config.groups_off = NULL; /* the caller's */
	cgm_list_programs(k);
	*ret = k;
	return 0;
}

void cgm_kernel_close(struct cgm_kernel *k)
{
	if (!k)
		return;
	cgm_pinned_close(k);
	if (k->links && k->pinned && k->skel)
		cgm_pin_drop_links(k, true);
	if (k->links && k->prog_fds)
		unload(k);
	cgm_stats_free(k);
	free(k->heir);
	free(k->pending_next);
	free(k->pending_head);
	for (size_t i = 0; i < CGM_NR_KEYED_MAPS; i++) {
		free(k->keyed[i].head);
		free(k->keyed[i].entries);
		free(k->keyed[i].values);
	}
	free(k->seen);
	cgm_retire_forget(k);
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++)
		free(k->retired[i]);
	free(k->links);
	free(k->choices);
	free(k->programs);
	cgm_cost_close(k);
	free(k);
}

bool cgm_kernel_adopted(const struct cgm_kernel *k)
{
	return k->adopted;
}
