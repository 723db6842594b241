// SPDX-License-Identifier: Apache-2.0
#include "kube_server.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "cluster/identity.h"
#include "output/tls_self.h"

#define MAP "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"

static const struct cgm_cluster_options defaults = { .secure_cert_file = "", .secure_key_file = "", .cert_dir = "", .client_ca_file = "", .header_ca_file = "" };

static gnutls_x509_crt_t read_crt(const char *path)
{
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	char *text;
	size_t len;

	assert_int_equal(cgm_read_all_at(AT_FDCWD, path, 65536, &text, &len), 0);
	pem = (gnutls_datum_t){ (unsigned char *)text, (unsigned)len };
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), 0);
	free(text);
	return crt;
}

static void test_identity__made_in_memory(void **state)
{
	struct cgm_cluster_identity *id;
	gnutls_x509_crt_t crt;
	time_t now = time(NULL);

	(void)state;
	assert_int_equal(cgm_cluster_identity_open(&defaults, NULL, &id), 0);
	crt = read_crt(id->cert_file);
	assert_int_equal(gnutls_x509_crt_check_hostname(crt, "localhost"), 1);
	assert_int_equal(gnutls_x509_crt_check_hostname(crt, "127.0.0.1"), 1);
	assert_int_equal(gnutls_x509_crt_check_hostname(crt, "elsewhere"), 0);
	assert_true(gnutls_x509_crt_get_activation_time(crt) < now && gnutls_x509_crt_get_expiration_time(crt) > now + 300 * 24 * 3600);
	assert_int_equal(gnutls_x509_crt_get_ca_status(crt, NULL), 0);
	gnutls_x509_crt_deinit(crt);
	assert_string_equal(id->client_ca_file, "");
	cgm_cluster_identity_close(id);
}

/* Made once; the next start finds them. */
static void test_identity__made_in_a_folder(void **state)
{
	struct cgm_cluster_options o = defaults;
	struct cgm_cluster_identity *id;
	char dir[64], cert[96], key[96];
	char *first, *second;
	struct stat st;
	size_t len;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/cgmtest-identity-%d", getpid());
	snprintf(cert, sizeof(cert), "%s/apiserver.crt", dir);
	snprintf(key, sizeof(key), "%s/apiserver.key", dir);
	o.cert_dir = dir;
	assert_int_equal(cgm_cluster_identity_open(&o, NULL, &id), 0);
	assert_string_equal(id->cert_file, cert);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cgm_read_all_at(AT_FDCWD, cert, 65536, &first, &len), 0);
	cgm_cluster_identity_close(id);
	assert_int_equal(cgm_cluster_identity_open(&o, NULL, &id), 0);
	assert_int_equal(cgm_read_all_at(AT_FDCWD, id->cert_file, 65536, &second, &len), 0);
	assert_string_equal(first, second);
	cgm_cluster_identity_close(id);
	free(first);
	free(second);
	unlink(cert);
	unlink(key);
	rmdir(dir);
	o.cert_dir = "/proc/nowhere";
	assert_true(cgm_cluster_identity_open(&o, NULL, &id) < 0);
}

static struct cgm_kube *open_kube(struct kube_server *s)
{
	struct cgm_kube_config config = { .timeout_ns = CGM_NSEC_PER_SEC };
	char fault[CGM_KUBE_FAULT];
	struct cgm_kube *k;

	kube_start(s);
	config.url = s->url;
	assert_int_equal(cgm_kube_open(&config, &k, fault), 0);
	return k;
}

static void test_identity__authorities_of_the_api_server(void **state)
{
	struct cgm_cluster_options o = defaults;
	struct cgm_cluster_identity *id;
	static struct kube_server s;
	struct cgm_kube *k = open_kube(&s);
	char text[64];

	(void)state;
	kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .times = 1, .status = 403, .body = "{}" });
	kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .times = 1, .status = 200, .body = "[1,2" });
	kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .status = 200,
					  .body = "{\"data\":{\"client-ca-file\":\"CLIENTS\",\"requestheader-client-ca-file\":\"PROXIES\",\"requestheader-allowed-names\":\"[\\\"a\\\",\\\"b\\\"]\"}}" });
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), -EACCES);
	o.tolerate_lookup = true;
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
	assert_string_equal(id->client_ca_file, "");
	cgm_cluster_identity_close(id);
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
	assert_true(cgm_read_at(AT_FDCWD, id->client_ca_file, text, sizeof(text)) > 0);
	assert_string_equal(text, "CLIENTS");
	assert_true(cgm_read_at(AT_FDCWD, id->header_ca_file, text, sizeof(text)) > 0);
	assert_string_equal(text, "PROXIES");
	assert_string_equal(id->header_names, "a,b");
	cgm_cluster_identity_close(id);
	/* What is given goes before. */
	o.client_ca_file = "/given";
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
	assert_string_equal(id->client_ca_file, "/given");
	cgm_cluster_identity_close(id);
	o.skip_lookup = true;
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
	assert_string_equal(id->header_ca_file, "");
	cgm_cluster_identity_close(id);
	assert_int_equal(kube_nr_requests(&s, MAP), 4);
	cgm_kube_close(k);
	kube_stop(&s);
}

#define PROXIES(names) "{\"data\":{\"requestheader-client-ca-file\":\"PROXIES\",\"requestheader-allowed-names\":\"" names "\"}}"

/* No name is all names: what is no list of names, and what was given beside the API server's authorities, must not be lost. */
static void test_identity__names_of_proxies(void **state)
{
	static const char *const bad[] = { PROXIES("[\\\"a\\\""), PROXIES("a"), PROXIES("{}"), PROXIES("[1]"), PROXIES("[\\\"\\\"]"), PROXIES("[\\\"a,b\\\"]") };
	static const char *const all[] = { PROXIES(""), PROXIES("[]") };
	const char *given = "mine";
	struct cgm_cluster_options o = defaults;
	struct cgm_cluster_identity *id;
	static struct kube_server s;
	struct cgm_kube *k = open_kube(&s);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .times = 1, .status = 200, .body = bad[i] });
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .times = 1, .status = 200, .body = all[i] });
	kube_rule(&s, (struct kube_rule){ .match = "GET " MAP, .status = 200, .body = PROXIES("[\\\"a\\\"]") });
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cgm_cluster_identity_open(&o, k, &id), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
		assert_null(id->header_names);
		cgm_cluster_identity_close(id);
	}
	o.header_names = (struct cgm_flag_list){ .texts = &given, .nr = 1 };
	assert_int_equal(cgm_cluster_identity_open(&o, k, &id), 0);
	assert_string_equal(id->header_names, "mine");
	cgm_cluster_identity_close(id);
	cgm_kube_close(k);
	kube_stop(&s);
}

static void test_identity__without_memory(void **state)
{
	struct cgm_cluster_identity *id = NULL;
	unsigned long n = 1;
	int r;

	(void)state;
	do {
		cgm_mem_fail_at(n++);
		r = cgm_cluster_identity_open(&defaults, NULL, &id);
		cgm_mem_fail_at(0);
	} while (r < 0 && n < 100);
	assert_int_equal(r, 0);
	assert_true(n > 2);
	cgm_cluster_identity_close(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity__made_in_memory),
		cmocka_unit_test(test_identity__made_in_a_folder),
		cmocka_unit_test(test_identity__authorities_of_the_api_server),
		cmocka_unit_test(test_identity__names_of_proxies),
		cmocka_unit_test(test_identity__without_memory),
	};

	return cmocka_run_group_tests_name("cluster_identity", tests, NULL, NULL);
}
