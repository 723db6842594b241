// SPDX-License-Identifier: Apache-2.0
/*
 * How connections fare, against the kernel's own counters of a network namespace in which nothing else happens. Both ends of every connection
 * are in one cgroup, so what the namespace counted is what the cgroup's row must have.
 */
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

#include "bpf/netns.h"

/*
 * Where timers make the events, a host may lose one now and then: on the virtual machine on which this was written some 1 % of them reach no
 * program at all, also none that is attached alone and does nothing but count (of ends of block requests some in a million, see end_unseen()). So a test is given three rounds, each in a new cgroup, and one
 * must be exact; what is wrong in our programs is wrong in all of them. The cgroup of the last round is left for the caller.
 */
#define NR_ROUNDS 3

static uint32_t run_until_exact(struct rig *t, const char *name, void (*child)(void *arg), struct told *told,
				bool (*exact)(struct rig *t, uint32_t slot, const struct told *told), char *path, size_t size)
{
	uint32_t slot = CGM_SLOT_OVERFLOW;

	for (int i = 0; i < NR_ROUNDS; i++) {
		char own[32];

		snprintf(own, sizeof(own), "%s%d", name, i);
		slot = group_with_slot(t, own, path, size);
		memset(told, 0, sizeof(*told));
		group_run(t, path, child, told, NULL);
		if (i == NR_ROUNDS - 1 || exact(t, slot, told))
			break;
		print_message("# round %d was not exact: once more\n", i + 1);
		group_remove(t, path);
	}
	return slot;
}

/* ---- sent again, and why ---- */

enum { RETRANS, SYN_RETRANS, PROBES, TIMEOUTS, RECOVERIES };

static void lose_syn(int l)
{
	int c = tcp_socket();

	lose_all(l, true);
	start_connect(c, port_of(l));
	usleep(500000);
	lose_all(l, false); /* the next, after a second, gets through */
	must(end_connect(c) == 0);
	must(close(accept(l, NULL, NULL)) == 0);
	close(c);
}

static void lose_syn_ack(int l)
{
	int c = tcp_socket();

	lose_all(c, true);
	start_connect(c, port_of(l));
	usleep(500000);
	lose_all(c, false);
	must(end_connect(c) == 0);
	must(close(accept(l, NULL, NULL)) == 0);
	close(c);
}

/* One segment, so that no later one tells of its loss: a probe, then timeouts. */
static void lose_all_for_long(int l)
{
	struct pair p = connected(l);

	must(send(p.client, "a", 1, 0) == 1);
	read_all(p.server, 1);
	usleep(100000);
	lose_all(p.server, true);
	must(send(p.client, "b", 1, 0) == 1);
	usleep(1500000);
	lose_all(p.server, false);
	read_all(p.server, 1);
	close(p.client);
	close(p.server);
}

/* One lost segment and many after it. */
static void lose_one(int l)
{
	struct pair p = connected(l);

	must(send(p.client, "a", 1, 0) == 1);
	read_all(p.server, 1);
	usleep(100000);
	lose_all(p.server, true);
	must(send(p.client, "b", 1, 0) == 1);
	lose_all(p.server, false);
	for (int i = 0; i < 8; i++)
		must(send(p.client, "c", 1, 0) == 1);
	read_all(p.server, 9);
	usleep(100000);
	close(p.client);
	close(p.server);
}

static void lossy(void *arg)
{
	struct told *told = arg;
	int l;

	own_network();
	l = listener(8);
	lose_syn(l);
	lose_all_for_long(l);
	lose_one(l);
	usleep(200000);
	told->n[RETRANS] = net_count("snmp", "Tcp", "RetransSegs");
	told->n[SYN_RETRANS] = net_count("netstat", "TcpExt", "TCPSynRetrans");
	told->n[PROBES] = net_count("netstat", "TcpExt", "TCPLossProbes");
	told->n[TIMEOUTS] = net_count("netstat", "TcpExt", "TCPTimeouts");
	told->n[RECOVERIES] = net_count("netstat", "TcpExt", "TCPSackRecovery") + net_count("netstat", "TcpExt", "TCPRenoRecovery");
}

