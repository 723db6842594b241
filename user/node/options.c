// SPDX-License-Identifier: Apache-2.0
#include "node/options.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"

enum option_type { STRING, BOOL, NUMBER, DURATION, PERCENT };

static const struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	const char *def, *group, *help;
} options[] = {
#define CGM_OPTION(name, type, field, def, group, help) { #name, type, offsetof(struct cgm_options, field), def, group, help },
#include "node/options.def"
};

static const char *const type_names[] = { "TEXT", "", "NUMBER", "DURATION", "PERCENT" };

static int set(struct cgm_options *o, const struct option *opt, const char *value)
{
	void *field = (char *)o + opt->offset;

	switch (opt->type) {
	case STRING:
		*(const char **)field = value;
		return 0;
	case BOOL:
		return cgm_parse_bool(cgm_str(value), field);
	case NUMBER:
		return cgm_parse_u64(cgm_str(value), field);
	case DURATION:
		return cgm_parse_duration_ns(cgm_str(value), field);
	case PERCENT:
		return cgm_parse_centi(cgm_str(value), field);
	}
	return -EINVAL;
}

static const struct option *find(struct cgm_str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (cgm_str_eq(name, options[i].name))
			return &options[i];
	return NULL;
}

static void print_help(void)
{
	const char *group = "";

	printf("cgmeter node: measures the containers and cgroups of this machine and serves them over HTTP.\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		char flag[64];

		if (strcmp(group, o->group) != 0)
			printf("\n%s\n", o->group);
		group = o->group;
		snprintf(flag, sizeof(flag), "--%s%s%s", o->name, o->type == BOOL ? "" : "=", type_names[o->type]);
		printf("  %-42s %s", flag, o->help);
		if (o->type != BOOL && *o->def)
			printf(" (default %s)", o->def);
		printf("\n");
	}
}

void cgm_options_reference(void)
{
	printf("| option | default | group | meaning |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		printf("| `--%s` | `%s` | %s | %s |\n", options[i].name, options[i].def, options[i].group, options[i].help);
}

static int bad(const char *flag, const char *what)
{
	fprintf(stderr, "cgmeter node: %s: %s (see cgmeter node --help)\n", flag, what);
	return -EINVAL;
}

/* One flag; *i is moved on when its value is the next argument. */
static int parse_one(int argc, char *const *argv, int *i, struct cgm_options *ret)
{
	static const char *const wanted[] = { "", "takes true or false", "takes a whole number", "takes a duration such as 1s or 500ms", "takes a percentage such as 2 or 0.5" };
	const char *flag = argv[*i], *name = flag, *value;
	const struct option *o;
	const char *equals;

	if (name[0] != '-' || !name[1])
		return bad(flag, "is no flag");
	name += name[1] == '-' ? 2 : 1;
	equals = strchr(name, '=');
	o = find((struct cgm_str){ name, equals ? (size_t)(equals - name) : strlen(name) });
	if (!o)
		return bad(flag, "unknown flag");
	if (equals)
		value = equals + 1;
	else if (o->type == BOOL)
		value = "true";
	else if (*i + 1 < argc)
		value = argv[++*i];
	else
		return bad(flag, "needs a value");
	return set(ret, o, value) < 0 ? bad(flag, wanted[o->type]) : 0;
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || strcmp(value, c) == 0;
}

static int check(const struct cgm_options *o)
{
	if (o->port > 65535)
		return bad("--port", "must be at most 65535");
	if (o->interval_ns < 50 * CGM_NSEC_PER_MSEC)
		return bad("--housekeeping_interval", "must be at least 50ms");
	if (o->list_interval_ns < CGM_NSEC_PER_SEC)
		return bad("--global_housekeeping_interval", "must be at least 1s");
	if (o->keep_ns > 24 * 3600 * CGM_NSEC_PER_SEC)
		return bad("--storage_duration", "must be at most 24h");
	if (o->max_cgroups < 16 || o->max_cgroups > 65536)
		return bad("--max_cgroups", "must be from 16 to 65536");
	if (!one_of(o->bpf, "auto", "off", "auto"))
		return bad("--bpf", "takes auto or off");
	if (!one_of(o->sched_hook, "auto", "switch", "wakeup"))
		return bad("--sched_hook", "takes auto, switch or wakeup");
	if (o->cost_window_ns < 10 * CGM_NSEC_PER_MSEC)
		return bad("--cost_window", "must be at least 10ms");
	if (o->cost_interval_ns < 2 * o->cost_window_ns)
		return bad("--cost_interval", "must be at least twice --cost_window");
	return 0;
}

static int check_sinks(const struct cgm_options *o)
{
	const char *flag;
	char what[512];

	return cgm_sinks_check(&o->sink, &flag, what, sizeof(what)) < 0 ? bad(flag, what) : 0;
}

static int choose_groups(struct cgm_options *o)
{
	const char *name;
	char what[900];
	size_t len, at;

	if (cgm_group_choose(o->enable_metrics, o->disable_metrics, &o->groups, &name, &len) == 0)
		return 0;
	if (cgm_group_find(name, len) != CGM_NR_GROUPS) {
		snprintf(what, sizeof(what), "the group %.*s cannot be switched off", (int)len, name);
		return bad("--disable_metrics", what);
	}
	at = (size_t)snprintf(what, sizeof(what), "there is no group \"%.*s\"; the groups are", (int)MIN(len, 100), name);
	for (unsigned i = 0; i < CGM_NR_GROUPS && at < sizeof(what); i++)
		at += (size_t)snprintf(what + at, sizeof(what) - at, " %s", cgm_groups[i].name);
	return bad(name >= o->enable_metrics && name < o->enable_metrics + strlen(o->enable_metrics) ? "--enable_metrics" : "--disable_metrics", what);
}

void cgm_options_groups(void)
{
	static const char *const defaults[] = { "on", "off", "always on", "nothing collected yet" };

	printf("| group | default | question | budget |\n| --- | --- | --- | --- |\n");
	for (unsigned i = 0; i < CGM_NR_GROUPS; i++) {
		const struct cgm_group_info *g = &cgm_groups[i];

		printf("| `%s` | %s | %s | %s |\n", g->name, defaults[g->def], g->help, g->dear ? "may be switched off" : "");
	}
}

int cgm_options_parse(int argc, char *const *argv, struct cgm_options *ret)
{
	struct cgm_options o = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (set(&o, &options[i], options[i].def) < 0)
			return bad(options[i].name, "has a bad default");
	for (int i = 1; i < argc; i++) {
		int r;

		if (one_of(argv[i], "--help", "-help", "-h")) {
			print_help();
			return 1;
		}
		r = parse_one(argc, argv, &i, &o);
		if (r < 0)
			return r;
	}
	if (check(&o) < 0 || choose_groups(&o) < 0 || check_sinks(&o) < 0)
		return -EINVAL;
	*ret = o;
	return 0;
}
