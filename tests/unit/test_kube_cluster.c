// SPDX-License-Identifier: Apache-2.0
/* Nodes, pods and namespaces of a cluster, against a server that answers what a test says. */
#include "kube_fixture.h"
#include "kube_server.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/cluster.h"

#define LIST(what) "GET /api/v1/" what "?limit="
#define WATCH(what) "GET /api/v1/" what "?watch=1"
#define PAGE(items) "{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[" items "]}"
#define POD(ns, name, uid, labels) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"" ns "\",\"uid\":\"" uid "\",\"resourceVersion\":\"7\",\"labels\":{" labels "}},\"spec\":{\"nodeName\":\"n1\"}}"
#define SPACE(name, uid) "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"" uid "\",\"resourceVersion\":\"7\"}}"
#define NODE(name, ready, extra) \
	"{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u-" name "\",\"resourceVersion\":\"7\"" extra "},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready "\"}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"

#define REAL_NODE                                                                                                                                                     \
	"{\"metadata\":{\"name\":\"n1\",\"uid\":\"u1\",\"creationTimestamp\":\"2026-11-22T16:24:40Z\",\"labels\":{\"zone\":\"z1\",\"arch\":\"amd64\"},"                 \
	"\"annotations\":{\"metrics.k8s.io/resource-metrics-path\":\"/m\",\"id\":\"host-7\"}},"                                                                         \
	"\"spec\":{\"externalID\":\"e1\",\"providerID\":\"p://1\",\"unschedulable\":true},"                                                                             \
	"\"status\":{\"capacity\":{\"cpu\":\"2\",\"memory\":\"4Gi\"},\"allocatable\":{\"cpu\":\"1900m\",\"memory\":\"much\"},"                                          \
	"\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},{\"type\":\"InternalIP\",\"address\":\"fd00::1\"},{\"type\":\"ExternalIP\",\"address\":\"1.2.3.4\"}," \
	"{\"type\":\"Hostname\",\"address\":\"host1\"},{\"type\":\"InternalDNS\",\"address\":\"n1.int\"},{\"type\":\"ExternalDNS\",\"address\":\"\"},7],"                       \
	"\"conditions\":[{\"type\":\"DiskPressure\",\"status\":\"False\"},{\"type\":\"Ready\",\"status\":\"True\"}],\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10250}}}}"

static struct cgm_kube_node *read_node(const char *text)
{
	struct cgm_kube_node *n = NULL;
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	assert_int_equal(cgm_kube_node_read(j, &n), 0);
	json_decref(j);
	return n;
}

static void test_node__whole(void **state)
{
	struct cgm_kube_node *n = read_node(REAL_NODE), *same = read_node(REAL_NODE), *bare = read_node("{\"metadata\":{\"name\":\"x\"}}");

	(void)state;
	assert_string_equal(n->name, "n1");
	assert_string_equal(n->uid, "u1");
	assert_string_equal(n->hostname, "host1");
	assert_string_equal(n->internal_ip, "10.0.0.1");
	assert_string_equal(n->external_ip, "1.2.3.4");
	assert_null(n->legacy_ip);
	assert_string_equal(n->internal_dns, "n1.int");
	assert_null(n->external_dns);
	assert_string_equal(n->external_id, "e1");
	assert_string_equal(n->provider_id, "p://1");
	assert_string_equal(n->resource_path, "/m");
	assert_int_equal(n->nr_labels, 2);
	assert_string_equal(n->labels[0].key, "arch");
	assert_int_equal(n->nr_annotations, 2);
	assert_string_equal(n->annotations[0].value, "host-7");
	assert_int_equal(n->kubelet_port, 10250);
	assert_true(n->ready);
	assert_false(n->schedulable);
	assert_int_equal(n->cpu_capacity_milli, 2000);
	assert_int_equal(n->cpu_allocatable_milli, 1900);
	assert_true(n->memory_capacity_bytes == (int64_t)4 << 30);
	assert_int_equal(n->memory_allocatable_bytes, -1);
	assert_true(n->created_ns == 1795364680000000000);
	assert_true(cgm_kube_node_same(n, same));

	assert_string_equal(bare->hostname, "x");
	assert_string_equal(bare->uid, "");
	assert_false(bare->ready);
	assert_true(bare->schedulable);
	assert_int_equal(bare->cpu_capacity_milli, -1);
	assert_false(cgm_kube_node_same(n, bare));
	cgm_kube_node_unref(n);
	cgm_kube_node_unref(same);
	cgm_kube_node_unref(bare);
}

