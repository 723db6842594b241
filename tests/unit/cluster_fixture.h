/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slices that hold what Heapster 1.5.4 held when its answers were recorded (tests/fixtures/cluster/heapster-1.5.4-*), those answers, and a way to
 * ask one of user/serve without a server.
 */
#pragma once
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "unit/fixture.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "batch/draft.h"
#include "batch/store.h"
#include "serve/serve.h"

#define CF_SEC 1000000000ULL
#define CF_END (1795362930 * CF_SEC) /* 2026-11-22T15:55:30Z, the newest cycle; there are six, 10 s apart */
#define CF_CYCLES 6

/* A file of tests/fixtures/cluster with a zero behind it. */
static inline char *cf_read(const char *name)
{
	int dir = fixture_open("cluster"), fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	text = malloc((size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
	text[st.st_size] = '\0';
	close(fd);
	close(dir);
	return text;
}

/* ---- recorded answers: "### GET path", "status type", one line of body ---- */

struct cf_answer {
	char path[256], body[8192];
	unsigned status;
};

/* The next one. *text goes on behind it. */
static inline bool cf_next(const char **text, struct cf_answer *ret)
{
	const char *p = strstr(*text, "### GET ");
	int used = 0;

	if (!p)
		return false;
	assert_int_equal(sscanf(p, "### GET %255[^\n]\n%u %*[^\n]\n%8191[^\n]%n", ret->path, &ret->status, ret->body, &used), 3);
	*text = p + used;
	return true;
}

/* The one of that path. */
static inline void cf_find(const char *all, const char *path, struct cf_answer *ret)
{
	while (cf_next(&all, ret))
		if (!strcmp(ret->path, path))
			return;
	fail_msg("no recorded answer of %s", path);
}

/* ---- asking ---- */

typedef bool (*cf_answerer)(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);

/* "/api/v1/model/nodes/?a=b&c=d" as a server would pass it on; the reply's body ends with a zero. False: not its path. */
static inline bool cf_ask(cf_answerer f, const struct cgm_serve *s, const char *url, struct cgm_reply *ret)
{
	char *text = strdup(url), *query = strchr(text, '?');
	struct cgm_ask_param params[8];
	struct cgm_ask a = { .method = "GET", .path = text, .params = params };
	size_t len;
	bool r;

	if (query)
		*query++ = '\0';
	while (query && *query) {
		char *next = strchr(query, '&'), *value = strchr(query, '=');

		if (next)
			*next++ = '\0';
		assert_non_null(value);
		*value++ = '\0';
		params[a.nr_params++] = (struct cgm_ask_param){ query, value };
		query = next;
	}
	len = strlen(text);
	a.slash = len > 1 && text[len - 1] == '/';
	if (a.slash)
		text[len - 1] = '\0';
	*ret = (struct cgm_reply){ 0 };
	r = f(s, &a, ret);
	cgm_buf_char(&ret->body, '\0');
	free(text);
	return r;
}

static inline unsigned cf_status(const struct cgm_reply *r)
{
	return r->status ? r->status : 200;
}

/* ---- JSON without order ---- */

static inline int cf_by_text(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* Arrays of strings are sorted; with less, "floatValue" (which Heapster never gave) and "description" go. */
static inline void cf_normal(json_t *j, bool less)
{
	const char *key;
	json_t *value;
	void *next;
	size_t i;

	if (less) {
		json_object_del(j, "floatValue");
		json_object_del(j, "description");
	}
	json_object_foreach_safe(j, next, key, value)
		cf_normal(value, less);
	json_array_foreach(j, i, value)
		cf_normal(value, less);
	if (json_array_size(j) && json_is_string(json_array_get(j, 0))) {
		size_t nr = json_array_size(j);
		json_t **all = calloc(nr, sizeof(*all));

		for (i = 0; i < nr; i++)
			all[i] = json_incref(json_array_get(j, i));
		qsort(all, nr, sizeof(*all), cf_by_text);
		json_array_clear(j);
		for (i = 0; i < nr; i++)
			json_array_append_new(j, all[i]);
		free(all);
	}
}

static inline json_t *cf_json(const char *text, bool less)
{
	json_error_t e;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &e);

	if (!j)
		fail_msg("no JSON: %s in %.300s", e.text, text);
	cf_normal(j, less);
	return j;
}

static inline void cf_same(const char *got, const char *want, const char *of)
{
	json_t *a = cf_json(got, true), *b = cf_json(want, true);

	if (!json_equal(a, b))
		fail_msg("%s:\ngot  %s\nwant %s", of, got, want);
	json_decref(a);
	json_decref(b);
}

/* ---- slices ---- */

static inline struct cgm_draft_set *cf_add(struct cgm_draft *d, const struct cgm_entity_facts *facts)
{
	int i = cgm_draft_add(d, facts->kind);
	struct cgm_entity *e = i < 0 ? NULL : cgm_entity_new(facts);

	assert_non_null(e);
	d->sets[i].entity = e;
	d->sets[i].order = (uint32_t)i;
	return &d->sets[i];
}

static inline struct cgm_slice *cf_seal(struct cgm_draft *d, const char *node, uint64_t end_ns)
{
	struct cgm_slice *s = NULL;

	assert_false(d->failed);
	assert_int_equal(cgm_draft_seal(d, node, end_ns, 10 * CF_SEC, &s), 0);
	cgm_draft_done(d);
	return s;
}

static inline void cf_put(struct cgm_cluster_store *st, struct cgm_slice *s)
{
	assert_int_equal(cgm_cluster_store_put(st, s), 0);
	cgm_slice_unref(s);
}

static const char *const cf_images[] = { "nginx:1", "side:1" };

/* Who was there: in the recorded order of nothing in particular. */
#define CF_NODE { [CGM_CL_NODENAME] = "node-a", [CGM_CL_HOSTNAME] = "node-a", [CGM_CL_HOST_ID] = "ext-1", [CGM_CL_LABELS] = "kubernetes.io/hostname:node-a,zone:z1" }
#define CF_POD(...)                                                                                                                                            \
	{ [CGM_CL_NODENAME] = "node-a", [CGM_CL_HOSTNAME] = "node-a", [CGM_CL_HOST_ID] = "ext-1", [CGM_CL_LABELS] = "app:web,tier:front",                      \
	  [CGM_CL_NAMESPACE_NAME] = "default", [CGM_CL_NAMESPACE_ID] = "ns-uid-1", [CGM_CL_POD_NAME] = "web-1", [CGM_CL_POD_ID] = "pod-uid-1", __VA_ARGS__ }

/* Gives a set a value for each metric that a recorded list names, less rates in the first cycle. */
static inline void cf_names(struct cgm_draft_set *set, const char *all, const char *path, unsigned cycle, int64_t cpu, int64_t memory)
{
	struct cf_answer a;
	json_t *names, *name;
	size_t i;

	cf_find(all, path, &a);
	names = cf_json(a.body, true);
	json_array_foreach(names, i, name) {
		int m = cgm_cm_find(cgm_str(json_string_value(name)));

		assert_in_range(m, 0, CGM_NR_SCALARS - 1);
		if (!cycle && strstr(json_string_value(name), "_rate"))
			continue;
		if (cgm_cm_table[m].is_float)
			cgm_draft_float(set, (enum cgm_cm)m, 0.4375);
		else
			cgm_draft_int(set, (enum cgm_cm)m, m == CGM_CM_CPU_USAGE_RATE ? cpu : m == CGM_CM_MEMORY_USAGE ? memory : 7);
	}
	json_decref(names);
}

static inline struct cgm_slice *cf_node_slice(const char *all, unsigned cycle)
{
	static const char *const free_containers[] = { "docker-daemon", "kubelet", "pods", "system" };
	static const int64_t of_pod[CF_CYCLES] = { 0, 298, 300, 298, 300, 298 }, of_c1[CF_CYCLES] = { 0, 199, 200, 199, 200, 199 };
	struct cgm_draft d = { 0 };

	cf_names(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NODE, .labels = CF_NODE }), all, "/api/v1/model/nodes/node-a/metrics/", cycle, 999, 500000000);
	cgm_draft_resource(&d, 0, CGM_CM_FILESYSTEM_USAGE, cgm_str("/"), 123456);
	cgm_draft_resource(&d, 0, CGM_CM_FILESYSTEM_USAGE, cgm_str("logs"), 77);
	for (size_t i = 0; i < ARRAY_SIZE(free_containers); i++)
		cgm_draft_int(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_SYS_CONTAINER,
								     .labels = { [CGM_CL_NODENAME] = "node-a", [CGM_CL_CONTAINER_NAME] = free_containers[i] } }),
			      CGM_CM_MEMORY_USAGE, 1048576);
	cf_names(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_POD, .labels = CF_POD() }), all, "/api/v1/model/namespaces/default/pods/web-1/metrics", cycle, of_pod[cycle], 120000000);
	for (size_t i = 0; i < ARRAY_SIZE(cf_images); i++)
		cf_names(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CONTAINER,
								.labels = CF_POD([CGM_CL_CONTAINER_NAME] = i ? "c2" : "c1", [CGM_CL_CONTAINER_BASE_IMAGE] = cf_images[i]) }),
			 all, "/api/v1/model/namespaces/default/pods/web-1/containers/c1/metrics", cycle, i ? of_pod[cycle] - of_c1[cycle] : of_c1[cycle], 80000000);
	return cf_seal(&d, "node-a", CF_END - (CF_CYCLES - 1 - cycle) * 10 * CF_SEC);
}

static inline struct cgm_slice *cf_sums_slice(const char *all, unsigned cycle)
{
	static const int64_t cpu[CF_CYCLES] = { 0, 298, 300, 298, 300, 298 };
	struct cgm_draft d = { 0 };

	cf_names(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_NAMESPACE, .labels = { [CGM_CL_NAMESPACE_NAME] = "default" } }), all,
		 "/api/v1/model/namespaces/default/metrics", cycle, cpu[cycle], 150000000);
	cf_names(cf_add(&d, &(struct cgm_entity_facts){ .kind = CGM_SET_CLUSTER }), all, "/api/v1/model/metrics/", cycle, cpu[cycle], 150000000);
	return cf_seal(&d, "", CF_END - (CF_CYCLES - 1 - cycle) * 10 * CF_SEC);
}

static inline struct cgm_cluster_store *cf_store(const char *all)
{
	struct cgm_cluster_store *st = NULL;

	assert_int_equal(cgm_cluster_store_new(&(struct cgm_cluster_store_config){ 0 }, &st), 0);
	for (unsigned i = 0; all && i < CF_CYCLES; i++) {
		cf_put(st, cf_node_slice(all, i));
		cf_put(st, cf_sums_slice(all, i));
	}
	return st;
}
