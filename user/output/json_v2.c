// SPDX-License-Identifier: Apache-2.0
/*
 * Maps by name of a container, as the v2 interfaces answer. One piece a time: what comes before the samples of a container, then a sample
 * at a time. What is held is one reference of the snapshot, the iterator's scratch, and the CPU times of the sample before.
 */
#include "output/json.h"

#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"

/* CPU times of the sample that was written before, for cpu_inst. */
struct before {
	bool has;
	uint64_t time_ns, total_ns, user_ns, system_ns;
	uint64_t *per_cpu;
	size_t nr_cpus, cap_cpus;
};

struct v2 {
	struct cgm_stream stream;
	struct cgm_snapshot *snapshot;
	struct cgm_selection selection;
	enum cgm_v2_kind kind;
	int64_t count;
	size_t row; /* == nr_rows: all written */
	bool began, any, in_samples;
	struct cgm_samples samples; /* while in_samples */
	struct before before;
};

static bool is_map(const struct v2 *v)
{
	return v->kind != CGM_V2_MACHINE_STATS;
}

static void put_key(struct cgm_buf *b, const char *key)
{
	cgm_buf_char(b, '"');
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
}

static void put_number(struct cgm_buf *b, const char *key, uint64_t v)
{
	put_key(b, key);
	cgm_json_u64(b, v);
	cgm_buf_char(b, ',');
}

static void put_has(struct cgm_buf *b, const char *key, bool has)
{
	cgm_buf_lit(b, ",\"has_");
	cgm_buf_str(b, key);
	cgm_buf_lit(b, "\":");
	cgm_json_bool(b, has);
}

/* ---- cpu_inst ---- */

static const struct cgm_layout_block *cpu_block(const struct cgm_layout *l)
{
	for (uint32_t i = 0; i < l->nr_blocks; i++)
		if (l->blocks[i].kind == CGM_LAYOUT_CPU && l->blocks[i].nr)
			return &l->blocks[i];
	return NULL;
}

/* Nanoseconds of CPU a second. */
static uint64_t rate(uint64_t before, uint64_t now, uint64_t ns)
{
	return (uint64_t)((double)(now - before) * (double)CGM_NSEC_PER_SEC / (double)ns);
}

/* Is every time at least what it was? */
static bool comparable(const struct before *x, const struct cgm_samples *s, const struct cgm_layout_block *cpus)
{
	const uint64_t *v = s->iter.values;

	if (!x->has || s->iter.time_ns <= x->time_ns || v[CGM_V_CPU_USAGE_TOTAL] < x->total_ns || v[CGM_V_CPU_USAGE_USER] < x->user_ns ||
	    v[CGM_V_CPU_USAGE_SYSTEM] < x->system_ns || (cpus ? cpus->nr : 0) != x->nr_cpus)
		return false;
	for (size_t i = 0; i < x->nr_cpus; i++)
		if (v[cpus->first + i] < x->per_cpu[i])
			return false;
	return true;
}

static void put_cpu_inst(struct cgm_buf *b, const struct before *x, const struct cgm_samples *s)
{
	const struct cgm_layout_block *cpus = cpu_block(s->iter.layout);
	const uint64_t *v = s->iter.values;
	uint64_t ns = s->iter.time_ns - x->time_ns;

	if (!comparable(x, s, cpus))
		return;
	cgm_buf_lit(b, ",\"cpu_inst\":{\"usage\":{");
	put_number(b, "total", rate(x->total_ns, v[CGM_V_CPU_USAGE_TOTAL], ns));
	if (cpus) {
		cgm_buf_lit(b, "\"per_cpu_usage\":[");
		for (size_t i = 0; i < x->nr_cpus; i++) {
			cgm_json_u64(b, rate(x->per_cpu[i], v[cpus->first + i], ns));
			cgm_buf_char(b, ',');
		}
		cgm_json_chop(b);
		cgm_buf_lit(b, "],");
	}
	put_number(b, "user", rate(x->user_ns, v[CGM_V_CPU_USAGE_USER], ns));
	put_number(b, "system", rate(x->system_ns, v[CGM_V_CPU_USAGE_SYSTEM], ns));
	cgm_json_chop(b);
	cgm_buf_lit(b, "}}");
}

static int remember(struct before *x, const struct cgm_samples *s)
{
	const struct cgm_layout_block *cpus = cpu_block(s->iter.layout);
	const uint64_t *v = s->iter.values;

	if (cpus && cpus->nr > x->cap_cpus) {
		uint64_t *p = cgm_realloc(x->per_cpu, cpus->nr * sizeof(*p));

		if (!p)
			return -ENOMEM;
		x->per_cpu = p;
		x->cap_cpus = cpus->nr;
	}
	x->nr_cpus = cpus ? cpus->nr : 0;
	for (size_t i = 0; i < x->nr_cpus; i++)
		x->per_cpu[i] = v[cpus->first + i];
	x->has = true;
	x->time_ns = s->iter.time_ns;
	x->total_ns = v[CGM_V_CPU_USAGE_TOTAL];
	x->user_ns = v[CGM_V_CPU_USAGE_USER];
	x->system_ns = v[CGM_V_CPU_USAGE_SYSTEM];
	return 0;
}

