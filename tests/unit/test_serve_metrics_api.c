// SPDX-License-Identifier: Apache-2.0
/* The Metrics API: against answers of metrics-server 0.6.4 to the same samples, and as kubectl reads it. */
#include "serve_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "output/http.h"
#include "output/serve.h"
#include "serve/kubernetes.h"
#include "serve/usage.h"

/* ---- no source: only its state counts here ---- */

static struct cgm_source_stats source_stats;

struct cgm_source_stats cgm_source_stats(struct cgm_source *s)
{
	(void)s;
	return source_stats;
}

/* ---- the samples ---- */

#define NODE_LABELS "beta.kubernetes.io/arch:amd64,beta.kubernetes.io/os:linux,kubernetes.io/arch:amd64,kubernetes.io/hostname:peer-node,kubernetes.io/os:linux"
#define MS 1000000ULL

/* What this many nanocores over a window come to. */
static int64_t used(uint64_t nano, uint64_t window_ns)
{
	return (int64_t)((double)nano * (double)window_ns / 1e9 + 1);
}

struct sample {
	uint64_t time_ns, window_ns, cpu_nano;
	int64_t memory_kib;
};

static void put_used(struct made m, const struct sample *s, bool last)
{
	int64_t base = 5 * (int64_t)SEC;

	if (last)
		made_used(m, s->time_ns, T0 - 3600 * SEC, base + (s->cpu_nano ? used(s->cpu_nano, s->window_ns) : 0), s->memory_kib * 1024);
	else
		made_used(m, s->time_ns - s->window_ns, T0 - 3600 * SEC, base, 4096);
}

static void put_cycle(struct cgm_cluster_store *st, bool last)
{
	static const struct sample node = { T0 + 15 * SEC, 10059 * MS, 1477033924, 1986316 }, cpu = { T0 + 5 * SEC, 31720 * MS, 71876053, 372 },
				   io = { T0 + 8 * SEC, 20000 * MS, 2759503, 668 }, sleeper = { T0 - 3 * SEC, 13672 * MS, 0, 808 };
	struct cgm_draft d = { 0 };

	put_used(made_node(&d, "peer-node", NODE_LABELS), &node, last);
	made_pod(&d, "default", "burn", "app:burn,tier:back");
	put_used(made_container(&d, "default", "burn", "cpu"), &cpu, last);
	put_used(made_container(&d, "default", "burn", "io"), &io, last);
	made_container(&d, "default", "burn", "not-started");
	made_pod(&d, "kube-system", "quiet", "app:quiet");
	put_used(made_container(&d, "kube-system", "quiet", "sleeper"), &sleeper, last);
	made_put(st, &d, "peer-node", last ? T0 + 20 * SEC : T0, 20 * SEC);
}

static struct cgm_serve with_samples(void)
{
	struct cgm_serve s = { .store = made_store(), .version = "0.1.0", .resolution_ns = 20 * SEC };

	put_cycle(s.store, false);
	put_cycle(s.store, true);
	return s;
}

/* ---- what metrics-server said ---- */

#define NODE_BODY                                                                                                                                                                                  \
	"\"metadata\":{\"name\":\"peer-node\",\"creationTimestamp\":\"T\",\"labels\":{\"beta.kubernetes.io/arch\":\"amd64\",\"beta.kubernetes.io/os\":\"linux\",\"kubernetes.io/arch\":\"amd64\","  \
	"\"kubernetes.io/hostname\":\"peer-node\",\"kubernetes.io/os\":\"linux\"}},\"timestamp\":\"2026-11-22T16:37:15Z\",\"window\":\"10.059s\","                                                 \
	"\"usage\":{\"cpu\":\"1477033924n\",\"memory\":\"1986316Ki\"}}"
#define BURN_META "\"metadata\":{\"name\":\"burn\",\"namespace\":\"default\",\"creationTimestamp\":\"T\",\"labels\":{\"app\":\"burn\",\"tier\":\"back\"}}"
#define BURN_BODY                                                                                                                                                                                  \
	BURN_META ",\"timestamp\":\"2026-11-22T16:37:05Z\",\"window\":\"31.72s\",\"containers\":[{\"name\":\"cpu\",\"usage\":{\"cpu\":\"71876053n\",\"memory\":\"372Ki\"}},"                       \
		  "{\"name\":\"io\",\"usage\":{\"cpu\":\"2759503n\",\"memory\":\"668Ki\"}}]}"
#define QUIET_META "\"metadata\":{\"name\":\"quiet\",\"namespace\":\"kube-system\",\"creationTimestamp\":\"T\",\"labels\":{\"app\":\"quiet\"}}"
#define QUIET_BODY QUIET_META ",\"timestamp\":\"2026-11-22T16:36:57Z\",\"window\":\"13.672s\",\"containers\":[{\"name\":\"sleeper\",\"usage\":{\"cpu\":\"0\",\"memory\":\"808Ki\"}}]}"
#define API "\"apiVersion\":\"metrics.k8s.io/v1beta1\","
#define LIST(kind, items) "{\"kind\":\"" kind "List\"," API "\"metadata\":{},\"items\":[" items "]}"
#define VERSION "{\"groupVersion\":\"metrics.k8s.io/v1beta1\",\"version\":\"v1beta1\"}"
#define COLUMN(name, format, words) "{\"name\":\"" name "\",\"type\":\"string\",\"format\":\"" format "\",\"description\":\"" words "\",\"priority\":0}"
#define PARTIAL "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\","

