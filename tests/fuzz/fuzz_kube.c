// SPDX-License-Identifier: Apache-2.0
/*
 * What an API server sends: a list or a watch, cut into objects, and pods out of them. Invariants: it does not matter in which pieces the bytes come; what is cut out of good JSON is good
 * JSON; a pod has its names, sorted labels, and JSON that reads as the same pod.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/json.h"
#include "kube/pod.h"
#include "kube/split.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void try_pod(const json_t *object, int depth)
{
	struct cgm_kube_pod *p = NULL, *again = NULL;
	json_t *copy;

	if (cgm_kube_pod_read(object, true, &p, NULL) < 0) {
		check(!p);
		return;
	}
	check(p->name && p->pod_namespace && p->uid && p->cgroup_uid && p->json && strlen(p->json) == p->json_len);
	for (size_t i = 1; i < p->nr_labels; i++)
		check(strcmp(p->labels[i - 1].key, p->labels[i].key) < 0);
	for (size_t i = 0; i < p->nr_containers; i++)
		check(p->containers[i].name && (!p->containers[i].now.id || p->containers[i].now.runtime));
	copy = depth ? NULL : json_loadb(p->json, p->json_len, JSON_ALLOW_NUL, NULL);
	check(depth || (copy && cgm_kube_pod_read(copy, true, &again, NULL) == 0 && strcmp(again->json, p->json) == 0));
	json_decref(copy);
	cgm_kube_pod_unref(again);
	cgm_kube_pod_unref(p);
}

static int on_object(void *arg, const char *json, size_t len)
{
	struct cgm_buf *b = arg;
	json_t *j = json_loadb(json, len, JSON_ALLOW_NUL, NULL);

	check(len >= 2 && json[0] == '{' && (json[len - 1] == '}' || json[len - 1] == ']'));
	cgm_buf_put(b, json, len);
	cgm_buf_char(b, '\n');
	if (j) {
		const json_t *object = json_object_get(j, "object");

		try_pod(object ? object : j, 0);
	}
	json_decref(j);
	return 0;
}

/* Into all that was cut out, and what is around it. */
static int split(const char *p, size_t len, bool list, size_t step, struct cgm_buf *ret)
{
	struct cgm_kube_split s = { .list = list, .max_bytes = 1 << 16, .on_object = on_object, .arg = ret };
	int r = 0;

	for (size_t at = 0; r == 0 && at < len; at += step)
		r = cgm_kube_split_feed(&s, p + at, len - at < step ? len - at : step);
	cgm_buf_put(ret, s.envelope.p, s.envelope.len);
	check(r == 0 || r == -EINVAL || r == -EFBIG);
	cgm_kube_split_done(&s);
	return r;
}

static bool has_items(const json_t *j)
{
	const json_t *items = json_object_get(j, "items"), *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (!json_is_object(item))
			return false;
	return json_is_array(items);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	json_t *j = json_loadb(p, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

	for (int list = 0; list < 2; list++) {
		struct cgm_buf whole = { 0 }, pieces = { 0 };
		int r = split(p, size, list, size ? size : 1, &whole);

		check(split(p, size, list, 7, &pieces) == r);
		check(whole.len == pieces.len && (!whole.len || memcmp(whole.p, pieces.p, whole.len) == 0));
		if (json_is_object(j) && size < 1 << 16)
			check(r == 0 || (list && !has_items(j)));
		cgm_buf_done(&whole);
		cgm_buf_done(&pieces);
	}
	json_decref(j);
	return 0;
}
