// SPDX-License-Identifier: Apache-2.0
/*
 * containerd and CRI-O by the CRI. The kernel tells of new cgroups at once, and their ids are asked for one by one; what changed or was removed the stream of
 * events tells (cri_stream.c), where there is one. What both miss is noticed by listing again, which is dear, and rare while a stream stands.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/protobuf.h"
#include "identity/cri.h"
#include "identity/json_cri.h"

#define LIST_NS (30 * CGM_NSEC_PER_SEC)
#define RARE_LIST_NS (300 * CGM_NSEC_PER_SEC)
/* 0.1, 0.3, 0.9, 2.7 s after a container was found that is not started yet: its cgroup is there before its first process. */
#define RETRY_NS (100 * CGM_NSEC_PER_MSEC)
#define MAX_TRIES 4

_Static_assert(CGM_GRPC_FAULT == CGM_RUNTIME_FAULT, "a call's fault is the driver's");

/* ---- calls ---- */

int cgm_cri_call(struct cgm_cri *c, const char *service, const char *method, const char *namespace, const struct cgm_buf *request, struct cgm_buf *answer,
		 struct cgm_str *ret)
{
	char path[96], header[128];
	int r;

	snprintf(path, sizeof(path), "%s/%s", service, method);
	snprintf(header, sizeof(header), "containerd-namespace: %s", namespace ? namespace : "");
	r = cgm_grpc_call(c->grpc, path, namespace ? header : NULL, request, answer, ret, c->fault);
	/* That there is no such thing is an answer. */
	cgm_runtime_count_call(c->r, r < 0 && r != -ENOENT && r != -ENOSYS && r != -ECANCELED);
	return r;
}

static int damaged(struct cgm_cri *c, const char *method)
{
	snprintf(c->fault, CGM_RUNTIME_FAULT, "%.100s: %.60s: a message that is damaged", c->config->socket, method);
	return -EPROTO;
}

/* ---- what was told ---- */

/* namespace NULL: of the CRI. Cut: there is no such namespace or id. */
static void known_key(char ret[static CGM_CRI_MAX_NAMESPACE + CGM_MAX_ID], const char *namespace, struct cgm_str id)
{
	snprintf(ret, CGM_CRI_MAX_NAMESPACE + CGM_MAX_ID, "%s%s%.*s", namespace ? namespace : "", namespace ? "/" : "", (int)MIN(id.len, (size_t)CGM_MAX_ID), id.p);
}

static struct cgm_cri_known *find_known(const struct cgm_cri *c, const char *namespace, struct cgm_str id)
{
	char key[CGM_CRI_MAX_NAMESPACE + CGM_MAX_ID];

	known_key(key, namespace, id);
	return cgm_hash_get(&c->known, key);
}

bool cgm_cri_unchanged(struct cgm_cri *c, const char *namespace, struct cgm_str id, enum cgm_who_state state, uint32_t pid)
{
	struct cgm_cri_known *k = find_known(c, namespace, id);

	if (!k)
		return false;
	k->round = c->round;
	return k->state == state && (!pid || k->pid == pid);
}

static bool remember(struct cgm_cri *c, const struct cgm_who *w)
{
	_cleanup_free_ struct cgm_cri_known *fresh = NULL;
	struct cgm_cri_known *k = find_known(c, w->namespace, cgm_str(w->id));

	if (!k) {
		k = fresh = cgm_calloc(1, sizeof(*fresh));
		if (!fresh)
			return false;
		known_key(fresh->key, w->namespace, cgm_str(w->id));
		if (cgm_hash_put(&c->known, fresh->key, fresh) < 0)
			return false;
		fresh = NULL;
	}
	k->state = w->state;
	k->pid = w->pid;
	k->round = c->round;
	return true;
}

void cgm_cri_learn(struct cgm_cri *c, struct cgm_cri_facts *f)
{
	_cleanup_(cgm_cri_info_done) struct cgm_cri_info info = { 0 };
	bool lost;

	if (strlen(f->who.id) >= CGM_MAX_ID)
		return; /* no cgroup can ask for it */
	lost = f->info.len && cgm_cri_info_read(f->info, c->config->env_whitelist, &info) == -ENOMEM;
	if (info.pid && f->who.state != CGM_STATE_EXITED)
		f->who.pid = info.pid;
	f->who.runtime = c->runtime;
	f->who.envs = info.envs;
	f->who.nr_envs = info.nr_envs;
	cgm_runtime_learn(c->r, !lost && remember(c, &f->who) ? cgm_who_new(&f->who) : NULL);
}

