// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "capture.h"
#include "fixture.h"
#include "node/options_table.h"

/* NULL behind the last flag. */
static int parse(struct cgm_options *ret, const char *const *flags)
{
	char *argv[32] = { (char *)"node" };
	struct capture c;
	int argc = 1, r;

	for (; flags[argc - 1]; argc++)
		argv[argc] = (char *)flags[argc - 1];
	c = capture_begin(STDERR_FILENO);
	r = cgm_options_parse(argc, argv, ret);
	capture_end(&c);
	return r;
}
#define PARSE(o, ...) parse(o, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- the table ---- */

static const struct cgm_option *find(const char *name, unsigned *ret_nr)
{
	const struct cgm_option *found = NULL;

	*ret_nr = 0;
	for (size_t i = 0; i < cgm_nr_options; i++) {
		if (strcmp(cgm_option_table[i].name, name) != 0)
			continue;
		found = &cgm_option_table[i];
		++*ret_nr;
	}
	return found;
}

static bool is_kind(const struct cgm_option *o, struct cgm_str kind)
{
	switch (o->type) {
	case STRING:
		return cgm_str_eq(kind, "text");
	case BOOL:
		return cgm_str_eq(kind, "bool");
	case NUMBER:
		return cgm_str_eq(kind, "uint") || cgm_str_eq(kind, "int");
	case INTEGER:
		return cgm_str_eq(kind, "int");
	case FLOAT:
		return cgm_str_eq(kind, "float");
	case DURATION:
		return cgm_str_eq(kind, "duration");
	case PERCENT:
	case LIST:
		return false;
	}
	return false;
}

/* Those that are another on purpose: the loopback address, and groups, whose defaults stand in groups.def. */
static bool has_own_default(const char *name)
{
	static const char *const own[] = { "listen_ip", "disable_metrics" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strcmp(own[i], name) == 0)
			return true;
	return false;
}

static bool same_value(const struct cgm_option *o, struct cgm_str a)
{
	uint64_t x, y;

	if (o->type == DURATION)
		return cgm_parse_duration_ns(a, &x) == 0 && cgm_parse_duration_ns(cgm_str(o->def), &y) == 0 && x == y;
	return cgm_str_eq(a, o->def);
}

/* Every flag of cAdvisor's recorded --help is there, once, takes the same kind of value, and has the same default. */
static void test_options__all_flags_of_cadvisor(void **state)
{
	int dir = fixture_open("schema");
	struct cgm_str rest, line, name, kind;
	unsigned nr_flags = 0;
	char *text;
	size_t len;

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(cgm_read_all_at(dir, "cadvisor-flags.txt", 1 << 20, &text, &len), 0);
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		const struct cgm_option *o;
		char flag[64];
		unsigned nr;

		if (line.p[0] == '#')
			continue;
		assert_true(cgm_next_token(&line, &name) && cgm_next_token(&line, &kind));
		snprintf(flag, sizeof(flag), "%.*s", (int)name.len, name.p);
		o = find(flag, &nr);
		if (nr != 1)
			fail_msg("%s: stands %u times in options.def", flag, nr);
		if (!is_kind(o, kind))
			fail_msg("%s: is a %.*s in cAdvisor", flag, (int)kind.len, kind.p);
		if (!has_own_default(flag) && !same_value(o, cgm_trim(line)))
			fail_msg("%s: default %s, in cAdvisor %.*s", flag, o->def, (int)line.len, line.p);
		nr_flags++;
	}
	assert_int_equal(nr_flags, 73);
	free(text);
	close(dir);
}

static void test_options__no_name_twice(void **state)
{
	unsigned nr;

	(void)state;
	for (size_t i = 0; i < cgm_nr_options; i++) {
		find(cgm_option_table[i].name, &nr);
		if (nr != 1)
			fail_msg("%s stands %u times in options.def", cgm_option_table[i].name, nr);
	}
}

/* ---- the command line ---- */

static void test_options_parse__defaults(void **state)
{
	struct cgm_options o;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){ NULL }), 0);
	assert_string_equal(said, "");
	assert_string_equal(o.listen_ip, "127.0.0.1");
	assert_int_equal(o.port, 8080);
	assert_string_equal(o.http_auth_except, "/healthz");
	assert_int_equal(o.interval_ns, CGM_NSEC_PER_SEC);
	assert_int_equal(o.http.max_connections, 256);
	assert_int_equal(o.max_procs, 0);
	assert_false(o.docker_only);
}

