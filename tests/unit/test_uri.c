// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/uri.h"

static struct cgm_uri read_uri(const char *text)
{
	struct cgm_uri u = { 0 };
	char fault[200] = "";

	if (cgm_uri_read(text, &u, fault, sizeof(fault)) < 0)
		fail_msg("%s: %s", text, fault);
	return u;
}

struct sample {
	const char *text, *prefix, *scheme, *user, *password, *host;
	unsigned port;
	const char *path, *rest;
};

static const struct sample samples[] = {
	{ "log", "log", "", "", "", "", 0, "", "" },
	{ "log:", "log", "", "", "", "", 0, "", "" },
	{ "log?x=1", "log", "", "", "", "", 0, "", "" },
	{ "influxdb:http://h:8086?db=k8s", "influxdb", "http", "", "", "h", 8086, "", "http://h:8086" },
	{ "influxdb:HTTP://root:s%3Ac%40@h:8086/base/x", "influxdb", "http", "root", "s:c@", "h", 8086, "/base/x", "HTTP://root:s%3Ac%40@h:8086/base/x" },
	{ "influxdb:http://a@b:p@ss@h", "influxdb", "http", "a@b", "p@ss", "h", 0, "", "http://a@b:p@ss@h" },
	{ "influxdb:monitoring-influxdb:80", "influxdb", "", "", "", "monitoring-influxdb", 80, "", "monitoring-influxdb:80" },
	{ "kubernetes:", "kubernetes", "", "", "", "", 0, "", "" },
	{ "kubernetes.summary_api:''", "kubernetes.summary_api", "", "", "", "", 0, "", "" },
	{ "kubernetes.summary_api:\"\"?inClusterConfig=false", "kubernetes.summary_api", "", "", "", "", 0, "", "" },
	{ "kubernetes:https://[fd00::1]:6443", "kubernetes", "https", "", "", "fd00::1", 6443, "", "https://[fd00::1]:6443" },
	{ "x:http://[fe80::1%25eth0]", "x", "http", "", "", "fe80::1%eth0", 0, "", "http://[fe80::1%25eth0]" },
	{ "x:http://h:/", "x", "http", "", "", "h", 0, "/", "http://h:/" },
	{ "x://h:1/p", "x", "", "", "", "h", 1, "/p", "//h:1/p" },
	{ "statsd:udp://h:8125", "statsd", "udp", "", "", "h", 8125, "", "udp://h:8125" },
	{ "sqlite:/var/lib/a,b%20c.db?days=7", "sqlite", "", "", "", "", 0, "/var/lib/a,b c.db", "/var/lib/a,b%20c.db" },
	{ "sqlite:///var/x", "sqlite", "", "", "", "", 0, "/var/x", "///var/x" },
	{ "nodes:http://a:8080,http://b:8080", "nodes", "", "", "", "", 0, "", "http://a:8080,http://b:8080" },
	{ "nodes:http://a/x,https://b", "nodes", "", "", "", "", 0, "", "http://a/x,https://b" },
	{ "nodes:a:1,b:2", "nodes", "", "", "", "", 0, "", "a:1,b:2" },
	{ "nodes:http://[::1]:80,http://[::2]:80", "nodes", "", "", "", "", 0, "", "http://[::1]:80,http://[::2]:80" },
	{ "cadvisor:external?standalone=true", "cadvisor", "", "", "", "external", 0, "", "external" },
};

static void test_read__parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		struct cgm_uri u = read_uri(s->text);

		assert_string_equal(u.text, s->text);
		assert_string_equal(u.prefix, s->prefix);
		assert_string_equal(u.scheme, s->scheme);
		assert_string_equal(u.user, s->user);
		assert_string_equal(u.password, s->password);
		assert_string_equal(u.host, s->host);
		assert_int_equal(u.port, s->port);
		assert_string_equal(u.path, s->path);
		assert_string_equal(u.rest, s->rest);
		cgm_uri_done(&u);
	}
}

static void test_read__faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} bad[] = {
		{ "", "it is empty" },
		{ ":x", "the kind before the first colon is missing" },
		{ "x:http://h:port", "port: port is none" },
		{ "x:http://h:65536", "port: 65536 is none" },
		{ "x:http://h:0", "port: 0 is none" },
		{ "x:http://fd00::1", "host: an IPv6 address must be put in [ ]" },
		{ "x:http://[fd00::1", "host: a [ without its ]" },
		{ "x:http://[fd00::1]8", "host: what follows its ] is no port" },
		{ "x:http://u:p%zz@h", "password: a percent sign without two hexadecimal digits behind it" },
		{ "x:http://h%4", "host: a percent sign without two hexadecimal digits behind it" },
		{ "x:http://h/%00", "path: a percent sign without two hexadecimal digits behind it" },
		{ "x:?pw=secret%", "option pw: a percent sign without two hexadecimal digits behind it" },
		{ "x:?=1", "an option without a name" },
		{ "x:http://h\n?a", "x: a line's end or another control character" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cgm_uri u = { .port = 7 };
		char fault[200] = "";

		assert_int_equal(cgm_uri_read(bad[i].text, &u, fault, sizeof(fault)), -EINVAL);
		assert_string_equal(fault, bad[i].fault);
		assert_int_equal(u.port, 7);
	}
}

