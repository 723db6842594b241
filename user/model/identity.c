// SPDX-License-Identifier: Apache-2.0
#include "model/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"
#include "identity/path.h"
#include "model/label.h"

static const char label_prefix[] = "container_label_", env_prefix[] = "container_env_";

/* A label on its way: what it will be called, and whose key that was. */
struct candidate {
	const char *prefix, *key, *value;
};

static char safe(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

/* By name, then by key. */
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int r = strcmp(x->prefix, y->prefix);
	const char *p = x->key, *q = y->key;

	for (; r == 0 && *p && *q && safe(*p) == safe(*q); p++, q++)
		;
	if (r == 0 && (*p || *q))
		r = !*p ? -1 : !*q ? 1 : safe(*p) - safe(*q);
	return r ? r : strcmp(x->key, y->key);
}

static bool same_name(const struct candidate *a, const struct candidate *b)
{
	const char *p = a->key, *q = b->key;

	for (; *p && *q && safe(*p) == safe(*q); p++, q++)
		;
	return a->prefix == b->prefix && !*p && !*q;
}

static bool in_list(const char *list, const char *key)
{
	struct cgm_str rest = cgm_str(list ? list : ""), one;

	while (cgm_next_field(&rest, ',', &one)) {
		one = cgm_trim(one);
		if (one.len && cgm_str_eq(one, key))
			return true;
	}
	return false;
}

/* Those that the rules show, each name once, sorted. How many. */
static size_t choose(const struct cgm_identity_facts *f, const struct cgm_label_rules *rules, struct candidate *ret)
{
	size_t nr = 0, kept = 0;

	for (size_t i = 0; i < f->nr_labels; i++)
		if (rules && (rules->store || in_list(rules->whitelist, f->labels[i].key)))
			ret[nr++] = (struct candidate){ label_prefix, f->labels[i].key, f->labels[i].value };
	for (size_t i = 0; i < f->nr_envs; i++)
		ret[nr++] = (struct candidate){ env_prefix, f->envs[i].key, f->envs[i].value };
	if (nr)
		qsort(ret, nr, sizeof(*ret), compare);
	for (size_t i = 0; i < nr; i++)
		if (!kept || !same_name(&ret[kept - 1], &ret[i]))
			ret[kept++] = ret[i];
	return kept;
}

/* key="value", with a comma in front if there is something before. */
static char *put_label(char *p, bool comma, const char *key, const char *value)
{
	size_t len = strlen(key);

	if (comma)
		*p++ = ',';
	memcpy(p, key, len); /* NOLINT(bugprone-not-null-terminated-result): the text goes on */
	p += len;
	*p++ = '=';
	*p++ = '"';
	p += cgm_label_escape(p, value);
	*p++ = '"';
	return p;
}

static char *put_shown(char *p, const struct candidate *c, struct cgm_shown_label *ret)
{
	size_t prefix = strlen(c->prefix);

	*p++ = ',';
	ret->name = p;
	memcpy(p, c->prefix, prefix);
	p += prefix;
	for (const char *k = c->key; *k; k++)
		*p++ = safe(*k);
	ret->name_len = (uint32_t)(p - ret->name);
	*p++ = '=';
	ret->value = p;
	*p++ = '"';
	p += cgm_label_escape(p, c->value);
	*p++ = '"';
	ret->value_len = (uint32_t)(p - ret->value);
	return p;
}

static size_t room_for(const char *key, const char *value)
{
	return strlen(key) + CGM_LABEL_GROWTH * strlen(value) + sizeof(label_prefix) + 4;
}

struct cgm_identity *cgm_identity_new_with(const char *name, const struct cgm_identity_facts *facts, const struct cgm_label_rules *rules)
{
	const struct cgm_identity_facts none = { 0 }, *f = facts ? facts : &none;
	size_t len = strlen(name), nr_all = f->nr_labels + f->nr_envs, nr, room = room_for("id", name) + 1 + CGM_OVER;
	_cleanup_free_ struct candidate *c = nr_all ? cgm_malloc(nr_all * sizeof(*c)) : NULL;
	struct cgm_identity *i;
	char *p;

