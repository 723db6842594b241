// SPDX-License-Identifier: Apache-2.0
/* Pins read only: the same counts as who loaded the programs has, after a crash and beside it, and nothing is changed. */
#include "bpf/pins.h"
#include "kernel/pinned.h"

static struct cgm_kernel *pinned;

static struct cgm_sched sched_of(uint32_t slot)
{
	struct cgm_sched sum = {0};

	cgm_kernel_sweep(pinned);
	assert_true(cgm_pinned_stable(pinned));
	cgm_kernel_add_sched(pinned, slot, &sum);
	return sum;
}

static void open_pinned(struct rig *t)
{
	assert_int_equal(cgm_pinned_open(t->config.pin_dir, &pinned), 0);
}

static void close_pinned(void)
{
	cgm_kernel_close(pinned);
	pinned = NULL;
}

static void same_rows(struct rig *t, uint32_t slot)
{
	struct cgm_sched theirs = read_sched(t, slot), ours = sched_of(slot);
	struct cgm_net net = {0}, their_net = read_net(t, slot);

	assert_memory_equal(&ours, &theirs, sizeof(ours));
	cgm_kernel_add_net(pinned, slot, &net);
	assert_memory_equal(&net, &their_net, sizeof(net));
}

static void test_pinned__after_a_crash(void **state)
{
	struct rig *t = *state;
	uint32_t slot, sched, block;
	struct cgm_sched before, after;
	uint64_t digest;
	char path[64];

	rig_load(t);
	skip_unless_pinned(t);
	slot = group_with_slot(t, "pinned", path, sizeof(path));
	group_run(t, path, work, NULL, NULL);
	open_pinned(t);
	assert_true(cgm_pinned_counts(pinned, NULL) && cgm_pinned_counts(pinned, "sched"));
	assert_true(cgm_pinned_hierarchies(pinned, &sched, &block));
	assert_int_equal(sched, t->config.sched_hierarchy);
	assert_int_equal(block, t->config.block_hierarchy);
	assert_int_equal(cgm_kernel_slot(pinned, sched, group_id(t, cgm_trees_sched_controller(&t->trees), path)), slot);
	same_rows(t, slot);
	/* As after a kill -9. */
	t->kernel->pinned = false;
	rig_unload(t);
	before = sched_of(slot);
	assert_true(before.voluntary >= 20);
	group_run(t, path, work, NULL, NULL);
	after = sched_of(slot);
	assert_true(after.voluntary >= before.voluntary + 20);
	digest = cgm_pinned_digest(pinned);
	group_remove(t, path);
	/* Its counts are its parent's now; nobody folds them. */
	cgm_kernel_sweep(pinned);
	assert_int_not_equal(cgm_pinned_digest(pinned), digest);
	assert_false(cgm_kernel_slot_live(pinned, slot));
	assert_true(cgm_pinned_current(pinned));
	close_pinned();
	/* A clean end leaves counts, and no programs. */
	rig_load(t);
	assert_true(cgm_kernel_adopted(t->kernel));
	rig_unload(t);
	open_pinned(t);
	assert_false(cgm_pinned_counts(pinned, NULL));
	close_pinned();
}

/* The counts of a removed child are in the parent's sum before, during and after the fold, once each. */
static void test_pinned__folds(void **state)
{
	struct rig *t = *state;
	char path[64], child[80];
	struct cgm_sched before, after;
	uint32_t parent;

	rig_load(t);
	skip_unless_pinned(t);
	parent = group_with_slot(t, "pinned-parent", path, sizeof(path));
	snprintf(child, sizeof(child), "%s/child", path);
	group_make(t, child);
	group_run(t, child, work, NULL, NULL);
	open_pinned(t);
	assert_int_equal(sched_of(parent).voluntary, 0);
	group_remove(t, child);
	before = sched_of(parent);
	assert_true(before.voluntary >= 20);
	cgm_kernel_sweep(pinned);
	retire_all(t);
	assert_false(cgm_pinned_stable(pinned)); /* that pass is to be made again */
	after = sched_of(parent);
	assert_memory_equal(&after, &before, sizeof(after));
	same_rows(t, parent);
	close_pinned();
	group_remove(t, path);
	rig_unload(t);
}

static void test_pinned__more_chunks(void **state)
{
	struct rig *t = *state;
	struct cgm_sched sum = {0};
	uint32_t slot, chunks;

	rig_load(t);
	skip_unless_pinned(t);
	open_pinned(t);
	chunks = pinned->nr_chunks;
	assert_int_equal(cgm_rows_grow(t->kernel), 0);
	slot = chunks * CGM_CHUNK_SLOTS + 3;
	((struct cgm_sched *)cgm_row_at(t->kernel, CGM_ROWS_SCHED, 0, slot))->migrations = 4711;
	cgm_kernel_add_sched(pinned, slot, &sum);
	assert_int_equal(sum.migrations, 0);
	assert_int_equal(sched_of(slot).migrations, 4711);
	assert_int_equal(pinned->nr_chunks, chunks + 1);
	close_pinned();
	rig_unload(t);
}

static void test_pinned__what_is_not_ours(void **state)
{
	struct rig *t = *state;

	rig_load(t);
	skip_unless_pinned(t);
	assert_int_equal(cgm_pinned_open("/sys/fs/bpf/cgmbpf-nothing-here", &pinned), -ENOENT);
	t->kernel->meta->abi_version++;
	assert_int_equal(cgm_pinned_open(t->config.pin_dir, &pinned), -ESTALE);
	t->kernel->meta->abi_version--;
	t->kernel->meta->nr_shards = 100000;
	assert_int_equal(cgm_pinned_open(t->config.pin_dir, &pinned), -ESTALE);
	t->kernel->meta->nr_shards = t->kernel->nr_shards;
	open_pinned(t);
	assert_true(cgm_pinned_current(pinned));
	/* A new agent that began anew. */
	rig_unload(t);
	t->config.nr_slots *= 2;
	rig_load(t);
	assert_false(cgm_pinned_current(pinned));
	close_pinned();
	rig_unload(t);
}

static const struct CMUnitTest pinned_maps[] = {
	cmocka_unit_test_setup_teardown(test_pinned__after_a_crash, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pinned__folds, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pinned__more_chunks, pins_setup, pins_teardown),
	cmocka_unit_test_setup_teardown(test_pinned__what_is_not_ours, pins_setup, pins_teardown),
};
RUN_BPF_TESTS(pinned_maps)
