// SPDX-License-Identifier: Apache-2.0
/* Waits of packets, of the group packet that is off by default: for the application, and in the queue of an interface. */
#include "bpf/netns.h"

static int setup(void **state)
{
	return rig_setup_with(state, "+packet");
}

#define SLEPT_MS 60
#define NR_READS 25

static void slow_reader(_unused_ void *arg)
{
	struct pair p;

	own_network();
	p = connected(listener(1));
	for (int i = 0; i < NR_READS - 1; i++) {
		must(send(p.client, "fast", 4, 0) == 4);
		read_all(p.server, 4);
	}
	/* Only the first of these waits so long, and it is the one that counts. */
	must(send(p.client, "slow", 4, 0) == 4);
	usleep(SLEPT_MS * 1000);
	must(send(p.client, "last", 4, 0) == 4);
	usleep(1000);
	read_all(p.server, 8);
}

static void test_packet__read_delay(void **state)
{
	struct rig *t = *state;
	struct cgm_hist h;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_tcp_read");
	slot = group_with_slot(t, "reader", path, sizeof(path));
	group_run(t, path, slow_reader, NULL, NULL);
	h = read_wait(t, slot, CGM_W_TCP_UNREAD);
	assert_int_equal(cgm_hist_count(&h), NR_READS);
	assert_true(h.sum_ns >= SLEPT_MS * 1000000ULL && h.sum_ns < (SLEPT_MS + (slow() ? 500 : 40)) * 1000000ULL);
	group_remove(t, path);
}

static void patient_reader(void *arg)
{
	struct told *told = arg;
	struct pair p;

	own_network();
	p = connected(listener(1));
	must(send(p.client, "a", 1, 0) == 1);
	step(&told->at, 1);
	await_step(&told->at, 2);
	read_all(p.server, 1);
	must(send(p.client, "b", 1, 0) == 1);
	read_all(p.server, 1);
}

/* What arrived before the programs were switched off waits for nobody when they are back. */
static void test_packet__pause(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct cgm_hist h;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_tcp_read");
	slot = group_with_slot(t, "pause", path, sizeof(path));
	pid = group_start(t, path, patient_reader, told);
	await_child(&told->at, 1, pid);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "packet", false, "test"), 0);
	usleep(300000);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "packet", true, ""), 0);
	step(&told->at, 2);
	end_child(pid);
	h = read_wait(t, slot, CGM_W_TCP_UNREAD);
	assert_int_equal(cgm_hist_count(&h), 1);
	assert_true(h.sum_ns < 200000000);
	group_remove(t, path);
	munmap(told, 4096);
}

#define NR_QUEUED 12
#define QUEUED_BYTES 1000
/* Of the interface's queue: a packet of so many bytes (42 more with its headers) takes 8.3 ms. */
#define RATE "1mbit"
#define PACKET_NS (8ULL * (QUEUED_BYTES + 42) * 1000)

static void queued(void *arg)
{
	struct told *told = arg;
	struct sockaddr_in a;
	char buf[QUEUED_BYTES] = { 0 };
	int to, from, status;
	pid_t tc;

	own_network();
	tc = fork();
	if (tc == 0) {
		execlp("tc", "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", RATE, "burst", "1600", "limit", "100000", NULL);
		_exit(127);
	}
	must(waitpid(tc, &status, 0) == tc);
	if (status) {
		told->n[0] = 1;
		return;
	}
	to = bound(SOCK_DGRAM);
	from = bound(SOCK_DGRAM);
	a = loopback(port_of(to));
	/* The first one tells v1 whose socket it is. */
	must(sendto(from, buf, 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1);
	read_all(to, 1);
	told->n[1] = cgm_clock_mono_ns();
	for (int i = 0; i < NR_QUEUED; i++)
		must(sendto(from, buf, sizeof(buf), 0, (struct sockaddr *)&a, sizeof(a)) == (ssize_t)sizeof(buf));
	read_all(to, NR_QUEUED * QUEUED_BYTES);
	told->n[2] = cgm_clock_mono_ns();
}

static void test_packet__qdisc(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	uint64_t drops[CGM_NR_DROPS], lone = NR_QUEUED, wanted = 0;
	struct cgm_hist h;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_q_out");
	slot = group_with_slot(t, "queued", path, sizeof(path));
	group_run(t, path, queued, told, NULL);
	if (told->n[0]) {
		group_remove(t, path);
		print_message("# skip: no queueing discipline tbf (CONFIG_NET_SCH_TBF) or no tc\n");
		skip();
	}
	h = read_wait(t, slot, CGM_W_QDISC);
	/* The very first may have left the queue before its owner was known. */
	assert_in_range(cgm_hist_count(&h), NR_QUEUED, NR_QUEUED + 1);
	/* Each waits for those before it; the first goes at once, on credit. */
	while (lone--)
		wanted += lone * PACKET_NS;
	assert_near(h.sum_ns, wanted, slow() ? 500 : 200);
	assert_true(h.sum_ns < NR_QUEUED * (told->n[2] - told->n[1]));
	cgm_kernel_drops(t->kernel, drops);
	assert_int_equal(drops[CGM_DROP_PACKET], 0);
	group_remove(t, path);
	munmap(told, 4096);
}

static const struct CMUnitTest packet[] = {
	cmocka_unit_test_setup_teardown(test_packet__read_delay, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_packet__pause, setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_packet__qdisc, setup, rig_teardown),
};
RUN_BPF_TESTS(packet)
