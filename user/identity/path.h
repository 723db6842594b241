/* SPDX-License-Identifier: Apache-2.0 */
/* What the path of a cgroup says by itself: the id of a container, the uid of a pod. Any thread. */
#pragma once
#include <stdbool.h>

#include "base/buf.h"
#include "base/parse.h"

enum cgm_path_kind { CGM_PATH_OTHER, CGM_PATH_CONTAINER, CGM_PATH_POD, CGM_PATH_UNIT };

#define CGM_POD_UID_BYTES 40

struct cgm_path_facts {
	enum cgm_path_kind kind;
	/* CONTAINER: its id. UNIT: its name. OTHER: what would be the id if it were a container of containerd (/NAMESPACE/ID); empty: it cannot be. A part of path. */
	struct cgm_str id;
	struct cgm_str inside; /* OTHER: the id of the container whose processes it holds, podman's libpod-ID.scope/container; else empty */
	const char *runtime; /* a literal, when the path tells: "docker", "podman", "containerd", "crio", "lxc"; else NULL */
	char pod_uid[CGM_POD_UID_BYTES]; /* of the pod that it is, or is in; "": none */
};

/*
 * Forms that are known, with the cgroupfs and the systemd driver, at any depth (kind, docker in docker):
 *	/docker/ID, docker-ID.scope; libpod_parent/libpod-ID, libpod-ID.scope(/container); cri-containerd-ID.scope; crio-ID.scope; /NAMESPACE/ID of containerd;
 *	…/pod<UID>/ID, kubepods-burstable-pod<UID with _>.slice/…; lxc/NAME, lxc.payload.NAME; UNIT.service, .scope, .slice
 */
void cgm_path_parse(const char *path, struct cgm_path_facts *ret);
/*
 * What people call it when no runtime told: a unit its name with escapes undone ("nginx.service"), a machine of systemd-nspawn or libvirt the machine's name
 * (machine-NAME.scope, systemd-nspawn@NAME.service), a container of LXC its name. Appends nothing to others.
 */
void cgm_path_title(const char *path, struct cgm_buf *out);
