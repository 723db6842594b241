// SPDX-License-Identifier: Apache-2.0
#include "kube/target.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define MAX_KUBECONFIG_BYTES ((size_t)4 << 20)

static bool given(const char *text)
{
	return text && *text;
}

static int no_memory(char *fault)
{
	snprintf(fault, CGM_KUBE_FAULT, "out of memory");
	return -ENOMEM;
}

static char *account_file(const struct cgm_kube_config *c, const char *name)
{
	return cgm_asprintf("%s/%s", c->service_account ? c->service_account : SERVICE_ACCOUNT, name);
}

static const char *service(const char **ret_port)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");

	*ret_port = getenv("KUBERNETES_SERVICE_PORT");
	return given(host) && given(*ret_port) ? host : NULL;
}

bool cgm_kube_in_cluster(const struct cgm_kube_config *config)
{
	_cleanup_free_ char *token = account_file(config, "token");
	const char *port;

	return service(&port) && token && access(token, R_OK) == 0;
}

/* A file of the service account, when there is one. */
static int take_account_file(const struct cgm_kube_config *c, const char *name, char **ret, char *fault)
{
	_cleanup_free_ char *path = account_file(c, name);

	if (!path)
		return no_memory(fault);
	if (access(path, R_OK) == 0)
		*ret = TAKE_PTR(path);
	return 0;
}

/* As a pod is told. A token goes to no server that is not asked over TLS. */
static int from_account(const struct cgm_kube_config *c, struct cgm_kube_target *t, char *fault)
{
	const char *port, *host = service(&port);
	int r;

	if (!t->server && !host) {
		snprintf(fault, CGM_KUBE_FAULT, "there is no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in the environment");
		return -ENOENT;
	}
	if (!t->server)
		t->server = cgm_asprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
	if (!t->server)
		return no_memory(fault);
	if (strncmp(t->server, "https://", 8) != 0)
		return 0;
	r = take_account_file(c, "token", &t->token_file, fault);
	return r == 0 ? take_account_file(c, "ca.crt", &t->ca.path, fault) : r;
}

static int from_file(const struct cgm_kube_config *c, struct cgm_kube_target *t, char *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = cgm_read_all_at(AT_FDCWD, c->kubeconfig, MAX_KUBECONFIG_BYTES, &text, &len);

	if (r < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "%.150s: %s", c->kubeconfig, strerror(-r));
		return r;
	}
	r = cgm_kubeconfig_read(text, len, c->kubeconfig, c->context, t, fault);
	explicit_bzero(text, len);
	return r;
}

static int replace(const char *text, char **ret, char *fault)
{
	char *copy;

	if (!given(text))
		return 0;
	copy = cgm_strdup(text);
	if (!copy)
		return no_memory(fault);
	free(*ret);
	*ret = copy;
	return 0;
}

static void pem_done(struct cgm_kube_pem *p)
{
	if (p->data)
		explicit_bzero(p->data, p->len);
	free(p->data);
	free(p->path);
	*p = (struct cgm_kube_pem){ 0 };
}

static int replace_pem(const char *path, struct cgm_kube_pem *ret, char *fault)
{
	if (!given(path))
		return 0;
	pem_done(ret);
	return replace(path, &ret->path, fault);
}

/* What the configuration says itself goes before. */
static int overlay(const struct cgm_kube_config *c, struct cgm_kube_target *t, char *fault)
{
	int r = replace(c->url, &t->server, fault);

	if (r == 0)
		r = replace(c->token_file, &t->token_file, fault);
	if (r == 0)
		r = replace_pem(c->ca_file, &t->ca, fault);
	if (r == 0)
		r = replace_pem(c->cert_file, &t->cert, fault);
	if (r == 0)
		r = replace_pem(c->key_file, &t->key, fault);
	t->insecure |= c->insecure;
	return r;
}

/* scheme://host[:port][/path], and nothing that does not belong there. */
static int check_server(struct cgm_kube_target *t, char *fault)
{
	const char *host = strncmp(t->server, "https://", 8) == 0 ? t->server + 8 : strncmp(t->server, "http://", 7) == 0 ? t->server + 7 : NULL;
	size_t len = strlen(t->server);

	if (!host || !*host || *host == '/' || strpbrk(host, "?#@ \t\r\n")) {
		snprintf(fault, CGM_KUBE_FAULT, "the server's address is no http://HOST:PORT or https://HOST:PORT: %.120s", t->server);
		return -EINVAL;
	}
	while (len && t->server[len - 1] == '/')
		t->server[--len] = '\0';
	return 0;
}

int cgm_kube_target_read(const struct cgm_kube_config *config, struct cgm_kube_target *ret, char *fault)
{
	int r = replace(config->url, &ret->server, fault);

	if (r == 0)
		r = given(config->kubeconfig) ? from_file(config, ret, fault) : from_account(config, ret, fault);
	if (r == 0)
		r = overlay(config, ret, fault);
	return r == 0 ? check_server(ret, fault) : r;
}

static void wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void cgm_kube_target_done(struct cgm_kube_target *t)
{
	pem_done(&t->ca);
	pem_done(&t->cert);
	pem_done(&t->key);
	wipe(&t->token);
	wipe(&t->password);
	free(t->server);
	free(t->tls_server_name);
	free(t->proxy);
	free(t->token_file);
	free(t->username);
	*t = (struct cgm_kube_target){ 0 };
}
