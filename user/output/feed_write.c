// SPDX-License-Identifier: Apache-2.0
#include "output/feed.h"

#include <errno.h>

#include "base/mem.h"
#include "kernel/kernel.h"

#define ROWS_A_PIECE 64

/* A path or title: what would end the line, or be taken for an escape, as \xNN. */
static void put_text(struct cgm_buf *b, const char *s)
{
	static const char hex[] = "0123456789abcdef";

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 32 && c != 127 && c != '\\')
			cgm_buf_char(b, (char)c);
		else
			cgm_buf_put(b, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
	}
}

static void put_hist(struct cgm_buf *b, const struct cgm_hist *h)
{
	unsigned first = 0, end = CGM_HIST_BUCKETS;

	while (first < end && !h->buckets[first])
		first++;
	while (end > first && !h->buckets[end - 1])
		end--;
	cgm_buf_u64(b, h->sum_ns);
	cgm_buf_char(b, ':');
	cgm_buf_u64(b, first < end ? first : 0);
	cgm_buf_char(b, ':');
	for (unsigned i = first; i < end; i++) {
		if (i > first)
			cgm_buf_char(b, ',');
		cgm_buf_u64(b, h->buckets[i]);
	}
}

static void put_head(struct cgm_buf *b, const char *what, const struct cgm_snapshot *s, size_t nr)
{
	cgm_buf_str(b, what);
	cgm_buf_lit(b, " 1 ");
	cgm_buf_u64(b, s->time_ns);
	cgm_buf_char(b, ' ');
	cgm_buf_u64(b, s->mono_ns);
	cgm_buf_char(b, ' ');
	cgm_buf_u64(b, nr);
	cgm_buf_char(b, '\n');
}

/* ---- the feed ---- */

struct feed {
	struct cgm_stream stream;
	struct cgm_buf title; /* scratch */
	struct cgm_snapshot *snapshot;
	size_t row; /* next one */
	bool began, same;
	uint32_t tasks[]; /* by row: by their states, descendants included */
};

static const enum cgm_value states[] = {CGM_V_TASKS_SLEEPING, CGM_V_TASKS_RUNNING, CGM_V_TASKS_STOPPED, CGM_V_TASKS_UNINTERRUPTIBLE};

/* The number of tasks of a cgroup that has no pids controller: of its own tasks' states, and its descendants'. */
static void count_tasks(struct feed *f)
{
	const struct cgm_snapshot *s = f->snapshot;

	for (size_t i = s->nr_rows; i-- > 0;) {
		const struct cgm_row *r = &s->rows[i];

		for (size_t k = 0; k < ARRAY_SIZE(states); k++)
			f->tasks[i] += cgm_layout_has(r->layout, states[k]) ? (uint32_t)r->values[states[k]] : 0;
		if (i && r->parent < i)
			f->tasks[r->parent] += f->tasks[i];
	}
}

static bool counts(const struct cgm_snapshot *s, enum cgm_group g)
{
	return !((s->self.groups_off | s->self.groups_idle | s->self.groups_paused) >> g & 1);
}

static void spread(const struct cgm_live_hist *from, struct cgm_hist *to)
{
	for (unsigned i = 0; i < from->nr; i++)
		to->buckets[from->first + i] += from->buckets[i];
	to->sum_ns += from->sum_ns;
}

/* Where nobody counts requests, the bytes are those of the cgroup's files. */
static void set_block(struct cgm_feed_row *to, const struct cgm_row *r, bool counted)
{
	bool known = counted;

	for (size_t i = 0; counted && i < r->live->nr_blocks; i++) {
		cgm_feed_add_block(to, r->live->blocks[i].op, r->live->blocks[i].bytes);
		if (cgm_feed_wants_latency(r->live->blocks[i].op))
			spread(&r->live->blocks[i].queue_to_done, &to->hist[CGM_FEED_BLOCK_LATENCY]);
	}
	for (uint32_t i = 0; !counted && !r->live && i < r->layout->nr_blocks; i++) {
		const struct cgm_layout_block *b = &r->layout->blocks[i];

		if (b->kind != CGM_LAYOUT_DISK)
			continue;
		cgm_feed_add_block(to, CGM_BLOCK_READ, r->values[b->first + CGM_DISK_BYTES_READ]);
		cgm_feed_add_block(to, CGM_BLOCK_WRITE, r->values[b->first + CGM_DISK_BYTES_WRITE]);
		known = true;
	}
	to->have |= known ? 1U << CGM_FEED_BLOCK_READ | 1U << CGM_FEED_BLOCK_WRITE : 0;
	to->have_hist |= counted ? 1U << CGM_FEED_BLOCK_LATENCY : 0;
}

