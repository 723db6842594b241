// SPDX-License-Identifier: Apache-2.0
#include "cluster/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "export/export.h"
#include "source/source.h"

#define MIN_RESOLUTION_NS (5 * CGM_NSEC_PER_SEC)
#define FAULT 512

static const struct cgm_option table[] = {
#define CGM_OPTION(name, type, field, def, group, help) { #name, type, offsetof(struct cgm_cluster_options, field), def, NULL, group, help },
#define CGM_ACCEPTED(name, type, def, quiet, group, instead) { #name, type, CGM_OPTION_NO_FIELD, def, quiet, group, instead },
#include "cluster/options.def"
};
_Static_assert(ARRAY_SIZE(table) <= CGM_MAX_FLAGS, "the parser has room for them");

static const char help_head[] = "Usage: cgmeter cluster [--FLAG=VALUE…]\n\n"
				"Collects from all nodes of a cluster, sums up by pod, namespace, node and cluster, writes to sinks,\n"
				"and serves the model API, the Kubernetes Metrics API and a dashboard.\n"
				"Flags may have one dash or two, - or _ between words, and a value behind = or as the next argument;\n"
				"a flag without a type is on when it stands alone. --config=FILE reads them from a file.\n\n"
				"  cgmeter cluster                                      the agent of this machine\n"
				"  cgmeter cluster --source=nodes:http://a:8080,http://b:8080 --sink=sqlite:/var/lib/cgmeter.db\n"
				"  cgmeter cluster --source=kubernetes:'' --sink=influxdb:http://influxdb:8086   in a cluster\n";
static const char man_head[] = ".TH CGMETER\\-CLUSTER 8 2026-12-01 \"cgmeter " CGM_VERSION "\"\n"
			       ".SH NAME\n"
			       "cgmeter\\-cluster \\- collect, sum up and serve the metrics of a cluster\n"
			       ".SH SYNOPSIS\n"
			       ".B cgmeter cluster\n"
			       ".RI [ flag ...]\n"
			       ".SH DESCRIPTION\n"
			       "Asks all nodes of a Kubernetes cluster, or a list of agents, once a minute,\n"
			       "sums up by pod, namespace, node and cluster,\n"
			       "writes everything to any number of sinks, and serves Heapster's model API,\n"
			       "the Kubernetes Metrics API, Prometheus metrics and a dashboard.\n"
			       "Command lines of Heapster and of metrics\\-server work as they stand.\n"
			       "Without a flag it asks the agent of this machine.\n"
			       ".SH OPTIONS\n"
			       "Flags may have one dash or two, and a value behind = or as the next\n"
			       "argument; \\- and _ in a name are the same.\n"
			       "A flag without a type is on when it stands alone,\n"
			       "and takes true or false behind =.\n"
			       "A duration is a number with a unit, or several: 500ms, 1m30s, 24h.\n";
static const char man_tail[] = ".SH CONFIGURATION FILE\n"
			       "The file of\n"
			       ".B \\-\\-config\n"
			       "holds the same names without dashes, one a line with its value behind =\n"
			       "or a colon.\n"
			       "A flag that may be given again may stand on several lines.\n"
			       "What stands on the command line wins.\n"
			       ".SH SIGNALS\n"
			       ".TP\n"
			       "SIGTERM, SIGINT\n"
			       "End: what the sinks have not got yet is sent, or spooled,\n"
			       "within \\-\\-stop_timeout.\n"
			       ".TP\n"
			       "SIGHUP\n"
			       "Read certificates, passwords and tokens anew, at once.\n"
			       ".SH EXIT STATUS\n"
			       "0 after a clean end, 1 when something could not be started,\n"
			       "2 for a bad flag or configuration file.\n"
			       ".SH SEE ALSO\n"
			       "The README of cgmeter;\n"
			       ".BR cgmeter\\-node (8)\n";

const struct cgm_flags cgm_cluster_flags = {
	.command = "cluster",
	.table = table,
	.nr = ARRAY_SIZE(table),
	.config = offsetof(struct cgm_cluster_options, config),
	.help_head = help_head,
	.help_accepted = "Flags of Heapster and metrics-server that do nothing here",
	.man_head = man_head,
	.man_accepted = "Flags of Heapster and metrics\\-server that do nothing here",
	.man_tail = man_tail,
};

void cgm_cluster_options_help(void)
{
	cgm_flags_help(&cgm_cluster_flags);
}

