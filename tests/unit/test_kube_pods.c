// SPDX-License-Identifier: Apache-2.0
/* Pods as the API tells of them, the store of a node's pods, and the names that cgroups get by it. */
#include "kube_fixture.h"
#include "kube_server.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "identity/names.h"
#include "kube/pods.h"

#define HASH "0123456789abcdef0123456789abcdef"
#define ZEROS "00000000000000000000000000000000000000000000000000000000000000"

static struct cgm_kube_pod *read_pod(const char *text)
{
	struct cgm_kube_pod *p = NULL;
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	assert_int_equal(cgm_kube_pod_read(j, true, &p, NULL), 0);
	json_decref(j);
	return p;
}

/* Of the recorded list of node n1. */
static struct cgm_kube_pod *recorded(const char *name)
{
	_cleanup_free_ char *text = kube_file("pods-node.json");
	json_t *list = json_loads(text, 0, NULL), *item;
	struct cgm_kube_pod *p = NULL;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, item)
		if (strcmp(json_string_value(json_object_get(json_object_get(item, "metadata"), "name")), name) == 0)
			assert_int_equal(cgm_kube_pod_read(item, true, &p, NULL), 0);
	json_decref(list);
	assert_non_null(p);
	return p;
}

static void test_pod__recorded(void **state)
{
	struct cgm_kube_pod *p = recorded("plain");
	const struct cgm_kube_container *c = p->containers;
	json_t *json = json_loads(p->json, 0, NULL);

	(void)state;
	assert_string_equal(p->pod_namespace, "default");
	assert_string_equal(p->cgroup_uid, p->uid);
	assert_string_equal(p->node, "n1");
	assert_int_equal(p->phase, CGM_KUBE_RUNNING);
	assert_int_equal(p->qos, CGM_KUBE_BURSTABLE);
	assert_false(p->host_network);
	assert_true(p->started_ns == 1795364680000000000); /* 2026-11-22T16:24:40Z */
	assert_int_equal(p->nr_labels, 1);
	assert_string_equal(p->labels[0].value, "plain");
	assert_int_equal(p->nr_containers, 1);
	assert_string_equal(c->name, "app");
	assert_string_equal(c->image, "docker.io/local/busybox:1");
	assert_string_equal(c->now.runtime, "containerd");
	assert_string_equal(c->now.id, ZEROS "a1");
	assert_int_equal(c->now.state, CGM_KUBE_STATE_RUNNING);
	assert_int_equal(c->cpu_request_milli, 50);
	assert_int_equal(c->cpu_limit_milli, 100);
	assert_int_equal(c->memory_request_bytes, 16 << 20);
	assert_int_equal(c->memory_limit_bytes, 32 << 20);
	assert_null(c->last.id);
	assert_int_equal(p->nr_volumes, 2);
	assert_string_equal(p->volumes[0].kind, "emptyDir");
	assert_null(p->volumes[0].claim);
	assert_string_equal(p->volumes[1].kind, "persistentVolumeClaim");
	assert_string_equal(p->volumes[1].claim, "disk-1");
	assert_int_equal(p->json_len, strlen(p->json));
	assert_string_equal(json_string_value(json_object_get(json_object_get(json, "spec"), "nodeName")), "n1");
	assert_null(json_object_get(json_object_get(json, "metadata"), "managedFields"));
	json_decref(json);
	cgm_kube_pod_unref(p);

	p = recorded("again");
	assert_true(p->host_network);
	assert_int_equal(p->containers[0].restart_count, 2);
	assert_string_equal(p->containers[0].last.id, ZEROS "b2");
	assert_string_equal(p->containers[0].last.reason, "OOMKilled");
	assert_int_equal(p->containers[0].last.exit_code, 137);
	assert_true(p->containers[0].last.finished_ns - p->containers[0].last.started_ns == 24 * CGM_NSEC_PER_SEC);
	cgm_kube_pod_unref(p);

	p = recorded("static-n1");
	assert_string_equal(p->cgroup_uid, HASH);
	assert_string_not_equal(p->uid, HASH);
	cgm_kube_pod_unref(p);

	p = recorded("waits");
	assert_int_equal(p->phase, CGM_KUBE_PENDING);
	assert_int_equal(p->nr_containers, 2);
	assert_int_equal(p->containers[1].kind, CGM_KUBE_INIT);
	assert_null(p->containers[1].now.id);
	assert_int_equal(p->containers[1].cpu_limit_milli, -1);
	cgm_kube_pod_unref(p);
}

