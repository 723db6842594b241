/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a driver of a runtime is, and what it may call. Each driver has a thread of its own, made by names.c. It connects, tells of all containers that
 * there are (cgm_runtime_learn(), then cgm_runtime_listed()), then tells of changes as the runtime announces them, and of ids that somebody
 * asks for. When the connection ends it returns; it is run again when the socket is there (again), with a back-off.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity/who.h"

#define CGM_RUNTIME_FAULT 256
#define CGM_MAX_ID 128 /* bytes of a container's id, with the end */

struct cgm_runtime;
struct cgm_kube_pods;

/* Where the driver of Kubernetes has its pods from, and how much of the watch's counts it has told of. */
struct cgm_kubernetes_feed {
	struct cgm_kube_pods *pods; /* NULL: it is not asked */
	uint64_t nr_calls, nr_failed, nr_lost;
};

struct cgm_runtime_config {
	const char *name; /* "docker": cAdvisor's namespace */
	const char *socket; /* path, without a scheme; of a driver with there(): what is shown of where it asks */
	const char *env_whitelist; /* prefixes of the environment's keys that are wanted, comma between; "": none */
	const char *containerd_namespace; /* "k8s.io" */
	uint64_t timeout_ns; /* of one call; 0: 5 s. A driver never sees 0 */
	/* Not NULL: "/run/user": the socket is that of a user, users_dir/UID/podman/podman.sock, any but root. Nobody trusts what it says: see names.h. */
	const char *users_dir;
	struct cgm_kubernetes_feed *kubernetes; /* of that driver alone */
};

struct cgm_runtime_driver {
	/* Until the connection ends or cgm_runtime_stopping(). 0: it was asked to stop; else a negative errno with fault (CGM_RUNTIME_FAULT) saying why. */
	int (*run)(struct cgm_runtime *r, char *fault);
	/* Is there somebody to ask? Else with fault. It says in the log itself how its connection fares. NULL: when the socket is there. */
	bool (*there)(struct cgm_runtime *r, char *fault);
	bool second_hand; /* knows containers by hearsay: what a runtime itself told goes before, also while that is away */
};
extern const struct cgm_runtime_driver cgm_docker_driver; /* docker's and podman's API (docker.c) */
extern const struct cgm_runtime_driver cgm_cri_driver; /* containerd and CRI-O, by the CRI (cri.c) */
extern const struct cgm_runtime_driver cgm_kubernetes_driver; /* pods of the API server or of a kubelet (kubernetes.c) */

/* ---- for drivers, in the driver's thread ---- */

const struct cgm_runtime_config *cgm_runtime_config(const struct cgm_runtime *r);
/* Readable when cgm_runtime_stopping() became true or somebody wants an id: for poll(), beside the runtime's own descriptors. */
int cgm_runtime_wake_fd(const struct cgm_runtime *r);
bool cgm_runtime_stopping(const struct cgm_runtime *r);
/* The connection stands, and this is who answers: shown in /metrics and by probe. */
void cgm_runtime_connected(struct cgm_runtime *r, const char *version);
/* A container as it is now: new, or anew. Takes who over; NULL (out of memory) is counted. */
void cgm_runtime_learn(struct cgm_runtime *r, struct cgm_who *who);
/* A container that the runtime no longer knows. What its cgroup was named stays until the cgroup goes. */
void cgm_runtime_forget(struct cgm_runtime *r, const char *id);
/* The same of a container whose who has that namespace. */
void cgm_runtime_forget_in(struct cgm_runtime *r, const char *namespace, const char *id);
/* All that there are have been told since the run began, or since the last call of this: others are forgotten. */
void cgm_runtime_listed(struct cgm_runtime *r);
/*
 * An id that a cgroup bears and nobody knows yet. The driver asks its runtime for it, and learns it or does nothing. False when there is none (left),
 * which empties the wake descriptor. An id comes again, some times within ten seconds, as long as nobody knows it.
 */
bool cgm_runtime_next_wanted(struct cgm_runtime *r, char id[CGM_MAX_ID]);
/* What its images hold on disk, as it says. */
void cgm_runtime_images(struct cgm_runtime *r, uint64_t used_bytes, uint64_t used_inodes);
/* Counts a call to the runtime, and whether it failed. */
void cgm_runtime_count_call(struct cgm_runtime *r, bool failed);
