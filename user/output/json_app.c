// SPDX-License-Identifier: Apache-2.0
/* Metrics of applications as cAdvisor's answers have them. */
#include "output/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>


/* JSON has no word for what is no number: null. */
static void put_number(struct cgm_buf *b, const struct cgm_app_metric *m, double v)
{
	char text[32];

	cgm_buf_str(b, m->kind.is_int ? "\"int_value\":" : "\"float_value\":");
	if (isnan(v) || isinf(v))
		snprintf(text, sizeof(text), "null");
	else
		snprintf(text, sizeof(text), m->kind.is_int ? "%.0f" : "%.15g", v);
	if (!m->kind.is_int && text[0] != 'n' && strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	cgm_buf_str(b, text);
}

/* All labels in one text, the metric's name among them; between two of them stands a byte that is no UTF-8 and reaches clients as U+FFFD. */
static void put_label(struct cgm_buf *b, const struct cgm_app_metric *m, const struct cgm_app_value *v)
{
	_cleanup_(cgm_buf_done) struct cgm_buf text = { 0 };

	if (m->kind.is_prometheus) {
		cgm_buf_lit(&text, "__name__=");
		cgm_buf_str(&text, m->name);
	}
	for (size_t i = 0; i < v->nr_labels; i++) {
		cgm_buf_lit(&text, "\xef\xbf\xbd");
		cgm_buf_str(&text, v->labels[i].key);
		cgm_buf_char(&text, '=');
		cgm_buf_str(&text, v->labels[i].value);
	}
	cgm_buf_char(&text, '\0');
	b->failed |= text.failed;
	if (!text.failed)
		cgm_json_string(b, text.p);
}

static void put_labels(struct cgm_buf *b, const struct cgm_app_value *v)
{
	cgm_buf_lit(b, ",\"labels\":{");
	for (size_t i = 0; i < v->nr_labels; i++) {
		if (i && strcmp(v->labels[i].key, v->labels[i - 1].key) == 0)
			continue;
		cgm_json_string(b, v->labels[i].key);
		cgm_buf_char(b, ':');
		cgm_json_string(b, v->labels[i].value);
		cgm_buf_char(b, ',');
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

/* ,"custom_metrics":[{"name":…}] */
void cgm_json_app_spec(struct cgm_buf *b, const struct cgm_app_metrics *app)
{
	cgm_buf_lit(b, ",\"custom_metrics\":[");
	for (size_t i = 0; i < app->nr; i++) {
		const struct cgm_app_metric *m = &app->metrics[i];

		cgm_buf_lit(b, "{\"name\":");
		cgm_json_string(b, m->name);
		cgm_buf_lit(b, ",\"type\":");
		cgm_json_string(b, m->kind.type);
		cgm_buf_str(b, m->kind.is_int ? ",\"format\":\"int\",\"units\":" : ",\"format\":\"float\",\"units\":");
		cgm_json_string(b, m->kind.units);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, ']');
}

void cgm_json_app_stats(struct cgm_buf *b, const struct cgm_app_metrics *app)
{
	cgm_buf_lit(b, ",\"custom_metrics\":{");
	for (size_t i = 0; i < app->nr; i++) {
		const struct cgm_app_metric *m = &app->metrics[i];

		cgm_json_string(b, m->name);
		cgm_buf_lit(b, ":[");
		for (size_t n = 0; n < m->nr_values; n++) {
			const struct cgm_app_value *v = &m->values[n];

			cgm_buf_char(b, '{');
			if (m->kind.is_prometheus) {
				cgm_buf_lit(b, "\"label\":");
				put_label(b, m, v);
				put_labels(b, v);
				cgm_buf_char(b, ',');
			}
			cgm_buf_lit(b, "\"timestamp\":");
			cgm_json_time(b, v->time_ns);
			cgm_buf_char(b, ',');
			put_number(b, m, v->number);
			cgm_buf_lit(b, "},");
		}
		cgm_json_chop(b);
		cgm_buf_lit(b, "],");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}

void cgm_json_app_metrics(struct cgm_buf *b, const struct cgm_app_metrics *app)
{
	cgm_buf_char(b, '{');
	for (size_t i = 0; app && i < app->nr; i++) {
		const struct cgm_app_metric *m = &app->metrics[i];

		cgm_json_string(b, m->name);
		cgm_buf_lit(b, ":{");
		for (size_t n = 0; n < m->nr_values; n++) {
			put_label(b, m, &m->values[n]);
			cgm_buf_lit(b, ":[{\"timestamp\":");
			cgm_json_time(b, m->values[n].time_ns);
			cgm_buf_char(b, ',');
			put_number(b, m, m->values[n].number);
			cgm_buf_lit(b, "}],");
		}
		cgm_json_chop(b);
		cgm_buf_lit(b, "},");
	}
	cgm_json_chop(b);
	cgm_buf_char(b, '}');
}
