// SPDX-License-Identifier: Apache-2.0
/*
 * Locks of the kernel and interrupts. No other account of these is kept per cgroup, so: what must have happened, no more than there was time for,
 * and nothing for a cgroup that did nothing.
 */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "bpf/util.h"

#define NR_MAPS 500
#define RUN_NS 300000000ULL

static int setup(void **state)
{
	return rig_setup_with(state, "+lock,+irq");
}

static void map_and_unmap(_unused_ void *arg)
{
	for (int i = 0; i < NR_MAPS; i++)
		munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
}

/* Each call takes the lock once. */
static void test_lock__mmap(void **state)
{
	struct rig *t = *state;
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_hist h;
	uint32_t slot;
	char path[64];

	need_program(t, "cgm_mmap_in");
	slot = group_with_slot(t, "mmap", path, sizeof(path));
	group_run(t, path, map_and_unmap, NULL, NULL);
	h = read_wait(t, slot, CGM_W_MMAP_LOCK);
	assert_in_range(cgm_hist_count(&h), 2 * NR_MAPS, 2 * NR_MAPS + 200);
	assert_in_range(h.sum_ns, 1, cgm_clock_mono_ns() - began);
	group_remove(t, path);
}

struct job {
	int fd;
	int cpu;
};

/* Writers of one file wait for its inode. */
static void write_same(void *arg)
{
	uint64_t end = cgm_clock_mono_ns() + RUN_NS;
	static char buf[1 << 20];
	struct job *j = arg;

	pin_to_cpu(j->cpu);
	while (cgm_clock_mono_ns() < end)
		if (pwrite(j->fd, buf, sizeof(buf), 0) != sizeof(buf))
			_exit(98);
}

static void test_lock__contention(void **state)
{
	struct rig *t = *state;
	uint64_t began, passed, waits, quiet;
	char path[64], other[64];
	uint32_t slot, other_slot;
	struct cgm_hist rwsem, h;
	struct job j = { 0 };
	int status;
	pid_t pid;

	need_program(t, "cgm_lock_in");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		print_message("# skip: one CPU\n");
		skip();
	}
	j.fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (j.fd < 0)
		j.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(j.fd >= 0);
	slot = group_with_slot(t, "lock", path, sizeof(path));
	other_slot = group_with_slot(t, "lock-quiet", other, sizeof(other));
	began = cgm_clock_mono_ns();
	pid = group_start(t, path, write_same, &j);
	j.cpu = 1;
	group_run(t, path, write_same, &j, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	passed = cgm_clock_mono_ns() - began;
	rwsem = read_wait(t, slot, CGM_W_LOCK_RWSEM);
	print_message("# %llu waits of %.3f s in all, two writers of %.3f s\n", (unsigned long long)cgm_hist_count(&rwsem), (double)rwsem.sum_ns / 1e9,
		      (double)passed / 1e9);
	waits = cgm_hist_count(&rwsem);
	assert_true(waits > 0);
	assert_in_range(rwsem.sum_ns, 1, 2 * passed);
	h = read_wait(t, other_slot, CGM_W_LOCK_RWSEM);
	quiet = cgm_hist_count(&h);
	assert_int_equal(quiet, 0);
	close(j.fd);
	group_remove(t, path);
	group_remove(t, other);
}

/* Datagrams to itself: received in a soft interrupt on top of the sender. The tick comes all the time. */
static void send_to_myself(_unused_ void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint64_t end = cgm_clock_mono_ns() + RUN_NS;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);
	char c[64] = { 0 };

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		_exit(97);
	while (cgm_clock_mono_ns() < end)
		if (sendto(fd, c, sizeof(c), 0, (struct sockaddr *)&a, len) < 0 || recv(fd, c, sizeof(c), 0) < 0)
			_exit(98);
}

static void test_irq__soft_and_tick(void **state)
{
	struct rig *t = *state;
	uint64_t rx, tick, sum = 0;
	char path[64], other[64];
	uint32_t slot, other_slot;
	const char *reason;
	struct cgm_sched s;

	need_program(t, "cgm_soft_in");
	slot = group_with_slot(t, "irq", path, sizeof(path));
	other_slot = group_with_slot(t, "irq-quiet", other, sizeof(other));
	group_run(t, path, send_to_myself, NULL, NULL);
	rx = read_count(t, slot, CGM_C_IRQ_NET_RX);
	tick = read_count(t, slot, CGM_C_IRQ_TICK);
	s = read_sched(t, slot);
	for (unsigned i = CGM_C_IRQ_DEVICE; i <= CGM_C_IRQ_RCU; i++) {
		sum += read_count(t, slot, i);
		assert_int_equal(read_count(t, other_slot, i), 0);
	}
	print_message("# %.3f s on the CPU: %.3f s of network, %.3f s of ticks, %.3f s of interrupts in all\n", (double)s.on_cpu.sum_ns / 1e9,
		      (double)rx / 1e9, (double)tick / 1e9, (double)sum / 1e9);
	assert_true(rx > 0);
	assert_true(tick > 0 || !program_runs(t, "cgm_tick_in", &reason));
	assert_true(sum < s.on_cpu.sum_ns);
	group_remove(t, path);
	group_remove(t, other);
}

static const struct CMUnitTest lock[] = {
	cmocka_unit_test_setup_teardown(test_lock__mmap, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_lock__contention, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_irq__soft_and_tick, setup, rig_teardown),
};
RUN_BPF_TESTS(lock)
