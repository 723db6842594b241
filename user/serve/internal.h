/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this room. */
#pragma once
#include "serve/past.h"
#include "serve/serve.h"

struct cgm_usage_wanted;

/* Ends an answer: 0; -ENOENT: the route is none; -ENOMEM, also when it shows in the body. */
void cgm_serve_finish(struct cgm_reply *reply, int r);
/* False: it is another method, and *reply says so. */
bool cgm_serve_is_get(const struct cgm_ask *a, struct cgm_reply *reply);
/* metric_export.c. 0 or -ENOMEM. */
int cgm_serve_metric_export(const struct cgm_serve *s, struct cgm_buf *out);
void cgm_serve_metric_export_schema(struct cgm_buf *out);

/* metrics_api.c. What stands behind the version of the API: nodes[/N], pods, namespaces/NS/pods[/P]; cuts text, which w then points to. False: it is nothing of these. */
bool cgm_serve_metrics_path(char *text, struct cgm_usage_wanted *w);
/* labelSelector and fieldSelector; what is returned is released by the caller in any case. False: *r says what is wrong. */
bool cgm_serve_selectors(const struct cgm_ask *a, struct cgm_usage_wanted *w, struct cgm_kube_selector **ret_labels, char **ret_fields, struct cgm_reply *r);
/* metrics_heapster.c: /apis/metrics/v1alpha1/…, as Heapster has it. */
bool cgm_serve_heapster_metrics(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* custom.c: custom.metrics.k8s.io, and the list of its resources. */
bool cgm_serve_custom(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
void cgm_serve_custom_resources(const char *version, struct cgm_buf *out);
/* core.c: nodes and pods of the core group. */
bool cgm_serve_core(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* discovery.c: /api, /apis, /version, /openapi. */
bool cgm_serve_discovery(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* checks.c: /readyz, /livez and each of their checks. */
bool cgm_serve_checks(const struct cgm_serve *s, const struct cgm_ask *a, struct cgm_reply *r);
/* Another replica collects, this one waits. */
bool cgm_serve_is_standby(const struct cgm_serve *s);

/* model_stats.c. 0 or an error of the history's, see past.h, with fault. */
int cgm_serve_model_stats(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_buf *out, char *fault);

/* historical.c: the points of one question, in one's turn. */
int cgm_past_points(const struct cgm_serve *s, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault);
/* The HTTP status of such an error. */
unsigned cgm_past_status(int error);
