// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Block I/O by its true owner: the cgroup of the bio's blkcg, so that writeback is charged to whoever dirtied the page (cgroup v2; on v1
 * the kernel itself charges it to the root). Latency from the kernel's own stamp at the request's allocation (start_time_ns) and from
 * ours at its issue. A partial completion adds bytes, the last one adds the request. Any context, so all adds are atomic.
 */
#include "slot.bpf.h"

#define REQ_OP_MASK 0xff
#define REQ_OP_READ 0
#define REQ_OP_WRITE 1
#define REQ_OP_FLUSH 2
#define REQ_OP_DISCARD 3
#define REQ_OP_SECURE_ERASE 5
#define REQ_OP_WRITE_ZEROES 9
#define REQ_SYNC (1U << 11)

/* By owner's slot, device and operation. Written here and, for retired rows, by user space. Full: CGM_DROP_BLOCK_MAP counts. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct cgm_block_key);
	__type(value, struct cgm_block);
} cgm_block SEC(".maps");

struct issued {
	__u64 issue_ns;
	struct cgm_block_key key;
	__u32 pad;
};

/* Requests at the driver. Key: address of the request. Full: CGM_DROP_INFLIGHT counts, the request's service time is not known. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct issued);
} cgm_inflight SEC(".maps");

static const struct cgm_block no_block = {};

static __always_inline __u16 block_op(__u32 cmd_flags)
{
	switch (cmd_flags & REQ_OP_MASK) {
	case REQ_OP_READ:
		return CGM_BLOCK_READ;
	case REQ_OP_WRITE:
		return CGM_BLOCK_WRITE;
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
		return CGM_BLOCK_DISCARD;
	case REQ_OP_FLUSH:
		return CGM_BLOCK_FLUSH;
	default:
		return CGM_BLOCK_OTHER;
	}
}

/* REQ_OP_WRITE or any other odd operation is synchronous only with a flag; reads always are (op_is_sync() of the kernel). */
static __always_inline bool block_is_sync(__u32 cmd_flags)
{
	return (cmd_flags & REQ_OP_MASK) == REQ_OP_READ || (cmd_flags & REQ_SYNC);
}

static __always_inline struct gendisk *request_disk(const bool raw, struct request *rq)
{
	if (bpf_core_field_exists(((struct request_queue *)0)->disk))
		return RD(raw, rq, q, disk);
	return BPF_CORE_READ((struct request___before_5_17 *)rq, rq_disk);
}

/* False: a request without a disk (a command of the driver itself). Without a bio (a flush) the owner is the root. */
static __always_inline bool block_key(const bool raw, struct request *rq, struct cgm_block_key *key)
{
	struct gendisk *disk = request_disk(raw, rq);
	struct bio *bio = RD(raw, rq, bio);
	struct blkcg_gq *blkg = bio ? RD(raw, bio, bi_blkg) : NULL;
	__u64 id = 1; /* the root of any hierarchy */

	if (!disk)
		return false;
	key->dev = (__u32)RD(raw, disk, major) << 20 | (__u32)RD(raw, disk, first_minor);
	key->op = block_op(RD(raw, rq, cmd_flags));
	key->retired = 0;
	if (blkg) {
		struct cgroup *cg = RD(raw, blkg, blkcg, css.cgroup);

		id = RD(raw, cg, kn, id);
		key->slot = slot_of_cgroup(raw, cg, id, cfg.block_hierarchy);
	} else {
		struct cgm_cgroup_key root = { .id = id, .hierarchy = cfg.block_hierarchy };
		__u32 *slot = bpf_map_lookup_elem(&cgm_slot_of, &root);

		key->slot = slot ? *slot : CGM_SLOT_OVERFLOW;
	}
	return true;
}

static __always_inline struct cgm_block *block_row(struct cgm_block_key *key)
{
	struct cgm_block *row = bpf_map_lookup_elem(&cgm_block, key);

	if (row)
		return row;
	bpf_map_update_elem(&cgm_block, key, &no_block, BPF_NOEXIST);
	row = bpf_map_lookup_elem(&cgm_block, key);
	if (!row)
		drop(CGM_DROP_BLOCK_MAP);
	return row;
}

static __always_inline int block_issue(const bool raw, struct request *rq)
{
	struct issued *again, new = {};
	struct cgm_block *row;
	__u64 address = (__u64)rq;

	again = bpf_map_lookup_elem(&cgm_inflight, &address);
	if (again) { /* put back by the driver, now issued once more: the same request */
		again->issue_ns = bpf_ktime_get_ns();
		return 0;
	}
	if (!block_key(raw, rq, &new.key))
		return 0;
	new.issue_ns = bpf_ktime_get_ns();
	if (bpf_map_update_elem(&cgm_inflight, &address, &new, BPF_ANY)) {
		drop(CGM_DROP_INFLIGHT);
		return 0;
	}
	row = block_row(&new.key);
	if (row)
		add_atomic(&row->issued, 1);
	return 0;
}

static __always_inline int block_complete(const bool raw, struct request *rq, __u32 error, __u32 nr_bytes)
{
	__u64 address = (__u64)rq, now = bpf_ktime_get_ns(), start = RD(raw, rq, start_time_ns);
	bool last = nr_bytes >= RD(raw, rq, __data_len), sync = block_is_sync(RD(raw, rq, cmd_flags));
	struct issued *in = bpf_map_lookup_elem(&cgm_inflight, &address);
	struct cgm_block_key key = {};
	struct cgm_block *row;

	if (in)
		key = in->key;
	else if (!block_key(raw, rq, &key)) /* issued before we came */
		return 0;
	row = block_row(&key);
	if (row && error) {
		add_atomic(&row->errors, 1);
	} else if (row) {
		add_atomic(&row->bytes, nr_bytes);
		if (sync)
			add_atomic(&row->sync_bytes, nr_bytes);
	}
	if (!last)
		return 0;
	if (row) {
		if (!in)
			add_atomic(&row->issued, 1);
		add_atomic(&row->requests, 1);
		if (sync)
			add_atomic(&row->sync_requests, 1);
		if (start)
			hist_add_atomic(&row->queue_to_done, since(now, start));
		if (in)
			hist_add_atomic(&row->issue_to_done, since(now, in->issue_ns));
	}
	if (in)
		bpf_map_delete_elem(&cgm_inflight, &address);
	return 0;
}

SEC("?tp_btf/block_rq_issue")
int BPF_PROG(cgm_blk_issue, struct request *rq)
{
	return block_issue(false, rq);
}

SEC("?raw_tp/block_rq_issue")
int cgm_raw_issue(struct bpf_raw_tracepoint_args *ctx)
{
	return block_issue(true, (struct request *)ctx->args[0]);
}

SEC("?tp_btf/block_rq_complete")
int BPF_PROG(cgm_blk_done, struct request *rq, int error, unsigned int nr_bytes)
{
	return block_complete(false, rq, error & 0xff, nr_bytes);
}

SEC("?raw_tp/block_rq_complete")
int cgm_raw_done(struct bpf_raw_tracepoint_args *ctx)
{
	return block_complete(true, (struct request *)ctx->args[0], ctx->args[1] & 0xff, ctx->args[2]);
}
