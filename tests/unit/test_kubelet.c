// SPDX-License-Identifier: Apache-2.0
/* The kubelet's Summary: each rule with a made-up node, and the whole against the types of its API and against what a real kubelet said. And its addresses. */
#include "kubelet_fixture.h"


#include <math.h>

#include "http_fixture.h"
#include "output/json.h"
#include "output/prometheus.h"

static json_t *summary_with(struct cgm_snapshot *s, const struct cgm_kubelet_node *node, bool brief)
{
	return parse_stream(cgm_kubelet_summary(s, node, brief));
}

static json_t *summary(struct cgm_snapshot *s, bool brief)
{
	return summary_with(s, &kubelet_node, brief);
}

static const json_t *named(const json_t *list, const char *name)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		const char *is = json_string_value(json_object_get(j, "name"));

		if (!is)
			is = json_string_value(at_path(j, "podRef.name"));
		if (is && strcmp(is, name) == 0)
			return j;
	}
	return NULL;
}

static const json_t *pod_of(const json_t *j, const char *name)
{
	return named(json_object_get(j, "pods"), name);
}

static void assert_text(const json_t *j, const char *path, const char *want)
{
	const char *is = json_string_value(at_path(j, path));

	if (!is || strcmp(is, want) != 0)
		fail_msg("%s is %s, not %s", path, is ? is : "missing", want);
}

static void drop_value(struct cgm_snapshot *s, size_t row, enum cgm_value v)
{
	s->rows[row].layout->have[v / 64] &= ~(1ULL << v % 64);
}

/* ---- /stats/summary ---- */

