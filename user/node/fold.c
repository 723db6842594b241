// SPDX-License-Identifier: Apache-2.0
#include "node/fold.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* What the kernel side counted for the cgroup alone. */
static void read_own(const struct cgm_containers *cs, struct cgm_container *c, struct cgm_sums *sums)
{
	cgm_sums_add_slot(sums, cs->kernel, c->sched_slot, c->block_slot);
	if (c->sched_slot != CGM_SLOT_OVERFLOW)
		cgm_kernel_tasks(cs->kernel, c->sched_slot, &c->tasks);
	if (!c->depth) /* what found no slot is still the machine's */
		cgm_sums_add_overflow(sums, cs->kernel);
}

static void set_open_files(const struct cgm_containers *cs, struct cgm_container *c)
{
	struct cgm_open_files f;

	if (!c->live || c->sched_slot == CGM_SLOT_OVERFLOW || !cgm_kernel_open_files(cs->kernel, c->sched_slot, &f))
		return;
	for (unsigned i = 0; i < CGM_NR_FILE_KINDS; i++)
		c->live->files.nr[i] = f.nr[i];
}

/* A removed cgroup's counts are among its ancestor's own already. */
static void add_to_parent(struct cgm_containers *cs, const struct cgm_container *c, const struct cgm_sums *sums)
{
	struct cgm_container *p = c->parent;
	bool rows = cgm_kernel_slot_live(cs->kernel, c->sched_slot), blocks = cgm_kernel_slot_live(cs->kernel, c->block_slot);

	if (!p || (!rows && !blocks))
		return;
	if (!p->sums)
		p->sums = cgm_sums_get(cs);
	if (p->sums)
		cgm_sums_add(p->sums, sums, rows, blocks);
}

/* What found no slot, as a row of its own that no cgroup's name can have. */
static void fold_overflow(struct cgm_containers *cs, struct cgm_snapshot *snap)
{
	static char labels[14 + CGM_OVER] = "id=\"_overflow\"";
	static struct cgm_identity overflow = { .refs = 1, .name = "_overflow", .labels = labels, .labels_len = 14, .base_len = 14 };
	struct cgm_sums *sums = cgm_sums_get(cs);
	struct cgm_row *row;

	if (!sums)
		return;
	cgm_sums_add_overflow(sums, cs->kernel);
	row = cgm_sums_empty(sums) ? NULL : cgm_snapshot_alloc(snap, sizeof(*row));
	if (row) {
		row->identity = &overflow;
		row->live = cgm_sums_pack(sums, snap);
		snap->overflow = row->live ? row : NULL;
	}
	cgm_sums_put(cs, sums);
}

void cgm_fold(struct cgm_containers *cs, struct cgm_snapshot *snap)
{
	struct cgm_sums *sums;

	/* Backwards: every child before its parent. */
	for (size_t i = cs->nr; i-- > 0;) {
		struct cgm_container *c = cs->sorted[i];

		if (i > 2)
			__builtin_prefetch(&cs->sorted[i - 3]->sched_slot);
		if (i > 1)
			cgm_kernel_fetch(cs->kernel, cs->sorted[i - 2]->sched_slot);
		if (i > 0)
			cgm_kernel_fetch_hists(cs->kernel, cs->sorted[i - 1]->sched_slot);
		c->live = NULL;
		sums = c->sums ? c->sums : cgm_sums_get(cs);
		c->sums = NULL;
		if (!sums)
			continue;
		read_own(cs, c, sums);
		c->live = cgm_sums_pack(sums, snap);
		set_open_files(cs, c);
		add_to_parent(cs, c, sums);
		cgm_sums_put(cs, sums);
	}
	fold_overflow(cs, snap);
}

void cgm_fold_load(struct cgm_container *c, uint64_t interval_ns)
{
	/* As cAdvisor: an exponential average with a time constant of 10 s. */
	double keep = exp(-(double)interval_ns / 1e10);

	c->load = c->load * keep + (1 - keep) * c->tasks.nr[CGM_TASK_RUNNING];
	c->load_d = c->load_d * keep + (1 - keep) * (c->tasks.nr[CGM_TASK_UNINTERRUPTIBLE] + c->tasks.nr[CGM_TASK_IOWAIT]);
}

static uint64_t in_flight(const struct cgm_live_block *b)
{
	return b->issued > b->requests ? b->issued - b->requests : 0;
}

static uint64_t waited(const struct cgm_live_block *b)
{
	return b->queue_to_done.sum_ns > b->issue_to_done.sum_ns ? b->queue_to_done.sum_ns - b->issue_to_done.sum_ns : 0;
}

