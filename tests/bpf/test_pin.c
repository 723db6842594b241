// SPDX-License-Identifier: Apache-2.0
/*
 * Pins: a crash loses no count, the programs go on counting meanwhile, a restart takes over; other sizes are not adopted; a fold that was cut
 * short is ended by the next start.
 */
#include <sys/statfs.h>

#include "bpf/pins.h"

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

/* All maps fit but the contract is another: none may be kept, or old slots would be handed out in a new world. */
static void test_pin__other_contract(void **state)
{
	struct rig *t = *state;
	uint32_t slots, slot;

	rig_load(t);
	skip_unless_pinned(t);
	slots = cgm_kernel_slots(t->kernel);
	slot = cgm_kernel_register(t->kernel, t->config.sched_hierarchy, 1, 0);
	((struct cgm_sched *)cgm_row_at(t->kernel, CGM_ROWS_SCHED, 0, slot))->migrations = 1ULL << 50;
	t->kernel->meta->abi_version++;
	rig_unload(t);
	rig_load(t);
	assert_false(cgm_kernel_adopted(t->kernel));
	assert_int_equal(cgm_kernel_slots(t->kernel), slots);
	assert_true(cgm_kernel_slots_used(t->kernel) < 16); /* what ran meanwhile */
	slot = cgm_kernel_register(t->kernel, t->config.sched_hierarchy, 1, 0);
	assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
	assert_true(read_sched(t, slot).migrations < 1ULL << 50);
	rig_unload(t);
}

/* The journal as a crash in the middle of a fold leaves it: the child's rows still there, what the parent has of removed ones new or old. */
static void test_pin__redo(void **state)
{
	struct rig *t = *state;
	const uint32_t from = 100, to = 101; /* of the second chunk */
	const struct cgm_retired_key key = { to, CGM_ROWS_SCHED };
	struct cgm_sched *row;
	struct cgm_kernel *k;

	for (int written = 0; written < 2; written++) {
		union cgm_any_row retired = { .sched = { .voluntary = written ? 107 : 100 } };

		rig_load(t);
		skip_unless_pinned(t);
		k = t->kernel;
		row = cgm_row_at(k, CGM_ROWS_SCHED, 0, from);
		row->voluntary = 7;
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(k->skel->maps.cgm_retired), &key, &retired, BPF_ANY), 0);
		k->journal->from_slot = from;
		k->journal->to_slot = to;
		k->journal->row.sched = (struct cgm_sched){ .voluntary = 107 };
		k->journal->map = CGM_ROWS_SCHED;
		k->journal->kind = CGM_JOURNAL_ROWS;
		rig_unload(t);
		rig_load(t);
		k = t->kernel;
		assert_int_equal(read_sched(t, to).voluntary, 107);
		row = cgm_row_at(k, CGM_ROWS_SCHED, 0, from);
		assert_int_equal(row->voluntary, 0);
		assert_int_equal(k->journal->kind, CGM_JOURNAL_NONE);
		rig_unload(t);
	}
}

/* What removed cgroups counted stays with their parent over a restart, histograms included, and when the parent is removed, too. */
static void test_pin__removed_ones_are_kept(void **state)
{
	struct rig *t = *state;
	struct cgm_sched before, after;
	char p[64], c[96];
	uint32_t slot;

	rig_load(t);
	skip_unless_pinned(t);
	group_path(p, sizeof(p), "kept");
	snprintf(c, sizeof(c), "%s/c", p);
	group_make(t, p);
	group_make(t, c);
	slot = sched_slot(t, p);
	group_run(t, c, work, NULL, NULL);
	group_remove(t, c);
	retire_all(t);
	before = read_sched(t, slot);
	assert_true(before.voluntary >= 20);
	assert_true(cgm_hist_count(&before.off_cpu[CGM_OFF_SLEEP]) > 0);
	rig_unload(t);
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	after = read_sched(t, slot);
	assert_int_equal(after.voluntary, before.voluntary);
	assert_memory_equal(&after.off_cpu, &before.off_cpu, sizeof(after.off_cpu));
	group_remove(t, p);
	retire_all(t);
	assert_int_equal(read_sched(t, slot).voluntary, 0); /* nothing is left for the next owner */
	rig_unload(t);
}

static const struct CMUnitTest pin[] = {
	cmocka_unit_test_setup_teardown(test_pin__crash_and_restart, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pin__other_size, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pin__other_contract, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pin__redo, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pin__removed_ones_are_kept, pins_setup, pins_teardown),
};
RUN_BPF_TESTS(pin)
