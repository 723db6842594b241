/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cgmeter cluster` answers: each of these looks whether the path is its own. True: it is, and *r is the answer. Any thread.
 */
#pragma once
#include "batch/store.h"
#include "export/export.h"
#include "kube/cluster.h"
#include "process/process.h"
#include "serve/ask.h"
#include "source/source.h"

struct cgm_serve { /* what there is to answer from; each may be NULL but store */
	struct cgm_cluster_store *store;
	struct cgm_kube_cluster *cluster;
	struct cgm_source *source;
	struct cgm_process *process;
	struct cgm_export *export;
	const char *historical; /* --historical_source: the URI of a sink (influxdb:…, sqlite:…); NULL or "": none */
	const char *version;
	bool disable_export; /* --disable_export */
	uint64_t resolution_ns;
	const bool *standby; /* atomic: another replica collects, and this one waits; NULL: never */
};

/* model.c: /api/v1/model/…, as Heapster 1.5.4, and /api/v1/metric-export, /api/v1/metric-export-schema. */
bool cgm_serve_model(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* historical.c: /api/v1/historical/… */
bool cgm_serve_historical(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* metrics_api.c: /apis, /apis/metrics.k8s.io…, /apis/metrics/v1alpha1/…, /openapi/…, /readyz, /livez; a discovery of /api for kubectl. */
bool cgm_serve_metrics_api(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* self.c: /metrics (its own, and with ?cluster or the sink `prometheus` what is known of the cluster), /healthz. */
bool cgm_serve_self(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* board.c: /api/cgmeter/cluster/…: what the dashboard asks for. */
bool cgm_serve_board(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
