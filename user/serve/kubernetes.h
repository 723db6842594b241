/* SPDX-License-Identifier: Apache-2.0 */
/* The words of Kubernetes' answers: quantities, durations, Status objects, and what a client accepts. Any thread. */
#pragma once
#include "kube/pod.h"
#include "serve/ask.h"

/* Quantities by their canonical text, with the largest suffix that loses nothing: of 10^-9 ("1477033924n", "1500m", "2"), of bytes ("372Ki", "8Mi", "1000"). */
void cgm_quantity_put_nano(struct cgm_buf *out, uint64_t v);
void cgm_quantity_put_bytes(struct cgm_buf *out, uint64_t v);
/* As Go writes a duration: "10.059s", "1m0s", "500ms". */
void cgm_duration_put(struct cgm_buf *out, uint64_t ns);
/* A time in whole seconds, quoted, as metav1.Time is written. */
void cgm_reply_seconds(struct cgm_buf *out, uint64_t ns);
/* {"a":"b"} */
void cgm_reply_labels(struct cgm_buf *out, const struct cgm_kube_label *labels, size_t nr);

/* Makes r a Status. reason: "NotFound", …; kind and name: of the object that it is about, NULL: none. */
void cgm_reply_status(struct cgm_reply *r, unsigned status, const char *reason, const char *kind, const char *name, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

enum cgm_wants {
	CGM_WANTS_NOTHING, /* of ours: 406 */
	CGM_WANTS_JSON,
	CGM_WANTS_TABLE, CGM_WANTS_TABLE_BETA, /* meta.k8s.io v1, v1beta1 */
	CGM_WANTS_DISCOVERY, CGM_WANTS_DISCOVERY_BETA, /* apidiscovery.k8s.io v2, v2beta1 */
};
/* The first of an Accept header that is among what can be given (1 << enum cgm_wants, or'ed). NULL or "": JSON. */
enum cgm_wants cgm_wants_of(const char *accept, unsigned can);
