// SPDX-License-Identifier: Apache-2.0
#include "serve/exposition.h"

#include <math.h>

#include "base/utf8.h"
#include "export/points.h"

struct cgm_family cgm_family_begin(struct cgm_buf *out, const char *name, const char *type, const char *help)
{
	cgm_buf_printf(out, "# HELP %s ", name);
	for (const char *p = help; *p; p++) {
		if (*p == '\\' || *p == '\n')
			cgm_buf_char(out, '\\');
		cgm_buf_char(out, *p == '\n' ? 'n' : *p);
	}
	cgm_buf_printf(out, "\n# TYPE %s %s\n", name, type);
	return (struct cgm_family){ .out = out, .name = name };
}

void cgm_family_sample(struct cgm_family *f, const char *suffix)
{
	cgm_buf_str(f->out, f->name);
	cgm_buf_str(f->out, suffix);
	f->open = false;
}

void cgm_exposition_text(struct cgm_buf *out, const char *text)
{
	for (const char *p = text; *p;) {
		size_t len = cgm_utf8_len((const unsigned char *)p);

		if (*p == '\\' || *p == '"' || *p == '\n') {
			cgm_buf_char(out, '\\');
			cgm_buf_char(out, *p == '\n' ? 'n' : *p);
		} else if (len) {
			cgm_buf_put(out, p, len);
		} else {
			cgm_buf_lit(out, "\xef\xbf\xbd");
		}
		p += len ? len : 1;
	}
}

void cgm_family_label(struct cgm_family *f, const char *name, const char *value)
{
	cgm_buf_char(f->out, f->open ? ',' : '{');
	cgm_buf_str(f->out, name);
	cgm_buf_lit(f->out, "=\"");
	cgm_exposition_text(f->out, value);
	cgm_buf_char(f->out, '"');
	f->open = true;
}

static void end_labels(struct cgm_family *f)
{
	cgm_buf_str(f->out, f->open ? "} " : " ");
}

void cgm_family_u64(struct cgm_family *f, uint64_t v)
{
	end_labels(f);
	cgm_buf_u64(f->out, v);
	cgm_buf_char(f->out, '\n');
}

void cgm_family_fixed(struct cgm_family *f, uint64_t v, unsigned digits)
{
	end_labels(f);
	cgm_buf_fixed(f->out, v, digits);
	cgm_buf_char(f->out, '\n');
}

void cgm_family_double(struct cgm_family *f, double v)
{
	end_labels(f);
	if (isnan(v))
		cgm_buf_lit(f->out, "NaN");
	else if (isinf(v))
		cgm_buf_str(f->out, v > 0 ? "+Inf" : "-Inf");
	else
		cgm_buf_f64(f->out, v);
	cgm_buf_char(f->out, '\n');
}

void cgm_family_one(struct cgm_buf *out, const char *name, const char *type, const char *help, uint64_t v, unsigned digits)
{
	struct cgm_family f = cgm_family_begin(out, name, type, help);

	cgm_family_sample(&f, "");
	cgm_family_fixed(&f, v, digits);
}
