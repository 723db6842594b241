// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink/config.h"
#include "sink_fixture.h"

static char folder[64];

static char *write_file(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/cgmtest-sink-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "secret", "headers" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void test_split_host(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: is none */
		unsigned port;
	} cases[] = {
		{ "localhost:8086", "localhost", 8086 }, { "localhost", "localhost", 7 }, { "[::1]:9", "::1", 9 }, { "[::1]", "::1", 7 },
		{ "fe80::1", "fe80::1", 7 },		 { "10.0.0.1:65535", "10.0.0.1", 65535 },
		{ "", NULL, 0 }, { ":80", NULL, 0 }, { "a:", NULL, 0 }, { "a:0", NULL, 0 }, { "a:65536", NULL, 0 }, { "a:x", NULL, 0 },
		{ "[::1", NULL, 0 }, { "[::1]9", NULL, 0 }, { "[]:1", NULL, 0 }, { "http://a:1", NULL, 0 }, { "a b:1", NULL, 0 },
	};
	char host[CGM_HOST_BYTES];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = cgm_split_host(cases[i].text, 7, host, &port);

		if (r != (cases[i].host ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		if (!cases[i].host)
			continue;
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port, cases[i].port);
	}
}

static void test_url(void **state)
{
	static const struct {
		const char *text;
		bool secure;
		const char *url, *shown; /* NULL: is none */
	} cases[] = {
		{ "localhost:8086", false, "http://localhost:8086", "http://localhost:8086" },
		{ "localhost:8086", true, "https://localhost:8086", "https://localhost:8086" },
		{ "http://a/b/", true, "http://a/b", "http://a" },
		{ "https://me:s3cret@a:1/x?y=z", false, "https://me:s3cret@a:1/x?y=z", "https://a:1" },
		{ "me:p@ss@a", false, "http://me:p@ss@a", "http://a" },
		{ "ftp://a", false, NULL, NULL }, { "http://", false, NULL, NULL }, { "", false, NULL, NULL }, { "a b", false, NULL, NULL },
		{ "http://a\nb", false, NULL, NULL }, { "http://user@", false, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_buf b = { 0 }, shown = { 0 };
		int r = cgm_url_base(&b, cases[i].text, cases[i].secure);

		if (r != (cases[i].url ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		if (cases[i].url) {
			cgm_buf_char(&b, '\0');
			assert_string_equal(b.p, cases[i].url);
			cgm_url_shown(&shown, b.p);
			cgm_buf_char(&shown, '\0');
			assert_string_equal(shown.p, cases[i].shown);
		}
		cgm_buf_done(&b);
		cgm_buf_done(&shown);
	}
}

static void test_url_escape(void **state)
{
	struct cgm_buf b = { 0 };

	(void)state;
	cgm_url_escape(&b, "aZ09-._~ /?&=%\"\n\xff");
	cgm_buf_char(&b, '\0');
	assert_string_equal(b.p, "aZ09-._~%20%2F%3F%26%3D%25%22%0A%FF");
	cgm_buf_done(&b);
}

static void test_secret(void **state)
{
	static const char *const bad[] = { "", "\n", "two\nlines\n" };
	char secret[CGM_SECRET_BYTES], fault[CGM_SINK_FAULT];
	struct cgm_secret s = { "value", "" };

	(void)state;
	assert_int_equal(cgm_secret_get(&s, secret, fault), 0);
	assert_string_equal(secret, "value");
	s.file = write_file("secret", "from file\r\n");
	assert_int_equal(cgm_secret_get(&s, secret, fault), 0);
	assert_string_equal(secret, "from file");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file("secret", bad[i]);
		assert_true(cgm_secret_get(&s, secret, fault) < 0);
		assert_non_null(strstr(fault, "secret"));
	}
	s.file = "/nonexistent/secret";
	assert_int_equal(cgm_secret_get(&s, secret, fault), -ENOENT);
	assert_non_null(strstr(fault, "/nonexistent/secret"));
}

static int count_header(void *arg, const char *header)
{
	static const char *const wanted[] = { "Authorization: Bearer x y", "X-Empty:" };
	unsigned *nr = arg;

	assert_true(*nr < 2);
	assert_string_equal(header, wanted[(*nr)++]);
	return 0;
}

static void test_headers(void **state)
{
	static const char *const bad[] = { "no colon\n", ": no name\n", "A b: c\n", "A: b\x01\n" };
	char fault[CGM_SINK_FAULT];
	unsigned nr = 0;

	(void)state;
	assert_int_equal(cgm_headers_each(write_file("headers", "# comment\n\n  Authorization: Bearer x y \r\nX-Empty:"), count_header, &nr, fault), 0);
	assert_int_equal(nr, 2);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		nr = 2;
		assert_int_equal(cgm_headers_each(write_file("headers", bad[i]), count_header, &nr, fault), -EINVAL);
		assert_non_null(strstr(fault, "line 1"));
	}
	assert_int_equal(cgm_headers_each("/nonexistent/h", count_header, &nr, fault), -ENOENT);
}

static void test_sinks_check__faults_name_the_flag(void **state)
{
	static const struct {
		const char *drivers, *member; /* which member is changed */
		const char *value, *flag, *word;
	} cases[] = {
		{ "nosuch", "", "", "--storage_driver", "stdout, statsd, influxdb, redis, kafka, elasticsearch, otlp" },
		{ "stdout,bigquery", "", "", "--storage_driver", "bigquery is not supported" },
		{ "stdout,stdout", "", "", "--storage_driver", "twice" },
		{ "Stdout", "", "", "--storage_driver", "no driver \"Stdout\"" },
		{ "influxdb", "version", "3", "--storage_driver_influxdb_version", "auto, 1 or 2" },
		{ "influxdb", "version", "2", "--storage_driver_influxdb_version", "token_file" },
		{ "influxdb", "host", "a b", "--storage_driver_host", "a b" },
		{ "influxdb", "password_file", "/nonexistent/p", "--storage_driver_password_file", "/nonexistent/p" },
		{ "influxdb", "ca", "/nonexistent/ca", "--storage_driver_tls_ca_file", "/nonexistent/ca" },
		{ "statsd", "host", "a:99999", "--storage_driver_host", "a:99999" },
		{ "statsd", "protocol", "sctp", "--storage_driver_statsd_protocol", "udp or tcp" },
		{ "redis", "db", "", "--storage_driver_db", "key" },
		{ "redis", "redis_user", "me", "--storage_driver_redis_user", "password" },
		{ "kafka", "topic", "", "--storage_driver_kafka_topic", "empty" },
		{ "kafka", "cert", "/nonexistent/c", "--storage_driver_kafka_ssl_cert", "/nonexistent/c" },
		{ "elasticsearch", "index", "_x", "--storage_driver_es_index", "_x" },
		{ "elasticsearch", "es_host", ",", "--storage_driver_es_host", "URLs" },
		{ "otlp", "endpoint", "ftp://x", "--storage_driver_otlp_endpoint", "ftp://x" },
		{ "otlp", "compression", "zstd", "--storage_driver_otlp_compression", "gzip or none" },
		{ "otlp", "headers", "/nonexistent/h", "--storage_driver_otlp_headers_file", "/nonexistent/h" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cgm_sink_config c = FIXTURE_CONFIG;
		const struct {
			const char *name, **member;
		} members[] = {
			{ "version", &c.influxdb_version }, { "host", &c.host },	    { "password_file", &c.password_file },
			{ "ca", &c.tls_ca_file },	    { "protocol", &c.statsd_protocol }, { "db", &c.db },
			{ "redis_user", &c.redis_user },    { "topic", &c.kafka_topic },    { "cert", &c.kafka_ssl_cert },
			{ "index", &c.es_index },	    { "es_host", &c.es_host },	    { "endpoint", &c.otlp_endpoint },
			{ "compression", &c.otlp_compression }, { "headers", &c.otlp_headers_file },
		};
		const char *flag = "none";
		char what[512] = "";

		c.drivers = cases[i].drivers;
		for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++)
			if (strcmp(members[m].name, cases[i].member) == 0)
				*members[m].member = cases[i].value;
		if (strcmp(cases[i].member, "cert") == 0)
			c.kafka_ssl_key = "/dev/null";
		if (cgm_sinks_check(&c, &flag, what, sizeof(what)) != -EINVAL)
			fail_msg("%s, %s=%s is taken", cases[i].drivers, cases[i].member, cases[i].value);
		if (strcmp(flag, cases[i].flag) != 0 || !strstr(what, cases[i].word))
			fail_msg("%s, %s=%s: %s: %s", cases[i].drivers, cases[i].member, cases[i].value, flag, what);
	}
}

static void test_sinks_check__good(void **state)
{
	static const char *const lists[] = { "", "stdout", "stdout,statsd,influxdb,redis,kafka,elasticsearch,otlp", " otlp , ,stdout," };
	const char *flag;
	char what[512];

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct cgm_sink_config c = FIXTURE_CONFIG;

		c.drivers = lists[i];
		if (cgm_sinks_check(&c, &flag, what, sizeof(what)) != 0)
			fail_msg("%s: %s: %s", lists[i], flag, what);
	}
}

static void test_sinks_check__every_allocation_fails(void **state)
{
	struct cgm_sink_config c = FIXTURE_CONFIG;
	const char *flag;
	char what[512];
	unsigned long nr;

	(void)state;
	c.drivers = "stdout,statsd,influxdb,redis,kafka,elasticsearch,otlp";
	cgm_mem_fail_at(1000000);
	assert_int_equal(cgm_sinks_check(&c, &flag, what, sizeof(what)), 0);
	nr = cgm_mem_fail_at(0);
	assert_true(nr > 10);
	for (unsigned long n = 1; n <= nr; n++) {
		cgm_mem_fail_at(n);
		assert_int_equal(cgm_sinks_check(&c, &flag, what, sizeof(what)), -ENOMEM);
		assert_string_equal(what, "out of memory");
	}
	cgm_mem_fail_at(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_host),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_url_escape),
		cmocka_unit_test(test_secret),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_sinks_check__faults_name_the_flag),
		cmocka_unit_test(test_sinks_check__good),
		cmocka_unit_test(test_sinks_check__every_allocation_fails),
	};

	return cmocka_run_group_tests_name("sink_config", tests, make_folder, remove_folder);
}
