// SPDX-License-Identifier: Apache-2.0
/*
 * Threads of the runtimes, and the join of what they know with the cgroups that there are. One lock for both; whoever holds it only moves pointers and
 * compares texts. A name that was given stays until its cgroup goes, even when the runtime has ended or has forgotten the container.
 */
#include "identity/names.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/path.h"
#include "identity/users.h"

#define LOOK_MSEC 1000 /* between two looks for a socket */
#define CALL_NS (5 * CGM_NSEC_PER_SEC) /* of one call to a runtime, unless an option says another */
#define MAX_BACKOFF_MSEC 30000
#define MAX_WANTED 4096 /* ids that wait for a driver */
#define NR_ASKS 6
#define FIRST_ASK_NS (CGM_NSEC_PER_SEC / 4) /* a pod's sandbox runs before the CRI shows it; doubled each time */

static const char no_socket[] = "there is no socket";

/* A container as a runtime tells of it. Those of one id are of one runtime, in namespaces of their own. */
struct known {
	struct known *next; /* of the same id; what was told last stands first */
	struct cgm_who *who;
	struct cgm_runtime *by;
	uint64_t listing; /* of by, in which it was told of last */
};

/* A cgroup whose path bears an id. */
struct place {
	char *path, *id;
	const char *runtime; /* as the path tells; NULL: it does not */
	bool is_pod; /* id is the pod's uid; who will be its sandbox */
	bool any_name; /* the id is no 64 digits: containerd's own, or no container at all */
	struct cgm_who *who; /* as it was handed out last, or will be; NULL: nobody knows it */
	struct cgm_runtime *user; /* whose runtime of its own told that; NULL: one of the machine did */
	bool fresh; /* in names.fresh */
	bool unresolved; /* in names.unresolved */
	uint8_t nr_asks;
	uint64_t ask_ns; /* when it is worth another try */
	struct place *next; /* of the same id */
};

struct cgm_runtime {
	struct cgm_names *names;
	struct cgm_runtime_config config;
	const struct cgm_runtime_driver *driver;
	pthread_t thread;
	bool has_thread;
	int wake_fd;
	bool running; /* the driver is, and takes ids */
	bool said; /* that it does not answer */
	char (*wanted)[CGM_MAX_ID];
	size_t nr_wanted, cap_wanted;
	uint64_t listing;
	struct cgm_runtime_state state;
	/* Of a user's. */
	struct cgm_user user; /* written by its thread, with the lock; uid 0: none */
	uid_t last_uid; /* its thread's: whom it tried last */
	size_t nr_places; /* that are named by it */
};

struct cgm_names {
	pthread_mutex_t lock;
	bool stopping; /* atomic */
	struct cgm_runtime runtimes[CGM_MAX_RUNTIMES];
	size_t nr_runtimes;
	struct cgm_hash known; /* by id */
	struct cgm_hash sandboxes; /* those of them, the newest of each pod, by the pod's uid */
	struct cgm_hash by_path, by_id; /* places; by_id: the first of each id */
	struct place **fresh, **unresolved;
	size_t nr_fresh, cap_fresh, nr_unresolved, cap_unresolved;
};

/* ---- places ---- */

static void place_free(struct place *p)
{
	if (!p)
		return;
	cgm_who_unref(p->who);
	free(p->path);
	free(p->id);
	free(p);
}
DEFINE_CLEANUP(place, place_free)

static void remove_from(struct place **list, size_t *nr, const struct place *p)
{
	for (size_t i = 0; i < *nr; i++)
		if (list[i] == p) {
			list[i] = list[--*nr];
			return;
		}
}

/* It is to be handed out. Out of memory: at the next change. */
static void freshen(struct cgm_names *n, struct place *p)
{
	if (p->fresh || cgm_grow((void **)&n->fresh, &n->cap_fresh, n->nr_fresh, sizeof(struct place *)) < 0)
		return;
	n->fresh[n->nr_fresh++] = p;
	p->fresh = true;
}

