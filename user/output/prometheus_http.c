// SPDX-License-Identifier: Apache-2.0
/* The families of the server itself, from the lists of http_stats.h. */
#include "output/prometheus_write.h"

static void put(struct cgm_prometheus *r, const char *key, const char *value, uint64_t v)
{
	struct cgm_prom_text t = { 0 };

	cgm_prom_label(&t, false, key, value);
	cgm_prom_plain(r, &t, v, 0);
}

static void put_codes(struct cgm_prometheus *r, const uint64_t *codes)
{
	static const char *const names[] = {
#define NAME(code) #code,
		CGM_HTTP_CODES(NAME) "other"
#undef NAME
	};

	/* 200 always, so that there is something to compare with. */
	for (unsigned i = 0; i < CGM_NR_HTTP_CODES; i++)
		if (codes[i] || i == CGM_HTTP_CODE_200)
			put(r, "code", names[i], codes[i]);
}

static void put_reviews(struct cgm_prometheus *r, const uint64_t *reviews)
{
	static const char *const labels[][2] = {
#define LABELS(id, kind, result) { kind, result },
		CGM_HTTP_REVIEW_LIST(LABELS)
#undef LABELS
	};

	for (unsigned i = 0; i < CGM_NR_HTTP_REVIEWS; i++) {
		struct cgm_prom_text t = { 0 };

		cgm_prom_label(&t, false, "kind", labels[i][0]);
		cgm_prom_label(&t, true, "result", labels[i][1]);
		cgm_prom_plain(r, &t, reviews[i], 0);
	}
}

bool cgm_prom_http_family(struct cgm_prometheus *r, enum cgm_family_id f)
{
	static const char *const rejects[] = {
#define NAME(id, name) name,
		CGM_HTTP_REJECTS(NAME)
	};
	static const char *const drops[] = {
		CGM_HTTP_DROPS(NAME)
#undef NAME
	};
	const struct cgm_http_stats *s = &r->s->self.http;

	switch (f) {
	case CGM_F_HTTP_REQUESTS:
		put_codes(r, s->codes);
		return true;
	case CGM_F_HTTP_REJECTED:
		for (unsigned i = 0; i < CGM_NR_HTTP_REJECTS; i++)
			put(r, "reason", rejects[i], s->rejects[i]);
		return true;
	case CGM_F_HTTP_DROPPED:
		for (unsigned i = 0; i < CGM_NR_HTTP_DROPS; i++)
			put(r, "reason", drops[i], s->drops[i]);
		return true;
	case CGM_F_HTTP_REVIEWS:
		put_reviews(r, s->reviews);
		return true;
	case CGM_F_HTTP_REVIEW_HITS:
		put(r, "kind", "token", s->nr_token_hits);
		put(r, "kind", "access", s->nr_access_hits);
		return true;
	case CGM_F_HTTP_RELOADS:
		put(r, "result", "ok", s->nr_reloads);
		put(r, "result", "failed", s->nr_failed_reloads);
		return true;
	default:
		return false;
	}
}
