// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "process/work.h"

#define FAULT 256

/* ---- options ---- */

static int by_as(const void *a, const void *b)
{
	const struct cgm_stored *x = a, *y = b;

	return strcmp(x->as, y->as);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Cuts the next part off a list with commas between. NULL: that was the last one. */
static char *next_part(char **list)
{
	char *part = *list, *comma;

	if (!part || !*part)
		return NULL;
	comma = strchr(part, ',');
	*list = comma ? comma + 1 : NULL;
	if (comma)
		*comma = '\0';
	return part;
}

static size_t count_parts(const char *list)
{
	size_t nr = 1;

	for (; *list; list++)
		nr += *list == ',';
	return nr;
}

static int fault_of(char *fault, const char *option, const char *part, const char *why)
{
	snprintf(fault, FAULT, "--%s: \"%s\": %s", option, part, why);
	return -EINVAL;
}

/* Labels that every set bears: another's in their place would mix series up. */
static bool is_ours(const char *name)
{
	for (int l = 0; l < CGM_NR_CL; l++)
		if (strcmp(cgm_cl_name((enum cgm_cl)l), name) == 0)
			return true;
	return false;
}

static int read_stored(struct cgm_process *p, char *list, char *fault)
{
	char *part;

	while ((part = next_part(&list))) {
		char *equals = strchr(part, '=');
		struct cgm_stored s = { part, part };

		if (equals) {
			*equals = '\0';
			s.name = equals + 1;
		}
		if (!*s.as || !*s.name)
			return fault_of(fault, "store_label", *s.as ? s.as : s.name, "it wants a name, or NEW=NAME");
		if (is_ours(s.as))
			return fault_of(fault, "store_label", s.as, "every metric bears a label of that name; store it under another one: NEW=NAME");
		p->stored[p->nr_stored++] = s;
	}
	qsort(p->stored, p->nr_stored, sizeof(*p->stored), by_as);
	for (size_t i = 1; i < p->nr_stored; i++)
		if (strcmp(p->stored[i - 1].as, p->stored[i].as) == 0)
			return fault_of(fault, "store_label", p->stored[i].as, "two labels would be stored under that name");
	return 0;
}

static int read_ignored(struct cgm_process *p, char *list, char *fault)
{
	const char *part;

	while ((part = next_part(&list))) {
		if (!*part)
			return fault_of(fault, "ignore_label", part, "it wants a name");
		p->ignored[p->nr_ignored++] = part;
	}
	qsort(p->ignored, p->nr_ignored, sizeof(*p->ignored), by_text);
	return 0;
}

int cgm_labels_init(struct cgm_process *p, char *fault)
{
	const char *stored = p->config.store_labels ? p->config.store_labels : "", *ignored = p->config.ignore_labels ? p->config.ignore_labels : "";
	size_t behind = strlen(stored) + 1;
	int r;

	p->options = cgm_malloc(behind + strlen(ignored) + 1);
	p->stored = cgm_calloc(count_parts(stored), sizeof(*p->stored));
	p->ignored = cgm_calloc(count_parts(ignored), sizeof(*p->ignored));
	if (!p->options || !p->stored || !p->ignored)
		return -ENOMEM;
	memcpy(p->options, stored, behind);
	memcpy(p->options + behind, ignored, strlen(ignored) + 1);
	r = read_stored(p, p->options, fault);
	return r < 0 ? r : read_ignored(p, p->options + behind, fault);
}

void cgm_labels_done(struct cgm_process *p)
{
	free(p->options);
	free(p->stored);
	free(p->ignored);
}

/* ---- texts ---- */

static const char *find_label(const struct cgm_kube_label *labels, size_t nr, const char *key)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(labels[i].key, key) == 0)
			return labels[i].value;
	return NULL;
}

/* As Heapster sorts them: by "k:v" as a whole, where "app.kubernetes.io/name:x" comes before "app:x". */
static int by_whole(const void *a, const void *b)
{
	const struct cgm_kube_label *x = *(const struct cgm_kube_label *const *)a, *y = *(const struct cgm_kube_label *const *)b;
	const unsigned char *k = (const unsigned char *)x->key, *l = (const unsigned char *)y->key;

	while (*k && *k == *l)
		k++, l++;
	if (!*k && !*l)
		return strcmp(x->value, y->value);
	return (*k ? *k : ':') - (*l ? *l : ':');
}

static const char *put_piece(char **at, const char *text)
{
	size_t len = strlen(text);

	memcpy(*at, text, len);
	*at += len;
	return *at;
}

static int put_text(struct cgm_work *w, const struct cgm_kube_label **sorted, size_t nr, const char **ret)
{
	const char *separator = w->p->config.label_separator;
	size_t size = 1;
	char *text, *at;

	for (size_t i = 0; i < nr; i++)
		size += strlen(sorted[i]->key) + strlen(sorted[i]->value) + 1 + strlen(separator);
	text = at = cgm_draft_alloc(w->d, size);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		put_piece(&at, i ? separator : "");
		put_piece(&at, sorted[i]->key);
		put_piece(&at, ":");
		put_piece(&at, sorted[i]->value);
	}
	*ret = text;
	return 0;
}

static int put_stored(struct cgm_work *w, const struct cgm_kube_label *labels, size_t nr_labels, struct cgm_entity_facts *facts)
{
	const struct cgm_process *p = w->p;
	struct cgm_tag *tags = p->nr_stored ? cgm_draft_alloc(w->d, p->nr_stored * sizeof(*tags)) : NULL;

	if (p->nr_stored && !tags)
		return -ENOMEM;
	for (size_t i = 0; i < p->nr_stored; i++) {
		const char *value = find_label(labels, nr_labels, p->stored[i].name);

		if (value)
			tags[facts->nr_stored++] = (struct cgm_tag){ p->stored[i].as, value };
	}
	facts->stored = tags;
	return 0;
}

int cgm_labels_put(struct cgm_work *w, const struct cgm_kube_label *labels, size_t nr_labels, struct cgm_entity_facts *facts)
{
	const struct cgm_process *p = w->p;
	const struct cgm_kube_label **sorted;
	size_t nr = 0;

	facts->nr_stored = 0;
	if (!nr_labels)
		return 0;
	sorted = cgm_draft_alloc(w->d, nr_labels * sizeof(struct cgm_kube_label *));
	if (!sorted || put_stored(w, labels, nr_labels, facts) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < nr_labels; i++)
		if (!p->nr_ignored || !bsearch(&labels[i].key, p->ignored, p->nr_ignored, sizeof(char *), by_text))
			sorted[nr++] = &labels[i];
	qsort(sorted, nr, sizeof(struct cgm_kube_label *), by_whole);
	return nr ? put_text(w, sorted, nr, &facts->labels[CGM_CL_LABELS]) : 0;
}
