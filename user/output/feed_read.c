// SPDX-License-Identifier: Apache-2.0
#include "output/feed.h"

#include <errno.h>

#include "base/mem.h"
#include "base/parse.h"

#define MAX_COLUMNS 64
#define MAX_PATH 8192 /* PATH_MAX bytes, and room for a longer one in a namespace */
#define IGNORED UINT8_MAX

struct reader {
	struct cgm_str text, line;
	size_t line_nr;
	const char *fault;
	size_t nr_rows; /* as the head says */
	uint64_t time_ns, mono_ns;
	uint8_t columns[MAX_COLUMNS]; /* what stands there: a value, CGM_NR_FEED_VALUES + a histogram, or IGNORED */
	size_t nr_columns;
	size_t names_len;
};

static int bad(struct reader *r, const char *fault)
{
	r->fault = fault;
	return -EINVAL;
}

/* -EINVAL at the end of the text: each of ours ends with a last line. */
static int next_line(struct reader *r)
{
	r->line_nr++;
	if (!memchr(r->text.p, '\n', r->text.len))
		return bad(r, "the text ends in the middle");
	cgm_next_line(&r->text, &r->line);
	return 0;
}

static int next_number(struct reader *r, uint64_t *ret)
{
	struct cgm_str token;

	if (!cgm_next_field(&r->line, ' ', &token) || cgm_parse_u64(token, ret) < 0)
		return bad(r, "not a number");
	return 0;
}

static int read_head(struct reader *r, const char *what)
{
	struct cgm_str token;
	uint64_t nr;

	if (next_line(r) < 0)
		return -EINVAL;
	if (!cgm_next_field(&r->line, ' ', &token) || !cgm_str_eq(token, what))
		return bad(r, "not the text that was asked for");
	if (!cgm_next_field(&r->line, ' ', &token) || !cgm_str_eq(token, "1"))
		return bad(r, "a version of the text that this program does not know");
	if (next_number(r, &r->time_ns) < 0 || next_number(r, &r->mono_ns) < 0 || next_number(r, &nr) < 0 || r->line.len)
		return bad(r, "a bad head line");
	if (nr > CGM_FEED_MAX_ROWS)
		return bad(r, "too many rows");
	r->nr_rows = (size_t)nr;
	return 0;
}