static void set_user(struct place *p, struct cgm_runtime *user)
{
	if (p->user)
		p->user->nr_places--;
	p->user = user;
	if (user)
		user->nr_places++;
}

static void name_place(struct cgm_names *n, struct place *p, struct cgm_who *who, struct cgm_runtime *user)
{
	cgm_who_unref(p->who);
	p->who = cgm_who_ref(who);
	set_user(p, user);
	freshen(n, p);
}

/* An id that is no 64 digits must stand where that runtime puts its cgroups, or any directory of that name would become the container. */
static bool may_be(const struct place *p, const struct known *k)
{
	return p->any_name ? strcmp(k->by->config.name, "containerd") == 0 || (p->runtime && strcmp(p->runtime, k->by->config.name) == 0) : true;
}

/* Does its path say so: /NAMESPACE/ID? */
static bool is_in_namespace(const struct place *p, const char *namespace)
{
	size_t len = strlen(p->path) - strlen(p->id);

	return p->any_name && namespace && len == strlen(namespace) + 2 && memcmp(p->path + 1, namespace, len - 2) == 0;
}

/* Who it is, of all that have its id; NULL: none of them. */
static struct known *known_of(struct cgm_names *n, const struct place *p)
{
	struct known *first = cgm_hash_get(p->is_pod ? &n->sandboxes : &n->known, p->id);

	for (struct known *k = p->is_pod ? NULL : first; k; k = k->next)
		if (may_be(p, k) && is_in_namespace(p, k->who->namespace))
			return k;
	return first && may_be(p, first) ? first : NULL;
}

/* False: it is worth asking. */
static bool resolve(struct cgm_names *n, struct place *p)
{
	struct known *k = known_of(n, p);

	if (k)
		name_place(n, p, k->who, NULL);
	return p->is_pod || (k && (!k->who->namespace || !p->any_name || is_in_namespace(p, k->who->namespace)));
}

static bool is_asked(const struct cgm_runtime *r, const struct place *p)
{
	if (!r->running || (r->config.users_dir && !cgm_user_owns(&r->user, p->path)))
		return false; /* it will list all; it has no say there */
	return p->runtime ? strcmp(p->runtime, r->config.name) == 0 : !p->any_name || strcmp(r->config.name, "containerd") == 0;
}

