/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cgmeter/abi.h"
#include "cgmeter/stat.h"
#include "cgmeter.skel.h"
#include "kernel/kernel.h"

#define CGM_PIN_NAME 24

enum cgm_mode { CGM_MODE_BTF, CGM_MODE_RAW, CGM_MODE_FEXIT, CGM_MODE_ITER, CGM_MODE_FENTRY };

/* One BPF program. Programs of a unit with the same rank belong together; the lowest rank that works is used. */
struct cgm_program_def {
	const char *name, *group, *unit;
	unsigned rank;
	enum cgm_mode mode;
	const char *hook; /* tracepoint, function or iterator */
	bool (*possible)(const struct btf *kernel_btf, const char **ret_reason); /* beyond the hook itself; may be NULL */
};

extern const struct cgm_program_def cgm_program_defs[];
extern const size_t cgm_nr_program_defs;

/* state of a program during the choice */
struct cgm_choice {
	bool failed; /* tried, or probed: cannot be used; reason says why */
	bool off; /* its group is; reason says why */
	bool used;
	char reason[96];
};

/* One kind of rows, in chunks (rows.c). */
struct cgm_rows {
	struct bpf_map *outer; /* chunk number to array map */
	const char *type; /* name of a row's struct, and of the map */
	size_t size; /* of a row: a multiple of 64, so that a chunk is whole pages */
	void (*add)(void *to, const void *from); /* one row to another */
	bool used; /* else nobody counts in it, and there are no chunks */
	uint64_t bytes; /* what all chunks take */
	char *base; /* address range reserved for all chunks, mapped for the first nr_chunks; NULL before the first */
	int template_fd; /* 0: none */
};

/* What the last sweep read of a map keyed by slot: live and retired rows of the same item as one. */
struct cgm_keyed {
	struct bpf_map *map; /* NULL in a kernel side that was opened by its pins */
	int fd;
	const char *name;
	size_t size; /* of a value */
	uint32_t *head; /* by slot: index + 1 of its first entry */
	struct cgm_keyed_entry {
		struct cgm_block_key key;
		uint32_t next; /* index + 1 of the next entry of the same slot */
	} *entries;
	uint64_t *values; /* size / 8 for each entry */
	size_t nr, cap, cap_values;
	bool cut; /* out of memory during the last sweep */
	bool has_read; /* there was one */
	bool moved; /* something was counted shortly before it, or during it */
};

/* What the kernel's statistics said of a program that is attached. */
struct cgm_reading {
	uint64_t runs, ns, missed;
	uint64_t since_ns; /* CLOCK_MONOTONIC: up to when it is accounted */
	uint64_t walks, walk_ns; /* iterators: since then */
};

struct cgm_stats;

struct cgm_kernel {
	struct cgm_kernel_config config;
	struct cgm_stats *stats; /* bulk reading: stat.c; NULL: off */
	struct cgmeter_bpf *skel;
	struct bpf_link **links; /* by program def */
	int *prog_fds; /* by program def: of the program behind the link, which may be one of a former run; -1: not attached */
	struct cgm_choice *choices; /* by program def */
	struct cgm_program *programs;
	size_t nr_programs;
	struct ring_buffer *ring;
	int walk_fd[CGM_NR_WALKS]; /* links of the iterators, by enum cgm_walk_kind; -1: off */
	uint64_t files_walked_ns; /* CLOCK_MONOTONIC; 0: not yet */
	uint64_t tasks_due_ns; /* the same; not to be walked over before */
	int slot_of_fd; /* of the map cgm_slot_of */
	bool adopted, pinned;
	uint32_t nr_slots, nr_shards; /* slots that can have rows */
	uint32_t nr_all; /* and the bare ones behind them */
	uint32_t nr_chunks, max_chunks;
	struct btf *types; /* names of the rows' fields, as the kernel has them; NULL: it takes none */
	uint64_t map_bytes;
	struct cgm_map *maps;
	size_t nr_maps;

	/* cost.c; arrays by program def */
	struct cgm_reading *last, *begin;
	uint64_t begin_ns; /* of the window under way; 0: none */
	int stats_fd, clock_fd; /* -1: off; a program of one instruction, that tells what the statistics take */
	bool stats_were_on; /* kernel.bpf_stats_enabled at the end of the last window */
	struct cgm_cost_windows windows;

