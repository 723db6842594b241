// SPDX-License-Identifier: Apache-2.0
/*
 * The samples of one cgroup by column: gauges as they are, counters as the difference to the sample before (exact where the totals are beyond
 * what JavaScript's numbers hold; null where that sample is not known or the counter began anew). The first sample is compared with the last
 * one that the reader has, when the history still holds it: so a reader that asks for what is new misses nothing.
 */
#include "output/json.h"

#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/trail.h"

/* Of the samples as they are kept while the answer is made; wide ones (many CPUs, interfaces) are fewer. */
#define MAX_FRAME_BYTES ((size_t)8 << 20)
#define MISSING (UINT64_MAX - 1)

/* The values that the page draws. */
static const enum cgm_value shown[] = {
	CGM_V_CPU_USAGE_TOTAL, CGM_V_CPU_USAGE_USER, CGM_V_CPU_USAGE_SYSTEM, CGM_V_CPU_CFS_PERIODS, CGM_V_CPU_CFS_THROTTLED_PERIODS,
	CGM_V_CPU_CFS_THROTTLED_TIME, CGM_V_CPU_SCHED_RUN_TIME, CGM_V_CPU_SCHED_RUNQUEUE_TIME, CGM_V_CPU_LOAD_AVERAGE,
	CGM_V_CPU_PSI_SOME_AVG10, CGM_V_CPU_PSI_FULL_AVG10, CGM_V_IO_PSI_SOME_AVG10, CGM_V_IO_PSI_FULL_AVG10, CGM_V_MEMORY_PSI_SOME_AVG10,
	CGM_V_MEMORY_PSI_FULL_AVG10, CGM_V_MEMORY_USAGE, CGM_V_MEMORY_WORKING_SET, CGM_V_MEMORY_RSS, CGM_V_MEMORY_CACHE, CGM_V_MEMORY_SWAP,
	CGM_V_MEMORY_MAPPED_FILE, CGM_V_MEMORY_FILE_DIRTY, CGM_V_MEMORY_FILE_WRITEBACK, CGM_V_MEMORY_KERNEL, CGM_V_MEMORY_PGFAULT,
	CGM_V_MEMORY_PGMAJFAULT, CGM_V_MEMORY_FAILCNT, CGM_V_MEMORY_EVENTS_HIGH, CGM_V_MEMORY_EVENTS_MAX, CGM_V_OOM_EVENTS, CGM_V_TASKS_SLEEPING,
	CGM_V_TASKS_RUNNING, CGM_V_TASKS_STOPPED, CGM_V_TASKS_UNINTERRUPTIBLE, CGM_V_TASKS_IOWAIT, CGM_V_PROCESS_COUNT, CGM_V_THREADS_CURRENT,
	CGM_V_THREADS_MAX,
};
static const enum cgm_disk_value shown_disk[] = { CGM_DISK_BYTES_READ, CGM_DISK_BYTES_WRITE, CGM_DISK_IOS_READ, CGM_DISK_IOS_WRITE,
						  CGM_DISK_QUEUED_TOTAL, CGM_DISK_IO_TIME };
static const enum cgm_iface_value shown_iface[] = { CGM_IFACE_RX_BYTES, CGM_IFACE_RX_ERRORS, CGM_IFACE_RX_DROPPED,
						    CGM_IFACE_TX_BYTES, CGM_IFACE_TX_ERRORS, CGM_IFACE_TX_DROPPED };
/* inodes_free stands last. */
static const enum cgm_fs_value shown_fs[] = { CGM_FS_CAPACITY, CGM_FS_USAGE, CGM_FS_AVAILABLE, CGM_FS_INODES, CGM_FS_INODES_FREE };

static const struct {
	const char *name;
	enum cgm_kind kind;
} values[] = {
#define CGM_VALUE(id, kind, unit, json, v1, v2) { json, CGM_##kind },
#include "cgmeter/metrics.def"
};
static const struct {
	const char *name;
	enum cgm_kind kind;
} disk_values[] = {
#define CGM_DISK_VALUE(id, kind, unit, json, op) { json "." op, CGM_##kind },
#include "cgmeter/metrics.def"
};
static const char *const iface_names[] = {
#define CGM_IFACE_VALUE(id, kind, unit, json) json,
#include "cgmeter/metrics.def"
};
static const char *const fs_names[] = {
#define CGM_FS_VALUE(id, kind, unit, json) json,
#include "cgmeter/metrics.def"
};

