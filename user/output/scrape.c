// SPDX-License-Identifier: Apache-2.0
#include "output/scrape.h"

#include <errno.h>

#include "base/mem.h"
#include "output/gzip.h"

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
	}
	return b;
}

void cgm_scrape_init(struct cgm_scrape *c)
{
	*c = (struct cgm_scrape){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++)
		pthread_mutex_init(&c->formats[i].lock, NULL);
}

void cgm_scrape_done(struct cgm_scrape *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++) {
		cgm_body_unref(c->formats[i].plain);
		cgm_body_unref(c->formats[i].gzip);
		pthread_mutex_destroy(&c->formats[i].lock);
	}
}

static void drop_older(struct cgm_body **b, uint64_t seq)
{
	if (!*b || (*b)->seq >= seq)
		return;
	cgm_body_unref(*b);
	*b = NULL;
}

void cgm_scrape_trim(struct cgm_scrape *c, uint64_t seq)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->formats); i++) {
		if (pthread_mutex_trylock(&c->formats[i].lock) != 0)
			continue;
		drop_older(&c->formats[i].plain, seq);
		drop_older(&c->formats[i].gzip, seq);
		pthread_mutex_unlock(&c->formats[i].lock);
	}
}

static struct cgm_body *render_plain(const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format)
{
	_cleanup_(cgm_body_freep) struct cgm_body *b = body_new(s->seq);

	if (!b || cgm_prometheus_render(s, machine, format, &b->text) < 0)
		return NULL;
	return TAKE_PTR(b);
}

static struct cgm_body *compress(const struct cgm_body *plain)
{
	_cleanup_(cgm_body_freep) struct cgm_body *b = body_new(plain->seq);

	if (!b || cgm_gzip_buf(&plain->text, &b->text) < 0)
		return NULL;
	return TAKE_PTR(b);
}

int cgm_scrape_get(struct cgm_scrape *c, const struct cgm_snapshot *s, const struct cgm_machine *machine, enum cgm_prometheus_format format,
		   bool gzip, struct cgm_body **ret)
{
	_cleanup_(cgm_body_freep) struct cgm_body *plain = NULL, *made = NULL;
	struct cgm_body **kept = gzip ? &c->formats[format].gzip : &c->formats[format].plain;
	struct cgm_body **other = &c->formats[format].plain;

	pthread_mutex_lock(&c->formats[format].lock);
	drop_older(&c->formats[format].plain, s->seq);
	drop_older(&c->formats[format].gzip, s->seq);
	if (!*kept) {
		/* The plain text of a compressed body is not kept: it is ten times as large, and scrapers ask for the same each time. */
		plain = *other ? body_ref(*other) : render_plain(s, machine, format);
		if (plain)
			made = gzip ? compress(plain) : TAKE_PTR(plain);
		*kept = TAKE_PTR(made);
	}
	if (*kept)
		made = body_ref(*kept);
	pthread_mutex_unlock(&c->formats[format].lock);
	if (!made)
		return -ENOMEM;
	*ret = TAKE_PTR(made);
	return 0;
}
