// SPDX-License-Identifier: Apache-2.0
/*
 * Rows of counters, in chunks: CGM_CHUNK_SLOTS slots of every kind of row, made when slots grow short. A chunk is an array map of its own,
 * put into the outer map that the programs look up, and mapped at its place in an address range reserved for all, so that the row of a
 * slot is found by its number alone. Chunks are never given back: memory follows the highest number of cgroups that lived at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "kernel/groups.h"
#include "kernel/internal.h"

#define BARE_STEP 256

static size_t chunk_bytes(const struct cgm_kernel *k, const struct cgm_rows *r)
{
	return (size_t)CGM_CHUNK_SLOTS * k->nr_shards * r->size;
}

static size_t reserved_bytes(const struct cgm_kernel *k, const struct cgm_rows *r)
{
	return k->max_chunks * chunk_bytes(k, r);
}

/* The names of our types for the kernel. libbpf loads them too, but only after the templates have to be there. */
static void load_types(struct cgm_kernel *k)
{
	const struct btf *btf = bpf_object__btf(k->skel->obj);
	uint32_t size = 0;
	const void *raw = btf ? btf__raw_data(btf, &size) : NULL;

	k->types = raw ? btf__new(raw, size) : NULL;
	if (k->types && btf__load_into_kernel(k->types) == 0)
		return;
	cgm_log_once(CGM_LOG_INFO, "this kernel does not take our types: rows of counters have no names of fields in bpftool");
	btf__free(k->types);
	k->types = NULL;
}

/* An array for a chunk, or the template of one: they must be alike to the last detail. A descriptor or a negative errno. */
static int make_map(const struct cgm_kernel *k, const struct cgm_rows *r, const char *name)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd;

	if (k->types) {
		opts.btf_fd = (uint32_t)btf__fd(k->types);
		opts.btf_key_type_id = (uint32_t)btf__find_by_name(k->types, "__u32");
		opts.btf_value_type_id = (uint32_t)btf__find_by_name_kind(k->types, r->type, BTF_KIND_STRUCT);
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), (uint32_t)r->size, CGM_CHUNK_SLOTS * k->nr_shards, &opts);
	return fd < 0 ? -errno : fd;
}

static void add_sched(void *to, const void *from)
{
	cgm_add_sched(to, from);
}

static void add_net(void *to, const void *from)
{
	cgm_add_u64s(to, from, sizeof(struct cgm_net));
}

static void add_counts(void *to, const void *from)
{
	cgm_add_u64s(to, from, sizeof(struct cgm_counts));
}

static void add_dear(void *to, const void *from)
{
	cgm_add_u64s(to, from, sizeof(struct cgm_dear));
}

static const struct cgm_rows kinds[CGM_NR_ROWS_MAPS] = {
	[CGM_ROWS_SCHED] = { .type = "cgm_sched", .size = sizeof(struct cgm_sched), .add = add_sched },
	[CGM_ROWS_NET] = { .type = "cgm_net", .size = sizeof(struct cgm_net), .add = add_net },
	[CGM_ROWS_COUNTS] = { .type = "cgm_counts", .size = sizeof(struct cgm_counts), .add = add_counts },
	[CGM_ROWS_DEAR] = { .type = "cgm_dear", .size = sizeof(struct cgm_dear), .add = add_dear },
};

/* Is a group to be loaded that is off by default? */
static bool counts_dear(const struct cgm_kernel *k)
{
	for (size_t i = 0; i < cgm_nr_program_defs; i++) {
		enum cgm_group g = cgm_group_of_programs(cgm_program_defs[i].group);

		if (k->choices[i].used && g < CGM_NR_GROUPS && cgm_groups[g].def == CGM_GROUP_OFF)
			return true;
	}
	return false;
}

int cgm_rows_set_up(struct cgm_kernel *k)
{
	struct bpf_map *const outer[CGM_NR_ROWS_MAPS] = {
		[CGM_ROWS_SCHED] = k->skel->maps.cgm_sched,
		[CGM_ROWS_NET] = k->skel->maps.cgm_net,
		[CGM_ROWS_COUNTS] = k->skel->maps.cgm_counts,
		[CGM_ROWS_DEAR] = k->skel->maps.cgm_dear,
	};

	k->max_chunks = k->nr_slots / CGM_CHUNK_SLOTS;
	k->nr_chunks = 0;
	memcpy(k->rows, kinds, sizeof(kinds));
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
		k->rows[i].outer = outer[i];
		k->rows[i].used = i != CGM_ROWS_DEAR || counts_dear(k);
	}
	load_types(k);
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
		/* The template that the verifier checks against. libbpf 1.1 cannot resize the one of the object. */
		_cleanup_close_ int fd = make_map(k, &k->rows[i], "cgm_template");
		int r = fd < 0 ? fd : bpf_map__set_inner_map_fd(k->rows[i].outer, fd);

		if (r < 0)
			return r;
		k->rows[i].template_fd = TAKE_FD(fd);
	}
	return 0;
}

