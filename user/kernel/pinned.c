// SPDX-License-Identifier: Apache-2.0
#include "kernel/pinned.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "kernel/internal.h"

#define MAX_SHARDS 64

/* Of the redo log: which fold is under way, or was the last. The rows behind it are of no interest here. */
struct fold {
	uint32_t kind, map, from_slot, to_slot;
	struct cgm_block_key from_key, to_key;
};

struct cgm_pinned {
	char *dir;
	uint32_t slots_id; /* of the map cgm_slots */
	size_t slots_bytes;
	int retired_fd;
	bool retired_read;
	struct fold fold; /* when the last sweep began */
	bool *runs;	  /* by program def */
};

static void close_fd(int fd)
{
	if (fd > 0)
		close(fd);
}

int cgm_pinned_get(const struct cgm_kernel *k, const char *name, enum bpf_map_type type, size_t value_bytes, uint32_t nr_entries)
{
	/* An array is mapped, read only; but the kernel maps nothing shared by a descriptor that cannot write, and arrays only shared. */
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = type == BPF_MAP_TYPE_ARRAY ? 0 : BPF_F_RDONLY);
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	_cleanup_close_ int fd = -1;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", k->by_pins->dir, name);
	fd = bpf_obj_get_opts(path, &opts);
	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type != type || info.value_size != value_bytes || (nr_entries && info.max_entries != nr_entries))
		return -ESTALE;
	return TAKE_FD(fd);
}

