// SPDX-License-Identifier: Apache-2.0
/*
 * Containers by the word of Kubernetes (user/kube/pods.h), for where no runtime can be reached. There is no connection of ours: the pods' watch has one, says how it fares, and we read what it
 * knows. A pod's own cgroup gets its name from a sandbox that we make up, as the API knows of none.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "identity/runtime.h"
#include "kube/pods.h"

/* cAdvisor's namespace of what stands before "://". */
static const char *runtime_of(const char *scheme)
{
	static const struct {
		const char *scheme, *runtime;
	} table[] = { { "containerd", "containerd" }, { "docker", "docker" }, { "cri-o", "crio" }, { "podman", "podman" } };

	for (size_t i = 0; scheme && i < ARRAY_SIZE(table); i++)
		if (strcmp(scheme, table[i].scheme) == 0)
			return table[i].runtime;
	return "kubernetes";
}

static bool is_id(const char *id)
{
	return id && *id && strlen(id) < CGM_MAX_ID;
}

/* With the labels that a kubelet gives to containers. */
static void learn_life(struct cgm_runtime *r, const struct cgm_kube_pod *p, const struct cgm_kube_container *c, const struct cgm_kube_life *l, uint32_t restarts)
{
	struct cgm_pair labels[] = {
		{ "io.kubernetes.container.name", c->name },
		{ "io.kubernetes.pod.name", p->name },
		{ "io.kubernetes.pod.namespace", p->pod_namespace },
		{ "io.kubernetes.pod.uid", p->cgroup_uid },
	};
	bool ended = l->state == CGM_KUBE_STATE_TERMINATED;

	cgm_runtime_learn(r, cgm_who_new(&(struct cgm_who){
				     .runtime = runtime_of(l->runtime),
				     .id = l->id,
				     .name = c->name,
				     .image = c->image,
				     .pod = p->name,
				     .pod_namespace = p->pod_namespace,
				     .pod_uid = p->cgroup_uid,
				     .container = c->name,
				     .labels = labels,
				     .nr_labels = ARRAY_SIZE(labels),
				     .created_ns = l->started_ns,
				     .started_ns = l->started_ns,
				     .finished_ns = l->finished_ns,
				     .restart_count = restarts,
				     .state = ended ? CGM_STATE_EXITED : l->state == CGM_KUBE_STATE_RUNNING ? CGM_STATE_RUNNING : CGM_STATE_CREATED,
				     .has_exit_code = ended,
				     .exit_code = ended ? l->exit_code : 0,
			     }));
}

static void learn_container(struct cgm_runtime *r, const struct cgm_kube_pod *p, const struct cgm_kube_container *c)
{
	bool last = is_id(c->last.id), same = last && is_id(c->now.id) && strcmp(c->last.id, c->now.id) == 0;

	if (last)
		learn_life(r, p, c, &c->last, c->restart_count - (c->restart_count > 0 && !same));
	/* One that waits to be started again still bears the id of the one that ended. */
	if (is_id(c->now.id) && !(same && c->now.state == CGM_KUBE_STATE_WAITING))
		learn_life(r, p, c, &c->now, c->restart_count);
}

static void learn_pod(struct cgm_runtime *r, const struct cgm_kube_pod *p)
{
	struct cgm_pair *labels = NULL;
	size_t cap = 0, nr = 0;

	while (nr < p->nr_labels && cgm_grow((void **)&labels, &cap, nr, sizeof(*labels)) == 0) {
		labels[nr] = (struct cgm_pair){ p->labels[nr].key, p->labels[nr].value };
		nr++;
	}
	if (nr < p->nr_labels || !is_id(p->cgroup_uid)) {
		cgm_runtime_learn(r, NULL);
	} else {
		cgm_runtime_learn(r, cgm_who_new(&(struct cgm_who){
					     .runtime = "kubernetes",
					     .id = p->cgroup_uid,
					     .pod = p->name,
					     .pod_namespace = p->pod_namespace,
					     .pod_uid = p->cgroup_uid,
					     .labels = labels,
					     .nr_labels = nr,
					     .created_ns = p->started_ns ? p->started_ns : p->created_ns,
					     .started_ns = p->started_ns,
					     .state = p->phase == CGM_KUBE_RUNNING ? CGM_STATE_RUNNING : CGM_STATE_UNKNOWN,
					     .is_sandbox = true,
				     }));
	}
	free(labels);
	for (size_t i = 0; i < p->nr_containers; i++)
		learn_container(r, p, &p->containers[i]);
}

static void learn_all(struct cgm_runtime *r, struct cgm_kube_pods *ps)
{
	struct cgm_kube_pod **all;
	size_t nr;

	if (cgm_kube_pods_all(ps, &all, &nr) < 0) {
		cgm_runtime_learn(r, NULL);
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		learn_pod(r, all[i]);
		cgm_kube_pod_unref(all[i]);
	}
	free(all);
	cgm_runtime_listed(r);
}

/* What the watch counted since the last time. */
static void count(struct cgm_runtime *r, const struct cgm_kube_watch_state *s)
{
	struct cgm_kubernetes_feed *feed = cgm_runtime_config(r)->kubernetes;
	uint64_t calls = s->nr_lists + s->nr_watches, failed = s->nr_failed;

	for (; feed->nr_calls < calls; feed->nr_calls++) {
		bool bad = feed->nr_failed < failed;

		feed->nr_failed += bad;
		cgm_runtime_count_call(r, bad);
	}
	for (; feed->nr_lost < s->nr_objects_lost; feed->nr_lost++)
		cgm_runtime_learn(r, NULL);
}

static bool there(struct cgm_runtime *r, char *fault)
{
	struct cgm_kube_watch_state s = cgm_kube_pods_state(cgm_runtime_config(r)->kubernetes->pods);

	count(r, &s);
	if (!s.synced)
		snprintf(fault, CGM_RUNTIME_FAULT, "%s", s.fault);
	return s.synced;
}

static void wait_for_change(struct cgm_runtime *r, int changed_fd)
{
	struct pollfd p[] = { { .fd = cgm_runtime_wake_fd(r), .events = POLLIN }, { .fd = changed_fd, .events = POLLIN } };
	char id[CGM_MAX_ID];
	uint64_t nr;

	if (poll(p, ARRAY_SIZE(p), -1) > 0 && p[1].revents && read(changed_fd, &nr, sizeof(nr)) < 0)
		return; /* nobody else reads it */
	while (!cgm_runtime_stopping(r) && cgm_runtime_next_wanted(r, id))
		; /* what there is was told */
}

static int run(struct cgm_runtime *r, char *fault)
{
	struct cgm_kube_pods *ps = cgm_runtime_config(r)->kubernetes->pods;

	cgm_runtime_connected(r, NULL);
	while (!cgm_runtime_stopping(r)) {
		if (!there(r, fault))
			return -ENOTCONN;
		learn_all(r, ps);
		wait_for_change(r, cgm_kube_pods_changed_fd(ps));
	}
	return 0;
}

const struct cgm_runtime_driver cgm_kubernetes_driver = { .run = run, .there = there, .second_hand = true };
