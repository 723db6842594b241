// SPDX-License-Identifier: Apache-2.0
#include "output/access.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const verbs[][2] = {
	{ "GET", "get" }, { "HEAD", "get" }, { "POST", "create" }, { "PUT", "update" }, { "PATCH", "patch" }, { "DELETE", "delete" },
};

/* That path and all below it. */
static const char *const parts[][2] = { { "/stats", "stats" }, { "/metrics", "metrics" }, { "/logs", "log" }, { "/spec", "spec" } };

struct cgm_access cgm_access_of(const char *method, const char *path)
{
	struct cgm_access a = { "", "proxy" };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(method, verbs[i][0]) == 0)
			a.verb = verbs[i][1];
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t len = strlen(parts[i][0]);

		if (strncmp(path, parts[i][0], len) == 0 && (path[len] == '\0' || path[len] == '/'))
			a.subresource = parts[i][1];
	}
	return a;
}
