// SPDX-License-Identifier: Apache-2.0
/*
 * System calls against what a child did: calls, errors, bytes and times by class; calls that never leave their CPU; waits for a futex.
 * And: what is off by default does not run.
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include "bpf/util.h"

#define NR_READS 100
#define NR_WRITES 50
#define NR_BAD 30
#define NR_NAPS 20
#define NR_SIGNALS 6
#define NR_CALLS (NR_READS + NR_WRITES + NR_BAD + NR_NAPS + 3 * NR_SIGNALS + 3) /* getpid() for each kill(), as well */
#define NAP_NS 2000000
#define NR_LONG 16
#define LONG_BYTES (8 << 20)

static int setup(void **state)
{
	return rig_setup_with(state, "+syscall,+lock");
}

struct places {
	int zero, null;
};

static void on_signal(_unused_ int sig)
{
}

static void call(void *arg)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct places *p = arg;
	char buf[64];

	for (int i = 0; i < NR_READS; i++)
		syscall(SYS_read, p->zero, buf, 10);
	for (int i = 0; i < NR_WRITES; i++)
		syscall(SYS_write, p->null, buf, 20);
	for (int i = 0; i < NR_BAD; i++)
		syscall(SYS_openat, AT_FDCWD, "/no/such/file", O_RDONLY);
	for (int i = 0; i < NR_NAPS; i++)
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap, NULL);
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < NR_SIGNALS; i++)
		syscall(SYS_kill, getpid(), SIGUSR1);
	syscall(SYS_fsync, p->null);
	syscall(SYS_msync, 1, 1, 0x7fff); /* EINVAL */
}

static void test_syscall__classes(void **state)
{
	struct rig *t = *state;
	struct places p = { open("/dev/zero", O_RDONLY | O_CLOEXEC), open("/dev/null", O_WRONLY | O_CLOEXEC) };
	struct cgm_hist sleeps, reads, syncs, signals;
	uint64_t began, passed, calls = 0;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_sys_enter");
	slot = group_with_slot(t, "calls", path, sizeof(path));
	began = cgm_clock_mono_ns();
	group_run(t, path, call, &p, NULL);
	passed = cgm_clock_mono_ns() - began;
	/* Between its joining and its work the child also joins the other hierarchies: open, write, close each. */
	assert_int_equal(read_count(t, slot, CGM_C_SYS_READ), NR_READS);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_BYTES_READ), NR_READS * 10);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FAILED_READ), 0);
	assert_in_range(read_count(t, slot, CGM_C_SYS_WRITE), NR_WRITES, NR_WRITES + 2);
	assert_in_range(read_count(t, slot, CGM_C_SYS_BYTES_WRITTEN), NR_WRITES * 20, NR_WRITES * 20 + 20);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FAILED_OPEN), NR_BAD);
	assert_in_range(read_count(t, slot, CGM_C_SYS_OPEN), NR_BAD, NR_BAD + 2);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_SLEEP), NR_NAPS);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FAILED_SYNC), 2); /* fsync() of a device, too */
	/* kill() and the handler's rt_sigreturn() each, and rt_sigaction() */
	signals = read_wait(t, slot, CGM_W_SYS_SIGNAL);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_SIGNAL), 2 * NR_SIGNALS + 1);
	assert_int_equal(cgm_hist_count(&signals), 2 * NR_SIGNALS + 1);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FAILED_SIGNAL), 0);
	for (unsigned i = 0; i < CGM_NR_SYS; i++)
		calls += read_count(t, slot, CGM_C_SYS_OTHER + i);
	assert_in_range(calls, NR_CALLS, NR_CALLS + 20);
	sleeps = read_wait(t, slot, CGM_W_SYS_SLEEP);
	assert_int_equal(cgm_hist_count(&sleeps), NR_NAPS);
	assert_in_range(sleeps.sum_ns, NR_NAPS * (uint64_t)NAP_NS, passed);
	reads = read_wait(t, slot, CGM_W_SYS_READ);
	assert_int_equal(cgm_hist_count(&reads), NR_READS);
	syncs = read_wait(t, slot, CGM_W_SYS_SYNC);
	assert_int_equal(cgm_hist_count(&syncs), 2);
	close(p.zero);
	close(p.null);
	group_remove(t, path);
}

