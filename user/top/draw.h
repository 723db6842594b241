/* SPDX-License-Identifier: Apache-2.0 */
/* From what is to be seen to cells. Pure: no terminal, no clock. Nothing is written beyond the cells, whatever their number. */
#pragma once
#include "top/grid.h"
#include "top/model.h"
#include "top/view.h"

struct cgm_scene {
	const struct cgm_model *model;
	const struct cgm_detail *detail;
	struct cgm_view *view; /* what scrolls is brought into sight */
	const char *source;    /* where the numbers come from */
	const char *trouble;   /* why there are no new ones; NULL or "": there are */
	uint64_t age_ns;       /* how long ago the last ones came */
};
void cgm_draw(const struct cgm_scene *scene, struct cgm_grid *cells);

/* "1s", "500ms", "1.5s" */
#define CGM_DURATION_TEXT 32
const char *cgm_duration_text(uint64_t ns, char buf[CGM_DURATION_TEXT]);

/* ---- draw_detail.c, draw_help.c: from line first on, height lines ---- */

/* Keeps the selected one of nr in sight of page lines, and top as low as it can be. */
void cgm_draw_scroll(size_t at, size_t nr, size_t page, size_t *top);
void cgm_draw_detail(const struct cgm_scene *scene, struct cgm_grid *cells, size_t first, size_t height);
void cgm_draw_help(const struct cgm_scene *scene, struct cgm_grid *cells, size_t first, size_t height);
/* The lines of the help, without a terminal: calls line for each. */
void cgm_help_lines(void (*line)(void *arg, const char *text), void *arg);
