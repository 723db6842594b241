// SPDX-License-Identifier: Apache-2.0
#include "identity/json_docker.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

static void unref(json_t **j)
{
	json_decref(*j);
}

bool cgm_docker_is_id(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)id[i]) && !strchr("_.-", id[i]))
			return false;
	/* "." and ".." mean something else in a path. */
	return len > 0 && len < CGM_MAX_ID && id[0] != '.';
}

/* The member, NULL where there is none or null; -EINVAL when it is of another type. */
static int member(const json_t *o, const char *key, json_type type, const json_t **ret)
{
	const json_t *v = json_object_get(o, key);

	if (v && json_typeof(v) != type && !json_is_null(v))
		return -EINVAL;
	*ret = v && !json_is_null(v) ? v : NULL;
	return 0;
}

/* An empty text says as much as none. */
static int get_text(const json_t *o, const char *key, const char **ret)
{
	const json_t *v;

	if (member(o, key, JSON_STRING, &v) < 0)
		return -EINVAL;
	*ret = v && json_string_length(v) ? json_string_value(v) : NULL;
	return 0;
}

static int get_integer(const json_t *o, const char *key, int64_t low, int64_t high, int64_t *ret)
{
	const json_t *v;

	if (member(o, key, JSON_INTEGER, &v) < 0)
		return -EINVAL;
	*ret = MIN(MAX((int64_t)json_integer_value(v), low), high);
	return 0;
}

/* Go's zero time, of the year 1, is before 1970: 0. */
static int get_time(const json_t *o, const char *key, uint64_t *ret_ns)
{
	const char *text;
	int64_t ns = 0;

	if (get_text(o, key, &text) < 0 || (text && cgm_parse_rfc3339(cgm_str(text), &ns) < 0))
		return -EINVAL;
	*ret_ns = ns > 0 ? (uint64_t)ns : 0;
	return 0;
}

static enum cgm_who_state state_of(const char *status)
{
	static const struct {
		const char *status;
		enum cgm_who_state state;
	} known[] = {
		{ "created", CGM_STATE_CREATED },     { "initialized", CGM_STATE_CREATED }, { "configured", CGM_STATE_CREATED },
		{ "running", CGM_STATE_RUNNING },     { "stopping", CGM_STATE_RUNNING },    { "paused", CGM_STATE_PAUSED },
		{ "exited", CGM_STATE_EXITED },	      { "stopped", CGM_STATE_EXITED },	    { "restarting", CGM_STATE_EXITED },
		{ "removing", CGM_STATE_EXITED },     { "dead", CGM_STATE_EXITED },
	};

	for (size_t i = 0; status && i < ARRAY_SIZE(known); i++)
		if (strcmp(status, known[i].status) == 0)
			return known[i].state;
	return CGM_STATE_UNKNOWN;
}

/* What a who is made of while its texts are still jansson's. */
struct draft {
	struct cgm_who w;
	char restarts[16];
	char *keys; /* of the environment, in lower case, one behind the other */
};

static void draft_done(struct draft *d)
{
	free(d->w.labels);
	free(d->w.envs);
	free(d->w.volumes);
	free(d->keys);
}

static int read_state(const json_t *state, struct cgm_who *w)
{
	const char *status = NULL;
	const json_t *health;
	int64_t pid, code;

	if (get_text(state, "Status", &status) < 0 || get_time(state, "StartedAt", &w->started_ns) < 0 ||
	    get_time(state, "FinishedAt", &w->finished_ns) < 0 || get_integer(state, "Pid", 0, UINT32_MAX, &pid) < 0 ||
	    get_integer(state, "ExitCode", INT_MIN, INT_MAX, &code) < 0 || member(state, "Health", JSON_OBJECT, &health) < 0 ||
	    get_text(health, "Status", &w->health) < 0)
		return -EINVAL;
	/* docker's word for a container without a check. */
	if (w->health && strcmp(w->health, "none") == 0)
		w->health = NULL;
	w->pid = (uint32_t)pid;
	w->state = state_of(status);
	w->has_exit_code = w->state == CGM_STATE_EXITED && json_object_get(state, "ExitCode");
	w->exit_code = w->has_exit_code ? (int)code : 0;
	return 0;
}

