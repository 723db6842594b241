// SPDX-License-Identifier: Apache-2.0
#include "node/places.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cgroup/rootfs.h"
#include "node/containers.h"

#define LOOK_NS (5 * CGM_NSEC_PER_SEC) /* between two looks at results, at most */
#define LEARN_A_TICK 16 /* each costs some files: 50 to 100 µs */
#define MAX_TRIES 5 /* a runtime tells of a container's process before that has moved to its root */

struct place {
	char *path; /* NULL: none */
	struct cgm_disk_mark *mark;
	struct cgm_disk_usage usage; /* as of the last look */
	bool known;
};

struct volume {
	struct place place;
	char *name, *plugin; /* name: of the directory; plugin: of the kubelet, with a slash; NULL: none */
	struct cgm_kube_volume_name *claimed; /* NULL: no claim is known */
	uint32_t round; /* of the listing that saw it last */
};

struct cgm_place_set {
	struct cgm_places *table;
	struct cgm_who *who; /* as of the last learning */
	bool is_pod, unplaced, changed, placed; /* placed: the layer is that of who's process */
	unsigned nr_tries;
	struct place layer, logs, hosts;
	struct volume *volumes;
	size_t nr, cap;
	uint32_t round;
	uint64_t look_ns, list_ns; /* when next, monotonic */
	struct cgm_storage *storage;
};

struct cgm_places {
	struct cgm_places_config config;
	struct cgm_disk *disk;
	uint64_t tick_ns;
	unsigned nr_learned; /* in this tick */
	uint64_t nr_unplaced, nr_lost;
};

/* ---- one place ---- */

static void place_done(struct cgm_places *p, struct place *place)
{
	cgm_disk_drop(p->disk, place->mark);
	free(place->path);
	*place = (struct place){ 0 };
}

/* path NULL: it is nowhere. */
static void place_set(struct cgm_places *p, struct place *place, const char *path)
{
	if (path && place->path && strcmp(path, place->path) == 0)
		return;
	place_done(p, place);
	if (!path)
		return;
	place->path = cgm_strdup(path);
	place->mark = place->path ? cgm_disk_add(p->disk, path) : NULL;
	if (!place->mark) {
		p->nr_lost++;
		free(place->path);
		place->path = NULL;
	}
}

/* True: something new is known. */
static bool place_look(struct cgm_places *p, struct place *place)
{
	struct cgm_disk_usage u = { 0 };
	bool known = place->mark && cgm_disk_get(p->disk, place->mark, &u), changed = known != place->known || (known && u.time_ns != place->usage.time_ns);

	place->known = known;
	place->usage = u;
	return changed;
}

/* ---- volumes ---- */

static void volume_done(struct cgm_places *p, struct volume *v)
{
	place_done(p, &v->place);
	free(v->name);
	free(v->plugin);
	free(v->claimed);
}

static struct volume *find_volume(struct cgm_place_set *set, const char *path)
{
	for (size_t i = 0; i < set->nr; i++)
		if (strcmp(set->volumes[i].place.path, path) == 0)
			return &set->volumes[i];
	return NULL;
}

/* plugin NULL: docker's or podman's. */
static void see_volume(struct cgm_places *p, struct cgm_place_set *set, const char *name, const char *plugin, const char *path)
{
	struct volume *v = find_volume(set, path), fresh = { .round = set->round };

	if (v) {
		v->round = set->round;
		return;
	}
	if (cgm_grow((void **)&set->volumes, &set->cap, set->nr, sizeof(*v)) < 0) {
		p->nr_lost++;
		return;
	}
	fresh.name = cgm_strdup(name);
	fresh.plugin = plugin ? cgm_strdup(plugin) : NULL;
	if (!fresh.name || (plugin && !fresh.plugin))
		p->nr_lost++;
	else
		place_set(p, &fresh.place, path);
	if (fresh.place.path)
		set->volumes[set->nr++] = fresh;
	else
		volume_done(p, &fresh);
}

static void drop_unseen(struct cgm_places *p, struct cgm_place_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->nr; i++) {
		struct volume *v = &set->volumes[i];

		if (v->round == set->round) {
			set->volumes[kept++] = *v;
			continue;
		}
		volume_done(p, v);
		set->changed = true;
	}
	set->nr = kept;
}

