// SPDX-License-Identifier: Apache-2.0
#include "kube/claims.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/call.h"
#include "kube/json.h"

#define TIMEOUT_NS (3 * CGM_NSEC_PER_SEC)
#define QUIET_NS (10 * CGM_NSEC_PER_SEC) /* after a fault */
#define REFUSED_NS (600 * CGM_NSEC_PER_SEC) /* after a 403 */
#define MAX_ANSWER_BYTES ((size_t)1 << 20)
#define MAX_CLAIMS 4096 /* of pods that came and went: beyond it all are asked for again */

struct claim {
	char *volume; /* of the cluster: what it is bound to */
	char key[]; /* "namespace/claim" */
};

static void claim_free(struct claim *c)
{
	if (!c)
		return;
	free(c->volume);
	free(c);
}
DEFINE_CLEANUP(claim, claim_free)

int cgm_kube_claims_init(struct cgm_kube_claims *c, struct cgm_kube *kube)
{
	*c = (struct cgm_kube_claims){ .kube = kube, .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	pthread_mutex_init(&c->lock, NULL);
	return c->stop_fd < 0 ? -errno : 0;
}

void cgm_kube_claims_stop(struct cgm_kube_claims *c)
{
	uint64_t one = 1;

	if (c->stop_fd >= 0 && write(c->stop_fd, &one, sizeof(one)) < 0)
		return; /* it is full, and readable therefore */
}

static void forget(struct cgm_kube_claims *c)
{
	struct claim *claim;
	size_t pos = 0;

	while ((claim = cgm_hash_next(&c->by_key, &pos)))
		claim_free(claim);
	cgm_hash_done(&c->by_key);
	c->by_key = (struct cgm_hash){ 0 };
}

void cgm_kube_claims_done(struct cgm_kube_claims *c)
{
	forget(c);
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	pthread_mutex_destroy(&c->lock);
}

/* Generic ephemeral volumes have a claim that is called after pod and volume. False: it has none. */
static bool claim_of(const struct cgm_kube_pod *pod, const struct cgm_kube_volume *v, char *ret, size_t size)
{
	int len = -1;

	if (v->claim)
		len = snprintf(ret, size, "%s", v->claim);
	else if (v->kind && strcmp(v->kind, "ephemeral") == 0)
		len = snprintf(ret, size, "%s-%s", pod->name, v->name);
	return len > 0 && (size_t)len < size;
}

static int key_of(const struct cgm_kube_pod *pod, const char *claim, char *ret, size_t size)
{
	int len = snprintf(ret, size, "%s/%s", pod->pod_namespace, claim);

	return len > 0 && (size_t)len < size ? 0 : -ENAMETOOLONG;
}

/* Names of the API are of letters, digits, "-" and ".": what is not could lead to another address. */
static bool is_name(const char *text)
{
	return *text && *text != '.' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == strlen(text);
}

static int on_data(void *arg, const char *p, size_t len)
{
	struct cgm_buf *answer = arg;

	if (answer->len + len > MAX_ANSWER_BYTES)
		return -EFBIG;
	cgm_buf_put(answer, p, len);
	return answer->failed ? -ENOMEM : 0;
}

static int keep(struct cgm_kube_claims *c, const char *key, const char *volume)
{
	_cleanup_(claim_freep) struct claim *made = cgm_calloc(1, sizeof(*made) + strlen(key) + 1);
	int r;

	if (!made)
		return -ENOMEM;
	memcpy(made->key, key, strlen(key) + 1);
	made->volume = cgm_strdup(volume);
	if (!made->volume)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	if (c->by_key.live >= MAX_CLAIMS)
		forget(c);
	claim_free(cgm_hash_del(&c->by_key, key));
	r = cgm_hash_put(&c->by_key, made->key, made);
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		TAKE_PTR(made);
	return r;
}

static void refused(struct cgm_kube_claims *c, uint64_t quiet_ns, const char *fault)
{
	c->quiet_until_ns = cgm_clock_mono_ns() + quiet_ns;
	if (!c->said)
		cgm_log(CGM_LOG_INFO, "which persistent volumes the claims of pods are bound to is not known, and pvcRef is left out: %s", fault);
	c->said = true;
}

static void ask(struct cgm_kube_claims *c, const struct cgm_kube_pod *pod, const char *claim, const char *key)
{
	_cleanup_(cgm_buf_done) struct cgm_buf answer = { 0 };
	struct cgm_kube_call call = { .method = "GET", .timeout_ns = TIMEOUT_NS, .stop_fd = c->stop_fd, .on_data = on_data, .arg = &answer };
	char path[640], fault[CGM_KUBE_FAULT] = "";
	const char *volume;
	json_t *object;
	int r;

	snprintf(path, sizeof(path), "/api/v1/namespaces/%s/persistentvolumeclaims/%s", pod->pod_namespace, claim);
	call.path = path;
	r = cgm_kube_call(c->kube, &call, fault);
	if (r == -ECANCELED || (r == 0 && call.status == 404))
		return;
	if (r == 0 && call.status != 200)
		cgm_kube_status_fault(c->kube, call.status, answer.p ? answer.p : "", answer.len, fault);
	if (r < 0 || call.status != 200) {
		refused(c, r == 0 && call.status == 403 ? REFUSED_NS : QUIET_NS, fault);
		return;
	}
	object = json_loadb(answer.p ? answer.p : "", answer.len, 0, NULL);
	volume = cgm_json_text(json_object_get(object, "spec"), "volumeName"); /* not there: it is not bound yet */
	if (volume && *volume && keep(c, key, volume) < 0)
		refused(c, QUIET_NS, "out of memory");
	json_decref(object);
}

void cgm_kube_claims_learn(struct cgm_kube_claims *c, const struct cgm_kube_pod *pod)
{
	char claim[256], key[512];

	for (size_t i = 0; i < pod->nr_volumes && c->kube && cgm_clock_mono_ns() >= c->quiet_until_ns; i++) {
		bool known;

		if (!claim_of(pod, &pod->volumes[i], claim, sizeof(claim)) || key_of(pod, claim, key, sizeof(key)) < 0 || !is_name(claim) || !is_name(pod->pod_namespace))
			continue;
		pthread_mutex_lock(&c->lock);
		known = cgm_hash_get(&c->by_key, key) != NULL;
		pthread_mutex_unlock(&c->lock);
		if (!known)
			ask(c, pod, claim, key);
	}
}

bool cgm_kube_claims_find(struct cgm_kube_claims *c, const struct cgm_kube_pod *pod, const char *directory, struct cgm_kube_volume_name *ret)
{
	char claim[sizeof(ret->claim)], key[512];
	bool found = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < pod->nr_volumes && !found; i++) {
		const struct cgm_kube_volume *v = &pod->volumes[i];
		const struct claim *bound;

		if (!claim_of(pod, v, claim, sizeof(claim)) || key_of(pod, claim, key, sizeof(key)) < 0)
			continue;
		bound = cgm_hash_get(&c->by_key, key);
		found = bound && strcmp(bound->volume, directory) == 0;
		if (found) {
			snprintf(ret->name, sizeof(ret->name), "%s", v->name);
			snprintf(ret->claim, sizeof(ret->claim), "%s", claim);
			snprintf(ret->pod_namespace, sizeof(ret->pod_namespace), "%s", pod->pod_namespace);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}
