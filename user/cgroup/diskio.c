// SPDX-License-Identifier: Apache-2.0
/* Block I/O from files, for machines without the kernel side. */
#include "cgroup/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/file.h"

struct blkio_arg {
	struct cgm_sample *s;
	bool bytes;
	size_t nr_rows;
};

static int blkio_row(void *arg, uint32_t major, uint32_t minor, struct cgm_str op, uint64_t value)
{
	static const struct {
		const char *op;
		uint8_t bytes, ios;
	} map[] = {
		{ "Read", CGM_DISK_BYTES_READ, CGM_DISK_IOS_READ },	   { "Write", CGM_DISK_BYTES_WRITE, CGM_DISK_IOS_WRITE },
		{ "Sync", CGM_DISK_BYTES_SYNC, CGM_DISK_IOS_SYNC },	   { "Async", CGM_DISK_BYTES_ASYNC, CGM_DISK_IOS_ASYNC },
		{ "Discard", CGM_DISK_BYTES_DISCARD, CGM_DISK_IOS_DISCARD }, { "Total", CGM_DISK_BYTES_TOTAL, CGM_DISK_IOS_TOTAL },
	};
	struct blkio_arg *a = arg;

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		struct cgm_disk_row *row;

		if (!cgm_str_eq(op, map[i].op))
			continue;
		row = cgm_sample_disk(a->s, major, minor);
		if (!row)
			return -ENOMEM;
		row->v[a->bytes ? map[i].bytes : map[i].ios] = value;
		a->nr_rows++;
	}
	return 0;
}

/* One file. 1 when it had rows, 0 when not; -ENOENT, -ENOMEM. */
static int blkio_file(struct cgm_reader *r, enum cgm_file f, bool bytes, struct cgm_sample *s)
{
	struct blkio_arg a = { .s = s, .bytes = bytes };
	_cleanup_free_ char *heap = NULL;
	char buf[CGM_READ_BUF];
	struct cgm_str text;
	int ret = cgm_reader_read(r, f, buf, &heap, &text);

	if (ret == -EAGAIN)
		return 0;
	if (ret < 0)
		return ret;
	ret = cgm_text_blkio(text, blkio_row, &a);
	return ret < 0 ? ret : a.nr_rows > 0;
}

/* The first pair of files that has rows; it is tried first from then on. */
static int diskio_v1(struct cgm_reader *r, struct cgm_sample *s)
{
	int nr_groups = (CGM_FILE_V1_BLKIO_LAST - CGM_FILE_V1_BLKIO + 1) / 2;
	int first = r->blkio_group >= 0 ? r->blkio_group : 0;

	for (int i = 0; i < nr_groups; i++) {
		int group = (first + i) % nr_groups;
		int ret = blkio_file(r, CGM_FILE_V1_BLKIO + 2 * group, true, s);

		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		r->blkio_group = (int8_t)group;
		ret = blkio_file(r, CGM_FILE_V1_BLKIO + 2 * group + 1, false, s);
		return ret < 0 ? ret : 0;
	}
	r->blkio_group = -1;
	return 0;
}

/* What io.cost adds (block/blk-iocost.c). A device without it has no cost. */
static void set_cost(struct cgm_disk_row *row, const struct cgm_io_stat *io)
{
	row->v[CGM_DISK_COST_USAGE] = io->cost_usage;
	row->v[CGM_DISK_COST_WAIT] = io->cost_wait;
	row->v[CGM_DISK_COST_INDEBT] = io->cost_indebt;
	row->v[CGM_DISK_COST_INDELAY] = io->cost_indelay;
}

static int io_cost_row(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	struct cgm_disk_row *row = io->cost_usage ? cgm_sample_disk(arg, major, minor) : NULL;

	if (row)
		set_cost(row, io);
	return row || !io->cost_usage ? 0 : -ENOMEM;
}

static int io_stat_row(void *arg, uint32_t major, uint32_t minor, const struct cgm_io_stat *io)
{
	struct cgm_disk_row *row = cgm_sample_disk(arg, major, minor);

	if (!row)
		return -ENOMEM;
	row->v[CGM_DISK_BYTES_READ] = io->rbytes;
	row->v[CGM_DISK_BYTES_WRITE] = io->wbytes;
	row->v[CGM_DISK_BYTES_DISCARD] = io->dbytes;
	row->v[CGM_DISK_IOS_READ] = io->rios;
	row->v[CGM_DISK_IOS_WRITE] = io->wios;
	row->v[CGM_DISK_IOS_DISCARD] = io->dios;
	set_cost(row, io);
	return 0;
}

static int diskio_v2(struct cgm_reader *r, cgm_io_stat_fn row, struct cgm_sample *s)
{
	_cleanup_free_ char *heap = NULL;
	char buf[CGM_READ_BUF];
	struct cgm_str text;
	int ret = cgm_reader_read(r, CGM_FILE_V2_IO_STAT, buf, &heap, &text);

	if (ret < 0)
		return ret == -EAGAIN ? 0 : ret;
	return cgm_text_io_stat(text, row, s);
}

int cgm_reader_diskio(struct cgm_reader *r, struct cgm_sample *s)
{
	if (r->wanted >> CGM_FILE_V1_BLKIO & 1)
		return diskio_v1(r, s);
	if (r->wanted >> CGM_FILE_V2_IO_STAT & 1)
		return diskio_v2(r, io_stat_row, s);
	return 0;
}

int cgm_reader_io_cost(struct cgm_reader *r, struct cgm_sample *s)
{
	return r->wanted >> CGM_FILE_V2_IO_STAT & 1 ? diskio_v2(r, io_cost_row, s) : 0;
}

bool cgm_trees_io_cost(const struct cgm_trees *t)
{
	struct cgm_str rest, line, token;
	char buf[4096];
	ssize_t n;

	if (t->h[CGM_CTRL_UNIFIED].dir_fd < 0 || t->h[CGM_CTRL_BLKIO].dir_fd >= 0)
		return false;
	n = cgm_read_at(t->h[CGM_CTRL_UNIFIED].dir_fd, "io.cost.qos", buf, sizeof(buf));
	rest = (struct cgm_str){ buf, n > 0 ? (size_t)n : 0 };
	while (cgm_next_line(&rest, &line))
		while (cgm_next_token(&line, &token))
			if (cgm_str_eq(token, "enable=1"))
				return true;
	return false;
}
