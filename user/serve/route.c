// SPDX-License-Identifier: Apache-2.0
#include "serve/route.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"

/* Cuts the next part off *rest, which is NULL behind the last one. NULL: there is none, or it is empty. */
static char *cut(char **rest)
{
	char *part = *rest, *slash;

	if (!part || !*part)
		return NULL;
	slash = strchr(part, '/');
	*rest = slash ? slash + 1 : NULL;
	if (slash)
		*slash = '\0';
	return *part ? part : NULL;
}

static int what(struct cgm_route *r, enum cgm_route_what w)
{
	r->what = w;
	return 0;
}

/* "metrics", "metrics/NAME", "metrics-aggregated/AGGREGATIONS/NAME", "stats" */
static int read_metrics(struct cgm_route *r, char *rest, enum cgm_set_kind kind)
{
	const char *first = cut(&rest);

	r->kind = kind;
	if (!first)
		return -ENOENT;
	if (!strcmp(first, "stats") && !rest)
		return what(r, CGM_ROUTE_STATS);
	if (!strcmp(first, "metrics") && !rest)
		return what(r, CGM_ROUTE_NAMES);
	if (!strcmp(first, "metrics-aggregated")) {
		r->aggregations = cut(&rest);
		r->metric = rest;
		return r->aggregations && rest && *rest ? what(r, CGM_ROUTE_AGGREGATED) : -ENOENT;
	}
	if (!rest || !*rest || strcmp(first, "metrics") != 0)
		return -ENOENT;
	r->metric = rest;
	return what(r, CGM_ROUTE_METRIC);
}

/* A system container's name may have slashes: it ends where a whole part is "metrics", "metrics-aggregated" or the last one "stats". A unit may be called metrics-agent.service. */
static char *end_of_name(char *rest)
{
	for (char *at = rest; (at = strchr(at, '/')) != NULL; at++)
		if (!strcmp(at, "/metrics") || !strncmp(at, "/metrics/", 9) || !strncmp(at, "/metrics-aggregated/", 20) || !strcmp(at, "/stats"))
			return at;
	return NULL;
}

static int read_free_container(struct cgm_route *r, char *rest)
{
	char *end = end_of_name(rest);

	if (!end || end == rest)
		return -ENOENT;
	*end = '\0';
	r->container = rest;
	return read_metrics(r, end + 1, CGM_SET_SYS_CONTAINER);
}

static int read_node(struct cgm_route *r, char *rest)
{
	static const char containers[] = "freecontainers";

	r->node = cut(&rest);
	if (!r->node)
		return what(r, CGM_ROUTE_NODES);
	if (!rest)
		return -ENOENT;
	if (strncmp(rest, containers, strlen(containers)) != 0)
		return read_metrics(r, rest, CGM_SET_NODE);
	rest += strlen(containers);
	if (!*rest)
		return what(r, CGM_ROUTE_FREECONTAINERS);
	return *rest == '/' ? read_free_container(r, rest + 1) : -ENOENT;
}

/* What stands behind a pod's name or id. */
static int read_pod(struct cgm_route *r, char *rest)
{
	static const char containers[] = "containers";

	if (!rest)
		return -ENOENT;
	if (strncmp(rest, containers, strlen(containers)) != 0)
		return read_metrics(r, rest, CGM_SET_POD);
	rest += strlen(containers);
	if (!*rest)
		return what(r, CGM_ROUTE_CONTAINERS);
	if (*rest++ != '/')
		return -ENOENT;
	r->container = cut(&rest);
	return r->container ? read_metrics(r, rest, CGM_SET_CONTAINER) : -ENOENT;
}

/* Of a list of pods there are only numbers of one metric. */
static int read_list(struct cgm_route *r, char *rest, bool of_ids)
{
	int e;

	r->list = cut(&rest);
	r->of_ids = of_ids;
	e = r->list ? read_metrics(r, rest, CGM_SET_POD) : -ENOENT;
	return e < 0 || (r->what != CGM_ROUTE_METRIC && r->what != CGM_ROUTE_AGGREGATED) ? -ENOENT : 0;
}

