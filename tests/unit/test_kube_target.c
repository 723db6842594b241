// SPDX-License-Identifier: Apache-2.0
/* Where the API server is and who we are: kubeconfig, service account, and what the configuration says itself. */
#include "kube_fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "kube/target.h"

#define CONFIG                                                                                                                                   \
	"apiVersion: v1\n"                                                                                                                       \
	"kind: Config\n"                                                                                                                         \
	"current-context: second\n"                                                                                                              \
	"clusters:\n"                                                                                                                            \
	"- name: here\n"                                                                                                                         \
	"  cluster:\n"                                                                                                                           \
	"    server: https://10.0.0.1:6443/k8s/\n"                                                                                               \
	"    certificate-authority-data: |\n"                                                                                                    \
	"      QUJD\n"                                                                                                                           \
	"      REVG\n"                                                                                                                           \
	"    tls-server-name: kubernetes\n"                                                                                                      \
	"    proxy-url: socks5://10.0.0.2:1080\n"                                                                                                \
	"- {name: there, cluster: {server: \"http://[::1]:8080\", insecure-skip-tls-verify: true}}\n"                                            \
	"users:\n"                                                                                                                               \
	"- name: ada\n"                                                                                                                          \
	"  user: {client-certificate: pki/ada.crt, client-key-data: a2V5, tokenFile: /run/token, token: old}\n"                                  \
	"- {name: bob, user: {username: bob, password: secret}}\n"                                                                               \
	"- name: nobody\n"                                                                                                                       \
	"  user:\n"                                                                                                                              \
	"contexts:\n"                                                                                                                            \
	"- {name: first, context: {cluster: here, user: ada, namespace: x}}\n"                                                                   \
	"- {name: second, context: {cluster: there, user: bob}}\n"                                                                               \
	"- {name: third, context: {cluster: there, user: nobody}}\n"                                                                             \
	"- {name: fourth, context: {cluster: there, user: \"\"}}\n"

static char dir[] = "/tmp/cgmtest-target-XXXXXX";

static int read_context(const char *text, const char *context, struct cgm_kube_target *t, char *fault)
{
	memset(t, 0, sizeof(*t));
	return cgm_kubeconfig_read(text, strlen(text), "/etc/kube/config", context, t, fault);
}

static void test_kubeconfig__contexts(void **state)
{
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_kube_target t;

	(void)state;
	assert_int_equal(read_context(CONFIG, "first", &t, fault), 0);
	assert_string_equal(t.server, "https://10.0.0.1:6443/k8s/");
	assert_int_equal(t.ca.len, 6);
	assert_memory_equal(t.ca.data, "ABCDEF", 6);
	assert_string_equal(t.tls_server_name, "kubernetes");
	assert_string_equal(t.proxy, "socks5://10.0.0.2:1080");
	assert_string_equal(t.cert.path, "/etc/kube/pki/ada.crt");
	assert_memory_equal(t.key.data, "key", 3);
	assert_string_equal(t.token_file, "/run/token");
	assert_string_equal(t.token, "old");
	assert_false(t.insecure);
	cgm_kube_target_done(&t);
	assert_int_equal(read_context(CONFIG, NULL, &t, fault), 0);
	assert_string_equal(t.server, "http://[::1]:8080");
	assert_true(t.insecure);
	assert_string_equal(t.username, "bob");
	assert_string_equal(t.password, "secret");
	assert_null(t.ca.path);
	cgm_kube_target_done(&t);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_context(CONFIG, i ? "third" : "fourth", &t, fault), 0);
		assert_null(t.username);
		assert_null(t.token);
		cgm_kube_target_done(&t);
	}
}

#define WITH(cluster, user)                                                                                                    \
	"current-context: c\ncontexts:\n- {name: c, context: {cluster: k, user: u}}\nclusters:\n- {name: k, cluster: " cluster \
	"}\nusers:\n- {name: u, user: " user "}\n"
#define HERE "{server: \"https://a\"}"