/* When an object was made is now, and differs each time. */
static void forget_creation(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_array(j)) {
		json_array_foreach(j, i, value)
			forget_creation(value);
		return;
	}
	json_object_foreach(j, key, value) {
		if (!strcmp(key, "creationTimestamp") && json_is_string(value)) {
			assert_int_equal(json_string_length(value), 20);
			json_string_set(value, "T");
		} else {
			forget_creation(value);
		}
	}
}

static void assert_answer(const struct cgm_serve *s, const char *url, const char *accept, unsigned status, const char *text)
{
	json_t *got = serve_json(cgm_serve_metrics_api, s, url, accept, status), *expected = json_loads(text, 0, NULL);

	assert_non_null(expected);
	forget_creation(got);
	if (!json_equal(got, expected))
		fail_msg("%s: %s", url, json_dumps(got, JSON_COMPACT));
	json_decref(got);
	json_decref(expected);
}

#define ROOT "/apis/metrics.k8s.io/v1beta1"

static void test_metrics_api__as_metrics_server(void **state)
{
	static const struct {
		const char *url, *text;
	} cases[] = {
		{ ROOT "/nodes", LIST("NodeMetrics", "{" NODE_BODY) },
		{ ROOT "/nodes/peer-node", "{\"kind\":\"NodeMetrics\"," API NODE_BODY },
		{ ROOT "/pods", LIST("PodMetrics", "{" BURN_BODY ",{" QUIET_BODY) },
		{ ROOT "/namespaces/default/pods", LIST("PodMetrics", "{" BURN_BODY) },
		{ ROOT "/namespaces/default/pods/burn", "{\"kind\":\"PodMetrics\"," API BURN_BODY },
		{ ROOT "/pods?labelSelector=app=burn", LIST("PodMetrics", "{" BURN_BODY) },
		{ ROOT "/pods?labelSelector=app notin (burn)", LIST("PodMetrics", "{" QUIET_BODY) },
		{ ROOT "/nodes?labelSelector=!kubernetes.io/os", LIST("NodeMetrics", "") },
		{ ROOT "/namespaces/default/pods?fieldSelector=metadata.name=burn", LIST("PodMetrics", "{" BURN_BODY) },
		{ ROOT "/pods?fieldSelector=metadata.namespace==kube-system", LIST("PodMetrics", "{" QUIET_BODY) },
		{ ROOT "/pods?fieldSelector=metadata.namespace!=kube-system,metadata.name!=nope", LIST("PodMetrics", "{" BURN_BODY) },
		{ ROOT "/namespaces/nope/pods", LIST("PodMetrics", "") },
		{ "/apis/metrics.k8s.io", "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"metrics.k8s.io\",\"versions\":[" VERSION "],\"preferredVersion\":" VERSION "}" },
		{ ROOT, "{\"kind\":\"APIResourceList\",\"apiVersion\":\"v1\",\"groupVersion\":\"metrics.k8s.io/v1beta1\",\"resources\":["
			"{\"name\":\"nodes\",\"singularName\":\"\",\"namespaced\":false,\"kind\":\"NodeMetrics\",\"verbs\":[\"get\",\"list\"]},"
			"{\"name\":\"pods\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"PodMetrics\",\"verbs\":[\"get\",\"list\"]}]}" },
	};
	struct cgm_serve s = with_samples();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_answer(&s, cases[i].url, "application/json, */*", 200, cases[i].text);
	assert_answer(&s, ROOT "/nodes/nope", NULL, 404,
		      "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"node \\\"nope\\\" not found\",\"reason\":\"NotFound\","
		      "\"details\":{\"name\":\"nope\",\"kind\":\"node\"},\"code\":404}");
	assert_answer(&s, ROOT "/pods", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json", 200,
		      "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{},\"columnDefinitions\":[" COLUMN("Name", "name", "Name of the resource") "," COLUMN(
			      "cpu", "quantity", "") "," COLUMN("memory", "quantity", "") "," COLUMN("Window", "duration", "") "],\"rows\":["
		      "{\"cells\":[\"burn\",\"74635556n\",\"1040Ki\",\"31.72s\"],\"object\":" PARTIAL BURN_META "}},"
		      "{\"cells\":[\"quiet\",\"0\",\"808Ki\",\"13.672s\"],\"object\":" PARTIAL QUIET_META "}}]}");
	cgm_cluster_store_free(s.store);
}

