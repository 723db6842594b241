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

/*
 * Requests at the driver, and disks: plain arrays with a few ways a bucket, as a hash map of the kernel costs ten times as much to enter and remove
 * a request. Emptied by user space before the programs are attached anew. Bucket full: CGM_DROP_INFLIGHT counts and the request's service time is
 * not known; CGM_DROP_BLOCK_MAP and the disk has no busy time. Requests that have no entry are not among a disk's nr_in_flight.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgm_at_driver);
} cgm_at_driver SEC(".maps");

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

	touch(CGM_KEYED_BLOCK);
	if (row)
		return row;
	bpf_map_update_elem(&cgm_block, key, &no_block, BPF_NOEXIST);
	row = bpf_map_lookup_elem(&cgm_block, key);
	if (!row)
		drop(CGM_DROP_BLOCK_MAP);
	return row;
}

static __always_inline struct cgm_at_driver *at_driver(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cgm_at_driver, &zero);
}

/* Makes *v that number if it is 0: a place is taken. Kernels before 5.12 cannot exchange: there two CPUs may take the same at once, and one is lost. */
static __always_inline bool take(const bool raw, __u64 *v, __u64 number)
{
	if (!raw)
		return !__sync_val_compare_and_swap(v, 0, number);
	if (*v)
		return false;
	*v = number;
	return true;
}

/*
 * A number that stands for a request. Its address would do, but the verifier allows no arithmetic on a pointer except to subtract another, so it
 * is the distance to the table, which does not move. In a raw program the address is a number already.
 */
static __always_inline __u64 request_number(const bool raw, const struct cgm_at_driver *t, const struct request *rq)
{
	return raw ? (__u64)rq : (__u64)rq - (__u64)t;
}

static __always_inline struct cgm_request_bucket *request_bucket(struct cgm_at_driver *t, __u64 number)
{
	return &t->request[(number >> 6) * 0x9e3779b97f4a7c15ULL >> 52 & (CGM_REQUEST_BUCKETS - 1)];
}

static __always_inline struct cgm_block_request *find_request(struct cgm_at_driver *t, __u64 number)
{
	struct cgm_request_bucket *b = request_bucket(t, number);

	if (b->way[0].number == number)
		return &b->way[0];
	if (b->way[1].number == number)
		return &b->way[1];
	if (b->way[2].number == number)
		return &b->way[2];
	if (b->way[3].number == number)
		return &b->way[3];
	return NULL;
}

static __always_inline struct cgm_block_request *enter_request(const bool raw, struct cgm_at_driver *t, __u64 number)
{
	struct cgm_request_bucket *b = request_bucket(t, number);

	if (take(raw, &b->way[0].number, number))
		return &b->way[0];
	if (take(raw, &b->way[1].number, number))
		return &b->way[1];
	if (take(raw, &b->way[2].number, number))
		return &b->way[2];
	if (take(raw, &b->way[3].number, number))
		return &b->way[3];
	drop(CGM_DROP_INFLIGHT);
	return NULL;
}

/* A disk's place: the first of a few that is its own. enter: or that is free. */
static __always_inline struct cgm_device *device(const bool raw, struct cgm_at_driver *t, __u32 dev, bool enter)
{
#pragma unroll
	for (__u32 i = 0; i < CGM_DEVICE_WAYS; i++) {
		struct cgm_device *d = &t->device[((dev ^ dev >> 16) + i) & (CGM_NR_DEVICES - 1)];

		if (d->dev == dev)
			return d;
		if (enter && !d->dev && (take(raw, &d->dev, dev) || d->dev == dev))
			return d;
	}
	if (enter)
		drop(CGM_DROP_BLOCK_MAP);
	return NULL;
}

/*
 * Busy time of a device, shared out: what passed since the completion before (or since it became busy) belongs to the owner of the request that
 * completes now. So it is never counted twice, and its sum over all owners is the device's, as with the time slices of v1's CFQ.
 * An accepted race: two first issues at once may set since_ns back by the time between them.
 */
static __always_inline void device_begin(struct cgm_device *d, __u64 now)
{
	if (!d)
		return;
	if (!d->nr_in_flight)
		d->since_ns = now;
	add_atomic(&d->nr_in_flight, 1);
}

static __always_inline __u64 device_end(const bool raw, struct cgm_device *d, __u64 now)
{
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

/*
 * A request that was issued before it began: its place was used before, and nothing was told of that end. Seen on a kernel that hides
 * the threads of PID 1 from programs, and with them the interrupts that come while they run. What it moved is counted now.
 */
static __always_inline bool end_unseen(const bool raw, struct cgm_at_driver *t, struct request *rq, struct cgm_block_request *in)
{
	struct cgm_block_key key = in->key;
	struct cgm_block *row;
	__u64 start = RD(raw, rq, start_time_ns), busy;

	if (start <= in->issue_ns)
		return false;
	drop(CGM_DROP_BLOCK_DONE);
	busy = device_end(raw, device(raw, t, key.dev, false), start);
	row = block_row(&key);
	if (!row)
		return true;
	add_atomic(&row->bytes, in->bytes);
	add_atomic(&row->requests, 1);
	add_atomic(&row->sizes[block_size(in->bytes)], 1);
	add_atomic(&row->busy_ns, busy);
	if (in->sync) {
		add_atomic(&row->sync_bytes, in->bytes);
		add_atomic(&row->sync_requests, 1);
	}
	return true;
}

static __always_inline int block_issue(const bool raw, struct request *rq)
{
	struct cgm_at_driver *t = at_driver();
	struct cgm_block_key key = {};
	struct cgm_block_request *in;
	struct cgm_block *row;
	__u64 number;

	if (!t)
		return 0;
	number = request_number(raw, t, rq);
	in = find_request(t, number);
	if (in && !end_unseen(raw, t, rq, in)) { /* put back by the driver, now issued once more: the same request */
		in->issue_ns = bpf_ktime_get_ns();
		return 0;
	}
	if (!block_key(raw, rq, &key)) {
		if (in)
			in->number = 0;
		return 0;
	}
	if (!in)
		in = enter_request(raw, t, number);
	if (!in)
		return 0;
	/* Nobody completes it before we are done: it is not with the driver yet. */
	in->key = key;
	in->bytes = RD(raw, rq, __data_len);
	in->sync = block_is_sync(RD(raw, rq, cmd_flags));
	in->issue_ns = bpf_ktime_get_ns();
	device_begin(device(raw, t, key.dev, true), in->issue_ns);
	row = block_row(&key);
	if (row)
		add_atomic(&row->issued, 1);
	return 0;
}

static __always_inline int block_complete(const bool raw, struct request *rq, __u32 error, __u32 nr_bytes)
{
	__u64 now = bpf_ktime_get_ns(), start = RD(raw, rq, start_time_ns), busy = 0;
	bool last = nr_bytes >= RD(raw, rq, __data_len), sync = block_is_sync(RD(raw, rq, cmd_flags));
	struct cgm_at_driver *t = at_driver();
	struct cgm_block_request *in = t ? find_request(t, request_number(raw, t, rq)) : NULL;
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
		busy = device_end(raw, device(raw, t, key.dev, false), now);
	if (row) {
		if (!in)
			add_atomic(&row->issued, 1);
		if (busy)
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
		in->number = 0;
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
