// SPDX-License-Identifier: Apache-2.0
/* What the page asks for. Fields that only the kernel side can give are null without it. */
#include "output/json.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "model/cells.h"
#include "model/trail.h"

#define ROWS_A_PIECE 32

static void put_known(struct cgm_buf *b, const char *key, bool known, uint64_t v)
{
	cgm_json_key(b, key);
	if (known)
		cgm_json_u64(b, v);
	else
		cgm_buf_lit(b, "null");
}

/* ---- tree ---- */

struct tree {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	size_t row; /* next one */
};

static void put_live(struct cgm_buf *b, const struct cgm_live *live)
{
	uint64_t rx = 0, tx = 0, read = 0, written = 0;

	for (size_t i = 0; live && i < CGM_NR_PROTOS; i++) {
		rx += live->net.proto[i].rx_bytes;
		tx += live->net.proto[i].tx_bytes;
	}
	for (size_t i = 0; live && i < live->nr_blocks; i++) {
		read += live->blocks[i].op == CGM_BLOCK_READ ? live->blocks[i].bytes : 0;
		written += live->blocks[i].op == CGM_BLOCK_WRITE ? live->blocks[i].bytes : 0;
	}
	put_known(b, "socket_rx_bytes", live, rx);
	put_known(b, "socket_tx_bytes", live, tx);
	put_known(b, "block_read_bytes", live, read);
	put_known(b, "block_write_bytes", live, written);
	put_known(b, "runq_delay_sum_ns", live, live ? live->sched.runq_delay.sum_ns : 0);
	put_known(b, "runq_delay_count", live, live ? live->sched.runq_delay.count : 0);
}

static void put_row(struct cgm_buf *b, const struct cgm_row *r)
{
	uint64_t nr_tasks;
	bool known = cgm_row_tasks(r, &nr_tasks);

	cgm_buf_lit(b, "{\"name\":");
	cgm_json_string(b, r->identity->name);
	cgm_json_number(b, "parent", r->parent);
	cgm_json_number(b, "time_ns", r->time_ns);
	put_known(b, "cpu_usage_ns", cgm_layout_has(r->layout, CGM_V_CPU_USAGE_TOTAL), r->values[CGM_V_CPU_USAGE_TOTAL]);
	put_known(b, "memory_usage_bytes", cgm_layout_has(r->layout, CGM_V_MEMORY_USAGE), r->values[CGM_V_MEMORY_USAGE]);
	put_known(b, "memory_working_set_bytes", cgm_layout_has(r->layout, CGM_V_MEMORY_WORKING_SET), r->values[CGM_V_MEMORY_WORKING_SET]);
	put_known(b, "nr_tasks", known, nr_tasks);
	put_live(b, r->live);
	cgm_buf_char(b, '}');
}

static int tree_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct tree *t = (struct tree *)stream;
	const struct cgm_snapshot *s = t->snapshot;

	if (!t->row) {
		cgm_buf_lit(out, "{\"time_ns\":");
		cgm_json_u64(out, s->time_ns);
		cgm_json_number(out, "seq", s->seq);
		cgm_json_key(out, "containers");
		cgm_buf_char(out, '[');
	}
	for (size_t i = 0; i < ROWS_A_PIECE && t->row < s->nr_rows; i++, t->row++) {
		if (t->row)
			cgm_buf_char(out, ',');
		put_row(out, &s->rows[t->row]);
	}
	if (t->row < s->nr_rows)
		return out->failed ? -ENOMEM : 1;
	cgm_buf_lit(out, "]}");
	return out->failed ? -ENOMEM : 0;
}

static void tree_free(struct cgm_stream *stream)
{
	struct tree *t = (struct tree *)stream;

	cgm_snapshot_unref(t->snapshot);
	free(t);
}

struct cgm_stream *cgm_json_tree(struct cgm_snapshot *s)
{
	struct tree *t = cgm_calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->stream = (struct cgm_stream){ .next = tree_next, .free = tree_free };
	t->snapshot = cgm_snapshot_ref(s);
	return &t->stream;
}

/* ---- waits ---- */

struct waits {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	const struct cgm_row *row;
	bool began;
	size_t block, wait; /* next ones */
};

static void put_hist(struct cgm_buf *b, const struct cgm_live_hist *h)
{
	uint64_t bars[CGM_HIST_BARS] = { 0 };

	for (unsigned i = 0; i < h->nr; i++)
		bars[cgm_hist_bar(h->first + i)] += h->buckets[i];
	cgm_buf_lit(b, "{\"count\":");
	cgm_json_u64(b, h->count);
	cgm_json_number(b, "sum_ns", h->sum_ns);
	cgm_json_key(b, "buckets");
	cgm_buf_char(b, '[');
	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		cgm_json_u64(b, bars[i]);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "]");
	cgm_json_number(b, "first", h->first);
	cgm_buf_lit(b, ",\"fine\":[");
	for (unsigned i = 0; i < h->nr; i++) {
		cgm_json_u64(b, h->buckets[i]);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "]}");
}