void cgm_cluster_options_man(void)
{
	cgm_flags_man(&cgm_cluster_flags);
}

void cgm_cluster_options_reference(void)
{
	cgm_flags_reference(&cgm_cluster_flags);
}

static int bad(const char *flag, const char *what)
{
	return cgm_flags_bad(&cgm_cluster_flags, flag, what);
}

static int no_memory(void)
{
	fprintf(stderr, "cgmeter cluster: out of memory\n");
	return -ENOMEM;
}

/* ---- values that several flags have a say in ---- */

/* Old names of the resolution, where the new one is not given: Heapster asked as often as each second, which here is five. */
static int choose_resolution(struct cgm_cluster_options *o, const struct cgm_flags_given *given)
{
	const char *flag = o->poll_ns ? "poll_duration" : "sink_frequency";
	uint64_t old = o->poll_ns ? o->poll_ns : o->sink_frequency_ns;

	if (!old || cgm_flags_is_given(&cgm_cluster_flags, given, "metric_resolution"))
		return o->resolution_ns < MIN_RESOLUTION_NS ? bad("--metric_resolution", "must be at least 5s") : 0;
	if (old < MIN_RESOLUTION_NS)
		cgm_warning("--%s: nodes are asked every 5s, which is the shortest time", flag);
	o->resolution_ns = MAX(old, MIN_RESOLUTION_NS);
	return 0;
}

/* The number at the end of a StatefulSet's pod's name. */
static int64_t ordinal_of(const char *pod)
{
	const char *dash = pod ? strrchr(pod, '-') : NULL;
	uint64_t n;

	return dash && cgm_parse_u64(cgm_str(dash + 1), &n) == 0 && n < 65536 ? (int64_t)n : -1;
}

static int choose_shard(struct cgm_cluster_options *o)
{
	if (!o->nr_shards || o->nr_shards > 1024)
		return bad("--shards", "must be from 1 to 1024");
	if (o->shard == -1 && o->nr_shards > 1) {
		o->shard = ordinal_of(getenv("POD_NAME"));
		if (o->shard < 0)
			return bad("--shards", "which of them is ours? Give --shard, or the environment's POD_NAME, which ends with a number");
	}
	o->shard = MAX(o->shard, 0);
	return (uint64_t)o->shard < o->nr_shards ? 0 : bad("--shard", "must be less than --shards");
}

/* Of kubelets alone: a source's URI says the same. */
static bool is_kubelet_flag(const char *name)
{
	return strncmp(name, "kubelet_", 8) == 0 || strncmp(name, "deprecated_kubelet_", 19) == 0;
}

static bool is_kubernetes_flag(const char *name)
{
	return is_kubelet_flag(name) || strcmp(name, "kubeconfig") == 0 || strcmp(name, "resource_only") == 0 || strcmp(name, "node_selector") == 0 ||
	       strcmp(name, "api_server") == 0 || strcmp(name, "secure_port") == 0;
}

/* metrics-server has no --source: what it is told of Kubernetes says that it is meant. */
static bool wants_kubernetes(const struct cgm_flags_given *given)
{
	for (size_t i = 0; i < cgm_cluster_flags.nr; i++)
		if (given->value[i] && is_kubernetes_flag(table[i].name))
			return true;
	return false;
}

/* Letters, digits and what a path is made of stay; all else is of an URI, or of the environment. */
static void put_value(struct cgm_buf *b, const char *name, const char *value)
{
	if (!*value)
		return;
	cgm_buf_printf(b, "&%s=", name);
	for (const char *p = value; *p; p++) {
		if (isalnum((unsigned char)*p) || strchr("/.-_,", *p))
			cgm_buf_char(b, *p);
		else
			cgm_buf_printf(b, "%%%02x", (unsigned char)*p);
	}
}

/* What --kubeconfig and the flags of kubelets are as a source's URI. */
static int make_source(struct cgm_cluster_options *o)
{
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };

	cgm_buf_printf(&b, "kubernetes:?kubeletHttps=%s", o->kubelet_http ? "false" : "true");
	if (!o->kubelet_status_port)
		cgm_buf_printf(&b, "&kubeletPort=%llu", (unsigned long long)o->kubelet_port);
	if (o->kubelet_insecure)
		cgm_buf_lit(&b, "&kubeletInsecure=true");
	put_value(&b, "kubeletCaFile", o->kubelet_ca_file);
	put_value(&b, "kubeletCertFile", o->kubelet_cert_file);
	put_value(&b, "kubeletKeyFile", o->kubelet_key_file);
	for (size_t i = 0; i < o->kubelet_addresses.nr; i++)
		put_value(&b, "addressTypes", o->kubelet_addresses.texts[i]);
	if (*o->kubeconfig) {
		cgm_buf_lit(&b, "&inClusterConfig=false");
		put_value(&b, "auth", o->kubeconfig);
	}
	cgm_buf_char(&b, '\0');
	if (b.failed)
		return no_memory();
	o->source = o->source_text = TAKE_PTR(b.p);
	return 0;
}

