// SPDX-License-Identifier: Apache-2.0
/*
 * The newest slices as Prometheus' families, by the names that remote write has: for who scrapes instead. A family's samples stand together, so that all sets are walked once for each metric; a set's
 * labels are written once.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "export/points.h"
#include "export/prometheus_name.h"
#include "serve/exposition.h"
#include "serve/self.h"

#define MAX_LABELS 96

struct row { /* a set */
	const struct cgm_set *set;
	uint64_t time_ms;
	size_t at, len; /* of its labels in page.labels: {a="b",… without the brace at the end */
};

struct page {
	struct cgm_slice **slices;
	size_t nr_slices;
	struct row *rows;
	size_t nr_rows, cap_rows;
	struct cgm_buf labels;
	struct cgm_buf name, names; /* of a family; of a set's labels, each with a zero */
	struct cgm_buf *out;
};

static void page_done(struct page *p)
{
	cgm_cluster_slices_free(p->slices, p->nr_slices);
	free(p->rows);
	cgm_buf_done(&p->labels);
	cgm_buf_done(&p->name);
	cgm_buf_done(&p->names);
}

/* ---- labels ---- */

static bool has_name(const struct cgm_buf *names, const char *name)
{
	for (size_t at = 0; at < names->len; at += strlen(names->p + at) + 1)
		if (names->p + at != name && !strcmp(names->p + at, name))
			return true;
	return false;
}

/* An empty value is the same as none. Different names may become one that Prometheus takes: a later one gets a _ behind it. */
static void put_label(struct page *p, const char *name, const char *value, bool first, struct cgm_buf *out)
{
	size_t at = p->names.len;

	cgm_prometheus_label_name(name, &p->names);
	cgm_buf_char(&p->names, '\0');
	while (!p->names.failed && has_name(&p->names, p->names.p + at)) {
		p->names.p[p->names.len - 1] = '_';
		cgm_buf_char(&p->names, '\0');
	}
	if (p->names.failed)
		return;
	cgm_buf_char(out, first ? '{' : ',');
	cgm_buf_str(out, p->names.p + at);
	cgm_buf_lit(out, "=\"");
	cgm_exposition_text(out, value);
	cgm_buf_char(out, '"');
}

static void put_labels(struct page *p, const struct cgm_entity *e, const struct cgm_labeled *l, struct cgm_buf *out)
{
	struct cgm_tags it = CGM_TAGS(e, l);
	struct cgm_tag tag;
	size_t nr = 0;

	p->names.len = 0;
	if (l && l->metric == CGM_CM_CUSTOM)
		put_label(p, CGM_PROMETHEUS_CUSTOM, cgm_labeled_name(l), !nr++, out);
	while (cgm_tags_next(&it, &tag))
		if (*tag.value && nr < MAX_LABELS)
			put_label(p, tag.key, tag.value, !nr++, out);
}

/* ---- samples ---- */

static void begin_family(struct page *p, const char *type, const char *help)
{
	cgm_buf_char(&p->name, '\0');
	if (p->name.failed)
		p->out->failed = true;
	else
		(void)cgm_family_begin(p->out, p->name.p, type, help);
}

static void put_value(struct page *p, enum cgm_cm m, union cgm_cm_value v, bool is_float)
{
	if (is_float || v.i < 0)
		cgm_buf_f64(p->out, cgm_cm_prometheus_value(m, v, is_float));
	else
		cgm_buf_fixed(p->out, (uint64_t)v.i, cgm_cm_prometheus_digits(m));
}

static void end_sample(struct page *p, const struct row *row)
{
	cgm_buf_char(p->out, ' ');
	cgm_buf_u64(p->out, row->time_ms);
	cgm_buf_char(p->out, '\n');
}

static void put_scalar(struct page *p, const struct row *row, enum cgm_cm m)
{
	union cgm_cm_value v = cgm_set_value(row->set, m);

	if (cgm_cm_table[m].is_float && !isfinite(v.f))
		return;
	cgm_buf_str(p->out, p->name.p);
	cgm_buf_put(p->out, p->labels.p + row->at, row->len);
	cgm_buf_lit(p->out, "} ");
	put_value(p, m, v, cgm_cm_table[m].is_float);
	end_sample(p, row);
}

static void put_scalars(struct page *p, enum cgm_cm m)
{
	bool begun = false;

	for (size_t i = 0; i < p->nr_rows && !p->out->failed; i++) {
		if (!cgm_set_has(p->rows[i].set, m))
			continue;
		if (!begun) {
			p->name.len = 0;
			cgm_cm_prometheus_name(m, &p->name);
			begin_family(p, cgm_cm_prometheus_is_counter(m) ? "counter" : "gauge", cgm_cm_table[m].help);
			begun = true;
			if (p->name.failed)
				return;
		}
		put_scalar(p, &p->rows[i], m);
	}
}

