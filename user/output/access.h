/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request is to Kubernetes' authorization, as the kubelet has it: a verb on a part of this node. Paths that no kubelet has (the page, /api/…)
 * are nodes/proxy, as is all that the kubelet has no name for. Any thread.
 */
#pragma once

struct cgm_access {
	const char *verb; /* "get"; "" for methods without one. A literal */
	const char *subresource; /* "stats", "metrics", "log", "spec", "proxy". A literal */
};
/* path: clean, without --url_base_prefix. */
struct cgm_access cgm_access_of(const char *method, const char *path);
