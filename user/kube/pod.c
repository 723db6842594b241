// SPDX-License-Identifier: Apache-2.0
#include "kube/pod.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "kube/quantity.h"
#include "kube/room.h"

/* Where text is in a list of names, from 1; 0: nowhere. */
static int index_of(const char *text, const char *const *names)
{
	for (int i = 0; text && names[i]; i++)
		if (strcmp(text, names[i]) == 0)
			return i + 1;
	return 0;
}

static void read_resources(struct cgm_room *m, const json_t *resources, struct cgm_kube_container *c)
{
	const json_t *requests = json_object_get(resources, "requests"), *limits = json_object_get(resources, "limits");

	c->cpu_request_milli = cgm_room_quantity(m, requests, "cpu", cgm_quantity_milli);
	c->cpu_limit_milli = cgm_room_quantity(m, limits, "cpu", cgm_quantity_milli);
	c->memory_request_bytes = cgm_room_quantity(m, requests, "memory", cgm_quantity_units);
	c->memory_limit_bytes = cgm_room_quantity(m, limits, "memory", cgm_quantity_units);
}

/* "containerd://ID" */
static void read_id(struct cgm_room *m, const char *text, struct cgm_kube_life *l)
{
	const char *colon = text ? strstr(text, "://") : NULL;

	if (!colon || colon == text || !colon[3])
		return;
	l->runtime = cgm_room_text_n(m, text, (size_t)(colon - text));
	l->id = cgm_room_text(m, colon + 3);
}

/* state: {"running": {…}}. Its own id goes before that of the container. */
static void read_life(struct cgm_room *m, const json_t *state, const char *id, struct cgm_kube_life *l)
{
	const json_t *terminated = json_object_get(state, "terminated"), *running = json_object_get(state, "running"),
		     *waiting = json_object_get(state, "waiting"), *of = terminated ? terminated : running ? running : waiting;
	const char *own = cgm_json_text(terminated, "containerID");

	read_id(m, own && *own ? own : id, l);
	if (!json_is_object(of))
		return;
	l->state = terminated ? CGM_KUBE_STATE_TERMINATED : running ? CGM_KUBE_STATE_RUNNING : CGM_KUBE_STATE_WAITING;
	l->reason = cgm_room_member(m, of, "reason");
	l->started_ns = cgm_room_time(of, "startedAt");
	l->finished_ns = cgm_room_time(of, "finishedAt");
	l->exit_code = (int)json_integer_value(json_object_get(terminated, "exitCode"));
}

static const json_t *find_named(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (cgm_json_text(item, "name") && strcmp(cgm_json_text(item, "name"), name) == 0)
			return item;
	return NULL;
}

static void read_container(struct cgm_room *m, const json_t *spec, const json_t *statuses, enum cgm_kube_kind kind, struct cgm_kube_container *c)
{
	const char *name = cgm_json_text(spec, "name");
	const json_t *status = find_named(statuses, name);
	json_int_t restarts = json_integer_value(json_object_get(status, "restartCount"));

	c->kind = kind;
	c->name = cgm_room_text(m, name);
	c->image = cgm_room_member(m, spec, "image");
	c->image_id = cgm_room_member(m, status, "imageID");
	c->restart_count = restarts > 0 && restarts <= UINT32_MAX ? (uint32_t)restarts : 0;
	read_life(m, json_object_get(status, "state"), cgm_json_text(status, "containerID"), &c->now);
	read_life(m, json_object_get(status, "lastState"), NULL, &c->last);
	read_resources(m, json_object_get(spec, "resources"), c);
}

static const struct {
	const char *spec, *status;
} kinds[] = {
	[CGM_KUBE_MAIN] = { "containers", "containerStatuses" },
	[CGM_KUBE_INIT] = { "initContainers", "initContainerStatuses" },
	[CGM_KUBE_EPHEMERAL] = { "ephemeralContainers", "ephemeralContainerStatuses" },
};

static void read_containers(struct cgm_room *m, const json_t *spec, const json_t *status, struct cgm_kube_pod *p)
{
	struct cgm_kube_container *to;
	size_t nr = 0, i;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		nr += json_array_size(json_object_get(spec, kinds[k].spec));
	to = cgm_room_take(m, nr * sizeof(struct cgm_kube_container), alignof(struct cgm_kube_container));
	nr = 0;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		const json_t *item;

		json_array_foreach(json_object_get(spec, kinds[k].spec), i, item) {
			struct cgm_kube_container c = { 0 };

			if (!cgm_json_text(item, "name"))
				continue;
			read_container(m, item, json_object_get(status, kinds[k].status), (enum cgm_kube_kind)k, &c);
			if (to)
				to[nr++] = c;
		}
	}
	p->containers = to;
	p->nr_containers = nr;
}

/* A volume is its name and one more member, which says what it is. */
static void read_volumes(struct cgm_room *m, const json_t *volumes, struct cgm_kube_pod *p)
{
	struct cgm_kube_volume *to = cgm_room_take(m, json_array_size(volumes) * sizeof(struct cgm_kube_volume), alignof(struct cgm_kube_volume));
	json_t *item, *value;
	const char *key;
	size_t i, nr = 0;

	json_array_foreach(volumes, i, item) {
		struct cgm_kube_volume v = { .name = cgm_room_member(m, item, "name") };

		if (!cgm_json_text(item, "name"))
			continue;
		json_object_foreach(item, key, value)
			if (strcmp(key, "name") != 0) {
				v.kind = cgm_room_text(m, key);
				v.claim = cgm_room_member(m, value, "claimName");
				break;
			}
		if (to)
			to[nr++] = v;
	}
	p->volumes = to;
	p->nr_volumes = nr;
}

