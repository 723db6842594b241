// SPDX-License-Identifier: Apache-2.0
#include "node/reviewer.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/review.h"

#define TIMEOUT_NS (5 * CGM_NSEC_PER_SEC)

static int review_token(void *arg, const char *token, struct cgm_kube_user *ret, char *fault)
{
	return cgm_kube_token_review(arg, token, ret, fault);
}

static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	return cgm_kube_access_review(arg, u, a, fault);
}

int cgm_reviewer_open(const struct cgm_options *o, const char *node, struct cgm_review_config *config, struct cgm_kube **ret)
{
	const char *api = o->kubernetes.api, *flag = config->tokens ? "authentication_token_webhook" : "authorization_mode";
	struct cgm_kube_config kube = { .url = strcmp(api, "auto") == 0 ? "" : api, .kubeconfig = o->kubernetes.kubeconfig, .timeout_ns = TIMEOUT_NS };
	char fault[CGM_KUBE_FAULT] = "--kubernetes is empty";
	int r = -EINVAL;

	*ret = NULL;
	if (!config->tokens && !config->authorize)
		return 0;
	if (*api)
		r = cgm_kube_open(&kube, ret, fault);
	if (r < 0) {
		cgm_error("--%s: no API server can be asked: %s", flag, fault);
		return r;
	}
	config->reviewer = (struct cgm_reviewer){ review_token, review_access, *ret };
	config->node = node;
	cgm_info("who may ask is reviewed by %s, as an access to node %s", cgm_kube_server(*ret), node);
	return 0;
}
