// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "capture.h"
#include "cluster/options.h"
#include "fixture.h"

/* NULL behind the last flag. */
static int parse(struct cgm_cluster_options *ret, const char *const *flags)
{
	char *argv[32] = { (char *)"cluster" };
	struct capture c;
	int argc = 1, r;

	for (; flags[argc - 1]; argc++)
		argv[argc] = (char *)flags[argc - 1];
	c = capture_begin(STDERR_FILENO);
	r = cgm_cluster_options_parse(argc, argv, ret);
	capture_end(&c);
	return r;
}
#define PARSE(o, ...) parse(o, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- the table ---- */

static bool is_same_name(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] && b[i] && (a[i] == b[i] || (strchr("-_", a[i]) && strchr("-_", b[i]))))
		i++;
	return !a[i] && !b[i];
}

static const struct cgm_option *find(const char *name, unsigned *ret_nr)
{
	const struct cgm_option *found = NULL;

	*ret_nr = 0;
	for (size_t i = 0; i < cgm_cluster_flags.nr; i++)
		if (is_same_name(cgm_cluster_flags.table[i].name, name)) {
			found = &cgm_cluster_flags.table[i];
			++*ret_nr;
		}
	return found;
}

static bool is_kind(const struct cgm_option *o, struct cgm_str kind)
{
	static const char *const kinds[] = { [STRING] = "text", [BOOL] = "bool", [NUMBER] = "int", [INTEGER] = "int", [FLOAT] = "float", [DURATION] = "duration", [LIST] = "list" };

	return cgm_str_eq(kind, "value") || (kinds[o->type] && cgm_str_eq(kind, kinds[o->type]));
}

/*
 * Every flag of the programs whose place this one takes is there, once, takes the same kind of value and has the same default, but for what differs on purpose: one program's default against another's (secure_port,
 * cert_dir, log_backtrace_at), intervals that were shorter once, and whatever is another by one's own nature.
 */
static void test_options__all_flags_of_heapster(void **state)
{
	static const char *const own[] = { "secure_port", "cert_dir", "log_backtrace_at", "poll_duration", "sink_frequency", "cache_duration", "sink_memory_ttl",
					   "kubelet_preferred_address_types", "stderrthreshold", "tls_sni_cert_key" };
	int dir = fixture_open("schema");
	struct cgm_str rest, line, program, name, kind;
	unsigned nr_flags = 0;
	char *text;
	size_t len;

	(void)state;
	assert_true(dir >= 0);
	assert_int_equal(cgm_read_all_at(dir, "heapster-flags.txt", 1 << 20, &text, &len), 0);
	rest = (struct cgm_str){ text, len };
	while (cgm_next_line(&rest, &line)) {
		const struct cgm_option *o;
		bool other = false;
		char flag[80];
		unsigned nr;

		if (line.p[0] == '#')
			continue;
		assert_true(cgm_next_token(&line, &program) && cgm_next_token(&line, &name) && cgm_next_token(&line, &kind));
		snprintf(flag, sizeof(flag), "%.*s", (int)name.len, name.p);
		o = find(flag, &nr);
		if (nr != 1)
			fail_msg("%s: stands %u times in options.def", flag, nr);
		if (!is_kind(o, kind))
			fail_msg("%s: is a %.*s in %.*s", flag, (int)kind.len, kind.p, (int)program.len, program.p);
		for (size_t i = 0; i < ARRAY_SIZE(own); i++)
			other |= strcmp(own[i], flag) == 0;
		line = cgm_trim(line);
		if (!other && line.len && !cgm_str_eq(line, o->def))
			fail_msg("%s: default %s, in %.*s %.*s", flag, o->def, (int)program.len, program.p, (int)line.len, line.p);
		nr_flags++;
	}
	assert_true(nr_flags > 100);
	free(text);
	close(dir);
}

static void test_options__no_name_twice(void **state)
{
	unsigned nr;

	(void)state;
	for (size_t i = 0; i < cgm_cluster_flags.nr; i++) {
		find(cgm_cluster_flags.table[i].name, &nr);
		if (nr != 1)
			fail_msg("%s stands %u times in options.def", cgm_cluster_flags.table[i].name, nr);
	}
}

/* ---- the command line ---- */

static void test_options_parse__defaults(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	assert_int_equal(parse(&o, (const char *const[]){ NULL }), 0);
	assert_string_equal(said, "");
	assert_string_equal(o.source, "");
	assert_int_equal(o.port, 8082);
	assert_string_equal(o.listen_ip, "");
	assert_int_equal(o.resolution_ns, 60 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.nr_export_sinks, 0);
	assert_false(o.api_server || o.leader_elect);
	assert_int_equal(o.shard, 0);
	cgm_cluster_options_done(&o);
}