static void make_row(const struct feed *f, size_t row, struct cgm_feed_row *to)
{
	const struct cgm_snapshot *s = f->snapshot;
	const struct cgm_row *r = &s->rows[row];

	*to = (struct cgm_feed_row){.name = r->identity->name, .parent = r->parent};
	cgm_feed_set_sample(to, r->values, r->layout->have, &r->spec);
	if (!cgm_feed_has(to, CGM_FEED_TASKS) && cgm_layout_has(r->layout, CGM_V_TASKS_RUNNING))
		cgm_feed_set(to, CGM_FEED_TASKS, f->tasks[row]);
	set_block(to, r, r->live && counts(s, CGM_G_BLOCK));
	if (r->live && counts(s, CGM_G_NET))
		cgm_feed_set_net(to, &r->live->net);
	if (r->live && counts(s, CGM_G_SCHED)) {
		spread(&r->live->sched.runq_delay, &to->hist[CGM_FEED_RUNQ_DELAY]);
		to->have_hist |= 1U << CGM_FEED_RUNQ_DELAY;
	}
}

/* In memory of f's, until the next call. */
static const char *title_of(struct feed *f, const struct cgm_identity *i)
{
	f->title.len = 0;
	cgm_identity_title(i, &f->title);
	if (!f->title.len)
		return NULL;
	cgm_buf_char(&f->title, '\0');
	return f->title.failed ? NULL : f->title.p;
}

static void put_row(struct cgm_buf *b, const struct cgm_feed_row *r)
{
	cgm_buf_u64(b, r->parent);
	cgm_buf_char(b, ' ');
	for (unsigned i = 0; i < CGM_NR_FEED_VALUES; i++) {
		if (r->have >> i & 1)
			cgm_buf_u64(b, r->v[i]);
		else
			cgm_buf_char(b, '-');
		cgm_buf_char(b, ' ');
	}
	for (unsigned i = 0; i < CGM_NR_FEED_HISTS; i++) {
		if (r->have_hist >> i & 1)
			put_hist(b, &r->hist[i]);
		else
			cgm_buf_char(b, '-');
		cgm_buf_char(b, ' ');
	}
	put_text(b, r->name);
	if (r->title) {
		cgm_buf_char(b, '\t');
		put_text(b, r->title);
	}
	cgm_buf_char(b, '\n');
}

static const char columns[] = "columns"
#define CGM_FEED_VALUE(id, name, sum) " " name
#define CGM_FEED_HIST(id, name, sum) " " name
#include "output/feed.def"
			      "\n";

static int feed_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct feed *f = (struct feed *)stream;
	const struct cgm_snapshot *s = f->snapshot;
	struct cgm_feed_row row;

	if (!f->began) {
		f->began = true;
		put_head(out, "cgmeter-feed", s, f->same ? 0 : s->nr_rows);
		if (f->same) {
			cgm_buf_lit(out, "same\n");
			return out->failed ? -ENOMEM : 0;
		}
		cgm_buf_str(out, columns);
	}
	for (size_t i = 0; i < ROWS_A_PIECE && f->row < s->nr_rows; i++, f->row++) {
		make_row(f, f->row, &row);
		row.title = title_of(f, s->rows[f->row].identity);
		put_row(out, &row);
		out->failed |= f->title.failed;
	}
	if (f->row < s->nr_rows)
		return out->failed ? -ENOMEM : 1;
	cgm_buf_lit(out, "end\n");
	return out->failed ? -ENOMEM : 0;
}