static void test_options_parse__as_go_does(void **state)
{
	struct cgm_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "-port=1", "--listen_ip", "::1", "-docker_only", "--disable_root_cgroup_stats=T", "-max_procs", "-3"), 0);
	assert_int_equal(o.port, 1);
	assert_string_equal(o.listen_ip, "::1");
	assert_true(o.docker_only && o.disable_root);
	assert_int_equal(o.max_procs, -3);
	assert_int_equal(PARSE(&o, "-port", "1", "--port=2", "--listen_ip=", "--docker_only=false", "--"), 0);
	assert_int_equal(o.port, 2);
	assert_string_equal(o.listen_ip, "");
	assert_false(o.docker_only);
	assert_int_equal(PARSE(&o, "-docker-tls=false", "--containerd-namespace=k8s.io", "-v=2", "-logtostderr"), 0);
	assert_string_equal(said, "");
	assert_int_equal(o.verbosity, 2);
}

/* As a kubelet is started, with its hyphens. */
static void test_options_parse__as_a_kubelet(void **state)
{
	struct cgm_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--tls-cert-file=c", "--tls_key-file", "k", "--client-ca-file=a", "--anonymous-auth=false", "--authentication-token-webhook",
			       "--authentication-token-webhook-cache-ttl=1m30s", "--authorization-mode=Webhook",
			       "--authorization-webhook-cache-authorized-ttl=7s", "--authorization-webhook-cache-unauthorized-ttl=0s"), 0);
	assert_string_equal(said, "");
	assert_string_equal(o.client_ca_file, "a");
	assert_true(o.review.tokens && o.review.certificates && o.review.authorize && !o.review.anonymous);
	assert_int_equal(o.review.token_ns, 90 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.review.allowed_ns, 7 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.review.denied_ns, 0);
	assert_int_equal(PARSE(&o, "--containerd_namespace=x", NULL), 0);
	assert_string_equal(o.runtimes.containerd_namespace, "x");
	assert_false(o.review.tokens || o.review.certificates || o.review.authorize || o.review.anonymous);
	assert_int_equal(o.review.token_ns, 120 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.review.allowed_ns, 300 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.review.denied_ns, 30 * CGM_NSEC_PER_SEC);
}

static void test_options_parse__faults(void **state)
{
	static const struct {
		const char *flags[3], *says;
	} cases[] = {
		{ { "--port" }, "--port: needs a value" },
		{ { "--por_t=1" }, "--por_t: unknown flag" },
		{ { "--authorization_mode=RBAC" }, "--authorization_mode: takes AlwaysAllow or Webhook" },
		{ { "--authorization_mode=Webhook" }, "nobody would be anybody" },
		{ { "--client_ca_file=x" }, "--client_ca_file: needs --tls_cert_file" },
		{ { "--port=x" }, "--port: takes a whole number" },
		{ { "--port=65536" }, "--port: must be at most 65535" },
		{ { "--port=-1" }, "--port: takes a whole number" },
		{ { "port=1" }, "port: is no flag" },
		{ { "-" }, "-: is no flag" },
		{ { "--", "x" }, "x: is no flag" },
		{ { "--no_such_flag=secret" }, "--no_such_flag: unknown flag" },
		{ { "--=1" }, "--: unknown flag" },
		{ { "---port=1" }, "---port: unknown flag" },
		{ { "--docker_only", "true" }, "true: is no flag" },
		{ { "--docker_only=maybe" }, "--docker_only: takes true or false" },
		{ { "--jitter_factor=fast" }, "--jitter_factor: takes a number" },
		{ { "--jitter_factor=nan" }, "--jitter_factor: takes a number" },
		{ { "--resctrl_interval=1" }, "--resctrl_interval: takes a duration" },
		{ { "--housekeeping_interval=1ms" }, "--housekeeping_interval: must be at least 50ms" },
		{ { "--url_base_prefix=x" }, "--url_base_prefix: must begin with a slash" },
		{ { "--url_base_prefix=/x/" }, "--url_base_prefix: must begin with a slash and not end" },
		{ { "--prometheus_endpoint=" }, "--prometheus_endpoint: must begin" },
		{ { "--tls_cert_file=x" }, "--tls_cert_file: certificate and key" },
		{ { "--tls_key_file=x" }, "--tls_key_file: certificate and key" },
		{ { "--tls_client_ca_file=x" }, "--tls_client_ca_file: needs" },
		{ { "--http_max_connections=7" }, "--http_max_connections: must be from 8" },
		{ { "--http_max_large_answers=0" }, "--http_max_large_answers: must be" },
		{ { "--http_idle_timeout=1ms" }, "--http_idle_timeout: must be" },
		{ { "--enable_metrics=nothing" }, "there is no group \"nothing\"" },
		{ { "--bpf=maybe" }, "--bpf: takes auto or off" },
	};
	struct cgm_options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(&o, cases[i].flags), -EINVAL);
		assert_said(cases[i].says);
		assert_int_equal(count_lines(said), 1);
		assert_null(strstr(said, "secret"));
	}
}

