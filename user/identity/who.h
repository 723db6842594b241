/* SPDX-License-Identifier: Apache-2.0 */
/* What a runtime knows of a container. Never changes once made, shared by reference count; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/parse.h"

struct cgm_pair {
	const char *key, *value;
};

enum cgm_who_state { CGM_STATE_UNKNOWN, CGM_STATE_CREATED, CGM_STATE_RUNNING, CGM_STATE_PAUSED, CGM_STATE_EXITED };

struct cgm_who {
	uint32_t refs; /* atomic */
	const char *runtime; /* a literal: "docker", "podman", "containerd", "crio": cAdvisor's namespace */
	/* All texts below live as long as this; NULL: not known, or it has none. */
	const char *id; /* the runtime's, whole; never NULL */
	const char *name; /* docker's and podman's, without a slash; of a pod's container, its name in the pod */
	const char *namespace; /* of a container of containerd's own, within which its id is unique */
	const char *image;
	const char *pod, *pod_namespace, *pod_uid; /* of Kubernetes */
	const char *container; /* its name in the pod; NULL for a sandbox */
	const char *health; /* docker: "starting", "healthy", "unhealthy" */
	const char *log_path;
	const char *upper_dir; /* of its overlay, absolute, as the runtime says; see cgm_rootfs_find() */
	struct cgm_pair *labels, *envs; /* sorted by key; envs: only those that are wanted */
	struct cgm_pair *volumes; /* docker's and podman's of the driver "local": name and directory, sorted by name */
	size_t nr_labels, nr_envs, nr_volumes;
	uint64_t created_ns, started_ns, finished_ns; /* since 1970; 0: not known, or not yet */
	uint32_t restart_count, pid; /* pid of its first process; 0: not known */
	enum cgm_who_state state;
	int exit_code;
	bool has_exit_code;
	bool is_sandbox; /* of a pod: holds its namespaces, runs nothing */
	bool shares_network; /* its network namespace is another container's: of a pod's sandbox, or as --network=container:… says */
};

/* A copy of all of w's texts and pairs in one allocation, pairs sorted by key, a key that comes twice once (the first); one reference. NULL: out of memory. */
struct cgm_who *cgm_who_new(const struct cgm_who *w);
struct cgm_who *cgm_who_ref(struct cgm_who *w);
/* NULL is fine. */
void cgm_who_unref(struct cgm_who *w);
DEFINE_CLEANUP(cgm_who, cgm_who_unref)
/* Do both say the same? */
bool cgm_who_equal(const struct cgm_who *a, const struct cgm_who *b);
/* NULL: it has no such label. */
const char *cgm_who_label(const struct cgm_who *w, const char *key);
/* Sets pod, pod_namespace, pod_uid, container and shares_network from the labels io.kubernetes.…, which borrow from them. labels need not be sorted; is_sandbox is set before. */
void cgm_who_pod_labels(struct cgm_who *w);
/* The same as whoever runs only containers of a user may say it: without a pod, and labels that speak of one. One reference; NULL: out of memory. */
struct cgm_who *cgm_who_of_user(const struct cgm_who *w);
/* --env_metadata_whitelist: does the key begin with one of these words, comma between? An empty list wants none. */
bool cgm_env_is_wanted(const char *whitelist, struct cgm_str key);