static void feed_free(struct cgm_stream *stream)
{
	struct feed *f = (struct feed *)stream;

	cgm_snapshot_unref(f->snapshot);
	cgm_buf_done(&f->title);
	free(f);
}

struct cgm_stream *cgm_feed_write(struct cgm_snapshot *s, uint64_t seen_mono_ns)
{
	struct feed *f = cgm_calloc(1, sizeof(*f) + s->nr_rows * sizeof(f->tasks[0]));

	if (!f)
		return NULL;
	f->stream = (struct cgm_stream){.next = feed_next, .free = feed_free, .type = "text/plain; charset=utf-8"};
	f->snapshot = cgm_snapshot_ref(s);
	f->same = seen_mono_ns && seen_mono_ns == s->mono_ns;
	if (!f->same)
		count_tasks(f);
	return &f->stream;
}

/* ---- histograms of one cgroup ---- */

struct hists {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	const struct cgm_row *row;
};

static void put_titled(struct cgm_buf *b, const struct cgm_live_hist *h, const char *title)
{
	struct cgm_hist whole = {0};

	spread(h, &whole);
	put_hist(b, &whole);
	cgm_buf_char(b, ' ');
	put_text(b, title);
	cgm_buf_char(b, '\n');
}

static size_t nr_hists(const struct cgm_snapshot *s, const struct cgm_live *live)
{
	size_t nr = live ? live->nr_waits : 0;

	if (live && counts(s, CGM_G_SCHED))
		nr += CGM_NR_SCHED_HISTS;
	for (size_t i = 0; live && i < live->nr_blocks; i++)
		nr += cgm_block_used(&live->blocks[i]) ? 2 : 0;
	return nr;
}

static void put_sched(struct cgm_buf *out, const struct cgm_live_sched *s)
{
	char title[CGM_HIST_TITLE];

	put_titled(out, &s->runq_delay, cgm_hist_title_sched(CGM_RUNQ_DELAY, title));
	put_titled(out, &s->on_cpu, cgm_hist_title_sched(CGM_ON_CPU, title));
	for (unsigned i = 0; i < CGM_NR_OFF_CPU; i++)
		put_titled(out, &s->off_cpu[i], cgm_hist_title_sched(CGM_OFF_CPU + i, title));
}

/* Some tens of lines: one piece. */
static int hists_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	const struct hists *h = (const struct hists *)stream;
	const struct cgm_live *live = h->row->live;
	char title[CGM_HIST_TITLE];

	put_head(out, "cgmeter-hists", h->snapshot, nr_hists(h->snapshot, live));
	if (live && counts(h->snapshot, CGM_G_SCHED))
		put_sched(out, &live->sched);
	for (size_t i = 0; live && i < live->nr_blocks; i++) {
		const struct cgm_live_block *b = &live->blocks[i];

		if (!cgm_block_used(b))
			continue;
		put_titled(out, &b->queue_to_done, cgm_hist_title_block(false, b->name, b->op, title));
		put_titled(out, &b->issue_to_done, cgm_hist_title_block(true, b->name, b->op, title));
	}
	for (size_t i = 0; live && i < live->nr_waits; i++)
		put_titled(out, &live->waits[i].hist, cgm_hist_title_wait(live->waits[i].wait, title));
	cgm_buf_lit(out, "end\n");
	return out->failed ? -ENOMEM : 0;
}

static void hists_free(struct cgm_stream *stream)
{
	cgm_snapshot_unref(((struct hists *)stream)->snapshot);
	free(stream);
}

struct cgm_stream *cgm_hists_write(struct cgm_snapshot *s, size_t row)
{
	struct hists *h = cgm_calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->stream = (struct cgm_stream){.next = hists_next, .free = hists_free, .type = "text/plain; charset=utf-8"};
	h->snapshot = cgm_snapshot_ref(s);
	h->row = &s->rows[row];
	return &h->stream;
}
