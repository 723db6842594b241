// SPDX-License-Identifier: Apache-2.0
/* Opening and closing the kernel side: choose programs, load, attach, map. */
#include "kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "kernel/internal.h"

#define MAX_SHARDS 8
#define ROWS_STEP 64 /* slots whose rows are mapped at a time */

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

enum cgm_task_controller cgm_task_controller_by_name(const char *name)
{
	static const char *const names[] = { "unified", "cpu", "cpuacct", "memory", "pids" };

	for (unsigned i = 1; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return (enum cgm_task_controller)i;
	return CGM_TASK_V2;
}

const char *cgm_drop_name(enum cgm_drop d)
{
	static const char *const names[CGM_NR_DROPS] = {
		[CGM_DROP_SLOTS_FULL] = "slots_full",	  [CGM_DROP_CGROUP_DEAD] = "cgroup_removed", [CGM_DROP_SLOT_MAP] = "slot_map_busy",
		[CGM_DROP_NO_TASK] = "task_unknown",	  [CGM_DROP_CLOCK] = "clock_backwards",	     [CGM_DROP_EVENTS] = "event_ring_full",
		[CGM_DROP_BLOCK_MAP] = "block_map_full", [CGM_DROP_INFLIGHT] = "inflight_map_full", [CGM_DROP_SOCK] = "socket_unknown",
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

static int set_up_skeleton(struct cgm_kernel *k)
{
	const struct cgm_kernel_config *c = &k->config;
	struct cgm_config *cfg = (struct cgm_config *)&k->skel->rodata->cfg;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ k->skel->maps.cgm_slots, k->nr_slots },
		{ k->skel->maps.cgm_slot_of, k->nr_slots },
		{ k->skel->maps.cgm_free_slots, k->nr_slots },
		{ k->skel->maps.cgm_tasks, k->nr_slots },
		{ k->skel->maps.cgm_sched, k->nr_slots * (k->nr_shards + 1) },
		{ k->skel->maps.cgm_net, k->nr_slots * (k->nr_shards + 1) },
		{ k->skel->maps.cgm_block, k->nr_slots },
	};

	*cfg = (struct cgm_config){
		.nr_slots = k->nr_slots,
		.shard_mask = k->nr_shards - 1,
		.rows_per_slot = k->nr_shards + 1,
		.shard_shared = (uint32_t)libbpf_num_possible_cpus() > k->nr_shards,
		.task_controller = c->task_controller,
		.sched_hierarchy = c->sched_hierarchy,
		.block_hierarchy = c->block_hierarchy,
		.sock_hierarchy = c->sock_hierarchy,
		.hierarchy_mask = c->hierarchy_mask,
	};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int r = bpf_map__set_max_entries(sizes[i].map, sizes[i].entries);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(k->skel->obj, cgm_program_defs[i].name);

		if (!p || bpf_program__set_autoload(p, k->choices[i].used) < 0)
			return -EINVAL;
	}
	return 0;
}

static void *map_array(struct bpf_map *map)
{
	size_t bytes = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7U);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED) {
		cgm_error("cannot map the BPF array %s: %s", bpf_map__name(map), strerror(errno));
		return NULL;
	}
	return p;
}

static size_t array_bytes(const struct bpf_map *map)
{
	return (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) & ~7U);
}

static void unmap_array(struct bpf_map *map, void *p)
{
	if (p)
		munmap(p, array_bytes(map));
}