static void forget(struct cgm_cri *c, struct cgm_cri_known *k)
{
	char *slash = strchr(k->key, '/');

	cgm_hash_del(&c->known, k->key);
	if (slash)
		*slash = '\0';
	if (slash)
		cgm_runtime_forget_in(c->r, k->key, slash + 1);
	else
		cgm_runtime_forget(c->r, k->key);
	free(k);
}

static void forget_unseen(struct cgm_cri *c)
{
	struct cgm_cri_known *k;

	for (size_t pos = 0; (k = cgm_hash_next(&c->known, &pos));)
		if (k->round != c->round)
			forget(c, k);
}

/* ---- the CRI ---- */

static int find_version(struct cgm_cri *c, struct cgm_cri_version *ret)
{
	static const char *const services[] = { "runtime.v1.RuntimeService", "runtime.v1alpha2.RuntimeService" };
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	struct cgm_str message;
	int r = -ENOSYS;

	for (size_t i = 0; r == -ENOSYS && i < ARRAY_SIZE(services); i++) {
		r = cgm_cri_call(c, services[i], "Version", NULL, &request, &answer, &message);
		if (r == 0) {
			c->service = services[i];
			return cgm_cri_decode_version(message, ret) < 0 ? damaged(c, "Version") : 0;
		}
	}
	/* docker's package of containerd switches the CRI off. */
	return r == -ENOSYS ? cgm_containerd_version(c, ret) : r;
}

static int find_runtime(struct cgm_cri *c)
{
	struct cgm_cri_version v = { 0 };
	int r = find_version(c, &v);

	if (r < 0)
		return r;
	c->is_containerd = strcmp(v.name, "containerd") == 0;
	/* One that calls itself otherwise is what the configuration takes it for. */
	c->runtime = c->is_containerd ? "containerd" : strcmp(v.name, "cri-o") == 0 || strcmp(c->config->name, "crio") == 0 ? "crio" : "containerd";
	if (strcmp(c->runtime, c->config->name) != 0)
		cgm_log_once(CGM_LOG_WARNING, "%s: is %s, not %s", c->config->socket, c->runtime, c->config->name);
	cgm_runtime_connected(c->r, v.version);
	return 0;
}

struct kind {
	const char *list, *status;
	int (*each)(struct cgm_str message, cgm_cri_item_fn *fn, void *arg);
	int (*decode)(struct cgm_str message, struct cgm_cri_facts *f);
};
static const struct kind containers = { "ListContainers", "ContainerStatus", cgm_cri_each_container, cgm_cri_decode_container };
static const struct kind sandboxes = { "ListPodSandbox", "PodSandboxStatus", cgm_cri_each_sandbox, cgm_cri_decode_sandbox };

/* Learns one; -ENOENT and the like: there is none (any more). */
static int ask_status(struct cgm_cri *c, const struct kind *kind, struct cgm_str id, enum cgm_who_state *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	_cleanup_(cgm_cri_facts_done) struct cgm_cri_facts f = { 0 };
	struct cgm_str message;
	int r;

	cgm_pb_text(&request, CGM_PB_TAG(1, CGM_PB_BYTES), id.p, id.len);
	cgm_pb_count(&request, CGM_PB_TAG(2, CGM_PB_VARINT), 1); /* verbose: pid and environment */
	r = cgm_cri_call(c, c->service, kind->status, NULL, &request, &answer, &message);
	if (r < 0)
		return r;
	r = kind->decode(message, &f);
	if (r == -EINVAL)
		return damaged(c, kind->status);
	if (r < 0) {
		cgm_runtime_learn(c->r, NULL);
		return 0;
	}
	*ret = f.who.state;
	cgm_cri_learn(c, &f);
	return 0;
}

struct listing {
	struct cgm_cri *c;
	const struct kind *kind;
};

static int listed(void *arg, struct cgm_str id, enum cgm_who_state state)
{
	const struct listing *l = arg;
	enum cgm_who_state now;
	int r;

	if (id.len >= CGM_MAX_ID || cgm_cri_unchanged(l->c, NULL, id, state, 0))
		return 0;
	r = ask_status(l->c, l->kind, id, &now);
	return cgm_grpc_answered(r) ? 0 : r;
}

static int list(struct cgm_cri *c, const struct kind *kind)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	struct listing l = { c, kind };
	struct cgm_str message;
	int r = cgm_cri_call(c, c->service, kind->list, NULL, &request, &answer, &message);

	if (r == 0)
		r = kind->each(message, listed, &l);
	return r == -EINVAL ? damaged(c, kind->list) : r;
}

