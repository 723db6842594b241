// SPDX-License-Identifier: Apache-2.0
#include "node/filter.h"

#include <string.h>

#include "base/parse.h"

#define ID_CHARS 64

/* 64 lower-case letters and digits in a row. */
static bool has_id(struct cgm_str s)
{
	size_t run = 0;

	for (size_t i = 0; i < s.len && run < ID_CHARS; i++)
		run = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z') ? run + 1 : 0;
	return run == ID_CHARS;
}

static bool begins(struct cgm_str s, const char *with)
{
	return s.len >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

static bool ends(struct cgm_str s, const char *with)
{
	return s.len >= strlen(with) && memcmp(s.p + s.len - strlen(with), with, strlen(with)) == 0;
}

/* The element that ends at *len; *len is moved before the slash in front of it. */
static struct cgm_str last_element(const char *name, size_t *len)
{
	size_t end = *len, start = end;

	while (start && name[start - 1] != '/')
		start--;
	*len = start ? start - 1 : 0;
	return (struct cgm_str){ name + start, end - start };
}

bool cgm_is_runtime_container(const char *name)
{
	size_t len = strlen(name);
	struct cgm_str last = last_element(name, &len);

	if (begins(last, "crio-conmon") || begins(last, "libpod-conmon") || ends(last, ".mount"))
		return false;
	if (cgm_str_eq(last, "container")) /* podman under systemd: the processes of libpod-ID.scope are below it */
		return has_id(last_element(name, &len));
	return has_id(last) || begins(last, "crio-");
}

bool cgm_filter_shows(const struct cgm_filter *f, const char *name)
{
	struct cgm_str prefixes = cgm_str(f->prefixes), prefix;

	if (name[0] == '/' && !name[1])
		return true;
	if (!prefixes.len)
		return !f->runtimes_only || cgm_is_runtime_container(name);
	while (cgm_next_field(&prefixes, ',', &prefix)) {
		prefix = cgm_trim(prefix);
		if (prefix.len && strncmp(name, prefix.p, prefix.len) == 0)
			return true;
	}
	return cgm_is_runtime_container(name);
}
