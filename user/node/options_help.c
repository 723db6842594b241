// SPDX-License-Identifier: Apache-2.0
/* What is printed from the table of options: --help, the man page, the reference. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "node/options_table.h"

#define WIDTH 100 /* columns of --help */
#define FLAG_WIDTH 34
#define MAN_WIDTH 60 /* of lines in the man page's source, before escapes */

static bool is_accepted(const struct cgm_option *o)
{
	return o->offset == CGM_OPTION_NO_FIELD;
}

/* Groups in the order in which they appear: the next one's first option, from i on. */
static bool opens_group(size_t i)
{
	const struct cgm_option *o = &cgm_option_table[i];

	if (is_accepted(o))
		return false;
	for (size_t k = 0; k < i; k++)
		if (!is_accepted(&cgm_option_table[k]) && strcmp(cgm_option_table[k].group, o->group) == 0)
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

void cgm_options_help(void)
{
	static const char head[] = "Usage: cgmeter node [--FLAG=VALUE…]\n\n"
				   "Measures the containers and cgroups of this machine and serves them over HTTP.\n"
				   "Flags may have one dash or two, and a value behind = or as the next argument; a flag without a\n"
				   "type is on when it stands alone. --config=FILE reads them from a file.\n";

	printf("%s", head);
	for (size_t i = 0; i < cgm_nr_options; i++) {
		const char *group = cgm_option_table[i].group;

		if (!opens_group(i))
			continue;
		printf("\n%s\n", group);
		for (size_t k = i; k < cgm_nr_options; k++)
			if (is_of_group(&cgm_option_table[k], group))
				put_option(&cgm_option_table[k]);
	}
	printf("\nFlags of cAdvisor that do nothing here, and what there is instead\n");
	for (size_t i = 0; i < cgm_nr_options; i++)
		if (is_accepted(&cgm_option_table[i]))
			put_option(&cgm_option_table[i]);
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

static void put_man_options(void)
{
	for (size_t i = 0; i < cgm_nr_options; i++) {
		const char *group = cgm_option_table[i].group;

		if (!opens_group(i))
			continue;
		printf(".SS %s\n", group);
		for (size_t k = i; k < cgm_nr_options; k++)
			if (is_of_group(&cgm_option_table[k], group))
				put_man_option(&cgm_option_table[k]);
	}
	printf(".SS Flags of cAdvisor that do nothing here\n"
	       "They are taken, and what there is instead is said at the start.\n");
	for (size_t i = 0; i < cgm_nr_options; i++)
		if (is_accepted(&cgm_option_table[i]))
			put_man_option(&cgm_option_table[i]);
}

void cgm_options_man(void)
{
	static const char head[] = ".TH CGMETER\\-NODE 8 2026-11-25 \"cgmeter " CGM_VERSION "\"\n"
				   ".SH NAME\n"
				   "cgmeter\\-node \\- measure and serve the containers and cgroups of a machine\n"
				   ".SH SYNOPSIS\n"
				   ".B cgmeter node\n"
				   ".RI [ flag ...]\n"
				   ".SH DESCRIPTION\n"
				   "Samples every container and every cgroup of this machine,\n"
				   "each second by default, from the kernel's own counts and from programs\n"
				   "of its own in the kernel, and serves them over HTTP: Prometheus metrics,\n"
				   "cAdvisor's REST interface, and a page.\n"
				   "It listens on the loopback address unless\n"
				   ".B \\-\\-listen_ip\n"
				   "says otherwise.\n"
				   ".SH OPTIONS\n"
				   "Flags may have one dash or two, and a value behind = or as the next\n"
				   "argument.\n"
				   "A flag without a type is on when it stands alone,\n"
				   "and takes true or false behind =.\n"
				   "A duration is a number with a unit, or several: 500ms, 1m30s, 24h.\n";
	static const char tail[] = ".SH CONFIGURATION FILE\n"
				   "The file of\n"
				   ".B \\-\\-config\n"
				   "holds the same names without dashes, one a line with its value behind =\n"
				   "or a colon.\n"
				   "Empty lines and lines that begin with # are passed over;\n"
				   "quotes around a whole value are taken off.\n"
				   "What stands on the command line wins.\n"
				   ".PP\n"
				   ".nf\n"
				   "# /etc/cgmeter.conf\n"
				   "listen_ip = 0.0.0.0\n"
				   "housekeeping_interval: 2s\n"
				   "docker_only = true\n"
				   ".fi\n"
				   ".SH SIGNALS\n"
				   ".TP\n"
				   "SIGTERM, SIGINT\n"
				   "End.\n"
				   "Counts stay in the kernel (see \\-\\-pin_dir),\n"
				   "and the next start goes on with them.\n"
				   ".TP\n"
				   "SIGHUP\n"
				   "Read certificates, passwords and tokens anew, at once.\n"
				   "When their files change this happens within some seconds in any case.\n"
				   ".SH EXIT STATUS\n"
				   "0 after a clean end, 1 when something could not be started,\n"
				   "2 for a bad flag or configuration file.\n"
				   ".SH SEE ALSO\n"
				   "The README of cgmeter;\n"
				   ".BR htpasswd (1),\n"
				   ".BR htdigest (1),\n"
				   ".BR bpftool (8)\n";

	printf("%s", head);
	put_man_options();
	printf("%s", tail);
}

/* ---- the reference ---- */

void cgm_options_reference(void)
{
	printf("| option | default | group | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < cgm_nr_options; i++) {
		const struct cgm_option *o = &cgm_option_table[i];

		printf("| `--%s` | `%s` | %s | %s%s |\n", o->name, o->def, o->group, is_accepted(o) ? "does nothing here: " : "", o->help);
	}
}

void cgm_options_groups(void)
{
	static const char *const defaults[] = { "on", "off", "always on", "off, as in cAdvisor", "nothing collected" };

	printf("| group | default | question | budget |\n| --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		const struct cgm_group_info *g = &cgm_groups[i];

		printf("| `%s` | %s | %s | %s |\n", g->name, defaults[g->def], g->help, g->dear ? "may be switched off" : "");
	}
}