static void put_sched(struct cgm_buf *b, const struct cgm_live_sched *s)
{
	static const char *const kinds[CGM_NR_OFF_CPU] = { "sleep", "blocked", "iowait" };

	cgm_json_key(b, "runq_delay");
	put_hist(b, &s->runq_delay);
	cgm_json_key(b, "on_cpu");
	put_hist(b, &s->on_cpu);
	cgm_json_key(b, "off_cpu");
	cgm_buf_char(b, '{');
	for (size_t i = 0; i < CGM_NR_OFF_CPU; i++) {
		cgm_json_string(b, kinds[i]);
		cgm_buf_char(b, ':');
		put_hist(b, &s->off_cpu[i]);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_block(struct cgm_buf *b, const struct cgm_live_block *l)
{
	static const char *const ops[CGM_NR_BLOCK_OPS] = { "read", "write", "discard", "flush", "other" };

	uint64_t errors = 0;

	for (size_t i = 0; i < CGM_NR_BLOCK_ERRORS; i++)
		errors += l->errors[i];
	cgm_buf_lit(b, "{\"device\":");
	cgm_json_string(b, l->name);
	cgm_json_key(b, "op");
	cgm_json_string(b, l->op < CGM_NR_BLOCK_OPS ? ops[l->op] : "other");
	cgm_json_number(b, "bytes", l->bytes);
	cgm_json_number(b, "requests", l->requests);
	cgm_json_number(b, "errors", errors);
	cgm_json_number(b, "in_flight", l->issued > l->requests ? l->issued - l->requests : 0);
	cgm_json_key(b, "queue_to_done");
	put_hist(b, &l->queue_to_done);
	cgm_json_key(b, "issue_to_done");
	put_hist(b, &l->issue_to_done);
	cgm_buf_char(b, '}');
}

static void put_waits_head(struct cgm_buf *b, const struct cgm_row *row)
{
	cgm_buf_lit(b, "{\"name\":");
	cgm_json_string(b, row->identity->name);
	cgm_json_number(b, "time_ns", row->time_ns);
	cgm_json_key(b, "bounds_ns");
	cgm_buf_char(b, '[');
	for (unsigned i = 0; i + 1 < CGM_HIST_BUCKETS; i += 4) {
		cgm_buf_u64(b, cgm_hist_bound_ns(i));
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_printf(b, "],\"fine_log2\":%d,\"fine_offset\":%d", CGM_HIST_SCHEMA, CGM_HIST_FIRST_INDEX);
	if (row->live)
		put_sched(b, &row->live->sched);
	else
		cgm_buf_lit(b, ",\"runq_delay\":null,\"on_cpu\":null,\"off_cpu\":null");
	cgm_buf_str(b, row->live ? ",\"block\":[" : ",\"block\":null,\"waits\":null}");
}

/* Kinds of waits, as metrics.def describes them. */
static const struct {
	enum cgm_family_id family;
	const char *labels;
} wait_kinds[] = {
#define CGM_WAIT_SERIES(f, id, l) { CGM_F_##f, l },
#include "cgmeter/metrics.def"
};
static const struct {
	const char *name, *help;
} families[] = {
#define CGM_FAMILY(id, name, type, unit, group, help) [CGM_F_##id] = { name, help },
#include "cgmeter/metrics.def"
};

static void put_wait(struct cgm_buf *b, const struct cgm_live_wait *w)
{
	cgm_buf_lit(b, "{\"family\":");
	cgm_json_string(b, families[wait_kinds[w->wait].family].name);
	cgm_json_key(b, "labels");
	cgm_json_string(b, wait_kinds[w->wait].labels);
	cgm_json_key(b, "help");
	cgm_json_string(b, families[wait_kinds[w->wait].family].help);
	cgm_json_key(b, "hist");
	put_hist(b, &w->hist);
	cgm_buf_char(b, '}');
}

static int waits_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct waits *w = (struct waits *)stream;
	const struct cgm_live *live = w->row->live;

	if (!w->began) {
		w->began = true;
		put_waits_head(out, w->row);
		return out->failed ? -ENOMEM : live != NULL;
	}
	if (w->block < live->nr_blocks) {
		if (w->block)
			cgm_buf_char(out, ',');
		put_block(out, &live->blocks[w->block++]);
		return out->failed ? -ENOMEM : 1;
	}
	cgm_buf_str(out, w->wait ? "," : "],\"waits\":[");
	if (w->wait < live->nr_waits)
		put_wait(out, &live->waits[w->wait]);
	if (++w->wait < live->nr_waits)
		return out->failed ? -ENOMEM : 1;
	cgm_buf_lit(out, "]}");
	return out->failed ? -ENOMEM : 0;
}

static void waits_free(struct cgm_stream *stream)
{
	struct waits *w = (struct waits *)stream;

	cgm_snapshot_unref(w->snapshot);
	free(w);
}

struct cgm_stream *cgm_json_waits(struct cgm_snapshot *s, size_t row)
{
	struct waits *w = cgm_calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->stream = (struct cgm_stream){ .next = waits_next, .free = waits_free };
	w->snapshot = cgm_snapshot_ref(s);
	w->row = &s->rows[row];
	return &w->stream;
}

/* ---- status ---- */

static void put_programs(struct cgm_buf *b, const struct cgm_self *self)
{
	cgm_json_key(b, "programs");
	cgm_buf_char(b, '[');
	for (size_t i = 0; i < self->nr_programs; i++) {
		const struct cgm_program_status *p = &self->programs[i];

		cgm_buf_lit(b, "{\"name\":");
		cgm_json_string(b, p->name);
		cgm_json_key(b, "hook");
		cgm_json_string(b, p->hook);
		cgm_json_key(b, "mode");
		cgm_json_string(b, p->mode);
		cgm_json_key(b, "reason");
		cgm_json_string(b, p->reason);
		cgm_json_number(b, "runs", p->runs);
		cgm_json_number(b, "run_ns", p->run_ns);
		cgm_json_number(b, "missed", p->missed);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void put_groups(struct cgm_buf *b, const struct cgm_self *self)
{
	cgm_json_key(b, "groups");
	cgm_buf_char(b, '[');
	for (size_t i = 0; i < self->nr_groups; i++) {
		const struct cgm_group_status *g = &self->groups[i];

		cgm_buf_lit(b, "{\"name\":");
		cgm_json_string(b, g->name);
		cgm_json_key(b, "on");
		cgm_json_bool(b, g->on);
		cgm_json_key(b, "reason");
		cgm_json_string(b, g->reason);
		cgm_json_number(b, "nr_switched_off", g->nr_switched_off);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "],\"maps\":[");
	for (size_t i = 0; i < self->nr_maps; i++) {
		cgm_buf_lit(b, "{\"name\":");
		cgm_json_string(b, self->maps[i].name);
		cgm_json_number(b, "bytes", self->maps[i].bytes);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void put_drops(struct cgm_buf *b, const struct cgm_self *self)
{
	cgm_json_key(b, "drops");
	cgm_buf_char(b, '{');
	for (unsigned i = 0; i < CGM_NR_DROPS; i++) {
		cgm_json_string(b, cgm_drop_name((enum cgm_drop)i));
		cgm_buf_char(b, ':');
		cgm_json_u64(b, self->drops[i]);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

void cgm_json_status(struct cgm_buf *b, const struct cgm_snapshot *s, const char *version, bool has_processes)
{
	const struct cgm_self *self = &s->self;

	cgm_buf_lit(b, "{\"version\":");
	cgm_json_string(b, version);
	cgm_json_key(b, "cgroup_mode");
	cgm_json_string(b, self->cgroup_mode ? self->cgroup_mode : "");
	cgm_json_key(b, "has_kernel_side");
	cgm_json_bool(b, self->has_kernel_side);
	cgm_json_key(b, "has_processes");
	cgm_json_bool(b, has_processes);
	cgm_json_key(b, "adopted");
	cgm_json_bool(b, self->adopted);
	cgm_json_number(b, "time_ns", s->time_ns);
	cgm_json_number(b, "start_time_ns", self->start_time_ns);
	cgm_json_number(b, "seq", s->seq);
	cgm_json_number(b, "nr_containers", s->nr_rows);
	cgm_json_number(b, "nr_ticks", self->nr_ticks);
	cgm_json_number(b, "nr_missed_ticks", self->nr_missed_ticks);
	cgm_json_number(b, "tick_cpu_ns", self->tick_cpu_ns);
	cgm_json_number(b, "nr_samples", self->nr_samples);
	cgm_json_number(b, "nr_lost_samples", self->nr_lost_samples);
	cgm_json_number(b, "nr_vanished", self->nr_vanished);
	cgm_json_number(b, "cpu_ns", self->cpu_ns);
	cgm_json_number(b, "user_ns", self->user_ns);
	cgm_json_number(b, "system_ns", self->system_ns);
	cgm_json_number(b, "overhead_ppm", self->overhead_ppm);
	cgm_json_number(b, "budget_ppm", self->budget_ppm);
	cgm_json_number(b, "rss_bytes", self->rss_bytes);
	cgm_json_number(b, "nr_fds", self->nr_fds);
	cgm_json_number(b, "history_bytes", self->history_bytes);
	cgm_json_number(b, "snapshot_bytes", self->snapshot_bytes);
	cgm_json_number(b, "map_bytes", self->map_bytes);
	cgm_json_number(b, "nr_slots", self->nr_slots);
	cgm_json_number(b, "nr_slots_used", self->nr_slots_used);
	put_drops(b, self);
	put_programs(b, self);
	put_groups(b, self);
	cgm_buf_char(b, '}');
}
