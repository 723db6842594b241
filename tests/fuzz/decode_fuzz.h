/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all forms of a node's answer promise: 0, or a fault that says why; the node's set first, each container behind its pod, one of each name; values that sets of
 * their kind may have and that are not negative; texts without control characters; the same again the second time.
 */
#pragma once
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "source/decode.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_text(const char *s)
{
	for (; s && *s; s++)
		check((unsigned char)*s >= 0x20 && *s != 0x7f);
}

/* Not known, or from 2000 to 2099. */
static void check_time(uint64_t ns)
{
	check(!ns || (ns >= 946684800000000000 && ns < 4102444800000000000));
}

static void check_set(const struct cgm_draft *d, size_t i, size_t *pod)
{
	const struct cgm_draft_set *s = &d->sets[i];

	check((i == 0) == (s->kind == CGM_SET_NODE));
	check(s->kind == CGM_SET_NODE || s->kind == CGM_SET_SYS_CONTAINER || s->kind == CGM_SET_POD || s->kind == CGM_SET_CONTAINER);
	check((s->kind == CGM_SET_POD || s->kind == CGM_SET_CONTAINER) == (s->pod && s->pod_namespace));
	check((s->kind == CGM_SET_SYS_CONTAINER || s->kind == CGM_SET_CONTAINER) == (s->container != NULL));
	check(s->kind != CGM_SET_SYS_CONTAINER || !*pod);
	if (s->kind == CGM_SET_POD)
		*pod = i;
	if (s->kind == CGM_SET_CONTAINER)
		check(*pod && s->pod == d->sets[*pod].pod && s->pod_namespace == d->sets[*pod].pod_namespace && s->uid == d->sets[*pod].uid);
	check(!s->entity && !s->order);
	check_time(s->scraped_ns);
	check_time(s->created_ns);
	check_text(s->pod_namespace);
	check_text(s->pod);
	check_text(s->uid);
	check_text(s->container);
	check_text(s->image);
	for (uint64_t left = s->present; left; left &= left - 1) {
		int m = __builtin_ctzll(left);

		check(m < CGM_NR_SCALARS && cgm_cm_table[m].sets & 1U << s->kind && !cgm_cm_table[m].is_float && s->values[m].i >= 0);
	}
}

static void check_draft(const struct cgm_draft *d)
{
	size_t pod = 0;

	check(!d->failed && d->nr_sets >= 1);
	check_text(d->node);
	for (size_t i = 0; i < d->nr_sets; i++)
		check_set(d, i, &pod);
	for (size_t i = 0; i < d->nr_labeled; i++) {
		const struct cgm_labeled_facts *l = &d->labeled[i].labeled;

		check(d->labeled[i].set < d->nr_sets && l->metric >= CGM_NR_SCALARS && l->metric < CGM_NR_CM);
		check(cgm_cm_table[l->metric].sets & 1U << d->sets[d->labeled[i].set].kind);
		check((l->metric == CGM_CM_CUSTOM) == (l->name != NULL) && (l->metric == CGM_CM_CUSTOM || l->value.i >= 0));
		for (unsigned k = 0; k < l->nr_labels; k++)
			check_text(l->labels[k].value);
	}
	for (size_t i = 0; i < d->nr_hists; i++)
		check(d->hists[i].set < d->nr_sets && d->hists[i].hist.hist < CGM_NR_CH);
}

static void try_form(enum cgm_decode_form form, const uint8_t *data, size_t size)
{
	static struct cgm_draft draft;
	char fault[2][CGM_DECODE_FAULT];
	uint64_t nr_bad[2] = { 0 };
	size_t nr_sets[2];
	int r[2];

	for (int i = 0; i < 2; i++) {
		memset(fault[i], 0, sizeof(fault[i]));
		cgm_draft_clear(&draft);
		r[i] = cgm_decode(form, (const char *)data, size, &draft, &nr_bad[i], fault[i]);
		nr_sets[i] = draft.nr_sets;
		check(r[i] == 0 || (r[i] == -EINVAL && *fault[i]));
		if (r[i] == 0)
			check_draft(&draft);
	}
	check(r[0] == r[1] && nr_bad[0] == nr_bad[1] && nr_sets[0] == nr_sets[1] && strcmp(fault[0], fault[1]) == 0);
	cgm_draft_done(&draft);
}
