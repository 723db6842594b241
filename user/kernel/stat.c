// SPDX-License-Identifier: Apache-2.0
/* Bulk reading: rows of all cgroups, from one walk of the kernel side (bpf/stat.bpf.c), in arrays that grow with what there is. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "kernel/internal.h"
#include "kernel/stat.h"

#define FIRST_ROWS 64
#define MAX_ROWS (1U << 20)

static const char *const type_names[CGM_NR_STAT_KINDS] = {
	[CGM_STAT_CFS] = "cgm_stat_cfs",
	[CGM_STAT_TIME] = "cgm_stat_time",
	[CGM_STAT_CPUS] = "cgm_stat_cpus",
	[CGM_STAT_MEMORY] = "cgm_stat_memory",
	[CGM_STAT_PIDS] = "cgm_stat_pids",
	[CGM_STAT_PSI] = "cgm_stat_psi",
};

static struct bpf_map *outer_map(const struct cgm_kernel *k, unsigned kind)
{
	struct bpf_map *const maps[CGM_NR_STAT_KINDS] = {
		[CGM_STAT_CFS] = k->skel->maps.cgm_st_cfs,
		[CGM_STAT_TIME] = k->skel->maps.cgm_st_time,
		[CGM_STAT_CPUS] = k->skel->maps.cgm_st_cpus,
		[CGM_STAT_MEMORY] = k->skel->maps.cgm_st_memory,
		[CGM_STAT_PIDS] = k->skel->maps.cgm_st_pids,
		[CGM_STAT_PSI] = k->skel->maps.cgm_st_psi,
	};

	return maps[kind];
}

bool cgm_stats_owns(const struct bpf_map *map)
{
	return strncmp(bpf_map__name(map), "cgm_st_", 7) == 0;
}

/* ---- load ---- */

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* The kfunc was renamed, and flushes less, in 6.16. */
static uint32_t flush_of(const struct btf *btf)
{
	if (has_function(btf, "css_rstat_flush"))
		return CGM_FLUSH_CSS;
	return has_function(btf, "cgroup_rstat_flush") ? CGM_FLUSH_CGROUP : CGM_FLUSH_NONE;
}

bool cgm_stats_can_flush(const struct btf *btf, const char **ret_reason)
{
	*ret_reason = "this kernel lets no program flush cgroup statistics";
	return flush_of(btf) != CGM_FLUSH_NONE;
}

void cgm_stats_probe(struct cgm_kernel *k, const struct btf *btf)
{
	struct cgm_stats *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return;
	k->stats = s;
	s->link_fd = -1;
	for (unsigned i = 0; i < CGM_NR_STAT_KINDS; i++)
		s->rows[i].fd = -1;
	s->slots_usable = cgm_slots_init(&s->slots, btf, k->config.stat.memory_v2) == 0;
	s->flush = flush_of(btf);
	s->has_cast = has_function(btf, "bpf_rdonly_cast");
	s->nr_cpus = (uint32_t)MAX(libbpf_num_possible_cpus(), 1);
	s->cells = (s->nr_cpus + CGM_STAT_CPUS_PER_CELL - 1) / CGM_STAT_CPUS_PER_CELL;
}

static bool is_used(const struct cgm_kernel *k, const char *name)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++)
		if (strcmp(cgm_program_defs[i].name, name) == 0)
			return k->choices[i].used;
	return false;
}

void cgm_stats_set_up(struct cgm_kernel *k)
{
	struct cgm_stat_config *cfg = (struct cgm_stat_config *)&k->skel->rodata->stat_cfg;
	const struct cgm_stat_setup *c = &k->config.stat;
	struct cgm_stats *s = k->stats;

	if (!s)
		return;
	bpf_map__set_max_entries(k->skel->maps.cgm_st_cpu_off, s->nr_cpus);
	s->flushes = c->time_v2 && is_used(k, "cgm_stat_fwalk");
	/* Base statistics that nobody flushed are old; and the loop over CPUs has an end. */
	s->has_time = (s->flushes || !c->time_v2) && s->nr_cpus <= CGM_STAT_MAX_CPUS;
	*cfg = (struct cgm_stat_config){
		.cast = s->has_cast,
		.flush = s->flushes ? s->flush : CGM_FLUSH_NONE,
		.nr_cpus = s->nr_cpus,
		.base_time = c->time_v2,
	};
	memcpy(cfg->walk, c->walk, sizeof(cfg->walk));
	s->kinds = 0;
	for (unsigned i = 0; i < CGM_STAT_MAX_WALKS; i++) {
		if (!s->has_time)
			cfg->walk[i].kinds &= ~(1U << CGM_STAT_TIME);
		s->kinds |= cfg->walk[i].kinds;
	}
}

