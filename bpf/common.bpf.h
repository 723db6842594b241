/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every subsystem shares: switches, drop counters, reads that work by BTF and raw, histograms, rows of a slot.
 * The subsystems (sched, block, net, cgroup, task) are one translation unit: cgmeter.bpf.c includes them all.
 */
#ifndef CGM_COMMON_BPF_H
#define CGM_COMMON_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "cgmeter/abi.h"

/* Read-only switches; user space sets them before the load (user/kernel/kernel.c). */
const volatile struct cgm_config cfg = {};

#define PF_KTHREAD 0x00200000
#define CSS_ONLINE (1U << 1)
#define CSS_DYING (1U << 4)

/*
 * A read of a->b->c: direct in a program that is attached by BTF (one load, faults are handled by the kernel), through
 * bpf_probe_read_kernel() in a raw one. raw must be a literal.
 */
#define CGM_AT1(p, a) ((p)->a)
#define CGM_AT2(p, a, b) ((p)->a->b)
#define CGM_AT3(p, a, b, c) ((p)->a->b->c)
#define CGM_AT4(p, a, b, c, d) ((p)->a->b->c->d)
#define CGM_ATN(_1, _2, _3, _4, name, ...) name
#define CGM_AT(p, ...) CGM_ATN(__VA_ARGS__, CGM_AT4, CGM_AT3, CGM_AT2, CGM_AT1)(p, __VA_ARGS__)
#define RD(raw, p, ...) ((raw) ? BPF_CORE_READ(p, __VA_ARGS__) : CGM_AT(p, __VA_ARGS__))

/*
 * What could not be counted where it belongs. Key: enum cgm_drop. Written by all programs (atomic), mapped by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CGM_NR_DROPS);
	__type(key, __u32);
	__type(value, __u64);
} cgm_drops SEC(".maps");

static __always_inline void drop(__u32 reason)
{
	__u64 *v = bpf_map_lookup_elem(&cgm_drops, &reason);

	if (v)
		__sync_fetch_and_add(v, 1);
}

/*
 * Key: enum cgm_keyed_map. 1: something is being counted there; user space makes it 0 when it looks. To look at a map of thousands of places
 * in which nothing moves would be a tenth of what a sweep costs. Mapped by user space.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CGM_NR_KEYED_MAPS);
	__type(key, __u32);
	__type(value, __u64);
} cgm_touched SEC(".maps");

/* Before the count. */
static __always_inline void touch(__u32 map)
{
	__u64 *v = bpf_map_lookup_elem(&cgm_touched, &map);

	if (v && !*v)
		*v = 1;
}

/*
 * Adds to a counter of this CPU's shard: only programs with interrupts off may use it, so that nothing comes between load and store. shared:
 * cfg.shard_shared, read once by the program; the verifier knows it and leaves one of the two.
 */
static __always_inline void add(bool shared, __u64 *v, __u64 n)
{
	if (shared)
		__sync_fetch_and_add(v, n);
	else
		*v += n;
}

/* The same for programs that may be interrupted, or may move to another CPU. */
static __always_inline void add_atomic(__u64 *v, __u64 n)
{
	__sync_fetch_and_add(v, n);
}

static __always_inline void hist_add_atomic(struct cgm_hist *h, __u64 ns)
{
	__u32 i = cgm_hist_bucket(ns);

	if (i >= CGM_HIST_BUCKETS)
		return;
	add_atomic(&h->buckets[i], 1);
	add_atomic(&h->sum_ns, ns);
}

/* b - a, and 0 when the clock of another CPU makes it negative: that is counted. */
static __always_inline __u64 since(__u64 b, __u64 a)
{
	if (b >= a)
		return b - a;
	drop(CGM_DROP_CLOCK);
	return 0;
}

/*
 * A map of rows by slot and shard, in chunks: name[slot / CGM_CHUNK_SLOTS] is an array of rows_per_slot rows a slot. Chunks are made by user
 * space (user/kernel/rows.c) and mapped by it; both lookups are inlined by the verifier.
 */
#define CGM_ROWS_MAP(name, row)                            \
	struct name##_chunk {                              \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(map_flags, BPF_F_MMAPABLE);         \
		__uint(max_entries, 1);                    \
		__type(key, __u32);                        \
		__type(value, row);                        \
	};                                                 \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);  \
		__uint(max_entries, CGM_MAX_CHUNKS);       \
		__type(key, __u32);                        \
		__array(values, struct name##_chunk);      \
	} name SEC(".maps")

/* This CPU's row of a slot; NULL never comes while slots are handed out only from chunks that are there. */
static __always_inline void *row_of(void *map, __u32 slot)
{
	__u32 chunk = slot >> CGM_CHUNK_SHIFT;
	__u32 index = (slot & (CGM_CHUNK_SLOTS - 1)) * cfg.rows_per_slot + (bpf_get_smp_processor_id() & cfg.shard_mask);
	void *rows = bpf_map_lookup_elem(map, &chunk);

	return rows ? bpf_map_lookup_elem(rows, &index) : NULL;
}

#endif