static void test_metrics_api__faults(void **state)
{
	static const struct {
		const char *url, *accept;
		unsigned status;
		const char *says;
	} cases[] = {
		{ ROOT "/namespaces/default/pods/nope", NULL, 404, "podmetrics.metrics.k8s.io \"default/nope\" not found" },
		{ ROOT "/deployments", NULL, 404, "could not find" },
		{ ROOT "/namespaces/default", NULL, 404, "could not find" },
		{ ROOT "/nodes/a/b", NULL, 404, "could not find" },
		{ ROOT "/nodes", "application/vnd.kubernetes.protobuf", 406, "media types" },
		{ ROOT "/nodes", "application/json;q=0", 406, "media types" },
		{ ROOT "/nodes?watch=true", NULL, 405, "not watched" },
		{ ROOT "/pods?labelSelector=a in", NULL, 400, "labelSelector: " },
		{ ROOT "/pods?fieldSelector=status.phase=Running", NULL, 400, "fieldSelector: " },
		{ ROOT "/pods?fieldSelector=x", NULL, 400, "fieldSelector: " },
		{ ROOT "/pods?includeObject=x", NULL, 400, "includeObject" },
		{ "/apis", "text/html", 406, "media types" },
	};
	struct cgm_serve s = with_samples();
	struct cgm_reply r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *j = serve_json(cgm_serve_metrics_api, &s, cases[i].url, cases[i].accept, cases[i].status);

		assert_string_equal(json_string_value(json_object_get(j, "kind")), "Status");
		assert_int_equal(json_integer_value(json_object_get(j, "code")), cases[i].status);
		if (!strstr(json_string_value(json_object_get(j, "message")), cases[i].says))
			fail_msg("%s says %s", cases[i].url, json_string_value(json_object_get(j, "message")));
		json_decref(j);
	}
	assert_false(serve_ask(cgm_serve_metrics_api, &s, "/apis/apps/v1", NULL, &r));
	assert_false(serve_ask(cgm_serve_metrics_api, &s, "/api/v1/model/nodes", NULL, &r));
	assert_false(serve_ask(cgm_serve_metrics_api, &s, "/livezz", NULL, &r));
	cgm_cluster_store_free(s.store);
}

