// SPDX-License-Identifier: Apache-2.0
/* The kafka driver against librdkafka's mock of a cluster: a real client on a real protocol, with brokers that fail as they are told. */
#include <dirent.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sink_fixture.h"

#define PRODUCE 0 /* the request's number in the protocol */

struct cluster {
	rd_kafka_t *owner, *reader;
	rd_kafka_mock_cluster_t *mock;
	struct cgm_sink_config config;
	struct cgm_sink_stop stop;
	void *driver;
};

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(conf, key, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		fail_msg("%s: %s", key, text);
}

static int begin(void **state)
{
	struct cluster *c = calloc(1, sizeof(*c));
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *flag;
	char text[CGM_SINK_FAULT];

	signal(SIGPIPE, SIG_IGN);
	set(conf, "log_level", "0"); /* it has no servers, and need not say so */
	c->owner = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	c->mock = rd_kafka_mock_cluster_new(c->owner, 1);
	rd_kafka_mock_topic_create(c->mock, "stats", 1, 1);
	c->config = FIXTURE_CONFIG;
	c->config.kafka_brokers = rd_kafka_mock_cluster_bootstraps(c->mock);
	if (cgm_sink_stop_init(&c->stop) < 0 || cgm_sink_kafka.open(&c->config, &c->driver, &flag, text) < 0)
		return -1;
	*state = c;
	return 0;
}

static int end(void **state)
{
	struct cluster *c = *state;

	cgm_sink_kafka.close(c->driver);
	if (c->reader)
		rd_kafka_destroy(c->reader);
	rd_kafka_mock_cluster_destroy(c->mock);
	rd_kafka_destroy(c->owner);
	cgm_sink_stop_done(&c->stop);
	free(c);
	return 0;
}

static struct cgm_sink_attempt attempt(const struct cluster *c, const char *text, uint64_t nr, bool first, unsigned msec)
{
	return (struct cgm_sink_attempt){ .stop = &c->stop, .until_ns = cgm_clock_mono_ns() + msec * CGM_NSEC_PER_MSEC, .data = text,
					  .len = strlen(text), .nr_points = nr, .first = first };
}

/* What stands in the topic from its beginning, with a bar behind each message, until there are nr. */
static void read_topic(struct cluster *c, unsigned nr, char *text, size_t size)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	uint64_t until = cgm_clock_mono_ns() + 20 * CGM_NSEC_PER_SEC;
	char fault[256];

	set(conf, "bootstrap.servers", c->config.kafka_brokers);
	set(conf, "group.id", "test");
	c->reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, fault, sizeof(fault));
	assert_non_null(c->reader);
	rd_kafka_topic_partition_list_add(list, "stats", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
	assert_int_equal(rd_kafka_assign(c->reader, list), 0);
	rd_kafka_topic_partition_list_destroy(list);
	text[0] = '\0';
	for (unsigned i = 0; i < nr;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(c->reader, 200);

		assert_true(cgm_clock_mono_ns() < until);
		if (!m)
			continue;
		if (!m->err) {
			assert_true(strlen(text) + m->len + 2 < size);
			snprintf(text + strlen(text), size - strlen(text), "%.*s|", (int)m->len, (const char *)m->payload);
			i++;
		}
		rd_kafka_message_destroy(m);
	}
}

static void test_kafka__each_line_is_a_message(void **state)
{
	static const char batch[] = "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n";
	struct cluster *c = *state;
	struct cgm_sink_attempt a = attempt(c, batch, 3, true, 20000);
	char text[256];

	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	a = attempt(c, "{\"d\":4}\n", 1, true, 20000);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	read_topic(c, 4, text, sizeof(text));
	assert_string_equal(text, "{\"a\":1}|{\"b\":2}|{\"c\":3}|{\"d\":4}|");
}

/* Of the library's threads: how many block, or do not block, the signal of a denied system call. */
static unsigned nr_threads(bool deaf)
{
	struct dirent *e;
	DIR *dir = opendir("/proc/self/task");
	unsigned nr = 0;

	while ((e = readdir(dir))) {
		unsigned long long blocked = 0;
		bool ours = false;
		char path[300], line[256];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			ours |= strncmp(line, "Name:\trdk:", 10) == 0;
			if (strncmp(line, "SigBlk:", 7) == 0)
				blocked = strtoull(line + 7, NULL, 16);
		}
		if (f)
			fclose(f);
		nr += ours && (blocked >> (SIGSYS - 1) & 1) == deaf;
	}
	closedir(dir);
	return nr;
}