/* One warning for each flag that does nothing, and none for one that asks for what happens in any case. */
static void test_options_parse__accepted(void **state)
{
	struct cgm_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "-jitter_factor=0.5", "-jitter_factor=0.7", "-bq_id=x", "-profiling=1", "-logtostderr=false", "-vmodule=a=1"), 0);
	assert_said("--jitter_factor does nothing here: --housekeeping_interval is the true interval");
	assert_said("--bq_id does nothing here");
	assert_said("--profiling does nothing here: no /debug/pprof");
	assert_said("--logtostderr does nothing here");
	assert_said("--vmodule does nothing here");
	assert_int_equal(count_lines(said), 5);
	assert_int_equal(PARSE(&o, "-logtostderr", "-alsologtostderr", "-stderrthreshold=0", "-jitter_factor=0", "-profiling=F",
			       "-allow_dynamic_housekeeping=f", "-enable_load_reader", "-log_file_max_size=5"), 0);
	assert_string_equal(said, "");
}

static void test_options_parse__each_flag_is_taken(void **state)
{
	static const char *const values[] = { "x", "false", "1", "-1", "0.5", "1m", "1" };

	(void)state;
	for (size_t i = 0; i < cgm_nr_options; i++) {
		const struct cgm_option *t = &cgm_option_table[i];
		struct cgm_options o;
		char flag[128];

		if (t->offset != CGM_OPTION_NO_FIELD)
			continue;
		snprintf(flag, sizeof(flag), "-%s=%s", t->name, values[t->type]);
		assert_int_equal(PARSE(&o, flag), 0);
		assert_in_range(count_lines(said), 0, 1);
		if (count_lines(said))
			assert_said(t->help);
	}
}

static void test_options_parse__version_and_help(void **state)
{
	struct capture c = capture_begin(STDOUT_FILENO);
	char *version[] = { (char *)"node", (char *)"-version", NULL }, *help[] = { (char *)"node", (char *)"--port=1", (char *)"-h", NULL };
	struct cgm_options o;
	struct cgm_str rest, line;
	int r = cgm_options_parse(2, version, &o);

	(void)state;
	capture_end(&c);
	assert_int_equal(r, 1);
	assert_string_equal(said, "cgmeter " CGM_VERSION "\n");
	c = capture_begin(STDOUT_FILENO);
	r = cgm_options_parse(3, help, &o);
	capture_end(&c);
	assert_int_equal(r, 1);
	rest = cgm_str(said);
	while (cgm_next_line(&rest, &line)) {
		size_t columns = 0;

		for (size_t i = 0; i < line.len; i++)
			columns += ((unsigned char)line.p[i] & 0xc0) != 0x80;
		if (columns > 100)
			fail_msg("%zu columns: %.*s", columns, (int)line.len, line.p);
	}
	for (size_t i = 0; i < cgm_nr_options; i++) {
		char flag[80];

		snprintf(flag, sizeof(flag), "\n  --%s", cgm_option_table[i].name);
		if (!strstr(said, flag))
			fail_msg("--help lacks%s", flag);
	}
}

static void test_options_man__every_flag(void **state)
{
	struct capture c = capture_begin(STDOUT_FILENO);
	struct cgm_str rest, line;
	unsigned nr = 0;

	(void)state;
	cgm_options_man();
	capture_end(&c);
	rest = cgm_str(said);
	while (cgm_next_line(&rest, &line)) {
		nr += line.len > 6 && memcmp(line.p, "\\fB\\-\\-", 7) == 0;
		assert_in_range(line.len, 1, 80);
	}
	assert_int_equal(nr, cgm_nr_options);
}

/* ---- the file ---- */

static char config_path[64];

