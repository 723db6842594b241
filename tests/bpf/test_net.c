// SPDX-License-Identifier: Apache-2.0
/*
 * Socket traffic against a known transfer over loopback. Bytes and calls must be exact; what is only peeked at does not count.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "bpf/util.h"

#define MESSAGE 5000
#define NR_MESSAGES 20

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		_exit(96);
	return fd;
}

struct talk {
	uint16_t port;
	int listen_fd;
};

/* The client sends, waits for the server's last byte, and closes. */
static void client(void *arg)
{
	int fd = connect_to(((struct talk *)arg)->port);
	char buf[MESSAGE] = { 0 };

	for (int i = 0; i < NR_MESSAGES; i++)
		if (send(fd, buf, sizeof(buf), 0) != sizeof(buf))
			_exit(95);
	shutdown(fd, SHUT_WR);
	if (recv(fd, buf, 1, MSG_PEEK) != 1 || recv(fd, buf, 1, 0) != 1)
		_exit(94);
}

static void server(void *arg)
{
	int fd = accept(((struct talk *)arg)->listen_fd, NULL, NULL);
	static char buf[1 << 16];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		;
	if (n < 0 || send(fd, buf, 1, 0) != 1)
		_exit(93);
}

static void skip_without_net(struct rig *t, const char *program)
{
	const struct cgm_program *p;
	size_t nr = cgm_kernel_programs(t->kernel, &p);

	for (size_t i = 0; i < nr; i++)
		if (strcmp(p[i].group, "net") == 0 && strstr(p[i].name, program) && strcmp(p[i].mode, "off") != 0)
			return;
	print_message("# skip: no program %s on this kernel\n", program);
	skip();
}

static void test_net__tcp(void **state)
{
	struct rig *t = *state;
	char a[64], b[64];
	struct cgm_net na, nb, root;
	uint32_t slot_a, slot_b;
	struct talk talk;
	pid_t pid;
	int status;

	skip_without_net(t, "_send");
	group_path(a, sizeof(a), "client");
	group_path(b, sizeof(b), "server");
	group_make(t, a);
	group_make(t, b);
	slot_a = sched_slot(t, a);
	slot_b = sched_slot(t, b);
	talk.listen_fd = listen_on(&talk.port);
	pid = group_start(t, b, server, &talk);
	group_run(t, a, client, &talk, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(talk.listen_fd);
	na = read_net(t, slot_a);
	nb = read_net(t, slot_b);
	assert_int_equal(na.proto[CGM_PROTO_TCP].tx_bytes, NR_MESSAGES * MESSAGE);
	assert_int_equal(na.proto[CGM_PROTO_TCP].tx_calls, NR_MESSAGES);
	assert_int_equal(na.proto[CGM_PROTO_TCP].rx_bytes, 1);
	assert_int_equal(na.proto[CGM_PROTO_TCP].rx_calls, 1);
	assert_int_equal(na.proto[CGM_PROTO_UDP].tx_bytes, 0);
	assert_int_equal(na.tcp_active_opens, 1);
	assert_int_equal(na.tcp_connects, 1);
	/* Accepted by whoever listens: the test itself, in the root, on v1 as on v2. */
	assert_int_equal(nb.tcp_accepts, 0);
	root = read_net(t, cgm_kernel_slot(t->kernel, t->config.sched_hierarchy, 1));
	assert_true(root.tcp_accepts >= 1);
	/* On v2 an accepted socket belongs to whoever listens: the test itself, outside the cgroup. */
	if (t->trees.mode != CGM_CGROUP_V2) {
		assert_int_equal(nb.proto[CGM_PROTO_TCP].rx_bytes, NR_MESSAGES * MESSAGE);
		assert_int_equal(nb.proto[CGM_PROTO_TCP].tx_bytes, 1);
	}
	group_remove(t, a);
	group_remove(t, b);
}

static void refused(void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(((struct talk *)arg)->port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != ECONNREFUSED)
		_exit(92);
}

static void test_net__refused(void **state)
{
	struct rig *t = *state;
	struct talk talk;
	struct cgm_net n;
	char path[64];
	uint32_t slot;

	skip_without_net(t, "_state");
	group_path(path, sizeof(path), "refused");
	group_make(t, path);
	slot = sched_slot(t, path);
	talk.listen_fd = listen_on(&talk.port);
	close(talk.listen_fd);
	group_run(t, path, refused, &talk, NULL);
	n = read_net(t, slot);
	assert_int_equal(n.tcp_active_opens, 1);
	assert_int_equal(n.tcp_connects, 0);
	assert_int_equal(n.tcp_connect_failures, 1);
	assert_int_equal(n.tcp_resets_received, 1);
	group_remove(t, path);
}

static void datagrams(_unused_ void *arg)
{
	int udp[2], pair[2];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	char buf[700] = { 0 };

	udp[0] = socket(AF_INET, SOCK_DGRAM, 0);
	udp[1] = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(udp[1], (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(udp[1], (struct sockaddr *)&a, &len) < 0)
		_exit(91);
	for (int i = 0; i < 7; i++)
		if (sendto(udp[0], buf, 700, 0, (struct sockaddr *)&a, sizeof(a)) != 700 || recv(udp[1], buf, sizeof(buf), 0) != 700)
			_exit(90);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || write(pair[0], buf, 300) != 300 || read(pair[1], buf, 300) != 300)
		_exit(89);
}

static void test_net__udp_and_unix(void **state)
{
	struct rig *t = *state;
	struct cgm_net n;
	char path[64];
	uint32_t slot;

	skip_without_net(t, "_send");
	group_path(path, sizeof(path), "dgram");
	group_make(t, path);
	slot = sched_slot(t, path);
	group_run(t, path, datagrams, NULL, NULL);
	n = read_net(t, slot);
	assert_int_equal(n.proto[CGM_PROTO_UDP].tx_bytes, 4900);
	assert_int_equal(n.proto[CGM_PROTO_UDP].tx_calls, 7);
	assert_int_equal(n.proto[CGM_PROTO_UDP].rx_bytes, 4900);
	assert_int_equal(n.proto[CGM_PROTO_UNIX].tx_bytes, 300);
	assert_int_equal(n.proto[CGM_PROTO_UNIX].rx_bytes, 300);
	assert_int_equal(n.proto[CGM_PROTO_TCP].tx_bytes, 0);
	group_remove(t, path);
}

static const struct CMUnitTest net[] = {
	cmocka_unit_test_setup_teardown(test_net__tcp, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_net__refused, rig_setup, rig_teardown),
	cmocka_unit_test_setup_teardown(test_net__udp_and_unix, rig_setup, rig_teardown),
};
RUN_BPF_TESTS(net)
