// SPDX-License-Identifier: Apache-2.0
#include "node/cost.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define PPM 1000000ULL

static void arm(const struct cgm_cost *c, uint64_t in_ns)
{
	struct itimerspec its = { .it_value = { (time_t)(in_ns / CGM_NSEC_PER_SEC), (long)(in_ns % CGM_NSEC_PER_SEC) } };

	timerfd_settime(c->timer_fd, 0, &its, NULL);
}

static bool is_iterator(const struct cgm_program *p)
{
	return strcmp(p->mode, "iter") == 0;
}

static bool set_group(void *arg, enum cgm_group g, bool on, const char *reason)
{
	struct cgm_cost *c = arg;
	int r = cgm_kernel_set_group(c->kernel, cgm_groups[g].programs, on, reason);

	if (r < 0)
		cgm_debug("group %s: %s", cgm_groups[g].name, strerror(-r));
	return r == 0;
}

static uint64_t ppm(uint64_t ns, uint64_t of_ns)
{
	return of_ns ? (uint64_t)((unsigned __int128)ns * PPM / of_ns) : 0;
}

/* An iterator runs in our own system calls: its time is the agent's already. */
static struct cgm_budget_cost add_up(const struct cgm_cost *c, uint64_t agent_ppm)
{
	struct cgm_cost_windows w = cgm_kernel_cost_windows(c->kernel);
	struct cgm_budget_cost sum = { .total_ppm = agent_ppm };
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(c->kernel, &p);

	for (size_t i = 0; i < nr; i++) {
		enum cgm_group g = cgm_group_of_programs(p[i].group);
		uint64_t cost = ppm(p[i].cost.window_ns, w.last_ns);

		if (strcmp(p[i].mode, "off") == 0)
			continue;
		if (!is_iterator(&p[i]))
			sum.total_ppm += cost;
		if (g < CGM_NR_GROUPS)
			sum.group_ppm[g] += cost;
	}
	return sum;
}

static void end_window(struct cgm_cost *c)
{
	uint64_t cpu, now, agent_ppm;
	struct cgm_budget_cost cost;

	cgm_kernel_cost_end(c->kernel);
	cpu = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	now = cgm_clock_mono_ns();
	agent_ppm = ppm(cpu - c->cpu_ns, now - c->at_ns);
	c->cpu_ns = cpu;
	c->at_ns = now;
	cost = add_up(c, agent_ppm);
	c->overhead_ppm = cost.total_ppm;
	cgm_budget_step(&c->budget, now, &cost);
}

/* Without the statistics the budget knows only the agent's own share. */
static int begin_window(struct cgm_cost *c)
{
	int r = cgm_kernel_cost_begin(c->kernel);

	if (r < 0 && r != -ENOENT)
		cgm_log_once(CGM_LOG_WARNING, "the cost of programs cannot be measured, BPF statistics are not allowed (CAP_SYS_ADMIN): %s",
			     strerror(-r));
	return r;
}

int cgm_cost_start(struct cgm_cost *c, const struct cgm_options *o, struct cgm_kernel *k)
{
	*c = (struct cgm_cost){ .o = o, .kernel = k, .timer_fd = -1 };
	c->budget = (struct cgm_budget){
		.limit_ppm = o->budget_centi * (PPM / 10000),
		.retry_ns = 2 * o->cost_interval_ns,
		.set = set_group,
		.arg = c,
	};
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		c->budget.group[i].can = *cgm_groups[i].programs && cgm_kernel_loaded(k, cgm_groups[i].programs);
	c->cpu_ns = cgm_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	c->at_ns = cgm_clock_mono_ns();
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0) {
		int r = -errno;

		cgm_warning("own cost is not measured: %s", strerror(-r));
		return r;
	}
	arm(c, 1);
	return 0;
}

void cgm_cost_stop(struct cgm_cost *c)
{
	if (c->timer_fd >= 0)
		close(c->timer_fd);
	c->timer_fd = -1;
}

void cgm_cost_on_timer(struct cgm_cost *c)
{
	uint64_t expired;

	if (read(c->timer_fd, &expired, sizeof(expired)) != sizeof(expired))
		return;
	if (c->in_window)
		end_window(c);
	else
		begin_window(c);
	c->in_window = !c->in_window;
	arm(c, c->in_window ? c->o->cost_window_ns : c->o->cost_interval_ns - c->o->cost_window_ns);
}

