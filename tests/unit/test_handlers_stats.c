// SPDX-License-Identifier: Apache-2.0
/*
 * The kubelet's addresses beside the Summary: /stats, /spec, /pods, /runningpods, /metrics/probes. What Heapster's "kubernetes" source sends and reads, and
 * the shapes against what a real kubelet said.
 */
#include "kubelet_fixture.h"

#include "http_fixture.h"
#include "output/json.h"
#include "output/request.h"

#define OWN_LABEL(k, v) { "io.kubernetes." k, v }
static struct cgm_pair sandbox_labels[] = { { "app", "burn" }, { "io.cri-containerd.kind", "sandbox" }, OWN_LABEL("pod.name", "burn"),
					    OWN_LABEL("pod.namespace", "default"), OWN_LABEL("pod.uid", BURN), { "tier", "back" } },
		       cpu_labels[] = { { "io.cri-containerd.kind", "container" }, OWN_LABEL("container.name", "cpu"), OWN_LABEL("pod.name", "burn"),
					OWN_LABEL("pod.namespace", "default"), OWN_LABEL("pod.uid", BURN) };

/* The node of the fixture, with labels and states as containerd tells them. */
static struct cgm_snapshot *labelled(struct synth *y, unsigned nr_ticks)
{
	static struct cgm_who sandbox, cpu, ended;
	struct cgm_snapshot *s;
	struct cgm_who before[2] = { burn_sandbox, new_cpu };

	sandbox = before[0];
	sandbox.labels = sandbox_labels;
	sandbox.nr_labels = ARRAY_SIZE(sandbox_labels);
	cpu = before[1];
	cpu.labels = cpu_labels;
	cpu.nr_labels = ARRAY_SIZE(cpu_labels);
	cpu.envs = &(struct cgm_pair){ "WANTED", "1" };
	cpu.nr_envs = 1;
	cpu.restart_count = 3;
	cpu.state = CGM_STATE_RUNNING;
	ended = io;
	ended.state = CGM_STATE_EXITED;
	ended.exit_code = 7;
	ended.finished_ns = AT(10);
	cgm_snapshot_unref(kubelet_snapshot_with(y, 1, false));
	y->who[BURN_POD] = y->who[BURN_SANDBOX] = &sandbox;
	y->who[CPU] = &cpu;
	y->who[IO] = &ended;
	for (unsigned i = 1; i < nr_ticks; i++)
		synth_tick(y);
	s = synth_snapshot(y);
	for (size_t i = 0; i < s->nr_rows; i++)
		s->rows[i].spec.has_network = cgm_kubelet_has_interfaces(&s->rows[i]);
	return s;
}

static struct fixture *serve(bool legacy)
{
	struct fixture *f = setup_with(0, legacy);

	synth_done(&f->y);
	cgm_store_publish(f->store, labelled(&f->y, 5));
	return f;
}

static json_t *post_json(struct fixture *f, const char *path, const char *body)
{
	struct answer a = post(f, path, body);
	json_t *j;

	if (a.status != 200)
		fail_msg("%s: %u %s", path, a.status, a.body.p);
	assert_non_null(header(&a, "Content-Type: application/json\r"));
	j = json_of(&a);
	done(&a);
	return j;
}

static json_t *get_json(struct fixture *f, const char *path)
{
	struct answer a = get(f, path, "");
	json_t *j;

	if (a.status != 200)
		fail_msg("%s: %u %s", path, a.status, a.body.p);
	j = json_of(&a);
	done(&a);
	return j;
}

static const char *label(const json_t *container, const char *key)
{
	return json_string_value(json_object_get(json_object_get(json_object_get(container, "spec"), "labels"), key));
}

/* ---- /stats ---- */

/* Seconds 1 and 2 of five samples. */
#define WINDOW "\"num_stats\":1,\"start\":\"2026-09-21T14:13:21Z\",\"end\":\"2026-09-21T14:13:22Z\""