static int read_namespace(struct cgm_route *r, char *rest)
{
	r->pod_namespace = cut(&rest);
	if (!r->pod_namespace)
		return what(r, CGM_ROUTE_NAMESPACES);
	if (!rest)
		return -ENOENT;
	if (!strcmp(rest, "pods"))
		return what(r, CGM_ROUTE_PODS);
	if (!strncmp(rest, "pods/", 5)) {
		rest += 5;
		r->pod = cut(&rest);
		return r->pod ? read_pod(r, rest) : -ENOENT;
	}
	if (!strncmp(rest, "pod-list/", 9))
		return read_list(r, rest + 9, false);
	return read_metrics(r, rest, CGM_SET_NAMESPACE);
}

static int read_path(struct cgm_route *r, char *rest)
{
	if (!strcmp(rest, "nodes"))
		return what(r, CGM_ROUTE_NODES);
	if (!strcmp(rest, "namespaces"))
		return what(r, CGM_ROUTE_NAMESPACES);
	if (!strcmp(rest, "debug/allkeys"))
		return what(r, CGM_ROUTE_ALLKEYS);
	if (!strncmp(rest, "nodes/", 6))
		return read_node(r, rest + 6);
	if (!strncmp(rest, "namespaces/", 11))
		return read_namespace(r, rest + 11);
	if (!strncmp(rest, "pod-id-list/", 12))
		return read_list(r, rest + 12, true);
	if (!strncmp(rest, "pod-id/", 7)) {
		rest += 7;
		r->pod_id = cut(&rest);
		return r->pod_id ? read_pod(r, rest) : -ENOENT;
	}
	return read_metrics(r, rest, CGM_SET_CLUSTER);
}

int cgm_route_read(const char *path, struct cgm_route *ret)
{
	struct cgm_route r = { .text = cgm_strdup(path) };
	int e;

	if (!r.text)
		return -ENOMEM;
	e = read_path(&r, r.text);
	if (e < 0) {
		free(r.text);
		return e;
	}
	*ret = r;
	return 0;
}

void cgm_route_done(struct cgm_route *route)
{
	free(route->text);
	*route = (struct cgm_route){ 0 };
}

void cgm_route_key(const struct cgm_route *route, struct cgm_buf *out)
{
	const char *labels[CGM_NR_CL] = { [CGM_CL_NODENAME] = route->node,
					  [CGM_CL_NAMESPACE_NAME] = route->pod_namespace,
					  [CGM_CL_POD_NAME] = route->pod,
					  [CGM_CL_CONTAINER_NAME] = route->container };

	cgm_entity_key(route->kind, labels, out);
	cgm_buf_char(out, '\0');
}

/* What came from outside, fit to stand in a line of text. */
static void show(const char *text, char *shown, size_t size)
{
	size_t n = 0;

	for (; *text && n + 1 < size; text++)
		shown[n++] = *text < 0x20 || *text > 0x7e || *text == '"' ? '?' : *text;
	shown[n] = '\0';
}

bool cgm_route_time(const struct cgm_ask *a, const char *name, uint64_t *ret, struct cgm_reply *r)
{
	static const char layout[] = "2006-01-02T15:04:05Z07:00";
	const char *text = cgm_ask_param(a, name);
	char shown[64];
	int64_t ns;

	if (!text || !*text)
		return true;
	if (cgm_parse_rfc3339(cgm_str(text), &ns) == 0) {
		*ret = ns > 0 ? (uint64_t)ns : 0;
		return true;
	}
	show(text, shown, sizeof(shown));
	cgm_reply_fault(r, 400, "timestamp argument cannot be parsed: parsing time \"%s\" as \"%s\": cannot parse \"%s\" as \"%s\"", shown, layout, shown,
			strspn(text, "0123456789") < 4 ? "2006" : layout);
	return false;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct cgm_tag *)a)->key, ((const struct cgm_tag *)b)->key);
}

