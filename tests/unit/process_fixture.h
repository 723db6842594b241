/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline with an API server that is a table: the program that includes this defines in the place of user/kube/cluster.c the two functions that the
 * pipeline asks. Slices are kept as they come, and shown as text: "KEY metric=value".
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "process/process.h"

#define SEC 1000000000ULL
#define MINUTE (60 * SEC)
#define BASE (1795362840 * SEC) /* 2026-11-22 15:54:00 */
#define MAX_SLICES 64
#define MAX_API_PODS 64

static struct {
	struct cgm_kube_pod *pods[MAX_API_PODS];
	size_t nr_pods, nr_asked;
	bool no_namespaces;
} api;

static struct {
	struct cgm_slice *slices[MAX_SLICES];
	size_t nr;
} got;

struct cgm_kube_pod *cgm_kube_cluster_pod(struct cgm_kube_cluster *c, const char *pod_namespace, const char *name)
{
	assert_ptr_equal(c, &api);
	api.nr_asked++;
	for (size_t i = 0; i < api.nr_pods; i++)
		if (strcmp(api.pods[i]->pod_namespace, pod_namespace) == 0 && strcmp(api.pods[i]->name, name) == 0)
			return cgm_kube_pod_ref(api.pods[i]);
	return NULL;
}

bool cgm_kube_cluster_namespace_uid(struct cgm_kube_cluster *c, const char *name, char *uid, size_t size)
{
	assert_ptr_equal(c, &api);
	if (api.no_namespaces)
		return false;
	snprintf(uid, size, "uid-of-%s", name);
	return true;
}

/* A newer object takes the place of the one with its name. */
static inline void api_pod(const char *json)
{
	json_t *object = json_loads(json, 0, NULL);
	struct cgm_kube_pod *pod = NULL;
	size_t i = 0;

	assert_non_null(object);
	assert_int_equal(cgm_kube_pod_read(object, false, &pod, NULL), 0);
	json_decref(object);
	while (i < api.nr_pods && (strcmp(api.pods[i]->name, pod->name) != 0 || strcmp(api.pods[i]->pod_namespace, pod->pod_namespace) != 0))
		i++;
	assert_true(i < MAX_API_PODS);
	if (i == api.nr_pods)
		api.nr_pods++;
	else
		cgm_kube_pod_unref(api.pods[i]);
	api.pods[i] = pod;
}

static inline void keep_slice(void *arg, struct cgm_slice *s)
{
	assert_ptr_equal(arg, &got);
	assert_true(got.nr < MAX_SLICES);
	got.slices[got.nr++] = cgm_slice_ref(s);
}

static inline void forget_slices(void)
{
	while (got.nr)
		cgm_slice_unref(got.slices[--got.nr]);
}

static inline int teardown(void **state)
{
	(void)state;
	forget_slices();
	while (api.nr_pods)
		cgm_kube_pod_unref(api.pods[--api.nr_pods]);
	memset(&api, 0, sizeof(api));
	return 0;
}

static inline const struct cgm_slice *newest(void)
{
	assert_true(got.nr > 0);
	return got.slices[got.nr - 1];
}

static inline struct cgm_process_config config_of(bool with_api)
{
	return (struct cgm_process_config){
		.resolution_ns = MINUTE, .cluster = with_api ? (struct cgm_kube_cluster *)&api : NULL, .on_slice = keep_slice, .arg = &got,
	};
}

static inline struct cgm_process *new_process(const struct cgm_process_config *config)
{
	struct cgm_process *p = NULL;
	char fault[256] = "";

	assert_int_equal(cgm_process_new(config, &p, fault), 0);
	return p;
}

/* ---- drafts ---- */

/* A set by its name: "node", "sys NAME", "NS/POD", "NS/POD/CONTAINER". */
static inline uint32_t add_set(struct cgm_draft *d, const char *name, uint64_t scraped_ns, uint64_t created_ns)
{
	const char *slash = strchr(name, '/'), *second = slash ? strchr(slash + 1, '/') : NULL;
	enum cgm_set_kind kind = second ? CGM_SET_CONTAINER : slash ? CGM_SET_POD : strncmp(name, "sys ", 4) == 0 ? CGM_SET_SYS_CONTAINER : CGM_SET_NODE;
	int i = cgm_draft_add(d, kind);

	assert_true(i >= 0);
	d->sets[i].scraped_ns = scraped_ns;
	d->sets[i].created_ns = created_ns;
	if (slash) {
		d->sets[i].pod_namespace = cgm_draft_text(d, (struct cgm_str){ name, (size_t)(slash - name) });
		d->sets[i].pod = cgm_draft_text(d, second ? (struct cgm_str){ slash + 1, (size_t)(second - slash - 1) } : cgm_str(slash + 1));
	}
	if (second || kind == CGM_SET_SYS_CONTAINER)
		d->sets[i].container = cgm_draft_text(d, cgm_str(second ? second + 1 : name + 4));
	return (uint32_t)i;
}

