// SPDX-License-Identifier: Apache-2.0
#include "node/kubernetes.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"

int cgm_kubernetes_node_name(const struct cgm_kubernetes_options *o, char *ret, size_t size)
{
	const char *name = *o->node_name ? o->node_name : getenv("NODE_NAME");

	if (name && *name)
		return (size_t)snprintf(ret, size, "%s", name) < size ? 0 : -ENAMETOOLONG;
	if (gethostname(ret, size) < 0)
		return -errno;
	for (char *c = ret; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return 0;
}

static int open_kubelet(const struct cgm_kubernetes_options *o, struct cgm_kube **ret)
{
	struct cgm_kube_config c = { .url = o->kubelet, .token_file = o->kubelet_token_file, .ca_file = o->kubelet_ca_file, .insecure = o->kubelet_insecure };
	char fault[CGM_KUBE_FAULT];
	int r = cgm_kube_open(&c, ret, fault);

	if (r < 0)
		cgm_error("--kubelet=%s: %s", o->kubelet, fault);
	return r;
}

static int open_api(const struct cgm_kubernetes_options *o, struct cgm_kube **ret)
{
	bool is_auto = strcmp(o->api, "auto") == 0;
	struct cgm_kube_config c = { .url = is_auto ? "" : o->api, .kubeconfig = o->kubeconfig };
	char fault[CGM_KUBE_FAULT];
	int r;

	if (!*o->api || (is_auto && !*o->kubeconfig && !cgm_kube_in_cluster(&c)))
		return 0;
	r = cgm_kube_open(&c, ret, fault);
	if (r < 0)
		cgm_error("--kubernetes=%s: %s", o->api, fault);
	return r;
}

int cgm_kubernetes_open(const struct cgm_kubernetes_options *o, struct cgm_kubernetes *ret)
{
	char name[256] = "";
	struct cgm_kube_pods_config c = { .node = name, .with_json = true };
	int r = open_api(o, &ret->api);

	if (r == 0 && *o->kubelet)
		r = open_kubelet(o, &ret->kubelet);
	if (r < 0)
		return r;
	c.kube = ret->kubelet ? ret->kubelet : ret->api;
	c.kubelet = ret->kubelet != NULL;
	if (!c.kube)
		return 0;
	r = c.kubelet ? 0 : cgm_kubernetes_node_name(o, name, sizeof(name));
	if (r == 0)
		r = cgm_kube_pods_new(&c, &ret->feed.pods);
	if (r < 0)
		cgm_error("the pods of this node cannot be asked for: %s", strerror(-r));
	else
		cgm_info("asks %s for the pods of %s", cgm_kube_server(c.kube), c.kubelet ? "its node" : name);
	return r;
}

void cgm_kubernetes_close(struct cgm_kubernetes *k)
{
	cgm_kube_pods_free(k->feed.pods);
	cgm_kube_close(k->kubelet);
	cgm_kube_close(k->api);
	*k = (struct cgm_kubernetes){ 0 };
}
