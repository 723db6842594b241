/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the Kubernetes API server (or of anything that speaks like it, as a kubelet does): who it is and how it is reached, single requests,
 * and lists that are followed (watch.h). For the node agent and for `cgmeter cluster`.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define CGM_KUBE_FAULT 256

/*
 * "" or NULL: not given. With neither url nor kubeconfig: as a pod finds its API server (environment, service account). With both, url goes before the kubeconfig's server. With url alone
 * the service account's token and authorities are used if they are there, but over TLS alone.
 */
struct cgm_kube_config {
	const char *url; /* "https://host:6443" */
	const char *kubeconfig; /* path; its current context, unless context names one */
	const char *context;
	const char *token_file, *ca_file, *cert_file, *key_file; /* each goes before what is found elsewhere; a token's file is read anew when it changes */
	const char *service_account; /* folder of token and ca.crt; NULL: where Kubernetes mounts it */
	bool insecure; /* trust any certificate */
	uint64_t timeout_ns; /* of one request; 0: 10 s */
	const char *user_agent; /* NULL: "cgmeter/" and the version */
};

/* Is there a service account, and an address of an API server in the environment? */
bool cgm_kube_in_cluster(const struct cgm_kube_config *config);

struct cgm_kube;
/* Reads what the configuration names; asks nobody yet. 0 or a negative errno with fault (CGM_KUBE_FAULT) naming file and cause. */
int cgm_kube_open(const struct cgm_kube_config *config, struct cgm_kube **ret, char *fault);
/* Ends all requests that are under way, with -ECANCELED, and all later ones. Any thread. */
void cgm_kube_cancel(struct cgm_kube *k);
/* No request is under way, and all watches have ended. NULL is fine. */
void cgm_kube_close(struct cgm_kube *k);
DEFINE_CLEANUP(cgm_kube, cgm_kube_close)
/* The server's address, "https://10.96.0.1:443". */
const char *cgm_kube_server(const struct cgm_kube *k);

/*
 * One request, which waits for the whole answer (at most max_bytes of it: else -EFBIG). path: with its query, from "/". body: JSON; NULL: none. 0 with the HTTP status, whatever that is; a
 * negative errno with fault when no answer came (-ETIMEDOUT, -ECONNREFUSED, -EACCES for a certificate that is not trusted, -ECANCELED). Any thread, several at once; connections are kept.
 * A zero stands behind the answer, which is the caller's also when it failed.
 */
int cgm_kube_request(struct cgm_kube *k, const char *method, const char *path, const char *body, size_t max_bytes, struct cgm_buf *ret_answer,
		     unsigned *ret_status, char *fault);
