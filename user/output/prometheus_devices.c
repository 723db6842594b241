// SPDX-License-Identifier: Apache-2.0
/* What a row has per device: disks, interfaces, file systems, the kernel side's block rows; and a histogram. */
#include <unistd.h>

#include "base/cleanup.h"
#include "model/label.h"
#include "output/prometheus_write.h"

static void text_device(struct cgm_prom_text *t, const char *name, uint32_t major, uint32_t minor)
{
	char *p;

	cgm_prom_text_add(t, ",device=\"");
	p = t->p + t->len;
	if (name[0]) {
		p += cgm_label_escape(p, name);
	} else {
		p = cgm_prom_u64(p, major);
		*p++ = ':';
		p = cgm_prom_u64(p, minor);
	}
	*p++ = '"';
	t->len = (size_t)(p - t->p);
}

/* The layout keeps the block of a device that is gone, as zeros. */
static bool is_blank(const uint64_t *values, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (values[i])
			return false;
	return true;
}

static bool fs_has_device(const struct cgm_row *row, const char *device)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];

		if (b->kind == CGM_LAYOUT_FS && !strcmp(b->name, device) && !is_blank(row->values + b->first, b->nr))
			return true;
	}
	return false;
}

/* v2's files tell of reads, writes and discards alone, and of costs only with io.cost; the kernel side and v1 of all. */
static bool is_unknown(const struct cgm_prom_entry *e, const uint64_t *v)
{
	if (e->index >= CGM_DISK_COST_USAGE)
		return !v[CGM_DISK_COST_USAGE];
	return e->family == CGM_F_BLKIO_USAGE && e->index >= CGM_DISK_BYTES_SYNC && !v[CGM_DISK_BYTES_TOTAL];
}

void cgm_prom_disks(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, bool also_fs)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_DISK || is_blank(row->values + b->first, b->nr))
			continue;
		if (is_unknown(e, row->values + b->first))
			continue;
		/* "/" has a series of that device from its file systems already */
		if (also_fs && !row->depth && fs_has_device(row, b->name))
			continue;
		own.len = 0;
		text_device(&own, b->name, b->major, b->minor);
		if (e->family == CGM_F_BLKIO_USAGE) {
			cgm_prom_text_add(&own, ",major=\"");
			own.len = (size_t)(cgm_prom_u64(own.p + own.len, b->major) - own.p);
			cgm_prom_text_add(&own, "\",minor=\"");
			own.len = (size_t)(cgm_prom_u64(own.p + own.len, b->minor) - own.p);
			cgm_prom_text_add(&own, "\"");
		}
		if (e->labels[0]) {
			cgm_prom_text_add(&own, ",");
			cgm_prom_text_add(&own, e->labels);
		}
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, row->values[b->first + e->index], e->digits);
	}
}

void cgm_prom_ifaces(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, const struct cgm_row *as)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_IFACE)
			continue;
		own.len = 0;
		cgm_prom_label(&own, true, "interface", b->name);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, as, &own, row->values[b->first + e->index], e->digits);
	}
}

void cgm_prom_fs(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row)
{
	bool inodes = e->index == CGM_FS_INODES || e->index == CGM_FS_INODES_FREE;

	if (row->depth && e->index >= CGM_FS_READS_COMPLETED)
		return; /* a container's requests are counted by device */
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		const uint64_t *v = row->values + b->first;
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_FS || is_blank(v, b->nr) || (inodes && !row->depth && !v[CGM_FS_HAS_INODES]))
			continue;
		own.len = 0;
		cgm_prom_label(&own, true, "device", b->name);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, v[e->index], e->digits);
	}
}

/* Counts up to each classic bound. */
static void cumulate(const struct cgm_live_hist *h, uint64_t ret[CGM_PROM_LE_BOUNDS])
{
	unsigned n = 0;
	uint64_t count = 0;

	for (unsigned i = 0; i < CGM_PROM_LE_BOUNDS; i++) {
		for (; n < h->nr && h->first + n <= CGM_PROM_LE_STEP * i; n++)
			count += h->buckets[n];
		ret[i] = count;
	}
}

/* The text between name{ and the labels is the same in all lines of a histogram: each copies the head of the first. */
static void text_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h,
		      const uint64_t cumulative[CGM_PROM_LE_BOUNDS])
{
	const struct cgm_prom_stamp *stamp = r->stamp;
	size_t id_len = 0, head_len, tail_len;
	const char *id = row ? cgm_prom_labels(r, row, &id_len) : "";
	bool bare = !id_len && !labels->len; /* then le stands alone, and no braces behind _sum and _count */
	const char *end = bare ? " " : "} ";
	char *p, *head;

	head_len = r->name_len + strlen("_bucket{") + id_len + labels->len;
	tail_len = bare ? 0 : head_len - r->name_len - strlen("_bucket");
	if (!cgm_buf_reserve(r->out, (CGM_PROM_LE_BOUNDS + 3) * (head_len + CGM_PROM_NUMBER + CGM_PROM_LE_ROOM + sizeof(stamp->p))))
		return;
	head = p = r->out->p + r->out->len;
	p = cgm_prom_put(p, r->name, r->name_len);
	p = cgm_prom_put(p, "_bucket{", strlen("_bucket{"));
	p = cgm_prom_put(p, id, id_len);
	p = cgm_prom_put(p, labels->p, labels->len);
	for (unsigned i = 0; i < CGM_PROM_LE_BOUNDS; i++) {
		if (i)
			p = cgm_prom_put(p, head, head_len);
		memcpy(p, r->le[i].p + bare, 32); /* more than it needs: a fixed length is faster */
		p = cgm_prom_u64(p + r->le[i].len - bare, cumulative[i]);
		p = cgm_prom_put(p, stamp->p, stamp->len);
		*p++ = '\n';
	}
	p = cgm_prom_put(p, head, head_len);
	p = cgm_prom_put(p, &",le=\"+Inf\"} "[bare], strlen(",le=\"+Inf\"} ") - bare);
	p = cgm_prom_put(cgm_prom_u64(p, h->count), stamp->p, stamp->len);
	p = cgm_prom_put(cgm_prom_put(p, "\n", 1), r->name, r->name_len);
	p = cgm_prom_put(cgm_prom_put(p, "_sum", 4), head + head_len - tail_len, tail_len);
	p = cgm_prom_fixed(cgm_prom_put(p, end, strlen(end)), h->sum_ns, CGM_DIGITS_NS);
	p = cgm_prom_put(p, stamp->p, stamp->len);
	p = cgm_prom_put(cgm_prom_put(p, "\n", 1), r->name, r->name_len);
	p = cgm_prom_put(cgm_prom_put(p, "_count", 6), head + head_len - tail_len, tail_len);
	p = cgm_prom_put(cgm_prom_u64(cgm_prom_put(p, end, strlen(end)), h->count), stamp->p, stamp->len);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
	if (r->created_len) {
		struct cgm_prom_text own = *labels;

		cgm_prom_text_add(&own, end);
		cgm_prom_created(r, bare ? NULL : id, id_len, &own, cgm_prom_since(r, row));
	}
}

