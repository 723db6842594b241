// SPDX-License-Identifier: Apache-2.0
/* Rows of bulk reading to values, as the files would show them. */
#include "base/cleanup.h"
#include "kernel/internal.h"
#include "kernel/stat.h"

#define PIDS_MAX ((1ULL << 22) + 1) /* PID_MAX_LIMIT + 1 of 64-bit kernels: "max" */

const void *cgm_stat_find(struct cgm_stats *s, unsigned kind, uint64_t id, uint32_t *hint)
{
	struct cgm_stat_rows *r = &s->rows[kind];
	uint32_t nr = s->head->nr[kind];
	uintptr_t found;

	if (!id || !nr)
		return NULL;
	if (*hint >= nr || cgm_stat_id_of(r, *hint) != id) {
		for (uint32_t i = 0; i < nr && !r->hashed; i++)
			if (cgm_hash_put_u64(&r->by_id, cgm_stat_id_of(r, i), (void *)(uintptr_t)(i + 1)) < 0)
				return NULL;
		r->hashed = true;
		found = (uintptr_t)cgm_hash_get_u64(&r->by_id, id);
		if (!found)
			return NULL;
		*hint = (uint32_t)found - 1;
	}
	return (const char *)r->p + *hint * r->value_bytes;
}

static void fill_cfs(const struct cgm_stat_cfs *c, struct cgm_bulk *b)
{
	cgm_bulk_group(b, CGM_BULK_CPU_CFS);
	if (!c)
		return;
	cgm_bulk_set(b, CGM_BULK_CPU_CFS, CGM_V_CPU_CFS_PERIODS, c->nr_periods);
	cgm_bulk_set(b, CGM_BULK_CPU_CFS, CGM_V_CPU_CFS_THROTTLED_PERIODS, c->nr_throttled);
	cgm_bulk_set(b, CGM_BULK_CPU_CFS, CGM_V_CPU_CFS_THROTTLED_TIME, c->throttled_ns);
	if (c->present & CGM_STAT_HAS_BURST) {
		cgm_bulk_set(b, CGM_BULK_CPU_CFS, CGM_V_CPU_CFS_BURST_PERIODS, c->nr_bursts);
		cgm_bulk_set(b, CGM_BULK_CPU_CFS, CGM_V_CPU_CFS_BURST_TIME, c->burst_ns);
	}
}

/* cputime_adjust() of kernel/sched/cputime.c: the usage in the proportion of the ticks, but neither part less than it was. */
static void split_time(struct cgm_stat_ref *ref, const struct cgm_stat_time *t)
{
	uint64_t usage = t->usage_ns, usr, sys;

	if (!ref->shown) {
		ref->user_ns = t->shown_user_ns;
		ref->system_ns = t->shown_system_ns;
		ref->shown = true;
	}
	if (ref->user_ns + ref->system_ns >= usage)
		return;
	sys = t->system_ns;
	if (!sys || !t->user_ns)
		sys = sys ? usage : 0;
	else
		sys = (uint64_t)((unsigned __int128)sys * usage / (sys + t->user_ns));
	sys = MAX(sys, ref->system_ns);
	usr = usage - sys;
	if (usr < ref->user_ns) {
		usr = ref->user_ns;
		sys = usage - usr;
	}
	ref->user_ns = usr;
	ref->system_ns = sys;
}

static void fill_time(const struct cgm_kernel *k, struct cgm_stat_ref *ref, const struct cgm_stat_time *t, struct cgm_bulk *b)
{
	const struct cgm_stats *s = k->stats;
	const uint64_t *cpus =
		(const uint64_t *)s->rows[CGM_STAT_CPUS].p + (size_t)ref->row[CGM_STAT_TIME] * s->cells * CGM_STAT_CPUS_PER_CELL;

	if (!t || (!k->config.stat.time_v2 && !(t->present & CGM_STAT_HAS_CPUS)))
		return;
	cgm_bulk_group(b, CGM_BULK_CPU_TIME);
	cgm_bulk_set(b, CGM_BULK_CPU_TIME, CGM_V_CPU_USAGE_TOTAL, t->usage_ns);
	split_time(ref, t);
	cgm_bulk_group(b, CGM_BULK_CPU_SPLIT);
	cgm_bulk_set(b, CGM_BULK_CPU_SPLIT, CGM_V_CPU_USAGE_USER, ref->user_ns);
	cgm_bulk_set(b, CGM_BULK_CPU_SPLIT, CGM_V_CPU_USAGE_SYSTEM, ref->system_ns);
	if (!(t->present & CGM_STAT_HAS_CPUS))
		return;
	/* A virtual machine has many possible CPUs that never come. */
	b->cpu_ns = cpus;
	b->nr_cpus = s->nr_cpus;
	while (b->nr_cpus > k->config.stat.nr_cpus && !cpus[b->nr_cpus - 1])
		b->nr_cpus--;
}

