// SPDX-License-Identifier: Apache-2.0
/* Every route, described once: dispatch, 405 with Allow, and the list at /api/v1.3/ come from this table. */
#include "output/request.h"

#define READ (CGM_GET | CGM_HEAD)

/* The first that matches. */
static const struct cgm_route routes[] = {
	{ READ, "/healthz", cgm_handle_healthz, "\"ok\" while the agent runs" },
	{ READ, "/metrics", cgm_handle_metrics, "Prometheus text, OpenMetrics or protobuf, by Accept" },
	{ READ, "/api/v1.3", cgm_handle_api, "this list" },
	{ READ, "/api/v1.3/machine", cgm_handle_machine, "MachineInfo: processors, memory, disks, interfaces" },
	{ READ | CGM_POST, "/api/v1.3/containers/*", cgm_handle_containers, "ContainerInfo of a cgroup; body: ContainerInfoRequest" },
	{ READ | CGM_POST, "/api/v1.3/subcontainers/*", cgm_handle_subcontainers, "the same of a cgroup and all below it, as an array" },
	{ READ, "/api/cgmeter/tree", cgm_handle_tree, "the newest numbers of all cgroups" },
	{ READ, "/api/cgmeter/waits/*", cgm_handle_waits, "latency histograms of a cgroup" },
	{ READ, "/api/cgmeter/status", cgm_handle_status, "the agent: programs, drops, own cost" },
	{ READ, "/api/cgmeter/feed/*", cgm_handle_feed, "numbers of all cgroups as lines, for cgmeter top; \"same\" when MONO of the last is behind it" },
	{ READ, "/api/cgmeter/hists/*", cgm_handle_hists, "all histograms of a cgroup as lines, for cgmeter top" },
	{ READ, "/static/*", cgm_handle_static, "files of the page" },
	{ READ, "/containers/*", cgm_handle_page, "the page" },
	{ READ, "/", cgm_handle_page, "the page" },
};

static const struct {
	enum cgm_method method;
	const char *name;
} methods[] = { { CGM_GET, "GET" }, { CGM_HEAD, "HEAD" }, { CGM_POST, "POST" } };

static bool matches(const char *pattern, const char *path, const char **ret_rest)
{
	size_t len = strlen(pattern);

	if (len < 2 || strcmp(pattern + len - 2, "/*") != 0) {
		*ret_rest = "";
		return strcmp(pattern, path) == 0;
	}
	len -= 2;
	*ret_rest = path + len;
	return strncmp(pattern, path, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

const struct cgm_route *cgm_route_find(const char *path, const char **ret_rest)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const char *rest = path;

		if (!matches(routes[i].pattern, path, &rest))
			continue;
		*ret_rest = rest;
		return &routes[i];
	}
	return NULL;
}

unsigned cgm_method_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return 0;
}

const char *cgm_method_list(unsigned mask, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!(mask & methods[i].method) || len >= size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", methods[i].name);
	}
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *cgm_path_fault(const char *raw_uri)
{
	for (const char *p = raw_uri; *p && *p != '?'; p++) {
		int high, low;

		if (*p != '%')
			continue;
		high = hex_digit(p[1]);
		low = high < 0 ? -1 : hex_digit(p[2]);
		if (low < 0)
			return "a % in the path is not followed by two hexadecimal digits";
		if (high == 0 && low == 0)
			return "the path holds a zero byte"; /* decoded it would end the text, and name something else */
	}
	return NULL;
}

void cgm_path_clean(char *path)
{
	char *to = path;

	for (const char *from = path; *from; from++)
		if (*from != '/' || to == path || to[-1] != '/')
			*to++ = *from;
	if (to > path + 1 && to[-1] == '/')
		to--;
	*to = '\0';
}

void cgm_routes_describe(const char *prefix, struct cgm_buf *out)
{
	char list[32];

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		if (strncmp(routes[i].pattern, prefix, strlen(prefix)) == 0)
			cgm_buf_printf(out, "%-15s %-28s %s\n", cgm_method_list(routes[i].methods, list, sizeof(list)),
				       routes[i].pattern, routes[i].help);
}
