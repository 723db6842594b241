// SPDX-License-Identifier: Apache-2.0
/* The compact form of include/cgmeter/compact.h: pods, parts of the node and file systems as the Summary tells them, and what only this agent knows. */
#include "output/kubelet.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/protobuf.h"
#include "cgmeter/compact.h"
#include "model/cells.h"
#include "model/trail.h"

/* Metrics that are told, in the order of their places. */
#define METRICS(X) \
	X(CPU_USAGE) X(MEMORY_USAGE) X(MEMORY_RSS) X(MEMORY_CACHE) X(MEMORY_WORKING_SET) X(MEMORY_PAGE_FAULTS) X(MEMORY_MAJOR_PAGE_FAULTS) X(MEMORY_SWAP) \
	X(NETWORK_RX) X(NETWORK_RX_ERRORS) X(NETWORK_TX) X(NETWORK_TX_ERRORS) X(CPU_RUN_QUEUE_DELAY) X(CPU_THROTTLED) X(DISK_WAIT) \
	X(NETWORK_TCP_RETRANSMITS) X(TASKS) X(FILESYSTEM_USAGE) X(FILESYSTEM_LIMIT) X(FILESYSTEM_AVAILABLE) X(FILESYSTEM_INODES) X(FILESYSTEM_INODES_FREE) \
	X(DISK_IO_READ_BYTES) X(DISK_IO_WRITE_BYTES)
enum name {
#define X(id) N_##id,
	METRICS(X)
#undef X
	N_HIST_RUN_QUEUE_DELAY,
	N_HIST_DISK_LATENCY,
	N_HIST_TCP_RTT,
	NR_NAMES,
};

/* Their names, by cluster.def's ids. */
enum metric {
#define CGM_SCALAR(id, ...) M_##id,
#define CGM_LABELED(id, ...) M_##id,
#include "cgmeter/cluster.def"
};
static const char *const metric_names[] = {
#define CGM_SCALAR(id, name, ...) [M_##id] = name,
#define CGM_LABELED(id, name, ...) [M_##id] = name,
#include "cgmeter/cluster.def"
};

static const char *name_text(enum name n)
{
	static const uint8_t metrics[] = {
#define X(id) M_##id,
		METRICS(X)
#undef X
	};
	static const char *const hists[] = { CGM_COMPACT_RUN_QUEUE_DELAY, CGM_COMPACT_DISK_LATENCY, CGM_COMPACT_TCP_RTT };

	return n < N_HIST_RUN_QUEUE_DELAY ? metric_names[metrics[n]] : hists[n - N_HIST_RUN_QUEUE_DELAY];
}

#define COUNT(field) CGM_PB_TAG(field, CGM_PB_VARINT)
#define BYTES(field) CGM_PB_TAG(field, CGM_PB_BYTES)

struct compact {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_kubelet_node node;
	struct cgm_kubelet_pods pods;
	size_t at; /* of the next pod among the members */
	size_t nr_sets;
	bool began;
};

/* ---- a set ---- */

static size_t open_set(struct compact *y, struct cgm_buf *b, enum cgm_compact_kind kind, const char *name)
{
	size_t mark = cgm_pb_begin(b, BYTES(CGM_COMPACT_A_SET));

	y->nr_sets++;
	cgm_pb_count(b, COUNT(CGM_COMPACT_S_KIND), kind);
	if (name)
		cgm_pb_text(b, BYTES(CGM_COMPACT_S_NAME), name, strlen(name));
	return mark;
}

static void put_time(const struct compact *y, struct cgm_buf *b, uint8_t field, uint64_t time_ns)
{
	if (time_ns)
		cgm_pb_count(b, COUNT(field), cgm_pb_zigzag((int64_t)(time_ns - y->snapshot->time_ns)));
}

static void put_pair(struct cgm_buf *b, unsigned place, uint64_t v)
{
	char *p;

	if (!cgm_buf_reserve(b, 2 * CGM_MAX_VARINT))
		return;
	p = cgm_pb_put_varint(b->p + b->len, place);
	b->len = (size_t)(cgm_pb_put_varint(p, v) - b->p);
}

static void put_if(struct cgm_buf *b, enum name n, const struct cgm_row *row, enum cgm_value v)
{
	if (cgm_layout_has(row->layout, v))
		put_pair(b, n, row->values[v]);
}

static uint64_t disk_wait_ns(const struct cgm_live *live)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < live->nr_blocks; i++)
		ns += live->blocks[i].queue_to_done.sum_ns;
	return ns;
}

