/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's statistics from a snapshot: the Summary API, /metrics/resource, and whose labels /metrics/cadvisor has. A pod is known by its
 * containers, its sandbox and its own cgroup, which bear the same uid; who does not know of Kubernetes is in none. Any thread.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cgroup/machine.h"
#include "model/snapshot.h"
#include "output/stream.h"

/* ---- kubelet_pods.c: which rows are a pod's ---- */

struct cgm_kubelet_member {
	const struct cgm_row *row;
	const struct cgm_who *who;
	enum cgm_kubelet_role { CGM_POD_OWN, CGM_POD_SANDBOX, CGM_POD_CONTAINER } role;
};

/* Members by uid of their pod, then role, then name; of those with the same name in a pod the newest alone. Refers to the snapshot, which must outlive it. */
struct cgm_kubelet_pods {
	struct cgm_kubelet_member *members;
	size_t nr;
};
/* 0 or -ENOMEM. */
int cgm_kubelet_pods_init(const struct cgm_snapshot *s, struct cgm_kubelet_pods *ret);
void cgm_kubelet_pods_done(struct cgm_kubelet_pods *p);

struct cgm_kubelet_pod {
	const char *uid, *name, *namespace; /* name, namespace: "" when nobody said */
	const struct cgm_row *own, *sandbox; /* NULL: not seen */
	const struct cgm_kubelet_member *containers; /* by name */
	size_t nr_containers;
	const struct cgm_row *network; /* whose interfaces are the pod's; NULL: none has any (the host's network) */
	uint64_t start_ns; /* the sandbox's; else when the cgroup came; else when the first container did */
};
/* The pod that begins at *at (0: the first), which is moved behind it. False: none is left. */
bool cgm_kubelet_pods_next(const struct cgm_kubelet_pods *p, size_t *at, struct cgm_kubelet_pod *ret);
/* By row: does it show its interfaces when each pod shows them once? In fresh memory of the caller's. 0 or -ENOMEM. */
int cgm_kubelet_network(const struct cgm_snapshot *s, bool **ret);
/* The name of a container in its pod. */
const char *cgm_kubelet_container_name(const struct cgm_who *w);

/* ---- kubelet_rows.c: what a row means to the kubelet ---- */

/* When the container was created, as the runtime says, else its cgroup. who may be NULL. */
uint64_t cgm_kubelet_start_ns(const struct cgm_row *row, const struct cgm_who *who);
/* Nanoseconds of CPU a second, over the last two samples. 1; 0: there is one sample, or the counter fell; -ENOMEM. */
int cgm_kubelet_cpu_rate(const struct cgm_row *row, uint64_t *ret);
/* Is that a limit? Without one the files say 2^63 less a page, or all ones. */
bool cgm_kubelet_is_limit(uint64_t bytes);
/* The most bytes of swap that it may have. False: no limit. */
bool cgm_kubelet_swap_limit(const struct cgm_snapshot *s, const struct cgm_row *row, uint64_t *ret);
/* The interface that stands for all: eth0, else the first that has moved a byte. NULL: none. */
const struct cgm_layout_block *cgm_kubelet_interface(const struct cgm_row *row);
bool cgm_kubelet_has_interfaces(const struct cgm_row *row);
/* Cgroups that are no pod's, under the name of their part of the node, the first of each name that is there. Begins with *at 0; false: none is left. */
bool cgm_kubelet_system(const struct cgm_snapshot *s, size_t *at, const char **ret_name, const struct cgm_row **ret);

/* ---- kubelet_fs.c: FsStats of the Summary API ---- */