/* With cAdvisor's own label of restarts, which comes first: it counts, not one of the same name. */
static int read_labels(const json_t *labels, struct draft *d)
{
	struct cgm_who *w = &d->w;
	const char *key;
	json_t *value;

	w->labels = cgm_calloc(json_object_size(labels) + 1, sizeof(*w->labels));
	if (!w->labels)
		return -ENOMEM;
	if (w->restart_count) {
		snprintf(d->restarts, sizeof(d->restarts), "%u", w->restart_count);
		w->labels[w->nr_labels++] = (struct cgm_pair){ "restartcount", d->restarts };
	}
	json_object_foreach((json_t *)labels, key, value) {
		if (!json_is_string(value))
			return -EINVAL;
		w->labels[w->nr_labels++] = (struct cgm_pair){ key, json_string_value(value) };
		if (strcmp(key, "io.kubernetes.docker.type") == 0)
			w->is_sandbox = strcmp(json_string_value(value), "podsandbox") == 0;
	}
	cgm_who_pod_labels(w);
	return 0;
}

static int keys_size(const json_t *env, size_t *ret)
{
	size_t size = 0;

	for (size_t i = 0; i < json_array_size(env); i++) {
		const json_t *v = json_array_get(env, i);

		if (!json_is_string(v))
			return -EINVAL;
		size += json_string_length(v) + 1;
	}
	*ret = size;
	return 0;
}

/* Keys in lower case, as cAdvisor has them. A variable without a value is left out. */
static int read_env(const json_t *env, const char *whitelist, struct draft *d)
{
	size_t size;
	char *room;

	if (keys_size(env, &size) < 0)
		return -EINVAL;
	if (!size || !*whitelist)
		return 0;
	d->w.envs = cgm_calloc(json_array_size(env), sizeof(*d->w.envs));
	room = d->keys = cgm_malloc(size);
	if (!d->w.envs || !d->keys)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *text = json_string_value(json_array_get(env, i)), *equals = strchr(text, '=');
		size_t len = equals ? (size_t)(equals - text) : 0;

		if (!len || !cgm_env_is_wanted(whitelist, (struct cgm_str){ text, len }))
			continue;
		d->w.envs[d->w.nr_envs++] = (struct cgm_pair){ room, equals + 1 };
		for (size_t k = 0; k < len; k++)
			*room++ = (char)tolower((unsigned char)text[k]);
		*room++ = '\0';
	}
	return 0;
}

/* Named volumes of the driver "local"; others are other machines', and a bind of the machine's own directory is no container's. */
static int read_volumes(const json_t *mounts, struct draft *d)
{
	struct cgm_who *w = &d->w;

	if (!json_array_size(mounts))
		return 0;
	w->volumes = cgm_calloc(json_array_size(mounts), sizeof(*w->volumes));
	if (!w->volumes)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const json_t *m = json_array_get(mounts, i);
		const char *type, *driver, *name, *source;

		if (get_text(m, "Type", &type) < 0 || get_text(m, "Driver", &driver) < 0 || get_text(m, "Name", &name) < 0 || get_text(m, "Source", &source) < 0)
			return -EINVAL;
		if (type && name && source && *source == '/' && strcmp(type, "volume") == 0 && driver && strcmp(driver, "local") == 0)
			w->volumes[w->nr_volumes++] = (struct cgm_pair){ name, source };
	}
	return 0;
}

/* Data is the driver's own: one that is no overlay has other words there, or none. */
static void read_upper(const json_t *driver, struct cgm_who *w)
{
	const char *upper = json_string_value(json_object_get(json_object_get(driver, "Data"), "UpperDir"));

	w->upper_dir = upper && *upper == '/' ? upper : NULL;
}