static void test_pod__odd(void **state)
{
	static const char *const none[] = { "[]", "{}", "{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}", "{\"metadata\":{\"name\":\"\",\"namespace\":\"b\",\"uid\":\"c\"}}" };
	struct cgm_kube_pod *p = read_pod("{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"uid\":\"c\",\"labels\":{\"z\":\"1\",\"a\":2,\"m\":\"3\"}},\"spec\":{\"containers\":["
					  "{\"name\":\"x\",\"resources\":{\"limits\":{\"cpu\":2,\"memory\":\"lots\"}}},{\"image\":\"nameless\"},7],\"volumes\":[{\"name\":\"v\"},{}]},"
					  "\"status\":{\"phase\":\"Dancing\",\"containerStatuses\":[{\"name\":\"x\",\"restartCount\":-4,\"containerID\":\"docker://\",\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\"}}}]}}");
	uint64_t nr_bad = 0;

	(void)state;
	assert_int_equal(p->phase, CGM_KUBE_PHASE_UNKNOWN);
	assert_int_equal(p->nr_labels, 3);
	assert_string_equal(p->labels[0].key, "a");
	assert_string_equal(p->labels[0].value, "");
	assert_int_equal(p->nr_containers, 1);
	assert_int_equal(p->containers[0].cpu_limit_milli, 2000);
	assert_int_equal(p->containers[0].memory_limit_bytes, -1);
	assert_int_equal(p->containers[0].restart_count, 0);
	assert_null(p->containers[0].now.id);
	assert_string_equal(p->containers[0].now.reason, "ErrImagePull");
	assert_int_equal(p->nr_volumes, 1);
	assert_null(p->volumes[0].kind);
	cgm_kube_pod_unref(p);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		json_t *j = json_loads(none[i], 0, NULL);

		p = NULL;
		assert_int_equal(cgm_kube_pod_read(j, true, &p, &nr_bad), -EINVAL);
		assert_null(p);
		json_decref(j);
	}
}

/* ---- the store ---- */

struct stage {
	struct kube_server server;
	struct cgm_kube *kube;
	struct cgm_kube_pods *pods;
};

static void begin(struct stage *g)
{
	struct cgm_kube_config c = { .service_account = "/nowhere" };
	char fault[CGM_KUBE_FAULT] = "";

	memset(g, 0, sizeof(*g));
	kube_start(&g->server);
	c.url = g->server.url;
	if (cgm_kube_open(&c, &g->kube, fault) < 0)
		fail_msg("%s", fault);
}

static void end(struct stage *g)
{
	cgm_kube_pods_free(g->pods);
	cgm_kube_close(g->kube);
	kube_stop(&g->server);
}

static size_t nr_pods(struct stage *g)
{
	struct cgm_kube_pod **all;
	size_t nr;

	assert_int_equal(cgm_kube_pods_all(g->pods, &all, &nr), 0);
	for (size_t i = 0; i < nr; i++)
		cgm_kube_pod_unref(all[i]);
	free(all);
	return nr;
}