/* As the kubelet's IsLocalEphemeralVolume: secrets, tokens and facts of the pod lie in memory, and persistent volumes are not the pod's own. */
static bool is_ephemeral(const struct volume *v)
{
	static const char *const plugins[] = { "kubernetes.io/empty-dir", "kubernetes.io/configmap", "kubernetes.io/git-repo" };

	for (size_t i = 0; v->plugin && i < ARRAY_SIZE(plugins); i++)
		if (strcmp(v->plugin, plugins[i]) == 0)
			return v->place.usage.source != CGM_DISK_FS; /* an emptyDir of the medium Memory is a tmpfs */
	return false;
}

/* The kubelet calls the directory of a persistent volume after that: what the pod calls it, and by which claim it has it, the API server knows. */
static void find_claims(struct cgm_places *p, struct cgm_place_set *set)
{
	struct cgm_kube_volume_name found;

	for (size_t i = 0; i < set->nr && p->config.pods; i++) {
		struct volume *v = &set->volumes[i];

		if (v->claimed || !v->plugin || !cgm_kube_pods_volume(p->config.pods, set->who->pod_uid, v->name, &found))
			continue;
		v->claimed = cgm_malloc(sizeof(found));
		if (!v->claimed) {
			p->nr_lost++;
			return;
		}
		*v->claimed = found;
		set->changed = true;
	}
}

static const char *below(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/* dir: …/volumes/PLUGIN. */
static void list_plugin(struct cgm_places *p, struct cgm_place_set *set, const char *dir, const char *plugin)
{
	_cleanup_closedir_ DIR *d = cgm_opendir_at(p->config.root_fd, below(dir));
	bool csi = strcmp(plugin, "kubernetes.io/csi") == 0;
	char path[PATH_MAX];
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && (size_t)snprintf(path, sizeof(path), "%s/%s%s", dir, e->d_name, csi ? "/mount" : "") < sizeof(path))
			see_volume(p, set, e->d_name, plugin, path);
}

/* The uid is a label, which anybody who may start containers chooses. */
static bool is_uid(const char *uid)
{
	return *uid && *uid != '.' && !strchr(uid, '/') && strlen(uid) < NAME_MAX;
}

static void list_pod(struct cgm_places *p, struct cgm_place_set *set)
{
	_cleanup_closedir_ DIR *d = NULL;
	char dir[512], path[PATH_MAX], plugin[NAME_MAX + 1], *tilde;
	struct dirent *e;

	if (!*p->config.kubelet_root || !is_uid(set->who->pod_uid) ||
	    (size_t)snprintf(dir, sizeof(dir), "%s/pods/%s", p->config.kubelet_root, set->who->pod_uid) >= sizeof(dir))
		return;
	set->round++;
	snprintf(path, sizeof(path), "%s/etc-hosts", dir);
	place_set(p, &set->hosts, cgm_rootfs_there(p->config.root_fd, path) ? path : NULL);
	snprintf(path, sizeof(path), "%s/volumes", dir);
	d = cgm_opendir_at(p->config.root_fd, below(path));
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/volumes/%s", dir, e->d_name);
		snprintf(plugin, sizeof(plugin), "%s", e->d_name);
		tilde = strchr(plugin, '~');
		if (tilde)
			*tilde = '/';
		list_plugin(p, set, path, plugin);
	}
	find_claims(p, set);
	drop_unseen(p, set);
}

/* ---- a container's ---- */

static bool is_called(const char *from, const char *to, const char *name)
{
	return name && strlen(name) == (size_t)(to - from) && memcmp(from, name, (size_t)(to - from)) == 0;
}

/*
 * The directory of the log when it is the container's own (docker's …/containers/ID/, podman's …/ID/userdata/, the kubelet's …/POD/CONTAINER/): older logs are
 * there, too. Else the file.
 */
static void find_logs(struct cgm_places *p, struct cgm_place_set *set)
{
	const struct cgm_who *w = set->who;
	const char *path = w->log_path, *end = path ? strrchr(path, '/') : NULL;
	char dir[PATH_MAX];

	if (!path || *path != '/' || strlen(path) >= sizeof(dir)) {
		place_set(p, &set->logs, NULL);
		return;
	}
	snprintf(dir, sizeof(dir), "%s", path);
	for (const char *to = end, *from; to > path; to = from - 1) {
		for (from = to; from > path && from[-1] != '/';)
			from--;
		if (is_called(from, to, w->id) || (to == end && is_called(from, to, w->container))) {
			dir[end - path] = '\0';
			break;
		}
		if (to != end || from == path)
			break;
	}
	place_set(p, &set->logs, dir);
}

