// SPDX-License-Identifier: Apache-2.0
/* The model API against the answers of Heapster 1.5.4, from slices that hold the same numbers. */
#include "cluster_fixture.h"

#include "base/clock.h"
#include "serve/route.h"

struct model {
	char *recorded;
	struct cgm_serve serve;
};

static int setup(void **state)
{
	static struct model m;

	m.recorded = cf_read("heapster-1.5.4-api.txt");
	m.serve = (struct cgm_serve){ .store = cf_store(m.recorded), .resolution_ns = 10 * CF_SEC };
	*state = &m;
	return 0;
}

static int teardown(void **state)
{
	struct model *m = *state;

	cgm_cluster_store_free(m->serve.store);
	free(m->recorded);
	return 0;
}

static void assert_answer(const struct cgm_serve *s, const char *url, unsigned status, const char *body)
{
	struct cgm_reply r;

	assert_true(cf_ask(cgm_serve_model, s, url, &r));
	if (cf_status(&r) != status)
		fail_msg("%s: %u %s", url, cf_status(&r), r.body.p);
	if (status == 200) {
		cf_same(r.body.p, body, url);
	} else {
		r.body.p[strcspn(r.body.p, "\n")] = '\0';
		assert_string_equal(r.body.p, body);
		assert_string_equal(r.type, "text/plain; charset=utf-8");
	}
	cgm_buf_done(&r.body);
}

/* Every recorded answer below /api/v1/model. */
static void test_model__recorded(void **state)
{
	const struct model *m = *state;
	const char *text = m->recorded;
	struct cf_answer a;
	unsigned nr = 0;

	while (cf_next(&text, &a)) {
		if (strncmp(a.path, "/api/v1/model/", 14) != 0)
			continue;
		assert_answer(&m->serve, a.path, a.status, a.body);
		nr++;
	}
	assert_int_equal(nr, 22);
}

/* What Heapster cut to an integer is there. */
static void test_model__floats(void **state)
{
	const struct model *m = *state;
	struct cgm_reply r;
	json_t *j, *point;

	assert_true(cf_ask(cgm_serve_model, &m->serve, "/api/v1/model/nodes/node-a/metrics/memory/node_utilization", &r));
	j = cf_json(r.body.p, false);
	point = json_array_get(json_object_get(j, "metrics"), 0);
	assert_int_equal(json_integer_value(json_object_get(point, "value")), 0);
	assert_true(json_real_value(json_object_get(point, "floatValue")) == 0.4375);
	json_decref(j);
	cgm_buf_done(&r.body);
}

#define EMPTY "{\"metrics\":[],\"latestTimestamp\":\"0001-01-01T00:00:00Z\"}"
#define POINT "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:10Z\",\"value\":298}],\"latestTimestamp\":\"2026-11-22T15:55:10Z\"}"

static void test_model__queries(void **state)
{
	const struct cgm_serve *s = &((const struct model *)*state)->serve;

	assert_answer(s, "/api/v1/model/metrics/cpu/usage_rate?start=2026-11-22T15:55:05Z&end=2026-11-22T15:55:15Z", 200, POINT);
	assert_answer(s, "/api/v1/model/metrics/cpu/usage_rate?start=2026-11-22T16:55:10%2B01:00&end=2026-11-22T15:55:10.5Z", 400,
		      "timestamp argument cannot be parsed: parsing time \"2026-11-22T16:55:10%2B01:00\" as \"2006-01-02T15:04:05Z07:00\": cannot parse "
		      "\"2026-11-22T16:55:10%2B01:00\" as \"2006-01-02T15:04:05Z07:00\"");
	assert_answer(s, "/api/v1/model/metrics/cpu/usage_rate?start=2026-11-22T16:55:10+01:00&end=2026-11-22T15:55:10.5Z", 200, POINT);
	assert_answer(s, "/api/v1/model/metrics/cpu/usage_rate?start=2026-11-22T15:55:15Z&end=2026-11-22T15:55:05Z", 200, EMPTY);
	assert_answer(s, "/api/v1/model/metrics/cpu/usage_rate?end=x\"\xff", 400,
		      "timestamp argument cannot be parsed: parsing time \"x??\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x??\" as \"2006\"");
	assert_answer(s, "/api/v1/model/nodes/node-a/metrics/filesystem/usage?labels=resource_id:logs&start=2026-11-22T15:55:25Z", 200,
		      "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":77}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}");
	assert_answer(s, "/api/v1/model/nodes/node-a/metrics/filesystem/usage", 200, EMPTY);
	assert_answer(s, "/api/v1/model/nodes/node-a/metrics/filesystem/usage?labels=resource_id:/,a:b", 200, EMPTY);
	assert_answer(s, "/api/v1/model/nodes/node-a/metrics/memory/usage?labels=resource_id:/", 200, EMPTY);
	assert_answer(s, "/api/v1/model/nodes/node-a/metrics/memory/usage?labels=nonsense", 400, "label \"nonsense\" is not of the form key:value");
}

