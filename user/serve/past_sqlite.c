// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "serve/past.h"

static int sqlite_open(struct cgm_uri *uri, uint64_t until_ns, void **ret, char *fault)
{
	struct cgm_sqlite *s;
	int r = cgm_sqlite_open(uri->rest, until_ns, &s, fault);

	if (r == 0)
		*ret = s;
	return r;
}

static void sqlite_close(void *state)
{
	cgm_sqlite_close(state);
}

/* key holds the text. */
static int whose(const struct cgm_route *route, struct cgm_buf *key, struct cgm_sqlite_of *ret, char *fault)
{
	if (route->pod_id) {
		*ret = (struct cgm_sqlite_of){ .pod_id = route->pod_id, .container = route->container };
		return 0;
	}
	cgm_route_key(route, key);
	*ret = (struct cgm_sqlite_of){ .key = key->p };
	return key->failed ? cgm_past_bad(-ENOMEM, fault, "out of memory") : 0;
}

static int sqlite_points(void *state, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	struct cgm_sqlite_of of;
	int r = whose(q->route, &key, &of, fault);

	return r < 0 ? r : cgm_sqlite_points(state, &of, q->metric, q->labels->tags, q->labels->nr, q->start_ns, q->until_ns, CGM_PAST_POINTS, ret, ret_nr, fault);
}

static void add(void *arg, const char *text)
{
	cgm_names_add(arg, text);
}

static int sqlite_names(void *state, const struct cgm_route *route, struct cgm_names *ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf key = { 0 };
	struct cgm_sqlite_of of;
	int r;

	switch (route->what) {
	case CGM_ROUTE_NODES:
		return cgm_sqlite_list(state, CGM_SQLITE_NODES, NULL, NULL, NULL, add, ret, fault);
	case CGM_ROUTE_NAMESPACES:
		return cgm_sqlite_list(state, CGM_SQLITE_NAMESPACES, NULL, NULL, NULL, add, ret, fault);
	case CGM_ROUTE_PODS:
		return cgm_sqlite_list(state, CGM_SQLITE_PODS, route->pod_namespace, NULL, NULL, add, ret, fault);
	case CGM_ROUTE_FREECONTAINERS:
		return cgm_sqlite_list(state, CGM_SQLITE_FREECONTAINERS, route->node, NULL, NULL, add, ret, fault);
	case CGM_ROUTE_CONTAINERS:
		return route->pod_id ? cgm_sqlite_list(state, CGM_SQLITE_CONTAINERS_OF_ID, route->pod_id, NULL, NULL, add, ret, fault) :
				       cgm_sqlite_list(state, CGM_SQLITE_CONTAINERS, route->pod_namespace, route->pod, NULL, add, ret, fault);
	default:
		r = whose(route, &key, &of, fault);
		return r < 0 ? r : cgm_sqlite_list(state, CGM_SQLITE_METRICS, of.key, of.pod_id, of.container, add, ret, fault);
	}
}

const struct cgm_past_source cgm_past_sqlite = {
	.prefix = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.points = sqlite_points,
	.names = sqlite_names,
};