struct series {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	const struct cgm_row *row;
	struct cgm_json_range range;
	/*
	 * Samples of `width` values each: by the layout of the snapshot's row, then the trail. A ring of `room`, in which sample 0 (at `base`) is
	 * the one before the first that is told; its time is 0 and all of it MISSING when there is none.
	 */
	uint64_t *frame, *times_ns;
	size_t width, room, base, nr_samples, skipped;
	unsigned section; /* next one */
	size_t at; /* in that section */
	bool listed; /* something stands in its list already: what follows needs a comma before it */
};

static size_t slot(const struct series *s, size_t i)
{
	return (s->base + i) % s->room;
}

static uint64_t *sample(const struct series *s, size_t i)
{
	return s->frame + slot(s, i) * s->width;
}

static uint64_t time_of(const struct series *s, size_t i)
{
	return s->times_ns[slot(s, i)];
}

/* ---- what is asked for, out of the histories ---- */

static const struct cgm_layout_block *same_block(const struct cgm_layout *l, const struct cgm_layout_block *b, uint32_t guess)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *other = &l->blocks[(guess + i) % l->nr_blocks];

		if (other->kind == b->kind && other->major == b->major && other->minor == b->minor && other->nr == b->nr &&
		    strcmp(other->name, b->name) == 0)
			return other;
	}
	return NULL;
}

/* A sample of an older layout, as the newest has it. */
static void put_sample(const struct series *s, const struct cgm_history_iter *it, uint64_t *to)
{
	const struct cgm_layout *l = s->row->layout;

	if (it->layout == l) {
		memcpy(to, it->values, l->nr_values * sizeof(*to));
		return;
	}
	memcpy(to, it->values, CGM_NR_VALUES * sizeof(*to));
	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		const struct cgm_layout_block *b = same_block(it->layout, &l->blocks[i], i);

		for (uint32_t v = 0; v < l->blocks[i].nr; v++)
			to[l->blocks[i].first + v] = b ? it->values[b->first + v] : MISSING;
	}
}

/* With a step, samples that come too soon after the last one taken are passed over; a little is forgiven, as ticks are never quite even. */
static bool is_due(const struct series *s, uint64_t time_ns, uint64_t last_ns)
{
	uint64_t forgiven_ns = MIN(s->range.step_ns / 10, 50 * CGM_NSEC_PER_MSEC);

	return !last_ns || time_ns - last_ns + forgiven_ns >= s->range.step_ns;
}

static void take_sample(struct series *s, const struct cgm_history_iter *it)
{
	if (s->nr_samples + 1 == s->room) { /* the oldest gives way */
		s->base = slot(s, 1);
		s->skipped++;
	} else {
		s->nr_samples++;
	}
	put_sample(s, it, sample(s, s->nr_samples));
	s->times_ns[slot(s, s->nr_samples)] = it->time_ns;
}

static int walk(struct series *s, struct cgm_history_iter *it, size_t first, size_t nr)
{
	uint64_t last_ns = s->range.since_ns;
	int r = cgm_history_iter_seek(it, first ? first - 1 : 0);

	if (r == 0 && first) {
		r = cgm_history_iter_next(it);
		if (r > 0) {
			put_sample(s, it, sample(s, 0));
			s->times_ns[0] = it->time_ns;
		}
	}
	for (size_t i = 0; r >= 0 && i < nr; i++) {
		r = cgm_history_iter_next(it);
		if (r > 0 && is_due(s, it->time_ns, last_ns)) {
			take_sample(s, it);
			last_ns = it->time_ns;
		}
	}
	return MIN(r, 0);
}

