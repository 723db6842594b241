/* SPDX-License-Identifier: Apache-2.0 */
/* What this room adds to jansson, whose functions take NULL for a value that is not there. */
#pragma once
#include <jansson.h>

static inline void cgm_json_freep(json_t **j)
{
	json_decref(*j);
}

/* NULL: not there, or no text. */
static inline const char *cgm_json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}