/* As the kernel's blk-cgroup: reads, writes and discards; sync and async are of the same requests. */
static void add_disk_values(uint64_t *v, enum cgm_block_op op, const struct cgm_live_block *b)
{
	if (op == CGM_BLOCK_READ) {
		v[CGM_DISK_MERGED_READ] += b->merged;
		v[CGM_DISK_BYTES_READ] += b->bytes;
		v[CGM_DISK_IOS_READ] += b->requests;
		v[CGM_DISK_QUEUED_READ] += in_flight(b);
		v[CGM_DISK_SERVICE_TIME_READ] += b->issue_to_done.sum_ns;
		v[CGM_DISK_WAIT_TIME_READ] += waited(b);
	} else if (op == CGM_BLOCK_WRITE) {
		v[CGM_DISK_MERGED_WRITE] += b->merged;
		v[CGM_DISK_BYTES_WRITE] += b->bytes;
		v[CGM_DISK_IOS_WRITE] += b->requests;
		v[CGM_DISK_QUEUED_WRITE] += in_flight(b);
		v[CGM_DISK_SERVICE_TIME_WRITE] += b->issue_to_done.sum_ns;
		v[CGM_DISK_WAIT_TIME_WRITE] += waited(b);
	} else if (op == CGM_BLOCK_DISCARD) {
		v[CGM_DISK_BYTES_DISCARD] += b->bytes;
		v[CGM_DISK_IOS_DISCARD] += b->requests;
	}
	v[CGM_DISK_QUEUED_TOTAL] += in_flight(b);
	v[CGM_DISK_SERVICE_TIME_TOTAL] += b->issue_to_done.sum_ns;
	v[CGM_DISK_WAIT_TIME_TOTAL] += waited(b);
	v[CGM_DISK_MERGED_TOTAL] += b->merged;
	v[CGM_DISK_IO_TIME] += b->busy_ns / CGM_NSEC_PER_MSEC;
	if (op != CGM_BLOCK_READ && op != CGM_BLOCK_WRITE && op != CGM_BLOCK_DISCARD)
		return;
	v[CGM_DISK_BYTES_TOTAL] += b->bytes;
	v[CGM_DISK_IOS_TOTAL] += b->requests;
	v[CGM_DISK_BYTES_SYNC] += b->sync_bytes;
	v[CGM_DISK_IOS_SYNC] += b->sync_requests;
	v[CGM_DISK_BYTES_ASYNC] += b->bytes - MIN(b->bytes, b->sync_bytes);
	v[CGM_DISK_IOS_ASYNC] += b->requests - MIN(b->requests, b->sync_requests);
	if (op != CGM_BLOCK_DISCARD)
		v[CGM_DISK_SECTORS] += b->bytes / 512;
}

static void set_task_values(const struct cgm_container *c, struct cgm_sample *s)
{
	const uint32_t *nr = c->tasks.nr;

	cgm_sample_set(s, CGM_V_TASKS_SLEEPING, nr[CGM_TASK_SLEEPING]);
	cgm_sample_set(s, CGM_V_TASKS_RUNNING, nr[CGM_TASK_RUNNING]);
	cgm_sample_set(s, CGM_V_TASKS_STOPPED, nr[CGM_TASK_STOPPED]);
	cgm_sample_set(s, CGM_V_TASKS_UNINTERRUPTIBLE, nr[CGM_TASK_UNINTERRUPTIBLE] + nr[CGM_TASK_IOWAIT]);
	cgm_sample_set(s, CGM_V_TASKS_IOWAIT, nr[CGM_TASK_IOWAIT]);
	cgm_sample_set(s, CGM_V_PROCESS_COUNT, c->tasks.nr_processes);
	cgm_sample_set(s, CGM_V_CPU_LOAD_AVERAGE, (uint64_t)(c->load * 1000 + 0.5));
	cgm_sample_set(s, CGM_V_CPU_LOAD_D_AVERAGE, (uint64_t)(c->load_d * 1000 + 0.5));
}

static void set_counts(const struct cgm_kernel *k, const struct cgm_live *live, struct cgm_sample *s)
{
	if (!cgm_kernel_loaded(k, "sched"))
		return;
	cgm_sample_set(s, CGM_V_CPU_SCHED_RUN_TIME, live->sched.on_cpu.sum_ns);
	cgm_sample_set(s, CGM_V_CPU_SCHED_RUNQUEUE_TIME, live->sched.runq_delay.sum_ns);
	cgm_sample_set(s, CGM_V_CPU_SCHED_RUN_PERIODS, live->sched.on_cpu.count);
}

int cgm_fold_sample(const struct cgm_containers *cs, const struct cgm_container *c, struct cgm_sample *s)
{
	/* A group that was switched off keeps its last values. */
	if (cgm_kernel_loaded(cs->kernel, "task"))
		set_task_values(c, s);
	return c->live ? cgm_fold_live(cs->kernel, c->live, s) : 0;
}

int cgm_fold_live(const struct cgm_kernel *k, const struct cgm_live *live, struct cgm_sample *s)
{
	set_counts(k, live, s);
	for (size_t i = 0; i < live->nr_blocks; i++) {
		const struct cgm_live_block *b = &live->blocks[i];
		struct cgm_disk_row *row;

		if (!cgm_block_used(b)) /* only made dirty */
			continue;
		row = cgm_sample_disk(s, b->dev >> 20, b->dev & 0xfffff);
		if (!row)
			return -ENOMEM;
		add_disk_values(row->v, b->op, b);
	}
	return 0;
}