/* Heapster of both eras: all at once. */
static void test_stats__container(void **state)
{
	struct fixture *f = serve(false);
	json_t *j = post_json(f, "/stats/container/", "{\"containerName\":\"/\"," WINDOW ",\"subcontainers\":true}");
	const json_t *c, *stats;
	const char *name;

	(void)state;
	assert_int_equal(json_object_size(j), NR_KUBELET_ROWS);
	json_object_foreach(j, name, c)
	{
		check(c, "ContainerInfo");
		assert_string_equal(json_string_value(json_object_get(c, "name")), name);
		stats = json_object_get(c, "stats");
		assert_int_equal(json_array_size(stats), 1);
		assert_string_equal(json_string_value(at_path(stats, "timestamp")), "2026-09-21T14:13:22Z");
	}
	json_decref(j);
	teardown(f);
}

static void test_stats__container_by_name(void **state)
{
	struct fixture *f = serve(false);
	json_t *j = post_json(f, "/stats/container", "{\"containerName\":\"kubepods//\",\"num_stats\":2}");
	struct answer a;

	(void)state;
	assert_int_equal(json_object_size(j), 1);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "/kubepods"), "stats")), 2);
	json_decref(j);
	j = post_json(f, "/stats/container", "");
	assert_int_equal(json_object_size(j), 1);
	assert_int_equal(json_array_size(json_object_get(json_object_get(j, "/"), "stats")), 5);
	json_decref(j);
	j = get_json(f, "/stats/container/");
	assert_non_null(json_object_get(j, "/"));
	json_decref(j);
	a = post(f, "/stats/container/", "{\"containerName\":\"/kubepods/x\"}");
	assert_error(&a, 404, "\"/kubepods/x\"");
	a = post(f, "/stats/container/", "{\"containerName\":1}");
	assert_error(&a, 400, "containerName");
	a = post(f, "/stats/container/", "{\"containerName\":\"a\\u0000b\"}");
	assert_error(&a, 400, "containerName");
	a = post(f, "/stats/container/", "{\"subcontainers\":\"yes\"}");
	assert_error(&a, 400, "subcontainers");
	a = post(f, "/stats/container/", "{\"num_stats\":\"1\"}");
	assert_error(&a, 400, "num_stats");
	a = post(f, "/stats/container/", "{");
	assert_error(&a, 400, "not JSON");
	teardown(f);
}

