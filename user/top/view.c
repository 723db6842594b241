// SPDX-License-Identifier: Apache-2.0
#include "top/view.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/parse.h"

void cgm_view_init(struct cgm_view *v)
{
	*v = (struct cgm_view){.tree = true, .sort = CGM_COL_CPU, .interval_ns = CGM_NSEC_PER_SEC, .page = 1};
}

static void unfold_all(struct cgm_view *v)
{
	size_t pos = 0;
	char *path;

	while ((path = cgm_hash_next(&v->folds, &pos))) {
		cgm_hash_del(&v->folds, path);
		free(path);
	}
}

void cgm_view_done(struct cgm_view *v)
{
	unfold_all(v);
	cgm_hash_done(&v->folds);
	free(v->lines);
	free(v->selected);
	free(v->detail);
	*v = (struct cgm_view){0};
}

const char *cgm_last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* ---- order ---- */

struct order {
	const struct cgm_view *view;
	const struct cgm_top_row *rows;
	bool by_parent; /* siblings stand together */
};

/* The highest first, names from A on; what is not known last, whatever the direction. */
static int compare_values(const struct order *o, const struct cgm_top_row *a, const struct cgm_top_row *b)
{
	double x = a->v[o->view->sort], y = b->v[o->view->sort];
	int r;

	if (isnan(x) || isnan(y)) {
		r = isnan(x) - isnan(y);
		if (r)
			return r;
	}
	r = (x < y) - (x > y);
	if (!r)
		r = strcmp(a->name, b->name);
	/* Equal ones keep their order when it is turned round. */
	return o->view->reverse && (o->view->sort == CGM_COL_NAME || x != y) && !(isnan(x) && o->view->sort != CGM_COL_NAME) ? -r : r;
}

