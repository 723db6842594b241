// SPDX-License-Identifier: Apache-2.0
#include "top/batch.h"

#include <math.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "output/json.h"
#include "top/grid.h"
#include "top/draw.h"

#define MAX_NAME 4096

static void put_titles(struct cgm_buf *out)
{
	for (unsigned i = 0; i < CGM_COL_NAME; i++)
		cgm_buf_printf(out, "%*s ", (int)cgm_columns[i].width, cgm_columns[i].title);
	cgm_buf_printf(out, "%s\n", cgm_columns[CGM_COL_NAME].title);
}

static void put_line(const struct cgm_model *m, const struct cgm_view *v, const struct cgm_line *line, bool ascii, struct cgm_buf *out)
{
	const struct cgm_top_row *row = &m->rows[line->row];
	char text[CGM_CELL_TEXT], name[MAX_NAME];

	for (unsigned i = 0; i < CGM_COL_NAME; i++)
		cgm_buf_printf(out, "%*s ", (int)cgm_columns[i].width, cgm_column_format(cgm_columns[i].kind, row->v[i], text));
	cgm_text_visible(row->title ? row->title : v->tree ? cgm_last_part(row->name) : row->name, ascii, name, sizeof(name));
	cgm_buf_printf(out, "%*s%s\n", v->tree ? 2 * (int)line->depth : 0, "", name);
}

void cgm_batch_table(const struct cgm_model *m, const struct cgm_view *v, const char *source, bool ascii, struct cgm_buf *out)
{
	char text[MAX_NAME], interval[CGM_DURATION_TEXT], when[40] = "";
	time_t t = (time_t)(m->time_ns / CGM_NSEC_PER_SEC);
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	cgm_buf_printf(out, "# %s  %s  %zu cgroups  %s\n", when, cgm_duration_text(m->interval_ns, interval), m->nr_rows,
		cgm_text_visible(source, ascii, text, sizeof(text)));
	put_titles(out);
	for (size_t i = 0; i < v->nr_lines; i++)
		put_line(m, v, &v->lines[i], ascii, out);
}

/* Three decimals, zeros at the end cut. */
static void put_number(struct cgm_buf *out, double v)
{
	if (isnan(v))
		cgm_buf_lit(out, "null");
	else if (v < 1e15)
		cgm_buf_fixed(out, (uint64_t)(v * 1000 + 0.5), 3);
	else
		cgm_buf_printf(out, "%.17g", v); /* not as an integer: readers have 63 bits for these */
}

static void put_container(const struct cgm_top_row *row, struct cgm_buf *out)
{
	cgm_buf_lit(out, "{\"name\":");
	cgm_json_string(out, row->name);
	if (row->title) {
		cgm_buf_lit(out, ",\"title\":");
		cgm_json_string(out, row->title);
	}
	for (unsigned i = 0; i < CGM_COL_NAME; i++) {
		cgm_buf_lit(out, ",\"");
		cgm_buf_str(out, cgm_columns[i].json);
		cgm_buf_lit(out, "\":");
		put_number(out, row->v[i]);
	}
	cgm_buf_char(out, '}');
}

void cgm_batch_json(const struct cgm_model *m, const struct cgm_view *v, const char *kind, const char *source, struct cgm_buf *out)
{
	cgm_buf_lit(out, "{\"time\":");
	cgm_json_time(out, m->time_ns);
	cgm_buf_lit(out, ",\"interval_ns\":");
	cgm_json_u64(out, m->interval_ns);
	cgm_buf_lit(out, ",\"source\":");
	cgm_json_string(out, kind);
	cgm_buf_lit(out, ",\"source_text\":");
	cgm_json_string(out, source);
	cgm_buf_lit(out, ",\"containers\":[");
	for (size_t i = 0; i < v->nr_lines; i++) {
		if (i)
			cgm_buf_char(out, ',');
		put_container(&m->rows[v->lines[i].row], out);
	}
	cgm_buf_lit(out, "]}\n");
}
