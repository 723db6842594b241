// SPDX-License-Identifier: Apache-2.0
/*
 * ContainerInfo, one piece a time: the head of a container, its direct children some dozens at a time, its spec, then a sample at a
 * time. What is held is one reference of the snapshot and the iterator's scratch.
 */
#include "output/json.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"

#define CHILDREN_A_PIECE 64

enum phase { AT_ROW, AT_CHILDREN, AT_SPEC, AT_STATS };

struct containers {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_json_request request;
	size_t top, row; /* row index == nr_rows: all written */
	bool recursive;
	enum phase phase;
	size_t child; /* next candidate */
	bool any_child;
	struct cgm_history_iter iter; /* with AT_STATS only */
	size_t nr_left; /* samples of this row still to be written */
};

/*
 * Rows are sorted by name, so all descendants of a row follow it within the run of names that begin with its own; that run also
 * holds strangers ("/a-b" after "/a").
 */
static bool in_run(const struct cgm_snapshot *s, size_t row, size_t top)
{
	const char *name = s->rows[top].identity->name;

	return row < s->nr_rows && strncmp(s->rows[row].identity->name, name, strlen(name)) == 0;
}

static size_t next_row(const struct containers *c)
{
	size_t row = c->row + 1;

	if (!c->recursive)
		return c->snapshot->nr_rows;
	for (; in_run(c->snapshot, row, c->top); row++)
		if (cgm_snapshot_is_below(c->snapshot, row, c->top))
			return row;
	return c->snapshot->nr_rows;
}

static void put_children(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_snapshot *s = c->snapshot;

	for (size_t i = 0; i < CHILDREN_A_PIECE; c->child++) {
		if (!in_run(s, c->child, c->row)) {
			if (c->any_child)
				cgm_buf_lit(b, "],");
			c->phase = AT_SPEC;
			return;
		}
		if (s->rows[c->child].parent != c->row)
			continue;
		if (c->any_child)
			cgm_buf_lit(b, ",{\"name\":");
		else
			cgm_buf_lit(b, "\"subcontainers\":[{\"name\":");
		cgm_json_string(b, s->rows[c->child].identity->name);
		cgm_buf_char(b, '}');
		c->any_child = true;
		i++;
	}
}

/* A limit is exact, also above 2^63-1; 0 is left out. */
static void put_limit(struct cgm_buf *b, const char *key, uint64_t v)
{
	if (!v)
		return;
	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
	cgm_buf_u64(b, v);
	cgm_buf_char(b, ',');
}

static void put_has(struct cgm_buf *b, const char *key, bool v)
{
	cgm_buf_lit(b, ",\"has_");
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
	cgm_json_bool(b, v);
}

