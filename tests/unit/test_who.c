// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "identity/who.h"

static void test_new__copies_all(void **state)
{
	char id[] = "0123", name[] = "web", image[] = "busybox:1", pod[] = "web-0", space[] = "shop", uid[] = "u", container[] = "app", health[] = "healthy", log[] = "/log", upper[] = "/upper";
	char volume[] = "pool", source[] = "/pool";
	char key[] = "k", value[] = "v", env_key[] = "app_env", env_value[] = "prod";
	struct cgm_pair label = { key, value }, env = { env_key, env_value }, pool = { volume, source };
	struct cgm_who w = {
		.runtime = "docker", .id = id, .name = name, .image = image, .pod = pod, .pod_namespace = space, .pod_uid = uid, .container = container,
		.health = health, .log_path = log, .upper_dir = upper, .volumes = &pool, .nr_volumes = 1, .labels = &label, .envs = &env, .nr_labels = 1, .nr_envs = 1, .created_ns = 1, .started_ns = 2,
		.finished_ns = 3, .restart_count = 4, .pid = 5, .state = CGM_STATE_EXITED, .exit_code = -6, .has_exit_code = true, .is_sandbox = true,
		.shares_network = true,
	};
	_cleanup_(cgm_who_freep) struct cgm_who *copy = cgm_who_new(&w);
	char *own[] = { id, name, image, pod, space, uid, container, health, log, upper, volume, source, key, value, env_key, env_value };

	(void)state;
	assert_non_null(copy);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		memset(own[i], '#', strlen(own[i]));
	assert_string_equal(copy->runtime, "docker");
	assert_string_equal(copy->id, "0123");
	assert_string_equal(copy->name, "web");
	assert_string_equal(copy->image, "busybox:1");
	assert_string_equal(copy->pod, "web-0");
	assert_string_equal(copy->pod_namespace, "shop");
	assert_string_equal(copy->pod_uid, "u");
	assert_string_equal(copy->container, "app");
	assert_string_equal(copy->health, "healthy");
	assert_string_equal(copy->log_path, "/log");
	assert_string_equal(copy->upper_dir, "/upper");
	assert_int_equal(copy->nr_volumes, 1);
	assert_string_equal(copy->volumes[0].key, "pool");
	assert_string_equal(copy->volumes[0].value, "/pool");
	assert_string_equal(cgm_who_label(copy, "k"), "v");
	assert_int_equal(copy->nr_envs, 1);
	assert_string_equal(copy->envs[0].key, "app_env");
	assert_string_equal(copy->envs[0].value, "prod");
	assert_int_equal(copy->created_ns + copy->started_ns + copy->finished_ns, 6);
	assert_int_equal(copy->restart_count, 4);
	assert_int_equal(copy->pid, 5);
	assert_int_equal(copy->state, CGM_STATE_EXITED);
	assert_int_equal(copy->exit_code, -6);
	assert_true(copy->has_exit_code && copy->is_sandbox && copy->shares_network);
}

static void test_new__nothing_known(void **state)
{
	_cleanup_(cgm_who_freep) struct cgm_who *copy = cgm_who_new(&(struct cgm_who){ .runtime = "podman", .id = "" });

	(void)state;
	assert_non_null(copy);
	assert_string_equal(copy->id, "");
	assert_null(copy->name);
	assert_null(copy->log_path);
	assert_int_equal(copy->nr_labels + copy->nr_envs, 0);
	assert_null(cgm_who_label(copy, "k"));
}

static void test_new__sorts_and_keeps_the_first(void **state)
{
	struct cgm_pair labels[200], envs[] = { { "b", "1" }, { "a", "2" }, { "b", "3" } };
	char keys[200][8], values[200][8];
	struct cgm_who w = { .runtime = "docker", .id = "x", .labels = labels, .nr_labels = 200, .envs = envs, .nr_envs = 3 };
	_cleanup_(cgm_who_freep) struct cgm_who *copy = NULL;

	(void)state;
	for (unsigned i = 0; i < 200; i++) { /* each of 50 keys four times, in no order */
		snprintf(keys[i], sizeof(keys[i]), "k%02u", i * 37 % 50);
		snprintf(values[i], sizeof(values[i]), "%u", i);
		labels[i] = (struct cgm_pair){ keys[i], values[i] };
	}
	copy = cgm_who_new(&w);
	assert_non_null(copy);
	assert_int_equal(copy->nr_labels, 50);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(keys[0], sizeof(keys[0]), "k%02u", i * 37 % 50);
		snprintf(values[0], sizeof(values[0]), "%u", i);
		assert_string_equal(cgm_who_label(copy, keys[0]), values[0]);
		assert_true(!i || strcmp(copy->labels[i - 1].key, copy->labels[i].key) < 0);
	}
	assert_null(cgm_who_label(copy, "k"));
	assert_null(cgm_who_label(copy, "k99"));
	assert_int_equal(copy->nr_envs, 2);
	assert_string_equal(copy->envs[0].key, "a");
	assert_string_equal(copy->envs[1].value, "1");
	assert_string_equal(envs[0].key, "b"); /* what was given is left alone */
}

static void test_refs(void **state)
{
	struct cgm_who *w = cgm_who_new(&(struct cgm_who){ .runtime = "docker", .id = "x" });

	(void)state;
	assert_int_equal(w->refs, 1);
	assert_ptr_equal(cgm_who_ref(w), w);
	cgm_who_unref(w);
	assert_string_equal(w->id, "x");
	cgm_who_unref(w);
	cgm_who_unref(NULL);
}

