// SPDX-License-Identifier: Apache-2.0
/* Which directories are measured for whom: a machine of plain files, with a runtime's and the kubelet's directories as they make them, and the real engine. */
#include "disk_fixture.h"
#include "kube_server.h"

#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "node/containers.h"
#include "node/places.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "5f2c1f0e-5d7f-4a8f-9d0e-0000000000a1"
#define POD "kubelet/pods/" UID
#define PATIENCE_NS (10 * CGM_NSEC_PER_SEC)

struct world {
	struct scratch s;
	struct cgm_places *places;
	struct cgm_container c;
	struct cgm_sample sample;
	uint64_t now_ns;
};

static void world_open_with(struct world *w, struct cgm_kube_pods *pods)
{
	struct cgm_places_config config = { .kubelet_root = "/kubelet", .list_interval_ns = 60 * CGM_NSEC_PER_SEC, .interval_ns = CGM_NSEC_PER_SEC, .pods = pods };

	*w = (struct world){ .c.depth = 1, .now_ns = CGM_NSEC_PER_SEC };
	scratch_open(&w->s);
	config.root_fd = w->s.root_fd;
	/* The engine enters no mount that the machine does not name: all here lies on one. */
	scratch_put(&w->s, "proc/1/mountinfo", "1 0 254:1 / / rw - ext4 /dev/vda1 rw\n");
	assert_int_equal(cgm_places_open(&config, &w->places), 0);
}

static void world_open(struct world *w)
{
	world_open_with(w, NULL);
}

static void world_close(struct world *w)
{
	cgm_place_set_free(w->c.places);
	assert_int_equal(cgm_places_state(w->places).disk.nr_marks, 0);
	assert_int_equal(cgm_places_state(w->places).nr_unplaced, 0);
	cgm_places_close(w->places);
	cgm_sample_done(&w->sample);
	cgm_identity_unref(w->c.identity);
	scratch_close(&w->s);
}

static void name(struct world *w, const char *path, const struct cgm_who *who)
{
	struct cgm_who *copy = who ? cgm_who_new(who) : NULL;

	cgm_identity_unref(w->c.identity);
	w->c.identity = cgm_identity_new_who(path, copy, NULL);
	assert_non_null(w->c.identity);
	cgm_who_unref(copy);
}

/* A tick, so many seconds after the last. */
static void tick(struct world *w, unsigned seconds)
{
	w->now_ns += seconds * CGM_NSEC_PER_SEC;
	cgm_sample_reset(&w->sample);
	cgm_places_sample(w->places, &w->c, &w->sample, w->now_ns);
}

static size_t marks(struct world *w)
{
	return cgm_places_state(w->places).disk.nr_marks;
}

/* Ticks until the engine has said so much. */
static const struct cgm_storage *wait_for(struct world *w, bool (*holds)(const struct cgm_storage *))
{
	uint64_t end = cgm_clock_mono_ns() + PATIENCE_NS;

	for (;;) {
		const struct cgm_storage *st;

		tick(w, 6);
		st = cgm_place_set_storage(w->c.places);
		if (st && holds(st))
			return st;
		assert_true(cgm_clock_mono_ns() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000000 }, NULL);
	}
}

static bool has_all(const struct cgm_storage *st)
{
	return st->has_layer && st->has_logs && st->nr_volumes == 1;
}

static bool has_ten(const struct cgm_storage *st)
{
	return st->has_layer && st->layer.used_inodes == 10;
}

