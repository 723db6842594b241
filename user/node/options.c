// SPDX-License-Identifier: Apache-2.0
#include "node/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "node/options_table.h"

const struct cgm_option cgm_option_table[] = {
#define CGM_OPTION(name, type, field, def, group, help) { #name, type, offsetof(struct cgm_options, field), def, NULL, group, help },
#define CGM_ACCEPTED(name, type, def, quiet, group, instead) { #name, type, CGM_OPTION_NO_FIELD, def, quiet, group, instead },
#include "node/options.def"
};
const size_t cgm_nr_options = ARRAY_SIZE(cgm_option_table);
_Static_assert(ARRAY_SIZE(cgm_option_table) <= CGM_MAX_FLAGS, "the parser has room for them");

/* ---- what must fit together ---- */

static int bad_value(const char *flag, const char *what)
{
	return cgm_flags_bad(&cgm_node_flags, flag, what);
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return strcmp(value, a) == 0 || strcmp(value, b) == 0 || strcmp(value, c) == 0;
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

static void options_done(struct cgm_options *o)
{
	cgm_options_done(o);
}

int cgm_options_parse(int argc, char *const *argv, struct cgm_options *ret)
{
	_cleanup_(options_done) struct cgm_options o = { 0 };
	struct cgm_flags_given given = { 0 };
	int r = cgm_flags_parse(&cgm_node_flags, argc, argv, &o, &o.config_text, &given);

	if (r)
		return r;
	if (o.version) {
		printf("cgmeter %s\n", CGM_VERSION);
		return 1;
	}
	if (check(&o) < 0 || check_server(&o) < 0 || check_access(&o) < 0 || choose_groups(&o) < 0 || limit_events(&o) < 0 || check_sinks(&o) < 0)
		return -EINVAL;
	cgm_flags_say_accepted(&cgm_node_flags, &given);
	*ret = o;
	o.config_text = NULL;
	return 0;
}

void cgm_options_done(struct cgm_options *o)
{
	free(o->config_text);
	o->config_text = NULL;
}
