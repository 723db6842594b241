/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the secure port needs of files: its certificate (given, found in --cert_dir, or made for itself) and the authorities of clients and front proxies (given, or as the API server tells them). What is made
 * or told is kept in files without a name.
 */
#pragma once
#include "cluster/options.h"
#include "kube/kube.h"

struct cgm_cluster_identity {
	const char *cert_file, *key_file, *client_ca_file, *header_ca_file; /* "": there is none */
	char *header_names; /* comma between; NULL: any */
	char *header_users, *header_groups, *header_extras; /* comma between */
	char paths[4][64];
	char dir_paths[2][512];
	int fds[4];
};

/* kube: whom to ask for the authorities; NULL: nobody. 0 or a negative errno, said in the log. */
int cgm_cluster_identity_open(const struct cgm_cluster_options *o, struct cgm_kube *kube, struct cgm_cluster_identity **ret);
/* NULL is fine. */
void cgm_cluster_identity_close(struct cgm_cluster_identity *id);
DEFINE_CLEANUP(cgm_cluster_identity, cgm_cluster_identity_close)

/* json_authorities.c: what kube-system/extension-apiserver-authentication holds, each the caller's, NULL where it is not there. 0 or a negative errno with fault (CGM_KUBE_FAULT). */
struct cgm_authorities {
	char *client_ca, *header_ca, *header_names;
};
int cgm_authorities_ask(struct cgm_kube *kube, struct cgm_authorities *ret, char *fault);
void cgm_authorities_done(struct cgm_authorities *a);
