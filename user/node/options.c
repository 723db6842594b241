// SPDX-License-Identifier: Apache-2.0
#include "node/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "node/options_table.h"

#define MAX_CONFIG_BYTES (64 * 1024)

const struct cgm_option cgm_option_table[] = {
#define CGM_OPTION(name, type, field, def, group, help) { #name, type, offsetof(struct cgm_options, field), def, NULL, group, help },
#define CGM_ACCEPTED(name, type, def, quiet, group, instead) { #name, type, CGM_OPTION_NO_FIELD, def, quiet, group, instead },
#include "node/options.def"
};
#define NR_OPTIONS ARRAY_SIZE(cgm_option_table)
const size_t cgm_nr_options = NR_OPTIONS;

/* What is being parsed. */
struct parser {
	struct cgm_options o;
	const char *given[NR_OPTIONS]; /* the last value of each option that was given */
	unsigned config_line[NR_OPTIONS]; /* where in the file; 0: not there */
};

const char *cgm_option_type_name(enum cgm_option_type type)
{
	static const char *const names[] = { "TEXT", "", "NUMBER", "INTEGER", "FLOAT", "DURATION", "PERCENT" };

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

/* Values of flags that are only accepted are looked at as well: a typing error is one whatever the flag does. */
static int set(struct cgm_options *o, const struct cgm_option *opt, const char *value)
{
	union {
		const char *text;
		bool flag;
		uint64_t number;
		int64_t integer;
		double real;
	} unused;
	void *field = opt->offset == CGM_OPTION_NO_FIELD ? (void *)&unused : (void *)((char *)o + opt->offset);

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

static const struct cgm_option *find(struct cgm_str name)
{
	for (size_t i = 0; i < NR_OPTIONS; i++)
		if (is_name(name, cgm_option_table[i].name))
			return &cgm_option_table[i];
	return NULL;
}

/* flag as it may be shown: a value may be a secret. */
static int bad(struct cgm_str flag, const char *what)
{
	fprintf(stderr, "cgmeter node: %.*s: %s (see cgmeter node --help)\n", (int)MIN(flag.len, 200), flag.p, what);
	return -EINVAL;
}

static int take(struct parser *p, const struct cgm_option *o, const char *value)
{
	int r = set(&p->o, o, value);

	if (r == 0)
		p->given[o - cgm_option_table] = value;
	return r;
}

/* ---- the command line ---- */

/* One flag; *i is moved on when its value is the next argument. */
static int parse_one(struct parser *p, int argc, char *const *argv, int *i)
{
	const char *flag = argv[*i], *equals = strchr(flag, '='), *name = flag, *value;
	struct cgm_str shown = { flag, equals ? (size_t)(equals - flag) : strlen(flag) };
	const struct cgm_option *o;

	if (name[0] != '-' || !name[1])
		return bad(shown, "is no flag");
	name += name[1] == '-' ? 2 : 1;
	o = find((struct cgm_str){ name, shown.len - (size_t)(name - flag) });
	if (!o)
		return bad(shown, "unknown flag");
	if (equals)
		value = equals + 1;
	else if (o->type == BOOL)
		value = "true";
	else if (*i + 1 < argc)
		value = argv[++*i];
	else
		return bad(shown, "needs a value");
	return take(p, o, value) < 0 ? bad(shown, wanted(o->type)) : 0;
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || strcmp(value, c) == 0;
}

/* 1: help was asked for. */
static int parse_flags(struct parser *p, int argc, char *const *argv)
{
	for (int i = 1; i < argc; i++) {
		int r;

		if (one_of(argv[i], "--help", "-help", "-h")) {
			cgm_options_help();
			return 1;
		}
		if (strcmp(argv[i], "--") == 0)
			return i + 1 < argc ? bad(cgm_str(argv[i + 1]), "is no flag") : 0;
		r = parse_one(p, argc, argv, &i);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the file ---- */

static int bad_line(const struct parser *p, unsigned line, struct cgm_str name, const char *what)
{
	fprintf(stderr, "cgmeter node: %s:%u: %.*s: %s\n", p->o.config, line, (int)MIN(name.len, 200), name.p, what);
	return -EINVAL;
}

static int on_config(void *arg, unsigned line, struct cgm_str name, const char *value)
{
	struct parser *p = arg;
	const struct cgm_option *o = find(name);
	char twice[64];
	size_t i;

	if (!o)
		return bad_line(p, line, name, "there is no such option");
	if (one_of(o->name, "config", "version", "config"))
		return bad_line(p, line, name, "is for the command line alone");
	i = (size_t)(o - cgm_option_table);
	if (p->config_line[i]) {
		snprintf(twice, sizeof(twice), "stands on line %u already", p->config_line[i]);
		return bad_line(p, line, name, twice);
	}
	p->config_line[i] = line;
	return take(p, o, value) < 0 ? bad_line(p, line, name, wanted(o->type)) : 0;
}

static int read_config(struct parser *p)
{
	const char *file = p->o.config, *fault;
	unsigned line;
	size_t len;
	int r = cgm_read_all_at(AT_FDCWD, file, MAX_CONFIG_BYTES, &p->o.config_text, &len);

	if (r < 0) {
		fprintf(stderr, "cgmeter node: --config: cannot read %s: %s\n", file, r == -EFBIG ? "larger than 64 KiB" : strerror(-r));
		return r;
	}
	r = cgm_config_each(p->o.config_text, len, on_config, p, &line, &fault);
	if (r < 0 && fault)
		fprintf(stderr, "cgmeter node: %s:%u: the line %s\n", file, line, fault);
	return r;
}

/* ---- what must fit together ---- */

static int bad_value(const char *flag, const char *what)
{
	return bad(cgm_str(flag), what);
}

static int check_server(const struct cgm_options *o)
{
	size_t prefix_len = strlen(o->url_base_prefix);

	if (o->port > 65535)
		return bad_value("--port", "must be at most 65535");
	if (prefix_len && (o->url_base_prefix[0] != '/' || o->url_base_prefix[prefix_len - 1] == '/'))
		return bad_value("--url_base_prefix", "must begin with a slash and not end with one");
	if (o->prometheus_endpoint[0] != '/')
		return bad_value("--prometheus_endpoint", "must begin with a slash");
	if (!*o->tls_cert_file != !*o->tls_key_file)
		return bad_value(*o->tls_cert_file ? "--tls_cert_file" : "--tls_key_file", "certificate and key are needed, both");
	if (*o->tls_client_ca_file && !*o->tls_cert_file)
		return bad_value("--tls_client_ca_file", "needs --tls_cert_file and --tls_key_file");
	if (o->http.max_connections < 8 || o->http.max_connections > 16384)
		return bad_value("--http_max_connections", "must be from 8 to 16384");
	if (!o->http.max_large)
		return bad_value("--http_max_large_answers", "must be at least 1");
	if (MIN(MIN(o->http.request_ns, o->http.answer_ns), o->http.idle_ns) < 100 * CGM_NSEC_PER_MSEC)
		return bad_value("--http_request_timeout, --http_answer_timeout and --http_idle_timeout", "must be at least 100ms");
	return 0;
}

static int check_access(struct cgm_options *o)
{
	o->review.certificates = *o->client_ca_file;
	o->review.authorize = strcmp(o->authorization_mode, "Webhook") == 0;
	if (!one_of(o->authorization_mode, "AlwaysAllow", "Webhook", "Webhook"))
		return bad_value("--authorization_mode", "takes AlwaysAllow or Webhook");
	if (*o->client_ca_file && !*o->tls_cert_file)
		return bad_value("--client_ca_file", "needs --tls_cert_file and --tls_key_file");
	if (*o->client_ca_file && *o->tls_client_ca_file)
		return bad_value("--client_ca_file", "--tls_client_ca_file lets in who has a certificate and nobody else: give one of the two");
	if (o->review.authorize && !o->review.certificates && !o->review.tokens && !o->review.anonymous)
		return bad_value("--authorization_mode", "nobody would be anybody: give --authentication_token_webhook, --client_ca_file or --anonymous_auth as well");
	return 0;
}

static int check(const struct cgm_options *o)
{
	if (o->interval_ns < 50 * CGM_NSEC_PER_MSEC)
		return bad_value("--housekeeping_interval", "must be at least 50ms");
	if (o->disk_interval_ns < CGM_NSEC_PER_SEC)
		return bad_value("--disk_interval", "must be at least 1s");
	if (o->list_interval_ns < CGM_NSEC_PER_SEC)
		return bad_value("--global_housekeeping_interval", "must be at least 1s");
	if (o->ended_ns > 24 * 3600 * CGM_NSEC_PER_SEC)
		return bad_value("--ended_duration", "must be at most 24h");
	if (o->keep_ns > 24 * 3600 * CGM_NSEC_PER_SEC)
		return bad_value("--storage_duration", "must be at most 24h");
	if (o->max_cgroups < 16 || o->max_cgroups > 65536)
		return bad_value("--max_cgroups", "must be from 16 to 65536");
	if (!one_of(o->bpf, "auto", "off", "auto"))
		return bad_value("--bpf", "takes auto or off");
	if (!one_of(o->sched_hook, "auto", "switch", "wakeup"))
		return bad_value("--sched_hook", "takes auto, switch or wakeup");
	if (!one_of(o->privileges, "auto", "keep", "auto"))
		return bad_value("--privileges", "takes auto or keep");
	if (!one_of(o->seccomp, "on", "off", "log"))
		return bad_value("--seccomp", "takes on, off or log");
	if (o->cost_window_ns < 10 * CGM_NSEC_PER_MSEC)
		return bad_value("--cost_window", "must be at least 10ms");
	if (o->cost_interval_ns < 2 * o->cost_window_ns)
		return bad_value("--cost_interval", "must be at least twice --cost_window");
	return 0;
}

static int limit_events(struct cgm_options *o)
{
	const char *fault;

	cgm_events_limits_init(&o->events);
	if (cgm_events_parse_ages(o->event_ages, &o->events, &fault) < 0)
		return bad_value("--event_storage_age_limit", fault);
	if (cgm_events_parse_numbers(o->event_numbers, &o->events, &fault) < 0)
		return bad_value("--event_storage_event_limit", fault);
	return 0;
}

static int check_sinks(const struct cgm_options *o)
{
	const char *flag;
	char what[512];

	return cgm_sinks_check(&o->sink, &flag, what, sizeof(what)) < 0 ? bad_value(flag, what) : 0;
}

static int choose_groups(struct cgm_options *o)
{
	const char *name;
	char what[900];
	size_t len, at;
	bool enabled;

	if (cgm_group_choose(o->enable_metrics, o->disable_metrics, &o->groups, &name, &len) == 0) {
		o->groups_off = cgm_group_hidden(&o->groups);
		return 0;
	}
	if (cgm_group_find(name, len) != CGM_NR_GROUPS) {
		snprintf(what, sizeof(what), "the group %.*s cannot be switched off", (int)len, name);
		return bad_value("--disable_metrics", what);
	}
	at = (size_t)snprintf(what, sizeof(what), "there is no group \"%.*s\"; the groups are", (int)MIN(len, 100), name);
	for (unsigned i = 0; i < CGM_NR_GROUPS && at < sizeof(what); i++)
		at += (size_t)snprintf(what + at, sizeof(what) - at, " %s", cgm_groups[i].name);
	enabled = name >= o->enable_metrics && name < o->enable_metrics + strlen(o->enable_metrics);
	return bad_value(enabled ? "--enable_metrics" : "--disable_metrics", what);
}

/* ---- all of it ---- */

static bool is_quiet(const struct cgm_option *o, const char *value)
{
	bool given, quiet;

	if (strcmp(o->quiet, "*") == 0)
		return true;
	if (o->type == BOOL && cgm_parse_bool(cgm_str(value), &given) == 0 && cgm_parse_bool(cgm_str(o->quiet), &quiet) == 0)
		return given == quiet;
	return strcmp(o->quiet, value) == 0;
}

static void say_accepted(const struct parser *p)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		const struct cgm_option *o = &cgm_option_table[i];

		if (o->offset == CGM_OPTION_NO_FIELD && p->given[i] && !is_quiet(o, p->given[i]))
			cgm_warning("--%s does nothing here: %s", o->name, o->help);
	}
}

static void parser_done(struct parser *p)
{
	cgm_options_done(&p->o);
}

static int set_defaults(struct cgm_options *o)
{
	for (size_t i = 0; i < NR_OPTIONS; i++)
		if (set(o, &cgm_option_table[i], cgm_option_table[i].def) < 0)
			return bad_value(cgm_option_table[i].name, "has a bad default");
	return 0;
}

int cgm_options_parse(int argc, char *const *argv, struct cgm_options *ret)
{
	_cleanup_(parser_done) struct parser p = { 0 };
	int r = set_defaults(&p.o);

	if (r == 0)
		r = parse_flags(&p, argc, argv);
	if (r == 0 && *p.o.config) {
		r = read_config(&p);
		/* Once more: the command line wins. */
		if (r == 0)
			r = parse_flags(&p, argc, argv);
	}
	if (r)
		return r;
	if (p.o.version) {
		printf("cgmeter %s\n", CGM_VERSION);
		return 1;
	}
	if (check(&p.o) < 0 || check_server(&p.o) < 0 || check_access(&p.o) < 0 || choose_groups(&p.o) < 0 || limit_events(&p.o) < 0 || check_sinks(&p.o) < 0)
		return -EINVAL;
	say_accepted(&p);
	*ret = p.o;
	p.o.config_text = NULL;
	return 0;
}

void cgm_options_done(struct cgm_options *o)
{
	free(o->config_text);
	o->config_text = NULL;
}
