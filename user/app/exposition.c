// SPDX-License-Identifier: Apache-2.0
#include "app/exposition.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"

#define NAME_BYTES 256 /* with the zero */
#define VALUE_BYTES 1024 /* of a label, likewise */

struct parser {
	const struct cgm_app_config *config;
	struct cgm_app_draft *out;
	uint64_t time_ns;
	char family[NAME_BYTES], type[16]; /* of the last # TYPE */
	char name[NAME_BYTES];
	struct cgm_pair labels[CGM_APP_MAX_LABELS];
	size_t nr_labels;
	char text[16384]; /* of the labels */
	size_t text_len;
};

static bool is_name_char(char c, bool first, bool colon)
{
	return isalpha((unsigned char)c) || c == '_' || (colon && c == ':') || (!first && isdigit((unsigned char)c));
}

static void skip_blanks(struct cgm_str *s)
{
	while (s->len && (*s->p == ' ' || *s->p == '\t'))
		s->p++, s->len--;
}

/* A name at the beginning of s, which is moved behind it. Its length; 0: there is none. */
static size_t take_name(struct cgm_str *s, bool colon)
{
	size_t len = 0;

	while (len < s->len && is_name_char(s->p[len], len == 0, colon))
		len++;
	s->p += len;
	s->len -= len;
	return len;
}

static const char *keep(struct parser *p, const char *s, size_t len)
{
	char *to = p->text + p->text_len;

	if (len >= sizeof(p->text) - p->text_len)
		return NULL;
	memcpy(to, s, len);
	to[len] = '\0';
	p->text_len += len + 1;
	return to;
}

/* Behind the opening quote; s is moved behind the closing one. NULL: it does not end, or is too long, or holds a zero. */
static const char *take_value(struct parser *p, struct cgm_str *s)
{
	char value[VALUE_BYTES];
	size_t len = 0;

	for (; s->len && *s->p != '"'; s->p++, s->len--) {
		char c = *s->p;

		if (c == '\\' && s->len > 1 && (s->p[1] == '\\' || s->p[1] == '"' || s->p[1] == 'n')) {
			s->p++, s->len--;
			c = *s->p == 'n' ? '\n' : *s->p;
		}
		if (!c || len == sizeof(value))
			return NULL;
		value[len++] = c;
	}
	if (!s->len)
		return NULL;
	s->p++, s->len--;
	return keep(p, value, len);
}

/* Behind the brace. False: it is no list of labels. */
static bool take_labels(struct parser *p, struct cgm_str *s)
{
	for (;;) {
		const char *key;
		size_t len;

		skip_blanks(s);
		if (s->len && *s->p == '}') {
			s->p++, s->len--;
			return true;
		}
		key = s->p;
		len = take_name(s, false);
		skip_blanks(s);
		if (!len || p->nr_labels == CGM_APP_MAX_LABELS || !s->len || *s->p != '=')
			return false;
		s->p++, s->len--;
		skip_blanks(s);
		if (!s->len || *s->p != '"')
			return false;
		s->p++, s->len--;
		p->labels[p->nr_labels].key = keep(p, key, len);
		p->labels[p->nr_labels].value = take_value(p, s);
		if (!p->labels[p->nr_labels].key || !p->labels[p->nr_labels].value)
			return false;
		p->nr_labels++;
		skip_blanks(s);
		if (s->len && *s->p == ',')
			s->p++, s->len--;
		else if (!s->len || *s->p != '}')
			return false;
	}
}

static bool parse_number(struct cgm_str s, double *ret)
{
	char buf[64], *end;

	if (!s.len || s.len >= sizeof(buf))
		return false;
	memcpy(buf, s.p, s.len);
	buf[s.len] = '\0';
	*ret = strtod(buf, &end);
	return *end == '\0' && end != buf;
}