static void test_pods__follow(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json"), *events = kube_file("watch.txt");
	_cleanup_(cgm_buf_done) struct cgm_buf json = { 0 };
	struct cgm_kube_pod *p, *old = recorded("static-n1");
	struct stage g;
	json_t *j;

	(void)state;
	begin(&g);
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .node = "n1", .with_json = true }, &g.pods), 0);
	assert_int_equal(cgm_kube_pods_json(g.pods, &json), -EAGAIN);
	json.len = 0;
	kube_rule(&g.server, (struct kube_rule){ .match = "?limit=500&fieldSelector=spec.nodeName%3Dn1&resourceVersion=0 ", .status = 200, .body = list });
	kube_rule(&g.server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
	kube_wait(kube_has_stream(&g.server));
	assert_int_equal(nr_pods(&g), 4);
	p = cgm_kube_pods_find(g.pods, HASH);
	assert_string_equal(p->uid, old->uid);
	cgm_kube_pod_unref(p);
	p = cgm_kube_pods_find(g.pods, old->uid);
	assert_string_equal(p->name, "static-n1");
	cgm_kube_pod_unref(p);
	assert_null(cgm_kube_pods_find(g.pods, "else"));
	kube_push(&g.server, events);
	kube_wait(cgm_kube_pods_state(g.pods).nr_events == 5);
	assert_int_equal(nr_pods(&g), 4); /* "late" came, "again" went */
	assert_int_equal(cgm_kube_pods_json(g.pods, &json), 0);
	j = json_loadb(json.p, json.len, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "kind")), "PodList");
	assert_int_equal(json_array_size(json_object_get(j, "items")), 4);
	assert_null(json_object_get(json_array_get(json_object_get(j, "items"), 0), "kind"));
	json_decref(j);
	/* Listed anew, without the static one. */
	kube_push(&g.server, "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Secret\"}}\n{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n");
	pthread_mutex_lock(&g.server.lock);
	g.server.rules[0].match = "&resourceVersion=212&resourceVersionMatch=NotOlderThan ";
	g.server.rules[0].body = "{\"metadata\":{\"resourceVersion\":\"300\"},\"items\":[]}";
	pthread_mutex_unlock(&g.server.lock);
	kube_wait(nr_pods(&g) == 0);
	assert_int_equal(cgm_kube_pods_state(g.pods).nr_objects_lost, 1);
	cgm_kube_pod_unref(old);
	end(&g);
}

#define CLAIM "GET /api/v1/namespaces/default/persistentvolumeclaims/disk-1 "
#define PLAIN "a0b37985-8df4-4a6c-8063-f06af81d1660"

/* A claim is asked for with its pod, again while it is not bound, and never again once it is. */
static void test_pods__claims(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json");
	struct cgm_kube_volume_name found;
	struct stage g;
	char event[8192];
	struct cgm_kube_pod *plain = recorded("plain");

	(void)state;
	begin(&g);
	kube_rule(&g.server, (struct kube_rule){ .match = CLAIM, .times = 1, .status = 200, .body = "{\"kind\":\"PersistentVolumeClaim\",\"spec\":{},\"status\":{\"phase\":\"Pending\"}}" });
	kube_rule(&g.server, (struct kube_rule){ .match = CLAIM, .status = 200, .body = "{\"kind\":\"PersistentVolumeClaim\",\"spec\":{\"volumeName\":\"pv-7\"}}" });
	kube_rule(&g.server, (struct kube_rule){ .match = "?limit=500", .status = 200, .body = list });
	kube_rule(&g.server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .node = "n1" }, &g.pods), 0);
	kube_wait(kube_has_stream(&g.server));
	assert_false(cgm_kube_pods_volume(g.pods, PLAIN, "pv-7", &found));
	for (int i = 0; i < 3; i++) {
		snprintf(event, sizeof(event), "{\"type\":\"MODIFIED\",\"object\":%s}\n", plain->json);
		kube_push(&g.server, event);
		kube_wait(cgm_kube_pods_volume(g.pods, PLAIN, "pv-7", &found) && cgm_kube_pods_state(g.pods).nr_events == (uint64_t)i + 1);
	}
	assert_int_equal(kube_nr_requests(&g.server, CLAIM), 2);
	assert_string_equal(found.name, "claim");
	assert_string_equal(found.claim, "disk-1");
	assert_string_equal(found.pod_namespace, "default");
	assert_false(cgm_kube_pods_volume(g.pods, PLAIN, "pv-8", &found));
	assert_false(cgm_kube_pods_volume(g.pods, "else", "pv-7", &found));
	cgm_kube_pod_unref(plain);
	end(&g);
}