/* What every cgroup has. Who has no limit of CPU was never throttled: nothing is said of it. */
static void put_common(struct cgm_buf *b, const struct cgm_row *row)
{
	uint64_t nr_tasks;

	put_if(b, N_CPU_USAGE, row, CGM_V_CPU_USAGE_TOTAL);
	put_if(b, N_MEMORY_USAGE, row, CGM_V_MEMORY_USAGE);
	put_if(b, N_MEMORY_RSS, row, CGM_V_MEMORY_RSS);
	put_if(b, N_MEMORY_CACHE, row, CGM_V_MEMORY_CACHE);
	put_if(b, N_MEMORY_WORKING_SET, row, CGM_V_MEMORY_WORKING_SET);
	put_if(b, N_MEMORY_PAGE_FAULTS, row, CGM_V_MEMORY_PGFAULT);
	put_if(b, N_MEMORY_MAJOR_PAGE_FAULTS, row, CGM_V_MEMORY_PGMAJFAULT);
	put_if(b, N_MEMORY_SWAP, row, CGM_V_MEMORY_SWAP);
	if (cgm_layout_has(row->layout, CGM_V_CPU_CFS_PERIODS) && row->values[CGM_V_CPU_CFS_PERIODS])
		put_if(b, N_CPU_THROTTLED, row, CGM_V_CPU_CFS_THROTTLED_TIME);
	if (cgm_row_tasks(row, &nr_tasks))
		put_pair(b, N_TASKS, nr_tasks);
	if (!row->live)
		return;
	put_pair(b, N_CPU_RUN_QUEUE_DELAY, row->live->sched.runq_delay.sum_ns);
	put_pair(b, N_DISK_WAIT, disk_wait_ns(row->live));
	put_pair(b, N_NETWORK_TCP_RETRANSMITS, row->live->net.tcp_retransmitted_segments);
}

static void put_network(struct cgm_buf *b, const struct cgm_row *row)
{
	const struct cgm_layout_block *one = cgm_kubelet_interface(row);
	const uint64_t *v = one ? row->values + one->first : NULL;

	if (!v)
		return;
	put_pair(b, N_NETWORK_RX, v[CGM_IFACE_RX_BYTES]);
	put_pair(b, N_NETWORK_RX_ERRORS, v[CGM_IFACE_RX_ERRORS]);
	put_pair(b, N_NETWORK_TX, v[CGM_IFACE_TX_BYTES]);
	put_pair(b, N_NETWORK_TX_ERRORS, v[CGM_IFACE_TX_ERRORS]);
}

/* ---- metrics with a label ---- */

static void put_fs(struct cgm_buf *b, const char *prefix, const char *name, const struct cgm_kubelet_fs *fs)
{
	size_t mark, pairs, text;

	if (!fs->time_ns)
		return;
	mark = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_LABELED));
	text = cgm_pb_begin(b, BYTES(CGM_COMPACT_L_RESOURCE));
	cgm_buf_str(b, prefix);
	cgm_buf_str(b, name);
	cgm_pb_end(b, text);
	pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_L_VALUES));
	if (fs->has_used)
		put_pair(b, N_FILESYSTEM_USAGE, fs->used_bytes);
	put_pair(b, N_FILESYSTEM_LIMIT, fs->capacity_bytes);
	put_pair(b, N_FILESYSTEM_AVAILABLE, fs->available_bytes);
	if (fs->inodes) {
		put_pair(b, N_FILESYSTEM_INODES, fs->inodes);
		put_pair(b, N_FILESYSTEM_INODES_FREE, fs->inodes_free);
	}
	cgm_pb_end(b, pairs);
	cgm_pb_end(b, mark);
}

static void put_usage(struct cgm_buf *b, const char *prefix, const char *name, const struct cgm_disk_usage *u)
{
	struct cgm_kubelet_fs fs = cgm_kubelet_fs_of(u);

	put_fs(b, prefix, name, &fs);
}

static void put_disk(struct cgm_buf *b, const struct cgm_layout_block *disk, const uint64_t *v)
{
	char number[32];
	const char *name = disk->name;
	size_t mark, pairs;

	if (!*name) {
		snprintf(number, sizeof(number), "%u:%u", disk->major, disk->minor);
		name = number;
	}
	mark = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_LABELED));
	cgm_pb_text(b, BYTES(CGM_COMPACT_L_RESOURCE), name, strlen(name));
	pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_L_VALUES));
	put_pair(b, N_DISK_IO_READ_BYTES, v[CGM_DISK_BYTES_READ]);
	put_pair(b, N_DISK_IO_WRITE_BYTES, v[CGM_DISK_BYTES_WRITE]);
	cgm_pb_end(b, pairs);
	cgm_pb_end(b, mark);
}

