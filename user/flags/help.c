// SPDX-License-Identifier: Apache-2.0
/* What is printed from a table of flags: --help, the man page, the reference. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "flags/flags.h"

#define WIDTH 100 /* columns of --help */
#define FLAG_WIDTH 34
#define MAN_WIDTH 60 /* of lines in the man page's source, before escapes */

static bool is_accepted(const struct cgm_option *o)
{
	return o->offset == CGM_OPTION_NO_FIELD;
}

/* Groups in the order in which they appear: the next one's first option, from i on. */
static bool opens_group(const struct cgm_flags *f, size_t i)
{
	const struct cgm_option *o = &f->table[i];

	if (is_accepted(o))
		return false;
	for (size_t k = 0; k < i; k++)
		if (!is_accepted(&f->table[k]) && strcmp(f->table[k].group, o->group) == 0)
			return false;
	return true;
}

static bool is_of_group(const struct cgm_option *o, const char *group)
{
	return !is_accepted(o) && strcmp(o->group, group) == 0;
}

/* How much of a word that is longer than room may stand on a line: up to the last comma of a list that fits. */
static size_t piece_of(struct cgm_str word, size_t room)
{
	size_t len = MIN(word.len, room);

	if (len == word.len)
		return len;
	while (len && word.p[len - 1] != ',')
		len--;
	return len ? len : word.len;
}

/* ---- --help ---- */

/* Words from column on, broken before WIDTH; text begins at *at. */
static void put_words(const char *text, size_t column, size_t *at)
{
	struct cgm_str rest = cgm_str(text), word;

	while (cgm_next_token(&rest, &word)) {
		if (*at > column && *at + 1 + word.len > WIDTH) {
			printf("\n%*s", (int)column, "");
			*at = column;
		}
		if (*at > column) {
			printf(" ");
			++*at;
		}
		for (size_t len; (len = piece_of(word, WIDTH - column)) < word.len; word.p += len, word.len -= len)
			printf("%.*s\n%*s", (int)len, word.p, (int)column, "");
		printf("%.*s", (int)word.len, word.p);
		*at += word.len;
	}
}

static void put_option(const struct cgm_option *o)
{
	char flag[128], def[128];
	size_t at = FLAG_WIDTH;

	snprintf(flag, sizeof(flag), "  --%s%s%s", o->name, o->type == BOOL ? "" : "=", cgm_option_type_name(o->type));
	printf("%-*s", FLAG_WIDTH, flag);
	if (strlen(flag) > FLAG_WIDTH - 2)
		printf("\n%*s", FLAG_WIDTH, "");
	put_words(o->help, FLAG_WIDTH, &at);
	if (!is_accepted(o) && o->type != BOOL && *o->def) {
		snprintf(def, sizeof(def), "(default %s)", o->def);
		put_words(def, FLAG_WIDTH, &at);
	}
	printf("\n");
}

void cgm_flags_help(const struct cgm_flags *f)
{
	printf("%s", f->help_head);
	for (size_t i = 0; i < f->nr; i++) {
		const char *group = f->table[i].group;

		if (!opens_group(f, i))
			continue;
		printf("\n%s\n", group);
		for (size_t k = i; k < f->nr; k++)
			if (is_of_group(&f->table[k], group))
				put_option(&f->table[k]);
	}
	printf("\n%s, and what there is instead\n", f->help_accepted);
	for (size_t i = 0; i < f->nr; i++)
		if (is_accepted(&f->table[i]))
			put_option(&f->table[i]);
}

/* ---- the man page ---- */

/* A word for roff: nothing in it is a request or an escape. */
static void put_roff_word(struct cgm_str word)
{
	if (word.p[0] == '.' || word.p[0] == '\'')
		printf("\\&");
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] == '\\')
			printf("\\e");
		else if (word.p[i] == '-')
			printf("\\-");
		else if (word.p[i] == '"')
			printf("\\(dq");
		else if (word.p[i] == '\'')
			printf("\\(aq");
		else
			putchar(word.p[i]);
	}
}

/* Text of options.def as one sentence, in short lines. */
static void put_roff(const char *text)
{
	struct cgm_str rest = cgm_str(text), word;
	size_t at = 0;

	while (cgm_next_token(&rest, &word)) {
		if (at)
			putchar(at + word.len > MAN_WIDTH ? '\n' : ' ');
		at = at + word.len > MAN_WIDTH ? 0 : at;
		for (size_t len; (len = piece_of(word, MAN_WIDTH)) < word.len; word.p += len, word.len -= len) {
			put_roff_word((struct cgm_str){ word.p, len });
			printf("\\\n"); /* the line goes on */
		}
		put_roff_word(word);
		at += word.len + 1;
	}
	printf(".\n");
}

static void put_man_option(const struct cgm_option *o)
{
	printf(".TP\n\\fB\\-\\-");
	for (const char *p = o->name; *p; p++)
		printf("%s%c", *p == '-' ? "\\" : "", *p);
	if (o->type != BOOL)
		printf("\\fR=\\fI%s", cgm_option_type_name(o->type));
	printf("\\fR\n");
	put_roff(o->help);
	if (is_accepted(o) || o->type == BOOL || !*o->def)
		return;
	printf("The default is\n");
	put_roff(o->def);
}

static void put_man_options(const struct cgm_flags *f)
{
	for (size_t i = 0; i < f->nr; i++) {
		const char *group = f->table[i].group;

		if (!opens_group(f, i))
			continue;
		printf(".SS %s\n", group);
		for (size_t k = i; k < f->nr; k++)
			if (is_of_group(&f->table[k], group))
				put_man_option(&f->table[k]);
	}
	printf(".SS %s\nThey are taken, and what there is instead is said at the start.\n", f->man_accepted);
	for (size_t i = 0; i < f->nr; i++)
		if (is_accepted(&f->table[i]))
			put_man_option(&f->table[i]);
}

void cgm_flags_man(const struct cgm_flags *f)
{
	printf("%s", f->man_head);
	put_man_options(f);
	printf("%s", f->man_tail);
}

/* ---- the reference ---- */

void cgm_flags_reference(const struct cgm_flags *f)
{
	printf("| option | default | group | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < f->nr; i++) {
		const struct cgm_option *o = &f->table[i];

		printf("| `--%s` | `%s` | %s | %s%s |\n", o->name, o->def, o->group, is_accepted(o) ? "does nothing here: " : "", o->help);
	}
}