/* Who may not know is told so once, and asks no more for a while; an answer that never comes holds up nobody's end. */
static void test_pods__claims_refused(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json");
	struct cgm_kube_volume_name found;
	struct stage g;

	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		begin(&g);
		kube_rule(&g.server, (struct kube_rule){ .match = CLAIM, .status = 403, .how = silent ? KUBE_SILENT : KUBE_WHOLE, .body = "{\"kind\":\"Status\",\"message\":\"no\"}" });
		kube_rule(&g.server, (struct kube_rule){ .match = "?limit=500", .status = 200, .body = list });
		kube_rule(&g.server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
		assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .node = "n1" }, &g.pods), 0);
		kube_wait(kube_nr_requests(&g.server, CLAIM) == 1);
		if (!silent)
			kube_wait(nr_pods(&g) == 4);
		assert_false(cgm_kube_pods_volume(g.pods, PLAIN, "pv-7", &found));
		end(&g);
	}
}

static void test_pods__of_kubelet(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json");
	_cleanup_(cgm_buf_done) struct cgm_buf json = { 0 };
	struct stage g;

	(void)state;
	begin(&g);
	kube_rule(&g.server, (struct kube_rule){ .match = "GET /pods? ", .times = 1, .status = 200, .body = list });
	kube_rule(&g.server, (struct kube_rule){ .match = "GET /pods? ", .status = 200, .body = "{\"kind\":\"PodList\",\"items\":[]}" });
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .kubelet = true, .interval_ns = 300 * CGM_NSEC_PER_MSEC }, &g.pods), 0);
	kube_wait(nr_pods(&g) == 4 && cgm_kube_pods_state(g.pods).synced);
	assert_int_equal(cgm_kube_pods_json(g.pods, &json), -ENOTSUP);
	kube_wait(nr_pods(&g) == 0);
	end(&g);
}

static void test_pod__alloc(void **state)
{
	_cleanup_free_ char *text = kube_file("pods-node.json");
	json_t *list = json_loads(text, 0, NULL), *item = json_array_get(json_object_get(list, "items"), 0);
	struct cgm_kube_pod *p = NULL;

	(void)state;
	cgm_mem_fail_at(1);
	assert_int_equal(cgm_kube_pod_read(item, true, &p, NULL), -ENOMEM);
	assert_int_equal(cgm_mem_fail_at(0), 1);
	assert_null(p);
	json_decref(list);
}

/* ---- names ---- */

struct name {
	const char *path;
	char text[256];
};

static void on_name(void *arg, const char *path, struct cgm_who *w)
{
	struct name *names = arg;

	for (; names->path; names++)
		if (strcmp(names->path, path) == 0)
			snprintf(names->text, sizeof(names->text), "%s %s/%s/%s %s r%u s%d x%d", w->runtime, w->pod_namespace, w->pod, w->is_sandbox ? "-" : w->container,
				 w->image ? w->image : "-", w->restart_count, w->state, w->exit_code);
}

