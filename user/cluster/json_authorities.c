// SPDX-License-Identifier: Apache-2.0
/* Whose certificates an extension of the API server trusts: the API server keeps that in a config map. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cluster/identity.h"

#define MAX_BYTES (1 << 20)

static int copy(const json_t *data, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(data, key));

	if (!text || !*text)
		return 0;
	*ret = cgm_strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* The names stand in a text as a JSON list of their own. No text and an empty list are all names; what is no list of names must not become that. */
static int copy_names(const json_t *data, char **ret)
{
	const char *text = json_string_value(json_object_get(data, "requestheader-allowed-names"));
	_cleanup_(cgm_buf_done) struct cgm_buf b = { 0 };
	json_t *list = text && *text ? json_loads(text, 0, NULL) : NULL;
	bool good = !text || !*text || json_is_array(list);
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v) {
		const char *name = json_string_value(v);

		good &= name && *name && !strchr(name, ',');
		cgm_buf_printf(&b, "%s%s", i ? "," : "", name ? name : "");
	}
	json_decref(list);
	if (!good)
		return -EINVAL;
	if (!b.len && !b.failed)
		return 0;
	cgm_buf_char(&b, '\0');
	if (b.failed)
		return -ENOMEM;
	*ret = TAKE_PTR(b.p);
	return 0;
}

int cgm_authorities_ask(struct cgm_kube *kube, struct cgm_authorities *ret, char *fault)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct cgm_authorities a = { 0 };
	json_t *root, *data;
	unsigned status;
	int r = cgm_kube_request(kube, "GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", NULL, MAX_BYTES, &answer, &status, fault);

	if (r < 0)
		return r;
	if (status != 200) {
		snprintf(fault, CGM_KUBE_FAULT, "it answers %u%s", status, status == 403 ? " (the role extension-apiserver-authentication-reader is wanted)" : "");
		return status == 404 ? -ENOENT : -EACCES;
	}
	root = json_loadb(answer.p, answer.len, 0, NULL);
	data = json_object_get(root, "data");
	r = copy(data, "client-ca-file", &a.client_ca);
	if (r == 0)
		r = copy(data, "requestheader-client-ca-file", &a.header_ca);
	if (r == 0)
		r = copy_names(data, &a.header_names);
	if (!data)
		r = -EINVAL;
	json_decref(root);
	if (r < 0) {
		snprintf(fault, CGM_KUBE_FAULT, "%s", r == -ENOMEM ? "out of memory" : "its answer is no config map, or what stands in it cannot be read");
		cgm_authorities_done(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void cgm_authorities_done(struct cgm_authorities *a)
{
	free(a->client_ca);
	free(a->header_ca);
	free(a->header_names);
	*a = (struct cgm_authorities){ 0 };
}