uint64_t cgm_map_memory(int fd)
{
	char path[64], buf[1024];
	struct cgm_str text, line, token;
	uint64_t bytes, sum = 0;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	len = cgm_read_at(AT_FDCWD, path, buf, sizeof(buf));
	text = (struct cgm_str){ buf, len > 0 ? (size_t)len : 0 };
	while (cgm_next_line(&text, &line))
		if (cgm_next_token(&line, &token) && cgm_str_eq(token, "memlock:") && cgm_next_token(&line, &token) &&
		    cgm_parse_u64(token, &bytes) == 0)
			sum += bytes;
	return sum;
}

static void chunk_name(const struct cgm_rows *r, uint32_t chunk, char *buf, size_t size)
{
	snprintf(buf, size, "%s_%u", r->type, chunk);
}

static int map_chunk(struct cgm_kernel *k, struct cgm_rows *r, uint32_t chunk, int fd, int prot)
{
	size_t bytes = chunk_bytes(k, r);

	if (!r->base) {
		void *p = mmap(NULL, reserved_bytes(k, r), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			return -errno;
		r->base = p;
	}
	/* MAP_POPULATE is not needed: a BPF array is resident as soon as it is mapped. */
	if (mmap(r->base + chunk * bytes, bytes, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	return 0;
}

/* Makes, or adopts, the rows of one kind of a chunk. A kind that the former run did not use has no pins yet. */
static int open_chunk(struct cgm_kernel *k, struct cgm_rows *r, uint32_t chunk, bool adopt)
{
	_cleanup_close_ int fd = -1;
	char name[CGM_PIN_NAME];
	uint64_t bytes;
	int err;

	chunk_name(r, chunk, name, sizeof(name));
	fd = adopt ? cgm_pin_get(k, name) : -ENOENT;
	if (fd == -ENOENT) {
		fd = make_map(k, r, name);
		adopt = false;
	}
	if (fd < 0)
		return fd;
	err = map_chunk(k, r, chunk, fd, PROT_READ | PROT_WRITE);
	if (err < 0)
		return err;
	if (!adopt && k->pinned)
		cgm_pin_fd(k, name, fd);
	if (bpf_map_update_elem(bpf_map__fd(r->outer), &chunk, &fd, BPF_ANY) < 0)
		return -errno;
	bytes = cgm_map_memory(fd);
	r->bytes += bytes;
	k->map_bytes += bytes; /* until all are read again */
	return 0;
}

/*
 * Slots from first + *nr_given up to upto (not included), so that the lowest are used first. The count goes first: when we are killed in
 * between, some slots are never used, none is given out twice.
 */
static int give_slots(struct bpf_map *stack, uint32_t first, uint32_t *nr_given, uint32_t upto)
{
	uint32_t from = first + *nr_given;

	*nr_given = upto - first;
	for (uint32_t slot = upto; slot-- > from;)
		if (bpf_map_update_elem(bpf_map__fd(stack), NULL, &slot, BPF_ANY) < 0)
			return -errno;
	return 0;
}

static int add_chunk(struct cgm_kernel *k, bool adopt)
{
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
		int r = k->rows[i].used ? open_chunk(k, &k->rows[i], k->nr_chunks, adopt) : 0;

		if (r < 0)
			return r;
	}
	k->nr_chunks++;
	return 0;
}

/* Those of the chunks that have not given theirs. Slot 0 is nobody's. */
static int give_row_slots(struct cgm_kernel *k)
{
	return give_slots(k->skel->maps.cgm_free_slots, 1, &k->meta->nr_given, k->nr_chunks * CGM_CHUNK_SLOTS);
}

/* Bare slots cost next to nothing; they come in steps only so that nobody walks over thousands that never were used. */
static int give_bare_slots(struct cgm_kernel *k)
{
	uint32_t upto = MIN(k->nr_slots + k->meta->nr_bare_given + BARE_STEP, k->nr_all);

	return give_slots(k->skel->maps.cgm_free_bare, k->nr_slots, &k->meta->nr_bare_given, upto);
}

int cgm_rows_grow(struct cgm_kernel *k)
{
	int r;

	if (k->nr_chunks == k->max_chunks)
		return -ENOSPC;
	r = add_chunk(k, false);
	if (r == 0)
		r = give_row_slots(k);
	if (r < 0)
		cgm_log_once(CGM_LOG_ERROR, "cannot make room for more cgroups: %s", strerror(-r));
	return r;
}

int cgm_rows_open(struct cgm_kernel *k)
{
	uint32_t chunks = k->adopted ? (k->meta->nr_given + CGM_CHUNK_SLOTS) / CGM_CHUNK_SLOTS : 0;
	int r = 0;

	while (r == 0 && k->nr_chunks < MIN(chunks, k->max_chunks))
		r = add_chunk(k, true);
	while (r == 0 && k->nr_chunks < MIN(2U, k->max_chunks))
		r = add_chunk(k, false);
	if (r == 0)
		r = give_row_slots(k);
	if (r == 0)
		r = give_bare_slots(k);
	if (r < 0)
		cgm_error("cannot make the rows of counters: %s", strerror(-r));
	return r;
}

/* Of a live agent there may be more chunks than at the last look. */
static int open_pinned_chunk(struct cgm_kernel *k, struct cgm_rows *r)
{
	_cleanup_close_ int fd = -1;
	char name[CGM_PIN_NAME];

	chunk_name(r, k->nr_chunks, name, sizeof(name));
	fd = cgm_pinned_get(k, name, BPF_MAP_TYPE_ARRAY, r->size, CGM_CHUNK_SLOTS * k->nr_shards);
	return fd < 0 ? fd : map_chunk(k, r, k->nr_chunks, fd, PROT_READ);
}

int cgm_rows_open_pinned(struct cgm_kernel *k)
{
	uint32_t chunks;

	if (!k->max_chunks) {
		k->max_chunks = k->nr_slots / CGM_CHUNK_SLOTS;
		memcpy(k->rows, kinds, sizeof(kinds));
		k->rows[CGM_ROWS_SCHED].used = k->rows[CGM_ROWS_NET].used = true; /* nobody asks for the others */
	}
	chunks = MIN((k->meta->nr_given + CGM_CHUNK_SLOTS) / CGM_CHUNK_SLOTS, k->max_chunks);
	for (; k->nr_chunks < chunks; k->nr_chunks++) {
		for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
			int r = k->rows[i].used ? open_pinned_chunk(k, &k->rows[i]) : 0;

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static uint32_t count_used(const struct cgm_kernel *k, uint32_t from, uint32_t nr)
{
	uint32_t used = 0;

	for (uint32_t i = from; i < from + nr; i++)
		used += k->slots[i].state != CGM_SLOT_FREE;
	return used;
}

/* How many free slots to hold ready: what may be made at once before we are awake. */
static uint32_t wanted(uint32_t used)
{
	return MAX(CGM_CHUNK_SLOTS / 2, used / 8);
}

void cgm_rows_keep_ahead(struct cgm_kernel *k)
{
	uint32_t used, bare_used;

	if (!k->slots)
		return;
	used = count_used(k, 1, k->meta->nr_given);
	bare_used = count_used(k, k->nr_slots, k->meta->nr_bare_given);
	while (k->meta->nr_given - used < wanted(used) && cgm_rows_grow(k) == 0)
		;
	while (k->meta->nr_bare_given - bare_used < wanted(bare_used) && k->nr_slots + k->meta->nr_bare_given < k->nr_all &&
	       give_bare_slots(k) == 0)
		;
}

void cgm_rows_close(struct cgm_kernel *k)
{
	for (size_t i = 0; i < CGM_NR_ROWS_MAPS; i++) {
		if (k->rows[i].base)
			munmap(k->rows[i].base, reserved_bytes(k, &k->rows[i]));
		k->rows[i].base = NULL;
		if (k->rows[i].template_fd > 0)
			close(k->rows[i].template_fd);
		k->rows[i].template_fd = 0;
	}
	k->nr_chunks = 0;
	btf__free(k->types);
	k->types = NULL;
}