/* containerd keeps that number; CRI-O would walk over all of its images for it, which is not worth it. */
static int ask_images(struct cgm_cri *c)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	struct cgm_cri_images images;
	struct cgm_str message;
	bool v1 = strncmp(c->service, "runtime.v1.", strlen("runtime.v1.")) == 0;
	int r = cgm_cri_call(c, v1 ? "runtime.v1.ImageService" : "runtime.v1alpha2.ImageService", "ImageFsInfo", NULL, &request, &answer, &message);

	if (r == 0)
		r = cgm_cri_decode_images(message, &images);
	if (r == 0)
		cgm_runtime_images(c->r, images.used_bytes, images.used_inodes);
	return r == -EINVAL ? damaged(c, "ImageFsInfo") : cgm_grpc_answered(r) ? 0 : r;
}

static int list_all(struct cgm_cri *c)
{
	bool complete = true;
	int r = 0;

	c->round++;
	if (c->service)
		r = list(c, &sandboxes);
	if (r == 0 && c->service)
		r = list(c, &containers);
	if (r == 0 && c->is_containerd)
		r = cgm_containerd_list(c, &complete);
	if (r == 0 && complete)
		forget_unseen(c);
	if (r == 0 && c->service && c->is_containerd)
		r = ask_images(c);
	return r;
}

/* ---- ids that somebody asks for, or that an event told of ---- */

static bool is_of_cri(const struct cgm_cri *c, const char *namespace)
{
	return c->service && (!*namespace || !c->config->containerd_namespace || strcmp(namespace, c->config->containerd_namespace) == 0);
}

static int ask(struct cgm_cri *c, const struct cgm_cri_pending *p, enum cgm_who_state *ret)
{
	bool of_cri = is_of_cri(c, p->namespace);
	int r = -ENOENT;

	if (of_cri)
		r = ask_status(c, &containers, cgm_str(p->id), ret);
	if (of_cri && cgm_grpc_answered(r))
		r = ask_status(c, &sandboxes, cgm_str(p->id), ret);
	if (c->is_containerd && cgm_grpc_answered(r))
		r = *p->namespace ? cgm_containerd_ask_in(c, p->namespace, p->id, ret) : cgm_containerd_ask(c, p->id, ret);
	else if (r == 0 && *ret == CGM_STATE_RUNNING && p->expected == CGM_STATE_PAUSED)
		*ret = CGM_STATE_PAUSED; /* the CRI knows no pause */
	return r;
}

/* What is not started yet is asked for again, unless an event will tell; so is whoever was asked before the runtime itself took notice of its event. */
static bool is_early(const struct cgm_cri *c, const struct cgm_cri_pending *p, enum cgm_who_state state)
{
	return (state == CGM_STATE_CREATED && !c->stream.stands) || state < p->expected;
}

/* Asks. An id that is not known here comes again by itself. */
static int ask_for(struct cgm_cri *c, struct cgm_cri_pending *p)
{
	enum cgm_who_state state = CGM_STATE_UNKNOWN;
	uint64_t wait_ns = RETRY_NS;
	int r = ask(c, p, &state);

	if (r < 0)
		return cgm_grpc_answered(r) ? 0 : r;
	if (!is_early(c, p, state) || p->nr_tries == MAX_TRIES || c->nr_pending == CGM_CRI_MAX_PENDING)
		return 0;
	for (unsigned i = 0; i < p->nr_tries; i++)
		wait_ns *= 3;
	p->nr_tries++;
	p->at_ns = cgm_clock_mono_ns() + wait_ns;
	c->pending[c->nr_pending++] = *p;
	return 0;
}

static void forget_gone(struct cgm_cri *c, const struct cgm_cri_pending *p)
{
	struct cgm_cri_known *k = *p->namespace ? find_known(c, p->namespace, cgm_str(p->id)) : NULL;

	if (k)
		forget(c, k);
	k = is_of_cri(c, p->namespace) ? find_known(c, NULL, cgm_str(p->id)) : NULL;
	if (k)
		forget(c, k);
}

static int have_turns(struct cgm_cri *c)
{
	struct cgm_cri_pending p;
	int r = 0;

	while (r == 0 && !cgm_runtime_stopping(c->r) && cgm_cri_stream_next(c, &p)) {
		if (p.gone)
			forget_gone(c, &p);
		else
			r = ask_for(c, &p);
	}
	return r;
}

static int ask_wanted(struct cgm_cri *c)
{
	struct cgm_cri_pending p = { 0 };
	int r = 0;

	while (r == 0 && !cgm_runtime_stopping(c->r) && cgm_runtime_next_wanted(c->r, p.id)) {
		p.nr_tries = 0;
		p.expected = CGM_STATE_UNKNOWN;
		r = ask_for(c, &p);
	}
	return r;
}