void cgm_prom_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_live_hist *h)
{
	uint64_t cumulative[CGM_PROM_LE_BOUNDS];

	if (!h->count)
		return;
	cumulate(h, cumulative);
	if (r->protobuf)
		cgm_protobuf_hist(r, row, labels, h, cumulative);
	else
		text_hist(r, row, labels, h, cumulative);
}

static uint64_t block_value(const struct cgm_live_block *b, enum cgm_family_id f)
{
	switch (f) {
	case CGM_F_BLOCK_BYTES:
		return b->bytes;
	case CGM_F_BLOCK_REQUESTS:
		return b->requests;
	case CGM_F_BLOCK_REQUEUES:
		return b->requeues;
	default:
		return b->issued > b->requests ? b->issued - b->requests : 0;
	}
}

/* A label of its own for each number that is not 0. */
static void put_kinds(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const char *label,
		      const char *const *names, const uint64_t *v, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct cgm_prom_text own = *labels;

		if (!v[i])
			continue;
		cgm_prom_label(&own, true, label, names[i]);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, v[i], 0);
	}
}

void cgm_prom_blocks(struct cgm_prometheus *r, enum cgm_family_id f, const struct cgm_row *row)
{
	static const char *const operations[CGM_NR_BLOCK_OPS] = { "read", "write", "discard", "flush", "other" };
	static const char *const errors[CGM_NR_BLOCK_ERRORS] = { "io", "medium", "timeout", "no_space", "transport", "other" };
	static const char *const sizes[CGM_NR_BLOCK_SIZES] = { "4096", "16384", "65536", "262144", "1048576", "more" };

	for (size_t i = 0; i < row->live->nr_blocks; i++) {
		const struct cgm_live_block *b = &row->live->blocks[i];
		struct cgm_prom_text own;

		if (!cgm_block_used(b))
			continue;
		own.len = 0;
		text_device(&own, b->name, b->dev >> 20, b->dev & 0xfffff);
		cgm_prom_text_add(&own, ",operation=\"");
		cgm_prom_text_add(&own, operations[b->op]);
		cgm_prom_text_add(&own, "\"");
		if (f == CGM_F_BLOCK_LATENCY || f == CGM_F_BLOCK_SERVICE) {
			cgm_prom_hist(r, row, &own, f == CGM_F_BLOCK_LATENCY ? &b->queue_to_done : &b->issue_to_done);
			continue;
		}
		if (f == CGM_F_BLOCK_ERRORS) {
			put_kinds(r, row, &own, "error", errors, b->errors, CGM_NR_BLOCK_ERRORS);
			continue;
		}
		if (f == CGM_F_BLOCK_SIZES) {
			put_kinds(r, row, &own, "size", sizes, b->sizes, CGM_NR_BLOCK_SIZES);
			continue;
		}
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, block_value(b, f), 0);
	}
}

void cgm_prom_dirtied(struct cgm_prometheus *r, const struct cgm_row *row)
{
	for (size_t i = 0; i < row->live->nr_blocks; i++) {
		const struct cgm_live_block *b = &row->live->blocks[i];
		struct cgm_prom_text own = { 0 };

		if (b->op != CGM_BLOCK_WRITE || !b->dirtied_pages)
			continue;
		text_device(&own, b->name, b->dev >> 20, b->dev & 0xfffff);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, b->dirtied_pages * (uint64_t)sysconf(_SC_PAGESIZE), 0);
	}
}

void cgm_prom_numa(struct cgm_prometheus *r, const struct cgm_row *row)
{
	static const char *const labels[] = {
#define CGM_NUMA_VALUE(id, json, scope, type) ",type=\"" type "\",scope=\"" scope "\",node=\"",
#include "cgmeter/metrics.def"
	};
	const struct cgm_layout *l = row->layout;

	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		if (l->blocks[i].kind != CGM_LAYOUT_NUMA)
			continue;
		for (size_t v = 0; v < CGM_NR_NUMA_VALUES; v++) {
			struct cgm_prom_text own = { 0 };

			cgm_prom_text_add(&own, labels[v]);
			own.len = (size_t)(cgm_prom_u64(own.p + own.len, l->blocks[i].minor) - own.p);
			cgm_prom_text_add(&own, "\"} ");
			cgm_prom_row(r, row, &own, row->values[l->blocks[i].first + v], 0);
		}
	}
}
