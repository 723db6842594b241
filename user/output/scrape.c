// SPDX-License-Identifier: Apache-2.0
#include "output/scrape.h"

#include <errno.h>

#include "base/mem.h"

DEFINE_CLEANUP(cgm_prometheus, cgm_prometheus_free)

#define PIECE_BYTES (128 << 10) /* stays in the second-level cache with what the compressor keeps */

void cgm_body_unref(struct cgm_body *b)
{
	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	cgm_buf_done(&b->text);
	free(b);
}

static struct cgm_body *body_ref(struct cgm_body *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

static struct cgm_body *body_new(uint64_t seq)
{
	struct cgm_body *b = cgm_calloc(1, sizeof(*b));

	if (b) {
		b->refs = 1;
		b->seq = seq;
		b->made_ns = cgm_clock_mono_ns();
	}
	return b;
}

void cgm_scrape_init(struct cgm_scrape *c)
{
	*c = (struct cgm_scrape){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++)
		pthread_mutex_init(&c->formats[i].lock, NULL);
}

static void drop_tools(struct cgm_scrape_format *f)
{
	cgm_buf_done(&f->piece);
	cgm_gzip_free(f->compressor);
	f->compressor = NULL;
}

void cgm_scrape_done(struct cgm_scrape *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++) {
		struct cgm_scrape_format *f = &c->formats[i];

		cgm_body_unref(f->plain);
		cgm_body_unref(f->gzip);
		drop_tools(f);
		pthread_mutex_destroy(&f->lock);
	}
}

/* True when it was dropped, or was not there. */
static bool drop_old(struct cgm_body **b, uint64_t now_ns)
{
	if (*b && (*b)->made_ns + CGM_SCRAPE_KEEP_NS > now_ns)
		return false;
	cgm_body_unref(*b);
	*b = NULL;
	return true;
}

void cgm_scrape_trim(struct cgm_scrape *c, uint64_t now_ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++) {
		struct cgm_scrape_format *f = &c->formats[i];

		if (pthread_mutex_trylock(&f->lock) != 0)
			continue;
		(void)drop_old(&f->plain, now_ns);
		if (drop_old(&f->gzip, now_ns))
			drop_tools(f);
		pthread_mutex_unlock(&f->lock);
	}
}

/* An empty body, in the memory of the old one when nobody else has it. Takes the old one over. NULL: out of memory. */
static struct cgm_body *body_after(struct cgm_body *old, uint64_t seq)
{
	_cleanup_(cgm_body_freep) struct cgm_body *before = old;
	struct cgm_body *b = body_new(seq);

	if (!b || !before || __atomic_load_n(&before->refs, __ATOMIC_ACQUIRE) != 1)
		return b;
	b->text = before->text;
	b->text.len = 0;
	before->text = (struct cgm_buf){ 0 };
	return b;
}

static int compress_piece(struct cgm_gzip *g, const struct cgm_buf *piece, bool last, struct cgm_buf *out)
{
	const char *from = piece->p;
	size_t left = piece->len;
	int r = 0;

	while (r == 0 && (left || last)) {
		size_t room = MAX(out->cap - out->len, (size_t)PIECE_BYTES / 4);
		char *to;

		if (!cgm_buf_reserve(out, room))
			return -ENOMEM;
		to = out->p + out->len;
		room = out->cap - out->len;
		r = cgm_gzip_run(g, &from, &left, &to, &room, last);
		out->len = (size_t)(to - out->p);
	}
	return r < 0 ? r : 0;
}

/* The page piece by piece through the compressor: a piece is still in the processor's cache when it is read again. */
static int render_gzip(struct cgm_scrape_format *f, const struct cgm_snapshot *s, const struct cgm_machine *machine,
		       enum cgm_prometheus_format format, struct cgm_buf *out)
{
	_cleanup_(cgm_prometheus_freep) struct cgm_prometheus *p = cgm_prometheus_new(s, machine, format);
	int more = 1, r = 0;

	if (!f->compressor)
		f->compressor = cgm_gzip_new();
	if (!p || !f->compressor)
		return -ENOMEM;
	cgm_gzip_reset(f->compressor);
	while (r == 0 && more > 0) {
		f->piece.len = 0;
		more = cgm_prometheus_next(p, PIECE_BYTES, &f->piece);
		r = more < 0 ? more : compress_piece(f->compressor, &f->piece, more == 0, out);
	}
	if (f->piece.failed)
		f->piece = (struct cgm_buf){ 0 };
	return r;
}

static int make(struct cgm_scrape_format *f, const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
		bool gzip, struct cgm_buf *out)
{
	if (!gzip)
		return cgm_prometheus_render(s, machine, format, out);
	if (f->plain && f->plain->seq == s->seq)
		return cgm_gzip_buf(&f->plain->text, out);
	return render_gzip(f, s, machine, format, out);
}

int cgm_scrape_get(struct cgm_scrape *c, const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
		   bool gzip, struct cgm_body **ret)
{
	struct cgm_scrape_format *f = &c->formats[format];
	struct cgm_body **kept = gzip ? &f->gzip : &f->plain;
	_cleanup_(cgm_body_freep) struct cgm_body *made = NULL;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	if (!*kept || (*kept)->seq < s->seq) {
		made = body_after(TAKE_PTR(*kept), s->seq);
		r = made ? make(f, s, machine, format, gzip, &made->text) : -ENOMEM;
		if (r == 0)
			*kept = TAKE_PTR(made);
	}
	if (r == 0)
		made = body_ref(*kept);
	pthread_mutex_unlock(&f->lock);
	if (r < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(made);
	return 0;
}
