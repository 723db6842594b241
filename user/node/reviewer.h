/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the server asks who may ask: a client of the API server of its own, which the answer of one review may not keep waiting for long. */
#pragma once
#include "kube/kube.h"
#include "node/options.h"

/*
 * Completes config (of o) by whom it asks and by the name of this node, a text that must stay. *ret is NULL when nobody is asked. 0, or a negative errno that was
 * said. Before the server stops cgm_kube_cancel() ends what is under way; cgm_kube_close() after.
 */
int cgm_reviewer_open(const struct cgm_options *o, const char *node, struct cgm_review_config *config, struct cgm_kube **ret);
