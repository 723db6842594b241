/* SPDX-License-Identifier: Apache-2.0 */
/* What the path of a cgroup tells of whose it is: container runtimes and the kubelet put their ids into it. Any thread. */
#pragma once
#include "base/parse.h"

enum cgm_resource_kind { CGM_RESOURCE_MACHINE, CGM_RESOURCE_POD, CGM_RESOURCE_CONTAINER, CGM_RESOURCE_CGROUP };

struct cgm_resource {
	enum cgm_resource_kind kind;
	struct cgm_str container_id; /* a part of the path; empty: none */
	const char *runtime; /* "docker", "containerd", "cri-o", "podman"; "": not known */
	char pod_uid[40]; /* of the pod that it is, or is in; "": none */
};

/*
 * A container is a last part of 64 hexadecimal digits, alone or as docker-….scope, cri-containerd-….scope, crio-….scope, libpod-….scope
 * (.scope may be missing). A pod is pod<uid>, or kubepods…-pod<uid>.slice with _ for -. What lies inside a container is a cgroup.
 */
void cgm_resource_of(const char *path, struct cgm_resource *ret);
