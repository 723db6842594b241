// SPDX-License-Identifier: Apache-2.0
/*
 * The registry: life-cycle events, slots given out once each, overflow counted and charged to nobody else, counts of removed cgroups kept by
 * their parent, slots used again from zero.
 *
 *	/cgmbpf-PID-p		parent
 *	/cgmbpf-PID-p/c		child, comes and goes
 */
#include "bpf/util.h"
#include "kernel/internal.h"

static void work(_unused_ void *arg)
{
	const struct timespec ts = { .tv_nsec = 1000000 };

	for (int i = 0; i < 20; i++)
		nanosleep(&ts, NULL);
}

struct seen {
	uint64_t made, removed;
	char name[64];
	uint32_t hierarchy;
};

static void on_event(void *arg, const struct cgm_event *e)
{
	struct seen *s = arg;

	if (e->hierarchy != s->hierarchy || strcmp(e->path + 1, s->name) != 0)
		return;
	s->made += e->type == CGM_EVENT_MKDIR;
	s->removed += e->type == CGM_EVENT_RMDIR;
	assert_int_equal(e->parent_id, 1);
	assert_int_not_equal(e->slot, CGM_SLOT_OVERFLOW);
}

static void test_slots__events(void **state)
{
	struct rig *t = *state;
	struct seen s = { .hierarchy = t->config.sched_hierarchy };

	if (!cgm_kernel_has(t->kernel, "cgroup")) {
		print_message("# skip: no life-cycle programs on this kernel\n");
		skip();
	}
	group_path(s.name, sizeof(s.name), "event");
	group_make(t, s.name);
	group_remove(t, s.name);
	assert_true(cgm_kernel_poll(t->kernel, on_event, &s) >= 2);
	assert_int_equal(s.made, 1);
	assert_int_equal(s.removed, 1);
}

struct emptied {
	char path[96];
	uint64_t id, nr, with_parent;
	uint32_t hierarchy;
};

static void on_empty(void *arg, const struct cgm_event *e)
{
	struct emptied *s = arg;
	size_t len = strlen(s->path);

	if (e->type != CGM_EVENT_EMPTY)
		return;
	assert_int_equal(e->hierarchy, s->hierarchy);
	if (strncmp(e->path + 1, s->path, len) != 0)
		return;
	s->with_parent++;
	if (strcmp(e->path + 1 + len, "/c") != 0)
		return;
	assert_int_equal(e->cgroup_id, s->id);
	s->nr++;
}

/* Once each time that the last task of the cgroup goes, by one hierarchy alone; and of its parent, which is empty then, too. */
static void test_slots__empty(void **state)
{
	struct rig *t = *state;
	struct emptied s = { .hierarchy = t->config.sched_hierarchy };
	char c[112];

	if (!cgm_kernel_hooked(t->kernel, "cgroup_notify_populated")) {
		print_message("# skip: no program at cgroup_notify_populated on this kernel\n");
		skip();
	}
	group_path(s.path, sizeof(s.path), "e");
	snprintf(c, sizeof(c), "%s/c", s.path);
	group_make(t, s.path);
	group_make(t, c);
	s.id = group_id(t, t->sched_controller, c);
	cgm_kernel_poll(t->kernel, on_empty, &s);
	assert_int_equal(s.with_parent, 0); /* nobody was there */
	for (unsigned i = 1; i <= 2; i++) {
		group_run(t, c, work, NULL, NULL);
		cgm_kernel_poll(t->kernel, on_empty, &s);
		assert_int_equal(s.nr, i);
		assert_int_equal(s.with_parent, 2 * i);
	}
	group_remove(t, c);
	group_remove(t, s.path);
	cgm_kernel_poll(t->kernel, on_empty, &s);
	assert_int_equal(s.nr, 2);
	retire_all(t);
}

