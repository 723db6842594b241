// SPDX-License-Identifier: Apache-2.0
/* What runtimes tell: the health of containers, and how the runtimes themselves fare. */
#include <string.h>

#include "output/prometheus_write.h"

/* As cAdvisor: 1 healthy, 0 unhealthy or not known yet, -1 without a check. Of containers of a runtime alone: nothing else can have one. */
static void put_health(struct cgm_prometheus *r)
{
	static const struct cgm_prom_text end = { 2, "} " };

	for (size_t i = r->row; i < r->row_end; i++) {
		const struct cgm_who *w = r->s->rows[i].identity->who;

		if (w)
			cgm_prom_row(r, &r->s->rows[i], &end, !w->health ? (uint64_t)-1 : strcmp(w->health, "healthy") == 0, CGM_DIGITS_SIGNED);
	}
}

static void put_calls(struct cgm_prometheus *r, const struct cgm_runtime_status *s)
{
	static const char *const results[] = { "ok", "failed" };
	const uint64_t v[] = { s->nr_calls - s->nr_failed, s->nr_failed };

	for (size_t i = 0; i < 2; i++) {
		struct cgm_prom_text t = { 0 };

		cgm_prom_label(&t, false, "runtime", s->name);
		cgm_prom_label(&t, false, "result", results[i]);
		cgm_prom_plain(r, &t, v[i], 0);
	}
}

static void put_runtimes(struct cgm_prometheus *r, enum cgm_family_id f)
{
	for (size_t i = 0; i < r->s->self.nr_runtimes; i++) {
		const struct cgm_runtime_status *s = &r->s->self.runtimes[i];
		const uint64_t v[] = { s->connected, s->nr_known, s->nr_connects, 0, s->nr_lost };
		struct cgm_prom_text t = { 0 };

		if (f == CGM_F_RUNTIME_CALLS) {
			put_calls(r, s);
			continue;
		}
		cgm_prom_label(&t, false, "runtime", s->name);
		if (f == CGM_F_RUNTIME_CONNECTED)
			cgm_prom_label(&t, false, "version", s->version);
		cgm_prom_plain(r, &t, v[f - CGM_F_RUNTIME_CONNECTED], 0);
	}
}
_Static_assert(CGM_F_RUNTIME_LOST - CGM_F_RUNTIME_CONNECTED == 4 && CGM_F_RUNTIME_CALLS - CGM_F_RUNTIME_CONNECTED == 3,
	       "put_runtimes relies on this order of metrics.def");

bool cgm_prom_runtime_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	if (f == CGM_F_HEALTH_STATE) {
		put_health(r);
		return true;
	}
	if (f < CGM_F_RUNTIME_CONNECTED || f > CGM_F_RUNTIME_LOST)
		return false;
	if (r->row == 0)
		put_runtimes(r, f);
	return true;
}
