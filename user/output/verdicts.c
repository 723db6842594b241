// SPDX-License-Identifier: Apache-2.0
#include "output/verdicts.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* ---- who somebody is ---- */

static bool is_in(const struct cgm_kube_user *u, const char *group)
{
	for (size_t i = 0; i < u->nr_groups; i++)
		if (strcmp(u->groups[i], group) == 0)
			return true;
	return false;
}

static int add_group(struct cgm_kube_user *u, const char *group)
{
	char **groups = cgm_realloc(u->groups, (u->nr_groups + 1) * sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	u->groups = groups;
	groups[u->nr_groups] = cgm_strdup(group);
	if (!groups[u->nr_groups])
		return -ENOMEM;
	u->nr_groups++;
	return 0;
}

struct cgm_reviewed *cgm_reviewed_new(struct cgm_kube_user *user, const char *group)
{
	struct cgm_reviewed *u = cgm_calloc(1, sizeof(*u));

	if (!u || (!is_in(user, group) && add_group(user, group) < 0)) {
		cgm_kube_user_done(user);
		free(u);
		return NULL;
	}
	u->refs = 1;
	u->user = *user;
	*user = (struct cgm_kube_user){ 0 };
	return u;
}

struct cgm_reviewed *cgm_reviewed_ref(struct cgm_reviewed *u)
{
	if (u)
		__atomic_add_fetch(&u->refs, 1, __ATOMIC_RELAXED);
	return u;
}

void cgm_reviewed_unref(struct cgm_reviewed *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL))
		return;
	cgm_kube_user_done(&u->user);
	free(u);
}

/* ---- the keys ---- */

int cgm_verdict_key_of_token(const struct cgm_verdicts *v, const char *token, struct cgm_verdict_key *ret)
{
	return cgm_hmac_sha256(v->salt, sizeof(v->salt), token, strlen(token), ret->p);
}

static void put(struct cgm_buf *b, const char *text)
{
	cgm_buf_str(b, text ? text : "");
	cgm_buf_char(b, '\0');
}

int cgm_verdict_key_of_access(const struct cgm_verdicts *v, const struct cgm_reviewed *who, const char *verb, const char *subresource,
			      struct cgm_verdict_key *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	put(&b, verb);
	put(&b, subresource);
	put(&b, who->user.name);
	put(&b, who->user.uid);
	put(&b, who->user.extra);
	for (size_t i = 0; i < who->user.nr_groups; i++)
		put(&b, who->user.groups[i]);
	return b.failed ? -ENOMEM : cgm_hmac_sha256(v->salt, sizeof(v->salt), b.p, b.len, ret->p);
}

/* ---- what was said ---- */

int cgm_verdicts_init(struct cgm_verdicts *v)
{
	memset(v, 0, sizeof(*v));
	pthread_mutex_init(&v->lock, NULL);
	return cgm_random(v->salt, sizeof(v->salt));
}

void cgm_verdicts_done(struct cgm_verdicts *v)
{
	for (size_t set = 0; set < CGM_VERDICT_SETS; set++)
		for (size_t i = 0; i < CGM_VERDICT_WAYS; i++)
			cgm_reviewed_unref(v->entries[set][i].who);
	pthread_mutex_destroy(&v->lock);
	cgm_secret_wipe(v->salt, sizeof(v->salt));
}

static struct cgm_verdict *set_of(struct cgm_verdicts *v, const struct cgm_verdict_key *key)
{
	return v->entries[key->p[0] % CGM_VERDICT_SETS];
}

int cgm_verdicts_get(struct cgm_verdicts *v, const struct cgm_verdict_key *key, uint64_t now_ns, struct cgm_reviewed **ret_who)
{
	struct cgm_verdict *set = set_of(v, key);
	int r = -ENOENT;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < CGM_VERDICT_WAYS && r < 0; i++) {
		if (set[i].until_ns <= now_ns || !cgm_secret_eq(&set[i].key, key, sizeof(*key)))
			continue;
		r = set[i].yes;
		*ret_who = cgm_reviewed_ref(set[i].who);
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

void cgm_verdicts_put(struct cgm_verdicts *v, const struct cgm_verdict_key *key, bool yes, struct cgm_reviewed *who, uint64_t now_ns, uint64_t until_ns)
{
	struct cgm_verdict *set = set_of(v, key), *to = set;
	struct cgm_reviewed *before;

	if (until_ns <= now_ns)
		return;
	pthread_mutex_lock(&v->lock);
	for (size_t i = 1; i < CGM_VERDICT_WAYS; i++)
		if (set[i].until_ns < to->until_ns)
			to = &set[i];
	for (size_t i = 0; i < CGM_VERDICT_WAYS; i++)
		if (set[i].until_ns && memcmp(&set[i].key, key, sizeof(*key)) == 0)
			to = &set[i]; /* a newer word on the same */
	before = to->who;
	*to = (struct cgm_verdict){ .key = *key, .until_ns = until_ns, .yes = yes, .who = cgm_reviewed_ref(who) };
	pthread_mutex_unlock(&v->lock);
	cgm_reviewed_unref(before);
}
