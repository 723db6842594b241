// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"
#include "kube/cluster.h"

#define MAX_TEXT ((size_t)64 << 10)
#define MAX_KEY (253 + 1 + 63) /* prefix, slash, name */
#define MAX_VALUE 63

enum op { IN, NOT_IN, EXISTS, NOT_EXISTS, GREATER, LESS };

/* Texts are pieces of the selector's own. */
struct requirement {
	char *key;
	char **values;
	size_t nr_values, cap_values;
	int64_t number; /* of GREATER, LESS */
	enum op op;
};

struct cgm_kube_selector {
	struct requirement *requirements;
	size_t nr, cap;
};

struct reader {
	const char *p;
	struct cgm_kube_selector *s;
	char *fault;
};

static int invalid(const struct reader *r, const char *what)
{
	snprintf(r->fault, CGM_KUBE_FAULT, "label selector: %s at \"%.60s\"", what, r->p);
	return -EINVAL;
}

static int no_memory(const struct reader *r)
{
	snprintf(r->fault, CGM_KUBE_FAULT, "out of memory");
	return -ENOMEM;
}

static void skip_blanks(struct reader *r)
{
	r->p += strspn(r->p, " \t\r\n");
}

/* A word ends at white space and at what has a meaning. */
static struct cgm_str next_word(struct reader *r)
{
	struct cgm_str word;

	skip_blanks(r);
	word = (struct cgm_str){ r->p, strcspn(r->p, " \t\r\n=!(),<>") };
	r->p += word.len;
	return word;
}

static bool take(struct reader *r, const char *token)
{
	skip_blanks(r);
	if (strncmp(r->p, token, strlen(token)) != 0)
		return false;
	r->p += strlen(token);
	return true;
}

/* Letters, digits and - _ . between, as names of labels and their values are; the prefix of a name is one of DNS. */
static bool is_name(struct cgm_str s, size_t max)
{
	if (!s.len || s.len > max || !isalnum((unsigned char)s.p[0]) || !isalnum((unsigned char)s.p[s.len - 1]))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("-_.", s.p[i]))
			return false;
	return true;
}

static bool is_key(struct cgm_str s)
{
	const char *slash = s.len ? memchr(s.p, '/', s.len) : NULL;
	size_t prefix = slash ? (size_t)(slash - s.p) : 0;

	if (!slash)
		return is_name(s, MAX_VALUE);
	return s.len <= MAX_KEY && is_name((struct cgm_str){ s.p, prefix }, 253) && is_name((struct cgm_str){ slash + 1, s.len - prefix - 1 }, MAX_VALUE);
}

static int read_key(struct reader *r, struct requirement *q)
{
	struct cgm_str word = next_word(r);

	if (!is_key(word)) {
		r->p = word.p;
		return invalid(r, "no name of a label");
	}
	q->key = cgm_strndup(word.p, word.len);
	return q->key ? 0 : no_memory(r);
}

static int read_value(struct reader *r, struct requirement *q)
{
	struct cgm_str word = next_word(r);
	char *copy;

	if (word.len && !is_name(word, MAX_VALUE)) {
		r->p = word.p;
		return invalid(r, "no value of a label");
	}
	copy = cgm_strndup(word.p, word.len);
	if (!copy || cgm_grow((void **)&q->values, &q->cap_values, q->nr_values, sizeof(*q->values)) < 0) {
		free(copy);
		return no_memory(r);
	}
	q->values[q->nr_values++] = copy;
	return 0;
}

static int read_list(struct reader *r, struct requirement *q)
{
	int e = 0;

	if (!take(r, "("))
		return invalid(r, "a ( is missing");
	do
		e = read_value(r, q);
	while (e == 0 && take(r, ","));
	if (e == 0 && !take(r, ")"))
		e = invalid(r, "a ) is missing");
	return e;
}

static int read_number(struct reader *r, struct requirement *q, enum op op)
{
	struct cgm_str word = next_word(r);

	q->op = op;
	if (cgm_parse_i64(word, &q->number) == 0)
		return 0;
	r->p = word.p;
	return invalid(r, "no whole number");
}

