// SPDX-License-Identifier: Apache-2.0
/* kubectl's file of clusters, users and contexts. What it says and we cannot do is a fault, never silently left out. */
#include <errno.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/parse.h"
#include "kube/target.h"
#include "kube/yaml.h"

struct reader {
	struct cgm_yaml *y;
	const char *path;
	char *fault;
};

/* What is wrong with a node; NULL as its key: with the file. */
static int bad(const struct reader *r, int node, const char *key, const char *what)
{
	snprintf(r->fault, CGM_KUBE_FAULT, "%.100s:%u: %.60s%s%.80s", r->path, cgm_yaml_line(r->y, node), key ? key : "", key ? ": " : "", what);
	return -EINVAL;
}

static int no_memory(const struct reader *r)
{
	snprintf(r->fault, CGM_KUBE_FAULT, "out of memory");
	return -ENOMEM;
}

/* A text, "" when it is not there. NULL with a fault: it is none. */
static const char *text_of(const struct reader *r, int mapping, const char *key)
{
	int node = cgm_yaml_get(r->y, mapping, key);
	const char *text = node ? cgm_yaml_text(r->y, node) : "";

	if (!text)
		bad(r, node, key, "is no text");
	return text;
}

static int read_text(const struct reader *r, int mapping, const char *key, char **ret)
{
	const char *text = text_of(r, mapping, key);

	if (!text)
		return -EINVAL;
	if (!*text)
		return 0;
	free(*ret);
	*ret = cgm_strdup(text);
	return *ret ? 0 : no_memory(r);
}

/* Relative paths are relative to the file. */
static int read_path(const struct reader *r, int mapping, const char *key, char **ret)
{
	const char *text = text_of(r, mapping, key), *slash = strrchr(r->path, '/');

	if (!text)
		return -EINVAL;
	if (!*text)
		return 0;
	*ret = *text == '/' || !slash ? cgm_strdup(text) : cgm_asprintf("%.*s/%s", (int)(slash - r->path), r->path, text);
	return *ret ? 0 : no_memory(r);
}

static int read_bool(const struct reader *r, int mapping, const char *key, bool *ret)
{
	const char *text = text_of(r, mapping, key);

	if (!text)
		return -EINVAL;
	if (!*text || cgm_parse_bool(cgm_str(text), ret) == 0)
		return 0;
	return bad(r, cgm_yaml_get(r->y, mapping, key), key, "is neither true nor false");
}

static int read_data(const struct reader *r, int mapping, const char *key, struct cgm_kube_pem *ret)
{
	const char *text = text_of(r, mapping, key);
	_cleanup_free_ char *packed = NULL;
	size_t len = 0;
	long n;

	if (!text)
		return -EINVAL;
	if (!*text)
		return 0;
	packed = cgm_malloc(strlen(text) + 1);
	ret->data = cgm_malloc(strlen(text) + 1);
	if (!packed || !ret->data)
		return no_memory(r);
	for (; *text; text++) /* lines may be folded */
		if (!strchr(" \t\r\n", *text))
			packed[len++] = *text;
	n = cgm_unbase64(packed, len, ret->data, len);
	explicit_bzero(packed, len);
	if (n <= 0)
		return bad(r, cgm_yaml_get(r->y, mapping, key), key, "is no base64");
	ret->len = (size_t)n;
	return 0;
}

/* data goes before the file, as kubectl has it. */
static int read_pem(const struct reader *r, int mapping, const char *path_key, const char *data_key, struct cgm_kube_pem *ret)
{
	int err = read_data(r, mapping, data_key, ret);

	return err < 0 || ret->data ? err : read_path(r, mapping, path_key, &ret->path);
}

/* The mapping `what` of the entry of the list `list` that has this name. 0 with a fault. */
static int find_entry(const struct reader *r, const char *list, const char *name, const char *what, int at)
{
	int nodes = cgm_yaml_get(r->y, cgm_yaml_root(r->y), list), node;
	char text[90];

	for (size_t i = 0; (node = cgm_yaml_item(r->y, nodes, i)); i++) {
		const char *own = cgm_yaml_text(r->y, cgm_yaml_get(r->y, node, "name"));

		if (own && strcmp(own, name) == 0)
			return cgm_yaml_get(r->y, node, what) ? cgm_yaml_get(r->y, node, what) : node;
	}
	snprintf(text, sizeof(text), "there is no %s of that name in %s: %.40s", what, list, name);
	bad(r, at, NULL, text);
	return 0;
}