static void wake(struct cgm_runtime *r)
{
	uint64_t one = 1;

	/* It cannot fail but for a counter that is full, which wakes as well. */
	if (write(r->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void want(struct cgm_runtime *r, const char *id)
{
	if (r->nr_wanted >= MAX_WANTED || cgm_grow((void **)&r->wanted, &r->cap_wanted, r->nr_wanted, CGM_MAX_ID) < 0) {
		r->state.nr_lost++;
		return;
	}
	memcpy(r->wanted[r->nr_wanted++], id, strlen(id) + 1);
	wake(r);
}

static void ask(struct cgm_names *n, struct place *p)
{
	p->ask_ns = cgm_clock_mono_ns() + (FIRST_ASK_NS << p->nr_asks);
	p->nr_asks++;
	for (size_t i = 0; i < n->nr_runtimes; i++)
		if (is_asked(&n->runtimes[i], p))
			want(&n->runtimes[i], p->id);
}

/* NULL: the path bears no id, or out of memory. */
static struct place *place_new(const char *path)
{
	_cleanup_(place_freep) struct place *p = NULL;
	struct cgm_path_facts f;

	cgm_path_parse(path, &f);
	if (f.kind == CGM_PATH_POD)
		f.id = cgm_str(f.pod_uid);
	if (f.kind == CGM_PATH_UNIT || !f.id.len || f.id.len >= CGM_MAX_ID)
		return NULL;
	p = cgm_calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->path = cgm_strdup(path);
	p->id = cgm_strndup(f.id.p, f.id.len);
	p->runtime = f.runtime;
	p->is_pod = f.kind == CGM_PATH_POD;
	p->any_name = !p->is_pod && (f.kind == CGM_PATH_OTHER || f.id.len != 64);
	return p->path && p->id ? TAKE_PTR(p) : NULL;
}

void cgm_names_came(struct cgm_names *n, const char *path)
{
	_cleanup_(place_freep) struct place *made = n ? place_new(path) : NULL;
	struct place *p = made;

	if (!p)
		return;
	pthread_mutex_lock(&n->lock);
	if (!cgm_hash_get(&n->by_path, path) && cgm_hash_put(&n->by_path, p->path, p) == 0) {
		p->next = cgm_hash_get(&n->by_id, p->id);
		if (cgm_hash_put(&n->by_id, p->id, p) < 0) {
			cgm_hash_del(&n->by_path, path);
		} else {
			TAKE_PTR(made);
			if (!resolve(n, p) && cgm_grow((void **)&n->unresolved, &n->cap_unresolved, n->nr_unresolved, sizeof(struct place *)) == 0) {
				n->unresolved[n->nr_unresolved++] = p;
				p->unresolved = true;
				ask(n, p);
			}
		}
	}
	pthread_mutex_unlock(&n->lock);
}

/* The key of by_id lives in the first place of that id. */
static void unlink_id(struct cgm_names *n, struct place *p)
{
	struct place *first = cgm_hash_del(&n->by_id, p->id), **at = &first;

	while (*at && *at != p)
		at = &(*at)->next;
	if (*at)
		*at = p->next;
	if (first)
		(void)cgm_hash_put(&n->by_id, first->id, first); /* out of memory: they keep the names that they have */
}

void cgm_names_went(struct cgm_names *n, const char *path)
{
	struct place *p;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	p = cgm_hash_del(&n->by_path, path);
	if (p) {
		unlink_id(n, p);
		set_user(p, NULL);
		if (p->fresh)
			remove_from(n->fresh, &n->nr_fresh, p);
		if (p->unresolved)
			remove_from(n->unresolved, &n->nr_unresolved, p);
	}
	pthread_mutex_unlock(&n->lock);
	place_free(p);
}

static void ask_again(struct cgm_names *n)
{
	uint64_t now = n->nr_unresolved ? cgm_clock_mono_ns() : 0;

	for (size_t i = n->nr_unresolved; i-- > 0;) {
		struct place *p = n->unresolved[i];

		if (!p->who && p->nr_asks < NR_ASKS && p->ask_ns > now)
			continue;
		if (!p->who && p->nr_asks < NR_ASKS) {
			ask(n, p);
			continue;
		}
		p->unresolved = false;
		n->unresolved[i] = n->unresolved[--n->nr_unresolved];
	}
}

void cgm_names_take(struct cgm_names *n, cgm_names_fn *fn, void *arg)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->nr_fresh; i++) {
		n->fresh[i]->fresh = false;
		fn(arg, n->fresh[i]->path, n->fresh[i]->who);
	}
	n->nr_fresh = 0;
	ask_again(n);
	pthread_mutex_unlock(&n->lock);
}

struct cgm_who *cgm_names_find(struct cgm_names *n, const char *id)
{
	struct known *k;
	struct cgm_who *who;

	if (!n)
		return NULL;
	pthread_mutex_lock(&n->lock);
	k = cgm_hash_get(&n->known, id);
	who = k ? cgm_who_ref(k->who) : NULL;
	pthread_mutex_unlock(&n->lock);
	return who;
}

size_t cgm_names_state(struct cgm_names *n, struct cgm_runtime_state ret[CGM_MAX_RUNTIMES])
{
	size_t pos = 0, nr = 0;
	struct known *k;

	if (!n)
		return 0;
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->nr_runtimes; i++)
		n->runtimes[i].state.nr_known = n->runtimes[i].nr_places;
	while ((k = cgm_hash_next(&n->known, &pos)))
		for (; k; k = k->next)
			k->by->state.nr_known++;
	for (size_t i = 0; i < n->nr_runtimes; i++)
		if (!n->runtimes[i].config.users_dir || n->runtimes[i].user.uid) {
			const struct cgm_runtime *r = &n->runtimes[i];

			ret[nr] = r->state;
			snprintf(ret[nr++].socket, sizeof(ret->socket), "%s", r->config.users_dir ? r->user.socket : r->config.socket);
		}
	pthread_mutex_unlock(&n->lock);
	return nr;
}

