/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the ContainerInfo decoder share: decode_containers.c (who a container is) and decode_samples.c (what its last sample says). */
#pragma once
#include "source/decoders.h"

#define CGM_MAX_CUSTOM 256 /* of one container */

/* One metric that an application tells, as its spec has it. */
struct cgm_container_custom {
	const char *name;
	bool is_float;
};

struct cgm_containers {
	struct cgm_scan scan;
	struct cgm_cast cast;
	struct cgm_draft *d;
	struct cgm_container_custom custom[CGM_MAX_CUSTOM]; /* of the container that is read */
	size_t nr_custom;
	bool any_root;
};

/* One container while it is read. */
struct cgm_container {
	const char *name, *alias, *image;
	const char *container, *pod, *pod_namespace, *uid, *kind; /* labels */
	bool has_cpu, has_memory, has_network, has_fs, has_diskio, has_processes; /* what its spec says */
	uint64_t created_ns;
	size_t nr_stats;
	/* of the last sample */
	uint64_t time_ns;
	uint64_t present;
	int64_t values[CGM_NR_SCALARS];
	bool has_interfaces;
	size_t first_labeled; /* in the draft; they get their set in the end */
};

/* The sample that comes next, in the place of the one before. */
void cgm_decode_sample(struct cgm_containers *y, struct cgm_container *c);