static void test_model__unknown(void **state)
{
	static const char *const wrong[] = {
		"", "/nonsense", "/nodes/node-a", "/nodes/node-a/nonsense", "/nodes/node-a/freecontainers/a", "/namespaces/default",
		"/namespaces/default/pods/web-1", "/namespaces/default/pods/web-1/containers/c1", "/namespaces/default/pod-list/a", "/namespaces/default/pod-list/a/metrics",
		"/metrics-aggregated/average/cpu/usage", "/pod-id/pod-uid-1/metrics", "/pod-id-list/a/metrics/cpu/usage", "/debug", "/metricss",
	};
	const struct cgm_serve *s = &((const struct model *)*state)->serve;
	struct cgm_reply r;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char url[128];

		snprintf(url, sizeof(url), "/api/v1/model%s", wrong[i]);
		assert_answer(s, url, 404, "404: Page Not Found");
	}
	assert_answer(s, "/api/v1/model/nodes/nope/metrics", 200, "[]");
	assert_answer(s, "/api/v1/model/namespaces/nope/pods", 200, "[]");
	assert_answer(s, "/api/v1/model/nodes/nope/freecontainers", 200, "[]");
	assert_answer(s, "/api/v1/model/namespaces/default/pods/nope/containers", 200, "[]");
	assert_answer(s, "/api/v1/model/metrics/no/such", 200, EMPTY);
	assert_answer(s, "/api/v1/model/nodes/node-a/freecontainers/kubelet/metrics/uptime", 200, EMPTY);
	assert_false(cf_ask(cgm_serve_model, s, "/api/v1/modelling", &r));
	cgm_buf_done(&r.body);
	assert_false(cf_ask(cgm_serve_model, s, "/api/v1/historical/nodes", &r));
	cgm_buf_done(&r.body);
	assert_true(cgm_serve_model(s, &(struct cgm_ask){ .method = "POST", .path = "/api/v1/model/nodes" }, &r));
	assert_int_equal(r.status, 405);
	cgm_buf_done(&r.body);
}

/* A container's own metric, and names with what JSON escapes. */
static void test_model__custom(void **state)
{
	static const struct cgm_tag tags[] = { { "code", "5\"0" } };
	struct cgm_cluster_store *st = cf_store(NULL);
	struct cgm_serve s = { .store = st };
	struct cgm_draft d = { 0 };
	struct cgm_labeled_facts l = { .metric = CGM_CM_CUSTOM, .is_float = true, .name = "qps", .value.f = 2.5 };

	(void)state;
	(void)cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = "n\"\n" } });
	(void)cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_SYS_CONTAINER, .labels = { [CGM_CL_NODENAME] = "n\"\n", [CGM_CL_CONTAINER_NAME] = "system.slice/metrics-a" } });
	cgm_draft_labeled(&d, 1, &l);
	l.labels = tags;
	l.nr_labels = 1;
	l.value.f = -7.75;
	cgm_draft_labeled(&d, 1, &l);
	cf_put(st, cf_seal(&d, "n\"\n", CF_END));
	assert_answer(&s, "/api/v1/model/nodes", 200, "[\"n\\\"\\n\"]");
	assert_answer(&s, "/api/v1/model/nodes/n\"\n/freecontainers/system.slice/metrics-a/metrics", 200, "[\"custom/qps\"]");
	assert_answer(&s, "/api/v1/model/nodes/n\"\n/freecontainers/system.slice/metrics-a/metrics/custom/qps", 200,
		      "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":3}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}");
	assert_answer(&s, "/api/v1/model/nodes/n\"\n/freecontainers/system.slice/metrics-a/metrics/custom/qps?labels=code:5\"0", 200,
		      "{\"metrics\":[{\"timestamp\":\"2026-11-22T15:55:30Z\",\"value\":-8}],\"latestTimestamp\":\"2026-11-22T15:55:30Z\"}");
	cgm_cluster_store_free(st);
}

