// SPDX-License-Identifier: Apache-2.0
#include "export_slices.h"
#include "export_server.h"

static const char wanted[] =
	"kubernetes.nodes.host_1.cpu.usage 1500000000 1790000000\n"
	"kubernetes.nodes.host_1.cpu.usage_rate 250 1790000000\n"
	"kubernetes.nodes.host_1.cpu.node_utilization 0.1 1790000000\n"
	"kubernetes.nodes.host_1.sys-containers.sys_kubelet.memory.rss 4096 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.network.rx 77 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.network.rx_rate 1.25 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.filesystem.Volume:data.usage 7000 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.uptime 90000 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.cpu.limit 0 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.restart_count 2 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.filesystem._.usage 8000 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.filesystem.logs.usage 9000 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.accelerator.GPU-1.duty_cycle 55 1790000000\n"
	"kubernetes.nodes.host_1.pods.kube-system.dns_1.containers.coredns.custom.queue_len.le.a_b.path._x_y -2.5 1790000000\n"
	"kubernetes.nodes.host_1.pods.e_vil____:_____\xc3\xa4.e_vil____:_____\xc3\xa4.memory.usage 9223372036854775807 1790000000\n"
	"kubernetes.namespaces.kube-system.cpu.usage_rate 40 1790000000\n"
	"kubernetes.cluster.memory.usage 123456789 1790000000\n";

static void test_graphite__paths(void **state)
{
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_graphite, "graphite:tcp://localhost");
	assert_string_equal(export_text(&e), wanted);
	export_close(&e);
}

static void test_graphite__options(void **state)
{
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_graphite, "graphite:udp://[::1]:2004?prefix=a.b c..");
	assert_non_null(strstr(export_text(&e), "\na.b_c.cluster.memory.usage "));
	export_close(&e);
	export_open(&e, &cgm_export_graphite, "graphite:tcp://h?prefix="); /* as in Heapster: the default */
	assert_non_null(strstr(export_text(&e), "\nkubernetes.cluster.memory.usage "));
	export_close(&e);
	export_refused(&cgm_export_graphite, "graphite:http://h:2003", "http://");
	export_refused(&cgm_export_graphite, "graphite:tcp://h:2003?perfix=x", "perfix");
}

static void test_graphite__tcp(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	char uri[64];

	(void)state;
	export_server_start(&server, EXPORT_RAW);
	snprintf(uri, sizeof(uri), "graphite:tcp://127.0.0.1:%u", server.port);
	export_open(&e, &cgm_export_graphite, uri);
	export_text(&e);
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	export_close(&e);
	export_server_wait(&server, 1); /* both over one connection */
	assert_int_equal(server.requests[0].len, 2 * strlen(wanted));
	assert_memory_equal(server.requests[0].body, wanted, strlen(wanted));
	export_server_stop(&server);
}

/* A server that goes in the middle gets all of it again, and nobody that listens is an error that names the address. */
static void test_graphite__breaks(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	char uri[64];

	(void)state;
	export_server_start(&server, EXPORT_RAW);
	export_server_add(&server, (struct export_reaction){ .how = EXPORT_RESET });
	export_server_add(&server, (struct export_reaction){ .how = EXPORT_ANSWER });
	snprintf(uri, sizeof(uri), "graphite:tcp://127.0.0.1:%u", server.port);
	export_open(&e, &cgm_export_graphite, uri);
	export_text(&e);
	for (unsigned i = 0; i < 20000; i++) /* more than a connection takes unread */
		cgm_buf_put(&e.out, wanted, strlen(wanted));
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "127.0.0.1 port"));
	a = export_attempt(&e, false, 60000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	export_close(&e);
	export_server_wait(&server, 1);
	assert_int_equal(server.requests[0].len, 20001 * strlen(wanted));
	export_server_stop(&server);
	export_open(&e, &cgm_export_graphite, uri);
	export_text(&e);
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "refused"));
	export_close(&e);
}

/* One that reads nothing: the try ends in time, and the end of the program sooner. */
static void test_graphite__hangs(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	uint64_t began = cgm_clock_mono_ns();
	char uri[64];

	(void)state;
	export_server_start(&server, EXPORT_RAW);
	export_server_add(&server, (struct export_reaction){ .how = EXPORT_HANG });
	snprintf(uri, sizeof(uri), "graphite:tcp://127.0.0.1:%u", server.port);
	export_open(&e, &cgm_export_graphite, uri);
	for (unsigned i = 0; i < 20000; i++)
		cgm_buf_put(&e.out, wanted, strlen(wanted));
	a = export_attempt(&e, true, 200);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	cgm_sink_stop_ask(&e.stop, 100 * CGM_NSEC_PER_MSEC);
	a = export_attempt(&e, false, 600000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_true(cgm_clock_mono_ns() - began < 60 * CGM_NSEC_PER_SEC);
	export_close(&e);
	export_server_stop(&server);
}

static void test_graphite__udp(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char uri[64], got[4096] = "", datagram[2048];
	struct exported e;
	struct cgm_sink_attempt a;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	snprintf(uri, sizeof(uri), "graphite:udp://127.0.0.1:%u", ntohs(to.sin_port));
	export_open(&e, &cgm_export_graphite, uri);
	export_text(&e);
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	for (;;) {
		ssize_t n = recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT);

		if (n < 0)
			break;
		assert_in_range(n, 1, 1432);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s\n", (int)n, datagram);
	}
	assert_string_equal(got, wanted);
	export_close(&e);
}

static void test_graphite__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_graphite, "graphite:tcp://h?prefix=x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graphite__paths),	 cmocka_unit_test(test_graphite__options), cmocka_unit_test(test_graphite__tcp),
		cmocka_unit_test(test_graphite__breaks), cmocka_unit_test(test_graphite__hangs),   cmocka_unit_test(test_graphite__udp),
		cmocka_unit_test(test_graphite__no_memory),
	};

	return cmocka_run_group_tests_name("export_graphite", tests, NULL, NULL);
}