/* What Heapster makes a pod of: labels, and the network of each pod once, at what it takes for the pod. */
static void test_stats__what_heapster_reads(void **state)
{
	static const char *const of_all[] = { "timestamp", "cpu.usage.total", "memory.usage", "memory.cache", "memory.rss", "memory.working_set",
					      "memory.hierarchical_data.pgfault", "memory.hierarchical_data.pgmajfault" };
	static const char *const of_net[] = { "rx_bytes", "rx_errors", "tx_bytes", "tx_errors", "name" };
	struct fixture *f = serve(false);
	json_t *j = post_json(f, "/stats/container/", "{\"containerName\":\"/\"," WINDOW ",\"subcontainers\":true}");
	const json_t *c, *sandbox = json_object_get(j, kubelet_names[BURN_SANDBOX]), *cpu = json_object_get(j, kubelet_names[CPU]);
	const char *name;
	size_t at;

	(void)state;
	json_object_foreach(j, name, c)
	{
		for (size_t i = 0; i < ARRAY_SIZE(of_all); i++)
			if (!at_path(json_object_get(c, "stats"), of_all[i]))
				fail_msg("%s has no %s", name, of_all[i]);
		assert_non_null(at_path(c, "spec.creation_time"));
	}
	assert_string_equal(label(sandbox, "io.kubernetes.container.name"), "POD");
	assert_string_equal(label(sandbox, "io.kubernetes.pod.name"), "burn");
	assert_string_equal(label(sandbox, "app"), "burn");
	assert_int_equal(json_object_size(at_path(sandbox, "spec.labels")), ARRAY_SIZE(sandbox_labels) + 1);
	assert_string_equal(label(cpu, "io.kubernetes.container.name"), "cpu");
	assert_string_equal(label(cpu, "io.kubernetes.pod.uid"), BURN);
	assert_string_equal(json_string_value(json_array_get(json_object_get(cpu, "aliases"), 0)), "2" HEX);
	/* The network. */
	assert_true(json_is_true(at_path(sandbox, "spec.has_network")));
	assert_true(json_is_false(at_path(cpu, "spec.has_network")));
	assert_null(at_path(json_object_get(cpu, "stats"), "network"));
	assert_null(at_path(json_object_get(json_object_get(j, kubelet_names[IO]), "stats"), "network"));
	for (size_t i = 0; i < ARRAY_SIZE(of_net); i++) {
		assert_non_null(json_object_get(at_path(json_object_get(sandbox, "stats"), "network"), of_net[i]));
		assert_non_null(json_object_get(at_path(json_object_get(json_object_get(j, "/"), "stats"), "network"), of_net[i]));
		/* Where no sandbox was seen, a container has it. */
		assert_non_null(json_object_get(at_path(json_object_get(json_object_get(j, kubelet_names[LONE]), "stats"), "network"), of_net[i]));
	}
	/* Disks and file systems of the node. */
	assert_non_null(at_path(at_path(json_object_get(json_object_get(j, "/"), "stats"), "diskio.io_service_bytes"), "stats.Read"));
	assert_non_null(at_path(json_object_get(json_object_get(j, "/"), "stats"), "filesystem.usage"));
	assert_non_null(at_path(json_object_get(json_object_get(j, "/"), "stats"), "filesystem.capacity"));
	/* No variable that nobody wants. */
	assert_int_equal(json_object_size(at_path(cpu, "spec.envs")), 1);
	json_decref(j);
	/* cAdvisor's own form stays as cAdvisor's. */
	j = post_json(f, "/api/v1.3/subcontainers/kubepods/burstable/pod" BURN, "{\"num_stats\":1}");
	assert_int_equal(json_array_size(j), 5);
	json_array_foreach(j, at, c)
	{
		name = label(c, "io.kubernetes.container.name");
		assert_true(!name || strcmp(name, "cpu") == 0);
	}
	json_decref(j);
	teardown(f);
}

/* Those of Heapster before 0.15, a container each. */
static void test_stats__of_a_pod(void **state)
{
	struct fixture *f = serve(false);
	json_t *j = post_json(f, "/stats/burn/cpu", "{" WINDOW "}");
	struct answer a;

	(void)state;
	check(j, "ContainerInfo");
	assert_string_equal(json_string_value(json_object_get(j, "name")), kubelet_names[CPU]); /* the newer of two */
	assert_int_equal(json_array_size(json_object_get(j, "stats")), 1);
	json_decref(j);
	j = get_json(f, "/stats/kube-system/quiet/" QUIET "/sleeper");
	assert_string_equal(json_string_value(json_object_get(j, "name")), kubelet_names[SLEEPER]);
	json_decref(j);
	j = get_json(f, "/stats/burn/POD/");
	assert_string_equal(json_string_value(json_object_get(j, "name")), kubelet_names[BURN_SANDBOX]);
	json_decref(j);
	j = get_json(f, "/stats/");
	check(j, "ContainerInfo");
	assert_string_equal(json_string_value(json_object_get(j, "name")), "/");
	json_decref(j);
	a = get(f, "/stats/quiet/sleeper", ""); /* of another namespace */
	assert_error(&a, 404, "pod \"quiet\" in namespace \"default\"");
	a = get(f, "/stats/burn/nothing", "");
	assert_error(&a, 404, "\"nothing\"");
	a = get(f, "/stats/default/burn/" QUIET "/cpu", "");
	assert_error(&a, 404, "");
	for (size_t i = 0; i < 3; i++) {
		static const char *const paths[] = { "/stats/burn", "/stats/a/b/c", "/stats/a/b/c/d/e" };

		a = get(f, paths[i], "");
		assert_error(&a, 404, "/stats/POD/CONTAINER");
	}
	teardown(f);
}

