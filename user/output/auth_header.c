// SPDX-License-Identifier: Apache-2.0
#include "output/auth_header.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "output/secret.h"

static const char *skip_blanks(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

enum cgm_auth_scheme cgm_auth_scheme(const char *header, const char **ret_rest)
{
	static const struct {
		const char *name;
		enum cgm_auth_scheme scheme;
	} schemes[] = { { "Basic", CGM_AUTH_BASIC }, { "Digest", CGM_AUTH_DIGEST }, { "Bearer", CGM_AUTH_BEARER } };

	*ret_rest = "";
	if (!header)
		return CGM_AUTH_NONE;
	header = skip_blanks(header);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].name);

		if (strncasecmp(header, schemes[i].name, len) != 0 || (header[len] != ' ' && header[len] != '\t'))
			continue;
		*ret_rest = skip_blanks(header + len);
		return schemes[i].scheme;
	}
	return CGM_AUTH_OTHER;
}

int cgm_auth_basic(const char *text, char *buf, size_t size, const char **ret_user, const char **ret_password)
{
	size_t text_len = strlen(text);
	char *colon;
	long len;

	while (text_len && (text[text_len - 1] == ' ' || text[text_len - 1] == '\t'))
		text_len--;
	len = cgm_unbase64(text, text_len, buf, size - 1);
	if (len < 0)
		return -EINVAL;
	buf[len] = '\0';
	colon = strchr(buf, ':');
	if (strlen(buf) != (size_t)len || !colon)
		return -EINVAL;
	*colon = '\0';
	*ret_user = buf;
	*ret_password = colon + 1;
	return 0;
}

/* A name of letters and such; moves *p behind it. */
static size_t take_name(const char **p)
{
	size_t len = strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*");

	*p += len;
	return len;
}

/* A value in quotes or without, into buf (NULL: nowhere); moves *p behind it. Its length, or -EINVAL. */
static long take_value(const char **p, char *buf, size_t size)
{
	bool quoted = **p == '"';
	size_t nr = 0;

	for (*p += quoted; **p && (quoted ? **p != '"' : !strchr(", \t", **p)); ++*p) {
		if (quoted && **p == '\\' && (*p)[1])
			++*p;
		if (buf && nr + 1 >= size)
			return -EINVAL;
		if (buf)
			buf[nr] = **p;
		nr++;
	}
	if (quoted && **p != '"')
		return -EINVAL;
	*p += quoted;
	if (buf)
		buf[nr] = '\0';
	return (long)nr;
}

int cgm_auth_param(const char *text, const char *name, char *buf, size_t size)
{
	const char *p = skip_blanks(text);
	size_t want = strlen(name);
	bool found = false;

	while (*p) {
		const char *start = p;
		size_t len = take_name(&p);
		bool wanted = len == want && strncasecmp(start, name, len) == 0;

		p = skip_blanks(p);
		if (!len || *p != '=' || (wanted && found))
			return -EINVAL;
		p = skip_blanks(p + 1);
		if (take_value(&p, wanted ? buf : NULL, size) < 0)
			return -EINVAL;
		found |= wanted;
		p = skip_blanks(p);
		if (*p && *p != ',')
			return -EINVAL;
		while (*p == ',' || *p == ' ' || *p == '\t')
			p++;
	}
	return found ? 0 : -ENOENT;
}

bool cgm_auth_quote(const char *value, char *buf, size_t size)
{
	size_t nr = 0;

	if (size < 2 * strlen(value) + 3)
		return false;
	buf[nr++] = '"';
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf[nr++] = '\\';
		buf[nr++] = *value;
	}
	buf[nr++] = '"';
	buf[nr] = '\0';
	return true;
}
