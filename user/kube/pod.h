/* SPDX-License-Identifier: Apache-2.0 */
/* What the API says of a pod. Never changes once made, one allocation, shared by reference count; any thread. Texts live as long as it; NULL: not said. Times: ns since 1970, 0: not said. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

enum cgm_kube_phase { CGM_KUBE_PHASE_UNKNOWN, CGM_KUBE_PENDING, CGM_KUBE_RUNNING, CGM_KUBE_SUCCEEDED, CGM_KUBE_FAILED };
enum cgm_kube_qos { CGM_KUBE_QOS_UNKNOWN, CGM_KUBE_GUARANTEED, CGM_KUBE_BURSTABLE, CGM_KUBE_BEST_EFFORT };
enum cgm_kube_kind { CGM_KUBE_MAIN, CGM_KUBE_INIT, CGM_KUBE_EPHEMERAL };
enum cgm_kube_state { CGM_KUBE_STATE_UNKNOWN, CGM_KUBE_STATE_WAITING, CGM_KUBE_STATE_RUNNING, CGM_KUBE_STATE_TERMINATED };

struct cgm_kube_label {
	const char *key, *value;
};

/* One life of a container. */
struct cgm_kube_life {
	const char *id; /* the runtime's, without "containerd://" */
	const char *runtime; /* "containerd" */
	const char *reason; /* "OOMKilled", "CrashLoopBackOff" */
	uint64_t started_ns, finished_ns;
	int exit_code; /* of one that terminated */
	enum cgm_kube_state state;
};

struct cgm_kube_container {
	const char *name, *image, *image_id;
	enum cgm_kube_kind kind;
	uint32_t restart_count;
	struct cgm_kube_life now, last; /* last: before its last restart */
	int64_t cpu_request_milli, cpu_limit_milli, memory_request_bytes, memory_limit_bytes; /* -1: none */
};

struct cgm_kube_volume {
	const char *name;
	const char *kind; /* "emptyDir", "configMap", "persistentVolumeClaim" */
	const char *claim; /* name of its PersistentVolumeClaim */
};

struct cgm_kube_pod {
	uint32_t refs; /* atomic */
	const char *name, *pod_namespace, *uid; /* never NULL */
	const char *cgroup_uid; /* by which its cgroup is named: of a static pod, of which the API shows a mirror, another than uid. Never NULL */
	const char *node, *version;
	struct cgm_kube_label *labels; /* sorted by key */
	struct cgm_kube_pod *lender; /* whose labels these are, with a reference; NULL: they are its own */
	struct cgm_kube_container *containers; /* also those that have no life yet */
	struct cgm_kube_volume *volumes;
	size_t nr_labels, nr_containers, nr_volumes;
	enum cgm_kube_phase phase;
	enum cgm_kube_qos qos;
	bool host_network;
	uint64_t created_ns, started_ns;
	const char *json; /* all of it but managedFields, as an item of a PodList; NULL: not wanted */
	size_t json_len;
};

/* 0 with one reference; -EINVAL: it is no pod; -ENOMEM. A quantity that is none is as if it were not there, and makes *ret_nr_bad (NULL is fine) grow. */
int cgm_kube_pod_read(const json_t *object, bool with_json, struct cgm_kube_pod **ret, uint64_t *ret_nr_bad);
/*
 * The same of its metadata alone: names, uid, labels and when it was created, which is all that the Metrics API wants of a hundred thousand pods. lender: a pod with the same labels, which are
 * not copied then; NULL: there is none.
 */
int cgm_kube_pod_read_slim(const json_t *object, struct cgm_kube_pod *lender, struct cgm_kube_pod **ret);
bool cgm_kube_pod_same_labels(const struct cgm_kube_pod *a, const struct cgm_kube_pod *b);
struct cgm_kube_pod *cgm_kube_pod_ref(struct cgm_kube_pod *p);
/* NULL is fine. */
void cgm_kube_pod_unref(struct cgm_kube_pod *p);
DEFINE_CLEANUP(cgm_kube_pod, cgm_kube_pod_unref)
