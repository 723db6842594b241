// SPDX-License-Identifier: Apache-2.0
/* What a runtime says of a container, on its way into the answers. */
#include "http_fixture.h"

#include "model/identity.h"
#include "output/prometheus.h"
#include "output/selection.h"

#define ID "4f1c0a9e8d7c6b5a43210fedcba98765432100112233445566778899aabbccdd"
#define ID2 "4f1d0a9e8d7c6b5a43210fedcba98765432100112233445566778899aabbccdd"

static struct cgm_pair labels[] = { { "com.shop", "a\"b" }, { "tier", "web" } }, envs[] = { { "LANG", "C" } };
static const struct cgm_who web = {
	.runtime = "docker", .id = ID, .name = "web", .image = "nginx:1", .health = "unhealthy", .labels = labels, .nr_labels = 2,
	.envs = envs, .nr_envs = 1, .created_ns = SYNTH_FIRST_NS - 7000000000, .started_ns = SYNTH_FIRST_NS - 5000000000,
}, db = { .runtime = "docker", .id = ID2, .name = "database", .image = "db" },
			    pod = { .runtime = "containerd", .id = "aa" ID2, .name = "app", .pod = "shop-1", .pod_namespace = "shop", .container = "app" };

static void assert_labels_of(const struct cgm_who *template, const char *wanted)
{
	static const struct cgm_label_rules none;
	struct cgm_who *w = template ? cgm_who_new(template) : NULL;
	struct cgm_identity *i = cgm_identity_new_who("/c", w, &none);

	cgm_who_unref(w);
	assert_string_equal(i->labels, wanted);
	assert_ptr_equal(i->who, w);
	cgm_identity_unref(i);
}

static void test_identity_new_who__name_and_image(void **state)
{
	(void)state;
	assert_labels_of(NULL, "id=\"/c\"");
	assert_labels_of(&web, "id=\"/c\",name=\"web\",image=\"nginx:1\",container_env_LANG=\"C\"");
	assert_labels_of(&pod, "id=\"/c\",name=\"aa" ID2 "\"");
}

static void test_identity_aliases__by_runtime(void **state)
{
	struct cgm_who *w = cgm_who_new(&web), *p = cgm_who_new(&pod);
	struct cgm_identity *i = cgm_identity_new_who("/c", w, NULL), *j = cgm_identity_new_who("/d", p, NULL), *k = cgm_identity_new("/e");
	const char *names[2];

	(void)state;
	assert_int_equal(cgm_identity_aliases(i, names), 2);
	assert_string_equal(names[0], "web");
	assert_string_equal(names[1], ID);
	assert_int_equal(cgm_identity_aliases(j, names), 2);
	assert_string_equal(names[0], "aa" ID2);
	assert_string_equal(names[1], "/d");
	assert_int_equal(cgm_identity_aliases(k, names), 0);
	assert_string_equal(cgm_identity_shown(i), "web");
	assert_string_equal(cgm_identity_shown(k), "/e");
	cgm_identity_unref(i);
	cgm_identity_unref(j);
	cgm_identity_unref(k);
	cgm_who_unref(w);
	cgm_who_unref(p);
}

/* "/" is nobody's, /a is web's, "/a/b c" is database's, /quo"te is the pod's. */
static void with_runtimes(struct synth *y)
{
	synth_init(y, http_names, ARRAY_SIZE(http_names));
	y->who[1] = &web;
	y->who[2] = &db;
	y->who[3] = &pod;
	synth_tick(y);
}

