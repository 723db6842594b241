// SPDX-License-Identifier: Apache-2.0
#include "docker_fixture.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "identity/json_docker.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A recorded inspect; whitelist NULL: no variable is wanted. */
static struct cgm_who *recorded(const char *runtime, const char *name, const char *whitelist)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = docker_file(runtime, name);
	struct cgm_who *w = NULL;

	assert_int_equal(cgm_docker_inspect(b.p, b.len, runtime, whitelist ? whitelist : "", &w), 0);
	assert_non_null(w);
	return w;
}

static int inspect(const char *json, struct cgm_who **ret)
{
	return cgm_docker_inspect(json, strlen(json), "docker", "APP_", ret);
}

static const char *const runtimes[] = { "docker", "podman" };

static void test_inspect__running(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_who_freep) struct cgm_who *w = recorded(runtimes[i], "inspect-running.json", "XX,APP_,,App");

		assert_ptr_equal(w->runtime, runtimes[i]);
		assert_int_equal(strlen(w->id), 64);
		assert_string_equal(w->name, "web");
		assert_string_equal(w->image, i ? "localhost/cgmtest/busybox:1" : "cgmtest/busybox:1");
		assert_string_equal(cgm_who_label(w, "com.example.team"), "a b");
		assert_int_equal(w->nr_labels, 1);
		assert_int_equal(w->nr_envs, 2);
		assert_string_equal(w->envs[0].key, "app_empty");
		assert_string_equal(w->envs[0].value, "");
		assert_string_equal(w->envs[1].key, "app_env");
		assert_string_equal(w->envs[1].value, "prod");
		assert_int_equal(w->state, CGM_STATE_RUNNING);
		assert_true(w->pid > 1 && w->created_ns && w->started_ns > w->created_ns && !w->finished_ns && !w->has_exit_code);
		assert_non_null(strstr(w->log_path, w->id));
		assert_non_null(strstr(w->upper_dir, i ? "/root/overlay/" : "/root/overlay2/"));
		assert_int_equal(w->nr_volumes, 0);
		assert_null(w->health);
		assert_null(w->pod);
		assert_null(w->container);
	}
}

static void test_inspect__exited(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_who_freep) struct cgm_who *w = recorded(runtimes[i], "inspect-exited.json", NULL);

		assert_string_equal(w->name, "done");
		assert_int_equal(w->state, CGM_STATE_EXITED);
		assert_true(w->has_exit_code);
		assert_int_equal(w->exit_code, 3);
		assert_int_equal(w->pid, 0);
		assert_true(w->finished_ns + 1000000000 > w->started_ns && w->finished_ns < w->started_ns + 1000000000); /* podman's start is late */
		assert_int_equal(w->nr_envs, 0);
	}
}

static void test_inspect__other_states(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_who_freep) struct cgm_who *created = recorded(runtimes[i], "inspect-created.json", NULL);
		_cleanup_(cgm_who_freep) struct cgm_who *paused = recorded(runtimes[i], "inspect-paused.json", NULL);
		_cleanup_(cgm_who_freep) struct cgm_who *health = recorded(runtimes[i], "inspect-health.json", NULL);
		_cleanup_(cgm_who_freep) struct cgm_who *again = recorded(runtimes[i], "inspect-restarted.json", NULL);

		assert_int_equal(created->state, CGM_STATE_CREATED);
		assert_true(!created->started_ns && !created->has_exit_code && created->created_ns);
		assert_int_equal(paused->state, CGM_STATE_PAUSED);
		assert_string_equal(health->health, i ? "starting" : "healthy");
		assert_int_equal(again->restart_count, 2);
		assert_string_equal(cgm_who_label(again, "restartcount"), "2");
		assert_int_equal(again->exit_code, 1);
		assert_null(cgm_who_label(created, "restartcount"));
	}
}