static void say_unplaced(struct cgm_places *p, struct cgm_place_set *set, bool unplaced)
{
	p->nr_unplaced += (uint64_t)unplaced - (uint64_t)set->unplaced;
	set->unplaced = unplaced;
	if (unplaced)
		cgm_log_once(CGM_LOG_INFO, "what %s writes into its root is not to be found on this machine (a runtime inside a container, or a storage driver without "
					   "directories): its file system is not shown, nor is that of others of the kind", set->who->id);
}

/* The process is the surest; a runtime's own words stand where its overlay was given by relative paths, or is a program's (fuse-overlayfs). */
static void find_layer(struct cgm_places *p, struct cgm_place_set *set)
{
	const struct cgm_who *w = set->who;
	char path[PATH_MAX];
	int r = w->pid ? cgm_rootfs_find(p->config.root_fd, w->pid, path, sizeof(path)) : -ENOENT;

	if (r < 0 && w->upper_dir && strlen(w->upper_dir) < sizeof(path) && cgm_rootfs_there(p->config.root_fd, w->upper_dir)) {
		snprintf(path, sizeof(path), "%s", w->upper_dir);
		r = 0;
	}
	if (r == -ENOMEM)
		p->nr_lost++;
	set->nr_tries++;
	if (r == 0 || set->nr_tries >= MAX_TRIES)
		place_set(p, &set->layer, r == 0 ? path : NULL);
	set->placed = r == 0 && set->layer.path;
	say_unplaced(p, set, r < 0 && set->nr_tries >= MAX_TRIES);
}

static void find_volumes(struct cgm_places *p, struct cgm_place_set *set)
{
	set->round++;
	for (size_t i = 0; i < set->who->nr_volumes; i++)
		see_volume(p, set, set->who->volumes[i].key, NULL, set->who->volumes[i].value);
	drop_unseen(p, set);
}

/* ---- learning ---- */

/* Who it is, or what is told of it, is new. */
static void learn(struct cgm_places *p, struct cgm_place_set *set, struct cgm_who *who)
{
	bool restarted = !set->who || set->who->pid != who->pid;

	cgm_who_unref(set->who);
	set->who = cgm_who_ref(who);
	if (set->is_pod) {
		set->list_ns = 0;
		return;
	}
	if (restarted) {
		set->placed = false;
		set->nr_tries = 0;
		set->look_ns = 0;
	}
	find_logs(p, set);
	find_volumes(p, set);
}

static bool publish(struct cgm_place_set *set)
{
	_cleanup_free_ struct cgm_volume *volumes = cgm_calloc(set->nr + 1, sizeof(*volumes));
	struct cgm_storage s = {
		.has_layer = set->layer.known,
		.has_logs = set->logs.known,
		.has_hosts = set->hosts.known,
		.layer = set->layer.usage,
		.logs = set->logs.usage,
		.hosts = set->hosts.usage,
		.volumes = volumes,
	};
	struct cgm_storage *fresh;

	if (!volumes)
		return false;
	for (size_t i = 0; i < set->nr; i++) {
		const struct volume *v = &set->volumes[i];

		if (!v->place.known)
			continue;
		volumes[s.nr_volumes++] = (struct cgm_volume){
			.name = v->claimed ? v->claimed->name : v->name,
			.plugin = v->plugin,
			.claim = v->claimed ? v->claimed->claim : NULL,
			.claim_namespace = v->claimed ? v->claimed->pod_namespace : NULL,
			.ephemeral = is_ephemeral(v),
			.usage = v->place.usage,
		};
	}
	fresh = cgm_storage_new(&s);
	if (!fresh)
		return false;
	cgm_storage_unref(set->storage);
	set->storage = fresh;
	return true;
}

static void look(struct cgm_places *p, struct cgm_place_set *set, uint64_t now_ns)
{
	if (!set->is_pod && !set->placed && set->nr_tries < MAX_TRIES)
		find_layer(p, set);
	if (set->is_pod && now_ns >= set->list_ns) {
		list_pod(p, set);
		set->list_ns = now_ns + p->config.list_interval_ns;
	}
	set->changed |= place_look(p, &set->layer);
	set->changed |= place_look(p, &set->logs);
	set->changed |= place_look(p, &set->hosts);
	for (size_t i = 0; i < set->nr; i++)
		set->changed |= place_look(p, &set->volumes[i].place);
	if (set->changed && publish(set))
		set->changed = false;
	else if (set->changed)
		p->nr_lost++;
	set->look_ns = now_ns + MIN(p->config.interval_ns, LOOK_NS);
}