static void test_kubeconfig__faults(void **state)
{
	static const struct {
		const char *text, *context, *fault;
	} cases[] = {
		{ CONFIG, "tenth", "/etc/kube/config:1: there is no context of that name in contexts: tenth" },
		{ "kind: Config\n", NULL, "/etc/kube/config:1: current-context: is not given" },
		{ "", NULL, "/etc/kube/config:0: current-context: is not given" },
		{ "a: [1\n", NULL, "/etc/kube/config: line 2: did not find expected ',' or ']'" },
		{ "a: \"\xff\"\n", NULL, "/etc/kube/config: line 1: invalid leading UTF-8 octet" },
		{ "- a\n- b\n", NULL, "current-context: is not given" },
		{ "current-context: {a: 1}\n", NULL, "/etc/kube/config:1: current-context: is no text" },
		{ "current-context: c\ncontexts:\n- {name: c, context: {cluster: k}}\n", NULL, "/etc/kube/config:3: there is no cluster of that name in clusters: k" },
		{ "current-context: c\ncontexts:\n- {name: c, context: {cluster: k, user: u}}\nclusters:\n- {name: k, cluster: {server: \"https://a\"}}\n", NULL,
		  ":3: there is no user of that name in users: u" },
		{ WITH("{}", "{}"), NULL, "/etc/kube/config:5: server: is not given" },
		{ WITH("{server: [a]}", "{}"), NULL, "/etc/kube/config:5: server: is no text" },
		{ WITH("{server: a, insecure-skip-tls-verify: maybe}", "{}"), NULL, ":5: insecure-skip-tls-verify: is neither true nor false" },
		{ WITH("{server: a, certificate-authority: b, insecure-skip-tls-verify: true}", "{}"), NULL, ":5: insecure-skip-tls-verify: and a certificate-authority exclude" },
		{ WITH("{server: a, certificate-authority-data: \"?\"}", "{}"), NULL, ":5: certificate-authority-data: is no base64" },
		{ WITH(HERE, "{client-certificate: a}"), NULL, ":7: client-certificate: and client-key go together" },
		{ WITH(HERE, "{exec: {command: aws-iam, apiVersion: v1}}"), NULL, ":7: exec (aws-iam): plug-ins that are run for a token are not supported" },
		{ WITH(HERE, "{exec: {}}"), NULL, ":7: exec: plug-ins" },
		{ WITH(HERE, "{auth-provider: {name: gcp}}"), NULL, ":7: auth-provider: is not supported" },
		{ WITH(HERE, "{as: root}"), NULL, ":7: as: to act as another is not supported" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char fault[CGM_KUBE_FAULT] = "";
		struct cgm_kube_target t;

		assert_int_equal(read_context(cases[i].text, cases[i].context, &t, fault), -EINVAL);
		if (!strstr(fault, cases[i].fault))
			fail_msg("\"%s\", not \"%s\"", fault, cases[i].fault);
		cgm_kube_target_done(&t);
	}
}

static void test_kubeconfig__alloc(void **state)
{
	unsigned long n = 1;
	int r;

	(void)state;
	do {
		char fault[CGM_KUBE_FAULT] = "";
		struct cgm_kube_target t;

		cgm_mem_fail_at(n);
		r = read_context(CONFIG, "first", &t, fault);
		n = cgm_mem_fail_at(0) >= n ? n + 1 : 0;
		assert_int_equal(r, n ? -ENOMEM : 0);
		cgm_kube_target_done(&t);
	} while (n);
}

static const char *in_dir(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_target__in_cluster(void **state)
{
	struct cgm_kube_config c = { .service_account = dir };
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_kube_target t = { 0 };

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	write_file("token", "t");
	write_file("ca.crt", "c");
	assert_false(cgm_kube_in_cluster(&c));
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), -ENOENT);
	assert_non_null(strstr(fault, "KUBERNETES_SERVICE_HOST"));
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_true(cgm_kube_in_cluster(&c));
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), 0);
	assert_string_equal(t.server, "https://10.96.0.1:443");
	assert_string_equal(t.token_file, in_dir("token"));
	assert_string_equal(t.ca.path, in_dir("ca.crt"));
	cgm_kube_target_done(&t);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	c.token_file = "/mine";
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), 0);
	assert_string_equal(t.server, "https://[fd00::1]:443");
	assert_string_equal(t.token_file, "/mine");
	cgm_kube_target_done(&t);
	c.service_account = "/nowhere";
	assert_false(cgm_kube_in_cluster(&c));
}

static void test_target__url(void **state)
{
	struct cgm_kube_config c = { .url = "http://127.0.0.1:8001", .service_account = dir };
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_kube_target t = { 0 };

	(void)state;
	write_file("token", "t");
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), 0);
	assert_null(t.token_file); /* nobody on the way is to read it */
	cgm_kube_target_done(&t);
	c.url = "https://host:6443//";
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), 0);
	assert_string_equal(t.server, "https://host:6443");
	assert_non_null(t.token_file);
	cgm_kube_target_done(&t);
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = { "host:6443", "ftp://host", "https://", "https:///path", "https://u:p@host", "https://host/?q" };

		c.url = bad[i];
		assert_int_equal(cgm_kube_target_read(&c, &t, fault), -EINVAL);
		cgm_kube_target_done(&t);
	}
}

static void test_target__kubeconfig(void **state)
{
	struct cgm_kube_config c = { .url = "https://other:1", .kubeconfig = in_dir("config"), .context = "first", .ca_file = "/my/ca", .service_account = dir };
	char fault[CGM_KUBE_FAULT] = "";
	struct cgm_kube_target t = { 0 };

	(void)state;
	write_file("config", CONFIG);
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), 0);
	assert_string_equal(t.server, "https://other:1");
	assert_string_equal(t.ca.path, "/my/ca");
	assert_null(t.ca.data);
	assert_string_equal(t.cert.path, in_dir("pki/ada.crt"));
	cgm_kube_target_done(&t);
	c.kubeconfig = in_dir("nowhere");
	assert_int_equal(cgm_kube_target_read(&c, &t, fault), -ENOENT);
	assert_non_null(strstr(fault, "nowhere: No such file"));
	cgm_kube_target_done(&t);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(in_dir("token"));
	unlink(in_dir("ca.crt"));
	unlink(in_dir("config"));
	return rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kubeconfig__contexts),
		cmocka_unit_test(test_kubeconfig__faults),
		cmocka_unit_test(test_kubeconfig__alloc),
		cmocka_unit_test(test_target__in_cluster),
		cmocka_unit_test(test_target__url),
		cmocka_unit_test(test_target__kubeconfig),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