static void test_summary__pods_and_their_containers(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 3);
	json_t *j = summary(s, false);
	const json_t *burn = pod_of(j, "burn"), *c = json_object_get(burn, "containers"), *cpu = named(c, "cpu");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(j, "pods")), 3);
	assert_text(burn, "podRef.namespace", "default");
	assert_text(burn, "podRef.uid", BURN);
	assert_text(burn, "startTime", "2026-09-21T14:11:50Z"); /* the sandbox's, whole seconds */
	/* The sandbox is none, and of two with one name there is the newer. */
	assert_int_equal(json_array_size(c), 2);
	assert_non_null(named(c, "io"));
	assert_text(cpu, "startTime", "2026-09-21T14:12:20Z");
	assert_text(cpu, "cpu.time", "2026-09-21T14:13:22Z");
	assert_int_equal(integer_at(cpu, "cpu.usageCoreNanoSeconds"), last_value(&y, CPU, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(integer_at(cpu, "cpu.usageNanoCores"), 1000); /* every value grows by 1000 a second */
	assert_int_equal(integer_at(cpu, "memory.usageBytes"), last_value(&y, CPU, CGM_V_MEMORY_USAGE));
	assert_int_equal(integer_at(cpu, "memory.workingSetBytes"), last_value(&y, CPU, CGM_V_MEMORY_WORKING_SET));
	assert_int_equal(integer_at(cpu, "memory.rssBytes"), last_value(&y, CPU, CGM_V_MEMORY_RSS));
	assert_int_equal(integer_at(cpu, "memory.pageFaults"), last_value(&y, CPU, CGM_V_MEMORY_PGFAULT));
	assert_int_equal(integer_at(cpu, "memory.majorPageFaults"), last_value(&y, CPU, CGM_V_MEMORY_PGMAJFAULT));
	assert_int_equal(integer_at(cpu, "memory.availableBytes"), (1 << 30) - last_value(&y, CPU, CGM_V_MEMORY_WORKING_SET));
	/* The pod's own numbers are its cgroup's. */
	assert_int_equal(integer_at(burn, "cpu.usageCoreNanoSeconds"), last_value(&y, BURN_POD, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(integer_at(burn, "memory.workingSetBytes"), last_value(&y, BURN_POD, CGM_V_MEMORY_WORKING_SET));
	assert_int_equal(integer_at(burn, "process_stats.process_count"), last_value(&y, CPU, CGM_V_PROCESS_COUNT) + last_value(&y, IO, CGM_V_PROCESS_COUNT));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__pod_whose_cgroup_was_not_seen(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);
	const json_t *lost = pod_of(j, "lost");

	(void)state;
	assert_text(lost, "podRef.uid", LOST);
	assert_text(lost, "startTime", "2026-09-21T14:12:50Z"); /* its container's */
	assert_null(json_object_get(lost, "cpu"));
	assert_null(json_object_get(lost, "memory"));
	assert_null(json_object_get(lost, "swap"));
	assert_int_equal(json_array_size(json_object_get(lost, "containers")), 1);
	assert_non_null(json_object_get(lost, "process_stats"));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* A sandbox that was made anew stands for the pod; without one its cgroup's word does. */
static void test_summary__start_of_a_pod(void **state)
{
	static const char *const names[] = { "/", BURN_PATH, BURN_PATH "/3" HEX, BURN_PATH "/4" HEX, QUIET_PATH };
	struct cgm_who newer = burn_sandbox;
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	newer.created_ns = AT(20);
	newer.id = "4" HEX;
	synth_init(&y, names, ARRAY_SIZE(names));
	y.who[1] = y.who[2] = &burn_sandbox;
	y.who[3] = &newer;
	y.who[4] = &quiet_sandbox;
	synth_tick(&y);
	s = synth_snapshot(&y);
	j = summary(s, false);
	assert_text(pod_of(j, "burn"), "startTime", "2026-09-21T14:13:00Z");
	assert_text(pod_of(j, "quiet"), "startTime", "2026-09-21T14:12:30Z");
	/* No containers, no number of processes, and yet a list. */
	assert_int_equal(json_array_size(json_object_get(pod_of(j, "burn"), "containers")), 0);
	assert_null(json_object_get(pod_of(j, "burn"), "process_stats"));
	check(j, "Summary");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__network(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);

	(void)state;
	/* The sandbox's, although each container sees the same interface. */
	assert_text(pod_of(j, "burn"), "network.name", "eth0");
	assert_int_equal(integer_at(pod_of(j, "burn"), "network.rxBytes"), last_value(&y, BURN_SANDBOX, 700 + CGM_IFACE_RX_BYTES));
	assert_int_equal(integer_at(pod_of(j, "burn"), "network.txErrors"), last_value(&y, BURN_SANDBOX, 700 + CGM_IFACE_TX_ERRORS));
	assert_int_equal(json_array_size(at_path(pod_of(j, "burn"), "network.interfaces")), 1);
	/* A container's where there is no sandbox; an interface of another name that moves bytes. */
	assert_text(pod_of(j, "lost"), "network.name", "net1");
	assert_int_equal(integer_at(pod_of(j, "lost"), "network.rxBytes"), last_value(&y, LONE, 700 + CGM_IFACE_RX_BYTES));
	/* The host's network is no pod's. */
	assert_null(json_object_get(pod_of(j, "quiet"), "network"));
	json_decref(j);
	/* One that moves nothing stands for nobody. */
	for (uint32_t i = 0; i < s->rows[LONE].layout->nr_blocks; i++)
		if (s->rows[LONE].layout->blocks[i].kind == CGM_LAYOUT_IFACE)
			memset(s->rows[LONE].values + s->rows[LONE].layout->blocks[i].first, 0, CGM_NR_IFACE_VALUES * sizeof(uint64_t));
	j = summary(s, false);
	assert_text(pod_of(j, "lost"), "network.name", "");
	assert_null(at_path(pod_of(j, "lost"), "network.rxBytes"));
	assert_int_equal(json_array_size(at_path(pod_of(j, "lost"), "network.interfaces")), 1);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__node(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);
	const json_t *n = json_object_get(j, "node"), *parts = json_object_get(n, "systemContainers");

	(void)state;
	assert_text(n, "nodeName", "node-1");
	assert_text(n, "startTime", "2026-09-21T13:13:20Z"); /* boot */
	assert_int_equal(integer_at(n, "memory.availableBytes"), (1LL << 34) - (int64_t)last_value(&y, ROOT, CGM_V_MEMORY_WORKING_SET));
	assert_text(n, "network.name", "eth0");
	assert_int_equal(integer_at(n, "network.rxBytes"), last_value(&y, ROOT, 700 + CGM_IFACE_RX_BYTES));
	assert_int_equal(json_array_size(at_path(n, "network.interfaces")), 2);
	assert_int_equal(integer_at(n, "fs.capacityBytes"), last_value(&y, ROOT, 800 + CGM_FS_CAPACITY));
	assert_int_equal(integer_at(n, "fs.usedBytes"), last_value(&y, ROOT, 800 + CGM_FS_USAGE));
	assert_int_equal(integer_at(n, "fs.inodesUsed"), 0); /* made up: more are free than there are */
	assert_text(n, "rlimit.time", "2026-09-21T14:13:27Z");
	assert_int_equal(integer_at(n, "rlimit.maxpid"), 32768);
	assert_int_equal(integer_at(n, "rlimit.curproc"), 727);
	assert_int_equal(integer_at(n, "swap.swapAvailableBytes"), (1LL << 33) - (int64_t)last_value(&y, ROOT, CGM_V_MEMORY_SWAP));
	assert_int_equal(integer_at(n, "swap.swapUsageBytes"), last_value(&y, ROOT, CGM_V_MEMORY_SWAP));
	assert_int_equal(json_array_size(parts), 3);
	assert_int_equal(integer_at(named(parts, "pods"), "cpu.usageCoreNanoSeconds"), last_value(&y, KUBEPODS, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(integer_at(named(parts, "kubelet"), "cpu.usageCoreNanoSeconds"), last_value(&y, KUBELET, CGM_V_CPU_USAGE_TOTAL));
	assert_int_equal(integer_at(named(parts, "runtime"), "cpu.usageCoreNanoSeconds"), last_value(&y, CONTAINERD, CGM_V_CPU_USAGE_TOTAL));
	assert_text(named(parts, "pods"), "startTime", "2026-09-21T14:13:20Z");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* Pressure has its total in ns, averages in percent. */
static void test_summary__pressure_and_swap(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);
	const json_t *cpu = named(json_object_get(pod_of(j, "burn"), "containers"), "cpu");

	(void)state;
	assert_int_equal(integer_at(cpu, "cpu.psi.full.total"), last_value(&y, CPU, CGM_V_CPU_PSI_FULL_TOTAL) * 1000);
	assert_int_equal(integer_at(cpu, "memory.psi.some.total"), last_value(&y, CPU, CGM_V_MEMORY_PSI_SOME_TOTAL) * 1000);
	assert_true(fabs(json_real_value(at_path(cpu, "io.psi.some.avg300")) - (double)last_value(&y, CPU, CGM_V_IO_PSI_SOME_AVG300) / 100) < 1e-6);
	/* v1: memory and swap have one limit together. */
	assert_int_equal(integer_at(cpu, "swap.swapAvailableBytes"), (1 << 28) - last_value(&y, CPU, CGM_V_MEMORY_SWAP));
	json_decref(j);
	s->self.cgroup_mode = "v2";
	j = summary(s, false);
	cpu = named(json_object_get(pod_of(j, "burn"), "containers"), "cpu");
	assert_int_equal(integer_at(cpu, "swap.swapAvailableBytes"), (1 << 30) + (1 << 28) - last_value(&y, CPU, CGM_V_MEMORY_SWAP));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__what_is_not_known_is_left_out(void **state)
{
	struct cgm_kubelet_node unknown = { .name = "n" };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot_with(&y, 1, true);
	const json_t *n, *c;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < s->nr_rows; i++) {
		for (unsigned v = 0; v < 4; v++) {
			drop_value(s, i, CGM_V_CPU_PSI_SOME_TOTAL + v);
			drop_value(s, i, CGM_V_IO_PSI_SOME_TOTAL + v);
			drop_value(s, i, CGM_V_MEMORY_PSI_SOME_TOTAL + v);
		}
		drop_value(s, i, CGM_V_MEMORY_SWAP);
	}
	drop_value(s, IO, CGM_V_CPU_USAGE_TOTAL);
	drop_value(s, IO, CGM_V_MEMORY_USAGE);
	drop_value(s, CPU, CGM_V_MEMORY_RSS);
	j = summary_with(s, &unknown, false);
	n = json_object_get(j, "node");
	assert_text(n, "startTime", "2026-09-21T14:13:20Z"); /* no boot time: the root's */
	assert_null(at_path(n, "cpu.usageNanoCores")); /* one sample */
	assert_non_null(at_path(n, "cpu.usageCoreNanoSeconds"));
	assert_null(at_path(n, "cpu.psi"));
	assert_null(at_path(n, "memory.availableBytes"));
	assert_null(at_path(n, "memory.psi"));
	for (const char *const *key = (const char *const[]){ "io", "network", "fs", "runtime", "rlimit", "swap", NULL }; *key; key++)
		assert_null(json_object_get(n, *key));
	c = json_object_get(pod_of(j, "burn"), "containers");
	assert_null(json_object_get(named(c, "io"), "cpu"));
	assert_null(json_object_get(named(c, "io"), "memory"));
	assert_null(at_path(named(c, "cpu"), "memory.rssBytes"));
	assert_null(json_object_get(pod_of(j, "burn"), "network"));
	assert_null(json_object_get(pod_of(j, "burn"), "process_stats"));
	/* No limit, by v1's number and by v2's. */
	assert_null(at_path(named(json_object_get(pod_of(j, "quiet"), "containers"), "sleeper"), "memory.availableBytes"));
	assert_null(at_path(pod_of(j, "quiet"), "memory.availableBytes"));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__no_rate_when_the_counter_fell(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j;

	(void)state;
	s->rows[CPU].values[CGM_V_CPU_USAGE_TOTAL] = 5;
	j = summary(s, true);
	assert_null(at_path(named(json_object_get(pod_of(j, "burn"), "containers"), "cpu"), "cpu.usageNanoCores"));
	assert_int_equal(integer_at(named(json_object_get(pod_of(j, "burn"), "containers"), "cpu"), "cpu.usageCoreNanoSeconds"), 5);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_summary__only_cpu_and_memory(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, true);
	struct shapes is = { 0 };

	(void)state;
	check(j, "Summary");
	assert_text(j, "node.startTime", "2026-09-21T14:13:20Z"); /* the root cgroup's */
	shapes_of_json(&is, j, "");
	for (size_t i = 0; i < is.nr; i++) {
		static const char *const never[] = { "*network*", "*.fs *", "*rlimit*", "*swap*", "*.io *", "*process_stats*" };

		for (size_t n = 0; n < ARRAY_SIZE(never); n++)
			if (fnmatch(never[n], is.all[i], 0) == 0)
				fail_msg("%s", is.all[i]);
	}
	shapes_done(&is);
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* Every key is known, in the order of the API's types, and what must be there is. */
static void test_summary__keeps_to_the_types(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);

	(void)state;
	check(j, "Summary");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* Nobody knows of pods; not even a root. */
static void test_summary__without_pods(void **state)
{
	static const char *const names[] = { "/", "/kubepods.slice", "/system.slice/docker.service" };
	struct cgm_snapshot *empty = cgm_snapshot_new(0);
	struct synth y;
	struct cgm_snapshot *s;
	json_t *j;

	(void)state;
	synth_init(&y, names, ARRAY_SIZE(names));
	synth_tick(&y);
	s = synth_snapshot(&y);
	j = summary(s, false);
	check(j, "Summary");
	assert_true(json_is_array(json_object_get(j, "pods")));
	assert_int_equal(json_array_size(json_object_get(j, "pods")), 0);
	assert_non_null(named(at_path(j, "node.systemContainers"), "pods"));
	assert_non_null(named(at_path(j, "node.systemContainers"), "runtime"));
	assert_null(named(at_path(j, "node.systemContainers"), "kubelet"));
	json_decref(j);
	j = summary(empty, false);
	check(j, "Summary");
	json_decref(j);
	cgm_snapshot_unref(empty);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* The node, then a pod each: a piece does not grow with their number. */
static void test_summary__one_pod_a_piece(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf piece = { 0 };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	_cleanup_(cgm_stream_freep) struct cgm_stream *stream = cgm_kubelet_summary(s, &kubelet_node, false);
	size_t nr = 1;

	(void)state;
	for (; stream->next(stream, &piece) > 0; nr++) {
		assert_true(piece.len < 16384);
		piece.len = 0;
	}
	assert_int_equal(nr, 4);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_node_read__recorded_tree(void **state)
{
	_cleanup_close_ int root_fd = open("tests/fixtures/cgroup/hybrid", O_RDONLY | O_DIRECTORY), none_fd = open("tests/fixtures/kubelet", O_RDONLY | O_DIRECTORY);
	struct cgm_fs_info fs[] = { { .device = "/dev/shm", .mountpoint = "/dev/shm" }, { .device = "/dev/vda", .mountpoint = "/" } };
	struct cgm_machine m = { .memory_bytes = 7, .swap_bytes = 8, .fs = fs, .nr_fs = 2 };
	_cleanup_free_ char *loadavg = NULL;
	struct cgm_kubelet_node n;
	size_t len;

	(void)state;
	cgm_kubelet_node_read(none_fd, NULL, 0, &n);
	assert_int_equal(n.max_pid, 0);
	assert_int_equal(n.nr_tasks, 0);
	assert_string_equal(n.root_device, "");
	assert_true(n.name[0] && !strpbrk(n.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
	cgm_kubelet_node_read(AT_FDCWD, NULL, 0, &n);
	cgm_kubelet_node_read(root_fd, &m, 9, &n);
	assert_string_equal(n.root_device, "/dev/vda");
	assert_int_equal(n.memory_bytes, 7);
	assert_int_equal(n.swap_bytes, 8);
	assert_int_equal(n.boot_time_ns, 9);
	if (cgm_read_all_at(root_fd, "proc/loadavg", 4096, &loadavg, &len) == 0)
		assert_true(n.nr_tasks > 0);
}

static void test_summary__file_systems(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	const json_t *burn, *cpu, *volumes;
	json_t *j;

	(void)state;
	kubelet_measure(s);
	j = summary(s, false);
	check(j, "Summary");
	burn = pod_of(j, "burn");
	cpu = named(json_object_get(burn, "containers"), "cpu");
	assert_text(cpu, "rootfs.time", "2026-09-21T14:13:21Z");
	assert_int_equal(integer_at(cpu, "rootfs.usedBytes"), 100);
	assert_int_equal(integer_at(cpu, "rootfs.inodesUsed"), 7);
	assert_int_equal(integer_at(cpu, "rootfs.capacityBytes"), 1 << 30);
	assert_int_equal(integer_at(cpu, "rootfs.availableBytes"), 1 << 29);
	assert_int_equal(integer_at(cpu, "rootfs.inodes"), 1000);
	assert_int_equal(integer_at(cpu, "rootfs.inodesFree"), 900);
	assert_int_equal(integer_at(cpu, "logs.usedBytes"), 20);
	volumes = json_object_get(burn, "volume");
	assert_int_equal(json_array_size(volumes), 2);
	assert_int_equal(integer_at(named(volumes, "data"), "usedBytes"), 3000);
	assert_int_equal(integer_at(named(volumes, "data"), "inodesUsed"), 30);
	assert_null(json_object_get(named(volumes, "data"), "pvcRef"));
	assert_text(named(volumes, "disk"), "pvcRef.name", "disk-0");
	assert_text(named(volumes, "disk"), "pvcRef.namespace", "default");
	/* Two containers with layer and logs, the volume that is the pod's own, etc-hosts. Not the older cpu, nor the persistent volume. */
	assert_int_equal(integer_at(burn, "ephemeral-storage.usedBytes"), 2 * 120 + 3000 + 5);
	assert_int_equal(integer_at(burn, "ephemeral-storage.inodesUsed"), 2 * 9 + 30 + 1);
	assert_int_equal(integer_at(burn, "ephemeral-storage.capacityBytes"), last_value(&y, ROOT, 800 + CGM_FS_CAPACITY));
	assert_int_equal(integer_at(burn, "ephemeral-storage.availableBytes"), last_value(&y, ROOT, 800 + CGM_FS_AVAILABLE));
	/* Whose own cgroup was not seen has its containers'. */
	assert_int_equal(integer_at(pod_of(j, "lost"), "ephemeral-storage.usedBytes"), 120);
	assert_null(json_object_get(pod_of(j, "lost"), "volume"));
	/* Where layers lie images do, too; what they hold a runtime must tell. */
	assert_int_equal(integer_at(j, "node.runtime.imageFs.capacityBytes"), 1 << 30);
	assert_int_equal(integer_at(j, "node.runtime.imageFs.usedBytes"), 7777);
	assert_int_equal(integer_at(j, "node.runtime.imageFs.inodesUsed"), 77);
	json_decref(j);
	s->self.runtimes[0].has_images = false;
	j = summary(s, false);
	assert_null(at_path(j, "node.runtime.imageFs.usedBytes"));
	assert_non_null(at_path(j, "node.runtime.imageFs.availableBytes"));
	json_decref(j);
	j = summary(s, true);
	burn = pod_of(j, "burn");
	for (const char *const *key = (const char *const[]){ "volume", "ephemeral-storage", NULL }; *key; key++)
		assert_null(json_object_get(burn, *key));
	assert_null(at_path(j, "node.runtime"));
	assert_null(json_object_get(named(json_object_get(burn, "containers"), "cpu"), "rootfs"));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* A file system that counts no inodes; a machine whose root is not known. */
static void test_summary__file_systems_without_inodes_and_root(void **state)
{
	const struct cgm_storage st = { .has_layer = true, .layer = { .time_ns = SYNTH_FIRST_NS, .used_bytes = 1, .used_inodes = 2, .capacity_bytes = 3 } };
	struct cgm_kubelet_node unknown = { .name = "n" };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	const json_t *c;
	json_t *j;

	(void)state;
	s->rows[LONE].storage = cgm_storage_new(&st);
	j = summary_with(s, &unknown, false);
	c = named(json_object_get(pod_of(j, "lost"), "containers"), "lone");
	assert_int_equal(integer_at(c, "rootfs.inodesUsed"), 2);
	assert_null(at_path(c, "rootfs.inodes"));
	assert_null(at_path(c, "logs"));
	assert_null(json_object_get(pod_of(j, "lost"), "ephemeral-storage"));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- against what a real kubelet said ---- */

static void compare_json(const json_t *ours, const char *file)
{
	static const struct exception newer[] = {
		{ "*.psi *", "kubelets with pressure" }, { "*.psi.*", "likewise" }, { "*.io *", "likewise" }, { "*.io.*", "likewise" },
		{ "*.swap *", "kubelets with swap" }, { "*.swap.*", "likewise" },
		{ "pods[[][]].memory.availableBytes *", "no pod there had a limit as a whole" },
		{ "pods[[][]].volume[[][]].pvcRef *", "nor a persistent volume" }, { "pods[[][]].volume[[][]].pvcRef.*", "likewise" },
	};
	_cleanup_free_ char *text = NULL;
	struct shapes is = { 0 }, want = { 0 };
	json_t *theirs;
	size_t len;

	assert_int_equal(cgm_read_all_at(AT_FDCWD, file, 1 << 20, &text, &len), 0);
	theirs = json_loads(text, 0, NULL);
	assert_non_null(theirs);
	check(theirs, "Summary"); /* what is asked of ours holds for theirs */
	shapes_of_json(&is, ours, "");
	shapes_of_json(&want, theirs, "");
	compare_shapes(&is, &want, newer, ARRAY_SIZE(newer), NULL, 0);
	shapes_done(&is);
	shapes_done(&want);
	json_decref(theirs);
}

static void test_summary__as_recorded(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j;

	(void)state;
	kubelet_measure(s);
	j = summary(s, false);
	compare_json(j, "tests/fixtures/kubelet/summary.json");
	json_decref(j);
	j = summary(s, true);
	compare_json(j, "tests/fixtures/kubelet/summary-brief.json");
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/*
 * What readers take: metrics-server up to 0.5 and Heapster's summary source of this, metrics-server from 0.6 on of /metrics/resource (below). A
 * container or node without any of it is dropped by them, with its pod.
 */
static void test_summary__what_metrics_server_and_heapster_need(void **state)
{
	static const char *const of_all[] = { "cpu.time", "cpu.usageNanoCores", "cpu.usageCoreNanoSeconds", "memory.time", "memory.usageBytes",
					      "memory.workingSetBytes", "memory.rssBytes", "memory.pageFaults", "memory.majorPageFaults", "startTime" };
	static const char *const of_net[] = { "network.name", "network.rxBytes", "network.rxErrors", "network.txBytes", "network.txErrors" };
	static const char *const of_fs[] = { "fs.usedBytes", "fs.capacityBytes", "fs.availableBytes", "fs.inodes", "fs.inodesFree" };
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 2);
	json_t *j = summary(s, false);
	const json_t *n = json_object_get(j, "node"), *pod, *c;
	size_t i, k;

	(void)state;
	for (size_t p = 0; p < ARRAY_SIZE(of_all); p++) {
		assert_non_null(at_path(n, of_all[p]));
		json_array_foreach(json_object_get(n, "systemContainers"), i, c) assert_non_null(at_path(c, of_all[p]));
		json_array_foreach(json_object_get(j, "pods"), k, pod)
			json_array_foreach(json_object_get(pod, "containers"), i, c) assert_non_null(at_path(c, of_all[p]));
	}
	for (size_t p = 0; p < ARRAY_SIZE(of_net); p++) {
		assert_non_null(at_path(n, of_net[p]));
		assert_non_null(at_path(pod_of(j, "burn"), of_net[p]));
	}
	for (size_t p = 0; p < ARRAY_SIZE(of_fs); p++)
		assert_non_null(at_path(n, of_fs[p]));
	json_decref(j);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- failing allocations ---- */

static int render_all(struct cgm_snapshot *s)
{
	_cleanup_(cgm_buf_done) struct cgm_buf a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	size_t longest;
	int r = drain(cgm_kubelet_summary(s, &kubelet_node, false), &a, &longest);

	if (r == 0)
		r = drain(cgm_kubelet_summary(s, &kubelet_node, true), &b, &longest);
	if (r == 0)
		r = drain(cgm_kubelet_resource(s), &c, &longest);
	if (r == 0)
		r = cgm_prometheus_render(s, &kubelet_machine, CGM_PROMETHEUS_KUBELET, &d);
	return r;
}

static void test_kubelet__every_allocation_fails(void **state)
{
	struct synth y;
	struct cgm_snapshot *s = kubelet_snapshot(&y, 3);
	uint32_t refs = s->refs;
	unsigned long nr;

	(void)state;
	cgm_mem_fail_at(1000000);
	assert_int_equal(render_all(s), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 30);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(render_all(s), -ENOMEM);
		cgm_mem_fail_at(0);
		assert_int_equal(s->refs, refs);
	}
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- through the server ---- */

static struct fixture *serve(bool legacy)
{
	struct fixture *f = setup_with(0, legacy);

	synth_done(&f->y);
	cgm_store_publish(f->store, kubelet_snapshot(&f->y, 2));
	return f;
}

static const char *const addresses[][2] = {
	{ "/stats/summary", "application/json\r" },
	{ "/stats/summary/?only_cpu_and_memory=true", "application/json\r" },
	{ "/stats/summary?only_cpu_and_memory=0&unknown=1", "application/json\r" },
	{ "/metrics/resource", "text/plain; version=0.0.4; charset=utf-8\r" },
	{ "/metrics/cadvisor", "text/plain; version=0.0.4; charset=utf-8\r" },
};

static void test_http__status_and_type(void **state)
{
	struct fixture *f = serve(false);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct answer a = get(f, addresses[i][0], "Accept: application/openmetrics-text\r\n");
		char text[512];

		assert_int_equal(a.status, 200);
		snprintf(text, sizeof(text), "Content-Type: %s", addresses[i][1]);
		assert_non_null(header(&a, text));
		assert_true(a.body.len > 1000);
		done(&a);
		snprintf(text, sizeof(text), "HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", addresses[i][0]);
		a = ask(f, text);
		assert_int_equal(a.status, 200);
		done(&a);
		a = get(f, addresses[i][0], "Accept-Encoding: gzip\r\n");
		assert_int_equal(a.status, 200);
		inflate_answer(&a);
		assert_true(a.body.len > 1000);
		done(&a);
	}
	teardown(f);
}

static void test_http__methods_and_parameters(void **state)
{
	struct fixture *f = serve(false);
	struct answer a = post(f, "/stats/summary", "{}");
	json_t *j;

	(void)state;
	assert_int_equal(a.status, 200);
	j = json_of(&a);
	assert_non_null(at_path(j, "node.network"));
	json_decref(j);
	done(&a);
	a = get(f, "/stats/summary?only_cpu_and_memory=T", "");
	j = json_of(&a);
	assert_null(at_path(j, "node.network"));
	json_decref(j);
	done(&a);
	a = get(f, "/stats/summary?only_cpu_and_memory=maybe", "");
	assert_error(&a, 400, "'only_cpu_and_memory'");
	a = post(f, "/metrics/resource", "");
	assert_error(&a, 405, "");
	teardown(f);
	/* As the kubelet: what is not "true" is false. */
	f = serve(true);
	a = get(f, "/stats/summary?only_cpu_and_memory=maybe", "");
	assert_int_equal(a.status, 200);
	done(&a);
	teardown(f);
}

static void test_http__too_early(void **state)
{
	struct fixture *f = setup(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct answer a = get(f, addresses[i][0], "");

		assert_error(&a, 503, "no sample");
	}
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_summary__pods_and_their_containers),
		cmocka_unit_test(test_summary__pod_whose_cgroup_was_not_seen),
		cmocka_unit_test(test_summary__start_of_a_pod),
		cmocka_unit_test(test_summary__network),
		cmocka_unit_test(test_summary__node),
		cmocka_unit_test(test_summary__pressure_and_swap),
		cmocka_unit_test(test_summary__what_is_not_known_is_left_out),
		cmocka_unit_test(test_summary__no_rate_when_the_counter_fell),
		cmocka_unit_test(test_summary__only_cpu_and_memory),
		cmocka_unit_test(test_summary__keeps_to_the_types),
		cmocka_unit_test(test_summary__without_pods),
		cmocka_unit_test(test_summary__one_pod_a_piece),
		cmocka_unit_test(test_summary__file_systems),
		cmocka_unit_test(test_summary__file_systems_without_inodes_and_root),
		cmocka_unit_test(test_summary__as_recorded),
		cmocka_unit_test(test_summary__what_metrics_server_and_heapster_need),
		cmocka_unit_test(test_node_read__recorded_tree),
		cmocka_unit_test(test_kubelet__every_allocation_fails),
		cmocka_unit_test(test_http__status_and_type),
		cmocka_unit_test(test_http__methods_and_parameters),
		cmocka_unit_test(test_http__too_early),
	};

	return cmocka_run_group_tests_name("kubelet", tests, read_kubelet_schema, free_schema);
}