/* As Go's os.ExpandEnv. */
static void test_read__environment(void **state)
{
	static const struct {
		const char *text, *rest;
	} cases[] = {
		{ "x:/$CGM_A/b", "/one/b" }, { "x:/${CGM_A}b", "/oneb" }, { "x:/$CGM_NONE", "/" }, { "x:/a$", "/a$" },	       { "x:/a$/", "/a$/" },
		{ "x:/${}a", "/a" },	     { "x:/${CGM_A", "/CGM_A" },  { "x:/$$CGM_A", "/CGM_A" }, { "x:/$CGM_URL", "//h:1" }, { "$CGM_A:/", "/" },
	};
	struct cgm_uri u;

	(void)state;
	setenv("CGM_A", "one", 1);
	setenv("CGM_URL", "/h:1?db=x%26y&db=2", 1);
	unsetenv("CGM_NONE");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u = read_uri(cases[i].text);
		assert_string_equal(u.rest, cases[i].rest);
		cgm_uri_done(&u);
	}
	u = read_uri("x:/$CGM_URL");
	assert_string_equal(cgm_uri_option(&u, "db", 0), "x&y");
	cgm_uri_done(&u);
}

static void test_options(void **state)
{
	struct cgm_uri u = read_uri("x:?a=1&b=&&a=two+w%2B&on=true&n=12&t=1m30s&bad=maybe&last");
	unsigned long n = 5, t = 6;
	char fault[100] = "";
	bool on = false;

	(void)state;
	assert_int_equal(u.nr_options, 8);
	assert_string_equal(cgm_uri_unused(&u), "a");
	assert_string_equal(cgm_uri_option(&u, "a", 0), "1");
	assert_string_equal(cgm_uri_option(&u, "a", 1), "two w+");
	assert_null(cgm_uri_option(&u, "a", 2));
	assert_string_equal(cgm_uri_unused(&u), "b");
	assert_string_equal(cgm_uri_option(&u, "b", 0), "");
	assert_true(cgm_uri_bool(&u, "on", &on, fault, sizeof(fault)) && on);
	assert_true(cgm_uri_number(&u, "n", &n, fault, sizeof(fault)) && n == 12);
	assert_true(cgm_uri_duration_ns(&u, "t", &t, fault, sizeof(fault)) && t == 90000000000);
	assert_true(cgm_uri_number(&u, "none", &n, fault, sizeof(fault)) && n == 12);
	assert_false(cgm_uri_bool(&u, "bad", &on, fault, sizeof(fault)));
	assert_string_equal(fault, "option bad: \"maybe\" is no true or false");
	assert_false(cgm_uri_number(&u, "bad", &n, fault, sizeof(fault)));
	assert_string_equal(fault, "option bad: \"maybe\" is no whole number");
	assert_false(cgm_uri_duration_ns(&u, "bad", &t, fault, sizeof(fault)));
	assert_true(on && n == 12 && t == 90000000000);
	assert_string_equal(cgm_uri_unused(&u), "last");
	assert_string_equal(cgm_uri_option(&u, "last", 0), "");
	assert_null(cgm_uri_unused(&u));
	cgm_uri_done(&u);
}

static void test_shown(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "log", "log:" },
		{ "influxdb:http://root:geheim@h:8086/x?db=k8s&pw=geheim&user=me", "influxdb:http://root:xxx@h:8086/x?db=k8s&pw=xxx&user=me" },
		{ "x:http://geheim@h?Token=geheim&writekey=geheim&esUserSecret=geheim", "x:http://xxx@h?Token=xxx&writekey=xxx&esUserSecret=xxx" },
		{ "nodes:http://a:geheim@b:1,http://c:geh,eim@d:2", "nodes:http://a:xxx@b:1,http://c:xxx@d:2" },
		{ "x:a:geheim@b,c:geheim@d", "x:a:xxx@d" },
		{ "x:?a=b%26c+d", "x:?a=b%26c%20d" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgm_uri u = read_uri(cases[i].text);
		_cleanup_free_ char *shown = cgm_uri_shown(&u);

		assert_string_equal(shown, cases[i].shown);
		cgm_uri_done(&u);
	}
}

static void test_read__no_memory(void **state)
{
	(void)state;
	setenv("CGM_A", "one", 1);
	for (unsigned long n = 1;; n++) {
		struct cgm_uri u = { 0 };
		_cleanup_free_ char *shown = NULL;
		char fault[100] = "";
		int r;

		cgm_mem_fail_at(n);
		r = cgm_uri_read("influxdb:http://u:p@h:1/$CGM_A?a=b&c=d&e=f&g=h&i=j", &u, fault, sizeof(fault));
		if (r == 0)
			shown = cgm_uri_shown(&u);
		if (cgm_mem_fail_at(0) < n) {
			assert_int_equal(r, 0);
			assert_non_null(shown);
			cgm_uri_done(&u);
			assert_true(n > 15);
			return;
		}
		assert_true(r == -ENOMEM || !shown);
		assert_true(r == 0 || strcmp(fault, "out of memory") == 0);
		cgm_uri_done(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read__parts),    cmocka_unit_test(test_read__faults), cmocka_unit_test(test_read__environment),
		cmocka_unit_test(test_options),	       cmocka_unit_test(test_shown),	    cmocka_unit_test(test_read__no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