static void assert_moved(struct answer a, const char *to)
{
	char text[128];

	assert_int_equal(a.status, 301);
	snprintf(text, sizeof(text), "Location: %s\r\n", to);
	assert_non_null(header(&a, text));
	done(&a);
}

/* As http-status.txt has them. */
static void test_http__redirects_and_methods(void **state)
{
	static const char *const later[] = { "/stats/", "/stats/container", "/metrics/probes", "/pods", "/runningpods/" };
	static const char *const none[] = { "/configz", "/logs/", "/run/x", "/exec/x", "/debug/flags/v" };
	struct fixture *f = serve(false);
	struct answer a;

	(void)state;
	assert_moved(get(f, "/stats", ""), "/stats/");
	assert_moved(post(f, "/stats", "{}"), "/stats/");
	assert_moved(get(f, "/spec", ""), "/spec/");
	assert_moved(get(f, "/runningpods", ""), "/runningpods/");
	a = post(f, "/spec/", "{}");
	assert_error(&a, 405, "");
	a = post(f, "/pods", "{}");
	assert_error(&a, 405, "");
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		a = get(f, none[i], "");
		assert_error(&a, 404, "unknown path");
	}
	teardown(f);
	f = setup(0);
	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		a = get(f, later[i], "");
		assert_error(&a, 503, "no sample");
	}
	teardown(f);
}

/* ---- against what a real kubelet said ---- */

static json_t *recorded(const char *name)
{
	char path[64];
	json_t *j;

	snprintf(path, sizeof(path), "tests/fixtures/kubelet/%s", name);
	j = json_load_file(path, 0, NULL);
	assert_non_null(j);
	return j;
}

static void shapes_of_members(struct shapes *s, const json_t *j)
{
	const json_t *member;
	const char *name;

	json_object_foreach((json_t *)j, name, member) shapes_of_json(s, member, "");
}

static void test_stats__as_recorded(void **state)
{
	static const struct exception newer[] = {
		{ "spec.start_time string", "newer cAdvisors" },
		{ "spec.cpu.quota integer", "no container there had one" },
		{ "spec.envs.WANTED string", "words of the pods" },
		{ "stats[[][]].*.psi *", "newer cAdvisors" }, { "stats[[][]].*.psi.*", "likewise" },
		{ "stats[[][]].cpu.cfs.burst*", "likewise" }, { "stats[[][]].cpu.load_d_average integer", "likewise" },
		{ "stats[[][]].memory.total_*", "likewise" }, { "stats[[][]].memory.file_*", "likewise" }, { "stats[[][]].memory.pgs*", "likewise" },
		{ "stats[[][]].memory.workingset_refault_*", "likewise" }, { "stats[[][]].memory.kernel integer", "likewise" },
		{ "stats[[][]].memory.events*", "likewise" }, { "stats[[][]].cpuset*", "likewise" }, { "stats[[][]].oom_events*", "likewise" },
		{ "stats[[][]].health*", "likewise" },
		{ "stats[[][]].memory.*_data.numa_stats.*", "kubelets switch it off" }, { "stats[[][]].cpu.usage.per_cpu_usage*", "likewise" },
		{ "stats[[][]].hugetlb*", "likewise" }, { "stats[[][]].perf_*", "likewise" }, { "stats[[][]].referenced_memory *", "likewise" },
		{ "stats[[][]].resctrl.*", "likewise" },
		{ "stats[[][]].diskio.io_*", "on no disk there was anything counted" }, { "stats[[][]].diskio.sectors*", "likewise" },
	};
	static const struct exception missing[] = {
		{ "spec.memory.reservation integer", "limits that the fixture has not" }, { "spec.memory.swap_limit integer", "likewise" },
		{ "spec.envs.PATH string", "only variables that are wanted are shown" },
	};
	struct fixture *f = serve(false);
	json_t *ours = post_json(f, "/stats/container/", "{\"containerName\":\"/\",\"num_stats\":1,\"subcontainers\":true}");
	json_t *theirs = recorded("stats-container.json");
	struct shapes is = { 0 }, want = { 0 };

	(void)state;
	shapes_of_members(&is, ours);
	shapes_of_members(&want, theirs);
	compare_shapes(&is, &want, newer, ARRAY_SIZE(newer), missing, ARRAY_SIZE(missing));
	shapes_done(&is);
	shapes_done(&want);
	json_decref(ours);
	json_decref(theirs);
	teardown(f);
}

