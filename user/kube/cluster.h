/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes, pods and namespaces of a cluster, kept up to date by three watches. Any thread. Objects never change once made and are shared by
 * reference count: a newer one takes their place.
 */
#pragma once
#include "kube/pod.h"
#include "kube/watch.h"

struct cgm_kube_node {
	uint32_t refs; /* atomic */
	const char *name, *uid; /* never NULL */
	const char *hostname; /* of type Hostname, else its name */
	const char *internal_ip, *external_ip, *legacy_ip, *internal_dns, *external_dns; /* NULL: none. Of several the first */
	const char *external_id, *provider_id; /* spec; NULL: none */
	const char *resource_path; /* annotation metrics.k8s.io/resource-metrics-path; NULL: none */
	struct cgm_kube_label *labels, *annotations; /* sorted by key */
	size_t nr_labels, nr_annotations;
	uint16_t kubelet_port; /* status.daemonEndpoints; 0: not said */
	bool ready, schedulable; /* condition Ready is True; not spec.unschedulable */
	int64_t cpu_capacity_milli, cpu_allocatable_milli, memory_capacity_bytes, memory_allocatable_bytes; /* -1: not said */
	uint64_t created_ns;
};

/* 0 with one reference; -EINVAL: it is no node; -ENOMEM. */
int cgm_kube_node_read(const json_t *object, struct cgm_kube_node **ret);
/* Do they say the same? */
bool cgm_kube_node_same(const struct cgm_kube_node *a, const struct cgm_kube_node *b);
struct cgm_kube_node *cgm_kube_node_ref(struct cgm_kube_node *n);
/* NULL is fine. */
void cgm_kube_node_unref(struct cgm_kube_node *n);
DEFINE_CLEANUP(cgm_kube_node, cgm_kube_node_unref)

struct cgm_kube_cluster_config {
	struct cgm_kube *kube; /* stays */
	const char *node_selector; /* label selector for nodes; NULL or "": all */
	bool no_pods; /* nodes alone */
	bool slim_pods; /* of pods only names, uid and labels: see cgm_kube_pod_read_slim */
};

struct cgm_kube_cluster;
/* Starts to ask. Of the pods those that a node was found for. 0 or a negative errno. */
int cgm_kube_cluster_new(const struct cgm_kube_cluster_config *config, struct cgm_kube_cluster **ret);
void cgm_kube_cluster_free(struct cgm_kube_cluster *c);
DEFINE_CLEANUP(cgm_kube_cluster, cgm_kube_cluster_free)

enum cgm_kube_what { CGM_KUBE_NODES, CGM_KUBE_PODS, CGM_KUBE_NAMESPACES, CGM_NR_KUBE_WHAT };
struct cgm_kube_watch_state cgm_kube_cluster_state(struct cgm_kube_cluster *c, enum cgm_kube_what what);
/* Grows with each change of the nodes (that they are alive still is none). */
uint64_t cgm_kube_cluster_nodes_version(struct cgm_kube_cluster *c);
/* How many of them there are. */
size_t cgm_kube_cluster_nr(struct cgm_kube_cluster *c, enum cgm_kube_what what);

/* All nodes sorted by name, each with a reference, in an array of the caller's. 0 or -ENOMEM. */
int cgm_kube_cluster_nodes(struct cgm_kube_cluster *c, struct cgm_kube_node ***ret, size_t *ret_nr);
/* With a reference. NULL: there is none. */
struct cgm_kube_node *cgm_kube_cluster_node(struct cgm_kube_cluster *c, const char *name);
struct cgm_kube_pod *cgm_kube_cluster_pod(struct cgm_kube_cluster *c, const char *pod_namespace, const char *name);
/* Pods of one namespace (NULL: of all), each with a reference, in an array of the caller's, unsorted. 0 or -ENOMEM. */
int cgm_kube_cluster_pods(struct cgm_kube_cluster *c, const char *pod_namespace, struct cgm_kube_pod ***ret, size_t *ret_nr);
/* The uid of a namespace into uid (at most size bytes, with its zero). False: it is not known. */
bool cgm_kube_cluster_namespace_uid(struct cgm_kube_cluster *c, const char *name, char *uid, size_t size);

/* ---- selector.c: "a=b,c!=d,e in (f,g),!h" ---- */

struct cgm_kube_selector;
/* 0; -EINVAL with fault (CGM_KUBE_FAULT), -ENOMEM. "" matches everything. */
int cgm_kube_selector_read(const char *text, struct cgm_kube_selector **ret, char *fault);
void cgm_kube_selector_free(struct cgm_kube_selector *s);
DEFINE_CLEANUP(cgm_kube_selector, cgm_kube_selector_free)
bool cgm_kube_selector_matches(const struct cgm_kube_selector *s, const struct cgm_kube_label *labels, size_t nr_labels);