static void test_wants_of(void **state)
{
	static const struct {
		const char *accept;
		enum cgm_wants wants;
	} cases[] = {
		{ NULL, CGM_WANTS_JSON },
		{ "", CGM_WANTS_JSON },
		{ "*/*", CGM_WANTS_JSON },
		{ "application/vnd.kubernetes.protobuf, */*", CGM_WANTS_JSON },
		{ "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", CGM_WANTS_TABLE },
		{ "application/json;as=Table;v=v1beta1;g=meta.k8s.io", CGM_WANTS_TABLE_BETA },
		{ "application/json;as=Table;v=v2;g=meta.k8s.io", CGM_WANTS_NOTHING },
		{ "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
		  CGM_WANTS_DISCOVERY },
		{ "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", CGM_WANTS_DISCOVERY_BETA },
		{ "application/json ; as=Table ; v=v1 ; g=meta.k8s.io", CGM_WANTS_TABLE },
		{ "text/plain", CGM_WANTS_NOTHING },
		{ ",;,=;;", CGM_WANTS_NOTHING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (cgm_wants_of(cases[i].accept, ~0U) != cases[i].wants)
			fail_msg("%s", cases[i].accept);
	assert_int_equal(cgm_wants_of(cases[4].accept, 1U << CGM_WANTS_JSON), CGM_WANTS_JSON);
}

static void assert_text(void (*put)(struct cgm_buf *, uint64_t), uint64_t v, const char *text)
{
	struct cgm_buf b = { 0 };

	put(&b, v);
	cgm_buf_char(&b, '\0');
	assert_string_equal(b.p, text);
	cgm_buf_done(&b);
}

static void test_quantities(void **state)
{
	(void)state;
	assert_text(cgm_quantity_put_nano, 0, "0");
	assert_text(cgm_quantity_put_nano, 1, "1n");
	assert_text(cgm_quantity_put_nano, 1500000000, "1500m");
	assert_text(cgm_quantity_put_nano, 2000000000, "2");
	assert_text(cgm_quantity_put_nano, 71876000, "71876u");
	assert_text(cgm_quantity_put_nano, 5000000000000, "5k");
	assert_text(cgm_quantity_put_bytes, 0, "0");
	assert_text(cgm_quantity_put_bytes, 40000000, "40000000");
	assert_text(cgm_quantity_put_bytes, 8 << 20, "8Mi");
	assert_text(cgm_quantity_put_bytes, 1040 << 10, "1040Ki");
	assert_text(cgm_duration_put, 0, "0s");
	assert_text(cgm_duration_put, 10059 * MS, "10.059s");
	assert_text(cgm_duration_put, 60 * SEC, "1m0s");
	assert_text(cgm_duration_put, 3661 * SEC + 1, "1h1m1.000000001s");
	assert_text(cgm_duration_put, 1500000, "1.5ms");
	assert_text(cgm_duration_put, 15, "15ns");
}

/* ---- which samples count ---- */

struct point {
	uint64_t end_s, scraped_ns, created_ns;
	int64_t cpu_ns, memory_bytes;
};

/* A node with these samples, one a cycle; what /nodes/n says of it. */
static void assert_usage(const struct point *points, size_t nr, const char *cpu, const char *window)
{
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	json_t *j;

	for (size_t i = 0; i < nr; i++) {
		struct cgm_draft d = { 0 };

		made_used(made_node(&d, "n", NULL), points[i].scraped_ns, points[i].created_ns, points[i].cpu_ns, points[i].memory_bytes);
		made_put(s.store, &d, "n", T0 + points[i].end_s * SEC, 60 * SEC);
	}
	j = serve_json(cgm_serve_metrics_api, &s, ROOT "/nodes/n", NULL, cpu ? 200 : 404);
	if (cpu) {
		assert_string_equal(json_string_value(json_object_get(json_object_get(j, "usage"), "cpu")), cpu);
		assert_string_equal(json_string_value(json_object_get(j, "window")), window);
	}
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

#define ASSERT_USAGE(cpu, window, ...) assert_usage((struct point[]){ __VA_ARGS__ }, sizeof((struct point[]){ __VA_ARGS__ }) / sizeof(struct point), cpu, window)

static void test_used_of(void **state)
{
	(void)state;
	ASSERT_USAGE("100m", "50s", { 0, T0 - 5 * SEC, 0, 1, 1024 }, { 60, T0 + 45 * SEC, 0, 5 * SEC + 1, 1024 });
	/* The sample did not move (an idle pod): the window is the one before. */
	ASSERT_USAGE("100m", "50s", { 0, T0 - 5 * SEC, 0, 1, 1024 }, { 60, T0 + 45 * SEC, 0, 5 * SEC + 1, 1024 }, { 120, T0 + 45 * SEC, 0, 5 * SEC + 1, 1024 });
	/* One sample; of one that is young since its start; too young; and of one that is old. */
	ASSERT_USAGE(NULL, NULL, { 60, T0 + 45 * SEC, 0, 5 * SEC, 1024 });
	ASSERT_USAGE("250m", "20s", { 60, T0 + 45 * SEC, T0 + 25 * SEC, 5 * SEC, 1024 });
	ASSERT_USAGE(NULL, NULL, { 60, T0 + 45 * SEC, T0 + 36 * SEC, 5 * SEC, 1024 });
	ASSERT_USAGE(NULL, NULL, { 60, T0 + 45 * SEC, T0 - 25 * SEC, 5 * SEC, 1024 });
	/* Restarted in between: its counter went back, or it started behind the first sample. */
	ASSERT_USAGE(NULL, NULL, { 0, T0 - 5 * SEC, 0, 9 * SEC, 1024 }, { 60, T0 + 45 * SEC, 0, 5 * SEC, 1024 });
	ASSERT_USAGE("250m", "20s", { 0, T0 - 5 * SEC, T0 - 90 * SEC, 1, 1024 }, { 60, T0 + 45 * SEC, T0 + 25 * SEC, 5 * SEC, 1024 });
	/* Nothing used, no memory: it ends, or has just begun. */
	ASSERT_USAGE(NULL, NULL, { 0, T0 - 5 * SEC, 0, 0, 1024 }, { 60, T0 + 45 * SEC, 0, 0, 1024 });
	ASSERT_USAGE(NULL, NULL, { 0, T0 - 5 * SEC, 0, 1, 1024 }, { 60, T0 + 45 * SEC, 0, 5 * SEC, 0 });
	/* The node tells no times: those of the cycles. */
	ASSERT_USAGE("100m", "1m0s", { 0, 0, 0, 1, 1024 }, { 60, 0, 0, 6 * SEC + 1, 1024 });
}

static void test_usages__all_containers_or_none(void **state)
{
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct cgm_draft d = { 0 };

		made_pod(&d, "a", "p", NULL);
		made_used(made_container(&d, "a", "p", "old"), T0 + i * 60 * SEC, T0 - 600 * SEC, 1000 + i, 4096);
		if (i)
			made_used(made_container(&d, "a", "p", "new"), T0 + 60 * SEC, T0 + 55 * SEC, 1000, 4096);
		made_pod(&d, "a", "unmeasured", NULL);
		made_container(&d, "a", "unmeasured", "c");
		made_put(s.store, &d, "n", T0 + i * 60 * SEC, 60 * SEC);
	}
	assert_answer(&s, ROOT "/pods", NULL, 200, LIST("PodMetrics", ""));
	cgm_cluster_store_free(s.store);
}

/* It moved to another node, whose slice has it, too. */
static void test_usages__one_pod_on_two_nodes(void **state)
{
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	json_t *j;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct cgm_draft d = { 0 };

		made_pod(&d, "a", "p", NULL);
		made_used(made_container(&d, "a", "p", "c"), T0 + i * 60 * SEC, T0 - 600 * SEC, 1000 + i, i < 2 ? 1024 : 2048);
		made_put(s.store, &d, i < 2 ? "n1" : "n2", T0 + i * 60 * SEC, 60 * SEC);
	}
	j = serve_json(cgm_serve_metrics_api, &s, ROOT "/pods", NULL, 200);
	assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
	json_decref(j);
	j = serve_json(cgm_serve_metrics_api, &s, ROOT "/namespaces/a/pods/p", NULL, 200);
	j = (json_decref(j), serve_json(cgm_serve_metrics_api, &s, "/apis/metrics/v1alpha1/namespaces/a/pods/p", NULL, 200));
	assert_string_equal(json_string_value(json_object_get(json_object_get(json_array_get(json_object_get(j, "containers"), 0), "usage"), "memory")), "2Ki");
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

/* ---- Heapster's form ---- */

static void test_heapster_metrics(void **state)
{
	static const char pod[] = "\"metadata\":{\"name\":\"web-1\",\"namespace\":\"default\",\"creationTimestamp\":\"T\"},\"timestamp\":\"2026-11-22T16:37:00Z\",\"window\":\"1m0s\","
				  "\"containers\":[{\"name\":\"c1\",\"usage\":{\"cpu\":\"199m\",\"memory\":\"78125Ki\"}},{\"name\":\"c2\",\"usage\":{\"cpu\":\"99m\",\"memory\":\"40000000\"}}]}";
	static const char node[] = "\"metadata\":{\"name\":\"node-a\",\"creationTimestamp\":\"T\"},\"timestamp\":\"2026-11-22T16:37:00Z\",\"window\":\"1m0s\","
				   "\"usage\":{\"cpu\":\"999m\",\"memory\":\"390625Ki\"}}";
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	struct cgm_draft d = { 0 };
	struct made m;
	char text[1024];
	char *fault;

	(void)state;
	m = made_used(made_node(&d, "node-a", NULL), T0, 0, 1, 400000000);
	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, 999);
	made_pod(&d, "default", "web-1", "app:web");
	m = made_used(made_container(&d, "default", "web-1", "c1"), T0, 0, 1, 80000000);
	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, 199);
	m = made_used(made_container(&d, "default", "web-1", "c2"), T0, 0, 1, 40000000);
	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, 99);
	made_put(s.store, &d, "node-a", T0, 60 * SEC);
	snprintf(text, sizeof(text), "{%s", node);
	assert_answer(&s, "/apis/metrics/v1alpha1/nodes/node-a", NULL, 200, text);
	snprintf(text, sizeof(text), "{\"metadata\":{},\"items\":[{%s]}", node);
	assert_answer(&s, "/apis/metrics/v1alpha1/nodes", NULL, 200, text);
	snprintf(text, sizeof(text), "{%s", pod);
	assert_answer(&s, "/apis/metrics/v1alpha1/namespaces/default/pods/web-1", NULL, 200, text);
	snprintf(text, sizeof(text), "{\"metadata\":{},\"items\":[{%s]}", pod);
	assert_answer(&s, "/apis/metrics/v1alpha1/pods?labelSelector=app=web", NULL, 200, text);
	assert_answer(&s, "/apis/metrics/v1alpha1/namespaces/default/pods", NULL, 200, text);
	fault = serve_text(cgm_serve_metrics_api, &s, "/apis/metrics/v1alpha1/nodes/nope", NULL, 404);
	assert_string_equal(fault, "No metrics for node nope\n");
	free(fault);
	cgm_cluster_store_free(s.store);
}

