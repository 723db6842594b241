// SPDX-License-Identifier: Apache-2.0
/* The files of cgroup v1 controllers: text to values. */
#include "cgroup/reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define NS_PER_TICK 10000000ULL /* USER_HZ is 100 on every architecture that we build for */
#define MAX_CPUS 4096

static uint64_t mul(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_mul_overflow(a, b, &v) ? UINT64_MAX : v;
}

/*
 * Numbers of all possible CPUs; a virtual machine lists many that never come: those beyond the present ones are left out while
 * they are 0. The total is the sum of this same read, so that it never disagrees with its parts.
 */
void cgm_v1_percpu(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t all[MAX_CPUS], sum = 0;
	size_t nr = cgm_text_numbers(text, all, MAX_CPUS);

	while (nr > r->t->nr_cpus && !all[nr - 1])
		nr--;
	if (!nr)
		return;
	if (nr > r->cap_cpus) {
		uint64_t *p = cgm_realloc(r->cpu_ns, nr * sizeof(*p));

		if (!p)
			return;
		r->cpu_ns = p;
		r->cap_cpus = nr;
	}
	for (size_t i = 0; i < nr; i++)
		if (__builtin_add_overflow(sum, all[i], &sum))
			sum = UINT64_MAX;
	memcpy(r->cpu_ns, all, nr * sizeof(*all));
	r->nr_cpus = nr;
	cgm_reader_set(r, CGM_V_CPU_USAGE_TOTAL, sum);
}

void cgm_v1_cpuacct_stat(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v[CGM_NR_CPU], seen = cgm_text_keys(text, &cgm_cpu_stat_keys, v);

	if (seen >> CGM_CPU_USER & 1)
		cgm_reader_set(r, CGM_V_CPU_USAGE_USER, mul(v[CGM_CPU_USER], NS_PER_TICK));
	if (seen >> CGM_CPU_SYSTEM & 1)
		cgm_reader_set(r, CGM_V_CPU_USAGE_SYSTEM, mul(v[CGM_CPU_SYSTEM], NS_PER_TICK));
}

/* nr_periods counts only under a quota: once it is above 0 the file is read at every sample. */
void cgm_v1_cpu_stat(struct cgm_reader *r, struct cgm_str text)
{
	static const struct {
		uint8_t key;
		enum cgm_value id;
	} map[] = {
		{ CGM_CPU_NR_PERIODS, CGM_V_CPU_CFS_PERIODS },	    { CGM_CPU_NR_THROTTLED, CGM_V_CPU_CFS_THROTTLED_PERIODS },
		{ CGM_CPU_THROTTLED_TIME, CGM_V_CPU_CFS_THROTTLED_TIME }, { CGM_CPU_NR_BURSTS, CGM_V_CPU_CFS_BURST_PERIODS },
		{ CGM_CPU_BURST_TIME, CGM_V_CPU_CFS_BURST_TIME },
	};
	uint64_t v[CGM_NR_CPU], seen = cgm_text_keys(text, &cgm_cpu_stat_keys, v);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (seen >> map[i].key & 1)
			cgm_reader_set(r, map[i].id, v[map[i].key]);
	if (seen >> CGM_CPU_NR_PERIODS & 1 && v[CGM_CPU_NR_PERIODS])
		r->has_quota = true;
}

/*
 * The sums over the subtree, like usage_in_bytes. The page faults of the cgroup itself are told apart; the refaults' sums are
 * taken where the kernel has them, so that a parent never shows less than its children.
 */
void cgm_v1_memory_stat(struct cgm_reader *r, struct cgm_str text)
{
	static const struct {
		uint8_t key;
		enum cgm_value id;
	} map[] = {
		{ CGM_MS1_TOTAL_CACHE, CGM_V_MEMORY_CACHE },
		{ CGM_MS1_TOTAL_RSS, CGM_V_MEMORY_RSS },
		{ CGM_MS1_TOTAL_SWAP, CGM_V_MEMORY_SWAP },
		{ CGM_MS1_TOTAL_MAPPED_FILE, CGM_V_MEMORY_MAPPED_FILE },
		{ CGM_MS1_TOTAL_DIRTY, CGM_V_MEMORY_FILE_DIRTY },
		{ CGM_MS1_TOTAL_WRITEBACK, CGM_V_MEMORY_FILE_WRITEBACK },
		{ CGM_MS1_TOTAL_ACTIVE_FILE, CGM_V_MEMORY_ACTIVE_FILE },
		{ CGM_MS1_TOTAL_INACTIVE_FILE, CGM_V_MEMORY_INACTIVE_FILE },
		{ CGM_MS1_REFAULT_FILE, CGM_V_MEMORY_REFAULT_FILE },
		{ CGM_MS1_REFAULT_ANON, CGM_V_MEMORY_REFAULT_ANON },
		{ CGM_MS1_TOTAL_REFAULT_FILE, CGM_V_MEMORY_REFAULT_FILE },
		{ CGM_MS1_TOTAL_REFAULT_ANON, CGM_V_MEMORY_REFAULT_ANON },
		{ CGM_MS1_PGFAULT, CGM_V_MEMORY_PGFAULT },
		{ CGM_MS1_PGMAJFAULT, CGM_V_MEMORY_PGMAJFAULT },
		{ CGM_MS1_TOTAL_PGFAULT, CGM_V_MEMORY_TOTAL_PGFAULT },
		{ CGM_MS1_TOTAL_PGMAJFAULT, CGM_V_MEMORY_TOTAL_PGMAJFAULT },
	};
	uint64_t v[CGM_NR_MS1], seen = cgm_text_keys(text, &cgm_memory_stat_v1_keys, v);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (seen >> map[i].key & 1)
			cgm_reader_set(r, map[i].id, v[map[i].key]);
}

