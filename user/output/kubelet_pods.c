// SPDX-License-Identifier: Apache-2.0
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

const char *cgm_kubelet_container_name(const struct cgm_who *w)
{
	return w->container ? w->container : w->name ? w->name : w->id;
}

static uint64_t created_ns(const struct cgm_kubelet_member *m)
{
	return m->who->created_ns;
}

/* By pod, role and name; the newest first, and of the same age the one nearer to the root. */
static int compare(const void *a, const void *b)
{
	const struct cgm_kubelet_member *x = a, *y = b;
	int r = strcmp(x->who->pod_uid, y->who->pod_uid);

	if (r == 0)
		r = (int)x->role - (int)y->role;
	if (r == 0 && x->role == CGM_POD_CONTAINER)
		r = strcmp(cgm_kubelet_container_name(x->who), cgm_kubelet_container_name(y->who));
	if (r == 0)
		r = (created_ns(x) < created_ns(y)) - (created_ns(x) > created_ns(y));
	return r ? r : (x->row > y->row) - (x->row < y->row);
}

static bool is_older_twin(const struct cgm_kubelet_member *before, const struct cgm_kubelet_member *m)
{
	return m->role == CGM_POD_CONTAINER && before->role == CGM_POD_CONTAINER && strcmp(before->who->pod_uid, m->who->pod_uid) == 0 &&
	       strcmp(cgm_kubelet_container_name(before->who), cgm_kubelet_container_name(m->who)) == 0;
}

static void put_member(struct cgm_kubelet_pods *p, const struct cgm_row *row, const struct cgm_who *who, enum cgm_kubelet_role role)
{
	if (who && who->pod_uid && *who->pod_uid)
		p->members[p->nr++] = (struct cgm_kubelet_member){ row, who, role };
}

int cgm_kubelet_pods_init(const struct cgm_snapshot *s, struct cgm_kubelet_pods *ret)
{
	struct cgm_kubelet_pods p = { 0 };
	size_t kept = 0, nr = 0;

	for (size_t i = 0; i < s->nr_rows; i++)
		nr += s->rows[i].identity->pod || s->rows[i].identity->who;
	p.members = cgm_malloc((nr + 1) * sizeof(*p.members));
	if (!p.members)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr_rows; i++) {
		const struct cgm_identity *id = s->rows[i].identity;

		if (id->pod)
			put_member(&p, &s->rows[i], id->pod, CGM_POD_OWN);
		else if (id->who)
			put_member(&p, &s->rows[i], id->who, id->who->is_sandbox ? CGM_POD_SANDBOX : CGM_POD_CONTAINER);
	}
	if (p.nr)
		qsort(p.members, p.nr, sizeof(*p.members), compare);
	for (size_t i = 0; i < p.nr; i++)
		if (!kept || !is_older_twin(&p.members[kept - 1], &p.members[i]))
			p.members[kept++] = p.members[i];
	p.nr = kept;
	*ret = p;
	return 0;
}

void cgm_kubelet_pods_done(struct cgm_kubelet_pods *p)
{
	free(p->members);
}

static uint64_t earliest(const struct cgm_kubelet_pod *pod)
{
	uint64_t first = 0, ns;

	for (size_t i = 0; i < pod->nr_containers; i++) {
		ns = cgm_kubelet_start_ns(pod->containers[i].row, pod->containers[i].who);
		if (ns && (!first || ns < first))
			first = ns;
	}
	return first;
}

/* A sandbox holds the namespace, but has no process of its own with every runtime: then any container stands for it. */
static const struct cgm_row *network_of(const struct cgm_kubelet_pod *pod)
{
	if (pod->sandbox && cgm_kubelet_has_interfaces(pod->sandbox))
		return pod->sandbox;
	for (size_t i = 0; i < pod->nr_containers; i++)
		if (cgm_kubelet_has_interfaces(pod->containers[i].row))
			return pod->containers[i].row;
	return NULL;
}

bool cgm_kubelet_pods_next(const struct cgm_kubelet_pods *p, size_t *at, struct cgm_kubelet_pod *ret)
{
	const struct cgm_kubelet_member *first = p->members + *at;
	struct cgm_kubelet_pod pod = { .name = "", .namespace = "" };

	if (*at >= p->nr)
		return false;
	pod.uid = first->who->pod_uid;
	for (; *at < p->nr && strcmp(p->members[*at].who->pod_uid, pod.uid) == 0; ++*at) {
		const struct cgm_kubelet_member *m = &p->members[*at];

		if (!*pod.name && m->who->pod)
			pod.name = m->who->pod;
		if (!*pod.namespace && m->who->pod_namespace)
			pod.namespace = m->who->pod_namespace;
		if (m->role == CGM_POD_OWN && !pod.own)
			pod.own = m->row;
		if (m->role == CGM_POD_SANDBOX && !pod.sandbox)
			pod.sandbox = m->row;
		if (m->role == CGM_POD_CONTAINER && !pod.nr_containers++)
			pod.containers = m;
	}
	pod.network = network_of(&pod);
	pod.start_ns = pod.sandbox ? cgm_kubelet_start_ns(pod.sandbox, pod.sandbox->identity->who) :
		       pod.own	   ? cgm_kubelet_start_ns(pod.own, pod.own->identity->pod) :
				     earliest(&pod);
	*ret = pod;
	return true;
}

int cgm_kubelet_network(const struct cgm_snapshot *s, bool **ret)
{
	_cleanup_(cgm_kubelet_pods_done) struct cgm_kubelet_pods pods = { 0 };
	bool *shows = cgm_malloc((s->nr_rows + 1) * sizeof(*shows));
	struct cgm_kubelet_pod pod;
	size_t at = 0;

	if (!shows || cgm_kubelet_pods_init(s, &pods) < 0) {
		free(shows);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->nr_rows; i++) {
		const struct cgm_who *w = s->rows[i].identity->who;

		shows[i] = !w || !w->pod_uid || !*w->pod_uid;
	}
	while (cgm_kubelet_pods_next(&pods, &at, &pod))
		if (pod.network)
			shows[pod.network - s->rows] = true;
	*ret = shows;
	return 0;
}
