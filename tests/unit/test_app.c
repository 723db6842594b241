// SPDX-License-Identifier: Apache-2.0
/* Metrics of applications: the file that says where to ask, Prometheus' text, regular expressions, and what is made of them. The asking itself: tests/e2e/test_app.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <sys/stat.h>

#include "app/apps.h"
#include "app/config.h"
#include "app/exposition.h"
#include "app/fetch.h"
#include "app/inside.h"
#include "app/pattern.h"
#include "base/clock.h"
#include "base/mem.h"
#include "unit/scratch.h"

/* ---- config.h ---- */

static int parse(const char *text, bool is_prometheus, struct cgm_app_config **ret)
{
	char fault[CGM_APP_FAULT] = "";
	int r = cgm_app_config_parse(text, strlen(text), is_prometheus, ret, fault);

	assert_int_equal(r == -EINVAL, *fault != '\0');
	return r;
}

static struct cgm_app_config *parsed(const char *text, bool is_prometheus)
{
	struct cgm_app_config *c = NULL;

	assert_int_equal(parse(text, is_prometheus, &c), 0);
	return c;
}

static void test_config_parse__generic(void **state)
{
	struct cgm_app_config *c = parsed("{\"endpoint\":\"http://localhost:8000/status\",\"metrics_config\":["
					  "{\"name\":\"active\",\"metric_type\":\"gauge\",\"units\":\"connections\",\"data_type\":\"int\",\"polling_frequency\":10,\"regex\":\"Active: ([0-9]+)\"},"
					  "{\"name\":\"done\",\"metric_type\":\"cumulative\",\"data_type\":\"float\",\"polling_frequency\":\"2s\",\"regex\":\"(x)\"}]}",
					  false);

	(void)state;
	assert_string_equal(c->url, "http://localhost:8000/status");
	assert_int_equal(c->interval_ns, 2 * CGM_NSEC_PER_SEC);
	assert_int_equal(c->nr_wanted, 2);
	assert_string_equal(c->wanted[0].name, "active");
	assert_string_equal(c->wanted[0].units, "connections");
	assert_string_equal(c->wanted[0].regex, "Active: ([0-9]+)");
	assert_true(c->wanted[0].is_int && !c->wanted[0].is_cumulative);
	assert_true(!c->wanted[1].is_int && c->wanted[1].is_cumulative);
	cgm_app_config_free(c);
}

static void test_config_parse__prometheus(void **state)
{
	struct cgm_app_config *c = parsed("{\"endpoint\":{\"protocol\":\"https\",\"port\":\"8443\",\"path\":\"/metrics\"},\"polling_frequency\":10,\"metrics_config\":[\"a\",\"b\"]}", true);

	(void)state;
	assert_null(c->url);
	assert_string_equal(c->protocol, "https");
	assert_int_equal(c->port, 8443);
	assert_string_equal(c->path, "/metrics");
	assert_int_equal(c->interval_ns, 10 * CGM_NSEC_PER_SEC);
	assert_int_equal(c->nr_wanted, 2);
	cgm_app_config_free(c);
	c = parsed("{\"endpoint\":{\"protocol\":\"http\",\"port\":80}}", true);
	assert_string_equal(c->path, "/");
	assert_int_equal(c->interval_ns, CGM_NSEC_PER_SEC);
	assert_int_equal(c->nr_wanted, 0);
	cgm_app_config_free(c);
}

static void test_config_parse__damaged(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{}", "{\"endpoint\":1}", "{\"endpoint\":\"file:///etc/passwd\"}", "{\"endpoint\":\"gopher://localhost/\"}",
		"{\"endpoint\":{\"protocol\":\"file\",\"port\":1}}", "{\"endpoint\":{\"protocol\":\"http\",\"port\":0}}", "{\"endpoint\":{\"protocol\":\"http\",\"port\":65536}}",
		"{\"endpoint\":{\"protocol\":\"http\",\"port\":80,\"path\":\"x\"}}", "{\"endpoint\":\"http://localhost/\",\"metrics_config\":{}}",
		"{\"endpoint\":\"http://localhost/\",\"metrics_config\":[1]}", "{\"endpoint\":\"http://localhost/\",\"polling_frequency\":\"soon\"}",
		"{\"endpoint\":\"http://localhost/\",\"polling_frequency\":{}}", "{\"endpoint\":\"http://localhost/\"}{",
	};
	struct cgm_app_config *c = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		print_message("%s\n", bad[i]);
		assert_int_equal(parse(bad[i], true, &c), -EINVAL);
	}
	/* Without an expression, or with a type that is none. */
	assert_int_equal(parse("{\"endpoint\":\"http://localhost/\",\"metrics_config\":[]}", false, &c), -EINVAL);
	assert_int_equal(parse("{\"endpoint\":\"http://localhost/\",\"metrics_config\":[{\"name\":\"x\"}]}", false, &c), -EINVAL);
	assert_int_equal(parse("{\"endpoint\":\"http://localhost/\",\"metrics_config\":[{\"name\":\"x\",\"regex\":\"(x)\",\"data_type\":\"text\"}]}", false, &c), -EINVAL);
	assert_null(c);
}

