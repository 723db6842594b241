// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/uri.h"
#include "source/internal.h"

#define KUBELET_READ_ONLY_PORT 10255
#define CADVISOR_PORT 8080
#define HOSTS_FILE "/var/run/heapster/hosts"
#define NO_ACCOUNT "/dev/null" /* a folder that nobody has */

static const char *const address_types[] = {
	[CGM_ADDRESS_HOSTNAME] = "Hostname",	     [CGM_ADDRESS_INTERNAL_DNS] = "InternalDNS", [CGM_ADDRESS_INTERNAL_IP] = "InternalIP",
	[CGM_ADDRESS_LEGACY_IP] = "LegacyHostIP", [CGM_ADDRESS_EXTERNAL_DNS] = "ExternalDNS", [CGM_ADDRESS_EXTERNAL_IP] = "ExternalIP",
};

static int no_memory(char *fault)
{
	snprintf(fault, CGM_SOURCE_FAULT, "out of memory");
	return -ENOMEM;
}

#define INVALID(fault, ...) (snprintf(fault, CGM_SOURCE_FAULT, __VA_ARGS__), -EINVAL)

static int take_text(struct cgm_uri *u, const char *name, char **ret, char *fault)
{
	const char *value = cgm_uri_option(u, name, 0);

	if (!value || !*value)
		return 0;
	*ret = cgm_strdup(value);
	return *ret ? 0 : no_memory(fault);
}

static int take_port(struct cgm_uri *u, const char *name, unsigned *ret, char *fault)
{
	unsigned long port = *ret;

	if (!cgm_uri_number(u, name, &port, fault, CGM_SOURCE_FAULT))
		return -EINVAL;
	if (cgm_uri_option(u, name, 0) && (port == 0 || port > 65535))
		return INVALID(fault, "option %s: \"%.60s\" is no port", name, cgm_uri_option(u, name, 0));
	*ret = (unsigned)port;
	return 0;
}

/* ---- nodes: ---- */

static int read_list(const char *list, char *fault)
{
	struct cgm_str rest = cgm_str(list), one;
	size_t nr = 0;
	int r = 0;

	while (r == 0 && cgm_next_field(&rest, ',', &one)) {
		_cleanup_(cgm_source_node_freep) struct cgm_source_node *n = NULL;
		_cleanup_free_ char *text = cgm_strndup(one.p, one.len);

		if (!text)
			return no_memory(fault);
		if (!one.len)
			continue;
		r = cgm_source_address_read(text, &n, fault);
		nr++;
	}
	return r < 0 || nr ? r : INVALID(fault, "nodes: neither an address nor a file is named");
}

static int read_nodes(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	int r = take_text(u, "caFile", &o->ca_file, fault);

	if (r == 0)
		r = take_text(u, "certFile", &o->cert_file, fault);
	if (r == 0)
		r = take_text(u, "keyFile", &o->key_file, fault);
	if (r == 0)
		r = take_text(u, "tokenFile", &o->token_file, fault);
	if (r < 0)
		return r;
	if (!cgm_uri_bool(u, "insecure", &o->kubelet_insecure, fault, CGM_SOURCE_FAULT))
		return -EINVAL;
	o->kind = *u->rest == '/' ? CGM_SOURCE_FILE : CGM_SOURCE_LIST;
	o->text = cgm_strdup(o->kind == CGM_SOURCE_FILE ? u->path : u->rest);
	if (!o->text)
		return no_memory(fault);
	return o->kind == CGM_SOURCE_FILE ? 0 : read_list(o->text, fault);
}

/* ---- cadvisor: ---- */

static int read_cadvisor(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	bool standalone = false;
	int r;

	if (strcmp(u->rest, "external") != 0)
		return INVALID(fault, "cadvisor:%.60s: only cadvisor:external is known", u->rest);
	o->kubelet_port = CADVISOR_PORT;
	r = take_port(u, "cadvisorPort", &o->kubelet_port, fault);
	if (r == 0 && !cgm_uri_bool(u, "standalone", &standalone, fault, CGM_SOURCE_FAULT))
		r = -EINVAL;
	if (r == 0)
		r = take_text(u, "hostsFile", &o->text, fault);
	if (r < 0)
		return r;
	o->kind = standalone ? CGM_SOURCE_CADVISOR : CGM_SOURCE_HOSTS;
	if (!o->text && !standalone)
		o->text = cgm_strdup(HOSTS_FILE);
	return o->text || standalone ? 0 : no_memory(fault);
}

