/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent (or whoever answers at its address) may send to `cgmeter top`: a feed, and histograms. Invariants: what is refused names
 * its fault and leaves the result alone; what is taken has its order and its parents, and can be drawn at 80 by 24 without a control
 * character.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "top/draw.h"

#define UNTOUCHED 4711

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_feed(const struct cgm_feed *f)
{
	check(f->nr_rows <= CGM_FEED_MAX_ROWS);
	for (size_t i = 0; i < f->nr_rows; i++) {
		const struct cgm_feed_row *r = &f->rows[i];

		check(i ? strcmp(f->rows[i - 1].name, r->name) < 0 && r->parent < i : strcmp(r->name, "/") == 0 && !r->parent);
		check(!(r->have >> CGM_NR_FEED_VALUES) && !(r->have_hist >> CGM_NR_FEED_HISTS));
	}
}

static int read_feed(const char *text, size_t size, struct cgm_feed *ret)
{
	const char *fault = NULL;
	size_t line = 0;
	int r;

	*ret = (struct cgm_feed){.nr_rows = UNTOUCHED};
	r = cgm_feed_read(text, size, ret, &fault, &line);
	check(r == 0 || ret->nr_rows == UNTOUCHED);
	check(r != -EINVAL || (fault && line));
	return r;
}

static void draw(struct cgm_model *m, struct cgm_detail *d)
{
	static const uint32_t keys[] = {'t', 'G', '>', '\n', 'j', 'a', 27, '/', 'a', '\n'};
	struct cgm_grid grid = {0};
	struct cgm_view v;
	struct cgm_scene scene = {.model = m, .detail = d, .view = &v, .source = ""};

	cgm_view_init(&v);
	check(cgm_grid_resize(&grid, 80, 24) == 0 && cgm_view_build(&v, m) == 0);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		cgm_view_key(&v, m, d->now.nr, keys[i]);
		cgm_draw(&scene, &grid);
		for (size_t k = 0; k < grid.width * grid.height; k++)
			check(!grid.v[k].c || (grid.v[k].c >= 32 && grid.v[k].c != 127));
	}
	cgm_grid_done(&grid);
	cgm_view_done(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *fault = NULL;
	struct cgm_model m = {0};
	struct cgm_detail d = {0};
	struct cgm_hists h = {.nr = UNTOUCHED};
	struct cgm_feed f;
	size_t line = 0;
	int r;

	for (unsigned i = 0; i < 2 && read_feed(text, size, &f) == 0; i++) {
		check_feed(&f);
		f.mono_ns += i;
		check(cgm_model_push(&m, &f) == 0);
	}
	r = cgm_hists_read(text, size, &h, &fault, &line);
	check(r >= 0 || h.nr == UNTOUCHED);
	check(r != -EINVAL || (fault && line));
	if (r == 0)
		cgm_detail_push(&d, &h);
	if (m.nr_rows || d.now.nr)
		draw(&m, &d);
	cgm_detail_done(&d);
	cgm_model_done(&m);
	return 0;
}