/* Of this machine, so that it may lack what that one had. */
static void test_spec__as_recorded(void **state)
{
	static const struct exception newer[] = { { "*", "what this machine has; its keys are checked below" } };
	static const struct exception missing[] = {
		{ "disk_map.*", "its disks" }, { "topology*", "what a machine says of its processors" }, { "network_devices*", "its interfaces" },
		{ "hugepages*", "its pages" }, { "cpu_frequency_khz *", "a machine may not say" }, { "filesystems[[][]]*", "its file systems" },
	};
	struct fixture *f = serve(false);
	json_t *ours = get_json(f, "/spec/"), *theirs = recorded("spec.json");
	struct shapes is = { 0 }, want = { 0 };

	(void)state;
	check(ours, "MachineInfo");
	shapes_of_json(&is, ours, "");
	shapes_of_json(&want, theirs, "");
	compare_shapes(&is, &want, newer, ARRAY_SIZE(newer), missing, ARRAY_SIZE(missing));
	shapes_done(&is);
	shapes_done(&want);
	json_decref(ours);
	json_decref(theirs);
	teardown(f);
}

static void compare_with(const json_t *ours, const char *name, const struct exception *missing, size_t nr_missing)
{
	/* Theirs all ran. */
	static const struct exception newer[] = { { "*.state.terminated*", "none had ended there" }, { "*.state.running.startedAt null", "" } };
	json_t *theirs = recorded(name);
	struct shapes is = { 0 }, want = { 0 };

	shapes_of_json(&is, ours, "");
	shapes_of_json(&want, theirs, "");
	compare_shapes(&is, &want, newer, ARRAY_SIZE(newer), missing, nr_missing);
	shapes_done(&is);
	shapes_done(&want);
	json_decref(theirs);
}

/* ---- /pods, /runningpods ---- */

static const json_t *pod_named(const json_t *list, const char *name)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_object_get(list, "items"), i, p)
		if (strcmp(json_string_value(at_path(p, "metadata.name")), name) == 0)
			return p;
	fail_msg("no pod %s", name);
	return NULL;
}

static void test_running_pods__as_recorded(void **state)
{
	struct fixture *f = serve(false);
	json_t *j = get_json(f, "/runningpods/");
	const json_t *burn = pod_named(j, "burn");

	(void)state;
	compare_with(j, "runningpods.json", NULL, 0);
	assert_int_equal(json_array_size(json_object_get(j, "items")), 3);
	assert_string_equal(json_string_value(at_path(burn, "metadata.uid")), BURN);
	assert_int_equal(json_array_size(at_path(burn, "spec.containers")), 1); /* one has ended */
	assert_string_equal(json_string_value(at_path(at_path(burn, "spec.containers"), "name")), "cpu");
	assert_string_equal(json_string_value(at_path(at_path(burn, "spec.containers"), "image")), "busybox:1");
	json_decref(j);
	teardown(f);
}