static void *map_whole(int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Makes the array of a kind and puts it into its outer map. A descriptor, or a negative errno. */
static int make_rows(struct cgm_kernel *k, unsigned kind, uint32_t cap, size_t value_bytes, bool typed)
{
	const struct btf *btf = bpf_object__btf(k->skel->obj);
	int type = btf ? btf__find_by_name_kind(btf, type_names[kind], BTF_KIND_STRUCT) : -1;
	int key = btf ? btf__find_by_name_kind(btf, "unsigned int", BTF_KIND_INT) : -1;
	LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	_cleanup_close_ int fd = -1;
	uint32_t zero = 0;

	if (typed && type > 0 && key > 0) {
		o.btf_fd = (uint32_t)btf__fd(btf);
		o.btf_key_type_id = (uint32_t)key;
		o.btf_value_type_id = (uint32_t)type;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, type_names[kind], sizeof(uint32_t), (uint32_t)value_bytes, cap, &o);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(outer_map(k, kind)), &zero, &fd, BPF_ANY) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/*
 * An array of that many rows in the place of the one there was. Named by BTF, so that bpftool shows fields; but 6.1 takes an array that has
 * types for another kind of map than the nameless one that the outer map was declared with.
 */
static int set_rows(struct cgm_kernel *k, unsigned kind, uint32_t cap)
{
	static const size_t value_bytes[CGM_NR_STAT_KINDS] = {
		[CGM_STAT_CFS] = sizeof(struct cgm_stat_cfs),
		[CGM_STAT_TIME] = sizeof(struct cgm_stat_time),
		[CGM_STAT_CPUS] = sizeof(struct cgm_stat_cpus),
		[CGM_STAT_MEMORY] = sizeof(struct cgm_stat_memory),
		[CGM_STAT_PIDS] = sizeof(struct cgm_stat_pids),
		[CGM_STAT_PSI] = sizeof(struct cgm_stat_psi),
	};
	struct cgm_stat_rows *r = &k->stats->rows[kind];
	size_t bytes = value_bytes[kind];
	int fd = make_rows(k, kind, cap, bytes, true);
	void *p;

	if (fd < 0)
		fd = make_rows(k, kind, cap, bytes, false);
	if (fd < 0)
		return fd;
	p = map_whole(fd, cap * bytes);
	if (r->p)
		munmap(r->p, r->cap * bytes);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct cgm_stat_rows){.fd = fd, .p = p, .cap = p ? cap : 0, .value_bytes = bytes};
	return p ? 0 : -ENOMEM;
}

static int map_small(struct cgm_kernel *k)
{
	struct cgm_stats *s = k->stats;

	s->head = map_whole(bpf_map__fd(k->skel->maps.cgm_st_head), sizeof(*s->head));
	s->index = map_whole(bpf_map__fd(k->skel->maps.cgm_st_index), sizeof(*s->index));
	s->raws = map_whole(bpf_map__fd(k->skel->maps.cgm_st_raws), CGM_STAT_NR_RAW * sizeof(*s->raws));
	if (!s->head || !s->index || !s->raws)
		return -ENOMEM;
	cgm_slots_index(&s->slots, s->index);
	s->index->raw_from = UINT32_MAX;
	for (unsigned i = 0; i < CGM_NR_STAT_KINDS; i++) {
		int r = set_rows(k, i, FIRST_ROWS);

		if (r < 0)
			return r;
	}
	return 0;
}