/* ---- discovery ---- */

static void test_discovery(void **state)
{
	static const char aggregated[] = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
	static const char *const documents[] = { "/api", "/api/v1", "/apis", "/version", "/openapi/v2", "/openapi/v3", "/openapi/v3/apis/metrics.k8s.io/v1beta1",
						"/apis/custom.metrics.k8s.io", "/apis/custom.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2" };
	struct cgm_serve s = with_samples();
	struct cgm_reply r;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++)
		json_decref(serve_json(cgm_serve_metrics_api, &s, documents[i], "application/json", 200));
	assert_answer(&s, "/apis", aggregated, 200,
		      "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"metrics.k8s.io\",\"creationTimestamp\":null},"
		      "\"versions\":[{\"version\":\"v1beta1\",\"resources\":["
		      "{\"resource\":\"nodes\",\"responseKind\":{\"group\":\"metrics.k8s.io\",\"version\":\"v1beta1\",\"kind\":\"NodeMetrics\"},\"scope\":\"Cluster\",\"singularResource\":\"\",\"verbs\":[\"get\",\"list\"]},"
		      "{\"resource\":\"pods\",\"responseKind\":{\"group\":\"metrics.k8s.io\",\"version\":\"v1beta1\",\"kind\":\"PodMetrics\"},\"scope\":\"Namespaced\",\"singularResource\":\"\",\"verbs\":[\"get\",\"list\"]}],"
		      "\"freshness\":\"Current\"}]},{\"metadata\":{\"name\":\"custom.metrics.k8s.io\",\"creationTimestamp\":null},\"versions\":["
		      "{\"version\":\"v1beta2\",\"resources\":[],\"freshness\":\"Current\"},{\"version\":\"v1beta1\",\"resources\":[],\"freshness\":\"Current\"}]}]}");
	assert_true(serve_ask(cgm_serve_metrics_api, &s, "/apis", aggregated, &r));
	assert_string_equal(r.type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
	assert_string_equal(r.vary, "Accept");
	assert_int_equal(strlen(r.etag), 18);
	cgm_buf_done(&r.body);
	j = serve_json(cgm_serve_metrics_api, &s, "/api", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList", 200);
	assert_string_equal(json_string_value(json_object_get(j, "apiVersion")), "apidiscovery.k8s.io/v2beta1");
	json_decref(j);
	cgm_cluster_store_free(s.store);
}

static void test_core_nodes(void **state)
{
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	struct cgm_draft d = { 0 };
	struct made m = made_node(&d, "n", NULL);

	(void)state;
	cgm_draft_float(made_at(m), CGM_CM_CPU_NODE_ALLOCATABLE, 1930);
	cgm_draft_float(made_at(m), CGM_CM_MEMORY_NODE_ALLOCATABLE, 1 << 30);
	cgm_draft_float(made_at(m), CGM_CM_CPU_NODE_CAPACITY, 2000);
	made_put(s.store, &d, "n", T0, 60 * SEC);
	assert_answer(&s, "/api/v1/nodes", NULL, 200,
		      "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"n\",\"creationTimestamp\":null,\"labels\":{}},\"spec\":{},"
		      "\"status\":{\"capacity\":{\"cpu\":\"2\"},\"allocatable\":{\"cpu\":\"1930m\",\"memory\":\"1Gi\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}]}}]}");
	json_decref(serve_json(cgm_serve_metrics_api, &s, "/api/v1/nodes/n", NULL, 200));
	json_decref(serve_json(cgm_serve_metrics_api, &s, "/api/v1/nodes/m", NULL, 404));
	assert_answer(&s, "/api/v1/nodes?labelSelector=a", NULL, 200, "{\"kind\":\"NodeList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}");
	cgm_cluster_store_free(s.store);
}

static void test_core_pods(void **state)
{
	struct cgm_serve s = with_samples();

	(void)state;
	assert_answer(&s, "/api/v1/namespaces/default/pods?labelSelector=app=burn", NULL, 200,
		      "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"burn\",\"namespace\":\"default\",\"creationTimestamp\":null,"
		      "\"labels\":{\"app\":\"burn\",\"tier\":\"back\"}},\"spec\":{\"nodeName\":\"peer-node\",\"containers\":[]},\"status\":{\"phase\":\"Running\"}}]}");
	assert_answer(&s, "/api/v1/pods?fieldSelector=metadata.name=nope", NULL, 200, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}");
	json_decref(serve_json(cgm_serve_metrics_api, &s, "/api/v1/namespaces/default/pods/burn", NULL, 200));
	json_decref(serve_json(cgm_serve_metrics_api, &s, "/api/v1/namespaces/default/pods/nope", NULL, 404));
	cgm_cluster_store_free(s.store);
}

/* ---- custom metrics ---- */

#define CUSTOM "/apis/custom.metrics.k8s.io/v1beta2"
#define ITEM(object, metric, value) "{\"describedObject\":{" object ",\"apiVersion\":\"/v1\"},\"metric\":{\"name\":\"" metric "\",\"selector\":null},\"timestamp\":\"2026-11-22T16:37:00Z\",\"value\":\"" value "\"}"
#define VALUES(items) "{\"kind\":\"MetricValueList\",\"apiVersion\":\"custom.metrics.k8s.io/v1beta2\",\"metadata\":{},\"items\":[" items "]}"
#define POD(name) "\"kind\":\"Pod\",\"namespace\":\"a\",\"name\":\"" name "\""

static void test_custom_metrics(void **state)
{
	static const struct cgm_tag tag[] = { { "queue", "x" } };
	struct cgm_labeled_facts l = { .metric = CGM_CM_CUSTOM, .name = "jobs", .nr_labels = 1, .labels = tag, .value.i = 3 };
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	struct cgm_draft d = { 0 };
	struct made m = made_node(&d, "n", NULL);

	(void)state;
	cgm_draft_int(made_at(m), CGM_CM_TASKS, 1234);
	for (unsigned i = 0; i < 2; i++) {
		m = made_pod(&d, "a", i ? "q" : "p", i ? "app:q" : "app:p");
		cgm_draft_float(made_at(m), CGM_CM_CPU_RUN_QUEUE_DELAY_RATE, i ? 0.25 : 1.5);
		cgm_draft_int(made_at(m), CGM_CM_MEMORY_USAGE, 20000000000);
		for (unsigned k = 0; k < 2; k++) {
			m = made_container(&d, "a", i ? "q" : "p", k ? "c1" : "c2");
			cgm_draft_labeled(&d, (uint32_t)m.i, &l);
		}
	}
	made_put(s.store, &d, "n", T0, 60 * SEC);
	m = made_set(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NAMESPACE, .labels = { [CGM_CL_NAMESPACE_NAME] = "a" } });
	cgm_draft_int(made_at(m), CGM_CM_CPU_USAGE_RATE, 750);
	made_put(s.store, &d, "", T0, 60 * SEC);
	assert_answer(&s, CUSTOM "/namespaces/a/pods/*/cpu_run_queue_delay_rate", NULL, 200,
		      VALUES(ITEM(POD("p"), "cpu_run_queue_delay_rate", "1500m") "," ITEM(POD("q"), "cpu_run_queue_delay_rate", "250m")));
	assert_answer(&s, CUSTOM "/namespaces/a/pods/*/cpu_run_queue_delay_rate?labelSelector=app=q", NULL, 200, VALUES(ITEM(POD("q"), "cpu_run_queue_delay_rate", "250m")));
	assert_answer(&s, CUSTOM "/namespaces/a/pods/p/memory_usage", NULL, 200, VALUES(ITEM(POD("p"), "memory_usage", "20000000000")));
	assert_answer(&s, CUSTOM "/namespaces/a/pods/p/custom_jobs", NULL, 200, VALUES(ITEM(POD("p"), "custom_jobs", "6")));
	assert_answer(&s, CUSTOM "/nodes/n/tasks", NULL, 200, VALUES(ITEM("\"kind\":\"Node\",\"name\":\"n\"", "tasks", "1234")));
	assert_answer(&s, CUSTOM "/namespaces/a/metrics/cpu_usage_rate", NULL, 200, VALUES(ITEM("\"kind\":\"Namespace\",\"name\":\"a\"", "cpu_usage_rate", "750")));
	assert_answer(&s, "/apis/custom.metrics.k8s.io/v1beta1/namespaces/a/pods/p/custom_jobs", NULL, 200,
		      "{\"kind\":\"MetricValueList\",\"apiVersion\":\"custom.metrics.k8s.io/v1beta1\",\"metadata\":{},\"items\":[{\"describedObject\":{" POD(
			      "p") ",\"apiVersion\":\"/v1\"},\"metricName\":\"custom_jobs\",\"timestamp\":\"2026-11-22T16:37:00Z\",\"value\":\"6\",\"selector\":null}]}");
	json_decref(serve_json(cgm_serve_metrics_api, &s, CUSTOM "/namespaces/a/pods/p/nope", NULL, 404));
	json_decref(serve_json(cgm_serve_metrics_api, &s, CUSTOM "/namespaces/b/pods/*/memory_usage", NULL, 404));
	json_decref(serve_json(cgm_serve_metrics_api, &s, CUSTOM "/namespaces/a/pods", NULL, 404));
	cgm_cluster_store_free(s.store);
}

