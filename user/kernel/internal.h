/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cgmeter/abi.h"
#include "cgmeter.skel.h"
#include "kernel/kernel.h"

enum cgm_mode { CGM_MODE_BTF, CGM_MODE_RAW, CGM_MODE_FEXIT, CGM_MODE_ITER };

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
	bool used;
	char reason[96];
};

struct cgm_block_entry {
	struct cgm_block_key key;
	struct cgm_block b;
	uint32_t next; /* index + 1 of the next entry of the same slot */
};

struct cgm_kernel {
	struct cgm_kernel_config config;
	struct cgmeter_bpf *skel;
	struct bpf_link **links; /* by program def */
	struct cgm_choice *choices; /* by program def */
	struct cgm_program *programs;
	size_t nr_programs;
	struct ring_buffer *ring;
	int walk_fd; /* link of the task iterator; -1: off */
	bool adopted, pinned;
	uint32_t nr_slots, nr_shards;
	uint64_t map_bytes;

	/* mapped arrays; NULL without a kernel side */
	struct cgm_slot *slots;
	struct cgm_sched *sched;
	struct cgm_net *net;
	struct cgm_tasks *tasks;
	struct cgm_meta *meta;
	struct cgm_journal *journal;
	uint64_t *drops, *walk;
	uint32_t nr_mapped; /* sched and net: the rows of the slots below; address space is reserved for all */

	/* of the last sweep */
	uint32_t *heir; /* by slot: the slot that its counts belong to now: itself, or its nearest living ancestor's */
	uint32_t *pending_next, *pending_head; /* by slot: removed descendants whose counts are not folded yet (slot + 1 chains) */
	uint32_t *block_head; /* by slot: index + 1 into blocks */
	struct cgm_block_entry *blocks;
	size_t nr_blocks, cap_blocks;
	bool blocks_cut; /* out of memory during the last sweep */

	uint8_t *has_retired; /* by slot: something may have been folded into it */
	uint8_t *seen; /* by slot: registered in the listing under way */
	uint64_t list_began_ns;
	cgm_event_fn event_fn;
	void *event_arg;
};

/* programs.c: marks what cannot work on this kernel as failed, and what is to be used. */
void cgm_programs_probe(struct cgm_kernel *k, const struct btf *kernel_btf);
void cgm_programs_choose(struct cgm_kernel *k);
const char *cgm_mode_name(enum cgm_mode m);
void cgm_choice_fail(struct cgm_choice *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* pin.c */
/* Makes pin_dir and its folder of links, mounting a BPF file system at /sys/fs/bpf if there is none. 0 or a negative errno, said. */
int cgm_pin_prepare(struct cgm_kernel *k);
/* Sets the maps of an opened skeleton to the pinned ones if all fit. True: adopted. False: removes what is pinned there. */
bool cgm_pin_adopt(struct cgm_kernel *k);
/* After the load: pins what is not pinned yet. */
void cgm_pin_maps(struct cgm_kernel *k);
/* The pinned link of a former run, if it runs the same program on the same configuration; else it is removed. */
struct bpf_link *cgm_pin_adopt_link(struct cgm_kernel *k, const char *name, struct bpf_program *program);
void cgm_pin_link(struct cgm_kernel *k, const char *name, struct bpf_link *link);
/* Removes the pins of links that this run does not use; all: also of those that it uses. */
void cgm_pin_drop_links(struct cgm_kernel *k, bool all);

/* retire.c */
/* Ends a fold that a former run did not end. */
void cgm_retire_recover(struct cgm_kernel *k);

/* Shards 0 to nr_shards - 1 are the kernel's, nr_shards is ours. slot must be below nr_mapped. */
static inline struct cgm_sched *cgm_sched_at(const struct cgm_kernel *k, uint32_t shard, uint32_t slot)
{
	return &k->sched[(size_t)slot * (k->nr_shards + 1) + shard];
}

static inline struct cgm_net *cgm_net_at(const struct cgm_kernel *k, uint32_t shard, uint32_t slot)
{
	return &k->net[(size_t)slot * (k->nr_shards + 1) + shard];
}

/* kernel.c: maps the rows of all slots below nr. 0 or a negative errno (what was mapped stays). */
int cgm_map_rows(struct cgm_kernel *k, uint32_t nr);

/* Adds every counter of a row (they are all 64-bit) to another. */
static inline void cgm_add_u64s(void *to, const void *from, size_t bytes)
{
	uint64_t *t = to;
	const uint64_t *f = from;

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		t[i] += f[i];
}
