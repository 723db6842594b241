/* SPDX-License-Identifier: Apache-2.0 */
/* The runtimes that the options name, as the identity room wants them. */
#pragma once
#include "identity/names.h"

struct cgm_runtime_options {
	const char *docker, *podman, *containerd, *crio; /* sockets, with or without unix://; "": not asked */
	const char *containerd_namespace, *docker_env, *containerd_env;
	uint64_t crio_timeout_ns;
};

/* Starts to look for them. o and feed must live as long; env_whitelist: of the runtimes that have none of their own. *ret is NULL when none is to be asked. 0 or a negative errno. */
int cgm_runtimes_open(const struct cgm_runtime_options *o, const char *env_whitelist, struct cgm_kubernetes_feed *feed, struct cgm_names **ret);
