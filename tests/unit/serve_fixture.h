/* SPDX-License-Identifier: Apache-2.0 */
/* A store with slices that are made by hand, for those who answer from it; what a request is, without a server. */
#pragma once
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "batch/draft.h"
#include "batch/store.h"
#include "serve/serve.h"

#define SEC 1000000000ULL
#define T0 (1795365420ULL * SEC) /* 2026-11-22T16:37:00Z */

struct made { /* a set in the making */
	struct cgm_draft *d;
	int i;
};

static inline struct made made_set(struct cgm_draft *d, struct cgm_entity_facts *facts)
{
	struct made m = { d, cgm_draft_add(d, facts->kind) };

	assert_true(m.i >= 0);
	d->sets[m.i].entity = cgm_entity_new(facts);
	assert_non_null(d->sets[m.i].entity);
	d->sets[m.i].order = (uint32_t)m.i;
	return m;
}

static inline struct cgm_draft_set *made_at(struct made m)
{
	return &m.d->sets[m.i];
}

/* CPU in ns since its start, working set in bytes. */
static inline struct made made_used(struct made m, uint64_t scraped_ns, uint64_t created_ns, int64_t cpu_ns, int64_t memory_bytes)
{
	struct cgm_draft_set *s = made_at(m);

	s->scraped_ns = scraped_ns;
	s->created_ns = created_ns;
	cgm_draft_int(s, CGM_CM_CPU_USAGE, cpu_ns);
	cgm_draft_int(s, CGM_CM_MEMORY_WORKING_SET, memory_bytes);
	return m;
}

static inline struct made made_node(struct cgm_draft *d, const char *name, const char *labels)
{
	return made_set(d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = { [CGM_CL_NODENAME] = name, [CGM_CL_LABELS] = labels } });
}

static inline struct made made_pod(struct cgm_draft *d, const char *ns, const char *name, const char *labels)
{
	return made_set(d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = { [CGM_CL_NAMESPACE_NAME] = ns, [CGM_CL_POD_NAME] = name, [CGM_CL_LABELS] = labels } });
}

static inline struct made made_container(struct cgm_draft *d, const char *ns, const char *pod, const char *name)
{
	return made_set(d, &(struct cgm_entity_facts){ .kind = CGM_SET_CONTAINER,
						       .labels = { [CGM_CL_NAMESPACE_NAME] = ns, [CGM_CL_POD_NAME] = pod, [CGM_CL_CONTAINER_NAME] = name } });
}

static inline void made_put(struct cgm_cluster_store *st, struct cgm_draft *d, const char *node, uint64_t end_ns, uint64_t resolution_ns)
{
	struct cgm_slice *s = NULL;

	assert_int_equal(cgm_draft_seal(d, node, end_ns, resolution_ns, &s), 0);
	cgm_draft_done(d);
	assert_int_equal(cgm_cluster_store_put(st, s), 0);
	cgm_slice_unref(s);
}

static inline struct cgm_cluster_store *made_store(void)
{
	struct cgm_cluster_store *st = NULL;

	assert_int_equal(cgm_cluster_store_new(&(struct cgm_cluster_store_config){ 0 }, &st), 0);
	return st;
}

/* ---- a request without a server ---- */

typedef bool (*serve_fn)(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);

/* url: a path and perhaps "?name=value&…", already decoded. */
static inline bool serve_ask(serve_fn fn, const struct cgm_serve *s, const char *url, const char *accept, struct cgm_reply *r)
{
	_cleanup_free_ char *text = strdup(url);
	struct cgm_ask_param params[8];
	struct cgm_ask a = { .method = "GET", .accept = accept, .params = params, .body = "" };
	char *query, *one;

	assert_non_null(text);
	query = text;
	a.path = strsep(&query, "?");
	while ((one = strsep(&query, "&")) && a.nr_params < ARRAY_SIZE(params)) {
		char *value = strchr(one, '=');

		if (value)
			*value++ = '\0';
		params[a.nr_params++] = (struct cgm_ask_param){ one, value ? value : "" };
	}
	*r = (struct cgm_reply){ 0 };
	return fn(s, &a, r);
}

/* Zero-terminated; the caller's. */
static inline char *serve_text(serve_fn fn, const struct cgm_serve *s, const char *url, const char *accept, unsigned status)
{
	struct cgm_reply r;
	bool taken = serve_ask(fn, s, url, accept, &r);

	if (!taken)
		fail_msg("%s is nobody's", url);
	cgm_buf_char(&r.body, '\0');
	assert_false(r.body.failed);
	if ((r.status ? r.status : 200) != status)
		fail_msg("%s: %u instead of %u: %s", url, r.status, status, r.body.p);
	return r.body.p;
}

static inline json_t *serve_json(serve_fn fn, const struct cgm_serve *s, const char *url, const char *accept, unsigned status)
{
	_cleanup_free_ char *text = serve_text(fn, s, url, accept, status);
	json_error_t e;
	json_t *j = json_loads(text, 0, &e);

	if (!j)
		fail_msg("%s: %s: %.2000s", url, e.text, text);
	return j;
}