/* Fills memory inside one call, on a CPU that it may keep. */
static void stay_inside(void *arg)
{
	for (int i = 0; i < NR_LONG; i++) {
		struct rusage before, after;
		uint64_t began, ns;
		void *p;

		getrusage(RUSAGE_SELF, &before);
		began = cgm_clock_mono_ns();
		p = mmap(NULL, LONG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		ns = cgm_clock_mono_ns() - began;
		getrusage(RUSAGE_SELF, &after);
		/* A call of its own length and a little is surely as long as is asked. */
		*(int *)arg += ns > 1200000 && before.ru_nvcsw + before.ru_nivcsw == after.ru_nvcsw + after.ru_nivcsw;
		munmap(p, LONG_BYTES);
	}
}

static void test_syscall__long(void **state)
{
	struct rig *t = *state;
	int *nr_undisturbed = shared_page();
	struct cgm_hist h, memory;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_sys_exit");
	slot = group_with_slot(t, "long", path, sizeof(path));
	group_run(t, path, stay_inside, nr_undisturbed, NULL);
	h = read_wait(t, slot, CGM_W_LONG_SYS);
	memory = read_wait(t, slot, CGM_W_SYS_MEMORY);
	print_message("# %d calls kept their CPU, %llu were seen to\n", *nr_undisturbed, (unsigned long long)cgm_hist_count(&h));
	/* Those that the child saw to be undisturbed, and perhaps others between its two looks, or munmap(). */
	assert_in_range(cgm_hist_count(&h), *nr_undisturbed, 2 * NR_LONG + 4);
	assert_true(h.sum_ns >= cgm_hist_count(&h) * 1000000ULL);
	assert_true(h.sum_ns <= memory.sum_ns + 100000000);
	munmap(nr_undisturbed, 4096);
	group_remove(t, path);
}

#define NR_FUTEX 10
#define FUTEX_NS 3000000

static void wait_for_nobody(_unused_ void *arg)
{
	const struct timespec ts = { .tv_nsec = FUTEX_NS };
	int word = 0;

	for (int i = 0; i < NR_FUTEX; i++) {
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0);
		syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0); /* waits for nothing */
	}
}

static void test_syscall__futex(void **state)
{
	struct rig *t = *state;
	uint64_t began;
	struct cgm_hist h;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_futex_in");
	slot = group_with_slot(t, "futex", path, sizeof(path));
	began = cgm_clock_mono_ns();
	group_run(t, path, wait_for_nobody, NULL, NULL);
	h = read_wait(t, slot, CGM_W_FUTEX);
	assert_int_equal(cgm_hist_count(&h), NR_FUTEX);
	assert_in_range(h.sum_ns, NR_FUTEX * (uint64_t)FUTEX_NS, cgm_clock_mono_ns() - began);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FUTEX), 2 * NR_FUTEX);
	assert_int_equal(read_count(t, slot, CGM_C_SYS_FAILED_FUTEX), NR_FUTEX); /* ETIMEDOUT */
	group_remove(t, path);
}

static void test_syscall__off_by_default(void **state)
{
	struct rig *t = *state;

	assert_false(cgm_kernel_has(t->kernel, "syscall"));
	assert_false(cgm_kernel_has(t->kernel, "lock"));
	assert_false(cgm_kernel_has(t->kernel, "irq"));
	assert_false(cgm_kernel_has(t->kernel, "page_cache"));
}

static const struct CMUnitTest syscall_tests[] = {
	cmocka_unit_test_setup_teardown(test_syscall__classes, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_syscall__long, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_syscall__futex, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_syscall__off_by_default, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(syscall_tests)
