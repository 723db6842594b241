// SPDX-License-Identifier: Apache-2.0
#include "export_slices.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void has(const char *text, const char *line)
{
	const char *p = strstr(text, line);

	while (p && p != text && p[-1] != '\n')
		p = strstr(p + 1, line);
	if (!p)
		fail_msg("no line \"%s\" in\n%s", line, text);
}

static void test_statsd__etsy(void **state)
{
	static const char *const lines[] = {
		"p_x.node.host_1.arch.amd64.zone.a.cpu/usage:1500000000|g\n",
		"p_x.node.host_1.arch.amd64.zone.a.cpu/node_utilization:0.1|g\n",
		"p_x.node.host_1.sys-container.sys/kubelet.memory/rss:4096|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.app_name.dns.tier.x.network/rx:77|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.app_name.dns.tier.x.filesystem/usage.Volume_data:7000|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.container.coredns.app_name.dns.tier.x.restart_count:2|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.container.coredns.app_name.dns.tier.x.filesystem/usage./:8000|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.container.coredns.app_name.dns.tier.x.accelerator/duty_cycle.GPU-1:55|g\n",
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.container.coredns.app_name.dns.tier.x.custom/queue_len.le.a_b.path./x_y:0|g\n"
		"p_x.node.host_1.namespace.kube-system.pod.dns_1.container.coredns.app_name.dns.tier.x.custom/queue_len.le.a_b.path./x_y:-2.5|g\n",
		"p_x.namespace.kube-system.cpu/usage_rate:40|g\n",
		"p_x.cluster.memory/usage:123456789|g\n",
	};
	struct exported e;
	const char *text;

	(void)state;
	export_open(&e, &cgm_export_statsd, "statsd:udp://127.0.0.1?prefix=p.x");
	text = export_text(&e);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		has(text, lines[i]);
	has(text, "p_x.node.host_1.namespace.e_vil\"\\____;___\xc3\xa4.pod.e_vil\"\\____;___\xc3\xa4.");
	export_close(&e);
}

static void test_statsd__influx(void **state)
{
	struct exported e;
	const char *text;

	(void)state;
	export_open(&e, &cgm_export_statsd, "statsd:udp://127.0.0.1:4125?prefix=p.x.&protocolType=influxstatsd");
	text = export_text(&e);
	has(text, "p.x.cpu/usage,host_id=h1,hostname=host.1,arch=amd64,zone=a,nodename=node-1,type=node:1500000000|g\n");
	has(text, "p.x.filesystem/usage,host_id=h1,hostname=host.1,app_name=dns,tier=x,namespace_id=ns-uid,namespace_name=kube-system,nodename=node-1,pod_id=pod-uid,pod_name=dns.1,type=pod,"
		  "resource_id=Volume_data:7000|g\n");
	has(text, "p.x.memory/usage,type=cluster:123456789|g\n");
	assert_non_null(strstr(text, ",type=pod_container,app.io/x=one,app_io_x=e_vil\"\\____;.__\xc3\xa4:2|g\n"));
	assert_null(strstr(text, "not me"));
	export_close(&e);
}

static void test_statsd__labels(void **state)
{
	struct exported e;
	const char *text;

	(void)state;
	export_open(&e, &cgm_export_statsd, "statsd:?protocolType=influxstatsd&allowedLabels=type,host_id,labels&renameLabels=type:k8s_type,app_name:the_app&labelStyle=lowerCamelCase");
	text = export_text(&e);
	has(text, "network/rx,hostId=h1,theApp=dns,tier=x,k8sType=pod:77|g\n");
	has(text, "filesystem/usage,hostId=h1,theApp=dns,tier=x,k8sType=pod:7000|g\n");
	export_close(&e);
	export_open(&e, &cgm_export_statsd, "statsd:?labelStyle=upperCamelCase");
	has(export_text(&e), "node.host_1.namespace.kube-system.pod.dns_1.AppName.dns.Tier.x.network/rx:77|g\n");
	export_close(&e);
	export_open(&e, &cgm_export_statsd, "statsd:?allowedLabels=type"); /* whose it is stays in the name */
	has(export_text(&e), "node.host_1.namespace.kube-system.pod.dns_1.network/rx:77|g\n");
	export_close(&e);
}

static void test_statsd__refused(void **state)
{
	(void)state;
	export_refused(&cgm_export_statsd, "statsd:http://h", "http://");
	export_refused(&cgm_export_statsd, "statsd:h?protocolType=dogstatsd", "protocolType");
	export_refused(&cgm_export_statsd, "statsd:h?labelStyle=x", "labelStyle");
	export_refused(&cgm_export_statsd, "statsd:h?numMetricsPerMsg=0", "numMetricsPerMsg");
	export_refused(&cgm_export_statsd, "statsd:h?numMetricsPerMsg=x", "numMetricsPerMsg");
	export_refused(&cgm_export_statsd, "statsd:h?renameLabels=a", "renameLabels");
	export_refused(&cgm_export_statsd, "statsd:h?renameLabels=:a", "renameLabels");
	export_refused(&cgm_export_statsd, "statsd:h?allowedLabels=a,,b", "allowedLabels");
	export_refused(&cgm_export_statsd, "statsd:h?foo=1", "foo");
}

/* numMetricsPerMsg lines a datagram, and all of them arrive. */
static void test_statsd__datagrams(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(to);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char uri[96], got[8192] = "", datagram[2048];
	struct exported e;
	struct cgm_sink_attempt a;
	const char *text;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	snprintf(uri, sizeof(uri), "statsd:udp://127.0.0.1:%u?numMetricsPerMsg=3", ntohs(to.sin_port));
	export_open(&e, &cgm_export_statsd, uri);
	text = export_text(&e);
	a = export_attempt(&e, true, 10000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	for (;;) {
		ssize_t n = recv(fd, datagram, sizeof(datagram) - 1, MSG_DONTWAIT);
		unsigned nr = 1;

		if (n < 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			nr += datagram[i] == '\n';
		assert_in_range(nr, 1, 3);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s\n", (int)n, datagram);
	}
	assert_string_equal(got, text);
	export_close(&e);
}

static void test_statsd__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_statsd, "statsd:h?prefix=x&renameLabels=a:b,c:d&allowedLabels=labels,x");
	export_fail_each(&cgm_export_statsd, "statsd:h?protocolType=influxstatsd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statsd__etsy),	  cmocka_unit_test(test_statsd__influx),    cmocka_unit_test(test_statsd__labels),
		cmocka_unit_test(test_statsd__refused), cmocka_unit_test(test_statsd__datagrams), cmocka_unit_test(test_statsd__no_memory),
	};

	return cmocka_run_group_tests_name("export_statsd", tests, NULL, NULL);
}
