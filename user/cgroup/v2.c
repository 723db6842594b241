// SPDX-License-Identifier: Apache-2.0
/* The files of cgroup v2, and the pressure files, which a hybrid machine has too: text to values. */
#include "cgroup/reader.h"

#include "base/cleanup.h"
#include "base/clock.h"

static uint64_t usec_to_ns(uint64_t usec)
{
	return usec > UINT64_MAX / CGM_NSEC_PER_USEC ? UINT64_MAX : usec * CGM_NSEC_PER_USEC;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t v;

	return __builtin_add_overflow(a, b, &v) ? UINT64_MAX : v;
}

void cgm_v2_cpu_stat(struct cgm_reader *r, struct cgm_str text)
{
	static const struct {
		uint8_t key;
		bool usec;
		enum cgm_value id;
	} map[] = {
		{ CGM_CPU_USAGE_USEC, true, CGM_V_CPU_USAGE_TOTAL },
		{ CGM_CPU_USER_USEC, true, CGM_V_CPU_USAGE_USER },
		{ CGM_CPU_SYSTEM_USEC, true, CGM_V_CPU_USAGE_SYSTEM },
		{ CGM_CPU_NR_PERIODS, false, CGM_V_CPU_CFS_PERIODS },
		{ CGM_CPU_NR_THROTTLED, false, CGM_V_CPU_CFS_THROTTLED_PERIODS },
		{ CGM_CPU_THROTTLED_USEC, true, CGM_V_CPU_CFS_THROTTLED_TIME },
		{ CGM_CPU_NR_BURSTS, false, CGM_V_CPU_CFS_BURST_PERIODS },
		{ CGM_CPU_BURST_USEC, true, CGM_V_CPU_CFS_BURST_TIME },
	};
	uint64_t v[CGM_NR_CPU], seen = cgm_text_keys(text, &cgm_cpu_stat_keys, v);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (seen >> map[i].key & 1)
			cgm_reader_set(r, map[i].id, map[i].usec ? usec_to_ns(v[map[i].key]) : v[map[i].key]);
}

/* memory.stat "kernel" is new in 5.18 (a8c49af3be5f); before, the sum of what makes it up. */
static void kernel_memory(struct cgm_reader *r, const uint64_t *v, uint64_t seen)
{
	static const uint8_t parts[] = { CGM_MS2_KERNEL_STACK, CGM_MS2_PAGETABLES, CGM_MS2_SEC_PAGETABLES,
					 CGM_MS2_PERCPU,       CGM_MS2_VMALLOC,	   CGM_MS2_SLAB };
	uint64_t sum = 0;
	bool any = false;

	if (seen >> CGM_MS2_KERNEL & 1) {
		cgm_reader_set(r, CGM_V_MEMORY_KERNEL, v[CGM_MS2_KERNEL]);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!(seen >> parts[i] & 1))
			continue;
		sum = add(sum, v[parts[i]]);
		any = true;
	}
	if (any)
		cgm_reader_set(r, CGM_V_MEMORY_KERNEL, sum);
}

/* All of it is hierarchical on v2; so the cgroup's own page faults are not told apart. The root has no memory.current. */
void cgm_v2_memory_stat(struct cgm_reader *r, struct cgm_str text)
{
	static const struct {
		uint8_t key;
		enum cgm_value id;
	} map[] = {
		{ CGM_MS2_FILE, CGM_V_MEMORY_CACHE },
		{ CGM_MS2_ANON, CGM_V_MEMORY_RSS },
		{ CGM_MS2_FILE_MAPPED, CGM_V_MEMORY_MAPPED_FILE },
		{ CGM_MS2_FILE_DIRTY, CGM_V_MEMORY_FILE_DIRTY },
		{ CGM_MS2_FILE_WRITEBACK, CGM_V_MEMORY_FILE_WRITEBACK },
		{ CGM_MS2_ACTIVE_FILE, CGM_V_MEMORY_ACTIVE_FILE },
		{ CGM_MS2_INACTIVE_FILE, CGM_V_MEMORY_INACTIVE_FILE },
		{ CGM_MS2_REFAULT_FILE, CGM_V_MEMORY_REFAULT_FILE },
		{ CGM_MS2_REFAULT_ANON, CGM_V_MEMORY_REFAULT_ANON },
		{ CGM_MS2_PGSCAN, CGM_V_MEMORY_PGSCAN },
		{ CGM_MS2_PGSTEAL, CGM_V_MEMORY_PGSTEAL },
		{ CGM_MS2_PGFAULT, CGM_V_MEMORY_PGFAULT },
		{ CGM_MS2_PGMAJFAULT, CGM_V_MEMORY_PGMAJFAULT },
		{ CGM_MS2_PGFAULT, CGM_V_MEMORY_TOTAL_PGFAULT },
		{ CGM_MS2_PGMAJFAULT, CGM_V_MEMORY_TOTAL_PGMAJFAULT },
	};
	uint64_t v[CGM_NR_MS2], seen = cgm_text_keys(text, &cgm_memory_stat_v2_keys, v);

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if (seen >> map[i].key & 1)
			cgm_reader_set(r, map[i].id, v[map[i].key]);
	kernel_memory(r, v, seen);
	if (r->is_root && seen >> CGM_MS2_ANON & 1 && seen >> CGM_MS2_FILE & 1)
		cgm_reader_set(r, CGM_V_MEMORY_USAGE, add(v[CGM_MS2_ANON], v[CGM_MS2_FILE]));
}

/*
 * failcnt is how often this cgroup's own limit was hit: v2 calls that max. memory.events adds up the whole subtree; it stands in where the kernel
 * has no memory.events.local (before 5.2, 1e577f970f66).
 */
