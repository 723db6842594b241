// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "flags/flags.h"

#define MAX_CONFIG_BYTES (64 * 1024)

/* What is being parsed. */
struct parser {
	const struct cgm_flags *f;
	char *options;
	struct cgm_flags_given *given;
	bool fresh[CGM_MAX_FLAGS]; /* a LIST that was given in this pass: what earlier passes said is gone */
};

const char *cgm_option_type_name(enum cgm_option_type type)
{
	static const char *const names[] = { "TEXT", "", "NUMBER", "INTEGER", "FLOAT", "DURATION", "PERCENT", "TEXT" };

	return names[type];
}

static const char *wanted(enum cgm_option_type type)
{
	static const char *const words[] = {
		[STRING] = "takes a text",
		[BOOL] = "takes true or false",
		[NUMBER] = "takes a whole number",
		[INTEGER] = "takes a whole number, negative ones too",
		[FLOAT] = "takes a number such as 1 or 0.5",
		[DURATION] = "takes a duration such as 1s or 500ms",
		[PERCENT] = "takes a percentage such as 2 or 0.5",
		[LIST] = "takes a text",
	};

	return words[type];
}

static int parse_float(const char *value, double *ret)
{
	char *end;
	double v = strtod(value, &end);

	if (end == value || *end || !isfinite(v))
		return -EINVAL;
	*ret = v;
	return 0;
}

static int add(struct cgm_flag_list *l, const char *value)
{
	int r = cgm_grow((void **)&l->texts, &l->cap, l->nr, sizeof(*l->texts));

	if (r == 0)
		l->texts[l->nr++] = value;
	return r;
}

/* Values of flags that are only accepted are looked at as well: a typing error is one whatever the flag does. */
static int set(char *options, const struct cgm_option *opt, const char *value)
{
	union {
		const char *text;
		bool flag;
		uint64_t number;
		int64_t integer;
		double real;
	} unused;
	void *field = opt->offset == CGM_OPTION_NO_FIELD ? (void *)&unused : (void *)(options + opt->offset);

	switch (opt->type) {
	case STRING:
		*(const char **)field = value;
		return 0;
	case BOOL:
		return cgm_parse_bool(cgm_str(value), field);
	case NUMBER:
		return cgm_parse_u64(cgm_str(value), field);
	case INTEGER:
		return cgm_parse_i64(cgm_str(value), field);
	case FLOAT:
		return parse_float(value, field);
	case DURATION:
		return cgm_parse_duration_ns(cgm_str(value), field);
	case PERCENT:
		return cgm_parse_centi(cgm_str(value), field);
	case LIST:
		return opt->offset == CGM_OPTION_NO_FIELD || !*value ? 0 : add(field, value);
	}
	return -EINVAL;
}

static bool is_name(struct cgm_str name, const char *is)
{
	size_t i = 0;

	while (i < name.len && is[i] && (name.p[i] == is[i] || (name.p[i] == '-' && is[i] == '_') || (name.p[i] == '_' && is[i] == '-')))
		i++;
	return i == name.len && !is[i];
}

static const struct cgm_option *find(const struct cgm_flags *f, struct cgm_str name)
{
	for (size_t i = 0; i < f->nr; i++)
		if (is_name(name, f->table[i].name))
			return &f->table[i];
	return NULL;
}

/* flag as it may be shown: a value may be a secret. */
static int bad(const struct cgm_flags *f, struct cgm_str flag, const char *what)
{
	fprintf(stderr, "cgmeter %s: %.*s: %s (see cgmeter %s --help)\n", f->command, (int)MIN(flag.len, 200), flag.p, what, f->command);
	return -EINVAL;
}

int cgm_flags_bad(const struct cgm_flags *f, const char *flag, const char *what)
{
	return bad(f, cgm_str(flag), what);
}

static int take(struct parser *p, const struct cgm_option *o, const char *value)
{
	size_t i = (size_t)(o - p->f->table);
	int r;

	if (o->type == LIST && o->offset != CGM_OPTION_NO_FIELD && !p->fresh[i])
		((struct cgm_flag_list *)(void *)(p->options + o->offset))->nr = 0;
	p->fresh[i] = true;
	r = set(p->options, o, value);
	if (r == 0)
		p->given->value[i] = value;
	return r;
}

/* What take() returned, in words. */
static const char *why(int r, const struct cgm_option *o)
{
	return r == -ENOMEM ? "out of memory" : wanted(o->type);
}

/* ---- the command line ---- */

/* One flag; *i is moved on when its value is the next argument. */
static int parse_one(struct parser *p, int argc, char *const *argv, int *i)
{
	const char *flag = argv[*i], *equals = strchr(flag, '='), *name = flag, *value;
	struct cgm_str shown = { flag, equals ? (size_t)(equals - flag) : strlen(flag) };
	const struct cgm_option *o;
	int r;

	if (name[0] != '-' || !name[1])
		return bad(p->f, shown, "is no flag");
	name += name[1] == '-' ? 2 : 1;
	o = find(p->f, (struct cgm_str){ name, shown.len - (size_t)(name - flag) });
	if (!o)
		return bad(p->f, shown, "unknown flag");
	if (equals)
		value = equals + 1;
	else if (o->type == BOOL)
		value = "true";
	else if (*i + 1 < argc)
		value = argv[++*i];
	else
		return bad(p->f, shown, "needs a value");
	r = take(p, o, value);
	if (r < 0)
		bad(p->f, shown, why(r, o));
	return r;
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || strcmp(value, c) == 0;
}