/* ---- what drivers call ---- */

const struct cgm_runtime_config *cgm_runtime_config(const struct cgm_runtime *r)
{
	return &r->config;
}

int cgm_runtime_wake_fd(const struct cgm_runtime *r)
{
	return r->wake_fd;
}

bool cgm_runtime_stopping(const struct cgm_runtime *r)
{
	return __atomic_load_n(&r->names->stopping, __ATOMIC_ACQUIRE);
}

void cgm_runtime_connected(struct cgm_runtime *r, const char *version)
{
	struct cgm_names *n = r->names;

	pthread_mutex_lock(&n->lock);
	snprintf(r->state.version, sizeof(r->state.version), "%s", version ? version : "");
	r->state.fault[0] = '\0';
	r->state.connected = true;
	r->state.nr_connects++;
	pthread_mutex_unlock(&n->lock);
	cgm_info("%s%s%s at %s tells who containers are", r->state.name, version ? " " : "", version ? version : "", r->config.socket);
}

void cgm_runtime_images(struct cgm_runtime *r, uint64_t used_bytes, uint64_t used_inodes)
{
	struct cgm_names *n = r->names;

	pthread_mutex_lock(&n->lock);
	r->state.has_images = true;
	r->state.image_bytes = used_bytes;
	r->state.image_inodes = used_inodes;
	pthread_mutex_unlock(&n->lock);
}

static void known_free(struct known *k)
{
	if (k)
		cgm_who_unref(k->who);
	free(k);
}
DEFINE_CLEANUP(known, known_free)

static bool names_pod(const struct cgm_who *w)
{
	return w->is_sandbox && w->pod_uid && *w->pod_uid;
}

/* Out of the tables, and freed. */
static void forget(struct cgm_names *n, struct known *k)
{
	struct known *before = cgm_hash_get(&n->known, k->who->id);

	/* The key lives in the first; for one that is there put() needs no memory. */
	if (before == k && k->next)
		(void)cgm_hash_put(&n->known, k->next->who->id, k->next);
	else if (before == k)
		cgm_hash_del(&n->known, k->who->id);
	while (before != k && before->next != k)
		before = before->next;
	before->next = k->next;
	if (names_pod(k->who) && cgm_hash_get(&n->sandboxes, k->who->pod_uid) == k)
		cgm_hash_del(&n->sandboxes, k->who->pod_uid);
	known_free(k);
}

static bool is_second_hand(const struct known *k)
{
	return k->by->driver->second_hand;
}

/* A pod that was made anew has two for a while; beside that of a runtime there may be one by hearsay. False: out of memory. */
static bool note_sandbox(struct cgm_names *n, struct known *k)
{
	const struct known *other = names_pod(k->who) ? cgm_hash_get(&n->sandboxes, k->who->pod_uid) : NULL;

	if (!names_pod(k->who))
		return true;
	if (other && (is_second_hand(other) != is_second_hand(k) ? is_second_hand(k) : other->who->created_ns > k->who->created_ns))
		return true;
	return cgm_hash_put(&n->sandboxes, k->who->pod_uid, k) == 0;
}

/* Of two runtimes that know an id (containerd, and docker which uses it) the first in the table has the say. */
static bool overrules(const struct cgm_runtime *r, const struct known *k)
{
	if (r->driver->second_hand != is_second_hand(k))
		return is_second_hand(k);
	return r <= k->by || !k->by->state.connected;
}

static void tell_places(struct cgm_names *n, const struct known *k)
{
	bool pod = names_pod(k->who) && cgm_hash_get(&n->sandboxes, k->who->pod_uid) == k;

	for (struct place *p = cgm_hash_get(&n->by_id, k->who->id); p; p = p->next)
		if (!p->is_pod && known_of(n, p) == k)
			name_place(n, p, k->who, NULL);
	for (struct place *p = pod ? cgm_hash_get(&n->by_id, k->who->pod_uid) : NULL; p; p = p->next)
		name_place(n, p, k->who, NULL);
}