static void test_node__none(void **state)
{
	static const char *const none[] = { "[]", "{}", "{\"metadata\":{\"name\":\"\"}}", "{\"metadata\":{\"name\":7}}" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		struct cgm_kube_node *n = NULL;
		json_t *j = json_loads(none[i], 0, NULL);

		assert_int_equal(cgm_kube_node_read(j, &n), -EINVAL);
		json_decref(j);
	}
}

/* ---- the cluster ---- */

struct setting {
	struct kube_server server;
	struct cgm_kube *kube;
	struct cgm_kube_cluster *c;
};

static void serve(struct setting *s, const char *match, unsigned times, enum kube_how how, const char *body)
{
	kube_rule(&s->server, (struct kube_rule){ .match = match, .times = times, .status = 200, .how = how, .body = body });
}

static void begin(struct setting *s, const char *node_selector, bool no_pods)
{
	struct cgm_kube_config kc = { .url = s->server.url };
	struct cgm_kube_cluster_config cc = { .node_selector = node_selector, .no_pods = no_pods };
	char fault[CGM_KUBE_FAULT];

	assert_int_equal(cgm_kube_open(&kc, &s->kube, fault), 0);
	cc.kube = s->kube;
	assert_int_equal(cgm_kube_cluster_new(&cc, &s->c), 0);
}

static void end(struct setting *s)
{
	cgm_kube_cluster_free(s->c);
	cgm_kube_close(s->kube);
	kube_stop(&s->server);
}

static bool synced(struct setting *s)
{
	for (int i = 0; i < CGM_NR_KUBE_WHAT; i++)
		if (!cgm_kube_cluster_state(s->c, (enum cgm_kube_what)i).synced)
			return false;
	return true;
}

static bool has_pod(struct setting *s, const char *ns, const char *name, const char *uid)
{
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *p = cgm_kube_cluster_pod(s->c, ns, name);

	return p ? uid && strcmp(p->uid, uid) == 0 : !uid;
}

static size_t nr_pods_of(struct setting *s, const char *ns)
{
	struct cgm_kube_pod **all;
	size_t nr;

	assert_int_equal(cgm_kube_cluster_pods(s->c, ns, &all, &nr), 0);
	for (size_t i = 0; i < nr; i++) {
		assert_true(!ns || strcmp(all[i]->pod_namespace, ns) == 0);
		cgm_kube_pod_unref(all[i]);
	}
	free(all);
	return nr;
}

/* Only the pods' watch streams, so that what is pushed goes there. */
static void quiet_but(struct setting *s, const char *what)
{
	static const char *const watches[] = { WATCH("nodes"), WATCH("pods"), WATCH("namespaces") };

	for (size_t i = 0; i < ARRAY_SIZE(watches); i++)
		if (!strstr(watches[i], what))
			serve(s, watches[i], 0, KUBE_SILENT, "");
}