static int read_inspect(const json_t *j, const char *whitelist, struct draft *d)
{
	const json_t *state, *config, *labels, *env, *mounts, *host;
	static const char shared[] = "container:";
	struct cgm_who *w = &d->w;
	const char *network;
	int64_t restarts;
	int r;

	if (!json_is_object(j) || get_text(j, "Id", &w->id) < 0 || !w->id || !cgm_docker_is_id(w->id) || get_text(j, "Name", &w->name) < 0 ||
	    get_text(j, "LogPath", &w->log_path) < 0 || get_time(j, "Created", &w->created_ns) < 0 ||
	    get_integer(j, "RestartCount", 0, UINT32_MAX, &restarts) < 0 || member(j, "State", JSON_OBJECT, &state) < 0 ||
	    member(j, "Config", JSON_OBJECT, &config) < 0 || get_text(config, "Image", &w->image) < 0 ||
	    member(config, "Labels", JSON_OBJECT, &labels) < 0 || member(config, "Env", JSON_ARRAY, &env) < 0 ||
	    member(j, "Mounts", JSON_ARRAY, &mounts) < 0 || read_state(state, w) < 0 ||
	    member(j, "HostConfig", JSON_OBJECT, &host) < 0 || get_text(host, "NetworkMode", &network) < 0)
		return -EINVAL;
	w->shares_network = network && strncmp(network, shared, sizeof(shared) - 1) == 0;
	if (w->name && w->name[0] == '/')
		w->name++;
	w->restart_count = (uint32_t)restarts;
	read_upper(json_object_get(j, "GraphDriver"), w);
	r = read_labels(labels, d);
	if (r == 0)
		r = read_volumes(mounts, d);
	return r < 0 ? r : read_env(env, whitelist, d);
}

int cgm_docker_inspect(const char *json, size_t len, const char *runtime, const char *env_whitelist, struct cgm_who **ret)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	_cleanup_(draft_done) struct draft d = { .w.runtime = runtime };
	struct cgm_who *w;
	int r = read_inspect(j, env_whitelist, &d);

	if (r < 0)
		return r;
	w = cgm_who_new(&d.w);
	if (!w)
		return -ENOMEM;
	*ret = w;
	return 0;
}

int cgm_docker_list(const char *json, size_t len, cgm_docker_id_fn *fn, void *arg, size_t *ret_nr_bad)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	size_t nr_bad = 0;

	if (!json_is_array(j))
		return -EINVAL;
	for (size_t i = 0; i < json_array_size(j); i++) {
		const char *id = json_string_value(json_object_get(json_array_get(j, i), "Id"));
		int r = 0;

		if (id && cgm_docker_is_id(id))
			r = fn(arg, id);
		else
			nr_bad++;
		if (r < 0)
			return r;
	}
	*ret_nr_bad = nr_bad;
	return 0;
}

int cgm_docker_version(const char *json, size_t len, char *ret, size_t size)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	const char *version = json_string_value(json_object_get(j, "Version"));

	if (!version)
		return -EINVAL;
	snprintf(ret, size, "%s", version);
	return 0;
}

/* What is looked at and run inside a container (attach, exec_start, top) changes nothing that we tell; a health check does so every few seconds. */
static enum cgm_docker_change change_of(const char *action)
{
	/* cleanup: podman's, after which a stopped container is an exited one. */
	static const char *const changes[] = { "create", "start", "die", "stop", "pause", "unpause", "rename", "update", "restart", "oom", "cleanup" };
	static const char health[] = "health_status"; /* "health_status: healthy" */

	if (strcmp(action, "destroy") == 0 || strcmp(action, "remove") == 0)
		return CGM_DOCKER_GONE;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (strcmp(action, changes[i]) == 0)
			return CGM_DOCKER_CHANGED;
	return strncmp(action, health, sizeof(health) - 1) == 0 ? CGM_DOCKER_CHANGED : CGM_DOCKER_NOTHING;
}

int cgm_docker_event(const char *json, size_t len, struct cgm_docker_event *ret)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	const char *type, *action, *id;
	const json_t *actor;
	struct cgm_docker_event e = { 0 };

	if (!json_is_object(j) || get_text(j, "Type", &type) < 0 || get_text(j, "Action", &action) < 0 || member(j, "Actor", JSON_OBJECT, &actor) < 0 ||
	    get_text(actor, "ID", &id) < 0 || !action)
		return -EINVAL;
	if (!type || strcmp(type, "container") == 0)
		e.change = change_of(action);
	if (e.change != CGM_DOCKER_NOTHING) {
		if (!id || !cgm_docker_is_id(id))
			return -EINVAL;
		snprintf(e.id, sizeof(e.id), "%s", id);
	}
	*ret = e;
	return 0;
}