	/* mapped arrays; NULL without a kernel side */
	struct cgm_slot *slots;
	struct cgm_tasks *tasks;
	struct cgm_open_files *open_files;
	struct cgm_meta *meta;
	struct cgm_journal *journal;
	uint64_t *drops, *walk;
	struct cgm_socks *socks;
	struct cgm_rows rows[CGM_NR_ROWS_MAPS];
	uint8_t drop_class[CGM_MAX_DROP_REASONS]; /* see bpf/drop.bpf.c */

	/* of the last sweep */
	uint32_t *heir; /* by slot: the slot that its counts belong to now: itself, or its nearest living ancestor's */
	uint32_t *pending_next, *pending_head; /* by slot: removed descendants whose counts are not folded yet (slot + 1 chains) */
	struct cgm_keyed keyed[CGM_NR_KEYED_MAPS];
	uint64_t *touched; /* of each; NULL in a kernel side that was opened by its pins, which is not the one to say that it has looked */
	bool has_heirs; /* removed cgroups were there in the last sweep */

	union cgm_any_row **retired[CGM_NR_ROWS_MAPS]; /* by slot: what was folded into it, as pinned in cgm_retired; NULL: nothing */
	uint8_t *seen; /* by slot: registered in the listing under way */
	uint64_t list_began_ns;
	cgm_event_fn event_fn;
	void *event_arg;
	struct cgm_pinned *by_pins; /* pinned.c: opened to be read only; NULL: loaded by us */
};

