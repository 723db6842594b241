// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kube/json.h"

#define NR_LENDERS 1024

struct space;
struct pod_entry {
	struct cgm_kube_pod *pod;
	struct pod_entry *chain; /* another pod with the same hash of namespace and name */
	struct pod_entry *next, **link; /* of its namespace */
	struct space *space;
	uint64_t listing; /* in which it was told of last */
};

/* A namespace: told of, or seen as that of a pod. */
struct space {
	char *uid; /* NULL: it was not told of */
	struct pod_entry *pods;
	uint64_t listing;
	char name[];
};

struct node_entry {
	struct cgm_kube_node *node;
	uint64_t listing;
};

struct cgm_kube_cluster {
	struct cgm_kube_watch *watches[CGM_NR_KUBE_WHAT];
	bool slim_pods;
	struct cgm_kube_pod *lenders[NR_LENDERS]; /* slim pods with labels of their own, by the hash of these: replicas have the same ones. The thread's that follows pods */
	pthread_mutex_t lock; /* for what follows */
	struct cgm_hash nodes; /* entries by name */
	struct cgm_hash pods; /* entries by the hash of namespace and name: 150,000 keys of text would be 10 MB */
	struct cgm_hash spaces; /* by name */
	uint64_t listing[CGM_NR_KUBE_WHAT], nr_lost[CGM_NR_KUBE_WHAT], nodes_version;
	size_t nr[CGM_NR_KUBE_WHAT];
};

/* ---- nodes ---- */

static void node_entry_free(struct node_entry *e)
{
	if (!e)
		return;
	cgm_kube_node_unref(e->node);
	free(e);
}
DEFINE_CLEANUP(node_entry, node_entry_free)

static void drop_node(struct cgm_kube_cluster *c, const char *name)
{
	struct node_entry *e = cgm_hash_del(&c->nodes, name);

	if (!e)
		return;
	node_entry_free(e);
	c->nr[CGM_KUBE_NODES]--;
	c->nodes_version++;
}

/* A kubelet tells of itself every few minutes though nothing of it changes: that is no change. */
static int put_node(struct cgm_kube_cluster *c, struct cgm_kube_node *node)
{
	struct node_entry *e = cgm_hash_get(&c->nodes, node->name);
	_cleanup_(node_entry_freep) struct node_entry *made = NULL;

	if (e && cgm_kube_node_same(e->node, node)) {
		e->listing = c->listing[CGM_KUBE_NODES];
		return 0;
	}
	made = cgm_calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	*made = (struct node_entry){ .node = cgm_kube_node_ref(node), .listing = c->listing[CGM_KUBE_NODES] };
	if (cgm_hash_put(&c->nodes, node->name, made) < 0)
		return -ENOMEM;
	TAKE_PTR(made);
	node_entry_free(e);
	c->nr[CGM_KUBE_NODES] += !e;
	c->nodes_version++;
	return 0;
}