static void test_pods__by_the_runtimes(void **state)
{
	static const struct exception missing[] = {
		{ "items[[][]].metadata.resourceVersion*", "what only the API server knows" },
		{ "items[[][]].spec.[!cn]*", "likewise" },
		{ "items[[][]].spec.containers[[][]].[!nir]*", "likewise" },
		{ "items[[][]].spec.containers[[][]].imagePull*", "likewise" },
		{ "items[[][]].spec.containers[[][]].resources.*", "likewise" },
		{ "items[[][]].status.conditions*", "likewise" },
		{ "items[[][]].status.hostIP*", "likewise" }, { "items[[][]].status.podIP*", "likewise" }, { "items[[][]].status.qosClass*", "likewise" },
	};
	struct fixture *f = serve(false);
	json_t *j = get_json(f, "/pods");
	const json_t *burn = pod_named(j, "burn"), *c = at_path(burn, "status.containerStatuses");

	(void)state;
	compare_with(j, "pods.json", missing, ARRAY_SIZE(missing));
	assert_string_equal(json_string_value(at_path(burn, "metadata.labels.app")), "burn");
	assert_int_equal(json_object_size(at_path(burn, "metadata.labels")), 2);
	assert_string_equal(json_string_value(at_path(burn, "status.phase")), "Running");
	assert_string_equal(json_string_value(at_path(burn, "status.startTime")), "2026-09-21T14:11:50Z");
	assert_int_equal(json_array_size(c), 2);
	assert_string_equal(json_string_value(at_path(c, "containerID")), "containerd://2" HEX);
	assert_int_equal(integer_at(c, "restartCount"), 3);
	assert_true(json_is_true(at_path(c, "ready")));
	assert_string_equal(json_string_value(at_path(c, "state.running.startedAt")), "2026-09-21T14:12:21Z");
	c = json_array_get(c, 1);
	assert_true(json_is_false(at_path(c, "ready")));
	assert_int_equal(integer_at(c, "state.terminated.exitCode"), 7);
	assert_string_equal(json_string_value(at_path(c, "state.terminated.finishedAt")), "2026-09-21T14:13:10Z");
	json_decref(j);
	teardown(f);
}

static int pods_r;
static int tell_pods(void *arg, struct cgm_buf *out)
{
	if (pods_r == 0)
		cgm_buf_str(out, arg);
	return pods_r;
}

static void test_pods__by_the_api_server(void **state)
{
	static const char list[] = "{\"kind\":\"PodList\",\"items\":[]}";
	struct fixture *f = serve(false);
	struct answer a;
	json_t *j;

	(void)state;
	f->http->config.pods = tell_pods; /* nobody has asked yet */
	f->http->config.pods_arg = (void *)list;
	pods_r = 0;
	a = get(f, "/pods", "");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body.p, list);
	done(&a);
	pods_r = -ENOENT;
	j = get_json(f, "/pods");
	assert_non_null(pod_named(j, "burn"));
	json_decref(j);
	pods_r = -ENOMEM;
	a = get(f, "/pods", "");
	assert_error(&a, 500, "out of memory");
	teardown(f);
}

/* A node that is not called as its host is. */
static void test_http__name_of_the_node(void **state)
{
	struct fixture *f = serve(false);
	json_t *j;

	(void)state;
	f->http->config.node_name = "ip-10-0-0-7.internal";
	j = get_json(f, "/pods");
	assert_string_equal(json_string_value(at_path(pod_named(j, "burn"), "spec.nodeName")), "ip-10-0-0-7.internal");
	json_decref(j);
	j = get_json(f, "/stats/summary");
	assert_string_equal(json_string_value(at_path(j, "node.nodeName")), "ip-10-0-0-7.internal");
	json_decref(j);
	teardown(f);
}

static void test_pods__nobody_knows(void **state)
{
	struct fixture *f = setup(1);
	struct cgm_snapshot *s;
	struct answer a = get(f, "/pods", "");
	json_t *j;

	(void)state;
	assert_error(&a, 404, "no runtime answers");
	a = get(f, "/runningpods/", "");
	assert_error(&a, 404, "no runtime answers");
	/* One that answers and has none is another thing. */
	s = synth_snapshot(&f->y);
	s->self.nr_runtimes = 1;
	s->self.runtimes[0].connected = true;
	cgm_store_publish(f->store, s);
	j = get_json(f, "/pods");
	assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
	json_decref(j);
	teardown(f);
}