/* ---- exposition.h ---- */

static const struct cgm_app_config all;

static int expose(const char *text, const struct cgm_app_config *config, struct cgm_app_draft *d)
{
	char fault[CGM_APP_FAULT] = "";
	int r = cgm_app_exposition_parse(text, strlen(text), config, 7, d, fault);

	assert_int_equal(r == -EINVAL, *fault != '\0');
	return r;
}

static struct cgm_app_metrics *exposed(const char *text, const struct cgm_app_config *config)
{
	struct cgm_app_draft d = { 0 };
	struct cgm_app_metrics *m;

	assert_int_equal(expose(text, config, &d), 0);
	m = cgm_app_draft_finish(&d);
	assert_non_null(m);
	cgm_app_draft_done(&d);
	return m;
}

static const char page[] = "# HELP requests_total All of them.\n# TYPE requests_total counter\n"
			   "requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n"
			   "requests_total{method=\"po\\\"st\\n\\\\\", code=\"400\" ,}\t3\n\n"
			   "# TYPE temperature gauge\r\ntemperature -1.5e3\r\n"
			   "# TYPE rpc histogram\nrpc_bucket{le=\"+Inf\"} 2\nrpc_sum 1.5\nrpc_count 2\n"
			   "loose NaN\nworse +Inf\n# EOF";

static void test_exposition_parse__samples(void **state)
{
	struct cgm_app_metrics *m = exposed(page, &all);
	const struct cgm_app_metric *requests = &m->metrics[1];

	(void)state;
	assert_int_equal(m->nr, 7);
	assert_string_equal(m->metrics[0].name, "loose");
	assert_string_equal(m->metrics[0].kind.type, "UNTYPED");
	assert_true(isnan(m->metrics[0].values[0].number));
	assert_string_equal(requests->name, "requests_total");
	assert_string_equal(requests->kind.type, "cumulative");
	assert_int_equal(requests->nr_values, 2);
	assert_string_equal(requests->values[0].labels[0].key, "code"); /* sorted */
	assert_string_equal(requests->values[0].labels[0].value, "200");
	assert_int_equal(requests->values[0].time_ns, 1395066363000 * CGM_NSEC_PER_MSEC);
	assert_string_equal(requests->values[1].labels[1].value, "po\"st\n\\");
	assert_int_equal(requests->values[1].time_ns, 7);
	assert_string_equal(m->metrics[2].name, "rpc_bucket");
	assert_string_equal(m->metrics[2].kind.type, "HISTOGRAM");
	assert_string_equal(m->metrics[5].kind.type, "gauge");
	assert_true(m->metrics[5].values[0].number == -1500);
	assert_true(isinf(m->metrics[6].values[0].number));
	cgm_app_metrics_unref(m);
}

static void test_exposition_parse__wanted(void **state)
{
	static const struct cgm_app_wanted wanted[] = { { .name = "temperature" }, { .name = "rpc" } };
	const struct cgm_app_config some = { .wanted = wanted, .nr_wanted = 2 };
	struct cgm_app_metrics *m = exposed(page, &some);

	(void)state;
	assert_int_equal(m->nr, 4);
	assert_string_equal(m->metrics[0].name, "rpc_bucket");
	assert_string_equal(m->metrics[3].name, "temperature");
	cgm_app_metrics_unref(m);
}

static void test_exposition_parse__damaged(void **state)
{
	static const char *const bad[] = { "1a 2", "a", "a b", "a{", "a{} ", "a{x} 1", "a{x=} 1", "a{x=y} 1", "a{x=\"y} 1", "a{x=\"y\" z=\"\"} 1", "a{x=\"y\"} 1 b",
					   "a 1 2 3", "a 1 -5", "a 0x", "\x80 1", "<html>" };
	struct cgm_app_draft d = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		print_message("%s\n", bad[i]);
		assert_int_equal(expose(bad[i], &all, &d), -EINVAL);
	}
	assert_int_equal(d.nr_values, 0);
	cgm_app_draft_done(&d);
}

/* ---- metrics.h ---- */

static const struct cgm_app_kind gauge = { "gauge", "", false, true };

