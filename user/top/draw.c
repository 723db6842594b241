// SPDX-License-Identifier: Apache-2.0
#include "top/draw.h"

#include <math.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define MIN_WIDTH 40
#define MIN_HEIGHT 8
#define INDENT 2

const char *cgm_duration_text(uint64_t ns, char buf[CGM_DURATION_TEXT])
{
	double ms = round((double)ns / (double)CGM_NSEC_PER_MSEC);

	snprintf(buf, CGM_DURATION_TEXT, ms < 1000 ? "%gms" : "%gs", ms < 1000 ? ms : ms / 1000);
	return buf;
}

void cgm_draw_scroll(size_t at, size_t nr, size_t page, size_t *top)
{
	page = MAX(page, 1UL);
	if (*top > at)
		*top = at;
	if (at >= *top + page)
		*top = at - page + 1;
	if (*top + page > nr)
		*top = nr > page ? nr - page : 0;
}

/* ---- frame ---- */

static const char *clock_text(uint64_t time_ns, char *buf, size_t size)
{
	time_t t = (time_t)(time_ns / CGM_NSEC_PER_SEC);
	struct tm tm;

	if (!time_ns || !localtime_r(&t, &tm) || !strftime(buf, size, "%H:%M:%S", &tm))
		snprintf(buf, size, "--:--:--");
	return buf;
}

static void draw_title(const struct cgm_scene *s, struct cgm_grid *c)
{
	const struct cgm_view *v = s->view;
	char now[16], interval[CGM_DURATION_TEXT];
	size_t x = cgm_grid_text(c, 0, 0, SIZE_MAX, CGM_STYLE_BOLD, "cgmeter top");

	/* First: on a narrow line the end is lost. */
	if (v->paused)
		x += cgm_grid_text(c, x + 2, 0, SIZE_MAX, CGM_STYLE_WARN, "PAUSED") + 2;
	x += cgm_grid_printf(c, x, 0, CGM_STYLE_PLAIN, "  %s  every %s  ", clock_text(s->model->time_ns, now, sizeof(now)),
		cgm_duration_text(v->interval_ns, interval));
	if (*v->filter)
		x += cgm_grid_printf(c, x, 0, CGM_STYLE_PLAIN, "%zu of ", v->nr_lines);
	x += cgm_grid_printf(c, x, 0, CGM_STYLE_PLAIN, "%zu cgroups  %s  by %s%s", s->model->nr_rows, v->tree ? "tree" : "flat",
		cgm_columns[v->sort].title, v->reverse ? ", reversed" : "");
	if (*v->filter)
		cgm_grid_printf(c, x + 2, 0, CGM_STYLE_BOLD, "/%s", v->filter);
}

static void draw_source(const struct cgm_scene *s, struct cgm_grid *c)
{
	const struct cgm_view *v = s->view;
	uint64_t late_ns = MAX(3 * v->interval_ns, 3 * CGM_NSEC_PER_SEC);
	size_t x = 0;

	if (s->trouble && *s->trouble) {
		cgm_grid_text(c, 0, 1, SIZE_MAX, CGM_STYLE_BAD, s->trouble);
		return;
	}
	if (s->age_ns > late_ns && !v->paused)
		x = cgm_grid_printf(c, 0, 1, CGM_STYLE_WARN, "no new numbers for %.0f s: ", (double)s->age_ns / (double)CGM_NSEC_PER_SEC);
	cgm_grid_text(c, x, 1, SIZE_MAX, CGM_STYLE_DIM, s->source);
}

static void draw_prompt(const struct cgm_view *v, struct cgm_grid *c, size_t y)
{
	size_t x =
		cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_BOLD, v->prompt == CGM_PROMPT_FILTER ? "show what contains: " : "interval: ");
	size_t room = c->width > x + 1 ? c->width - x - 1 : 1;

	x += cgm_grid_text_tail(c, x, y, room, CGM_STYLE_PLAIN, v->input);
	cgm_grid_put(c, x, y, CGM_STYLE_SELECTED, ' ');
}

static void draw_foot(const struct cgm_view *v, struct cgm_grid *c)
{
	static const char *const hints[] = {
		[CGM_VIEW_LIST] = "q quit  ? help  / filter  < > sort  r reverse  t tree/flat  Space fold  Enter detail",
		[CGM_VIEW_DETAIL] = "q quit  ? help  Esc back  Up/Down histogram  a interval/all  p pause",
		[CGM_VIEW_HELP] = "q quit  Up/Down scroll  any other key back",
	};
	size_t y = c->height - 1;

	if (v->prompt)
		draw_prompt(v, c, y);
	else if (*v->message)
		cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_WARN, v->message);
	else
		cgm_grid_text(c, 0, y, SIZE_MAX, CGM_STYLE_DIM, hints[v->mode]);
}

