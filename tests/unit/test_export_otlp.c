// SPDX-License-Identifier: Apache-2.0
/* OTLP of a cluster, read back by libprotobuf-c: what it does not know of otlp_metrics.proto is an error. */
#include "export_slices.h"
#include "export_server.h"

#include "otlp_metrics.pb-c.h"
#include "output/gzip.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)

static void known(const ProtobufCMessage *m)
{
	if (m->n_unknown_fields)
		fail_msg("%s: field %u is unknown", m->descriptor->name, m->unknown_fields[0].tag);
}

static const char *attribute(Otlp__KeyValue *const *list, size_t nr, const char *key)
{
	const char *found = "";

	for (size_t i = 0; i < nr; i++) {
		known(&list[i]->base);
		if (strcmp(list[i]->key, key) != 0)
			continue;
		assert_string_equal(found, ""); /* once */
		found = list[i]->value->string_value;
	}
	return found;
}

static const char *who(const Otlp__ResourceMetrics *r, const char *key)
{
	return attribute(r->resource->attributes, r->resource->n_attributes, key);
}

static Otlp__Request *unpack(const char *p, size_t len)
{
	Otlp__Request *q = otlp__request__unpack(NULL, len, (const uint8_t *)p);

	assert_non_null(q);
	known(&q->base);
	return q;
}

/* The resource of that type, and of that pod's name. */
static const Otlp__ResourceMetrics *resource(const Otlp__Request *q, const char *type, const char *pod)
{
	for (size_t i = 0; i < q->n_resource_metrics; i++)
		if (strcmp(who(q->resource_metrics[i], "type"), type) == 0 && strcmp(who(q->resource_metrics[i], "k8s.pod.name"), pod) == 0)
			return q->resource_metrics[i];
	fail_msg("no resource %s %s", type, pod);
	return NULL;
}

static const Otlp__Metric *metric(const Otlp__ResourceMetrics *r, const char *name)
{
	const Otlp__Metric *found = NULL;

	assert_int_equal(r->n_scope_metrics, 1);
	assert_string_equal(r->scope_metrics[0]->scope->name, "cgmeter");
	for (size_t i = 0; i < r->scope_metrics[0]->n_metrics; i++) {
		const Otlp__Metric *m = r->scope_metrics[0]->metrics[i];

		known(&m->base);
		assert_int_equal((m->gauge != NULL) + (m->sum != NULL) + (m->exponential != NULL), 1);
		if (strcmp(m->name, name) != 0)
			continue;
		assert_null(found);
		found = m;
	}
	if (!found)
		fail_msg("no %s", name);
	return found;
}

/* Of its points the one with that attribute. */
static const Otlp__Number *point(const Otlp__ResourceMetrics *r, const char *name, const char *unit, bool sum, const char *key, const char *value)
{
	const Otlp__Metric *m = metric(r, name);
	Otlp__Number **points = m->sum ? m->sum->data_points : m->gauge->data_points;
	size_t nr = m->sum ? m->sum->n_data_points : m->gauge->n_data_points;

	assert_string_equal(m->unit, unit);
	assert_int_equal(m->sum != NULL, sum);
	if (sum)
		assert_true(m->sum->aggregation_temporality == 2 && m->sum->is_monotonic);
	for (size_t i = 0; i < nr; i++) {
		known(&points[i]->base);
		assert_true(points[i]->time_unix_nano == EXPORT_NS);
		assert_int_equal(points[i]->has_start_time_unix_nano, sum);
		if (sum)
			assert_true(points[i]->start_time_unix_nano == EXPORT_CREATED_NS);
		if (!key || strcmp(attribute(points[i]->attributes, points[i]->n_attributes, key), value) == 0)
			return points[i];
	}
	fail_msg("no %s with %s=%s", name, key, value);
	return NULL;
}

