// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "sink/answer.h"

static void unref(json_t **j)
{
	json_decref(*j);
}

/* An error is an object with "type" and "reason"; a text, before version 2. */
static void put_error(const json_t *error, char *text, size_t size)
{
	const char *type = json_string_value(json_object_get(error, "type")), *reason = json_string_value(json_object_get(error, "reason"));

	if (json_is_string(error))
		snprintf(text, size, "%s", json_string_value(error));
	else
		snprintf(text, size, "%s: %s", type ? type : "error", reason ? reason : "no reason given");
}

static void read_item(const json_t *item, struct cgm_answer_bulk *ret)
{
	const json_t *result = json_object_iter_value(json_object_iter((json_t *)item)); /* the one value, by the name of the action */
	long long status = json_integer_value(json_object_get(result, "status"));
	const json_t *error = json_object_get(result, "error");

	ret->nr_items++;
	if (status >= 200 && status < 300)
		return;
	if (status == 429 || status >= 500)
		ret->nr_later++;
	else
		ret->nr_refused++;
	if (!*ret->text && error)
		put_error(error, ret->text, sizeof(ret->text));
}

int cgm_answer_bulk(const char *json, size_t len, struct cgm_answer_bulk *ret)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *items = json_object_get(j, "items"), *errors = json_object_get(j, "errors");
	struct cgm_answer_bulk r = { 0 };

	if (!json_is_boolean(errors) || (items && !json_is_array(items)))
		return -EINVAL;
	for (size_t i = 0; i < json_array_size(items); i++)
		read_item(json_array_get(items, i), &r);
	if (json_is_false(errors))
		r.nr_refused = r.nr_later = 0;
	*ret = r;
	return 0;
}

int cgm_answer_es_version(const char *json, size_t len, unsigned *ret_major)
{
	_cleanup_(unref) json_t *j = json_loadb(json, len, 0, NULL);
	const json_t *version = json_object_get(j, "version");
	const char *number = json_string_value(json_object_get(version, "number"));
	struct cgm_str text, major;
	uint64_t v;

	if (!number)
		return -EINVAL;
	text = cgm_str(number);
	if (!cgm_next_field(&text, '.', &major) || cgm_parse_u64(major, &v) < 0 || v > 1000)
		return -EINVAL;
	if (json_object_get(version, "distribution") && v < 7)
		v = 7; /* OpenSearch began as Elasticsearch 7, and counts from 1 */
	*ret_major = (unsigned)v;
	return 0;
}