/* Waits to be started again: the one that ended still is the container. */
#define LOOP                                                                                                                                               \
	"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"loop\",\"namespace\":\"default\",\"uid\":\"u\",\"resourceVersion\":\"400\"},"                       \
	"\"spec\":{\"containers\":[{\"name\":\"app\"}]},\"status\":{\"containerStatuses\":[{\"name\":\"app\",\"restartCount\":3,\"containerID\":\"cri-o://" ZEROS "c1\"," \
	"\"state\":{\"waiting\":{\"reason\":\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":{\"exitCode\":1,\"containerID\":\"cri-o://" ZEROS "c1\"}}}]}}}\n"

static void test_kubernetes__names(void **state)
{
	_cleanup_free_ char *list = kube_file("pods-node.json"), *events = kube_file("watch.txt");
	struct cgm_kubernetes_feed feed = { 0 };
	struct cgm_names_config config = { { .name = "kubernetes", .socket = "x", .kubernetes = &feed }, &cgm_kubernetes_driver };
	struct cgm_runtime_state runtimes[CGM_MAX_RUNTIMES];
	struct cgm_kube_pod *plain = recorded("plain");
	struct cgm_names *n = NULL;
	char paths[5][200];
	struct name names[6] = { 0 };
	struct stage g;

	(void)state;
	snprintf(paths[0], sizeof(paths[0]), "/kubepods/burstable/pod%s/%s", plain->uid, ZEROS "a1");
	snprintf(paths[1], sizeof(paths[1]), "/kubepods/burstable/pod%s", plain->uid);
	snprintf(paths[2], sizeof(paths[2]), "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" HASH ".slice/cri-containerd-" ZEROS "a3.scope");
	snprintf(paths[3], sizeof(paths[3]), "/kubepods/burstable/pod1/" ZEROS "b2");
	snprintf(paths[4], sizeof(paths[4]), "/kubepods/burstable/pod2/" ZEROS "c1");
	for (size_t i = 0; i < 5; i++)
		names[i].path = paths[i];
	begin(&g);
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .node = "n1" }, &g.pods), 0);
	feed.pods = g.pods;
	assert_int_equal(cgm_names_new(&config, 1, &n), 0);
	for (size_t i = 0; i < 5; i++)
		cgm_names_came(n, paths[i]);
	kube_rule(&g.server, (struct kube_rule){ .match = "?limit=500", .status = 200, .body = list });
	kube_rule(&g.server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
	kube_wait((cgm_names_take(n, on_name, names), *names[0].text && *names[1].text && *names[2].text && *names[3].text));
	assert_string_equal(names[0].text, "containerd default/plain/app docker.io/local/busybox:1 r0 s2 x0");
	assert_string_equal(names[1].text, "kubernetes default/plain/- - r0 s2 x0");
	assert_string_equal(names[2].text, "containerd default/static-n1/app docker.io/local/busybox:1 r0 s2 x0");
	assert_string_equal(names[3].text, "containerd default/again/app docker.io/local/busybox:1 r1 s4 x137");
	kube_push(&g.server, events);
	kube_wait((cgm_names_take(n, on_name, names), strstr(names[0].text, "r0 s4 x3") != NULL));
	kube_push(&g.server, LOOP);
	kube_wait((cgm_names_take(n, on_name, names), *names[4].text));
	assert_string_equal(names[4].text, "crio default/loop/app - r3 s4 x1");
	assert_int_equal(cgm_names_state(n, runtimes), 1);
	assert_true(runtimes[0].connected);
	kube_wait((cgm_names_state(n, runtimes), runtimes[0].nr_calls >= 2));
	kube_end(&g.server, false);
	pthread_mutex_lock(&g.server.lock);
	g.server.rules[1].status = 500;
	g.server.rules[1].how = KUBE_WHOLE;
	pthread_mutex_unlock(&g.server.lock);
	kube_wait((cgm_names_state(n, runtimes), !runtimes[0].connected && strstr(runtimes[0].fault, "500") && runtimes[0].nr_failed));
	cgm_names_free(n);
	cgm_kube_pod_unref(plain);
	end(&g);
}

/* A runtime that tells of a container and its sandbox itself, as long as it is there. */
static struct {
	bool is_there; /* atomic */
	const char *uid;
} own;

static bool own_there(struct cgm_runtime *r, char *fault)
{
	(void)r;
	snprintf(fault, CGM_RUNTIME_FAULT, "away");
	return __atomic_load_n(&own.is_there, __ATOMIC_ACQUIRE);
}

