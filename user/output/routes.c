// SPDX-License-Identifier: Apache-2.0
/*
 * Every route, described once: dispatch, 405 with Allow, the lists below /api/ and the reference that `cgmeter api` prints come from this
 * table.
 */
#include "output/request.h"

#define READ (CGM_GET | CGM_HEAD)
#define BODY (CGM_GET | CGM_HEAD | CGM_POST)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most have no versions and no parameters */

/* The first that matches. cAdvisor takes any method for anything; where a client may send a body, POST is taken here. */
static const struct cgm_route routes[] = {
	{ READ, "/healthz", cgm_handle_healthz, "\"ok\" while the agent runs" },
	{ READ, "/metrics", cgm_handle_metrics, "Prometheus text, OpenMetrics or protobuf, by Accept", .params = CGM_PARAMS_AGE },
	{ READ, "/metrics/resource", cgm_handle_kubelet_resource, "the kubelet's: CPU and working set of node, pods and containers, as metrics-server asks for them" },
	{ READ, "/metrics/cadvisor", cgm_handle_kubelet_cadvisor, "the kubelet's: cAdvisor's families, labelled by container, pod and namespace" },
	{ READ, "/metrics/probes", cgm_handle_kubelet_probes, "the kubelet's, of one that probes nothing: when this program started" },
	{ BODY, "/stats/summary", cgm_handle_kubelet_summary, "the kubelet's Summary: node, pods and containers", .params = CGM_PARAMS_KUBELET },
	{ BODY, "/stats/*", cgm_handle_kubelet_stats, "ContainerInfo as kubelets had it up to 1.20: of the machine; of containerName by name (container); of a pod's container (POD/CONTAINER, NAMESPACE/POD/UID/CONTAINER)", .params = CGM_PARAMS_BODY },
	{ READ, "/spec", cgm_handle_kubelet_spec, "MachineInfo, likewise" },
	{ READ, "/pods", cgm_handle_kubelet_pods, "the kubelet's PodList: the API server's word, else what the runtimes know" },
	{ READ, "/runningpods", cgm_handle_kubelet_running_pods, "the kubelet's PodList of what runs, by the runtimes" },
	{ READ, "/validate", cgm_handle_validate, "what this machine offers and lacks, as text" },
	{ READ, "/debug/status", cgm_handle_debug, "the agent's own state, as text" },
	{ BODY, "/api/VER/machine", cgm_handle_machine, "MachineInfo: processors, memory, disks, interfaces", CGM_V1_ALL | CGM_V2_ALL },
	{ BODY, "/api/VER/containers/*", cgm_handle_containers, "ContainerInfo of a cgroup", CGM_V1_ALL, CGM_PARAMS_BODY },
	{ BODY, "/api/VER/subcontainers/*", cgm_handle_subcontainers, "the same of a cgroup and all below it, as an array", CGM_V1_ALL & ~CGM_V10, CGM_PARAMS_BODY },
	{ BODY, "/api/VER/docker/*", cgm_handle_docker, "the same of a Docker container by id or name, or of all, by name of their cgroup", CGM_V12 | CGM_V13, CGM_PARAMS_BODY },
	{ BODY, "/api/VER/events/*", cgm_handle_events, "Event: containers that came and went, out-of-memory kills", CGM_V13 | CGM_V2_ALL, CGM_PARAMS_EVENTS },
	{ BODY, "/api/VER/version", cgm_handle_version, "version of this program, a string", CGM_V2_ALL },
	{ BODY, "/api/VER/attributes", cgm_handle_attributes, "Attributes: the machine and the versions of its software", CGM_V2_ALL },
	{ BODY, "/api/VER/stats/*", cgm_handle_stats, "samples by name; v2.1 with the spec, and without / (see machinestats)", CGM_V2_ALL, CGM_PARAMS_OPTIONS },
	{ BODY, "/api/VER/machinestats", cgm_handle_machine_stats, "samples of the machine", CGM_V21, CGM_PARAMS_OPTIONS },
	{ BODY, "/api/VER/summary/*", cgm_handle_summary, "DerivedStats by name: percentiles of CPU (thousandths of a CPU) and working set over the last minute, hour and day", CGM_V2_ALL, CGM_PARAMS_OPTIONS },
	{ BODY, "/api/VER/spec/*", cgm_handle_spec, "ContainerSpec by name: limits, reservations, what is measured", CGM_V2_ALL, CGM_PARAMS_OPTIONS },
	{ BODY, "/api/VER/storage", cgm_handle_storage, "FsInfo: the machine's file systems", CGM_V2_ALL, CGM_PARAMS_STORAGE },
	{ BODY, "/api/VER/ps/*", cgm_handle_ps, "ProcessInfo: processes of exactly that cgroup; of /, all of the machine with their cgroups", CGM_V2_ALL, CGM_PARAMS_OPTIONS },
	{ BODY, "/api/VER/appmetrics/*", cgm_handle_appmetrics, "metrics of an application by name, as a label of its container says where to ask", CGM_V2_ALL, CGM_PARAMS_OPTIONS },
	{ READ, "/api/cgmeter/tree", cgm_handle_tree, "the newest numbers of all cgroups" },
	{ READ, "/api/cgmeter/waits/*", cgm_handle_waits, "latency histograms of a cgroup" },
	{ READ, "/api/cgmeter/rows", cgm_handle_rows, "numbers of all cgroups by column; since=SEQ&agent=AGENT: what changed after that answer" },
	{ READ, "/api/cgmeter/series/*", cgm_handle_series, "samples of a cgroup by column; since=NEXT, window=MS, step=MS" },
	{ READ, "/api/cgmeter/status", cgm_handle_status, "the agent: programs, drops, own cost" },
	{ READ, "/api/cgmeter/feed/*", cgm_handle_feed, "numbers of all cgroups as lines, for cgmeter top; \"same\" when MONO of the last is behind it" },
	{ READ, "/api/cgmeter/hists/*", cgm_handle_hists, "all histograms of a cgroup as lines, for cgmeter top" },
	{ READ, "/api/cgmeter/compact", cgm_handle_compact, "what cgmeter cluster takes of a node: the Summary and the waits, in few bytes (include/cgmeter/compact.h)" },
	{ BODY, "/api/*", cgm_handle_api, "the list of versions and, for /api/VER, of its requests" },
	{ READ, "/static/*", cgm_handle_static, "files of the page" },
	{ READ, "/containers/*", cgm_handle_old_page, "to the page, with that cgroup" },
	{ READ, "/docker/*", cgm_handle_old_page, "to the page, with that container" },
	{ READ, "/podman/*", cgm_handle_old_page, "to the page, with that container" },
	{ READ, "/", cgm_handle_page, "the page" },
};
#pragma GCC diagnostic pop