bool cgm_route_labels(const struct cgm_ask *a, struct cgm_route_labels *ret, struct cgm_reply *r)
{
	const char *text = cgm_ask_param(a, "labels");
	struct cgm_route_labels l = { 0 };
	char shown[64];

	*ret = l;
	if (!text || !*text)
		return true;
	l.text = cgm_strdup(text);
	if (!l.text) {
		cgm_reply_fault(r, 500, "out of memory");
		return false;
	}
	for (char *next = l.text, *pair; next;) {
		char *colon;

		pair = next;
		next = strchr(pair, ',');
		if (next)
			*next++ = '\0';
		colon = strchr(pair, ':');
		if (!colon || colon == pair || l.nr == CGM_ROUTE_LABELS) {
			show(pair, shown, sizeof(shown));
			cgm_reply_fault(r, 400, l.nr == CGM_ROUTE_LABELS ? "too many labels at \"%s\"" : "label \"%s\" is not of the form key:value", shown);
			free(l.text);
			return false;
		}
		*colon = '\0';
		l.tags[l.nr++] = (struct cgm_tag){ pair, colon + 1 };
	}
	qsort(l.tags, l.nr, sizeof(*l.tags), by_key);
	*ret = l;
	return true;
}

void cgm_route_labels_done(struct cgm_route_labels *l)
{
	free(l->text);
	*l = (struct cgm_route_labels){ 0 };
}

bool cgm_route_labels_are(const struct cgm_route_labels *l, const struct cgm_tag *tags, size_t nr)
{
	if (l->nr != nr)
		return false;
	for (size_t i = 0; i < nr; i++)
		if (strcmp(l->tags[i].key, tags[i].key) != 0 || strcmp(l->tags[i].value, tags[i].value) != 0)
			return false;
	return true;
}

void cgm_names_add(struct cgm_names *n, const char *name)
{
	char *copy;

	if (cgm_grow((void **)&n->names, &n->cap, n->nr, sizeof(*n->names)) < 0 || !(copy = cgm_strdup(name))) {
		n->failed = true;
		return;
	}
	n->names[n->nr++] = copy;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void cgm_names_sort(struct cgm_names *n)
{
	size_t kept = 0;

	if (n->nr)
		qsort(n->names, n->nr, sizeof(*n->names), by_name);
	for (size_t i = 0; i < n->nr; i++) {
		if (kept && !strcmp(n->names[kept - 1], n->names[i]))
			free(n->names[i]);
		else
			n->names[kept++] = n->names[i];
	}
	n->nr = kept;
}

void cgm_names_done(struct cgm_names *n)
{
	for (size_t i = 0; i < n->nr; i++)
		free(n->names[i]);
	free(n->names);
	*n = (struct cgm_names){ 0 };
}

void cgm_reply_names(struct cgm_buf *out, struct cgm_names *n)
{
	cgm_names_sort(n);
	cgm_buf_char(out, '[');
	for (size_t i = 0; i < n->nr; i++) {
		if (i)
			cgm_buf_char(out, ',');
		cgm_reply_text(out, n->names[i]);
	}
	cgm_buf_char(out, ']');
}

void cgm_reply_double(struct cgm_buf *out, double v)
{
	char text[40];

	if (!isfinite(v)) {
		cgm_buf_char(out, '0');
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	cgm_buf_str(out, text);
}

void cgm_reply_point(struct cgm_buf *out, uint64_t end_ns, union cgm_cm_value v, bool is_float)
{
	if (out->len && out->p[out->len - 1] != '[')
		cgm_buf_char(out, ',');
	cgm_buf_lit(out, "{\"timestamp\":");
	cgm_reply_time(out, end_ns);
	cgm_buf_lit(out, ",\"value\":");
	if (!is_float) {
		cgm_buf_i64(out, v.i);
	} else {
		double whole = isfinite(v.f) ? fmin(fmax(round(v.f), -9.2e18), 9.2e18) : 0;

		cgm_buf_i64(out, (int64_t)whole);
		cgm_buf_lit(out, ",\"floatValue\":");
		cgm_reply_double(out, v.f);
	}
	cgm_buf_char(out, '}');
}
