/* SPDX-License-Identifier: Apache-2.0 */
/* What a container, or a pod, holds on the machine's file systems. Never changes once made, shared by reference count; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "disk/usage.h"

struct cgm_volume {
	const char *name; /* docker's and podman's; of a pod the kubelet's directory: the pod's own name of it, or that of a persistent volume */
	const char *plugin; /* the kubelet's, "kubernetes.io/empty-dir"; NULL: docker's or podman's */
	const char *claim, *claim_namespace; /* of a persistent volume; NULL: nobody said */
	bool ephemeral; /* of the pod, and on the machine's disk: counts as its ephemeral storage */
	struct cgm_disk_usage usage;
};

struct cgm_storage {
	uint32_t refs; /* atomic */
	bool has_layer, has_logs, has_hosts;
	struct cgm_disk_usage layer; /* what it has written into its root */
	struct cgm_disk_usage logs; /* what the runtime keeps of its output */
	struct cgm_disk_usage hosts; /* of a pod: the file etc-hosts that the kubelet makes for it */
	struct cgm_volume *volumes;
	size_t nr_volumes;
};

/* A copy with all texts in one allocation; one reference. NULL: out of memory. */
struct cgm_storage *cgm_storage_new(const struct cgm_storage *s);
struct cgm_storage *cgm_storage_ref(struct cgm_storage *s);
/* NULL is fine. */
void cgm_storage_unref(struct cgm_storage *s);
DEFINE_CLEANUP(cgm_storage, cgm_storage_unref)