static void test_selection_find__id_name_or_prefix(void **state)
{
	struct synth y;
	struct cgm_snapshot *s;
	size_t row;

	(void)state;
	with_runtimes(&y);
	s = synth_snapshot(&y);
	assert_int_equal(cgm_selection_find(s, "docker", ID, &row), 0);
	assert_int_equal(row, 1);
	assert_int_equal(cgm_selection_find(s, "docker", "web", &row), 0);
	assert_int_equal(row, 1);
	assert_int_equal(cgm_selection_find(s, "docker", "4f1d", &row), 0);
	assert_int_equal(row, 2);
	assert_int_equal(cgm_selection_find(s, "docker", "data", &row), 0);
	assert_int_equal(row, 2);
	assert_int_equal(cgm_selection_find(s, "docker", "4f1", &row), -EEXIST);
	assert_int_equal(cgm_selection_find(s, "docker", "aa", &row), -ENOENT);
	assert_int_equal(cgm_selection_find(s, "docker", "", &row), -ENOENT);
	assert_int_equal(cgm_selection_find(s, "containerd", "aa", &row), 0);
	assert_int_equal(row, 3);
	assert_int_equal(cgm_selection_find(s, "podman", "web", &row), -ENOENT);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_selection_next__of_a_runtime(void **state)
{
	struct cgm_selection of = { .recursive = true, .runtime = "docker" };
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	with_runtimes(&y);
	s = synth_snapshot(&y);
	of.snapshot = s;
	assert_int_equal(cgm_selection_first(&of), 1);
	assert_int_equal(cgm_selection_next(&of, 1), 2);
	assert_int_equal(cgm_selection_next(&of, 2), s->nr_rows);
	of.runtime = "podman";
	assert_int_equal(cgm_selection_first(&of), s->nr_rows);
	cgm_snapshot_unref(s);
	synth_done(&y);
}

/* ---- through the server ---- */

static struct fixture *serve(void)
{
	struct fixture *f = setup(0);

	synth_done(&f->y);
	with_runtimes(&f->y);
	f->y.live = true;
	cgm_store_publish(f->store, synth_snapshot(&f->y));
	return f;
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

static const char *text_at(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static void assert_is_web(const json_t *j)
{
	const json_t *spec = json_object_get(j, "spec"), *stats = json_object_get(j, "stats");

	assert_string_equal(text_at(j, "id"), ID);
	assert_string_equal(text_at(j, "name"), "/a");
	assert_string_equal(text_at(j, "namespace"), "docker");
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "aliases"), 0)), "web");
	assert_string_equal(json_string_value(json_array_get(json_object_get(j, "aliases"), 1)), ID);
	assert_string_equal(text_at(spec, "image"), "nginx:1");
	assert_string_equal(text_at(json_object_get(spec, "labels"), "com.shop"), "a\"b");
	assert_string_equal(text_at(json_object_get(spec, "envs"), "LANG"), "C");
	assert_string_equal(text_at(spec, "creation_time"), "2026-09-21T14:13:13Z");
	assert_string_equal(text_at(spec, "start_time"), "2026-09-21T14:13:15Z");
	assert_string_equal(text_at(json_object_get(json_array_get(stats, 0), "health"), "status"), "unhealthy");
}

static void test_rest__docker_containers(void **state)
{
	struct fixture *f = serve();
	json_t *j;

	(void)state;
	j = get_json(f, "/api/v1.3/containers/a");
	assert_is_web(j);
	json_decref(j);
	j = get_json(f, "/api/v1.3/docker/web");
	assert_int_equal(json_object_size(j), 1);
	assert_is_web(json_object_get(j, "/a"));
	json_decref(j);
	j = get_json(f, "/api/v1.2/docker/");
	assert_int_equal(json_object_size(j), 2);
	assert_is_web(json_object_get(j, "/a"));
	assert_string_equal(text_at(json_object_get(j, "/a/b c"), "id"), ID2);
	json_decref(j);
	/* What no runtime knows has none of it. */
	j = get_json(f, "/api/v1.3/containers/");
	assert_null(json_object_get(j, "id"));
	assert_null(json_object_get(j, "aliases"));
	assert_null(json_object_get(json_object_get(j, "spec"), "image"));
	assert_string_equal(text_at(json_object_get(j, "spec"), "start_time"), "0001-01-01T00:00:00Z");
	json_decref(j);
	teardown(f);
}

