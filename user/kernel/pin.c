// SPDX-License-Identifier: Apache-2.0
/*
 * Pins: maps (and the links of running programs) in a folder of the BPF file system. They keep the counts over a restart or a crash of
 * the agent; after a crash the programs go on counting, and the next start takes them over when they are the same.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernel/internal.h"

#define PIN_PATH 512

static int is_bpffs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return -errno;
	return fs.f_type == BPF_FS_MAGIC;
}

static void pin_path(const struct cgm_kernel *k, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", k->config.pin_dir, name);
}

static void link_path(const struct cgm_kernel *k, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/links/%s", k->config.pin_dir, name);
}

int cgm_pin_prepare(struct cgm_kernel *k)
{
	static const char mount_point[] = "/sys/fs/bpf";
	const char *dir = k->config.pin_dir;
	char path[PIN_PATH];

	if (strncmp(dir, mount_point, sizeof(mount_point) - 1) == 0 && is_bpffs(mount_point) == 0) {
		if (mount("bpf", mount_point, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0) {
			int r = -errno;

			cgm_warning("cannot mount a BPF file system at %s (%s): counts will not outlive this process", mount_point,
				    strerror(-r));
			return r;
		}
		cgm_info("mounted a BPF file system at %s", mount_point);
	}
	link_path(k, "", path, sizeof(path));
	if ((mkdir(dir, 0700) < 0 && errno != EEXIST) || (mkdir(path, 0700) < 0 && errno != EEXIST)) {
		int r = -errno;

		cgm_warning("cannot make %s (%s): counts will not outlive this process", dir, strerror(-r));
		return r;
	}
	if (is_bpffs(dir) != 1) {
		cgm_warning("%s is not on a BPF file system: counts will not outlive this process", dir);
		return -ENOTSUP;
	}
	return 0;
}

/* Calls remove on every entry of a folder of pins; keep may name some that stay. */
static void remove_pins(const char *dir, bool (*keep)(void *arg, const char *name), void *arg)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && !(keep && keep(arg, e->d_name)))
			(void)unlinkat(dirfd(d), e->d_name, 0); /* a folder stays */
}

static bool link_is_used(void *arg, const char *name)
{
	struct cgm_kernel *k = arg;

	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->links[i] && strcmp(cgm_program_defs[i].name, name) == 0)
			return true;
	return false;
}

void cgm_pin_drop_links(struct cgm_kernel *k, bool all)
{
	char path[PIN_PATH];

	if (!k->pinned)
		return;
	link_path(k, "", path, sizeof(path));
	remove_pins(path, all ? NULL : link_is_used, k);
}

/* The name under which a map is pinned; that of the read-only data is made readable. */
static const char *map_pin_name(const struct cgm_kernel *k, const struct bpf_map *map)
{
	return map == k->skel->maps.rodata ? "cgm_config" : bpf_map__name(map);
}

/* -ENOENT: not pinned; -ESTALE: pinned, but made for something else. */
static int check_pinned(const struct cgm_kernel *k, const struct bpf_map *map, int *ret_fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	char path[PIN_PATH];
	_cleanup_close_ int fd = -1;

	pin_path(k, map_pin_name(k, map), path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -ESTALE;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -ESTALE;
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map) ||
	    info.max_entries != bpf_map__max_entries(map) || (info.map_flags & ~BPF_F_RDONLY_PROG) != (bpf_map__map_flags(map) & ~BPF_F_RDONLY_PROG))
		return -ESTALE;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool meta_fits(const struct cgm_kernel *k, int fd)
{
	struct cgm_meta meta;
	uint32_t zero = 0;

	return bpf_map_lookup_elem(fd, &zero, &meta) == 0 && meta.abi_version == CGM_ABI_VERSION && meta.nr_slots == k->nr_slots &&
	       meta.nr_shards == k->nr_shards && meta.nr_given;
}

int cgm_pin_get(const struct cgm_kernel *k, const char *name)
{
	char path[PIN_PATH];
	int fd;

	pin_path(k, name, path, sizeof(path));
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

/* Holds no counts, and the run before may have had no use for it. */
static bool is_optional(const struct cgm_kernel *k, const struct bpf_map *map)
{
	return map == k->skel->maps.cgm_raw_threads || map == k->skel->maps.cgm_queued;
}

/* NULL: all maps are pinned and fit. Else why not ("" when none is). */
static const char *look_at_pins(const struct cgm_kernel *k)
{
	const char *why = NULL;
	struct bpf_map *map;
	size_t found = 0;

	bpf_object__for_each_map(map, k->skel->obj) {
		_cleanup_close_ int fd = -1;
		int r;

		if (map == k->skel->maps.rodata || !bpf_map__autocreate(map) || cgm_stats_owns(map))
			continue;
		r = check_pinned(k, map, &fd);
		if (r == -ENOENT && is_optional(k, map))
			continue;
		found += r != -ENOENT;
		if (r == 0 && map == k->skel->maps.cgm_meta && !meta_fits(k, fd))
			r = -ESTALE;
		if (r < 0)
			why = bpf_map__name(map);
	}
	return found ? why : "";
}

static bool reuse_pinned(struct cgm_kernel *k)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, k->skel->obj) {
		_cleanup_close_ int fd = -1;
		int r;

		if (map == k->skel->maps.rodata || !bpf_map__autocreate(map) || cgm_stats_owns(map))
			continue;
		r = check_pinned(k, map, &fd);
		if (r == -ENOENT && is_optional(k, map))
			continue;
		if (r < 0 || bpf_map__reuse_fd(map, fd) < 0)
			return false;
	}
	return true;
}