/* ---- list ---- */

static enum cgm_style style_of(const struct cgm_column_info *info, double v)
{
	if (isnan(v))
		return CGM_STYLE_DIM;
	if (info->bad > 0 && v >= info->bad)
		return CGM_STYLE_BAD;
	return info->warn > 0 && v >= info->warn ? CGM_STYLE_WARN : CGM_STYLE_PLAIN;
}

static void draw_titles(const struct cgm_view *v, const bool *show, struct cgm_grid *c, size_t y)
{
	size_t x = 0;

	cgm_grid_style(c, 0, y, c->width, CGM_STYLE_HEAD);
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		enum cgm_style style = i == v->sort ? CGM_STYLE_SORTED : CGM_STYLE_HEAD;

		if (!show[i])
			continue;
		if (i == CGM_COL_NAME)
			cgm_grid_text(c, x, y, SIZE_MAX, style, cgm_columns[i].title);
		else
			cgm_grid_right(c, x, y, cgm_columns[i].width, style, cgm_columns[i].title);
		x += cgm_columns[i].width + 1;
	}
}

static void draw_name(const struct cgm_view *v, const struct cgm_line *line, const struct cgm_top_row *row, enum cgm_style style, struct cgm_grid *c,
	size_t x, size_t y)
{
	const char *name = row->title ? row->title : row->name;

	/* Of a deep tree the ends are what tells one from the other. */
	size_t room = c->width > x ? c->width - x : 0, indent = MIN(line->depth * (size_t)INDENT, room / 2);

	if (!v->tree) {
		cgm_grid_text_tail(c, x, y, room, style, name);
		return;
	}
	cgm_grid_put(c, x + indent, y, style, line->folded ? '+' : line->has_children ? '-' : ' ');
	cgm_grid_text(c, x + indent + 2, y, SIZE_MAX, style, row->title ? row->title : cgm_last_part(name));
}

static void draw_line(
	const struct cgm_scene *s, const struct cgm_line *line, const bool *show, bool selected, struct cgm_grid *c, size_t y)
{
	const struct cgm_top_row *row = &s->model->rows[line->row];
	enum cgm_style rest = selected ? CGM_STYLE_SELECTED : line->context ? CGM_STYLE_DIM : CGM_STYLE_PLAIN;
	char text[CGM_CELL_TEXT];
	size_t x = 0;

	cgm_grid_style(c, 0, y, c->width, rest);
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		const struct cgm_column_info *info = &cgm_columns[i];
		enum cgm_style style = rest == CGM_STYLE_PLAIN ? style_of(info, row->v[i]) : rest;

		if (!show[i] || i == CGM_COL_NAME)
			continue;
		cgm_grid_right(c, x, y, info->width, style, cgm_column_format(info->kind, row->v[i], text));
		x += info->width + 1;
	}
	draw_name(s->view, line, row, rest, c, x, y);
}

static void draw_list(const struct cgm_scene *s, struct cgm_grid *c, size_t first, size_t height)
{
	struct cgm_view *v = s->view;
	bool show[CGM_NR_COLUMNS];

	v->page = MAX(height, 2UL) - 1;
	cgm_draw_scroll(v->at, v->nr_lines, v->page, &v->top);
	cgm_columns_choose(c->width, v->sort, show);
	draw_titles(v, show, c, first);
	for (size_t i = 0; i < v->page && v->top + i < v->nr_lines; i++)
		draw_line(s, &v->lines[v->top + i], show, v->top + i == v->at, c, first + 1 + i);
	if (!v->nr_lines)
		cgm_grid_text(c, 0, first + 1, SIZE_MAX, CGM_STYLE_DIM,
			!s->model->nr_rows ? "waiting for the first numbers" : "no cgroup contains that; Esc shows all again");
}

void cgm_draw(const struct cgm_scene *s, struct cgm_grid *c)
{
	cgm_grid_clear(c);
	if (c->width < MIN_WIDTH || c->height < MIN_HEIGHT) {
		cgm_grid_text(c, 0, 0, SIZE_MAX, CGM_STYLE_PLAIN, "too small a window");
		return;
	}
	draw_title(s, c);
	draw_source(s, c);
	switch (s->view->mode) {
	case CGM_VIEW_LIST:
		draw_list(s, c, 2, c->height - 3);
		break;
	case CGM_VIEW_DETAIL:
		cgm_draw_detail(s, c, 2, c->height - 3);
		break;
	case CGM_VIEW_HELP:
		cgm_draw_help(s, c, 2, c->height - 3);
		break;
	}
	draw_foot(s->view, c);
}
