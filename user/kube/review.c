// SPDX-License-Identifier: Apache-2.0
#include "kube/review.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "kube/call.h"
#include "kube/json.h"

#define MAX_ANSWER_BYTES ((size_t)1 << 20)

void cgm_kube_user_done(struct cgm_kube_user *u)
{
	for (size_t i = 0; i < u->nr_groups; i++)
		free(u->groups[i]);
	free(u->groups);
	free(u->name);
	free(u->uid);
	free(u->extra);
	*u = (struct cgm_kube_user){ 0 };
}

/* Sends a review, whose spec it takes over (NULL: it could not be made), and returns the status of the answer. */
static int review(struct cgm_kube *k, const char *group, const char *kind, const char *path, json_t *spec, json_t **ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	_cleanup_(cgm_json_freep) json_t *request = NULL, *got = NULL;
	_cleanup_free_ char *body = NULL;
	unsigned status;
	int r;

	request = spec ? json_pack("{s:s, s:s, s:o}", "apiVersion", group, "kind", kind, "spec", spec) : NULL;
	body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	if (!body) {
		snprintf(fault, CGM_KUBE_FAULT, "a %s cannot be made: out of memory, or of texts that are no UTF-8", kind);
		return -EINVAL;
	}
	r = cgm_kube_request(k, "POST", path, body, MAX_ANSWER_BYTES, &answer, &status, fault);
	explicit_bzero(body, strlen(body));
	if (r < 0)
		return r;
	if (status < 200 || status > 299) {
		cgm_kube_status_fault(k, status, answer.p, answer.len, fault);
		return status == 401 || status == 403 ? -EPERM : -EIO;
	}
	got = json_loadb(answer.p, answer.len, JSON_ALLOW_NUL, NULL);
	if (!json_is_object(json_object_get(got, "status"))) {
		snprintf(fault, CGM_KUBE_FAULT, "%.100s: the answer to a %s is none", cgm_kube_server(k), kind);
		return -EIO;
	}
	*ret = json_incref(json_object_get(got, "status"));
	return 0;
}

static int read_user(const json_t *j, struct cgm_kube_user *u)
{
	const json_t *groups = json_object_get(j, "groups"), *group, *extra = json_object_get(j, "extra");
	const char *uid = cgm_json_text(j, "uid");
	size_t i;

	u->name = cgm_strdup(cgm_json_text(j, "username"));
	u->uid = uid ? cgm_strdup(uid) : NULL;
	u->groups = json_array_size(groups) ? cgm_calloc(json_array_size(groups), sizeof(*u->groups)) : NULL;
	u->extra = json_object_size(extra) ? json_dumps(extra, JSON_COMPACT) : NULL;
	if (!u->name || (uid && !u->uid) || (json_array_size(groups) && !u->groups) || (json_object_size(extra) && !u->extra))
		return -ENOMEM;
	json_array_foreach(groups, i, group) {
		if (!json_is_string(group))
			continue;
		u->groups[u->nr_groups] = cgm_strdup(json_string_value(group));
		if (!u->groups[u->nr_groups])
			return -ENOMEM;
		u->nr_groups++;
	}
	return 0;
}

int cgm_kube_token_review(struct cgm_kube *k, const char *token, struct cgm_kube_user *ret, char *fault)
{
	_cleanup_(cgm_kube_user_done) struct cgm_kube_user u = { 0 };
	_cleanup_(cgm_json_freep) json_t *status = NULL;
	const json_t *user;
	const char *name;
	int r = review(k, "authentication.k8s.io/v1", "TokenReview", "/apis/authentication.k8s.io/v1/tokenreviews", json_pack("{s:s}", "token", token), &status,
		       fault);

	if (r < 0)
		return r;
	user = json_object_get(status, "user");
	name = cgm_json_text(user, "username");
	if (!json_is_true(json_object_get(status, "authenticated")) || !name || !*name)
		return 0;
	r = read_user(user, &u);
	if (r < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "out of memory");
		return r;
	}
	*ret = u;
	u = (struct cgm_kube_user){ 0 };
	return 1;
}

static json_t *groups_of(const struct cgm_kube_user *u)
{
	_cleanup_(cgm_json_freep) json_t *groups = json_array();

	for (size_t i = 0; groups && i < u->nr_groups; i++)
		if (json_array_append_new(groups, json_string(u->groups[i])) < 0)
			return NULL;
	return json_incref(groups);
}

static json_t *attributes_of(const struct cgm_kube_access *a)
{
	if (!a->resource)
		return json_pack("{s:s, s:s}", "verb", a->verb, "path", a->path);
	return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*, s:s*}", "verb", a->verb, "version", a->version ? a->version : "v1", "resource", a->resource, "subresource", a->subresource,
			 "name", a->name, "group", a->group, "namespace", a->object_namespace);
}

static json_t *spec_of(const struct cgm_kube_user *u, const struct cgm_kube_access *a)
{
	json_t *extra = u->extra ? json_loads(u->extra, 0, NULL) : NULL;

	return json_pack("{s:s, s:s*, s:o, s:o*, s:o}", "user", u->name, "uid", u->uid, "groups", groups_of(u), "extra", extra,
			 a->resource ? "resourceAttributes" : "nonResourceAttributes", attributes_of(a));
}

int cgm_kube_access_review(struct cgm_kube *k, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	_cleanup_(cgm_json_freep) json_t *status = NULL;
	int r = review(k, "authorization.k8s.io/v1", "SubjectAccessReview", "/apis/authorization.k8s.io/v1/subjectaccessreviews", spec_of(u, a), &status, fault);

	if (r < 0)
		return r;
	return json_is_true(json_object_get(status, "allowed")) && !json_is_true(json_object_get(status, "denied"));
}
