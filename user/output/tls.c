// SPDX-License-Identifier: Apache-2.0
#include "output/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "output/watch.h"

#define MAX_CHAIN 16
#define RETIRE_NS (600 * CGM_NSEC_PER_SEC) /* longer than any handshake is let live */
#define SOON_S (14 * 24 * 3600)

const char cgm_tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

/* What one reading of the files gave. Handshakes may still use one that was replaced. */
struct set {
	struct set *older;
	uint64_t retired_ns; /* CLOCK_MONOTONIC */
	gnutls_pcert_st chain[MAX_CHAIN];
	unsigned nr;
	gnutls_privkey_t key;
	gnutls_x509_trust_list_t trust, proxies; /* whose certificates clients, and proxies, may have; NULL: nobody's. Both NULL: none is wanted */
	bool optional; /* they need none, but one that they have must be good */
	uint64_t not_after_s;
};

struct cgm_tls {
	struct cgm_tls_config config;
	struct cgm_http_stats *stats;
	struct cgm_watch cert, key, ca, proxy_ca;
	const char *ca_flag;
	bool optional; /* a client may have no certificate */
	pthread_mutex_t lock;
	struct set *newest; /* under the lock */
};

static struct cgm_tls *slots[CGM_MAX_TLS]; /* atomic */

static void set_free(struct set *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->nr; i++)
		gnutls_pcert_deinit(&s->chain[i]);
	if (s->key)
		gnutls_privkey_deinit(s->key);
	if (s->trust)
		gnutls_x509_trust_list_deinit(s->trust, 1);
	if (s->proxies)
		gnutls_x509_trust_list_deinit(s->proxies, 1);
	free(s);
}
DEFINE_CLEANUP(set, set_free)

static int bad(const char *flag, const struct cgm_watch *w, int error)
{
	cgm_error("--%s: %s: %s", flag, w->path, gnutls_strerror(error));
	return -EINVAL;
}

/* GnuTLS asks for a zero behind the text in none of its forms: the length is enough. */
static int read_pem(struct cgm_watch *w, const char *flag, char **text, gnutls_datum_t *ret)
{
	size_t len;
	int r = cgm_watch_read(w, flag, text, &len);

	if (r == 0)
		*ret = (gnutls_datum_t){ (unsigned char *)*text, (unsigned)len };
	return r;
}

