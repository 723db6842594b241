// SPDX-License-Identifier: Apache-2.0
/*
 * The walk over sockets: how many there are, in which state, how long the queues of listening ones are, and what the kernel holds for the
 * round trip of each connection. Exact: against what the test has opened, against TCP_INFO, and against the counters of the namespace.
 */
#include <netinet/in.h>
#include <sys/un.h>

#include "bpf/netns.h"

struct seen {
	uint64_t v[CGM_NR_SOCK_GAUGES];
};

static struct seen walk(struct rig *t, uint32_t slot)
{
	struct seen s = { 0 };

	cgm_kernel_walk_sockets(t->kernel);
	cgm_kernel_sweep(t->kernel);
	cgm_kernel_add_socks(t->kernel, slot, s.v);
	return s;
}

static uint64_t all(const struct seen *s, enum cgm_sock_gauge first, enum cgm_sock_gauge last)
{
	uint64_t n = 0;

	for (unsigned i = first; i <= last; i++)
		n += s->v[i];
	return n;
}

static void listen_unix(int fd)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "cgmbpf-%d", (int)getpid());
	must(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 3) == 0);
}

/* Some of each kind, one of them open twice and all of them in two processes. */
static void some_sockets(void *arg)
{
	struct told *told = arg;
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6 };
	int l, l6, un[2];
	struct pair half;
	pid_t twin;

	own_network();
	l = listener(5);
	listener(6);
	connected(l);
	connected(l);
	half = connected(l);
	close(half.client); /* FIN: the other end is told, and does not close */
	l6 = socket(AF_INET6, SOCK_STREAM, 0);
	must(l6 >= 0 && bind(l6, (struct sockaddr *)&any6, sizeof(any6)) == 0 && listen(l6, 7) == 0);
	must(tcp_socket() >= 0);
	for (int i = 0; i < 3; i++)
		bound(SOCK_DGRAM);
	must(socket(AF_INET6, SOCK_DGRAM, 0) >= 0);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, un) == 0 && dup(un[0]) >= 0);
	listen_unix(socket(AF_UNIX, SOCK_STREAM, 0));
	must(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
	must(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	usleep(100000);
	twin = fork();
	if (twin == 0) {
		await_step(&told->at, 2);
		_exit(0);
	}
	step(&told->at, 1);
	await_step(&told->at, 2);
	must(waitpid(twin, NULL, 0) == twin);
}

static void test_sockets__by_state(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct seen s, again;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_sock_look");
	slot = group_with_slot(t, "sockets", path, sizeof(path));
	pid = group_start(t, path, some_sockets, told);
	await_child(&told->at, 1, pid);
	s = walk(t, slot);
	again = walk(t, slot);
	step(&told->at, 2);
	end_child(pid);
	assert_memory_equal(&s, &again, sizeof(s));
	assert_int_equal(s.v[CGM_S_TCP_LISTEN], 2);
	assert_int_equal(s.v[CGM_S_TCP_ESTABLISHED], 4);
	assert_int_equal(s.v[CGM_S_TCP_CLOSE_WAIT], 1);
	assert_int_equal(s.v[CGM_S_TCP_UNUSED], 1);
	assert_int_equal(all(&s, CGM_S_TCP_ESTABLISHED, CGM_S_TCP_CLOSING), 8);
	assert_int_equal(s.v[CGM_S_TCP6_LISTEN], 1);
	assert_int_equal(all(&s, CGM_S_TCP6_ESTABLISHED, CGM_S_TCP6_CLOSING), 1);
	assert_int_equal(s.v[CGM_S_UDP], 3);
	assert_int_equal(s.v[CGM_S_UDP6], 1);
	assert_int_equal(s.v[CGM_S_UNIX_CONNECTED], 2);
	assert_int_equal(s.v[CGM_S_UNIX_LISTEN], 1);
	assert_int_equal(s.v[CGM_S_UNIX_OTHER], 1);
	assert_int_equal(s.v[CGM_S_OTHER], 1);
	assert_int_equal(s.v[CGM_S_ACCEPT_LENGTH], 0);
	assert_int_equal(s.v[CGM_S_ACCEPT_LIMIT], 5 + 6 + 7);
	/* All gone. */
	s = walk(t, slot);
	assert_int_equal(all(&s, 0, CGM_NR_SOCK_GAUGES - 1), 0);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- the queue of a listening socket ---- */

#define BACKLOG 2
#define NR_CALLERS 9

enum { LISTEN_DROPS };

static void callers(void *arg)
{
	struct told *told = arg;
	int l, callers[NR_CALLERS];

	own_network();
	l = listener(BACKLOG);
	for (int i = 0; i < NR_CALLERS; i++)
		callers[i] = start_connect(tcp_socket(), port_of(l));
	usleep(200000);
	for (int i = BACKLOG + 1; i < NR_CALLERS; i++)
		close(callers[i]); /* else they would try again and again */
	told->n[LISTEN_DROPS] = net_count("netstat", "TcpExt", "ListenDrops");
	step(&told->at, 1);
	await_step(&told->at, 2);
	/* One more, that the walk does not see. */
	start_connect(tcp_socket(), port_of(l));
	usleep(100000);
	told->n[LISTEN_DROPS] = net_count("netstat", "TcpExt", "ListenDrops");
	close(l);
}

static void test_sockets__accept_queue(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	uint64_t drops;
	struct seen s;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_sock_look");
	need_program(t, "cgm_tcp_life");
	slot = group_with_slot(t, "callers", path, sizeof(path));
	pid = group_start(t, path, callers, told);
	await_child(&told->at, 1, pid);
	s = walk(t, slot);
	drops = told->n[LISTEN_DROPS];
	assert_int_equal(s.v[CGM_S_ACCEPT_LENGTH], BACKLOG + 1);
	assert_int_equal(s.v[CGM_S_ACCEPT_LIMIT], BACKLOG);
	assert_int_equal(s.v[CGM_S_ACCEPT_FULL], 1);
	assert_true(drops >= NR_CALLERS - BACKLOG - 1);
	assert_int_equal(read_count(t, slot, CGM_C_LISTEN_DROPS), drops);
	walk(t, slot);
	assert_int_equal(read_count(t, slot, CGM_C_LISTEN_DROPS), drops);
	step(&told->at, 2);
	end_child(pid);
	assert_true(told->n[LISTEN_DROPS] > drops);
	assert_int_equal(read_count(t, slot, CGM_C_LISTEN_DROPS), told->n[LISTEN_DROPS]);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- round trips ---- */

enum { RTT_USEC, VAR_USEC };

static void add_info(int fd, struct told *told)
{
	struct tcp_info i;
	socklen_t len = sizeof(i);

	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &len) == 0);
	told->n[RTT_USEC] += i.tcpi_rtt;
	told->n[VAR_USEC] += i.tcpi_rttvar;
}

static void talk(struct pair p)
{
	for (int i = 0; i < 20; i++) {
		must(send(p.client, "ping", 4, 0) == 4);
		read_all(p.server, 4);
		must(send(p.server, "pong", 4, 0) == 4);
		usleep(1000);
		read_all(p.client, 4);
	}
}

static void talkers(void *arg)
{
	struct told *told = arg;
	struct pair p;

	own_network();
	p = connected(listener(1));
	talk(p);
	usleep(200000); /* the last acknowledgement is not behind time any more */
	add_info(p.client, told);
	add_info(p.server, told);
	step(&told->at, 1);
	await_step(&told->at, 2);
	close(p.client);
	close(p.server);
	usleep(100000);
}

static void test_sockets__rtt(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct cgm_hist rtt, var;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_sock_look");
	need_program(t, "cgm_tcp_life");
	slot = group_with_slot(t, "talkers", path, sizeof(path));
	pid = group_start(t, path, talkers, told);
	await_child(&told->at, 1, pid);
	walk(t, slot);
	rtt = read_wait(t, slot, CGM_W_TCP_RTT);
	var = read_wait(t, slot, CGM_W_TCP_JITTER);
	assert_int_equal(cgm_hist_count(&rtt), 2);
	assert_int_equal(cgm_hist_count(&var), 2);
	assert_int_equal(rtt.sum_ns, told->n[RTT_USEC] * 1000);
	assert_int_equal(var.sum_ns, told->n[VAR_USEC] * 1000);
	assert_true(rtt.sum_ns > 0);
	/* Nothing was sent since: nothing new to say. */
	walk(t, slot);
	rtt = read_wait(t, slot, CGM_W_TCP_RTT);
	assert_int_equal(cgm_hist_count(&rtt), 2);
	step(&told->at, 2);
	end_child(pid);
	rtt = read_wait(t, slot, CGM_W_TCP_RTT);
	assert_int_equal(cgm_hist_count(&rtt), 4);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- windows ---- */

static void stuffed(void *arg)
{
	struct told *told = arg;
	static char buf[65536];
	struct pair p;

	own_network();
	p = connected(listener(1));
	for (int i = 0; i < 2000; i++)
		if (send(p.client, buf, sizeof(buf), MSG_DONTWAIT) < 0)
			usleep(1000);
	step(&told->at, 1);
	await_step(&told->at, 2);
}

static void test_sockets__closed_windows(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct seen s;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_sock_look");
	slot = group_with_slot(t, "stuffed", path, sizeof(path));
	pid = group_start(t, path, stuffed, told);
	await_child(&told->at, 1, pid);
	s = walk(t, slot);
	assert_int_equal(s.v[CGM_S_WINDOW_PEER], 1);
	assert_int_equal(s.v[CGM_S_WINDOW_OWN], 1);
	step(&told->at, 2);
	end_child(pid);
	group_remove(t, path);
	munmap(told, 4096);
}

/* ---- a group that comes back ---- */

static void test_sockets__group_off_and_on(void **state)
{
	struct rig *t = *state;
	struct told *told = shared_page();
	struct seen s;
	char path[64];
	uint32_t slot;
	pid_t pid;

	need_program(t, "cgm_sock_look");
	slot = group_with_slot(t, "paused", path, sizeof(path));
	pid = group_start(t, path, some_sockets, told);
	await_child(&told->at, 1, pid);
	s = walk(t, slot);
	assert_int_equal(s.v[CGM_S_UDP], 3);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "tcp", false, "test"), 0);
	s = walk(t, slot);
	assert_int_equal(s.v[CGM_S_UDP], 0);
	assert_int_equal(cgm_kernel_set_group(t->kernel, "tcp", true, ""), 0);
	memset(&s, 0, sizeof(s));
	cgm_kernel_add_socks(t->kernel, slot, s.v); /* what the walk before the pause found is no longer shown */
	assert_int_equal(s.v[CGM_S_UDP], 0);
	s = walk(t, slot);
	assert_int_equal(s.v[CGM_S_UDP], 3);
	step(&told->at, 2);
	end_child(pid);
	group_remove(t, path);
	munmap(told, 4096);
}

static const struct CMUnitTest sockets[] = {
	cmocka_unit_test_setup_teardown(test_sockets__by_state, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sockets__accept_queue, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sockets__rtt, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sockets__closed_windows, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_sockets__group_off_and_on, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(sockets)
