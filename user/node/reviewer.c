// SPDX-License-Identifier: Apache-2.0
#include "node/reviewer.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "kube/review.h"
#include "output/kubelet.h"

#define TIMEOUT_NS (5 * CGM_NSEC_PER_SEC)

static int review_token(void *arg, const char *token, struct cgm_kube_user *ret, char *fault)
{
	return cgm_kube_token_review(arg, token, ret, fault);
}

static int review_access(void *arg, const struct cgm_kube_user *u, const struct cgm_kube_access *a, char *fault)
{
	return cgm_kube_access_review(arg, u, a, fault);
}

int cgm_reviewer_open(const struct cgm_options *o, struct cgm_review_config *config, struct cgm_kube **ret)
{
	struct cgm_kube_config kube = { .url = o->kube_url, .kubeconfig = o->kubeconfig, .timeout_ns = TIMEOUT_NS };
	static struct cgm_kubelet_node node;
	char fault[CGM_KUBE_FAULT];
	int r;

	*ret = NULL;
	if (!config->tokens && !config->authorize)
		return 0;
	r = cgm_kube_open(&kube, ret, fault);
	if (r < 0) {
		cgm_error("--%s: no API server can be asked: %s", config->tokens ? "authentication_token_webhook" : "authorization_mode", fault);
		return r;
	}
	cgm_kubelet_node_read(-1, NULL, 0, &node);
	config->reviewer = (struct cgm_reviewer){ review_token, review_access, *ret };
	config->node = node.name;
	cgm_info("who may ask is reviewed by %s, as an access to node %s", cgm_kube_server(*ret), node.name);
	return 0;
}