/* ---- kubernetes: ---- */

static int take_address_types(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	static const uint8_t heapsters[] = { CGM_ADDRESS_INTERNAL_IP, CGM_ADDRESS_LEGACY_IP, CGM_ADDRESS_EXTERNAL_IP, CGM_ADDRESS_INTERNAL_DNS, CGM_ADDRESS_EXTERNAL_DNS };
	const char *value = cgm_uri_option(u, "addressTypes", 0);
	struct cgm_str rest = cgm_str(value ? value : ""), one;

	while (cgm_next_field(&rest, ',', &one)) {
		uint8_t type = 0;

		while (type < CGM_NR_ADDRESSES && !cgm_str_eq(one, address_types[type]))
			type++;
		if (type == CGM_NR_ADDRESSES || o->nr_addresses == CGM_NR_ADDRESSES)
			return INVALID(fault, "option addressTypes: \"%.*s\" is none of Hostname, InternalDNS, InternalIP, LegacyHostIP, ExternalDNS, ExternalIP",
				       (int)MIN(one.len, (size_t)40), one.p);
		o->addresses[o->nr_addresses++] = type;
	}
	if (!o->nr_addresses) {
		memcpy(o->addresses, heapsters, sizeof(heapsters));
		o->nr_addresses = sizeof(heapsters);
	}
	return 0;
}

static int take_kubelet(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	int r = take_port(u, "kubeletPort", &o->kubelet_port, fault);

	if (r == 0)
		r = take_text(u, "kubeletCaFile", &o->ca_file, fault);
	if (r == 0)
		r = take_text(u, "kubeletCertFile", &o->cert_file, fault);
	if (r == 0)
		r = take_text(u, "kubeletKeyFile", &o->key_file, fault);
	if (r == 0)
		r = take_address_types(u, o, fault);
	if (r < 0)
		return r;
	if (!cgm_uri_bool(u, "kubeletHttps", &o->kubelet_https, fault, CGM_SOURCE_FAULT) ||
	    !cgm_uri_bool(u, "kubeletInsecure", &o->kubelet_insecure, fault, CGM_SOURCE_FAULT))
		return -EINVAL;
	if (!o->kubelet_https && !o->kubelet_port)
		o->kubelet_port = KUBELET_READ_ONLY_PORT;
	return 0;
}

static int take_server(const struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	if (!*u->host)
		return *u->rest ? INVALID(fault, "%s: the API server's address is no http://HOST:PORT or https://HOST:PORT", u->prefix) : 0;
	if (strcmp(u->scheme, "http") != 0 && strcmp(u->scheme, "https") != 0)
		return INVALID(fault, "%s: the API server's address must begin with http:// or https://", u->prefix);
	if (*u->user)
		return INVALID(fault, "%s: an API server takes no user in its address; auth=KUBECONFIG can have one", u->prefix);
	o->server = cgm_asprintf(strchr(u->host, ':') ? "%s://[%s]:%u%s" : "%s://%s:%u%s", u->scheme, u->host, u->port ? u->port : *u->scheme && u->scheme[4] ? 443 : 80, u->path);
	return o->server ? 0 : no_memory(fault);
}

static int read_kubernetes(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	const char *version = cgm_uri_option(u, "apiVersion", 0);
	int r;

	o->in_cluster = true;
	if (!cgm_uri_bool(u, "inClusterConfig", &o->in_cluster, fault, CGM_SOURCE_FAULT) || !cgm_uri_bool(u, "insecure", &o->insecure, fault, CGM_SOURCE_FAULT) ||
	    !cgm_uri_bool(u, "useServiceAccount", &o->use_account, fault, CGM_SOURCE_FAULT))
		return -EINVAL;
	if (version && *version && strcmp(version, "v1") != 0)
		return INVALID(fault, "option apiVersion: \"%.60s\" is not spoken here; v1 is", version);
	r = take_text(u, "auth", &o->kubeconfig, fault);
	if (r == 0)
		r = take_kubelet(u, o, fault);
	if (r == 0 && o->kind == CGM_SOURCE_SUMMARY)
		r = take_text(u, "host_id_annotation", &o->host_id_annotation, fault);
	if (r == 0)
		r = take_server(u, o, fault);
	if (r == 0 && o->in_cluster && o->kubeconfig)
		r = INVALID(fault, "option auth: a kubeconfig is read only with inClusterConfig=false");
	if (r == 0 && !o->in_cluster && !o->kubeconfig && !o->server)
		r = INVALID(fault, "inClusterConfig=false needs the API server's address, or auth=KUBECONFIG");
	return r;
}

