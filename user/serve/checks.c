// SPDX-License-Identifier: Apache-2.0
/* /readyz and /livez, as Kubernetes' servers have them: of checks with names, each also asked for alone. */
#include <string.h>

#include "base/clock.h"
#include "serve/internal.h"

#define SLACK_NS (5 * CGM_NSEC_PER_SEC)

/* Each: NULL, or why it fails. */

static const char *ping(const struct cgm_serve *s)
{
	(void)s;
	return NULL;
}

static const char *store_has_metrics(const struct cgm_serve *s)
{
	return cgm_cluster_store_stats(s->store).newest_ns ? NULL : "no metrics to serve";
}

static const char *objects_are_known(const struct cgm_serve *s)
{
	if (!s->cluster)
		return NULL;
	if (!cgm_kube_cluster_state(s->cluster, CGM_KUBE_NODES).synced)
		return "the API server's nodes are not known";
	return cgm_kube_cluster_state(s->cluster, CGM_KUBE_PODS).synced ? NULL : "the API server's pods are not known";
}

static const char *collects(const struct cgm_serve *s)
{
	return cgm_serve_is_standby(s) ? "another replica collects" : NULL;
}

/* A window begins its cycle a little after its end, and the cycle may last until the next. */
static const char *cycles_come_in_time(const struct cgm_serve *s)
{
	struct cgm_source_stats st;

	if (!s->source || cgm_serve_is_standby(s))
		return NULL;
	st = cgm_source_stats(s->source);
	return st.last_cycle_end_ns && cgm_clock_real_ns() > st.last_cycle_end_ns + 5 * s->resolution_ns / 2 + SLACK_NS ? "the last cycle is too old" : NULL;
}

static const struct check {
	const char *name;
	const char *(*look)(const struct cgm_serve *s);
	bool ready, live;
} checks[] = {
	{ "ping", ping, true, true },
	{ "metric-storage-ready", store_has_metrics, true, false },
	{ "metric-informer-sync", objects_are_known, true, false },
	{ "leader", collects, true, false },
	{ "metric-collection-timely", cycles_come_in_time, false, true },
};

bool cgm_serve_is_standby(const struct cgm_serve *s)
{
	return s->standby && __atomic_load_n(s->standby, __ATOMIC_RELAXED);
}

static bool is_among(const struct check *c, bool ready)
{
	return ready ? c->ready : c->live;
}

static void answer_all(const struct cgm_serve *s, const struct cgm_ask *a, const char *what, bool ready, struct cgm_reply *r)
{
	bool verbose = cgm_ask_param(a, "verbose") != NULL, failed = false;

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		const char *fault = is_among(&checks[i], ready) ? checks[i].look(s) : NULL;

		if (!is_among(&checks[i], ready))
			continue;
		if (fault)
			cgm_buf_printf(&r->body, "[-]%s failed: %s\n", checks[i].name, fault);
		else
			cgm_buf_printf(&r->body, "[+]%s ok\n", checks[i].name);
		failed |= fault != NULL;
	}
	if (failed) {
		r->status = 500;
		cgm_buf_printf(&r->body, "%s check failed\n", what);
		return;
	}
	if (!verbose)
		r->body.len = 0;
	if (verbose)
		cgm_buf_printf(&r->body, "%s check passed\n", what);
	else
		cgm_buf_lit(&r->body, "ok");
}

static void answer_one(const struct cgm_serve *s, const char *name, bool ready, struct cgm_reply *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		const char *fault;

		if (!is_among(&checks[i], ready) || strcmp(checks[i].name, name) != 0)
			continue;
		fault = checks[i].look(s);
		if (fault)
			cgm_reply_fault(r, 500, "%s failed: %s", name, fault);
		else
			cgm_buf_lit(&r->body, "ok");
		return;
	}
	cgm_reply_fault(r, 404, "there is no check \"%s\"", name);
}

bool cgm_serve_checks(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	bool ready = strncmp(a->path, "/readyz", 7) == 0;
	const char *rest = ready ? a->path + 7 : a->path + 6;

	if ((!ready && strncmp(a->path, "/livez", 6) != 0) || (*rest && *rest != '/'))
		return false;
	r->type = "text/plain; charset=utf-8";
	if (*rest)
		answer_one(s, rest + 1, ready, r);
	else
		answer_all(s, a, ready ? "readyz" : "livez", ready, r);
	return true;
}