/* The same labels twice: the first stays; more metrics than may be: the rest is counted. */
static void test_draft_finish__limits(void **state)
{
	struct cgm_app_metrics *m = exposed("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na 3\nb 4", &all);
	struct cgm_app_draft d = { .max_metrics = 1 };

	(void)state;
	assert_int_equal(m->nr, 2);
	assert_int_equal(m->metrics[0].nr_values, 2);
	assert_int_equal(m->metrics[0].values[0].nr_labels, 0);
	assert_true(m->metrics[0].values[1].number == 1);
	assert_int_equal(cgm_app_draft_add_all(&d, m), 0);
	cgm_app_metrics_unref(m);
	m = cgm_app_draft_finish(&d);
	assert_int_equal(m->nr, 1);
	assert_int_equal(d.nr_left_out, 1);
	cgm_app_draft_done(&d);
	cgm_app_metrics_unref(m);
	for (size_t i = 0; i < CGM_APP_MAX_VALUES + 5; i++) {
		char text[24];
		struct cgm_pair label = { "n", text };

		snprintf(text, sizeof(text), "%zu", i);
		assert_int_equal(cgm_app_draft_add(&d, "many", &gauge, &label, 1, 1, 1), 0);
	}
	assert_int_equal(d.nr_left_out, 5);
	m = cgm_app_draft_finish(&d);
	assert_int_equal(m->metrics[0].nr_values, CGM_APP_MAX_VALUES);
	cgm_app_metrics_unref(m);
	cgm_app_draft_done(&d);
	m = cgm_app_draft_finish(&d);
	assert_int_equal(m->nr, 0);
	cgm_app_metrics_unref(m);
}

static void test_out_of_memory(void **state)
{
	unsigned long n;

	(void)state;
	for (n = 1;; n++) {
		struct cgm_app_draft d = { 0 };
		struct cgm_app_metrics *m = NULL;
		int r;

		cgm_mem_fail_at(n);
		r = expose(page, &all, &d);
		if (r == 0)
			m = cgm_app_draft_finish(&d);
		cgm_app_draft_done(&d);
		assert_true(r == 0 || r == -ENOMEM);
		if (cgm_mem_fail_at(0) < n) {
			assert_non_null(m);
			cgm_app_metrics_unref(m);
			break;
		}
		assert_null(m);
	}
	assert_true(n > 5);
}

/* ---- pattern.h ---- */

static int match(const char *regex, const char *text, char *buf, size_t size)
{
	struct cgm_pattern *p = NULL;
	char fault[160] = "";
	int r = cgm_pattern_new(regex, &p, fault, sizeof(fault));

	if (r == 0)
		r = cgm_pattern_match(p, text, strlen(text), buf, size);
	else
		assert_true(*fault);
	cgm_pattern_free(p);
	return r;
}