static bool is_named(const struct known *k, const char *namespace)
{
	return namespace && k->who->namespace ? strcmp(namespace, k->who->namespace) == 0 : namespace == k->who->namespace;
}

static struct known *find_in(struct cgm_names *n, const char *namespace, const char *id)
{
	struct known *k = cgm_hash_get(&n->known, id);

	while (k && !is_named(k, namespace))
		k = k->next;
	return k;
}

/* made takes the place of what was told of it before, and of what a runtime that has less to say told of that id. */
static int put_known(struct cgm_names *n, struct known *made)
{
	for (struct known *k = cgm_hash_get(&n->known, made->who->id), *next; k; k = next) {
		next = k->next;
		if (k->by != made->by || is_named(k, made->who->namespace))
			forget(n, k);
	}
	made->next = cgm_hash_get(&n->known, made->who->id);
	return cgm_hash_put(&n->known, made->who->id, made);
}

/* With the lock. who stays the caller's. */
static int learn(struct cgm_names *n, struct cgm_runtime *r, struct cgm_who *who)
{
	struct known *first = cgm_hash_get(&n->known, who->id), *k = find_in(n, who->namespace, who->id);
	_cleanup_(known_freep) struct known *made = NULL;

	if (first && !overrules(r, first))
		return 0;
	if (k && cgm_who_equal(k->who, who)) {
		k->by = r;
		k->listing = r->listing;
		return 0;
	}
	made = cgm_calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	*made = (struct known){ .who = cgm_who_ref(who), .by = r, .listing = r->listing };
	if (put_known(n, made) < 0)
		return -ENOMEM;
	if (!note_sandbox(n, made))
		r->state.nr_lost++;
	r->state.nr_learned++;
	tell_places(n, TAKE_PTR(made));
	return 0;
}

/* What a user's runtime says: kept in the user's own cgroups of that id, and nowhere else. */
static int learn_of_user(struct cgm_names *n, struct cgm_runtime *r, const struct cgm_who *told)
{
	_cleanup_(cgm_who_freep) struct cgm_who *who = NULL;

	for (struct place *p = cgm_hash_get(&n->by_id, told->id); p; p = p->next) {
		if (p->is_pod || p->any_name || !cgm_user_owns(&r->user, p->path) || known_of(n, p))
			continue;
		if (!who)
			who = cgm_who_of_user(told);
		if (!who)
			return -ENOMEM;
		if (p->who && cgm_who_equal(p->who, who))
			continue;
		name_place(n, p, who, r);
		r->state.nr_learned++;
	}
	return 0;
}

void cgm_runtime_learn(struct cgm_runtime *r, struct cgm_who *who)
{
	_cleanup_(cgm_who_freep) struct cgm_who *taken = who;
	struct cgm_names *n = r->names;

	pthread_mutex_lock(&n->lock);
	if (!taken || (r->config.users_dir ? learn_of_user(n, r, taken) : learn(n, r, taken)) < 0)
		r->state.nr_lost++;
	pthread_mutex_unlock(&n->lock);
}

void cgm_runtime_forget_in(struct cgm_runtime *r, const char *namespace, const char *id)
{
	struct cgm_names *n = r->names;
	struct known *k;

	pthread_mutex_lock(&n->lock);
	k = find_in(n, namespace, id);
	if (k && k->by == r)
		forget(n, k);
	pthread_mutex_unlock(&n->lock);
}

void cgm_runtime_forget(struct cgm_runtime *r, const char *id)
{
	cgm_runtime_forget_in(r, NULL, id);
}

void cgm_runtime_listed(struct cgm_runtime *r)
{
	struct cgm_names *n = r->names;
	struct known *k, *next;
	size_t pos = 0;

	pthread_mutex_lock(&n->lock);
	while ((k = cgm_hash_next(&n->known, &pos)))
		for (; k; k = next) {
			next = k->next;
			if (k->by == r && k->listing != r->listing)
				forget(n, k);
		}
	r->listing++;
	pthread_mutex_unlock(&n->lock);
}