static void put_spec(struct cgm_buf *b, const struct cgm_spec *spec)
{
	cgm_buf_lit(b, "\"spec\":{\"creation_time\":");
	cgm_json_time(b, spec->creation_time_ns);
	cgm_buf_lit(b, ",\"start_time\":\"0001-01-01T00:00:00Z\"");
	put_has(b, "cpu", spec->has_cpu);
	cgm_buf_lit(b, ",\"cpu\":{\"limit\":");
	cgm_buf_u64(b, spec->cpu_shares);
	cgm_buf_lit(b, ",\"max_limit\":0,");
	if (*spec->cpu_mask) {
		cgm_buf_lit(b, "\"mask\":");
		cgm_json_string(b, spec->cpu_mask);
		cgm_buf_char(b, ',');
	}
	put_limit(b, "quota", spec->cpu_quota_usec);
	put_limit(b, "period", spec->cpu_period_usec);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
	put_has(b, "memory", spec->has_memory);
	cgm_buf_lit(b, ",\"memory\":{");
	if (spec->has_memory) {
		put_limit(b, "limit", spec->memory_limit);
		put_limit(b, "reservation", spec->memory_reservation);
		put_limit(b, "swap_limit", spec->memory_swap_limit);
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
	put_has(b, "hugetlb", spec->has_hugetlb);
	put_has(b, "network", spec->has_network);
	put_has(b, "processes", spec->has_processes);
	cgm_buf_lit(b, ",\"processes\":{");
	if (spec->has_processes)
		put_limit(b, "limit", spec->pids_limit);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
	put_has(b, "filesystem", spec->has_filesystem);
	put_has(b, "diskio", spec->has_diskio);
	put_has(b, "custom_metrics", false);
	cgm_buf_char(b, '}');
}

static void finish_row(struct containers *c, struct cgm_buf *b, bool had_stats)
{
	if (had_stats)
		cgm_buf_char(b, ']');
	cgm_buf_char(b, '}');
	c->row = next_row(c);
	c->phase = AT_ROW;
}

/* Writes the spec, and finds which samples are wanted. */
static int put_spec_and_seek(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_row *row = &c->snapshot->rows[c->row];
	size_t first = 0, nr = 0;
	int r = 0;

	put_spec(b, &row->spec);
	if (c->request.nr_stats)
		r = cgm_history_view_range(&row->history, c->request.start_ns, c->request.end_ns, &first, &nr);
	if (r < 0)
		return r;
	if (c->request.nr_stats >= 0 && nr > (uint64_t)c->request.nr_stats) {
		first += nr - (size_t)c->request.nr_stats;
		nr = (size_t)c->request.nr_stats;
	}
	if (!nr) {
		finish_row(c, b, false);
		return 0;
	}
	cgm_history_iter_init(&c->iter, &row->history);
	c->phase = AT_STATS;
	c->nr_left = nr;
	cgm_buf_lit(b, ",\"stats\":[");
	return cgm_history_iter_seek(&c->iter, first);
}

static int put_sample(struct containers *c, struct cgm_buf *b)
{
	int r = cgm_history_iter_next(&c->iter);

	if (r < 0)
		return r;
	if (r > 0) {
		cgm_json_stats(b, c->iter.time_ns, c->iter.layout, c->iter.values);
		cgm_buf_char(b, ',');
		c->nr_left--;
	}
	if (r > 0 && c->nr_left)
		return 0;
	cgm_json_chop(b);
	cgm_history_iter_done(&c->iter);
	finish_row(c, b, true);
	return 0;
}

static void put_head(struct containers *c, struct cgm_buf *b)
{
	if (c->row != c->top)
		cgm_buf_char(b, ',');
	else if (c->recursive)
		cgm_buf_char(b, '[');
	cgm_buf_lit(b, "{\"name\":");
	cgm_json_string(b, c->snapshot->rows[c->row].identity->name);
	cgm_buf_char(b, ',');
	c->child = c->row + 1;
	c->any_child = false;
	c->phase = AT_CHILDREN;
}

static int containers_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct containers *c = (struct containers *)stream;
	int r = 0;

	switch (c->phase) {
	case AT_ROW:
		put_head(c, out);
		break;
	case AT_CHILDREN:
		put_children(c, out);
		break;
	case AT_SPEC:
		r = put_spec_and_seek(c, out);
		break;
	case AT_STATS:
		r = put_sample(c, out);
		break;
	}
	if (r < 0 || out->failed)
		return -ENOMEM;
	if (c->row < c->snapshot->nr_rows)
		return 1;
	if (c->recursive)
		cgm_buf_char(out, ']');
	return out->failed ? -ENOMEM : 0;
}

static void containers_free(struct cgm_stream *stream)
{
	struct containers *c = (struct containers *)stream;

	if (c->phase == AT_STATS)
		cgm_history_iter_done(&c->iter);
	cgm_snapshot_unref(c->snapshot);
	free(c);
}

struct cgm_stream *cgm_json_containers(struct cgm_snapshot *s, size_t row, bool recursive, const struct cgm_json_request *request)
{
	struct containers *c = cgm_calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->stream = (struct cgm_stream){ .next = containers_next, .free = containers_free };
	c->snapshot = cgm_snapshot_ref(s);
	c->request = *request;
	c->top = c->row = row;
	c->recursive = recursive;
	return &c->stream;
}
