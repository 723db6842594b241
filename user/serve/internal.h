/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this room. */
#pragma once
#include "serve/past.h"
#include "serve/serve.h"

/* Ends an answer: 0; -ENOENT: the route is none; -ENOMEM, also when it shows in the body. */
void cgm_serve_finish(struct cgm_reply *reply, int r);
/* False: it is another method, and *reply says so. */
bool cgm_serve_is_get(const struct cgm_ask *a, struct cgm_reply *reply);
/* metric_export.c. 0 or -ENOMEM. */
int cgm_serve_metric_export(const struct cgm_serve *s, struct cgm_buf *out);
void cgm_serve_metric_export_schema(struct cgm_buf *out);
/* model_stats.c. 0 or an error of the history's, see past.h, with fault. */
int cgm_serve_model_stats(const struct cgm_serve *s, const struct cgm_route *route, struct cgm_buf *out, char *fault);

/* historical.c: the points of one question, in one's turn. */
int cgm_past_points(const struct cgm_serve *s, const struct cgm_past_question *q, struct cgm_past_point **ret, size_t *ret_nr, char *fault);
/* The HTTP status of such an error. */
unsigned cgm_past_status(int error);