/* The kubelet names the cgroup of a static pod by the hash of its file; the API server shows a mirror of it with an uid of its own. */
static const char *hash_of(const json_t *meta)
{
	const json_t *annotations = json_object_get(meta, "annotations");
	const char *hash = cgm_json_text(annotations, "kubernetes.io/config.mirror");

	if (!hash)
		hash = cgm_json_text(annotations, "kubernetes.io/config.hash");
	return hash && *hash ? hash : NULL;
}

static struct cgm_kube_pod *read_all(struct cgm_room *m, const json_t *object, const char *json)
{
	static const char *const phases[] = { "Pending", "Running", "Succeeded", "Failed", NULL }, *const classes[] = { "Guaranteed", "Burstable", "BestEffort", NULL };
	const json_t *meta = json_object_get(object, "metadata"), *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
	struct cgm_kube_pod *to = cgm_room_take(m, sizeof(struct cgm_kube_pod), alignof(struct cgm_kube_pod)), p = { .refs = 1 };

	p.name = cgm_room_member(m, meta, "name");
	p.pod_namespace = cgm_room_member(m, meta, "namespace");
	p.uid = cgm_room_member(m, meta, "uid");
	p.cgroup_uid = hash_of(meta) ? cgm_room_text(m, hash_of(meta)) : p.uid;
	p.version = cgm_room_member(m, meta, "resourceVersion");
	p.node = cgm_room_member(m, spec, "nodeName");
	p.phase = (enum cgm_kube_phase)index_of(cgm_json_text(status, "phase"), phases);
	p.qos = (enum cgm_kube_qos)index_of(cgm_json_text(status, "qosClass"), classes);
	p.host_network = json_is_true(json_object_get(spec, "hostNetwork"));
	p.created_ns = cgm_room_time(meta, "creationTimestamp");
	p.started_ns = cgm_room_time(status, "startTime");
	p.labels = cgm_room_labels(m, json_object_get(meta, "labels"), &p.nr_labels);
	read_containers(m, spec, status, &p);
	read_volumes(m, json_object_get(spec, "volumes"), &p);
	p.json = cgm_room_text(m, json);
	p.json_len = json ? strlen(json) : 0;
	if (to)
		*to = p;
	return to;
}

/* NULL: out of memory. */
static char *text_of(const json_t *object)
{
	_cleanup_(cgm_json_freep) json_t *copy = json_copy((json_t *)object), *meta = json_copy(json_object_get(object, "metadata"));

	if (!copy || !meta)
		return NULL;
	json_object_del(meta, "managedFields");
	/* An event's object says what it is; an item of a list does not. */
	json_object_del(copy, "kind");
	json_object_del(copy, "apiVersion");
	return json_object_set(copy, "metadata", meta) == 0 ? json_dumps(copy, JSON_COMPACT) : NULL;
}

static bool is_pod(const json_t *object)
{
	static const char *const needed[] = { "name", "namespace", "uid" };
	const json_t *meta = json_object_get(object, "metadata");

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!cgm_json_text(meta, needed[i]) || !*cgm_json_text(meta, needed[i]))
			return false;
	return true;
}

int cgm_kube_pod_read(const json_t *object, bool with_json, struct cgm_kube_pod **ret, uint64_t *ret_nr_bad)
{
	_cleanup_free_ char *json = NULL;
	struct cgm_room m = { 0 };

	if (!is_pod(object))
		return -EINVAL;
	json = with_json ? text_of(object) : NULL;
	if (with_json && !json)
		return -ENOMEM;
	read_all(&m, object, json);
	m = (struct cgm_room){ .base = cgm_malloc(m.used) };
	if (!m.base)
		return -ENOMEM;
	*ret = read_all(&m, object, json);
	if (ret_nr_bad)
		*ret_nr_bad += m.nr_bad;
	return 0;
}

static struct cgm_kube_pod *read_slim(struct cgm_room *m, const json_t *object, struct cgm_kube_pod *lender)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct cgm_kube_pod *to = cgm_room_take(m, sizeof(struct cgm_kube_pod), alignof(struct cgm_kube_pod)), p = { .refs = 1 };

	p.name = cgm_room_member(m, meta, "name");
	p.pod_namespace = cgm_room_member(m, meta, "namespace");
	p.uid = p.cgroup_uid = cgm_room_member(m, meta, "uid");
	p.created_ns = cgm_room_time(meta, "creationTimestamp");
	if (lender) {
		p.labels = lender->labels;
		p.nr_labels = lender->nr_labels;
	} else {
		p.labels = cgm_room_labels(m, json_object_get(meta, "labels"), &p.nr_labels);
	}
	if (to)
		*to = p;
	return to;
}

bool cgm_kube_pod_same_labels(const struct cgm_kube_pod *a, const struct cgm_kube_pod *b)
{
	if (a->nr_labels != b->nr_labels)
		return false;
	for (size_t i = 0; i < a->nr_labels; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 || strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

int cgm_kube_pod_read_slim(const json_t *object, struct cgm_kube_pod *lender, struct cgm_kube_pod **ret)
{
	struct cgm_room m = { 0 };

	if (!is_pod(object))
		return -EINVAL;
	read_slim(&m, object, lender);
	m = (struct cgm_room){ .base = cgm_malloc(m.used) };
	if (!m.base)
		return -ENOMEM;
	*ret = read_slim(&m, object, lender);
	(*ret)->lender = cgm_kube_pod_ref(lender);
	return 0;
}

struct cgm_kube_pod *cgm_kube_pod_ref(struct cgm_kube_pod *p)
{
	if (p)
		__atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void cgm_kube_pod_unref(struct cgm_kube_pod *p)
{
	while (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct cgm_kube_pod *lender = p->lender;

		free(p);
		p = lender;
	}
}
