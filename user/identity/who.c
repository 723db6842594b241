// SPDX-License-Identifier: Apache-2.0
#include "identity/who.h"

#include <string.h>

#include "base/mem.h"

/* Where all texts of a who are, as offsets: sizing and copying go over the same list. */
static const size_t texts[] = {
	offsetof(struct cgm_who, id),		offsetof(struct cgm_who, name),	      offsetof(struct cgm_who, image),
	offsetof(struct cgm_who, pod),		offsetof(struct cgm_who, pod_namespace), offsetof(struct cgm_who, pod_uid),
	offsetof(struct cgm_who, container),	offsetof(struct cgm_who, health),     offsetof(struct cgm_who, log_path),
	offsetof(struct cgm_who, namespace),	offsetof(struct cgm_who, upper_dir),
};

static const char **text_at(struct cgm_who *w, size_t offset)
{
	return (const char **)((char *)w + offset);
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static size_t pairs_size(const struct cgm_pair *pairs, size_t nr)
{
	size_t size = nr * sizeof(*pairs);

	for (size_t i = 0; i < nr; i++)
		size += text_size(pairs[i].key) + text_size(pairs[i].value);
	return size;
}

static const char *copy_text(char **room, const char *text)
{
	size_t size = text_size(text);
	char *copy = *room;

	if (!size)
		return NULL;
	memcpy(copy, text, size);
	*room += size;
	return copy;
}

/* Of equal keys the first given is the first: texts are copied in their order, so their addresses rise. */
static int by_key(const void *a, const void *b)
{
	const struct cgm_pair *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : (x->key > y->key) - (x->key < y->key);
}

static size_t copy_pairs(struct cgm_pair *to, const struct cgm_pair *from, size_t nr, char **room)
{
	size_t kept = 0;

	for (size_t i = 0; i < nr; i++) {
		to[i].key = copy_text(room, from[i].key);
		to[i].value = copy_text(room, from[i].value);
	}
	if (nr)
		qsort(to, nr, sizeof(*to), by_key);
	for (size_t i = 0; i < nr; i++)
		if (!kept || strcmp(to[kept - 1].key, to[i].key) != 0)
			to[kept++] = to[i];
	return kept;
}

struct cgm_who *cgm_who_new(const struct cgm_who *w)
{
	size_t size = sizeof(*w) + pairs_size(w->labels, w->nr_labels) + pairs_size(w->envs, w->nr_envs) +
		      pairs_size(w->volumes, w->nr_volumes);
	struct cgm_who *copy;
	char *room;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		size += text_size(*text_at((struct cgm_who *)w, texts[i]));
	copy = cgm_malloc(size);
	if (!copy)
		return NULL;
	*copy = *w;
	copy->refs = 1;
	copy->labels = (struct cgm_pair *)(copy + 1);
	copy->envs = copy->labels + w->nr_labels;
	copy->volumes = copy->envs + w->nr_envs;
	room = (char *)(copy->volumes + w->nr_volumes);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		*text_at(copy, texts[i]) = copy_text(&room, *text_at((struct cgm_who *)w, texts[i]));
	copy->nr_labels = copy_pairs(copy->labels, w->labels, w->nr_labels, &room);
	copy->nr_envs = copy_pairs(copy->envs, w->envs, w->nr_envs, &room);
	copy->nr_volumes = copy_pairs(copy->volumes, w->volumes, w->nr_volumes, &room);
	return copy;
}

struct cgm_who *cgm_who_ref(struct cgm_who *w)
{
	__atomic_add_fetch(&w->refs, 1, __ATOMIC_RELAXED);
	return w;
}

void cgm_who_unref(struct cgm_who *w)
{
	if (w && __atomic_sub_fetch(&w->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(w);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_pairs(const struct cgm_pair *a, size_t nr_a, const struct cgm_pair *b, size_t nr_b)
{
	if (nr_a != nr_b)
		return false;
	for (size_t i = 0; i < nr_a; i++)
		if (!same_text(a[i].key, b[i].key) || !same_text(a[i].value, b[i].value))
			return false;
	return true;
}

bool cgm_who_equal(const struct cgm_who *a, const struct cgm_who *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (!same_text(*text_at((struct cgm_who *)a, texts[i]), *text_at((struct cgm_who *)b, texts[i])))
			return false;
	return same_text(a->runtime, b->runtime) && same_pairs(a->labels, a->nr_labels, b->labels, b->nr_labels) &&
	       same_pairs(a->envs, a->nr_envs, b->envs, b->nr_envs) && same_pairs(a->volumes, a->nr_volumes, b->volumes, b->nr_volumes) && a->created_ns == b->created_ns && a->started_ns == b->started_ns &&
	       a->finished_ns == b->finished_ns && a->restart_count == b->restart_count && a->pid == b->pid && a->state == b->state &&
	       a->exit_code == b->exit_code && a->has_exit_code == b->has_exit_code && a->is_sandbox == b->is_sandbox &&
	       a->shares_network == b->shares_network;
}

const char *cgm_who_label(const struct cgm_who *w, const char *key)
{
	size_t low = 0, high = w->nr_labels;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = strcmp(w->labels[middle].key, key);

		if (r == 0)
			return w->labels[middle].value;
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void cgm_who_pod_labels(struct cgm_who *w)
{
	const struct {
		const char *key;
		const char **to;
	} known[] = {
		{ "io.kubernetes.pod.name", &w->pod },
		{ "io.kubernetes.pod.namespace", &w->pod_namespace },
		{ "io.kubernetes.pod.uid", &w->pod_uid },
		{ "io.kubernetes.container.name", &w->container },
	};

	for (size_t i = 0; i < w->nr_labels; i++)
		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			if (strcmp(w->labels[i].key, known[k].key) == 0 && *w->labels[i].value)
				*known[k].to = w->labels[i].value;
	/* The kubelet's driver for docker named the sandbox's container "POD". */
	if (w->is_sandbox)
		w->container = NULL;
	else if (w->pod_uid)
		w->shares_network = true;
}

struct cgm_who *cgm_who_of_user(const struct cgm_who *w)
{
	static const char of_kubernetes[] = "io.kubernetes.";
	_cleanup_free_ struct cgm_pair *labels = cgm_malloc((w->nr_labels + 1) * sizeof(*labels));
	struct cgm_who plain = *w;

	if (!labels)
		return NULL;
	plain.pod = plain.pod_namespace = plain.pod_uid = plain.container = NULL;
	plain.is_sandbox = false;
	/* Nor is anything looked at on a user's word: no process, no file and no directory, which may be another's. */
	plain.pid = 0;
	plain.log_path = plain.upper_dir = NULL;
	plain.volumes = NULL;
	plain.nr_volumes = 0;
	plain.labels = labels;
	plain.nr_labels = 0;
	for (size_t i = 0; i < w->nr_labels; i++)
		if (strncmp(w->labels[i].key, of_kubernetes, sizeof(of_kubernetes) - 1) != 0)
			labels[plain.nr_labels++] = w->labels[i];
	return cgm_who_new(&plain);
}

bool cgm_env_is_wanted(const char *whitelist, struct cgm_str key)
{
	struct cgm_str rest = cgm_str(whitelist ? whitelist : ""), one;

	while (cgm_next_field(&rest, ',', &one)) {
		one = cgm_trim(one);
		if (one.len && one.len <= key.len && memcmp(key.p, one.p, one.len) == 0)
			return true;
	}
	return false;
}
