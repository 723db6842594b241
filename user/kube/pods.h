/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of one node, kept up to date: from the API server, or from the node's kubelet. Any thread. */
#pragma once
#include "kube/pod.h"
#include "kube/watch.h"

struct cgm_kube_pods_config {
	struct cgm_kube *kube; /* stays */
	const char *node; /* its name; NULL with kubelet */
	bool kubelet; /* kube is a kubelet, whose /pods is asked each interval_ns */
	uint64_t interval_ns; /* 0: 15 s */
	bool with_json; /* for cgm_kube_pods_json() */
};

struct cgm_kube_pods;
/* Starts to ask. 0 or a negative errno. */
int cgm_kube_pods_new(const struct cgm_kube_pods_config *config, struct cgm_kube_pods **ret);
/* Within 100 ms; nobody uses it any more. NULL is fine. */
void cgm_kube_pods_free(struct cgm_kube_pods *ps);
DEFINE_CLEANUP(cgm_kube_pods, cgm_kube_pods_free)

const char *cgm_kube_pods_server(const struct cgm_kube_pods *ps);
/* state.nr_objects_lost counts pods that were no pods or quantities that were none, too. */
struct cgm_kube_watch_state cgm_kube_pods_state(struct cgm_kube_pods *ps);
/* Readable after a change, and when the state turns, until it is read (an eventfd). For one thread. */
int cgm_kube_pods_changed_fd(const struct cgm_kube_pods *ps);

/* All of them, each with a reference, in an array of the caller's. 0 or -ENOMEM. */
int cgm_kube_pods_all(struct cgm_kube_pods *ps, struct cgm_kube_pod ***ret, size_t *ret_nr);
/* By the API's uid or by that of its cgroup, with a reference. NULL: there is none. */
struct cgm_kube_pod *cgm_kube_pods_find(struct cgm_kube_pods *ps, const char *uid);
struct cgm_kube_volume_name {
	char name[256], claim[256], pod_namespace[256]; /* the pod's own name of it; its PersistentVolumeClaim */
};
/*
 * Of the pod of that uid, the volume whose directory the kubelet has called after the persistent volume that is bound to its claim. False: it is none, or not known (yet): the API server is asked for
 * claims when their pods come or change. Never waits for it.
 */
bool cgm_kube_pods_volume(struct cgm_kube_pods *ps, const char *uid, const char *directory, struct cgm_kube_volume_name *ret);

/* A whole PodList, as a kubelet answers GET /pods. 0; -ENOMEM; -EAGAIN: they were never listed; -ENOTSUP: without with_json. */
int cgm_kube_pods_json(struct cgm_kube_pods *ps, struct cgm_buf *ret);
