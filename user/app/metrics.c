// SPDX-License-Identifier: Apache-2.0
#include "app/metrics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct cgm_app_metrics *cgm_app_metrics_ref(struct cgm_app_metrics *m)
{
	__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void cgm_app_metrics_unref(struct cgm_app_metrics *m)
{
	if (m && __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(m);
}

void cgm_app_draft_done(struct cgm_app_draft *d)
{
	cgm_buf_done(&d->text);
	free(d->labels);
	free(d->values);
	*d = (struct cgm_app_draft){ 0 };
}

static size_t add_text(struct cgm_app_draft *d, const char *s)
{
	size_t at = d->text.len;

	cgm_buf_put(&d->text, s, strlen(s) + 1);
	return at;
}

static const char *text_of(const struct cgm_app_draft *d, size_t at)
{
	return d->text.p + at;
}

static int by_key(const void *a, const void *b)
{
	const struct cgm_pair *x = a, *y = b;

	return strcmp(x->key, y->key);
}

int cgm_app_draft_add(struct cgm_app_draft *d, const char *name, const struct cgm_app_kind *kind, const struct cgm_pair *labels, size_t nr_labels, double number,
		      uint64_t time_ns)
{
	struct cgm_app_draft_value v = {
		.first_label = d->nr_labels, .nr_labels = nr_labels, .number = number, .time_ns = time_ns, .is_int = kind->is_int, .is_prometheus = kind->is_prometheus
	};
	_cleanup_free_ struct cgm_pair *sorted = NULL;

	if (d->nr_values >= CGM_APP_MAX_VALUES) {
		d->nr_left_out++;
		return 0;
	}
	if (nr_labels) {
		sorted = cgm_malloc(nr_labels * sizeof(*sorted));
		if (!sorted)
			return -ENOMEM;
		memcpy(sorted, labels, nr_labels * sizeof(*sorted));
		qsort(sorted, nr_labels, sizeof(*sorted), by_key);
	}
	v.name = add_text(d, name);
	v.type = add_text(d, kind->type);
	v.units = add_text(d, kind->units);
	for (size_t i = 0; i < nr_labels; i++) {
		if (cgm_grow((void **)&d->labels, &d->cap_labels, d->nr_labels, sizeof(*d->labels)) < 0)
			return -ENOMEM;
		d->labels[d->nr_labels].key = add_text(d, sorted[i].key);
		d->labels[d->nr_labels++].value = add_text(d, sorted[i].value);
	}
	if (d->text.failed || cgm_grow((void **)&d->values, &d->cap_values, d->nr_values, sizeof(*d->values)) < 0)
		return -ENOMEM;
	d->values[d->nr_values++] = v;
	return 0;
}

int cgm_app_draft_add_all(struct cgm_app_draft *d, const struct cgm_app_metrics *m)
{
	for (size_t i = 0; i < m->nr; i++) {
		const struct cgm_app_metric *metric = &m->metrics[i];

		for (size_t n = 0; n < metric->nr_values; n++) {
			const struct cgm_app_value *v = &metric->values[n];
			int r = cgm_app_draft_add(d, metric->name, &metric->kind, v->labels, v->nr_labels, v->number, v->time_ns);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* By name, then by labels; what is the same stays in the order in which it came. */
static int compare(const struct cgm_app_draft *d, const struct cgm_app_draft_value *a, const struct cgm_app_draft_value *b)
{
	int r = strcmp(text_of(d, a->name), text_of(d, b->name));

	for (size_t i = 0; r == 0 && i < a->nr_labels && i < b->nr_labels; i++) {
		const struct cgm_app_draft_label *x = &d->labels[a->first_label + i], *y = &d->labels[b->first_label + i];

		r = strcmp(text_of(d, x->key), text_of(d, y->key));
		r = r ? r : strcmp(text_of(d, x->value), text_of(d, y->value));
	}
	return r ? r : (a->nr_labels > b->nr_labels) - (a->nr_labels < b->nr_labels);
}

static int by_name_and_labels(const void *a, const void *b, void *arg)
{
	const struct cgm_app_draft_value *x = a, *y = b;
	int r = compare(arg, x, y);

	return r ? r : (x->name > y->name) - (x->name < y->name); /* texts are added in order */
}

static bool same_name(const struct cgm_app_draft *d, const struct cgm_app_draft_value *a, const struct cgm_app_draft_value *b)
{
	return strcmp(text_of(d, a->name), text_of(d, b->name)) == 0;
}

/* Takes out what came before with the same labels, and whole metrics beyond the limit. Returns how many metrics are left. */
static size_t thin_out(struct cgm_app_draft *d)
{
	size_t kept = 0, nr_metrics = 0;

	for (size_t i = 0; i < d->nr_values; i++) {
		bool is_new = !kept || !same_name(d, &d->values[kept - 1], &d->values[i]);

		if (!is_new && compare(d, &d->values[kept - 1], &d->values[i]) == 0) {
			d->nr_left_out++;
			continue;
		}
		if (is_new && d->max_metrics && nr_metrics == d->max_metrics) {
			d->nr_left_out += d->nr_values - i;
			break;
		}
		nr_metrics += is_new;
		d->values[kept++] = d->values[i];
	}
	d->nr_values = kept;
	return nr_metrics;
}

struct cgm_app_metrics *cgm_app_draft_finish(struct cgm_app_draft *d)
{
	size_t nr_metrics, size, metric = 0;
	struct cgm_app_metric *metrics;
	struct cgm_app_metrics *ret;
	struct cgm_app_value *values;
	struct cgm_pair *labels;
	char *text;

	if (d->nr_values)
		qsort_r(d->values, d->nr_values, sizeof(*d->values), by_name_and_labels, d);
	nr_metrics = thin_out(d);
	size = sizeof(*ret) + nr_metrics * sizeof(*metrics) + d->nr_values * sizeof(*values) + d->nr_labels * sizeof(*labels);
	ret = cgm_calloc(1, size + d->text.len);
	if (!ret)
		return NULL;
	metrics = (struct cgm_app_metric *)(ret + 1);
	values = (struct cgm_app_value *)(metrics + nr_metrics);
	labels = (struct cgm_pair *)(values + d->nr_values);
	text = (char *)(labels + d->nr_labels);
	*ret = (struct cgm_app_metrics){ .refs = 1, .metrics = metrics, .nr = nr_metrics };
	if (d->text.len)
		memcpy(text, d->text.p, d->text.len);
	for (size_t i = 0; i < d->nr_labels; i++)
		labels[i] = (struct cgm_pair){ text + d->labels[i].key, text + d->labels[i].value };
	for (size_t i = 0; i < d->nr_values; i++) {
		const struct cgm_app_draft_value *v = &d->values[i];

		values[i] = (struct cgm_app_value){ labels + v->first_label, v->nr_labels, v->number, v->time_ns };
		if (!i || !same_name(d, v - 1, v))
			metrics[metric++] = (struct cgm_app_metric){
				.name = text + v->name, .kind = { text + v->type, text + v->units, v->is_int, v->is_prometheus }, .values = values + i
			};
		metrics[metric - 1].nr_values++;
	}
	return ret;
}
