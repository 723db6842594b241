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
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct cgm_block_key);
	__type(value, struct cgm_block);
} cgm_block SEC(".maps");

struct issued {
	__u64 issue_ns;
	struct cgm_block_key key;
	__u32 bytes;
};

/* Requests at the driver. Key: address of the request. Full: CGM_DROP_INFLIGHT counts, the request's service time is not known. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct issued);
} cgm_inflight SEC(".maps");

/*
 * Disks. Key: dev. Written at issue and completion. Full: CGM_DROP_BLOCK_MAP counts and the disk has no busy time. Requests without an entry in
 * cgm_inflight are not among nr_in_flight; both maps are emptied when the programs are attached anew.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct cgm_device);
} cgm_devices SEC(".maps");

static const struct cgm_block no_block = {};
static const struct cgm_device no_device = {};

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

/* blk_status_t (include/linux/blk_types.h); before 5.16 the tracepoint had an errno, which is none of these. */
static __always_inline __u32 block_error(__u32 status)
{
	switch (status) {
	case 2:
		return CGM_BLOCK_TIMEOUT;
	case 3:
		return CGM_BLOCK_NO_SPACE;
	case 4: /* transport */
	case 5: /* target */
	case 6: /* reservation */
		return CGM_BLOCK_TRANSPORT;
	case 7:
		return CGM_BLOCK_MEDIUM;
	case 10:
		return CGM_BLOCK_IO;
	default:
		return CGM_BLOCK_FAULT;
	}
}

static __always_inline __u32 block_size(__u32 bytes)
{
	__u32 i = 0;

	for (; i < CGM_NR_BLOCK_SIZES - 1; i++)
		if (bytes <= CGM_BLOCK_SIZE(i))
			break;
	return i;
}

static __always_inline struct gendisk *request_disk(const bool raw, struct request *rq)
{
	if (bpf_core_field_exists(((struct request_queue *)0)->disk))
		return RD(raw, rq, q, disk);
	return BPF_CORE_READ((struct request___before_5_17 *)rq, rq_disk);
}

static __always_inline __u32 disk_dev(const bool raw, struct gendisk *disk)
{
	return (__u32)RD(raw, disk, major) << 20 | (__u32)RD(raw, disk, first_minor);
}

/* Sets the owner: the blkcg of the bio. Without a bio (a flush) it is the root. */
static __always_inline void block_owner(const bool raw, struct bio *bio, struct cgm_block_key *key)
{
	struct blkcg_gq *blkg = bio ? RD(raw, bio, bi_blkg) : NULL;
	__u64 id = 1; /* the root of any hierarchy */

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
}

/* False: a request without a disk (a command of the driver itself). */
static __always_inline bool block_key(const bool raw, struct request *rq, struct cgm_block_key *key)
{
	struct gendisk *disk = request_disk(raw, rq);

	if (!disk)
		return false;
	key->dev = disk_dev(raw, disk);
	key->op = block_op(RD(raw, rq, cmd_flags));
	block_owner(raw, RD(raw, rq, bio), key);
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

static __always_inline struct cgm_device *device(__u32 dev)
{
	struct cgm_device *d = bpf_map_lookup_elem(&cgm_devices, &dev);

	if (d)
		return d;
	bpf_map_update_elem(&cgm_devices, &dev, &no_device, BPF_NOEXIST);
	d = bpf_map_lookup_elem(&cgm_devices, &dev);
	if (!d)
		drop(CGM_DROP_BLOCK_MAP);
	return d;
}

/*
 * Busy time of a device, shared out: what passed since the completion before (or since it became busy) belongs to the owner of the request that
 * completes now. So it is never counted twice, and its sum over all owners is the device's, as with the time slices of v1's CFQ.
 * An accepted race: two first issues at once may set since_ns back by the time between them.
 */
static __always_inline void device_begin(__u32 dev, __u64 now)
{
	struct cgm_device *d = device(dev);

	if (!d)
		return;
	if (!d->nr_in_flight)
		d->since_ns = now;
	add_atomic(&d->nr_in_flight, 1);
}

static __always_inline __u64 device_end(const bool raw, __u32 dev, __u64 now)
{
	struct cgm_device *d = bpf_map_lookup_elem(&cgm_devices, &dev);
	__u64 since_ns;

	if (!d)
		return 0;
	add_atomic(&d->nr_in_flight, -1ULL);
	if (raw) { /* kernels before 5.12 have no exchange; two completions at once may both count what passed */
		since_ns = d->since_ns;
		d->since_ns = now;
	} else {
		since_ns = __sync_lock_test_and_set(&d->since_ns, now);
	}
	return now > since_ns ? now - since_ns : 0;
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
	new.bytes = RD(raw, rq, __data_len);
	if (bpf_map_update_elem(&cgm_inflight, &address, &new, BPF_ANY)) {
		drop(CGM_DROP_INFLIGHT);
		return 0;
	}
	device_begin(new.key.dev, new.issue_ns);
	row = block_row(&new.key);
	if (row)
		add_atomic(&row->issued, 1);
	return 0;
}

static __always_inline int block_complete(const bool raw, struct request *rq, __u32 error, __u32 nr_bytes)
{
	__u64 address = (__u64)rq, now = bpf_ktime_get_ns(), start = RD(raw, rq, start_time_ns), busy = 0;
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
		add_atomic(&row->errors[block_error(error)], 1);
	} else if (row) {
		add_atomic(&row->bytes, nr_bytes);
		if (sync)
			add_atomic(&row->sync_bytes, nr_bytes);
	}
	if (!last)
		return 0;
	if (in)
		busy = device_end(raw, key.dev, now);
	if (row) {
		if (!in)
			add_atomic(&row->issued, 1);
		add_atomic(&row->busy_ns, busy);
		add_atomic(&row->requests, 1);
		add_atomic(&row->sizes[block_size(in ? in->bytes : nr_bytes)], 1);
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

SEC("?tp_btf/block_rq_requeue")
int BPF_PROG(cgm_blk_requeue, struct request *rq)
{
	struct cgm_block_key key = {};
	struct cgm_block *row;

	if (!block_key(false, rq, &key))
		return 0;
	row = block_row(&key);
	if (row)
		add_atomic(&row->requeues, 1);
	return 0;
}

/* ---- merges: before the issue, so the bio is still its own ---- */

static __always_inline int block_merge(struct cgm_block_key *key)
{
	struct cgm_block *row = block_row(key);

	if (row)
		add_atomic(&row->merged, 1);
	return 0;
}

static __always_inline int bio_merge(struct bio *bio)
{
	struct cgm_block_key key = { .op = block_op(bio->bi_opf) };
	struct gendisk *disk;

	if (bpf_core_field_exists(bio->bi_bdev))
		disk = bio->bi_bdev->bd_disk;
	else
		disk = ((struct bio___before_5_12 *)bio)->bi_disk;
	if (!disk)
		return 0;
	key.dev = disk_dev(false, disk);
	block_owner(false, bio, &key);
	return block_merge(&key);
}

SEC("?tp_btf/block_bio_backmerge")
int BPF_PROG(cgm_bio_back, struct bio *bio)
{
	return bio_merge(bio);
}

SEC("?tp_btf/block_bio_frontmerge")
int BPF_PROG(cgm_bio_front, struct bio *bio)
{
	return bio_merge(bio);
}

SEC("?tp_btf/block_rq_merge")
int BPF_PROG(cgm_rq_merge, struct request *rq)
{
	struct cgm_block_key key = {};

	return block_key(false, rq, &key) ? block_merge(&key) : 0;
}
