// SPDX-License-Identifier: Apache-2.0
/*
 * The newest numbers of all cgroups, by column, and only of those rows that have changed since a snapshot that the reader has. Who and in what
 * order (ids, parents) comes only when the set of rows is another one; names only of containers that the reader cannot know yet.
 */
#include "output/json.h"

#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/cells.h"

struct rows {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	uint64_t since_seq; /* 0: everything */
	struct cgm_cells *cells; /* of the changed rows */
	uint32_t *changed; /* their indexes */
	size_t nr_changed;
	unsigned piece; /* next one */
	size_t at; /* in that piece */
	bool listed; /* something stands in its list already: what follows needs a comma before it */
};

#define ROWS_A_PIECE 1024

/* The pieces of the answer, in order; then one for each cell. */
enum { HEAD, IDS, PARENTS, NAME_IDS, NAMES, STATES, TITLES, INDEXES, CELLS };

static bool is_new_set(const struct rows *r)
{
	return r->snapshot->set_seq > r->since_seq || !r->since_seq;
}

static void put_head(struct cgm_buf *b, const struct rows *r)
{
	const struct cgm_snapshot *s = r->snapshot;

	/* The agent's start tells one agent from the next. As a text: JavaScript's numbers end at 2^53. */
	cgm_buf_printf(b, "{\"agent\":\"%" PRIu64 "\"", s->self.start_time_ns);
	cgm_json_number(b, "seq", s->seq);
	cgm_json_number(b, "since", r->since_seq);
	cgm_json_number(b, "time_us", s->time_ns / 1000);
	cgm_json_number(b, "nr_rows", s->nr_rows);
}

static bool is_named(const struct rows *r, const struct cgm_row *row)
{
	return !r->since_seq || row->born_seq > r->since_seq;
}

/* "": the cgroup's path must do. */
static void put_title(struct cgm_buf *b, const struct cgm_identity *i)
{
	_cleanup_(cgm_buf_done) struct cgm_buf t = { 0 };

	cgm_identity_title(i, &t);
	cgm_buf_char(&t, '\0');
	if (t.failed)
		b->failed = true;
	else
		cgm_json_string(b, t.p);
}

/* "": it runs, or nobody says anything else. */
static void put_state(struct cgm_buf *b, const struct cgm_identity *i)
{
	static const char *const names[] = { [CGM_STATE_CREATED] = "created", [CGM_STATE_PAUSED] = "paused", [CGM_STATE_EXITED] = "exited" };
	const char *name = i->who && (size_t)i->who->state < ARRAY_SIZE(names) ? names[i->who->state] : NULL;

	cgm_json_string(b, name ? name : "");
}

static void put_element(struct cgm_buf *b, struct rows *r, size_t i)
{
	const struct cgm_row *row = &r->snapshot->rows[i];

	if (r->piece >= NAME_IDS && r->piece <= TITLES && !is_named(r, row))
		return;
	if (r->listed)
		cgm_buf_char(b, ',');
	r->listed = true;
	switch (r->piece) {
	case IDS:
		cgm_buf_u64(b, row->serial);
		break;
	case PARENTS:
		cgm_buf_u64(b, row->parent);
		break;
	case NAME_IDS:
		cgm_buf_u64(b, row->serial);
		break;
	case NAMES:
		cgm_json_string(b, row->identity->name);
		break;
	case STATES:
		put_state(b, row->identity);
		break;
	case TITLES:
		put_title(b, row->identity);
		break;
	case INDEXES:
		cgm_buf_u64(b, r->changed[i]);
		break;
	default:
		if (cgm_cells_know(&r->cells[i], (enum cgm_cell)(r->piece - CELLS)))
			cgm_json_u64(b, r->cells[i].v[r->piece - CELLS]);
		else
			cgm_buf_lit(b, "null");
	}
}

/* What stands before a piece's elements. */
static void open_piece(struct cgm_buf *b, const struct rows *r)
{
	static const char *const keys[] = {
		[IDS] = ",\"ids\":[",	   [PARENTS] = ",\"parents\":[", [NAME_IDS] = ",\"names\":{\"id\":[",
		[NAMES] = ",\"name\":[",
		[STATES] = ",\"state\":[",  [TITLES] = ",\"title\":[", [INDEXES] = ",\"changed\":{\"row\":[",
	};

	if (r->piece < CELLS) {
		cgm_buf_str(b, keys[r->piece]);
		return;
	}
	cgm_json_key(b, cgm_cell_name((enum cgm_cell)(r->piece - CELLS)));
	cgm_buf_char(b, '[');
}

static bool is_left_out(const struct rows *r)
{
	return r->piece > HEAD && r->piece <= TITLES && !is_new_set(r);
}

/* One piece, or a part of one that is long. */
static void put_piece(struct cgm_buf *b, struct rows *r)
{
	size_t nr = r->piece < INDEXES ? r->snapshot->nr_rows : r->nr_changed, end = MIN(nr, r->at + ROWS_A_PIECE);

	if (r->piece == HEAD) {
		put_head(b, r);
		r->piece++;
		return;
	}
	if (!r->at)
		open_piece(b, r);
	for (; r->at < end; r->at++)
		put_element(b, r, r->at);
	if (end < nr)
		return;
	cgm_buf_str(b, r->piece == TITLES ? "]}" : "]");
	r->piece++;
	r->at = 0;
	r->listed = false;
}

static int rows_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct rows *r = (struct rows *)stream;
	size_t begin = out->len;

	while (r->piece < CELLS + CGM_NR_CELLS && out->len - begin < 8192 && !out->failed) {
		if (is_left_out(r))
			r->piece++;
		else
			put_piece(out, r);
	}
	if (r->piece < CELLS + CGM_NR_CELLS)
		return out->failed ? -ENOMEM : 1;
	cgm_buf_lit(out, "}}");
	return out->failed ? -ENOMEM : 0;
}

static void rows_free(struct cgm_stream *stream)
{
	struct rows *r = (struct rows *)stream;

	cgm_snapshot_unref(r->snapshot);
	free(r->cells);
	free(r->changed);
	free(r);
}

struct cgm_stream *cgm_json_rows(struct cgm_snapshot *s, uint64_t since_seq)
{
	_cleanup_free_ struct rows *r = cgm_calloc(1, sizeof(*r));
	_cleanup_free_ uint32_t *changed = cgm_malloc((s->nr_rows + 1) * sizeof(*changed));
	_cleanup_free_ struct cgm_cells *cells = NULL;

	if (!r || !changed)
		return NULL;
	r->since_seq = since_seq <= s->seq ? since_seq : 0;
	for (size_t i = 0; i < s->nr_rows; i++)
		if (!r->since_seq || s->rows[i].changed_seq > r->since_seq)
			changed[r->nr_changed++] = (uint32_t)i;
	cells = cgm_malloc((r->nr_changed + 1) * sizeof(*cells));
	if (!cells)
		return NULL;
	for (size_t i = 0; i < r->nr_changed; i++)
		cgm_cells_fill(&s->rows[changed[i]], &cells[i]);
	r->stream = (struct cgm_stream){ .next = rows_next, .free = rows_free };
	r->snapshot = cgm_snapshot_ref(s);
	r->changed = TAKE_PTR(changed);
	r->cells = TAKE_PTR(cells);
	return &TAKE_PTR(r)->stream;
}