static void fill_memory_stat(const struct cgm_stats *s, const struct cgm_stat_memory *m, struct cgm_bulk *b)
{
	static const struct {
		uint8_t pick;
		enum cgm_value id, also;
	} map[] = {
		{CGM_PICK_FILE, CGM_V_MEMORY_CACHE, 0},
		{CGM_PICK_ANON, CGM_V_MEMORY_RSS, 0},
		{CGM_PICK_SWAP, CGM_V_MEMORY_SWAP, 0},
		{CGM_PICK_MAPPED, CGM_V_MEMORY_MAPPED_FILE, 0},
		{CGM_PICK_DIRTY, CGM_V_MEMORY_FILE_DIRTY, 0},
		{CGM_PICK_WRITEBACK, CGM_V_MEMORY_FILE_WRITEBACK, 0},
		{CGM_PICK_ACTIVE_FILE, CGM_V_MEMORY_ACTIVE_FILE, 0},
		{CGM_PICK_INACTIVE_FILE, CGM_V_MEMORY_INACTIVE_FILE, 0},
		{CGM_PICK_REFAULT_FILE, CGM_V_MEMORY_REFAULT_FILE, 0},
		{CGM_PICK_REFAULT_ANON, CGM_V_MEMORY_REFAULT_ANON, 0},
		{CGM_PICK_KERNEL, CGM_V_MEMORY_KERNEL, 0},
		/* On v2 nobody tells a cgroup's own from its descendants'; on v1 the lines below overwrite it. */
		{CGM_PICK_PGFAULT, CGM_V_MEMORY_TOTAL_PGFAULT, CGM_V_MEMORY_PGFAULT},
		{CGM_PICK_PGMAJFAULT, CGM_V_MEMORY_TOTAL_PGMAJFAULT, CGM_V_MEMORY_PGMAJFAULT},
		{CGM_PICK_OWN_PGFAULT, CGM_V_MEMORY_PGFAULT, 0},
		{CGM_PICK_OWN_PGMAJFAULT, CGM_V_MEMORY_PGMAJFAULT, 0},
	};

	cgm_bulk_group(b, CGM_BULK_MEMORY_STAT);
	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		uint64_t v = cgm_slots_value(&s->slots, map[i].pick, m->picks[map[i].pick]);

		if (!s->slots.pick[map[i].pick].present)
			continue;
		cgm_bulk_set(b, CGM_BULK_MEMORY_STAT, map[i].id, v);
		if (map[i].also)
			cgm_bulk_set(b, CGM_BULK_MEMORY_STAT, map[i].also, v);
	}
	for (unsigned first = CGM_PICK_PGSCAN; first <= CGM_PICK_PGSTEAL && s->slots.v2; first += 4) {
		uint64_t sum = 0;

		for (unsigned p = first; p < first + 4; p++)
			sum += s->slots.pick[p].present ? cgm_slots_value(&s->slots, p, m->picks[p]) : 0;
		cgm_bulk_set(b, CGM_BULK_MEMORY_STAT, first == CGM_PICK_PGSCAN ? CGM_V_MEMORY_PGSCAN : CGM_V_MEMORY_PGSTEAL, sum);
	}
}

static void set_one(struct cgm_bulk *b, enum cgm_bulk_group g, enum cgm_value id, uint64_t v)
{
	cgm_bulk_group(b, g);
	cgm_bulk_set(b, g, id, v);
}