/* ---- all of it ---- */

static int read_kind(struct cgm_uri *u, struct cgm_source_options *o, char *fault)
{
	if (strcmp(u->prefix, "nodes") == 0)
		return read_nodes(u, o, fault);
	if (strcmp(u->prefix, "cadvisor") == 0)
		return read_cadvisor(u, o, fault);
	o->kind = strcmp(u->prefix, "kubernetes") == 0 ? CGM_SOURCE_KUBERNETES : CGM_SOURCE_SUMMARY;
	if (o->kind == CGM_SOURCE_KUBERNETES || strcmp(u->prefix, "kubernetes.summary_api") == 0)
		return read_kubernetes(u, o, fault);
	return INVALID(fault, "%.60s: no such source; there are kubernetes, kubernetes.summary_api, nodes, cadvisor", u->prefix);
}

int cgm_source_options_read(const char *uri, struct cgm_source_options *ret, char *fault)
{
	struct cgm_source_options o = { 0 };
	struct cgm_uri u = { 0 };
	int r;

	if (!*uri) {
		*ret = o;
		return 0;
	}
	r = cgm_uri_read(uri, &u, fault, CGM_SOURCE_FAULT);
	if (r == 0)
		r = read_kind(&u, &o, fault);
	if (r == 0 && cgm_uri_unused(&u))
		r = INVALID(fault, "%.60s: there is no option %.60s", u.prefix, cgm_uri_unused(&u));
	cgm_uri_done(&u);
	if (r < 0)
		cgm_source_options_done(&o);
	else
		*ret = o;
	return r;
}

void cgm_source_options_done(struct cgm_source_options *o)
{
	free(o->text);
	free(o->server);
	free(o->kubeconfig);
	free(o->ca_file);
	free(o->cert_file);
	free(o->key_file);
	free(o->token_file);
	free(o->host_id_annotation);
	*o = (struct cgm_source_options){ 0 };
}

bool cgm_source_needs_kube(const struct cgm_source_options *o)
{
	return o->kind == CGM_SOURCE_KUBERNETES || o->kind == CGM_SOURCE_SUMMARY;
}

int cgm_source_check(const char *uri, char *fault)
{
	struct cgm_source_options o;
	int r = cgm_source_options_read(uri, &o, fault);

	if (r == 0)
		cgm_source_options_done(&o);
	return r;
}

int cgm_source_kube_config(const char *uri, struct cgm_kube_config *ret, bool *ret_needed, struct cgm_source_kube_texts *ret_texts, char *fault)
{
	struct cgm_source_options o;
	int r = cgm_source_options_read(uri, &o, fault);

	if (r < 0)
		return r;
	*ret_needed = cgm_source_needs_kube(&o);
	*ret_texts = (struct cgm_source_kube_texts){ 0 };
	if (*ret_needed) {
		if (!o.kubeconfig)
			ret_texts->url = TAKE_PTR(o.server);
		ret_texts->kubeconfig = TAKE_PTR(o.kubeconfig);
		*ret = (struct cgm_kube_config){
			.url = ret_texts->url,
			.kubeconfig = ret_texts->kubeconfig,
			.insecure = o.insecure,
			.service_account = o.in_cluster || o.use_account ? NULL : NO_ACCOUNT,
		};
	}
	cgm_source_options_done(&o);
	return 0;
}

void cgm_source_kube_texts_done(struct cgm_source_kube_texts *t)
{
	free(t->url);
	free(t->kubeconfig);
	*t = (struct cgm_source_kube_texts){ 0 };
}