bool cgm_runtime_next_wanted(struct cgm_runtime *r, char id[CGM_MAX_ID])
{
	struct cgm_names *n = r->names;
	bool there = false;
	uint64_t nr;

	pthread_mutex_lock(&n->lock);
	while (!there && r->nr_wanted) {
		memcpy(id, r->wanted[--r->nr_wanted], CGM_MAX_ID);
		there = !cgm_hash_get(&n->known, id); /* it may have been told of meanwhile */
	}
	if (!there && !n->stopping && read(r->wake_fd, &nr, sizeof(nr)) < 0 && errno != EAGAIN)
		r->state.nr_lost++;
	pthread_mutex_unlock(&n->lock);
	return there;
}

void cgm_runtime_count_call(struct cgm_runtime *r, bool failed)
{
	struct cgm_names *n = r->names;

	pthread_mutex_lock(&n->lock);
	r->state.nr_calls++;
	r->state.nr_failed += failed;
	pthread_mutex_unlock(&n->lock);
}

/* ---- a runtime's thread ---- */

/* False: it is time to stop. */
static bool pause_for(struct cgm_runtime *r, int msec)
{
	struct pollfd p = { .fd = r->wake_fd, .events = POLLIN };

	while (poll(&p, 1, msec) < 0 && errno == EINTR)
		;
	return !cgm_runtime_stopping(r);
}

/* A user that no other of our runtimes has, the next one each time. */
static bool find_user(struct cgm_runtime *r)
{
	struct cgm_names *n = r->names;
	uid_t taken[CGM_MAX_RUNTIMES];
	size_t nr_taken = 0;
	struct cgm_user user;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->nr_runtimes; i++)
		if (&n->runtimes[i] != r && n->runtimes[i].user.uid)
			taken[nr_taken++] = n->runtimes[i].user.uid;
	pthread_mutex_unlock(&n->lock);
	if (!cgm_user_find(r->config.users_dir, r->last_uid, taken, nr_taken, &user))
		user = (struct cgm_user){ 0 };
	pthread_mutex_lock(&n->lock);
	/* Another thread may have found the same at the same moment; the next look tells them apart. */
	for (size_t i = 0; i < n->nr_runtimes; i++)
		if (&n->runtimes[i] != r && user.uid && n->runtimes[i].user.uid == user.uid)
			user = (struct cgm_user){ 0 };
	r->user = user;
	if (user.uid)
		snprintf(r->state.name, sizeof(r->state.name), "%s-%u", r->config.name, (unsigned)user.uid);
	pthread_mutex_unlock(&n->lock);
	r->config.socket = r->user.socket;
	r->last_uid = user.uid;
	return user.uid != 0;
}