struct bpf_link *cgm_stats_attach(struct cgm_kernel *k, struct bpf_program *p)
{
	union bpf_iter_link_info info = {
		.cgroup = {.order = BPF_CGROUP_ITER_SELF_ONLY, .cgroup_fd = (uint32_t)MAX(k->config.stat.unified_fd, 0)},
	};
	LIBBPF_OPTS(bpf_iter_attach_opts, o, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link;
	int r = k->stats ? map_small(k) : -ENOMEM;

	if (r < 0) {
		errno = -r;
		return NULL;
	}
	link = bpf_program__attach_iter(p, &o);
	if (link)
		k->stats->link_fd = bpf_link__fd(link);
	return link;
}

void cgm_stats_detach(struct cgm_kernel *k)
{
	struct cgm_stats *s = k->stats;

	if (!s)
		return;
	for (unsigned i = 0; i < CGM_NR_STAT_KINDS; i++) {
		struct cgm_stat_rows *r = &s->rows[i];

		if (r->p)
			munmap(r->p, r->cap * r->value_bytes);
		if (r->fd >= 0)
			close(r->fd);
		cgm_hash_done(&r->by_id);
		*r = (struct cgm_stat_rows){.fd = -1};
	}
	if (s->head)
		munmap(s->head, sizeof(*s->head));
	if (s->index)
		munmap(s->index, sizeof(*s->index));
	if (s->raws)
		munmap(s->raws, CGM_STAT_NR_RAW * sizeof(*s->raws));
	s->head = NULL;
	s->index = NULL;
	s->raws = NULL;
	s->link_fd = -1;
	s->valid = false;
}

void cgm_stats_free(struct cgm_kernel *k)
{
	cgm_stats_detach(k);
	free(k->stats);
	k->stats = NULL;
}

uint64_t cgm_stats_map_bytes(const struct cgm_kernel *k)
{
	uint64_t sum = 0;

	for (unsigned i = 0; k->stats && i < CGM_NR_STAT_KINDS; i++)
		sum += k->stats->rows[i].cap * k->stats->rows[i].value_bytes;
	return sum;
}

/* ---- sweep ---- */

static int walk_once(struct cgm_stats *s)
{
	_cleanup_close_ int fd = bpf_iter_create(s->link_fd);
	uint32_t before = s->head->walks;
	char none[16];

	if (fd < 0)
		return fd;
	/* One cgroup is iterated over, and nothing is printed: one read is all. */
	if (read(fd, none, sizeof(none)) < 0)
		return -errno;
	return s->head->walks == before ? -EIO : 0;
}

/* True when all arrays had room. Makes room where not. */
static bool had_room(struct cgm_kernel *k, int *ret_error)
{
	bool had = true;

	for (unsigned i = 0; i < CGM_NR_STAT_KINDS; i++) {
		uint32_t nr = k->stats->head->nr[i];
		int r;

		if (nr <= k->stats->rows[i].cap)
			continue;
		had = false;
		r = nr > MAX_ROWS ? -E2BIG : set_rows(k, i, nr + nr / 4 + FIRST_ROWS);
		if (r < 0)
			*ret_error = r;
	}
	return had;
}

/*
 * A read of the root's memory.stat brings the numbers that CPUs keep for themselves into the sums of all cgroups when as many are
 * outstanding as would make a read of any other memory.stat do it (mem_cgroup_flush_stats()): so rows are as fresh as files. Below 6.16 the
 * kfunc does it.
 */
static void flush_memory(const struct cgm_kernel *k)
{
	char buf[256];

	if ((k->stats->flushes && k->stats->flush == CGM_FLUSH_CGROUP) || !(k->stats->kinds >> CGM_STAT_MEMORY & 1))
		return;
	if (k->config.stat.memory_fd >= 0 && pread(k->config.stat.memory_fd, buf, sizeof(buf), 0) < 0)
		cgm_log_once(CGM_LOG_WARNING, "cannot read the root's memory.stat: %s; memory statistics may be some seconds old",
			strerror(errno));
}

int cgm_kernel_stat_sweep(struct cgm_kernel *k)
{
	struct cgm_stats *s = k->stats;
	int r = 0;

	if (!s || s->link_fd < 0 || !s->kinds)
		return -ENOTSUP;
	s->valid = false;
	for (unsigned i = 0; i < CGM_NR_STAT_KINDS; i++) {
		if (s->rows[i].hashed)
			cgm_hash_done(&s->rows[i].by_id);
		s->rows[i].hashed = false;
	}
	flush_memory(k);
	/* Between two walks cgroups may have come: the second array has room to spare. */
	for (unsigned turn = 0; turn < 3 && !s->valid && r == 0; turn++) {
		r = walk_once(s);
		s->valid = r == 0 && had_room(k, &r);
	}
	if (!s->valid)
		cgm_log_once(CGM_LOG_WARNING, "cgroups cannot be read in bulk: %s; reading files", strerror(-r));
	return s->valid ? 0 : r ? r : -EAGAIN;
}

uint32_t cgm_kernel_stat_rows(const struct cgm_kernel *k, enum cgm_stat_kind kind)
{
	return k->stats && k->stats->valid ? k->stats->head->nr[kind] : 0;
}

/* ---- learning ---- */

int cgm_kernel_stat_learn(struct cgm_kernel *k, const struct cgm_stat_ref *ref, cgm_read_fn read_file, void *arg)
{
	struct cgm_stats *s = k->stats;
	uint32_t row = ref->row[CGM_STAT_MEMORY];
	struct cgm_stat_raw before, after;
	struct cgm_str text = {NULL, 0};
	int r;

	if (!s || !s->valid || !s->slots_usable || s->slots.broken)
		return -ENOTSUP;
	if (!cgm_stat_find(s, CGM_STAT_MEMORY, ref->id[CGM_STAT_MEMORY], &row))
		return -ENOENT;
	s->index->raw_from = row;
	flush_memory(k);
	r = walk_once(s);
	before = s->raws[0];
	/* The order of rows is that of the trees: it changes when cgroups come and go. */
	if (r == 0 && cgm_stat_id_of(&s->rows[CGM_STAT_MEMORY], row) != ref->id[CGM_STAT_MEMORY])
		r = -EAGAIN;
	if (r == 0)
		r = read_file(arg, &text);
	if (r == 0)
		r = walk_once(s);
	after = s->raws[0];
	s->index->raw_from = UINT32_MAX;
	if (r == 0 && cgm_stat_id_of(&s->rows[CGM_STAT_MEMORY], row) != ref->id[CGM_STAT_MEMORY])
		r = -EAGAIN;
	/* Rows of the sweep were overwritten by the walks' own: whoever reads on reads newer ones, but only where all fitted. */
	s->valid = r == 0 && s->head->nr[CGM_STAT_MEMORY] <= s->rows[CGM_STAT_MEMORY].cap;
	if (r < 0)
		return r;
	r = cgm_slots_learn(&s->slots, &before, text, &after);
	if (s->slots.broken)
		cgm_log_once(
			CGM_LOG_WARNING, "a line of memory.stat equals nothing in the kernel's arrays; memory.stat is read from files");
	cgm_slots_index(&s->slots, s->index);
	return r;
}
