/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this room. */
#pragma once
#include "serve/serve.h"

/* Ends an answer: 0; -ENOENT: the route is none; -ENOMEM, also when it shows in the body. */
void cgm_serve_finish(struct cgm_reply *reply, int r);
/* False: it is another method, and *reply says so. */
bool cgm_serve_is_get(const struct cgm_ask *a, struct cgm_reply *reply);
/* metric_export.c. 0 or -ENOMEM. */
int cgm_serve_metric_export(const struct cgm_serve *s, struct cgm_buf *out);
void cgm_serve_metric_export_schema(struct cgm_buf *out);
