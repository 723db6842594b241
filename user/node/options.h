/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of `cgmeter node`, from options.def. Flags as Go's flag package takes them: -name=value, --name value, -name alone for true (a
 * BOOL takes its value behind = only), -- ends them; - and _ in a name are the same, since a kubelet's flags have the one and cAdvisor's the other.
 * The same names in a file, see --config.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/groups.h"
#include "model/events.h"
#include "node/kubernetes.h"
#include "node/runtimes.h"
#include "output/http.h"
#include "sink/sink.h"

struct cgm_options {
	const char *listen_ip, *bpf, *sched_hook, *pin_dir, *root, *privileges, *seccomp;
	uint64_t port, max_cgroups, max_netns;
	const char *enable_metrics, *disable_metrics;
	struct cgm_group_choice groups; /* what the two make of them */
	uint64_t budget_centi; /* hundredths of a percent of one CPU */
	uint64_t cost_interval_ns, cost_window_ns;
	uint64_t interval_ns, sockets_interval_ns, list_interval_ns, keep_ns, ended_ns, machine_interval_ns;
	bool store_labels, show_timestamps, show_created, show_empty_labels;
	const char *label_whitelist, *env_whitelist;
	struct cgm_runtime_options runtimes;
	struct cgm_kubernetes_options kubernetes;
	const char *collector_cert, *collector_key; /* accepted, as is app_limit */
	uint64_t app_limit;
	const char *perf_config; /* path; "": none */
	const char *kubelet_root;
	uint64_t disk_interval_ns, disk_entries_per_s;
	uint64_t resctrl_interval_ns, referenced_reset;
	uint64_t groups_off; /* bit per enum cgm_group: hidden */
	bool verbose, keep_latency_history;
	bool legacy_status_codes;
	const char *event_ages, *event_numbers;
	struct cgm_events_limits events; /* what the two make of them */

	const char *url_base_prefix, *prometheus_endpoint;
	struct cgm_http_limits http;
	const char *tls_cert_file, *tls_key_file, *tls_client_ca_file;
	const char *http_auth_file, *http_auth_realm, *http_digest_file, *http_digest_realm, *http_token_file, *http_auth_except;
	const char *client_ca_file, *authorization_mode;
	struct cgm_review_config review; /* what the options of a kubelet make of it; its reviewer and node are the agent's */
	const char *machine_id_file, *boot_id_file;
	const char *raw_prefixes;
	bool docker_only, disable_root;
	const char *config;
	char *config_text; /* what strings of the file point into; owned */
	int64_t max_procs;
	uint64_t verbosity;
	bool version;
	struct cgm_sink_config sink;
};

/*
 * 0: go on; 1: --help or --version was asked for and printed; -EINVAL or the error of the file of --config: said on stderr, naming the
 * flag (or file and line) and what it takes. A flag that does nothing here says once what there is instead. Strings live in argv, are
 * literals, or belong to *ret: cgm_options_done().
 */
int cgm_options_parse(int argc, char *const *argv, struct cgm_options *ret);
void cgm_options_done(struct cgm_options *o);

/* The reference in Markdown, to stdout. */
void cgm_options_reference(void);
/* The groups of metrics likewise. */
void cgm_options_groups(void);
/* --help, and the man page cgmeter-node(8) as roff, to stdout. */
void cgm_options_help(void);
void cgm_options_man(void);