/* ---- what a snapshot says ---- */

static void publish_programs(const struct cgm_cost *c, struct cgm_snapshot *snap)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(c->kernel, &p);
	struct cgm_program_status *to = cgm_snapshot_alloc(snap, nr * sizeof(*to));

	for (size_t i = 0; to && i < nr; i++) {
		snprintf(to[i].name, sizeof(to[i].name), "%s", p[i].name);
		snprintf(to[i].hook, sizeof(to[i].hook), "%s", p[i].hook);
		snprintf(to[i].mode, sizeof(to[i].mode), "%s", p[i].mode);
		snprintf(to[i].reason, sizeof(to[i].reason), "%s", p[i].reason);
		to[i].runs = p[i].cost.runs;
		to[i].run_ns = p[i].cost.run_ns;
		to[i].missed = p[i].cost.missed;
	}
	snap->self.programs = to;
	snap->self.nr_programs = to ? nr : 0;
}

static void publish_maps(const struct cgm_cost *c, struct cgm_snapshot *snap)
{
	const struct cgm_map *m;
	size_t nr = cgm_kernel_maps(c->kernel, &m);
	struct cgm_map_status *to = cgm_snapshot_alloc(snap, nr * sizeof(*to));

	for (size_t i = 0; to && i < nr; i++) {
		snprintf(to[i].name, sizeof(to[i].name), "%s", m[i].name);
		to[i].bytes = m[i].bytes;
	}
	snap->self.maps = to;
	snap->self.nr_maps = to ? nr : 0;
}

/* The first program of a group; NULL: it has none. */
static const struct cgm_program *first_program(const struct cgm_cost *c, const char *group)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(c->kernel, &p);

	for (size_t i = 0; i < nr; i++)
		if (strcmp(p[i].group, group) == 0)
			return &p[i];
	return NULL;
}

/* Groups that have families from files beside those that programs count. */
static bool has_files(enum cgm_group g)
{
	return g == CGM_G_MEMORY;
}

static void publish_group(const struct cgm_cost *c, enum cgm_group g, struct cgm_self *self, struct cgm_group_status *to)
{
	const char *name = cgm_groups[g].name, *hidden = c->o->groups.hidden[g];
	const char *programs = cgm_groups[g].programs;
	const struct cgm_program *p = first_program(c, programs);
	bool idle = p && !cgm_kernel_has(c->kernel, programs);

	if (hidden)
		self->groups_off |= 1ULL << g;
	if (idle)
		self->groups_idle |= 1ULL << g;
	if (idle && cgm_kernel_loaded(c->kernel, programs))
		self->groups_paused |= 1ULL << g;
	if (!to)
		return;
	to->name = name;
	to->on = !hidden && !idle;
	to->nr_switched_off = c->budget.group[g].nr_off;
	snprintf(to->reason, sizeof(to->reason), "%s%s", !hidden && idle && has_files(g) ? "from files only: " : "",
		 hidden ? hidden : idle ? p->reason : "");
}

static uint64_t timeval_ns(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * CGM_NSEC_PER_SEC + (uint64_t)t->tv_usec * CGM_NSEC_PER_USEC;
}

void cgm_cost_publish(const struct cgm_cost *c, struct cgm_snapshot *snap)
{
	struct cgm_group_status *to = cgm_snapshot_alloc(snap, CGM_NR_GROUPS * sizeof(*to));
	struct cgm_cost_windows w = cgm_kernel_cost_windows(c->kernel);
	struct cgm_self *self = &snap->self;
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	self->user_ns = timeval_ns(&ru.ru_utime);
	self->system_ns = timeval_ns(&ru.ru_stime);
	self->cpu_ns = self->user_ns + self->system_ns;
	self->nr_cost_windows = w.nr;
	self->cost_window_ns = w.open_ns;
	self->cost_clock_ns = w.clock_ps / 1000;
	self->overhead_ppm = c->overhead_ppm;
	self->budget_ppm = c->budget.limit_ppm;
	self->groups_off = self->groups_idle = self->groups_paused = 0;
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++)
		publish_group(c, (enum cgm_group)i, self, to ? &to[i] : NULL);
	self->groups = to;
	self->nr_groups = to ? CGM_NR_GROUPS : 0;
	publish_programs(c, snap);
	publish_maps(c, snap);
}