	if (nr_all && !c)
		return NULL;
	nr = nr_all ? choose(f, rules, c) : 0;
	for (size_t n = 0; n < nr; n++)
		room += room_for(c[n].key, c[n].value);
	room += (f->alias ? room_for("name", f->alias) : 0) + (f->image ? room_for("image", f->image) : 0);
	i = cgm_malloc(sizeof(*i) + nr * sizeof(*i->shown) + len + 1 + room);
	if (!i)
		return NULL;
	*i = (struct cgm_identity){ .refs = 1, .shown = (struct cgm_shown_label *)(i + 1), .nr_shown = nr };
	i->name = (char *)(i->shown + nr);
	memcpy(i->name, name, len + 1);
	i->labels = i->name + len + 1;
	i->has_alias = f->alias && *f->alias;
	i->has_image = f->image && *f->image;
	p = put_label(i->labels, false, "id", name);
	if (i->has_alias)
		p = put_label(p, true, "name", f->alias);
	if (i->has_image)
		p = put_label(p, true, "image", f->image);
	i->base_len = (size_t)(p - i->labels);
	for (size_t n = 0; n < nr; n++)
		p = put_shown(p, &c[n], &i->shown[n]);
	memset(p, 0, CGM_OVER + 1);
	i->labels_len = (size_t)(p - i->labels);
	return i;
}

struct cgm_identity *cgm_identity_new(const char *name)
{
	return cgm_identity_new_with(name, NULL, NULL);
}

static size_t aliases(const char *name, const struct cgm_who *w, const char *ret[2])
{
	if (!w)
		return 0;
	if (strcmp(w->runtime, "containerd") == 0) {
		ret[0] = w->id;
		ret[1] = name;
		return 2;
	}
	ret[0] = w->name ? w->name : w->id;
	ret[1] = w->id;
	return w->name ? 2 : 1;
}

size_t cgm_identity_aliases(const struct cgm_identity *i, const char *ret[2])
{
	return aliases(i->name, i->who, ret);
}

const char *cgm_identity_shown(const struct cgm_identity *i)
{
	const char *names[2];

	return cgm_identity_aliases(i, names) ? names[0] : i->name;
}

void cgm_identity_title(const struct cgm_identity *i, struct cgm_buf *out)
{
	const struct cgm_who *w = i->who ? i->who : i->pod;

	if (!w) {
		cgm_path_title(i->name, out);
		return;
	}
	if (!w->pod || !w->pod_namespace) {
		cgm_buf_str(out, w->name ? w->name : w->id);
		return;
	}
	cgm_buf_str(out, w->pod_namespace);
	cgm_buf_char(out, '/');
	cgm_buf_str(out, w->pod);
	if (!i->who)
		return;
	cgm_buf_char(out, '/');
	cgm_buf_str(out, w->is_sandbox || !w->container ? "sandbox" : w->container);
}

struct cgm_identity *cgm_identity_new_who(const char *name, struct cgm_who *who, const struct cgm_label_rules *rules)
{
	const char *names[2];
	struct cgm_identity_facts f = { 0 };
	struct cgm_path_facts path;
	struct cgm_identity *i;

	cgm_path_parse(name, &path);
	if (who && path.kind == CGM_PATH_POD) {
		i = cgm_identity_new(name);
		if (i)
			i->pod = cgm_who_ref(who);
		return i;
	}
	if (who)
		f = (struct cgm_identity_facts){ .image = who->image, .labels = who->labels, .envs = who->envs, .nr_labels = who->nr_labels, .nr_envs = who->nr_envs };
	f.alias = aliases(name, who, names) ? names[0] : NULL;
	i = cgm_identity_new_with(name, &f, rules);
	if (i && who)
		i->who = cgm_who_ref(who);
	return i;
}

struct cgm_identity *cgm_identity_ref(struct cgm_identity *i)
{
	__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
	return i;
}

void cgm_identity_unref(struct cgm_identity *i)
{
	if (!i || __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL))
		return;
	cgm_who_unref(i->who);
	cgm_who_unref(i->pod);
	free(i);
}

void cgm_identity_look(struct cgm_identity *i)
{
	__atomic_store_n(&i->looked_ns, cgm_clock_mono_ns(), __ATOMIC_RELAXED);
}

bool cgm_identity_looked(const struct cgm_identity *i, uint64_t now_ns, uint64_t within_ns)
{
	uint64_t looked_ns = __atomic_load_n(&i->looked_ns, __ATOMIC_RELAXED);

	return looked_ns && (now_ns < looked_ns || now_ns - looked_ns < within_ns);
}

/* ---- the union ---- */

struct cgm_label_union {
	struct cgm_buf text;
	size_t *ends; /* of each container's text */
};

static int by_name(const void *a, const void *b)
{
	const struct cgm_shown_label *x = *(const struct cgm_shown_label *const *)a, *y = *(const struct cgm_shown_label *const *)b;
	int r = memcmp(x->name, y->name, MIN(x->name_len, y->name_len));

	return r ? r : (int)x->name_len - (int)y->name_len;
}