static int read_history(struct series *s)
{
	size_t first = 0, nr = 0, most = MIN((size_t)CGM_SERIES_SAMPLES, MAX_FRAME_BYTES / (s->width * sizeof(uint64_t)) + 1);
	uint64_t start_ns = MAX(s->range.since_ns + 1, s->range.since_ns); /* there is nothing after the end of time */
	struct cgm_history_iter it;
	int r;

	if (s->range.window_ns && s->row->time_ns > s->range.window_ns)
		start_ns = MAX(start_ns, s->row->time_ns - s->range.window_ns);
	cgm_history_view_range(&s->row->history, start_ns, 0, &first, &nr);
	if (!s->range.step_ns && nr > most) { /* no need to look at the others */
		s->skipped = nr - most;
		first += s->skipped;
		nr = most;
	}
	s->room = MIN(nr, most) + 1;
	s->frame = cgm_malloc(s->room * s->width * sizeof(*s->frame));
	s->times_ns = cgm_calloc(s->room, sizeof(*s->times_ns));
	if (!s->frame || !s->times_ns)
		return -ENOMEM;
	for (size_t i = 0; i < s->width; i++)
		s->frame[i] = MISSING;
	cgm_history_iter_init(&it, &s->row->history);
	r = walk(s, &it, first, nr);
	cgm_history_iter_done(&it);
	return r;
}

/* Beside each sample what the trail held at its time. */
static int read_trail(struct series *s)
{
	size_t at = s->width - CGM_NR_TRAIL_VALUES;
	uint64_t held[CGM_NR_TRAIL_VALUES];
	struct cgm_history_iter it;
	int r;

	for (size_t v = 0; v < CGM_NR_TRAIL_VALUES; v++)
		held[v] = MISSING;
	cgm_history_iter_init(&it, &s->row->trail);
	r = cgm_history_iter_next(&it);
	for (size_t i = 0; r >= 0 && i <= s->nr_samples; i++) {
		for (; r > 0 && it.time_ns <= time_of(s, i); r = cgm_history_iter_next(&it))
			memcpy(held, it.values, sizeof(held));
		memcpy(sample(s, i) + at, held, sizeof(held));
	}
	cgm_history_iter_done(&it);
	return MIN(r, 0);
}

/* ---- columns ---- */

