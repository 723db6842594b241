/* SPDX-License-Identifier: Apache-2.0 */
/* Who bears a token, and what may he do: authentication.k8s.io/v1 TokenReview and authorization.k8s.io/v1 SubjectAccessReview. No cache here. Any thread; each waits for an answer. */
#pragma once
#include "kube/kube.h"

/* Texts are the struct's own. */
struct cgm_kube_user {
	char *name, *uid;
	char **groups;
	size_t nr_groups;
	char *extra; /* a JSON object of what else the authenticator knows, to be handed on as it is; NULL: nothing */
};
void cgm_kube_user_done(struct cgm_kube_user *u);

/* 1: he is ret, which is released with the function above; 0: the token is nobody's; a negative errno with fault (CGM_KUBE_FAULT): it could not be asked. */
int cgm_kube_token_review(struct cgm_kube *k, const char *token, struct cgm_kube_user *ret, char *fault);

struct cgm_kube_access {
	const char *verb; /* "get" */
	const char *resource, *subresource, *name; /* "nodes", "stats", the node's name */
	const char *path; /* when resource is NULL: a path that is no resource */
	const char *group, *version, *object_namespace; /* of the resource; NULL: the core group, "v1", none */
};
/* Of u the name is needed; the rest may be NULL. 1: he may; 0: he may not; a negative errno with fault: it could not be asked. */
int cgm_kube_access_review(struct cgm_kube *k, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault);
