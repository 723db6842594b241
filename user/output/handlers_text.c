// SPDX-License-Identifier: Apache-2.0
/* Pages of text for people who look for what is wrong. */
#include "output/request.h"

#include <inttypes.h>

#include "base/clock.h"
#include "kernel/kernel.h"

static const char type_text[] = "text/plain; charset=utf-8";

static void put_kernel_side(const struct cgm_snapshot *s, struct cgm_buf *b)
{
	size_t on = 0;

	for (size_t i = 0; i < s->self.nr_programs; i++)
		on += strcmp(s->self.programs[i].mode, "off") != 0;
	cgm_buf_printf(b, "Kernel side: [%s]\n\t%zu of %zu programs run.%s\n", s->self.has_kernel_side ? "Supported and recommended" : "Supported, but not recommended", on,
		       s->self.nr_programs, s->self.has_kernel_side ? "" : " Everything comes from cgroup files; waiting times and sockets are missing.");
	for (size_t i = 0; i < s->self.nr_programs; i++)
		if (strcmp(s->self.programs[i].mode, "off") == 0 && strncmp(s->self.programs[i].reason, "not needed", 10) != 0)
			cgm_buf_printf(b, "\t%s (%s) is off: %s\n", s->self.programs[i].name, s->self.programs[i].hook, s->self.programs[i].reason);
	cgm_buf_lit(b, "\n\n");
}

static void put_cgroups(const struct cgm_snapshot *s, const struct cgm_trees *t, struct cgm_buf *b)
{
	static const char *const names[CGM_NR_CONTROLLERS] = { "cpu", "cpuacct", "cpuset", "memory", "blkio", "pids", "unified" };
	const struct cgm_spec *root = &s->rows[0].spec;
	bool good = root->has_cpu && root->has_memory;

	cgm_buf_printf(b, "Cgroup setup: [%s]\n\tThe trees are %s.\n", good ? "Supported and recommended" : "Supported, but not recommended",
		       s->self.cgroup_mode ? s->self.cgroup_mode : "not known");
	if (t) {
		cgm_buf_lit(b, "\tHierarchies:");
		for (unsigned i = 0; i < CGM_NR_CONTROLLERS; i++)
			if (t->h[i].dir_fd >= 0)
				cgm_buf_printf(b, " %s", names[i]);
		cgm_buf_char(b, '\n');
	}
	if (!root->has_cpu)
		cgm_buf_lit(b, "\tThere is no cpu controller: no CPU time.\n");
	if (!root->has_memory)
		cgm_buf_lit(b, "\tThere is no memory controller: no memory usage.\n");
	cgm_buf_lit(b, "\n\n");
}

static void put_machine(const struct cgm_machine *m, struct cgm_buf *b)
{
	cgm_buf_lit(b, "Block device setup: [Supported and recommended]\n");
	for (size_t i = 0; i < m->nr_disks; i++)
		cgm_buf_printf(b, "\t Disk \"%s\" Scheduler type \"%s\".\n", m->disks[i].name, m->disks[i].scheduler);
	cgm_buf_lit(b, "\n\n");
}

enum MHD_Result cgm_handle_validate(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	_cleanup_(cgm_facts_freep) struct cgm_facts *facts = cgm_facts_get(&rq->http->facts);
	struct cgm_buf text = { 0 };

	if (!s || !s->nr_rows)
		return cgm_answer_too_early(rq);
	if (!facts)
		return cgm_answer_error(rq, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	cgm_buf_printf(&text, "cgmeter version: %s\n\nOS version: %s\n\nKernel version: [Supported and recommended]\n\tKernel version is %s.\n\n\n", rq->http->config.version,
		       facts->machine->os_version, facts->machine->kernel_version);
	put_cgroups(s, rq->http->config.trees, &text);
	put_kernel_side(s, &text);
	put_machine(facts->machine, &text);
	cgm_buf_lit(&text, "Managed containers: \n");
	for (size_t i = 0; i < s->nr_rows; i++)
		cgm_buf_printf(&text, "\t%s\n", s->rows[i].identity->name);
	return cgm_answer_buf(rq, type_text, &text);
}

static void put_line(struct cgm_buf *b, const char *name, uint64_t v)
{
	cgm_buf_printf(b, "%-32s %" PRIu64 "\n", name, v);
}

enum MHD_Result cgm_handle_debug(struct cgm_request *rq)
{
	_cleanup_(cgm_snapshot_unrefp) struct cgm_snapshot *s = cgm_request_snapshot(rq);
	struct cgm_buf text = { 0 };
	const struct cgm_self *self;

	if (!s)
		return cgm_answer_too_early(rq);
	self = &s->self;
	cgm_buf_printf(&text, "version                          %s\ncgroups                          %s\n", rq->http->config.version,
		       self->cgroup_mode ? self->cgroup_mode : "");
	put_line(&text, "containers", s->nr_rows);
	put_line(&text, "age_of_sample_ms", (cgm_clock_real_ns() - MIN(cgm_clock_real_ns(), s->time_ns)) / CGM_NSEC_PER_MSEC);
	put_line(&text, "ticks", self->nr_ticks);
	put_line(&text, "missed_ticks", self->nr_missed_ticks);
	put_line(&text, "lost_samples", self->nr_lost_samples);
	put_line(&text, "vanished", self->nr_vanished);
	put_line(&text, "cpu_ms", self->cpu_ns / CGM_NSEC_PER_MSEC);
	put_line(&text, "tick_cpu_ms", self->tick_cpu_ns / CGM_NSEC_PER_MSEC);
	put_line(&text, "overhead_ppm", self->overhead_ppm);
	put_line(&text, "rss_bytes", self->rss_bytes);
	put_line(&text, "history_bytes", self->history_bytes);
	put_line(&text, "summary_bytes", self->summary_bytes);
	put_line(&text, "snapshot_bytes", self->snapshot_bytes);
	put_line(&text, "map_bytes", self->map_bytes);
	put_line(&text, "events_seen", self->events.nr_seen);
	put_line(&text, "events_stored", self->events.nr_stored);
	put_line(&text, "events_bytes", self->events.bytes);
	put_line(&text, "events_evicted", self->events.nr_evicted);
	put_line(&text, "events_lost", self->events.nr_lost);
	put_line(&text, "event_streams", self->events.nr_streams);
	put_line(&text, "event_streams_dropped", self->events.nr_streams_dropped);
	for (unsigned i = 0; i < CGM_NR_DROPS; i++)
		cgm_buf_printf(&text, "drop %-27s %" PRIu64 "\n", cgm_drop_name((enum cgm_drop)i), self->drops[i]);
	for (size_t i = 0; i < self->nr_programs; i++)
		cgm_buf_printf(&text, "program %-24s %-6s %s\n", self->programs[i].name, self->programs[i].mode, self->programs[i].reason);
	return cgm_answer_buf(rq, type_text, &text);
}