static void test_cluster__pods(void **state)
{
	struct setting s = { 0 };
	char uid[40] = "";

	(void)state;
	kube_start(&s.server);
	serve(&s, LIST("nodes"), 0, KUBE_WHOLE, PAGE(NODE("b", "True", "") "," NODE("a", "False", "")));
	serve(&s, LIST("namespaces"), 0, KUBE_WHOLE, PAGE(SPACE("x", "ux") "," SPACE("y", "uy")));
	serve(&s, LIST("pods"), 1, KUBE_WHOLE, PAGE(POD("x", "p1", "1", "") "," POD("x", "p2", "2", "") "," POD("z", "p1", "3", "") ",{\"metadata\":{\"name\":\"bad\"}}"));
	serve(&s, LIST("pods"), 0, KUBE_WHOLE, PAGE(POD("x", "p2", "2b", "") "," POD("y", "p5", "5", "")));
	quiet_but(&s, "/pods");
	serve(&s, WATCH("pods"), 0, KUBE_STREAM, "");
	begin(&s, NULL, false);
	kube_wait(synced(&s));
	assert_int_equal(cgm_kube_cluster_nr(s.c, CGM_KUBE_PODS), 3);
	assert_int_equal(cgm_kube_cluster_nr(s.c, CGM_KUBE_NODES), 2);
	assert_int_equal(cgm_kube_cluster_nr(s.c, CGM_KUBE_NAMESPACES), 2);
	assert_true(cgm_kube_cluster_state(s.c, CGM_KUBE_PODS).nr_objects_lost == 1);
	assert_true(has_pod(&s, "x", "p1", "1") && has_pod(&s, "z", "p1", "3") && has_pod(&s, "y", "p1", NULL) && has_pod(&s, "x1", "p", NULL));
	assert_int_equal(nr_pods_of(&s, "x"), 2);
	assert_int_equal(nr_pods_of(&s, NULL), 3);
	assert_int_equal(nr_pods_of(&s, "none"), 0);
	assert_true(cgm_kube_cluster_namespace_uid(s.c, "x", uid, sizeof(uid)));
	assert_string_equal(uid, "ux");
	assert_true(cgm_kube_cluster_namespace_uid(s.c, "y", uid, 2));
	assert_string_equal(uid, "u");
	assert_false(cgm_kube_cluster_namespace_uid(s.c, "z", uid, sizeof(uid)));
	kube_wait(kube_nr_requests(&s.server, "fieldSelector=spec.nodeName%21%3D&") == 2);

	kube_push(&s.server, EVENT("ADDED", POD("z", "p4", "4", "")) EVENT("DELETED", POD("x", "p1", "another", "")) EVENT("DELETED", POD("z", "p1", "3", "")));
	kube_wait(has_pod(&s, "z", "p1", NULL));
	assert_true(has_pod(&s, "z", "p4", "4"));
	assert_true(has_pod(&s, "x", "p1", "1")); /* the one that went had another uid */
	kube_push(&s.server, EVENT("MODIFIED", POD("x", "p1", "1b", "\"a\":\"b\"")) EVENT("DELETED", POD("z", "p4", "4", "")));
	kube_wait(has_pod(&s, "z", "p4", NULL));
	assert_true(has_pod(&s, "x", "p1", "1b"));
	assert_int_equal(nr_pods_of(&s, "z"), 0);
	/* It is listed anew: what is not told of is gone. */
	kube_push(&s.server, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}"));
	kube_wait(has_pod(&s, "y", "p5", "5") && has_pod(&s, "x", "p1", NULL));
	assert_int_equal(cgm_kube_cluster_nr(s.c, CGM_KUBE_PODS), 2);
	assert_int_equal(nr_pods_of(&s, "x"), 1);
	assert_true(has_pod(&s, "x", "p2", "2b"));
	end(&s);
}

/* Of pods metadata alone: asked for, and kept even if the server sends all of them. */
static void test_cluster__slim_pods(void **state)
{
	struct setting s = { 0 };
	struct cgm_kube_cluster_config cc = { .slim_pods = true };
	struct cgm_kube_config kc;
	struct cgm_kube_pod *pod, *replica, *other;
	char fault[CGM_KUBE_FAULT];

	(void)state;
	kube_start(&s.server);
	serve(&s, LIST("nodes"), 0, KUBE_WHOLE, PAGE(NODE("b", "True", "")));
	serve(&s, LIST("namespaces"), 0, KUBE_WHOLE, PAGE(SPACE("x", "ux")));
	serve(&s, LIST("pods"), 0, KUBE_WHOLE, PAGE(POD("x", "replica", "2", "\"a\":\"1\",\"b\":\"2\"") "," POD("x", "other", "3", "\"a\":\"1\"") ",{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"uid\":\"1\",\"labels\":{\"b\":\"2\",\"a\":\"1\"}},"
						    "\"spec\":{\"nodeName\":\"b\",\"containers\":[{\"name\":\"c\"}],\"volumes\":[{\"name\":\"v\"}]}}"));
	quiet_but(&s, "none");
	kc = (struct cgm_kube_config){ .url = s.server.url };
	assert_int_equal(cgm_kube_open(&kc, &s.kube, fault), 0);
	cc.kube = s.kube;
	assert_int_equal(cgm_kube_cluster_new(&cc, &s.c), 0);
	kube_wait(cgm_kube_cluster_state(s.c, CGM_KUBE_PODS).synced && kube_nr_requests(&s.server, "watch=1") == 3);
	pod = cgm_kube_cluster_pod(s.c, "x", "p");
	assert_non_null(pod);
	assert_string_equal(pod->uid, "1");
	assert_string_equal(pod->cgroup_uid, "1");
	assert_true(pod->nr_labels == 2 && !pod->nr_containers && !pod->nr_volumes && !pod->node);
	assert_string_equal(pod->labels[0].key, "a");
	replica = cgm_kube_cluster_pod(s.c, "x", "replica");
	other = cgm_kube_cluster_pod(s.c, "x", "other");
	assert_true(pod->labels == replica->labels && other->nr_labels == 1);
	cgm_kube_pod_unref(replica);
	cgm_kube_pod_unref(other);
	cgm_kube_pod_unref(pod);
	for (size_t i = 0; i < s.server.nr_requests; i++) {
		const struct kube_request *rq = &s.server.requests[i];
		bool list = !strstr(rq->line, "watch=1");

		if (strstr(rq->line, "/pods"))
			assert_true(strncmp(rq->accept, list ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1," : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,", 60) == 0);
		else if (strstr(rq->line, "/nodes"))
			assert_string_equal(rq->accept, "application/json");
	}
	end(&s);
}

