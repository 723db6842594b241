// SPDX-License-Identifier: Apache-2.0
#include "node/runtimes.h"

#include <string.h>

#include "base/log.h"
#include "kube/pods.h"

/* "": not to be asked. */
static const char *socket_of(const char *flag, const char *address)
{
	static const char scheme[] = "unix://";

	if (strncmp(address, scheme, sizeof(scheme) - 1) == 0)
		address += sizeof(scheme) - 1;
	if (!*address || *address == '/')
		return address;
	cgm_warning("--%s=%s: a runtime is asked over its Unix socket alone, unix:///path; it is not asked", flag, address);
	return "";
}

static const char *first_of(const char *own, const char *common)
{
	return *own ? own : common;
}

int cgm_runtimes_open(const struct cgm_runtime_options *o, const char *env_whitelist, struct cgm_kubernetes_feed *feed, struct cgm_names **ret)
{
	const char *docker_env = first_of(o->docker_env, env_whitelist), *cri_env = first_of(o->containerd_env, env_whitelist);
	/* Of two that know a container the first has the say. */
	struct cgm_names_config c[] = {
		{ { .name = "docker", .socket = socket_of("docker", o->docker), .env_whitelist = docker_env }, &cgm_docker_driver },
		{ { .name = "podman", .socket = socket_of("podman", o->podman), .env_whitelist = docker_env }, &cgm_docker_driver },
		{ { .name = "containerd",
		    .socket = socket_of("containerd", o->containerd),
		    .env_whitelist = cri_env,
		    .containerd_namespace = o->containerd_namespace },
		  &cgm_cri_driver },
		{ { .name = "crio", .socket = socket_of("crio", o->crio), .env_whitelist = cri_env, .timeout_ns = o->crio_timeout_ns }, &cgm_cri_driver },
		{ { .name = "kubernetes", .socket = feed->pods ? cgm_kube_pods_server(feed->pods) : "", .kubernetes = feed }, &cgm_kubernetes_driver },
	};
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		nr += *c[i].config.socket != '\0';
	return nr ? cgm_names_new(c, ARRAY_SIZE(c), ret) : 0;
}
