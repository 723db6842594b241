// SPDX-License-Identifier: Apache-2.0
#include "export_slices.h"
#include "export_server.h"

#include <jansson.h>

#include "base/parse.h"
#include "output/gzip.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)
#define DOCUMENTS 14 /* of all points: a family's share one, as a device's do */

static json_t *parse(struct cgm_str text)
{
	json_error_t error;
	json_t *j = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &error);

	if (!j)
		fail_msg("%s: %.*s", error.text, (int)text.len, text.p);
	return j;
}

/* Of the n-th document: its action and itself. False: there is none. */
static bool document(const char *text, size_t len, size_t n, json_t **ret_action, json_t **ret)
{
	struct cgm_str rest = { text, len }, action, body;

	while (cgm_next_line(&rest, &action)) {
		assert_true(cgm_next_line(&rest, &body));
		if (n--)
			continue;
		*ret_action = parse(action);
		*ret = parse(body);
		return true;
	}
	return false;
}

/* The document that has that tag and, when it is not NULL, that metric (of general ones: that name). Its type is in *ret_type. */
static json_t *find(const char *text, size_t len, const char *key, const char *value, const char *metric, char ret_type[32])
{
	json_t *action, *j;

	for (size_t n = 0; document(text, len, n, &action, &j); n++) {
		const char *tag = json_string_value(json_object_get(json_object_get(j, "MetricsTags"), key));
		const char *name = json_string_value(json_object_get(j, "MetricsName"));
		bool found = tag && strcmp(tag, value) == 0 && (json_object_get(json_object_get(j, "Metrics"), metric) || (name && strcmp(name, metric) == 0));

		snprintf(ret_type, 32, "%s", json_string_value(json_object_get(json_object_get(action, "index"), "_type")));
		json_decref(action);
		if (found)
			return j;
		json_decref(j);
	}
	fail_msg("no %s with %s=%s", metric, key, value);
	return NULL;
}

static double metric(const json_t *j, const char *name)
{
	return json_number_value(json_object_get(json_object_get(json_object_get(j, "Metrics"), name), "value"));
}

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static void test_elasticsearch__documents(void **state)
{
	struct exported e;
	const char *text;
	char type[32];
	unsigned nr = 0;
	json_t *j, *action;

	(void)state;
	export_open(&e, &cgm_export_elasticsearch, "elasticsearch:http://127.0.0.1:9200?index=k8s&cluster_name=c1");
	text = export_text(&e);
	while (document(text, e.out.len, nr, &action, &j)) {
		const json_t *index = json_object_get(action, "index");

		nr++;
		assert_string_equal(text_of(index, "_index"), "k8s-2026.09.21");
		for (size_t before = 0; before + 1 < nr; before++) { /* each with an _id of its own */
			json_t *other_action, *other;

			assert_true(document(text, e.out.len, before, &other_action, &other));
			assert_string_not_equal(text_of(json_object_get(other_action, "index"), "_id"), text_of(index, "_id"));
			json_decref(other_action);
			json_decref(other);
		}
		assert_string_equal(text_of(json_object_get(j, "MetricsTags"), "cluster_name"), "c1");
		json_decref(action);
		json_decref(j);
	}
	j = find(text, e.out.len, "type", "node", "cpu/usage", type);
	assert_string_equal(type, "cpu");
	assert_int_equal(json_object_size(json_object_get(j, "Metrics")), 3);
	assert_true(metric(j, "cpu/usage") == 1500000000 && metric(j, "cpu/usage_rate") == 250 && metric(j, "cpu/node_utilization") == 0.1);
	assert_string_equal(text_of(j, "CpuMetricsTimestamp"), "2026-09-21T14:13:20.123Z");
	json_decref(j);
	j = find(text, e.out.len, "resource_id", "logs", "filesystem/usage", type);
	assert_string_equal(type, "filesystem");
	assert_true(metric(j, "filesystem/usage") == 9000);
	assert_string_equal(text_of(json_object_get(j, "MetricsTags"), "pod_name"), "dns.1");
	json_decref(j);
	j = find(text, e.out.len, "path", "/x y", "custom/queue.len", type);
	assert_string_equal(type, "general");
	assert_true(json_real_value(json_object_get(json_object_get(j, "MetricsValue"), "value")) == -2.5);
	assert_string_equal(text_of(j, "GeneralMetricsTimestamp"), "2026-09-21T14:13:20.123Z");
	json_decref(j);
	j = find(text, e.out.len, "namespace_name", "e vil\"\\,=:|;.\n\xef\xbf\xbd\xc3\xa4", "memory/usage", type);
	assert_true(metric(j, "memory/usage") == (double)INT64_MAX);
	json_decref(j);
	export_close(&e);
	assert_int_equal(nr, DOCUMENTS);
}