/* 1: help was asked for. */
static int parse_flags(struct parser *p, int argc, char *const *argv)
{
	memset(p->fresh, 0, sizeof(p->fresh));
	for (int i = 1; i < argc; i++) {
		int r;

		if (one_of(argv[i], "--help", "-help", "-h")) {
			cgm_flags_help(p->f);
			return 1;
		}
		if (strcmp(argv[i], "--") == 0)
			return i + 1 < argc ? bad(p->f, cgm_str(argv[i + 1]), "is no flag") : 0;
		r = parse_one(p, argc, argv, &i);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the file ---- */

static const char *config_of(const struct parser *p)
{
	return p->f->config == CGM_OPTION_NO_FIELD ? "" : *(const char **)(void *)(p->options + p->f->config);
}

static int bad_line(const struct parser *p, unsigned line, struct cgm_str name, const char *what)
{
	fprintf(stderr, "cgmeter %s: %s:%u: %.*s: %s\n", p->f->command, config_of(p), line, (int)MIN(name.len, 200), name.p, what);
	return -EINVAL;
}

static int on_config(void *arg, unsigned line, struct cgm_str name, const char *value)
{
	struct parser *p = arg;
	const struct cgm_option *o = find(p->f, name);
	char twice[64];
	size_t i;
	int r;

	if (!o)
		return bad_line(p, line, name, "there is no such option");
	if (one_of(o->name, "config", "version", "config"))
		return bad_line(p, line, name, "is for the command line alone");
	i = (size_t)(o - p->f->table);
	if (p->given->line[i] && o->type != LIST) {
		snprintf(twice, sizeof(twice), "stands on line %u already", p->given->line[i]);
		return bad_line(p, line, name, twice);
	}
	p->given->line[i] = line;
	r = take(p, o, value);
	if (r < 0)
		bad_line(p, line, name, why(r, o));
	return r;
}

static int read_config(struct parser *p, char **ret_text)
{
	const char *file = config_of(p), *fault;
	unsigned line;
	size_t len;
	int r = cgm_read_all_at(AT_FDCWD, file, MAX_CONFIG_BYTES, ret_text, &len);

	if (r < 0) {
		fprintf(stderr, "cgmeter %s: --config: cannot read %s: %s\n", p->f->command, file, r == -EFBIG ? "larger than 64 KiB" : strerror(-r));
		return r;
	}
	memset(p->fresh, 0, sizeof(p->fresh));
	r = cgm_config_each(*ret_text, len, on_config, p, &line, &fault);
	if (r < 0 && fault)
		fprintf(stderr, "cgmeter %s: %s:%u: the line %s\n", p->f->command, file, line, fault);
	return r;
}

/* ---- all of it ---- */

static int set_defaults(struct parser *p)
{
	for (size_t i = 0; i < p->f->nr; i++)
		if (set(p->options, &p->f->table[i], p->f->table[i].def) < 0)
			return cgm_flags_bad(p->f, p->f->table[i].name, "has a bad default");
	return 0;
}

int cgm_flags_parse(const struct cgm_flags *f, int argc, char *const *argv, void *options, char **ret_text, struct cgm_flags_given *ret_given)
{
	struct parser p = { .f = f, .options = options, .given = ret_given };
	int r = set_defaults(&p);

	if (r == 0)
		r = parse_flags(&p, argc, argv);
	if (r == 0 && *config_of(&p)) {
		r = read_config(&p, ret_text);
		/* Once more: the command line wins. */
		if (r == 0)
			r = parse_flags(&p, argc, argv);
	}
	return r;
}

void cgm_flags_done(const struct cgm_flags *f, void *options)
{
	for (size_t i = 0; i < f->nr; i++) {
		struct cgm_flag_list *l;

		if (f->table[i].type != LIST || f->table[i].offset == CGM_OPTION_NO_FIELD)
			continue;
		l = (void *)((char *)options + f->table[i].offset);
		free(l->texts);
		*l = (struct cgm_flag_list){ 0 };
	}
}

char *cgm_flags_join(const struct cgm_flag_list *l)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	for (size_t i = 0; i < l->nr; i++)
		cgm_buf_printf(&b, "%s%s", i ? "," : "", l->texts[i]);
	cgm_buf_char(&b, '\0');
	return b.failed ? NULL : TAKE_PTR(b.p);
}

bool cgm_flags_is_given(const struct cgm_flags *f, const struct cgm_flags_given *given, const char *name)
{
	const struct cgm_option *o = find(f, cgm_str(name));

	return o && given->value[o - f->table];
}

static bool is_quiet(const struct cgm_option *o, const char *value)
{
	bool given, quiet;

	if (strcmp(o->quiet, "*") == 0)
		return true;
	if (o->type == BOOL && cgm_parse_bool(cgm_str(value), &given) == 0 && cgm_parse_bool(cgm_str(o->quiet), &quiet) == 0)
		return given == quiet;
	return strcmp(o->quiet, value) == 0;
}

void cgm_flags_say_accepted(const struct cgm_flags *f, const struct cgm_flags_given *given)
{
	for (size_t i = 0; i < f->nr; i++) {
		const struct cgm_option *o = &f->table[i];

		if (o->offset == CGM_OPTION_NO_FIELD && given->value[i] && !is_quiet(o, given->value[i]))
			cgm_warning("--%s does nothing here: %s", o->name, o->help);
	}
}
