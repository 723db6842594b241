// SPDX-License-Identifier: Apache-2.0
/* One cgroup: its numbers, a line for each of its histograms, and the chosen one as bars. */
#include "top/draw.h"

#include <math.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "kernel/kernel.h"

/* A bar for each doubling: bar 0 is bucket 0, the last one what lies above all bounds. */
#define BARS ((CGM_HIST_BUCKETS + 2) / 4 + 1)
#define NUMBER_WIDTH 6
#define NR_NUMBERS 5
#define LABEL_WIDTH 7

static const struct cgm_top_row *find_row(const struct cgm_scene *s)
{
	size_t low = 0, high = s->model->nr_rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(s->model->rows[middle].name, s->view->detail);

		if (order == 0)
			return &s->model->rows[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The table's numbers, in as many lines as they need. Returns the line behind. */
static size_t draw_numbers(const struct cgm_scene *s, struct cgm_grid *c, size_t y)
{
	const struct cgm_top_row *row = find_row(s);
	char text[CGM_CELL_TEXT];
	size_t x = 0;

	if (!row) {
		cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_WARN, "this cgroup is gone");
		return y + 1;
	}
	for (unsigned i = 0; i < CGM_COL_NAME; i++) {
		const struct cgm_column_info *info = &cgm_columns[i];
		size_t width = strlen(info->title) + 1 + strlen(cgm_column_format(info->kind, row->v[i], text)) + 2;

		if (x && x + width > c->width) {
			x = 0;
			y++;
		}
		cgm_grid_printf(c, x, y, CGM_STYLE_DIM, "%s", info->title);
		cgm_grid_text(c, x + strlen(info->title) + 1, y, SIZE_MAX, CGM_STYLE_PLAIN, text);
		x += width;
	}
	return y + 1;
}

static void bars_of(const struct cgm_hist *h, uint64_t bars[BARS])
{
	memset(bars, 0, BARS * sizeof(*bars));
	for (unsigned i = 0; i < CGM_HIST_BUCKETS; i++)
		bars[(i + 3) / 4] += h->buckets[i];
}

static uint64_t highest(const uint64_t *v, size_t nr)
{
	uint64_t max = 0;

	for (size_t i = 0; i < nr; i++)
		max = MAX(max, v[i]);
	return max;
}

/* In eighths of so many lines; something is never nothing. */
static unsigned height_of(uint64_t v, uint64_t max, size_t lines)
{
	if (!v)
		return 0;
	return MAX(1U, (unsigned)((unsigned __int128)v * 8 * lines / max));
}

/* How often a second, p50, p90, p99, mean. */
static void draw_hist_numbers(
	const struct cgm_scene *s, const struct cgm_hist *h, enum cgm_style style, struct cgm_grid *c, size_t x, size_t y)
{
	uint64_t count = cgm_hist_count(h);
	double seconds = (double)s->detail->interval_ns / (double)CGM_NSEC_PER_SEC;
	double v[NR_NUMBERS] = {s->view->total ? (double)count : (double)count / seconds, cgm_hist_quantile_ns(h, 500),
		cgm_hist_quantile_ns(h, 900), cgm_hist_quantile_ns(h, 990), count ? (double)h->sum_ns / (double)count : NAN};
	char text[CGM_CELL_TEXT];

	for (size_t i = 0; i < NR_NUMBERS; i++)
		cgm_grid_right(
			c, x + i * NUMBER_WIDTH, y, NUMBER_WIDTH, style, cgm_column_format(i ? CGM_KIND_TIME : CGM_KIND_RATE, v[i], text));
}

static void draw_hist_line(const struct cgm_scene *s, size_t index, struct cgm_grid *c, size_t y)
{
	bool selected = index == s->view->hist, known;
	enum cgm_style style = selected ? CGM_STYLE_SELECTED : CGM_STYLE_PLAIN;
	size_t tail = NR_NUMBERS * NUMBER_WIDTH + 1 + BARS, width = c->width > tail ? c->width - tail : 10;
	uint64_t bars[BARS];
	struct cgm_hist h;

	cgm_grid_style(c, 0, y, c->width, style);
	cgm_grid_text(c, 0, y, width, style, s->detail->now.v[index].title);
	known = cgm_detail_get(s->detail, index, s->view->total, &h);
	if (!known) {
		cgm_grid_right(c, width, y, NUMBER_WIDTH, style, "-");
		return;
	}
	draw_hist_numbers(s, &h, style, c, width, y);
	bars_of(&h, bars);
	for (size_t i = 0; i < BARS; i++)
		cgm_grid_put(c, c->width - BARS + i, y, selected ? style : CGM_STYLE_BAR,
			cgm_grid_eighths(c, height_of(bars[i], MAX(highest(bars, BARS), 1ULL), 1)));
}

static void draw_hist_titles(const struct cgm_scene *s, struct cgm_grid *c, size_t y)
{
	static const char *const titles[NR_NUMBERS] = {"RATE", "P50", "P90", "P99", "MEAN"};
	size_t tail = NR_NUMBERS * NUMBER_WIDTH + 1 + BARS, width = c->width > tail ? c->width - tail : 10;

	cgm_grid_style(c, 0, y, c->width, CGM_STYLE_HEAD);
	cgm_grid_text(c, 0, y, width, CGM_STYLE_HEAD, s->view->total ? "OF ALL TIME" : "OF THE INTERVAL");
	for (size_t i = 0; i < NR_NUMBERS; i++)
		cgm_grid_right(c, width + i * NUMBER_WIDTH, y, NUMBER_WIDTH, CGM_STYLE_HEAD, i || !s->view->total ? titles[i] : "COUNT");
	cgm_grid_text(c, c->width - BARS, y, SIZE_MAX, CGM_STYLE_HEAD, "1us       1ms       1s   64s");
}

/* ---- the chosen one, large ---- */

/* Bounds of doublings below the bars: where a label begins, it says what its bar goes up to. */
static void draw_axis(struct cgm_grid *c, size_t y, size_t bar_width)
{
	static const struct {
		unsigned bar;
		const char *text;
	} labels[] = {{0, "1us"}, {5, "31us"}, {10, "1ms"}, {15, "31ms"}, {20, "1s"}, {25, "32s"}};

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
		cgm_grid_text(c, LABEL_WIDTH + labels[i].bar * bar_width, y, SIZE_MAX, CGM_STYLE_DIM, labels[i].text);
}

static void draw_bars(const uint64_t *v, size_t nr, size_t bar_width, struct cgm_grid *c, size_t y, size_t lines)
{
	uint64_t max = highest(v, nr);
	char text[CGM_CELL_TEXT];

	cgm_grid_right(c, 0, y, LABEL_WIDTH - 1, CGM_STYLE_DIM, cgm_column_format(CGM_KIND_RATE, (double)max, text));
	cgm_grid_right(c, 0, y + lines - 1, LABEL_WIDTH - 1, CGM_STYLE_DIM, "0");
	for (size_t i = 0; i < nr && max; i++) {
		unsigned height = height_of(v[i], max, lines);

		for (size_t line = 0; line < lines; line++) {
			unsigned below = 8 * (unsigned)(lines - 1 - line);

			for (size_t k = 0; k < bar_width && height > below; k++)
				cgm_grid_put(c, LABEL_WIDTH + i * bar_width + k, y + line, CGM_STYLE_BAR,
					cgm_grid_eighths(c, MIN(height - below, 8U)));
		}
	}
}

static void draw_chart(const struct cgm_scene *s, struct cgm_grid *c, size_t y, size_t height)
{
	size_t index = s->view->hist, room = c->width - LABEL_WIDTH, x;
	uint64_t bars[BARS], buckets[CGM_HIST_BUCKETS];
	struct cgm_hist h;
	char text[32];

	if (!cgm_detail_get(s->detail, index, s->view->total, &h)) {
		cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_DIM, "waiting for a second reading");
		return;
	}
	x = cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_BOLD, s->detail->now.v[index].title);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)cgm_hist_count(&h));
	cgm_grid_printf(c, x + 2, y, CGM_STYLE_PLAIN, "%s in %s", text, s->view->total ? "all" : "the interval");
	/* All buckets when there is room, else a bar for each doubling. */
	if (room >= CGM_HIST_BUCKETS + 8) {
		for (size_t i = 0; i < CGM_HIST_BUCKETS; i++)
			buckets[i] = h.buckets[i];
		draw_bars(buckets, CGM_HIST_BUCKETS, 1, c, y + 1, height - 2);
		draw_axis(c, y + height - 1, 4);
		return;
	}
	bars_of(&h, bars);
	draw_bars(bars, BARS, room >= 2 * BARS ? 2 : 1, c, y + 1, height - 2);
	draw_axis(c, y + height - 1, room >= 2 * BARS ? 2 : 1);
}