void cgm_v2_memory_local_events(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v[CGM_NR_EV], seen = cgm_text_keys(text, &cgm_memory_events_keys, v);

	if (seen >> CGM_EV_MAX & 1)
		cgm_reader_set(r, CGM_V_MEMORY_FAILCNT, v[CGM_EV_MAX]);
	if (seen >> CGM_EV_OOM_KILL & 1)
		cgm_reader_set(r, CGM_V_OOM_KILLS_OWN, v[CGM_EV_OOM_KILL]);
}

void cgm_v2_memory_events(struct cgm_reader *r, struct cgm_str text)
{
	static const struct {
		unsigned key;
		enum cgm_value value;
	} others[] = {
		{ CGM_EV_LOW, CGM_V_MEMORY_EVENTS_LOW },
		{ CGM_EV_OOM, CGM_V_MEMORY_EVENTS_OOM },
		{ CGM_EV_OOM_KILL, CGM_V_OOM_EVENTS },
		{ CGM_EV_OOM_GROUP_KILL, CGM_V_MEMORY_EVENTS_OOM_GROUP_KILL },
		{ CGM_EV_SOCK_THROTTLED, CGM_V_MEMORY_EVENTS_SOCK_THROTTLED },
	};
	uint64_t v[CGM_NR_EV], seen = cgm_text_keys(text, &cgm_memory_events_keys, v);

	if (seen >> CGM_EV_HIGH & 1)
		cgm_reader_set(r, CGM_V_MEMORY_EVENTS_HIGH, v[CGM_EV_HIGH]);
	if (seen >> CGM_EV_MAX & 1) {
		cgm_reader_set(r, CGM_V_MEMORY_EVENTS_MAX, v[CGM_EV_MAX]);
		if (r->absent >> CGM_FILE_V2_MEMORY_LOCAL_EVENTS & 1)
			cgm_reader_set(r, CGM_V_MEMORY_FAILCNT, v[CGM_EV_MAX]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (seen >> others[i].key & 1)
			cgm_reader_set(r, others[i].value, v[others[i].key]);
}

void cgm_v2_memory_swap(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t v;

	if (cgm_text_number(text, &v) == 0)
		cgm_reader_set(r, CGM_V_MEMORY_SWAP, v);
}

/* "/" has no memory.swap.current: the machine's, from meminfo. */
void cgm_v2_root_swap(struct cgm_reader *r, struct cgm_str text)
{
	uint64_t total, available;

	if (cgm_text_meminfo(text, "SwapTotal", &total) == 0 && cgm_text_meminfo(text, "SwapFree", &available) == 0)
		cgm_reader_set(r, CGM_V_MEMORY_SWAP, total > available ? total - available : 0);
}

/* The eight values of a resource stand together, full before some, in the order total, avg10, avg60, avg300. */
static void psi_line(struct cgm_reader *r, enum cgm_value first, const struct cgm_pressure_line *l)
{
	if (!l->present)
		return;
	cgm_reader_set(r, first, l->total_usec);
	cgm_reader_set(r, first + 1, l->avg10);
	cgm_reader_set(r, first + 2, l->avg60);
	cgm_reader_set(r, first + 3, l->avg300);
}

static void psi(struct cgm_reader *r, enum cgm_value first, struct cgm_str text)
{
	struct cgm_pressure p;

	cgm_text_pressure(text, &p);
	psi_line(r, first, &p.full);
	psi_line(r, first + 4, &p.some);
}

#define ASSERT_PSI_ORDER(res)                                                                                                 \
	_Static_assert(CGM_V_##res##_PSI_FULL_AVG10 == CGM_V_##res##_PSI_FULL_TOTAL + 1 &&                                     \
			       CGM_V_##res##_PSI_FULL_AVG60 == CGM_V_##res##_PSI_FULL_TOTAL + 2 &&                             \
			       CGM_V_##res##_PSI_FULL_AVG300 == CGM_V_##res##_PSI_FULL_TOTAL + 3 &&                            \
			       CGM_V_##res##_PSI_SOME_TOTAL == CGM_V_##res##_PSI_FULL_TOTAL + 4 &&                             \
			       CGM_V_##res##_PSI_SOME_AVG10 == CGM_V_##res##_PSI_FULL_TOTAL + 5 &&                             \
			       CGM_V_##res##_PSI_SOME_AVG60 == CGM_V_##res##_PSI_FULL_TOTAL + 6 &&                             \
			       CGM_V_##res##_PSI_SOME_AVG300 == CGM_V_##res##_PSI_FULL_TOTAL + 7,                              \
		       "psi_line relies on this order of metrics.def")
ASSERT_PSI_ORDER(CPU);
ASSERT_PSI_ORDER(MEMORY);
ASSERT_PSI_ORDER(IO);

void cgm_psi_cpu(struct cgm_reader *r, struct cgm_str text)
{
	psi(r, CGM_V_CPU_PSI_FULL_TOTAL, text);
}

void cgm_psi_memory(struct cgm_reader *r, struct cgm_str text)
{
	psi(r, CGM_V_MEMORY_PSI_FULL_TOTAL, text);
}

void cgm_psi_io(struct cgm_reader *r, struct cgm_str text)
{
	psi(r, CGM_V_IO_PSI_FULL_TOTAL, text);
}

void cgm_psi_irq(struct cgm_reader *r, struct cgm_str text)
{
	struct cgm_pressure p;

	cgm_text_pressure(text, &p);
	if (p.full.present)
		cgm_reader_set(r, CGM_V_IRQ_PSI_FULL_TOTAL, p.full.total_usec);
}