static uint64_t resent(struct rig *t, uint32_t slot)
{
	return read_count(t, slot, CGM_C_RESENT_FAST) + read_count(t, slot, CGM_C_RESENT_PROBE) + read_count(t, slot, CGM_C_RESENT_TIMEOUT) +
	       read_count(t, slot, CGM_C_RESENT_SYN) + read_count(t, slot, CGM_C_RESENT_SYN_ACK);
}

static bool all_resent(struct rig *t, uint32_t slot, const struct told *told)
{
	return resent(t, slot) == told->n[RETRANS] && read_net(t, slot).tcp_retransmitted_segments == told->n[RETRANS] &&
	       read_count(t, slot, CGM_C_LOSS_TIMEOUT) == told->n[TIMEOUTS] && read_count(t, slot, CGM_C_LOSS_RECOVERY) == told->n[RECOVERIES];
}

static void test_tcp__resent(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_resend_sa");
	need_program(t, "cgm_tcp_loss");
	slot = run_until_exact(t, "lossy", lossy, told, all_resent, path, sizeof(path));
	assert_int_equal(resent(t, slot), told->n[RETRANS]);
	assert_int_equal(read_net(t, slot).tcp_retransmitted_segments, told->n[RETRANS]);
	assert_int_equal(read_count(t, slot, CGM_C_RESENT_SYN), told->n[SYN_RETRANS]);
	assert_int_equal(read_count(t, slot, CGM_C_RESENT_PROBE), told->n[PROBES]);
	assert_true(read_count(t, slot, CGM_C_RESENT_FAST) >= 1 && read_count(t, slot, CGM_C_RESENT_TIMEOUT) >= 1);
	assert_true(told->n[SYN_RETRANS] >= 1 && told->n[PROBES] >= 1);
	assert_int_equal(read_count(t, slot, CGM_C_LOSS_TIMEOUT), told->n[TIMEOUTS]);
	assert_int_equal(read_count(t, slot, CGM_C_LOSS_RECOVERY), told->n[RECOVERIES]);
	assert_true(told->n[RECOVERIES] >= 1);
	group_remove(t, path);
	munmap(told, 4096);
}

static void silent_client(void *arg)
{
	struct told *told = arg;

	own_network();
	lose_syn_ack(listener(8));
	told->n[RETRANS] = net_count("snmp", "Tcp", "RetransSegs");
	told->n[SYN_RETRANS] = net_count("netstat", "TcpExt", "TCPSynRetrans");
}

static bool handshakes_resent(struct rig *t, uint32_t slot, const struct told *told)
{
	return resent(t, slot) == told->n[RETRANS] && read_net(t, slot).tcp_retransmitted_segments == told->n[RETRANS];
}