void cgm_draw_detail(const struct cgm_scene *s, struct cgm_grid *c, size_t first, size_t height)
{
	struct cgm_view *v = s->view;
	size_t nr = s->detail->now.nr, end = first + height, y, chart;

	cgm_grid_style(c, 0, first, c->width, CGM_STYLE_HEAD);
	cgm_grid_text_tail(c, 0, first, SIZE_MAX, CGM_STYLE_HEAD, v->detail);
	y = draw_numbers(s, c, first + 1);
	if (!nr) {
		cgm_grid_text(c, 0, y + 1, SIZE_MAX, CGM_STYLE_DIM,
			s->detail->now.mono_ns ? "no histograms: nothing counts in the kernel" : "waiting for the histograms");
		return;
	}
	v->hist = MIN(v->hist, nr - 1);
	/* A third for the bars, if that is enough to be read. */
	chart = MAX((end - y) * 2 / 5, 6UL);
	if (y + 4 + chart > end)
		chart = 0;
	draw_hist_titles(s, c, y++);
	v->page = MAX(end - chart - y, 1UL);
	cgm_draw_scroll(v->hist, nr, v->page, &v->hist_top);
	for (size_t i = 0; i < v->page && v->hist_top + i < nr && y + i < end; i++)
		draw_hist_line(s, v->hist_top + i, c, y + i);
	if (chart)
		draw_chart(s, c, end - chart, chart);
}
