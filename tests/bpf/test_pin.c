// SPDX-License-Identifier: Apache-2.0
/*
 * Pins: a crash loses no count, the programs go on counting meanwhile, a restart takes over; other sizes are not adopted; a fold that was cut
 * short is ended by the next start.
 */
#include <ftw.h>
#include <sys/statfs.h>

#include "bpf/util.h"
#include "kernel/internal.h"

static char pin_dir[64];

static int remove_one(const char *path, _unused_ const struct stat *st, _unused_ int flag, _unused_ struct FTW *ftw)
{
	return remove(path);
}

static int setup(void **state)
{
	struct rig *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(pin_dir, sizeof(pin_dir), "/sys/fs/bpf/cgmbpf-%d", (int)getpid());
	rig_open(t);
	t->config.pin_dir = pin_dir;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct rig *t = *state;

	cgm_trees_close(&t->trees);
	close(t->root_fd);
	free(t);
	nftw(pin_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void work(_unused_ void *arg)
{
	const struct timespec ts = { .tv_nsec = 1000000 };

	for (int i = 0; i < 20; i++)
		nanosleep(&ts, NULL);
}

static void skip_unless_pinned(struct rig *t)
{
	if (t->kernel->pinned && cgm_kernel_has(t->kernel, "sched"))
		return;
	print_message("# skip: no BPF file system, or no programs on this kernel\n");
	skip();
}

static void test_pin__crash_and_restart(void **state)
{
	struct rig *t = *state;
	struct cgm_sched before, after;
	uint32_t slot, first_program;
	char path[64];

	rig_load(t);
	skip_unless_pinned(t);
	assert_false(cgm_kernel_adopted(t->kernel));
	group_path(path, sizeof(path), "pin");
	group_make(t, path);
	slot = sched_slot(t, path);
	group_run(t, path, work, NULL, NULL);
	before = read_sched(t, slot);
	assert_true(before.voluntary >= 20);
	first_program = t->kernel->programs[6].id;
	/* As after a kill -9: the process's descriptors go, the pins stay. */
	t->kernel->pinned = false;
	rig_unload(t);
	group_run(t, path, work, NULL, NULL);
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	assert_int_equal(sched_slot(t, path), slot);
	after = read_sched(t, slot);
	assert_true(after.voluntary >= before.voluntary + 20);
	assert_int_not_equal(first_program, 0);
	/* A clean end takes the programs away and leaves the counts. */
	rig_unload(t);
	group_run(t, path, work, NULL, NULL);
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	assert_int_equal(read_sched(t, slot).voluntary, after.voluntary);
	group_remove(t, path);
	rig_unload(t);
}

static void test_pin__other_size(void **state)
{
	struct rig *t = *state;

	rig_load(t);
	skip_unless_pinned(t);
	rig_unload(t);
	t->config.nr_slots = 2048;
	rig_load(t);
	assert_false(cgm_kernel_adopted(t->kernel));
	assert_true(cgm_kernel_has(t->kernel, "sched"));
	rig_unload(t);
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	rig_unload(t);
}

/* The journal as a crash in the middle of a fold leaves it: the child's rows still there, the parent's new row written or not. */
static void test_pin__redo(void **state)
{
	struct rig *t = *state;
	const uint32_t from = 900, to = 901;
	struct cgm_kernel *k;

	for (int written = 0; written < 2; written++) {
		rig_load(t);
		skip_unless_pinned(t);
		k = t->kernel;
		assert_int_equal(cgm_map_rows(k, 902), 0);
		cgm_sched_at(k, 0, from)->voluntary = 7;
		cgm_sched_at(k, k->nr_shards, to)->voluntary = written ? 107 : 100;
		k->journal->from_slot = from;
		k->journal->to_slot = to;
		k->journal->sched = (struct cgm_sched){ .voluntary = 107 };
		k->journal->kind = CGM_JOURNAL_SCHED;
		rig_unload(t);
		rig_load(t);
		k = t->kernel;
		assert_int_equal(cgm_map_rows(k, 902), 0);
		assert_int_equal(cgm_sched_at(k, k->nr_shards, to)->voluntary, 107);
		assert_int_equal(cgm_sched_at(k, 0, from)->voluntary, 0);
		assert_int_equal(k->journal->kind, CGM_JOURNAL_NONE);
		rig_unload(t);
	}
}

static const struct CMUnitTest pin[] = {
	cmocka_unit_test_setup_teardown(test_pin__crash_and_restart, setup, teardown),
	cmocka_unit_test_setup_teardown(test_pin__other_size, setup, teardown),
	cmocka_unit_test_setup_teardown(test_pin__redo, setup, teardown),
};
RUN_BPF_TESTS(pin)