/* ---- a sample ---- */

static void put_stats_20(struct cgm_buf *b, const struct cgm_spec *spec, const struct before *before, const struct cgm_samples *s, const struct cgm_app_metrics *app)
{
	const struct cgm_layout *l = s->iter.layout;
	const uint64_t *v = s->iter.values;

	put_has(b, "cpu", spec->has_cpu);
	cgm_json_stats_part(b, CGM_PART_CPU, l, v);
	if (spec->has_cpu)
		put_cpu_inst(b, before, s);
	put_has(b, "diskio", spec->has_diskio);
	cgm_json_stats_part(b, CGM_PART_DISKIO, l, v);
	put_has(b, "memory", spec->has_memory);
	cgm_json_stats_part(b, CGM_PART_MEMORY, l, v);
	put_has(b, "hugetlb", spec->has_hugetlb);
	cgm_json_hugetlb(b, l, v);
	put_has(b, "network", cgm_json_stats_has(l, CGM_PART_NETWORK));
	cgm_json_stats_part(b, CGM_PART_NETWORK, l, v);
	put_has(b, "processes", cgm_json_stats_has(l, CGM_PART_PROCESSES));
	cgm_json_stats_part(b, CGM_PART_PROCESSES, l, v);
	put_has(b, "filesystem", cgm_json_stats_has(l, CGM_PART_FILESYSTEM));
	cgm_json_stats_part(b, CGM_PART_FILESYSTEM, l, v);
	put_has(b, "load", cgm_json_stats_has(l, CGM_PART_LOAD));
	cgm_json_stats_part(b, CGM_PART_LOAD, l, v);
	put_has(b, "custom_metrics", app != NULL);
	if (app)
		cgm_json_app_stats(b, app);
	cgm_json_stats_rest(b, l, v);
	cgm_buf_char(b, '}');
}

