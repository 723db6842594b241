// SPDX-License-Identifier: Apache-2.0
#include "output/selection.h"

#include <errno.h>
#include <string.h>

bool cgm_selection_in_run(const struct cgm_snapshot *s, size_t row, size_t top)
{
	const char *name = s->rows[top].identity->name;

	return row < s->nr_rows && strncmp(s->rows[row].identity->name, name, strlen(name)) == 0;
}

static bool is_of(const struct cgm_identity *i, const char *runtime)
{
	return i->who && strcmp(i->who->runtime, runtime) == 0;
}

size_t cgm_selection_next(const struct cgm_selection *s, size_t row)
{
	if (!s->recursive)
		return s->snapshot->nr_rows;
	for (row++; cgm_selection_in_run(s->snapshot, row, s->top); row++)
		if (cgm_snapshot_is_below(s->snapshot, row, s->top) && (!s->runtime || is_of(s->snapshot->rows[row].identity, s->runtime)))
			return row;
	return s->snapshot->nr_rows;
}

size_t cgm_selection_first(const struct cgm_selection *s)
{
	if (s->skip_root && s->top < s->snapshot->nr_rows && s->snapshot->rows[s->top].depth == 0)
		return cgm_selection_next(s, s->top);
	if (s->recursive && s->runtime && s->top < s->snapshot->nr_rows && !is_of(s->snapshot->rows[s->top].identity, s->runtime))
		return cgm_selection_next(s, s->top);
	return s->top;
}

int cgm_selection_find(const struct cgm_snapshot *s, const char *runtime, const char *word, size_t *ret_row)
{
	size_t len = strlen(word), nr = 0, found = 0;

	for (size_t i = 0; len && i < s->nr_rows; i++) {
		const struct cgm_who *w = s->rows[i].identity->who;

		if (!w || !is_of(s->rows[i].identity, runtime))
			continue;
		if (strcmp(w->id, word) == 0 || (w->name && strcmp(w->name, word) == 0)) {
			*ret_row = i;
			return 0;
		}
		if (strncmp(w->id, word, len) == 0 || (w->name && strncmp(w->name, word, len) == 0)) {
			found = i;
			nr++;
		}
	}
	if (nr == 1)
		*ret_row = found;
	return nr == 1 ? 0 : nr ? -EEXIST : -ENOENT;
}

int cgm_samples_init(struct cgm_samples *s, const struct cgm_history_view *v, int64_t nr, uint64_t start_ns, uint64_t end_ns)
{
	size_t first = 0, found = 0;

	cgm_history_iter_init(&s->iter, v);
	if (nr)
		cgm_history_view_range(v, start_ns, end_ns, &first, &found);
	if (nr > 0 && found > (uint64_t)nr) {
		first += found - (size_t)nr;
		found = (size_t)nr;
	}
	s->nr_left = found;
	return found ? cgm_history_iter_seek(&s->iter, first) : 0;
}

int cgm_samples_next(struct cgm_samples *s)
{
	int r = s->nr_left ? cgm_history_iter_next(&s->iter) : 0;

	if (r > 0)
		s->nr_left--;
	return r;
}

void cgm_samples_done(struct cgm_samples *s)
{
	cgm_history_iter_done(&s->iter);
	s->nr_left = 0;
}
