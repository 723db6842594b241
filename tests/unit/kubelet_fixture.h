/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node with pods, made up: burn (an ended and a new container of one name, its own network), lost (its own cgroup and sandbox were not seen),
 * quiet (on the host's network), and a container of docker that is no pod's.
 */
#pragma once
#include "schema.h"

#include <fnmatch.h>

#include "output/kubelet.h"

#define HEX "123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BURN "733d0f14-e374-4c13-a557-667290d380e4"
#define LOST "9a3d0f14-e374-4c13-a557-667290d380e4"
#define QUIET "e6dbfa09-94ba-4a95-b90a-b94ac81534f5"
#define BURN_PATH "/kubepods/burstable/pod" BURN
#define QUIET_PATH "/kubepods/besteffort/pod" QUIET

enum kubelet_row {
	ROOT,
	DOCKER,
	KUBEPODS,
	QUIET_POD,
	QUIET_SANDBOX,
	SLEEPER,
	BURN_POD,
	OLD_CPU,
	IO,
	CPU,
	BURN_SANDBOX,
	LONE,
	SLICE,
	CONTAINERD,
	KUBELET,
	NR_KUBELET_ROWS
};

static const char *const kubelet_names[NR_KUBELET_ROWS] = {
	"/", "/docker/d" HEX, "/kubepods",
	QUIET_PATH, QUIET_PATH "/a" HEX, QUIET_PATH "/b" HEX,
	BURN_PATH, BURN_PATH "/0" HEX, BURN_PATH "/1" HEX, BURN_PATH "/2" HEX, BURN_PATH "/3" HEX,
	"/kubepods/burstable/pod" LOST "/4" HEX,
	"/system.slice", "/system.slice/containerd.service", "/system.slice/kubelet.service",
};

#define OF_BURN .runtime = "containerd", .pod = "burn", .pod_namespace = "default", .pod_uid = BURN
#define OF_QUIET .runtime = "containerd", .pod = "quiet", .pod_namespace = "kube-system", .pod_uid = QUIET
#define OF_LOST .runtime = "containerd", .pod = "lost", .pod_namespace = "default", .pod_uid = LOST
#define AT(seconds) (SYNTH_FIRST_NS - (seconds) * 1000000000ULL + 999999999ULL)

static const struct cgm_who docker_who = { .runtime = "docker", .id = "d" HEX, .name = "web", .image = "nginx:1" },
			    burn_sandbox = { OF_BURN, .id = "3" HEX, .image = "pause:1", .is_sandbox = true, .created_ns = AT(90) },
			    old_cpu = { OF_BURN, .id = "0" HEX, .container = "cpu", .image = "busybox:1", .created_ns = AT(80), .state = CGM_STATE_EXITED },
			    new_cpu = { OF_BURN, .id = "2" HEX, .container = "cpu", .image = "busybox:1", .created_ns = AT(60), .started_ns = AT(59) },
			    io = { OF_BURN, .id = "1" HEX, .container = "io", .image = "busybox:1", .created_ns = AT(70) },
			    quiet_sandbox = { OF_QUIET, .id = "a" HEX, .image = "pause:1", .is_sandbox = true, .created_ns = AT(50) },
			    sleeper = { OF_QUIET, .id = "b" HEX, .container = "sleeper", .image = "busybox:1", .created_ns = AT(40) },
			    lone = { OF_LOST, .id = "4" HEX, .container = "lone", .created_ns = AT(30) };

static const struct cgm_kubelet_node kubelet_node = { .name = "node-1", .time_ns = SYNTH_FIRST_NS + 7500000000, .boot_time_ns = SYNTH_FIRST_NS - 3600000000000,
						      .memory_bytes = 1ULL << 34, .swap_bytes = 1ULL << 33, .max_pid = 32768, .nr_tasks = 727,
						      .root_device = "/dev/vda1" };

/* As if measured: used bytes and inodes, the rest the same for all. */
#define MEASURED(bytes, nr) { .time_ns = SYNTH_FIRST_NS + 1500000000, .used_bytes = (bytes), .used_inodes = (nr), .capacity_bytes = 1 << 30, \
			      .available_bytes = 1 << 29, .inodes = 1000, .inodes_free = 900, .device = "/dev/vda1", .source = CGM_DISK_WALK }