static void test_options_parse__heapsters_lines(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--source=kubernetes:http://10.0.0.1:8080?inClusterConfig=false&useServiceAccount=false", "--sink=influxdb:http://127.0.0.1:8086",
			       "--sink", "log", "--sink=metric", "--metric-resolution=5s", "--heapster_port=18082", "--store_label=app,tier=x", "--store-label=zone",
			       "--logtostderr", "--v=2"), 0);
	assert_string_equal(said, "");
	assert_int_equal(o.nr_export_sinks, 2);
	assert_string_equal(o.export_sinks[0], "influxdb:http://127.0.0.1:8086");
	assert_string_equal(o.export_sinks[1], "log");
	assert_int_equal(o.resolution_ns, 5 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.port, 18082);
	assert_string_equal(o.store_labels, "app,tier=x,zone");
	cgm_cluster_options_done(&o);
	assert_int_equal(PARSE(&o, "-source=kubernetes:http://10.0.0.1:8080?inClusterConfig=false", "-poll_duration=2s", "-port", "9", "-cache_duration=4m"), 0);
	assert_said("--poll_duration: nodes are asked every 5s");
	assert_int_equal(count_lines(said), 1);
	assert_int_equal(o.resolution_ns, 5 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.short_ns, 240 * CGM_NSEC_PER_SEC);
	assert_int_equal(o.port, 9);
	cgm_cluster_options_done(&o);
}

static void test_options_parse__metrics_servers_line(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--cert-dir=/tmp", "--secure-port=4443", "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname", "--kubelet-use-node-status-port",
			       "--kubelet-insecure-tls", "--metric-resolution=15s"), 0);
	assert_string_equal(said, "");
	assert_true(o.api_server);
	assert_int_equal(o.secure_port, 4443);
	assert_memory_equal(o.source, "kubernetes", 10);
	cgm_cluster_options_done(&o);
}

static void test_options_parse__faults(void **state)
{
	static const struct {
		const char *flags[4], *says;
	} cases[] = {
		{ { "--metric_resolution=4s" }, "--metric_resolution: must be at least 5s" },
		{ { "--source=nodes:http://a", "--source=nodes:http://b" }, "--source: one source is wanted" },
		{ { "--source=carrots:x" }, "--source: " },
		{ { "--sink=carrots:hidden" }, "--sink: " },
		{ { "--heapster_port=65536" }, "--heapster_port: must be at most 65535" },
		{ { "--secure_port=65536" }, "--secure_port: must be at most 65535" },
		{ { "--tls_cert=x" }, "--tls_cert: certificate and key" },
		{ { "--tls_cert_file=x" }, "--tls_cert_file: certificate and key" },
		{ { "--tls_client_ca=x" }, "--tls_client_ca: needs --tls_cert" },
		{ { "--allowed_users=x" }, "--allowed_users: needs --tls_client_ca" },
		{ { "--shards=0" }, "--shards: must be from 1" },
		{ { "--shards=2", "--shard=2" }, "--shard: must be less than --shards" },
		{ { "--shards=2" }, "--shards: which of them is ours?" },
		{ { "--node_selector=a in (" }, "--node_selector: " },
		{ { "--kubelet_preferred_address_types=Hostname,Street" }, "--kubelet_preferred_address_types: takes Hostname" },
		{ { "--historical_source=influxdb:http://x" }, "--historical_source: must be the same" },
		{ { "--leader_elect", "--leader_elect_retry_period=20s" }, "--leader_elect_lease_duration: must be more" },
		{ { "--max_parallel=0" }, "--max_parallel: must be from 1" },
		{ { "--node_timeout=1ms" }, "--node_timeout: must be at least" },
		{ { "--scrape_offset=1m" }, "--scrape_offset: must be less" },
		{ { "--http_max_connections=1" }, "--http_max_connections: must be from 8" },
		{ { "--carrots" }, "--carrots: unknown flag" },
		{ { "carrots" }, "carrots: is no flag" },
		{ { "--node_timeout=soon" }, "--node_timeout: takes a duration" },
	};
	struct cgm_cluster_options o;

	(void)state;
	unsetenv("POD_NAME");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = parse(&o, cases[i].flags);

		if (r != -EINVAL)
			fail_msg("%s: %d", cases[i].flags[0], r);
		assert_said(cases[i].says);
		assert_said("cgmeter cluster: ");
		assert_int_equal(count_lines(said), 1);
	}
}

static void test_options_parse__shard_of_a_stateful_set(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	setenv("POD_NAME", "cgmeter-cluster-2", 1);
	assert_int_equal(PARSE(&o, "--shards=3"), 0);
	assert_int_equal(o.shard, 2);
	cgm_cluster_options_done(&o);
	assert_int_equal(PARSE(&o, "--shards=3", "--shard=0"), 0);
	assert_int_equal(o.shard, 0);
	cgm_cluster_options_done(&o);
	assert_int_equal(PARSE(&o, "--shards=2"), -EINVAL);
	setenv("POD_NAME", "cgmeter-cluster-x7f", 1);
	assert_int_equal(PARSE(&o, "--shards=3"), -EINVAL);
	unsetenv("POD_NAME");
}