static int read_end(struct reader *r)
{
	if (next_line(r) < 0)
		return -EINVAL;
	return cgm_str_eq(r->line, "end") && !r->text.len ? 0 : bad(r, "more than the end behind the last row");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The rest of the line, unescaped, with a zero behind it, into to (which has room for as many bytes and one more). */
static int read_text(struct reader *r, char *to, size_t *ret_len)
{
	const char *p = r->line.p, *end = p + r->line.len;
	size_t len = 0;

	if (p == end || r->line.len > MAX_PATH)
		return bad(r, "a name of no or too many characters");
	for (; p < end; p++) {
		int high, low;

		if (*p != '\\') {
			if ((unsigned char)*p < 32 || *p == 127)
				return bad(r, "a control character in a name");
			to[len++] = *p;
			continue;
		}
		high = end - p >= 4 && p[1] == 'x' ? hex_digit(p[2]) : -1;
		low = high < 0 ? -1 : hex_digit(p[3]);
		if (low < 0 || (high == 0 && low == 0))
			return bad(r, "a bad escape in a name");
		to[len++] = (char)(high << 4 | low);
		p += 3;
	}
	to[len] = '\0';
	*ret_len = len;
	return 0;
}

static int read_hist(struct reader *r, struct cgm_str text, struct cgm_hist *ret)
{
	struct cgm_str sum, first, count;
	uint64_t sum_ns, bucket, n;

	if (!cgm_next_field(&text, ':', &sum) || !cgm_next_field(&text, ':', &first) || cgm_parse_u64(sum, &sum_ns) < 0 ||
		cgm_parse_u64(first, &bucket) < 0)
		return bad(r, "a bad histogram");
	ret->sum_ns = sum_ns;
	while (cgm_next_field(&text, ',', &count)) {
		if (bucket >= CGM_HIST_BUCKETS || cgm_parse_u64(count, &n) < 0)
			return bad(r, "a bad bucket of a histogram");
		ret->buckets[bucket++] = n;
	}
	return 0;
}

static uint8_t find_column(struct cgm_str name)
{
	static const char *const names[] = {
#define CGM_FEED_VALUE(id, name, sum) name,
#define CGM_FEED_HIST(id, name, sum) name,
#include "output/feed.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cgm_str_eq(name, names[i]))
			return (uint8_t)i;
	return IGNORED; /* of a newer agent */
}

/* 1: nothing newer. */
static int read_columns(struct reader *r)
{
	struct cgm_str token;

	if (next_line(r) < 0)
		return -EINVAL;
	if (cgm_str_eq(r->line, "same") && !r->text.len)
		return 1;
	if (!cgm_next_field(&r->line, ' ', &token) || !cgm_str_eq(token, "columns"))
		return bad(r, "no line of columns");
	while (cgm_next_field(&r->line, ' ', &token)) {
		uint8_t column = find_column(token);

		if (r->nr_columns == MAX_COLUMNS)
			return bad(r, "too many columns");
		for (size_t i = 0; column != IGNORED && i < r->nr_columns; i++)
			if (r->columns[i] == column)
				return bad(r, "a column that comes twice");
		r->columns[r->nr_columns++] = column;
	}
	return 0;
}

static int read_column(struct reader *r, uint8_t column, struct cgm_feed_row *row)
{
	struct cgm_str token;
	uint64_t v;

	if (!cgm_next_field(&r->line, ' ', &token) || !token.len)
		return bad(r, "too few columns");
	if (column == IGNORED || cgm_str_eq(token, "-"))
		return 0;
	if (column >= CGM_NR_FEED_VALUES) {
		column -= CGM_NR_FEED_VALUES;
		row->have_hist |= 1U << column;
		return read_hist(r, token, &row->hist[column]);
	}
	if (cgm_parse_u64(token, &v) < 0)
		return bad(r, "not a number");
	cgm_feed_set(row, column, v);
	return 0;
}

/* What stands behind a tab is cut off the line; p NULL: there is none. */
static struct cgm_str cut_title(struct reader *r)
{
	const char *tab = memchr(r->line.p, '\t', r->line.len), *end = r->line.p + r->line.len;

	if (!tab)
		return (struct cgm_str){ 0 };
	r->line.len = (size_t)(tab - r->line.p);
	return (struct cgm_str){ tab + 1, (size_t)(end - tab - 1) };
}

/* Names are kept one after the other; a reader of the tree can rely on their order, and on parents that come first. */
static int read_row(struct reader *r, struct cgm_feed *f)
{
	struct cgm_feed_row *row = &f->rows[f->nr_rows];
	char *name = f->names + r->names_len;
	struct cgm_str title;
	uint64_t parent;
	size_t len;

	memset(row, 0, sizeof(*row));
	if (next_line(r) < 0 || next_number(r, &parent) < 0)
		return -EINVAL;
	for (size_t i = 0; i < r->nr_columns; i++)
		if (read_column(r, r->columns[i], row) < 0)
			return -EINVAL;
	title = cut_title(r);
	if (read_text(r, name, &len) < 0)
		return -EINVAL;
	if (f->nr_rows ? strcmp(f->rows[f->nr_rows - 1].name, name) >= 0 : strcmp(name, "/") != 0)
		return bad(r, "names out of order");
	if (parent >= f->nr_rows && parent)
		return bad(r, "a parent behind its child");
	row->parent = (uint32_t)parent;
	row->name = name;
	r->names_len += len + 1;
	if (title.p) {
		row->title = f->names + r->names_len;
		r->line = title;
		if (read_text(r, f->names + r->names_len, &len) < 0)
			return -EINVAL;
		r->names_len += len + 1;
	}
	f->nr_rows++;
	return 0;
}

static int read_feed(struct reader *r, struct cgm_feed *f)
{
	int err = read_head(r, "cgmeter-feed");

	if (err == 0)
		err = read_columns(r);
	if (err)
		return err;
	f->time_ns = r->time_ns;
	f->mono_ns = r->mono_ns;
	f->names = cgm_malloc(r->text.len + 1); /* no name with its title is longer than its line */
	if (!f->names)
		return -ENOMEM;
	while (f->nr_rows < r->nr_rows) {
		if (cgm_grow((void **)&f->rows, &f->cap_rows, f->nr_rows, sizeof(*f->rows)) < 0)
			return -ENOMEM;
		if (read_row(r, f) < 0)
			return -EINVAL;
	}
	return read_end(r);
}

int cgm_feed_read(const char *text, size_t len, struct cgm_feed *ret, const char **ret_fault, size_t *ret_line)
{
	struct reader r = {.text = {text, len}};
	struct cgm_feed f = {0};
	int err = read_feed(&r, &f);

	if (err) {
		cgm_feed_done(&f);
		*ret_fault = err == -EINVAL ? r.fault : NULL;
		*ret_line = r.line_nr;
		return err;
	}
	*ret = f;
	return 0;
}

static int read_titled(struct reader *r, char *title, struct cgm_hists *h)
{
	struct cgm_hist hist = {0};
	struct cgm_str token;
	size_t len, nr = h->nr;
	int err;

	if (next_line(r) < 0)
		return -EINVAL;
	if (!cgm_next_field(&r->line, ' ', &token))
		return bad(r, "an empty line");
	if (read_hist(r, token, &hist) < 0 || read_text(r, title, &len) < 0)
		return -EINVAL;
	err = cgm_hists_add(h, title, &hist);
	if (err == 0 && h->nr == nr)
		return bad(r, "a title that comes twice");
	return err;
}

/* A cgroup has some tens of histograms; each is looked for among those before it. */
#define MAX_HISTS 1024

int cgm_hists_read(const char *text, size_t len, struct cgm_hists *ret, const char **ret_fault, size_t *ret_line)
{
	struct reader r = {.text = {text, len}};
	struct cgm_hists h = {0};
	char title[MAX_PATH + 1];
	int err = read_head(&r, "cgmeter-hists");

	if (err == 0 && r.nr_rows > MAX_HISTS)
		err = bad(&r, "too many histograms");
	h.time_ns = r.time_ns;
	h.mono_ns = r.mono_ns;
	for (size_t i = 0; err == 0 && i < r.nr_rows; i++)
		err = read_titled(&r, title, &h);
	if (err == 0)
		err = read_end(&r);
	if (err < 0) {
		cgm_hists_done(&h);
		*ret_fault = err == -EINVAL ? r.fault : NULL;
		*ret_line = r.line_nr;
		return err;
	}
	*ret = h;
	return 0;
}