/* The same device's points are one document; a float shows that it is one. */
static void test_elasticsearch__devices(void **state)
{
	struct cgm_draft d = { 0 };
	struct cgm_slice *s;
	struct exported e;
	int node = export_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, EXPORT_NODE });
	char type[32];
	json_t *j;

	(void)state;
	cgm_draft_resource(&d, (uint32_t)node, CGM_CM_FILESYSTEM_USAGE, CGM_STR("/"), 1);
	cgm_draft_resource(&d, (uint32_t)node, CGM_CM_FILESYSTEM_USAGE, CGM_STR("/var"), 2);
	cgm_draft_resource(&d, (uint32_t)node, CGM_CM_FILESYSTEM_LIMIT, CGM_STR("/var"), 3);
	cgm_draft_resource(&d, (uint32_t)node, CGM_CM_FILESYSTEM_LIMIT, CGM_STR("/"), 4);
	cgm_draft_float(&d.sets[node], CGM_CM_NETWORK_RX_RATE, 3);
	assert_int_equal(cgm_draft_seal(&d, "n", EXPORT_NS, 1, &s), 0);
	cgm_draft_done(&d);
	export_open(&e, &cgm_export_elasticsearch, "elasticsearch:http://127.0.0.1:9200");
	export_encode(&e, s);
	assert_int_equal(e.nr_points, 5);
	j = find(e.out.p, e.out.len, "resource_id", "/var", "filesystem/limit", type);
	assert_true(metric(j, "filesystem/usage") == 2 && metric(j, "filesystem/limit") == 3);
	json_decref(j);
	j = find(e.out.p, e.out.len, "resource_id", "/", "filesystem/limit", type);
	assert_true(metric(j, "filesystem/usage") == 1 && metric(j, "filesystem/limit") == 4);
	json_decref(j);
	assert_non_null(memmem(e.out.p, e.out.len, "{\"network/rx_rate\":{\"value\":3.0}}", 33));
	cgm_slice_unref(s);
	export_close(&e);
}

#define VERSION(v) ((struct export_reaction){ .status = 200, .body = "{\"version\":{\"number\":\"" v "\"}}" })
#define GOOD "{\"errors\":false,\"items\":[]}"

static void begin(struct export_server *server, struct exported *e, const char *options)
{
	char uri[256];

	export_server_start(server, EXPORT_HTTP);
	snprintf(uri, sizeof(uri), "elasticsearch:http://127.0.0.1:%u?esUserName=u&esUserSecret=hush%s", server->port, options);
	export_open(e, &cgm_export_elasticsearch, uri);
	export_text(e);
}

static void end(struct export_server *server, struct exported *e)
{
	export_close(e);
	export_server_stop(server);
}

