// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "export/answer.h"

static void unref(json_t **j)
{
	json_decref(*j);
}

int cgm_answer_put(const char *json, size_t len, struct cgm_answer_put *ret)
{
	_cleanup_(unref) json_t *j = json_loadb(len ? json : "", len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *failed = json_object_get(j, "failed"), *errors = json_object_get(j, "errors");
	const char *text = json_string_value(json_object_get(json_array_get(errors, 0), "error"));
	struct cgm_answer_put r = { 0 };

	if (!json_is_integer(failed) || json_integer_value(failed) < 0 || !json_is_integer(json_object_get(j, "success")))
		return -EINVAL;
	r.nr_failed = (uint64_t)json_integer_value(failed);
	snprintf(r.text, sizeof(r.text), "%s", text ? text : "");
	for (char *p = r.text; *p; p++)
		if (!isprint((unsigned char)*p))
			*p = ' ';
	*ret = r;
	return 0;
}
