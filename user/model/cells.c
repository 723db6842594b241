// SPDX-License-Identifier: Apache-2.0
#include "model/cells.h"

#include <string.h>

#include "base/cleanup.h"

static const char *const names[CGM_NR_CELLS] = {
#define CGM_CELL(id, name) name,
#include "model/cells.def"
};

/* Limits at or above it are none: v1 says 2^63 less a page, v2 2^64 - 1. */
#define NO_LIMIT (1ULL << 60)

static void set(struct cgm_cells *c, enum cgm_cell id, uint64_t v)
{
	c->v[id] = v;
	c->known |= 1ULL << id;
}

static void set_value(struct cgm_cells *c, enum cgm_cell id, const struct cgm_row *row, enum cgm_value value)
{
	if (cgm_layout_has(row->layout, value))
		set(c, id, row->values[value]);
}

bool cgm_row_tasks(const struct cgm_row *row, uint64_t *ret)
{
	static const enum cgm_value states[] = { CGM_V_TASKS_SLEEPING, CGM_V_TASKS_RUNNING, CGM_V_TASKS_STOPPED, CGM_V_TASKS_UNINTERRUPTIBLE };

	*ret = 0;
	if (cgm_layout_has(row->layout, CGM_V_THREADS_CURRENT)) {
		*ret = row->values[CGM_V_THREADS_CURRENT];
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		*ret += row->values[states[i]];
	return cgm_layout_has(row->layout, CGM_V_TASKS_RUNNING);
}

static void set_live(struct cgm_cells *c, const struct cgm_live *live)
{
	uint64_t rx = 0, tx = 0, read = 0, written = 0;

	for (size_t i = 0; i < CGM_NR_PROTOS; i++) {
		rx += i == CGM_PROTO_UNIX ? 0 : live->net.proto[i].rx_bytes;
		tx += i == CGM_PROTO_UNIX ? 0 : live->net.proto[i].tx_bytes;
	}
	for (size_t i = 0; i < live->nr_blocks; i++) {
		read += live->blocks[i].op == CGM_BLOCK_READ ? live->blocks[i].bytes : 0;
		written += live->blocks[i].op == CGM_BLOCK_WRITE ? live->blocks[i].bytes : 0;
	}
	set(c, CGM_CELL_RUNQ_DELAY, live->sched.runq_delay.sum_ns);
	set(c, CGM_CELL_SOCKET_RX, rx);
	set(c, CGM_CELL_SOCKET_TX, tx);
	set(c, CGM_CELL_BLOCK_READ, read);
	set(c, CGM_CELL_BLOCK_WRITE, written);
	set(c, CGM_CELL_TCP_RETRANSMITS, live->net.tcp_retransmitted_segments);
}

/* Without a kernel side, what the cgroup's own files hold. */
static void set_disks(struct cgm_cells *c, const struct cgm_row *row)
{
	uint64_t read = 0, written = 0;
	bool known = false;

	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];

		if (b->kind != CGM_LAYOUT_DISK)
			continue;
		read += row->values[b->first + CGM_DISK_BYTES_READ];
		written += row->values[b->first + CGM_DISK_BYTES_WRITE];
		known = true;
	}
	if (!known)
		return;
	set(c, CGM_CELL_BLOCK_READ, read);
	set(c, CGM_CELL_BLOCK_WRITE, written);
}

void cgm_cells_fill(const struct cgm_row *row, struct cgm_cells *ret)
{
	uint64_t nr_tasks;

	memset(ret, 0, sizeof(*ret));
	set_value(ret, CGM_CELL_CPU_USAGE, row, CGM_V_CPU_USAGE_TOTAL);
	set_value(ret, CGM_CELL_CPU_THROTTLED, row, CGM_V_CPU_CFS_THROTTLED_TIME);
	set_value(ret, CGM_CELL_MEMORY_USAGE, row, CGM_V_MEMORY_USAGE);
	set_value(ret, CGM_CELL_WORKING_SET, row, CGM_V_MEMORY_WORKING_SET);
	set_value(ret, CGM_CELL_CPU_PRESSURE, row, CGM_V_CPU_PSI_SOME_AVG10);
	set_value(ret, CGM_CELL_MEMORY_PRESSURE, row, CGM_V_MEMORY_PSI_SOME_AVG10);
	set_value(ret, CGM_CELL_IO_PRESSURE, row, CGM_V_IO_PSI_SOME_AVG10);
	set_value(ret, CGM_CELL_OOM_KILLS, row, CGM_V_OOM_EVENTS);
	if (row->spec.has_memory && row->spec.memory_limit && row->spec.memory_limit < NO_LIMIT)
		set(ret, CGM_CELL_MEMORY_LIMIT, row->spec.memory_limit);
	if (cgm_row_tasks(row, &nr_tasks))
		set(ret, CGM_CELL_TASKS, nr_tasks);
	if (row->live)
		set_live(ret, row->live);
	else
		set_disks(ret, row);
}

const char *cgm_cell_name(enum cgm_cell id)
{
	return names[id];
}
