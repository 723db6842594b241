// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "serve/influx.h"

static void unref(json_t **j)
{
	json_decref(*j);
}

static struct cgm_influx_cell cell_of(const json_t *j)
{
	if (json_is_integer(j))
		return (struct cgm_influx_cell){ .kind = CGM_INFLUX_INT, .i = json_integer_value(j) };
	if (json_is_real(j))
		return (struct cgm_influx_cell){ .kind = CGM_INFLUX_FLOAT, .f = json_real_value(j) };
	if (json_is_string(j))
		return (struct cgm_influx_cell){ .kind = CGM_INFLUX_TEXT, .text = json_string_value(j) };
	return (struct cgm_influx_cell){ .kind = CGM_INFLUX_NONE };
}

static int read_series(const json_t *series, cgm_influx_row row, void *arg)
{
	const json_t *columns = json_object_get(series, "columns"), *values = json_object_get(series, "values"), *one;
	const char *names[CGM_INFLUX_COLUMNS], *name = json_string_value(json_object_get(series, "name"));
	struct cgm_influx_cell cells[CGM_INFLUX_COLUMNS];
	size_t nr = MIN(json_array_size(columns), (size_t)CGM_INFLUX_COLUMNS), i, j;
	int r = 0;

	for (i = 0; i < nr; i++) {
		names[i] = json_string_value(json_array_get(columns, i));
		if (!names[i])
			names[i] = "";
	}
	json_array_foreach(values, i, one) {
		for (j = 0; j < nr; j++)
			cells[j] = cell_of(json_array_get(one, j));
		r = row(arg, name ? name : "", names, cells, nr);
		if (r)
			break;
	}
	return r;
}

int cgm_influx_read(const char *json, size_t len, cgm_influx_row row, void *arg, char *fault, size_t fault_size)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	const json_t *result = json_array_get(json_object_get(j, "results"), 0), *series = json_object_get(result, "series");
	const char *error = json_string_value(json_object_get(j, "error"));
	size_t i;
	int r = 0;

	if (!error)
		error = json_string_value(json_object_get(result, "error"));
	if (error || !json_is_object(result)) {
		snprintf(fault, fault_size, "%.200s", error ? error : "its answer is none of InfluxDB");
		return -EIO;
	}
	for (i = 0; r == 0 && i < json_array_size(series); i++)
		r = read_series(json_array_get(series, i), row, arg);
	return r;
}