static struct cgm_numa_row *numa_row(struct cgm_reader *r, uint32_t node)
{
	struct cgm_numa_row *row;

	for (size_t i = 0; i < r->nr_numa; i++)
		if (r->numa[i].node == node)
			return &r->numa[i];
	if (cgm_grow((void **)&r->numa, &r->cap_numa, r->nr_numa, sizeof(*r->numa)) < 0)
		return NULL;
	row = &r->numa[r->nr_numa++];
	*row = (struct cgm_numa_row){ .node = node };
	return row;
}

/* Out of memory leaves the node out until the next reading. */
static int numa_v1(void *arg, struct cgm_str kind, uint32_t node, uint64_t value)
{
	static const struct {
		const char *kind;
		enum cgm_numa_value id;
	} map[] = {
		{ "file", CGM_NUMA_FILE },
		{ "anon", CGM_NUMA_ANON },
		{ "unevictable", CGM_NUMA_UNEVICTABLE },
		{ "hierarchical_file", CGM_NUMA_TOTAL_FILE },
		{ "hierarchical_anon", CGM_NUMA_TOTAL_ANON },
		{ "hierarchical_unevictable", CGM_NUMA_TOTAL_UNEVICTABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		struct cgm_numa_row *row = cgm_str_eq(kind, map[i].kind) ? numa_row(arg, node) : NULL;

		if (row)
			row->v[map[i].id] = value;
	}
	return 0;
}

void cgm_v1_memory_numa(struct cgm_reader *r, struct cgm_str text)
{
	cgm_text_numa(text, numa_v1, r);
}

/* Bytes, and sums over the subtree; what the cgroup has by itself is not told apart, as with its page faults. */
static int numa_v2(void *arg, struct cgm_str kind, uint32_t node, uint64_t value)
{
	static const struct {
		const char *kind;
		enum cgm_numa_value own, total;
	} map[] = {
		{ "file", CGM_NUMA_FILE, CGM_NUMA_TOTAL_FILE },
		{ "anon", CGM_NUMA_ANON, CGM_NUMA_TOTAL_ANON },
		{ "unevictable", CGM_NUMA_UNEVICTABLE, CGM_NUMA_TOTAL_UNEVICTABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		struct cgm_numa_row *row = cgm_str_eq(kind, map[i].kind) ? numa_row(arg, node) : NULL;

		if (row)
			row->v[map[i].own] = row->v[map[i].total] = value / (uint64_t)sysconf(_SC_PAGESIZE);
	}
	return 0;
}

void cgm_v2_memory_numa(struct cgm_reader *r, struct cgm_str text)
{
	cgm_text_numa(text, numa_v2, r);
}

void cgm_v1_memory_oom(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v[CGM_NR_EV], seen = cgm_text_keys(text, &cgm_memory_events_keys, v);

	if (seen >> CGM_EV_OOM_KILL & 1)
		cgm_reader_set(r, CGM_V_OOM_EVENTS, v[CGM_EV_OOM_KILL]);
}

static void one_number(struct cgm_reader *r, enum cgm_value id, struct cgm_str text)
{
	uint64_t v;

	if (cgm_text_number(text, &v) == 0)
		cgm_reader_set(r, id, v);
}

void cgm_v1_cpu_usage(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_CPU_USAGE_TOTAL, text);
}

void cgm_v1_memory_migrate(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_MEMORY_MIGRATE, text);
}

/* memory.max_usage_in_bytes and memory.peak. */
void cgm_v1_memory_max_usage(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_MEMORY_MAX_USAGE, text);
}

void cgm_v1_memory_kmem(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_MEMORY_KERNEL, text);
}

void cgm_v1_memory_failcnt(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_MEMORY_FAILCNT, text);
}

/* memory.usage_in_bytes and memory.current. */
void cgm_memory_usage(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v;

	if (cgm_text_number(text, &v) < 0)
		return;
	r->nr_moves += r->v[CGM_V_MEMORY_USAGE] != v;
	r->usage_moved = r->usage_moved || !cgm_reader_has(r, CGM_V_MEMORY_USAGE) || r->v[CGM_V_MEMORY_USAGE] != v;
	cgm_reader_set(r, CGM_V_MEMORY_USAGE, v);
}

void cgm_pids_current(struct cgm_reader *r, struct cgm_str text)
{
	one_number(r, CGM_V_THREADS_CURRENT, text);
}

/* 0 means no limit in cAdvisor's threads_max. */
void cgm_pids_max(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v;

	if (cgm_text_number(text, &v) == 0)
		cgm_reader_set(r, CGM_V_THREADS_MAX, v == UINT64_MAX ? 0 : v);
}
