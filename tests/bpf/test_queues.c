// SPDX-License-Identifier: Apache-2.0
/* Packets that find a queue full, no socket or a wrong checksum, and sockets out of memory, against the kernel's own counters of a network namespace. */
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "bpf/netns.h"

#define NR_DATAGRAMS 200

enum { RCVBUF_ERRORS, IN_ERRORS, NO_PORTS, CSUM_ERRORS };

/* Whoever reads from a socket owns it, on v1; on v2 whoever made it. */
static int used_receiver(int from)
{
	int to = bound(SOCK_DGRAM);

	send_datagrams(from, port_of(to), 1, 1);
	read_all(to, 1);
	return to;
}

static void overflow(void *arg)
{
	struct told *told = arg;
	int size = 4096, to, from;

	own_network();
	from = bound(SOCK_DGRAM);
	to = used_receiver(from);
	must(setsockopt(to, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
	send_datagrams(from, port_of(to), NR_DATAGRAMS, 1000);
	told->n[RCVBUF_ERRORS] = net_count("snmp", "Udp", "RcvbufErrors");
}

static void test_queues__udp_overflow(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	const char *reason;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_udp_drop");
	slot = group_with_slot(t, "overflow", path, sizeof(path));
	group_run(t, path, overflow, told, NULL);
	assert_true(told->n[RCVBUF_ERRORS] > 100);
	assert_int_equal(read_count(t, slot, CGM_C_UDP_DROP_BUFFER), told->n[RCVBUF_ERRORS]);
	assert_int_equal(read_count(t, slot, CGM_C_UDP_DROP_MEMORY), 0);
	if (program_runs(t, "cgm_skb_drop", &reason))
		assert_int_equal(read_count(t, slot, CGM_C_DROP_BUFFER), told->n[RCVBUF_ERRORS]);
	group_remove(t, path);
	munmap(told, 4096);
}

/* Of the sockets that queue as most do, those of ping are at hand on every kernel. */
static void ping_overflow(void *arg)
{
	struct told *told = arg;
	struct sockaddr_in to = loopback(0);
	struct {
		struct icmphdr icmp;
		char text[900];
	} echo = { .icmp = { .type = ICMP_ECHO } };
	int size = 4096, ping;

	own_network();
	must(write_text(AT_FDCWD, "/proc/sys/net/ipv4/ping_group_range", "0 0") == 0);
	ping = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	must(ping >= 0);
	must(sendto(ping, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(echo));
	must(recv(ping, &echo, sizeof(echo), 0) == sizeof(echo));
	must(setsockopt(ping, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0);
	for (int i = 0; i < NR_DATAGRAMS; i++) {
		echo.icmp.type = ICMP_ECHO;
		must(sendto(ping, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(echo));
	}
	usleep(100000);
	told->n[0] = NR_DATAGRAMS;
	while (recv(ping, &echo, sizeof(echo), MSG_DONTWAIT) > 0)
		told->n[0]--;
}

static void test_queues__receive_queue_full(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_rcvq_full");
	slot = group_with_slot(t, "ping", path, sizeof(path));
	group_run(t, path, ping_overflow, told, NULL);
	assert_true(told->n[0] > 0);
	assert_int_equal(read_count(t, slot, CGM_C_RCVQ_FULL), told->n[0]);
	group_remove(t, path);
	munmap(told, 4096);
}

/*
 * A datagram whose checksum is wrong, from a raw socket, which does not mend it. Long enough (CHECKSUM_BREAK) that it is not looked at before the
 * receiver is found.
 */
static void send_damaged(uint16_t port)
{
	struct {
		uint16_t source, dest, bytes, check;
		char text[100];
	} datagram = { htons(9), htons(port), htons(sizeof(datagram)), htons(1), "bad" };
	struct sockaddr_in to = loopback(0);
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);

	must(raw >= 0);
	must(sendto(raw, &datagram, sizeof(datagram), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(datagram));
	close(raw);
}

static void lost_packets(void *arg)
{
	struct told *told = arg;
	int from, to, closed;
	uint16_t nobody;

	own_network();
	from = bound(SOCK_DGRAM);
	to = used_receiver(from);
	lose_all(to, true);
	send_datagrams(from, port_of(to), 11, 100);
	told->n[IN_ERRORS] = net_count("snmp", "Udp", "InErrors");
	send_damaged(port_of(to)); /* looked at before the filter, else only by the reader */
	told->n[CSUM_ERRORS] = net_count("snmp", "Udp", "InCsumErrors");
	closed = bound(SOCK_DGRAM);
	nobody = port_of(closed);
	close(closed);
	send_datagrams(from, nobody, 5, 100);
	told->n[NO_PORTS] = net_count("snmp", "Udp", "NoPorts");
}

static void test_queues__packet_drops(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	uint64_t root_nobody = read_count(t, own_root(t), CGM_C_DROP_NO_SOCKET), root_filter = read_count(t, own_root(t), CGM_C_DROP_FILTER);
	const char *reason;
	char path[64];
	uint32_t slot;

	if (!program_runs(t, "cgm_skb_drop", &reason))
		need_program(t, "cgm_skb_drop_no");
	slot = group_with_slot(t, "lost", path, sizeof(path));
	group_run(t, path, lost_packets, told, NULL);
	assert_int_equal(told->n[IN_ERRORS], 11);
	assert_int_equal(told->n[NO_PORTS], 5);
	if (program_runs(t, "cgm_skb_drop", &reason)) {
		assert_int_equal(read_count(t, slot, CGM_C_DROP_FILTER), told->n[IN_ERRORS]);
		assert_int_equal(read_count(t, slot, CGM_C_DROP_DAMAGED), told->n[CSUM_ERRORS]);
	} else { /* this kernel does not say for whom it was: nobody knows its owner */
		assert_true(read_count(t, own_root(t), CGM_C_DROP_FILTER) >= root_filter + told->n[IN_ERRORS]);
	}
	assert_true(read_count(t, own_root(t), CGM_C_DROP_NO_SOCKET) >= root_nobody + told->n[NO_PORTS]);
	assert_int_equal(read_count(t, slot, CGM_C_DROP_OTHER) + read_count(t, slot, CGM_C_DROP_TCP) + read_count(t, slot, CGM_C_DROP_QUEUE), 0);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- memory for sockets: v1 has a limit of its own for it; on v2 it is the cgroup's memory, and who is out of that is killed ---- */

static void fill_sockets(void *arg)
{
	struct told *told = arg;
	static char buf[65536];
	struct pair p[4];
	int l;

	own_network();
	memset(buf, 1, sizeof(buf));
	step(&told->at, 1);
	await_step(&told->at, 2); /* the limit is set, which is looked at when a socket is made */
	l = listener(4);
	for (int i = 0; i < 4; i++)
		p[i] = connected(l);
	for (int i = 0; i < 400; i++)
		if (send(p[i % 4].client, buf, sizeof(buf), MSG_DONTWAIT) < 0)
			usleep(1000);
}

static void test_queues__memory_limit(void **state)
{
	struct rig *t = *state;
	int memory = t->trees.h[CGM_CTRL_MEMORY].dir_fd;
	struct told *told = shared_page();
	char path[64], file[128], pid[16];
	bool apart, limited;
	uint32_t slot;
	pid_t child;

	need_program(t, "cgm_sock_limit");
	slot = group_with_slot(t, "limit", path, sizeof(path));
	apart = memory >= 0 && t->trees.h[CGM_CTRL_MEMORY].id != t->config.sched_hierarchy && mkdirat(memory, path, 0755) == 0;
	snprintf(file, sizeof(file), "%s/memory.kmem.tcp.limit_in_bytes", path);
	limited = memory >= 0 && write_text(memory, file, "16384") == 0;
	child = limited ? group_start(t, path, fill_sockets, told) : 0;
	if (child) {
		await_child(&told->at, 1, child);
		snprintf(file, sizeof(file), "%s/cgroup.procs", path);
		snprintf(pid, sizeof(pid), "%d", (int)child);
		assert_int_equal(write_text(memory, file, pid), 0);
		step(&told->at, 2);
		end_child(child);
		assert_true(read_count(t, slot, CGM_C_SOCK_LIMIT_TX) + read_count(t, slot, CGM_C_SOCK_LIMIT_RX) > 0);
	}
	if (apart)
		remove_in(memory, path, NULL);
	group_remove(t, path);
	munmap(told, 4096);
	if (limited)
		return;
	print_message("# skip: no memory.kmem.tcp.limit_in_bytes on this kernel\n");
	skip();
}

static const struct CMUnitTest queues[] = {
	cmocka_unit_test_setup_teardown(test_queues__udp_overflow, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_queues__receive_queue_full, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_queues__packet_drops, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_queues__memory_limit, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(queues)
