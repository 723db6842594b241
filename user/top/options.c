// SPDX-License-Identifier: Apache-2.0
#include "top/options.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "top/view.h"

enum type { STRING, FLAG, NUMBER, DURATION };

static const struct option {
	char letter;
	const char *name;
	enum type type;
	size_t offset;
	const char *def, *help;
} options[] = {
#define CGM_TOP_OPTION(letter, name, type, field, def, help) {letter, name, type, offsetof(struct cgm_top_options, field), def, help},
#include "top/options.def"
};

static int bad(const char *flag, const char *what)
{
	fprintf(stderr, "cgmeter top: %s: %s (see cgmeter top --help)\n", flag, what);
	return -EINVAL;
}

static int set(struct cgm_top_options *o, const struct option *opt, const char *value)
{
	void *field = (char *)o + opt->offset;

	switch (opt->type) {
	case STRING:
		*(const char **)field = value;
		return 0;
	case FLAG:
		return cgm_parse_bool(cgm_str(value), field);
	case NUMBER:
		return cgm_parse_u64(cgm_str(value), field);
	case DURATION:
		return cgm_parse_duration_ns(cgm_str(value), field);
	}
	return -EINVAL;
}

static const struct option *by_letter(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].letter && options[i].letter == letter)
			return &options[i];
	return NULL;
}

static bool same_name(const char *name, size_t len, const char *wanted)
{
	if (strlen(wanted) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((name[i] == '-' ? '_' : name[i]) != wanted[i])
			return false;
	return true;
}

static const struct option *by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (same_name(name, len, options[i].name))
			return &options[i];
	return NULL;
}

static int set_or_say(struct cgm_top_options *o, const struct option *opt, const char *flag, const char *value)
{
	static const char *const wanted[] = {"", "takes true or false", "takes a whole number", "takes a duration such as 1s or 500ms"};

	return set(o, opt, value) < 0 ? bad(flag, wanted[opt->type]) : 0;
}

/* --name, --name=value, --name value; *i is moved on when the value is the next argument. */
static int parse_long(int argc, char *const *argv, int *i, struct cgm_top_options *ret)
{
	const char *flag = argv[*i], *name = flag + 2, *equals = strchr(name, '=');
	const struct option *o = by_name(name, equals ? (size_t)(equals - name) : strlen(name));

	if (!o)
		return bad(flag, "unknown option");
	if (equals)
		return set_or_say(ret, o, flag, equals + 1);
	if (o->type == FLAG)
		return set_or_say(ret, o, flag, "true");
	if (*i + 1 == argc)
		return bad(flag, "needs a value");
	return set_or_say(ret, o, flag, argv[++*i]);
}

/* -b, -bt, -n2, -n 2 */
static int parse_letters(int argc, char *const *argv, int *i, struct cgm_top_options *ret)
{
	const char *flag = argv[*i];

	for (const char *p = flag + 1; *p; p++) {
		const struct option *o = by_letter(*p);

		if (!o)
			return bad(flag, "unknown option");
		if (o->type == FLAG) {
			set(ret, o, "true");
			continue;
		}
		if (p[1])
			return set_or_say(ret, o, flag, p + 1);
		if (*i + 1 == argc)
			return bad(flag, "needs a value");
		return set_or_say(ret, o, flag, argv[++*i]);
	}
	return 0;
}

static void print_help(void)
{
	static const char *const types[] = {"=TEXT", "", "=NUMBER", "=DURATION"};

	printf("cgmeter top: a live table of this machine's cgroups, from a running agent or from the maps that it pinned.\n"
	       "\nusage: cgmeter top [OPTION…]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		char flag[48], letter[8] = "    ";

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		snprintf(flag, sizeof(flag), "%s--%s%s", letter, o->name, types[o->type]);
		printf("  %-28s %s", flag, o->help);
		if (o->type != FLAG && *o->def)
			printf(" (default %s)", o->def);
		printf("\n");
	}
	printf("      --help                   this text\n\ncolumns, and what --sort takes:\n\n");
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		printf("  %-6s --sort=%-12s %s\n", cgm_columns[i].title, cgm_columns[i].key, cgm_columns[i].help);
	printf("\nKeys are shown by \"?\". NO_COLOR is heeded. Exit status: 0; 1 when neither an agent nor the kernel could be read; 2 for "
	       "bad options.\n");
}

static int check(struct cgm_top_options *o)
{
	char what[400];
	size_t at;

	if (o->interval_ns < CGM_MIN_INTERVAL_NS || o->interval_ns > CGM_MAX_INTERVAL_NS)
		return bad("--interval", "must be from 100ms to 1h");
	if (strcmp(o->source, "auto") != 0 && strcmp(o->source, "agent") != 0 && strcmp(o->source, "maps") != 0)
		return bad("--source", "takes auto, agent or maps");
	if (*o->token_file && *o->basic_auth_file)
		return bad("--token_file", "there is --basic_auth_file, too: one of them");
	if (strlen(o->filter) > CGM_MAX_INPUT)
		return bad("--filter", "is too long");
	o->batch |= o->json;
	o->sort_column = cgm_column_find(o->sort);
	if (o->sort_column != CGM_NR_COLUMNS)
		return 0;
	at = (size_t)snprintf(what, sizeof(what), "there is no column \"%.40s\"; the columns are", o->sort);
	for (unsigned i = 0; i < CGM_NR_COLUMNS && at < sizeof(what); i++)
		at += (size_t)snprintf(what + at, sizeof(what) - at, " %s", cgm_columns[i].key);
	return bad("--sort", what);
}

int cgm_top_options_parse(int argc, char *const *argv, struct cgm_top_options *ret)
{
	struct cgm_top_options o = {0};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (set(&o, &options[i], options[i].def) < 0)
			return bad(options[i].name, "has a bad default");
	for (int i = 1; i < argc; i++) {
		int r;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_help();
			return 1;
		}
		if (strncmp(argv[i], "--", 2) == 0 && argv[i][2])
			r = parse_long(argc, argv, &i, &o);
		else if (argv[i][0] == '-' && argv[i][1] && argv[i][1] != '-')
			r = parse_letters(argc, argv, &i, &o);
		else
			r = bad(argv[i], "is no option");
		if (r < 0)
			return r;
	}
	if (check(&o) < 0)
		return -EINVAL;
	*ret = o;
	return 0;
}
