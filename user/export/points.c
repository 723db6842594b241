// SPDX-License-Identifier: Apache-2.0
#include "export/points.h"

#include <string.h>

#include "base/log.h"
#include "output/json.h"

/* A batch may end after so many bytes. */
#define CUT_BYTES ((size_t)16 * 1024)

static bool is_number(const struct cgm_point *p)
{
	if (!p->is_float || isfinite(p->value.f))
		return true;
	cgm_log_once(CGM_LOG_WARNING, "sinks: a value of %s is no number (NaN or infinite); such points are not written", p->labeled && cgm_labeled_name(p->labeled) ? cgm_labeled_name(p->labeled) : cgm_cm_table[p->metric].name);
	return false;
}

bool cgm_points_next(struct cgm_points *it, struct cgm_point *ret)
{
	const struct cgm_set *s = it->set;

	while (it->left) {
		enum cgm_cm m = (enum cgm_cm)__builtin_ctzll(it->left);

		it->left &= it->left - 1;
		*ret = (struct cgm_point){ .metric = m, .is_float = cgm_cm_table[m].is_float, .value = s->values[it->nr_scalars++] };
		if (is_number(ret))
			return true;
	}
	while (it->nr_labeled < s->nr_labeled) {
		const struct cgm_labeled *l = &s->labeled[it->nr_labeled++];

		*ret = (struct cgm_point){ .metric = l->metric, .is_float = l->metric == CGM_CM_CUSTOM ? l->is_float : cgm_cm_table[l->metric].is_float,
					   .value = l->value, .labeled = l };
		if (is_number(ret))
			return true;
	}
	return false;
}

void cgm_point_name(const struct cgm_point *p, struct cgm_buf *out)
{
	if (p->metric != CGM_CM_CUSTOM) {
		cgm_buf_str(out, cgm_cm_table[p->metric].name);
		return;
	}
	cgm_buf_lit(out, "custom/");
	cgm_buf_str(out, cgm_labeled_name(p->labeled));
}

void cgm_point_value(const struct cgm_point *p, struct cgm_buf *out)
{
	if (p->is_float)
		cgm_buf_f64(out, p->value.f);
	else
		cgm_buf_i64(out, p->value.i);
}

static const char *label_of(const struct cgm_labeled *l, const char *key)
{
	for (unsigned i = 0; l && i < l->nr_labels; i++)
		if (strcmp(cgm_labeled_labels(l)[i].key, key) == 0)
			return cgm_labeled_labels(l)[i].value;
	return NULL;
}

const char *cgm_point_label(const struct cgm_point *p, const char *key)
{
	return label_of(p->labeled, key);
}

static bool is_own(const char *key)
{
	for (int l = 0; l < CGM_NR_CL; l++)
		if (strcmp(cgm_cl_name((enum cgm_cl)l), key) == 0)
			return true;
	return false;
}

/* The label at that place. False: it is none, or another goes before it. */
static bool tag_at(const struct cgm_tags *it, size_t i, struct cgm_tag *ret)
{
	const struct cgm_entity *e = it->entity;

	if (i < CGM_NR_CL) {
		*ret = (struct cgm_tag){ cgm_cl_name((enum cgm_cl)i), e->labels[i] };
		return ret->value && !label_of(it->labeled, ret->key);
	}
	i -= CGM_NR_CL;
	if (i < e->nr_stored) {
		*ret = e->stored[i];
		return !(i && strcmp(e->stored[i - 1].key, ret->key) == 0) && !is_own(ret->key) && !label_of(it->labeled, ret->key);
	}
	i -= e->nr_stored;
	*ret = cgm_labeled_labels(it->labeled)[i];
	return !(i && strcmp(cgm_labeled_labels(it->labeled)[i - 1].key, ret->key) == 0);
}

bool cgm_tags_next(struct cgm_tags *it, struct cgm_tag *ret)
{
	size_t end = CGM_NR_CL + it->entity->nr_stored + (it->labeled ? it->labeled->nr_labels : 0);

	while (it->next < end)
		if (tag_at(it, it->next++, ret))
			return true;
	return false;
}

void cgm_tags_json(const struct cgm_entity *e, const struct cgm_labeled *l, struct cgm_buf *out)
{
	struct cgm_tags it = CGM_TAGS(e, l);
	struct cgm_tag tag;
	char before = '{';

	while (cgm_tags_next(&it, &tag)) {
		cgm_buf_char(out, before);
		cgm_json_string(out, tag.key);
		cgm_buf_char(out, ':');
		cgm_json_string(out, tag.value);
		before = ',';
	}
	cgm_buf_char(out, '}'); /* an entity has the label type at least */
}

void cgm_cutter_add(struct cgm_cutter *c, uint64_t nr_points)
{
	c->nr_points += nr_points;
	c->since += nr_points;
	if (c->out->len - c->mark < CUT_BYTES)
		return;
	c->cut(c->arg, c->since);
	c->mark = c->out->len;
	c->since = 0;
}
