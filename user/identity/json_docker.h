/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What docker's API answers (podman's too), read. A field that is absent or null is not known; one of another type than the API's makes the
 * whole document bad: -EINVAL. Any thread.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "identity/runtime.h"

/* Letters, digits, "_", "." and "-", which need no escaping in a path, and shorter than CGM_MAX_ID. */
bool cgm_docker_is_id(const char *id);

/* GET /version: the runtime's version, cut where size ends. 0 or -EINVAL. */
int cgm_docker_version(const char *json, size_t len, char *ret, size_t size);

/* GET /containers/json: fn for each id, until it fails. ret_nr_bad: entries without an id. 0, -EINVAL, or what fn returned. */
typedef int cgm_docker_id_fn(void *arg, const char *id);
int cgm_docker_list(const char *json, size_t len, cgm_docker_id_fn *fn, void *arg, size_t *ret_nr_bad);

/* GET /containers/ID/json. runtime: a literal. env_whitelist as in cgm_runtime_config. 0 with one reference, -EINVAL or -ENOMEM. */
int cgm_docker_inspect(const char *json, size_t len, const char *runtime, const char *env_whitelist, struct cgm_who **ret);

/* A line of GET /events. */
enum cgm_docker_change { CGM_DOCKER_NOTHING, CGM_DOCKER_CHANGED, CGM_DOCKER_GONE };
struct cgm_docker_event {
	enum cgm_docker_change change;
	char id[CGM_MAX_ID]; /* "" with NOTHING */
};
int cgm_docker_event(const char *json, size_t len, struct cgm_docker_event *ret);