int cgm_pin_adopt(struct cgm_kernel *k)
{
	const char *why = look_at_pins(k);
	char links[PIN_PATH];

	if (!why && reuse_pinned(k))
		return 1;
	if (!why || *why)
		cgm_warning("the maps pinned in %s are of another layout or size (%s): starting with new ones, counts begin at 0",
			    k->config.pin_dir, why ? why : "they went away");
	link_path(k, "", links, sizeof(links));
	remove_pins(links, NULL, NULL);
	remove_pins(k->config.pin_dir, NULL, NULL);
	return why ? 0 : -EAGAIN;
}

void cgm_pin_fd(struct cgm_kernel *k, const char *name, int fd)
{
	char path[PIN_PATH];

	pin_path(k, name, path, sizeof(path));
	(void)unlink(path);
	if (bpf_obj_pin(fd, path) < 0)
		cgm_log_once(CGM_LOG_WARNING, "cannot pin %s (%s): counts will not outlive this process", path, strerror(errno));
}

void cgm_pin_maps(struct cgm_kernel *k)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, k->skel->obj) {
		char path[PIN_PATH];

		if (!bpf_map__autocreate(map) || cgm_stats_owns(map))
			continue;
		pin_path(k, map_pin_name(k, map), path, sizeof(path));
		if (map == k->skel->maps.rodata)
			(void)unlink(path);
		if (bpf_obj_pin(bpf_map__fd(map), path) < 0 && errno != EEXIST)
			cgm_warning("cannot pin %s (%s)", path, strerror(errno));
	}
}

/* Whether the pinned configuration of a former run is the one that this run wants. */
static bool same_config(const struct cgm_kernel *k)
{
	_cleanup_free_ void *old = NULL;
	_cleanup_close_ int fd = -1;
	size_t size, whole = bpf_map__value_size(k->skel->maps.rodata);
	const void *new = bpf_map__initial_value(k->skel->maps.rodata, &size);
	uint32_t zero = 0;
	char path[PIN_PATH];

	pin_path(k, "cgm_config", path, sizeof(path));
	fd = bpf_obj_get(path);
	old = cgm_malloc(whole);
	return fd >= 0 && old && new && bpf_map_lookup_elem(fd, &zero, old) == 0 && memcmp(old, new, MIN(size, whole)) == 0;
}

struct bpf_link *cgm_pin_adopt_link(struct cgm_kernel *k, const char *name, struct bpf_program *program)
{
	struct bpf_prog_info old = { 0 }, new = { 0 };
	struct bpf_link_info link_info = { 0 };
	uint32_t len = sizeof(link_info);
	_cleanup_close_ int old_fd = -1;
	struct bpf_link *link;
	char path[PIN_PATH];

	link_path(k, name, path, sizeof(path));
	link = bpf_link__open(path);
	if (!link)
		return NULL;
	if (bpf_obj_get_info_by_fd(bpf_link__fd(link), &link_info, &len) == 0)
		old_fd = bpf_prog_get_fd_by_id(link_info.prog_id);
	len = sizeof(old);
	if (old_fd >= 0 && bpf_obj_get_info_by_fd(old_fd, &old, &len) == 0) {
		len = sizeof(new);
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &new, &len) == 0 &&
		    memcmp(old.tag, new.tag, sizeof(old.tag)) == 0 && k->adopted && same_config(k))
			return link;
	}
	(void)unlink(path);
	bpf_link__destroy(link);
	return NULL;
}

void cgm_pin_link(struct cgm_kernel *k, const char *name, struct bpf_link *link)
{
	char path[PIN_PATH];

	link_path(k, name, path, sizeof(path));
	(void)unlink(path);
	if (bpf_link__pin(link, path) < 0)
		cgm_log_once(CGM_LOG_WARNING, "cannot pin %s (%s): a crash of this process will stop that program", path, strerror(errno));
}

void cgm_pin_unpin_link(struct cgm_kernel *k, const char *name)
{
	char path[PIN_PATH];

	link_path(k, name, path, sizeof(path));
	(void)unlink(path);
}