/* Address space for a whole array. Mapping a BPF array makes all its pages resident at once, so that is done as slots come into use. */
static void *reserve_array(struct bpf_map *map)
{
	void *p = mmap(NULL, array_bytes(map), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Maps bytes [from, to) of an array into its reserved place, in whole pages. */
static int map_part(struct bpf_map *map, void *base, size_t from, size_t to)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	from = from / page * page;
	to = MIN((to + page - 1) / page * page, (array_bytes(map) + page - 1) / page * page);
	if (mmap((char *)base + from, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, bpf_map__fd(map), (off_t)from) == MAP_FAILED)
		return -errno;
	return 0;
}

int cgm_map_rows(struct cgm_kernel *k, uint32_t nr)
{
	size_t rows = k->nr_shards + 1;
	int r;

	nr = MIN((nr + ROWS_STEP - 1) / ROWS_STEP * ROWS_STEP, k->nr_slots);
	if (nr <= k->nr_mapped)
		return 0;
	r = map_part(k->skel->maps.cgm_sched, k->sched, k->nr_mapped * rows * sizeof(*k->sched), nr * rows * sizeof(*k->sched));
	if (r == 0)
		r = map_part(k->skel->maps.cgm_net, k->net, k->nr_mapped * rows * sizeof(*k->net), nr * rows * sizeof(*k->net));
	if (r < 0) {
		cgm_log_once(CGM_LOG_ERROR, "cannot map the counters of slots %u to %u: %s", k->nr_mapped, nr, strerror(-r));
		return r;
	}
	k->nr_mapped = nr;
	return 0;
}

/* Memory that the kernel says it spent on our maps (fdinfo, since 6.4: all of it; before: what the map was charged). */
static uint64_t count_map_bytes(const struct cgm_kernel *k)
{
	uint64_t sum = 0;
	struct bpf_map *map;

	bpf_object__for_each_map(map, k->skel->obj) {
		char path[64], buf[1024];
		struct cgm_str text, line, token;
		uint64_t bytes;
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		len = cgm_read_at(AT_FDCWD, path, buf, sizeof(buf));
		text = (struct cgm_str){ buf, len > 0 ? (size_t)len : 0 };
		while (cgm_next_line(&text, &line))
			if (cgm_next_token(&line, &token) && cgm_str_eq(token, "memlock:") && cgm_next_token(&line, &token) &&
			    cgm_parse_u64(token, &bytes) == 0)
				sum += bytes;
	}
	return sum;
}

static void fill_free_slots(struct cgm_kernel *k)
{
	int fd = bpf_map__fd(k->skel->maps.cgm_free_slots);

	if (k->meta->filled)
		return;
	for (uint32_t slot = k->nr_slots - 1; slot > CGM_SLOT_OVERFLOW; slot--)
		if (bpf_map_update_elem(fd, NULL, &slot, BPF_ANY) < 0) {
			cgm_error("cannot fill the stack of free slots: %s", strerror(errno));
			break;
		}
	*k->meta = (struct cgm_meta){ .abi_version = CGM_ABI_VERSION, .nr_slots = k->nr_slots, .nr_shards = k->nr_shards, .filled = 1 };
}

static int on_event(void *arg, void *data, size_t size)
{
	struct cgm_kernel *k = arg;

	if (size >= sizeof(struct cgm_event) && k->event_fn)
		k->event_fn(k->event_arg, data);
	return 0;
}

static int make_tables(struct cgm_kernel *k)
{
	uint32_t n = k->nr_slots;

	k->heir = cgm_calloc(n, sizeof(*k->heir));
	k->pending_next = cgm_calloc(n, sizeof(*k->pending_next));
	k->pending_head = cgm_calloc(n, sizeof(*k->pending_head));
	k->block_head = cgm_calloc(n, sizeof(*k->block_head));
	k->seen = cgm_calloc(n, sizeof(*k->seen));
	k->has_retired = cgm_malloc(n);
	if (!k->heir || !k->pending_next || !k->pending_head || !k->block_head || !k->seen || !k->has_retired)
		return -ENOMEM;
	memset(k->has_retired, 1, n); /* until it was looked at once */
	for (uint32_t i = 0; i < n; i++)
		k->heir[i] = i;
	return 0;
}

/* Between load and attach: the maps must be ready before the first event comes. */
static int after_load(struct cgm_kernel *k)
{
	k->slots = map_array(k->skel->maps.cgm_slots);
	k->sched = reserve_array(k->skel->maps.cgm_sched);
	k->net = reserve_array(k->skel->maps.cgm_net);
	k->nr_mapped = 0;
	k->tasks = map_array(k->skel->maps.cgm_tasks);
	k->meta = map_array(k->skel->maps.cgm_meta);
	k->journal = map_array(k->skel->maps.cgm_journal);
	k->drops = map_array(k->skel->maps.cgm_drops);
	k->walk = map_array(k->skel->maps.cgm_walk);
	k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.cgm_events), on_event, k, NULL);
	if (!k->slots || !k->sched || !k->net || !k->tasks || !k->meta || !k->journal || !k->drops || !k->walk || !k->ring ||
	    cgm_map_rows(k, 1) < 0)
		return -ENOMEM;
	fill_free_slots(k);
	cgm_retire_recover(k);
	k->map_bytes = count_map_bytes(k);
	return 0;
}

/* What was remembered of threads while nobody watched is stale: a pid may be another thread's by now. */
static void forget_threads(struct cgm_kernel *k)
{
	struct bpf_map *map = k->skel->maps.cgm_threads;
	void *p = map_array(map);

	if (p)
		memset(p, 0, array_bytes(map));
	unmap_array(map, p);
}

/* Attaches program i, or adopts its running link. 0, or a negative errno with the choice marked as failed. */
static int attach(struct cgm_kernel *k, size_t i)
{
	const struct cgm_program_def *d = &cgm_program_defs[i];
	struct bpf_program *p = bpf_object__find_program_by_name(k->skel->obj, d->name);
	struct bpf_link *link = k->pinned && d->mode != CGM_MODE_ITER ? cgm_pin_adopt_link(k, d->name, p) : NULL;
	bool new = !link;

	if (!link && strcmp(d->name, "cgm_switch") == 0)
		forget_threads(k);
	if (!link)
		link = bpf_program__attach(p);
	if (!link) {
		int r = -errno;

		cgm_choice_fail(&k->choices[i], "cannot attach: %s", strerror(-r));
		return r;
	}
	if (new && k->pinned)
		cgm_pin_link(k, d->name, link);
	k->links[i] = link;
	if (d->mode == CGM_MODE_ITER)
		k->walk_fd = bpf_link__fd(link);
	return 0;
}

