// SPDX-License-Identifier: Apache-2.0
#include "output/access.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

static const char *const verbs[][2] = {
	{ "GET", "get" }, { "HEAD", "get" }, { "POST", "create" }, { "PUT", "update" }, { "PATCH", "patch" }, { "DELETE", "delete" },
};

/* That path and all below it. */
static const char *const kubelet_parts[][2] = { { "/stats", "stats" }, { "/metrics", "metrics" }, { "/logs", "log" }, { "/spec", "spec" } };

struct cgm_access cgm_access_of(const char *method, const char *path)
{
	struct cgm_access a = { "", "proxy", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(method, verbs[i][0]) == 0)
			a.verb = verbs[i][1];
	for (size_t i = 0; i < ARRAY_SIZE(kubelet_parts); i++) {
		size_t len = strlen(kubelet_parts[i][0]);

		if (strncmp(path, kubelet_parts[i][0], len) == 0 && (path[len] == '\0' || path[len] == '/'))
			a.subresource = kubelet_parts[i][1];
	}
	return a;
}

/* ---- a server that is no node's ---- */

static const char *const groups[] = { "metrics.k8s.io", "custom.metrics.k8s.io" };

/* Cuts the next part off a path. False: there is none, or it is longer than any name may be. */
static bool cut(struct cgm_str *rest, char ret[CGM_ACCESS_PART])
{
	struct cgm_str part;

	if (!cgm_next_field(rest, '/', &part) || !part.len || part.len >= CGM_ACCESS_PART)
		return false;
	memcpy(ret, part.p, part.len);
	ret[part.len] = '\0';
	return true;
}

/* "/apis/GROUP/VERSION/[namespaces/NAMESPACE/]RESOURCE[/NAME[/SUBRESOURCE[/…]]]". NULL: the path is none; else the group. */
static const char *read_resource(const char *path, struct cgm_access_parts *p)
{
	static const char apis[] = "/apis/";
	char group[CGM_ACCESS_PART];
	const char *found = NULL;
	struct cgm_str rest;

	*p = (struct cgm_access_parts){ .version = "" };
	if (strncmp(path, apis, sizeof(apis) - 1) != 0)
		return NULL;
	rest = cgm_str(path + sizeof(apis) - 1);
	if (!cut(&rest, group) || !cut(&rest, p->version) || !cut(&rest, p->resource))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (strcmp(group, groups[i]) == 0)
			found = groups[i];
	if (strcmp(p->resource, "namespaces") == 0 && rest.len && (!cut(&rest, p->object_namespace) || !cut(&rest, p->resource)))
		return NULL;
	if ((rest.len && !cut(&rest, p->name)) || (rest.len && !cut(&rest, p->subresource)))
		return NULL;
	return found;
}

struct cgm_access cgm_access_of_path(const char *method, const char *path)
{
	struct cgm_access a = cgm_access_of(method, path);
	struct cgm_access_parts split;

	a.subresource = "";
	a.path = path;
	if (strcmp(a.verb, "get") == 0 && read_resource(path, &split) && !*split.name)
		a.verb = "list";
	return a;
}

void cgm_access_split(const struct cgm_access *a, struct cgm_access_parts *split, struct cgm_kube_access *ret)
{
	const char *group = read_resource(a->path, split);

	*ret = (struct cgm_kube_access){ .verb = a->verb, .path = a->path };
	if (!group)
		return;
	ret->group = group;
	ret->version = split->version;
	ret->resource = split->resource;
	ret->subresource = *split->subresource ? split->subresource : NULL;
	ret->object_namespace = *split->object_namespace ? split->object_namespace : NULL;
	ret->name = *split->name ? split->name : NULL;
}