static void test_inspect__pod(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_who_freep) struct cgm_who *app = recorded(runtimes[i], "inspect-pod.json", NULL);
		_cleanup_(cgm_who_freep) struct cgm_who *sandbox = recorded(runtimes[i], "inspect-sandbox.json", NULL);

		assert_string_equal(app->pod, "web-0");
		assert_string_equal(app->pod_namespace, "shop");
		assert_string_equal(app->pod_uid, "c9a1bd8a-1b2c-4f3e-9d6a-0123456789ab");
		assert_string_equal(app->container, "app");
		assert_false(app->is_sandbox);
		assert_string_equal(sandbox->pod, "web-0");
		assert_null(sandbox->container);
		assert_true(sandbox->is_sandbox);
		assert_true(app->shares_network && !sandbox->shares_network);
	}
}

static void test_inspect__whose_network(void **state)
{
	static const struct {
		const char *json;
		bool shares;
	} cases[] = {
		{ "{\"Id\":\"x\",\"HostConfig\":{\"NetworkMode\":\"container:0123\"}}", true },
		{ "{\"Id\":\"x\",\"HostConfig\":{\"NetworkMode\":\"containers\"}}", false },
		{ "{\"Id\":\"x\",\"HostConfig\":{\"NetworkMode\":\"default\"}}", false },
		{ "{\"Id\":\"x\",\"HostConfig\":{}}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cgm_who_freep) struct cgm_who *w = NULL;

		assert_int_equal(inspect(cases[i].json, &w), 0);
		assert_int_equal(w->shares_network, cases[i].shares);
	}
}

static void test_inspect__smallest(void **state)
{
	_cleanup_(cgm_who_freep) struct cgm_who *w = NULL;

	(void)state;
	assert_int_equal(inspect("{\"Id\":\"x\"}", &w), 0);
	assert_string_equal(w->id, "x");
	assert_null(w->name);
	assert_null(w->image);
	assert_int_equal(w->state, CGM_STATE_UNKNOWN);
	assert_int_equal(w->created_ns, 0);
}

static void test_inspect__forms(void **state)
{
	static const struct {
		const char *json;
		int r;
	} cases[] = {
		{ "{\"Id\":\"x\",\"Name\":null,\"RestartCount\":null,\"State\":null,\"Config\":null,\"LogPath\":null,\"Created\":\"\"}", 0 },
		{ "{\"Id\":\"x\",\"State\":{\"Health\":null,\"StartedAt\":null,\"Pid\":-1,\"ExitCode\":99999999999},\"Config\":{\"Env\":null,\"Labels\":null}}", 0 },
		{ "{\"Id\":\"x\",\"RestartCount\":9223372036854775807,\"Config\":{\"Env\":[\"\",\"=\",\"=a\",\"APP_X\",\"APP_Y=\"]}}", 0 },
		{ "{\"Id\":\"x\",\"State\":{\"Status\":\"of the future\"}}", 0 },
		{ "{}", -EINVAL },
		{ "[]", -EINVAL },
		{ "null", -EINVAL },
		{ "", -EINVAL },
		{ "{\"Id\":\"x\"", -EINVAL },
		{ "{\"Id\":\"x\"}}", -EINVAL },
		{ "{\"Id\":7}", -EINVAL },
		{ "{\"Id\":\"\"}", -EINVAL },
		{ "{\"Id\":\"../x\"}", -EINVAL },
		{ "{\"Id\":\"a/b\"}", -EINVAL },
		{ "{\"Id\":\"" ID ID "\"}", -EINVAL },
		{ "{\"Id\":\"x\",\"Name\":[]}", -EINVAL },
		{ "{\"Id\":\"x\",\"Name\":\"\xff\"}", -EINVAL },
		{ "{\"Id\":\"x\",\"Created\":5}", -EINVAL },
		{ "{\"Id\":\"x\",\"Created\":\"yesterday\"}", -EINVAL },
		{ "{\"Id\":\"x\",\"RestartCount\":\"1\"}", -EINVAL },
		{ "{\"Id\":\"x\",\"RestartCount\":1.5}", -EINVAL },
		{ "{\"Id\":\"x\",\"RestartCount\":9223372036854775808}", -EINVAL },
		{ "{\"Id\":\"x\",\"State\":[]}", -EINVAL },
		{ "{\"Id\":\"x\",\"State\":{\"Status\":{}}}", -EINVAL },
		{ "{\"Id\":\"x\",\"State\":{\"Pid\":true}}", -EINVAL },
		{ "{\"Id\":\"x\",\"State\":{\"Health\":\"healthy\"}}", -EINVAL },
		{ "{\"Id\":\"x\",\"State\":{\"Health\":{\"Status\":1}}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":\"\"}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":{\"Image\":{}}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":{\"Labels\":[\"a\"]}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":{\"Labels\":{\"a\":1}}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":{\"Env\":{}}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Config\":{\"Env\":[1]}}", -EINVAL },
		{ "{\"Id\":\"x\",\"LogPath\":0}", -EINVAL },
		{ "{\"Id\":\"x\",\"GraphDriver\":null,\"Mounts\":null}", 0 },
		{ "{\"Id\":\"x\",\"GraphDriver\":[],\"Mounts\":[]}", 0 },
		{ "{\"Id\":\"x\",\"GraphDriver\":{\"Data\":null,\"Name\":\"vfs\"},\"Mounts\":[{},[],null]}", 0 },
		{ "{\"Id\":\"x\",\"GraphDriver\":{\"Data\":{\"UpperDir\":7}}}", 0 },
		{ "{\"Id\":\"x\",\"Mounts\":{}}", -EINVAL },
		{ "{\"Id\":\"x\",\"Mounts\":[{\"Type\":1}]}", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_who *w = NULL;

		if (inspect(cases[i].json, &w) != cases[i].r || !w == !cases[i].r)
			fail_msg("%s", cases[i].json);
		cgm_who_unref(w);
	}
}

static void test_inspect__layer_and_volumes(void **state)
{
	_cleanup_(cgm_who_freep) struct cgm_who *w = NULL, *relative = NULL;

	(void)state;
	assert_int_equal(inspect("{\"Id\":\"x\",\"GraphDriver\":{\"Data\":{\"UpperDir\":\"/d/diff\"}},\"Mounts\":["
				 "{\"Type\":\"volume\",\"Name\":\"b\",\"Source\":\"/v/b\",\"Driver\":\"local\"},"
				 "{\"Type\":\"bind\",\"Name\":\"c\",\"Source\":\"/home\",\"Driver\":\"local\"},"
				 "{\"Type\":\"volume\",\"Name\":\"d\",\"Source\":\"/v/d\",\"Driver\":\"nfs\"},"
				 "{\"Type\":\"volume\",\"Name\":\"e\",\"Source\":\"v/e\",\"Driver\":\"local\"},"
				 "{\"Type\":\"volume\",\"Name\":\"b\",\"Source\":\"/v/b\",\"Driver\":\"local\"},"
				 "{\"Type\":\"volume\",\"Name\":\"a\",\"Source\":\"/v/a\",\"Driver\":\"local\"}]}", &w), 0);
	assert_string_equal(w->upper_dir, "/d/diff");
	assert_int_equal(w->nr_volumes, 2); /* one that is mounted twice is one */
	assert_string_equal(w->volumes[0].key, "a");
	assert_string_equal(w->volumes[1].value, "/v/b");
	assert_int_equal(inspect("{\"Id\":\"x\",\"GraphDriver\":{\"Data\":{\"UpperDir\":\"l/diff\"}}}", &relative), 0);
	assert_null(relative->upper_dir);
}

static void test_inspect__bounds(void **state)
{
	_cleanup_(cgm_who_freep) struct cgm_who *w = NULL;

	(void)state;
	assert_int_equal(inspect("{\"Id\":\"x\",\"Name\":\"/a/b\",\"RestartCount\":99999999999,\"State\":{\"Status\":\"dead\",\"Pid\":-5,\"ExitCode\":-99999999999,"
				 "\"StartedAt\":\"1969-01-01T00:00:00Z\",\"FinishedAt\":\"2026-11-30T17:00:00.5+02:00\"},"
				 "\"Config\":{\"Labels\":{\"restartcount\":\"mine\"},\"Env\":[\"APP_\xc3\x84=1\",\"app_x=2\",\"APP_B=a=b\",\"app_b=3\"]}}", &w), 0);
	assert_string_equal(w->name, "a/b");
	assert_int_equal(w->restart_count, UINT32_MAX);
	assert_string_equal(cgm_who_label(w, "restartcount"), "4294967295");
	assert_int_equal(w->pid, 0);
	assert_int_equal(w->exit_code, INT_MIN);
	assert_int_equal(w->started_ns, 0);
	assert_int_equal(w->finished_ns, 1796050800500000000);
	assert_int_equal(w->nr_envs, 2); /* prefixes are compared as they are written */
	assert_string_equal(w->envs[0].value, "a=b");
}

static int keep(void *arg, const char *id)
{
	unsigned *nr = arg;

	assert_true(cgm_docker_is_id(id));
	return ++*nr == 100 ? -ENOBUFS : 0;
}

static void test_list(void **state)
{
	static const struct {
		const char *json;
		int r;
		unsigned nr, nr_bad;
	} cases[] = {
		{ "[]", 0, 0, 0 },
		{ "[{\"Id\":\"a\"},{\"Id\":\"b\"}]", 0, 2, 0 },
		{ "[{\"Id\":1},{},null,[],\"x\",{\"Id\":\"a b\"},{\"Id\":\"ok\"}]", 0, 1, 6 },
		{ "{\"message\":\"no\"}", -EINVAL, 0, 7 },
		{ "null", -EINVAL, 0, 7 },
		{ "[", -EINVAL, 0, 7 },
		{ "", -EINVAL, 0, 7 },
	};
	unsigned nr = 99;
	size_t nr_bad = 7;

	(void)state;
	assert_int_equal(cgm_docker_list("[{\"Id\":\"a\"},{\"Id\":\"b\"}]", 23, keep, &nr, &nr_bad), -ENOBUFS);
	assert_int_equal(nr_bad, 7);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		nr = 0;
		nr_bad = 7;
		if (cgm_docker_list(cases[i].json, strlen(cases[i].json), keep, &nr, &nr_bad) != cases[i].r || nr != cases[i].nr || nr_bad != cases[i].nr_bad)
			fail_msg("%s: %u, %zu bad", cases[i].json, nr, nr_bad);
	}
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf b = docker_file(runtimes[i], "list.json");

		nr = 0;
		assert_int_equal(cgm_docker_list(b.p, b.len, keep, &nr, &nr_bad), 0);
		assert_int_equal(nr, 8);
		assert_int_equal(nr_bad, 0);
	}
}

static void test_version(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf docker = docker_file("docker", "version.json");
	_cleanup_(cgm_buf_done) struct cgm_buf podman = docker_file("podman", "version.json");
	char text[64];

	(void)state;
	assert_int_equal(cgm_docker_version(docker.p, docker.len, text, sizeof(text)), 0);
	assert_string_equal(text, "20.10.24+dfsg1");
	assert_int_equal(cgm_docker_version(podman.p, podman.len, text, sizeof(text)), 0);
	assert_string_equal(text, "4.3.1");
	assert_int_equal(cgm_docker_version(docker.p, docker.len, text, 3), 0);
	assert_string_equal(text, "20");
	assert_int_equal(cgm_docker_version("{\"Version\":1}", 13, text, sizeof(text)), -EINVAL);
	assert_int_equal(cgm_docker_version("<html>", 6, text, sizeof(text)), -EINVAL);
	assert_string_equal(text, "20");
}

static void test_event__recorded(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf b = docker_file(runtimes[i], "events");
		struct cgm_str text = { b.p, b.len }, line;
		unsigned nr[3] = { 0 };

		while (cgm_next_line(&text, &line)) {
			struct cgm_docker_event e;

			assert_int_equal(cgm_docker_event(line.p, line.len, &e), 0);
			assert_int_equal(strlen(e.id), e.change == CGM_DOCKER_NOTHING ? 0 : 64);
			nr[e.change]++;
		}
		assert_int_equal(nr[CGM_DOCKER_GONE], 8);
		assert_true(nr[CGM_DOCKER_CHANGED] > 20);
		assert_true(nr[CGM_DOCKER_NOTHING] > 4);
	}
}

#define EVENT(type, action, id) "{\"Type\":\"" type "\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"" id "\"}}"

static void test_event__forms(void **state)
{
	static const struct {
		const char *json;
		int r;
		enum cgm_docker_change change;
	} cases[] = {
		{ EVENT("container", "health_status: unhealthy", "x"), 0, CGM_DOCKER_CHANGED },
		{ EVENT("container", "oom", "x"), 0, CGM_DOCKER_CHANGED },
		{ EVENT("container", "destroy", "x"), 0, CGM_DOCKER_GONE },
		{ EVENT("container", "remove", "x"), 0, CGM_DOCKER_GONE },
		{ EVENT("container", "exec_start: sh", "x"), 0, CGM_DOCKER_NOTHING },
		{ EVENT("container", "starting", "x"), 0, CGM_DOCKER_NOTHING },
		{ EVENT("container", "top", ""), 0, CGM_DOCKER_NOTHING },
		{ EVENT("network", "destroy", "x"), 0, CGM_DOCKER_NOTHING },
		{ "{\"Action\":\"start\",\"Actor\":{\"ID\":\"x\"}}", 0, CGM_DOCKER_CHANGED },
		{ "{}", -EINVAL, 0 },
		{ "[]", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ EVENT("container", "start", ""), -EINVAL, 0 },
		{ EVENT("container", "start", "a/b"), -EINVAL, 0 },
		{ "{\"Type\":\"container\",\"Action\":\"start\"}", -EINVAL, 0 },
		{ "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":[]}", -EINVAL, 0 },
		{ "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":1}}", -EINVAL, 0 },
		{ "{\"Type\":1,\"Action\":\"start\",\"Actor\":{\"ID\":\"x\"}}", -EINVAL, 0 },
		{ "{\"Type\":\"container\",\"Action\":null,\"Actor\":{\"ID\":\"x\"}}", -EINVAL, 0 },
		{ EVENT("container", "start", "x") EVENT("container", "start", "x"), -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_docker_event e = { .change = 42 };
		int r = cgm_docker_event(cases[i].json, strlen(cases[i].json), &e);

		if (r != cases[i].r || (int)e.change != (r ? 42 : (int)cases[i].change))
			fail_msg("%s: %d", cases[i].json, e.change);
		if (r == 0)
			assert_string_equal(e.id, e.change == CGM_DOCKER_NOTHING ? "" : "x");
	}
}

static void test_inspect__out_of_memory(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = docker_file("docker", "inspect-running.json");

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct cgm_who *w = NULL;
		unsigned long made;
		int r;

		cgm_mem_fail_at(n);
		r = cgm_docker_inspect(b.p, b.len, "docker", "APP_", &w);
		made = cgm_mem_fail_at(0);
		assert_int_equal(r, made >= n ? -ENOMEM : 0);
		assert_true(!w == (r < 0));
		cgm_who_unref(w);
		if (r == 0)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inspect__running),  cmocka_unit_test(test_inspect__exited), cmocka_unit_test(test_inspect__other_states),
		cmocka_unit_test(test_inspect__pod), cmocka_unit_test(test_inspect__whose_network),	  cmocka_unit_test(test_inspect__smallest), cmocka_unit_test(test_inspect__forms),
		cmocka_unit_test(test_inspect__layer_and_volumes),
		cmocka_unit_test(test_inspect__bounds),	  cmocka_unit_test(test_list),		    cmocka_unit_test(test_version),
		cmocka_unit_test(test_event__recorded),	  cmocka_unit_test(test_event__forms),	    cmocka_unit_test(test_inspect__out_of_memory),
	};

	return cmocka_run_group_tests_name("json_docker", tests, NULL, NULL);
}
