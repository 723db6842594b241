// SPDX-License-Identifier: Apache-2.0
#include "source/decode.h"

#include <errno.h>
#include <string.h>

#include "source/decoders.h"

const char *cgm_decode_name(enum cgm_decode_form form)
{
	static const char *const names[CGM_NR_DECODE_FORMS] = {
		[CGM_DECODE_SUMMARY] = "summary",		[CGM_DECODE_RESOURCE] = "resource", [CGM_DECODE_CONTAINERS] = "containers",
		[CGM_DECODE_SUBCONTAINERS] = "subcontainers", [CGM_DECODE_COMPACT] = "compact",
	};

	return names[form];
}

int cgm_decode(enum cgm_decode_form form, const char *text, size_t len, struct cgm_draft *d, uint64_t *nr_bad, char *fault)
{
	struct cgm_str s = { text, len };

	switch (form) {
	case CGM_DECODE_SUMMARY:
		return cgm_decode_summary(s, d, nr_bad, fault);
	case CGM_DECODE_RESOURCE:
		return cgm_decode_resource(s, d, nr_bad, fault);
	case CGM_DECODE_CONTAINERS:
	case CGM_DECODE_SUBCONTAINERS:
		return cgm_decode_containers(s, form == CGM_DECODE_SUBCONTAINERS, d, nr_bad, fault);
	case CGM_DECODE_COMPACT:
		return cgm_decode_compact(s, d, nr_bad, fault);
	case CGM_NR_DECODE_FORMS:
		break;
	}
	snprintf(fault, CGM_DECODE_FAULT, "there is no such form");
	return -EINVAL;
}

/* ---- what the forms share ---- */

const struct cgm_tag *cgm_decode_resource_id(struct cgm_draft *d, const char *prefix, struct cgm_str text)
{
	struct cgm_tag *pair = cgm_draft_alloc(d, sizeof(*pair));
	size_t size = strlen(prefix) + text.len + 1;
	char *value = pair ? cgm_draft_alloc(d, size) : NULL;

	if (!value)
		return NULL;
	snprintf(value, size, "%s%.*s", prefix, (int)text.len, text.p);
	*pair = (struct cgm_tag){ "resource_id", value };
	return pair;
}

static void put(struct cgm_cast *c, int set, const struct cgm_labeled_facts *l)
{
	enum cgm_set_kind kind = c->d->sets[set].kind;

	if (cgm_cm_table[l->metric].sets & 1U << kind && cgm_cast_has_room(c))
		cgm_draft_labeled(c->d, (uint32_t)set, l);
}

void cgm_decode_put_fs(struct cgm_cast *c, int set, const struct cgm_decode_fs *fs, const struct cgm_tag *resource)
{
	struct cgm_labeled_facts l = { .nr_labels = 1, .labels = resource };

	for (uint32_t left = resource ? fs->present : 0; left; left &= left - 1) {
		int i = __builtin_ctz(left);

		l.metric = (uint8_t)(CGM_CM_FILESYSTEM_USAGE + i);
		l.value.i = fs->values[i];
		put(c, set, &l);
	}
}

void cgm_decode_put_gpu(struct cgm_cast *c, int set, const struct cgm_decode_gpu *g)
{
	struct cgm_labeled_facts l = { .nr_labels = 3 };
	struct cgm_tag *tags = g->present ? cgm_draft_alloc(c->d, 3 * sizeof(*tags)) : NULL;

	if (!tags)
		return;
	tags[0] = (struct cgm_tag){ "accelerator_id", g->id ? g->id : "" };
	tags[1] = (struct cgm_tag){ "make", g->make ? g->make : "" };
	tags[2] = (struct cgm_tag){ "model", g->model ? g->model : "" };
	l.labels = tags;
	for (uint32_t left = g->present; left; left &= left - 1) {
		int i = __builtin_ctz(left);

		l.metric = (uint8_t)(CGM_CM_ACCELERATOR_MEMORY_TOTAL + i);
		l.value.i = g->values[i];
		put(c, set, &l);
	}
}

void cgm_decode_put_custom(struct cgm_cast *c, int set, const char *name, bool is_float, union cgm_cm_value value)
{
	struct cgm_labeled_facts l = { .metric = CGM_CM_CUSTOM, .is_float = is_float, .name = name, .value = value };

	put(c, set, &l);
}