static int on_node(struct cgm_kube_cluster *c, const json_t *object, bool deleted)
{
	_cleanup_(cgm_kube_node_freep) struct cgm_kube_node *node = NULL;
	int r = cgm_kube_node_read(object, &node);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	if (deleted)
		drop_node(c, node->name);
	else
		r = put_node(c, node);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- namespaces ---- */

static void space_free(struct space *s)
{
	if (s)
		free(s->uid);
	free(s);
}
DEFINE_CLEANUP(space, space_free)

/* NULL: out of memory. */
static struct space *get_space(struct cgm_kube_cluster *c, const char *name)
{
	struct space *found = cgm_hash_get(&c->spaces, name);
	_cleanup_(space_freep) struct space *made = NULL;
	size_t size = strlen(name) + 1;

	if (found)
		return found;
	made = cgm_calloc(1, sizeof(*made) + size);
	if (!made)
		return NULL;
	memcpy(made->name, name, size);
	return cgm_hash_put(&c->spaces, made->name, made) == 0 ? TAKE_PTR(made) : NULL;
}

static void drop_empty_space(struct cgm_kube_cluster *c, struct space *s)
{
	if (!s->uid && !s->pods)
		space_free(cgm_hash_del(&c->spaces, s->name));
}

static void forget_uid(struct cgm_kube_cluster *c, struct space *s)
{
	if (s->uid)
		c->nr[CGM_KUBE_NAMESPACES]--;
	free(TAKE_PTR(s->uid));
	drop_empty_space(c, s);
}

static int put_space(struct cgm_kube_cluster *c, const char *name, const char *uid)
{
	struct space *s = get_space(c, name);
	char *copy = s ? cgm_strdup(uid) : NULL;

	if (!copy) {
		if (s)
			drop_empty_space(c, s);
		return -ENOMEM;
	}
	c->nr[CGM_KUBE_NAMESPACES] += !s->uid;
	free(s->uid);
	s->uid = copy;
	s->listing = c->listing[CGM_KUBE_NAMESPACES];
	return 0;
}

static int on_namespace(struct cgm_kube_cluster *c, const json_t *object, bool deleted)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *name = cgm_json_text(meta, "name"), *uid = cgm_json_text(meta, "uid");
	struct space *s;
	int r = 0;

	if (!name || !*name || !uid || !*uid)
		return -EINVAL;
	pthread_mutex_lock(&c->lock);
	if (!deleted) {
		r = put_space(c, name, uid);
	} else {
		s = cgm_hash_get(&c->spaces, name);
		if (s)
			forget_uid(c, s);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- pods ---- */

static uint64_t pod_hash(const char *pod_namespace, const char *name)
{
	return cgm_hash_bytes(pod_namespace, strlen(pod_namespace)) * 31 + cgm_hash_bytes(name, strlen(name));
}

static struct pod_entry *find_pod(const struct cgm_kube_cluster *c, const char *pod_namespace, const char *name)
{
	struct pod_entry *e = cgm_hash_get_u64(&c->pods, pod_hash(pod_namespace, name));

	while (e && (strcmp(e->pod->name, name) != 0 || strcmp(e->pod->pod_namespace, pod_namespace) != 0))
		e = e->chain;
	return e;
}

static void pod_entry_free(struct pod_entry *e)
{
	if (!e)
		return;
	cgm_kube_pod_unref(e->pod);
	free(e);
}
DEFINE_CLEANUP(pod_entry, pod_entry_free)

static void drop_pod(struct cgm_kube_cluster *c, struct pod_entry *e)
{
	uint64_t hash = pod_hash(e->pod->pod_namespace, e->pod->name);
	struct pod_entry *p = cgm_hash_get_u64(&c->pods, hash);

	if (p == e && !e->chain)
		cgm_hash_del_u64(&c->pods, hash);
	else if (p == e)
		cgm_hash_put_u64(&c->pods, hash, e->chain); /* in its place: needs no memory */
	else {
		while (p->chain != e)
			p = p->chain;
		p->chain = e->chain;
	}
	*e->link = e->next;
	if (e->next)
		e->next->link = e->link;
	c->nr[CGM_KUBE_PODS]--;
	pod_entry_free(e);
}

/* The space has been found; made goes into the table, then nothing can fail. */
static int add_pod(struct cgm_kube_cluster *c, struct pod_entry *made)
{
	uint64_t hash = pod_hash(made->pod->pod_namespace, made->pod->name);
	struct space *s = made->space;

	made->chain = cgm_hash_get_u64(&c->pods, hash);
	if (cgm_hash_put_u64(&c->pods, hash, made) < 0)
		return -ENOMEM;
	made->next = s->pods;
	made->link = &s->pods;
	if (s->pods)
		s->pods->link = &made->next;
	s->pods = made;
	c->nr[CGM_KUBE_PODS]++;
	return 0;
}

static int put_pod(struct cgm_kube_cluster *c, struct cgm_kube_pod *pod)
{
	struct pod_entry *e = find_pod(c, pod->pod_namespace, pod->name);
	_cleanup_(pod_entry_freep) struct pod_entry *made = NULL;
	struct space *s;
	int r;

	if (e) {
		cgm_kube_pod_unref(e->pod);
		e->pod = cgm_kube_pod_ref(pod);
		e->listing = c->listing[CGM_KUBE_PODS];
		return 0;
	}
	s = get_space(c, pod->pod_namespace);
	if (!s)
		return -ENOMEM;
	made = cgm_calloc(1, sizeof(*made));
	if (made)
		*made = (struct pod_entry){ .pod = cgm_kube_pod_ref(pod), .space = s, .listing = c->listing[CGM_KUBE_PODS] };
	r = made ? add_pod(c, made) : -ENOMEM;
	if (r == 0)
		TAKE_PTR(made);
	else
		drop_empty_space(c, s);
	return r;
}

static size_t labels_hash(const struct cgm_kube_pod *pod)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < pod->nr_labels; i++)
		hash = (hash * 31 + cgm_hash_bytes(pod->labels[i].key, strlen(pod->labels[i].key))) * 31 + cgm_hash_bytes(pod->labels[i].value, strlen(pod->labels[i].value));
	return (hash ^ hash >> 32) % NR_LENDERS;
}