static int own_run(struct cgm_runtime *r, char *fault)
{
	cgm_runtime_connected(r, "1");
	cgm_runtime_learn(r, cgm_who_new(&(struct cgm_who){ .runtime = "crio", .id = ZEROS "a1", .pod = "p", .pod_namespace = "n", .container = "own" }));
	cgm_runtime_learn(r, cgm_who_new(&(struct cgm_who){ .runtime = "crio", .id = ZEROS "ff", .pod = "p", .pod_namespace = "n", .pod_uid = own.uid, .created_ns = 1, .is_sandbox = true }));
	cgm_runtime_listed(r);
	while (!cgm_runtime_stopping(r) && own_there(r, fault))
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	return -ENOTCONN;
}

/* A runtime's own word goes before that of Kubernetes, whichever came first, and stays when the runtime is away. */
static void test_kubernetes__second_hand(void **state)
{
	static const struct cgm_runtime_driver driver = { .run = own_run, .there = own_there };
	_cleanup_free_ char *list = kube_file("pods-node.json"), *events = kube_file("watch.txt");
	struct cgm_kubernetes_feed feed = { 0 };
	struct cgm_names_config configs[] = { { { .name = "kubernetes", .socket = "x", .kubernetes = &feed }, &cgm_kubernetes_driver }, { { .name = "crio", .socket = "x" }, &driver } };
	struct cgm_runtime_state runtimes[CGM_MAX_RUNTIMES];
	struct cgm_kube_pod *plain = recorded("plain");
	struct cgm_names *n = NULL;
	char paths[2][200];
	struct name names[3] = { { paths[0], "" }, { paths[1], "" } };
	struct stage g;
	uint64_t learned;

	(void)state;
	own.uid = plain->uid;
	snprintf(paths[0], sizeof(paths[0]), "/kubepods/burstable/pod%s/%s", plain->uid, ZEROS "a1");
	snprintf(paths[1], sizeof(paths[1]), "/kubepods/burstable/pod%s", plain->uid);
	begin(&g);
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = g.kube, .node = "n1" }, &g.pods), 0);
	feed.pods = g.pods;
	kube_rule(&g.server, (struct kube_rule){ .match = "?limit=500", .status = 200, .body = list });
	kube_rule(&g.server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
	assert_int_equal(cgm_names_new(configs, 2, &n), 0);
	cgm_names_came(n, paths[0]);
	cgm_names_came(n, paths[1]);
	kube_wait((cgm_names_take(n, on_name, names), *names[0].text && *names[1].text));
	assert_non_null(strstr(names[0].text, "default/plain/app"));
	assert_non_null(strstr(names[1].text, "default/plain/-"));
	__atomic_store_n(&own.is_there, true, __ATOMIC_RELEASE);
	kube_wait((cgm_names_take(n, on_name, names), strstr(names[0].text, "n/p/own") && strstr(names[1].text, "n/p/-")));
	__atomic_store_n(&own.is_there, false, __ATOMIC_RELEASE);
	kube_wait((cgm_names_state(n, runtimes), !runtimes[1].connected));
	learned = runtimes[0].nr_learned;
	kube_push(&g.server, events);
	kube_wait((cgm_names_state(n, runtimes), runtimes[0].nr_learned > learned));
	cgm_names_take(n, on_name, names);
	assert_non_null(strstr(names[0].text, "n/p/own"));
	assert_non_null(strstr(names[1].text, "n/p/-"));
	cgm_names_free(n);
	cgm_kube_pod_unref(plain);
	end(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod__recorded),
		cmocka_unit_test(test_pod__odd),
		cmocka_unit_test(test_pod__alloc),
		cmocka_unit_test(test_pods__follow),
		cmocka_unit_test(test_pods__claims),
		cmocka_unit_test(test_pods__claims_refused),
		cmocka_unit_test(test_pods__of_kubelet),
		cmocka_unit_test(test_kubernetes__names),
		cmocka_unit_test(test_kubernetes__second_hand),
	};

	cgm_log_set_level(CGM_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