/* Do certificate and key belong together? */
static int check_pair(struct cgm_tls *t, const gnutls_datum_t *cert, const gnutls_datum_t *key)
{
	gnutls_certificate_credentials_t c;
	int r = gnutls_certificate_allocate_credentials(&c);

	if (r < 0)
		return -ENOMEM;
	r = gnutls_certificate_set_x509_key_mem2(c, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_certificate_free_credentials(c);
	return r < 0 ? bad("tls_cert_file", &t->cert, r) : 0;
}

static void read_end(struct set *s)
{
	gnutls_x509_crt_t first;
	time_t end;

	if (gnutls_pcert_export_x509(&s->chain[0], &first) < 0)
		return;
	end = gnutls_x509_crt_get_expiration_time(first);
	s->not_after_s = end > 0 ? (uint64_t)end : 0;
	gnutls_x509_crt_deinit(first);
}

static int read_trust(struct cgm_watch *ca, const char *flag, gnutls_x509_trust_list_t *ret)
{
	_cleanup_free_ char *text = NULL;
	gnutls_datum_t pem;
	int r;

	if (!*ca->path)
		return 0;
	r = read_pem(ca, flag, &text, &pem);
	if (r < 0)
		return r;
	if (gnutls_x509_trust_list_init(ret, 0) < 0)
		return -ENOMEM;
	r = gnutls_x509_trust_list_add_trust_mem(*ret, &pem, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
	return r > 0 ? 0 : bad(flag, ca, r < 0 ? r : GNUTLS_E_NO_CERTIFICATE_FOUND);
}

static int read_files(struct cgm_tls *t, struct set **ret)
{
	_cleanup_(set_freep) struct set *s = cgm_calloc(1, sizeof(*s));
	_cleanup_free_ char *cert_text = NULL, *key_text = NULL;
	unsigned nr = MAX_CHAIN;
	gnutls_datum_t cert = { NULL, 0 }, key = { NULL, 0 };
	int r;

	if (!s)
		return -ENOMEM;
	r = read_pem(&t->cert, "tls_cert_file", &cert_text, &cert);
	if (r == 0)
		r = read_pem(&t->key, "tls_key_file", &key_text, &key);
	if (r < 0)
		return r;
	r = gnutls_pcert_list_import_x509_raw(s->chain, &nr, &cert, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	if (r < 0)
		return bad("tls_cert_file", &t->cert, r);
	s->nr = nr;
	if (gnutls_privkey_init(&s->key) < 0)
		return -ENOMEM;
	r = gnutls_privkey_import_x509_raw(s->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (r < 0)
		return bad("tls_key_file", &t->key, r);
	r = check_pair(t, &cert, &key);
	if (key_text)
		explicit_bzero(key_text, key.size);
	if (r < 0)
		return r;
	s->optional = t->optional;
	r = read_trust(&t->ca, t->ca_flag, &s->trust);
	if (r == 0)
		r = read_trust(&t->proxy_ca, "requestheader_client_ca_file", &s->proxies);
	if (r < 0)
		return r;
	read_end(s);
	*ret = TAKE_PTR(s);
	return 0;
}

static void say_end(const struct cgm_tls *t, const struct set *s)
{
	uint64_t now_s = cgm_clock_real_ns() / CGM_NSEC_PER_SEC;

	if (s->not_after_s < now_s)
		cgm_warning("--tls_cert_file: the certificate in %s is no longer valid", t->cert.path);
	else if (s->not_after_s < now_s + SOON_S)
		cgm_warning("--tls_cert_file: the certificate in %s ends in %u days", t->cert.path, (unsigned)((s->not_after_s - now_s) / 86400));
}

/* The new one first; what was replaced long ago goes. */
static void put_newest(struct cgm_tls *t, struct set *s)
{
	uint64_t now = cgm_clock_mono_ns();
	struct set *old;

	say_end(t, s);
	__atomic_store_n(&t->stats->tls_not_after_s, s->not_after_s, __ATOMIC_RELAXED);
	pthread_mutex_lock(&t->lock);
	if (t->newest)
		t->newest->retired_ns = now;
	s->older = t->newest;
	t->newest = s;
	pthread_mutex_unlock(&t->lock);
	for (struct set *at = s; (old = at->older); at = old) {
		if (now - old->retired_ns < RETIRE_NS)
			continue;
		at->older = NULL;
		while (old) {
			struct set *next = old->older;

			set_free(old);
			old = next;
		}
		break;
	}
}

static int take_slot(struct cgm_tls *t)
{
	for (size_t i = 0; i < CGM_MAX_TLS; i++) {
		struct cgm_tls *nobody = NULL;

		if (__atomic_compare_exchange_n(&slots[i], &nobody, t, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return 0;
	}
	return -EBUSY;
}

int cgm_tls_open(const struct cgm_tls_config *config, struct cgm_http_stats *stats, struct cgm_tls **ret)
{
	struct cgm_tls *t;
	struct set *s;
	int r;

	*ret = NULL;
	if (!config->cert_file || !*config->cert_file)
		return 0;
	t = cgm_calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->config = *config;
	t->stats = stats;
	t->cert.path = config->cert_file;
	t->key.path = config->key_file ? config->key_file : "";
	t->optional = config->optional_ca_file && *config->optional_ca_file;
	t->ca_flag = t->optional ? "client_ca_file" : "tls_client_ca_file";
	t->ca.path = t->optional ? config->optional_ca_file : config->client_ca_file ? config->client_ca_file : "";
	t->proxy_ca.path = config->proxy_ca_file ? config->proxy_ca_file : "";
	t->optional |= !*t->ca.path;
	pthread_mutex_init(&t->lock, NULL);
	(void)cgm_watch_changed(&t->cert), (void)cgm_watch_changed(&t->key), (void)cgm_watch_changed(&t->ca), (void)cgm_watch_changed(&t->proxy_ca);
	r = read_files(t, &s);
	if (r == 0) {
		put_newest(t, s);
		r = take_slot(t);
	}
	if (r < 0) {
		cgm_tls_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

void cgm_tls_close(struct cgm_tls *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < CGM_MAX_TLS; i++) {
		struct cgm_tls *expected = t;

		(void)__atomic_compare_exchange_n(&slots[i], &expected, NULL, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	while (t->newest) {
		struct set *older = t->newest->older;

		set_free(t->newest);
		t->newest = older;
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void cgm_tls_reload(struct cgm_tls *t, bool force)
{
	bool changed = force;
	struct set *s;

	if (!t)
		return;
	changed |= cgm_watch_changed(&t->cert);
	changed |= cgm_watch_changed(&t->key);
	changed |= cgm_watch_changed(&t->ca);
	changed |= cgm_watch_changed(&t->proxy_ca);
	if (!changed)
		return;
	if (read_files(t, &s) < 0) {
		__atomic_add_fetch(&t->stats->nr_failed_reloads, 1, __ATOMIC_RELAXED);
		cgm_warning("the certificate that was read before stays in use");
		return;
	}
	put_newest(t, s);
	__atomic_add_fetch(&t->stats->nr_reloads, 1, __ATOMIC_RELAXED);
	cgm_info("certificate read anew from %s", t->cert.path);
}

/* ---- in a handshake, and after it ---- */

static struct set *newest_of(struct cgm_tls *t)
{
	struct set *s;

	if (!t)
		return NULL;
	pthread_mutex_lock(&t->lock);
	s = t->newest;
	pthread_mutex_unlock(&t->lock);
	return s;
}

static struct set *newest(unsigned slot)
{
	return newest_of(__atomic_load_n(&slots[slot], __ATOMIC_ACQUIRE));
}

/* 0: the client's certificate is one of theirs; else what GnuTLS finds wrong. */
static unsigned verify_by(gnutls_x509_trust_list_t trust, gnutls_session_t session)
{
	gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
	unsigned nr = 0, made = 0, status = GNUTLS_CERT_INVALID;
	gnutls_x509_crt_t chain[MAX_CHAIN];
	const gnutls_datum_t *raw = gnutls_certificate_get_peers(session, &nr);

	if (!trust || !raw || !nr || nr > MAX_CHAIN)
		return status;
	while (made < nr && gnutls_x509_crt_init(&chain[made]) == 0) {
		made++;
		if (gnutls_x509_crt_import(chain[made - 1], &raw[made - 1], GNUTLS_X509_FMT_DER) < 0)
			break;
	}
	if (made == nr && gnutls_x509_trust_list_verify_crt2(trust, chain, nr, &purpose, 1, 0, &status, NULL) < 0)
		status = GNUTLS_CERT_INVALID;
	while (made)
		gnutls_x509_crt_deinit(chain[--made]);
	return status;
}

/* Not 0 ends the handshake with an alert. */
static int verify_client(unsigned slot, gnutls_session_t session)
{
	const struct set *s = newest(slot);
	unsigned nr = 0, status;

	if (s && s->optional && (!gnutls_certificate_get_peers(session, &nr) || !nr))
		return 0;
	status = s ? verify_by(s->trust, session) : GNUTLS_CERT_INVALID;
	if (status && s && s->proxies)
		status = verify_by(s->proxies, session);
	if (status)
		cgm_debug("http: a client's certificate is not trusted (status %#x)", status);
	return status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

static int choose(unsigned slot, gnutls_certificate_verify_function *verify, gnutls_session_t session, gnutls_pcert_st **ret_chain, unsigned *ret_nr, gnutls_privkey_t *ret_key)
{
	struct set *s = newest(slot);

	if (!s)
		return -1;
	if (s->trust || s->proxies) {
		gnutls_certificate_server_set_request(session, s->optional ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_function(session, verify);
	}
	*ret_chain = s->chain;
	*ret_nr = s->nr;
	*ret_key = s->key;
	return 0;
}

/* Functions of each slot. */
#define SLOTS(X) X(0) X(1) X(2) X(3)
#define FUNCTIONS(slot)                                                                                                                                                    \
	static int verify_##slot(gnutls_session_t session)                                                                                                                 \
	{                                                                                                                                                                  \
		return verify_client(slot, session);                                                                                                                       \
	}                                                                                                                                                                  \
	static int choose_##slot(gnutls_session_t session, const gnutls_datum_t *authorities, int nr_authorities, const gnutls_pk_algorithm_t *algorithms,                 \
				 int nr_algorithms, gnutls_pcert_st **ret_chain, unsigned *ret_nr, gnutls_privkey_t *ret_key)                                               \
	{                                                                                                                                                                  \
		(void)authorities, (void)nr_authorities, (void)algorithms, (void)nr_algorithms;                                                                            \
		return choose(slot, verify_##slot, session, ret_chain, ret_nr, ret_key);                                                                                   \
	}
SLOTS(FUNCTIONS)

gnutls_certificate_retrieve_function2 *cgm_tls_choose(const struct cgm_tls *t)
{
#define CHOOSE(slot) choose_##slot,
	static gnutls_certificate_retrieve_function2 *const functions[] = { SLOTS(CHOOSE) };
#undef CHOOSE
	_Static_assert(ARRAY_SIZE(functions) == CGM_MAX_TLS, "a function for each");

	for (size_t i = 0; i < CGM_MAX_TLS; i++)
		if (__atomic_load_n(&slots[i], __ATOMIC_ACQUIRE) == t)
			return functions[i];
	return NULL;
}

bool cgm_tls_is_client(struct cgm_tls *t, gnutls_session_t session)
{
	const struct set *s = newest_of(t);

	return s && s->trust && verify_by(s->trust, session) == 0;
}

bool cgm_tls_is_proxy(struct cgm_tls *t, gnutls_session_t session)
{
	const struct set *s = newest_of(t);

	return s && s->proxies && verify_by(s->proxies, session) == 0;
}
