/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's flags, described by a table. As Go's flag package takes them: -name=value, --name value, -name alone for true (a BOOL takes its value behind = only), -- ends them; - and _ in a
 * name are the same. The same names stand in a configuration file, where the command has one. For the files of options: the types' names are bare, for the sake of options.def.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

/* LIST: each time that it is given adds a text, see struct cgm_flag_list. */
enum cgm_option_type { STRING, BOOL, NUMBER, INTEGER, FLOAT, DURATION, PERCENT, LIST };

#define CGM_OPTION_NO_FIELD SIZE_MAX
#define CGM_MAX_FLAGS 256 /* of a command */

/* The field of a LIST: its texts, in their order. The array is freed by cgm_flags_done(). */
struct cgm_flag_list {
	const char **texts;
	size_t nr, cap;
};

struct cgm_option {
	const char *name;
	enum cgm_option_type type;
	size_t offset; /* into the command's struct; CGM_OPTION_NO_FIELD: a flag that is only accepted */
	const char *def, *quiet, *group, *help; /* quiet, and help as what there is instead: of flags that are only accepted */
};

struct cgm_flags {
	const char *command; /* "node" */
	const struct cgm_option *table;
	size_t nr;
	size_t config; /* offset of the text that --config fills; CGM_OPTION_NO_FIELD: there is no such flag */
	/* What is printed around the table. accepted: the heading of flags that do nothing, "… of cAdvisor that do nothing here"; man_…: roff. */
	const char *help_head, *help_accepted, *man_head, *man_accepted, *man_tail;
};

/* What was given: the last value of each flag, by its place in the table; NULL: it was not. */
struct cgm_flags_given {
	const char *value[CGM_MAX_FLAGS];
	unsigned line[CGM_MAX_FLAGS]; /* of the file; 0: not there */
};

/*
 * Fills options (of zeros) with defaults, then the file, then the flags. 0: go on; 1: help was asked for and printed; -EINVAL, -ENOMEM or the error of the file: said on stderr,
 * naming the flag (or file and line) and what it takes. Texts live in argv, are literals, or point into *ret_text, which is the caller's also after a fault, as are the LISTs.
 */
int cgm_flags_parse(const struct cgm_flags *f, int argc, char *const *argv, void *options, char **ret_text, struct cgm_flags_given *ret_given);
/* Frees the LISTs of options. */
void cgm_flags_done(const struct cgm_flags *f, void *options);
/* All texts of a LIST with a comma between, the caller's; NULL: out of memory. */
char *cgm_flags_join(const struct cgm_flag_list *l);
/* A fault of a flag ("--port") on stderr, as the parser says its own. Returns -EINVAL. A value may be a secret: it is not shown. */
int cgm_flags_bad(const struct cgm_flags *f, const char *flag, const char *what);
/* Was that flag given, on the command line or in the file? */
bool cgm_flags_is_given(const struct cgm_flags *f, const struct cgm_flags_given *given, const char *name);
/* One warning for each flag that was given, does nothing, and does not ask for what happens in any case. */
void cgm_flags_say_accepted(const struct cgm_flags *f, const struct cgm_flags_given *given);

/* To stdout: --help; the man page as roff; the reference in Markdown. */
void cgm_flags_help(const struct cgm_flags *f);
void cgm_flags_man(const struct cgm_flags *f);
void cgm_flags_reference(const struct cgm_flags *f);

/* "NUMBER" and the like; "" for BOOL. */
const char *cgm_option_type_name(enum cgm_option_type type);

/*
 * A configuration file, line by line: calls fn for each name with its value, which is terminated in place (text is changed; text[len]
 * must be writable). Quotes around a whole value are taken off; lines that begin with # are comments. fn's negative result ends it.
 * A line that is none gives -EINVAL with its number in *ret_line and what is wrong in *ret_fault (a literal, or NULL when fn said it).
 */
typedef int (*cgm_config_fn)(void *arg, unsigned line, struct cgm_str name, const char *value);
int cgm_config_each(char *text, size_t len, cgm_config_fn fn, void *arg, unsigned *ret_line, const char **ret_fault);