static inline void kubelet_measure(struct cgm_snapshot *s)
{
	struct cgm_volume volumes[] = {
		{ .name = "data", .plugin = "kubernetes.io/empty-dir", .ephemeral = true, .usage = MEASURED(3000, 30) },
		{ .name = "disk", .plugin = "kubernetes.io/csi", .claim = "disk-0", .claim_namespace = "default", .usage = MEASURED(4000, 40) },
	};
	const struct cgm_storage container = { .has_layer = true, .has_logs = true, .layer = MEASURED(100, 7), .logs = MEASURED(20, 2) },
				 pod = { .has_hosts = true, .hosts = MEASURED(5, 1), .volumes = volumes, .nr_volumes = 2 };
	static const enum kubelet_row rows[] = { CPU, IO, LONE, SLEEPER, DOCKER };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s->rows[rows[i]].storage = cgm_storage_new(&container);
		assert_non_null(s->rows[rows[i]].storage);
	}
	s->rows[BURN_POD].storage = cgm_storage_new(&pod);
	assert_non_null(s->rows[BURN_POD].storage);
	s->self.runtimes[0] = (struct cgm_runtime_status){ .name = "containerd", .connected = true, .has_images = true, .image_bytes = 7777, .image_inodes = 77 };
	s->self.nr_runtimes = 1;
}

/* bare: without blocks and optional values. */
static inline struct cgm_snapshot *kubelet_snapshot_with(struct synth *y, unsigned nr_ticks, bool bare)
{
	struct cgm_snapshot *s;

	synth_init(y, kubelet_names, NR_KUBELET_ROWS);
	y->bare = bare;
	y->who[DOCKER] = &docker_who;
	y->who[BURN_POD] = y->who[BURN_SANDBOX] = &burn_sandbox;
	y->who[OLD_CPU] = &old_cpu;
	y->who[CPU] = &new_cpu;
	y->who[IO] = &io;
	y->who[QUIET_POD] = y->who[QUIET_SANDBOX] = &quiet_sandbox;
	y->who[SLEEPER] = &sleeper;
	y->who[LONE] = &lone;
	/* All of a pod share its namespace. */
	y->iface[BURN_SANDBOX] = y->iface[OLD_CPU] = y->iface[CPU] = y->iface[IO] = "eth0";
	y->iface[LONE] = "net1";
	for (unsigned i = 0; i < nr_ticks; i++)
		synth_tick(y);
	s = synth_snapshot(y);
	s->rows[SLEEPER].spec.memory_limit = s->rows[SLEEPER].spec.memory_swap_limit = 9223372036854771712U; /* v1's: none */
	s->rows[QUIET_POD].spec.memory_limit = s->rows[QUIET_POD].spec.memory_swap_limit = UINT64_MAX;
	s->rows[CPU].spec.memory_swap_limit = (1 << 30) + (1 << 28);
	return s;
}

static inline struct cgm_snapshot *kubelet_snapshot(struct synth *y, unsigned nr_ticks)
{
	return kubelet_snapshot_with(y, nr_ticks, false);
}

/* What the synthetic sample of the last tick has. */
static inline uint64_t last_value(const struct synth *y, size_t row, unsigned v)
{
	return synth_value(row, y->nr_ticks - 1, v);
}

static inline int read_kubelet_schema(void **state)
{
	size_t len;

	(void)state;
	return cgm_read_all_at(AT_FDCWD, "tests/fixtures/kubelet/schema.txt", 1 << 20, &schema_text, &len);
}

/* ---- shapes: sets of texts ---- */

struct shapes {
	char *all[2000];
	size_t nr;
};

static inline bool shapes_have(const struct shapes *s, const char *text)
{
	for (size_t i = 0; i < s->nr; i++)
		if (strcmp(s->all[i], text) == 0)
			return true;
	return false;
}

static inline void shapes_add(struct shapes *s, const char *text)
{
	if (shapes_have(s, text))
		return;
	assert_true(s->nr < ARRAY_SIZE(s->all));
	s->all[s->nr++] = strdup(text);
}

static inline void shapes_done(struct shapes *s)
{
	for (size_t i = 0; i < s->nr; i++)
		free(s->all[i]);
	s->nr = 0;
}

