// SPDX-License-Identifier: Apache-2.0
#include "model/cells.h"

#include "synthetic.h"

static const char *const names[] = { "/", "/a" };

static void with_row(bool live, bool bare, void (*check)(struct cgm_row *row, struct cgm_cells *c))
{
	struct cgm_cells c;
	struct cgm_snapshot *s;
	struct synth y;

	synth_init(&y, names, 2);
	y.live = live;
	y.bare = bare;
	synth_tick(&y);
	s = synth_snapshot(&y);
	cgm_cells_fill(&s->rows[1], &c);
	check(&s->rows[1], &c);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void check_live(struct cgm_row *row, struct cgm_cells *c)
{
	assert_int_equal(c->known, (1ULL << CGM_NR_CELLS) - 1);
	assert_int_equal(c->v[CGM_CELL_CPU_USAGE], synth_value(1, 0, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(c->v[CGM_CELL_RUNQ_DELAY], row->live->sched.runq_delay.sum_ns);
	assert_int_equal(c->v[CGM_CELL_SOCKET_RX], 100); /* not the 23 of unix sockets */
	assert_int_equal(c->v[CGM_CELL_BLOCK_READ], 4096);
	assert_int_equal(c->v[CGM_CELL_BLOCK_WRITE], 8192);
	assert_int_equal(c->v[CGM_CELL_MEMORY_LIMIT], 1 << 30);
	assert_int_equal(c->v[CGM_CELL_TASKS], synth_value(1, 0, CGM_V_THREADS_CURRENT));
	row->spec.memory_limit = 9223372036854771712ULL; /* v1's "none" */
	cgm_cells_fill(row, c);
	assert_false(cgm_cells_know(c, CGM_CELL_MEMORY_LIMIT));
	assert_int_equal(c->v[CGM_CELL_MEMORY_LIMIT], 0);
}

static void test_cells_fill__with_kernel_side(void **state)
{
	(void)state;
	with_row(true, false, check_live);
}

static void check_files(struct cgm_row *row, struct cgm_cells *c)
{
	(void)row;
	assert_false(cgm_cells_know(c, CGM_CELL_RUNQ_DELAY));
	assert_false(cgm_cells_know(c, CGM_CELL_SOCKET_RX));
	/* Two disks. */
	assert_int_equal(c->v[CGM_CELL_BLOCK_READ],
			 synth_value(1, 0, 600 + CGM_DISK_BYTES_READ) + synth_value(1, 0, 650 + CGM_DISK_BYTES_READ));
}

static void test_cells_fill__from_files(void **state)
{
	(void)state;
	with_row(false, false, check_files);
}

static void check_bare(struct cgm_row *row, struct cgm_cells *c)
{
	uint64_t nr;

	(void)row;
	assert_false(cgm_cells_know(c, CGM_CELL_BLOCK_READ));
	assert_false(cgm_cells_know(c, CGM_CELL_OOM_KILLS));
	/* Threads by state. Those that wait for I/O are among the uninterruptible ones. */
	assert_true(cgm_row_tasks(row, &nr));
	assert_int_equal(nr, synth_value(1, 0, CGM_V_TASKS_SLEEPING) + synth_value(1, 0, CGM_V_TASKS_RUNNING) +
				     synth_value(1, 0, CGM_V_TASKS_STOPPED) + synth_value(1, 0, CGM_V_TASKS_UNINTERRUPTIBLE));
}

static void test_cells_fill__nothing_optional(void **state)
{
	(void)state;
	with_row(false, true, check_bare);
}

static void test_cell_name__all_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CGM_NR_CELLS; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(cgm_cell_name((enum cgm_cell)i), cgm_cell_name((enum cgm_cell)k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells_fill__with_kernel_side),
		cmocka_unit_test(test_cells_fill__from_files),
		cmocka_unit_test(test_cells_fill__nothing_optional),
		cmocka_unit_test(test_cell_name__all_differ),
	};

	return cmocka_run_group_tests_name("cells", tests, NULL, NULL);
}