static int read_cluster(const struct reader *r, int node, struct cgm_kube_target *t)
{
	int err = read_text(r, node, "server", &t->server);

	if (err == 0 && !t->server)
		return bad(r, node, "server", "is not given");
	if (err == 0)
		err = read_pem(r, node, "certificate-authority", "certificate-authority-data", &t->ca);
	if (err == 0)
		err = read_bool(r, node, "insecure-skip-tls-verify", &t->insecure);
	if (err == 0)
		err = read_text(r, node, "tls-server-name", &t->tls_server_name);
	if (err == 0)
		err = read_text(r, node, "proxy-url", &t->proxy);
	if (err == 0 && t->insecure && (t->ca.path || t->ca.data))
		return bad(r, node, "insecure-skip-tls-verify", "and a certificate-authority exclude each other");
	return err;
}

static int refuse(const struct reader *r, int user)
{
	static const struct {
		const char *key, *why;
	} table[] = {
		{ "exec", "plug-ins that are run for a token are not supported; use tokenFile or a client certificate" },
		{ "auth-provider", "is not supported; use tokenFile or a client certificate" },
		{ "as", "to act as another is not supported" },
		{ "as-uid", "to act as another is not supported" },
		{ "as-groups", "to act as another is not supported" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int node = cgm_yaml_get(r->y, user, table[i].key);
		const char *command = i == 0 && node ? cgm_yaml_text(r->y, cgm_yaml_get(r->y, node, "command")) : NULL;
		char key[60];

		if (!node)
			continue;
		snprintf(key, sizeof(key), command && *command ? "%s (%.40s)" : "%s", table[i].key, command);
		return bad(r, node, key, table[i].why);
	}
	return 0;
}

static int read_user(const struct reader *r, int node, struct cgm_kube_target *t)
{
	int err = refuse(r, node);

	if (err == 0)
		err = read_text(r, node, "token", &t->token);
	if (err == 0)
		err = read_path(r, node, "tokenFile", &t->token_file);
	if (err == 0)
		err = read_pem(r, node, "client-certificate", "client-certificate-data", &t->cert);
	if (err == 0)
		err = read_pem(r, node, "client-key", "client-key-data", &t->key);
	if (err == 0)
		err = read_text(r, node, "username", &t->username);
	if (err == 0)
		err = read_text(r, node, "password", &t->password);
	if (err == 0 && (t->cert.path || t->cert.data) != (t->key.path || t->key.data))
		return bad(r, node, "client-certificate", "and client-key go together");
	return err;
}

static int read_context(const struct reader *r, const char *context, struct cgm_kube_target *t)
{
	int root = cgm_yaml_root(r->y), node, cluster, user;
	const char *cluster_name, *user_name;
	int err;

	if (!context || !*context)
		context = text_of(r, root, "current-context");
	if (!context)
		return -EINVAL;
	if (!*context)
		return bad(r, root, "current-context", "is not given");
	node = find_entry(r, "contexts", context, "context", root);
	cluster_name = node ? text_of(r, node, "cluster") : NULL;
	user_name = cluster_name ? text_of(r, node, "user") : NULL;
	if (!user_name)
		return -EINVAL;
	cluster = find_entry(r, "clusters", cluster_name, "cluster", node);
	if (!cluster)
		return -EINVAL;
	err = read_cluster(r, cluster, t);
	if (err < 0 || !*user_name)
		return err;
	user = find_entry(r, "users", user_name, "user", node);
	return user ? read_user(r, user, t) : -EINVAL;
}

int cgm_kubeconfig_read(const char *text, size_t len, const char *path, const char *context, struct cgm_kube_target *ret, char *fault)
{
	_cleanup_(cgm_yaml_freep) struct cgm_yaml *y = NULL;
	struct reader r = { .path = path, .fault = fault };
	char why[CGM_YAML_FAULT];
	int err = cgm_yaml_read(text, len, &y, why);

	if (err < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "%.120s: %.120s", path, why);
		return err;
	}
	r.y = y;
	return read_context(&r, context, ret);
}
