// SPDX-License-Identifier: Apache-2.0
#include "export_slices.h"
#include "export_server.h"

#include <jansson.h>

#include "export/answer.h"

static json_t *parse(const char *text, size_t len)
{
	json_error_t error;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (!j)
		fail_msg("%s: %.*s", error.text, (int)len, text);
	return j;
}

/* The point of that metric and that tag. */
static const json_t *find(const json_t *points, const char *metric, const char *key, const char *value)
{
	size_t i;
	json_t *p;

	json_array_foreach(points, i, p) {
		const char *tag = json_string_value(json_object_get(json_object_get(p, "tags"), key));

		if (strcmp(json_string_value(json_object_get(p, "metric")), metric) == 0 && tag && strcmp(tag, value) == 0)
			return p;
	}
	fail_msg("no %s with %s=%s", metric, key, value);
	return NULL;
}

static json_t *points_of(struct exported *e)
{
	char *text = export_text(e);
	_cleanup_free_ char *array = cgm_asprintf("[%.*s]", (int)e->out.len - 2, text);

	return parse(array, strlen(array));
}

static const char *tag(const json_t *p, const char *key)
{
	return json_string_value(json_object_get(json_object_get(p, "tags"), key));
}

static void test_opentsdb__points(void **state)
{
	struct exported e;
	const json_t *p;
	json_t *j;

	(void)state;
	export_open(&e, &cgm_export_opentsdb, "opentsdb:http://127.0.0.1:4242?cluster=my one");
	j = points_of(&e);
	assert_int_equal(json_array_size(j), EXPORT_POINTS + EXPORT_SUMS_POINTS);
	p = find(j, "cpu_usage_cumulative", "type", "node");
	assert_int_equal(json_integer_value(json_object_get(p, "value")), 1500000000);
	assert_int_equal(json_integer_value(json_object_get(p, "timestamp")), 1790000000);
	assert_string_equal(tag(p, "cluster"), "my_one");
	assert_string_equal(tag(p, "labels"), "arch_amd64_zone_a");
	assert_int_equal(json_object_size(json_object_get(p, "tags")), 6);
	p = find(j, "cpu_node_utilization_gauge", "hostname", "host.1");
	assert_true(json_real_value(json_object_get(p, "value")) == 0.1);
	p = find(j, "filesystem_usage_gauge", "resource_id", "Volume_data");
	assert_string_equal(tag(p, "pod_name"), "dns.1");
	p = find(j, "restart_count_gauge", "container_name", "coredns");
	assert_string_equal(tag(p, "app.io/x"), "one");
	assert_string_equal(tag(p, "app_io_x"), "e_vil_______.____");
	assert_string_equal(tag(p, "hostname"), "host.1");
	assert_null(tag(p, "tier")); /* an empty one is no tag */
	p = find(j, "custom_queue.len_gauge", "path", "/x_y");
	assert_true(json_real_value(json_object_get(p, "value")) == -2.5);
	p = find(j, "memory_usage_gauge", "namespace_name", "e_vil_______.____");
	assert_true(json_integer_value(json_object_get(p, "value")) == INT64_MAX);
	p = find(j, "memory_usage_gauge", "type", "cluster");
	assert_int_equal(json_object_size(json_object_get(p, "tags")), 2);
	json_decref(j);
	export_close(&e);
}

static void begin(struct export_server *server, struct exported *e, const char *options)
{
	char uri[256];

	export_server_start(server, EXPORT_HTTP);
	snprintf(uri, sizeof(uri), "opentsdb:http://u:p@127.0.0.1:%u%s", server->port, options);
	export_open(e, &cgm_export_opentsdb, uri);
	export_text(e);
}

static void end(struct export_server *server, struct exported *e)
{
	export_close(e);
	export_server_stop(server);
}

