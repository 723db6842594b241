// SPDX-License-Identifier: Apache-2.0
/* What an API server says of the nodes and pods: as much of each object as is read, in the shape of the recorded ones (tests/fixtures/kube). */
#include "sim/cluster.h"

void sim_address(unsigned node, struct cgm_buf *out)
{
	unsigned host = node + 1;

	cgm_buf_printf(out, "127.%u.%u.%u", 1 + (host >> 16), host >> 8 & 255, host & 255);
}

unsigned sim_node_of(uint32_t address)
{
	return address - (127u << 24) - (1u << 16) - 1;
}

static void put_node(const struct sim *s, unsigned node, struct cgm_buf *out)
{
	(void)s;
	cgm_buf_printf(out, "{\"metadata\":{\"name\":\"node-%u\",\"uid\":\"10000000-0000-4000-8000-%012u\",\"resourceVersion\":\"%u\",\"creationTimestamp\":\"2026-11-22T15:31:36Z\",", node, node, node + 1);
	cgm_buf_printf(out, "\"labels\":{\"kubernetes.io/hostname\":\"node-%u\",\"topology.kubernetes.io/zone\":\"zone-%u\"}},\"spec\":{},\"status\":{", node, node % 3);
	cgm_buf_lit(out, "\"capacity\":{\"cpu\":\"16\",\"memory\":\"65536Mi\"},\"allocatable\":{\"cpu\":\"15500m\",\"memory\":\"64000Mi\"},");
	cgm_buf_lit(out, "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"");
	sim_address(node, out);
	cgm_buf_printf(out, "\"},{\"type\":\"Hostname\",\"address\":\"node-%u\"}],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10255}}}}", node);
}

static void put_pod(const struct sim *s, unsigned number, struct cgm_buf *out)
{
	unsigned node = number / s->nr_pods, pod = number % s->nr_pods;

	cgm_buf_printf(out, "{\"metadata\":{\"name\":\"web-%u-%u\",\"namespace\":\"team-%u\",\"uid\":\"00000000-0000-4000-8000-%012u\",\"resourceVersion\":\"%u\",", node, pod, number % SIM_NAMESPACES, number, number + 1);
	cgm_buf_printf(out, "\"creationTimestamp\":\"2026-11-22T16:25:35Z\",\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"5d8f7b6c9\",\"tier\":\"front-%u\"}},", pod % 4);
	cgm_buf_printf(out, "\"spec\":{\"nodeName\":\"node-%u\",\"containers\":[{\"name\":\"app\",\"image\":\"registry.example/team/web:1.2.3\",", node);
	cgm_buf_lit(out, "\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"128Mi\"},\"requests\":{\"cpu\":\"100m\",\"memory\":\"64Mi\"}}}],\"volumes\":[{\"name\":\"data\",\"emptyDir\":{}}]},");
	cgm_buf_lit(out, "\"status\":{\"phase\":\"Running\",\"startTime\":\"2026-11-22T16:25:35Z\",\"qosClass\":\"Burstable\",\"containerStatuses\":[{\"name\":\"app\",\"ready\":true,\"restartCount\":1,");
	cgm_buf_printf(out, "\"image\":\"registry.example/team/web:1.2.3\",\"imageID\":\"\",\"containerID\":\"containerd://%064x\",", number);
	cgm_buf_lit(out, "\"state\":{\"running\":{\"startedAt\":\"2026-11-22T16:25:36Z\"}}}]}}");
}

static void put_list(const struct sim *s, const char *kind, unsigned from, unsigned to, unsigned nr, void (*one)(const struct sim *, unsigned, struct cgm_buf *), struct cgm_buf *out)
{
	cgm_buf_printf(out, "{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"1000000\"", kind);
	if (to < nr)
		cgm_buf_printf(out, ",\"continue\":\"%u\",\"remainingItemCount\":%u", to, nr - to);
	cgm_buf_lit(out, "},\"items\":[");
	for (unsigned i = from; i < to; i++) {
		if (i != from)
			cgm_buf_char(out, ',');
		one(s, i, out);
	}
	cgm_buf_lit(out, "]}");
}

static unsigned end_of(unsigned from, unsigned limit, unsigned nr)
{
	return limit && from + limit < nr ? from + limit : nr;
}

void sim_nodes(const struct sim *s, unsigned from, unsigned limit, struct cgm_buf *out)
{
	put_list(s, "NodeList", from, end_of(from, limit, s->nr_nodes), s->nr_nodes, put_node, out);
}

void sim_pods(const struct sim *s, unsigned from, unsigned limit, struct cgm_buf *out)
{
	unsigned nr = s->nr_nodes * s->nr_pods;

	put_list(s, "PodList", from, end_of(from, limit, nr), nr, put_pod, out);
}

static void put_namespace(const struct sim *s, unsigned number, struct cgm_buf *out)
{
	(void)s;
	cgm_buf_printf(out, "{\"metadata\":{\"name\":\"team-%u\",\"uid\":\"20000000-0000-4000-8000-%012u\",\"resourceVersion\":\"%u\"},\"status\":{\"phase\":\"Active\"}}", number, number, number + 1);
}

void sim_namespaces(const struct sim *s, struct cgm_buf *out)
{
	put_list(s, "NamespaceList", 0, SIM_NAMESPACES, SIM_NAMESPACES, put_namespace, out);
}
