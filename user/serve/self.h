/* SPDX-License-Identifier: Apache-2.0 */
/* What /metrics is made of. Any thread. 0 or -ENOMEM. */
#pragma once
#include "serve/serve.h"

/* self_metrics.c: what we are and do ourselves. */
int cgm_serve_put_self(const struct cgm_serve *s, struct cgm_buf *out);
/* self_cluster.c: the newest slices. node: of that one alone ("": of the sums); NULL: of all. */
int cgm_serve_put_cluster(const struct cgm_serve *s, const char *node, struct cgm_buf *out);