/* Apart from the others: the kernel counts its timeouts among those of connections. */
static void test_tcp__resent_syn_ack(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	uint64_t syn, syn_ack;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_resend_sa");
	slot = run_until_exact(t, "synack", silent_client, told, handshakes_resent, path, sizeof(path));
	syn = read_count(t, slot, CGM_C_RESENT_SYN);
	syn_ack = read_count(t, slot, CGM_C_RESENT_SYN_ACK);
	assert_true(syn >= 1 && syn_ack >= 1);
	assert_int_equal(syn + syn_ack, told->n[RETRANS]);
	assert_int_equal(syn + syn_ack, told->n[SYN_RETRANS]);
	assert_int_equal(read_net(t, slot).tcp_retransmitted_segments, told->n[RETRANS]);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- connects ---- */

#define NR_CONNECTS 7
#define HELD_MS 300

enum { ACTIVE_OPENS, PASSIVE_OPENS, ATTEMPT_FAILS, CONNECT_NS };

#define TO_SERVER(i) (3000 * (size_t)(i)) /* of the first nothing but its FIN */
#define TO_CLIENT 777

/* Sends all of it and receives it. */
static void move(int from, int to, size_t bytes)
{
	char buf[32768] = { 0 };

	if (bytes && (send(from, buf, bytes, 0) != (ssize_t)bytes || recv(to, buf, bytes, MSG_WAITALL) != (ssize_t)bytes))
		_exit(93);
}

static void connects(void *arg)
{
	struct told *told = arg;
	struct pair p[NR_CONNECTS];
	int l;

	own_network();
	l = listener(NR_CONNECTS);
	for (int i = 0; i < NR_CONNECTS; i++) {
		uint64_t began = cgm_clock_mono_ns();

		p[i] = connected(l);
		told->n[CONNECT_NS] += cgm_clock_mono_ns() - began;
	}
	for (int i = 0; i < NR_CONNECTS; i++) {
		move(p[i].client, p[i].server, TO_SERVER(i));
		move(p[i].server, p[i].client, TO_CLIENT);
	}
	usleep(HELD_MS * 1000);
	for (int i = 0; i < NR_CONNECTS; i++) { /* either end goes first */
		close(i % 2 ? p[i].client : p[i].server);
		usleep(1000);
		close(i % 2 ? p[i].server : p[i].client);
	}
	usleep(200000);
	told->n[ACTIVE_OPENS] = net_count("snmp", "Tcp", "ActiveOpens");
	told->n[PASSIVE_OPENS] = net_count("snmp", "Tcp", "PassiveOpens");
}

static void test_tcp__connect_and_lifetime(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct cgm_hist connect, life;
	uint64_t moved = NR_CONNECTS * TO_CLIENT;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_tcp_life");
	slot = group_with_slot(t, "connects", path, sizeof(path));
	group_run(t, path, connects, told, NULL);
	connect = read_wait(t, slot, CGM_W_TCP_CONNECT);
	assert_int_equal(cgm_hist_count(&connect), told->n[ACTIVE_OPENS]);
	assert_int_equal(told->n[ACTIVE_OPENS], NR_CONNECTS);
	assert_true(connect.sum_ns > 0 && connect.sum_ns < told->n[CONNECT_NS]);
	/* Both ends. */
	life = read_wait(t, slot, CGM_W_TCP_LIFETIME);
	assert_int_equal(cgm_hist_count(&life), told->n[ACTIVE_OPENS] + told->n[PASSIVE_OPENS]);
	assert_true(life.sum_ns >= 2 * NR_CONNECTS * HELD_MS * 1000000ULL);
	assert_true(life.sum_ns < 2 * NR_CONNECTS * (HELD_MS + (slow() ? 3000 : 500)) * 1000000ULL);
	for (int i = 0; i < NR_CONNECTS; i++)
		moved += TO_SERVER(i);
	assert_int_equal(read_count(t, slot, CGM_C_ENDED_TX_BYTES), moved);
	assert_int_equal(read_count(t, slot, CGM_C_ENDED_RX_BYTES), moved);
	group_remove(t, path);
	munmap(told, 4096);
}

static uint16_t checksum(const void *p, size_t bytes)
{
	const uint16_t *v = p;
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes / 2; i++)
		sum += v[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* Answers a SYN to port as a router without a way there would. */
static void answer_unreachable(int tcp_raw, uint16_t port)
{
	struct {
		struct icmphdr icmp;
		unsigned char cause[28]; /* IP header and 8 bytes */
	} reply = { .icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_HOST_UNREACH } };
	int icmp = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	struct sockaddr_in to = loopback(0);
	unsigned char packet[128];

	must(icmp >= 0);
	do
		must(recv(tcp_raw, packet, sizeof(packet), 0) >= 40);
	while (packet[22] != port >> 8 || packet[23] != (port & 255)); /* destination */
	memcpy(reply.cause, packet, sizeof(reply.cause));
	reply.icmp.checksum = checksum(&reply, sizeof(reply));
	must(sendto(icmp, &reply, sizeof(reply), 0, (struct sockaddr *)&to, sizeof(to)) == sizeof(reply));
	close(icmp);
}

static void failures(void *arg)
{
	struct told *told = arg;
	unsigned patience_ms = 700;
	int l, closed, raw, c;
	uint16_t nobody;

	own_network();
	closed = bound(SOCK_STREAM);
	nobody = port_of(closed);
	close(closed);
	must(end_connect(start_connect(tcp_socket(), nobody)) == ECONNREFUSED);

	l = listener(1);
	lose_all(l, true);
	c = tcp_socket();
	must(setsockopt(c, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms)) == 0);
	must(end_connect(start_connect(c, port_of(l))) == ETIMEDOUT);

	raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
	must(raw >= 0);
	c = start_connect(tcp_socket(), port_of(l));
	answer_unreachable(raw, port_of(l));
	must(end_connect(c) == EHOSTUNREACH);
	close(raw);
	told->n[ATTEMPT_FAILS] = net_count("snmp", "Tcp", "AttemptFails");
}