/* Heapster 0.19's: without a history there is the last minute alone. */
static void test_model__stats(void **state)
{
	const struct cgm_serve *s = &((const struct model *)*state)->serve;

	assert_answer(s, "/api/v1/model/namespaces/default/pods/web-1/containers/c1/stats/", 200,
		      "{\"uptime\":0,\"stats\":{\"cpu-usage\":{\"minute\":{\"average\":199,\"percentile\":200,\"max\":200}},"
		      "\"cpu-limit\":{\"minute\":{\"average\":7,\"percentile\":7,\"max\":7}},\"memory-usage\":{\"minute\":{\"average\":80000000,\"percentile\":80000000,\"max\":80000000}},"
		      "\"memory-working\":{\"minute\":{\"average\":7,\"percentile\":7,\"max\":7}},\"memory-limit\":{\"minute\":{\"average\":7,\"percentile\":7,\"max\":7}}}}");
	assert_answer(s, "/api/v1/model/nodes/nope/stats", 200, "{\"uptime\":0,\"stats\":{}}");
}

/* ---- metric-export ---- */

static enum cgm_set_kind kind_of(json_t *labels)
{
	const char *name = json_string_value(json_object_get(labels, "container_name"));

	if (!strcmp(name, "machine"))
		return CGM_SET_NODE;
	if (!strcmp(name, "/pod"))
		return CGM_SET_POD;
	return json_object_get(labels, "pod_name") ? CGM_SET_CONTAINER : CGM_SET_SYS_CONTAINER;
}

static void put_samples(struct cgm_draft *d, uint32_t set, const char *name, json_t *samples)
{
	int m = cgm_cm_find(cgm_str(name));
	json_t *one;
	size_t i;

	assert_true(m >= 0);
	json_array_foreach(samples, i, one) {
		int64_t start, value = json_integer_value(json_object_get(one, "value"));
		json_t *resource = json_object_get(json_object_get(one, "labels"), "resource_id");

		assert_int_equal(cgm_parse_rfc3339(cgm_str(json_string_value(json_object_get(one, "start"))), &start), 0);
		if (cgm_cm_table[m].cumulative)
			d->sets[set].created_ns = (uint64_t)start;
		if (resource)
			cgm_draft_resource(d, set, (enum cgm_cm)m, cgm_str(json_string_value(resource)), value);
		else
			cgm_draft_int(&d->sets[set], (enum cgm_cm)m, value);
	}
}

/* One recorded set becomes one of a draft; the export has no namespace_name, which its key needs. */
static void put_recorded(struct cgm_draft *d, json_t *recorded)
{
	json_t *labels = json_object_get(recorded, "labels"), *samples;
	struct cgm_entity_facts facts = { .kind = kind_of(labels) };
	uint32_t set = (uint32_t)d->nr_sets;
	const char *name;

	for (unsigned l = 0; l < CGM_NR_CL; l++)
		facts.labels[l] = json_string_value(json_object_get(labels, cgm_cl_name(l)));
	if (facts.labels[CGM_CL_POD_NAME])
		facts.labels[CGM_CL_NAMESPACE_NAME] = "default";
	if (facts.kind == CGM_SET_NODE || facts.kind == CGM_SET_POD)
		facts.labels[CGM_CL_CONTAINER_NAME] = NULL;
	cf_add(d, &facts);
	json_object_foreach(json_object_get(recorded, "metrics"), name, samples)
		put_samples(d, set, name, samples);
	cgm_draft_float(&d->sets[set], CGM_CM_MEMORY_PAGE_FAULTS_RATE, 3); /* what is computed is not exported */
}

