// SPDX-License-Identifier: Apache-2.0
#include "kube/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"

#define MAX_TOKEN_BYTES ((size_t)64 << 10)

void cgm_kube_token_done(struct cgm_kube_token *t)
{
	if (t->text)
		explicit_bzero(t->text, strlen(t->text));
	free(t->text);
	t->text = NULL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* It becomes a line of a header. */
static bool is_token(struct cgm_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len > 0;
}

int cgm_kube_token_refresh(struct cgm_kube_token *t, bool force)
{
	_cleanup_free_ char *text = NULL;
	char *token;
	struct cgm_str s;
	struct stat now;
	size_t len;
	int r;

	if (stat(t->path, &now) < 0)
		return -errno;
	if (t->text && !force && is_same(&now, &t->seen))
		return 0;
	r = cgm_read_all_at(AT_FDCWD, t->path, MAX_TOKEN_BYTES, &text, &len);
	if (r < 0)
		return r;
	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	s = (struct cgm_str){ text, len };
	token = is_token(s) ? cgm_strndup(s.p, s.len) : NULL;
	if (!token) {
		r = is_token(s) ? -ENOMEM : -EINVAL;
		explicit_bzero(text, len);
		return r;
	}
	explicit_bzero(text, len);
	cgm_kube_token_done(t);
	t->text = token;
	t->seen = now;
	return 0;
}