/* What a directory holds, and what its file system has. */
struct cgm_kubelet_fs {
	uint64_t time_ns, used_bytes, used_inodes; /* time_ns 0: nothing of it is known */
	uint64_t capacity_bytes, available_bytes, inodes, inodes_free; /* inodes 0: it counts none */
	bool has_used; /* used_bytes and used_inodes are known */
};
struct cgm_kubelet_fs cgm_kubelet_fs_of(const struct cgm_disk_usage *u);
/* A file system as a whole, from a row of the machine's sample, as of time_ns. */
struct cgm_kubelet_fs cgm_kubelet_fs_whole(const uint64_t *values, uint64_t time_ns);
/* The fields behind the brace, as of "fs": "time":…; a comma stands in front of none. */
void cgm_kubelet_put_fs(struct cgm_buf *b, const struct cgm_kubelet_fs *fs);
/* ,"volume":[…],"ephemeral-storage":{…} of a pod; root: the machine's root file system. Nothing when nothing was measured. */
void cgm_kubelet_put_volumes(struct cgm_buf *b, const struct cgm_kubelet_pod *pod);
void cgm_kubelet_put_ephemeral(struct cgm_buf *b, const struct cgm_kubelet_pod *pod, const struct cgm_kubelet_fs *root);
/* The file system that writable layers and images lie on, and what images hold where a runtime tells it; time_ns 0: not known. */
struct cgm_kubelet_fs cgm_kubelet_images(const struct cgm_snapshot *s);

/* ---- kubelet_summary.c ---- */

#define CGM_NODE_NAME 256 /* bytes, with the end */

/* What no row says of the node. 0 and "": not known. */
struct cgm_kubelet_node {
	char name[CGM_NODE_NAME]; /* the host's in small letters, as Kubernetes names nodes */
	uint64_t time_ns, boot_time_ns;
	uint64_t memory_bytes, swap_bytes; /* swap may be 0 where memory is known */
	uint64_t max_pid, nr_tasks;
	char root_device[CGM_FS_DEVICE]; /* of the file system of / */
};
/* The file system of /, as a whole. time_ns 0: not known. */
struct cgm_kubelet_fs cgm_kubelet_root_fs(const struct cgm_snapshot *s, const struct cgm_kubelet_node *node);
/* machine may be NULL. */
void cgm_kubelet_node_read(int root_fd, const struct cgm_machine *machine, uint64_t boot_time_ns, struct cgm_kubelet_node *ret);
/* /stats/summary: the node, then a pod a piece. node is copied. Takes a reference of s. NULL: out of memory. */
struct cgm_stream *cgm_kubelet_summary(struct cgm_snapshot *s, const struct cgm_kubelet_node *node, bool only_cpu_and_memory);

/* ---- compact.c ---- */

/* /api/cgmeter/compact, as include/cgmeter/compact.h describes it, a pod a piece; likewise. */
struct cgm_stream *cgm_compact(struct cgm_snapshot *s, const struct cgm_kubelet_node *node);

/* ---- kubelet_resource.c ---- */

/* /metrics/resource as text, some rows a piece. Takes a reference of s. NULL: out of memory. */
struct cgm_stream *cgm_kubelet_resource(struct cgm_snapshot *s);

/* ---- kubelet_list.c: a PodList of what the runtimes say ---- */

/* Does anybody here know of pods: a runtime that answers, or one that did? */
bool cgm_kubelet_knows_pods(const struct cgm_snapshot *s);
/*
 * /runningpods/: what runs, in the form of a kubelet. With status, as /pods: also labels, times and the state of each container, and those that have
 * ended; node: name of this node. A pod a piece. Takes a reference of s. NULL: out of memory.
 */
struct cgm_stream *cgm_kubelet_pod_list(struct cgm_snapshot *s, bool status, const char *node);

/* ---- kubelet_labels.c ---- */

/*
 * The labels of each row, those that have ended included, as the kubelet has them: container, id, image, name, namespace, pod. And by row: whose labels stand at its interfaces, a
 * row index; UINT32_MAX: nobody's, another row of the pod shows them. 0 or -ENOMEM.
 */
int cgm_kubelet_labels(const struct cgm_snapshot *s, struct cgm_label_union **ret_labels, uint32_t **ret_network);