static void test_cluster__nodes(void **state)
{
	struct setting s = { 0 };
	struct cgm_kube_node **all, *n;
	uint64_t version;
	size_t nr;

	(void)state;
	kube_start(&s.server);
	serve(&s, LIST("nodes"), 1, KUBE_WHOLE, PAGE(NODE("b", "True", "") "," NODE("a", "False", "") "," NODE("c", "Unknown", "")));
	serve(&s, LIST("nodes"), 0, KUBE_WHOLE, PAGE(NODE("b", "True", "")));
	serve(&s, WATCH("nodes"), 0, KUBE_STREAM, "");
	begin(&s, "pool=x", true);
	kube_wait(cgm_kube_cluster_state(s.c, CGM_KUBE_NODES).synced);
	assert_string_equal(cgm_kube_cluster_state(s.c, CGM_KUBE_PODS).fault, "it is not asked for");
	kube_wait(kube_has_stream(&s.server)); /* nodes are listed and watched, by now */
	assert_int_equal(kube_nr_requests(&s.server, "labelSelector=pool%3Dx"), kube_nr_requests(&s.server, "GET /api/v1/nodes?"));
	assert_int_equal(cgm_kube_cluster_nodes(s.c, &all, &nr), 0);
	assert_int_equal(nr, 3);
	assert_string_equal(all[0]->name, "a");
	assert_string_equal(all[2]->name, "c");
	assert_true(!all[0]->ready && all[1]->ready && !all[2]->ready);
	for (size_t i = 0; i < nr; i++)
		cgm_kube_node_unref(all[i]);
	free(all);

	version = cgm_kube_cluster_nodes_version(s.c);
	kube_push(&s.server, EVENT("MODIFIED", NODE("b", "True", "")) EVENT("MODIFIED", NODE("a", "False", "")) EVENT("ADDED", NODE("d", "True", "")));
	kube_wait(cgm_kube_cluster_nr(s.c, CGM_KUBE_NODES) == 4);
	assert_true(cgm_kube_cluster_nodes_version(s.c) == version + 1); /* two are as they were */
	kube_push(&s.server, EVENT("MODIFIED", NODE("a", "True", "")) EVENT("DELETED", NODE("d", "True", "")));
	kube_wait(cgm_kube_cluster_nr(s.c, CGM_KUBE_NODES) == 3);
	assert_true(cgm_kube_cluster_nodes_version(s.c) == version + 3);
	n = cgm_kube_cluster_node(s.c, "a");
	assert_true(n->ready);
	cgm_kube_node_unref(n);
	assert_null(cgm_kube_cluster_node(s.c, "d"));
	kube_push(&s.server, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}"));
	kube_wait(cgm_kube_cluster_nr(s.c, CGM_KUBE_NODES) == 1);
	end(&s);
}

