// SPDX-License-Identifier: Apache-2.0
#include "output/users.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

struct cgm_users *cgm_users_ref(struct cgm_users *u)
{
	__atomic_add_fetch(&u->refs, 1, __ATOMIC_RELAXED);
	return u;
}

void cgm_users_unref(struct cgm_users *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL))
		return;
	free(u->text);
	free(u->users);
	free(u);
}

const struct cgm_user *cgm_users_find(const struct cgm_users *u, const char *name)
{
	for (size_t i = 0; i < u->nr; i++)
		if (strcmp(u->users[i].name, name) == 0)
			return &u->users[i];
	return NULL;
}

/* line is inside u->text, the byte behind it may be written. */
static int add_line(struct cgm_users *u, struct cgm_str line, cgm_users_line_fn fn, const void *arg, const char **ret_fault)
{
	char *text = u->text + (line.p - u->text);
	struct cgm_user user;
	int r;

	text[line.len] = '\0';
	if (strlen(text) != line.len) {
		*ret_fault = "it holds a zero byte";
		return -EINVAL;
	}
	r = fn(arg, text, &user, ret_fault);
	if (r <= 0)
		return r;
	if (cgm_users_find(u, user.name)) {
		*ret_fault = "the user stands in the file twice";
		return -EINVAL;
	}
	if (cgm_grow((void **)&u->users, &u->cap, u->nr, sizeof(*u->users)) < 0)
		return -ENOMEM;
	u->users[u->nr++] = user;
	return 0;
}

int cgm_users_parse(const char *text, size_t len, cgm_users_line_fn fn, const void *arg, const char *nobody, struct cgm_users **ret,
		    unsigned *ret_line, const char **ret_fault)
{
	_cleanup_(cgm_users_freep) struct cgm_users *u = cgm_calloc(1, sizeof(*u));
	struct cgm_str rest, line;

	*ret_fault = NULL;
	*ret_line = 0;
	if (!u)
		return -ENOMEM;
	u->refs = 1;
	u->text = cgm_malloc(len + 1);
	if (!u->text)
		return -ENOMEM;
	memcpy(u->text, text, len);
	rest = (struct cgm_str){ u->text, len };
	for (*ret_line = 1; cgm_next_line(&rest, &line); ++*ret_line) {
		int r;

		line = cgm_trim(line);
		if (!line.len || line.p[0] == '#')
			continue;
		r = add_line(u, line, fn, arg, ret_fault);
		if (r < 0)
			return r;
	}
	*ret_line = 0;
	if (!u->nr) {
		*ret_fault = nobody;
		return -EINVAL;
	}
	*ret = TAKE_PTR(u);
	return 0;
}