/* ---- checks ---- */

static void assert_plain(const struct cgm_serve *s, const char *url, unsigned status, const char *text)
{
	_cleanup_free_ char *got = serve_text(cgm_serve_metrics_api, s, url, NULL, status);

	assert_string_equal(got, text);
}

static void test_checks(void **state)
{
	struct cgm_serve s = { .store = made_store(), .resolution_ns = 60 * SEC };
	bool standby = true;

	(void)state;
	assert_plain(&s, "/readyz", 500, "[+]ping ok\n[-]metric-storage-ready failed: no metrics to serve\n[+]metric-informer-sync ok\n[+]leader ok\nreadyz check failed\n");
	assert_plain(&s, "/readyz/metric-storage-ready", 500, "metric-storage-ready failed: no metrics to serve\n");
	put_cycle(s.store, true);
	assert_plain(&s, "/readyz", 200, "ok");
	assert_plain(&s, "/readyz/metric-storage-ready", 200, "ok");
	assert_plain(&s, "/readyz/nope", 404, "there is no check \"nope\"\n");
	s.standby = &standby;
	assert_plain(&s, "/readyz/leader", 500, "leader failed: another replica collects\n");
	s.standby = NULL;
	s.source = (struct cgm_source *)&standby; /* only its state is asked for */
	assert_plain(&s, "/livez?verbose", 200, "[+]ping ok\n[+]metric-collection-timely ok\nlivez check passed\n");
	source_stats.last_cycle_end_ns = cgm_clock_real_ns() - 90 * SEC;
	assert_plain(&s, "/livez", 200, "ok");
	source_stats.last_cycle_end_ns = cgm_clock_real_ns() - 200 * SEC;
	assert_plain(&s, "/livez", 500, "[+]ping ok\n[-]metric-collection-timely failed: the last cycle is too old\nlivez check failed\n");
	source_stats.last_cycle_end_ns = 0;
	cgm_cluster_store_free(s.store);
}