/* Each member in turn is what makes them differ. */
static void test_equal(void **state)
{
	struct cgm_pair label = { "k", "v" }, other_key = { "l", "v" }, other_value = { "k", "w" };
	const struct cgm_who w = { .runtime = "docker", .id = "x", .name = "web", .labels = &label, .nr_labels = 1, .envs = &label, .nr_envs = 1 };
	struct cgm_who others[26];
	_cleanup_(cgm_who_freep) struct cgm_who *copy = cgm_who_new(&w);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = w;
	others[0].runtime = "podman";
	others[1].id = "y";
	others[2].name = NULL;
	others[3].image = "";
	others[4].pod = others[5].pod_namespace = others[6].pod_uid = others[7].container = others[8].health = others[9].log_path = others[23].namespace = "?";
	others[10].labels = others[11].envs = &other_key;
	others[12].labels = others[13].envs = &other_value;
	others[14].nr_labels = others[15].nr_envs = 0;
	others[16].created_ns = others[17].started_ns = others[18].finished_ns = 1;
	others[19].restart_count = others[20].pid = 1;
	others[21].state = CGM_STATE_PAUSED;
	others[22].has_exit_code = true;
	others[25].upper_dir = "/";
	others[24].volumes = &label;
	others[24].nr_volumes = 1;
	assert_true(cgm_who_equal(copy, &w));
	assert_true(cgm_who_equal(&w, cgm_who_ref(copy)));
	cgm_who_unref(copy);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (cgm_who_equal(copy, &others[i]) || cgm_who_equal(&others[i], copy))
			fail_msg("%zu", i);
	others[0] = others[1] = w;
	others[0].exit_code = 1;
	others[1].is_sandbox = true;
	assert_false(cgm_who_equal(copy, &others[0]) || cgm_who_equal(copy, &others[1]));
}

static void test_pod_labels(void **state)
{
	struct cgm_pair labels[] = {
		{ "io.kubernetes.pod.uid", "u" }, { "io.kubernetes.container.name", "app" }, { "io.kubernetes.pod.namespace", "shop" },
		{ "io.kubernetes.pod.name", "web-0" }, { "io.kubernetes.pod.nam", "no" }, { "io.kubernetes.pod.uid", "" },
	};
	struct cgm_who w = { .labels = labels, .nr_labels = ARRAY_SIZE(labels) }, sandbox = w, none = { .pod = "kept" };

	(void)state;
	sandbox.is_sandbox = true;
	cgm_who_pod_labels(&w);
	assert_string_equal(w.pod, "web-0");
	assert_string_equal(w.pod_namespace, "shop");
	assert_string_equal(w.pod_uid, "u");
	assert_ptr_equal(w.container, labels[1].value);
	cgm_who_pod_labels(&sandbox);
	assert_string_equal(sandbox.pod, "web-0");
	assert_null(sandbox.container);
	cgm_who_pod_labels(&none);
	assert_string_equal(none.pod, "kept");
}

static void test_of_user__knows_no_pod(void **state)
{
	struct cgm_pair labels[] = { { "io.kubernetes.pod.name", "etcd" }, { "io.kubernetesx", "kept" }, { "tier", "web" } }, volume = { "v", "/root" };
	const struct cgm_who w = { .runtime = "podman", .id = "x", .name = "web", .pod = "etcd", .pod_namespace = "n", .pod_uid = "u", .container = "c",
				   .labels = labels, .nr_labels = 3, .is_sandbox = true, .state = CGM_STATE_PAUSED,
				   .pid = 1, .log_path = "/root", .upper_dir = "/root", .volumes = &volume, .nr_volumes = 1 };
	_cleanup_(cgm_who_freep) struct cgm_who *copy = cgm_who_of_user(&w);

	(void)state;
	assert_false(copy->pod || copy->pod_namespace || copy->pod_uid || copy->container || copy->is_sandbox);
	assert_false(copy->pid || copy->log_path || copy->upper_dir || copy->nr_volumes);
	assert_string_equal(copy->name, "web");
	assert_int_equal(copy->state, CGM_STATE_PAUSED);
	assert_int_equal(copy->nr_labels, 2);
	assert_string_equal(copy->labels[0].key, "io.kubernetesx");
	for (unsigned long n = 1; n <= 2; n++) {
		cgm_mem_fail_at(n);
		assert_null(cgm_who_of_user(&w));
		cgm_mem_fail_at(0);
	}
}

static void test_new__out_of_memory(void **state)
{
	struct cgm_pair label = { "k", "v" };
	struct cgm_who w = { .runtime = "docker", .id = "x", .labels = &label, .nr_labels = 1 };

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct cgm_who *copy;
		unsigned long made;

		cgm_mem_fail_at(n);
		copy = cgm_who_new(&w);
		made = cgm_mem_fail_at(0);
		assert_true(!copy == (made >= n));
		cgm_who_unref(copy);
		if (copy)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new__copies_all), cmocka_unit_test(test_new__nothing_known), cmocka_unit_test(test_new__sorts_and_keeps_the_first),
		cmocka_unit_test(test_refs),		cmocka_unit_test(test_equal),	   cmocka_unit_test(test_pod_labels),
		cmocka_unit_test(test_of_user__knows_no_pod), cmocka_unit_test(test_new__out_of_memory),
	};

	return cmocka_run_group_tests_name("who", tests, NULL, NULL);
}
