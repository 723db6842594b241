/* SPDX-License-Identifier: Apache-2.0 */
/* The table of columns, and how a value is written in a few characters. No state; any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum cgm_column {
#define CGM_COLUMN(id, key, title, letter, kind, width, rank, warn, bad, json, help) CGM_COL_##id,
#include "top/columns.def"
	CGM_NR_COLUMNS,
};

enum cgm_column_kind { CGM_KIND_PERCENT, CGM_KIND_TIME, CGM_KIND_BYTES, CGM_KIND_RATE, CGM_KIND_COUNT, CGM_KIND_TEXT };

struct cgm_column_info {
	const char *key, *title, *json, *help;
	char letter;
	enum cgm_column_kind kind;
	unsigned width, rank;
	double warn, bad; /* 0: never */
};
extern const struct cgm_column_info cgm_columns[CGM_NR_COLUMNS];

/* CGM_NR_COLUMNS: there is none. */
enum cgm_column cgm_column_find(const char *key);
enum cgm_column cgm_column_of_letter(int letter);

#define CGM_CELL_TEXT 16
/* At most five characters (percentages: six); "-" for NAN. Returns buf. */
const char *cgm_column_format(enum cgm_column_kind kind, double v, char buf[CGM_CELL_TEXT]);

/*
 * Which columns a line of that width shows: those of the lowest rank that fit beside a name of 20 characters; the one that is sorted by in
 * any case. show is by column (NAME: always). Returns how many characters are left for the name, a blank before it not counted.
 */
size_t cgm_columns_choose(size_t width, enum cgm_column sort, bool show[CGM_NR_COLUMNS]);