static void test_kafka__a_denied_call_is_no_end(void **state)
{
	struct cluster *c = *state;
	struct cgm_sink_attempt a = attempt(c, "one\n", 1, true, 20000);

	unsigned deaf = 0, others;

	/* The mock's threads come one after the other. */
	for (int same = 0; same < 20; usleep(10000)) {
		unsigned now = nr_threads(true);

		same = now == deaf ? same + 1 : 0;
		deaf = now;
	}
	others = nr_threads(false);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	/* Those of the mock alone, once every thread has come as far as to listen: a broker's may begin just now. */
	for (int i = 0; i < 500 && nr_threads(true) != deaf; i++)
		usleep(10000);
	assert_int_equal(nr_threads(true), deaf);
	assert_true(nr_threads(false) >= others + 2); /* its main thread, and a broker's */
}

/* A broker that is away: the try ends in time, the next goes on where it was, and each message stands there once. */
static void test_kafka__away_and_back(void **state)
{
	static const char batch[] = "one\ntwo\n";
	struct cluster *c = *state;
	uint64_t began = cgm_clock_mono_ns();
	struct cgm_sink_attempt a = attempt(c, batch, 2, true, 700);
	char text[256];

	rd_kafka_mock_broker_set_down(c->mock, 1);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_AGAIN);
	assert_in_range(cgm_clock_mono_ns() - began, 600 * CGM_NSEC_PER_MSEC, 5 * CGM_NSEC_PER_SEC);
	assert_non_null(strstr(a.fault, "2 messages are not acknowledged"));
	rd_kafka_mock_broker_set_up(c->mock, 1);
	for (unsigned i = 0; i < 40; i++) {
		a = attempt(c, batch, 2, false, 700);
		if (cgm_sink_kafka.send(c->driver, &a) == CGM_SINK_WRITTEN)
			break;
		assert_in_range(i, 0, 38);
	}
	assert_int_equal(a.nr_lost, 0);
	read_topic(c, 2, text, sizeof(text));
	assert_string_equal(text, "one|two|");
	assert_null(rd_kafka_consumer_poll(c->reader, 300)); /* and nothing more */
}

/* When the last broker has gone, the library says so behind the reason: the reason stays what is said. */
static void test_kafka__says_why(void **state)
{
	struct cluster *c = *state;
	uint64_t until = cgm_clock_mono_ns() + 20 * CGM_NSEC_PER_SEC;
	struct cgm_sink_attempt a = attempt(c, "x\n", 1, true, 20);

	rd_kafka_mock_broker_set_down(c->mock, 1);
	for (unsigned nr = 0; nr < 10;) {
		assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_AGAIN);
		assert_null(strstr(a.fault, "brokers are down"));
		nr += strstr(a.fault, c->config.kafka_brokers) != NULL;
		assert_true(cgm_clock_mono_ns() < until);
		a = attempt(c, "x\n", 1, false, 20);
	}
}

/* Errors that pass, and one that does not. */
static void test_kafka__errors(void **state)
{
	struct cluster *c = *state;
	struct cgm_sink_attempt a = attempt(c, "x\n", 1, true, 20000);
	char text[64];

	rd_kafka_mock_push_request_errors(c->mock, PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	rd_kafka_mock_push_request_errors(c->mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	a = attempt(c, "y\n", 1, true, 20000);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 1);
	assert_int_equal(a.loss, CGM_SINK_REJECTED);
	/* An error that the library does not try again by itself comes back to us, and goes out anew. */
	rd_kafka_mock_push_request_errors(c->mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	a = attempt(c, "z\n", 1, true, 20000);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_WRITTEN);
	assert_int_equal(a.nr_lost, 0);
	read_topic(c, 2, text, sizeof(text));
	assert_string_equal(text, "x|z|");
}

/* The end does not wait for a broker that is away. */
static void test_kafka__the_end(void **state)
{
	struct cluster *c = *state;
	struct cgm_sink_attempt a = attempt(c, "x\n", 1, true, 60000);
	uint64_t began = cgm_clock_mono_ns();

	rd_kafka_mock_broker_set_down(c->mock, 1);
	cgm_sink_stop_ask(&c->stop, 300 * CGM_NSEC_PER_MSEC);
	assert_int_equal(cgm_sink_kafka.send(c->driver, &a), CGM_SINK_AGAIN);
	assert_in_range(cgm_clock_mono_ns() - began, 200 * CGM_NSEC_PER_MSEC, 3 * CGM_NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kafka__each_line_is_a_message, begin, end),
		cmocka_unit_test_setup_teardown(test_kafka__a_denied_call_is_no_end, begin, end),
		cmocka_unit_test_setup_teardown(test_kafka__away_and_back, begin, end),
		cmocka_unit_test_setup_teardown(test_kafka__says_why, begin, end),
		cmocka_unit_test_setup_teardown(test_kafka__errors, begin, end),
		cmocka_unit_test_setup_teardown(test_kafka__the_end, begin, end),
	};

	return cmocka_run_group_tests_name("sink_kafka", tests, NULL, NULL);
}