static void failures_and_one_given_up(void *arg)
{
	int l;

	failures(arg);
	l = listener(1);
	lose_all(l, true);
	close(start_connect(tcp_socket(), port_of(l)));
}

static bool all_failed(struct rig *t, uint32_t slot, _unused_ const struct told *told)
{
	return read_count(t, slot, CGM_C_CONNECT_REFUSED) == 1 && read_count(t, slot, CGM_C_CONNECT_TIMEOUT) == 1 &&
	       read_count(t, slot, CGM_C_CONNECT_UNREACHABLE) == 1 && read_count(t, slot, CGM_C_CONNECT_GIVEN_UP) == 1;
}

static void test_tcp__connect_errors(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_tcp_life");
	slot = run_until_exact(t, "failures", failures_and_one_given_up, told, all_failed, path, sizeof(path));
	assert_int_equal(read_count(t, slot, CGM_C_CONNECT_REFUSED), 1);
	assert_int_equal(read_count(t, slot, CGM_C_CONNECT_TIMEOUT), 1);
	assert_int_equal(read_count(t, slot, CGM_C_CONNECT_UNREACHABLE), 1);
	assert_int_equal(read_count(t, slot, CGM_C_CONNECT_RESET) + read_count(t, slot, CGM_C_CONNECT_OTHER), 0);
	assert_int_equal(told->n[ATTEMPT_FAILS], 3);
	assert_int_equal(read_count(t, slot, CGM_C_CONNECT_GIVEN_UP), 1);
	assert_int_equal(read_wait(t, slot, CGM_W_TCP_CONNECT).sum_ns, 0);
	group_remove(t, path);
	munmap(told, 4096);
}

