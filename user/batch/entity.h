/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose numbers a set holds: a cluster, a namespace, a node, a pod, a container. Never changes once made, one allocation, shared by reference
 * count; any thread. The same entity is kept from cycle to cycle while nothing of it changes.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "batch/metric.h"

/* Heapster's labels, sorted by name. */
enum cgm_cl {
	CGM_CL_CONTAINER_BASE_IMAGE,
	CGM_CL_CONTAINER_NAME,
	CGM_CL_HOST_ID,
	CGM_CL_HOSTNAME,
	CGM_CL_LABELS, /* "k:v,k:v", sorted by key */
	CGM_CL_NAMESPACE_ID,
	CGM_CL_NAMESPACE_NAME,
	CGM_CL_NODENAME,
	CGM_CL_POD_ID,
	CGM_CL_POD_NAME,
	CGM_CL_SCHEDULABLE, /* "true", "false" */
	CGM_CL_TYPE,
	CGM_NR_CL,
};
/* "container_base_image" … */
const char *cgm_cl_name(enum cgm_cl l);

struct cgm_tag {
	const char *key, *value;
};

struct cgm_entity {
	uint32_t refs; /* atomic */
	enum cgm_set_kind kind;
	uint64_t hash; /* of key */
	struct cgm_entity *lender; /* whose texts some labels are; a reference. NULL: all are its own */
	const char *key; /* Heapster's: "cluster", "namespace:N", "node:N", "node:N/container:C", "namespace:N/pod:P", "namespace:N/pod:P/container:C" */
	const char *labels[CGM_NR_CL]; /* NULL: it has none. CGM_CL_TYPE is always there */
	const struct cgm_tag *stored; /* of --store_label, sorted by key */
	size_t nr_stored;
};

/* What one is made of; texts are copied. labels[CGM_CL_TYPE] is set by _new, and key is made of the labels. */
struct cgm_entity_facts {
	enum cgm_set_kind kind;
	const char *labels[CGM_NR_CL];
	const struct cgm_tag *stored;
	size_t nr_stored;
	struct cgm_entity *lender; /* texts that it has as well are not copied: a pod's for its container, a node's for its pod. May be NULL */
};
/* One reference, or NULL: out of memory. */
struct cgm_entity *cgm_entity_new(const struct cgm_entity_facts *facts);
/* Is e made of just these facts? */
bool cgm_entity_is(const struct cgm_entity *e, const struct cgm_entity_facts *facts);
struct cgm_entity *cgm_entity_ref(struct cgm_entity *e);
/* NULL is fine. */
void cgm_entity_unref(struct cgm_entity *e);
DEFINE_CLEANUP(cgm_entity, cgm_entity_unref)
/* Appends the key that these labels give. */
void cgm_entity_key(enum cgm_set_kind kind, const char *const labels[CGM_NR_CL], struct cgm_buf *out);
