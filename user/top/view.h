/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user has chosen to see, and the lines that this makes of the model's rows: order, tree, folded subtrees, filter, selection.
 * Pure: keys in, state out; no terminal. One thread.
 */
#pragma once
#include "base/hash.h"
#include "top/model.h"

/* Keys: characters of Unicode, and these. */
enum cgm_key {
	CGM_KEY_NONE = 0,
	CGM_KEY_ENTER = '\n',
	CGM_KEY_ESCAPE = 27,
	CGM_KEY_BACKSPACE = 127,
	CGM_KEY_UP = 0x110000,
	CGM_KEY_DOWN,
	CGM_KEY_LEFT,
	CGM_KEY_RIGHT,
	CGM_KEY_PAGE_UP,
	CGM_KEY_PAGE_DOWN,
	CGM_KEY_HOME,
	CGM_KEY_END,
	CGM_KEY_HELP,
	CGM_KEY_REDRAW, /* the terminal changed its size, or is to be drawn anew */
};

enum cgm_view_mode { CGM_VIEW_LIST, CGM_VIEW_DETAIL, CGM_VIEW_HELP };
enum cgm_prompt { CGM_PROMPT_NONE, CGM_PROMPT_FILTER, CGM_PROMPT_INTERVAL };

struct cgm_line {
	uint32_t row; /* of the model */
	uint16_t depth;
	bool has_children, folded;
	bool context; /* shown for the sake of what is below it: the filter does not name it */
};

#define CGM_MAX_INPUT 100
#define CGM_MIN_INTERVAL_NS (100 * 1000000ULL)
#define CGM_MAX_INTERVAL_NS (3600 * 1000000000ULL)

struct cgm_view {
	enum cgm_view_mode mode, help_from;
	enum cgm_column sort;
	bool reverse, tree, paused;
	uint64_t interval_ns;
	char filter[CGM_MAX_INPUT + 1];
	struct cgm_hash folds; /* paths, owned by the table's values */
	enum cgm_prompt prompt;
	char input[CGM_MAX_INPUT + 1], before[CGM_MAX_INPUT + 1]; /* of the prompt; the filter before it */
	char message[160];					  /* shown until the next key */

	/* of the list */
	struct cgm_line *lines;
	size_t nr_lines, cap_lines;
	size_t at, top; /* selected line; first line on the screen, which drawing moves to have it in sight */
	char *selected; /* path; NULL: none yet */

	/* of the detail view */
	char *detail;	       /* path */
	size_t hist, hist_top; /* selected histogram; first on the screen */
	bool total;	       /* since counting began, not of the interval */

	size_t help_top;
	size_t page; /* lines that the screen shows, as drawn last */
};

enum cgm_view_action { CGM_DO_NOTHING, CGM_DO_DRAW, CGM_DO_ASK, CGM_DO_QUIT }; /* ASK: what is to be shown needs new numbers */

void cgm_view_init(struct cgm_view *v);
void cgm_view_done(struct cgm_view *v);
/* Makes the lines anew: after a push to the model, or a key. 0 or -ENOMEM (there are no lines then). */
int cgm_view_build(struct cgm_view *v, const struct cgm_model *m);
/* A key was pressed; nr_hists: of the detail view. Calls cgm_view_build() when that is needed. */
enum cgm_view_action cgm_view_key(struct cgm_view *v, const struct cgm_model *m, size_t nr_hists, uint32_t key);
/* The last part of a path, the whole of "/". */
const char *cgm_last_part(const char *path);