/* Every label's name once, sorted, in fresh memory. -1: out of memory. */
static int collect(const struct cgm_identity *const *identities, size_t nr, const struct cgm_shown_label ***ret, size_t *ret_nr)
{
	const struct cgm_shown_label **all;
	size_t nr_all = 0, at = 0, kept = 0;

	for (size_t i = 0; i < nr; i++)
		nr_all += identities[i]->nr_shown;
	all = cgm_malloc((nr_all + 1) * sizeof(*all));
	if (!all)
		return -1;
	for (size_t i = 0; i < nr; i++)
		for (size_t n = 0; n < identities[i]->nr_shown; n++)
			all[at++] = &identities[i]->shown[n];
	if (nr_all)
		qsort(all, nr_all, sizeof(*all), by_name);
	for (size_t i = 0; i < nr_all; i++)
		if (!kept || by_name(&all[kept - 1], &all[i]) != 0)
			all[kept++] = all[i];
	*ret = all;
	*ret_nr = kept;
	return 0;
}

static void put_one(struct cgm_buf *b, const struct cgm_identity *i, const struct cgm_shown_label **all, size_t nr_all, bool aliases, bool images)
{
	const char *image = i->has_image ? strstr(i->labels, ",image=\"") : NULL;
	size_t n = 0;

	/* "name" goes before "image". */
	if (image && !i->has_alias && aliases) {
		cgm_buf_put(b, i->labels, (size_t)(image - i->labels));
		cgm_buf_lit(b, ",name=\"\"");
		cgm_buf_put(b, image, (size_t)(i->labels + i->base_len - image));
	} else {
		cgm_buf_put(b, i->labels, i->base_len);
		if (aliases && !i->has_alias)
			cgm_buf_lit(b, ",name=\"\"");
	}
	if (images && !i->has_image)
		cgm_buf_lit(b, ",image=\"\"");
	for (size_t a = 0; a < nr_all; a++) {
		const struct cgm_shown_label *own = n < i->nr_shown ? &i->shown[n] : NULL;

		cgm_buf_char(b, ',');
		cgm_buf_put(b, all[a]->name, all[a]->name_len);
		cgm_buf_char(b, '=');
		if (own && by_name(&own, &all[a]) == 0) {
			cgm_buf_put(b, own->value, own->value_len);
			n++;
		} else {
			cgm_buf_lit(b, "\"\"");
		}
	}
}

struct cgm_label_union *cgm_label_union_new_with(cgm_label_put_fn put, size_t nr, void *arg)
{
	struct cgm_label_union *u = cgm_calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->ends = cgm_calloc(nr + 1, sizeof(*u->ends));
	for (size_t i = 0; u->ends && i < nr; i++) {
		put(&u->text, i, arg);
		u->ends[i] = u->text.len;
	}
	if (u->ends && cgm_buf_reserve(&u->text, CGM_OVER))
		return u;
	cgm_label_union_free(u);
	return NULL;
}

/* What cgm_label_union_new() puts: all has each label that any of them has. */
struct all_labels {
	const struct cgm_identity *const *identities;
	const struct cgm_shown_label **all;
	size_t nr_all;
	bool aliases, images;
};

static void put_all(struct cgm_buf *b, size_t index, void *arg)
{
	const struct all_labels *a = arg;

	put_one(b, a->identities[index], a->all, a->nr_all, a->aliases, a->images);
}

struct cgm_label_union *cgm_label_union_new(const struct cgm_identity *const *identities, size_t nr)
{
	_cleanup_free_ const struct cgm_shown_label **all = NULL;
	struct all_labels a = { .identities = identities };

	if (collect(identities, nr, &all, &a.nr_all) < 0)
		return NULL;
	a.all = all;
	for (size_t i = 0; i < nr; i++) {
		a.aliases |= identities[i]->has_alias;
		a.images |= identities[i]->has_image;
	}
	return cgm_label_union_new_with(put_all, nr, &a);
}

void cgm_label_union_free(struct cgm_label_union *u)
{
	if (!u)
		return;
	cgm_buf_done(&u->text);
	free(u->ends);
	free(u);
}

const char *cgm_label_union_text(const struct cgm_label_union *u, size_t index, size_t *ret_len)
{
	size_t begin = index ? u->ends[index - 1] : 0;

	*ret_len = u->ends[index] - begin;
	return u->text.p + begin;
}
