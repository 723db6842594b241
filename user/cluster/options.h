/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `cgmeter cluster`, from options.def; parsed by user/flags, see there. Durations of 0: the room's that they are for. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flags/flags.h"

struct cgm_cluster_options {
	struct cgm_flag_list sources, sinks, store_label, ignore_label, kubelet_addresses, header_names, header_users, header_groups, header_extras, always_allow;
	uint64_t resolution_ns, poll_ns, sink_frequency_ns, offset_ns, node_timeout_ns, node_max_bytes, max_parallel;
	bool resource_only;
	const char *node_selector;
	uint64_t nr_shards;
	int64_t shard;
	const char *kubeconfig;
	uint64_t kubelet_port;
	bool kubelet_status_port, kubelet_insecure, kubelet_http;
	const char *kubelet_ca_file, *kubelet_cert_file, *kubelet_key_file;
	bool leader_elect;
	const char *lease_name, *lease_namespace;
	uint64_t lease_ns, renew_ns, retry_ns;
	const char *label_separator;
	bool extras, disable_metric_sink, disable_export;
	uint64_t short_ns, memory_ttl_ns, long_ns;
	const char *historical;
	uint64_t sink_timeout_ns, stop_ns, queue_bytes, spool_bytes;
	const char *spool_dir, *cluster_name, *sink_ca_file;
	uint64_t port, secure_port, max_connections;
	const char *listen_ip, *bind_address;
	const char *tls_cert_file, *tls_key_file, *tls_client_ca_file, *allowed_users, *http_auth_file, *http_token_file, *http_auth_except;
	bool api_server;
	const char *secure_cert_file, *secure_key_file, *cert_dir, *client_ca_file, *header_ca_file;
	const char *authentication_kubeconfig, *authorization_kubeconfig;
	uint64_t token_ns, allowed_ns, denied_ns;
	bool skip_lookup, tolerate_lookup;
	const char *config;
	int64_t max_procs;
	bool verbose, version;
	uint64_t verbosity;

	/* What the options make of each other. */
	const char *source; /* the one of --source, or what others ask for; "": the agent of this machine */
	char *source_text; /* what it may point into; owned, as are the next three */
	char *store_labels, *ignore_labels, *open_paths; /* comma between */
	const char **export_sinks; /* --sink without "metric" and "prometheus"; owned */
	size_t nr_export_sinks;
	char *config_text;
};

/* 0: go on; 1: --help or --version was printed; a negative errno: said on stderr. cgm_cluster_options_done() in any case of 0. */
int cgm_cluster_options_parse(int argc, char *const *argv, struct cgm_cluster_options *ret);
void cgm_cluster_options_done(struct cgm_cluster_options *o);

extern const struct cgm_flags cgm_cluster_flags;
/* --help, the man page cgmeter-cluster(8), the reference in Markdown, to stdout. */
void cgm_cluster_options_help(void);
void cgm_cluster_options_man(void);
void cgm_cluster_options_reference(void);
