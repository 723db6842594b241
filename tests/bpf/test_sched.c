// SPDX-License-Identifier: Apache-2.0
/*
 * The scheduler's counts against the kernel's own: context switches and CPU time of a child by getrusage(), run-queue delay by schedstat.
 *
 *	/cgmbpf-PID-a	child: sleeps n times, burns in between; a second burner on the same CPU for the run-queue delay
 */
#include "bpf/util.h"
#include "kernel/internal.h"

#define NAPS 50

static void nap(_unused_ void *arg)
{
	const struct timespec ts = { .tv_nsec = 3000000 };

	for (int i = 0; i < NAPS; i++)
		nanosleep(&ts, NULL);
}

static void burn(void *arg)
{
	pin_to_cpu(0);
	burn_ns(*(uint64_t *)arg);
}

static void skip_without(struct rig *t, const char *group)
{
	if (cgm_kernel_has(t->kernel, group))
		return;
	print_message("# skip: no %s programs on this kernel\n", group);
	skip();
}

static void test_sched__switches(void **state)
{
	struct rig *t = *state;
	struct cgm_sched s;
	struct rusage ru;
	char path[64];
	uint32_t slot;

	skip_without(t, "sched");
	group_path(path, sizeof(path), "naps");
	group_make(t, path);
	slot = sched_slot(t, path);
	assert_int_not_equal(slot, CGM_SLOT_OVERFLOW);
	group_run(t, path, nap, NULL, &ru);
	s = read_sched(t, slot);
	/* The child joined after its fork and leaves once more at its end: two of each kind are not its own. */
	assert_in_range(s.voluntary, NAPS, (unsigned long)ru.ru_nvcsw + 2);
	assert_in_range(s.voluntary + 3, (unsigned long)ru.ru_nvcsw, (unsigned long)ru.ru_nvcsw + 5);
	assert_in_range(s.involuntary, 0, (unsigned long)ru.ru_nivcsw + 2);
	assert_int_equal(s.preempted[0] + s.preempted[1] + s.preempted[2], s.involuntary);
	/* A nap is 3 ms and is counted as sleep, once each. */
	assert_in_range(cgm_hist_count(&s.off_cpu[CGM_OFF_SLEEP]), NAPS - 2, NAPS + 5);
	assert_true(s.off_cpu[CGM_OFF_SLEEP].sum_ns >= NAPS * 3000000ULL * 9 / 10);
	assert_true(s.off_cpu[CGM_OFF_SLEEP].buckets[cgm_hist_bucket(3000000)] + s.off_cpu[CGM_OFF_SLEEP].buckets[cgm_hist_bucket(5000000)] > 0);
	/* Every arrival waited in the run queue before, and every departure ended a stay. */
	assert_in_range(cgm_hist_count(&s.on_cpu), s.voluntary + s.involuntary - 1, s.voluntary + s.involuntary);
	group_remove(t, path);
}

static void test_sched__on_cpu(void **state)
{
	struct rig *t = *state;
	uint64_t ns = 300000000, user;
	struct cgm_sched s;
	struct rusage ru;
	char path[64];
	uint32_t slot;

	skip_without(t, "sched");
	group_path(path, sizeof(path), "burn");
	group_make(t, path);
	slot = sched_slot(t, path);
	group_run(t, path, burn, &ns, &ru);
	s = read_sched(t, slot);
	user = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000000ULL + (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000ULL;
	assert_near(s.on_cpu.sum_ns, user, slow() ? 150 : 60);
	group_remove(t, path);
}

/* Two burners on one CPU: each waits about as long as the other runs. */
static void test_sched__runq_delay(void **state)
{
	struct rig *t = *state;
	uint64_t ns = slow() ? 1000000000 : 400000000;
	char a[64], b[64];
	struct cgm_sched sa, sb;
	uint32_t slot_a, slot_b;
	pid_t pa, pb;
	int status;

	skip_without(t, "sched");
	group_path(a, sizeof(a), "one");
	group_path(b, sizeof(b), "two");
	group_make(t, a);
	group_make(t, b);
	slot_a = sched_slot(t, a);
	slot_b = sched_slot(t, b);
	assert_int_not_equal(slot_a, slot_b);
	pa = group_start(t, a, burn, &ns);
	pb = group_start(t, b, burn, &ns);
	assert_int_equal(waitpid(pa, &status, 0), pa);
	assert_int_equal(waitpid(pb, &status, 0), pb);
	sa = read_sched(t, slot_a);
	sb = read_sched(t, slot_b);
	/* Others may want the CPU too, so there is no upper bound but the time that passed. */
	assert_true(sa.runq_delay.sum_ns + sb.runq_delay.sum_ns >= ns * 8 / 10);
	assert_true(sa.preempted[CGM_BY_OTHER] + sb.preempted[CGM_BY_OTHER] > 0);
	assert_true(sa.involuntary + sb.involuntary > 4);
	group_remove(t, a);
	group_remove(t, b);
}

static void stop_me(_unused_ void *arg)
{
	raise(SIGSTOP);
}

static void test_task__states(void **state)
{
	struct rig *t = *state;
	struct cgm_tasks tasks;
	char path[64];
	uint32_t slot;
	int status;
	pid_t pid;

	skip_without(t, "task");
	group_path(path, sizeof(path), "states");
	group_make(t, path);
	slot = sched_slot(t, path);
	pid = group_start(t, path, stop_me, NULL);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	cgm_kernel_sweep(t->kernel);
	assert_true(cgm_kernel_tasks(t->kernel, slot, &tasks));
	assert_int_equal(tasks.nr[CGM_TASK_STOPPED], 1);
	assert_int_equal(tasks.nr_processes, 1);
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	t->kernel->tasks_due_ns = 0; /* also with thousands of threads */
	cgm_kernel_sweep(t->kernel);
	assert_true(cgm_kernel_tasks(t->kernel, slot, &tasks));
	assert_int_equal(tasks.nr_processes, 0);
	assert_int_equal(tasks.nr[CGM_TASK_STOPPED], 0);
	group_remove(t, path);
}

/* The fallback counts the same things. */
static void test_sched__wakeup_pair(void **state)
{
	struct rig t = { 0 };
	struct cgm_sched s;
	struct rusage ru;
	char path[64];
	uint32_t slot;

	(void)state;
	rig_open(&t);
	t.config.sched_hook = CGM_SCHED_WAKEUP;
	rig_load(&t);
	skip_without(&t, "sched");
	group_path(path, sizeof(path), "pair");
	group_make(&t, path);
	slot = sched_slot(&t, path);
	group_run(&t, path, nap, NULL, &ru);
	s = read_sched(&t, slot);
	assert_in_range(s.voluntary, NAPS, (unsigned long)ru.ru_nvcsw + 2);
	assert_in_range(cgm_hist_count(&s.runq_delay), NAPS - 8, (unsigned long)(ru.ru_nvcsw + ru.ru_nivcsw) + 3);
	/* On a loaded machine a nap may be over before the task has left its CPU: it never slept then. */
	assert_in_range(cgm_hist_count(&s.off_cpu[CGM_OFF_SLEEP]), NAPS - 8, NAPS + 5);
	group_remove(&t, path);
	rig_unload(&t);
	cgm_trees_close(&t.trees);
	close(t.root_fd);
}

static const struct CMUnitTest sched[] = {
	cmocka_unit_test_setup_teardown(test_sched__switches, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sched__on_cpu, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sched__runq_delay, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_task__states, rig_setup, rig_teardown),
	cmocka_unit_test(test_sched__wakeup_pair),
};
RUN_BPF_TESTS(sched)
