// SPDX-License-Identifier: Apache-2.0
#include <jansson.h>
#include <string.h>

#include "kube/call.h"
#include "kube/json.h"

/* It goes to a log: one line, and nothing that a terminal takes for more than text. */
static void put_line(char *to, size_t size, const char *text)
{
	size_t len = 0;

	for (; *text && len + 1 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c > ' ' && c < 0x7f)
			to[len++] = (char)c;
		else if (len && to[len - 1] != ' ')
			to[len++] = ' ';
	}
	to[len] = '\0';
}

static const char *phrase(unsigned status)
{
	switch (status) {
	case 400:
		return " Bad Request";
	case 401:
		return " Unauthorized";
	case 403:
		return " Forbidden";
	case 404:
		return " Not Found";
	case 410:
		return " Gone";
	case 429:
		return " Too Many Requests";
	case 500:
		return " Internal Server Error";
	case 503:
		return " Service Unavailable";
	case 504:
		return " Gateway Timeout";
	default:
		return "";
	}
}

void cgm_kube_status_fault(struct cgm_kube *k, unsigned status, const char *answer, size_t len, char *fault)
{
	_cleanup_(cgm_json_freep) json_t *j = len ? json_loadb(answer, len, JSON_ALLOW_NUL, NULL) : NULL;
	const json_t *object = json_object_get(j, "object"); /* an event bears it */
	const char *message = cgm_json_text(object ? object : j, "message");
	char text[130] = "";

	if (message)
		put_line(text, sizeof(text), message);
	snprintf(fault, CGM_KUBE_FAULT, "%.90s: %u%s%s%s", cgm_kube_server(k), status, phrase(status), *text ? ": " : "", text);
}
