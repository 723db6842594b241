// SPDX-License-Identifier: Apache-2.0
#include "serve/ask.h"

#include <stdarg.h>

#include "output/json.h"

const char *cgm_ask_param(const struct cgm_ask *a, const char *name)
{
	for (size_t i = 0; i < a->nr_params; i++)
		if (!strcmp(a->params[i].name, name))
			return a->params[i].value;
	return NULL;
}

bool cgm_ask_part(struct cgm_str *path, struct cgm_str *ret)
{
	while (path->len && *path->p == '/') {
		path->p++;
		path->len--;
	}
	return cgm_next_field(path, '/', ret);
}

void cgm_reply_text(struct cgm_buf *out, const char *text)
{
	cgm_json_string(out, text);
}

void cgm_reply_time(struct cgm_buf *out, uint64_t ns)
{
	cgm_json_time(out, ns);
}

void cgm_reply_fault(struct cgm_reply *r, unsigned status, const char *fmt, ...)
{
	va_list ap;

	r->status = status;
	r->type = "text/plain; charset=utf-8";
	r->body.len = 0;
	va_start(ap, fmt);
	cgm_buf_vprintf(&r->body, fmt, ap);
	va_end(ap);
	cgm_buf_char(&r->body, '\n');
}