static void test_container(void **state)
{
	struct cgm_pair pool = { "pool", "/docker/volumes/pool/_data" };
	struct cgm_who who = { .runtime = "docker", .id = ID, .pid = 77, .log_path = "/docker/containers/" ID "/" ID "-json.log", .volumes = &pool, .nr_volumes = 1 };
	const struct cgm_storage *st;
	struct world w;
	char path[256];

	(void)state;
	world_open(&w);
	fill_dir(&w.s, "docker/overlay2/a/diff", 5);
	fill_dir(&w.s, "docker/containers/" ID, 3);
	fill_dir(&w.s, "docker/volumes/pool/_data", 2);
	scratch_put(&w.s, "proc/77/mountinfo", "7 6 0:61 / / rw - overlay o rw,upperdir=/docker/overlay2/a/diff");
	name(&w, "/docker/" ID, &who);
	st = wait_for(&w, has_all);
	assert_int_equal(marks(&w), 3);
	snprintf(path, sizeof(path), "%s/docker/overlay2/a/diff", w.s.dir);
	assert_int_equal(st->layer.used_bytes, du_bytes(path));
	assert_int_equal(st->layer.used_inodes, 6);
	assert_int_equal(st->logs.used_inodes, 4); /* the directory, with older logs */
	assert_string_equal(st->volumes[0].name, "pool");
	assert_int_equal(st->volumes[0].usage.used_inodes, 3);
	assert_false(st->volumes[0].ephemeral);
	/* The sample has it as cAdvisor does. */
	assert_int_equal(w.sample.nr_fs, 1);
	assert_int_equal(w.sample.fs[0].v[CGM_FS_BASE_USAGE], st->layer.used_bytes);
	assert_int_equal(w.sample.fs[0].v[CGM_FS_USAGE], st->layer.used_bytes + st->logs.used_bytes);
	assert_int_equal(w.sample.fs[0].v[CGM_FS_INODES], 6);
	assert_true(w.c.spec.has_filesystem);
	/* Restarted: its process is another, its layer elsewhere, its volume gone. */
	fill_dir(&w.s, "docker/overlay2/b/diff", 9);
	scratch_put(&w.s, "proc/78/mountinfo", "7 6 0:62 / / rw - overlay o rw,upperdir=/docker/overlay2/b/diff");
	who.pid = 78;
	who.nr_volumes = 0;
	name(&w, "/docker/" ID, &who);
	tick(&w, 1);
	assert_int_equal(marks(&w), 2);
	(void)wait_for(&w, has_ten);
	/* Nobody's any more. */
	name(&w, "/docker/" ID, NULL);
	tick(&w, 1);
	assert_int_equal(marks(&w), 0);
	assert_null(w.c.places);
	assert_int_equal(w.sample.nr_fs, 0);
	world_close(&w);
}

static bool has_pod(const struct cgm_storage *st)
{
	return st->has_hosts && st->nr_volumes == 4;
}

static const struct cgm_volume *volume(const struct cgm_storage *st, const char *called)
{
	for (size_t i = 0; i < st->nr_volumes; i++)
		if (strcmp(st->volumes[i].name, called) == 0)
			return &st->volumes[i];
	return NULL;
}

static bool has_late(const struct cgm_storage *st)
{
	return volume(st, "late") && !volume(st, "data");
}

static void test_pod(void **state)
{
	struct cgm_who who = { .runtime = "containerd", .id = ID, .is_sandbox = true, .pod = "web", .pod_namespace = "shop", .pod_uid = UID, .pid = 77 };
	const struct cgm_storage *st;
	struct world w;

	(void)state;
	world_open(&w);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~empty-dir/data", 3);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~configmap/settings", 1);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~secret/token", 1);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~csi/pvc-1/mount", 7);
	scratch_put(&w.s, POD "/etc-hosts", "127.0.0.1 localhost\n");
	name(&w, "/kubepods/pod" UID, &who);
	st = wait_for(&w, has_pod);
	assert_int_equal(marks(&w), 5);
	assert_int_equal(w.sample.nr_fs, 0); /* a pod has no layer */
	assert_int_equal(st->hosts.used_inodes, 1);
	assert_string_equal(volume(st, "data")->plugin, "kubernetes.io/empty-dir");
	assert_int_equal(volume(st, "data")->usage.used_inodes, 4);
	assert_int_equal(volume(st, "pvc-1")->usage.used_inodes, 8); /* of what is mounted there, not of the kubelet's notes beside it */
	assert_true(volume(st, "data")->ephemeral && volume(st, "settings")->ephemeral);
	assert_false(volume(st, "token")->ephemeral || volume(st, "pvc-1")->ephemeral);
	/* One comes, one goes: seen with the next listing, and not before. */
	fill_dir(&w.s, POD "/volumes/kubernetes.io~empty-dir/late", 1);
	assert_int_equal(renameat(w.s.root_fd, POD "/volumes/kubernetes.io~empty-dir/data", w.s.root_fd, "moved"), 0);
	(void)wait_for(&w, has_late);
	assert_int_equal(marks(&w), 5);
	world_close(&w);
}