/* What a removed cgroup counted can be read by its own slot until it is folded: rows, and what is kept by key. */
static void test_slots__last_counts(void **state)
{
	struct rig *t = *state;
	struct cgm_block_key key = { .dev = 8 << 20, .op = CGM_BLOCK_WRITE };
	struct cgm_block b = { .bytes = 4711, .requests = 1, .issued = 1 };
	const struct cgm_block *of_slot = NULL, *of_heir = NULL;
	uint32_t slot, root, dev;
	enum cgm_block_op op;
	size_t iter = 0;
	char path[64];
	uint64_t id;

	slot = group_with_slot(t, "last", path, sizeof(path));
	id = group_id(t, t->sched_controller, path);
	root = cgm_kernel_register(t->kernel, t->config.sched_hierarchy, 1, 0);
	assert_true(cgm_kernel_slot_is(t->kernel, slot, id));
	assert_false(cgm_kernel_slot_is(t->kernel, slot, id + 1));
	assert_false(cgm_kernel_slot_is(t->kernel, CGM_SLOT_OVERFLOW, id));
	group_run(t, path, work, NULL, NULL);
	key.slot = slot;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(t->kernel->keyed[CGM_KEYED_BLOCK].map), &key, &b, BPF_ANY), 0);
	group_remove(t, path);
	for (unsigned tick = 0; tick < 2; tick++) { /* dead, then on its way to the root */
		assert_true(read_sched(t, slot).voluntary >= 20);
		assert_true(cgm_kernel_slot_is(t->kernel, slot, id));
		for (iter = 0; (of_slot = cgm_kernel_next_block(t->kernel, slot, &iter, &dev, &op)) && of_slot->bytes != 4711;)
			;
		assert_non_null(of_slot);
		for (iter = 0; (of_heir = cgm_kernel_next_block(t->kernel, root, &iter, &dev, &op)) && !(dev == 8 << 20 && of_heir->bytes >= 4711);)
			;
		assert_non_null(of_heir); /* it counts there as before */
		cgm_kernel_retire(t->kernel);
	}
	assert_false(cgm_kernel_slot_is(t->kernel, slot, id));
	retire_all(t);
}

static void test_slots__removed_child(void **state)
{
	struct rig *t = *state;
	struct cgm_sched before, while_dead, after;
	uint32_t parent, child;
	uint64_t id;
	char p[64], c[96];

	group_path(p, sizeof(p), "p");
	snprintf(c, sizeof(c), "%s/c", p);
	group_make(t, p);
	group_make(t, c);
	parent = sched_slot(t, p);
	child = sched_slot(t, c);
	group_run(t, c, work, NULL, NULL);
	before = read_sched(t, child);
	assert_true(before.voluntary >= 20);
	id = t->kernel->slots[child].cgroup_id;
	assert_int_equal(read_sched(t, parent).voluntary, 0);
	assert_true(cgm_kernel_slot_live(t->kernel, child));
	group_remove(t, c);
	/* Dead, not folded: the parent has them already. */
	while_dead = read_sched(t, parent);
	assert_false(cgm_kernel_slot_live(t->kernel, child));
	assert_true(while_dead.voluntary >= before.voluntary);
	retire_all(t);
	after = read_sched(t, parent);
	/* The child may have been on its way out of its last switch when it was read before. */
	assert_in_range(after.voluntary, while_dead.voluntary, while_dead.voluntary + 1);
	assert_int_equal(after.off_cpu[CGM_OFF_SLEEP].sum_ns, while_dead.off_cpu[CGM_OFF_SLEEP].sum_ns);
	assert_in_range(cgm_hist_count(&after.runq_delay), cgm_hist_count(&while_dead.runq_delay), cgm_hist_count(&while_dead.runq_delay) + 1);
	group_remove(t, p);
	retire_all(t);
	assert_int_equal(cgm_kernel_slot(t->kernel, t->config.sched_hierarchy, id), CGM_SLOT_OVERFLOW);
	assert_true(t->kernel->slots[child].cgroup_id != id); /* free, or another's by now */
}

/* More comings and goings than there are slots: each begins at zero, none is lost. */
static void test_slots__used_again(void **state)
{
	struct rig t = { 0 };
	struct cgm_sched s, root;
	uint32_t nr = slow() ? 128 : 512;
	char path[64];

	(void)state;
	rig_open(&t);
	t.config.nr_slots = nr; /* room enough for other cgroups of the machine */
	rig_load(&t);
	if (!cgm_kernel_has(t.kernel, "cgroup")) {
		print_message("# skip: no life-cycle programs on this kernel\n");
		skip();
	}
	root = read_sched(&t, cgm_kernel_register(t.kernel, t.config.sched_hierarchy, 1, 0));
	group_path(path, sizeof(path), "again");
	for (unsigned i = 0; i < nr + nr / 4; i++) {
		uint32_t slot;

		group_make(&t, path);
		slot = sched_slot(&t, path);
		assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
		s = read_sched(&t, slot);
		assert_int_equal(s.voluntary + s.involuntary + cgm_hist_count(&s.runq_delay), 0);
		if (i % (nr / 4) == 0) {
			group_run(&t, path, work, NULL, NULL);
			assert_true(read_sched(&t, slot).voluntary >= 20);
		}
		group_remove(&t, path);
		retire_all(&t);
	}
	s = read_sched(&t, cgm_kernel_slot(t.kernel, t.config.sched_hierarchy, 1));
	assert_true(s.voluntary >= root.voluntary + 4 * 20);
	rig_unload(&t);
	cgm_trees_close(&t.trees);
	close(t.root_fd);
}

