// SPDX-License-Identifier: Apache-2.0
#include "identity/json_cri.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

void cgm_cri_info_done(struct cgm_cri_info *i)
{
	free(i->envs);
	free(i->texts);
	*i = (struct cgm_cri_info){ 0 };
}

static void json_freep(json_t **j)
{
	json_decref(*j);
}

static bool wanted(const char *key, size_t len, const char *prefixes)
{
	struct cgm_str rest = cgm_str(prefixes), prefix;

	while (cgm_next_field(&rest, ',', &prefix)) {
		prefix = cgm_trim(prefix);
		if (prefix.len && prefix.len <= len && memcmp(key, prefix.p, prefix.len) == 0)
			return true;
	}
	return false;
}

/* env: "KEY=VALUE". The texts have room for all. */
static int add_env(struct cgm_cri_info *i, char **end, const char *env, const char *prefixes)
{
	const char *equals = strchr(env, '=');
	struct cgm_pair *pair;

	if (!equals || equals == env || !wanted(env, (size_t)(equals - env), prefixes))
		return 0;
	if (cgm_grow((void **)&i->envs, &i->cap_envs, i->nr_envs, sizeof(*i->envs)) < 0)
		return -ENOMEM;
	pair = &i->envs[i->nr_envs++];
	memcpy(*end, env, strlen(env) + 1);
	pair->key = *end;
	pair->value = *end + (equals - env) + 1;
	(*end)[equals - env] = '\0';
	*end += strlen(env) + 1;
	return 0;
}

static int read_envs(const json_t *list, const char *prefixes, struct cgm_cri_info *ret)
{
	size_t bytes = 0, n;
	json_t *env;
	char *end;

	json_array_foreach(list, n, env)
		if (json_is_string(env))
			bytes += strlen(json_string_value(env)) + 1;
	end = ret->texts = cgm_malloc(bytes);
	if (!end)
		return -ENOMEM;
	json_array_foreach(list, n, env)
		if (json_is_string(env) && add_env(ret, &end, json_string_value(env), prefixes) < 0)
			return -ENOMEM;
	return 0;
}

int cgm_cri_info_read(struct cgm_str json, const char *prefixes, struct cgm_cri_info *ret)
{
	_cleanup_(json_freep) json_t *root = json_loadb(json.p, json.len, JSON_ALLOW_NUL, NULL);
	const json_t *spec;
	json_int_t pid;

	if (!json_is_object(root))
		return -EINVAL;
	pid = json_integer_value(json_object_get(root, "pid"));
	ret->pid = pid > 0 && pid <= INT32_MAX ? (uint32_t)pid : 0;
	if (!*prefixes)
		return 0;
	/* The whole environment, the image's and the pod's. A specification is one itself. */
	spec = json_object_get(root, "runtimeSpec");
	return read_envs(json_object_get(json_object_get(spec ? spec : root, "process"), "env"), prefixes, ret);
}