static void test_metric_export__recorded(void **state)
{
	_cleanup_free_ char *text = cf_read("heapster-1.5.4-metric-export.json");
	json_t *recorded = cf_json(text, true), *one, *got;
	struct cgm_cluster_store *st = cf_store(NULL);
	struct cgm_serve s = { .store = st };
	struct cgm_draft d = { 0 };
	struct cgm_reply r;
	size_t i, j;

	(void)state;
	json_array_foreach(recorded, i, one)
		put_recorded(&d, one);
	cf_put(st, cf_seal(&d, "node-a", CF_END));
	(void)cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CLUSTER });
	cf_put(st, cf_seal(&d, "", CF_END));
	assert_true(cf_ask(cgm_serve_model, &s, "/api/v1/metric-export", &r));
	got = cf_json(r.body.p, true);
	assert_int_equal(json_array_size(got), json_array_size(recorded));
	json_array_foreach(recorded, i, one) {
		for (j = 0; j < json_array_size(got) && !json_equal(json_array_get(got, j), one);)
			j++;
		if (j == json_array_size(got))
			fail_msg("set %zu is not there: %s", i, r.body.p);
	}
	cgm_buf_done(&r.body);
	s.disable_export = true;
	assert_answer(&s, "/api/v1/metric-export", 200, "[]");
	json_decref(got);
	json_decref(recorded);
	cgm_cluster_store_free(st);
}

/* All of Heapster's metrics, labels, types and units, and our own beside them. */
static void test_metric_export__schema(void **state)
{
	const struct model *m = *state;
	struct cf_answer a;
	struct cgm_reply r;
	json_t *got, *want, *one;
	size_t i, j;

	cf_find(m->recorded, "/api/v1/metric-export-schema", &a);
	assert_true(cf_ask(cgm_serve_model, &m->serve, "/api/v1/metric-export-schema", &r));
	got = cf_json(r.body.p, true);
	want = cf_json(a.body, true);
	assert_true(json_equal(json_object_get(got, "common_labels"), json_object_get(want, "common_labels")));
	assert_true(json_equal(json_object_get(got, "pod_labels"), json_object_get(want, "pod_labels")));
	json_array_foreach(json_object_get(want, "metrics"), i, one) {
		json_t *all = json_object_get(got, "metrics");

		for (j = 0; j < json_array_size(all) && !json_equal(json_array_get(all, j), one);)
			j++;
		if (j == json_array_size(all))
			fail_msg("%s is not there as recorded: %s", json_string_value(json_object_get(one, "name")), r.body.p);
	}
	json_decref(got);
	json_decref(want);
	cgm_buf_done(&r.body);
}

/* ---- memory ---- */

static void test_model__no_memory(void **state)
{
	static const char *const urls[] = {
		"/api/v1/model/metrics/cpu/usage_rate", "/api/v1/model/nodes/node-a/metrics", "/api/v1/model/nodes/node-a/metrics/filesystem/usage?labels=resource_id:/",
		"/api/v1/model/namespaces/default/pod-list/web-1,b/metrics/cpu/usage", "/api/v1/model/debug/allkeys", "/api/v1/model/namespaces",
		"/api/v1/model/namespaces/default/pods", "/api/v1/model/namespaces/default/pods/web-1/containers", "/api/v1/model/nodes/node-a/freecontainers",
		"/api/v1/metric-export", "/api/v1/metric-export-schema", "/api/v1/model/nodes/node-a/stats",
	};
	const struct model *m = *state;

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct cgm_reply whole, r;

		assert_true(cf_ask(cgm_serve_model, &m->serve, urls[i], &whole));
		assert_int_equal(cf_status(&whole), 200);
		for (unsigned long n = 1, nr = n; nr + 1 >= n; n++) {
			(void)cgm_mem_fail_at(n);
			assert_true(cf_ask(cgm_serve_model, &m->serve, urls[i], &r));
			nr = cgm_mem_fail_at(0);
			if (cf_status(&r) == 200 && r.body.p)
				assert_string_equal(r.body.p, whole.body.p);
			else
				assert_true(!r.body.p || r.status == 500);
			cgm_buf_done(&r.body);
		}
		cgm_buf_done(&whole.body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model__recorded),	     cmocka_unit_test(test_model__floats),  cmocka_unit_test(test_model__queries),
		cmocka_unit_test(test_model__unknown),	     cmocka_unit_test(test_model__custom),  cmocka_unit_test(test_metric_export__recorded),
		cmocka_unit_test(test_metric_export__schema), cmocka_unit_test(test_model__stats), cmocka_unit_test(test_model__no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
