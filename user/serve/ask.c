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
	struct cgm_buf *b = &r->body;
	va_list ap;
	int len;

	r->status = status;
	r->type = "text/plain; charset=utf-8";
	b->len = 0;
	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0 || !cgm_buf_reserve(b, (size_t)len + 1))
		return;
	va_start(ap, fmt);
	vsnprintf(b->p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len = (size_t)len;
	cgm_buf_char(b, '\n');
}
