// SPDX-License-Identifier: Apache-2.0
/* The kafka sink: its messages as jansson reads them, and against librdkafka's mock of a cluster. What the client does in detail is in test_sink_kafka.c. */
#include "export_slices.h"

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>

#include "base/parse.h"

#define ALL (EXPORT_POINTS + EXPORT_SUMS_POINTS)

/* The message of that name, and of that tag. */
static json_t *find(const char *text, const char *name, const char *key, const char *value)
{
	struct cgm_str rest = cgm_str(text), line;

	while (cgm_next_line(&rest, &line)) {
		json_error_t error;
		json_t *j = json_loadb(line.p, line.len, JSON_REJECT_DUPLICATES, &error);
		const char *tag = json_string_value(json_object_get(json_object_get(j, "MetricsTags"), key));

		if (!j)
			fail_msg("%s: %.*s", error.text, (int)line.len, line.p);
		if (strcmp(json_string_value(json_object_get(j, "MetricsName")), name) == 0 && tag && strcmp(tag, value) == 0)
			return j;
		json_decref(j);
	}
	fail_msg("no %s with %s=%s", name, key, value);
	return NULL;
}

static double value_of(const json_t *j)
{
	return json_number_value(json_object_get(json_object_get(j, "MetricsValue"), "value"));
}

static const char *tag(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(json_object_get(j, "MetricsTags"), key));
}

static void test_kafka__messages(void **state)
{
	struct exported e;
	const char *text;
	unsigned nr = 0;
	json_t *j;

	(void)state;
	export_open(&e, &cgm_export_kafka, "kafka:?brokers=localhost:9092");
	text = export_text(&e);
	for (const char *p = text; *p; p++)
		nr += *p == '\n';
	assert_int_equal(nr, ALL);
	assert_non_null(strstr(text, "{\"MetricsName\":\"cpu/usage_rate\",\"MetricsValue\":{\"value\":40},\"MetricsTimestamp\":\"2026-09-21T14:13:20.123Z\","
				     "\"MetricsTags\":{\"namespace_id\":\"ns-uid\",\"namespace_name\":\"kube-system\",\"type\":\"ns\"}}\n"));
	j = find(text, "cpu/node_utilization", "type", "node");
	assert_true(value_of(j) == 0.1);
	assert_string_equal(tag(j, "labels"), "arch:amd64,zone:a");
	json_decref(j);
	j = find(text, "filesystem/usage", "resource_id", "Volume:data");
	assert_true(value_of(j) == 7000);
	assert_string_equal(tag(j, "pod_name"), "dns.1");
	json_decref(j);
	j = find(text, "custom/queue.len", "path", "/x y");
	assert_true(value_of(j) == -2.5);
	assert_string_equal(tag(j, "app_io_x"), "e vil\"\\,=:|;.\n\xef\xbf\xbd\xc3\xa4");
	assert_string_equal(tag(j, "hostname"), "host.1");
	json_decref(j);
	export_close(&e);
}

static void test_kafka__options(void **state)
{
	struct exported e;

	(void)state;
	export_open(&e, &cgm_export_kafka, "kafka:?brokers=a:1&brokers=b:2,c:3&timeseriestopic=t&eventstopic=x&compression=gzip&user=u&password=p&insecuressl=true");
	export_close(&e);
	export_refused(&cgm_export_kafka, "kafka:", "brokers");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&timeseriestopic=", "timeseriestopic");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&compression=zip", "compression");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&user=u", "option user");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&cacert=/no/such/file", "option cacert: cannot read /no/such/file");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&insecuressl=x", "insecuressl");
	export_refused(&cgm_export_kafka, "kafka:?brokers=a&topic=x", "unknown option topic");
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(conf, key, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		fail_msg("%s: %s", key, text);
}

/* What stands in the topic, a newline behind each message, until there are nr. */
static void read_topic(const char *brokers, unsigned nr, struct cgm_buf *text)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	uint64_t until = cgm_clock_mono_ns() + 20 * CGM_NSEC_PER_SEC;
	rd_kafka_t *reader;
	char fault[256];

	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "test");
	reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof(fault));
	assert_non_null(reader);
	rd_kafka_topic_partition_list_add(list, "series", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
	assert_int_equal(rd_kafka_assign(reader, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	for (unsigned i = 0; i < nr;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(reader, 200);

		assert_true(cgm_clock_mono_ns() < until);
		if (!m)
			continue;
		if (!m->err) {
			cgm_buf_put(text, m->payload, m->len);
			cgm_buf_char(text, '\n');
			i++;
		}
		rd_kafka_message_destroy(m);
	}
	rd_kafka_destroy(reader);
}

static void test_kafka__sends(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	_cleanup_(cgm_buf_done) struct cgm_buf got = { 0 };
	rd_kafka_mock_cluster_t *mock;
	struct cgm_sink_attempt a;
	rd_kafka_t *owner;
	struct exported e;
	char text[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	set(conf, "log_level", "0");
	owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	mock = rd_kafka_mock_cluster_new(owner, 1);
	rd_kafka_mock_topic_create(mock, "series", 1, 1);
	snprintf(text, sizeof(text), "kafka:?brokers=%s&timeseriestopic=series&compression=gzip", rd_kafka_mock_cluster_bootstraps(mock));
	export_open(&e, &cgm_export_kafka, text);
	export_text(&e);
	rd_kafka_mock_broker_set_down(mock, 1);
	a = export_attempt(&e, true, 200);
	assert_int_equal(e.exporter->send(e.state, &a), CGM_SINK_AGAIN);
	assert_non_null(strstr(a.fault, "17 messages are not acknowledged"));
	rd_kafka_mock_broker_set_up(mock, 1);
	for (unsigned i = 0; i < 40; i++) {
		a = export_attempt(&e, false, 700);
		if (e.exporter->send(e.state, &a) == CGM_SINK_WRITTEN)
			break;
		assert_in_range(i, 0, 38);
	}
	assert_int_equal(a.nr_lost, 0);
	read_topic(rd_kafka_mock_cluster_bootstraps(mock), ALL, &got);
	assert_int_equal(got.len, e.out.len);
	assert_memory_equal(got.p, e.out.p, got.len);
	export_close(&e);
	rd_kafka_mock_cluster_destroy(mock);
	rd_kafka_destroy(owner);
}

static void test_kafka__no_memory(void **state)
{
	(void)state;
	export_fail_each(&cgm_export_kafka, "kafka:?brokers=a:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kafka__messages),
		cmocka_unit_test(test_kafka__options),
		cmocka_unit_test(test_kafka__sends),
		cmocka_unit_test(test_kafka__no_memory),
	};

	return cmocka_run_group_tests_name("export_kafka", tests, NULL, NULL);
}