static int choose_source(struct cgm_cluster_options *o, const struct cgm_flags_given *given)
{
	char fault[CGM_SOURCE_FAULT];

	o->source = o->sources.nr ? o->sources.texts[0] : "";
	if (o->sources.nr > 1)
		return bad("--source", "one source is wanted, and several were given (nodes:URL,URL takes several nodes)");
	if (!o->sources.nr && wants_kubernetes(given) && make_source(o) < 0)
		return -ENOMEM;
	for (size_t i = 0; o->sources.nr && i < cgm_cluster_flags.nr; i++)
		if (given->value[i] && is_kubelet_flag(table[i].name))
			cgm_warning("--%s does nothing beside --source, whose options say it", table[i].name);
	return cgm_source_check(o->source, fault) < 0 ? bad("--source", fault) : 0;
}

/* "metric" and "prometheus" are no sinks with a queue: memory is there in any case, and whoever scrapes asks. */
static bool is_passive(const char *uri, const char *name)
{
	size_t len = strlen(name);

	return strncmp(uri, name, len) == 0 && (!uri[len] || (uri[len] == ':' && !uri[len + 1]));
}

static int choose_sinks(struct cgm_cluster_options *o)
{
	struct cgm_export_config config = { .timeout_ns = o->sink_timeout_ns, .spool_dir = o->spool_dir, .cluster_name = o->cluster_name };
	char fault[CGM_EXPORT_FAULT];

	o->export_sinks = cgm_calloc(o->sinks.nr + 1, sizeof(*o->export_sinks));
	if (!o->export_sinks)
		return no_memory();
	for (size_t i = 0; i < o->sinks.nr; i++)
		if (!is_passive(o->sinks.texts[i], "prometheus") && !is_passive(o->sinks.texts[i], "metric"))
			o->export_sinks[o->nr_export_sinks++] = o->sinks.texts[i];
	config.uris = o->export_sinks;
	config.nr_uris = o->nr_export_sinks;
	return o->nr_export_sinks && cgm_export_check(&config, fault) < 0 ? bad("--sink", fault) : 0;
}

static int choose_historical(const struct cgm_cluster_options *o)
{
	for (size_t i = 0; i < o->sinks.nr; i++)
		if (strcmp(o->sinks.texts[i], o->historical) == 0)
			return 0;
	return *o->historical ? bad("--historical_source", "must be the same, letter by letter, as one of --sink") : 0;
}

/* ---- what must fit together ---- */

static int check_port(const char *flag, const char *cert, const char *key, const char *cert_flag, uint64_t port)
{
	if (port > 65535)
		return bad(flag, "must be at most 65535");
	return !*cert != !*key ? bad(cert_flag, "certificate and key are needed, both") : 0;
}

static int check_server(const struct cgm_cluster_options *o)
{
	int r = check_port("--heapster_port", o->tls_cert_file, o->tls_key_file, "--tls_cert", o->port);

	if (r == 0)
		r = check_port("--secure_port", o->secure_cert_file, o->secure_key_file, "--tls_cert_file", o->secure_port);
	if (r < 0)
		return r;
	if (*o->tls_client_ca_file && !*o->tls_cert_file)
		return bad("--tls_client_ca", "needs --tls_cert and --tls_key");
	if (*o->allowed_users && !*o->tls_client_ca_file)
		return bad("--allowed_users", "needs --tls_client_ca: there is no name without a certificate");
	if (o->max_connections < 8 || o->max_connections > 16384)
		return bad("--http_max_connections", "must be from 8 to 16384");
	return 0;
}