static void test_options_parse__accepted(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--stats_resolution=1s", "--bq_id=x", "--vmodule=a=1", "--log_flush_frequency=1s", "--profiling=false"), 0);
	assert_said("--stats_resolution does nothing here: each node is asked once");
	assert_said("--bq_id does nothing here: there is no BigQuery sink");
	assert_said("--vmodule does nothing here");
	assert_int_equal(count_lines(said), 3);
	cgm_cluster_options_done(&o);
}

/* What a source's URI says is not said by flags beside it, and whoever gives both is told. */
static void test_options_parse__beside_a_source(void **state)
{
	struct cgm_cluster_options o;

	(void)state;
	assert_int_equal(PARSE(&o, "--source=kubernetes:http://a:1?inClusterConfig=false", "--kubelet_port=1", "--deprecated_kubelet_completely_insecure", "--node_selector=a=b"), 0);
	assert_said("--kubelet_port does nothing beside --source");
	assert_said("--deprecated_kubelet_completely_insecure does nothing beside --source");
	assert_int_equal(count_lines(said), 2);
	cgm_cluster_options_done(&o);
}

/* Lists may stand on several lines, and the command line takes the place of all of them. */
static void test_options_parse__config(void **state)
{
	static const char text[] = "metric-resolution = 10s\nsink = log\nsink: influxdb:http://x:8086?db=a\nlisten_ip=127.0.0.1\n";
	char path[64], flag[96];
	struct cgm_cluster_options o;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/cgmtest-cluster-config-%d", getpid());
	snprintf(flag, sizeof(flag), "--config=%s", path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(PARSE(&o, flag), 0);
	assert_int_equal(o.nr_export_sinks, 2);
	assert_string_equal(o.export_sinks[1], "influxdb:http://x:8086?db=a");
	assert_int_equal(o.resolution_ns, 10 * CGM_NSEC_PER_SEC);
	cgm_cluster_options_done(&o);
	assert_int_equal(PARSE(&o, "--metric_resolution=20s", "--sink=log", flag), 0);
	assert_int_equal(o.nr_export_sinks, 1);
	assert_int_equal(o.resolution_ns, 20 * CGM_NSEC_PER_SEC);
	cgm_cluster_options_done(&o);
	unlink(path);
}

static void test_options_parse__without_memory(void **state)
{
	struct cgm_cluster_options o;
	unsigned long n = 1;
	int r;

	(void)state;
	do {
		cgm_mem_fail_at(n++);
		r = PARSE(&o, "--sink=log", "--sink=metric", "--store_label=a", "--kubelet_port=1", "--node_selector=a=b,c!=d");
		cgm_mem_fail_at(0);
		if (r < 0)
			assert_true(count_lines(said) >= 1);
	} while (r < 0 && n < 200);
	assert_int_equal(r, 0);
	cgm_cluster_options_done(&o);
}

/* ---- what is printed ---- */

static void test_options__help_man_and_reference(void **state)
{
	struct capture c = capture_begin(STDOUT_FILENO);
	struct cgm_str rest, line;
	unsigned nr = 0;

	(void)state;
	cgm_cluster_options_help();
	capture_end(&c);
	rest = cgm_str(said);
	while (cgm_next_line(&rest, &line)) {
		size_t columns = 0;

		for (size_t i = 0; i < line.len; i++)
			columns += ((unsigned char)line.p[i] & 0xc0) != 0x80;
		if (columns > 100)
			fail_msg("%zu columns: %.*s", columns, (int)line.len, line.p);
	}
	for (size_t i = 0; i < cgm_cluster_flags.nr; i++) {
		char flag[80];

		snprintf(flag, sizeof(flag), "\n  --%s", cgm_cluster_flags.table[i].name);
		if (!strstr(said, flag))
			fail_msg("--help lacks%s", flag);
	}
	c = capture_begin(STDOUT_FILENO);
	cgm_cluster_options_man();
	capture_end(&c);
	rest = cgm_str(said);
	while (cgm_next_line(&rest, &line)) {
		nr += line.len > 6 && memcmp(line.p, "\\fB\\-\\-", 7) == 0;
		assert_in_range(line.len, 1, 80);
	}
	assert_int_equal(nr, cgm_cluster_flags.nr);
	c = capture_begin(STDOUT_FILENO);
	cgm_cluster_options_reference();
	capture_end(&c);
	assert_int_equal(count_lines(said), cgm_cluster_flags.nr + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options__all_flags_of_heapster),
		cmocka_unit_test(test_options__no_name_twice),
		cmocka_unit_test(test_options_parse__defaults),
		cmocka_unit_test(test_options_parse__heapsters_lines),
		cmocka_unit_test(test_options_parse__metrics_servers_line),
		cmocka_unit_test(test_options_parse__faults),
		cmocka_unit_test(test_options_parse__shard_of_a_stateful_set),
		cmocka_unit_test(test_options_parse__accepted),
		cmocka_unit_test(test_options_parse__beside_a_source),
		cmocka_unit_test(test_options_parse__config),
		cmocka_unit_test(test_options_parse__without_memory),
		cmocka_unit_test(test_options__help_man_and_reference),
	};

	return cmocka_run_group_tests_name("cluster_options", tests, NULL, NULL);
}