static void test_opentsdb__sends(void **state)
{
	struct export_server server;
	struct exported e;
	struct cgm_sink_attempt a;
	_cleanup_(cgm_buf_done) struct cgm_buf one = { 0 };
	json_t *j;

	(void)state;
	begin(&server, &e, "/tsdb/");
	export_server_add(&server, (struct export_reaction){ .status = 204 });
	export_server_add(&server, (struct export_reaction){ .status = 503, .headers = "Retry-After: 7\r\n", .body = "busy" });
	export_server_add(&server, (struct export_reaction){ .status = 400, .body = "{\"failed\":3,\"success\":997,\"errors\":[{\"error\":\"Unable to parse\"}]}" });
	cgm_buf_put(&one, e.out.p, e.out.len);
	for (unsigned i = 1; i < 120; i++)
		cgm_buf_put(&e.out, one.p, one.len);
	e.nr_points *= 120; /* 2,040: three requests */
	a = export_attempt(&e, true, 20000);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_int_equal(a.retry_after_ns, 7 * CGM_NSEC_PER_SEC);
	assert_string_equal(a.fault, "status 503: busy");
	a = export_attempt(&e, false, 20000); /* goes on where it was */
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 6);
	assert_int_equal(a.loss, CGM_SINK_REJECTED);
	assert_string_equal(a.fault, "Unable to parse");
	assert_int_equal(server.nr_requests, 4);
	assert_int_equal(server.nr_connections, 1);
	assert_non_null(strstr(server.requests[0].head, "POST /tsdb/api/put?details HTTP/1.1\r\n"));
	assert_non_null(strstr(server.requests[0].head, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(server.requests[0].head, "Authorization: Basic dTpw\r\n"));
	for (unsigned i = 0; i < 4; i++) {
		j = parse(server.requests[i].body, server.requests[i].len);
		assert_int_equal(json_array_size(j), i == 3 ? 40 : 1000);
		json_decref(j);
	}
	end(&server, &e);
}

static void test_opentsdb__refused(void **state)
{
	static const struct {
		struct export_reaction reaction;
		bool again;
		uint64_t lost;
		const char *says;
	} cases[] = {
		{ { .status = 200, .body = "{\"failed\":0,\"success\":17,\"errors\":[]}" }, false, 0, "" },
		{ { .status = 400, .body = "{\"failed\":1000000,\"success\":0}" }, false, 17, "refused" },
		{ { .status = 400, .body = "no JSON\r\n" }, false, 17, "status 400: no JSON" },
		{ { .status = 413 }, false, 17, "413" },
		{ { .status = 401 }, false, 17, "401" },
		{ { .status = 302, .headers = "Location: http://127.0.0.1:1/\r\n" }, false, 17, "302" },
		{ { .status = 429 }, true, 0, "429" },
		{ { .status = 500, .body = "{\"error\":{}}" }, true, 0, "500" },
		{ { .how = EXPORT_CLOSE }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_HALF, .status = 200, .body = "x" }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_RUBBISH }, true, 0, "127.0.0.1" },
		{ { .how = EXPORT_HANG }, true, 0, "in time" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct export_server server;
		struct exported e;
		struct cgm_sink_attempt a;
		enum cgm_sink_result r;

		begin(&server, &e, "?pw=hush-hush");
		export_server_add(&server, cases[i].reaction);
		a = export_attempt(&e, true, cases[i].reaction.how == EXPORT_HANG ? 100 : 20000);
		r = e.exporter->send(e.state, &a);
		if (r != (cases[i].again ? CGM_SINK_AGAIN : CGM_SINK_WRITTEN) || a.nr_lost != cases[i].lost || !strstr(a.fault, cases[i].says))
			fail_msg("case %zu: %d, %u lost, \"%s\"", i, r, (unsigned)a.nr_lost, a.fault);
		assert_null(strstr(a.fault, "hush"));
		end(&server, &e);
	}
}

static void test_opentsdb__options(void **state)
{
	(void)state;
	export_refused(&cgm_export_opentsdb, "opentsdb:tcp://h", "tcp://");
	export_refused(&cgm_export_opentsdb, "opentsdb:http://h?clutser=x", "clutser");
	export_refused(&cgm_export_opentsdb, "opentsdb:http://h?insecuressl=perhaps", "insecuressl");
	export_refused(&cgm_export_opentsdb, "opentsdb:http://h?token_file=/no/such/file", "/no/such/file");
	export_refused(&cgm_export_opentsdb, "opentsdb:http://h?cacert=/no/such/file", "/no/such/file");
}

static void test_answer_put(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{}", "{\"failed\":-1,\"success\":1}", "{\"failed\":1}", "{\"failed\":\"1\",\"success\":1}", "\xff" };
	struct cgm_answer_put put;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgm_answer_put(bad[i], strlen(bad[i]), &put), -EINVAL);
	assert_int_equal(cgm_answer_put(NULL, 0, &put), -EINVAL);
}

static void test_opentsdb__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_opentsdb, "opentsdb:http://u:p@h:1?cluster=x&token=t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opentsdb__points),  cmocka_unit_test(test_opentsdb__sends), cmocka_unit_test(test_opentsdb__refused),
		cmocka_unit_test(test_opentsdb__options), cmocka_unit_test(test_answer_put),	  cmocka_unit_test(test_opentsdb__no_memory),
	};

	return cmocka_run_group_tests_name("export_opentsdb", tests, NULL, NULL);
}
