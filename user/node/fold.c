// SPDX-License-Identifier: Apache-2.0
#include "node/fold.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

static void add_u64s(void *to, const void *from, size_t bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		t[i] += f[i];
}

/* Out of memory leaves the device out for this tick; the kernel's own counts are not touched, so the next tick has it again. */
static void add_block(struct cgm_block_sums *sums, uint32_t dev, enum cgm_block_op op, const struct cgm_block *b)
{
	for (size_t i = 0; i < sums->nr; i++) {
		if (sums->v[i].dev != dev || sums->v[i].op != op)
			continue;
		add_u64s(&sums->v[i].b, b, sizeof(*b));
		return;
	}
	if (cgm_grow((void **)&sums->v, &sums->cap, sums->nr, sizeof(*sums->v)) < 0)
		return;
	sums->v[sums->nr] = (struct cgm_live_block){ .dev = dev, .op = op };
	sums->v[sums->nr++].b = *b;
}

static void add_slot_blocks(const struct cgm_kernel *k, uint32_t slot, struct cgm_block_sums *sums)
{
	const struct cgm_block *b;
	enum cgm_block_op op;
	size_t iter = 0;
	uint32_t dev;

	while ((b = cgm_kernel_next_block(k, slot, &iter, &dev, &op)))
		add_block(sums, dev, op, b);
}

static void read_own(const struct cgm_containers *cs, struct cgm_container *c)
{
	const struct cgm_kernel *k = cs->kernel;

	memset(&c->live, 0, sizeof(c->live));
	c->blocks.nr = 0;
	if (c->sched_slot != CGM_SLOT_OVERFLOW) {
		cgm_kernel_add_sched(k, c->sched_slot, &c->live.sched);
		cgm_kernel_add_net(k, c->sched_slot, &c->live.net);
		cgm_kernel_tasks(k, c->sched_slot, &c->tasks);
	}
	if (c->block_slot != CGM_SLOT_OVERFLOW)
		add_slot_blocks(k, c->block_slot, &c->blocks);
	if (c->depth)
		return;
	/* What found no slot is still the machine's. */
	cgm_kernel_add_sched(k, CGM_SLOT_OVERFLOW, &c->live.sched);
	cgm_kernel_add_net(k, CGM_SLOT_OVERFLOW, &c->live.net);
	add_slot_blocks(k, CGM_SLOT_OVERFLOW, &c->blocks);
}

void cgm_fold(struct cgm_containers *cs)
{
	for (size_t i = 0; i < cs->nr; i++)
		read_own(cs, cs->sorted[i]);
	/* Backwards: every child before its parent. A removed cgroup's counts are among its ancestor's own already. */
	for (size_t i = cs->nr; i-- > 1;) {
		struct cgm_container *c = cs->sorted[i], *p = c->parent;

		if (!p)
			continue;
		if (cgm_kernel_slot_live(cs->kernel, c->sched_slot)) {
			add_u64s(&p->live.sched, &c->live.sched, sizeof(c->live.sched));
			add_u64s(&p->live.net, &c->live.net, sizeof(c->live.net));
		}
		if (!cgm_kernel_slot_live(cs->kernel, c->block_slot))
			continue;
		for (size_t b = 0; b < c->blocks.nr; b++)
			add_block(&p->blocks, c->blocks.v[b].dev, c->blocks.v[b].op, &c->blocks.v[b].b);
	}
}

void cgm_fold_load(struct cgm_container *c, uint64_t interval_ns)
{
	/* As cAdvisor: an exponential average with a time constant of 10 s. */
	double keep = exp(-(double)interval_ns / 1e10);

	c->load = c->load * keep + (1 - keep) * c->tasks.nr[CGM_TASK_RUNNING];
	c->load_d = c->load_d * keep + (1 - keep) * (c->tasks.nr[CGM_TASK_UNINTERRUPTIBLE] + c->tasks.nr[CGM_TASK_IOWAIT]);
}

static uint64_t hist_count(const struct cgm_hist *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}

static uint64_t in_flight(const struct cgm_block *b)
{
	return b->issued > b->requests ? b->issued - b->requests : 0;
}

static uint64_t waited(const struct cgm_block *b)
{
	return b->queue_to_done.sum_ns > b->issue_to_done.sum_ns ? b->queue_to_done.sum_ns - b->issue_to_done.sum_ns : 0;
}

/* As the kernel's blk-cgroup: reads, writes and discards; sync and async are of the same requests. */
static void add_disk_values(uint64_t *v, enum cgm_block_op op, const struct cgm_block *b)
{
	if (op == CGM_BLOCK_READ) {
		v[CGM_DISK_BYTES_READ] += b->bytes;
		v[CGM_DISK_IOS_READ] += b->requests;
		v[CGM_DISK_QUEUED_READ] += in_flight(b);
		v[CGM_DISK_SERVICE_TIME_READ] += b->issue_to_done.sum_ns;
		v[CGM_DISK_WAIT_TIME_READ] += waited(b);
	} else if (op == CGM_BLOCK_WRITE) {
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

int cgm_fold_sample(const struct cgm_containers *cs, const struct cgm_container *c, struct cgm_sample *s)
{
	if (cgm_kernel_has(cs->kernel, "sched")) {
		cgm_sample_set(s, CGM_V_CPU_SCHED_RUN_TIME, c->live.sched.on_cpu.sum_ns);
		cgm_sample_set(s, CGM_V_CPU_SCHED_RUNQUEUE_TIME, c->live.sched.runq_delay.sum_ns);
		cgm_sample_set(s, CGM_V_CPU_SCHED_RUN_PERIODS, hist_count(&c->live.sched.on_cpu));
	}
	if (cgm_kernel_has(cs->kernel, "task"))
		set_task_values(c, s);
	for (size_t i = 0; i < c->blocks.nr; i++) {
		const struct cgm_live_block *b = &c->blocks.v[i];
		struct cgm_disk_row *row = cgm_sample_disk(s, b->dev >> 20, b->dev & 0xfffff);

		if (!row)
			return -ENOMEM;
		add_disk_values(row->v, b->op, &b->b);
	}
	return 0;
}