static const struct {
	enum cgm_api_version version;
	const char *name;
} versions[] = { { CGM_V10, "v1.0" }, { CGM_V11, "v1.1" }, { CGM_V12, "v1.2" }, { CGM_V13, "v1.3" }, { CGM_V20, "v2.0" }, { CGM_V21, "v2.1" } };

static const char versioned[] = "/api/VER";

static const struct {
	enum cgm_method method;
	const char *name;
} methods[] = { { CGM_GET, "GET" }, { CGM_HEAD, "HEAD" }, { CGM_POST, "POST" } };

unsigned cgm_path_version(const char *path, const char **ret_rest)
{
	static const char api[] = "/api/";

	if (strncmp(path, api, sizeof(api) - 1) != 0)
		return 0;
	path += sizeof(api) - 1;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		size_t len = strlen(versions[i].name);

		if (strncmp(path, versions[i].name, len) != 0 || (path[len] && path[len] != '/'))
			continue;
		*ret_rest = path + len;
		return versions[i].version;
	}
	return 0;
}

static bool is_versioned(const struct cgm_route *r)
{
	return r->versions != 0;
}

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
		const char *rest = path, *tail = path;
		bool of_version = is_versioned(&routes[i]) && cgm_path_version(path, &tail) & routes[i].versions;

		if (of_version ? !matches(routes[i].pattern + sizeof(versioned) - 1, tail, &rest) : !matches(routes[i].pattern, path, &rest))
			continue;
		if (is_versioned(&routes[i]) && !of_version) /* "VER" itself is no version */
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