/* ---- /metrics/probes ---- */

static void test_probes__as_recorded(void **state)
{
	struct fixture *f = setup(0);
	_cleanup_free_ char *recorded_text = NULL;
	struct shapes is = { 0 }, want = { 0 };
	struct cgm_snapshot *s;
	struct answer a;
	size_t len;

	(void)state;
	synth_done(&f->y);
	s = labelled(&f->y, 2);
	s->self.start_time_ns = 1790000000250000000;
	cgm_store_publish(f->store, s);
	a = get(f, "/metrics/probes", "");
	assert_int_equal(a.status, 200);
	assert_non_null(header(&a, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r"));
	assert_non_null(strstr(a.body.p, "process_start_time_seconds 1790000000.25"));
	assert_int_equal(cgm_read_all_at(AT_FDCWD, "tests/fixtures/kubelet/probes.txt", 4096, &recorded_text, &len), 0);
	shapes_of_text(&is, cgm_str(a.body.p));
	shapes_of_text(&want, cgm_str(recorded_text));
	compare_shapes(&is, &want, NULL, 0, NULL, 0);
	shapes_done(&is);
	shapes_done(&want);
	done(&a);
	teardown(f);
}

/* ---- failing allocations ---- */

static int render_all(struct cgm_snapshot *s)
{
	static const struct cgm_json_request request = { .nr_stats = 1 };
	_cleanup_(cgm_buf_done) struct cgm_buf a = { 0 }, b = { 0 }, c = { 0 };
	struct cgm_selection all = { .snapshot = s, .recursive = true };
	size_t longest;
	int r = drain(cgm_json_kubelet_containers(s, &all, CGM_CONTAINERS_MAP, &request), &a, &longest);

	if (r == 0)
		r = drain(cgm_kubelet_pod_list(s, true, "n"), &b, &longest);
	if (r == 0)
		r = drain(cgm_kubelet_pod_list(s, false, ""), &c, &longest);
	return r;
}

static void test_handlers_stats__every_allocation_fails(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = labelled(&y, 3);
	uint32_t refs = s->refs;
	unsigned long nr;

	(void)state;
	cgm_mem_fail_at(1000000);
	assert_int_equal(render_all(s), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 10);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(render_all(s), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, refs);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_stats_request__every_allocation_fails(void **state)
{
	static const char text[] = "{\"containerName\":\"/a\",\"num_stats\":1,\"subcontainers\":true}";
	struct cgm_json_stats_request r;
	unsigned long n = 0;
	int result;
	char *fault;

	(void)state;
	do {
		cgm_mem_fail_at(++n);
		result = cgm_json_stats_request_parse(text, sizeof(text) - 1, &r, &fault);
		cgm_mem_fail_at(0);
		assert_null(fault);
		assert_true(result == 0 || result == -ENOMEM);
	} while (result < 0);
	assert_true(n > 3);
	assert_string_equal(r.container, "//a");
	assert_true(r.subcontainers);
	free(r.container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stats__container),
		cmocka_unit_test(test_stats__container_by_name),
		cmocka_unit_test(test_stats__what_heapster_reads),
		cmocka_unit_test(test_stats__of_a_pod),
		cmocka_unit_test(test_http__redirects_and_methods),
		cmocka_unit_test(test_stats__as_recorded),
		cmocka_unit_test(test_spec__as_recorded),
		cmocka_unit_test(test_running_pods__as_recorded),
		cmocka_unit_test(test_pods__by_the_runtimes),
		cmocka_unit_test(test_pods__by_the_api_server),
		cmocka_unit_test(test_http__name_of_the_node),
		cmocka_unit_test(test_pods__nobody_knows),
		cmocka_unit_test(test_probes__as_recorded),
		cmocka_unit_test(test_handlers_stats__every_allocation_fails),
		cmocka_unit_test(test_stats_request__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("handlers_stats", tests, read_schema, free_schema);
}