static int ask_pending(struct cgm_cri *c)
{
	uint64_t now_ns = cgm_clock_mono_ns();
	int r = 0;

	for (size_t i = c->nr_pending; r == 0 && i-- > 0;) {
		struct cgm_cri_pending p = c->pending[i];

		if (p.at_ns > now_ns)
			continue;
		/* The last one takes its place: it was looked at already, or is of this call and not due. */
		c->pending[i] = c->pending[--c->nr_pending];
		r = ask_for(c, &p);
	}
	return r;
}

static int poll_connection(struct cgm_cri *c, const struct timespec *ts)
{
	struct pollfd fds[] = {
		{ .fd = cgm_runtime_wake_fd(c->r), .events = POLLIN },
		/* What comes on it is libcurl's to read; we want to hear of its end. */
		{ .fd = cgm_grpc_fd(c->grpc), .events = POLLRDHUP },
	};

	if (ppoll(fds, ARRAY_SIZE(fds), ts, NULL) > 0 && fds[1].revents && !cgm_runtime_stopping(c->r)) {
		snprintf(c->fault, CGM_RUNTIME_FAULT, "%.100s: closed the connection", c->config->socket);
		return -ECONNRESET;
	}
	return 0;
}

/* Sleeps. *list_ns becomes earlier when all is to be listed. */
static int wait_until(struct cgm_cri *c, uint64_t *list_ns)
{
	uint64_t now_ns = cgm_clock_mono_ns(), until_ns = *list_ns;
	struct timespec ts = { 0 };

	for (size_t i = 0; i < c->nr_pending; i++)
		until_ns = MIN(until_ns, c->pending[i].at_ns);
	if (c->stream.stands) {
		if (!cgm_cri_stream_wait(c, until_ns))
			*list_ns = now_ns;
		return poll_connection(c, &ts);
	}
	if (!c->stream.none)
		until_ns = MIN(until_ns, c->stream.retry_ns);
	until_ns = MAX(until_ns, now_ns) - now_ns;
	ts = (struct timespec){ .tv_sec = (time_t)(until_ns / CGM_NSEC_PER_SEC), .tv_nsec = (long)(until_ns % CGM_NSEC_PER_SEC) };
	return poll_connection(c, &ts);
}

/* The first list after a stream began is soon: that it stands, only its first event or its end would say. */
static uint64_t next_list(const struct cgm_cri *c)
{
	uint64_t now_ns = cgm_clock_mono_ns();

	return now_ns + (c->stream.stands && now_ns - c->stream.opened_ns >= LIST_NS ? RARE_LIST_NS : LIST_NS);
}

static int follow(struct cgm_cri *c, const struct cgm_grpc_config *config)
{
	uint64_t list_ns = next_list(c);
	int r = 0;

	while (r == 0 && !cgm_runtime_stopping(c->r)) {
		bool stood = c->stream.stands;

		r = cgm_cri_stream_open(c, config);
		if (c->stream.stands && !stood)
			list_ns = MIN(list_ns, cgm_clock_mono_ns()); /* what happened before it */
		if (r == 0)
			r = have_turns(c);
		if (r == 0)
			r = ask_wanted(c);
		if (r == 0)
			r = ask_pending(c);
		if (r == 0 && cgm_clock_mono_ns() >= list_ns) {
			r = list_all(c);
			list_ns = next_list(c);
		}
		if (r == 0)
			r = wait_until(c, &list_ns);
	}
	return r;
}

static int serve(struct cgm_cri *c, const struct cgm_grpc_config *config)
{
	int r = find_runtime(c);

	if (r == 0)
		r = cgm_cri_stream_open(c, config);
	if (r == 0)
		r = list_all(c);
	if (r == 0)
		cgm_runtime_listed(c->r);
	return r < 0 ? r : follow(c, config);
}

/* ---- the driver ---- */

static void cri_done(struct cgm_cri *c)
{
	struct cgm_cri_known *k;

	for (size_t pos = 0; (k = cgm_hash_next(&c->known, &pos));)
		free(k);
	cgm_hash_done(&c->known);
	cgm_cri_stream_done(c);
	cgm_grpc_free(c->grpc);
}

static bool stopping(const void *arg)
{
	return cgm_runtime_stopping(arg);
}

static int run(struct cgm_runtime *r, char *fault)
{
	_cleanup_(cri_done) struct cgm_cri c = { .r = r, .config = cgm_runtime_config(r), .fault = fault };
	struct cgm_grpc_config config = {
		.socket = c.config->socket,
		.timeout_ns = c.config->timeout_ns,
		.wake_fd = cgm_runtime_wake_fd(r),
		.stopping = stopping,
		.arg = r,
	};
	int e = cgm_grpc_new(&config, &c.grpc, fault);

	if (e == 0)
		e = serve(&c, &config);
	return cgm_runtime_stopping(r) ? 0 : e;
}

const struct cgm_runtime_driver cgm_cri_driver = { .run = run };