/* Whose directories are to be measured; NULL: nobody's. A sandbox writes nothing. */
static struct cgm_who *wanted(const struct cgm_identity *i)
{
	if (i->pod)
		return i->pod->pod_uid ? i->pod : NULL;
	return i->who && !i->who->is_sandbox ? i->who : NULL;
}

void cgm_place_set_free(struct cgm_place_set *set)
{
	struct cgm_places *p = set ? set->table : NULL;

	if (!set)
		return;
	say_unplaced(p, set, false);
	place_done(p, &set->layer);
	place_done(p, &set->logs);
	place_done(p, &set->hosts);
	for (size_t i = 0; i < set->nr; i++)
		volume_done(p, &set->volumes[i]);
	free(set->volumes);
	cgm_who_unref(set->who);
	cgm_storage_unref(set->storage);
	free(set);
}

struct cgm_storage *cgm_place_set_storage(const struct cgm_place_set *set)
{
	return set ? set->storage : NULL;
}

/* As cAdvisor has it: usage with the logs, inodes those in use; what is free is the file system's. */
static void put_fs(const struct cgm_storage *st, struct cgm_sample *s)
{
	struct cgm_fs_row *row = st && st->has_layer ? cgm_sample_fs(s, st->layer.device, "vfs") : NULL;

	if (!row)
		return;
	row->v[CGM_FS_CAPACITY] = st->layer.capacity_bytes;
	row->v[CGM_FS_BASE_USAGE] = st->layer.used_bytes;
	row->v[CGM_FS_USAGE] = st->layer.used_bytes + (st->has_logs ? st->logs.used_bytes : 0);
	row->v[CGM_FS_AVAILABLE] = st->layer.available_bytes;
	row->v[CGM_FS_INODES] = st->layer.used_inodes;
	row->v[CGM_FS_INODES_FREE] = st->layer.inodes_free;
}

static void begin_tick(struct cgm_places *p, uint64_t now_ns)
{
	if (p->tick_ns == now_ns)
		return;
	p->tick_ns = now_ns;
	p->nr_learned = 0;
}

/* The set of a container that is to have one, made when it has none. NULL: out of memory. */
static struct cgm_place_set *set_of(struct cgm_places *p, struct cgm_container *c)
{
	bool is_pod = c->identity->pod != NULL;

	if (c->places && c->places->is_pod != is_pod) {
		cgm_place_set_free(c->places);
		c->places = NULL;
	}
	if (!c->places) {
		c->places = cgm_calloc(1, sizeof(*c->places));
		if (!c->places)
			return NULL;
		c->places->table = p;
		c->places->is_pod = is_pod;
	}
	return c->places;
}

void cgm_places_sample(struct cgm_places *p, struct cgm_container *c, struct cgm_sample *s, uint64_t now_ns)
{
	struct cgm_who *who = wanted(c->identity);
	struct cgm_place_set *set;

	if (!p || !c->depth)
		return;
	begin_tick(p, now_ns);
	if (!who) {
		cgm_place_set_free(c->places);
		c->places = NULL;
		return;
	}
	set = set_of(p, c);
	if (!set) {
		p->nr_lost++;
		return;
	}
	if (set->who != who && p->nr_learned < LEARN_A_TICK) {
		p->nr_learned++;
		learn(p, set, who);
	}
	if (set->who && now_ns >= set->look_ns)
		look(p, set, now_ns);
	put_fs(set->storage, s);
	c->spec.has_filesystem = set->layer.path != NULL;
}

/* ---- all ---- */

int cgm_places_open(const struct cgm_places_config *config, struct cgm_places **ret)
{
	struct cgm_disk_config disk = { config->root_fd, config->interval_ns, config->max_entries_per_s };
	_cleanup_free_ struct cgm_places *p = cgm_calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->config = *config;
	r = cgm_disk_open(&disk, &p->disk);
	if (r == 0)
		*ret = TAKE_PTR(p);
	return r;
}

void cgm_places_close(struct cgm_places *p)
{
	if (!p)
		return;
	cgm_disk_close(p->disk);
	free(p);
}

struct cgm_places_state cgm_places_state(struct cgm_places *p)
{
	return p ? (struct cgm_places_state){ cgm_disk_state(p->disk), p->nr_unplaced, p->nr_lost } : (struct cgm_places_state){ 0 };
}