static bool put_labeled(struct page *p, const struct row *row, enum cgm_cm m, bool begun)
{
	for (uint32_t i = 0; i < row->set->nr_labeled; i++) {
		const struct cgm_labeled *l = &row->set->labeled[i];
		bool is_float = m == CGM_CM_CUSTOM ? l->is_float : cgm_cm_table[m].is_float;

		if (l->metric != m || (is_float && !isfinite(l->value.f)))
			continue;
		if (!begun) {
			p->name.len = 0;
			cgm_cm_prometheus_name(m, &p->name);
			begin_family(p, m == CGM_CM_CUSTOM ? "untyped" : cgm_cm_prometheus_is_counter(m) ? "counter" : "gauge", m == CGM_CM_CUSTOM ? "metrics of applications" : cgm_cm_table[m].help);
			begun = true;
			if (p->name.failed)
				return begun;
		}
		cgm_buf_str(p->out, p->name.p);
		put_labels(p, row->set->entity, l, p->out);
		cgm_buf_lit(p->out, "} ");
		put_value(p, m, l->value, is_float);
		end_sample(p, row);
	}
	return begun;
}

/* ---- histograms ---- */

static void put_bucket(struct page *p, const struct row *row, double bound, uint64_t count)
{
	cgm_buf_str(p->out, p->name.p);
	cgm_buf_lit(p->out, "_bucket");
	cgm_buf_put(p->out, p->labels.p + row->at, row->len);
	cgm_buf_lit(p->out, ",le=\"");
	if (isinf(bound))
		cgm_buf_lit(p->out, "+Inf");
	else
		cgm_buf_printf(p->out, "%.17g", bound);
	cgm_buf_lit(p->out, "\"} ");
	cgm_buf_u64(p->out, count);
	end_sample(p, row);
}

static void put_hist(struct page *p, const struct row *row, const struct cgm_cluster_hist *h)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < CGM_CH_BUCKETS; i++) {
		count += h->buckets[i];
		put_bucket(p, row, cgm_ch_bound(i), count);
	}
	for (unsigned part = 0; part < 2; part++) {
		cgm_buf_str(p->out, p->name.p);
		cgm_buf_str(p->out, part ? "_count" : "_sum");
		cgm_buf_put(p->out, p->labels.p + row->at, row->len);
		cgm_buf_lit(p->out, "} ");
		if (part)
			cgm_buf_u64(p->out, count); /* of the same buckets: +Inf and _count must agree */
		else
			cgm_buf_fixed(p->out, h->sum_ns, 9);
		end_sample(p, row);
	}
}

static void put_hists(struct page *p, enum cgm_ch h)
{
	bool begun = false;

	for (size_t i = 0; i < p->nr_rows && !p->out->failed; i++)
		for (uint32_t k = 0; k < p->rows[i].set->nr_hists; k++) {
			if (p->rows[i].set->hists[k].hist != h)
				continue;
			if (!begun) {
				p->name.len = 0;
				cgm_ch_prometheus_name(h, &p->name);
				begin_family(p, "histogram", cgm_ch_help(h));
				begun = true;
				if (p->name.failed)
					return;
			}
			put_hist(p, &p->rows[i], &p->rows[i].set->hists[k]);
		}
}

/* ---- all of it ---- */

static int add_rows(struct page *p, const struct cgm_slice *s)
{
	for (size_t i = 0; i < s->nr_sets; i++) {
		struct row row = { .set = &s->sets[i], .time_ms = s->end_ns / CGM_NSEC_PER_MSEC, .at = p->labels.len };

		put_labels(p, row.set->entity, NULL, &p->labels);
		row.len = p->labels.len - row.at;
		if (p->labels.failed || p->names.failed || cgm_grow((void **)&p->rows, &p->cap_rows, p->nr_rows, sizeof(*p->rows)) < 0)
			return -ENOMEM;
		p->rows[p->nr_rows++] = row;
	}
	return 0;
}

int cgm_serve_put_cluster(const struct cgm_serve *s, const char *node, struct cgm_buf *out)
{
	_cleanup_(page_done) struct page p = { .out = out };
	int r = cgm_cluster_store_newest(s->store, &p.slices, &p.nr_slices);

	for (size_t i = 0; r == 0 && i < p.nr_slices; i++)
		if (!node || !strcmp(p.slices[i]->node, node))
			r = add_rows(&p, p.slices[i]);
	if (r < 0)
		return r;
	for (unsigned m = 0; m < CGM_NR_SCALARS; m++)
		put_scalars(&p, (enum cgm_cm)m);
	for (unsigned m = CGM_NR_SCALARS; m < CGM_NR_CM; m++) {
		bool begun = false;

		for (size_t i = 0; i < p.nr_rows && !out->failed; i++)
			begun = put_labeled(&p, &p.rows[i], (enum cgm_cm)m, begun);
	}
	for (unsigned h = 0; h < CGM_NR_CH; h++)
		put_hists(&p, (enum cgm_ch)h);
	return p.names.failed || p.name.failed || out->failed ? -ENOMEM : 0;
}
