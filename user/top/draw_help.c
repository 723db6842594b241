// SPDX-License-Identifier: Apache-2.0
/* The help, from the table of columns. */
#include "base/cleanup.h"
#include "top/draw.h"

static const char *const keys[][2] = {
	{"arrows Home End, j k g G", "move"},
	{"Enter", "the histograms of the cgroup; Esc leads back"},
	{"/", "show only what contains a text; Esc shows all"},
	{"< >", "sort by the column before, behind; or by its letter"},
	{"r", "reverse the order"},
	{"t", "tree or flat list"},
	{"Space, Left Right, - +", "fold and unfold what is below"},
	{"*", "unfold all"},
	{"p", "pause"},
	{"d", "another interval, such as 2s or 500ms"},
	{"a", "in the histograms: of the interval, or of all time"},
	{"? h F1", "this help"},
	{"q", "quit"},
};

void cgm_help_lines(void (*line)(void *arg, const char *text), void *arg)
{
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		snprintf(text, sizeof(text), "  %-24s %s", keys[i][0], keys[i][1]);
		line(arg, text);
	}
	line(arg, "");
	line(arg, "  Columns; the letter sorts. A narrow terminal leaves some out, but never");
	line(arg, "  the one that is sorted by.");
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
		const struct cgm_column_info *c = &cgm_columns[i];

		snprintf(text, sizeof(text), "  %c  %-7s %s", c->letter, c->title, c->help);
		line(arg, text);
	}
	line(arg, "");
	line(arg, "  All numbers include what is below a cgroup, and are of the last interval.");
	line(arg, "  \"-\": not known, or nothing happened. Percentiles are the middle of a");
	line(arg, "  bucket, four to a doubling: wrong by at most 9 %.");
}

struct help {
	struct cgm_grid *cells;
	size_t nr, top, first, height;
};

static void draw_line(void *arg, const char *text)
{
	struct help *h = arg;

	if (h->cells && h->nr >= h->top && h->nr - h->top < h->height)
		cgm_grid_text(h->cells, 0, h->first + h->nr - h->top, SIZE_MAX, CGM_STYLE_PLAIN, text);
	h->nr++;
}

void cgm_draw_help(const struct cgm_scene *s, struct cgm_grid *c, size_t first, size_t height)
{
	struct cgm_view *v = s->view;
	struct help count = {0}, h = {.cells = c, .first = first, .height = height};

	cgm_help_lines(draw_line, &count);
	v->page = MAX(height, 1UL);
	if (v->help_top + height > count.nr)
		v->help_top = count.nr > height ? count.nr - height : 0;
	h.top = v->help_top;
	cgm_help_lines(draw_line, &h);
}