/* Only a container with one file system has it here; the machine's are in machinestats. */
static void put_filesystem_21(struct cgm_buf *b, const struct cgm_layout *l, const uint64_t *v)
{
	const struct cgm_layout_block *one = NULL;

	for (uint32_t i = 0; i < l->nr_blocks; i++) {
		if (l->blocks[i].kind != CGM_LAYOUT_FS)
			continue;
		if (one)
			return;
		one = &l->blocks[i];
	}
	if (!one)
		return;
	cgm_buf_lit(b, ",\"filesystem\":{");
	put_number(b, "totalUsageBytes", v[one->first + CGM_FS_USAGE]);
	put_number(b, "baseUsageBytes", v[one->first + CGM_FS_BASE_USAGE]);
	put_number(b, "containter_inode_usage", v[one->first + CGM_FS_INODES]); /* as it is on the wire */
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

static void put_part_if(struct cgm_buf *b, bool has, enum cgm_stats_part part, const struct cgm_samples *s)
{
	if (has && cgm_json_stats_has(s->iter.layout, part))
		cgm_json_stats_part(b, part, s->iter.layout, s->iter.values);
}

static void put_stats_21(struct cgm_buf *b, const struct cgm_spec *spec, const struct before *before, const struct cgm_samples *s, const struct cgm_app_metrics *app)
{
	put_part_if(b, spec->has_cpu, CGM_PART_CPU, s);
	if (spec->has_cpu)
		put_cpu_inst(b, before, s);
	put_part_if(b, spec->has_diskio, CGM_PART_DISKIO, s);
	put_part_if(b, spec->has_memory, CGM_PART_MEMORY, s);
	cgm_json_hugetlb(b, s->iter.layout, s->iter.values);
	put_part_if(b, true, CGM_PART_NETWORK, s);
	put_part_if(b, true, CGM_PART_PROCESSES, s);
	put_filesystem_21(b, s->iter.layout, s->iter.values);
	put_part_if(b, true, CGM_PART_LOAD, s);
	if (app)
		cgm_json_app_stats(b, app);
	cgm_json_stats_rest(b, s->iter.layout, s->iter.values);
	cgm_buf_char(b, '}');
}

/* What v2.1 calls inline was meant to be that. */
static void put_machine_fs(struct cgm_buf *b, const struct cgm_layout_block *fs, const uint64_t *v)
{
	static const struct {
		const char *key;
		enum cgm_fs_value value;
		uint64_t unit; /* times are ns here, ms there */
	} numbers[] = {
		{ "reads_completed", CGM_FS_READS_COMPLETED, 1 },   { "reads_merged", CGM_FS_READS_MERGED, 1 },
		{ "sectors_read", CGM_FS_SECTORS_READ, 1 },	    { "read_duration", CGM_FS_READ_TIME, CGM_NSEC_PER_MSEC },
		{ "writes_completed", CGM_FS_WRITES_COMPLETED, 1 }, { "writes_merged", CGM_FS_WRITES_MERGED, 1 },
		{ "sectors_written", CGM_FS_SECTORS_WRITTEN, 1 },   { "write_duration", CGM_FS_WRITE_TIME, CGM_NSEC_PER_MSEC },
		{ "io_in_progress", CGM_FS_IO_IN_PROGRESS, 1 },	    { "io_duration", CGM_FS_IO_TIME, CGM_NSEC_PER_MSEC },
		{ "weighted_io_duration", CGM_FS_WEIGHTED_IO_TIME, CGM_NSEC_PER_MSEC },
	};

	v += fs->first;
	cgm_buf_lit(b, "{\"device\":");
	cgm_json_string(b, fs->name);
	cgm_buf_lit(b, ",\"type\":");
	cgm_json_string(b, fs->type);
	cgm_buf_char(b, ',');
	put_number(b, "capacity", v[CGM_FS_CAPACITY]);
	put_number(b, "usage", v[CGM_FS_USAGE]);
	put_number(b, "available", v[CGM_FS_AVAILABLE]);
	if (v[CGM_FS_HAS_INODES])
		put_number(b, "inodes_free", v[CGM_FS_INODES_FREE]);
	cgm_buf_lit(b, "\"inline\":{");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		put_number(b, numbers[i].key, v[numbers[i].value] * numbers[i].unit);
	cgm_json_chop(b);
	cgm_buf_lit(b, "}},");
}

static void put_machine_stats(struct cgm_buf *b, const struct cgm_spec *spec, const struct before *before, const struct cgm_samples *s)
{
	const struct cgm_layout *l = s->iter.layout;

	put_part_if(b, spec->has_cpu, CGM_PART_CPU, s);
	if (spec->has_cpu)
		put_cpu_inst(b, before, s);
	put_part_if(b, spec->has_memory, CGM_PART_MEMORY, s);
	put_part_if(b, true, CGM_PART_NETWORK, s);
	if (cgm_json_stats_has(l, CGM_PART_FILESYSTEM)) {
		cgm_buf_lit(b, ",\"filesystem\":[");
		for (uint32_t i = 0; i < l->nr_blocks; i++)
			if (l->blocks[i].kind == CGM_LAYOUT_FS)
				put_machine_fs(b, &l->blocks[i], s->iter.values);
		cgm_json_chop(b);
		cgm_buf_char(b, ']');
	}
	put_part_if(b, true, CGM_PART_LOAD, s);
	cgm_buf_char(b, '}');
}

static int put_sample(struct v2 *v, struct cgm_buf *b)
{
	const struct cgm_row *row = &v->snapshot->rows[v->row];
	const struct cgm_app_metrics *app = v->samples.iter.time_ns == row->time_ns && row->app && row->app->nr ? row->app : NULL; /* the newest has it */
	const struct cgm_spec *spec = &row->spec;

	cgm_buf_lit(b, "{\"timestamp\":");
	cgm_json_time(b, v->samples.iter.time_ns);
	if (v->kind == CGM_V20_STATS)
		put_stats_20(b, spec, &v->before, &v->samples, app);
	else if (v->kind == CGM_V21_STATS)
		put_stats_21(b, spec, &v->before, &v->samples, app);
	else
		put_machine_stats(b, spec, &v->before, &v->samples);
	return remember(&v->before, &v->samples);
}

/* ---- summary ---- */

static void put_percentiles(struct cgm_buf *b, const char *key, const struct cgm_percentiles *p)
{
	put_key(b, key);
	cgm_buf_lit(b, "{\"present\":");
	cgm_json_bool(b, p->nr > 0);
	cgm_buf_char(b, ',');
	put_number(b, "mean", p->mean);
	put_number(b, "std", p->std);
	put_number(b, "max", p->max);
	put_number(b, "fifty", p->fifty);
	put_number(b, "ninety", p->ninety);
	put_number(b, "ninetyfive", p->ninety_five);
	put_number(b, "count", p->nr);
	cgm_json_chop(b);
	cgm_buf_lit(b, "},");
}

static void put_usage(struct cgm_buf *b, const char *key, const struct cgm_usage *u)
{
	put_key(b, key);
	cgm_buf_char(b, '{');
	put_number(b, "percent_complete", u->percent_complete);
	put_percentiles(b, "cpu", &u->cpu);
	put_percentiles(b, "memory", &u->memory);
	cgm_json_chop(b);
	cgm_buf_lit(b, "},");
}

static int put_summary(struct cgm_buf *b, const struct cgm_row *row)
{
	struct cgm_derived d;
	int r = cgm_summary_read(row->summary, &row->history, row->time_ns, &d);

	if (r < 0)
		return r;
	cgm_buf_lit(b, "{\"timestamp\":");
	cgm_json_time(b, d.time_ns);
	cgm_buf_lit(b, ",\"latest_usage\":{");
	put_number(b, "cpu", d.cpu);
	put_number(b, "memory", d.memory);
	cgm_json_chop(b);
	cgm_buf_lit(b, "},");
	put_usage(b, "minute_usage", &d.minute);
	put_usage(b, "hour_usage", &d.hour);
	put_usage(b, "day_usage", &d.day);
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
	return 0;
}

/* ---- the stream ---- */

/* Opens the list of samples, when there are any or the list stands there also when it is empty. */
static int begin_samples(struct v2 *v, struct cgm_buf *b)
{
	const struct cgm_row *row = &v->snapshot->rows[v->row];
	int r = cgm_samples_init(&v->samples, &row->history, v->count, 0, 0);

	v->in_samples = true;
	v->before.has = false;
	if (v->kind == CGM_V21_STATS) {
		cgm_buf_lit(b, "{\"spec\":");
		cgm_json_spec_v2(b, &row->spec, row->identity, row->app);
		if (v->samples.nr_left)
			cgm_buf_lit(b, ",\"stats\":[");
	} else {
		cgm_buf_char(b, '[');
	}
	return r;
}

/* A row without samples is one piece. */
static int put_row(struct v2 *v, struct cgm_buf *b)
{
	const struct cgm_row *row = &v->snapshot->rows[v->row];
	int r = 0;

	if (is_map(v)) {
		if (v->any)
			cgm_buf_char(b, ',');
		cgm_json_string(b, row->identity->name);
		cgm_buf_char(b, ':');
	}
	v->any = true;
	if (v->kind != CGM_V2_SPEC && v->kind != CGM_V2_SUMMARY)
		return begin_samples(v, b);
	if (v->kind == CGM_V2_SPEC)
		cgm_json_spec_v2(b, &row->spec, row->identity, row->app);
	else
		r = put_summary(b, row);
	v->row = cgm_selection_next(&v->selection, v->row);
	return r;
}

static void end_samples(struct v2 *v, struct cgm_buf *b, bool had_any)
{
	cgm_json_chop(b);
	if (v->kind != CGM_V21_STATS || had_any)
		cgm_buf_char(b, ']');
	if (v->kind == CGM_V21_STATS)
		cgm_buf_char(b, '}');
	cgm_samples_done(&v->samples);
	v->in_samples = false;
	v->row = cgm_selection_next(&v->selection, v->row);
}

static int next_sample(struct v2 *v, struct cgm_buf *b)
{
	int r = cgm_samples_next(&v->samples);

	if (r > 0)
		r = put_sample(v, b) < 0 ? -ENOMEM : 1;
	if (r < 0)
		return r;
	if (r > 0 && v->samples.nr_left) {
		cgm_buf_char(b, ',');
		return 0;
	}
	end_samples(v, b, r > 0);
	return 0;
}

static int v2_next(struct cgm_stream *stream, struct cgm_buf *out)
{
	struct v2 *v = (struct v2 *)stream;
	int r = 0;

	if (!v->began && is_map(v))
		cgm_buf_char(out, '{');
	v->began = true;
	if (v->in_samples)
		r = next_sample(v, out);
	else if (v->row < v->snapshot->nr_rows)
		r = put_row(v, out);
	if (r < 0 || out->failed)
		return -ENOMEM;
	if (v->in_samples || v->row < v->snapshot->nr_rows)
		return 1;
	if (is_map(v))
		cgm_buf_char(out, '}');
	return out->failed ? -ENOMEM : 0;
}

static void v2_free(struct cgm_stream *stream)
{
	struct v2 *v = (struct v2 *)stream;

	if (v->in_samples)
		cgm_samples_done(&v->samples);
	free(v->before.per_cpu);
	cgm_snapshot_unref(v->snapshot);
	free(v);
}

struct cgm_stream *cgm_json_v2(struct cgm_snapshot *s, enum cgm_v2_kind kind, const struct cgm_selection *selection, int64_t count)
{
	struct v2 *v = cgm_calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->stream = (struct cgm_stream){ .next = v2_next, .free = v2_free };
	v->snapshot = cgm_snapshot_ref(s);
	v->selection = *selection;
	v->selection.skip_root = kind == CGM_V21_STATS;
	v->kind = kind;
	v->count = count;
	v->row = cgm_selection_first(&v->selection);
	return &v->stream;
}