static int compare(const void *p, const void *q, void *arg)
{
	const struct order *o = arg;
	const struct cgm_top_row *a = &o->rows[*(const uint32_t *)p], *b = &o->rows[*(const uint32_t *)q];

	if (o->by_parent && a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	return compare_values(o, a, b);
}

/* ---- filter ---- */

static bool matches(const char *name, const char *filter)
{
	return !*filter || strcasestr(name, filter);
}

enum { KEEP_MATCH = 1, KEEP_CONTEXT = 2 };

/* Which rows are shown: those that the filter names, and in the tree what is above them. */
static void choose(const struct cgm_view *v, const struct cgm_model *m, uint8_t *keep)
{
	for (size_t i = m->nr_rows; i-- > 0;) {
		const struct cgm_top_row *r = &m->rows[i];

		if (matches(r->name, v->filter) || (r->title && matches(r->title, v->filter)))
			keep[i] |= KEEP_MATCH;
		if (v->tree && keep[i] && i)
			keep[r->parent] |= KEEP_CONTEXT;
	}
}

/* ---- lines ---- */

static int add_line(struct cgm_view *v, const struct cgm_line *line)
{
	if (cgm_grow((void **)&v->lines, &v->cap_lines, v->nr_lines, sizeof(*v->lines)) < 0)
		return -ENOMEM;
	v->lines[v->nr_lines++] = *line;
	return 0;
}

static int build_flat(struct cgm_view *v, const uint32_t *order, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (add_line(v, &(struct cgm_line){.row = order[i]}) < 0)
			return -ENOMEM;
	return 0;
}

/* order: the rows but the root, siblings together and sorted. first, end: by row, where its children stand in order. */
struct forest {
	const uint32_t *order;
	uint32_t *first, *end;
	uint32_t *stack; /* rows on the way down; first[] is moved on */
};

static int build_tree(struct cgm_view *v, const struct cgm_model *m, struct forest *f, const uint8_t *keep)
{
	size_t depth = 0;
	uint32_t row = 0;

	for (;;) {
		bool has_children = f->first[row] < f->end[row];
		struct cgm_line line = {.row = row, .depth = (uint16_t)MIN(depth, (size_t)UINT16_MAX), .has_children = has_children};

		line.folded = has_children && cgm_hash_get(&v->folds, m->rows[row].name);
		line.context = !(keep[row] & KEEP_MATCH);
		if (add_line(v, &line) < 0)
			return -ENOMEM;
		if (has_children && !line.folded) {
			f->stack[depth++] = row;
		} else {
			while (depth && f->first[f->stack[depth - 1]] == f->end[f->stack[depth - 1]])
				depth--;
		}
		if (!depth)
			return 0;
		row = f->order[f->first[f->stack[depth - 1]]++];
	}
}

static int build_lines(struct cgm_view *v, const struct cgm_model *m)
{
	size_t n = m->nr_rows, nr = 0;
	_cleanup_free_ uint8_t *keep = cgm_calloc(n, 1);
	_cleanup_free_ uint32_t *memory = cgm_calloc(4 * n, sizeof(*memory));
	struct order o = {v, m->rows, v->tree};
	struct forest f;
	uint32_t *order = memory;

	if (!keep || !memory)
		return -ENOMEM;
	f = (struct forest){memory, memory + n, memory + 2 * n, memory + 3 * n};
	choose(v, m, keep);
	for (size_t i = v->tree; i < n; i++)
		if (keep[i])
			order[nr++] = (uint32_t)i;
	qsort_r(order, nr, sizeof(*order), compare, &o);
	if (!v->tree)
		return build_flat(v, order, nr);
	for (size_t i = 0; i < nr; i++) {
		uint32_t parent = m->rows[order[i]].parent;

		if (!f.end[parent])
			f.first[parent] = (uint32_t)i;
		f.end[parent] = (uint32_t)i + 1;
	}
	return keep[0] ? build_tree(v, m, &f, keep) : 0;
}

/* ---- selection ---- */

static void select_line(struct cgm_view *v, const struct cgm_model *m, size_t at)
{
	v->at = MIN(at, v->nr_lines ? v->nr_lines - 1 : 0);
	free(v->selected);
	v->selected = v->nr_lines ? cgm_strdup(m->rows[v->lines[v->at].row].name) : NULL;
}

int cgm_view_build(struct cgm_view *v, const struct cgm_model *m)
{
	size_t at = v->at;
	int r;

	v->nr_lines = 0;
	r = m->nr_rows ? build_lines(v, m) : 0;
	if (r < 0)
		v->nr_lines = 0;
	/* The same cgroup, wherever it went; when it is gone, the same line. */
	for (size_t i = 0; v->selected && i < v->nr_lines; i++)
		if (strcmp(m->rows[v->lines[i].row].name, v->selected) == 0)
			at = i;
	if (v->nr_lines)
		select_line(v, m, at);
	return r;
}

/* ---- keys ---- */

static const char *path_at(const struct cgm_view *v, const struct cgm_model *m)
{
	return v->nr_lines ? m->rows[v->lines[v->at].row].name : NULL;
}

static void say(struct cgm_view *v, const char *text)
{
	snprintf(v->message, sizeof(v->message), "%s", text);
}

static void rebuild(struct cgm_view *v, const struct cgm_model *m)
{
	if (cgm_view_build(v, m) < 0)
		say(v, "out of memory");
}

static void set_fold(struct cgm_view *v, const char *path, bool fold)
{
	char *old = cgm_hash_get(&v->folds, path), *copy;

	if (!fold == !old)
		return;
	if (!fold) {
		free(cgm_hash_del(&v->folds, path));
		return;
	}
	copy = cgm_strdup(path);
	if (!copy || cgm_hash_put(&v->folds, copy, copy) < 0) {
		free(copy);
		say(v, "out of memory");
	}
}

/* Left: folds, and when there is nothing to fold goes up to the parent. */
static void go_left(struct cgm_view *v, const struct cgm_model *m)
{
	const struct cgm_line *line = &v->lines[v->at];
	size_t i = v->at;

	if (line->has_children && !line->folded) {
		set_fold(v, path_at(v, m), true);
		return;
	}
	while (i && v->lines[i].depth >= line->depth)
		i--;
	select_line(v, m, i);
}

static void on_fold_key(struct cgm_view *v, const struct cgm_model *m, uint32_t key)
{
	const char *path = path_at(v, m);

	if (!v->tree) {
		say(v, "the flat view has nothing to fold; t shows the tree");
		return;
	}
	if (!path)
		return;
	if (key == '*')
		unfold_all(v);
	else if (key == CGM_KEY_LEFT)
		go_left(v, m);
	else if (v->lines[v->at].has_children)
		set_fold(v, path, key == ' ' ? !v->lines[v->at].folded : key == '-');
	rebuild(v, m);
}

/* Where a key of movement leads to among nr; at when it is none. */
static size_t moved(size_t at, size_t nr, size_t page, uint32_t key)
{
	size_t last = nr ? nr - 1 : 0;

	page = MAX(page, 1UL);
	switch (key) {
	case CGM_KEY_UP:
	case 'k':
		return at ? at - 1 : 0;
	case CGM_KEY_DOWN:
	case 'j':
		return MIN(at + 1, last);
	case CGM_KEY_PAGE_UP:
		return at > page ? at - page : 0;
	case CGM_KEY_PAGE_DOWN:
		return MIN(at + page, last);
	case CGM_KEY_HOME:
	case 'g':
		return 0;
	case CGM_KEY_END:
	case 'G':
		return last;
	default:
		return MIN(at, last);
	}
}

static void sort_by(struct cgm_view *v, const struct cgm_model *m, enum cgm_column column)
{
	v->sort = column;
	v->top = 0;
	rebuild(v, m);
}

/* Keys that mean the same in the list and in a detail view. */
static enum cgm_view_action on_common_key(struct cgm_view *v, uint32_t key)
{
	switch (key) {
	case 'q':
		return CGM_DO_QUIT;
	case '?':
	case 'h':
	case CGM_KEY_HELP:
		v->help_from = v->mode;
		v->mode = CGM_VIEW_HELP;
		v->help_top = 0;
		return CGM_DO_DRAW;
	case 'p':
		v->paused = !v->paused;
		return v->paused ? CGM_DO_DRAW : CGM_DO_ASK;
	case 'd':
		v->prompt = CGM_PROMPT_INTERVAL;
		v->input[0] = '\0';
		return CGM_DO_DRAW;
	case CGM_KEY_REDRAW:
		return CGM_DO_DRAW;
	default:
		return CGM_DO_NOTHING;
	}
}

static enum cgm_view_action open_detail(struct cgm_view *v, const struct cgm_model *m)
{
	const char *path = path_at(v, m);
	char *copy = path ? cgm_strdup(path) : NULL;

	if (!copy)
		return CGM_DO_NOTHING;
	free(v->detail);
	v->detail = copy;
	v->mode = CGM_VIEW_DETAIL;
	v->hist = v->hist_top = 0;
	return CGM_DO_ASK;
}

static enum cgm_view_action on_list_key(struct cgm_view *v, const struct cgm_model *m, uint32_t key)
{
	enum cgm_column column = key < 128 && key != 'G' ? cgm_column_of_letter((int)key) : CGM_NR_COLUMNS;

	if (column != CGM_NR_COLUMNS) {
		sort_by(v, m, column);
		return CGM_DO_DRAW;
	}
	switch (key) {
	case CGM_KEY_ENTER:
	case '\r':
		return open_detail(v, m);
	case '/':
		v->prompt = CGM_PROMPT_FILTER;
		memcpy(v->input, v->filter, sizeof(v->input));
		memcpy(v->before, v->filter, sizeof(v->before));
		return CGM_DO_DRAW;
	case CGM_KEY_ESCAPE:
		v->filter[0] = '\0';
		break;
	case '<':
	case ',':
		sort_by(v, m, (enum cgm_column)((v->sort + CGM_NR_COLUMNS - 1) % CGM_NR_COLUMNS));
		return CGM_DO_DRAW;
	case '>':
	case '.':
		sort_by(v, m, (enum cgm_column)((v->sort + 1) % CGM_NR_COLUMNS));
		return CGM_DO_DRAW;
	case 'r':
		v->reverse = !v->reverse;
		break;
	case 't':
		v->tree = !v->tree;
		break;
	case ' ':
	case '-':
	case '+':
	case '*':
	case CGM_KEY_LEFT:
	case CGM_KEY_RIGHT:
		on_fold_key(v, m, key);
		return CGM_DO_DRAW;
	default:
		select_line(v, m, moved(v->at, v->nr_lines, v->page, key));
		return CGM_DO_DRAW;
	}
	rebuild(v, m);
	return CGM_DO_DRAW;
}

static enum cgm_view_action on_detail_key(struct cgm_view *v, size_t nr_hists, uint32_t key)
{
	switch (key) {
	case CGM_KEY_ESCAPE:
	case CGM_KEY_BACKSPACE:
	case CGM_KEY_LEFT:
	case CGM_KEY_ENTER:
	case '\r':
		v->mode = CGM_VIEW_LIST;
		return CGM_DO_DRAW;
	case 'a':
		v->total = !v->total;
		return CGM_DO_DRAW;
	default:
		v->hist = moved(v->hist, nr_hists, v->page, key);
		return CGM_DO_DRAW;
	}
}

static enum cgm_view_action on_help_key(struct cgm_view *v, uint32_t key)
{
	size_t to = moved(v->help_top, SIZE_MAX, v->page, key);

	if (key == CGM_KEY_REDRAW)
		return CGM_DO_DRAW;
	if (to != v->help_top || key == CGM_KEY_UP || key == CGM_KEY_PAGE_UP || key == CGM_KEY_HOME)
		v->help_top = to; /* the end is known when it is drawn */
	else
		v->mode = v->help_from;
	return CGM_DO_DRAW;
}

/* ---- prompts ---- */

static void take_interval(struct cgm_view *v)
{
	double seconds;
	uint64_t ns;
	char *end;

	/* A number alone is seconds. */
	seconds = strtod(v->input, &end);
	if (cgm_parse_duration_ns(cgm_str(v->input), &ns) < 0) {
		if (end == v->input || *end || !(seconds > 0 && seconds < 1e6)) {
			snprintf(v->message, sizeof(v->message), "\"%.40s\" is no duration such as 2s or 500ms", v->input);
			return;
		}
		ns = (uint64_t)(seconds * (double)CGM_NSEC_PER_SEC);
	}
	if (ns < CGM_MIN_INTERVAL_NS || ns > CGM_MAX_INTERVAL_NS)
		say(v, "an interval is from 100ms to 1h");
	else
		v->interval_ns = ns;
}

static void append(char *input, uint32_t key)
{
	size_t len = strlen(input);
	char utf8[4];
	size_t n = key < 0x80 ? 1 : key < 0x800 ? 2 : key < 0x10000 ? 3 : 4;

	if (len + n > CGM_MAX_INPUT)
		return;
	for (size_t i = n; i-- > 1; key >>= 6)
		utf8[i] = (char)(0x80 | (key & 0x3f));
	utf8[0] = (char)(n == 1 ? key : (0xf00U >> n & 0xff) | key);
	memcpy(input + len, utf8, n);
	input[len + n] = '\0';
}

static void rub_out(char *input)
{
	size_t len = strlen(input);

	while (len && ((unsigned char)input[--len] & 0xc0) == 0x80)
		;
	input[len] = '\0';
}

static enum cgm_view_action on_prompt_key(struct cgm_view *v, const struct cgm_model *m, uint32_t key)
{
	enum cgm_prompt prompt = v->prompt;

	switch (key) {
	case CGM_KEY_ENTER:
	case '\r':
		v->prompt = CGM_PROMPT_NONE;
		if (prompt == CGM_PROMPT_INTERVAL && *v->input)
			take_interval(v);
		break;
	case CGM_KEY_ESCAPE:
		v->prompt = CGM_PROMPT_NONE;
		memcpy(v->input, v->before, sizeof(v->input));
		break;
	case CGM_KEY_BACKSPACE:
		rub_out(v->input);
		break;
	case 'U' - '@': /* ^U */
		v->input[0] = '\0';
		break;
	default:
		if (key >= 32 && key < CGM_KEY_UP)
			append(v->input, key);
		break;
	}
	if (prompt == CGM_PROMPT_FILTER) {
		memcpy(v->filter, v->input, sizeof(v->filter)); /* as it is typed */
		rebuild(v, m);
	}
	return CGM_DO_DRAW;
}

enum cgm_view_action cgm_view_key(struct cgm_view *v, const struct cgm_model *m, size_t nr_hists, uint32_t key)
{
	enum cgm_view_action action;

	v->message[0] = '\0';
	if (v->prompt)
		return on_prompt_key(v, m, key);
	if (v->mode == CGM_VIEW_HELP)
		return key == 'q' ? CGM_DO_QUIT : on_help_key(v, key);
	action = on_common_key(v, key);
	if (action)
		return action;
	return v->mode == CGM_VIEW_DETAIL ? on_detail_key(v, nr_hists, key) : on_list_key(v, m, key);
}
