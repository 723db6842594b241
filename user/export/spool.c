// SPDX-License-Identifier: Apache-2.0
#include "export/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parse.h"
#include "output/gzip.h"

#define MAGIC 0x31534743U /* "CGS1" */
#define SEGMENT_BYTES ((uint64_t)16 << 20)
#define SMALLEST_SEGMENT ((uint64_t)64 << 10)
#define RAW_BYTES ((uint64_t)1 << 30) /* no batch is larger */
#define FIRST_NUMBER ((uint64_t)1 << 32) /* room for those that are put first */
#define NAME_SIZE 32

struct header {
	uint32_t magic;
	uint32_t len; /* of the gzip behind it */
	uint64_t nr_points, end_ns;
	uint32_t raw_len, data_crc, reserved;
	uint32_t crc; /* of all before it */
};
_Static_assert(sizeof(struct header) == 40, "as it stands in the file");

struct position {
	uint64_t segment, offset;
	uint32_t magic, crc; /* of all before it */
};

struct segment {
	uint64_t number, bytes;
	uint64_t nr_left, points_left; /* not yet delivered */
};

struct cgm_spool {
	int dir_fd, position_fd, read_fd, write_fd; /* of the first, of the last segment; -1: not open */
	uint64_t max_bytes, segment_bytes, total_bytes, nr_batches;
	uint64_t last; /* number of the newest segment ever */
	struct segment *segments;
	size_t nr, cap;
	uint64_t offset; /* in the first: what lies before it is delivered */
	bool reading; /* the record at offset is under way: */
	struct header under_way;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void name_of(uint64_t number, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%016" PRIx64 ".spool", number);
}

static uint64_t size_of(const struct header *h)
{
	return sizeof(*h) + h->len;
}

/* ---- where it stands ---- */

static void write_position(struct cgm_spool *sp)
{
	struct position p = { .segment = sp->nr ? sp->segments[0].number : 0, .offset = sp->offset, .magic = MAGIC };

	p.crc = cgm_crc32(0, &p, offsetof(struct position, crc));
	if (sp->position_fd < 0)
		sp->position_fd = openat(sp->dir_fd, "position", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	/* Where it cannot be written a batch may come again, after a crash. */
	if (sp->position_fd >= 0)
		(void)!pwrite(sp->position_fd, &p, sizeof(p), 0);
}

/* Passes over what was delivered. */
static void read_position(struct cgm_spool *sp)
{
	struct position p;
	int fd = openat(sp->dir_fd, "position", O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	sp->position_fd = fd;
	if (pread(fd, &p, sizeof(p), 0) != sizeof(p) || p.magic != MAGIC || p.crc != cgm_crc32(0, &p, offsetof(struct position, crc)))
		return;
	if (sp->nr && p.segment == sp->segments[0].number && p.offset <= sp->segments[0].bytes)
		sp->offset = p.offset;
}

/* ---- segments ---- */

static int read_header(int fd, uint64_t offset, uint64_t size, struct header *ret)
{
	if (size - offset < sizeof(*ret))
		return -EINVAL;
	if (pread(fd, ret, sizeof(*ret), (off_t)offset) != (ssize_t)sizeof(*ret))
		return -EIO;
	if (ret->magic != MAGIC || ret->crc != cgm_crc32(0, ret, offsetof(struct header, crc)) || ret->raw_len > RAW_BYTES)
		return -EINVAL;
	return 0;
}

static void forget_first(struct cgm_spool *sp)
{
	char name[NAME_SIZE];

	name_of(sp->segments[0].number, name);
	(void)unlinkat(sp->dir_fd, name, 0);
	sp->total_bytes -= sp->segments[0].bytes;
	sp->nr_batches -= sp->segments[0].nr_left;
	close_fd(&sp->read_fd);
	if (sp->nr == 1)
		close_fd(&sp->write_fd);
	sp->nr--;
	memmove(sp->segments, sp->segments + 1, sp->nr * sizeof(*sp->segments));
	sp->offset = 0;
	sp->reading = false;
}

/* Makes the oldest segment go. Returns the points that are lost by it: not those of the batch that is under way. */
static uint64_t drop_first(struct cgm_spool *sp)
{
	uint64_t points = sp->segments[0].points_left - (sp->reading ? sp->under_way.nr_points : 0);

	forget_first(sp);
	return points;
}

/* A segment of a number: in front of or behind the others. Its file is created; -1 or the descriptor. */
static int add_segment(struct cgm_spool *sp, uint64_t number, bool first)
{
	char name[NAME_SIZE];
	int fd;

	if (cgm_grow((void **)&sp->segments, &sp->cap, sp->nr, sizeof(*sp->segments)) < 0)
		return -ENOMEM;
	name_of(number, name);
	fd = openat(sp->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (first)
		memmove(sp->segments + 1, sp->segments, sp->nr * sizeof(*sp->segments));
	sp->segments[first ? 0 : sp->nr] = (struct segment){ .number = number };
	sp->nr++;
	return fd;
}

/* ---- opening ---- */

/* Sums up a file's records, and cuts what is not whole. *lost: at least 1 when there is such. */
static int scan(struct cgm_spool *sp, struct segment *s, uint64_t *lost)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE];
	uint64_t end = 0;
	struct stat st;

	name_of(s->number, name);
	fd = openat(sp->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	while (end < (uint64_t)st.st_size) {
		struct header h;

		if (read_header(fd, end, (uint64_t)st.st_size, &h) < 0) {
			*lost += 1;
			break;
		}
		if (size_of(&h) > (uint64_t)st.st_size - end) {
			*lost += MAX(h.nr_points, (uint64_t)1);
			break;
		}
		end += size_of(&h);
		s->nr_left++;
		s->points_left += h.nr_points;
	}
	if (end < (uint64_t)st.st_size && ftruncate(fd, (off_t)end) < 0)
		return -errno;
	s->bytes = end;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int list(struct cgm_spool *sp)
{
	_cleanup_closedir_ DIR *dir = cgm_opendir_at(sp->dir_fd, ".");
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		char name[NAME_SIZE];
		uint64_t number;

		if (strlen(e->d_name) < 16 || cgm_parse_hex((struct cgm_str){ e->d_name, 16 }, &number) < 0)
			continue;
		name_of(number, name);
		if (strcmp(name, e->d_name) != 0)
			continue;
		if (cgm_grow((void **)&sp->segments, &sp->cap, sp->nr, sizeof(*sp->segments)) < 0)
			return -ENOMEM;
		sp->segments[sp->nr++] = (struct segment){ .number = number };
	}
	if (sp->nr)
		qsort(sp->segments, sp->nr, sizeof(*sp->segments), by_number);
	return 0;
}

/* What was delivered before is no longer counted. */
static void count_delivered(struct cgm_spool *sp)
{
	struct segment *s = sp->segments;
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE];
	struct header h;

	if (!sp->offset)
		return;
	name_of(s->number, name);
	fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC);
	for (uint64_t at = 0; at < sp->offset; at += size_of(&h)) {
		if (fd < 0 || read_header(fd, at, s->bytes, &h) < 0 || at + size_of(&h) > sp->offset) {
			sp->offset = at; /* it stands within a record: from its beginning, then */
			break;
		}
		s->nr_left--;
		s->points_left -= h.nr_points;
	}
}

static void load_segments(struct cgm_spool *sp, uint64_t *lost)
{
	size_t kept = 0;

	sp->last = sp->nr ? sp->segments[sp->nr - 1].number : FIRST_NUMBER;
	for (size_t i = 0; i < sp->nr; i++) {
		struct segment s = sp->segments[i];
		char name[NAME_SIZE];

		if (scan(sp, &s, lost) < 0)
			continue; /* a file that cannot be read stays where it is */
		if (!s.bytes) {
			name_of(s.number, name);
			(void)unlinkat(sp->dir_fd, name, 0);
			continue;
		}
		sp->segments[kept++] = s;
	}
	sp->nr = kept;
	read_position(sp);
	count_delivered(sp);
	for (size_t i = 0; i < sp->nr; i++) {
		sp->total_bytes += sp->segments[i].bytes;
		sp->nr_batches += sp->segments[i].nr_left;
	}
	if (sp->nr && sp->offset >= sp->segments[0].bytes)
		forget_first(sp);
	write_position(sp); /* an old one must not fit a later segment by its number */
}

static int make_dir(const char *dir)
{
	const char *slash = strrchr(dir, '/');

	if (slash && slash > dir) {
		_cleanup_free_ char *above = cgm_strndup(dir, (size_t)(slash - dir));

		if (!above)
			return -ENOMEM;
		if (mkdir(above, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void put_about(struct cgm_spool *sp, const char *about)
{
	_cleanup_close_ int fd = openat(sp->dir_fd, "sink", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		dprintf(fd, "%s\n", about);
}

static int open_in(struct cgm_spool *sp, const char *dir, const char *about, uint64_t *lost)
{
	int r = make_dir(dir);

	if (r < 0)
		return r;
	sp->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sp->dir_fd < 0)
		return -errno;
	if (flock(sp->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	put_about(sp, about);
	r = list(sp);
	if (r == 0)
		load_segments(sp, lost);
	return r;
}

int cgm_spool_open(const char *dir, uint64_t max_bytes, const char *about, struct cgm_spool **ret, uint64_t *ret_lost, char *fault)
{
	_cleanup_(cgm_spool_freep) struct cgm_spool *sp = cgm_calloc(1, sizeof(*sp));
	uint64_t lost = 0;
	int r;

	if (!sp) {
		snprintf(fault, 256, "out of memory");
		return -ENOMEM;
	}
	sp->dir_fd = sp->position_fd = sp->read_fd = sp->write_fd = -1;
	sp->max_bytes = max_bytes;
	sp->segment_bytes = MIN(MAX(max_bytes / 8, SMALLEST_SEGMENT), SEGMENT_BYTES);
	r = open_in(sp, dir, about, &lost);
	if (r < 0) {
		snprintf(fault, 256, "spool %.180s: %s", dir, r == -EBUSY ? "another process has it" : strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(sp);
	*ret_lost = lost;
	return 0;
}

static void sync_write(struct cgm_spool *sp)
{
	if (sp->write_fd >= 0)
		(void)fdatasync(sp->write_fd);
	close_fd(&sp->write_fd);
}

void cgm_spool_close(struct cgm_spool *sp)
{
	if (!sp)
		return;
	sync_write(sp);
	close_fd(&sp->read_fd);
	close_fd(&sp->position_fd);
	close_fd(&sp->dir_fd);
	free(sp->segments);
	free(sp);
}

/* ---- writing ---- */

/* Appends the record of a batch. */
static int put_record(struct cgm_buf *out, const struct cgm_spool_batch *batch)
{
	const struct cgm_buf in = { .p = (char *)(uintptr_t)batch->data, .len = batch->len }; /* it is only read */
	struct header h = { .magic = MAGIC, .nr_points = batch->nr_points, .end_ns = batch->end_ns, .raw_len = (uint32_t)batch->len };
	size_t start = out->len;
	int r;

	if (batch->len > RAW_BYTES)
		return -EFBIG;
	cgm_buf_put(out, &h, sizeof(h));
	r = out->failed ? -ENOMEM : cgm_gzip_buf(&in, out);
	if (r < 0)
		return r;
	h.len = (uint32_t)(out->len - start - sizeof(h));
	h.data_crc = cgm_crc32(0, out->p + start + sizeof(h), h.len);
	h.crc = cgm_crc32(0, &h, offsetof(struct header, crc));
	memcpy(out->p + start, &h, sizeof(h));
	return 0;
}

static int write_all(int fd, const struct cgm_buf *b, uint64_t offset)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = pwrite(fd, b->p + done, b->len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 && errno != EFBIG ? -errno : -ENOSPC; /* EFBIG: a bound on the file's size; it is our word for another thing */

			(void)!ftruncate(fd, (off_t)offset); /* where that fails the next record writes over it */
			return r;
		}
		done += (size_t)n;
	}
	return 0;
}

/* The segment that takes so much more. */
static int last_segment(struct cgm_spool *sp, uint64_t bytes)
{
	uint64_t number = sp->last + (sp->nr ? 1 : 2); /* between two times that it is empty one number stays free, for what is put first */
	int fd;

	if (sp->write_fd >= 0 && sp->segments[sp->nr - 1].bytes + bytes <= sp->segment_bytes)
		return 0;
	sync_write(sp);
	fd = add_segment(sp, number, false);
	if (fd < 0)
		return fd;
	sp->write_fd = fd;
	sp->last = number;
	return 0;
}

static void drop_empty_last(struct cgm_spool *sp)
{
	char name[NAME_SIZE];

	if (sp->segments[sp->nr - 1].bytes)
		return;
	close_fd(&sp->write_fd);
	name_of(sp->segments[--sp->nr].number, name);
	(void)unlinkat(sp->dir_fd, name, 0);
}

static void account(struct cgm_spool *sp, struct segment *s, uint64_t bytes, size_t nr, uint64_t nr_points)
{
	s->bytes += bytes;
	s->nr_left += nr;
	s->points_left += nr_points;
	sp->total_bytes += bytes;
	sp->nr_batches += nr;
}

int cgm_spool_put(struct cgm_spool *sp, const struct cgm_spool_batch *batch, uint64_t *ret_dropped)
{
	_cleanup_(cgm_buf_done) struct cgm_buf record = { 0 };
	int r = put_record(&record, batch);

	*ret_dropped = 0;
	if (r == 0 && record.len > sp->max_bytes)
		r = -EFBIG;
	if (r < 0)
		return r;
	while (sp->nr && sp->total_bytes + record.len > sp->max_bytes)
		*ret_dropped += drop_first(sp);
	r = last_segment(sp, record.len);
	if (r < 0)
		return r;
	r = write_all(sp->write_fd, &record, sp->segments[sp->nr - 1].bytes);
	if (r < 0)
		drop_empty_last(sp);
	else
		account(sp, &sp->segments[sp->nr - 1], record.len, 1, batch->nr_points);
	return r;
}

int cgm_spool_put_first(struct cgm_spool *sp, const struct cgm_spool_batch *batches, size_t nr, bool reading)
{
	_cleanup_(cgm_buf_done) struct cgm_buf records = { 0 };
	_cleanup_close_ int fd = -1;
	uint64_t number = sp->nr ? sp->segments[0].number - 1 : sp->last + 2, nr_points = 0;
	struct header first;
	int r = sp->offset || sp->reading || !nr ? -EINVAL : 0;

	for (size_t i = 0; r == 0 && i < nr; i++) {
		r = put_record(&records, &batches[i]);
		nr_points += batches[i].nr_points;
	}
	if (r == 0 && sp->total_bytes + records.len > sp->max_bytes)
		r = -EFBIG;
	if (r < 0)
		return r;
	memcpy(&first, records.p, sizeof(first));
	fd = add_segment(sp, number, true);
	if (fd < 0)
		return fd;
	close_fd(&sp->read_fd);
	r = write_all(fd, &records, 0);
	if (r < 0) {
		forget_first(sp);
		return r;
	}
	(void)fdatasync(fd);
	if (sp->nr == 1)
		sp->last = number;
	account(sp, &sp->segments[0], records.len, nr, nr_points);
	sp->reading = reading;
	sp->under_way = first;
	return 0;
}

/* ---- reading ---- */

bool cgm_spool_is_empty(const struct cgm_spool *sp)
{
	return sp->nr == 0;
}

bool cgm_spool_is_reading(const struct cgm_spool *sp)
{
	return sp->reading;
}

void cgm_spool_level(const struct cgm_spool *sp, uint64_t *ret_bytes, uint64_t *ret_batches)
{
	*ret_bytes = sp->total_bytes;
	*ret_batches = sp->nr_batches;
}

static void pass(struct cgm_spool *sp, const struct header *h)
{
	struct segment *s = &sp->segments[0];

	sp->offset += size_of(h);
	s->nr_left--;
	sp->nr_batches--;
	s->points_left -= h->nr_points;
	if (sp->offset >= s->bytes)
		forget_first(sp);
	else
		write_position(sp);
}

/* The record at the position. -EINVAL: the segment is of no use from there on; -EILSEQ: the record is broken, the next one may be whole. */
static int read_record(struct cgm_spool *sp, struct header *h, struct cgm_buf *data)
{
	_cleanup_free_ char *packed = NULL;
	char name[NAME_SIZE];
	int r;

	if (sp->read_fd < 0) {
		name_of(sp->segments[0].number, name);
		sp->read_fd = openat(sp->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (sp->read_fd < 0 || read_header(sp->read_fd, sp->offset, sp->segments[0].bytes, h) < 0 || size_of(h) > sp->segments[0].bytes - sp->offset)
		return -EINVAL;
	packed = cgm_malloc(h->len + 1);
	if (!packed || !cgm_buf_reserve(data, (size_t)h->raw_len + 1))
		return -ENOMEM;
	if (pread(sp->read_fd, packed, h->len, (off_t)(sp->offset + sizeof(*h))) != (ssize_t)h->len)
		return -EINVAL;
	if (cgm_crc32(0, packed, h->len) != h->data_crc)
		return -EILSEQ;
	r = cgm_gunzip_buf(packed, h->len, data);
	if (r == -EINVAL || (r == 0 && data->len != h->raw_len))
		return -EILSEQ;
	return r;
}

int cgm_spool_read(struct cgm_spool *sp, struct cgm_buf *data, struct cgm_spool_batch *ret, uint64_t *ret_lost)
{
	*ret_lost = 0;
	while (sp->nr) {
		struct header h;
		int r;

		data->len = 0;
		r = read_record(sp, &h, data);
		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			sp->reading = true;
			sp->under_way = h;
			*ret = (struct cgm_spool_batch){ .data = data->p, .len = data->len, .nr_points = h.nr_points, .end_ns = h.end_ns };
			return 0;
		}
		if (r == -EILSEQ) {
			*ret_lost += h.nr_points;
			pass(sp, &h);
		} else {
			*ret_lost += drop_first(sp);
		}
	}
	return -ENOENT;
}

void cgm_spool_done(struct cgm_spool *sp)
{
	if (!sp->reading)
		return;
	sp->reading = false;
	pass(sp, &sp->under_way);
}
