// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "export/influxdb.h"

static void take_error(const json_t *object, struct cgm_influxdb_answer *to)
{
	const char *text = json_string_value(json_object_get(object, "error"));

	if (!text || *to->error)
		return;
	snprintf(to->error, sizeof(to->error), "%s", *text ? text : "an error without words");
	for (char *p = to->error; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
}

static size_t column(const json_t *columns, const char *name)
{
	size_t i;
	const json_t *c;

	json_array_foreach(columns, i, c)
		if (json_is_string(c) && strcmp(json_string_value(c), name) == 0)
			return i;
	return SIZE_MAX;
}

static void take_policies(const json_t *series, const char *named, struct cgm_influxdb_answer *to)
{
	const json_t *columns = json_object_get(series, "columns"), *row;
	size_t name_at = column(columns, "name"), default_at = column(columns, "default"), i;

	json_array_foreach(json_object_get(series, "values"), i, row) {
		const char *name = json_string_value(json_array_get(row, name_at));

		if (!name)
			continue;
		to->has_named |= strcmp(name, named) == 0;
		if (json_is_true(json_array_get(row, default_at)) && strlen(name) < sizeof(to->policy))
			snprintf(to->policy, sizeof(to->policy), "%s", name);
	}
}

int cgm_influxdb_answer(const char *json, size_t len, const char *named, struct cgm_influxdb_answer *ret)
{
	json_t *root = json_loadb(json, len, 0, NULL);
	const json_t *results, *result, *series;
	size_t i, k;

	*ret = (struct cgm_influxdb_answer){ 0 };
	if (!json_is_object(root)) {
		json_decref(root);
		return -EINVAL;
	}
	take_error(root, ret);
	results = json_object_get(root, "results");
	json_array_foreach(results, i, result) {
		take_error(result, ret);
		json_array_foreach(json_object_get(result, "series"), k, series)
			take_policies(series, named, ret);
	}
	json_decref(root);
	return 0;
}
