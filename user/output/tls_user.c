// SPDX-License-Identifier: Apache-2.0
/* Who a client's certificate says that he is. */
#include "output/tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define MAX_NAMES 64

static void crt_deinitp(gnutls_x509_crt_t *c)
{
	if (*c)
		gnutls_x509_crt_deinit(*c);
}

/* The name with that number. 0 with a text of the caller's; -ENOENT: there are not so many; -EINVAL: it holds a zero; -ENOMEM. */
static int read_name(gnutls_x509_crt_t c, const char *oid, unsigned number, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = gnutls_x509_crt_get_dn_by_oid(c, oid, number, 0, NULL, &size);

	if (r == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return -ENOENT;
	if (r != GNUTLS_E_SHORT_MEMORY_BUFFER)
		return -EINVAL;
	size++;
	text = cgm_calloc(1, size);
	if (!text)
		return -ENOMEM;
	if (gnutls_x509_crt_get_dn_by_oid(c, oid, number, 0, text, &size) < 0 || strlen(text) != size)
		return -EINVAL; /* a text that names one before its zero and another behind it */
	*ret = TAKE_PTR(text);
	return 0;
}

static int read_names(gnutls_x509_crt_t c, struct cgm_kube_user *u)
{
	char *text;
	int r = 0;

	for (unsigned i = 0; i < MAX_NAMES && (r = read_name(c, GNUTLS_OID_X520_COMMON_NAME, i, &text)) == 0; i++) {
		free(u->name);
		u->name = text;
	}
	if (r != -ENOENT || !u->name || !*u->name)
		return r == -ENOENT ? 0 : r ? r : -EINVAL;
	u->groups = cgm_calloc(MAX_NAMES, sizeof(*u->groups));
	if (!u->groups)
		return -ENOMEM;
	while (u->nr_groups < MAX_NAMES && (r = read_name(c, GNUTLS_OID_X520_ORGANIZATION_NAME, (unsigned)u->nr_groups, &text)) == 0)
		u->groups[u->nr_groups++] = text;
	return r == -ENOENT ? 1 : r ? r : -EINVAL; /* one that has more is not understood: he would lack groups */
}

int cgm_tls_user(gnutls_session_t session, struct cgm_kube_user *ret)
{
	_cleanup_(crt_deinitp) gnutls_x509_crt_t c = NULL;
	_cleanup_(cgm_kube_user_done) struct cgm_kube_user u = { 0 };
	const gnutls_datum_t *raw;
	unsigned nr = 0;
	int r;

	raw = gnutls_certificate_get_peers(session, &nr);
	if (!raw || !nr)
		return 0;
	if (gnutls_x509_crt_init(&c) < 0)
		return -ENOMEM;
	if (gnutls_x509_crt_import(c, &raw[0], GNUTLS_X509_FMT_DER) < 0)
		return -EINVAL;
	if (gnutls_x509_crt_get_expiration_time(c) < time(NULL)) /* a connection may outlive it */
		return -EKEYEXPIRED;
	r = read_names(c, &u);
	if (r > 0) {
		*ret = u;
		u = (struct cgm_kube_user){ 0 };
	}
	return r;
}