static void test_otlp__resources(void **state)
{
	const Otlp__ResourceMetrics *r;
	Otlp__Request *q;
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_otlp, "otlp:http://127.0.0.1:4318?cluster_name=c1");
	export_text(&e);
	q = unpack(e.out.p, e.out.len);
	assert_int_equal(q->n_resource_metrics, 7);
	r = resource(q, "node", "");
	assert_string_equal(who(r, "k8s.cluster.name"), "c1");
	assert_string_equal(who(r, "k8s.node.name"), "node-1");
	assert_string_equal(who(r, "host.name"), "host.1");
	assert_string_equal(who(r, "host.id"), "h1");
	assert_string_equal(who(r, "labels"), "arch:amd64,zone:a");
	r = resource(q, "sys_container", "");
	assert_string_equal(who(r, "container.name"), "sys/kubelet");
	assert_string_equal(who(r, "k8s.container.name"), "");
	r = resource(q, "pod_container", "dns.1");
	assert_string_equal(who(r, "k8s.namespace.name"), "kube-system");
	assert_string_equal(who(r, "k8s.namespace.uid"), "ns-uid");
	assert_string_equal(who(r, "k8s.pod.uid"), "pod-uid");
	assert_string_equal(who(r, "k8s.container.name"), "coredns");
	assert_string_equal(who(r, "container.image.name"), "k8s.io/dns:1");
	assert_string_equal(who(r, "k8s.pod.label.app.io/x"), "one");
	assert_string_equal(who(r, "k8s.pod.label.app_io_x"), "e vil\"\\,=:|;.\n\\xff\xc3\xa4");
	assert_string_equal(who(r, "k8s.pod.label.hostname"), "not me");
	r = resource(q, "pod", "e vil\"\\,=:|;.\n\\xff\xc3\xa4");
	assert_true(point(r, "memory.usage", "By", false, NULL, NULL)->as_int == INT64_MAX);
	r = resource(q, "cluster", "");
	assert_true(point(r, "memory.usage", "By", false, NULL, NULL)->as_int == 123456789);
	otlp__request__free_unpacked(q, NULL);
	export_close(&e);
}

static void test_otlp__points(void **state)
{
	const Otlp__ResourceMetrics *r;
	const Otlp__ExponentialPoint *h;
	const Otlp__Number *p;
	Otlp__Request *q;
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_opentelemetry, "opentelemetry:http://127.0.0.1:4318");
	export_text(&e);
	q = unpack(e.out.p, e.out.len);
	r = resource(q, "node", "");
	assert_true(point(r, "cpu.usage", "ns", true, NULL, NULL)->as_int == 1500000000);
	assert_true(point(r, "cpu.usage_rate", "{millicore}", false, NULL, NULL)->as_int == 250);
	p = point(r, "cpu.node_utilization", "1", false, NULL, NULL);
	assert_true(p->has_as_double && p->as_double == 0.1);
	r = resource(q, "pod", "dns.1");
	assert_true(point(r, "network.rx_rate", "By/s", false, NULL, NULL)->as_double == 1.25);
	assert_true(point(r, "filesystem.usage", "By", false, "resource_id", "Volume:data")->as_int == 7000);
	r = resource(q, "pod_container", "dns.1");
	assert_true(point(r, "uptime", "ms", false, NULL, NULL)->as_int == 90000);
	assert_true(point(r, "filesystem.usage", "By", false, "resource_id", "/")->as_int == 8000);
	assert_true(point(r, "filesystem.usage", "By", false, "resource_id", "logs")->as_int == 9000); /* of one metric */
	assert_true(point(r, "accelerator.duty_cycle", "%", false, "model", "K80")->as_int == 55);
	assert_true(point(r, "custom.queue.len", "1", false, "path", "/x y")->as_double == -2.5);
	assert_string_equal(metric(r, "run_queue_delay")->unit, "s");
	h = metric(r, "run_queue_delay")->exponential->data_points[0];
	known(&h->base);
	assert_true(h->start_time_unix_nano == EXPORT_CREATED_NS && h->time_unix_nano == EXPORT_NS);
	assert_true(h->count == 15 && h->sum == 2.5 && h->zero_count == 4 && h->zero_threshold == 0x1p-20);
	assert_true(h->has_scale && h->scale == 0);
	assert_int_equal(h->positive->offset, -10); /* begins at 2^-10 s */
	assert_int_equal(h->positive->n_bucket_counts, 17);
	assert_true(h->positive->bucket_counts[0] == 8 && h->positive->bucket_counts[16] == 3);
	otlp__request__free_unpacked(q, NULL);
	export_close(&e);
}

