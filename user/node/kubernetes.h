/* SPDX-License-Identifier: Apache-2.0 */
/* Kubernetes, as the options name it: a client of the API server, and the pods of this node. */
#pragma once
#include <stdbool.h>

#include "identity/runtime.h"
#include "kube/pods.h"

struct cgm_kubernetes_options {
	const char *api; /* "auto", an address, or "": none */
	const char *kubeconfig, *node_name;
	const char *kubelet, *kubelet_token_file, *kubelet_ca_file; /* kubelet: "": the pods come from the API server */
	bool kubelet_insecure;
};

struct cgm_kubernetes {
	struct cgm_kube *api; /* NULL: there is none */
	struct cgm_kube *kubelet; /* likewise */
	struct cgm_kubernetes_feed feed; /* feed.pods: NULL without both */
};

/* The name that Kubernetes gives to this node: the option's, the environment's NODE_NAME, else the host's in small letters. 0 or a negative errno. */
int cgm_kubernetes_node_name(const struct cgm_kubernetes_options *o, char *ret, size_t size);
/* Starts to ask. What an option names and cannot be is said in the log, and fails: a negative errno. ret is made of zeros, and closed in any case. */
int cgm_kubernetes_open(const struct cgm_kubernetes_options *o, struct cgm_kubernetes *ret);
/* After those that use it (cgm_kube_cancel() ends what they wait for). */
void cgm_kubernetes_close(struct cgm_kubernetes *k);