/* Bytes by device as the files say, which cAdvisor's interfaces tell, too. */
static void put_disks(struct cgm_buf *b, const struct cgm_row *row)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++)
		if (row->layout->blocks[i].kind == CGM_LAYOUT_DISK)
			put_disk(b, &row->layout->blocks[i], row->values + row->layout->blocks[i].first);
}

/* ---- histograms ---- */

struct bars {
	uint64_t v[CGM_HIST_BARS], sum_ns;
};

static void add_hist(struct bars *to, const struct cgm_live_hist *h)
{
	to->sum_ns += h->sum_ns;
	for (unsigned i = 0; i < h->nr; i++)
		to->v[cgm_hist_bar(h->first + i)] += h->buckets[i];
}

/* One that never saw anything is left out. */
static void put_hist(struct cgm_buf *b, enum name n, const struct bars *bars)
{
	size_t mark = 0, pairs = 0;

	for (unsigned i = 0; i < CGM_HIST_BARS; i++) {
		if (!bars->v[i])
			continue;
		if (!mark) {
			mark = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_HIST));
			cgm_pb_count(b, COUNT(CGM_COMPACT_H_NAME), n);
			cgm_pb_count(b, COUNT(CGM_COMPACT_H_SUM), bars->sum_ns);
			pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_H_BARS));
		}
		put_pair(b, i, bars->v[i]);
	}
	if (!mark)
		return;
	cgm_pb_end(b, pairs);
	cgm_pb_end(b, mark);
}

static void put_hists(struct cgm_buf *b, const struct cgm_live *live)
{
	struct bars runq = { 0 }, disk = { 0 }, rtt = { 0 };

	if (!live)
		return;
	add_hist(&runq, &live->sched.runq_delay);
	for (size_t i = 0; i < live->nr_blocks; i++)
		add_hist(&disk, &live->blocks[i].queue_to_done);
	for (size_t i = 0; i < live->nr_waits; i++)
		if (live->waits[i].wait == CGM_W_TCP_RTT)
			add_hist(&rtt, &live->waits[i].hist);
	put_hist(b, N_HIST_RUN_QUEUE_DELAY, &runq);
	put_hist(b, N_HIST_DISK_LATENCY, &disk);
	put_hist(b, N_HIST_TCP_RTT, &rtt);
}

/* ---- who there is ---- */

/* kind: CONTAINER or SYSTEM. */
static void put_container(struct compact *y, struct cgm_buf *b, enum cgm_compact_kind kind, const char *name, const struct cgm_row *row, const struct cgm_who *who)
{
	const struct cgm_storage *st = row->storage;
	size_t mark = open_set(y, b, kind, name), pairs;

	if (who && who->image && kind == CGM_COMPACT_CONTAINER)
		cgm_pb_text(b, BYTES(CGM_COMPACT_S_IMAGE), who->image, strlen(who->image));
	put_time(y, b, CGM_COMPACT_S_SCRAPED, row->time_ns);
	put_time(y, b, CGM_COMPACT_S_CREATED, cgm_kubelet_start_ns(row, who));
	pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_VALUES));
	put_common(b, row);
	cgm_pb_end(b, pairs);
	if (st && st->has_layer)
		put_usage(b, "", "/", &st->layer);
	if (st && st->has_logs)
		put_usage(b, "", "logs", &st->logs);
	put_disks(b, row);
	put_hists(b, row->live);
	cgm_pb_end(b, mark);
}

/* What is no pod's: parts of the node, and containers of a runtime, which the Summary does not know. */
static void put_system(struct compact *y, struct cgm_buf *b)
{
	const struct cgm_snapshot *s = y->snapshot;
	const struct cgm_row *row;
	const char *name;
	size_t at = 0;

	while (cgm_kubelet_system(s, &at, &name, &row))
		put_container(y, b, CGM_COMPACT_SYSTEM, name, row, NULL);
	for (size_t i = 0; i < s->nr_rows; i++) {
		const struct cgm_who *w = s->rows[i].identity->who;

		if (w && (!w->pod_uid || !*w->pod_uid))
			put_container(y, b, CGM_COMPACT_SYSTEM, cgm_kubelet_container_name(w), &s->rows[i], w);
	}
}