static void begin(struct export_server *server, struct exported *e, const char *options)
{
	char uri[256];

	export_server_start(server, EXPORT_HTTP);
	snprintf(uri, sizeof(uri), "otlp:http://127.0.0.1:%u%s", server->port, options);
	export_open(e, &cgm_export_otlp, uri);
	export_text(e);
}

static void test_otlp__sends(void **state)
{
	_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 };

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;

		begin(&server, &e, plain ? "/collect?compression=none&token=hush" : "?compression=gzip");
		a = export_attempt(&e, true, 20000);
		assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
		assert_int_equal(a.nr_lost, 0);
		assert_non_null(strstr(server.requests[0].head, plain ? "POST /collect HTTP" : "POST /v1/metrics HTTP"));
		assert_non_null(strstr(server.requests[0].head, "Content-Type: application/x-protobuf\r\n"));
		assert_int_equal(strstr(server.requests[0].head, "Authorization: Bearer hush") != NULL, plain);
		body.len = 0;
		if (plain)
			cgm_buf_put(&body, server.requests[0].body, server.requests[0].len);
		else
			assert_int_equal(cgm_gunzip_buf(server.requests[0].body, server.requests[0].len, &body), 0);
		assert_int_equal(body.len, e.out.len);
		assert_memory_equal(body.p, e.out.p, body.len);
		export_close(&e);
		export_server_stop(&server);
	}
}

static void test_otlp__refused(void **state)
{
	static const struct {
		struct export_reaction reaction;
		bool again;
		uint64_t lost;
		const char *says;
	} cases[] = {
		{ { .status = 200, .body = "\x0a\x07\x08\x03\x12\x03old", .len = 9 }, false, 3, "old" },
		{ { .status = 200, .body = "\x0a\x04\x08\xe8\x07\x12", .len = 6 }, false, 0, "" },
		{ { .status = 400 }, false, ALL, "400" },
		{ { .status = 403 }, false, ALL, "403" },
		{ { .status = 500 }, false, ALL, "500" }, /* the protocol's word */
		{ { .status = 503, .headers = "Retry-After: 4\r\n" }, true, 0, "503" },
		{ { .status = 429 }, true, 0, "429" },
		{ { .how = EXPORT_RUBBISH }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_HANG }, true, 0, "in time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;
		enum cgm_sink_result r;

		begin(&server, &e, "?user=u&pw=hush");
		export_server_add(&server, cases[i].reaction);
		a = export_attempt(&e, true, cases[i].reaction.how == EXPORT_HANG ? 100 : 20000);
		r = e.exporter->send(e.state, &a);
		if (r != (cases[i].again ? CGM_SINK_AGAIN : CGM_SINK_WRITTEN) || a.nr_lost != cases[i].lost || !strstr(a.fault, cases[i].says))
			fail_msg("case %zu: %d, %u lost, \"%s\"", i, r, (unsigned)a.nr_lost, a.fault);
		assert_null(strstr(a.fault, "hush"));
		export_close(&e);
		export_server_stop(&server);
	}
}

static void test_otlp__options(void **state)
{
	(void)state;
	export_refused(&cgm_export_otlp, "otlp:http://h?compression=zstd", "compression");
	export_refused(&cgm_export_otlp, "otlp:grpc://h", "grpc://");
	export_refused(&cgm_export_otlp, "otlp:http://h?x=1", "unknown option x");
}

static void test_otlp__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_otlp, "otlp:http://h?cluster_name=x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_otlp__resources), cmocka_unit_test(test_otlp__points),  cmocka_unit_test(test_otlp__sends),
		cmocka_unit_test(test_otlp__refused),	cmocka_unit_test(test_otlp__options), cmocka_unit_test(test_otlp__no_memory),
	};

	return cmocka_run_group_tests_name("export_otlp", tests, NULL, NULL);
}