static int read_slim(struct cgm_kube_cluster *c, const json_t *object, struct cgm_kube_pod **ret)
{
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *pod = NULL;
	struct cgm_kube_pod **lender;
	int r = cgm_kube_pod_read_slim(object, NULL, &pod);

	if (r < 0)
		return r;
	lender = &c->lenders[labels_hash(pod)];
	if (pod->nr_labels && *lender && cgm_kube_pod_same_labels(*lender, pod))
		return cgm_kube_pod_read_slim(object, *lender, ret);
	if (pod->nr_labels) {
		cgm_kube_pod_unref(*lender);
		*lender = cgm_kube_pod_ref(pod);
	}
	*ret = TAKE_PTR(pod);
	return 0;
}

static int on_pod(struct cgm_kube_cluster *c, const json_t *object, bool deleted)
{
	_cleanup_(cgm_kube_pod_freep) struct cgm_kube_pod *pod = NULL;
	struct pod_entry *e;
	uint64_t nr_bad = 0;
	int r = c->slim_pods ? read_slim(c, object, &pod) : cgm_kube_pod_read(object, false, &pod, &nr_bad);

	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	c->nr_lost[CGM_KUBE_PODS] += nr_bad;
	if (!deleted) {
		r = put_pod(c, pod);
	} else {
		e = find_pod(c, pod->pod_namespace, pod->name);
		if (e && strcmp(e->pod->uid, pod->uid) == 0) {
			struct space *s = e->space;

			drop_pod(c, e);
			drop_empty_space(c, s);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* ---- watches ---- */

static void begin_list(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	pthread_mutex_lock(&c->lock);
	c->listing[what]++;
	pthread_mutex_unlock(&c->lock);
}

static void lost(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	pthread_mutex_lock(&c->lock);
	c->nr_lost[what]++;
	pthread_mutex_unlock(&c->lock);
}

static void end_nodes(struct cgm_kube_cluster *c)
{
	const struct node_entry *e;
	size_t pos = 0;

	while ((e = cgm_hash_next(&c->nodes, &pos)))
		if (e->listing != c->listing[CGM_KUBE_NODES])
			drop_node(c, e->node->name);
}

static void end_pods(struct cgm_kube_cluster *c)
{
	struct space *s;
	size_t pos = 0;

	while ((s = cgm_hash_next(&c->spaces, &pos))) {
		for (struct pod_entry *e = s->pods, *next; e; e = next) {
			next = e->next;
			if (e->listing != c->listing[CGM_KUBE_PODS])
				drop_pod(c, e);
		}
		drop_empty_space(c, s);
	}
}

static void end_namespaces(struct cgm_kube_cluster *c)
{
	struct space *s;
	size_t pos = 0;

	while ((s = cgm_hash_next(&c->spaces, &pos)))
		if (s->uid && s->listing != c->listing[CGM_KUBE_NAMESPACES])
			forget_uid(c, s);
}

/* Which of the three it is that calls back is in the function. */
#define CALLBACKS(one, many, what)                                                    \
	static void on_object_of_##many(void *arg, const json_t *object, bool deleted) \
	{                                                                             \
		if (on_##one(arg, object, deleted) < 0)                               \
			lost(arg, what);                                              \
	}                                                                             \
	static void on_list_of_##many(void *arg)                                      \
	{                                                                             \
		begin_list(arg, what);                                                \
	}                                                                             \
	static void on_synced_of_##many(void *arg)                                    \
	{                                                                             \
		struct cgm_kube_cluster *c = arg;                                     \
                                                                                      \
		pthread_mutex_lock(&c->lock);                                         \
		end_##many(c);                                                        \
		pthread_mutex_unlock(&c->lock);                                       \
	}

CALLBACKS(node, nodes, CGM_KUBE_NODES)
CALLBACKS(pod, pods, CGM_KUBE_PODS)
CALLBACKS(namespace, namespaces, CGM_KUBE_NAMESPACES)

#define WATCH(many) .on_object = on_object_of_##many, .on_list = on_list_of_##many, .on_synced = on_synced_of_##many

static int start(struct cgm_kube_cluster *c, const struct cgm_kube_cluster_config *config)
{
	struct cgm_kube_watch_config watches[] = {
		[CGM_KUBE_NODES] = { .path = "/api/v1/nodes", WATCH(nodes) },
		[CGM_KUBE_PODS] = { .path = "/api/v1/pods", .field_selector = "spec.nodeName!=", WATCH(pods) },
		[CGM_KUBE_NAMESPACES] = { .path = "/api/v1/namespaces", WATCH(namespaces) },
	};
	int r = 0;

	watches[CGM_KUBE_PODS].metadata_only = config->slim_pods;
	watches[CGM_KUBE_NAMESPACES].metadata_only = true;
	watches[CGM_KUBE_NODES].label_selector = config->node_selector && *config->node_selector ? config->node_selector : NULL;
	for (size_t i = 0; r == 0 && i < (config->no_pods ? 1 : ARRAY_SIZE(watches)); i++) {
		watches[i].cached = true; /* all of a large cluster: as a reflector of client-go does */
		watches[i].arg = c;
		r = cgm_kube_watch_new(config->kube, &watches[i], &c->watches[i]);
	}
	return r;
}

/* ---- life ---- */

int cgm_kube_cluster_new(const struct cgm_kube_cluster_config *config, struct cgm_kube_cluster **ret)
{
	_cleanup_(cgm_kube_cluster_freep) struct cgm_kube_cluster *c = cgm_calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	c->slim_pods = config->slim_pods;
	r = start(c, config);
	if (r == 0)
		*ret = TAKE_PTR(c);
	return r;
}

void cgm_kube_cluster_free(struct cgm_kube_cluster *c)
{
	struct space *s;
	struct node_entry *e;
	size_t pos = 0;

	if (!c)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(c->watches); i++)
		cgm_kube_watch_free(c->watches[i]);
	while ((e = cgm_hash_next(&c->nodes, &pos)))
		node_entry_free(e);
	pos = 0;
	while ((s = cgm_hash_next(&c->spaces, &pos))) {
		for (struct pod_entry *p = s->pods, *next; p; p = next) {
			next = p->next;
			pod_entry_free(p);
		}
		space_free(s);
	}
	for (size_t i = 0; i < NR_LENDERS; i++)
		cgm_kube_pod_unref(c->lenders[i]);
	cgm_hash_done(&c->nodes);
	cgm_hash_done(&c->pods);
	cgm_hash_done(&c->spaces);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- what is asked of it ---- */

struct cgm_kube_watch_state cgm_kube_cluster_state(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	struct cgm_kube_watch_state state = { .fault = "it is not asked for" };

	if (!c->watches[what])
		return state;
	state = cgm_kube_watch_state(c->watches[what]);
	pthread_mutex_lock(&c->lock);
	state.nr_objects_lost += c->nr_lost[what];
	pthread_mutex_unlock(&c->lock);
	return state;
}

uint64_t cgm_kube_cluster_nodes_version(struct cgm_kube_cluster *c)
{
	uint64_t version;

	pthread_mutex_lock(&c->lock);
	version = c->nodes_version;
	pthread_mutex_unlock(&c->lock);
	return version;
}

size_t cgm_kube_cluster_nr(struct cgm_kube_cluster *c, enum cgm_kube_what what)
{
	size_t nr;

	pthread_mutex_lock(&c->lock);
	nr = c->nr[what];
	pthread_mutex_unlock(&c->lock);
	return nr;
}

static int by_name(const void *a, const void *b)
{
	const struct cgm_kube_node *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

int cgm_kube_cluster_nodes(struct cgm_kube_cluster *c, struct cgm_kube_node ***ret, size_t *ret_nr)
{
	struct cgm_kube_node **all;
	const struct node_entry *e;
	size_t pos = 0, nr = 0;

	pthread_mutex_lock(&c->lock);
	all = cgm_malloc((c->nodes.live + 1) * sizeof(struct cgm_kube_node *));
	while (all && (e = cgm_hash_next(&c->nodes, &pos)))
		all[nr++] = cgm_kube_node_ref(e->node);
	pthread_mutex_unlock(&c->lock);
	if (!all)
		return -ENOMEM;
	if (nr)
		qsort(all, nr, sizeof(struct cgm_kube_node *), by_name);
	*ret = all;
	*ret_nr = nr;
	return 0;
}

struct cgm_kube_node *cgm_kube_cluster_node(struct cgm_kube_cluster *c, const char *name)
{
	const struct node_entry *e;
	struct cgm_kube_node *node;

	pthread_mutex_lock(&c->lock);
	e = cgm_hash_get(&c->nodes, name);
	node = e ? cgm_kube_node_ref(e->node) : NULL;
	pthread_mutex_unlock(&c->lock);
	return node;
}

struct cgm_kube_pod *cgm_kube_cluster_pod(struct cgm_kube_cluster *c, const char *pod_namespace, const char *name)
{
	const struct pod_entry *e;
	struct cgm_kube_pod *pod;

	pthread_mutex_lock(&c->lock);
	e = find_pod(c, pod_namespace, name);
	pod = e ? cgm_kube_pod_ref(e->pod) : NULL;
	pthread_mutex_unlock(&c->lock);
	return pod;
}

static size_t add_pods(const struct space *s, struct cgm_kube_pod **to)
{
	size_t nr = 0;

	for (const struct pod_entry *e = s->pods; e; e = e->next, nr++)
		if (to)
			to[nr] = cgm_kube_pod_ref(e->pod);
	return nr;
}

int cgm_kube_cluster_pods(struct cgm_kube_cluster *c, const char *pod_namespace, struct cgm_kube_pod ***ret, size_t *ret_nr)
{
	const struct space *s;
	struct cgm_kube_pod **all;
	size_t pos = 0, nr = 0;

	pthread_mutex_lock(&c->lock);
	s = pod_namespace ? cgm_hash_get(&c->spaces, pod_namespace) : NULL;
	all = cgm_malloc(((pod_namespace ? s ? add_pods(s, NULL) : 0 : c->nr[CGM_KUBE_PODS]) + 1) * sizeof(struct cgm_kube_pod *));
	if (all && s)
		nr = add_pods(s, all);
	while (all && !pod_namespace && (s = cgm_hash_next(&c->spaces, &pos)))
		nr += add_pods(s, all + nr);
	pthread_mutex_unlock(&c->lock);
	if (!all)
		return -ENOMEM;
	*ret = all;
	*ret_nr = nr;
	return 0;
}

bool cgm_kube_cluster_namespace_uid(struct cgm_kube_cluster *c, const char *name, char *uid, size_t size)
{
	const struct space *s;
	bool known;

	pthread_mutex_lock(&c->lock);
	s = cgm_hash_get(&c->spaces, name);
	known = s && s->uid;
	if (known)
		snprintf(uid, size, "%s", s->uid);
	pthread_mutex_unlock(&c->lock);
	return known;
}
