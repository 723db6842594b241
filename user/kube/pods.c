// SPDX-License-Identifier: Apache-2.0
#include "kube/pods.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kube/claims.h"
#include "kube/json.h"

#define INTERVAL_NS (15 * CGM_NSEC_PER_SEC)

struct entry {
	struct cgm_kube_pod *pod;
	uint64_t listing; /* in which it was told of last */
};

struct cgm_kube_pods {
	struct cgm_kube *kube;
	struct cgm_kube_watch *watch;
	struct cgm_kube_claims claims;
	bool with_json;
	int changed_fd;
	pthread_mutex_t lock; /* for what follows */
	struct cgm_hash by_uid; /* entries */
	uint64_t listing, nr_lost;
	bool listed;
};

static void changed(const struct cgm_kube_pods *ps)
{
	uint64_t one = 1;

	/* It cannot fail but for a counter that is full, which wakes as well. */
	if (write(ps->changed_fd, &one, sizeof(one)) < 0)
		return;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	cgm_kube_pod_unref(e->pod);
	free(e);
}
DEFINE_CLEANUP(entry, entry_free)

/* With the lock. pod: the caller's. */
static int put(struct cgm_kube_pods *ps, struct cgm_kube_pod *pod)
{
	_cleanup_(entry_freep) struct entry *made = cgm_calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*made = (struct entry){ .pod = cgm_kube_pod_ref(pod), .listing = ps->listing };
	entry_free(cgm_hash_del(&ps->by_uid, pod->uid)); /* the key lives in it */
	if (cgm_hash_put(&ps->by_uid, pod->uid, made) < 0)
		return -ENOMEM;
	TAKE_PTR(made);
	return 0;
}

static void on_object(void *arg, const json_t *object, bool deleted)
{
	struct cgm_kube_pods *ps = arg;
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *pod = NULL;
	uint64_t nr_bad = 0;
	int r = cgm_kube_pod_read(object, ps->with_json && !deleted, &pod, &nr_bad);

	pthread_mutex_lock(&ps->lock);
	if (r == 0 && deleted)
		entry_free(cgm_hash_del(&ps->by_uid, pod->uid));
	else if (r == 0)
		r = put(ps, pod);
	ps->nr_lost += nr_bad + (r < 0);
	pthread_mutex_unlock(&ps->lock);
	changed(ps);
	if (r == 0 && !deleted)
		cgm_kube_claims_learn(&ps->claims, pod);
}

static void on_list(void *arg)
{
	struct cgm_kube_pods *ps = arg;

	pthread_mutex_lock(&ps->lock);
	ps->listing++;
	pthread_mutex_unlock(&ps->lock);
}

static void on_synced(void *arg)
{
	struct cgm_kube_pods *ps = arg;
	struct entry *e;
	size_t pos = 0;

	pthread_mutex_lock(&ps->lock);
	while ((e = cgm_hash_next(&ps->by_uid, &pos)))
		if (e->listing != ps->listing)
			entry_free(cgm_hash_del(&ps->by_uid, e->pod->uid));
	ps->listed = true;
	pthread_mutex_unlock(&ps->lock);
	changed(ps);
}

static void on_state(void *arg)
{
	changed(arg);
}

static int start(struct cgm_kube_pods *ps, const struct cgm_kube_pods_config *c)
{
	_cleanup_free_ char *selector = c->kubelet ? NULL : cgm_asprintf("spec.nodeName=%s", c->node);
	struct cgm_kube_watch_config w = {
		.path = c->kubelet ? "/pods" : "/api/v1/pods",
		.field_selector = selector,
		.cached = true,
		.poll_ns = !c->kubelet ? 0 : c->interval_ns ? c->interval_ns : INTERVAL_NS,
		.on_object = on_object,
		.on_list = on_list,
		.on_synced = on_synced,
		.on_state = on_state,
		.arg = ps,
	};

	return c->kubelet || selector ? cgm_kube_watch_new(c->kube, &w, &ps->watch) : -ENOMEM;
}

