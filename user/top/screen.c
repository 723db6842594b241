// SPDX-License-Identifier: Apache-2.0
#define NCURSES_WIDECHAR 1
#include "top/screen.h"

#include <curses.h>
#include <term.h>
/* term.h gives short words to capabilities of terminals */
#undef lines
#undef columns

#include <errno.h>
#include <langinfo.h>
#include <unistd.h>

#include "base/cleanup.h"

static struct {
	SCREEN *screen;
	struct cgm_grid shown; /* what the terminal shows */
	bool colours;
} terminal;

static const struct {
	attr_t plain, coloured;	      /* without and with colours */
	short foreground, background; /* -1: the terminal's own */
} styles[CGM_NR_STYLES] = {
	[CGM_STYLE_PLAIN] = {A_NORMAL, A_NORMAL, -1, -1},
	[CGM_STYLE_DIM] = {A_DIM, A_DIM, -1, -1},
	[CGM_STYLE_BOLD] = {A_BOLD, A_BOLD, -1, -1},
	[CGM_STYLE_HEAD] = {A_REVERSE, A_NORMAL, COLOR_BLACK, COLOR_GREEN},
	[CGM_STYLE_SORTED] = {A_REVERSE | A_BOLD, A_NORMAL, COLOR_BLACK, COLOR_CYAN},
	[CGM_STYLE_SELECTED] = {A_REVERSE | A_BOLD, A_NORMAL, COLOR_BLACK, COLOR_CYAN},
	[CGM_STYLE_GOOD] = {A_NORMAL, A_NORMAL, COLOR_GREEN, -1},
	[CGM_STYLE_WARN] = {A_BOLD, A_NORMAL, COLOR_YELLOW, -1},
	[CGM_STYLE_BAD] = {A_BOLD | A_UNDERLINE, A_BOLD, COLOR_RED, -1},
	[CGM_STYLE_BAR] = {A_NORMAL, A_NORMAL, COLOR_CYAN, -1},
};

static void set_up_colours(void)
{
	const char *no = getenv("NO_COLOR");

	terminal.colours = !(no && *no) && has_colors() && start_color() == OK && COLOR_PAIRS > CGM_NR_STYLES;
	if (!terminal.colours)
		return;
	use_default_colors();
	for (int i = 1; i < CGM_NR_STYLES; i++)
		init_pair((short)i, styles[i].foreground, styles[i].background);
}

/* A terminal that cannot put its cursor somewhere is a printer. */
static bool moves_cursor(void)
{
	int error;
	char *cup;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	cup = tigetstr("cup");
	return cup && cup != (char *)-1; /* NOLINT(performance-no-int-to-ptr): ncurses' word for "no such capability" */
}

int cgm_screen_open(char *why, size_t size)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		snprintf(why, size, "input and output must be a terminal; cgmeter top -b writes to files and pipes");
		return -ENOTTY;
	}
	if (!term || !*term || !moves_cursor()) {
		snprintf(why, size, "a terminal of the kind TERM=%.40s is not known, or cannot move its cursor; cgmeter top -b needs none",
			term ? term : "");
		return -ENOTTY;
	}
	terminal.screen = newterm(NULL, stdout, stdin);
	if (!terminal.screen) {
		snprintf(why, size, "the terminal cannot be set up; cgmeter top -b needs none");
		return -ENOTTY;
	}
	set_up_colours();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	return 0;
}

void cgm_screen_close(void)
{
	if (!terminal.screen)
		return;
	endwin();
	delscreen(terminal.screen);
	terminal.screen = NULL;
	cgm_grid_done(&terminal.shown);
}

void cgm_screen_size(size_t *ret_width, size_t *ret_height)
{
	int height, width;

	getmaxyx(stdscr, height, width);
	*ret_width = (size_t)MAX(width, 1);
	*ret_height = (size_t)MAX(height, 1);
}

bool cgm_screen_is_ascii(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
}

static void put_cell(int x, int y, const struct cgm_cell *c)
{
	wchar_t text[2] = {(wchar_t)c->c, L'\0'};
	attr_t attributes = terminal.colours ? styles[c->style].coloured : styles[c->style].plain;
	cchar_t cell;

	if (c->c && setcchar(&cell, text, attributes, terminal.colours ? c->style : 0, NULL) == OK)
		mvadd_wch(y, x, &cell);
}

static bool same_cell(const struct cgm_cell *a, const struct cgm_cell *b)
{
	return a->c == b->c && a->style == b->style;
}

void cgm_screen_show(const struct cgm_grid *cells)
{
	struct cgm_grid *shown = &terminal.shown;
	size_t n = cells->width * cells->height;
	bool all = shown->width != cells->width || shown->height != cells->height;

	if (all) {
		erase();
		if (cgm_grid_resize(shown, cells->width, cells->height) < 0)
			cgm_grid_done(shown); /* then all is written each time */
	}
	for (size_t i = 0; i < n; i++) {
		size_t x = i % cells->width;
		const struct cgm_cell *left = x ? &cells->v[i - 1] : NULL;

		/* What stands beside a wide character is touched by it: a line with one is written whole. */
		if (!all && shown->v && same_cell(&cells->v[i], &shown->v[i]) && cells->v[i].c < 0x300 && !(left && left->c >= 0x300))
			continue;
		put_cell((int)x, (int)(i / cells->width), &cells->v[i]);
	}
	if (shown->v)
		memcpy(shown->v, cells->v, n * sizeof(*cells->v));
	refresh();
}

static uint32_t special_key(wint_t key)
{
	static const struct {
		int curses;
		uint32_t ours;
	} map[] = {
		{KEY_UP, CGM_KEY_UP},
		{KEY_DOWN, CGM_KEY_DOWN},
		{KEY_LEFT, CGM_KEY_LEFT},
		{KEY_RIGHT, CGM_KEY_RIGHT},
		{KEY_PPAGE, CGM_KEY_PAGE_UP},
		{KEY_NPAGE, CGM_KEY_PAGE_DOWN},
		{KEY_HOME, CGM_KEY_HOME},
		{KEY_END, CGM_KEY_END},
		{KEY_ENTER, CGM_KEY_ENTER},
		{KEY_BACKSPACE, CGM_KEY_BACKSPACE},
		{KEY_F(1), CGM_KEY_HELP},
		{KEY_RESIZE, CGM_KEY_REDRAW},
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		if ((wint_t)map[i].curses == key)
			return map[i].ours;
	return CGM_KEY_UP - 1; /* a key that nothing is bound to */
}

uint32_t cgm_screen_key(void)
{
	wint_t key;

	switch (get_wch(&key)) {
	case OK:
		break;
	case KEY_CODE_YES:
		return special_key(key);
	default:
		return CGM_KEY_NONE;
	}
	if (key == 'L' - '@') { /* ^L: the screen was spoilt by somebody else */
		clearok(stdscr, TRUE);
		return CGM_KEY_REDRAW;
	}
	if (key == '\r' || key == '\n')
		return CGM_KEY_ENTER;
	if (key == 8 || key == 127)
		return CGM_KEY_BACKSPACE;
	return key ? (uint32_t)key : CGM_KEY_UP - 1;
}