static int read_requirement(struct reader *r, struct requirement *q)
{
	struct cgm_str word;
	int e;

	if (take(r, "!")) {
		q->op = NOT_EXISTS;
		return read_key(r, q);
	}
	e = read_key(r, q);
	if (e < 0)
		return e;
	q->op = IN;
	if (take(r, "==") || take(r, "="))
		return read_value(r, q);
	if (take(r, "!=")) {
		q->op = NOT_IN;
		return read_value(r, q);
	}
	if (take(r, ">"))
		return read_number(r, q, GREATER);
	if (take(r, "<"))
		return read_number(r, q, LESS);
	word = next_word(r);
	if (!word.len) {
		q->op = EXISTS;
		return 0;
	}
	q->op = cgm_str_eq(word, "notin") ? NOT_IN : IN;
	if (q->op == IN && !cgm_str_eq(word, "in")) {
		r->p = word.p;
		return invalid(r, "none of in, notin, =, ==, !=");
	}
	return read_list(r, q);
}

static int read_all(struct reader *r)
{
	struct cgm_kube_selector *s = r->s;
	int e = 0;

	skip_blanks(r);
	while (e == 0 && *r->p) {
		if (cgm_grow((void **)&s->requirements, &s->cap, s->nr, sizeof(*s->requirements)) < 0)
			return no_memory(r);
		s->requirements[s->nr] = (struct requirement){ 0 };
		e = read_requirement(r, &s->requirements[s->nr++]);
		if (e < 0)
			return e;
		if (take(r, ",")) {
			skip_blanks(r);
			if (!*r->p)
				e = invalid(r, "nothing behind the last comma");
		} else if (*r->p) {
			e = invalid(r, "a comma is missing");
		}
	}
	return e;
}

int cgm_kube_selector_read(const char *text, struct cgm_kube_selector **ret, char *fault)
{
	_cleanup_(cgm_kube_selector_freep) struct cgm_kube_selector *s = NULL;
	struct reader r = { .p = text, .fault = fault };
	int e;

	if (strlen(text) > MAX_TEXT) {
		snprintf(fault, CGM_KUBE_FAULT, "label selector: longer than %zu bytes", MAX_TEXT);
		return -EINVAL;
	}
	r.s = s = cgm_calloc(1, sizeof(*s));
	e = s ? read_all(&r) : no_memory(&r);
	if (e == 0)
		*ret = TAKE_PTR(s);
	return e;
}

void cgm_kube_selector_free(struct cgm_kube_selector *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < s->requirements[i].nr_values; k++)
			free(s->requirements[i].values[k]);
		free(s->requirements[i].values);
		free(s->requirements[i].key);
	}
	free(s->requirements);
	free(s);
}

/* NULL: there is no such label. */
static const char *value_of(const char *key, const struct cgm_kube_label *labels, size_t nr)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(labels[middle].key, key);

		if (order == 0)
			return labels[middle].value;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_one_of(const struct requirement *q, const char *value)
{
	for (size_t i = 0; i < q->nr_values; i++)
		if (strcmp(q->values[i], value) == 0)
			return true;
	return false;
}

/* As Kubernetes has it: what a label is not is also true of one that is not there. */
static bool holds(const struct requirement *q, const char *value)
{
	int64_t number;

	switch (q->op) {
	case IN:
		return value && is_one_of(q, value);
	case NOT_IN:
		return !value || !is_one_of(q, value);
	case EXISTS:
		return value;
	case NOT_EXISTS:
		return !value;
	case GREATER:
	case LESS:
		if (!value || cgm_parse_i64(cgm_str(value), &number) < 0)
			return false;
		return q->op == GREATER ? number > q->number : number < q->number;
	}
	return false;
}

bool cgm_kube_selector_matches(const struct cgm_kube_selector *s, const struct cgm_kube_label *labels, size_t nr_labels)
{
	for (size_t i = 0; i < s->nr; i++)
		if (!holds(&s->requirements[i], value_of(s->requirements[i].key, labels, nr_labels)))
			return false;
	return true;
}
