/* SPDX-License-Identifier: Apache-2.0 */
/* Where an API server is and what is shown to it: read from a kubeconfig, or from what a pod is given. For kube.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "kube/kube.h"

/* A certificate or key: a file's path, or what would be in the file. Neither: none. */
struct cgm_kube_pem {
	char *path, *data;
	size_t len;
};

struct cgm_kube_target {
	char *server; /* "https://10.96.0.1:443", with a path maybe, no slash at its end */
	char *tls_server_name, *proxy;
	struct cgm_kube_pem ca, cert, key;
	char *token, *token_file; /* token_file goes before */
	char *username, *password;
	bool insecure;
};

/* ret is made of zeros before, and released by the second in any case. 0 or a negative errno with fault (CGM_KUBE_FAULT). */
int cgm_kube_target_read(const struct cgm_kube_config *config, struct cgm_kube_target *ret, char *fault);
void cgm_kube_target_done(struct cgm_kube_target *t);

/* The text of a kubeconfig; path: its name, for faults and relative paths. context: NULL or "": the current one. As above. */
int cgm_kubeconfig_read(const char *text, size_t len, const char *path, const char *context, struct cgm_kube_target *ret, char *fault);