static void test_cluster__namespaces(void **state)
{
	struct setting s = { 0 };
	char uid[40];

	(void)state;
	kube_start(&s.server);
	serve(&s, LIST("nodes"), 0, KUBE_WHOLE, PAGE(""));
	serve(&s, LIST("pods"), 0, KUBE_WHOLE, PAGE(POD("x", "p1", "1", "")));
	serve(&s, LIST("namespaces"), 1, KUBE_WHOLE, PAGE(SPACE("x", "1") "," SPACE("y", "2")));
	serve(&s, LIST("namespaces"), 0, KUBE_WHOLE, PAGE(SPACE("y", "3")));
	quiet_but(&s, "/namespaces");
	serve(&s, WATCH("namespaces"), 0, KUBE_STREAM, "");
	begin(&s, "", false);
	kube_wait(synced(&s));
	kube_push(&s.server, EVENT("DELETED", SPACE("x", "1")) EVENT("ADDED", SPACE("z", "9")));
	kube_wait(cgm_kube_cluster_namespace_uid(s.c, "z", uid, sizeof(uid)));
	assert_false(cgm_kube_cluster_namespace_uid(s.c, "x", uid, sizeof(uid)));
	assert_true(has_pod(&s, "x", "p1", "1"));
	kube_push(&s.server, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}"));
	kube_wait(cgm_kube_cluster_namespace_uid(s.c, "y", uid, sizeof(uid)) && *uid == '3');
	kube_wait(!cgm_kube_cluster_namespace_uid(s.c, "z", uid, sizeof(uid)));
	assert_int_equal(cgm_kube_cluster_nr(s.c, CGM_KUBE_NAMESPACES), 1);
	end(&s);
}

static void test_cluster__denied(void **state)
{
	struct setting s = { 0 };

	(void)state;
	kube_start(&s.server);
	kube_rule(&s.server, (struct kube_rule){ .match = "/api/v1/", .status = 403, .body = "{\"kind\":\"Status\",\"message\":\"nodes is forbidden\"}" });
	begin(&s, NULL, true);
	kube_wait(strstr(cgm_kube_cluster_state(s.c, CGM_KUBE_NODES).fault, "403 Forbidden: nodes is forbidden"));
	end(&s);
}

/* Allocations of both threads fail in turn: nothing breaks, and what is lost is counted or listed again. */
static void test_cluster__no_memory(void **state)
{
	(void)state;
	for (unsigned long n = 1; n <= 120; n += 3) {
		struct setting s = { 0 };
		struct cgm_kube_config kc;
		struct cgm_kube_cluster_config cc = { 0 };
		char fault[CGM_KUBE_FAULT];

		kube_start(&s.server);
		serve(&s, LIST("nodes"), 0, KUBE_WHOLE, PAGE(NODE("b", "True", "")));
		serve(&s, LIST("pods"), 0, KUBE_WHOLE, PAGE(POD("x", "p1", "1", "") "," POD("x", "p2", "2", "") "," POD("y", "p2", "3", "")));
		serve(&s, LIST("namespaces"), 0, KUBE_WHOLE, PAGE(SPACE("y", "3")));
		serve(&s, "watch=1", 0, KUBE_SILENT, "");
		kc = (struct cgm_kube_config){ .url = s.server.url };
		assert_int_equal(cgm_kube_open(&kc, &s.kube, fault), 0);
		cc.kube = s.kube;
		cgm_mem_fail_at(n);
		if (cgm_kube_cluster_new(&cc, &s.c) == 0)
			kube_wait(kube_nr_requests(&s.server, "watch=1") == 3 || cgm_kube_cluster_state(s.c, CGM_KUBE_PODS).nr_failed ||
				  cgm_kube_cluster_state(s.c, CGM_KUBE_NODES).nr_failed || cgm_kube_cluster_state(s.c, CGM_KUBE_NAMESPACES).nr_failed);
		if (s.c && kube_nr_requests(&s.server, "watch=1") == 3)
			assert_true(cgm_kube_cluster_nr(s.c, CGM_KUBE_PODS) + cgm_kube_cluster_state(s.c, CGM_KUBE_PODS).nr_objects_lost >= 3);
		cgm_mem_fail_at(0);
		end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node__whole),	    cmocka_unit_test(test_node__none),	   cmocka_unit_test(test_cluster__pods),
		cmocka_unit_test(test_cluster__nodes),	    cmocka_unit_test(test_cluster__namespaces), cmocka_unit_test(test_cluster__denied),
		cmocka_unit_test(test_cluster__no_memory),  cmocka_unit_test(test_cluster__slim_pods),
	};

	cgm_log_set_level(CGM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