static void test_elasticsearch__versions(void **state)
{
	static const struct {
		struct export_reaction version;
		const char *path;
		bool gzip, types;
	} cases[] = {
		{ VERSION("2.4.6"), "POST /_bulk?filter_path=", false, true },
		{ VERSION("5.6.16"), "POST /_bulk?pipeline=p%20q&filter_path=", true, true },
		{ VERSION("6.8.0"), "POST /heapster/doc/_bulk?pipeline=p%20q&filter_path=", true, false },
		{ VERSION("8.12.0"), "POST /_bulk?pipeline=p%20q&filter_path=", true, false },
		{ { .status = 200, .body = "what?" }, "POST /_bulk?pipeline=p%20q&filter_path=", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(cgm_buf_done) struct cgm_buf body = { 0 };
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;
		json_t *j, *action;
		size_t nr = 0;

		begin(&server, &e, "&pipeline=p q&sniff=false&maxRetries=3&healthCheck=1&startupHealthcheckTimeout=2&ver=5&bulkWorkers=5");
		export_server_add(&server, cases[i].version);
		export_server_add(&server, (struct export_reaction){ .status = 200, .body = GOOD });
		a = export_attempt(&e, true, 20000);
		if (e.exporter->send(e.state, &a) != CGM_SINK_WRITTEN)
			fail_msg("case %zu: %s", i, a.fault);
		assert_int_equal(a.nr_lost, 0);
		assert_int_equal(server.nr_requests, 2);
		if (!strstr(server.requests[1].head, cases[i].path))
			fail_msg("%s", server.requests[1].head);
		assert_non_null(strstr(server.requests[1].head, "Authorization: Basic dTpodXNo\r\n"));
		assert_int_equal(strstr(server.requests[1].head, "Content-Encoding: gzip") != NULL, cases[i].gzip);
		if (cases[i].gzip)
			assert_int_equal(cgm_gunzip_buf(server.requests[1].body, server.requests[1].len, &body), 0);
		else
			cgm_buf_put(&body, server.requests[1].body, server.requests[1].len);
		while (document(body.p, body.len, nr, &action, &j)) {
			nr++;
			assert_int_equal(json_object_get(json_object_get(action, "index"), "_type") != NULL, cases[i].types);
			assert_non_null(json_object_get(json_object_get(action, "index"), "_id"));
			json_decref(action);
			json_decref(j);
		}
		assert_int_equal(nr, DOCUMENTS);
		end(&server, &e);
	}
}

static void test_elasticsearch__refused(void **state)
{
	static const struct {
		struct export_reaction reaction;
		bool again;
		uint64_t lost;
		const char *says;
	} cases[] = {
		{ { .status = 200, .body = "{\"errors\":true,\"items\":[{\"index\":{\"status\":400,\"error\":{\"type\":\"mapper\",\"reason\":\"no\"}}},{\"index\":{\"status\":201}}]}" }, false, 2, "mapper: no" },
		{ { .status = 200, .body = "{\"errors\":true,\"items\":[{\"index\":{\"status\":429,\"error\":{\"type\":\"full\",\"reason\":\"no\"}}}]}" }, true, 0, "come again" },
		{ { .status = 200, .body = "[]" }, true, 0, "none" },
		{ { .status = 413 }, false, ALL, "413" },
		{ { .status = 400 }, false, ALL, "400" },
		{ { .status = 401 }, true, 0, "401" },
		{ { .status = 503 }, true, 0, "503" },
		{ { .how = EXPORT_RESET }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_HALF, .status = 200 }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_HANG }, true, 0, "in time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;
		enum cgm_sink_result r;

		begin(&server, &e, "");
		export_server_add(&server, VERSION("8.1.0"));
		export_server_add(&server, cases[i].reaction);
		a = export_attempt(&e, true, cases[i].reaction.how == EXPORT_HANG ? 300 : 20000);
		r = e.exporter->send(e.state, &a);
		if (r != (cases[i].again ? CGM_SINK_AGAIN : CGM_SINK_WRITTEN) || a.nr_lost != cases[i].lost || !strstr(a.fault, cases[i].says))
			fail_msg("case %zu: %d, %u lost, \"%s\"", i, r, (unsigned)a.nr_lost, a.fault);
		assert_null(strstr(a.fault, "hush"));
		end(&server, &e);
	}
}

/* The second of nodes= takes over. */
static void test_elasticsearch__nodes(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	char uri[256];

	(void)state;
	export_server_start(&server, EXPORT_HTTP);
	export_server_add(&server, VERSION("8.1.0"));
	export_server_add(&server, (struct export_reaction){ .status = 200, .body = GOOD });
	snprintf(uri, sizeof(uri), "elasticsearch:?nodes=http://127.0.0.1:1&nodes=http://127.0.0.1:%u", server.port);
	export_open(&e, &cgm_export_elasticsearch, uri);
	export_text(&e);
	a = export_attempt(&e, true, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	a = export_attempt(&e, false, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	end(&server, &e);
}

static void test_elasticsearch__options(void **state)
{
	(void)state;
	export_refused(&cgm_export_elasticsearch, "elasticsearch:", "nodes=");
	export_refused(&cgm_export_elasticsearch, "elasticsearch:?nodes=ftp://x", "nodes=");
	export_refused(&cgm_export_elasticsearch, "elasticsearch:http://h?index=Upper", "index");
	export_refused(&cgm_export_elasticsearch, "elasticsearch:http://h?index=-x", "index");
	export_refused(&cgm_export_elasticsearch, "elasticsearch:http://h?esusername=x", "unknown option esusername");
}

static void test_elasticsearch__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_elasticsearch, "elasticsearch:?nodes=http://h&nodes=http://i&pipeline=p");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elasticsearch__documents), cmocka_unit_test(test_elasticsearch__devices), cmocka_unit_test(test_elasticsearch__versions),
		cmocka_unit_test(test_elasticsearch__refused),	 cmocka_unit_test(test_elasticsearch__nodes),	cmocka_unit_test(test_elasticsearch__options),
		cmocka_unit_test(test_elasticsearch__no_memory),
	};

	return cmocka_run_group_tests_name("export_elasticsearch", tests, NULL, NULL);
}
