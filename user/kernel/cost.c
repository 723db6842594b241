// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel side costs: time and runs of programs, memory of maps. The kernel's BPF statistics (bpf_enable_stats(), since 5.8;
 * kernel/bpf/syscall.c) are on only in windows, because they read a clock twice a run.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "kernel/internal.h"

#define CLOCK_RUNS 500 /* of the empty program a window: some 40 us */

static bool read_program(const struct cgm_kernel *k, size_t i, struct cgm_reading *ret)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (k->prog_fds[i] < 0 || bpf_obj_get_info_by_fd(k->prog_fds[i], &info, &len) < 0)
		return false;
	*ret = (struct cgm_reading){
		.runs = info.run_cnt,
		.ns = info.run_time_ns,
		.missed = info.recursion_misses,
		.since_ns = cgm_clock_mono_ns(),
	};
	return true;
}

static bool somebody_counts(void)
{
	uint64_t on;

	return cgm_read_u64_at(AT_FDCWD, "/proc/sys/kernel/bpf_stats_enabled", &on) == 0 && on == 1;
}

int cgm_cost_open(struct cgm_kernel *k)
{
	k->last = cgm_calloc(cgm_nr_program_defs, sizeof(*k->last));
	k->begin = cgm_calloc(cgm_nr_program_defs, sizeof(*k->begin));
	k->prog_fds = cgm_calloc(cgm_nr_program_defs, sizeof(*k->prog_fds));
	for (size_t i = 0; k->prog_fds && i < cgm_nr_program_defs; i++)
		k->prog_fds[i] = -1;
	k->stats_were_on = somebody_counts();
	return k->last && k->begin && k->prog_fds ? 0 : -ENOMEM;
}

void cgm_cost_close(struct cgm_kernel *k)
{
	if (k->stats_fd >= 0)
		close(k->stats_fd);
	if (k->clock_fd >= 0)
		close(k->clock_fd);
	free(k->last);
	free(k->begin);
	free(k->prog_fds);
	free(k->maps);
}

void cgm_cost_attached(struct cgm_kernel *k, size_t i)
{
	struct cgm_reading now;

	if (!read_program(k, i, &now))
		return;
	k->last[i] = k->begin[i] = now;
}

static uint64_t scale(uint64_t v, uint64_t by, uint64_t of)
{
	return of ? (uint64_t)((unsigned __int128)v * by / of) : 0;
}

/* From the last window to the detachment: as in the last window. */
void cgm_cost_detaching(struct cgm_kernel *k, size_t i)
{
	struct cgm_program_cost *c = &k->programs[i].cost;
	uint64_t since = k->last[i].since_ns, now = cgm_clock_mono_ns();

	if (!since || !k->windows.last_ns)
		return;
	if (cgm_program_defs[i].mode == CGM_MODE_ITER) {
		c->runs += k->last[i].walks;
		c->run_ns += k->last[i].walk_ns;
		c->window_runs = c->window_ns = 0;
		return;
	}
	c->runs += scale(c->window_runs, now - since, k->windows.last_ns);
	c->run_ns += scale(c->window_ns, now - since, k->windows.last_ns);
	c->window_runs = c->window_ns = 0;
	k->last[i].since_ns = 0;
}

/* How long the statistics take for a program that does nothing: the least of all windows, so that nothing real is taken off. */
static void measure_clock(struct cgm_kernel *k)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet), .repeat = CLOCK_RUNS);
	struct bpf_prog_info before = { 0 }, after = { 0 };
	uint32_t len = sizeof(before);
	uint64_t ps;

	if (k->clock_fd < 0)
		k->clock_fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "cgm_clock", "GPL", nothing, ARRAY_SIZE(nothing), NULL);
	if (k->clock_fd < 0 || bpf_obj_get_info_by_fd(k->clock_fd, &before, &len) < 0 || bpf_prog_test_run_opts(k->clock_fd, &run) < 0)
		return;
	len = sizeof(after);
	if (bpf_obj_get_info_by_fd(k->clock_fd, &after, &len) < 0 || after.run_cnt <= before.run_cnt)
		return;
	ps = (after.run_time_ns - before.run_time_ns) * 1000 / (after.run_cnt - before.run_cnt);
	if (!k->windows.clock_ps || ps < k->windows.clock_ps)
		k->windows.clock_ps = ps;
}

int cgm_kernel_cost_begin(struct cgm_kernel *k)
{
	if (!k->skel)
		return -ENOENT;
	if (k->begin_ns)
		return 0;
	k->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (k->stats_fd < 0)
		return k->stats_fd;
	k->begin_ns = cgm_clock_mono_ns();
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		(void)read_program(k, i, &k->begin[i]);
	return 0;
}

