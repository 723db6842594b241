// SPDX-License-Identifier: Apache-2.0
#include "output/tls_self.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "output/secret.h"

#define VALID_S (365 * 24 * 3600)
#define BACKDATED_S 3600 /* clocks differ */
#define SERIAL_BYTES 16

static int fault(const char *what, int error)
{
	cgm_error("cannot make a certificate: %s: %s", what, gnutls_strerror(error));
	return error == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO;
}

static int add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 4, GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 16, GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *const *names, size_t nr_names)
{
	unsigned char serial[SERIAL_BYTES];
	time_t now = time(NULL);
	int r = cgm_random(serial, sizeof(serial)) < 0 ? GNUTLS_E_RANDOM_FAILED : 0;

	serial[0] &= 0x7f; /* not negative */
	if (r >= 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, now - BACKDATED_S);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, now + VALID_S);
	if (r >= 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, names[0], (unsigned)strlen(names[0]));
	for (size_t i = 0; i < nr_names && r >= 0; i++)
		r = add_name(crt, names[i]);
	if (r >= 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r >= 0)
		r = gnutls_x509_crt_set_key(crt, key);
	return r < 0 ? r : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int put(gnutls_datum_t *pem, struct cgm_buf *ret)
{
	cgm_buf_put(ret, pem->data, pem->size);
	explicit_bzero(pem->data, pem->size);
	gnutls_free(pem->data);
	return ret->failed ? GNUTLS_E_MEMORY_ERROR : 0;
}

int cgm_tls_self_signed(const char *const *names, size_t nr_names, struct cgm_buf *ret_cert, struct cgm_buf *ret_key)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	gnutls_datum_t pem = { NULL, 0 };
	int r = gnutls_x509_privkey_init(&key);

	if (r >= 0)
		r = gnutls_x509_crt_init(&crt);
	if (r >= 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r >= 0)
		r = fill(crt, key, names, nr_names);
	if (r >= 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	if (r >= 0)
		r = put(&pem, ret_cert);
	if (r >= 0)
		r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
	if (r >= 0)
		r = put(&pem, ret_key);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return r < 0 ? fault(names[0], r) : 0;
}