static inline enum cgm_cm metric(const char *name)
{
	int m = cgm_cm_find(cgm_str(name));

	if (m < 0)
		fail_msg("there is no metric %s", name);
	return (enum cgm_cm)m;
}

#define END ((const char *)NULL)
/* Values of a set, up to END: name, int64_t, name, … */
static inline void put_values(struct cgm_draft *d, uint32_t set, ...)
{
	const char *name;
	va_list args;

	va_start(args, set);
	while ((name = va_arg(args, const char *)))
		cgm_draft_int(&d->sets[set], metric(name), va_arg(args, int64_t));
	va_end(args);
}

static inline void put_device(struct cgm_draft *d, uint32_t set, const char *name, const char *device, int64_t value)
{
	cgm_draft_resource(d, set, metric(name), cgm_str(device), value);
}

/* ---- what came ---- */

static inline void show_value(struct cgm_buf *out, const char *name, bool is_float, union cgm_cm_value v)
{
	if (is_float)
		cgm_buf_printf(out, "%s=%.6f", name, v.f);
	else
		cgm_buf_printf(out, "%s=%lld", name, (long long)v.i);
}

static inline const struct cgm_set *set_of(const struct cgm_slice *s, const char *key)
{
	const struct cgm_set *set = cgm_slice_find(s, key);

	if (!set)
		fail_msg("there is no %s", key);
	return set;
}

/* All of a set's values and labels (but type) as one text. The caller's. */
static inline char *show(const struct cgm_set *set)
{
	struct cgm_buf b = { 0 };

	for (int m = 0; m < CGM_NR_SCALARS; m++)
		if (cgm_set_has(set, (enum cgm_cm)m)) {
			show_value(&b, cgm_cm_table[m].name, cgm_cm_table[m].is_float, cgm_set_value(set, (enum cgm_cm)m));
			cgm_buf_char(&b, '\n');
		}
	for (uint32_t i = 0; i < set->nr_labeled; i++) {
		show_value(&b, cgm_cm_table[set->labeled[i].metric].name, cgm_cm_table[set->labeled[i].metric].is_float, set->labeled[i].value);
		cgm_buf_printf(&b, " %s\n", cgm_labeled_labels(&set->labeled[i])[0].value);
	}
	for (int l = 0; l < CGM_NR_CL; l++)
		if (l != CGM_CL_TYPE && set->entity->labels[l])
			cgm_buf_printf(&b, "%s: %s\n", cgm_cl_name((enum cgm_cl)l), set->entity->labels[l]);
	for (size_t i = 0; i < set->entity->nr_stored; i++)
		cgm_buf_printf(&b, "%s: %s\n", set->entity->stored[i].key, set->entity->stored[i].value);
	cgm_buf_char(&b, '\0');
	assert_false(b.failed);
	return b.p;
}

static inline void is_shown(const struct cgm_slice *s, const char *key, const char *wanted)
{
	char *text = show(set_of(s, key));

	assert_string_equal(text, wanted);
	free(text);
}

static inline int64_t int_of(const struct cgm_slice *s, const char *key, const char *name)
{
	const struct cgm_set *set = set_of(s, key);

	if (!cgm_set_has(set, metric(name)))
		fail_msg("%s has no %s", key, name);
	return cgm_set_value(set, metric(name)).i;
}

static inline double float_of(const struct cgm_slice *s, const char *key, const char *name)
{
	const struct cgm_set *set = set_of(s, key);

	if (!cgm_set_has(set, metric(name)))
		fail_msg("%s has no %s", key, name);
	return cgm_set_value(set, metric(name)).f;
}

static inline bool has(const struct cgm_slice *s, const char *key, const char *name)
{
	return cgm_set_has(set_of(s, key), metric(name));
}
