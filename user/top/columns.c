// SPDX-License-Identifier: Apache-2.0
#include "top/columns.h"

#include <math.h>

#include "base/cleanup.h"
#include "cgmeter/abi.h"

const struct cgm_column_info cgm_columns[CGM_NR_COLUMNS] = {
#define CGM_COLUMN(id, key, title, letter, kind, width, rank, warn, bad, json, help)                                                       \
	[CGM_COL_##id] = {key, title, json, help, letter, CGM_KIND_##kind, width, rank, warn, bad},
#include "top/columns.def"
};

enum cgm_column cgm_column_find(const char *key)
{
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		if (strcmp(cgm_columns[i].key, key) == 0)
			return (enum cgm_column)i;
	return CGM_NR_COLUMNS;
}

enum cgm_column cgm_column_of_letter(int letter)
{
	for (unsigned i = 0; i < CGM_NR_COLUMNS; i++)
		if (cgm_columns[i].letter == letter)
			return (enum cgm_column)i;
	return CGM_NR_COLUMNS;
}

/* What would be rounded to a digit more is written as that: 9.96 is 10, and 1023.6K is 1.0M. */
static void scaled(double v, double base, const char *const *units, size_t nr, char *buf)
{
	size_t u = 0;

	for (; u + 1 < nr && v >= base - 0.5; u++)
		v /= base;
	snprintf(buf, CGM_CELL_TEXT, v < 9.95 && (u || v != floor(v)) ? "%.1f%s" : "%.0f%s", v, units[u]);
}

static void format_time(double ns, char *buf)
{
	static const char *const units[] = {"ns", "us", "ms"};

	if (ns <= (double)cgm_hist_bounds[0])
		snprintf(buf, CGM_CELL_TEXT, "<1us");
	else if (ns >= 64e9)
		snprintf(buf, CGM_CELL_TEXT, ">64s");
	else if (ns >= 999.5e6)
		snprintf(buf, CGM_CELL_TEXT, ns < 9.95e9 ? "%.1fs" : "%.0fs", ns / 1e9);
	else
		scaled(ns, 1000, units, ARRAY_SIZE(units), buf);
}

const char *cgm_column_format(enum cgm_column_kind kind, double v, char buf[CGM_CELL_TEXT])
{
	static const char *const binary[] = {"", "K", "M", "G", "T", "P", "E"};
	static const char *const decimal[] = {"", "k", "M", "G", "T", "P", "E"};

	if (isnan(v)) {
		snprintf(buf, CGM_CELL_TEXT, "-");
		return buf;
	}
	switch (kind) {
	case CGM_KIND_PERCENT:
		if (v < 99999.5)
			snprintf(buf, CGM_CELL_TEXT, v < 999.95 ? "%.1f" : "%.0f", v);
		else
			scaled(v, 1000, decimal, ARRAY_SIZE(decimal), buf);
		break;
	case CGM_KIND_TIME:
		format_time(v, buf);
		break;
	case CGM_KIND_BYTES:
		scaled(v, 1024, binary, ARRAY_SIZE(binary), buf);
		break;
	case CGM_KIND_COUNT:
		if (v < 99999.5) {
			snprintf(buf, CGM_CELL_TEXT, "%.0f", v);
			break;
		}
		/* fall through */
	default:
		scaled(v, 1000, decimal, ARRAY_SIZE(decimal), buf);
		break;
	}
	return buf;
}

size_t cgm_columns_choose(size_t width, enum cgm_column sort, bool show[CGM_NR_COLUMNS])
{
	size_t left = width, name = cgm_columns[CGM_COL_NAME].width;

	memset(show, 0, CGM_NR_COLUMNS * sizeof(*show));
	show[CGM_COL_NAME] = true;
	for (unsigned rank = 0; rank <= CGM_NR_COLUMNS; rank++) {
		for (unsigned i = 0; i < CGM_NR_COLUMNS; i++) {
			const struct cgm_column_info *c = &cgm_columns[i];
			bool wanted = rank ? c->rank == rank : i == sort;

			/* The one that is sorted by may press the name together, but not out. */
			if (!wanted || show[i] || left < c->width + 1 + (rank ? name : name / 2))
				continue;
			show[i] = true;
			left -= c->width + 1;
		}
	}
	return left;
}
