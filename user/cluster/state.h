/* SPDX-License-Identifier: Apache-2.0 */
/* All that `cgmeter cluster` has open; for this room. */
#pragma once
#include "batch/store.h"
#include "cluster/leader.h"
#include "cluster/options.h"
#include "export/export.h"
#include "kube/cluster.h"
#include "output/http.h"
#include "process/process.h"
#include "serve/serve.h"
#include "source/source.h"

struct cgm_cluster_server {
	struct cgm_http *http; /* NULL: not served */
	struct cgm_served served;
	struct cgm_serve serve;
	const struct cgm_cluster_options *o;
	bool secure; /* the Metrics API's */
};

struct cgm_cluster_state {
	const struct cgm_cluster_options *o;
	struct cgm_kube *kube, *lease_kube, *authentication, *authorization; /* NULL: not asked. authorization may be the same as authentication */
	struct cgm_kube_cluster *cluster;
	struct cgm_cluster_store *store;
	struct cgm_process *process;
	struct cgm_export *export;
	struct cgm_source *source;
	struct cgm_leader *leader;
	struct cgm_process_config process_config;
	struct cgm_export_config export_config;
	struct cgm_source_config source_config;
	struct cgm_cluster_server plain, secure;
	struct cgm_cluster_identity *identity; /* certificate of the secure port and authorities, see authentication.h */
	bool standby; /* atomic: another one leads */
	uint64_t nr_cycles;
	size_t nr_unanswered; /* of the last cycle */
};

/* cluster.c: a client of the API server that --source or --kubeconfig means; *ret stays NULL when there is none. 0 or a negative errno, said in the log. */
int cgm_cluster_client(const struct cgm_cluster_options *o, uint64_t timeout_ns, struct cgm_kube **ret);
/* servers.c: starts the ports that the options ask for. 0 or a negative errno, said in the log. */
int cgm_cluster_serve(struct cgm_cluster_state *st);
/* Before what they answer from is closed. */
void cgm_cluster_serve_stop(struct cgm_cluster_state *st);