static void test_rest__v2_by_type(void **state)
{
	static const char *const paths[] = {
		"/api/v2.1/spec/web?type=docker", "/api/v2.1/spec/4f1c?type=docker", "/api/v2.0/stats/" ID "?type=docker", "/api/v2.1/summary/web?type=docker",
		"/api/v2.1/appmetrics/web?type=docker",
	};
	struct fixture *f = serve();
	const json_t *spec;
	struct answer a;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		j = get_json(f, paths[i]);
		assert_int_equal(json_object_size(j), 1);
		assert_non_null(json_object_get(j, "/a"));
		json_decref(j);
	}
	j = get_json(f, "/api/v2.1/spec/web?type=docker");
	spec = json_object_get(j, "/a");
	assert_string_equal(text_at(spec, "namespace"), "docker");
	assert_int_equal(json_array_size(json_object_get(spec, "aliases")), 2);
	assert_string_equal(text_at(spec, "image"), "nginx:1");
	json_decref(j);
	j = get_json(f, "/api/v2.1/stats/?type=docker&recursive=true");
	assert_int_equal(json_object_size(j), 2);
	json_decref(j);
	j = get_json(f, "/api/v2.1/spec/?type=podman&recursive=true");
	assert_int_equal(json_object_size(j), 0);
	json_decref(j);
	a = get(f, "/api/v2.1/spec/4f1?type=docker", "");
	assert_error(&a, 404, "more than one container begins with");
	teardown(f);
}

static void test_prometheus__what_runtimes_tell(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	struct synth y;
	struct cgm_snapshot *s;

	(void)state;
	with_runtimes(&y);
	s = synth_snapshot(&y);
	s->self.nr_runtimes = 1;
	s->self.runtimes[0] = (struct cgm_runtime_status){ .name = "docker", .version = "20.10.24", .connected = true, .nr_known = 3, .nr_calls = 9, .nr_failed = 2 };
	assert_int_equal(cgm_prometheus_render(s, NULL, CGM_PROMETHEUS_TEXT, &b), 0);
	cgm_buf_char(&b, '\0');
	assert_non_null(strstr(b.p, "\ncontainer_health_state{id=\"/a\",name=\"web\",image=\"nginx:1\",container_env_LANG=\"C\",container_label_com_shop=\"a\\\"b\","
				    "container_label_tier=\"web\"} 0\n"));
	assert_non_null(strstr(b.p, "\ncontainer_health_state{id=\"/a/b c\",name=\"database\",image=\"db\"} -1\n"));
	assert_null(strstr(b.p, "\ncontainer_health_state{id=\"/\"}"));
	assert_non_null(strstr(b.p, "\ncontainer_start_time_seconds{id=\"/\"} 1790000000\n"));
	assert_non_null(strstr(b.p, "container_label_tier=\"web\"} 1789999995\n")); /* the runtime's */
	assert_non_null(strstr(b.p, "\ncgmeter_runtime_connected{runtime=\"docker\",version=\"20.10.24\"} 1\n"));
	assert_non_null(strstr(b.p, "\ncgmeter_runtime_containers{runtime=\"docker\"} 3\n"));
	assert_non_null(strstr(b.p, "\ncgmeter_runtime_calls_total{runtime=\"docker\",result=\"ok\"} 7\n"));
	assert_non_null(strstr(b.p, "\ncgmeter_runtime_calls_total{runtime=\"docker\",result=\"failed\"} 2\n"));
	cgm_snapshot_unref(s);
	synth_done(&y);
}

static void test_identity_new_who__every_allocation_fails_once(void **state)
{
	struct cgm_who *w = cgm_who_new(&web);
	static const struct cgm_label_rules all = { .store = true };

	(void)state;
	for (unsigned long at = 1;; at++) {
		struct cgm_identity *i;

		cgm_mem_fail_at(at);
		i = cgm_identity_new_who("/c", w, &all);
		cgm_mem_fail_at(0);
		cgm_identity_unref(i);
		if (i)
			break;
		assert_true(at < 10);
	}
	assert_int_equal(w->refs, 1);
	cgm_who_unref(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity_new_who__name_and_image),
		cmocka_unit_test(test_identity_aliases__by_runtime),
		cmocka_unit_test(test_selection_find__id_name_or_prefix),
		cmocka_unit_test(test_selection_next__of_a_runtime),
		cmocka_unit_test(test_rest__docker_containers),
		cmocka_unit_test(test_rest__v2_by_type),
		cmocka_unit_test(test_prometheus__what_runtimes_tell),
		cmocka_unit_test(test_identity_new_who__every_allocation_fails_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
