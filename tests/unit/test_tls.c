// SPDX-License-Identifier: Apache-2.0
/* Certificates made on the spot: a chain of an authority and a server, a client of that authority and one of another. */
#include "server.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "output/tls.h"

static char dir[] = "/tmp/cgmtest-tls-XXXXXX";

/* dir/name, in one of a few static buffers. */
static const char *in_dir(const char *name)
{
	static char paths[8][320];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void write_pem(const char *name, const gnutls_datum_t *pem)
{
	char made[340];
	FILE *f;

	snprintf(made, sizeof(made), "%s.new", in_dir(name));
	f = fopen(made, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(pem->data, 1, pem->size, f), pem->size);
	fclose(f);
	assert_int_equal(rename(made, in_dir(name)), 0);
}

struct pair {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

/* Writes NAME.crt and NAME.key. issuer NULL: an authority that signs itself. */
static struct pair make_pair_with(const char *name, const struct pair *issuer, unsigned serial, const char *dn, unsigned lives_s)
{
	const char *purpose = strncmp(name, "client", 6) == 0 ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
	uint8_t number = (uint8_t)serial;
	gnutls_datum_t pem;
	struct pair p;
	char file[32];

	assert_int_equal(gnutls_x509_privkey_init(&p.key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(p.key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
	assert_int_equal(gnutls_x509_crt_init(&p.crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(p.crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(p.crt, &number, sizeof(number)), 0);
	assert_int_equal(gnutls_x509_crt_set_dn(p.crt, dn, NULL), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(p.crt, time(NULL) - 3600), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(p.crt, time(NULL) + lives_s), 0);
	assert_int_equal(gnutls_x509_crt_set_key(p.crt, p.key), 0);
	assert_int_equal(gnutls_x509_crt_set_basic_constraints(p.crt, !issuer, -1), 0);
	if (issuer)
		assert_int_equal(gnutls_x509_crt_set_key_purpose_oid(p.crt, purpose, 0), 0);
	assert_int_equal(gnutls_x509_crt_sign2(p.crt, issuer ? issuer->crt : p.crt, issuer ? issuer->key : p.key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(p.crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(file, sizeof(file), "%s.crt", name);
	write_pem(file, &pem);
	gnutls_free(pem.data);
	assert_int_equal(gnutls_x509_privkey_export2(p.key, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(file, sizeof(file), "%s.key", name);
	write_pem(file, &pem);
	gnutls_free(pem.data);
	return p;
}

static struct pair make_pair(const char *name, const struct pair *issuer, unsigned serial)
{
	char dn[64];

	snprintf(dn, sizeof(dn), "CN=%s", name);
	return make_pair_with(name, issuer, serial, dn, 86400 * 100);
}

static void pair_done(struct pair *p)
{
	gnutls_x509_crt_deinit(p->crt);
	gnutls_x509_privkey_deinit(p->key);
}

static struct pair authority;

static int make_files(void **state)
{
	struct pair other, p;

	(void)state;
	assert_non_null(mkdtemp(dir));
	authority = make_pair("ca", NULL, 1);
	other = make_pair("other", NULL, 2);
	p = make_pair("server1", &authority, 11);
	pair_done(&p);
	p = make_pair("server2", &authority, 12);
	pair_done(&p);
	p = make_pair("client1", &authority, 21);
	pair_done(&p);
	p = make_pair("client2", &other, 22);
	pair_done(&p);
	p = make_pair_with("client-joe", &authority, 23, "O=devs,CN=joe,O=ops", 86400);
	pair_done(&p);
	p = make_pair_with("client-front", &other, 26, "CN=front-proxy-client", 86400);
	pair_done(&p);
	p = make_pair_with("client-nobody", &authority, 24, "O=system:masters", 86400);
	pair_done(&p);
	pair_done(&other);
	return 0;
}

static int remove_files(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	(void)state;
	pair_done(&authority);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlink(in_dir(e->d_name));
	closedir(d);
	return rmdir(dir);
}

static void copy(const char *from, const char *to)
{
	gnutls_datum_t pem;

	assert_int_equal(gnutls_load_file(in_dir(from), &pem), 0);
	write_pem(to, &pem);
	gnutls_free(pem.data);
}

static void serve(const char *name)
{
	char file[32];

	snprintf(file, sizeof(file), "%s.crt", name);
	copy(file, "served.crt");
	snprintf(file, sizeof(file), "%s.key", name);
	copy(file, "served.key");
}

/* ---- a client ---- */

struct client {
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	int fd;
};

/* certificate: a name, or NULL for none. 0 or GnuTLS' error. */
static int client_open(struct client *c, const struct server *s, const char *certificate)
{
	char crt[32], key[32];
	int r;

	assert_int_equal(gnutls_certificate_allocate_credentials(&c->credentials), 0);
	assert_true(gnutls_certificate_set_x509_trust_file(c->credentials, in_dir("ca.crt"), GNUTLS_X509_FMT_PEM) > 0);
	if (certificate) {
		snprintf(crt, sizeof(crt), "%s.crt", certificate);
		snprintf(key, sizeof(key), "%s.key", certificate);
		assert_int_equal(gnutls_certificate_set_x509_key_file(c->credentials, in_dir(crt), in_dir(key), GNUTLS_X509_FMT_PEM), 0);
	}
	assert_int_equal(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT), 0);
	assert_int_equal(gnutls_set_default_priority(c->session), 0);
	assert_int_equal(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials), 0);
	gnutls_session_set_verify_cert(c->session, NULL, 0);
	c->fd = server_connect(s, 1);
	gnutls_transport_set_int(c->session, c->fd);
	do
		r = gnutls_handshake(c->session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	return r;
}

static void client_close(struct client *c)
{
	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->credentials);
	close(c->fd);
}

/* The status of a HEAD, so that there is nothing more to read; 0: the connection broke. headers: each with its end of line. */
static unsigned client_ask_with(struct client *c, const char *path, const char *headers)
{
	char text[4096];
	ssize_t n;

	snprintf(text, sizeof(text), "HEAD %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
	if (gnutls_record_send(c->session, text, strlen(text)) < 0)
		return 0;
	n = gnutls_record_recv(c->session, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return n > 12 ? (unsigned)strtoul(text + strlen("HTTP/1.1 "), NULL, 10) : 0;
}

static unsigned client_ask(struct client *c, const char *path)
{
	return client_ask_with(c, path, "");
}

/* The serial number of the certificate that the server showed. */
static unsigned client_serial(struct client *c)
{
	unsigned nr;
	const gnutls_datum_t *raw = gnutls_certificate_get_peers(c->session, &nr);
	gnutls_x509_crt_t crt;
	uint8_t number = 0;
	size_t size = sizeof(number);

	assert_non_null(raw);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_import(crt, raw, GNUTLS_X509_FMT_DER), 0);
	assert_int_equal(gnutls_x509_crt_get_serial(crt, &number, &size), 0);
	gnutls_x509_crt_deinit(crt);
	return number;
}

static struct cgm_http_config config(bool clients)
{
	static char crt[320], key[320], ca[320];

	snprintf(crt, sizeof(crt), "%s", in_dir("served.crt"));
	snprintf(key, sizeof(key), "%s", in_dir("served.key"));
	snprintf(ca, sizeof(ca), "%s", in_dir("ca.crt"));
	return (struct cgm_http_config){ .tls_cert_file = crt, .tls_key_file = key, .tls_client_ca_file = clients ? ca : NULL };
}

/* ---- tests ---- */

static void test_tls__new_certificates_for_new_connections(void **state)
{
	struct cgm_http_config c = config(false);
	struct client old, new;
	struct server s;

	(void)state;
	serve("server1");
	server_start(&s, 1, &c);
	assert_in_range(server_stats(&s).tls_not_after_s, (uint64_t)time(NULL) + 86400 * 99, (uint64_t)time(NULL) + 86400 * 101);
	assert_int_equal(client_open(&old, &s, NULL), 0);
	assert_int_equal(client_ask(&old, "/healthz"), 200);
	assert_int_equal(client_serial(&old), 11);
	serve("server2");
	server_wait(server_stats(&s).nr_reloads >= 1);
	/* The pair may have been looked at when only one file of it was new. */
	server_wait(client_open(&new, &s, NULL) == 0 && (client_serial(&new) == 12 || (client_close(&new), false)));
	assert_int_equal(client_ask(&new, "/healthz"), 200);
	assert_int_equal(client_ask(&old, "/healthz"), 200); /* was not dropped */
	client_close(&new);
	/* Rubbish changes nothing. */
	copy("ca.crt", "served.crt");
	cgm_http_reload(s.http);
	server_wait(server_stats(&s).nr_failed_reloads >= 1);
	assert_int_equal(client_open(&new, &s, NULL), 0);
	assert_int_equal(client_serial(&new), 12);
	client_close(&new);
	assert_int_equal(client_ask(&old, "/healthz"), 200);
	client_close(&old);
	server_stop(&s);
}

/* Only clients of the authority; it may change, too. */
static void test_tls__client_certificates(void **state)
{
	static const char *const names[] = { NULL, "client2", "server1" }; /* none, of another authority, not for clients */
	struct cgm_http_config c = config(true);
	struct client client;
	struct server s;

	(void)state;
	serve("server1");
	server_start(&s, 1, &c);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int r = client_open(&client, &s, names[i]);

		/* In TLS 1.3 a client may hear of it only with its first answer. */
		assert_true(r < 0 || client_ask(&client, "/healthz") == 0);
		client_close(&client);
	}
	assert_int_equal(client_open(&client, &s, "client1"), 0);
	assert_int_equal(client_ask(&client, "/metrics"), 200);
	client_close(&client);
	server_stop(&s);
}

/* ---- certificates that may be there ---- */

static char accessed[256]; /* "user(group,…) subresource" */

static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	size_t len = (size_t)snprintf(accessed, sizeof(accessed), "%s(", u->name);

	(void)arg, (void)fault;
	for (size_t i = 0; i < u->nr_groups; i++)
		len += (size_t)snprintf(accessed + len, sizeof(accessed) - len, "%s%s", i ? "," : "", u->groups[i]);
	snprintf(accessed + len, sizeof(accessed) - len, ") %s", a->subresource);
	return strcmp(u->name, "joe") == 0;
}

static struct cgm_http_config as_kubelet(void)
{
	struct cgm_http_config c = config(true);

	c.client_ca_file = c.tls_client_ca_file;
	c.tls_client_ca_file = NULL;
	c.auth = (struct cgm_auth_config){ .except = "/healthz", .review = { .reviewer = { NULL, review_access, NULL }, .certificates = true,
									     .authorize = true, .allowed_ns = 60000000000, .node = "n" } };
	return c;
}

static unsigned ask_as(const struct server *s, const char *certificate, const char *path)
{
	struct client client;
	unsigned status = client_open(&client, s, certificate) < 0 ? 0 : client_ask(&client, path);

	client_close(&client);
	return status;
}

static void test_tls__certificates_as_users(void **state)
{
	struct cgm_http_config c = as_kubelet();
	struct client client;
	struct pair p;
	struct server s;

	(void)state;
	serve("server1");
	server_start(&s, 1, &c);
	assert_int_equal(ask_as(&s, "client-joe", "/metrics"), 200);
	assert_string_equal(accessed, "joe(ops,devs,system:authenticated) metrics"); /* a DN is written backwards */
	assert_int_equal(ask_as(&s, "client1", "/stats/summary"), 403);
	assert_string_equal(accessed, "client1(system:authenticated) stats");
	assert_int_equal(ask_as(&s, NULL, "/metrics"), 401); /* it may have none, and is nobody then */
	assert_int_equal(ask_as(&s, NULL, "/healthz"), 200);
	assert_int_equal(ask_as(&s, "client-nobody", "/metrics"), 401); /* groups alone are nobody */
	assert_int_equal(ask_as(&s, "client2", "/healthz"), 0); /* one that is there must be good */
	assert_int_equal(ask_as(&s, "server2", "/healthz"), 0);
	/* A connection that outlives its certificate. */
	p = make_pair_with("client-short", &authority, 25, "CN=joe", 3);
	pair_done(&p);
	assert_int_equal(client_open(&client, &s, "client-short"), 0);
	assert_int_equal(client_ask(&client, "/metrics"), 200);
	server_wait(client_ask(&client, "/metrics") == 401);
	client_close(&client);
	server_stop(&s);
	/* The authority alone: whoever has one of its certificates may do everything. */
	c.auth.review.authorize = false;
	server_start(&s, 1, &c);
	assert_int_equal(ask_as(&s, "client1", "/stats/summary"), 200);
	assert_int_equal(ask_as(&s, NULL, "/stats/summary"), 401);
	server_stop(&s);
}

/* ---- whom a front proxy names ---- */

static char remote[512]; /* "user(group,…) extra verb what" */

static int review_remote(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	size_t len = (size_t)snprintf(remote, sizeof(remote), "%s(", u->name);

	(void)arg, (void)fault;
	for (size_t i = 0; i < u->nr_groups; i++)
		len += (size_t)snprintf(remote + len, sizeof(remote) - len, "%s%s", i ? "," : "", u->groups[i]);
	snprintf(remote + len, sizeof(remote) - len, ") %s %s %s", u->extra ? u->extra : "-", a->verb, a->resource ? a->resource : a->path);
	return strcmp(u->name, "eve") != 0;
}

static bool answer_everything(void *arg, const struct cgm_ask *a, struct cgm_reply *r)
{
	(void)arg, (void)a;
	cgm_buf_lit(&r->body, "{}");
	return true;
}

static const struct cgm_served everything = { .answer = answer_everything };

static unsigned ask_through(const struct server *s, const char *certificate, const char *headers)
{
	struct client client;
	unsigned status = client_open(&client, s, certificate) < 0 ? 0 : client_ask_with(&client, "/apis/metrics.k8s.io/v1beta1/nodes", headers);

	client_close(&client);
	return status;
}

static void test_tls__request_headers(void **state)
{
	struct cgm_http_config c = config(true);
	char other[320];
	struct server s;

	(void)state;
	serve("server1");
	snprintf(other, sizeof(other), "%s", in_dir("other.crt"));
	c.client_ca_file = c.tls_client_ca_file;
	c.tls_client_ca_file = NULL;
	c.served = &everything;
	c.auth.review = (struct cgm_review_config){ .reviewer = { NULL, review_remote, NULL }, .certificates = true, .authorize = true, .allowed_ns = 60000000000,
						    .headers = { .ca_file = other, .allowed_names = "another, front-proxy-client" } };
	server_start(&s, 1, &c);
	assert_int_equal(ask_through(&s, "client-front", "X-Remote-User: admin\r\nx-remote-group: system:masters\r\nX-Remote-Group: b\r\n"
							 "X-Remote-Extra-Example.org%2fScope: one\r\nX-Remote-Extra-example.org%2Fscope: t\"wo\r\nX-Remote-Extra-A: 1\r\n"), 200);
	assert_string_equal(remote, "admin(system:masters,b,system:authenticated) {\"example.org/scope\":[\"one\",\"t\\\"wo\"],\"a\":[\"1\"]} list nodes");
	assert_int_equal(ask_through(&s, "client-front", "X-Remote-User: eve\r\n"), 403);
	/* The proxy itself is nobody, and one of another name than those allowed may name nobody. */
	assert_int_equal(ask_through(&s, "client-front", ""), 401);
	assert_int_equal(ask_through(&s, "client-front", "X-Remote-Group: system:masters\r\n"), 401);
	assert_int_equal(ask_through(&s, "client2", "X-Remote-User: admin\r\n"), 401);
	/* From anybody else the headers mean nothing: a client is who his certificate says, and who has none is nobody. */
	assert_int_equal(ask_through(&s, "client-joe", "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n"), 200);
	assert_string_equal(remote, "joe(ops,devs,system:authenticated) - list nodes");
	assert_int_equal(ask_through(&s, NULL, "X-Remote-User: admin\r\n"), 401);
	assert_int_equal(ask_through(&s, "server2", "X-Remote-User: admin\r\n"), 0); /* not for clients */
	server_stop(&s);
	/* Any name; other headers; proxies alone, without an authority of clients. */
	c.client_ca_file = NULL;
	c.auth.review.headers = (struct cgm_remote_config){ .ca_file = other, .user_headers = "X-None,X-User", .group_headers = "X-Groups", .extra_prefixes = "X-More-" };
	server_start(&s, 1, &c);
	assert_int_equal(ask_through(&s, "client2", "X-User: admin\r\nX-Groups: g\r\nX-More-k: v\r\nX-Remote-Group: system:masters\r\n"), 200);
	assert_string_equal(remote, "admin(g,system:authenticated) {\"k\":[\"v\"]} list nodes");
	assert_int_equal(ask_through(&s, "client2", "X-Remote-User: admin\r\n"), 401);
	assert_int_equal(ask_through(&s, "client1", "X-User: admin\r\n"), 0); /* an authority that is not known here */
	assert_int_equal(ask_through(&s, NULL, "X-User: admin\r\n"), 401);
	server_stop(&s);
}

/* A plain one and two with TLS, of which each has its own certificate and its own authority of clients. */
static void test_tls__three_servers(void **state)
{
	struct cgm_http_config first = config(true), second = config(false), plain = { 0 };
	char crt[320], key[320], other[320];
	struct server a, b, p;
	struct client client;

	(void)state;
	serve("server1");
	snprintf(crt, sizeof(crt), "%s", in_dir("server2.crt"));
	snprintf(key, sizeof(key), "%s", in_dir("server2.key"));
	snprintf(other, sizeof(other), "%s", in_dir("other.crt"));
	second.tls_cert_file = crt;
	second.tls_key_file = key;
	second.tls_client_ca_file = other;
	server_start(&a, 1, &first);
	server_start(&b, 1, &second);
	server_start(&p, 1, &plain);
	assert_int_equal(client_open(&client, &b, "client2"), 0);
	assert_int_equal(client_serial(&client), 12);
	assert_int_equal(client_ask(&client, "/healthz"), 200);
	client_close(&client);
	assert_int_equal(ask_as(&a, "client1", "/healthz"), 200);
	assert_int_equal(ask_as(&a, "client2", "/healthz"), 0);
	assert_int_equal(ask_as(&b, "client1", "/healthz"), 0);
	server_stop(&a);
	assert_int_equal(ask_as(&b, "client2", "/healthz"), 200);
	server_stop(&b);
	server_stop(&p);
}

static void test_tls__plain_requests_get_nothing(void **state)
{
	struct cgm_http_config c = config(false);
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct client client;
	struct server s;

	(void)state;
	serve("server1");
	server_start(&s, 1, &c);
	assert_int_equal(server_get(&s, 1, "/healthz", "", &answer), 0);
	assert_null(strstr(answer.p, "HTTP"));
	assert_int_equal(client_open(&client, &s, NULL), 0);
	assert_int_equal(client_ask(&client, "/healthz"), 200);
	client_close(&client);
	server_stop(&s);
}

static void test_tls_open__faults(void **state)
{
	struct cgm_http_stats stats = { 0 };
	struct cgm_tls *t, *all[CGM_MAX_TLS - 1], *more;
	char crt[320], key[320], other[320];

	(void)state;
	serve("server1");
	snprintf(crt, sizeof(crt), "%s", in_dir("served.crt"));
	snprintf(key, sizeof(key), "%s", in_dir("served.key"));
	snprintf(other, sizeof(other), "%s", in_dir("server2.key"));
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ 0 }, &stats, &t), 0);
	assert_null(t);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ "/nowhere", key, NULL, NULL, NULL }, &stats, &t), -ENOENT);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, "/nowhere", NULL, NULL, NULL }, &stats, &t), -ENOENT);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, other, NULL, NULL, NULL }, &stats, &t), -EINVAL); /* another's key */
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ key, key, NULL, NULL, NULL }, &stats, &t), -EINVAL);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, crt, NULL, NULL, NULL }, &stats, &t), -EINVAL);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, "/nowhere", NULL, NULL }, &stats, &t), -ENOENT);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, key, NULL, NULL }, &stats, &t), -EINVAL); /* no authority in it */
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, crt, NULL, NULL }, &stats, &t), 0);
	/* Several servers, each with functions of its own. */
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, NULL, NULL, NULL }, &stats, &all[i]), 0);
		assert_ptr_not_equal(cgm_tls_choose(all[i]), cgm_tls_choose(t));
	}
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, NULL, NULL, NULL }, &stats, &more), -EBUSY);
	assert_int_equal(cgm_tls_open(&(struct cgm_tls_config){ crt, key, NULL, NULL, "/nowhere" }, &stats, &more), -ENOENT);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cgm_tls_close(all[i]);
	cgm_tls_close(t);
	for (unsigned long n = 1; n <= 12; n++) {
		cgm_mem_fail_at(n);
		if (cgm_tls_open(&(struct cgm_tls_config){ crt, key, crt, NULL, crt }, &stats, &t) == 0)
			cgm_tls_close(t);
		cgm_mem_fail_at(0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls__new_certificates_for_new_connections),
		cmocka_unit_test(test_tls__client_certificates),
		cmocka_unit_test(test_tls__certificates_as_users),
		cmocka_unit_test(test_tls__request_headers),
		cmocka_unit_test(test_tls__three_servers),
		cmocka_unit_test(test_tls__plain_requests_get_nothing),
		cmocka_unit_test(test_tls_open__faults),
	};

	signal(SIGPIPE, SIG_IGN); /* a server that refuses closes while the client may still write */
	return cmocka_run_group_tests_name("tls", tests, make_files, remove_files);
}