static uint64_t less_clock(const struct cgm_kernel *k, uint64_t ns, uint64_t runs)
{
	uint64_t clock_ns = (uint64_t)((unsigned __int128)runs * k->windows.clock_ps / 1000);

	return ns > clock_ns ? ns - clock_ns : 0;
}

void cgm_cost_walked(struct cgm_kernel *k, int link_fd, uint64_t cpu_ns)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		if (!k->links[i] || bpf_link__fd(k->links[i]) != link_fd)
			continue;
		k->last[i].walks++;
		k->last[i].walk_ns += cpu_ns;
	}
}

static void account_iterator(struct cgm_kernel *k, size_t i)
{
	struct cgm_program_cost *c = &k->programs[i].cost;
	struct cgm_reading *last = &k->last[i];
	uint64_t now = cgm_clock_mono_ns(), window = now - k->begin_ns;

	c->window_runs = scale(last->walks, window, now - last->since_ns);
	c->window_ns = scale(last->walk_ns, window, now - last->since_ns);
	c->runs += last->walks;
	c->run_ns += last->walk_ns;
	*last = (struct cgm_reading){ .since_ns = now };
}

static void account(struct cgm_kernel *k, size_t i, bool exact)
{
	struct cgm_reading *last = &k->last[i], *begin = &k->begin[i], now;
	struct cgm_program_cost *c = &k->programs[i].cost;
	uint64_t window;

	if (k->links[i] && cgm_program_defs[i].mode == CGM_MODE_ITER) {
		account_iterator(k, i);
		return;
	}
	if (!read_program(k, i, &now))
		return;
	window = now.since_ns - begin->since_ns;
	c->window_runs = now.runs - begin->runs;
	c->window_ns = less_clock(k, now.ns - begin->ns, c->window_runs);
	c->missed += now.missed - last->missed;
	if (exact) {
		c->runs += now.runs - last->runs;
		c->run_ns += less_clock(k, now.ns - last->ns, now.runs - last->runs);
	} else {
		c->runs += scale(c->window_runs, now.since_ns - last->since_ns, window);
		c->run_ns += scale(c->window_ns, now.since_ns - last->since_ns, window);
	}
	*last = now;
}

void cgm_kernel_cost_end(struct cgm_kernel *k)
{
	bool on = somebody_counts();

	if (!k->skel || !k->begin_ns)
		return;
	measure_clock(k);
	k->windows.exact = on && k->stats_were_on;
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		account(k, i, k->windows.exact);
	close(k->stats_fd);
	k->stats_fd = -1;
	k->windows.last_ns = cgm_clock_mono_ns() - k->begin_ns;
	k->windows.open_ns += k->windows.last_ns;
	k->windows.nr++;
	k->begin_ns = 0;
	k->stats_were_on = on;
	cgm_cost_read_maps(k);
}

struct cgm_cost_windows cgm_kernel_cost_windows(const struct cgm_kernel *k)
{
	return k->windows;
}

/* The chunks behind an outer map count as its own. */
static uint64_t map_bytes(const struct cgm_kernel *k, const struct bpf_map *map)
{
	uint64_t bytes = cgm_map_memory(bpf_map__fd(map));

	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++)
		if (k->rows[i].outer == map)
			bytes += k->rows[i].bytes;
	return bytes;
}

void cgm_cost_read_maps(struct cgm_kernel *k)
{
	size_t nr = 0, room = 0;
	struct bpf_map *map;

	bpf_object__for_each_map(map, k->skel->obj)
		room++;
	room++; /* rows of bulk reading, which grow at each sweep that finds no room */
	if (!k->maps)
		k->maps = cgm_calloc(room, sizeof(*k->maps));
	k->map_bytes = 0;
	bpf_object__for_each_map(map, k->skel->obj) {
		uint64_t bytes;

		if (!bpf_map__autocreate(map))
			continue;
		bytes = map_bytes(k, map);
		k->map_bytes += bytes;
		if (!k->maps)
			continue;
		snprintf(k->maps[nr].name, sizeof(k->maps[nr].name), "%s", map == k->skel->maps.rodata ? "cgm_config" : bpf_map__name(map));
		k->maps[nr++].bytes = bytes;
	}
	if (k->maps)
		snprintf(k->maps[nr++].name, sizeof(k->maps[0].name), "cgm_stat_rows");
	k->nr_maps = nr;
}

size_t cgm_kernel_maps(const struct cgm_kernel *k, const struct cgm_map **ret)
{
	*ret = k->maps;
	if (!k->skel || !k->maps)
		return 0;
	k->maps[k->nr_maps - 1].bytes = cgm_stats_map_bytes(k);
	return k->nr_maps;
}