static void put_gauges(struct cgm_buf *b, const struct series *s, size_t column)
{
	cgm_buf_char(b, '[');
	for (size_t i = 1; i <= s->nr_samples; i++) {
		uint64_t v = sample(s, i)[column];

		if (v == MISSING)
			cgm_buf_lit(b, "null");
		else
			cgm_json_u64(b, v);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

/* False: not known, or the counter began anew. */
static bool difference(const struct series *s, size_t i, size_t column, uint64_t *ret)
{
	uint64_t before = sample(s, i - 1)[column], now = sample(s, i)[column];

	*ret = now - before;
	return before != MISSING && now != MISSING && now >= before;
}

static void put_differences(struct cgm_buf *b, const struct series *s, size_t column)
{
	uint64_t d;

	cgm_buf_char(b, '[');
	for (size_t i = 1; i <= s->nr_samples; i++) {
		if (difference(s, i, column, &d))
			cgm_buf_u64(b, d);
		else
			cgm_buf_lit(b, "null");
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static void put_column(struct cgm_buf *b, const struct series *s, const char *name, enum cgm_kind kind, size_t column)
{
	cgm_json_string(b, name);
	cgm_buf_char(b, ':');
	if (kind == CGM_COUNTER)
		put_differences(b, s, column);
	else
		put_gauges(b, s, column);
}

/* What a histogram counted in one step: [first bar that counted, its count, the next one's, …], 0 when none did, null when it is not known. */
static void put_bars(struct cgm_buf *b, const struct series *s, size_t i, size_t column)
{
	uint64_t d[CGM_HIST_BARS];
	size_t first = CGM_HIST_BARS, end = 0;

	for (size_t bar = 0; bar < CGM_HIST_BARS; bar++) {
		if (!difference(s, i, column + bar, &d[bar])) {
			cgm_buf_lit(b, "null,");
			return;
		}
		if (d[bar]) {
			first = MIN(first, bar);
			end = bar + 1;
		}
	}
	if (!end) {
		cgm_buf_lit(b, "0,");
		return;
	}
	cgm_buf_char(b, '[');
	cgm_buf_u64(b, first);
	for (size_t bar = first; bar < end; bar++) {
		cgm_buf_char(b, ',');
		cgm_buf_u64(b, d[bar]);
	}
	cgm_buf_lit(b, "],");
}

/* ---- sections: each writes its next piece, or says that it is through ---- */

static void put_comma(struct cgm_buf *b, struct series *s)
{
	if (s->listed)
		cgm_buf_char(b, ',');
	s->listed = true;
}

static void put_times(struct cgm_buf *b, const struct series *s)
{
	cgm_buf_lit(b, ",\"t_us\":[");
	for (size_t i = 1; i <= s->nr_samples; i++) {
		cgm_buf_u64(b, time_of(s, i) / 1000);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_lit(b, "],\"dt_us\":[");
	for (size_t i = 1; i <= s->nr_samples; i++) {
		if (time_of(s, i - 1))
			cgm_buf_u64(b, (time_of(s, i) - time_of(s, i - 1)) / 1000);
		else
			cgm_buf_lit(b, "null");
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

static bool put_head(struct cgm_buf *b, struct series *s)
{
	const struct cgm_row *row = s->row;
	uint64_t oldest_ns = row->history.oldest_ns, last_ns = s->nr_samples ? time_of(s, s->nr_samples) : s->range.since_ns;

	if (s->at++)
		return false;
	cgm_buf_lit(b, "{\"name\":");
	cgm_json_string(b, row->identity->name);
	/* Long numbers as texts: JavaScript's end at 2^53. */
	cgm_buf_printf(b, ",\"agent\":\"%" PRIu64 "\",\"id\":%u,\"next\":\"%" PRIu64 "\"", s->snapshot->self.start_time_ns, row->serial, last_ns);
	cgm_json_number(b, "time_us", row->time_ns / 1000);
	cgm_json_number(b, "kept_us", oldest_ns ? (row->time_ns - oldest_ns) / 1000 : 0);
	cgm_json_number(b, "skipped", s->skipped);
	put_times(b, s);
	cgm_buf_lit(b, ",\"values\":{");
	return true;
}

static bool put_values(struct cgm_buf *b, struct series *s)
{
	enum cgm_value v;

	if (s->at == ARRAY_SIZE(shown)) {
		cgm_buf_lit(b, "},\"per_cpu\":[");
		return false;
	}
	v = shown[s->at++];
	if (!cgm_layout_has(s->row->layout, v))
		return true;
	put_comma(b, s);
	put_column(b, s, values[v].name, values[v].kind, v);
	return true;
}

static bool put_cpus(struct cgm_buf *b, struct series *s)
{
	const struct cgm_layout *l = s->row->layout;
	size_t cpu = s->at++;

	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		if (l->blocks[i].kind != CGM_LAYOUT_CPU)
			continue;
		if (cpu < l->blocks[i].nr) {
			put_comma(b, s);
			put_differences(b, s, l->blocks[i].first + cpu);
			return true;
		}
		cpu -= l->blocks[i].nr;
	}
	cgm_buf_lit(b, "],\"interfaces\":{");
	return false;
}

/* The next block of that kind; NULL: no more. */
static const struct cgm_layout_block *next_block(struct series *s, enum cgm_layout_kind kind)
{
	const struct cgm_layout *l = s->row->layout;

	while (s->at < l->nr_blocks && l->blocks[s->at].kind != kind)
		s->at++;
	return s->at < l->nr_blocks ? &l->blocks[s->at++] : NULL;
}

static bool put_ifaces(struct cgm_buf *b, struct series *s)
{
	const struct cgm_layout_block *block = next_block(s, CGM_LAYOUT_IFACE);

	if (!block) {
		cgm_buf_lit(b, "},\"disks\":{");
		return false;
	}
	put_comma(b, s);
	cgm_json_string(b, block->name);
	for (size_t i = 0; i < ARRAY_SIZE(shown_iface); i++) {
		cgm_buf_str(b, i ? "," : ":{");
		put_column(b, s, iface_names[shown_iface[i]], CGM_COUNTER, block->first + shown_iface[i]);
	}
	cgm_buf_char(b, '}');
	return true;
}

static bool put_disks(struct cgm_buf *b, struct series *s)
{
	const struct cgm_layout_block *block = next_block(s, CGM_LAYOUT_DISK);

	if (!block) {
		cgm_buf_lit(b, "},\"filesystems\":[");
		return false;
	}
	put_comma(b, s);
	if (*block->name)
		cgm_json_string(b, block->name);
	else
		cgm_buf_printf(b, "\"%u:%u\"", block->major, block->minor);
	for (size_t i = 0; i < ARRAY_SIZE(shown_disk); i++) {
		cgm_buf_str(b, i ? "," : ":{");
		put_column(b, s, disk_values[shown_disk[i]].name, disk_values[shown_disk[i]].kind, block->first + shown_disk[i]);
	}
	cgm_buf_char(b, '}');
	return true;
}

/* As they are now: they fill slowly. */
static bool put_filesystems(struct cgm_buf *b, struct series *s)
{
	const struct cgm_layout_block *block = next_block(s, CGM_LAYOUT_FS);
	size_t nr = ARRAY_SIZE(shown_fs);

	if (!block) {
		cgm_buf_lit(b, "],\"kernel\":{");
		return false;
	}
	put_comma(b, s);
	cgm_buf_lit(b, "{\"device\":");
	cgm_json_string(b, block->name);
	cgm_buf_lit(b, ",\"type\":");
	cgm_json_string(b, block->type);
	if (!s->row->values[block->first + CGM_FS_HAS_INODES])
		nr--; /* of a layer: those in use, and no others */
	for (size_t i = 0; i < nr; i++)
		cgm_json_number(b, fs_names[shown_fs[i]], s->row->values[block->first + shown_fs[i]]);
	cgm_buf_char(b, '}');
	return true;
}

static bool put_trail(struct cgm_buf *b, struct series *s)
{
	size_t first = s->width - CGM_NR_TRAIL_VALUES;

	if (s->at == CGM_NR_TRAIL_NUMBERS || !s->row->live) {
		cgm_buf_lit(b, "},\"heat\":{");
		return false;
	}
	put_comma(b, s);
	put_column(b, s, cgm_trail_name((enum cgm_trail_value)s->at), CGM_COUNTER, first + s->at);
	s->at++;
	return true;
}

static bool put_heat(struct cgm_buf *b, struct series *s)
{
	size_t first = s->width - CGM_NR_TRAIL_VALUES;

	if (s->at == CGM_NR_TRAIL_HEATS || !s->row->live) {
		cgm_buf_lit(b, "}}");
		return false;
	}
	put_comma(b, s);
	cgm_json_string(b, cgm_trail_heat_name((enum cgm_trail_heat)s->at));
	cgm_buf_lit(b, ":[");
	for (size_t i = 1; i <= s->nr_samples; i++)
		put_bars(b, s, i, first + CGM_TRAIL_BARS(s->at));
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
	s->at++;
	return true;
}

static bool (*const sections[])(struct cgm_buf *b, struct series *s) = {
	put_head, put_values, put_cpus, put_ifaces, put_disks, put_filesystems, put_trail, put_heat,
};

static int series_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct series *s = (struct series *)stream;
	size_t begin = out->len;

	while (s->section < ARRAY_SIZE(sections) && out->len - begin < 8192 && !out->failed) {
		if (sections[s->section](out, s))
			continue;
		s->section++;
		s->at = 0;
		s->listed = false;
	}
	return out->failed ? -ENOMEM : s->section < ARRAY_SIZE(sections);
}

static void series_free(struct cgm_stream *stream)
{
	struct series *s = (struct series *)stream;

	if (s->snapshot)
		cgm_snapshot_unref(s->snapshot);
	free(s->frame);
	free(s->times_ns);
	free(s);
}

struct cgm_stream *cgm_json_series(struct cgm_snapshot *snapshot, size_t row, const struct cgm_json_range *range)
{
	struct series *s = cgm_calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->stream = (struct cgm_stream){ .next = series_next, .free = series_free };
	s->snapshot = cgm_snapshot_ref(snapshot);
	s->row = &snapshot->rows[row];
	s->range = *range;
	s->width = s->row->layout->nr_values + CGM_NR_TRAIL_VALUES;
	if (read_history(s) < 0 || read_trail(s) < 0) {
		series_free(&s->stream);
		return NULL;
	}
	return &s->stream;
}
