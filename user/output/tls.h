/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate that is served. It may be replaced while connections live: each handshake takes the newest, and those that are under
 * way end with theirs. At most CGM_MAX_TLS in a process: GnuTLS hands nothing of ours to the function that chooses a certificate, so that each has one of its own.
 */
#pragma once
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "kube/review.h"
#include "model/http_stats.h"

/* "" or NULL: none. Texts are the caller's and must stay. */
struct cgm_tls_config {
	const char *cert_file, *key_file;
	const char *client_ca_file; /* only who has a certificate of theirs is let in */
	const char *optional_ca_file; /* who has a certificate must have one of theirs; not with the former */
	const char *proxy_ca_file; /* or one of these authorities': see cgm_tls_is_proxy */
};

struct cgm_tls;
/* Reads the files. *ret is NULL when there is no cert_file. 0, or a negative errno, said in the log; -EBUSY: there are CGM_MAX_TLS already. */
#define CGM_MAX_TLS 4
int cgm_tls_open(const struct cgm_tls_config *config, struct cgm_http_stats *stats, struct cgm_tls **ret);
/* After the server stopped. */
void cgm_tls_close(struct cgm_tls *t);
/* Looks whether the files changed (force: reads them in any case). What cannot be read stays as it was, and is said. One thread. */
void cgm_tls_reload(struct cgm_tls *t, bool force);

/* Its gnutls_certificate_retrieve_function2 for the server. Also says that a client's certificate is wanted, when there are authorities. */
gnutls_certificate_retrieve_function2 *cgm_tls_choose(const struct cgm_tls *t);
/* Whose is the certificate of the client: of the authorities of clients, of proxies, or (unlikely, and not wise) of both? Each is looked at anew. */
bool cgm_tls_is_client(struct cgm_tls *t, gnutls_session_t session);
bool cgm_tls_is_proxy(struct cgm_tls *t, gnutls_session_t session);
/*
 * Who the client's certificate says that he is, as Kubernetes reads it: the last CN is his name, each O a group. 1: *ret; 0: there is no certificate, or no
 * name in it; -EKEYEXPIRED: it has ended meanwhile; -EINVAL: it cannot be read; -ENOMEM. The handshake has verified it. Any thread that has the session.
 */
int cgm_tls_user(gnutls_session_t session, struct cgm_kube_user *ret);
/* What TLS is spoken: 1.2 and 1.3. */
extern const char cgm_tls_priorities[];