static void fill_memory(const struct cgm_kernel *k, const struct cgm_stat_memory *m, struct cgm_bulk *b)
{
	const struct cgm_stats *s = k->stats;
	uint64_t page = s->slots.page_bytes;
	bool usable = s->slots_usable && !s->slots.broken && (k->config.stat.memory_v2 || m->present & CGM_STAT_HAS_LOCAL);

	set_one(b, CGM_BULK_MEMORY_USAGE, CGM_V_MEMORY_USAGE, m->usage_pages * page);
	set_one(b, CGM_BULK_MEMORY_PEAK, CGM_V_MEMORY_MAX_USAGE, m->peak_pages * page);
	set_one(b, CGM_BULK_MEMORY_EVENTS, CGM_V_OOM_EVENTS, m->events_oom_kill);
	if (k->config.stat.memory_v2) {
		cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_HIGH, m->events_high);
		cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_MAX, m->events_max);
		cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_LOW, m->events_low);
		cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_OOM, m->events_oom);
		cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_OOM_GROUP_KILL, m->events_oom_group_kill);
		if (m->present & CGM_STAT_HAS_SOCK_THROTTLED)
			cgm_bulk_set(b, CGM_BULK_MEMORY_EVENTS, CGM_V_MEMORY_EVENTS_SOCK_THROTTLED, m->events_sock_throttled);
		set_one(b, CGM_BULK_MEMORY_LOCAL_EVENTS, CGM_V_MEMORY_FAILCNT, m->local_events_max);
		cgm_bulk_set(b, CGM_BULK_MEMORY_LOCAL_EVENTS, CGM_V_OOM_KILLS_OWN, m->local_events_oom_kill);
		set_one(b, CGM_BULK_MEMORY_SWAP, CGM_V_MEMORY_SWAP, m->swap_pages * page);
	} else {
		set_one(b, CGM_BULK_MEMORY_FAILCNT, CGM_V_MEMORY_FAILCNT, m->failcnt);
		if (m->present & CGM_STAT_HAS_KMEM)
			set_one(b, CGM_BULK_MEMORY_KERNEL, CGM_V_MEMORY_KERNEL, m->kmem_pages * page);
	}
	b->unsure = usable && m->present & CGM_STAT_UNSURE;
	if (usable && !b->unsure)
		fill_memory_stat(s, m, b);
}

#define FSHIFT 11
#define FIXED_1 (1UL << FSHIFT)
#define PSI_PERIOD_NS 2000000000ULL

/*
 * The averages of a cgroup whose tasks have slept for a while are as old as its last activity; a file makes them anew when it is read, and so does
 * this: for each period that was missed, and the one under way, nothing is added. calc_load_n() and calc_load() of kernel/sched/loadavg.c with
 * nothing active, fixed_power_int() for the power.
 */
static uint64_t decayed(uint64_t avg, unsigned long exp, uint64_t nr_periods)
{
	uint64_t power = FIXED_1;

	for (; nr_periods; nr_periods >>= 1) {
		if (nr_periods & 1)
			power = (power * exp + (1UL << (FSHIFT - 1))) >> FSHIFT;
		exp = (exp * exp + (1UL << (FSHIFT - 1))) >> FSHIFT;
	}
	return avg * power / FIXED_1;
}

uint64_t cgm_psi_average(uint64_t avg, unsigned window, uint64_t next_update_ns, uint64_t now_ns)
{
	static const unsigned long exps[] = {1677, 1981, 2034}; /* FIXED_1 / e^(2 s / 10 s, 60 s, 300 s) */

	if (now_ns > next_update_ns) /* and a period is missed when it is longer than one */
		avg = decayed(decayed(avg, exps[window], (now_ns - next_update_ns) / PSI_PERIOD_NS), exps[window], 1);
	return (avg >> FSHIFT) * 100 + ((avg & (FIXED_1 - 1)) * 100 >> FSHIFT);
}