/* Who is there bears another number when he was started anew. */
static bool is_there(struct cgm_runtime *r, ino_t *ret, char *fault)
{
	struct stat st;

	snprintf(fault, CGM_RUNTIME_FAULT, "%s", no_socket);
	if (r->driver->there) {
		*ret = 1;
		return r->driver->there(r, fault);
	}
	if (r->config.users_dir && !find_user(r))
		return false;
	if (stat(r->config.socket, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	*ret = st.st_ino;
	return true;
}

static void set_running(struct cgm_runtime *r, bool running)
{
	struct cgm_names *n = r->names;
	uint64_t nr;

	pthread_mutex_lock(&n->lock);
	r->running = running;
	r->nr_wanted = 0;
	if (!n->stopping && read(r->wake_fd, &nr, sizeof(nr)) < 0 && errno != EAGAIN)
		r->state.nr_lost++;
	pthread_mutex_unlock(&n->lock);
}

static void note_fault(struct cgm_runtime *r, const char *fault)
{
	struct cgm_names *n = r->names;

	pthread_mutex_lock(&n->lock);
	snprintf(r->state.fault, sizeof(r->state.fault), "%s", fault);
	r->state.connected = false;
	pthread_mutex_unlock(&n->lock);
}

/* Once through the driver. True: it was connected. Tries that fail one after the other are said once. */
static bool run_once(struct cgm_runtime *r)
{
	uint64_t before = r->state.nr_connects; /* written by this thread alone */
	char fault[CGM_RUNTIME_FAULT] = "the connection ended";
	bool connected;

	set_running(r, true);
	(void)r->driver->run(r, fault);
	set_running(r, false);
	connected = r->state.nr_connects != before;
	if (!cgm_runtime_stopping(r)) {
		note_fault(r, fault);
		if ((connected || !r->said) && !r->driver->there)
			cgm_warning("%s: %s; containers keep the names that they have, and it is tried again", r->state.name, fault);
		r->said = true;
	}
	return connected;
}

static void *runtime_main(void *arg)
{
	struct cgm_runtime *r = arg;
	int backoff_msec = 0;
	uint64_t retry_ns = 0;
	char fault[CGM_RUNTIME_FAULT];
	ino_t last = 0, now;

	for (int msec = 0; pause_for(r, msec); msec = LOOK_MSEC) {
		if (!is_there(r, &now, fault)) {
			note_fault(r, fault);
			last = 0;
			continue;
		}
		if (now != last) /* another one than before: the runtime was started anew */
			backoff_msec = 0;
		else if (cgm_clock_mono_ns() < retry_ns)
			continue;
		last = now;
		backoff_msec = run_once(r) ? LOOK_MSEC : MIN(MAX(2 * backoff_msec, LOOK_MSEC), MAX_BACKOFF_MSEC);
		retry_ns = cgm_clock_mono_ns() + (uint64_t)backoff_msec * 1000000;
	}
	return NULL;
}

static int runtime_start(struct cgm_names *n, const struct cgm_names_config *c)
{
	struct cgm_runtime *r = &n->runtimes[n->nr_runtimes];
	int err;

	*r = (struct cgm_runtime){ .names = n, .config = c->config, .driver = c->driver, .listing = 1 };
	snprintf(r->state.name, sizeof(r->state.name), "%s", c->config.name);
	snprintf(r->state.fault, sizeof(r->state.fault), "%s", no_socket);
	if (!r->config.timeout_ns)
		r->config.timeout_ns = CALL_NS;
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0)
		return -errno;
	n->nr_runtimes++;
	err = pthread_create(&r->thread, NULL, runtime_main, r);
	r->has_thread = err == 0;
	return -err;
}

int cgm_names_new(const struct cgm_names_config *configs, size_t nr, struct cgm_names **ret)
{
	_cleanup_(cgm_names_freep) struct cgm_names *n = cgm_calloc(1, sizeof(*n));
	int r = n ? 0 : -ENOMEM;

	if (n)
		pthread_mutex_init(&n->lock, NULL);
	for (size_t i = 0; r == 0 && i < nr && n->nr_runtimes < CGM_MAX_RUNTIMES; i++)
		if ((configs[i].config.socket && *configs[i].config.socket) || configs[i].config.users_dir)
			r = runtime_start(n, &configs[i]);
	if (r == 0)
		*ret = TAKE_PTR(n);
	return r;
}

void cgm_names_free(struct cgm_names *n)
{
	struct known *k, *next;
	struct place *p;
	size_t pos = 0;

	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	__atomic_store_n(&n->stopping, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&n->lock);
	for (size_t i = 0; i < n->nr_runtimes; i++)
		wake(&n->runtimes[i]);
	for (size_t i = 0; i < n->nr_runtimes; i++) {
		struct cgm_runtime *r = &n->runtimes[i];

		if (r->has_thread)
			pthread_join(r->thread, NULL);
		close(r->wake_fd);
		free(r->wanted);
	}
	while ((k = cgm_hash_next(&n->known, &pos)))
		for (; k; k = next) {
			next = k->next;
			known_free(k);
		}
	pos = 0;
	while ((p = cgm_hash_next(&n->by_path, &pos)))
		place_free(p);
	cgm_hash_done(&n->known);
	cgm_hash_done(&n->sandboxes);
	cgm_hash_done(&n->by_path);
	cgm_hash_done(&n->by_id);
	free(n->fresh);
	free(n->unresolved);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