static void put_node(struct compact *y, struct cgm_buf *b)
{
	const struct cgm_row *root = cgm_snapshot_find(y->snapshot, "/");
	struct cgm_kubelet_fs fs = cgm_kubelet_root_fs(y->snapshot, &y->node);
	size_t mark, pairs;

	cgm_pb_count(b, COUNT(CGM_COMPACT_A_VERSION), CGM_COMPACT_VERSION);
	cgm_pb_text(b, BYTES(CGM_COMPACT_A_NODE), y->node.name, strlen(y->node.name));
	cgm_pb_fixed64(b, CGM_PB_TAG(CGM_COMPACT_A_TIME, CGM_PB_FIXED64), y->snapshot->time_ns);
	for (unsigned i = 0; i < NR_NAMES; i++)
		cgm_pb_text(b, BYTES(CGM_COMPACT_A_NAME), name_text((enum name)i), strlen(name_text((enum name)i)));
	mark = open_set(y, b, CGM_COMPACT_NODE, NULL);
	if (root)
		put_time(y, b, CGM_COMPACT_S_SCRAPED, root->time_ns);
	put_time(y, b, CGM_COMPACT_S_CREATED, y->node.boot_time_ns || !root ? y->node.boot_time_ns : root->spec.creation_time_ns);
	if (root) {
		pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_VALUES));
		put_common(b, root);
		put_network(b, root);
		cgm_pb_end(b, pairs);
		put_fs(b, "", "/", &fs);
		put_disks(b, root);
		put_hists(b, root->live);
	}
	cgm_pb_end(b, mark);
}

/* Without containers what its own cgroup has is all that is known of it. */
static void put_pod(struct compact *y, struct cgm_buf *b, const struct cgm_kubelet_pod *pod)
{
	const struct cgm_row *own = pod->nr_containers ? NULL : pod->own, *timed = pod->network ? pod->network : own;
	const struct cgm_storage *st = pod->own ? pod->own->storage : NULL;
	size_t mark = open_set(y, b, CGM_COMPACT_POD, pod->name), pairs;

	cgm_pb_text(b, BYTES(CGM_COMPACT_S_NAMESPACE), pod->namespace, strlen(pod->namespace));
	cgm_pb_text(b, BYTES(CGM_COMPACT_S_UID), pod->uid, strlen(pod->uid));
	put_time(y, b, CGM_COMPACT_S_SCRAPED, timed ? timed->time_ns : 0);
	put_time(y, b, CGM_COMPACT_S_CREATED, pod->start_ns);
	pairs = cgm_pb_begin(b, BYTES(CGM_COMPACT_S_VALUES));
	if (own)
		put_common(b, own);
	if (pod->network)
		put_network(b, pod->network);
	cgm_pb_end(b, pairs);
	for (size_t i = 0; st && i < st->nr_volumes; i++)
		put_usage(b, "Volume:", st->volumes[i].name, &st->volumes[i].usage);
	cgm_pb_end(b, mark);
	for (size_t i = 0; i < pod->nr_containers; i++)
		put_container(y, b, CGM_COMPACT_CONTAINER, cgm_kubelet_container_name(pod->containers[i].who), pod->containers[i].row, pod->containers[i].who);
}

/* ---- the stream ---- */

static int compact_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct compact *y = (struct compact *)stream;
	struct cgm_kubelet_pod pod;

	if (!y->began) {
		y->began = true;
		put_node(y, out);
		put_system(y, out);
	} else if (cgm_kubelet_pods_next(&y->pods, &y->at, &pod)) {
		put_pod(y, out, &pod);
	}
	if (y->at >= y->pods.nr)
		cgm_pb_count(out, COUNT(CGM_COMPACT_A_END), y->nr_sets);
	return out->failed ? -ENOMEM : y->at < y->pods.nr;
}

static void compact_free(struct cgm_stream *stream)
{
	struct compact *y = (struct compact *)stream;

	cgm_kubelet_pods_done(&y->pods);
	cgm_snapshot_unref(y->snapshot);
	free(y);
}

struct cgm_stream *cgm_compact(struct cgm_snapshot *s, const struct cgm_kubelet_node *node)
{
	_cleanup_free_ struct compact *y = cgm_calloc(1, sizeof(*y));

	if (!y || cgm_kubelet_pods_init(s, &y->pods) < 0)
		return NULL;
	y->stream = (struct cgm_stream){ .next = compact_next, .free = compact_free, .type = CGM_COMPACT_TYPE };
	y->snapshot = cgm_snapshot_ref(s);
	y->node = *node;
	return &TAKE_PTR(y)->stream;
}