#define TINY 64 /* one chunk */

static void test_slots__overflow(void **state)
{
	struct rig t = { 0 };
	uint64_t drops[CGM_NR_DROPS];
	struct cgm_sched lost;
	char path[64];
	uint32_t slots[2 * TINY], none = 0;

	(void)state;
	rig_open(&t);
	t.config.nr_slots = TINY;
	rig_load(&t);
	if (!cgm_kernel_has(t.kernel, "cgroup")) {
		print_message("# skip: no life-cycle programs on this kernel\n");
		skip();
	}
	for (unsigned i = 0; i < 2 * TINY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "o%u", i);
		group_path(path, sizeof(path), name);
		group_make(&t, path);
		slots[i] = sched_slot(&t, path);
		none += slots[i] == CGM_SLOT_OVERFLOW;
		for (unsigned j = 0; j < i; j++)
			assert_true(slots[i] == CGM_SLOT_OVERFLOW || slots[i] != slots[j]);
	}
	assert_in_range(none, TINY, 2 * TINY); /* other cgroups of the machine may have taken some */
	cgm_kernel_drops(t.kernel, drops);
	assert_true(drops[CGM_DROP_SLOTS_FULL] >= none);
	/* The last one has no slot; what it does is counted in slot 0, and for none of the others. */
	lost = read_sched(&t, CGM_SLOT_OVERFLOW);
	group_run(&t, path, work, NULL, NULL);
	assert_true(read_sched(&t, CGM_SLOT_OVERFLOW).voluntary >= lost.voluntary + 20);
	for (unsigned i = 0; i < 2 * TINY; i++)
		if (slots[i] != CGM_SLOT_OVERFLOW)
			assert_int_equal(read_sched(&t, slots[i]).voluntary, 0);
	for (unsigned i = 0; i < 2 * TINY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "o%u", i);
		group_path(path, sizeof(path), name);
		group_remove(&t, path);
	}
	rig_unload(&t);
	cgm_trees_close(&t.trees);
	close(t.root_fd);
}

static void ignore_event(void *arg, const struct cgm_event *e)
{
	(void)arg;
	(void)e;
}

/* Rows come in chunks as cgroups do: more of them than there was room for at the start, each with its own counts, and all of them adopted. */
static void test_slots__grow(void **state)
{
	struct rig *t = *state;
	uint32_t before, nr = slow() ? 200 : 400, last = 0;
	char path[64], name[16];

	if (!cgm_kernel_has(t->kernel, "cgroup")) {
		print_message("# skip: no life-cycle programs on this kernel\n");
		skip();
	}
	before = cgm_kernel_slots(t->kernel);
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		group_path(path, sizeof(path), name);
		group_make(t, path);
		cgm_kernel_poll(t->kernel, ignore_event, NULL);
		last = sched_slot(t, path);
		assert_int_not_equal(last, CGM_SLOT_OVERFLOW);
	}
	assert_true(last >= 2 * CGM_CHUNK_SLOTS);
	assert_true(cgm_kernel_slots(t->kernel) > before);
	group_run(t, path, work, NULL, NULL);
	assert_true(read_sched(t, last).voluntary >= 20);
	for (uint32_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		group_path(path, sizeof(path), name);
		group_remove(t, path);
	}
	retire_all(t);
}

static const struct CMUnitTest slots_tests[] = {
	cmocka_unit_test_setup_teardown(test_slots__events, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_slots__empty, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_slots__last_counts, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_slots__removed_child, rig_setup, rig_teardown),
	cmocka_unit_test(test_slots__used_again),
	cmocka_unit_test(test_slots__overflow),
	cmocka_unit_test_setup_teardown(test_slots__grow, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(slots_tests)