/* The three above are told to their sockets, and so are a reset and a datagram for a closed port. */
static void errors(void *arg)
{
	struct linger now = { .l_onoff = 1 };
	struct sockaddr_in a;
	struct pair p;
	int udp, closed;
	char c;

	failures(arg);
	p = connected(listener(1));
	must(setsockopt(p.server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	close(p.server);
	usleep(50000);
	must(recv(p.client, &c, 1, 0) < 0 && errno == ECONNRESET);
	closed = bound(SOCK_DGRAM);
	a = loopback(port_of(closed));
	close(closed);
	udp = bound(SOCK_DGRAM);
	send_datagrams(udp, port_of(udp), 1, 1);
	read_all(udp, 1);
	must(connect(udp, (struct sockaddr *)&a, sizeof(a)) == 0 && send(udp, "x", 1, 0) == 1);
	usleep(50000);
	must(send(udp, "x", 1, 0) < 0 && errno == ECONNREFUSED);
}

static bool all_reported(struct rig *t, uint32_t slot, _unused_ const struct told *told)
{
	return read_count(t, slot, CGM_C_SOCK_REFUSED) == 2 && read_count(t, slot, CGM_C_SOCK_TIMEOUT) == 1 &&
	       read_count(t, slot, CGM_C_SOCK_UNREACHABLE) == 1 && read_count(t, slot, CGM_C_SOCK_RESET) == 1;
}

static void test_tcp__errors_reported(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_sk_error");
	slot = run_until_exact(t, "errors", errors, told, all_reported, path, sizeof(path));
	assert_int_equal(read_count(t, slot, CGM_C_SOCK_REFUSED), 2);
	assert_int_equal(read_count(t, slot, CGM_C_SOCK_TIMEOUT), 1);
	assert_int_equal(read_count(t, slot, CGM_C_SOCK_UNREACHABLE), 1);
	assert_int_equal(read_count(t, slot, CGM_C_SOCK_RESET), 1);
	assert_int_equal(read_count(t, slot, CGM_C_SOCK_OTHER), 0);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- resets ---- */

enum { OUT_RSTS };

static void resets(void *arg)
{
	struct linger now = { .l_onoff = 1 };
	int l, closed;
	uint16_t nobody;
	struct pair p;

	own_network();
	closed = bound(SOCK_STREAM);
	nobody = port_of(closed);
	close(closed);
	for (int i = 0; i < 3; i++)
		must(end_connect(start_connect(tcp_socket(), nobody)) == ECONNREFUSED);
	l = listener(1);
	p = connected(l);
	must(send(p.client, "x", 1, 0) == 1);
	usleep(50000);
	close(p.server); /* with a byte that nobody read */
	p = connected(l);
	must(setsockopt(p.client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	close(p.client);
	usleep(50000);
	((struct told *)arg)->n[OUT_RSTS] = net_count("snmp", "Tcp", "OutRsts");
}

static void test_tcp__resets(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_tcp_rst_out");
	slot = group_with_slot(t, "resets", path, sizeof(path));
	group_run(t, path, resets, told, NULL);
	assert_int_equal(told->n[OUT_RSTS], 5);
	/* Those of a port where nobody listens are nobody's. */
	assert_int_equal(read_net(t, slot).tcp_resets_sent, told->n[OUT_RSTS] - 3);
	group_remove(t, path);
	munmap(told, 4096);
}

static void test_tcp__reset_reasons(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	uint64_t nobody;
	char path[64];
	uint32_t slot;

	need_program(t, "cgm_rst_why");
	slot = group_with_slot(t, "reasons", path, sizeof(path));
	nobody = read_count(t, own_root(t), CGM_C_RESET_NO_SOCKET);
	group_run(t, path, resets, told, NULL);
	assert_int_equal(read_count(t, slot, CGM_C_RESET_UNREAD), 1);
	assert_int_equal(read_count(t, slot, CGM_C_RESET_ABORT), 1);
	assert_int_equal(read_count(t, slot, CGM_C_RESET_NO_SOCKET) + read_count(t, slot, CGM_C_RESET_KEEPALIVE) +
			 read_count(t, slot, CGM_C_RESET_MEMORY) + read_count(t, slot, CGM_C_RESET_UNEXPECTED) + read_count(t, slot, CGM_C_RESET_OTHER), 0);
	assert_true(read_count(t, own_root(t), CGM_C_RESET_NO_SOCKET) >= nobody + 3);
	group_remove(t, path);
	munmap(told, 4096);
}

static const struct CMUnitTest tcp[] = {
	cmocka_unit_test_setup_teardown(test_tcp__resent, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__resent_syn_ack, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__connect_and_lifetime, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__connect_errors, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__errors_reported, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__resets, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_tcp__reset_reasons, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(tcp)