/* "pods[].cpu.time string" */
static inline void shapes_of_json(struct shapes *s, const json_t *j, const char *where)
{
	static const char *const types[] = { [JSON_OBJECT] = "object", [JSON_ARRAY] = "array", [JSON_STRING] = "string", [JSON_INTEGER] = "integer",
					     [JSON_REAL] = "real", [JSON_TRUE] = "bool", [JSON_FALSE] = "bool", [JSON_NULL] = "null" };
	char text[512];
	const char *key;
	json_t *member;
	size_t i;

	snprintf(text, sizeof(text), "%s %s", where, types[json_typeof(j)]);
	shapes_add(s, text);
	snprintf(text, sizeof(text), "%s[]", where);
	json_array_foreach(j, i, member) shapes_of_json(s, member, text);
	json_object_foreach((json_t *)j, key, member)
	{
		snprintf(text, sizeof(text), "%s%s%s", where, *where ? "." : "", key);
		shapes_of_json(s, member, text);
	}
}

static inline int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "name{labels,sorted} timed"; a label of few words with its value. */
static inline void shape_of_sample(struct shapes *s, const char *line)
{
	static const char *const words[] = { "cpu=", "state=", "scope=", "failure_type=", "ulimit=", "mode=" };
	char labels[24][256], text[2048];
	size_t nr = 0, len = strcspn(line, "{ ");
	const char *p = line + len;

	snprintf(text, sizeof(text), "%.*s{", (int)len, line);
	while (*p == '{' || *p == ',') {
		const char *name = ++p, *value = strchr(p, '"') + 1, *end = value;
		bool whole = false;

		while (*end != '"' || end[-1] == '\\')
			end++;
		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			whole |= strncmp(name, words[i], strlen(words[i])) == 0;
		assert_true(nr < ARRAY_SIZE(labels));
		snprintf(labels[nr++], sizeof(labels[0]), "%.*s", (int)(whole ? end - name : value - name - 2), name);
		p = end + 1;
	}
	p += *p == '}';
	qsort(labels, nr, sizeof(labels[0]), by_text);
	for (size_t i = 0; i < nr; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "", labels[i]);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "}%s", strchr(p + 1, ' ') ? " timed" : "");
	shapes_add(s, text);
}

/* And "name type". */
static inline void shapes_of_text(struct shapes *s, struct cgm_str text)
{
	struct cgm_str line;

	while (cgm_next_line(&text, &line)) {
		char copy[4096];

		snprintf(copy, sizeof(copy), "%.*s", (int)line.len, line.p);
		if (strncmp(copy, "# TYPE ", 7) == 0)
			shapes_add(s, copy + 7);
		else if (copy[0] != '#')
			shape_of_sample(s, copy);
	}
}

/* ---- two sets, but for what is said ---- */

struct exception {
	const char *pattern, *why;
};

static inline bool is_excepted(const struct exception *list, size_t nr, const char *text)
{
	for (size_t i = 0; i < nr; i++)
		if (fnmatch(list[i].pattern, text, 0) == 0)
			return true;
	return false;
}

static inline void compare_shapes(const struct shapes *ours, const struct shapes *theirs, const struct exception *newer, size_t nr_newer,
			   const struct exception *missing, size_t nr_missing)
{
	size_t nr = 0;

	for (size_t i = 0; i < ours->nr; i++)
		if (!shapes_have(theirs, ours->all[i]) && !is_excepted(newer, nr_newer, ours->all[i]) && ++nr)
			print_error("only ours: %s\n", ours->all[i]);
	for (size_t i = 0; i < theirs->nr; i++)
		if (!shapes_have(ours, theirs->all[i]) && !is_excepted(missing, nr_missing, theirs->all[i]) && ++nr)
			print_error("only the kubelet's: %s\n", theirs->all[i]);
	assert_int_equal(nr, 0);
}

static const struct cgm_machine kubelet_machine = { .time_ns = SYNTH_FIRST_NS, .nr_cpus = 2, .nr_physical_cores = 2, .nr_sockets = 1, .memory_bytes = 1 << 30,
						    .machine_id = "m", .system_uuid = "s", .boot_id = "b", .kernel_version = "6.1", .os_version = "Debian" };