static bool is_address_type(struct cgm_str s)
{
	static const char *const types[] = { "Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP", "LegacyHostIP" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (cgm_str_eq(s, types[i]))
			return true;
	return false;
}

static int check_nodes(const struct cgm_cluster_options *o)
{
	_cleanup_(cgm_kube_selector_freep) struct cgm_kube_selector *selector = NULL;
	char fault[CGM_KUBE_FAULT];

	if (cgm_kube_selector_read(o->node_selector, &selector, fault) < 0)
		return bad("--node_selector", fault);
	for (size_t i = 0; i < o->kubelet_addresses.nr; i++) {
		struct cgm_str rest = cgm_str(o->kubelet_addresses.texts[i]), type;

		while (cgm_next_field(&rest, ',', &type))
			if (!is_address_type(type))
				return bad("--kubelet_preferred_address_types", "takes Hostname, InternalDNS, InternalIP, ExternalDNS and ExternalIP, comma between");
	}
	if (o->kubelet_port > 65535)
		return bad("--kubelet_port", "must be at most 65535");
	if (!*o->kubelet_cert_file != !*o->kubelet_key_file)
		return bad("--kubelet_client_certificate", "certificate and key are needed, both");
	if (o->resolution_ns > 24 * 3600 * CGM_NSEC_PER_SEC)
		return bad("--metric_resolution", "must be at most 24h");
	if (o->offset_ns >= o->resolution_ns)
		return bad("--scrape_offset", "must be less than --metric_resolution");
	if (o->node_timeout_ns < 100 * CGM_NSEC_PER_MSEC)
		return bad("--node_timeout", "must be at least 100ms");
	if (!o->max_parallel || o->max_parallel > 4096)
		return bad("--max_parallel", "must be from 1 to 4096");
	if (o->node_max_bytes < 65536)
		return bad("--node_max_bytes", "must be at least 65536");
	return 0;
}

static int check_lease(const struct cgm_cluster_options *o)
{
	if (o->leader_elect && !(o->lease_ns > o->renew_ns && o->renew_ns > o->retry_ns && o->retry_ns >= 100 * CGM_NSEC_PER_MSEC))
		return bad("--leader_elect_lease_duration", "must be more than --leader_elect_renew_deadline, that more than --leader_elect_retry_period, and that at least 100ms");
	if (o->leader_elect && (!*o->lease_name || strlen(o->lease_name) > 200))
		return bad("--leader_elect_lease", "must be a name of at most 200 characters");
	return 0;
}

static int check(struct cgm_cluster_options *o, const struct cgm_flags_given *given)
{
	int r = choose_resolution(o, given);

	o->short_ns = o->short_ns ? o->short_ns : o->memory_ttl_ns;
	if (o->resource_only && !cgm_flags_is_given(&cgm_cluster_flags, given, "history_duration"))
		o->long_ns = 1; /* none */
	o->api_server |= o->resource_only || cgm_flags_is_given(&cgm_cluster_flags, given, "secure_port");
	if (r == 0)
		r = choose_shard(o);
	if (r == 0)
		r = check_nodes(o);
	if (r == 0)
		r = check_server(o);
	if (r == 0)
		r = check_lease(o);
	if (r == 0)
		r = choose_source(o, given);
	if (r == 0)
		r = choose_sinks(o);
	if (r == 0)
		r = choose_historical(o);
	if (r < 0)
		return r;
	o->store_labels = cgm_flags_join(&o->store_label);
	o->ignore_labels = cgm_flags_join(&o->ignore_label);
	o->open_paths = cgm_flags_join(&o->always_allow);
	return o->store_labels && o->ignore_labels && o->open_paths ? 0 : no_memory();
}

void cgm_cluster_options_done(struct cgm_cluster_options *o)
{
	cgm_flags_done(&cgm_cluster_flags, o);
	free(o->config_text);
	free(o->source_text);
	free(o->store_labels);
	free(o->ignore_labels);
	free(o->open_paths);
	free(o->export_sinks);
	*o = (struct cgm_cluster_options){ 0 };
}

int cgm_cluster_options_parse(int argc, char *const *argv, struct cgm_cluster_options *ret)
{
	_cleanup_(cgm_cluster_options_done) struct cgm_cluster_options o = { 0 };
	struct cgm_flags_given given = { 0 };
	int r = cgm_flags_parse(&cgm_cluster_flags, argc, argv, &o, &o.config_text, &given);

	if (r)
		return r;
	if (o.version) {
		printf("cgmeter %s\n", CGM_VERSION);
		return 1;
	}
	r = check(&o, &given);
	if (r < 0)
		return r;
	cgm_flags_say_accepted(&cgm_cluster_flags, &given);
	*ret = o;
	o = (struct cgm_cluster_options){ 0 };
	return 0;
}