/* ---- out of memory ---- */

static void test_metrics_api__every_allocation_fails(void **state)
{
	static const char *const urls[] = { ROOT "/pods?labelSelector=app=burn&fieldSelector=metadata.name=burn", ROOT "/nodes/peer-node", "/apis/metrics/v1alpha1/pods", "/apis", "/openapi/v2",
					    "/api/v1/nodes", "/api/v1/pods", "/apis/custom.metrics.k8s.io/v1beta2/nodes/*/memory_working_set" };
	struct cgm_serve s = with_samples();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
		for (unsigned long n = 1;; n++) {
			struct cgm_reply r;
			bool whole;

			cgm_mem_fail_at(n);
			assert_true(serve_ask(cgm_serve_metrics_api, &s, urls[i], NULL, &r));
			whole = !cgm_mem_fail_at(0) || (r.status == 0 && !r.body.failed);
			assert_true(whole || r.status == 500 || r.body.failed);
			cgm_buf_done(&r.body);
			if (whole)
				break;
			assert_true(n < 1000);
		}
	cgm_cluster_store_free(s.store);
}

/* ---- kubectl ---- */

static bool answer(void *arg, const struct cgm_ask *a, struct cgm_reply *r)
{
	return cgm_serve_metrics_api(arg, a, r);
}

