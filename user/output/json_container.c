// SPDX-License-Identifier: Apache-2.0
/*
 * ContainerInfo, one piece a time: the head of a container, its direct children some dozens at a time, its spec, then a sample at a
 * time. What is held is one reference of the snapshot and the iterator's scratch.
 */
#include "output/json.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "output/kubelet.h"
#include "output/selection.h"

#define CHILDREN_A_PIECE 64

enum phase { AT_ROW, AT_CHILDREN, AT_SPEC, AT_STATS };

struct containers {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_json_request request;
	struct cgm_selection selection;
	enum cgm_containers_form form;
	bool *network; /* by row: does it show its network? NULL: all do, as cAdvisor's */
	bool began, any;
	size_t row; /* == nr_rows: all written */
	enum phase phase;
	size_t child; /* next candidate */
	bool any_child;
	struct cgm_samples samples; /* with AT_STATS only */
};

static void put_children(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_snapshot *s = c->snapshot;

	for (size_t i = 0; i < CHILDREN_A_PIECE; c->child++) {
		if (!cgm_selection_in_run(s, c->child, c->row)) {
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

static void finish_row(struct containers *c, struct cgm_buf *b, bool had_stats)
{
	if (had_stats)
		cgm_buf_char(b, ']');
	cgm_buf_char(b, '}');
	c->row = cgm_selection_next(&c->selection, c->row);
	c->phase = AT_ROW;
}

/* Writes the spec, and finds which samples are wanted. */
static int put_spec_and_seek(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_row *row = &c->snapshot->rows[c->row];
	int r = cgm_samples_init(&c->samples, &row->history, c->request.nr_stats, c->request.start_ns, c->request.end_ns);

	c->phase = AT_STATS;
	cgm_buf_lit(b, "\"spec\":");
	if (c->network)
		cgm_json_spec_kubelet(b, &row->spec, row->identity, row->app, c->network[c->row]);
	else
		cgm_json_spec_v1(b, &row->spec, row->identity, row->app);
	if (r < 0 || c->samples.nr_left) {
		cgm_buf_lit(b, ",\"stats\":[");
		return r;
	}
	cgm_samples_done(&c->samples);
	finish_row(c, b, false);
	return 0;
}

static int put_sample(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_row *row = &c->snapshot->rows[c->row];
	const struct cgm_who *who = row->identity->who;
	bool network = !c->network || c->network[c->row];
	int r = cgm_samples_next(&c->samples);

	if (r < 0)
		return r;
	if (r > 0) {
		(network ? cgm_json_stats : cgm_json_stats_less_network)(b, c->samples.iter.time_ns, c->samples.iter.layout, c->samples.iter.values,
									  who ? who->health : NULL);
		/* Of what its application says the newest alone is kept. */
		if (c->samples.iter.time_ns == row->time_ns && row->app && row->app->nr && b->len) {
			b->len--;
			cgm_json_app_stats(b, row->app);
			cgm_buf_char(b, '}');
		}
		cgm_buf_char(b, ',');
		if (c->samples.nr_left)
			return 0;
	}
	cgm_json_chop(b);
	cgm_samples_done(&c->samples);
	finish_row(c, b, true);
	return 0;
}

static void put_head(struct containers *c, struct cgm_buf *b)
{
	const struct cgm_identity *id = c->snapshot->rows[c->row].identity;

	if (c->any)
		cgm_buf_char(b, ',');
	c->any = true;
	if (c->form == CGM_CONTAINERS_MAP) {
		cgm_json_string(b, id->name);
		cgm_buf_char(b, ':');
	}
	cgm_buf_char(b, '{');
	if (id->who) {
		cgm_buf_lit(b, "\"id\":");
		cgm_json_string(b, id->who->id);
		cgm_buf_char(b, ',');
	}
	cgm_buf_lit(b, "\"name\":");
	cgm_json_string(b, id->name);
	cgm_buf_char(b, ',');
	cgm_json_aliases(b, id);
	if (!c->network) /* the kubelet's form has nothing of ours */
		cgm_json_state(b, id->who);
	c->child = c->row + 1;
	c->any_child = false;
	c->phase = AT_CHILDREN;
}

static int containers_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct containers *c = (struct containers *)stream;
	static const char opens[][2] = { "", "[", "{" }, closes[][2] = { "", "]", "}" };
	int r = 0;

	if (!c->began)
		cgm_buf_str(out, opens[c->form]);
	c->began = true;
	if (c->row >= c->snapshot->nr_rows) { /* none at all */
		cgm_buf_str(out, closes[c->form]);
		return out->failed ? -ENOMEM : 0;
	}
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
	cgm_buf_str(out, closes[c->form]);
	return out->failed ? -ENOMEM : 0;
}

static void containers_free(struct cgm_stream *stream)
{
	struct containers *c = (struct containers *)stream;

	if (c->phase == AT_STATS)
		cgm_samples_done(&c->samples);
	cgm_snapshot_unref(c->snapshot);
	free(c->network);
	free(c);
}

struct cgm_stream *cgm_json_containers(struct cgm_snapshot *s, const struct cgm_selection *selection, enum cgm_containers_form form,
				       const struct cgm_json_request *request)
{
	struct containers *c = cgm_calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->stream = (struct cgm_stream){ .next = containers_next, .free = containers_free };
	c->snapshot = cgm_snapshot_ref(s);
	c->request = *request;
	c->selection = *selection;
	c->form = form;
	c->row = cgm_selection_first(&c->selection);
	return &c->stream;
}

struct cgm_stream *cgm_json_kubelet_containers(struct cgm_snapshot *s, const struct cgm_selection *selection, enum cgm_containers_form form,
					       const struct cgm_json_request *request)
{
	struct cgm_stream *stream = cgm_json_containers(s, selection, form, request);
	struct containers *c = (struct containers *)stream;

	if (c && cgm_kubelet_network(s, &c->network) < 0) {
		cgm_stream_free(stream);
		return NULL;
	}
	return stream;
}