void cgm_version_names(unsigned mask, const char *between, struct cgm_buf *out)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (!(mask & versions[i].version))
			continue;
		cgm_buf_printf(out, "%s%s", first ? "" : between, versions[i].name);
		first = false;
	}
}

/* The pattern as a path: with the version, if there is one, and NAME for the star. */
static void put_pattern(const struct cgm_route *r, unsigned version, const char *star, struct cgm_buf *out)
{
	const char *p = r->pattern;
	size_t len;

	if (is_versioned(r) && version) {
		cgm_buf_lit(out, "/api/");
		cgm_version_names(version, "", out);
		p += sizeof(versioned) - 1;
	}
	len = strcspn(p, "*");
	cgm_buf_put(out, p, len);
	if (p[len])
		cgm_buf_str(out, star);
}

void cgm_routes_describe(const char *prefix, unsigned version, struct cgm_buf *out)
{
	char list[32];

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct cgm_route *r = &routes[i];
		size_t begin = out->len, width = version ? 48 : 80;

		if (strncmp(r->pattern, prefix, strlen(prefix)) != 0 || (version && !(r->versions & version)))
			continue;
		cgm_buf_printf(out, "%-15s ", cgm_method_list(r->methods, list, sizeof(list)));
		put_pattern(r, version, "NAME", out);
		if (is_versioned(r) && !version) {
			cgm_buf_lit(out, " (");
			cgm_version_names(r->versions, " ", out);
			cgm_buf_char(out, ')');
		}
		do
			cgm_buf_char(out, ' ');
		while (!out->failed && out->len - begin < width);
		cgm_buf_printf(out, "%s\n", r->help);
	}
}

void cgm_routes_types(unsigned version, struct cgm_buf *out)
{
	bool first = true;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const char *name = routes[i].pattern + sizeof(versioned);

		if (!(routes[i].versions & version))
			continue;
		cgm_buf_printf(out, "%s%.*s", first ? "" : ",", (int)strcspn(name, "/"), name);
		first = false;
	}
}

void cgm_http_reference(struct cgm_buf *out)
{
	char list[32];

	cgm_buf_lit(out, "| address | versions | methods | parameters | answer |\n| --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		const struct cgm_route *r = &routes[i];

		cgm_buf_lit(out, "| `");
		put_pattern(r, 0, "NAME", out);
		cgm_buf_lit(out, "` | ");
		cgm_version_names(r->versions, ", ", out);
		cgm_buf_printf(out, " | %s | ", cgm_method_list(r->methods, list, sizeof(list)));
		cgm_query_names(r->params, out);
		cgm_buf_printf(out, " | %s |\n", r->help);
	}
	cgm_buf_lit(out, "\n| parameter | values | default | meaning |\n| --- | --- | --- | --- |\n");
	cgm_query_describe(~0u, out);
	cgm_buf_lit(out, "\n| fault | status | with `--legacy_status_codes`, as cAdvisor |\n| --- | --- | --- |\n"
			 "| unknown path | 404 | 307 to `/containers/` |\n"
			 "| `/api`, `/api/` | 200, the list | 307 to `/api/`, 400 with the list |\n"
			 "| `/api/VER` | 200, the list | 400 with the list |\n"
			 "| unknown version or request type | 404 | 500 |\n"
			 "| unknown container, label or UUID | 404 | 500 |\n"
			 "| a parameter or a body that cannot be read | 400, naming it | 500; those of events are passed over |\n"
			 "| another method | 405 with Allow | answered as GET |\n"
			 "| no sample yet | 503 with Retry-After | 503 |\n"
			 "\nFaults are JSON, `{\"error\":{\"status\":404,\"message\":\"…\"}}`; with the flag those of cAdvisor's requests are plain text, as there.\n");
}