/* first: the total; the averages stand behind it, if wanted. */
static void fill_psi_state(const struct cgm_stat_psi *p, unsigned state, enum cgm_value first, bool averages, enum cgm_bulk_group g,
	struct cgm_bulk *b)
{
	if (!(p->present >> state & 1))
		return;
	cgm_bulk_set(b, g, first, p->total_ns[state] / 1000);
	for (unsigned w = 0; averages && w < 3; w++)
		cgm_bulk_set(b, g, first + 1 + w, cgm_psi_average(p->avg[state][w], w, p->next_update_ns, p->now_ns));
}

static void fill_psi(const struct cgm_stat_psi *p, struct cgm_bulk *b)
{
	static const struct {
		enum cgm_bulk_group group;
		enum cgm_value full;
		uint8_t some_state, full_state;
	} map[] = {
		{CGM_BULK_PSI_CPU, CGM_V_CPU_PSI_FULL_TOTAL, CGM_PSI_CPU_SOME, CGM_PSI_CPU_FULL},
		{CGM_BULK_PSI_MEMORY, CGM_V_MEMORY_PSI_FULL_TOTAL, CGM_PSI_MEMORY_SOME, CGM_PSI_MEMORY_FULL},
		{CGM_BULK_PSI_IO, CGM_V_IO_PSI_FULL_TOTAL, CGM_PSI_IO_SOME, CGM_PSI_IO_FULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		cgm_bulk_group(b, map[i].group);
		fill_psi_state(p, map[i].full_state, map[i].full, true, map[i].group, b);
		fill_psi_state(p, map[i].some_state, map[i].full + 4, true, map[i].group, b);
	}
	cgm_bulk_group(b, CGM_BULK_PSI_IRQ);
	fill_psi_state(p, CGM_PSI_IRQ_FULL, CGM_V_IRQ_PSI_FULL_TOTAL, false, CGM_BULK_PSI_IRQ, b);
}

/* The limits, for whoever wants to know that none has changed. */
static uint64_t digest(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

void cgm_kernel_stat(struct cgm_kernel *k, struct cgm_stat_ref *ref, struct cgm_bulk *ret)
{
	struct cgm_stats *s = k->stats;
	const struct cgm_stat_memory *m;
	const struct cgm_stat_pids *p;
	const struct cgm_stat_psi *psi;
	const struct cgm_stat_cfs *c;
	uint64_t settings = 1;

	ret->groups = 0;
	ret->unsure = false;
	ret->settings = 0;
	ret->nr_cpus = 0;
	if (!s || !s->valid)
		return;
	c = cgm_stat_find(s, CGM_STAT_CFS, ref->id[CGM_STAT_CFS], &ref->row[CGM_STAT_CFS]);
	m = cgm_stat_find(s, CGM_STAT_MEMORY, ref->id[CGM_STAT_MEMORY], &ref->row[CGM_STAT_MEMORY]);
	p = cgm_stat_find(s, CGM_STAT_PIDS, ref->id[CGM_STAT_PIDS], &ref->row[CGM_STAT_PIDS]);
	psi = cgm_stat_find(s, CGM_STAT_PSI, ref->id[CGM_STAT_PSI], &ref->row[CGM_STAT_PSI]);
	if (psi)
		fill_psi(psi, ret);
	fill_time(k, ref, cgm_stat_find(s, CGM_STAT_TIME, ref->id[CGM_STAT_TIME], &ref->row[CGM_STAT_TIME]), ret);
	if (c || ret->groups >> CGM_BULK_CPU_TIME & 1)
		fill_cfs(c, ret);
	if (c)
		settings = digest(digest(digest(settings, c->quota_ns), c->period_ns), c->shares);
	if (m) {
		fill_memory(k, m, ret);
		settings = digest(digest(settings, m->max_pages), m->swap_max_pages);
		settings = digest(digest(settings, m->min_pages), m->soft_limit_pages);
	}
	if (p) {
		set_one(ret, CGM_BULK_PIDS, CGM_V_THREADS_CURRENT, p->current);
		cgm_bulk_set(ret, CGM_BULK_PIDS, CGM_V_THREADS_MAX, p->max >= PIDS_MAX ? 0 : p->max);
		settings = digest(settings, p->max);
	}
	ret->settings = c || m || p ? settings : 0;
}
