// SPDX-License-Identifier: Apache-2.0
/* The file of --config: "name = value" or "name: value", one a line. */
#include <errno.h>
#include <string.h>

#include "flags/flags.h"

/* What separates name and value is the first = or :. */
static bool split(struct cgm_str line, struct cgm_str *ret_name, struct cgm_str *ret_value)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.p[i] != '=' && line.p[i] != ':')
			continue;
		*ret_name = cgm_trim((struct cgm_str){ line.p, i });
		*ret_value = cgm_trim((struct cgm_str){ line.p + i + 1, line.len - i - 1 });
		return true;
	}
	return false;
}

static struct cgm_str unquote(struct cgm_str s)
{
	if (s.len >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.len - 1] == s.p[0])
		return (struct cgm_str){ s.p + 1, s.len - 2 };
	return s;
}

static bool is_name(struct cgm_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"')
			return false;
	return s.len > 0 && s.p[0] != '-';
}

int cgm_config_each(char *text, size_t len, cgm_config_fn fn, void *arg, unsigned *ret_line, const char **ret_fault)
{
	struct cgm_str rest = { text, len }, line, name, value;

	*ret_fault = NULL;
	for (*ret_line = 1; cgm_next_line(&rest, &line); ++*ret_line) {
		int r;

		line = cgm_trim(line);
		if (!line.len || line.p[0] == '#')
			continue;
		if (memchr(line.p, '\0', line.len))
			*ret_fault = "holds a zero byte";
		else if (!split(line, &name, &value))
			*ret_fault = "is neither \"name = value\" nor \"name: value\"";
		else if (!is_name(name))
			*ret_fault = "does not begin with an option's name (without dashes)";
		if (*ret_fault)
			return -EINVAL;
		value = unquote(value);
		text[value.p + value.len - text] = '\0'; /* the newline, a quote, a blank, or what stands behind the text */
		r = fn(arg, *ret_line, name, value.p);
		if (r < 0)
			return r;
	}
	return 0;
}