int cgm_kube_pods_new(const struct cgm_kube_pods_config *config, struct cgm_kube_pods **ret)
{
	_cleanup_(cgm_kube_pods_freep) struct cgm_kube_pods *ps = cgm_calloc(1, sizeof(*ps));
	int r;

	if (!ps)
		return -ENOMEM;
	pthread_mutex_init(&ps->lock, NULL);
	ps->kube = config->kube;
	ps->with_json = config->with_json;
	ps->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = ps->changed_fd < 0 ? -errno : 0;
	if (cgm_kube_claims_init(&ps->claims, config->kubelet ? NULL : config->kube) < 0 && r == 0)
		r = -EMFILE;
	if (r == 0)
		r = start(ps, config);
	if (r == 0)
		*ret = TAKE_PTR(ps);
	return r;
}

void cgm_kube_pods_free(struct cgm_kube_pods *ps)
{
	struct entry *e;
	size_t pos = 0;

	if (!ps)
		return;
	cgm_kube_claims_stop(&ps->claims);
	cgm_kube_watch_free(ps->watch);
	cgm_kube_claims_done(&ps->claims);
	while ((e = cgm_hash_next(&ps->by_uid, &pos)))
		entry_free(e);
	cgm_hash_done(&ps->by_uid);
	if (ps->changed_fd >= 0)
		close(ps->changed_fd);
	pthread_mutex_destroy(&ps->lock);
	free(ps);
}

const char *cgm_kube_pods_server(const struct cgm_kube_pods *ps)
{
	return cgm_kube_server(ps->kube);
}

struct cgm_kube_watch_state cgm_kube_pods_state(struct cgm_kube_pods *ps)
{
	struct cgm_kube_watch_state state = cgm_kube_watch_state(ps->watch);

	pthread_mutex_lock(&ps->lock);
	state.nr_objects_lost += ps->nr_lost;
	pthread_mutex_unlock(&ps->lock);
	return state;
}

int cgm_kube_pods_changed_fd(const struct cgm_kube_pods *ps)
{
	return ps->changed_fd;
}

int cgm_kube_pods_all(struct cgm_kube_pods *ps, struct cgm_kube_pod ***ret, size_t *ret_nr)
{
	struct cgm_kube_pod **all;
	const struct entry *e;
	size_t pos = 0, nr = 0;

	pthread_mutex_lock(&ps->lock);
	all = cgm_malloc((ps->by_uid.live + 1) * sizeof(struct cgm_kube_pod *));
	while (all && (e = cgm_hash_next(&ps->by_uid, &pos)))
		all[nr++] = cgm_kube_pod_ref(e->pod);
	pthread_mutex_unlock(&ps->lock);
	if (!all)
		return -ENOMEM;
	*ret = all;
	*ret_nr = nr;
	return 0;
}

struct cgm_kube_pod *cgm_kube_pods_find(struct cgm_kube_pods *ps, const char *uid)
{
	const struct entry *e, *found;
	struct cgm_kube_pod *pod;
	size_t pos = 0;

	pthread_mutex_lock(&ps->lock);
	found = cgm_hash_get(&ps->by_uid, uid);
	while (!found && (e = cgm_hash_next(&ps->by_uid, &pos)))
		if (strcmp(e->pod->cgroup_uid, uid) == 0)
			found = e;
	pod = found ? cgm_kube_pod_ref(found->pod) : NULL;
	pthread_mutex_unlock(&ps->lock);
	return pod;
}

bool cgm_kube_pods_volume(struct cgm_kube_pods *ps, const char *uid, const char *directory, struct cgm_kube_volume_name *ret)
{
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *pod = cgm_kube_pods_find(ps, uid);

	return pod && cgm_kube_claims_find(&ps->claims, pod, directory, ret);
}

int cgm_kube_pods_json(struct cgm_kube_pods *ps, struct cgm_buf *ret)
{
	const struct entry *e;
	size_t pos = 0;
	bool more = false;
	int r = 0;

	if (!ps->with_json)
		return -ENOTSUP;
	cgm_buf_lit(ret, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
	pthread_mutex_lock(&ps->lock);
	if (!ps->listed)
		r = -EAGAIN;
	while (r == 0 && (e = cgm_hash_next(&ps->by_uid, &pos))) {
		if (more)
			cgm_buf_char(ret, ',');
		cgm_buf_put(ret, e->pod->json, e->pod->json_len);
		more = true;
	}
	pthread_mutex_unlock(&ps->lock);
	cgm_buf_lit(ret, "]}\n");
	return r < 0 ? r : ret->failed ? -ENOMEM : 0;
}
