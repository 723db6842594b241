// SPDX-License-Identifier: Apache-2.0
/* What a row has per device: disks, interfaces, file systems, the kernel side's block rows; and a histogram. */
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

void cgm_prom_disks(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row, bool also_fs)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_DISK || is_blank(row->values + b->first, b->nr))
			continue;
		/* "/" has a series of that device from its file systems already */
		if (also_fs && fs_has_device(row, b->name))
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

void cgm_prom_ifaces(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row)
{
	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_IFACE)
			continue;
		own.len = 0;
		cgm_prom_label(&own, true, "interface", b->name);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, row->values[b->first + e->index], e->digits);
	}
}

void cgm_prom_fs(struct cgm_prometheus *r, const struct cgm_prom_entry *e, const struct cgm_row *row)
{
	bool inodes = e->index == CGM_FS_INODES || e->index == CGM_FS_INODES_FREE;

	for (uint32_t i = 0; i < row->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &row->layout->blocks[i];
		const uint64_t *v = row->values + b->first;
		struct cgm_prom_text own;

		if (b->kind != CGM_LAYOUT_FS || is_blank(v, b->nr) || (inodes && !v[CGM_FS_HAS_INODES]))
			continue;
		own.len = 0;
		cgm_prom_label(&own, true, "device", b->name);
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, v[e->index], e->digits);
	}
}

/* The text between name{ and the labels is the same in all lines of a histogram: each copies the head of the first. */
void cgm_prom_hist(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_prom_text *labels, const struct cgm_hist *h)
{
	const struct cgm_identity *id = row->identity;
	size_t head_len = r->name_len + strlen("_bucket{") + id->labels_len + labels->len, tail_len = head_len - r->name_len - strlen("_bucket");
	uint64_t count = 0;
	char *p, *head;

	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		count += h->buckets[i];
	if (!count || !cgm_buf_reserve(r->out, (CGM_PROM_LE_BOUNDS + 3) * (head_len + CGM_PROM_NUMBER + 24)))
		return;
	head = p = r->out->p + r->out->len;
	p = cgm_prom_put(p, r->name, r->name_len);
	p = cgm_prom_put(p, "_bucket{", strlen("_bucket{"));
	p = cgm_prom_put(p, id->labels, id->labels_len);
	p = cgm_prom_put(p, labels->p, labels->len);
	count = 0;
	for (unsigned i = 0; i < CGM_PROM_LE_BOUNDS; i++) {
		if (i) {
			p = cgm_prom_put(p, head, head_len);
			count += h->buckets[2 * i - 1];
		}
		count += h->buckets[2 * i];
		memcpy(p, r->le[i].p, 24); /* more than it needs: a fixed length is faster */
		p = cgm_prom_u64(p + r->le[i].len, count);
		*p++ = '\n';
	}
	count += h->buckets[CGM_HIST_BUCKETS - 1];
	p = cgm_prom_put(p, head, head_len);
	p = cgm_prom_put(p, ",le=\"+Inf\"} ", strlen(",le=\"+Inf\"} "));
	p = cgm_prom_u64(p, count);
	p = cgm_prom_put(cgm_prom_put(p, "\n", 1), r->name, r->name_len);
	p = cgm_prom_put(cgm_prom_put(p, "_sum", 4), head + head_len - tail_len, tail_len);
	p = cgm_prom_fixed(cgm_prom_put(p, "} ", 2), h->sum_ns, CGM_DIGITS_NS);
	p = cgm_prom_put(cgm_prom_put(p, "\n", 1), r->name, r->name_len);
	p = cgm_prom_put(cgm_prom_put(p, "_count", 6), head + head_len - tail_len, tail_len);
	p = cgm_prom_u64(cgm_prom_put(p, "} ", 2), count);
	*p++ = '\n';
	r->out->len = (size_t)(p - r->out->p);
}

static uint64_t block_value(const struct cgm_block *b, enum cgm_family_id f)
{
	switch (f) {
	case CGM_F_BLOCK_BYTES:
		return b->bytes;
	case CGM_F_BLOCK_REQUESTS:
		return b->requests;
	case CGM_F_BLOCK_ERRORS:
		return b->errors;
	default:
		return b->issued > b->requests ? b->issued - b->requests : 0;
	}
}

void cgm_prom_blocks(struct cgm_prometheus *r, enum cgm_family_id f, const struct cgm_row *row)
{
	static const char *const operations[CGM_NR_BLOCK_OPS] = { "read", "write", "discard", "flush", "other" };

	for (size_t i = 0; i < row->live->nr_blocks; i++) {
		const struct cgm_live_block *b = &row->live->blocks[i];
		struct cgm_prom_text own;

		own.len = 0;
		text_device(&own, b->name, b->dev >> 20, b->dev & 0xfffff);
		cgm_prom_text_add(&own, ",operation=\"");
		cgm_prom_text_add(&own, operations[b->op]);
		cgm_prom_text_add(&own, "\"");
		if (f == CGM_F_BLOCK_LATENCY || f == CGM_F_BLOCK_SERVICE) {
			cgm_prom_hist(r, row, &own, f == CGM_F_BLOCK_LATENCY ? &b->b.queue_to_done : &b->b.issue_to_done);
			continue;
		}
		cgm_prom_text_add(&own, "} ");
		cgm_prom_row(r, row, &own, block_value(&b->b, f), 0);
	}
}
