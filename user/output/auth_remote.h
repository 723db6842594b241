/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks, as a front proxy says it in headers (Kubernetes' request-header authentication): an API server that hands requests on proves itself by its
 * certificate, and names the user. From anybody else these headers mean nothing. The server's threads.
 */
#pragma once
#include "output/auth.h"

struct cgm_request;
/* Is the name one of list, which has commas between them? */
bool cgm_auth_is_listed(const char *name, const char *list);
/* 1: *ret is whom the proxy names; 0: the client is no such proxy, or names nobody; a negative errno: -EKEYEXPIRED, -EINVAL, -ENOMEM. */
int cgm_auth_remote(const struct cgm_remote_config *c, struct cgm_request *rq, struct cgm_kube_user *ret);