static bool has_claim(const struct cgm_storage *st)
{
	return st->nr_volumes == 2 && volume(st, "disk");
}

/* The API server knows what a pod calls the directory pv-7, and says so later than the directory is seen. */
static void test_claims(void **state)
{
	struct cgm_who who = { .runtime = "containerd", .id = ID, .is_sandbox = true, .pod = "web", .pod_namespace = "shop", .pod_uid = UID, .pid = 77 };
	struct cgm_kube_config config = { .service_account = "/nowhere" };
	char fault[CGM_KUBE_FAULT] = "";
	struct kube_server server = { 0 };
	struct cgm_kube_pods *pods = NULL;
	const struct cgm_storage *st;
	struct cgm_kube *kube = NULL;
	struct world w;

	(void)state;
	kube_start(&server);
	config.url = server.url;
	kube_rule(&server, (struct kube_rule){ .match = "?watch=1", .status = 200, .how = KUBE_STREAM });
	kube_rule(&server, (struct kube_rule){ .match = "/namespaces/shop/persistentvolumeclaims/disk-0 ", .status = 200, .body = "{\"spec\":{\"volumeName\":\"pv-7\"}}" });
	assert_int_equal(cgm_kube_open(&config, &kube, fault), 0);
	assert_int_equal(cgm_kube_pods_new(&(struct cgm_kube_pods_config){ .kube = kube, .node = "n1" }, &pods), 0);
	world_open_with(&w, pods);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~empty-dir/data", 3);
	fill_dir(&w.s, POD "/volumes/kubernetes.io~csi/pv-7/mount", 7);
	name(&w, "/kubepods/pod" UID, &who);
	tick(&w, 6);
	kube_rule(&server, (struct kube_rule){ .match = "?limit=500", .status = 200, .body = "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\",\"uid\":\"" UID "\"},"
		"\"spec\":{\"volumes\":[{\"name\":\"data\",\"emptyDir\":{}},{\"name\":\"disk\",\"persistentVolumeClaim\":{\"claimName\":\"disk-0\"}}]}}]}" });
	kube_wait(kube_nr_requests(&server, "persistentvolumeclaims") == 1);
	st = wait_for(&w, has_claim);
	assert_string_equal(volume(st, "disk")->claim, "disk-0");
	assert_string_equal(volume(st, "disk")->claim_namespace, "shop");
	assert_int_equal(volume(st, "disk")->usage.used_inodes, 8);
	assert_null(volume(st, "data")->claim);
	world_close(&w);
	cgm_kube_pods_free(pods);
	cgm_kube_close(kube);
	kube_stop(&server);
}

/* A sandbox's own cgroup writes nothing; "/" is no container; a uid that is a path leads nowhere. */
static void test_who_has_no_places(void **state)
{
	struct cgm_who who = { .runtime = "containerd", .id = ID, .is_sandbox = true, .pod_uid = UID, .pid = 77, .upper_dir = "/upper" };
	struct world w;

	(void)state;
	world_open(&w);
	fill_dir(&w.s, "upper", 1);
	name(&w, "/kubepods/pod" UID "/" ID, &who);
	tick(&w, 1);
	assert_null(w.c.places);
	scratch_put(&w.s, "upper/etc-hosts", "x");
	scratch_put(&w.s, "kubelet/pods/x", "");
	who.pod_uid = "../../upper";
	name(&w, "/kubepods/pod" UID, &who);
	tick(&w, 1);
	assert_int_equal(marks(&w), 0);
	who.is_sandbox = false;
	w.c.depth = 0;
	name(&w, "/docker/" ID, &who);
	tick(&w, 6);
	assert_int_equal(marks(&w), 0);
	w.c.depth = 1;
	cgm_places_sample(NULL, &w.c, &w.sample, w.now_ns);
	assert_int_equal(marks(&w), 0);
	world_close(&w);
}