/* What it prints, its errors included; zero-terminated. */
static char *run_kubectl(uint16_t port, const char *args)
{
	_cleanup_free_ char *line = NULL;
	struct cgm_buf out = { 0 };
	char home[] = "/tmp/cgmtest-kubectl-XXXXXX", buf[4096];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_non_null(mkdtemp(home));
	line = cgm_asprintf("HOME=%s KUBECONFIG=/dev/null exec kubectl --server=http://127.0.0.1:%u --cache-dir=%s %s 2>&1", home, port, home, args);
	assert_non_null(line);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	close(fds[1]);
	while ((n = read(fds[0], buf, sizeof(buf))) > 0)
		cgm_buf_put(&out, buf, (size_t)n);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	cgm_buf_char(&out, '\0');
	free(line);
	line = cgm_asprintf("rm -rf %s", home);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return out.p;
}

static void assert_prints(uint16_t port, const char *args, const char *const *words)
{
	_cleanup_free_ char *out = run_kubectl(port, args);
	const char *at = out;

	for (; *words; words++) {
		at = strstr(at, *words);
		if (!at)
			fail_msg("kubectl %s does not print \"%s\" (in this order):\n%s", args, *words, out);
	}
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_metrics_api__kubectl(void **state)
{
	struct cgm_serve s = with_samples();
	const struct cgm_served served = { .answer = answer, .arg = &s };
	struct cgm_http_config c = { .listen_ip = "127.0.0.1", .served = &served, .root_fd = -1 };
	struct cgm_draft d = { 0 };
	struct made m;
	struct cgm_http *http;
	uint16_t port;

	(void)state;
	if (access("/usr/bin/kubectl", X_OK) != 0 && access("/usr/local/bin/kubectl", X_OK) != 0) {
		print_message("kubectl is not installed: what it prints is not looked at\n");
		cgm_cluster_store_free(s.store);
		skip();
	}
	/* 1.477 of 2 CPUs, 1939 of 4096 MiB. */
	m = made_used(made_node(&d, "peer-node", NODE_LABELS), T0 + 15 * SEC, 0, 5 * SEC + used(1477033924, 10059 * MS), 1986316 * 1024L);
	cgm_draft_float(made_at(m), CGM_CM_CPU_NODE_ALLOCATABLE, 2000);
	cgm_draft_float(made_at(m), CGM_CM_MEMORY_NODE_ALLOCATABLE, 4294967296.0);
	made_pod(&d, "default", "burn", "app:burn");
	made_used(made_container(&d, "default", "burn", "cpu"), T0 + 5 * SEC, 0, 5 * SEC + used(71876053, 31720 * MS), 37 << 20);
	made_put(s.store, &d, "peer-node", T0 + 20 * SEC, 20 * SEC);
	assert_int_equal(cgm_http_start(&c, &http), 0);
	port = cgm_http_port(http);
	assert_prints(port, "top nodes", WORDS("CPU(cores)", "peer-node", "1478m", "73%", "1939Mi", "47%"));
	assert_prints(port, "top pods -A --containers", WORDS("NAMESPACE", "default", "burn", "cpu", "72m", "37Mi"));
	assert_prints(port, "top pods -n default -l app=burn", WORDS("burn", "72m", "37Mi"));
	assert_prints(port, "top pod nope -n default", WORDS("NotFound", "\"default/nope\" not found"));
	assert_prints(port, "top pods -n default -l app=none", WORDS("No resources found in default namespace."));
	assert_prints(port, "get --raw " ROOT "/nodes", WORDS("NodeMetricsList", "1477033924n"));
	assert_prints(port, "get nodes.metrics.k8s.io", WORDS("NAME", "CPU", "MEMORY", "WINDOW", "peer-node", "1477033924n", "1986316Ki", "10.059s"));
	assert_prints(port, "get pods.metrics.k8s.io -A", WORDS("NAMESPACE", "NAME", "default", "burn"));
	assert_prints(port, "api-resources", WORDS("nodes", "v1", "metrics.k8s.io/v1beta1", "NodeMetrics", "PodMetrics"));
	cgm_http_stop(http);
	cgm_cluster_store_free(s.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_api__as_metrics_server),
		cmocka_unit_test(test_metrics_api__faults),
		cmocka_unit_test(test_wants_of),
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_used_of),
		cmocka_unit_test(test_usages__all_containers_or_none),
		cmocka_unit_test(test_usages__one_pod_on_two_nodes),
		cmocka_unit_test(test_heapster_metrics),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_core_nodes),
		cmocka_unit_test(test_core_pods),
		cmocka_unit_test(test_custom_metrics),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_metrics_api__every_allocation_fails),
		cmocka_unit_test(test_metrics_api__kubectl),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