static void drop_links(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		bpf_link__destroy(k->links[i]); /* accepts NULL; a pinned link lives on until its pin goes */
		k->links[i] = NULL;
	}
	k->walk_fd = -1;
}

static void unload(struct cgm_kernel *k)
{
	ring_buffer__free(k->ring);
	k->ring = NULL;
	if (k->skel) {
		unmap_array(k->skel->maps.cgm_slots, k->slots);
		unmap_array(k->skel->maps.cgm_sched, k->sched);
		unmap_array(k->skel->maps.cgm_net, k->net);
		unmap_array(k->skel->maps.cgm_tasks, k->tasks);
		unmap_array(k->skel->maps.cgm_meta, k->meta);
		unmap_array(k->skel->maps.cgm_journal, k->journal);
		unmap_array(k->skel->maps.cgm_drops, k->drops);
		unmap_array(k->skel->maps.cgm_walk, k->walk);
	}
	k->slots = NULL;
	k->sched = NULL;
	k->net = NULL;
	k->tasks = NULL;
	k->meta = NULL;
	k->journal = NULL;
	k->drops = NULL;
	k->walk = NULL;
	drop_links(k);
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
	k->adopted = k->pinned && cgm_pin_adopt(k);
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
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->choices[i].used && attach(k, i) < 0)
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
	btf__free(kernel_btf);
	k->pinned = k->config.pin_dir && *k->config.pin_dir && cgm_pin_prepare(k) == 0;
	/* Each turn loses one program or ends. */
	for (size_t i = 0; i <= cgm_nr_program_defs && r == -EAGAIN; i++) {
		r = attempt(k);
		if (r < 0)
			unload(k);
	}
	if (r < 0) {
		fail_all(k, r == -EPERM ? "not allowed to load BPF programs (lockdown, or missing CAP_BPF, CAP_PERFMON)" : strerror(-r));
		cgm_programs_choose(k);
	}
}

static void list_programs(struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		const struct cgm_program_def *d = &cgm_program_defs[i];
		struct cgm_program *p = &k->programs[k->nr_programs++];
		struct bpf_prog_info info = { 0 };
		uint32_t len = sizeof(info);

		snprintf(p->name, sizeof(p->name), "%s", d->name);
		snprintf(p->hook, sizeof(p->hook), "%s", d->hook);
		p->group = d->group;
		p->mode = k->links[i] ? cgm_mode_name(d->mode) : "off";
		if (!k->links[i])
			snprintf(p->reason, sizeof(p->reason), "%s", k->choices[i].failed ? k->choices[i].reason : "not needed: a better one runs");
		else if (bpf_obj_get_info_by_fd(bpf_program__fd(bpf_object__find_program_by_name(k->skel->obj, d->name)), &info, &len) == 0)
			p->id = info.id;
	}
}

int cgm_kernel_open(const struct cgm_kernel_config *config, struct cgm_kernel **ret)
{
	struct cgm_kernel *k = cgm_calloc(1, sizeof(*k));
	int cpus = libbpf_num_possible_cpus();

	if (!k)
		return -ENOMEM;
	k->config = *config;
	k->walk_fd = -1;
	k->nr_slots = MAX(config->nr_slots, 16U);
	for (k->nr_shards = 1; k->nr_shards < MAX_SHARDS && (int)k->nr_shards * 2 <= cpus; k->nr_shards *= 2)
		;
	if (make_tables(k) < 0) {
		cgm_kernel_close(k);
		return -ENOMEM;
	}
	k->links = cgm_calloc(cgm_nr_program_defs, sizeof(*k->links));
	k->choices = cgm_calloc(cgm_nr_program_defs, sizeof(*k->choices));
	k->programs = cgm_calloc(cgm_nr_program_defs, sizeof(*k->programs));
	if (!k->links || !k->choices || !k->programs) {
		cgm_kernel_close(k);
		return -ENOMEM;
	}
	libbpf_set_print(on_libbpf_print);
	load(k);
	list_programs(k);
	*ret = k;
	return 0;
}

void cgm_kernel_close(struct cgm_kernel *k)
{
	if (!k)
		return;
	if (k->links && k->pinned && k->skel)
		cgm_pin_drop_links(k, true);
	if (k->links)
		unload(k);
	free(k->heir);
	free(k->pending_next);
	free(k->pending_head);
	free(k->block_head);
	free(k->blocks);
	free(k->seen);
	free(k->has_retired);
	free(k->links);
	free(k->choices);
	free(k->programs);
	free(k);
}

bool cgm_kernel_adopted(const struct cgm_kernel *k)
{
	return k->adopted;
}

size_t cgm_kernel_programs(const struct cgm_kernel *k, const struct cgm_program **ret)
{
	*ret = k->programs;
	return k->nr_programs;
}

bool cgm_kernel_has(const struct cgm_kernel *k, const char *group)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->links[i] && strcmp(cgm_program_defs[i].group, group) == 0)
			return true;
	return false;
}