/* # TYPE family type; what else stands in a comment does not matter. */
static void on_comment(struct parser *p, struct cgm_str line)
{
	struct cgm_str word, family, type;

	line.p++, line.len--;
	if (!cgm_next_token(&line, &word) || !cgm_str_eq(word, "TYPE") || !cgm_next_token(&line, &family) || !cgm_next_token(&line, &type) ||
	    family.len >= sizeof(p->family) || type.len >= sizeof(p->type))
		return;
	memcpy(p->family, family.p, family.len);
	p->family[family.len] = '\0';
	memcpy(p->type, type.p, type.len);
	p->type[type.len] = '\0';
}

/* Is it a sample of the family that was named last? */
static bool is_of_family(const struct parser *p)
{
	static const char *const ends[] = { "", "_bucket", "_sum", "_count", "_total" };
	size_t len = strlen(p->family);

	if (!len || strncmp(p->name, p->family, len) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (strcmp(p->name + len, ends[i]) == 0)
			return true;
	return false;
}

static const char *type_of(const struct parser *p, char buf[sizeof(p->type)])
{
	const char *type = is_of_family(p) ? p->type : "untyped";
	size_t i;

	if (strcmp(type, "counter") == 0)
		return "cumulative";
	if (strcmp(type, "gauge") == 0)
		return "gauge";
	for (i = 0; type[i]; i++)
		buf[i] = (char)toupper((unsigned char)type[i]);
	buf[i] = '\0';
	return buf;
}

static bool is_wanted(const struct parser *p)
{
	bool of_family = is_of_family(p);

	for (size_t i = 0; i < p->config->nr_wanted; i++)
		if (strcmp(p->config->wanted[i].name, p->name) == 0 || (of_family && strcmp(p->config->wanted[i].name, p->family) == 0))
			return true;
	return !p->config->nr_wanted;
}

static int on_sample(struct parser *p, struct cgm_str line)
{
	const char *name = line.p;
	size_t len = take_name(&line, true);
	struct cgm_str token;
	char type[sizeof(p->type)];
	struct cgm_app_kind kind = { .units = "", .is_prometheus = true };
	int64_t time_ms = 0;
	double number;

	p->nr_labels = p->text_len = 0;
	if (!len || len >= sizeof(p->name))
		return -EINVAL;
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	skip_blanks(&line);
	if (line.len && *line.p == '{') {
		line.p++, line.len--;
		if (!take_labels(p, &line))
			return -EINVAL;
	}
	if (!cgm_next_token(&line, &token) || !parse_number(token, &number))
		return -EINVAL;
	if (cgm_next_token(&line, &token) && (cgm_parse_i64(token, &time_ms) < 0 || time_ms < 0 || time_ms > INT64_MAX / (int64_t)CGM_NSEC_PER_MSEC))
		return -EINVAL;
	if (cgm_next_token(&line, &token))
		return -EINVAL;
	if (!is_wanted(p))
		return 0;
	kind.type = type_of(p, type);
	return cgm_app_draft_add(p->out, p->name, &kind, p->labels, p->nr_labels, number, time_ms ? (uint64_t)time_ms * CGM_NSEC_PER_MSEC : p->time_ns);
}

int cgm_app_exposition_parse(const char *text, size_t len, const struct cgm_app_config *config, uint64_t time_ns, struct cgm_app_draft *out, char *fault)
{
	struct parser p = { .config = config, .out = out, .time_ns = time_ns };
	struct cgm_str rest = { text, len }, line;

	for (size_t nr = 1; cgm_next_line(&rest, &line); nr++) {
		int r = 0;

		line = cgm_trim(line);
		if (line.len && *line.p == '#')
			on_comment(&p, line);
		else if (line.len)
			r = on_sample(&p, line);
		if (r == -EINVAL)
			snprintf(fault, CGM_APP_FAULT, "line %zu is no sample: %.*s", nr, (int)MIN(line.len, 40), line.p);
		if (r < 0)
			return r;
	}
	return 0;
}