/* programs.c: marks what cannot work on this kernel as failed, and what is to be used. */
void cgm_programs_probe(struct cgm_kernel *k, const struct btf *kernel_btf);
void cgm_programs_choose(struct cgm_kernel *k);
/* Why the group is off from the start; NULL: it is on. */
const char *cgm_group_off(const struct cgm_kernel *k, const char *group);
bool cgm_program_is_used(const struct cgm_kernel *k, const char *name);
const char *cgm_mode_name(enum cgm_mode m);
void cgm_choice_fail(struct cgm_choice *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* features.c: why no program can be attached to a function (tried once, with one that does nothing); NULL: it can. */
const char *cgm_trampolines_refused(const struct btf *kernel_btf);

/* syscalls.c: fills the table of classes of an opened skeleton. */
void cgm_syscalls_set_up(struct cgmeter_bpf *skel);

/* drops.c: the class of a reason, 0: no loss. Once, from the kernel's types; then into each opened skeleton. */
uint8_t cgm_drop_class(const char *reason);
void cgm_drops_probe(struct cgm_kernel *k, const struct btf *kernel_btf);
void cgm_drops_set_up(const struct cgm_kernel *k);

/* kernel.c: tables by slot. 0 or -ENOMEM. */
int cgm_kernel_make_tables(struct cgm_kernel *k);

/* pinned.c: what cgm_kernel_sweep() and _close() have to do for a kernel side that was opened by its pins. */
int cgm_pinned_sweep(struct cgm_kernel *k);
void cgm_pinned_close(struct cgm_kernel *k);
/* A pinned map of that kind and size, to be read. A descriptor; -ENOENT; -ESTALE: it is another; else the errno. */
int cgm_pinned_get(const struct cgm_kernel *k, const char *name, enum bpf_map_type type, size_t value_bytes, uint32_t nr_entries);

/* pin.c */
/* Makes pin_dir and its folder of links, mounting a BPF file system at /sys/fs/bpf if there is none. 0 or a negative errno, said. */
int cgm_pin_prepare(struct cgm_kernel *k);
/*
 * Sets the maps of an opened skeleton to the pinned ones if all fit: 1. Else removes what is pinned there: 0, or -EAGAIN when the
 * skeleton has to be opened anew.
 */
int cgm_pin_adopt(struct cgm_kernel *k);
/* After the load: pins what is not pinned yet. */
void cgm_pin_maps(struct cgm_kernel *k);
/* The pinned link of a former run, if it runs the same program on the same configuration; else it is removed. */
struct bpf_link *cgm_pin_adopt_link(struct cgm_kernel *k, const char *name, struct bpf_program *program);
/* A pinned map by its name, or a negative errno; and a map that gets a pin (a failure is said). */
int cgm_pin_get(const struct cgm_kernel *k, const char *name);
void cgm_pin_fd(struct cgm_kernel *k, const char *name, int fd);
void cgm_pin_link(struct cgm_kernel *k, const char *name, struct bpf_link *link);
/* Removes the pin of one link: it ends with our descriptor. */
void cgm_pin_unpin_link(struct cgm_kernel *k, const char *name);
/* Removes the pins of links that this run does not use; all: also of those that it uses. */
void cgm_pin_drop_links(struct cgm_kernel *k, bool all);

/* attach.c */
/* Attaches all programs that are used, or adopts their running links. 0, or a negative errno with the choice marked as failed. */
int cgm_attach_all(struct cgm_kernel *k);
/* Detaches all; pinned links run on until their pins go. */
void cgm_detach_all(struct cgm_kernel *k);
/* Brings the table of programs up to date with what is attached. */
void cgm_list_programs(struct cgm_kernel *k);

/* cost.c */
int cgm_cost_open(struct cgm_kernel *k);
void cgm_cost_close(struct cgm_kernel *k);
/* A program was attached, or is about to be detached. */
void cgm_cost_attached(struct cgm_kernel *k, size_t i);
void cgm_cost_detaching(struct cgm_kernel *k, size_t i);
/*
 * An iterator of ours was read to its end, which took that CPU time of this thread. Iterators are accounted so, and not by the windows: they
 * run with our ticks, and a window sees all of them or none.
 */
void cgm_cost_walked(struct cgm_kernel *k, int link_fd, uint64_t cpu_ns);
void cgm_cost_read_maps(struct cgm_kernel *k);

/* stat.c */
/* Once: what this kernel has. Every attempt: switches and sizes before the load; the rows before the attach; the link. */
void cgm_stats_probe(struct cgm_kernel *k, const struct btf *kernel_btf);
void cgm_stats_set_up(struct cgm_kernel *k);
struct bpf_link *cgm_stats_attach(struct cgm_kernel *k, struct bpf_program *p);
void cgm_stats_detach(struct cgm_kernel *k);
void cgm_stats_free(struct cgm_kernel *k);
uint64_t cgm_stats_map_bytes(const struct cgm_kernel *k);
/* Maps that are made anew by each run and are not pinned. */
bool cgm_stats_owns(const struct bpf_map *map);
bool cgm_stats_can_flush(const struct btf *kernel_btf, const char **ret_reason);

/* retire.c */
/* Ends a fold that a former run did not end, and reads what was folded so far. 0 or -ENOMEM. */
int cgm_retire_recover(struct cgm_kernel *k);
/* Reads what was folded so far from the map cgm_retired. 0 or -ENOMEM. _forget frees what was read. */
int cgm_retire_read(struct cgm_kernel *k, int fd);
void cgm_retire_forget(struct cgm_kernel *k);

/* rows.c */
/* Between open and load: sizes of the templates. After the load: adopts the pinned chunks or makes the first ones. 0 or a negative errno. */
int cgm_rows_set_up(struct cgm_kernel *k);
int cgm_rows_open(struct cgm_kernel *k);
/* One more chunk, its slots on the stack of free ones. 0; -ENOSPC: there are as many as --max_cgroups allows; or a negative errno, said. */
int cgm_rows_grow(struct cgm_kernel *k);
/* Grows until there are free slots for a burst of new cgroups. */
void cgm_rows_keep_ahead(struct cgm_kernel *k);
void cgm_rows_close(struct cgm_kernel *k);
/* Of a kernel side that was opened by its pins: maps the chunks that there are by now. 0 or a negative errno. */
int cgm_rows_open_pinned(struct cgm_kernel *k);
/* What the kernel says that a map takes (fdinfo; since 6.4 all of it, before: what it was charged). */
uint64_t cgm_map_memory(int fd);

/* Has the slot rows? */
static inline bool cgm_has_rows(const struct cgm_kernel *k, uint32_t slot)
{
	return slot < k->nr_chunks * CGM_CHUNK_SLOTS;
}

/* A row of a slot that has rows, in a map that is used. */
static inline void *cgm_row_at(const struct cgm_kernel *k, enum cgm_rows_map map, uint32_t shard, uint32_t slot)
{
	return k->rows[map].base + ((size_t)slot * k->nr_shards + shard) * k->rows[map].size;
}

/* Walks the slots that were ever given out: for (slot = 0; slot < k->nr_all; slot = cgm_next_slot(k, slot)). */
static inline uint32_t cgm_next_slot(const struct cgm_kernel *k, uint32_t slot)
{
	slot++;
	if (slot > k->meta->nr_given && slot < k->nr_slots)
		slot = k->nr_slots;
	return slot >= k->nr_slots + k->meta->nr_bare_given ? k->nr_all : slot;
}

/* kernel.c */
void *cgm_map_array(struct bpf_map *map);
size_t cgm_array_bytes(const struct bpf_map *map);
void cgm_unmap_array(struct bpf_map *map, void *p);
