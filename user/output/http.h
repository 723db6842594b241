/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: the only room with libmicrohttpd. Its threads read snapshots; they never touch the sampler. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cgroup/cgroup.h"
#include "cgroup/machine.h"
#include "model/events.h"
#include "model/http_stats.h"
#include "model/snapshot.h"
#include "output/auth.h"
#include "output/serve.h"

/* What clients may take. 0: the default of options.def, but of max_per_address: no limit. */
struct cgm_http_limits {
	uint64_t max_connections, max_per_address;
	uint64_t max_large; /* answers that are made while they are sent, and are longer than their first piece */
	uint64_t request_ns, answer_ns, idle_ns;
};

/* Everything it points to must outlive the server; nothing is taken over. */
struct cgm_http_config {
	const char *listen_ip; /* "" or NULL: all addresses */
	uint16_t port; /* 0: any free one, see cgm_http_port */
	const struct cgm_served *served; /* another program's answers; NULL: a node's own routes. With it store, events and trees may be NULL */
	struct cgm_store *store;
	struct cgm_events *events;
	const struct cgm_trees *trees; /* for /ps; NULL: none */
	bool legacy_status_codes; /* answer faults as cAdvisor does */
	const char *version; /* of this program */
	int root_fd; /* for /machine */
	uint64_t interval_ns; /* between two snapshots, for who waits for the next */
	uint64_t machine_interval_ns; /* how old machine facts may be */
	const char *url_base_prefix; /* NULL or "": none; "/x" otherwise */
	const char *prometheus_endpoint; /* NULL: /metrics */
	struct cgm_http_limits limits;
	/* Appends a PodList as the API server tells it: 0; -ENOENT: nothing is known (yet); -ENOMEM. NULL: it is not asked. Any thread, must not wait. */
	int (*pods)(void *arg, struct cgm_buf *out);
	void *pods_arg;
	const char *node_name; /* how Kubernetes calls this node; NULL: as the host is called */
	struct cgm_auth_config auth;
	const char *tls_cert_file, *tls_key_file, *tls_client_ca_file, *client_ca_file; /* NULL or "": none; see struct cgm_tls_config */
};

struct cgm_http;
/* Starts to serve. 0, or a negative errno (-EADDRINUSE, -EINVAL for a bad listen_ip), said in the log with the address. */
int cgm_http_start(const struct cgm_http_config *config, struct cgm_http **ret);
/* Ends all connections and frees. */
void cgm_http_stop(struct cgm_http *h);
uint16_t cgm_http_port(const struct cgm_http *h);
/* The reference of all addresses in Markdown, from the table of routes. */
void cgm_http_reference(struct cgm_buf *out);
/* Certificates, passwords and tokens are read anew, by another thread, at once. */
void cgm_http_reload(struct cgm_http *h);
/* What was counted so far. h may be NULL: zeros. */
void cgm_http_stats_read(const struct cgm_http *h, struct cgm_http_stats *ret);
