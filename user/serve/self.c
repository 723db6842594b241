// SPDX-License-Identifier: Apache-2.0
/* /healthz and /metrics. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "serve/internal.h"
#include "serve/self.h"

#define FRESH_NS (180 * CGM_NSEC_PER_SEC)

static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8", type_text[] = "text/plain; charset=utf-8";

/* ---- /healthz ---- */

static void say_why(const struct cgm_serve *s, struct cgm_buf *out)
{
	struct cgm_source_stats st;

	if (!s->source)
		return;
	st = cgm_source_stats(s->source);
	if (*st.list_fault)
		cgm_buf_printf(out, "the nodes are not known: %s\n", st.list_fault);
	else if (!st.nr_nodes)
		cgm_buf_lit(out, "there is no node to ask\n");
	else if (st.nr_silent)
		cgm_buf_printf(out, "%llu of %llu nodes do not answer\n", (unsigned long long)st.nr_silent, (unsigned long long)st.nr_ready);
	if (st.nr_nodes && !st.nr_ready)
		cgm_buf_printf(out, "of %llu nodes none is ready\n", (unsigned long long)st.nr_nodes);
}

/* Sinks that fail do not make us unhealthy: a restart would help none of them. */
static int say_sinks(const struct cgm_serve *s, struct cgm_buf *out)
{
	_cleanup_free_ struct cgm_export_state *sinks = NULL;
	size_t nr = 0;
	int r = s->export ? cgm_export_states(s->export, &sinks, &nr) : 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		uint64_t lost = 0;

		for (size_t l = 0; l < CGM_NR_EXPORT_LOSSES; l++)
			lost += sinks[i].nr_lost[l];
		if (!*sinks[i].fault && !lost)
			continue;
		cgm_buf_printf(out, "warning: sink %s", sinks[i].name);
		if (*sinks[i].fault)
			cgm_buf_printf(out, ": %s", sinks[i].fault);
		if (lost)
			cgm_buf_printf(out, "%s%llu points were lost", *sinks[i].fault ? "; " : ": ", (unsigned long long)lost);
		cgm_buf_char(out, '\n');
	}
	return r;
}

static int answer_health(const struct cgm_serve *s, struct cgm_reply *r)
{
	uint64_t newest = cgm_cluster_store_stats(s->store).newest_ns, now = cgm_clock_real_ns(), limit = MAX(FRESH_NS, 5 * s->resolution_ns / 2);
	size_t mark;
	int error;

	r->type = type_text;
	if (!cgm_serve_is_standby(s) && (!newest || now > newest + limit)) {
		r->status = 500;
		if (newest)
			cgm_buf_printf(&r->body, "the newest metrics are %llu s old\n", (unsigned long long)((now - newest) / CGM_NSEC_PER_SEC));
		else
			cgm_buf_lit(&r->body, "there are no metrics yet\n");
		say_why(s, &r->body);
		return say_sinks(s, &r->body);
	}
	cgm_buf_lit(&r->body, "ok\n");
	mark = r->body.len;
	error = say_sinks(s, &r->body);
	if (r->body.len == mark && !r->body.failed)
		r->body.len--; /* just "ok", as Heapster says it */
	return error;
}

/* ---- /metrics ---- */

static bool asks_for_cluster(const struct cgm_ask *a)
{
	const char *cluster = cgm_ask_param(a, "cluster");

	return cluster && strcmp(cluster, "0") != 0 && strcmp(cluster, "false") != 0;
}

bool cgm_serve_self(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r)
{
	bool own = !strcmp(a->path, "/metrics"), cluster = !strcmp(a->path, "/metrics/cluster") || (own && asks_for_cluster(a));

	if (!own && !cluster && strcmp(a->path, "/healthz") != 0)
		return false;
	if (!cgm_serve_is_get(a, r))
		return true;
	if (!own && !cluster) {
		cgm_serve_finish(r, answer_health(s, r));
		return true;
	}
	r->type = type_metrics;
	cgm_serve_finish(r, cluster ? cgm_serve_put_cluster(s, cgm_ask_param(a, "node"), &r->body) : cgm_serve_put_self(s, &r->body));
	return true;
}
