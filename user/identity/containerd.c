// SPDX-License-Identifier: Apache-2.0
/*
 * containerd's own API: what ctr and nerdctl run, and, where its CRI is switched off (as in docker's package), all but docker's containers. Ids are free
 * names there, and two namespaces may hold the same: names.c tells them apart where the cgroup's path has the namespace, else the last one told of wins.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/protobuf.h"
#include "identity/cri.h"

#define CONTAINERS "containerd.services.containers.v1.Containers"
#define TASKS "containerd.services.tasks.v1.Tasks"
#define NAMESPACES "containerd.services.namespaces.v1.Namespaces"
#define MAX_NAMESPACES 256

struct namespaces {
	char (*names)[CGM_CRI_MAX_NAMESPACE];
	size_t nr, cap;
};

int cgm_containerd_version(struct cgm_cri *c, struct cgm_cri_version *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	struct cgm_str message;
	int r = cgm_cri_call(c, "containerd.services.version.v1.Version", "Version", NULL, &request, &answer, &message);

	if (r == 0 && cgm_containerd_decode_version(message, ret) < 0)
		r = -EPROTO;
	return r;
}

/* The name becomes a header: nothing but what containerd lets it be. */
static bool is_wanted(struct cgm_str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '-' && name.p[i] != '_' && name.p[i] != '.')
			return false;
	return name.len && name.len < CGM_CRI_MAX_NAMESPACE && !cgm_str_eq(name, "moby"); /* docker's containers are its driver's */
}

static int add_namespace(void *arg, struct cgm_str name)
{
	struct namespaces *n = arg;

	if (!is_wanted(name) || n->nr == MAX_NAMESPACES)
		return 0;
	if (cgm_grow((void **)&n->names, &n->cap, n->nr, sizeof(*n->names)) < 0)
		return -ENOMEM;
	snprintf(n->names[n->nr++], CGM_CRI_MAX_NAMESPACE, "%.*s", (int)name.len, name.p);
	return 0;
}

static void namespaces_done(struct namespaces *n)
{
	free(n->names);
}

/* A message that cannot be read is no answer; out of memory is the driver's fault. */
static int decoded(struct cgm_cri *c, const char *what, int r)
{
	if (r >= 0 || cgm_grpc_answered(r))
		return r;
	if (r == -EINVAL || r == -ENOMEM)
		snprintf(c->fault, CGM_RUNTIME_FAULT, "%.100s: %s: %s", c->config->socket, what, r == -EINVAL ? "a message that is damaged" : "out of memory");
	return r == -EINVAL ? -EPROTO : r;
}

static int list_namespaces(struct cgm_cri *c, struct namespaces *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 };
	struct cgm_str message;
	int r = cgm_cri_call(c, NAMESPACES, "List", NULL, &request, &answer, &message);

	return r < 0 ? r : decoded(c, NAMESPACES, cgm_containerd_each_namespace(message, add_namespace, ret));
}

struct listing {
	struct cgm_cri *c;
	const char *namespace;
	struct cgm_str tasks;
};

/* The CRI's containers are told of by the CRI, if it is there: they bear this label, whatever their namespace. */
static bool is_of_cri(const struct cgm_cri *c, const struct cgm_cri_facts *f)
{
	for (size_t i = 0; c->service && i < f->who.nr_labels; i++)
		if (strcmp(f->who.labels[i].key, "io.cri-containerd.kind") == 0)
			return true;
	return false;
}

/* Out of memory for one container: it is counted, and the others go on. */
static int lost(struct cgm_cri *c)
{
	cgm_runtime_learn(c->r, NULL);
	return 0;
}

static int listed(void *arg, struct cgm_str container)
{
	const struct listing *l = arg;
	_cleanup_(cgm_cri_facts_done) struct cgm_cri_facts f = { 0 };
	int r = cgm_containerd_decode_container(container, &f);

	if (r == 0 && is_of_cri(l->c, &f))
		return 0;
	f.who.namespace = l->namespace;
	if (r == 0)
		r = cgm_containerd_add_task(l->tasks, &f);
	if (r == -ENOMEM)
		return lost(l->c);
	if (r == 0 && !cgm_cri_unchanged(l->c, l->namespace, cgm_str(f.who.id), f.who.state, f.who.pid))
		cgm_cri_learn(l->c, &f);
	return r;
}

static int list_namespace(struct cgm_cri *c, const char *namespace)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, containers = { 0 }, tasks = { 0 };
	struct listing l = { .c = c, .namespace = namespace };
	struct cgm_str message;
	int r = cgm_cri_call(c, CONTAINERS, "List", namespace, &request, &containers, &message);

	if (r == 0)
		r = cgm_cri_call(c, TASKS, "List", namespace, &request, &tasks, &l.tasks);
	return r < 0 ? r : decoded(c, CONTAINERS, cgm_containerd_each_container(message, listed, &l));
}

int cgm_containerd_list(struct cgm_cri *c, bool *complete)
{
	_cleanup_(namespaces_done) struct namespaces n = { 0 };
	int r = list_namespaces(c, &n);

	/* Who has a CRI and not this is a proxy, or forbids it. */
	*complete = *complete && r == 0;
	if (r < 0)
		return cgm_grpc_answered(r) && c->service ? 0 : r;
	for (size_t i = 0; i < n.nr; i++) {
		r = list_namespace(c, n.names[i]);
		*complete = *complete && r == 0;
		if (r < 0 && !cgm_grpc_answered(r))
			return r;
	}
	return 0;
}

static int first_part(void *arg, struct cgm_str part)
{
	*(struct cgm_str *)arg = part;
	return 0;
}

int cgm_containerd_ask_in(struct cgm_cri *c, const char *namespace, const char *id, enum cgm_who_state *ret)
{
	_cleanup_(cgm_buf_done) struct cgm_buf request = { 0 }, answer = { 0 }, task_answer = { 0 };
	_cleanup_(cgm_cri_facts_done) struct cgm_cri_facts f = { 0 };
	struct cgm_str message, container = { 0 }, task = { 0 };
	int r;

	cgm_pb_text(&request, CGM_PB_TAG(1, CGM_PB_BYTES), id, strlen(id));
	r = cgm_cri_call(c, CONTAINERS, "Get", namespace, &request, &answer, &message);
	if (r < 0)
		return r;
	r = cgm_containerd_each_container(message, first_part, &container);
	if (r == 0)
		r = cgm_containerd_decode_container(container, &f);
	if (r < 0)
		return r == -ENOMEM ? lost(c) : decoded(c, CONTAINERS, r);
	if (is_of_cri(c, &f))
		return -ENOENT;
	f.who.namespace = namespace;
	r = cgm_cri_call(c, TASKS, "Get", namespace, &request, &task_answer, &task);
	if (r < 0 && !cgm_grpc_answered(r))
		return r;
	r = decoded(c, TASKS, cgm_containerd_add_task(task, &f));
	if (r < 0)
		return r;
	*ret = f.who.state;
	cgm_cri_learn(c, &f);
	return 0;
}

int cgm_containerd_ask(struct cgm_cri *c, const char *id, enum cgm_who_state *ret)
{
	_cleanup_(namespaces_done) struct namespaces n = { 0 };
	int r = list_namespaces(c, &n);
	bool found = false;

	for (size_t i = 0; r == 0 && i < n.nr; i++) {
		r = cgm_containerd_ask_in(c, n.names[i], id, ret);
		found = found || r == 0;
		r = cgm_grpc_answered(r) ? 0 : r;
	}
	return r < 0 && !cgm_grpc_answered(r) ? r : found ? 0 : -ENOENT;
}
