/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of the CRI and of containerd's own API, decoded as far as we want them. Field numbers are those of kubernetes/cri-api
 * pkg/apis/runtime/v1/api.proto (v1alpha2 has the same) and containerd/containerd api/services/{containers,events,namespaces,tasks,version}/v1/,
 * api/events/, api/types/task/task.proto. All return 0 or -EINVAL (the bytes are no such message), or what is said. Any thread.
 */
#pragma once
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "identity/who.h"

struct cgm_cri_version {
	char name[32], version[64]; /* "containerd", "1.6.20~ds1"; cut when longer */
};
int cgm_cri_decode_version(struct cgm_str message, struct cgm_cri_version *ret);
/* containerd's own. */
int cgm_containerd_decode_version(struct cgm_str message, struct cgm_cri_version *ret);

/* ImageFsInfoResponse: what images hold on the first file system that it tells of. -ENOENT: it tells of none. */
struct cgm_cri_images {
	uint64_t used_bytes, used_inodes;
};
int cgm_cri_decode_images(struct cgm_str message, struct cgm_cri_images *ret);

/* Each item of a list; fn's negative value ends it and is returned. */
typedef int cgm_cri_item_fn(void *arg, struct cgm_str id, enum cgm_who_state state);
int cgm_cri_each_container(struct cgm_str message, cgm_cri_item_fn *fn, void *arg);
int cgm_cri_each_sandbox(struct cgm_str message, cgm_cri_item_fn *fn, void *arg);
typedef int cgm_containerd_fn(void *arg, struct cgm_str part);
/* Names of namespaces; Container messages, which are also a GetContainerResponse of one. */
int cgm_containerd_each_namespace(struct cgm_str message, cgm_containerd_fn *fn, void *arg);
int cgm_containerd_each_container(struct cgm_str message, cgm_containerd_fn *fn, void *arg);

/* One container or sandbox. Made of zeros, filled once, released by cgm_cri_facts_done(), also after a failure. */
struct cgm_cri_facts {
	struct cgm_who who; /* but for runtime and envs; its texts are borrowed from texts, its labels are owned here */
	struct cgm_str info; /* JSON, of a verbose answer, or containerd's specification of a container: a part of the message */
	char *texts;
	size_t texts_len, cap_labels;
};
void cgm_cri_facts_done(struct cgm_cri_facts *f);
/* ContainerStatusResponse, PodSandboxStatusResponse; containerd's Container, which has no state. -ENOMEM too. */
int cgm_cri_decode_container(struct cgm_str message, struct cgm_cri_facts *f);
int cgm_cri_decode_sandbox(struct cgm_str message, struct cgm_cri_facts *f);
int cgm_containerd_decode_container(struct cgm_str message, struct cgm_cri_facts *f);
/* Adds pid and state of the task of f->who.id, from a ListTasksResponse or a GetResponse. Without a task it is created. */
int cgm_containerd_add_task(struct cgm_str message, struct cgm_cri_facts *f);

/* One message of a stream of events: of whom it speaks, and what is so from now on. */
struct cgm_cri_event {
	struct cgm_str namespace; /* of containerd; empty with the CRI */
	struct cgm_str id; /* empty: it is of nothing that we want to know */
	enum cgm_who_state state; /* UNKNOWN: it does not say */
	bool gone; /* the container was removed */
};
/* ContainerEventResponse of the CRI's GetContainerEvents; containerd's Envelope. */
int cgm_cri_decode_event(struct cgm_str message, struct cgm_cri_event *ret);
int cgm_containerd_decode_event(struct cgm_str message, struct cgm_cri_event *ret);
/* A SubscribeRequest with filters for those topics that the latter understands, of other containers than docker's. */
void cgm_containerd_event_request(struct cgm_buf *b);