static void write_config(const char *text, size_t len)
{
	FILE *f;

	snprintf(config_path, sizeof(config_path), "/tmp/cgmtest-config-%d", getpid());
	f = fopen(config_path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static int parse_config(struct cgm_options *o, const char *text, size_t len, const char *flag)
{
	char config[80];
	int r;

	write_config(text, len);
	snprintf(config, sizeof(config), "--config=%s", config_path);
	r = flag ? PARSE(o, flag, config) : PARSE(o, config);
	unlink(config_path);
	return r;
}

static void test_options_parse__config(void **state)
{
	static const char text[] = "# a comment\r\n"
				   "\n"
				   "port = 1234\n"
				   "  listen_ip: \"\"  \n"
				   "housekeeping_interval:2s\r\n"
				   "docker_only = true\n"
				   "raw_cgroup_prefix_whitelist = /a:b=c,/d # no comment\n"
				   "url_base_prefix='/x'\n"
				   "docker-tls-ca: ca.pem\n"
				   "jitter_factor = 0.5\n"
				   "pin_dir =";
	struct cgm_options o;

	(void)state;
	assert_int_equal(parse_config(&o, text, sizeof(text) - 1, "--port=99"), 0);
	assert_int_equal(o.port, 99); /* the command line wins */
	assert_string_equal(o.listen_ip, "");
	assert_int_equal(o.interval_ns, 2 * CGM_NSEC_PER_SEC);
	assert_true(o.docker_only);
	assert_string_equal(o.raw_prefixes, "/a:b=c,/d # no comment");
	assert_string_equal(o.url_base_prefix, "/x");
	assert_string_equal(o.pin_dir, "");
	assert_said("--jitter_factor does nothing");
	assert_int_equal(count_lines(said), 1);
	cgm_options_done(&o);
	assert_int_equal(parse_config(&o, "", 0, NULL), 0);
	cgm_options_done(&o);
}

static void test_options_parse__config_faults(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "port = x", ":1: port: takes a whole number" },
		{ "\n\nport", ":3: the line is neither" },
		{ "# c\nnope = 1", ":2: nope: there is no such option" },
		{ "port = 1\nport: 2", ":2: port: stands on line 1 already" },
		{ "--port = 1", ":1: the line does not begin with an option's name" },
		{ "= 1", ":1: the line does not begin" },
		{ "\"port\" = 1", ":1: the line does not begin" },
		{ "config = x", ":1: config: is for the command line alone" },
		{ "version = true", ":1: version: is for the command line alone" },
		{ "docker_only =", ":1: docker_only: takes true or false" },
		{ "port = 70000", "--port: must be at most 65535" },
		{ "storage_driver_password = hidden\nport = hidden", ":2: port: takes a whole number" },
	};
	struct cgm_options o;
	char *large;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse_config(&o, cases[i].text, strlen(cases[i].text), NULL), -EINVAL);
		assert_said(cases[i].says);
		if (strncmp(cases[i].says, "--", 2) != 0)
			assert_said(config_path);
		assert_int_equal(count_lines(said), 1);
		assert_null(strstr(said, "hidden"));
	}
	assert_int_equal(parse_config(&o, "port\0 = 1", 9, NULL), -EINVAL);
	assert_said(":1: the line holds a zero byte");
	assert_int_equal(PARSE(&o, "--config=/nowhere/at/all"), -ENOENT);
	assert_said("--config: cannot read /nowhere/at/all: No such file");
	large = calloc(1, 70000);
	memset(large, '\n', 70000);
	assert_int_equal(parse_config(&o, large, 70000, NULL), -EFBIG);
	assert_said("larger than 64 KiB");
	free(large);
}

static void test_options_parse__config_without_memory(void **state)
{
	static const char text[] = "port = 1\n";
	unsigned long n = 1;
	struct cgm_options o;
	char config[80];
	int r;

	(void)state;
	write_config(text, sizeof(text) - 1);
	snprintf(config, sizeof(config), "--config=%s", config_path);
	do {
		cgm_mem_fail_at(n++);
		r = PARSE(&o, config);
		cgm_mem_fail_at(0);
		assert_true(r == 0 || r == -ENOMEM);
	} while (r < 0);
	assert_true(n > 2);
	cgm_options_done(&o);
	unlink(config_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options__all_flags_of_cadvisor),
		cmocka_unit_test(test_options__no_name_twice),
		cmocka_unit_test(test_options_parse__defaults),
		cmocka_unit_test(test_options_parse__as_go_does),
		cmocka_unit_test(test_options_parse__as_a_kubelet),
		cmocka_unit_test(test_options_parse__faults),
		cmocka_unit_test(test_options_parse__accepted),
		cmocka_unit_test(test_options_parse__each_flag_is_taken),
		cmocka_unit_test(test_options_parse__version_and_help),
		cmocka_unit_test(test_options_man__every_flag),
		cmocka_unit_test(test_options_parse__config),
		cmocka_unit_test(test_options_parse__config_faults),
		cmocka_unit_test(test_options_parse__config_without_memory),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