/* The process says nothing: the runtime's words stand; and when these lead nowhere it is counted, until somebody says something else. */
static void test_layer_that_is_not_found(void **state)
{
	struct cgm_who who = { .runtime = "docker", .id = ID, .upper_dir = "/nowhere" };
	struct world w;

	(void)state;
	world_open(&w);
	fill_dir(&w.s, "upper", 1);
	name(&w, "/docker/" ID, &who);
	for (unsigned i = 0; i < 4; i++)
		tick(&w, 6);
	assert_int_equal(cgm_places_state(w.places).nr_unplaced, 0); /* not yet: its process may only be on the way to its root */
	for (unsigned i = 0; i < 4; i++)
		tick(&w, 6);
	assert_int_equal(cgm_places_state(w.places).nr_unplaced, 1);
	assert_false(w.c.spec.has_filesystem);
	who.upper_dir = "/upper";
	who.pid = 5;
	name(&w, "/docker/" ID, &who);
	tick(&w, 1);
	assert_int_equal(cgm_places_state(w.places).nr_unplaced, 0);
	assert_int_equal(marks(&w), 1);
	world_close(&w);
}

/* Which log is the container's own directory's, and which shares one with who knows what. */
static void test_logs(void **state)
{
	static const struct {
		const char *path;
		uint64_t inodes; /* 3: of the directory; 1: the file */
	} cases[] = {
		{ "/l/" ID "/x.log", 3 }, { "/l/" ID "/userdata/x.log", 3 }, { "/l/front/x.log", 3 }, { "/l/" ID "/a/b/x.log", 1 }, { "/l/frontier/x.log", 1 }, { "/front.log", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_who who = { .runtime = "containerd", .id = ID, .container = "front", .log_path = cases[i].path };
		struct world w;
		char beside[256];
		const struct cgm_storage *st;
		uint64_t end = cgm_clock_mono_ns() + PATIENCE_NS;

		world_open(&w);
		scratch_put(&w.s, cases[i].path + 1, "x");
		snprintf(beside, sizeof(beside), "%.*s/y.log", (int)(strrchr(cases[i].path, '/') - cases[i].path), cases[i].path);
		scratch_put(&w.s, beside + 1, "y");
		name(&w, "/k/" ID, &who);
		do {
			tick(&w, 6);
			st = cgm_place_set_storage(w.c.places);
			nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000000 }, NULL);
			assert_true(cgm_clock_mono_ns() < end);
		} while (!st || !st->has_logs);
		if (st->logs.used_inodes != cases[i].inodes)
			fail_msg("%s: %u inodes", cases[i].path, (unsigned)st->logs.used_inodes);
		world_close(&w);
	}
}

/* The engine allocates, too, in its thread: which allocation fails is chance. Nothing is lost but what is counted. */
static void test_out_of_memory(void **state)
{
	struct cgm_pair pool = { "pool", "/pool" };
	struct cgm_who who = { .runtime = "docker", .id = ID, .upper_dir = "/upper", .log_path = "/l/" ID "/x.log", .volumes = &pool, .nr_volumes = 1 };

	(void)state;
	for (unsigned long n = 1; n < 30; n++) {
		struct world w;

		world_open(&w);
		fill_dir(&w.s, "upper", 1);
		fill_dir(&w.s, "pool", 1);
		scratch_put(&w.s, "l/" ID "/x.log", "x");
		name(&w, "/docker/" ID, &who);
		cgm_mem_fail_at(n);
		for (unsigned i = 0; i < 3; i++)
			tick(&w, 6);
		cgm_mem_fail_at(0);
		assert_true(marks(&w) + cgm_places_state(w.places).nr_lost >= 3);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_pod),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_who_has_no_places),
		cmocka_unit_test(test_layer_that_is_not_found),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
