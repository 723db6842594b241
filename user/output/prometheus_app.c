// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of applications, behind all families of our own: gauges by their own names, as cAdvisor shows them, with the labels of their container and theirs as
 * app_…. A name that is one of ours gets app_ in front: its numbers are another's.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/label.h"
#include "output/prometheus_write.h"

struct item {
	char *name; /* as it is shown */
	size_t row;
	const struct cgm_app_metric *metric;
};

struct cgm_prom_apps {
	struct item *items; /* by name, row */
	size_t nr, at;
};

void cgm_prom_apps_free(struct cgm_prom_apps *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->nr; i++)
		free(a->items[i].name);
	free(a->items);
	free(a);
}

/* What a name cannot have becomes _. */
static char *shown_name(const char *name)
{
	const char *before = isdigit((unsigned char)*name) || !*name ? "_" : cgm_prom_is_family(name) ? "app_" : "";
	char *ret = cgm_asprintf("%s%s", before, name);

	for (char *p = ret; p && *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != ':')
			*p = '_';
	return ret;
}

static int by_name(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->row > y->row) - (x->row < y->row);
}

static int gather(struct cgm_prom_apps *a, const struct cgm_snapshot *s)
{
	size_t cap = 0;

	for (size_t row = 0; row < s->nr_rows; row++) {
		const struct cgm_app_metrics *m = s->rows[row].app;

		for (size_t i = 0; m && i < m->nr; i++) {
			if (cgm_grow((void **)&a->items, &cap, a->nr, sizeof(*a->items)) < 0)
				return -ENOMEM;
			a->items[a->nr] = (struct item){ shown_name(m->metrics[i].name), row, &m->metrics[i] };
			if (!a->items[a->nr].name)
				return -ENOMEM;
			a->nr++;
		}
	}
	return 0;
}

int cgm_prom_apps_new(const struct cgm_snapshot *s, struct cgm_prom_apps **ret)
{
	struct cgm_prom_apps *a;
	bool any = false;

	for (size_t row = 0; row < s->nr_rows && !any; row++)
		any = s->rows[row].app && s->rows[row].app->nr;
	if (!any)
		return 0;
	a = cgm_calloc(1, sizeof(*a));
	if (!a || gather(a, s) < 0) {
		cgm_prom_apps_free(a);
		return -ENOMEM;
	}
	qsort(a->items, a->nr, sizeof(*a->items), by_name);
	*ret = a;
	return 0;
}

/* Shortest that reads back as the same; Prometheus' words for what is no number. */
static void put_double(struct cgm_buf *b, double v)
{
	char text[32];

	if (isnan(v) || isinf(v)) {
		cgm_buf_str(b, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	cgm_buf_str(b, text);
}

/* `,app_a="x"`, each name once: keys are sorted, and two that become the same stand for one another. */
static void put_labels(struct cgm_buf *b, const struct cgm_app_value *v)
{
	for (size_t i = 0; i < v->nr_labels; i++) {
		size_t size = CGM_LABEL_GROWTH * strlen(v->labels[i].value);

		if (i && strcmp(v->labels[i].key, v->labels[i - 1].key) == 0)
			continue;
		cgm_buf_lit(b, ",app_");
		cgm_buf_str(b, v->labels[i].key);
		cgm_buf_lit(b, "=\"");
		if (cgm_buf_reserve(b, size))
			b->len += cgm_label_escape(b->p + b->len, v->labels[i].value);
		cgm_buf_char(b, '"');
	}
}

static void put_value(struct cgm_prometheus *r, const struct cgm_row *row, const struct cgm_app_value *v)
{
	_cleanup_(cgm_buf_done) struct cgm_buf own = { 0 };
	const char *labels;
	size_t len;

	put_labels(&own, v);
	r->out->failed |= own.failed;
	if (r->out->failed)
		return;
	if (r->protobuf) {
		cgm_protobuf_double(r, row, own.p ? own.p : "", own.len, v->number);
		return;
	}
	labels = cgm_prom_labels(r, row, &len);
	cgm_buf_put(r->out, r->name, r->name_len);
	cgm_buf_char(r->out, '{');
	cgm_buf_put(r->out, labels, len);
	cgm_buf_put(r->out, own.p, own.len);
	cgm_buf_lit(r->out, "} ");
	put_double(r->out, v->number);
	cgm_buf_put(r->out, r->stamp->p, r->stamp->len);
	cgm_buf_char(r->out, '\n');
}

bool cgm_prom_apps_next(struct cgm_prometheus *r)
{
	struct cgm_prom_apps *a = r->apps;
	struct cgm_prom_family family = { .unit = "", .help = "Custom application metric.", .type = GAUGE, .group = CGM_G_APP };
	const struct item *first;

	if (!a || a->at == a->nr)
		return false;
	first = &a->items[a->at];
	family.name = first->name;
	r->name = first->name;
	r->name_len = strlen(first->name);
	r->created_len = 0;
	r->stamp = &r->row_stamp;
	cgm_prom_header(r, &family);
	for (; a->at < a->nr && strcmp(a->items[a->at].name, first->name) == 0; a->at++) {
		const struct item *i = &a->items[a->at];

		if (i > first && i->row == (i - 1)->row) {
			cgm_log_once(CGM_LOG_INFO, "application metrics: %s and %s of one container are the same name to Prometheus; the first is shown", (i - 1)->metric->name, i->metric->name);
			continue;
		}
		for (size_t n = 0; n < i->metric->nr_values; n++)
			put_value(r, &r->s->rows[i->row], &i->metric->values[n]);
	}
	if (r->protobuf)
		cgm_protobuf_end(r);
	return a->at < a->nr;
}
