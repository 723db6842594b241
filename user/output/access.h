/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is to Kubernetes' authorization, as the kubelet has it: a verb on a part of this node. Paths that no kubelet has (the page, /api/…)
 * are nodes/proxy, as is all that the kubelet has no name for. Of a server that is no node's (serve.h) it is what an API server's would be: a verb on a
 * resource of the Metrics API, or on a path. Any thread.
 */
#pragma once
#include "kube/review.h"

struct cgm_access {
	const char *verb; /* "get"; "" for methods without one. A literal */
	const char *subresource; /* "stats", "metrics", "log", "spec", "proxy". A literal */
	const char *path; /* the request's, of a server that is no node's; NULL: a node's. Whoever keeps it longer than the request copies it */
};
/* path: clean, without --url_base_prefix. */
struct cgm_access cgm_access_of(const char *method, const char *path);
/* Of a server that is no node's: verb "get", "list" for several, "create". */
struct cgm_access cgm_access_of_path(const char *method, const char *path);

/* The parts of such an access, as a review names them: a resource of metrics.k8s.io or custom.metrics.k8s.io, or the path. ret is good while parts and a's path are. */
#define CGM_ACCESS_PART 254
struct cgm_access_parts {
	char version[CGM_ACCESS_PART], object_namespace[CGM_ACCESS_PART], name[CGM_ACCESS_PART], resource[CGM_ACCESS_PART], subresource[CGM_ACCESS_PART];
};
void cgm_access_split(const struct cgm_access *a, struct cgm_access_parts *parts, struct cgm_kube_access *ret);