/* Maps an array of one entry, or of as many as there are. The descriptor is not needed behind it. */
static int map_array(struct cgm_kernel *k, const char *name, size_t value_bytes, uint32_t nr, void *ret)
{
	_cleanup_close_ int fd = cgm_pinned_get(k, name, BPF_MAP_TYPE_ARRAY, value_bytes, nr);
	void *p;

	if (fd < 0)
		return fd;
	p = mmap(NULL, nr * ((value_bytes + 7) & ~7UL), PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*(void **)ret = p;
	return 0;
}

static uint32_t id_of(const struct cgm_kernel *k, uint32_t *ret_entries)
{
	_cleanup_close_ int fd = cgm_pinned_get(k, "cgm_slots", BPF_MAP_TYPE_ARRAY, sizeof(struct cgm_slot), 0);
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return 0;
	*ret_entries = info.max_entries;
	return info.id;
}

static int open_keyed(struct cgm_kernel *k, enum cgm_keyed_map map, const char *name, size_t size)
{
	struct cgm_keyed *m = &k->keyed[map];

	m->name = name;
	m->size = size;
	m->fd = cgm_pinned_get(k, name, BPF_MAP_TYPE_HASH, size, 0);
	return MIN(m->fd, 0);
}

/* The sizes that everything else goes by. */
static int open_meta(struct cgm_kernel *k)
{
	uint32_t nr_all = 0;
	int r = map_array(k, "cgm_meta", sizeof(*k->meta), 1, &k->meta);

	if (r < 0)
		return r;
	if (k->meta->abi_version != CGM_ABI_VERSION || !k->meta->nr_slots || k->meta->nr_slots % CGM_CHUNK_SLOTS ||
		k->meta->nr_slots > CGM_MAX_CHUNKS * CGM_CHUNK_SLOTS || !k->meta->nr_shards || k->meta->nr_shards > MAX_SHARDS)
		return -ESTALE;
	k->nr_slots = k->meta->nr_slots;
	k->nr_shards = k->meta->nr_shards;
	k->by_pins->slots_id = id_of(k, &nr_all);
	if (nr_all != k->nr_slots && nr_all != 2 * k->nr_slots)
		return -ESTALE;
	k->nr_all = nr_all;
	k->by_pins->slots_bytes = nr_all * sizeof(struct cgm_slot);
	return 0;
}

static int open_maps(struct cgm_kernel *k)
{
	struct cgm_pinned *p = k->by_pins;
	int r = open_meta(k);

	if (r == 0)
		r = map_array(k, "cgm_slots", sizeof(*k->slots), k->nr_all, &k->slots);
	if (r == 0)
		r = map_array(k, "cgm_journal", sizeof(*k->journal), 1, &k->journal);
	if (r == 0)
		r = map_array(k, "cgm_drops", sizeof(*k->drops), CGM_NR_DROPS, &k->drops);
	if (r == 0)
		r = open_keyed(k, CGM_KEYED_BLOCK, "cgm_block", sizeof(struct cgm_block));
	if (r == 0)
		r = open_keyed(k, CGM_KEYED_WAIT, "cgm_waits", sizeof(struct cgm_hist));
	if (r < 0)
		return r;
	k->slot_of_fd = cgm_pinned_get(k, "cgm_slot_of", BPF_MAP_TYPE_HASH, sizeof(uint32_t), k->nr_all);
	p->retired_fd = cgm_pinned_get(k, "cgm_retired", BPF_MAP_TYPE_HASH, sizeof(union cgm_any_row), 0);
	if (k->slot_of_fd < 0 || p->retired_fd < 0)
		return MIN(k->slot_of_fd, p->retired_fd);
	r = cgm_rows_open_pinned(k);
	return r < 0 ? r : cgm_kernel_make_tables(k);
}

static void list_running(struct cgm_kernel *k)
{
	struct cgm_pinned *p = k->by_pins;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	char path[512];

	memset(p->runs, 0, cgm_nr_program_defs * sizeof(*p->runs));
	snprintf(path, sizeof(path), "%s/links", p->dir);
	d = opendir(path);
	while (d && (e = readdir(d)))
		for (size_t i = 0; i < cgm_nr_program_defs; i++)
			p->runs[i] |= strcmp(cgm_program_defs[i].name, e->d_name) == 0;
}

int cgm_pinned_open(const char *pin_dir, struct cgm_kernel **ret)
{
	struct cgm_kernel *k = cgm_calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	for (size_t i = 0; i < CGM_NR_WALKS; i++)
		k->walk_fd[i] = -1; /* iterators write */
	k->stats_fd = k->clock_fd = -1;
	k->by_pins = cgm_calloc(1, sizeof(*k->by_pins));
	if (k->by_pins) {
		k->by_pins->dir = cgm_strdup(pin_dir);
		k->by_pins->runs = cgm_calloc(cgm_nr_program_defs, sizeof(bool));
	}
	r = k->by_pins && k->by_pins->dir && k->by_pins->runs ? open_maps(k) : -ENOMEM;
	if (r < 0) {
		cgm_kernel_close(k);
		return r;
	}
	list_running(k);
	*ret = k;
	return 0;
}

static void unmap(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

void cgm_pinned_close(struct cgm_kernel *k)
{
	struct cgm_pinned *p = k->by_pins;

	if (!p)
		return;
	cgm_rows_close(k);
	unmap(k->meta, sizeof(*k->meta));
	unmap(k->slots, p->slots_bytes);
	unmap(k->journal, (sizeof(*k->journal) + 7) & ~7UL);
	unmap(k->drops, CGM_NR_DROPS * sizeof(*k->drops));
	for (size_t i = 0; i < CGM_NR_KEYED_MAPS; i++)
		close_fd(k->keyed[i].fd);
	close_fd(k->slot_of_fd);
	close_fd(p->retired_fd);
	free(p->dir);
	free(p->runs);
	free(p);
	k->by_pins = NULL;
	k->slots = NULL;
}

bool cgm_pinned_current(const struct cgm_kernel *k)
{
	uint32_t nr;

	return id_of(k, &nr) == k->by_pins->slots_id;
}

static struct fold fold_of(const struct cgm_kernel *k)
{
	const struct cgm_journal *j = k->journal;
	struct fold f = {.kind = __atomic_load_n(&j->kind, __ATOMIC_ACQUIRE)};

	f.map = j->map;
	f.from_slot = j->from_slot;
	f.to_slot = j->to_slot;
	f.from_key = j->from_key;
	f.to_key = j->to_key;
	return f;
}

static bool same_fold(const struct fold *a, const struct fold *b)
{
	return a->kind == b->kind && a->map == b->map && a->from_slot == b->from_slot && a->to_slot == b->to_slot &&
	       memcmp(&a->from_key, &b->from_key, sizeof(a->from_key)) == 0 && memcmp(&a->to_key, &b->to_key, sizeof(a->to_key)) == 0;
}

/*
 * A fold writes the parent's new row to cgm_retired, then zeroes the child's. So what is retired is read first: when no fold is under way
 * behind that, every row that was added there is zero by now, and any later fold changes the redo log. An agent that was killed in the
 * middle of one leaves it so: totals may then hold one row twice, but always the same, and rates are as they should be.
 */
bool cgm_pinned_stable(const struct cgm_kernel *k)
{
	struct fold now = fold_of(k);

	return now.kind == CGM_JOURNAL_NONE && same_fold(&now, &k->by_pins->fold);
}

int cgm_pinned_sweep(struct cgm_kernel *k)
{
	struct cgm_pinned *p = k->by_pins;
	struct fold before = fold_of(k);
	int r = cgm_rows_open_pinned(k);

	if (r < 0)
		return r;
	list_running(k);
	if (!p->retired_read || !same_fold(&before, &p->fold)) {
		cgm_retire_forget(k);
		r = cgm_retire_read(k, p->retired_fd);
		p->retired_read = r == 0;
	}
	p->fold = fold_of(k);
	if (!same_fold(&before, &p->fold))
		p->retired_read = false; /* something was folded while it was read */
	return r;
}

bool cgm_pinned_counts(const struct cgm_kernel *k, const char *group)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (k->by_pins->runs[i] && (!group || strcmp(cgm_program_defs[i].group, group) == 0))
			return true;
	return false;
}

static const struct cgm_slot *first_used(const struct cgm_kernel *k, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++)
		if (k->slots[i].state != CGM_SLOT_FREE)
			return &k->slots[i];
	return NULL;
}

/* Slots with rows are of the one hierarchy, bare ones of the other. */
bool cgm_pinned_hierarchies(const struct cgm_kernel *k, uint32_t *ret_sched, uint32_t *ret_block)
{
	const struct cgm_slot *sched = first_used(k, 1, k->nr_slots), *block = first_used(k, k->nr_slots, k->nr_all);

	if (!sched)
		return false;
	*ret_sched = sched->hierarchy;
	*ret_block = block ? block->hierarchy : sched->hierarchy;
	return true;
}

uint64_t cgm_pinned_digest(const struct cgm_kernel *k)
{
	uint64_t h = 0;

	for (uint32_t i = 1; i < k->nr_all; i = cgm_next_slot(k, i)) {
		const struct cgm_slot *s = &k->slots[i];

		if (s->state == CGM_SLOT_LIVE)
			h = (h ^ (s->cgroup_id << 20 ^ s->hierarchy ^ i)) * 0x9e3779b97f4a7c15ULL;
	}
	return h;
}
