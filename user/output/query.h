/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of a request, as cAdvisor takes them: one table describes them for the parser and for the reference. Any thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/events.h"

/* Which requests take them, or'ed. */
enum cgm_params {
	CGM_PARAMS_OPTIONS = 1, /* RequestOptions of v2 */
	CGM_PARAMS_EVENTS = 2,
	CGM_PARAMS_STORAGE = 4,
	CGM_PARAMS_BODY = 8, /* ContainerInfoRequest of v1, in the body */
	CGM_PARAMS_AGE = 16, /* max_age alone */
	CGM_PARAMS_KUBELET = 32, /* of /stats/summary */
};

/* Where they come from: the value of the first parameter of that name, decoded; NULL: none. One without a value is "". */
struct cgm_query {
	const char *(*get)(void *arg, const char *name);
	void *arg;
	bool lax; /* as cAdvisor: what it passes over is passed over */
};

#define CGM_FAULT_BYTES 256

enum cgm_id_type { CGM_ID_NAME, CGM_ID_DOCKER, CGM_ID_PODMAN };
/* "name", "docker", "podman" */
const char *cgm_id_type_name(enum cgm_id_type t);

struct cgm_container_query {
	enum cgm_id_type type;
	bool recursive;
	int64_t count; /* newest so many samples; -1: all that are held */
	bool has_max_age;
	uint64_t max_age_ns;
};
/* 0; -EINVAL: fault is a sentence that names the parameter, and *ret is as it was. */
int cgm_query_containers(const struct cgm_query *q, struct cgm_container_query *ret, char fault[CGM_FAULT_BYTES]);

struct cgm_events_query {
	bool stream;
	uint64_t max; /* newest so many; UINT64_MAX: all. A stream has no bound. */
	unsigned types; /* bit per enum cgm_record_type */
	bool subcontainers;
	uint64_t start_ns, end_ns; /* 0: no bound */
};
int cgm_query_events(const struct cgm_query *q, struct cgm_events_query *ret, char fault[CGM_FAULT_BYTES]);

/* of the kubelet's Summary; *ret stays as it is without the parameter. */
int cgm_query_kubelet(const struct cgm_query *q, bool *ret_only_cpu_and_memory, char fault[CGM_FAULT_BYTES]);

/* The reference: a line of a Markdown table for each parameter of these. */
void cgm_query_describe(unsigned params, struct cgm_buf *out);
/* "type, recursive, count, max_age" */
void cgm_query_names(unsigned params, struct cgm_buf *out);