static void test_pattern_match(void **state)
{
	char buf[16] = "", evil[64] = "";

	(void)state;
	assert_int_equal(match("Reading: ([0-9]+) .*", "Active\nReading: 42 Writing", buf, sizeof(buf)), 2);
	assert_string_equal(buf, "42");
	assert_int_equal(match("x([0-9]+)", "none", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(match("x(a)?", "x", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(match("none", "none", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(match("(.*)", "a text that has no room", buf, sizeof(buf)), -EFBIG);
	assert_int_equal(match("(", "", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(match("\\C(a)", "a", buf, sizeof(buf)), -EINVAL);
	assert_int_equal(match("((((((a{99}){99}){99}){99}){99}){99})", "a", buf, sizeof(buf)), -EINVAL);
	/* It would run for years. */
	memset(evil, 'a', sizeof(evil) - 1);
	assert_int_equal(match("((a+)+)+$b", evil, buf, sizeof(buf)), -ENOENT);
	assert_int_equal(match("^(([a-z])+.)+[A-Z]([a-z])+$", evil, buf, sizeof(buf)), -E2BIG);
}

/* ---- fetch.h ---- */

static void test_fetch_url_fault(void **state)
{
	static const char *const good[] = { "http://localhost:8000/x", "https://localhost", "http://127.0.0.1/", "http://10.0.0.7:80/a@b", "http://[::1]:80/", "http://localhost?x" };
	static const char *const bad[] = { "", "localhost:80", "file:///etc/shadow", "http://", "http://example.com/", "http://user:x@localhost/", "http://localhost@example.com/",
					   "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://[::1/", "http://[fe80::1%25eth0]/", "http://localhost.example.com/",
					   "http://localhost\\@example.com/", "http://[localhost]/", "unix:///run/docker.sock" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(cgm_fetch_url_fault(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		print_message("%s\n", bad[i]);
		assert_non_null(cgm_fetch_url_fault(bad[i]));
	}
}

/* ---- inside.h ---- */

/* Our own process stands for a container's; its cgroup file is never empty. */
static void test_inside_open(void **state)
{
	struct cgm_inside in = { -1, -1 };
	int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char address[64];
	int fd;

	(void)state;
	assert_int_equal(cgm_inside_open(root_fd, (unsigned)getpid(), "no-such-container", &in), -ESRCH);
	assert_int_equal(cgm_inside_open(root_fd, 0x7ffffff0, "/", &in), -ESRCH);
	assert_int_equal(in.root_fd, -1);
	assert_int_equal(cgm_inside_open(root_fd, (unsigned)getpid(), "/", &in), 0);
	if (geteuid() == 0) {
		assert_int_equal(cgm_inside_address(&in, address, sizeof(address)), 0);
		fd = cgm_inside_socket(&in, AF_INET);
		assert_true(fd >= 0);
		close(fd);
	}
	cgm_inside_close(&in);
	close(root_fd);
}

static void test_inside_read(void **state)
{
	struct cgm_inside in = { -1, -1 };
	struct scratch s;
	char *text = NULL, path[128];
	size_t len = 0;

	(void)state;
	scratch_open(&s);
	scratch_put(&s, "etc/app.json", "{}");
	in.root_fd = s.root_fd;
	scratch_link(&s, "link", "/etc/app.json"); /* of its root, not of ours */
	scratch_link(&s, "out", "../../../../etc/passwd");
	scratch_link(&s, "magic", "/proc/self/root/etc/passwd");
	assert_int_equal(mkfifoat(s.root_fd, "fifo", 0600), 0);
	assert_int_equal(cgm_inside_read(&in, "/link", 100, &text, &len), 0);
	assert_string_equal(text, "{}");
	assert_int_equal(len, 2);
	free(text);
	assert_int_equal(cgm_inside_read(&in, "/etc/app.json", 1, &text, &len), -EFBIG);
	assert_int_equal(cgm_inside_read(&in, "out", 100000, &text, &len), -ENOENT);
	assert_int_equal(cgm_inside_read(&in, "magic", 100000, &text, &len), -ENOENT);
	assert_int_equal(cgm_inside_read(&in, "/../../../../etc/passwd", 100000, &text, &len), -ENOENT);
	assert_int_equal(cgm_inside_read(&in, "fifo", 100, &text, &len), -EINVAL);
	assert_int_equal(cgm_inside_read(&in, "etc", 100, &text, &len), -EINVAL);
	snprintf(path, sizeof(path), "%s/etc/app.json", s.dir);
	assert_int_equal(cgm_inside_read(&in, path, 100, &text, &len), -ENOENT);
	scratch_close(&s);
}

/* ---- apps.h ---- */

/* A container that is gone: counted, and nothing is known of it. Dropped while it is asked, or before. */
static void test_apps__gone(void **state)
{
	struct cgm_pair labels[] = { { "io.cadvisor.metric.prometheus-x", "/x.json" }, { "other", "" } }, none[] = { { "io.cadvisor.metric.", "/x" } };
	struct cgm_who who = { .id = "0123", .labels = labels, .nr_labels = 2, .pid = 0x7ffffff0 }, plain = { .id = "4567", .labels = none, .nr_labels = 1, .pid = 1 };
	struct cgm_apps_config config = { .root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), .max_metrics = 100, .cert = "", .key = "" };
	struct cgm_apps *a;
	struct cgm_app *app;

	(void)state;
	assert_true(cgm_apps_wanted(&who));
	assert_false(cgm_apps_wanted(&plain));
	assert_false(cgm_apps_wanted(NULL));
	assert_int_equal(cgm_apps_open(&config, &a), 0);
	app = cgm_apps_add(a, &who);
	assert_non_null(app);
	for (int i = 0; i < 500 && !cgm_apps_state(a).nr_failed; i++)
		usleep(10000);
	assert_int_equal(cgm_apps_state(a).nr_failed, 1);
	assert_int_equal(cgm_apps_state(a).nr_apps, 1);
	assert_null(cgm_apps_get(a, app));
	cgm_apps_drop(a, app);
	assert_int_equal(cgm_apps_state(a).nr_apps, 0);
	for (int i = 0; i < 50; i++) {
		app = cgm_apps_add(a, &who);
		if (i % 2)
			sched_yield();
		cgm_apps_drop(a, app);
	}
	assert_non_null(cgm_apps_add(a, &who));
	cgm_apps_close(a);
	close(config.root_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_parse__generic),
		cmocka_unit_test(test_config_parse__prometheus),
		cmocka_unit_test(test_config_parse__damaged),
		cmocka_unit_test(test_exposition_parse__samples),
		cmocka_unit_test(test_exposition_parse__wanted),
		cmocka_unit_test(test_exposition_parse__damaged),
		cmocka_unit_test(test_draft_finish__limits),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_pattern_match),
		cmocka_unit_test(test_fetch_url_fault),
		cmocka_unit_test(test_inside_open),
		cmocka_unit_test(test_inside_read),
		cmocka_unit_test(test_apps__gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
